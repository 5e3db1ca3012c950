"""Dependent fields: one choice in two or three fields at Freshdesk, one field that holds the whole path with us."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from migrator.declarative import noted

Native = dict[str, Any]
BETWEEN = "::"  # as Zendesk parts the levels of an option
MOST = 255  # characters of a label


def levels(fields: Sequence[Native]) -> list[tuple[str, ...]]:
    """Return the names of each dependent field and its lower levels, from the top."""
    found = []
    for field in fields:
        below = field.get("nested_ticket_fields") or field.get("dependent_fields") or []
        if field.get("type") == "nested_field":
            found.append((field["name"], *(one["name"] for one in sorted(below, key=lambda one: one["level"]))))
    return found


def paths(choices: Any, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every path that may be chosen, each after what it is part of: a ticket may have the upper levels only."""
    parts = choices.items() if isinstance(choices, dict) else [(one, None) for one in choices or ()]
    for name, below in parts:
        if isinstance(name, dict):
            yield from paths(name, above)
            continue
        yield BETWEEN.join((*above, str(name)))
        yield from paths(below, (*above, str(name)))


def with_paths(body: bytes) -> bytes:
    """Return a ticket field with the paths of its choices beside them, where it is a dependent one."""
    field = json.loads(body)
    if field.get("type") != "nested_field":
        return body
    depth = max((len(one) for one in levels([field])), default=1)
    return noted(noted(body, "_options", list(paths(field.get("choices")))), "_levels", depth)


def nested(field: Native, depth: int) -> Native:
    """Return a drop-down of whole paths as the dependent field that is made of it; its lower levels are numbered."""
    choices: list[Native] = []
    for path in (choice["value"] for choice in field["choices"]):
        held = choices
        for part in path.split(BETWEEN):
            one = next((one for one in held if one["value"] == part), None)
            if one is None:
                one = {"value": part, "position": len(held) + 1, "choices": []}
                held.append(one)
            held = one["choices"]
    names = [(level, f"{field['label'][: MOST - 2]} {level}") for level in range(2, depth + 1)]
    below = [{"label": name, "label_for_customers": name, "level": level} for level, name in names]
    return {**field, "type": "nested_field", "choices": _bare(choices), "dependent_fields": below}


def _bare(choices: list[Native]) -> list[Native]:
    """Return choices without empty lists of what is below."""
    return [
        {key: _bare(held) if key == "choices" else held for key, held in one.items() if key != "choices" or held}
        for one in choices
    ]


def parted(values: Native, dependent: Sequence[tuple[str, ...]]) -> Native:
    """Return custom values with each level of a dependent field in a field of its own; a level not chosen is null."""
    done = dict(values)
    for names in dependent:
        if names[0] in values and not set(names[1:]) & set(values):
            whole = values[names[0]]
            parts = [] if whole in (None, "") else str(whole).split(BETWEEN, len(names) - 1)
            done |= dict(zip_longest(names, parts))
    return done


def joined(body: bytes, dependent: Sequence[tuple[str, ...]]) -> bytes:
    """Return a ticket with its custom values beside them, the levels of each dependent field in one."""
    if not dependent:
        return body
    values = dict(json.loads(body).get("custom_fields") or {})
    for names in dependent:
        chosen: list[str] = []
        for name in names:
            if values.get(name) in (None, ""):
                break
            chosen.append(str(values.pop(name)))
        if chosen:
            values[names[0]] = BETWEEN.join(chosen)
    return noted(body, "_custom_fields", values)
