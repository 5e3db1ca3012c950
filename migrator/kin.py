"""Records that name others of their own kind: which of them arrive, in which order, and where a circle is opened.

A domain's alias names the domain, a folder the one it lies in. What such a record names is decided in the same
statement as itself, so this comes after it: ``settle`` for a plan, ``rank`` for whatever is to be in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from migrator.compile import name, quoted
from migrator.crossing import ARRIVES, work_table
from migrator.decide import LEVEL, MOST_LEVELS, Decider
from migrator.kinds import Kinds
from migrator.manifest import Manifest
from migrator.stage import Stage

Edge = tuple[str, str]  # a record's id, and the id of the one it names


@dataclass(frozen=True)
class Order:
    """Each record's level, above those of all that it names (0 names nobody); ``cut``: what closed a circle."""

    levels: dict[str, int]
    cut: set[Edge] = field(default_factory=set)


def order(edges: Iterable[Edge]) -> Order:
    """Return the order of the records in ``edges``. In a circle the first record (by the length of its id, and its id)
    is taken to name nobody in it.
    """
    names: dict[str, set[str]] = defaultdict(set)
    named_by: dict[str, set[str]] = defaultdict(set)
    for one, other in edges:
        names[one].add(other)
        named_by[other].add(one)
    waits = {one: len(others) for one, others in names.items()}
    levels: dict[str, int] = {}
    cut: set[Edge] = set()
    ready = [one for one in named_by if one not in waits]
    while True:
        for one in ready:
            levels.setdefault(one, 0)
        while ready:
            following = []
            for one in ready:
                for other in named_by[one]:
                    waits[other] -= 1
                    if not waits[other]:
                        levels[other] = 1 + max((levels[of] for of in names[other]), default=-1)
                        following.append(other)
            ready = following
        left = {one: names[one] - levels.keys() for one in waits if one not in levels}
        if not left:
            return Order(levels, cut)
        first, closing = _closing(left)
        for other in sorted(closing):
            cut.add((first, other))
            names[first].discard(other)
            named_by[other].discard(first)
            waits[first] -= 1
        if not waits[first]:
            levels[first] = 1 + max((levels[of] for of in names[first]), default=-1)
            ready = [first]


def _closing(names: dict[str, set[str]]) -> tuple[str, set[str]]:
    """Return the first record that is in a circle, and which of those it names close it. Raises LookupError."""
    for one in sorted(_inner(names), key=lambda one: (len(one), one)):
        if closing := {other for other in names[one] if one in _reached(names, other)}:
            return one, closing
    raise LookupError("no circle")


def _reached(names: dict[str, set[str]], one: str) -> set[str]:
    """Return a record, what it names, what that names, and so on."""
    seen, todo = {one}, [one]
    while todo:
        more = names[todo.pop()] - seen
        seen |= more
        todo += more
    return seen


def _inner(names: dict[str, set[str]]) -> set[str]:
    """Return the records that are in a circle or between two: those at neither end of a chain."""
    named: dict[str, int] = dict.fromkeys(names, 0)
    for others in names.values():
        for other in others:
            named[other] += 1
    ends = [one for one, times in named.items() if not times]
    left = set(names)
    while ends:
        one = ends.pop()
        left.discard(one)
        for other in names[one]:
            named[other] -= 1
            if not named[other]:
                ends.append(other)
    return left


def of_own(kinds: Kinds, kind_name: str) -> list[str]:
    """Return the fields in which records of the kind name others of it."""
    return [label for label, spec in kinds.kinds[kind_name].references() if kind_name in spec.to]


def written(kinds: Kinds, manifest: Manifest, kind_name: str) -> list[str]:
    """Return those of them that are written, so that what is named has to be there before."""
    writes = [write for write in manifest.writes if write.kind == kind_name]
    return [
        label
        for label in of_own(kinds, kind_name)
        if any((keep := write.fields.get(label)) and keep.write != "never" for write in writes)
    ]


