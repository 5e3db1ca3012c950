"""Rules held against the account's own definitions: which fields, operators and values there are (…/definitions)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from migrator.rules.rule import Kind
from migrator.rules.verdicts import Finding

from .reading import EMPTY, text

Native = Mapping[str, Any]
Check = Callable[[Kind, Native], list[Finding]]
# Keys of the file, each an answer of .../definitions as it is; the first is that of triggers.
KEYS: dict[str, Kind] = {
    "definitions": "trigger",
    "trigger_definitions": "trigger",
    "automation_definitions": "timed",
    "macro_definitions": "macro",
    "view_definitions": "view",
    "sla_definitions": "sla",
}
SIDES = {"conditions_all": "all", "conditions_any": "any", "all": "all", "any": "any", "actions": "actions"}


def checker(document: Any) -> Check | None:
    """Return what holds a rule against the definitions in a file; None where it has none."""
    if not isinstance(document, dict):
        return None
    known: dict[tuple[Kind, str], dict[str, Native]] = {}
    for key, kind in KEYS.items():
        given = document.get(key)
        given = given.get("definitions", given) if isinstance(given, dict) else {}
        for side, ours in SIDES.items():
            for one in given.get(side) or ():
                name = text(one.get("subject") or one.get("value") or "")
                known.setdefault((kind, ours), {})[name] = one
    return (lambda kind, native: list(_checked(kind, native, known))) if known else None


def _checked(kind: Kind, native: Native, known: Mapping[tuple[Kind, str], Mapping[str, Native]]) -> Iterator[Finding]:
    asked = (native.get("filter") if kind == "sla" else native.get("conditions")) or {}
    for side in ("all", "any"):
        if (kind, side) in known:
            for one in asked.get(side) or ():
                yield from _condition(one, known[kind, side])
    if (kind, "actions") in known:
        for at, one in enumerate(native.get("actions") or ()):
            field = text(one.get("field", ""))
            defined = known[kind, "actions"].get(field)
            held = one.get("value")
            first = held[0] if isinstance(held, list) and held and field.startswith("notification") else held
            if why := _wrong(defined, first):
                yield Finding(f"do {at + 1}", _shown(field, first), "approximated", why)


def _condition(one: Native, known: Mapping[str, Native]) -> Iterator[Finding]:
    field, operator = text(one.get("field", one.get("subject", ""))), text(one.get("operator", "is"))
    defined = known.get(field)
    what = _shown(field, operator, one.get("value"))
    operators = {text(each.get("value")): each for each in (defined or {}).get("operators") or ()}
    if operators and operator not in operators:
        yield Finding("when", what, "approximated", f"the account's definitions have no operator '{operator}' for it")
    elif defined is None or not operators.get(operator, {}).get("terminal"):
        if why := _wrong(defined, one.get("value")):
            yield Finding("when", what, "approximated", why)


def _wrong(defined: Native | None, held: Any) -> str:
    """Return what is wrong with a value; the empty text where nothing is, or where any value will do."""
    if defined is None:
        return "the account's definitions have no such field (any more): at the source it is dead"
    given = defined.get("values")
    listed = given.get("list") if isinstance(given, Mapping) else given
    if not isinstance(listed, list) or not listed:
        return ""
    values = {text(each.get("value")): each for each in listed if isinstance(each, Mapping)}
    for one in held if isinstance(held, list) else [held]:
        if one in EMPTY and (defined.get("nullable") or not values.keys().isdisjoint({"", "__NULL__", "None"})):
            continue
        if text(one) not in values:
            return f"the account's definitions have no value '{text(one)}' (any more): at the source it is dead"
        if values[text(one)].get("enabled") is False:
            return f"the value '{text(one)}' is switched off at the source"
    return ""


def _shown(*parts: Any) -> str:
    return " ".join(
        ", ".join(map(text, one)) if isinstance(one, list) else text(one) for one in parts if one not in EMPTY
    )
