"""What was written, and what is in doubt: SQLite, durable at every step. The only module that opens the ledger file.

A unit (one call) is ``sent`` before its call and ``done`` after it; a unit still ``sent`` after a crash may or may not
have been carried out. Durability: WAL, synchronous=FULL. Calls of several workers share a commit.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from migrator.errors import WorkspaceError

VERSION = 3  # of the tables below, kept in the file
SCHEMA = """
CREATE TABLE IF NOT EXISTS unit (
  plan TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
  sent_at TEXT, done_at TEXT, attempts INTEGER NOT NULL DEFAULT 0, answer TEXT, payload TEXT, job TEXT, before TEXT,
  mark TEXT,
  PRIMARY KEY (plan, unit)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identity (
  kind TEXT NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL, key TEXT, how TEXT NOT NULL,
  as_kind TEXT NOT NULL, unit TEXT, plan TEXT,
  PRIMARY KEY (kind, source)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS switch (one INTEGER PRIMARY KEY CHECK (one = 1), was TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS activated (
  kind TEXT NOT NULL, source TEXT NOT NULL, plan TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (kind, source)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run (plan TEXT, command TEXT, at TEXT, what TEXT);
"""


@dataclass(frozen=True)
class Identity:
    """A record's name at the destination: its id there, and its own key where it has one (a custom field's name)."""

    kind: str
    source: str
    destination: str
    key: str | None = None
    how: str = "created"  # created, kept, merged
    as_kind: str = ""  # the kind it is there, where that is another (a person without a seat is a contact)


class Ledger:
    """One workspace's ledger. Every method is safe from any thread.

    A method that writes returns when what it wrote is durable; ``done`` returns before, and whatever is read or written
    next waits for it, or fails with it: a unit whose end is not yet noted is one that was sent, and is looked up.
    """

    def __init__(self, path: Path | str) -> None:
        try:
            self._read = sqlite3.connect(path, check_same_thread=False, timeout=30, isolation_level=None)
            self._read.execute("PRAGMA journal_mode=WAL")
            self._read.execute("PRAGMA synchronous=FULL")
            version = self._read.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION) or (
                version == 0 and self._read.execute("SELECT 1 FROM sqlite_master").fetchone()
            ):
                self._read.close()
                raise WorkspaceError(
                    f"{path} was written by another version of migrator (ledger {version}, not {VERSION})"
                )
            self._read.execute(f"PRAGMA user_version = {VERSION}")  # before the tables: a kill in between harms nothing
            self._read.executescript(SCHEMA)
        except sqlite3.Error as err:
            raise WorkspaceError(f"{path} cannot be used as ledger: {err}") from err
        self._path, self._file = Path(path), _identity_of(Path(path))
        self._lock, self._closed = threading.Lock(), False
        self._write = sqlite3.connect(path, check_same_thread=False, timeout=30, isolation_level=None)
        self._write.execute("PRAGMA synchronous=FULL")
        self._queue: queue.Queue[tuple[list[tuple[str, Any]], Future[None]] | None] = queue.Queue()
        self._owed: list[Future[None]] = []  # what was handed over and not yet waited for
        self._writer = threading.Thread(target=self._commit, daemon=True)
        self._writer.start()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is under way and let go of the file."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._writer.join()
        self._write.close()
        self._read.close()

    def sent(
        self, plan: str, units: Iterable[tuple[str, str]], at: str, marks: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Note, before their call, that units (name, kind) are about to be written; ``marks``: {name: mark}."""
        self._do(
            [
                (
                    "INSERT INTO unit (plan, unit, kind, state, sent_at, attempts, mark) "
                    "VALUES (?, ?, ?, 'sent', ?, 1, ?) "
                    "ON CONFLICT (plan, unit) DO UPDATE SET state = 'sent', sent_at = excluded.sent_at, "
                    "attempts = attempts + 1, answer = NULL, payload = NULL, job = NULL, mark = excluded.mark",
                    (plan, unit, kind, at, marks.get(unit)),
                )
                for unit, kind in units
            ]
        )

    def promised(self, plan: str, units: Iterable[str], job: str) -> None:
        """Note the job in which the vendor will carry sent units out."""
        self._do([("UPDATE unit SET job = ? WHERE plan = ? AND unit = ?", (job, plan, unit)) for unit in units])

    def before(self, plan: str, unit: str, held: Any) -> None:
        """Note what a record held in the places that are about to be changed."""
        text = json.dumps(held, ensure_ascii=False)
        self._do([("UPDATE unit SET before = ? WHERE plan = ? AND unit = ?", (text, plan, unit))])

    def done(self, plan: str, units: Iterable[tuple[str, Iterable[Identity]]], at: str) -> None:
        """Note that units were carried out, and the names their records got; durable before anything else is noted."""
        ends: list[tuple[str, Any]] = []
        names: list[tuple[str, Any]] = []
        for unit, identities in units:
            ends.append(("UPDATE unit SET state = 'done', done_at = ? WHERE plan = ? AND unit = ?", (at, plan, unit)))
            names += [_identity(identity, unit, plan) for identity in identities]
        self._do(ends + names, wait=False)

    def unsent(self, plan: str, units: Iterable[str]) -> None:
        """Note that units in doubt turned out not to have been carried out."""
        self._do([("UPDATE unit SET state = 'open' WHERE plan = ? AND unit = ?", (plan, unit)) for unit in units])

    def quarantine(self, plan: str, unit: str, kind: str, at: str, answer: str, payload: Any) -> None:
        """Put a refused unit aside, with the vendor's answer and what was sent."""
        self._do(
            [
                (
                    "INSERT INTO unit (plan, unit, kind, state, sent_at, done_at, attempts, answer, payload) "
                    "VALUES (?, ?, ?, 'quarantined', ?, ?, 1, ?, ?) ON CONFLICT (plan, unit) DO UPDATE SET "
                    "state = 'quarantined', done_at = excluded.done_at, answer = excluded.answer, "
                    "payload = excluded.payload",
                    (plan, unit, kind, at, at, answer, json.dumps(payload, ensure_ascii=False)),
                )
            ]
        )

    def forget(self, identities: Iterable[tuple[str, str]]) -> None:
        """Note that records (kind, source id) are no longer at the destination, so that they may be written again."""
        statements: list[tuple[str, Any]] = []
        for pair in identities:
            of = "(SELECT plan, unit FROM identity WHERE kind = ? AND source = ?)"
            statements.append((f"UPDATE unit SET state = 'open' WHERE (plan, unit) IN {of}", pair))
            statements.append(("DELETE FROM identity WHERE kind = ? AND source = ?", pair))
            statements.append(("DELETE FROM activated WHERE kind = ? AND source = ?", pair))
        self._do(statements)

    def activate(self, kind: str, source: str, plan: str, at: str) -> None:
        """Note that a record that was written off is on."""
        self._do([("INSERT OR REPLACE INTO activated VALUES (?, ?, ?, ?)", (kind, source, plan, at))])

    def deactivate(self, identities: Iterable[tuple[str, str]]) -> None:
        """Note that records (kind, source id) are off again."""
        self._do([("DELETE FROM activated WHERE kind = ? AND source = ?", pair) for pair in identities])

    def activated(self) -> list[tuple[str, str]]:
        """Return (kind, source id) of the records that were switched on."""
        return self._rows("SELECT kind, source FROM activated")

    def know(self, identities: Iterable[Identity]) -> None:
        """Note the names of records that were there already."""
        self._do([_identity(identity) for identity in identities])

    def note(self, plan: str, command: str, at: str, what: str) -> None:
        """Add a line to the history of runs."""
        self._do([("INSERT INTO run VALUES (?, ?, ?, ?)", (plan, command, at, what))])

    def switching(self, was: Any, at: str) -> None:
        """Note how the vendor's automations stood, before they are switched off."""
        self._do([("INSERT INTO switch VALUES (1, ?, ?)", (json.dumps(was, ensure_ascii=False), at))])

    def switched(self) -> Any:
        """Return how the automations stood that are switched off; None where none are."""
        found = self._rows("SELECT was FROM switch")
        return json.loads(found[0][0]) if found else None

    def switched_back(self) -> None:
        """Note that the automations are as they were."""
        self._do([("DELETE FROM switch", ())])

    def find(self, kind: str, source: str) -> Identity | None:
        """Return a record's name at the destination."""
        found = self._rows(
            "SELECT kind, source, destination, key, how, as_kind FROM identity WHERE kind = ? AND source = ?",
            kind,
            source,
        )
        return Identity(*found[0]) if found else None

    def identities(self) -> list[tuple[str, str, str, str | None, str, str]]:
        """Return every (kind, source id, destination id, key, how, kind there)."""
        return self._rows("SELECT kind, source, destination, key, how, as_kind FROM identity")

    def identities_in_parts(self, size: int = 10_000) -> Iterator[list[tuple[str, str, str, str | None, str, str]]]:
        """Yield what ``identities`` returns, ``size`` at a time."""
        columns, after = "kind, source, destination, key, how, as_kind", ("", "")
        sql = f"SELECT {columns} FROM identity WHERE (kind, source) > (?, ?) ORDER BY kind, source LIMIT ?"
        while part := self._rows(sql, *after, size):
            yield part
            after = part[-1][:2]

    def states(self, plan: str) -> dict[str, str]:
        """Return the state of every unit of the plan that was begun: sent, done, open or quarantined."""
        return dict(self._rows("SELECT unit, state FROM unit WHERE plan = ?", plan))

    def state(self, plan: str, unit: str) -> str | None:
        """Return the state of one unit of the plan, None where it was not begun."""
        found = self._rows("SELECT state FROM unit WHERE plan = ? AND unit = ?", plan, unit)
        return found[0][0] if found else None

    def counts(self, plan: str) -> dict[tuple[str, str], int]:
        """Return how many units of the plan are in each state: {(kind that begins the unit's name, state): number}."""
        sql = "SELECT substr(unit, 1, instr(unit, ':') - 1), state, count(*) FROM unit WHERE plan = ? GROUP BY 1, 2"
        return {(kind, state): number for kind, state, number in self._rows(sql, plan)}

    def in_doubt(self, plan: str) -> list[tuple[str, str, str | None, str | None]]:
        """Return (unit, sent_at, job, mark) of the units whose outcome is unknown."""
        return self._rows("SELECT unit, sent_at, job, mark FROM unit WHERE plan = ? AND state = 'sent'", plan)

    def quarantined(self, plan: str | None = None) -> list[tuple[str, str, str, str]]:
        """Return (unit, kind, the vendor's answer, payload) of the units put aside."""
        return self._rows(
            "SELECT unit, kind, answer, payload FROM unit WHERE state = 'quarantined' AND (? IS NULL OR plan = ?)",
            plan,
            plan,
        )

    def known_ids(self, kind: str) -> set[str]:
        """Return the destination ids already accounted for."""
        return {row[0] for row in self._rows("SELECT destination FROM identity WHERE kind = ?", kind)}

    def created_by(self, plan: str) -> list[tuple[str, str]]:
        """Return (kind, source id) of the records a plan created."""
        return self._rows("SELECT kind, source FROM identity WHERE plan = ? AND how = 'created'", plan)

    def changed_by(self, plan: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Return (kind there, our id, what stood there before) of the records a plan changed."""
        rows = self._rows(
            "SELECT kind, unit, before FROM unit WHERE plan = ? AND state = 'done' AND before IS NOT NULL", plan
        )
        return [(kind, unit.removeprefix(f"{kind}:"), json.loads(before)) for kind, unit, before in rows]

    def last_plan(self) -> str | None:
        """Return the plan that wrote something last."""
        rows = self._rows(
            "SELECT u.plan FROM unit u LEFT JOIN (SELECT plan, max(rowid) AS place FROM run GROUP BY plan) r "
            "ON r.plan = u.plan WHERE u.state = 'done' ORDER BY u.done_at DESC, r.place DESC LIMIT 1"
        )
        return rows[0][0] if rows else None

    def last_write(self) -> str | None:
        """Return when a unit was last carried out."""
        found: str | None = self._rows("SELECT max(done_at) FROM unit WHERE state = 'done'")[0][0]
        return found

    def history(self) -> list[tuple[str, str, str, str]]:
        """Return (plan, command, at, what) of all runs, oldest first."""
        return self._rows("SELECT plan, command, at, what FROM run ORDER BY rowid")

    def tally(self, plan: str) -> dict[str, int]:
        """Return how many units of the plan are in each state; ``jobs``: promises under way."""
        counts = dict(self._rows("SELECT state, count(*) FROM unit WHERE plan = ? GROUP BY 1", plan))
        jobs = "SELECT count(DISTINCT job) FROM unit WHERE plan = ? AND state = 'sent'"
        return {**counts, "jobs": self._rows(jobs, plan)[0][0]}

    def put_back(self, plan: str, units: Iterable[str]) -> None:
        """Let these quarantined units of the plan be tried again."""
        one = "UPDATE unit SET state = 'open' WHERE plan = ? AND unit = ? AND state = 'quarantined'"
        self._do([(one, (plan, unit)) for unit in units])

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            owed = list(self._owed)
        self._wait(owed)
        with self._lock:
            return self._read.execute(sql, values).fetchall()

    def _do(self, statements: list[tuple[str, Any]], *, wait: bool = True) -> None:
        if not statements:
            return
        done: Future[None] = Future()
        with self._lock:
            if self._closed:
                raise WorkspaceError("the ledger is closed; nothing more was sent")
            self._queue.put((statements, done))
            if not wait:
                self._owed.append(done)
            owed = [*self._owed, done] if wait else []
        self._wait(owed)

    def _wait(self, owed: list[Future[None]]) -> None:
        """Wait for what was handed over; each stays owed until it is known, so that every thread waits for it."""
        for one in owed:
            try:
                one.result()
            finally:
                with self._lock:
                    if one in self._owed:
                        self._owed.remove(one)

    def _commit(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch, last = [first], False
            while not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    last = True
                    break
                batch.append(more)
            try:
                if _identity_of(self._path) != self._file:  # SQLite would go on writing into the file that is gone
                    raise sqlite3.OperationalError("the file is gone")
                self._write.execute("BEGIN IMMEDIATE")
                for sql, alike in groupby((one for statements, _ in batch for one in statements), itemgetter(0)):
                    self._write.executemany(sql, map(itemgetter(1), alike))  # in order; half the time of one by one
                self._write.execute("COMMIT")
            except Exception as err:  # whatever it is: a writer that dies leaves every worker waiting for ever
                if self._write.in_transaction:
                    self._write.execute("ROLLBACK")
                failure = WorkspaceError(f"the ledger cannot be written: {err}; nothing more was sent")
                for _, future in batch:
                    future.set_exception(failure)
            else:
                for _, future in batch:
                    future.set_result(None)
            if last:
                return


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another that takes its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _identity(identity: Identity, unit: str | None = None, plan: str | None = None) -> tuple[str, Any]:
    return (
        "INSERT INTO identity VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, source) DO UPDATE SET "
        "destination = excluded.destination, key = excluded.key, how = excluded.how, as_kind = excluded.as_kind, "
        "unit = excluded.unit, plan = excluded.plan WHERE identity.how <> 'created' OR excluded.how = 'created'",
        (
            identity.kind,
            identity.source,
            identity.destination,
            identity.key,
            identity.how,
            identity.as_kind or identity.kind,
            unit,
            plan,
        ),
    )
