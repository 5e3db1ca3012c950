"""Core workflows as conditions of a form: each by itself, as its account has it, and all of them as one form's.

A field shows only where others have certain values: a workflow hides it where they have not. All parts of a workflow's
condition must hold, and hidden fields keep their values (app/models/core_workflow/condition.rb, result/hide.rb).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migrator.rules.conditions import Lit, Path, path
from migrator.rules.natives import compact, unknown
from migrator.rules.rule import Rule, Shown

from . import names
from .gates import Alternatives, Gates, TooDeepError, hidden, least, narrowed, opened, unfolded

Native = dict[str, Any]
OPTIONS = ("object", "preferences", "priority", "stop_after_match")
READ = {*OPTIONS, "name", "active", "condition_saved", "condition_selected", "perform"}
SAVED, SELECTED, DOES = "saved ", "selected ", "does "
SIDES = ("agents", "customers")
ROLES = {"agents": "<role:Agent>", "customers": "<role:Customer>"}
SCREENS = {"create_middle", "edit"}
STATE, ROLE = "ticket.state_id", "session.role_ids"
Pair = tuple[str, Any, str]  # (field it depends on, its value, the field that shows)
Wanted = tuple[Alternatives, str, tuple[str, ...]]  # where each field has one of these values, which, in which states


def read(native: Mapping[str, Any]) -> Rule:
    """Return one core workflow, or all that are in use (``workflows``) as the conditions of a form."""
    if "workflows" in native:
        return _Form(native.get("hidden") or {}).read(native)
    lines = []
    for word, key in ((SAVED, "condition_saved"), (SELECTED, "condition_selected"), (DOES, "perform")):
        held = native.get(key) or {}
        lines += [(word + name, compact(one)) for name, one in held.items()]
    lines += [(key, compact(native[key])) for key in OPTIONS if key in native]
    return Rule(
        vendor="zammad",
        kind="form",
        name=native.get("name") or "",
        active=native.get("active"),
        options=tuple(lines),
        unknown=unknown(native, {*READ, *names.BOOKKEEPING, "changeable"}),
        part=True,
    )


# ---- all workflows as one form ---------------------------------------------------------------------------------------


@dataclass
class _Form:
    """Gathers what workflows do to each field, for agents and for customers; what has no word of ours is a line."""

    first: Mapping[str, list[str]]  # side to the fields that are hidden at first
    hides: dict[str, dict[str, list[Alternatives]]] = field(default_factory=lambda: {side: {} for side in SIDES})
    shows: dict[str, dict[str, list[Gates]]] = field(default_factory=lambda: {side: {} for side in SIDES})
    needs: dict[str, list[Wanted]] = field(default_factory=lambda: {side: [] for side in SIDES})
    lines: list[tuple[str, str]] = field(default_factory=list)

    def read(self, native: Mapping[str, Any]) -> Rule:
        for flow in native["workflows"]:
            self._flow(flow)
        shown = [one for side in SIDES for one in self._shown(side)]
        name = str(native.get("name") or "")
        return Rule(vendor="zammad", kind="form", name=name, shown=tuple(shown), options=tuple(self.lines))

    def _line(self, flow: Mapping[str, Any], what: str, how: Any) -> None:
        self.lines.append((f"{flow.get('name')}: {what}", compact(how)))

    def _flow(self, flow: Mapping[str, Any]) -> None:
        tests, sides, odd = _asked(flow)
        for name, does in (flow.get("perform") or {}).items():
            words = does.get("operator") if isinstance(does, dict) else None
            for word in words if isinstance(words, list) else [words]:
                done = not odd and name.startswith("ticket.") and self._does(str(word), name, tests, sides)
                if not done:
                    self._line(flow, f"{name} {word}", does)

    def _does(self, word: str, child: str, tests: Mapping[str, tuple[str, tuple[Any, ...]]], sides: list[str]) -> bool:
        """Take in one action; say whether there is a word for it."""
        if word in ("hide", "remove"):
            without = {at: _without(*one) for at, one in tests.items()}
            where: Alternatives = frozenset((at, frozenset(some)) for at, some in without.items() if some is not None)
            if len(where) < len(tests):
                return False
            for side in sides:
                self.hides[side].setdefault(child, []).append(where)
            return True
        tests = {at: ("is", (False,)) if one == ("is not", (True,)) else one for at, one in tests.items()}
        if not tests or any(operator != "is" for operator, _ in tests.values()):
            return False
        if word == "show" and len(tests) == 1:
            for side in sides:
                gates = {at: dict.fromkeys(values) for at, (_, values) in tests.items()}
                self.shows[side].setdefault(child, []).append(gates)
            return True
        return word == "set_mandatory" and self._needed(child, tests, sides)

    def _needed(self, child: str, tests: Mapping[str, tuple[str, tuple[Any, ...]]], sides: list[str]) -> bool:
        states = [names.STATES.get(_state(one), "") for one in tests.get(STATE, ("", ()))[1]]
        where: Alternatives = frozenset((at, frozenset(some)) for at, (_, some) in tests.items() if at != STATE)
        if not where or "" in states or (states and "customers" in sides):
            return False
        for side in sides:
            self.needs[side].append((where, child, tuple(states)))
        return True

    def _shown(self, side: str) -> Iterable[Shown]:
        gates = self._gates(side)
        needs: dict[Pair, tuple[str, ...]] = {}
        seen: dict[tuple[str, frozenset[Any], str, tuple[str, ...]], set[Alternatives]] = {}
        lost = list(self.needs[side])
        for where, child, states in self.needs[side]:
            for at, values in where:
                for value in values if child in gates else ():
                    if value not in gates[child].get(at, {}):
                        _let_in(gates, child, at, value)
                if values <= gates.get(child, {}).get(at, {}).keys():
                    seen.setdefault((at, values, child, states), set()).add(where)
        for (at, values, child, states), wheres in seen.items():
            found = ways(gates, at, values)
            if found and set(found) <= wheres:
                needs |= {(at, value, child): states for value in values}
                lost = [one for one in lost if not (one[0] in found and one[1:] == (child, states))]
        for where, child, states in lost:
            asked = {at: sorted(map(str, values)) for at, values in where}
            self.lines.append((f"{child} set_mandatory", compact({"for": side, "where": asked, "states": states})))
        for child, parents in gates.items():
            for at, held in parents.items():
                yield from (_one(side, at, value, child, needs.get((at, value, child))) for value in held)

    def _gates(self, side: str) -> dict[str, Gates]:
        """Return what each field shows with, {field: {parent: values}}; what more is asked of it becomes a line."""
        gates: dict[str, Gates] = {}
        several: dict[str, list[Alternatives]] = {}
        always = frozenset[tuple[str, frozenset[Any]]]()
        shows_only: list[str] = []
        for child in dict.fromkeys((*self.hides[side], *self.shows[side])):
            wheres, shows = self.hides[side].get(child, []), self.shows[side].get(child, [])
            if child in self.first.get(side, ()) or always in wheres:
                for one in shows:
                    _join(gates.setdefault(child, {}), one)
                shows_only.append(child)
                rest = [one for one in wheres if one != always]
                if rest or not shows:
                    self.lines.append((f"{child} hide", compact(f"for {side}, whatever shows it")))
            else:
                several[child] = least(wheres)
                if shows:
                    self.lines.append((f"{child} show", compact(f"for {side}, who see it already")))
        while several:
            ready = [child for child in several if self._own_gate(child, several, gates)]
            for child in ready or list(several)[:1]:
                wheres = several.pop(child)
                if not ready and wheres:
                    self._first_gate(side, child, wheres, gates)
        self._nested(side, gates, shows_only)
        return {
            child: gates[child] for child in dict.fromkeys((*self.hides[side], *self.shows[side])) if child in gates
        }

    def _own_gate(self, child: str, several: Mapping[str, list[Alternatives]], gates: dict[str, Gates]) -> bool:
        """Choose of several reasons to hide a field the one that is its own: the others follow from its parents'."""
        wheres = several[child]
        for own in wheres:
            if any(parent in several and parent != child for parent, _ in own):
                continue  # of which nobody knows yet what it depends on
            tried = {**gates, child: unfolded(own)}
            try:
                if set(hidden(child, tried)) == set(wheres):
                    gates[child] = tried[child]
                    return True
            except TooDeepError:
                continue
        return not wheres

    def _nested(self, side: str, gates: Mapping[str, Gates], shows_only: Iterable[str]) -> None:
        """Tell of fields that show there even where the field they depend on is hidden with that value in it."""
        for child in shows_only:
            if child in gates and any(parent in gates for parent in gates[child]):
                self._shows_longer(side, child)

    def _shows_longer(self, side: str, child: str) -> None:
        where = f"for {side}, also where the field it depends on is hidden"
        self.lines.append((f"{child} show", compact(where)))

    def _first_gate(self, side: str, child: str, wheres: list[Alternatives], gates: dict[str, Gates]) -> None:
        gates[child] = unfolded(wheres[0])
        if len(wheres) == 1:
            self._shows_longer(side, child)
        for one in wheres[1:]:
            asked = {at: sorted(map(str, values)) for at, values in one}
            self.lines.append((f"{child} hide", compact({"for": side, "but where": asked})))


