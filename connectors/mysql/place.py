"""How far the writing of a database is: a table of ours that lies in it, and is gone when it is whole."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from migrator.errors import RefusedError, UnknownOutcomeError

from .reading import PLACE
from .wire import Wire, quoted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """``whose``: of which record, made from which dump; ``done``: statements of it that are carried out; ``lent``: the
    account (SQL) that was given rights for as long as this lasts; ``todo``: what a change of a whole database is to
    write (JSON), empty while the database is made; ``resumed``: an earlier run began it."""

    whose: str = ""
    done: int = 0
    lent: str = ""
    todo: str = ""
    resumed: bool = True


def reached(wire: Wire, database: str) -> Place | None:
    """Return how far a database is that is not whole; None where it is, or is not there."""
    asked = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    if not wire.ask(asked, (database, PLACE)):
        return None
    rows = wire.ask(f"SELECT whose, done, lent, todo FROM {_table(database)}")
    if not rows:
        return Place()
    whose, done, lent, todo = rows[0]
    return Place(str(whose), int(done), str(lent), str(todo))


def begin(wire: Wire, database: str, whose: str, todo: str = "", *, over: str = "") -> Place:
    """Make sure of the place, and return it. Raises RefusedError where it is another's, unless that is ``over``."""
    at = reached(wire, database)
    if at is None:  # with its row in one statement: no moment in which it is nobody's
        wire.do(
            f"CREATE TABLE {_beside_values(database)} (whose TEXT, done BIGINT, lent TEXT, todo LONGTEXT) "
            "ENGINE=InnoDB SELECT %s AS whose, 0 AS done, '' AS lent, %s AS todo", (whose, todo),
        )  # fmt: skip
        return Place(whose, 0, "", todo, resumed=False)
    if at.whose == over != whose:
        wire.do(f"UPDATE {_beside_values(database)} SET whose = %s, todo = %s", (whose, todo))
        return Place(whose, 0, at.lent, todo, resumed=False)
    if at.whose != whose:
        raise RefusedError(
            f"another load of the database {database} is unfinished; finish it, or take the database away"
        )
    return at


def lend(wire: Wire, database: str, definer: str) -> None:
    """Note, before they are given, whose rights are to be taken back; an empty text: nobody's."""
    wire.do(f"UPDATE {_beside_values(database)} SET lent = %s", (definer,))


def end(wire: Wire, database: str) -> None:
    """Take the table away: the database is whole."""
    try:
        wire.do(f"DROP TABLE IF EXISTS {_table(database)}")
    except UnknownOutcomeError:
        log.warning("looked up", extra={"database": database})
        raise


def _table(database: str) -> str:
    return f"{quoted(database)}.{quoted(PLACE)}"


def _beside_values(database: str) -> str:
    """Return the table as it stands in a statement with values, where a percent sign is written twice."""
    return _table(database).replace("%", "%%")