def edges_of(label: str, kinds: Kinds, kind_name: str, relation: str) -> str:
    """Return the SELECT of ``(id, other)`` of one such field of the records in ``relation``."""
    many = kinds.kinds[kind_name].fields[label].type == "refs"
    other = f"unnest({name(label)})" if many else name(label)
    return f"SELECT DISTINCT id, other FROM (SELECT id, {other} AS other FROM {relation}) WHERE other IS NOT NULL"


def rank(stage: Stage, kind_name: str, levels: Mapping[str, int]) -> None:
    """Put the levels of a kind's records into ``plan.decided``, for the order of writing."""
    stage.table("plan.level", "id VARCHAR, level BIGINT")
    stage.insert("plan.level", [[id, min(level, MOST_LEVELS - 1)] for id, level in levels.items() if level])
    bare = f"place - place // {LEVEL} % {MOST_LEVELS} * {LEVEL}"
    stage.run(f"UPDATE plan.decided SET place = {bare} WHERE as_kind = ?", kind_name)
    stage.run(
        f"UPDATE plan.decided SET place = place + l.level * {LEVEL} FROM plan.level l "
        "WHERE l.id = decided.id AND decided.as_kind = ?",
        kind_name,
    )
    stage.run("DROP TABLE plan.level")


@dataclass
class Kin:
    """Settles what records of one kind are to each other, once they are decided and before they are predicted."""

    decider: Decider

    def settle(self, kind_name: str) -> None:
        """Leave what hangs on a record that does not arrive to a person, and give the others their order.

        Once more where more records were left meanwhile.
        """
        labels = self.decider.crossing(kind_name).needed().intersection(of_own(self._kinds, kind_name))
        while labels:
            self.follow(kind_name)
            for label in sorted(labels):
                self._forget(kind_name, label)
            spelled = self._edges(kind_name)
            found = order(spelled)
            if not self._opened(kind_name, [(*edge, *one) for edge in sorted(found.cut) for one in spelled[edge]]):
                rank(self._stage, kind_name, found.levels)
                return

    def follow(self, kind_name: str) -> None:
        """Leave to a person what is the same as a record that is not written, or is written only with one."""
        bound = self.decider.crossing(kind_name).bound()
        labels = [label for label in of_own(self._kinds, kind_name) if label in bound]
        while any([*(self._fall(kind_name, label) for label in labels), self._merged(kind_name)]):
            pass

    @property
    def _stage(self) -> Stage:
        return self.decider.stage

    @property
    def _kinds(self) -> Kinds:
        return self.decider.kinds

    def _arrivals(self, kind_name: str, label: str) -> str:
        of = ", ".join(quoted(to) for to in self._kinds.kinds[kind_name].fields[label].to)
        return f"SELECT DISTINCT id FROM plan.decided WHERE as_kind IN ({of}) AND action IN {ARRIVES}"

    def _fall(self, kind_name: str, label: str) -> bool:
        """Leave to a person what names a record in ``label`` that does not arrive."""
        unselected = f"w.{name(label)} IN (SELECT id FROM plan.unselected WHERE kind = {quoted(kind_name)})"
        return self._leave(
            kind_name,
            f"{self._bound(kind_name, label)} AND w.{name(label)} NOT IN ({self._arrivals(kind_name, label)})",
            f"CASE WHEN {unselected} THEN 'skip' ELSE 'manual' END",
            quoted(f"it is written only with the {kind_name.replace('_', ' ')} it names ({label}), which is not"),
        )

    def _bound(self, kind_name: str, label: str) -> str:
        """The test for records that are written only with the one they name."""
        variants = ", ".join(quoted(one) for one in self.decider.crossing(kind_name).bound().get(label, ()))
        of = f"w._variant IN ({variants})" if variants else "FALSE"
        return f"{of} AND w._action = 'create' AND w.{name(label)} IS NOT NULL"

    def _merged(self, kind_name: str) -> bool:
        """Leave with a record those that are the same as it."""
        first = f"SELECT id FROM plan.decided WHERE as_kind = {quoted(kind_name)} AND action NOT IN {ARRIVES}"
        why = "'the same as record ' || w._first || ', which is not written'"
        return self._leave(kind_name, f"w._action = 'merge' AND w._first IN ({first})", "'manual'", why)

    def _leave(self, kind_name: str, test: str, action: str, reason: str) -> bool:
        """Let records ``w`` that were to arrive not do so; tell whether there were any."""
        work = work_table(kind_name)
        self._stage.table("plan.fallen", "kind VARCHAR, id VARCHAR, action VARCHAR, reason VARCHAR")
        self._stage.run(f"INSERT INTO plan.fallen SELECT w._kind, w.id, {action}, {reason} FROM {work} w WHERE {test}")
        some = bool(self._stage.one("SELECT count(*) FROM plan.fallen"))
        if some:
            self._stage.run(
                "UPDATE plan.decided SET action = f.action, reason = f.reason, target = NULL FROM plan.fallen f "
                "WHERE f.kind = decided.kind AND f.id = decided.id AND decided.as_kind = ?",
                kind_name,
            )
            self._stage.run(
                f"UPDATE {work} AS w SET _action = f.action, _reason = f.reason, _target = NULL FROM plan.fallen f "
                "WHERE f.kind = w._kind AND f.id = w.id"
            )
        self._stage.run("DROP TABLE plan.fallen")
        return some

    def _forget(self, kind_name: str, label: str) -> None:
        """Take out of a field what does not arrive."""
        column, work, arrivals = name(label), work_table(kind_name), self._arrivals(kind_name, label)
        if self._kinds.kinds[kind_name].fields[label].type == "ref":
            self._stage.run(f"UPDATE {work} SET {column} = NULL WHERE {column} NOT IN ({arrivals})")
            return
        each = f"SELECT id, _kind, unnest({column}) AS one, generate_subscripts({column}, 1) AS n FROM {work}"
        some = f"SELECT id, _kind, list(one ORDER BY n) AS some FROM ({each}) WHERE one IN ({arrivals}) GROUP BY ALL"
        self._stage.run(
            f"UPDATE {work} AS w SET {column} = s.some FROM (SELECT o.id, o._kind, l.some FROM {work} o "
            f"LEFT JOIN ({some}) l ON l.id = o.id AND l._kind = o._kind) s WHERE s.id = w.id AND s._kind = w._kind"
        )

    def _edges(self, kind_name: str) -> dict[Edge, list[tuple[str, str]]]:
        """Return what has to be there before what, with the field and the id by which it is named: one that is merged
        is the one it is merged into. What is gone from the source is as it was written.
        """
        relations = [f"{work_table(kind_name)} WHERE _action IN ('create', 'keep', 'update')"]
        if kind_name in self._stage.tables_of("earlier"):
            here = f"SELECT id FROM {work_table(kind_name)}"
            relations.append(f"earlier.{name(kind_name)} WHERE id NOT IN ({here})")
        same = f"SELECT id, target FROM plan.decided WHERE as_kind = {quoted(kind_name)} AND action = 'merge'"
        found: dict[Edge, list[tuple[str, str]]] = defaultdict(list)
        for label in written(self._kinds, self.decider.manifest, kind_name):
            for relation in relations:
                for one, into, other in self._stage.rows(
                    f"SELECT e.id, COALESCE(m.target, e.other), e.other FROM "
                    f"({edges_of(label, self._kinds, kind_name, relation)}) e LEFT JOIN ({same}) m ON m.id = e.other"
                ):
                    found[one, into].append((label, other))
        return found

    def _opened(self, kind_name: str, cut: list[tuple[str, str, str, str]]) -> bool:
        """Open circles: who is written only with the one it names is left to a person, others do without it."""
        work = work_table(kind_name)
        some = False
        for id, _, label, other in cut:
            column, one = name(label), f"w.id = {quoted(id)} AND {self._bound(kind_name, label)}"
            some |= self._leave(
                kind_name, one, "'manual'", quoted(f"it and what it names hang on each other ({label})")
            )
            here = self._stage.one(f"SELECT count(*) FROM {work} WHERE id = ? AND {column} IS NOT NULL", id)
            some |= bool(here)
            many = self._kinds.kinds[kind_name].fields[label].type == "refs"
            left = f"list_filter({column}, lambda x: x <> {quoted(other)})" if many else "NULL"
            self._stage.run(f"UPDATE {work} SET {column} = {left} WHERE id = ?", id)
        return some
