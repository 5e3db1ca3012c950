"""Carrying out a dump: as a user of this one load, with the place reached kept in the database beside the rows.

Rows and place are committed together, so that a load that dies goes on where it was. A table that knows no
transactions is emptied and filled anew. Views, routines, triggers and events are made by the account's login, acting as
the named definer; everything else is said by a user who has rights on this database and on nothing else.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from migrator.errors import RefusedError, StoppedError, UnknownOutcomeError

from .statements import Speaker, Statement, statements
from .wire import LACKS_RIGHT, THERE, Wire, pattern, quoted, who

log = logging.getLogger(__name__)

PLACE = "_migrator_progress"  # a table of ours, gone when the load is done
COMMIT_EVERY = 20  # statements of rows; mysqldump writes about 1 MB in each
GUARD = "ALL PRIVILEGES"


def reached(wire: Wire, database: str) -> tuple[str, int] | None:
    """Return whose load of a database is unfinished, and how many statements it has done; None where there is none."""
    asked = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    if not wire.ask(asked, (database, PLACE)):
        return None
    rows = wire.ask(f"SELECT whose, done FROM {quoted(database)}.{quoted(PLACE)}")
    return (str(rows[0][0]), int(rows[0][1])) if rows else ("", 0)


def begin(wire: Wire, database: str, whose: str) -> int:
    """Make sure of the table that keeps the place; return it. Raises RefusedError where the load is another's."""
    at = reached(wire, database)
    if at is None:
        wire.do(
            f"CREATE TABLE {quoted(database)}.{quoted(PLACE)} "
            "(whose VARCHAR(190) PRIMARY KEY, done BIGINT) ENGINE=InnoDB"
        )
        at = ("", 0)
    if not at[0]:
        wire.do(f"INSERT INTO {quoted(database)}.{quoted(PLACE)} VALUES (%s, 0)", (whose,))
    elif at[0] != whose:
        raise RefusedError(
            f"another load of the database {database} is unfinished; finish it, or take the database away"
        )
    return at[1]


def load(wire: Wire, database: str, dump: Path, speaker: Speaker, done: int, stops: Callable[[], bool]) -> None:
    """Carry out what is left of a dump after so many statements."""
    with _as_guest(wire, database) as guest, _may_act(wire, database, speaker.definer):
        owner = Wire(wire.login, database)
        try:
            _Loader(guest, owner, speaker, done, stops).run(dump)
        finally:
            guest.close()
            owner.close()


@contextmanager
def _as_guest(wire: Wire, database: str) -> Iterator[Wire]:
    """Give a connection of a user who may do anything in this database, and nothing else; the login's own where it may
    make no users, and so has few rights itself."""
    name = "migrator_" + hashlib.blake2b(database.encode(), digest_size=8).hexdigest()
    host = str(wire.ask("SELECT CURRENT_USER()")[0][0]).rpartition("@")[2]
    guest, secret = who(name, host), secrets.token_urlsafe(30)
    made = True
    try:
        wire.do(f"DROP USER IF EXISTS {guest}")  # of a load that died
        wire.do(f"CREATE USER {guest} IDENTIFIED BY {wire.literal(secret)}", secret=secret)
    except RefusedError as err:
        if err.status not in LACKS_RIGHT:
            raise
        made = False
    if not made:
        yield Wire(wire.login, database)
        return
    try:
        wire.do(f"GRANT {GUARD} ON {pattern(database)}.* TO {guest}")
        yield Wire(replace(wire.login, user=name, secret=secret), database)
    finally:
        wire.do(f"DROP USER IF EXISTS {guest}")


@contextmanager
def _may_act(wire: Wire, database: str, definer: str) -> Iterator[None]:
    """Let the definer use the database while its views are made: a view of a view is refused where its definer may not
    read it. Its own rights are records of their own, written later."""
    given = False
    if definer:
        user, host = (part.replace("``", "`") for part in definer.strip("`").split("`@`"))
        asked = "SELECT TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = %s"
        held = {str(name).replace("\\", "") for (name,) in wire.ask(asked, (f"'{user}'@'{host}'",))}
        exists = wire.ask(
            "SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = %s", (f"'{user}'@'{host}'",)
        )
        if database not in held and exists:
            wire.do(f"GRANT {GUARD} ON {pattern(database)}.* TO {definer}")
            given = True
    try:
        yield
    finally:
        if given:
            wire.do(f"REVOKE {GUARD} ON {pattern(database)}.* FROM {definer}")


class _Loader:
    """One dump on its way; ``done`` statements of it are at the server."""

    def __init__(self, guest: Wire, owner: Wire, speaker: Speaker, done: int, stops: Callable[[], bool]) -> None:
        self.guest, self.owner, self.speaker, self.done, self.stops = guest, owner, speaker, done, stops
        self.fresh = bool(done)  # the first statement after a death may have been carried out
        self.pending = 0
        self.plain: dict[str, bool] = {}  # tables that know no transactions

    def run(self, dump: Path) -> None:
        """Carry out what is left."""
        self.guest.begin(True)
        again = self._from(dump)
        for number, one in enumerate(statements(dump, self.speaker), start=1):
            if one.sort == "nothing":
                continue
            if one.sort == "set":
                self.guest.do(one.text)
                self.owner.do(one.text)
            elif number > self.done or (again and number > again[0] and one.sort == "rows" and one.table == again[1]):
                self._carry_out(number, one)
        self._note(self.done)
        self.guest.begin(False)

    def _from(self, dump: Path) -> tuple[int, str] | None:
        """Empty the table that was being filled where it knows no transactions; return from where it is filled anew."""
        if not self.done:
            return None
        begun, table = 0, ""
        for number, one in enumerate(statements(dump, self.speaker), start=1):
            if one.sort == "shape" and one.table:
                begun, table = number, one.table
            if number > self.done:
                if one.sort == "rows" and one.table == table and self._plain(table):
                    self.guest.do(f"TRUNCATE TABLE {quoted(table)}")
                    return begun, table
                return None
        return None

    def _plain(self, table: str) -> bool:
        if table not in self.plain:
            asked = "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
            rows = self.owner.ask(asked, (table,))
            self.plain[table] = bool(rows) and str(rows[0][0]).lower() != "innodb"
        return self.plain[table]

    def _carry_out(self, number: int, one: Statement) -> None:
        if self.stops():
            self._note(self.done)
            raise StoppedError("stopped in the middle of a database; the next run goes on from there")
        try:
            if one.sort == "rows":
                self.guest.do(one.text)
            else:
                self._note(self.done)  # what follows commits by itself, or is said over another connection
                (self.owner if one.sort == "defines" else self.guest).do(one.text)
        except RefusedError as err:
            if not (self.fresh and one.sort != "rows" and err.status in THERE):
                raise RefusedError(f"line {one.line} of the dump: {err}", status=err.status, answer=err.answer) from err
        self.fresh = False
        self.done, self.pending = max(self.done, number), self.pending + 1
        if one.sort != "rows" or self.pending >= COMMIT_EVERY:
            self._note(self.done)

    def _note(self, done: int) -> None:
        """Commit the rows and the place reached, together."""
        self.guest.do(f"UPDATE {quoted(PLACE)} SET done = %s", (done,))
        self.guest.commit()
        self.pending = 0


def end(wire: Wire, database: str) -> None:
    """Take the table of the place away: the database is whole."""
    try:
        wire.do(f"DROP TABLE IF EXISTS {quoted(database)}.{quoted(PLACE)}")
    except UnknownOutcomeError:
        log.warning("looked up", extra={"database": database})
        raise
