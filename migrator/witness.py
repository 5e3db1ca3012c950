"""What `verify` saw of values that no prediction tells: whether people changed a record since is told by these.

An archive says nothing of what a server reckons over its tables. So the first reading after the bytes were written
stands in for it; later ones see what people have done meanwhile, and are not taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from migrator.compile import name, quoted
from migrator.kinds import Kinds
from migrator.manifest import Manifest
from migrator.stage import Stage

SEEN = "witness.seen"


def note(stage: Stage, kinds: Kinds, manifest: Manifest, canonical: str, undone: Sequence[tuple[str, str]]) -> None:
    """Note, after a comparison, what a reading of the destination holds. ``undone``: records (kind, id) that are not
    as predicted yet."""
    stage.schema("witness")
    stage.run(
        f"CREATE TABLE IF NOT EXISTS {SEEN} (kind VARCHAR, id VARCHAR, bytes VARCHAR, field VARCHAR, value VARCHAR)"
    )
    left = {tuple(pair) for pair in undone}
    left.update(stage.rows("SELECT kind, id FROM verify.discrepancy"))
    for kind_name, blob, seen_by in _told_by(kinds, manifest):
        silent = " AND ".join(f"r.{name(by)} IS NULL" for by in seen_by)
        for by in seen_by:
            nothing = "'[]'" if kinds.kinds[kind_name].fields[by].type == "list" else "NULL"
            rows = stage.rows(
                f"SELECT r._kind, r.id, r.{name(blob)}, {quoted(by)}, COALESCE(CAST(to_json(f.{name(by)}) AS VARCHAR), "
                f"{nothing}) FROM predicted.{name(kind_name)} r JOIN verify.identity i ON i.kind = r._kind "
                f"AND i.source = r.id AND i.how = 'created' JOIN {canonical}.{name(kind_name)} f "
                f"ON f.id = i.destination WHERE {silent} AND r.{name(blob)} IS NOT NULL "
                f"AND (r._kind, r.id, r.{name(blob)}, {quoted(by)}) "
                f"NOT IN (SELECT (kind, id, bytes, field) FROM {SEEN})"
            )
            stage.insert(SEEN, [list(row) for row in rows if row[:2] not in left])


def fill(stage: Stage, kinds: Kinds, manifest: Manifest) -> None:
    """Put what was noted into the predictions of what earlier loads wrote."""
    if "seen" not in stage.tables_of("witness"):
        return
    made = stage.tables_of("earlier")
    told = ((kind_name, blob, by) for kind_name, blob, seen_by in _told_by(kinds, manifest) for by in seen_by)
    for kind_name, blob, by in told:
        if kind_name in made:
            column = kinds.kinds[kind_name].fields[by].column
            stage.run(
                f"UPDATE earlier.{name(kind_name)} AS e SET {name(by)} = CAST(CAST(w.value AS JSON) AS {column}) "
                f"FROM {SEEN} w WHERE w.kind = e._kind AND w.id = e.id AND w.bytes = e.{name(blob)} "
                f"AND w.field = {quoted(by)} AND e.{name(by)} IS NULL"
            )


def _told_by(kinds: Kinds, manifest: Manifest) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield (kind, bytes, the fields that tell whether people changed them)."""
    pairs: Iterable[tuple[str, str, tuple[str, ...]]] = (
        (write.kind, label, keep.seen_by)
        for write in manifest.writes
        for label, keep in write.fields.items()
        if keep.seen_by and write.kind in kinds.kinds
    )
    yield from dict.fromkeys(pairs)
