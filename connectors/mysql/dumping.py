"""The dump of a database of a server that today's dumping programs no longer read: written here, in their form.

MySQL before 5.7 and MariaDB before 10.2 have no column GENERATION_EXPRESSION, which `mariadb-dump` asks each table for
(refused with 1054: MySQL 5.6.24 and mariadb-dump of 10.11, 2026-11-27).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from migrator.errors import RefusedError

from .wire import Wire, quoted

INSERT_BYTES = 2**20  # of one INSERT, beyond which the next begins; a server takes 4 MiB unless told otherwise
DELIMITERS = (";;", "$$", "//", "@@", "||", "%%;%%")
HEAD = (
    "SET NAMES utf8mb4;\nSET TIME_ZONE = '+00:00';\nSET SQL_MODE = 'NO_AUTO_VALUE_ON_ZERO';\n"
    "SET FOREIGN_KEY_CHECKS = 0;\nSET UNIQUE_CHECKS = 0;\n"
)
MADE = {  # sort: its names, the word in SHOW CREATE, and in which columns of that lie mode, text and collation
    "trigger": ("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s", "TRIGGER", 1, 2, 4),
    "procedure": (
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s "
        "AND ROUTINE_TYPE = 'PROCEDURE'", "PROCEDURE", 1, 2, 4,
    ),
    "function": (
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s "
        "AND ROUTINE_TYPE = 'FUNCTION'", "FUNCTION", 1, 2, 4,
    ),
    "event": ("SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s", "EVENT", 1, 3, 5),
}  # fmt: skip
GONE = "NO_AUTO_CREATE_USER"  # a mode that MySQL 8 has no more; it says nothing within a routine


def is_old(wire: Wire) -> bool:
    """Tell whether the server is one that today's programs do not dump."""
    return wire.number < (100200 if wire.mariadb else 50700)


def dump(wire: Wire, database: str) -> Iterator[bytes]:
    """Yield the dump of the database that ``wire`` has open, as of one moment where its tables are InnoDB.

    Raises RefusedError where the login may not see something, RetryError where the connection broke.
    """
    wire.ask("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    wire.ask("SET SQL_QUOTE_SHOW_CREATE = 1")
    wire.ask("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    yield HEAD.encode()
    for table in _names(wire, database, "BASE TABLE"):
        yield _told(wire, f"SHOW CREATE TABLE {quoted(table)}", 1).encode() + b";\n"
        yield from _rows(wire, database, table)
    views = _names(wire, database, "VIEW")
    for view in views:  # one may speak of another that comes later: each is there first, and says nothing yet
        some = ", ".join(f"1 AS {quoted(column)}" for column, _ in _columns(wire, database, view))
        yield f"CREATE VIEW {quoted(view)} AS SELECT {some};\n".encode()
    yield from _made(wire, database)
    for view in views:
        yield f"DROP VIEW IF EXISTS {quoted(view)};\n".encode()
        yield _told(wire, f"SHOW CREATE VIEW {quoted(view)}", 1).encode() + b";\n"


def _names(wire: Wire, database: str, sort: str) -> list[str]:
    asked = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = %s ORDER BY 1"
    return [str(name) for (name,) in wire.ask(asked, (database, sort))]


def _columns(wire: Wire, database: str, table: str) -> list[tuple[str, str]]:
    """Return a table's columns and what is said of each (such as that the server reckons it)."""
    asked = (
        "SELECT COLUMN_NAME, EXTRA FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
        "ORDER BY ORDINAL_POSITION"
    )
    return [(str(column), str(extra).upper()) for column, extra in wire.ask(asked, (database, table))]


def _rows(wire: Wire, database: str, table: str) -> Iterator[bytes]:
    held = [
        quoted(column)
        for column, extra in _columns(wire, database, table)
        if not {"VIRTUAL", "PERSISTENT", "GENERATED"} & set(extra.split())
    ]
    keys: dict[str, list[str]] = defaultdict(list)
    asked = (
        "SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
        "ORDER BY SEQ_IN_INDEX"
    )
    for key, column in wire.ask(asked, (database, table)):
        keys[str(key)].append(quoted(str(column)))
    columns, order = ", ".join(held), ", ".join(keys.get("PRIMARY", []))
    begin = f"INSERT INTO {quoted(table)} ({columns}) VALUES\n".encode()
    parts, size = list[bytes](), 0
    for row in wire.stream(f"SELECT {columns} FROM {quoted(table)}" + (f" ORDER BY {order}" if order else "")):
        said = b"(" + b",".join(_value(wire, value, number=number) for number, value in row) + b")"
        if parts and size + len(said) > INSERT_BYTES:
            yield begin + b",\n".join(parts) + b";\n"
            parts, size = [], 0
        parts.append(said)
        size += len(said)
    if parts:
        yield begin + b",\n".join(parts) + b";\n"


def _value(wire: Wire, value: str | bytes | None, *, number: bool) -> bytes:
    """Return a value as SQL writes it."""
    if value is None:
        return b"NULL"
    if isinstance(value, bytes):
        return b"0x" + value.hex().encode() if value else b"''"
    return value.encode() if number else wire.literal(value).encode()


def _made(wire: Wire, database: str) -> Iterator[bytes]:
    """Yield triggers, routines and events, under the mode and the collation each was made with; their text is UTF-8."""
    for sort, (asked, word, mode, text, collation) in MADE.items():
        for (name,) in sorted(wire.ask(asked, (database,))):
            (row,) = wire.ask(f"SHOW CREATE {word} {quoted(str(name))}")
            if row[text] is None:
                raise RefusedError(f"the login may not see the text of the {sort} {name}")
            modes = ",".join(one for one in str(row[mode]).split(",") if one and one != GONE)
            end = next((sign for sign in DELIMITERS if sign not in row[text]), "")
            if not end:
                raise RefusedError(f"the {sort} {name} holds every sign that could end it")
            said = (
                f"SET SQL_MODE = {wire.literal(modes)};\nSET COLLATION_CONNECTION = {row[collation]};\n"
                f"DELIMITER {end}\n{row[text]} {end}\nDELIMITER ;\n"
            )
            yield said.encode()
    yield HEAD.encode()


def _told(wire: Wire, sql: str, column: int) -> str:
    rows: list[tuple[Any, ...]] = wire.ask(sql)
    return str(rows[0][column])
