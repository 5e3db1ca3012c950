"""Records as lines of JSON, their digests, and the export of what was read back."""

from __future__ import annotations

import gzip
import hashlib
import heapq
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from migrator.compile import name, quoted
from migrator.errors import InputError, WorkspaceError
from migrator.kinds import Field
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.project import Side
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.verify import CANONICAL, is_compared

SIDES = {"source": "canonical", "predicted": "predicted", "read_back": CANONICAL}  # what a kind's digest is of
HELD = 500_000  # row digests of one kind kept in memory while an export is read, about 33 MB


def lines_of(side: Side, where: str, kind_name: str) -> str:
    """Return the SELECT of (id, line) of a kind: each record as one line of JSON, keys sorted.

    Of the source, every field that is not private; of the others, the fields that verify compares: the rest is the
    vendor's own and changes by itself.
    """
    kinds, relation = side.connector.kinds, f"{SIDES[where]}.{name(kind_name)}"
    fields = {label: spec for label, spec in kinds.kinds[kind_name].fields.items() if not spec.private}
    if where == "source":
        return f"SELECT id, {_line(kind_name, fields)} AS line FROM {relation}"
    parts, variants = [], {variant.name: variant for variant in reversed(side.mapping.kinds.get(kind_name, ()))}
    for variant in variants:
        held = _held(side.connector.manifest, side.mapping, kind_name, variant)
        some = {label: spec for label, spec in fields.items() if label in held}
        parts.append((some, f"variant = {quoted(variant)}"))
    known = ", ".join(quoted(variant) for variant in variants)
    parts.append(({}, f"variant IS NULL OR variant NOT IN ({known})" if known else "TRUE"))
    more = "_kind" if where == "predicted" else ""
    return " UNION ALL ".join(
        f"SELECT id, {_line(kind_name, some, more)} AS line FROM {relation} WHERE {test}" for some, test in parts
    )


def _held(manifest: Manifest, mapping: Mapping, kind_name: str, variant: str) -> set[str]:
    """Return the fields that verify compares in records of this variant."""
    write = manifest.write(kind_name, variant)
    verbs = next((each.fields for each in mapping.kinds.get(kind_name, ()) if each.name == variant), {})
    return {label for label in verbs if write and is_compared(Field(), write.fields.get(label))}


def _line(kind_name: str, fields: dict[str, Field], source_kind: str = "") -> str:
    values = ", ".join(f"{quoted(label)}, {_value(fields[label], name(label))}" for label in sorted(fields))
    more = f", 'source_kind', {source_kind}" if source_kind else ""
    return f"CAST(json_object('fields', json_object({values}), 'id', id, 'kind', {quoted(kind_name)}{more}) AS VARCHAR)"


def _value(spec: Field, column: str) -> str:
    """Return a column as JSON is to hold it; a number that is not whole as text, which every language writes alike."""
    if spec.type == "timestamp":
        return f"replace(CAST({column} AS VARCHAR), ' ', 'T') || 'Z'"
    if spec.type in ("number", "date"):
        return f"CAST({column} AS VARCHAR)"
    if spec.type == "map":
        return f"COALESCE(TRY_CAST({column} AS JSON), to_json({column}))"
    if spec.type in ("list", "refs") and spec.unordered:
        return f"list_sort({column})"
    return column


def digested(stage: Stage, lines: str) -> tuple[int, str]:
    """Return the number and the digest of the rows, in whatever order they lie."""
    count, whole = 0, hashlib.sha256()
    for rows, some in stage.stream(  # sorted by their first digits, then within: twice as fast as row by row
        "SELECT count(*), string_agg(h || chr(10), '' ORDER BY h) "
        f"FROM (SELECT sha256(line) AS h FROM ({lines})) GROUP BY left(h, 3) ORDER BY left(h, 3)"
    ):
        whole.update(some.encode())
        count += rows
    return count, whole.hexdigest()


def sorted_digest(rows: Iterable[str]) -> str:
    """Return the sha256 of the rows' digests in hexadecimal, sorted, a line each."""
    return hashlib.sha256("".join(row + "\n" for row in sorted(rows)).encode()).hexdigest()


def export(steps: Steps, out: Path) -> dict[str, int]:
    """Write what was read back as lines of JSON, gzipped where the name ends in .gz; return the number by kind."""
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError("an export is a .jsonl or a .jsonl.gz file", file=str(out), remedy="name it so")
    if not steps.workspace.stage.is_file():
        raise InputError("nothing is extracted yet", remedy="run `migrator extract` first")
    side, counts = steps.project.destination, {}
    part = out.with_name(out.name + ".part")
    with Stage(steps.workspace.stage) as stage:
        if not stage.tables_of(CANONICAL):
            raise InputError("nothing is read back yet", remedy="run `migrator verify` first")
        try:
            with part.open("wb") as plain, _written(plain, zipped=out.name.endswith(".gz")) as file:
                for kind_name in side.connector.kinds.in_order():
                    counts[kind_name] = 0
                    lines = lines_of(side, "read_back", kind_name)
                    for (line,) in stage.stream(f"SELECT line FROM ({lines}) ORDER BY length(id), id, line"):
                        file.write(line.encode() + b"\n")
                        counts[kind_name] += 1
            part.replace(out)
        except OSError as err:
            part.unlink(missing_ok=True)
            raise WorkspaceError(f"{out} cannot be written: {err}") from err
    return counts


def _written(plain: IO[bytes], *, zipped: bool) -> Any:
    """Return the file to write into; gzipped without name and time, so that equal records make equal bytes."""
    return gzip.GzipFile("", "wb", 6, plain, mtime=0) if zipped else plain


class Rows:
    """The digests of a kind's rows, in any order; beyond ``HELD`` of them they wait in temporary files, sorted."""

    def __init__(self) -> None:
        self.count, self._held, self._files = 0, list[bytes](), list[IO[bytes]]()

    def add(self, row: bytes) -> None:
        """Take one row's digest."""
        self.count += 1
        self._held.append(row)
        if len(self._held) >= HELD:
            self._files.append(tempfile.TemporaryFile())
            self._files[-1].write(b"".join(sorted(self._held)))
            self._held.clear()

    def digest(self) -> str:
        """Return the digest over all rows."""
        whole = hashlib.sha256()
        for row in heapq.merge(sorted(self._held), *(self._again(file) for file in self._files)):
            whole.update(row.hex().encode() + b"\n")
        for file in self._files:
            file.close()
        return whole.hexdigest()

    @staticmethod
    def _again(file: IO[bytes]) -> Iterator[bytes]:
        file.seek(0)
        return iter(lambda: file.read(hashlib.sha256().digest_size), b"")


def opened(file: Path) -> IO[bytes]:
    """Open an export for reading, gzipped or not, whatever its name."""
    with file.open("rb") as begin:
        zipped = begin.read(2) == b"\x1f\x8b"
    return gzip.open(file, "rb") if zipped else file.open("rb")  # type: ignore[return-value]
