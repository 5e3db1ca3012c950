"""What one reading of the desk brought, in a database that is gone when it is closed."""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from migrator.connector import Page, Raw

Native = dict[str, Any]


class Snapshot:
    """Native records by stream (``add``, ``pages``), and rows of models on their way to become some (``row``)."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False)  # a file without a name, which nobody else opens
        self._lock = threading.Lock()
        weakref.finalize(self, self._database.close)
        self._database.execute(
            "CREATE TABLE native (stream TEXT, n INTEGER PRIMARY KEY, id TEXT, parent TEXT, at TEXT, body TEXT)"
        )
        self._database.execute("CREATE TABLE model (name TEXT, number INTEGER, owner INTEGER, fields TEXT)")
        self._database.execute("CREATE INDEX by_stream ON native (stream, n)")
        self._database.execute("CREATE INDEX by_owner ON model (name, owner, number)")
        self._database.execute("CREATE INDEX by_number ON model (name, number)")

    def add(
        self, stream: str, natives: Iterable[Native], updated_at: str | None = None, parent: str | None = None
    ) -> None:
        """Add native records; ``updated_at`` and ``parent``: the keys of their date of change and their owner."""
        rows = [
            (
                stream,
                str(one["id"]),
                str(one[parent]) if parent else None,
                one.get(updated_at) if updated_at else None,
                json.dumps(one, ensure_ascii=False),
            )
            for one in natives
        ]
        with self._lock:
            self._database.executemany("INSERT INTO native (stream, id, parent, at, body) VALUES (?, ?, ?, ?, ?)", rows)

    def pages(self, stream: str, start: int, size: int) -> Iterator[Page]:
        """Yield the stream from the ``start``-th record on."""
        while True:
            with self._lock:
                asked = "SELECT id, body, at, parent FROM native WHERE stream = ? ORDER BY n LIMIT ? OFFSET ?"
                rows = self._database.execute(asked, (stream, size + 1, start)).fetchall()
            more, rows = len(rows) > size, rows[:size]
            start += len(rows)
            yield Page([Raw(id, body.encode(), at, parent) for id, body, at, parent in rows], {"at": start}, not more)
            if not more:
                return

    def natives(self, stream: str) -> Iterator[Native]:
        """Yield a stream's records, parsed."""
        for page in self.pages(stream, 0, 1000):
            for record in page.records:
                yield json.loads(record.body)

    def row(self, model: str, number: int, owner: int | None, fields: Native) -> None:
        """Add a row of a model."""
        row = (model, number, owner, json.dumps(fields, ensure_ascii=False))
        with self._lock:
            self._database.execute("INSERT INTO model VALUES (?, ?, ?, ?)", row)

    def rows(self, model: str, owner: int | None = None) -> Iterator[Native]:
        """Yield the rows of a model (and owner) by their numbers, which stand in them as ``id``."""
        after = -1
        which = "name = ? AND owner = ?" if owner is not None else "name = ? AND ? IS NULL"
        while True:
            with self._lock:
                asked = f"SELECT number, fields FROM model WHERE {which} AND number > ? ORDER BY number LIMIT 1000"
                rows = self._database.execute(asked, (model, owner, after)).fetchall()
            for number, fields in rows:
                yield {"id": number, **json.loads(fields)}
            if len(rows) < 1000:
                return
            after = rows[-1][0]

    def highest(self, model: str) -> int:
        """Return the highest number of a model, 0 where there is none."""
        with self._lock:
            asked = "SELECT max(number) FROM model WHERE name = ?"
            return int(self._database.execute(asked, (model,)).fetchone()[0] or 0)
