"""Bodies of calls, and what a vendor's record holds in the places that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from migrator.connector import Native
from migrator.mapping import word


def form(body: Native, prefix: str = "") -> list[tuple[str, str]]:
    """Return a payload as form fields, the way Rails reads them: ``custom_fields[cf_x]``, ``tags[]``."""
    fields: list[tuple[str, str]] = []
    for name, value in body.items():
        label = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, dict):
            fields += form(value, label)
        elif isinstance(value, list):
            fields += [(f"{label}[]", word(each)) for each in value]
        elif value is not None:
            fields.append((label, word(value)))
    return fields


def holds(native: Any, payload: Any) -> bool:
    """Tell whether a record already says what a change would make it say."""
    if isinstance(payload, dict):
        return isinstance(native, dict) and all(holds(native.get(name), value) for name, value in payload.items())
    if isinstance(payload, list):
        if not isinstance(native, list):
            return not payload
        if payload and all(isinstance(one, dict) and "id" in one for one in payload):
            held = {one.get("id"): one for one in native if isinstance(one, dict)}
            return all(holds(held.get(one["id"]), one) for one in payload)
        return sorted(map(str, native)) == sorted(map(str, payload))
    return str(native) == str(payload) or (native in (None, "", False) and payload in (None, "", False))


def picked(native: Any, payload: Any) -> Any:
    """Return what a record holds in the places a payload names."""
    if isinstance(payload, dict):
        held = native if isinstance(native, dict) else {}
        return {name: picked(held.get(name), value) for name, value in payload.items()}
    if isinstance(payload, list) and payload and all(isinstance(one, dict) and "id" in one for one in payload):
        ids = {one["id"] for one in payload}
        return [one for one in native or [] if isinstance(one, dict) and one.get("id") in ids]
    return native


def without_nulls(payload: Native) -> Native:
    """Return the payload without empty values, whatever the depth."""
    kept = {}
    for name, value in payload.items():
        if isinstance(value, dict):
            value = without_nulls(value)
            if not value:
                continue
        if value is not None:
            kept[name] = value
    return kept


def filled(template: str, words: Mapping[str, str]) -> str:
    """Return a path with each ``{word}`` replaced that is among the words."""
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[0]), template)
