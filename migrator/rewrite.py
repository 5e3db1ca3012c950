"""The rewrite register: every address that changes, put right in what travels, each place on record, applied or left.

Works on the canonical records before they are planned, so that plan, prediction and digest are of what will be written.
Bytes that change are a blob of their own beside the old one; what a file holds is kept, and not looked for again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from migrator.addresses import (
    APPLIED,
    BINARY,
    LOOKS_AHEAD,
    LOOKS_BACK,
    TOO_LONG,
    Addresses,
    Change,
    Rewritten,
    is_text,
)
from migrator.blobs import keep
from migrator.compile import name
from migrator.kinds import Field, Kinds
from migrator.stage import Stage
from migrator.workspace import Workspace

MOST_BYTES = 2**24  # of a file that is rewritten; it lies in memory meanwhile
PIECE_BYTES = 2**20
PLACES = "rewrite.place"


def rules_digest(changes: Sequence[Change]) -> str:
    """Return the sha256 of what is to change."""
    return hashlib.sha256(json.dumps([change.model_dump() for change in changes]).encode()).hexdigest()


def rewrite(stage: Stage, kinds: Kinds, changes: Sequence[Change], workspace: Workspace) -> None:
    """Put right the records of ``canonical``, and fill the register: one line a record, field, change and outcome."""
    if not (changes or stage.tables_of("rewrite")):
        return
    stage.schema("rewrite")
    stage.table(
        PLACES,
        "kind VARCHAR, id VARCHAR, field VARCHAR, line BIGINT, what VARCHAR, old VARCHAR, new VARCHAR, times BIGINT, "
        "why VARCHAR",
    )
    stage.run(
        "CREATE TABLE IF NOT EXISTS rewrite.file "
        "(key VARCHAR PRIMARY KEY, becomes VARCHAR, size VARCHAR, found VARCHAR)"
    )
    if not changes:
        return
    addresses = Addresses(changes)
    for kind_name, kind in kinds.kinds.items():
        for label, spec in kind.fields.items():
            if not spec.rewrite:
                continue
            if spec.type == "blob":
                sized = "size" if "size" in kind.fields else None
                _files(stage, addresses, workspace, kind_name, label, sized)
            else:
                _values(stage, addresses, kind_name, label, spec)


def register(stage: Stage) -> Iterator[dict[str, Any]]:
    """Yield the register's lines; ``why`` is empty where the new value was put in."""
    if "place" not in stage.tables_of("rewrite"):
        return
    columns = ("kind", "id", "field", "line", "what", "old", "new", "times", "why")
    for row in stage.stream(f"SELECT {', '.join(columns)} FROM {PLACES} ORDER BY ALL"):
        yield dict(zip(columns, row, strict=True))


def totals(stage: Stage) -> list[dict[str, Any]]:
    """Return each change with how often, and in how many records, it was applied and left."""
    if "place" not in stage.tables_of("rewrite"):
        return []
    rows = stage.rows(
        "SELECT what, old, new, COALESCE(sum(times) FILTER (why = ''), 0), COALESCE(sum(times) FILTER (why <> ''), 0), "
        f"count(DISTINCT (kind, id)) FROM {PLACES} GROUP BY ALL ORDER BY what, old"
    )
    columns = ("what", "old", "new", "applied", "left", "records")
    return [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)


def _lines(
    addresses: Addresses, kind_name: str, id: str, label: str, found: dict[tuple[int, str], tuple[int, int]]
) -> Iterator[list[Any]]:
    for (number, why), (times, line) in sorted(found.items()):
        change = addresses.changes[number]
        yield [kind_name, id, label, str(line), change.what, change.old, change.new, str(times), why]


