"""What rules and macros need in one account of Freshdesk, as records: fields, automations that fill them, texts."""

from __future__ import annotations

import json
from typing import Any

from migrator.rules.references import MARK
from migrator.rules.verdicts import NEEDED, Need

from . import names

TEXTS_AS = {"macro": "canned_response"}
BEFORE = 1_000_000  # places before the first rule; of a field's automations the one that empties it comes first


def provided(need: Need) -> tuple[str, str, dict[str, Any]] | str:
    """Return the record that fills a need, as (kind, id, fields), or why it cannot be made; empty: there is none to
    make."""
    id, native = f"{NEEDED}{need.name}", need.native or {}
    if need.kind == "canned_response":
        if MARK.search(native["body"]):
            return "its text names a field of the account's own: make the canned response by hand"
        return "canned_response", id, {**native}
    if need.kind == "automation":
        rule = {key: value for key, value in native.items() if key != "position"}
        place = native["position"] - BEFORE
        return "trigger", id, {"name": need.name, "rule": json.dumps(rule, ensure_ascii=False), "position": place}
    if need.kind != "ticket field":
        return ""
    if need.name not in names.OPTIONS and not need.name.startswith(names.CHANGED):
        return "what it would hold does not move with the tickets"
    options = names.OPTIONS.get(need.name, (names.NO, names.YES))
    title = need.name.removeprefix(names.FIELD_PREFIX).replace("_", " ").capitalize()
    fields = {"applies_to": "ticket", "title": title, "type": "dropdown", "key": need.name, "options": list(options)}
    return "custom_field", id, {**fields, "required": False}
