"""The conditions of a form as core workflows: each field is hidden where none of what it shows with is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from migrator.rules.conditions import Path
from migrator.rules.natives import field_name
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Rule, Shown
from migrator.rules.words import path_words, value_words

from . import names
from .forms import DOES, ROLE, ROLES, SAVED, SELECTED, SIDES, STATE, ways
from .gates import Alternatives, Gates, TooDeepError, hidden

Native = dict[str, Any]
PARENTS = ("ticket.type", "ticket.status", "ticket.priority")  # fields of every account that others may depend on
LONGEST = 90  # characters of a name, before its number (app/assets: limit 100)
EVERYWHERE = "on every ticket: there is one form; a field that is hidden keeps its value"


def write(book: Notebook, source: Rule) -> list[Native]:
    """Return the conditions of a form as core workflows; one of Zammad's own comes back as it was."""
    if source.vendor == "zammad":
        if source.part:
            return [_back(source)]
        book.add("rule", source.name, "equivalent", "its core workflows are written one by one")
        return []
    if not source.shown:
        book.add("rule", source.name, "equivalent", "no field of it depends on another")
        return []
    book.add("rule", source.name, "equivalent", EVERYWHERE)
    writer = _Writer(book, source)
    flows = [*writer.hiding(), *writer.needing()]
    if not flows:
        book.add("rule", source.name, "untranslatable", "nothing in it that a core workflow could say")
    label = (source.name or "Form")[:LONGEST]
    return [{"name": label if len(flows) == 1 else f"{label} {n}", **flow} for n, flow in enumerate(flows, 1)]


def _back(source: Rule) -> Native:
    body: Native = {"name": source.name, "condition_saved": {}, "condition_selected": {}, "perform": {}}
    for key, text in (*source.options, *source.unknown):
        for word, place in ((SAVED, "condition_saved"), (SELECTED, "condition_selected"), (DOES, "perform")):
            if key.startswith(word):
                body[place][key.removeprefix(word)] = json.loads(text)
                break
        else:
            body[key] = json.loads(text)
    return body | ({} if source.active is None else {"active": source.active})


