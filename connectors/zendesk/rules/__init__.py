"""Zendesk's dialect of rules: triggers, automations, macros, views and SLA policies, read and written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from migrator.rules.rule import Kind

from .definitions import checker
from .histories import listed as histories
from .hours import calendar, calendars
from .names import CLOCK, POLICY, TITLE
from .oracle import applied, taken
from .reading import TEXTS
from .reading import rule as read
from .writing import rule as write

__all__ = [
    "CLOCK",
    "POLICY",
    "TITLE",
    "applied",
    "calendar",
    "calendars",
    "checker",
    "histories",
    "listed",
    "read",
    "taken",
    "write",
]

LISTS: dict[str, Kind] = {
    "triggers": "trigger",
    "automations": "timed",
    "macros": "macro",
    "views": "view",
    "sla_policies": "sla",
}


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, rule) of everything in an API answer, or several put into one object; a bare list is told apart."""
    if isinstance(document, list):
        for one in document:
            yield _kind(one), one
        return
    items = document.get("dynamic_content_items") or document.get("items") or []
    texts = {f"dc.{one['name'].lower().replace(' ', '_')}": one for one in items if isinstance(one.get("name"), str)}
    texts |= {str(one["placeholder"]).strip("{} "): one for one in items if one.get("placeholder")}
    for key, kind in LISTS.items():
        some = document.get(key) or []
        yield from ((kind, _with_texts(one, texts)) for one in some)
    for key, kind in (("trigger", "trigger"), ("automation", "timed"), ("macro", "macro"), ("view", "view")):
        if isinstance(document.get(key), dict):
            yield kind, document[key]
    if isinstance(document.get("sla_policy"), dict):
        yield "sla", document["sla_policy"]


def _with_texts(one: Any, items: dict[str, Any]) -> Any:
    """Return a rule with the dynamic content that its texts name, which the API keeps elsewhere."""
    said = json.dumps(one, ensure_ascii=False) if items else ""
    used = {name: item for name, item in items.items() if name in said}
    return {**one, TEXTS: used} if used and isinstance(one, dict) else one


def _kind(one: dict[str, Any]) -> Kind:
    """Tell a rule's kind from what it has."""
    if "filter" in one:
        return "sla"
    if "execution" in one or "output" in one:
        return "view"
    if "conditions" not in one:
        return "macro"
    asked = [each for side in ("all", "any") for each in one["conditions"].get(side) or ()]
    hours = {"NEW", "OPEN", "PENDING", "HOLD", "SOLVED", "CLOSED"}
    events = any(each.get("field") == "update_type" for each in asked)
    return "timed" if not events and any(each.get("field") in hours for each in asked) else "trigger"
