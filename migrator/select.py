"""Which of the source's records a plan is to be about, as migration.yaml says it: fields, dates, a sample, people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field as Option
from pydantic import Strict, field_validator

from migrator import documents
from migrator.compile import name, quoted
from migrator.documents import Document, did_you_mean
from migrator.errors import InputError
from migrator.kinds import Field, Kind, Kinds, Selecting
from migrator.mapping import Mapping, word
from migrator.stage import Stage

MOMENT = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?"
Wanted = dict[str, Any]  # field to a value, a list of values (any of them), or {since, until}


class Span(Document):
    """A time: ``since`` from the beginning of that day, ``until`` to the end of it (UTC); or exact, with an hour."""

    since: Any = None
    until: Any = None


class Select(Document):
    """``select`` in migration.yaml. ``where``: all of these fields; or a list of such, any one of them.

    ``without`` leaves out what has any of these. ``sample``: so many of those, the same ones every time. ``people``:
    people whom no selected record needs are left out (``needed``, as soon as anything is selected) or taken (``all``).
    """

    kind: str | None = None
    where: Wanted | tuple[Wanted, ...] = {}
    without: Wanted = {}
    sample: Annotated[int, Strict()] | None = Option(default=None, ge=1)
    people: Literal["needed", "all"] | None = None

    @field_validator("where")
    @classmethod
    def _says_something(cls, value: Wanted | tuple[Wanted, ...]) -> Wanted | tuple[Wanted, ...]:
        if isinstance(value, tuple) and not all(value):
            raise ValueError("a list holds conditions; an empty one would select everything")
        return value


@dataclass(frozen=True)
class Condition:
    """One field's test, as SQL over ``c``; ``named``: values that must be known, with their places in the file."""

    field: str
    spec: Field
    sql: str
    named: tuple[tuple[str, tuple[Any, ...]], ...] = ()


