"""A workspace searched for secrets that lie open: every byte of every file, and every value of every table."""

from __future__ import annotations

import sqlite3
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from migrator.stage import Stage


def lying(folder: Path, needles: Iterable[str]) -> set[str]:
    """Return the places where one of these lies open."""
    wanted = list(needles)
    return {place for place, text in told(folder) for needle in wanted if found(needle, text)}


def told(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of all that a workspace holds: the bytes of every file, and what is packed in some."""
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        yield str(file), file.read_bytes().decode("latin-1")
    for path in folder.rglob("*.duckdb"):
        with Stage(path) as stage:  # a column may lie compressed in the file
            for schema, table in stage.rows("SELECT schema_name, table_name FROM duckdb_tables()"):
                for row in stage.rows(f'SELECT * FROM "{schema}"."{table}"'):
                    yield f"{schema}.{table}", unpacked(row)
    for path in folder.rglob("*.sqlite"):
        with closing(sqlite3.connect(path)) as rows:
            for (table,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                yield f"{path}.{table}", repr(rows.execute(f'SELECT * FROM "{table}"').fetchall())


def unpacked(row: tuple[Any, ...]) -> str:
    """Return a row's values, and dlt's packed state as it is."""
    found = [str(value) for value in row]
    for value in row:
        if isinstance(value, str) and value.startswith("eN"):
            with suppress(ValueError, zlib.error):
                found.append(zlib.decompress(b64decode(value)).decode())
    return "\n".join(found)


def found(needle: str, text: str) -> bool:
    """Tell whether a text holds a secret, as it is, within an address or JSON, or within base64."""
    forms = [needle, quote(needle), quote(needle, safe=""), needle.replace("/", "\\/")]
    for shift in range(3):
        forms.append(b64encode(bytes(shift) + needle.encode()).decode()[4:-4])
    forms += [form.replace("+", "-").replace("/", "_") for form in forms[-3:]]
    return any(form in text for form in forms)
