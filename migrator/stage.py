"""The staging file: raw, canonical and predicted records, and the plan, in a DuckDB that only this module opens."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import duckdb

from migrator.compile import name
from migrator.errors import WorkspaceError, disk_trouble
from migrator.kinds import Kind

T = TypeVar("T")
RAW = "id VARCHAR, parent VARCHAR, updated_at VARCHAR, body JSON"
MEMORY_MB = 160  # for joins and sorts, on disk where it must be; 320 was 3 % faster (benchmarks/README.md)
MOST_MB = 5120  # what one statement that cannot work on disk may raise it to, step by step
UNWRITTEN = "256MB"  # kept in the log before it goes into the file: each time whole blocks are written again
FEW = 100  # rows that are inserted one by one
TOLD = 10_000  # rows in one statement: 50,000 were no faster and took 130 MB more
SAFE_SCHEMES = ("http:", "https:", "mailto:", "tel:", "cid:", "data:")


@dataclass
class _Held:
    """The one connection of this process to a staging file, and how many stages share it."""

    connection: duckdb.DuckDBPyConnection
    stages: int = 0


_held: dict[str, _Held] = {}  # DuckDB itself keeps one database a file and process; a second one would not open
_holding = threading.Lock()


class Stage:
    """One workspace's DuckDB file. One process at a time may hold it.

    Opened again in the same process, also by another thread, it is the same file seen through a connection of its own;
    the first to open it decides the options, and the file is let go of with the last.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False, threads: int | None = None) -> None:
        options: dict[str, Any] = {"memory_limit": f"{MEMORY_MB}MB", "autoinstall_known_extensions": "false"}
        if threads:
            options["threads"] = threads
        self._closed, self._at_once = False, False
        self._turn = threading.RLock()  # a connection refuses a second call while one is under way
        self._file = uuid4().hex if str(path) == ":memory:" else str(Path(path).resolve())
        with _holding:
            if self._file not in _held:
                _held[self._file] = _Held(_open(path, read_only=read_only, options=options))
            _held[self._file].stages += 1
            self.connection = _held[self._file].connection.cursor()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()
        with _holding:
            held = None if self._closed else _held[self._file]
            self._closed = True
            if held:
                held.stages -= 1
                if not held.stages:
                    del _held[self._file]
                    held.connection.close()

    def run(self, sql: str, *values: Any) -> None:
        """Carry out one statement. Raises WorkspaceError where the disk is full or the file read-only."""
        self._with_room(lambda: self.connection.execute(sql, list(values) or None))

    def _with_room(self, statement: Callable[[], T]) -> T:
        """Carry out a statement, with more memory where it can neither do with less nor work on disk."""
        limit = MEMORY_MB
        with _told(), self._turn:
            try:
                while True:
                    try:
                        return statement()
                    except duckdb.OutOfMemoryException:
                        limit *= 2
                        if limit > MOST_MB or self._at_once:
                            raise
                        self.connection.execute(f"SET GLOBAL memory_limit = '{limit}MB'")
            finally:
                if limit > MEMORY_MB:
                    with suppress(duckdb.Error):  # what is still in use keeps it where it is
                        self.connection.execute(f"SET GLOBAL memory_limit = '{MEMORY_MB}MB'")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let statements become durable together, or not at all; ``stream`` does not see them before."""
        self.run("BEGIN TRANSACTION")
        self._at_once = True
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # a COMMIT that failed has ended it already
                self.connection.execute("ROLLBACK")
            raise
        finally:
            self._at_once = False

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows. Raises WorkspaceError as ``run`` does."""
        return self._with_room(lambda: self.connection.execute(sql, list(values) or None).fetchall())

    def stream(self, sql: str, *values: Any, size: int = 10_000) -> Iterator[tuple[Any, ...]]:
        """Yield rows, ``size`` at a time, on a cursor of their own."""
        with self._turn:
            cursor = self.connection.cursor()
        cursor.execute(sql, list(values) or None)
        while batch := cursor.fetchmany(size):
            yield from batch

    def one(self, sql: str, *values: Any) -> Any:
        """Return the first column of the first row, or None."""
        found = self.rows(sql, *values)
        return found[0][0] if found else None

    def schema(self, *names: str, fresh: bool = False) -> None:
        """Make sure the schemas exist; ``fresh`` empties them first."""
        for each in names:
            if fresh:
                self.run(f"DROP SCHEMA IF EXISTS {name(each)} CASCADE")
            self.run(f"CREATE SCHEMA IF NOT EXISTS {name(each)}")

    def tables_of(self, schema: str) -> set[str]:
        """Return the names of a schema's tables."""
        return {row[0] for row in self.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", schema)}

    def counts(self, schema: str) -> dict[str, int]:
        """Return how many rows each of a schema's tables holds, in one statement."""
        tables = sorted(self.tables_of(schema))
        parts = [f"SELECT ?, count(*) FROM {name(schema)}.{name(table)}" for table in tables]
        return dict(self.rows(" UNION ALL ".join(parts), *tables)) if tables else {}

    def filled(self, schema: str) -> set[str]:
        """Return the names of a schema's tables that hold any row: what has none needs no statement of its own."""
        return {table for table, rows in self.counts(schema).items() if rows}

    def columns_of(self, schema: str, table: str) -> list[str]:
        """Return the names of a table's columns, in order."""
        sql = "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? ORDER BY column_index"
        return [row[0] for row in self.rows(sql, schema, table)]

    def raw(self, dataset: str, stream: str) -> str:
        """Return the relation of a stream's staged bodies, making an empty one where nothing arrived."""
        self.schema(dataset)
        self.run(f"CREATE TABLE IF NOT EXISTS {name(dataset)}.{name(stream)} ({RAW})")
        return f"{name(dataset)}.{name(stream)}"

    def count(self, dataset: str, stream: str) -> int:
        """Return how many bodies of a stream are staged."""
        here = stream in self.tables_of(dataset)
        return int(self.one(f"SELECT count(*) FROM {name(dataset)}.{name(stream)}")) if here else 0

    def put(self, dataset: str, stream: str, rows: Iterable[tuple[str, str | None, str | None, str]]) -> None:
        """Stage bodies directly, in place of those with the same id (small sets; extraction goes through dlt)."""
        relation = self.raw(dataset, stream)
        batch = list(rows)
        if batch:
            with _told(), self._turn:
                self.connection.executemany(f"DELETE FROM {relation} WHERE id = ?", [[row[0]] for row in batch])
                self.connection.executemany(
                    f"INSERT INTO {relation} (id, parent, updated_at, body) VALUES (?, ?, ?, ?)", batch
                )

    def land(self, dataset: str, stream: str, rows: Any) -> None:
        """Stage an Arrow table of (id, parent, updated_at, body), each id once; of two rows the later stays."""
        relation = self.raw(dataset, stream)
        with self._turn:
            self.connection.register("landed", rows)
            try:
                self.run(
                    f"DELETE FROM {relation} r USING landed n WHERE n.id = r.id "
                    "AND COALESCE(n.updated_at, '') >= COALESCE(r.updated_at, '')"
                )
                self.run(
                    f"INSERT INTO {relation} BY NAME SELECT * FROM landed n "
                    f"WHERE NOT EXISTS (SELECT 1 FROM {relation} r WHERE r.id = n.id)"
                )
            finally:
                self.connection.unregister("landed")

    def replace(self, relation: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows in place of those with their primary key, which comes first; all or none, the last of equals.

        One statement for all: row by row costs four milliseconds of CPU each.
        """
        if not rows:
            return
        last = {row[0]: [None if value is None else str(value) for value in row] for row in rows}
        picked = ", ".join(f"x[{place}]" for place in range(1, len(rows[0]) + 1))
        listed = "SELECT unnest(from_json(?, '[[\"VARCHAR\"]]')) AS x"
        part = json.dumps(list(last.values()), ensure_ascii=False)
        self.run(f"INSERT OR REPLACE INTO {relation} SELECT {picked} FROM ({listed})", part)

    def columns(self, kind: Kind) -> str:
        """Return a kind's columns as DuckDB declares them."""
        return ", ".join(f"{name(label)} {field.column}" for label, field in kind.fields.items())

    def table(self, relation: str, columns: str) -> None:
        """Make a table anew."""
        self.run(f"DROP TABLE IF EXISTS {relation}")
        self.run(f"CREATE TABLE {relation} ({columns})")

    def insert(self, relation: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows of values."""
        if not rows:
            return
        if len(rows) > FEW and all(value is None or isinstance(value, str) for row in rows for value in row):
            # One statement for many rows: row by row costs a millisecond each.
            picked = ", ".join(f"x[{place}]" for place in range(1, len(rows[0]) + 1))
            for at in range(0, len(rows), TOLD):
                part = json.dumps([list(row) for row in rows[at : at + TOLD]], ensure_ascii=False)
                listed = "SELECT unnest(from_json(?, '[[\"VARCHAR\"]]')) AS x"
                self.run(f"INSERT INTO {relation} SELECT {picked} FROM ({listed})", part)
        else:
            marks = ", ".join("?" for _ in rows[0])
            with _told(), self._turn:
                self.connection.executemany(f"INSERT INTO {relation} VALUES ({marks})", [list(row) for row in rows])


@contextmanager
def _told() -> Iterator[None]:
    """Say what a person can do where the disk is full or read-only, or the memory at its end."""
    try:
        yield
    except duckdb.Error as err:
        trouble = disk_trouble(err)
        if trouble is not None:
            raise trouble from err
        if isinstance(err, duckdb.IOException | duckdb.OutOfMemoryException):
            raise WorkspaceError(f"the stage cannot be written: {str(err).splitlines()[0]}") from err
        raise


def _open(path: Path | str, *, read_only: bool, options: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """Return a connection with our settings and functions. Raises WorkspaceError where the file cannot be had."""
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=options)
    except duckdb.IOException as err:
        if "lock" in str(err).lower():
            raise WorkspaceError(f"{path} is held by another run of migrator; wait for it or end it") from err
        raise WorkspaceError(f"{path} cannot be opened: {str(err).splitlines()[0]}") from err
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute(f"SET GLOBAL checkpoint_threshold = '{UNWRITTEN}'")
    connection.execute("SET preserve_insertion_order = false")
    connection.create_function("html_form", html_form, ["VARCHAR"], "VARCHAR")
    connection.create_function("rule_read", _rule, ["VARCHAR", "VARCHAR", "VARCHAR"], "VARCHAR")
    return connection


def _rule(dialect: str, kind: str, body: str) -> str:
    from migrator.rules.records import read  # with all that rules need, when there is one

    return read(dialect, kind, body)


def html_form(html: str) -> str:
    """Return what HTML says, whatever its layout: its text with blanks folded, its links and its pictures.

    Vendors rewrite markup when they store it; two bodies are the same when this is. A link that says its own address
    counts as text: vendors make such links, and unmake them.
    """
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html)
    for dead in tree.css("script, style, template, noscript, title"):
        dead.decompose()
    marks = []
    for link in tree.css("a[href], img[src]"):
        address = (link.attributes.get("href") if link.tag == "a" else link.attributes.get("src")) or ""
        address = re.sub(r"\s", "", address)
        if link.tag == "a" and re.sub(r"\s", "", link.text()) == address:
            continue
        if ":" not in address.split("/")[0] or address.lower().startswith(SAFE_SCHEMES):
            marks.append(address)
    root = tree.body or tree.root
    text = root.text() if root is not None else ""
    text = re.sub(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]", "", text)
    return " ".join(text.split()) + json.dumps(marks)