@dataclass(frozen=True)
class Selection:
    """A ``select`` with all that is needed to check it and to carry it out. ``mapping``: the source's."""

    select: Select
    kinds: Kinds
    mapping: Mapping
    file: str = ""
    line: Callable[[Iterable[Any]], int | None] = lambda where: None

    # ---- what is asked for ------------------------------------------------------------------------------------------

    @property
    def kind_name(self) -> str:
        """Return the name of the kind that is selected by."""
        return self.select.kind or (self.kinds.selecting.kind if self.kinds.selecting else "")

    @property
    def takes_all(self) -> bool:
        """Tell whether nothing is left out."""
        return self.takes_every_one and self.select.people != "needed"

    @property
    def takes_every_one(self) -> bool:
        """Tell whether every record of the kind is selected, so that only people are left out."""
        return not (self.select.where or self.select.without or self.select.sample)

    @property
    def people(self) -> tuple[str, ...]:
        """Return the kinds of which only what is needed is taken."""
        if self.takes_all or self.select.people == "all":
            return ()
        some = set(self.usual.people) | {self.kinds.kinds[one].stands_in for one in self.usual.people}
        return tuple(one for one in reversed(self.kinds.in_order()) if one in some and one != self.kind_name)

    @property
    def usual(self) -> Selecting:
        """Return what the canonical file says of selecting."""
        return self.kinds.selecting or Selecting(kind=self.kind_name)

    @property
    def kind(self) -> Kind:
        """Return the kind that is selected by."""
        return self.kinds.kinds[self.kind_name]

    def narrowed(self, *, sample: int | None = None, since: str | None = None) -> Selection:
        """Return the selection with another sample or another first day, for one plan."""
        changes: dict[str, Any] = {"sample": sample} if sample is not None else {}
        if since is not None:
            label = self.usual.since
            if not label:
                raise InputError(f"--since: it is not known when a {self.kind_name or 'record'} was made")
            _moment(since, "--since", InputError)
            some = []
            for wanted in self._alternatives:
                was = wanted[label] if isinstance(wanted.get(label), dict) else {}
                some.append({**wanted, label: {**was, "since": since}})
            changes["where"] = tuple(some) if isinstance(self.select.where, tuple) else some[0]
        narrowed = replace(self, select=Select.model_validate(self.select.model_dump() | changes))
        narrowed.check()
        return narrowed

    def check(self) -> None:
        """Raise InputError, with file and line, where a kind, field, value or date cannot be meant."""
        if self.takes_all and not self.select.kind:
            return
        known = [kind_name for kind_name, kind in self.kinds.kinds.items() if not kind.owner]
        if not self.kind_name:
            raise self._wrong("'kind' is missing: the kind to select by", ())
        if self.kind_name not in self.kinds.kinds:
            raise self._wrong(
                f"'{self.kind_name}' is not a kind{did_you_mean(self.kind_name, self.kinds.kinds)}", ("kind",)
            )
        if self.kind_name not in known:
            top = self.kinds.root(self.kind_name)
            raise self._wrong(f"a {self.kind_name} goes with its {top}; select by '{top}'", ("kind",))
        self.any_of()
        self.none_of()

    @property
    def _alternatives(self) -> tuple[Wanted, ...]:
        return self.select.where if isinstance(self.select.where, tuple) else (self.select.where,)

    def any_of(self) -> list[list[Condition]]:
        """Return the tests of ``where``: all of one list must hold."""
        listed = isinstance(self.select.where, tuple)
        return [
            [self._condition(label, value, ("where", *([at] if listed else []), label)) for label, value in one.items()]
            for at, one in enumerate(self._alternatives)
        ]

    def none_of(self) -> list[Condition]:
        """Return the tests of ``without``."""
        return [self._condition(label, value, ("without", label)) for label, value in self.select.without.items()]

    def _wrong(self, what: str, where: tuple[Any, ...], remedy: str = "") -> InputError:
        return InputError(what, file=self.file, line=self.line(where), remedy=remedy)

    # ---- conditions -------------------------------------------------------------------------------------------------

    def _condition(self, label: str, wanted: Any, where: tuple[Any, ...]) -> Condition:
        spec = self.kind.fields.get(label)
        if spec is None:
            raise self._wrong(
                f"a {self.kind_name} has no field '{label}'{did_you_mean(label, self.kind.fields)}", where
            )
        if spec.type in ("map", "blob", "html"):
            raise self._wrong(f"records cannot be selected by '{label}'", where)
        column = f"c.{name(label)}"
        if spec.type in ("timestamp", "date"):
            return Condition(label, spec, self._within(column, wanted, where))
        if isinstance(wanted, dict):
            raise self._wrong(f"'{label}' takes a value or a list of them; since and until are for dates", where)
        values = [(one, (*where, at)) for at, one in enumerate(wanted)] if isinstance(wanted, list) else []
        if not isinstance(wanted, list):
            values = [(wanted, where)]
        if not values:
            raise self._wrong(f"'{label}' names no value", where)
        texts = [(self._text(label, spec, value, at), at) for value, at in values if value is not None]
        tests = [self._among(column, spec, [text for text, _ in texts])] if texts else []
        if len(texts) < len(values):  # null: where there is nothing
            tests.append(f"COALESCE(len({column}), 0) = 0" if spec.type in ("list", "refs") else f"{column} IS NULL")
        named = texts if spec.to or spec.type in ("text", "list") else []
        return Condition(label, spec, f"COALESCE({' OR '.join(tests)}, FALSE)", tuple(named))

    def _text(self, label: str, spec: Field, value: Any, where: tuple[Any, ...]) -> str:
        """Return a value as the canonical record would hold it."""
        if spec.type == "boolean" and not isinstance(value, bool):
            raise self._wrong(f"'{label}' is true or false", where)
        if spec.type in ("integer", "number") and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self._wrong(f"'{label}' is a number", where)
        if not isinstance(value, str | int | float | date):
            raise self._wrong(f"'{label}' takes a value or a list of them", where)
        return value.isoformat() if isinstance(value, date) else word(value)

    def _among(self, column: str, spec: Field, texts: list[str]) -> str:
        listed = ", ".join(quoted(text) for text in texts)
        if spec.type == "boolean":
            return f"COALESCE({column}, FALSE) IN ({listed.replace(chr(39), '')})"
        if spec.type in ("integer", "number"):
            return f"{column} IN ({listed.replace(chr(39), '')})"
        if spec.type == "text":
            return f"{column} IN ({listed})"
        if spec.type == "list":
            return f"list_has_any({column}, [{listed}])"
        ids = " UNION ALL ".join(f"SELECT id FROM ({self._names(to)}) WHERE said IN ({listed})" for to in spec.to)
        if spec.type == "ref":
            return f"({column} IN ({ids}) OR {column} IN ({listed}))"  # the vendor's own number too
        return (
            f"c.id IN (SELECT r.id FROM (SELECT id, unnest({column}) AS one FROM {self.rows} c) r WHERE one IN ({ids}))"
        )

    @property
    def rows(self) -> str:
        """Return the relation of all its records."""
        return f"canonical.{name(self.kind_name)}"

    def _names(self, kind_name: str) -> str:
        """The names a record answers to: its label, what it is matched by (an e-mail address), its id."""
        kind = self.kinds.kinds[kind_name]
        labels = dict.fromkeys([*([kind.label] if kind.label else []), *kind.match])
        texts = [label for label in labels if kind.fields[label].type == "text"]
        return " UNION ALL ".join(
            f"SELECT id, {column} AS said FROM canonical.{name(kind_name)}" for column in ["id", *map(name, texts)]
        )

    def _within(self, column: str, wanted: Any, where: tuple[Any, ...]) -> str:
        if not isinstance(wanted, dict):
            raise self._wrong("a date takes {since: DATE, until: DATE}, or one of them", where)
        span = documents.check(wanted, Span, self.file, lambda place: self.line((*where, *place)))
        first, last = (self._moment(getattr(span, end), (*where, end)) for end in ("since", "until"))
        if not first and not last:
            raise self._wrong("neither since nor until says a date", where)
        tests = []
        if first:
            tests.append(f"{column} >= TIMESTAMP {quoted(first[0].isoformat(' '))}")
        if last:
            moment, day = last
            end, sign = (moment + timedelta(days=1), "<") if day else (moment, "<=")
            if first and end <= first[0]:
                raise self._wrong("'until' is before 'since'", (*where, "until"))
            tests.append(f"{column} {sign} TIMESTAMP {quoted(end.isoformat(' '))}")
        return f"COALESCE({' AND '.join(tests)}, FALSE)"

    def _moment(self, value: Any, where: tuple[Any, ...]) -> tuple[datetime, bool] | None:
        return None if value is None else _moment(value, str(where[-1]), lambda what: self._wrong(what, where))

    def check_values(self, stage: Stage) -> None:
        """Raise InputError where a value is no word of the mapping and no record has it: it is misspelt."""
        for condition in [*(one for some in self.any_of() for one in some), *self.none_of()]:
            if not condition.named:
                continue
            spec, label = condition.spec, condition.field
            verbs = [v.fields[label] for v in self.mapping.kinds.get(self.kind_name, ()) if label in v.fields]
            words = {word(value) for verb in verbs for value in (verb.values or {}).values() if value is not None}
            column = f"unnest({name(label)})" if spec.type == "list" else name(label)
            said = f"SELECT {column} AS said FROM {self.rows}"
            if spec.to:
                own = f"SELECT {name(label)} AS said FROM {self.rows}" if spec.type == "ref" else ""
                said = " UNION ALL ".join(
                    [*(f"SELECT said FROM ({self._names(to)})" for to in spec.to), *filter(None, [own])]
                )
            listed = ", ".join(quoted(value) for value, _ in condition.named)
            words |= {row[0] for row in stage.rows(f"SELECT DISTINCT said FROM ({said}) WHERE said IN ({listed})")}
            for value, where in condition.named:
                if value not in words:
                    known = stage.rows(
                        f"SELECT said FROM ({said}) WHERE said IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC"
                    )
                    guess = did_you_mean(value, [*sorted(words), *(row[0] for row in known[:2000])])
                    what = " or ".join(spec.to).replace("_", " ") if spec.to else f"{self.kind_name}'s {label}"
                    raise self._wrong(f"no {what} is '{value}'{guess}", where)


def _moment(value: Any, what: str, wrong: Callable[[str], InputError]) -> tuple[datetime, bool]:
    """Return a moment in UTC, and whether it is a whole day. Raises what ``wrong`` makes."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value) if re.fullmatch(MOMENT, value) else None
        except ValueError as err:
            raise wrong(f"{what}: '{value}' is no date ({err})") from err
        if found is None:
            raise wrong(f"{what}: '{value}' is no date; write 2024-01-31, or 2024-01-31T08:00:00Z")
        day = len(value) == len("2024-01-31")
    elif isinstance(value, datetime):
        found, day = value, False
    elif isinstance(value, date):
        found, day = datetime(value.year, value.month, value.day), True
    else:
        raise wrong(f"{what}: '{value}' is no date; write 2024-01-31, or 2024-01-31T08:00:00Z")
    return (found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found), day