def _state(value: Any) -> str:
    return str(value).removeprefix("<state:").removesuffix(">")


def _asked(flow: Mapping[str, Any]) -> tuple[dict[str, tuple[str, tuple[Any, ...]]], list[str], bool]:
    """Return what a workflow asks of the ticket, {attribute: (operator, values)}, for whom it acts, and whether it asks
    or does anything there is no word for."""
    screens = (flow.get("preferences") or {}).get("screen") or sorted(SCREENS)
    odd = flow.get("object") != "Ticket" or bool(flow.get("condition_saved")) or bool(flow.get("stop_after_match"))
    odd = odd or not SCREENS <= set(screens if isinstance(screens, list) else [screens])
    tests: dict[str, tuple[str, tuple[Any, ...]]] = {}
    sides = list(SIDES)
    for name, one in (flow.get("condition_selected") or {}).items():
        operator, value = one.get("operator"), one.get("value")
        values = tuple(value) if isinstance(value, list) else (value,)
        if name == ROLE and operator == "is" and set(values) <= set(ROLES.values()):
            sides = [side for side in SIDES if ROLES[side] in values]
        elif name.startswith("ticket.") and operator in ("is", "is not") and values and not {"", None} & set(values):
            tests[name] = (operator, values)
        else:
            odd = True
    return tests, sides, odd