def _values(stage: Stage, addresses: Addresses, kind_name: str, label: str, spec: Field) -> None:
    """Put right a text, or every text of a list."""
    relation, column = f"canonical.{name(kind_name)}", name(label)
    changed: list[list[Any]] = []
    lines: list[list[Any]] = []
    for id, value in stage.stream(f"SELECT id, {column} FROM {relation} WHERE {column} IS NOT NULL ORDER BY id"):
        some = value if isinstance(value, list) else [value]
        done = [addresses.rewrite(str(one).encode("utf-8", "surrogatepass")) for one in some]
        texts = [one.text.decode("utf-8", "surrogatepass") for one in done]
        for one in done:
            lines += _lines(addresses, kind_name, id, label, one.found)
        if texts != some:
            changed.append([id, json.dumps(texts, ensure_ascii=False)])
    stage.insert(PLACES, lines)
    stage.table("rewrite.changed", "id VARCHAR, texts VARCHAR")
    stage.insert("rewrite.changed", changed)
    texts_ = "from_json(r.texts, '[\"VARCHAR\"]')"
    becomes = texts_ if spec.type == "list" else f"{texts_}[1]"
    stage.run(f"UPDATE {relation} SET {column} = {becomes} FROM rewrite.changed r WHERE r.id = {relation}.id")
    stage.run("DROP TABLE rewrite.changed")


def _files(
    stage: Stage, addresses: Addresses, workspace: Workspace, kind_name: str, label: str, sized: str | None
) -> None:
    """Put right the bytes of records, each content once."""
    relation, column, rules = f"canonical.{name(kind_name)}", name(label), rules_digest(addresses.changes)
    known = dict(stage.rows("SELECT key, key FROM rewrite.file WHERE starts_with(key, ?)", f"{rules}:"))
    todo = stage.rows(f"SELECT DISTINCT {column} FROM {relation} WHERE {column} IS NOT NULL ORDER BY 1")
    made: list[list[Any]] = []
    for (digest,) in todo:
        if f"{rules}:{digest}" in known:
            continue
        done = _file(addresses, workspace.blob(digest))
        changed = any(why == APPLIED for _, why in done.found)
        becomes = keep(workspace, done.text) if changed else digest
        found = [[number, why, times, line] for (number, why), (times, line) in sorted(done.found.items())]
        made.append([f"{rules}:{digest}", becomes, str(len(done.text)) if changed else None, json.dumps(found)])
    stage.replace("rewrite.file", made)
    lines: list[list[Any]] = []
    of = f"FROM {relation} c JOIN rewrite.file f ON f.key = ? || ':' || c.{column}"
    for id, found in stage.stream(f"SELECT c.id, f.found {of} WHERE f.found <> '[]' ORDER BY 1", rules):
        told = {(number, why): (times, line) for number, why, times, line in json.loads(found)}
        lines += _lines(addresses, kind_name, id, label, told)
    stage.insert(PLACES, lines)
    size = f", {name(sized)} = CAST(f.size AS BIGINT)" if sized else ""
    stage.run(
        f"UPDATE {relation} SET {column} = f.becomes{size} FROM rewrite.file f "
        f"WHERE f.key = ? || ':' || {relation}.{column} AND f.size IS NOT NULL",
        rules,
    )


def _file(addresses: Addresses, path: Path) -> Rewritten:
    """Return what becomes of a file; one too large, or no text, stays, and what stands in it is told."""
    with path.open("rb") as file:
        beginning = file.read(8192)
        why = TOO_LONG if path.stat().st_size > MOST_BYTES else "" if is_text(beginning) else BINARY
        if not why:
            return addresses.rewrite(beginning + file.read())
        return Rewritten(b"", _in_pieces(addresses, file, beginning, why))


def _in_pieces(addresses: Addresses, file: IO[bytes], piece: bytes, why: str) -> dict[tuple[int, str], tuple[int, int]]:
    """Return what stands in a file of any size: looked at in pieces, each with a little of the one before."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    begin = lines = 0
    while piece:
        more = file.read(PIECE_BYTES)
        end = max(begin, len(piece) - addresses.longest - LOOKS_AHEAD) if more else len(piece)
        for (number, _), (times, line) in addresses.left(piece, why, begin=begin, end=end).found.items():
            was = found.get((number, why), (0, lines + line))
            found[number, why] = (was[0] + times, was[1])
        kept = max(0, end - LOOKS_BACK)
        lines += piece.count(b"\n", 0, kept)
        begin, piece = end - kept, piece[kept:] + more if more else b""
    return found
