"""Bringing a database that we wrote up to a newer dump: the tables that differ, each whole, then what acts.

What is to be written is noted before any of it is: a run that dies meanwhile goes on with the same tables, and touches
no other. A table is gone for as long as it is being written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from migrator.errors import StoppedError

from .loading import COMMIT_EVERY, speaking
from .statements import Speaker, Statement, statements
from .wire import Wire, quoted, who

LINE = re.compile(r"(?P<table>.*): \d+ rows, [0-9a-f]+\.[0-9a-f]+, columns [0-9a-f]+", re.S)
OBJECT = re.compile(r"(?P<sort>view|trigger|routine|event) (?P<name>.*): [0-9a-f]+", re.S)
ROUTINES = ("procedure", "function")
BESIDE = re.compile(rb"ALTER\s+DATABASE\b|(?:CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?SEQUENCE\b|DO\s+SETVAL\b", re.I)


@dataclass(frozen=True)
class Todo:
    """What a change writes: tables and objects (view, trigger, routine, event; by sort and name) that differ, and those
    that the dump has no longer. ``running``: (event, definer) that were switched on, and will be again."""

    tables: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    objects: tuple[tuple[str, str], ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    running: tuple[tuple[str, str], ...] = ()

    def after(self, other: Todo) -> Todo:
        """Return this, and what acts of another that was begun before."""
        more = tuple(one for one in other.objects if one not in (*self.objects, *self.absent))
        running = tuple(dict.fromkeys((*self.running, *other.running)))
        return replace(self, objects=(*self.objects, *more), running=running)

    @property
    def text(self) -> str:
        """Return it as it is noted at the server."""
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__}, ensure_ascii=False)

    @classmethod
    def of(cls, text: str) -> Todo:
        """Return what was noted."""
        held = json.loads(text)
        pairs = [tuple((one, of) for one, of in held[name]) for name in ("objects", "absent", "running")]
        return cls(tuple(held["tables"]), tuple(held["gone"]), *pairs)


def todo(
    now: Sequence[str], wanted: Sequence[str] | None, acting: Sequence[str], wanted_acting: Sequence[str] | None
) -> Todo:
    """Return what differs, by the lines of ``tables`` and ``objects`` of a record; None where they did not change."""
    tables, gone = _differing(LINE, now, wanted)
    objects, absent = _differing(OBJECT, acting, wanted_acting)
    return Todo(
        tuple(name for (name,) in tables), tuple(name for (name,) in gone), tuple(objects), tuple(absent)  # type: ignore[arg-type]
    )  # fmt: skip


def _differing(
    pattern: re.Pattern[str], now: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return the names of lines that are wanted and not there, and of what is there and in no line that is wanted."""
    if wanted is None:
        return [], []
    differing = [_name(pattern, line) for line in wanted if line not in set(now)]
    kept = {_name(pattern, line) for line in wanted}
    return differing, [name for name in (_name(pattern, line) for line in now) if name not in kept]


def _name(pattern: re.Pattern[str], line: str) -> tuple[str, ...]:
    found = pattern.fullmatch(line)
    if found is None:
        raise ValueError(f"'{line[:200]}' tells of no table and of nothing that acts")
    return found.groups()


def tables_of(lines: Collection[str]) -> frozenset[str]:
    """Return the tables that lines of ``tables`` tell of."""
    return frozenset(_name(LINE, line)[0] for line in lines)


def judge(dump: Path, speaker: Speaker) -> None:
    """Raise RefusedError where a dump holds what is not let through, before anything of it is carried out."""
    for _ in statements(dump, speaker):
        pass


@dataclass
class Changer:
    """Carries out one change; ``done`` are tables that an earlier run has written."""

    wire: Wire
    database: str
    todo: Todo
    speaker: Speaker
    stops: Callable[[], bool]
    done: frozenset[str] = frozenset()
    _pending: int = field(default=0, init=False)

    def run(self, dump: Path) -> None:
        """Write what is to be written. Raises StoppedError between two statements."""
        with speaking(self.wire, self.database, self.speaker.definer) as (guest, owner):
            guest.begin(True)
            guest.do("SET FOREIGN_KEY_CHECKS = 0")
            for sort, name in self.todo.absent:
                self._drop(guest, sort, name)
            for table in self.todo.gone:
                guest.do(f"DROP TABLE IF EXISTS {quoted(table)}")
            for one in statements(dump, self.speaker):
                if one.sort == "set":
                    guest.do(one.text)
                    owner.do(one.text)
                elif self._ours(one):
                    self._say(guest, owner, one)
            guest.commit()
            for event, definer in self.todo.running:
                user, _, host = definer.rpartition("@")
                owner.do(f"ALTER DEFINER = {who(user, host)} EVENT {quoted(event)} ENABLE")

    def _ours(self, one: Statement) -> bool:
        if one.sort == "defines":
            return (_sort(one.made), one.name) in self.todo.objects
        if one.table:
            return one.table in self.todo.tables and one.table not in self.done
        return one.sort == "shape" and BESIDE.match(one.text) is not None

    def _say(self, guest: Wire, owner: Wire, one: Statement) -> None:
        if self.stops():
            guest.commit()
            raise StoppedError("stopped in the middle of a database; the next run goes on from there")
        if one.sort == "rows":
            guest.do(one.text)
            self._pending += 1
            if self._pending >= COMMIT_EVERY:
                self._commit(guest)
            return
        self._commit(guest)  # what follows is said over another connection, or commits by itself
        if one.sort == "defines":
            self._drop(guest, one.made, one.name)
            owner.do(one.text)
            return
        if one.table:
            guest.do(f"DROP TABLE IF EXISTS {quoted(one.table)}")
        guest.do(one.text)

    def _commit(self, guest: Wire) -> None:
        guest.commit()
        self._pending = 0

    @staticmethod
    def _drop(guest: Wire, sort: str, name: str) -> None:
        for word in ROUTINES if sort == "routine" else (sort,):
            guest.do(f"DROP {word.upper()} IF EXISTS {quoted(name)}")


def _sort(made: str) -> str:
    return "routine" if made in ROUTINES else made
