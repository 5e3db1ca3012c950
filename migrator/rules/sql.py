"""Conditions as SQL over a table of tickets: typed, every value a parameter. Two-valued: no leaf is ever NULL.

A table of tickets has a column for each path (``"ticket.status"``), ``tags``, ``changed`` (the paths this update
changed), ``"before.<path>"``, ``event`` (its kinds), ``"actor.id"``, ``"actor.groups"``, ``"hours.<anchor>"``
(hours since; NULL: never) and ``"inside.<schedule>"``. Of staged tickets only the state is known: a leaf whose column
is not there is left open (``Compiled.unseen``) and holds. The only module that imports sqlglot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from typing import Any as Anything

from sqlglot import exp

from migrator.rules.conditions import (
    Actor,
    All,
    Any,
    Changed,
    Compare,
    Condition,
    Elapsed,
    Event,
    Hours,
    Is,
    Leaf,
    Not,
    Path,
    Same,
    Tags,
    Text,
    Value,
)
from migrator.rules.normal_forms import simple

if TYPE_CHECKING:
    from sqlglot.expressions.core import Expr as Sql

Moved = Mapping[str, Mapping[str | None, str | None]]
ORDERS = {"lt": exp.LT, "le": exp.LTE, "gt": exp.GT, "ge": exp.GTE, "eq": exp.EQ, "ne": exp.NEQ}
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


@dataclass
class Compiled:
    """One statement being made: every leaf is computed once, under a name, whoever asks for it.

    ``values`` are those of its parameters, ``unseen`` the leaves that no column can answer.
    """

    columns: frozenset[str]
    values: list[Anything] = field(default_factory=list)
    unseen: list[Leaf] = field(default_factory=list)
    leaves: dict[str, str] = field(default_factory=dict)  # SQL to name
    _known: dict[Anything, Sql] = field(default_factory=dict)
    _made: dict[Anything, str] = field(default_factory=dict)

    def parameter(self, value: Anything) -> Sql:
        """Return the place of a value; the same value has one place."""
        key = (type(value), value)
        if key not in self._known:
            self.values.append(value)
            self._known[key] = exp.Parameter(this=exp.Literal.number(len(self.values)))
        return self._known[key].copy()

    def condition(self, condition: Condition, moved: Moved | None = None) -> str:
        """Return the condition over the names of its leaves, never NULL; ``moved``: values as after the move."""
        return self._any(simple(condition), moved or {})

    def _any(self, condition: Condition, moved: Moved) -> str:
        if isinstance(condition, All | Any):
            word, none = (" AND ", "TRUE") if isinstance(condition, All) else (" OR ", "FALSE")
            return f"({word.join(self._any(part, moved) for part in condition.of)})" if condition.of else none
        assert not isinstance(condition, Not)
        at = str(getattr(condition, "path", "")).replace("before:", "")
        key = (condition, tuple(moved.get(at, {}).items()))
        if key not in self._made:
            made = _leaf(self, condition, moved)
            if made is None:
                self.unseen.append(condition)
                return "TRUE"
            sql = made.sql("duckdb")
            self._made[key] = self.leaves.setdefault(sql, f"l{len(self.leaves)}")
        return self._made[key]

    def selected(self, table: str) -> str:
        """Return the subquery in which every leaf has its name."""
        named = "".join(f", {sql} AS {name}" for sql, name in self.leaves.items())
        return f"(SELECT id{named} FROM {table})"

    def column(self, name: str) -> Sql | None:
        """Return a column of the table, or None where it has no such; ``ticket.before:x`` is ``before.ticket.x``."""
        of, _, past = name.partition(".before:")
        name = f"before.{of}.{past}" if past else name
        return exp.column(exp.to_identifier(name, quoted=True)) if name in self.columns else None

    def path_before(self, at: Path) -> Sql | None:
        """Return what the path held before this update, as text."""
        found = self.column(f"before.{at}")
        return None if found is None else exp.cast(found, "VARCHAR")

    def path(self, at: Path, moved: Moved) -> Sql | None:
        """Return the column of a path as text, with the values that the move changes changed."""
        found = self.column(str(at))
        if found is None:
            return None
        text: Sql = exp.cast(found, "VARCHAR")
        table = moved.get(str(at).replace("before:", ""), {})
        changes = {was: becomes for was, becomes in table.items() if was != becomes}
        if not changes:
            return text
        case = exp.Case()
        for was, becomes in changes.items():
            test = exp.Is(this=text.copy(), expression=exp.null()) if was is None else text.eq(self.parameter(was))
            case = case.when(test, exp.null() if becomes is None else self.parameter(becomes))
        return exp.paren(case.else_(text.copy()))


def _leaf(to: Compiled, leaf: Leaf, moved: Moved) -> Sql | None:
    if isinstance(leaf, Is):
        return _is(to, leaf, moved)
    if isinstance(leaf, Changed):
        return _changed(to, leaf)
    if isinstance(leaf, Text):
        return _text(to, leaf, moved)
    if isinstance(leaf, Tags):
        return _tags(to, leaf)
    if isinstance(leaf, Event):
        column = to.column("event")
        return None if column is None else _negated(_overlaps(to, column, leaf.kinds), leaf.negated)
    if isinstance(leaf, Compare):
        column = to.path(leaf.path, moved)
        number = isinstance(leaf.value.value, int | float)
        if column is None:
            return None
        left = exp.TryCast(this=column, to=exp.DataType.build("DOUBLE")) if number else column
        return _settled(ORDERS[leaf.op](this=left, expression=to.parameter(leaf.value.value)), leaf.null)
    if isinstance(leaf, Elapsed):
        return _elapsed(to, leaf)
    if isinstance(leaf, Same):
        one, other = to.path(leaf.path, moved), to.path(leaf.other, moved)
        if one is None or other is None:
            return None
        return _settled(_negated(one.eq(other), leaf.negated), leaf.null)
    if isinstance(leaf, Hours):
        column = to.column(f"inside.{leaf.schedule}")
        return None if column is None else _settled(_negated(column, not leaf.inside), not leaf.inside)
    return None


def _is(to: Compiled, leaf: Is, moved: Moved) -> Sql | None:
    column = to.path(leaf.path, moved)
    if column is None:
        return None
    found = _among(to, column, leaf.values)
    if found is None:
        return None
    # A current user who is not known makes the test false, and its opposite true.
    there = exp.func("COALESCE", found, exp.false())
    return _case_null(column, leaf.null, _negated(there, leaf.negated))


def _among(to: Compiled, column: Sql, values: Sequence[Value]) -> Sql | None:
    """Return whether the column is one of the values; None where a column is wanting."""
    plain: list[Sql] = []
    tests: list[Sql] = []
    for value in values:
        if isinstance(value, Actor):
            name = "actor.groups" if value.who == "current_user_groups" else f"actor.{value.who}"
            other = to.column("actor.id" if value.who == "current_user" else name)
            if other is None:
                return None
            many = value.who == "current_user_groups"
            tests.append(exp.func("list_contains", other, column.copy()) if many else column.copy().eq(other))
        else:
            plain.append(to.parameter(plain_value(value)))
    if plain:
        tests.append(exp.In(this=column.copy(), expressions=plain))
    return exp.or_(*tests) if tests else exp.false()


def plain_value(value: Value) -> str:
    """Return a literal or a reference as the text a column holds."""
    if hasattr(value, "id"):
        return str(value.id)
    held = getattr(value, "value", "")
    return str(held).lower() if isinstance(held, bool) else str(held)


def _changed(to: Compiled, leaf: Changed) -> Sql | None:
    changed, now, before = to.column("changed"), to.path(leaf.path, {}), to.path_before(leaf.path)
    if changed is None:
        return None
    tests: list[Sql] = [exp.func("list_contains", changed, to.parameter(str(leaf.path)))]
    for column, values in ((before, leaf.before), (now, leaf.after)):
        if values is not None:
            # No values: from or to nothing at all.
            among = None if column is None else _among(to, column, values) if values else _missing(column)
            if among is None:
                return None
            tests.append(among)
    return _negated(exp.func("COALESCE", exp.and_(*tests), exp.false()), leaf.negated)


def _missing(column: Sql) -> Sql:
    return exp.Is(this=column.copy(), expression=exp.null())


def _text(to: Compiled, leaf: Text, moved: Moved) -> Sql | None:
    column = to.path(leaf.path, moved)
    if column is None:
        return None
    low = exp.func("lower", column.copy())
    tests = [_needle(to, low, leaf.mode, needle) for needle in leaf.needles]
    found = (exp.and_ if leaf.need == "all" else exp.or_)(*tests) if tests else exp.false()
    return _case_null(column, leaf.null, _negated(found, leaf.negated))


def _needle(to: Compiled, low: Sql, mode: str, needle: str) -> Sql:
    if mode in ("word", "phrase"):  # first what is quick
        matched = exp.func("regexp_matches", low.copy(), to.parameter(word_pattern(needle.lower())))
        there = exp.Anonymous(this="contains", expressions=[low.copy(), to.parameter(needle.lower())])
        return exp.and_(there, matched)
    if mode == "regex":
        folded = to.parameter(f"(?i){needle}")  # the pattern as it is: lowered, it would mean something else
        matched = exp.func("regexp_matches", low.copy(), folded)
        tried = exp.Anonymous(this="TRY", expressions=[matched])  # a pattern of another engine may be none here
        return exp.func("COALESCE", tried, exp.false())
    needle = needle.lower()
    if mode == "equal":
        return low.copy().eq(to.parameter(needle))
    word = {"substring": "contains", "starts": "starts_with", "ends": "ends_with"}[mode]
    return exp.Anonymous(this=word, expressions=[low.copy(), to.parameter(needle)])


def word_pattern(needle: str) -> str:
    """Return the regular expression for a whole word or phrase, as every engine here reads it."""
    escaped = _SPECIAL.sub(r"\\\1", needle)
    return rf"(^|\W){escaped}(\W|$)"


def word_of(pattern: str) -> str | None:
    """Return the word or phrase that ``word_pattern`` made a pattern of, or None for any other pattern."""
    inside = pattern.removeprefix(r"(^|\W)").removesuffix(r"(\W|$)")
    word = re.sub(r"\\(.)", r"\1", inside)
    return word if word_pattern(word) == pattern else None


def _tags(to: Compiled, leaf: Tags) -> Sql | None:
    column = to.column("tags")
    if column is None:
        return None
    if not leaf.tags:
        count = exp.func("COALESCE", exp.func("len", column), exp.Literal.number(0))
        return _negated(count > 0, leaf.negated)
    if leaf.need == "one":
        return _negated(_overlaps(to, column, leaf.tags), leaf.negated)
    tests = [_overlaps(to, column.copy(), (tag,)) for tag in leaf.tags]
    return _negated(exp.and_(*tests), leaf.negated)


def _overlaps(to: Compiled, column: Sql, values: Sequence[str]) -> Sql:
    tests = [exp.func("list_contains", column.copy(), to.parameter(value)) for value in values]
    return exp.func("COALESCE", exp.or_(*tests), exp.false()) if tests else exp.false()


def _elapsed(to: Compiled, leaf: Elapsed) -> Sql | None:
    column = to.column(f"hours.{leaf.anchor}" if leaf.clock == "calendar" else f"hours.business.{leaf.anchor}")
    if column is None:
        return None
    whole = leaf.op in ("eq", "ne")
    left = exp.func("floor", column) if whole else column
    return _settled(ORDERS[leaf.op](this=left, expression=to.parameter(float(leaf.hours))), leaf.null)


def _negated(test: Sql, negated: bool) -> Sql:
    return exp.not_(exp.paren(test)) if negated else test


def _settled(test: Sql, null: bool) -> Sql:
    return exp.func("COALESCE", exp.paren(test), exp.true() if null else exp.false())


def _case_null(column: Sql, null: bool, test: Sql) -> Sql:
    missing = _missing(column)
    return exp.or_(missing, exp.paren(test)) if null else exp.and_(exp.not_(missing), exp.paren(test))


def counts(table: str, pairs: Sequence[tuple[Condition, Condition, Moved]], columns: Sequence[str]) -> Question:
    """Return one scan that counts, for each pair, the tickets of the first, of the second, and of both."""
    to = Compiled(frozenset(columns))
    made: list[str] = []
    unseen: list[tuple[Leaf, ...]] = []
    for at, (source, destination, moved) in enumerate(pairs):
        before = len(to.unseen)
        made.append(f"{to.condition(source)} AS a{at}, {to.condition(destination, moved)} AS b{at}")
        unseen.append(tuple(to.unseen[before:]))
    wanted = ", ".join(f"COUNT_IF(a{at}), COUNT_IF(b{at}), COUNT_IF(a{at} AND b{at})" for at in range(len(pairs)))
    sql = f"SELECT {wanted} FROM (SELECT {', '.join(made)} FROM {to.selected(table)})"
    return Question(sql, tuple(to.values), tuple(unseen))


def examples(table: str, pair: tuple[Condition, Condition, Moved], columns: Sequence[str], few: int = 3) -> Question:
    """Return the question for a few tickets on which the two conditions differ: (id, of the first?)."""
    to = Compiled(frozenset(columns))
    one, other = to.condition(pair[0]), to.condition(pair[1], pair[2])
    sql = f"SELECT id, {one} AS source FROM {to.selected(table)} WHERE {one} <> {other} ORDER BY id LIMIT {few:d}"
    return Question(sql, tuple(to.values), (tuple(to.unseen),))


def matching(table: str, condition: Condition, columns: Sequence[str]) -> Question:
    """Return the question which tickets a condition takes: (id, does it?) of all of them."""
    to = Compiled(frozenset(columns))
    sql = f"SELECT id, {to.condition(condition)} AS held FROM {to.selected(table)}"
    return Question(sql, tuple(to.values), (tuple(to.unseen),))


@dataclass(frozen=True)
class Question:
    """A statement with its parameters; ``unseen``: for each pair the leaves that no column could answer."""

    sql: str
    values: tuple[Anything, ...]
    unseen: tuple[tuple[Leaf, ...], ...]


@dataclass(frozen=True)
class Agreement:
    """How many tickets a rule and its translation act on, and how many only one of them does."""

    source: int
    destination: int
    false_negatives: int  # only the source's rule acts
    false_positives: int  # only the translation acts


def agreements(row: Sequence[int | None]) -> list[Agreement]:
    """Return the counts of each pair from the one row of ``counts``; of no tickets at all there is no sum."""
    known = [number or 0 for number in row]
    threes = (known[at : at + 3] for at in range(0, len(known), 3))
    return [Agreement(one, other, one - both, other - both) for one, other, both in threes]