class _Writer:
    """Writes the conditions of one form."""

    def __init__(self, book: Notebook, source: Rule) -> None:
        self.book = book
        self.rank: dict[tuple[str, Any], int] = {}  # (field, value) in the order in which the form names them
        unsaid: set[tuple[str, str]] = set()
        self.gates: dict[str, dict[str, Gates]] = {side: {} for side in SIDES}
        self.shown: list[tuple[Shown, str, str, Any]] = []
        for one in source.shown:
            at, value, why = _parent(one)
            if why or not one.child.custom:
                unsaid.add((one.to, str(one.child)))
                why = why or "a field of every account"
                book.add("when", _words(one), "approximated", f"{why}: it shows always")
                continue
            child = _attribute(one.child)
            self.rank.setdefault((at, value), len(self.rank))
            self.gates[one.to].setdefault(child, {}).setdefault(at, {})[value] = None
            self.shown.append((one, child, at, value))
        for side, ours in unsaid:  # half of what it shows with would hide it too often
            of = next((child for one, child, _, _ in self.shown if (one.to, str(one.child)) == (side, ours)), None)
            if of in self.gates[side]:
                del self.gates[side][str(of)]

    def hiding(self) -> list[Native]:
        """Return a workflow for each reason to hide fields, and for whom it holds."""
        reasons: dict[tuple[Alternatives, str], list[str]] = {}
        for side, gates in self.gates.items():
            for child in gates:
                for where in self._reasons(side, child, gates):
                    reasons.setdefault((where, child), []).append(side)
        flows: dict[tuple[Alternatives, tuple[str, ...]], list[str]] = {}
        for (where, child), sides in reasons.items():
            flows.setdefault((where, tuple(sides)), []).append(child)
        return [
            self._flow(self._tests(where, _is_not), sides, children, "hide")
            for (where, sides), children in flows.items()
        ]

    def _reasons(self, side: str, child: str, gates: Mapping[str, Gates]) -> list[Alternatives]:
        try:
            return hidden(child, gates)
        except TooDeepError:
            said = f"{child.removeprefix('ticket.')}, for {side}"
            self.book.add(
                "when", said, "approximated", "too many fields on each other: hidden by those next to it only"
            )
            return hidden(child, {child: gates[child]})

    def needing(self) -> list[Native]:
        """Return a workflow for each set of values with which fields must be filled in."""
        found: dict[tuple[str, str, str, tuple[str, ...]], dict[Any, None]] = {}
        for one, child, at, value in self.shown:
            some = one.needed in ("always", "some")
            if one.to == "agents" and one.required:
                note = "in which states it must be filled in says more than that it must"
                self.book.add("when", _words(one), "equivalent", note if one.needed else "in every state")
                some = some or not one.needed
            if not (some or one.required):
                continue
            if (one.to == "agents") is not some:
                self.book.add("when", _words(one), "approximated", f"not said for {one.to}: set it by hand")
                continue
            states = one.statuses if one.needed == "some" else ()
            if unsaid := [word for word in states if word not in names.STATE_NAMES]:
                self.book.add("when", _words(one), "approximated", f"no status {', '.join(unsaid)} there")
                continue
            if states:
                note = "must be filled in with the states that these are for tickets there"
                self.book.add("when", _words(one), "equivalent", note)
            found.setdefault((one.to, child, at, states), {})[value] = None
        flows: dict[tuple[str, Alternatives, tuple[str, ...]], list[str]] = {}
        for (side, child, at, states), values in found.items():
            found_ways = ways(self.gates[side], at, values)
            if not found_ways:
                said = f"{child.removeprefix('ticket.')}, for {side}"
                self.book.add("when", said, "approximated", "too many fields on each other: not said when it is needed")
            for way in found_ways:
                flows.setdefault((side, way, states), []).append(child)
        return [
            self._flow(self._tests(way, _is) | _in(states), (side,), children, "set_mandatory")
            for (side, way, states), children in flows.items()
        ]

    def _tests(self, where: Alternatives, test: Callable[[list[Any]], Native]) -> Native:
        made: Native = {}
        for at, values in sorted(where, key=lambda one: min(self.rank[one[0], value] for value in one[1])):
            made[at] = test(sorted(values, key=lambda value: self.rank[at, value]))
        return made

    def _flow(self, tests: Native, sides: Iterable[str], children: list[str], does: str) -> Native:
        some = list(sides)
        if len(some) == 1:
            role = ROLES[some[0]]
            tests = {**tests, ROLE: {"operator": "is", "value": [role]}}
            note = f"given that {some[0]} are those with the role {role[6:-1]}"
            if not any(one.note == note for one in self.book.findings):
                self.book.add("when", f"for {some[0]} only", "equivalent", note)
        perform = {child: {"operator": does, does: "true"} for child in children}
        return {
            "object": "Ticket",
            "preferences": {"screen": ["create_middle", "edit"]},
            "condition_saved": {},
            "condition_selected": tests,
            "perform": perform,
            "stop_after_match": False,
            "priority": 500,
        }


def _parent(one: Shown) -> tuple[str, Any, str]:
    """Return attribute and value on which a field depends, and why no workflow can ask for them."""
    value = getattr(one.value, "value", None)
    if value is None:
        return "", None, "it depends on any value"
    ours = str(one.parent)
    if one.parent.custom:
        return _attribute(one.parent), value if isinstance(value, bool) else str(value), ""
    if ours not in PARENTS:
        return "", None, "it depends on a field of every account"
    named = {"ticket.status": ("state", names.STATE_NAMES), "ticket.priority": ("priority", names.PRIORITY_NAMES)}
    if ours not in named:
        return "ticket.type", str(value), ""
    kind, table = named[ours]
    if str(value) not in table:
        return "", None, f"there is no {kind} {value}"
    return names.PATHS[ours], f"<{kind}:{table[str(value)]}>", ""


def _is(values: list[Any]) -> Native:
    if values == [False]:  # a box nobody has touched is neither
        return {"operator": "is not", "value": [True]}
    return {"operator": "is", "value": values}


def _is_not(values: list[Any]) -> Native:
    return {"operator": "is", "value": [True]} if values == [False] else {"operator": "is not", "value": values}


def _in(states: Iterable[str]) -> Native:
    named = [f"<state:{names.STATE_NAMES[word]}>" for word in states]
    return {STATE: {"operator": "is", "value": named}} if named else {}


def _attribute(at: Path) -> str:
    return f"ticket.{field_name(at.custom)}"


def _words(one: Shown) -> str:
    value = "anything" if one.value is None else value_words(one.value)
    return f"{path_words(one.child)} shows where {path_words(one.parent)} is {value}, for {one.to}"
