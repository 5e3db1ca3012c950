"""Request Tracker's own database, for what its API resets: authors and dates of messages; and its scrips."""

from __future__ import annotations

import importlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from migrator.errors import InputError, UnknownOutcomeError, VendorError

BUSY_SECONDS = 30


class Database:
    """SQLite or PostgreSQL, by its address. A connection a use: uses are short, and threads many."""

    def __init__(self, address: str, password: Callable[[], str]) -> None:
        self.address, self._password, self._lock = address, password, threading.Lock()
        if not address.startswith(("sqlite:", "postgresql://")):
            raise InputError(
                f"the database address begins with '{address.split(':')[0]}:'",
                remedy="write sqlite:PATH or postgresql://USER@HOST/NAME",
            )

    @contextmanager
    def _open(self) -> Iterator[Callable[..., list[Any]]]:
        """Yield ``run(sql, *values)``; everything inside is one transaction."""
        lite = self.address.startswith("sqlite:")
        try:
            connection: Any
            if lite:
                path = self.address.removeprefix("sqlite:")
                connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=BUSY_SECONDS)
            else:
                connection = _postgresql(self.address, self._password())
        except Exception as err:
            raise VendorError(f"the database did not open: {type(err).__name__}") from err

        def run(sql: str, *values: Any) -> list[Any]:
            cursor = connection.execute(sql if lite else sql.replace("?", "%s"), values)
            return list(cursor.fetchall()) if cursor.description else []

        try:
            with self._lock:
                yield run
                connection.commit()
        finally:
            connection.close()

    def back_fill(self, ticket: str | None, said: str | None, author: Any, dated: Any) -> None:
        """Set author and date of a message: of the transaction ``said``, or of the one that made ``ticket``."""
        changes = {"Creator": int(author) if author else None, "Created": _moment(dated) if dated else None}
        changes = {column: value for column, value in changes.items() if value is not None}
        if not changes:
            return
        columns, values = ", ".join(f"{column} = ?" for column in changes), list(changes.values())
        try:
            with self._open() as run:
                if said is None:
                    found = run(
                        "SELECT id FROM Transactions WHERE ObjectType = 'RT::Ticket' AND ObjectId = ? "
                        "AND Type = 'Create'",
                        int(ticket or 0),
                    )
                    said = str(found[0][0])
                run(f"UPDATE Transactions SET {columns} WHERE id = ?", *values, int(said))
                run(f"UPDATE Attachments SET {columns} WHERE TransactionId = ?", *values, int(said))
        except VendorError as err:  # the message is there, as the API left it: look it up, and try again
            raise UnknownOutcomeError(str(err)) from err

    def number_on(self) -> None:
        """Let new tickets be numbered after those that were given a number, which PostgreSQL would not do by itself."""
        if not self.address.startswith("sqlite:"):
            with self._open() as run:
                run(
                    "SELECT setval('tickets_id_seq', GREATEST((SELECT max(id) FROM Tickets), "
                    "(SELECT last_value FROM tickets_id_seq)))"
                )

    def scrips(self) -> list[int]:
        """Return the numbers of the scrips that are on."""
        with self._open() as run:
            return [int(row[0]) for row in run("SELECT id FROM Scrips WHERE Disabled = 0 ORDER BY id")]

    def switch(self, on: list[int] | None) -> None:
        """Switch every scrip off, or those named on."""
        with self._open() as run:
            if on is None:
                run("UPDATE Scrips SET Disabled = 1")
            for number in on or ():
                run("UPDATE Scrips SET Disabled = 0 WHERE id = ?", int(number))


def _postgresql(address: str, password: str) -> Any:
    try:
        driver = importlib.import_module("psycopg")
    except ImportError as err:
        raise InputError(
            "the channel sql needs the package psycopg for PostgreSQL", remedy="pip install 'psycopg[binary]'"
        ) from err
    there = urlsplit(address)
    return driver.connect(
        host=there.hostname,
        port=there.port or 5432,
        user=there.username,
        dbname=there.path.lstrip("/"),
        password=password,
        connect_timeout=BUSY_SECONDS,
    )


def _moment(text: str) -> str:
    """Return a date as Request Tracker stores it: UTC, without a zone."""
    return text.replace("T", " ").removesuffix("Z")[:19]
