"""Fields that depend on others: the conditions of a form as sections of a drop-down, each for one of its choices.

A section holds for agents and customers, on every form, and says only what shows: what it cannot say shows always.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from migrator.rules.conditions import Lit, Path
from migrator.rules.natives import compact, unknown
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Rule, Shown
from migrator.rules.words import path_words, value_words

from .names import FIELD_PREFIX

Native = dict[str, Any]
READ = {"id", "name", "label", "parent", "choices", "fields", "sections", "plain"}
OWN = ("ticket_type", "status", "priority", "source", "group", "agent", "product")  # fields every account has
# Settings of a ticket field at Freshdesk: required_for_agents, required_for_customers, required_for_closure, which asks
# when a ticket is resolved or closed (developers.freshdesk.com/api, Ticket Fields, 2026-11-27).
SETTINGS = {"submitted": "Required when submitting the form", "solved": "Required when closing the ticket"}
EVERYWHERE = "given that no form has these fields without the condition: a section is on every form"
Place = tuple[str, str]  # (field it depends on, choice of it)


def rule(native: Mapping[str, Any]) -> Rule:
    """Return a section, or all of them (``sections``), as conditions of a form."""
    some = native.get("sections")
    shown = [each for one in ([native] if some is None else some) for each in _shown(one)]
    label = (("label", compact(native["label"])),) if "label" in native else ()
    odd = tuple(unknown(native, READ))
    name = str(native.get("name") or "")
    part = some is None
    return Rule(vendor="freshdesk", kind="form", name=name, shown=tuple(shown), options=label, unknown=odd, part=part)


def _shown(section: Mapping[str, Any]) -> Iterator[Shown]:
    for choice in section.get("choices") or ():
        for child in section.get("fields") or ():
            for to in ("agents", "customers"):
                yield Shown(
                    to=to,
                    parent=_path(str(section["parent"])),
                    value=Lit(value=str(choice)),
                    child=_path(str(child)),
                )


def _path(field: str) -> Path:
    if field in OWN:
        return Path(of="ticket", name=field.removeprefix("ticket_"))
    return Path(of="ticket", name="cf:" + field.removeprefix(FIELD_PREFIX))


def write(book: Notebook, source: Rule) -> list[Native]:
    """Return the conditions of a form as sections; a section of Freshdesk's own comes back as it was."""
    if source.vendor == "freshdesk":
        if source.options and source.shown:
            return [_own(source)]
        why = "no field is in it" if source.options else "its sections are written one by one"
        book.add("rule", source.name, "equivalent", why)
        return []
    places: dict[Place, dict[str, list[Shown]]] = {}
    told: dict[tuple[str, str], None] = {}  # (condition, why it is not all there)
    always: set[str] = set()  # fields that show without a condition
    for one, why in _judged(source.shown):
        if why:
            always.add(one.child.name)
            told[_words(one), f"{why}: it shows always"] = None
            continue
        value = str(getattr(one.value, "value", ""))
        places.setdefault((one.parent.custom, value), {}).setdefault(one.child.custom, []).append(one)
    if not places:
        book.add("rule", source.name, "untranslatable", "nothing in it that a section could say")
        return []
    book.add("rule", source.name, "equivalent", EVERYWHERE)
    for some in (some for held in places.values() for some in held.values()):
        if len({one.to for one in some}) == 1:
            told[_words(some[0]), f"not for {some[0].to} only: everybody's form has it so"] = None
    told |= dict.fromkeys(_needed(source.shown, always))
    for what, why in told:
        book.add("when", what, "approximated", why)
    return [
        {"label": value, "parent": parent, "choices": [value], "fields": list(held)}
        for (parent, value), held in places.items()
    ]


def _needed(shown: Iterable[Shown], always: set[str]) -> Iterator[tuple[str, str]]:
    """Yield of each field that must be filled in which setting of the field at Freshdesk says the same, as (what, why).

    A field of a section is there only where the section shows, so that a setting of the field says what all of its
    conditions say; where these differ, none does.
    """
    fields: dict[str, list[Shown]] = {}
    for one in shown:
        fields.setdefault(one.child.name, []).append(one)
    for some in fields.values():
        for to, setting in (("agents", _for_agents), ("customers", _for_customers)):
            held = [one for one in some if one.to == to]
            wanted = {setting(one) for one in held}
            if wanted <= {""}:
                continue
            what = f"{path_words(held[0].child)} must be filled in by {to}"
            if len(wanted) == 1 and (switch := next(iter(wanted))) in SETTINGS and held[0].child.name not in always:
                note = f"by hand, after the load: “{SETTINGS[switch]}” for {to}, at the field; as it shows nowhere else"
                yield what, f"{note}, that says the same"
                continue
            where = "; ".join(dict.fromkeys(_when(one) for one in held if setting(one)))
            note = "a field of Freshdesk is needed wherever it shows, or nowhere: decide by hand, after the load"
            yield what, f"{where}; {note}"


def _for_customers(one: Shown) -> str:
    return "submitted" if one.required else ""


def _for_agents(one: Shown) -> str:
    """Return when agents must fill in a field: submitted (always), solved, or in which statuses."""
    if one.needed == "always" or (one.required and not one.needed):
        return "submitted"
    if one.needed == "some":
        return "solved" if set(one.statuses) <= {"solved", "closed"} else ", ".join(one.statuses)
    return ""


def _when(one: Shown) -> str:
    value = "anything" if one.value is None else value_words(one.value)
    how = _for_agents(one) if one.to == "agents" else "submitted"
    said = {"submitted": "always", "solved": "when it is solved"}.get(how, f"in the statuses {how}")
    return f"where {path_words(one.parent)} is {value}, {said}"


def _own(source: Rule) -> Native:
    choices = dict.fromkeys(str(getattr(one.value, "value", "")) for one in source.shown)
    native: Native = {"choices": list(choices)}
    native |= {"fields": list(dict.fromkeys(_name(one.child) for one in source.shown))}
    native |= {"parent": _name(source.shown[0].parent)} if source.shown else {}
    return native | {key: json.loads(value) for key, value in source.options}


def _name(path: Path) -> str:
    if path.custom:
        return path.custom
    return "ticket_type" if path.name == "type" else path.name


def _judged(shown: Iterable[Shown]) -> Iterator[tuple[Shown, str]]:
    """Yield each condition with the reason why no section can say it; empty where one can."""
    listed = list(shown)
    parents: dict[str, set[str]] = {}
    for one in listed:
        parents.setdefault(one.child.name, set()).add(one.parent.name)
    plain = {one.child.name for one in listed if not _odd(one) and len(parents[one.child.name]) == 1}
    for one in listed:
        why = _odd(one)
        if not why and len(parents[one.child.name]) > 1:
            why = "a field is in the sections of one field only"
        if not why and one.parent.name in plain:
            why = "a field that is in a section has no sections itself"
        yield one, why


def _odd(one: Shown) -> str:
    value = getattr(one.value, "value", None)
    if value is None or isinstance(value, bool) or one.parent_type not in ("", "dropdown"):
        return "only a drop-down has sections"
    if not one.parent.custom or not one.child.custom:
        return "a built-in field"
    return ""


def _words(one: Shown) -> str:
    value = "anything" if one.value is None else value_words(one.value)
    return f"{path_words(one.child)} shows where {path_words(one.parent)} is {value}"