def _without(operator: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return the values with which a field is not hidden: a box that is ticked is one that is not unticked."""
    if operator == "is not":
        return values
    return (False,) if values == (True,) else None


def ways(gates: Mapping[str, Gates], at: str, values: Iterable[Any]) -> list[Alternatives]:
    """Return the ways in which a field shows and has one of these values; none where they are too many."""
    some = list(values)
    try:
        return [way for one in opened(at, gates) if (way := narrowed(one, at, some)) is not None]
    except TooDeepError:
        return []


def _let_in(gates: dict[str, Gates], child: str, at: str, value: Any) -> None:
    """Add a value with which a field shows to its gates, where it shows with that already by others of them."""
    own = gates[child]
    tried = {**gates, child: {**own, at: {**own.get(at, {}), value: None}}}
    try:
        if set(hidden(child, tried)) == set(hidden(child, gates)):
            gates[child] = tried[child]
    except TooDeepError:
        return


def _join(gates: Gates, more: Gates) -> None:
    for at, values in more.items():
        gates.setdefault(at, {}).update(values)


def _one(side: str, at: str, value: Any, child: str, states: tuple[str, ...] | None) -> Shown:
    needed: dict[str, Any] = {}
    if states is not None and side == "customers":
        needed = {"required": True}
    elif states is not None:
        needed = {"needed": "some" if states else "always", "statuses": states}
    held = value if isinstance(value, bool) else _ours(at, str(value))
    parent, shown = (_path(name) for name in (at, child))
    return Shown.model_validate({"to": side, "parent": parent, "value": Lit(value=held), "child": shown, **needed})


def _path(name: str) -> Path:
    found = names.ATTRIBUTES.get(name)
    return path(found or "ticket.type") if found or name == "ticket.type" else _own(name)


def _own(name: str) -> Path:
    return Path(of="ticket", name=f"cf:{name.removeprefix('ticket.').removeprefix('cf_')}")


def _ours(at: str, value: str) -> str:
    tables = {STATE: names.STATES, "ticket.priority_id": names.PRIORITIES}
    kind, _, name = value.strip("<>").partition(":")
    return tables[at].get(name, value) if at in tables and kind in ("state", "priority") else value
