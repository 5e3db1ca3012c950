"""Carrying out a dump: as a user of this one load, with the place reached kept in the database beside the rows.

Rows and place are committed together, so that a load that dies goes on where it was. A table that knows no
transactions is emptied and filled anew. Views, routines, triggers and events are made by the account's login, acting as
the named definer; everything else is said by a user who has rights on this database and on nothing else.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from migrator.errors import RefusedError, RetryError, StoppedError

from .place import Place, lend, reached
from .reading import PLACE
from .statements import Speaker, Statement, statements
from .wire import LACKS_RIGHT, NO_SUCH_GRANT, THERE, Wire, pattern, quoted, who

COMMIT_EVERY = 20  # statements of rows; mysqldump writes about 1 MB in each
GUARD = "ALL PRIVILEGES"
LOOKS = 400  # of 0.05 s, for a connection of a dead run to be gone
GONE = {1094, 1133, NO_SUCH_GRANT}  # no such connection, user, grant


def load(wire: Wire, database: str, dump: Path, speaker: Speaker, place: Place, stops: Callable[[], bool]) -> None:
    """Carry out what is left of a dump, from the place that ``begin`` returned on."""
    with speaking(wire, database, speaker.definer) as (guest, owner):
        at = reached(wire, database) or place  # anew: a dead run's last words have been heard by now
        _Loader(guest, owner, speaker, at.done, stops, resumed=place.resumed).run(dump)


@contextmanager
def speaking(wire: Wire, database: str, definer: str) -> Iterator[tuple[Wire, Wire]]:
    """Give two connections: of a guest who may do anything in this database and nothing else, and of the login, which
    makes what acts as the definer. The place has to be there."""
    with _as_guest(wire, database) as guest, _may_act(wire, database, definer):
        owner = Wire(wire.login, database)
        try:
            yield guest, owner
        finally:
            guest.close()
            owner.close()


@contextmanager
def _as_guest(wire: Wire, database: str) -> Iterator[Wire]:
    """Give a connection of a user made for this; the login's own where it may make no users, and so has few rights
    itself."""
    name = "migrator_" + hashlib.blake2b(database.encode(), digest_size=8).hexdigest()
    host = str(wire.ask("SELECT CURRENT_USER()")[0][0]).rpartition("@")[2]
    guest, secret = who(name, host), secrets.token_urlsafe(30)
    made = True
    try:
        wire.do(f"DROP USER IF EXISTS {guest}")  # of a load that died
        _end_connections(wire, name)
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


def _end_connections(wire: Wire, user: str) -> None:
    """End what a dead run has left at the server: it may still be carrying out what it was told, a COMMIT too."""
    for _ in range(LOOKS):
        left = wire.ask("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s", (user,))
        if not left:
            return
        for (number,) in left:
            try:
                wire.do(f"KILL CONNECTION {int(number)}")
            except RefusedError as err:
                if err.status not in GONE:
                    raise
        wire.ask("SELECT SLEEP(0.05)")
    raise RetryError(f"{wire.login.host}: a connection of an earlier load does not end")


@contextmanager
def _may_act(wire: Wire, database: str, definer: str) -> Iterator[None]:
    """Let the definer use the database while its views are made: a view of a view is refused where its definer may not
    read it. Its own rights are records of their own, written later. What is given is noted before, so that a run that
    dies meanwhile leaves to the next one what to take back."""
    at = reached(wire, database)
    lent = at.lent if at else ""
    if lent and lent != definer:
        _take_back(wire, database, lent)
        lent = ""
    if definer and (lent or _lacks(wire, database, definer)):
        lend(wire, database, definer)
        wire.do(f"GRANT {GUARD} ON {pattern(database)}.* TO {definer}")
        lent = definer
    try:
        yield
    finally:
        if lent:
            _take_back(wire, database, lent)


def _lacks(wire: Wire, database: str, definer: str) -> bool:
    """Tell whether an account is there and has no rights on the database."""
    user, host = (part.replace("``", "`") for part in definer.strip("`").split("`@`"))
    account = (f"'{user}'@'{host}'",)
    asked = "SELECT TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = %s"
    held = {str(name).replace("\\", "") for (name,) in wire.ask(asked, account)}
    there = wire.ask("SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = %s", account)
    return database not in held and bool(there)


def _take_back(wire: Wire, database: str, definer: str) -> None:
    try:
        wire.do(f"REVOKE {GUARD} ON {pattern(database)}.* FROM {definer}")
    except RefusedError as err:
        if err.status not in GONE:
            raise
    lend(wire, database, "")


class _Loader:
    """One dump on its way; ``done`` statements of it are at the server."""

    def __init__(
        self, guest: Wire, owner: Wire, speaker: Speaker, done: int, stops: Callable[[], bool], *, resumed: bool
    ) -> None:
        self.guest, self.owner, self.speaker, self.done, self.stops = guest, owner, speaker, done, stops
        self.fresh = resumed  # the first statement after a death may have been carried out
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
