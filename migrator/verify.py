"""The third long run: the destination, read back through its source side, is compared with the prediction in SQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from migrator.blobs import download
from migrator.compile import name, quoted
from migrator.connector import PLACE, Source
from migrator.differences import compare_field
from migrator.extract import canonicalize, extract
from migrator.kinds import Field, Kinds
from migrator.ledger import Ledger
from migrator.manifest import Keep, Manifest
from migrator.mapping import Mapping
from migrator.seals import shown_in
from migrator.stage import Stage
from migrator.workspace import Workspace

DATASET = "back"
CANONICAL = "back_canonical"


@dataclass(frozen=True)
class Verified:
    """How many records were compared, how many equal their prediction, and every difference."""

    records: int
    equal: int
    missing: int
    pending: int  # planned, but not written (yet): quarantined, or the load has not come to them
    discrepancies: int
    unchecked: int = 0  # written by an earlier load whose prediction is gone: nothing is said of them

    @property
    def proven(self) -> bool:
        """Tell whether everything planned is there and as predicted."""
        return self.discrepancies == 0 and self.pending == 0 and self.unchecked == 0


def read_back(
    source: Source,
    workspace: Workspace,
    kinds: Kinds,
    mapping: Mapping,
    *,
    progress: Callable[[str, int], None] = lambda stream, records: None,
    bytes_too: bool = True,
    sleep: Callable[[float], None] = time.sleep,
    dataset: str = DATASET,
    canonical: str = CANONICAL,
) -> None:
    """Read the destination into the stage, anew, with the attachments' bytes."""
    extract(source, workspace, dataset=dataset, progress=progress, sleep=sleep, anew=True)
    with Stage(workspace.stage) as stage:
        canonicalize(stage, kinds, mapping, raw=dataset, into=canonical)
    if bytes_too:
        download(source, workspace, kinds, canonical=canonical, dataset=dataset, progress=progress)


def compare(
    stage: Stage,
    ledger: Ledger,
    kinds: Kinds,
    manifest: Manifest,
    mapping: Mapping,
    *,
    canonical: str = CANONICAL,
    planned: str = "plan.planned",
) -> Verified:
    """Compare what is at the destination with what was predicted; the differences lie in ``verify.discrepancy``."""
    stage.schema("verify", fresh=True)
    stage.run(
        "CREATE TABLE verify.identity (kind VARCHAR, source VARCHAR, destination VARCHAR, key VARCHAR, how VARCHAR, "
        "as_kind VARCHAR)"
    )
    for part in ledger.identities_in_parts():
        stage.insert("verify.identity", part)
    _placed(stage, kinds, canonical)
    stage.run(
        "CREATE TABLE verify.discrepancy (kind VARCHAR, id VARCHAR, field VARCHAR, expected VARCHAR, found VARCHAR)"
    )
    records = missing = pending = unchecked = 0
    filled = stage.filled("predicted")
    known = {row[0] for row in stage.rows(f"SELECT DISTINCT as_kind FROM {planned} WHERE known")}
    for kind_name in kinds.in_order():
        if kind_name in known:
            unchecked += stage.one(
                f"SELECT count(*) FROM {planned} p WHERE p.as_kind = {quoted(kind_name)} AND p.known AND NOT EXISTS "
                f"(SELECT 1 FROM predicted.{name(kind_name)} r WHERE r.id = p.id AND r._kind = p.kind)"
            )
        if kind_name not in filled:
            continue
        pairs = (
            f"predicted.{name(kind_name)} r JOIN {planned} p ON p.id = r.id AND p.kind = r._kind "
            f"AND p.as_kind = {quoted(kind_name)} AND p.action IN ('create', 'keep', 'update') "
            "LEFT JOIN verify.identity i ON i.kind = r._kind AND i.source = r.id "
            f"LEFT JOIN {canonical}.{name(kind_name)} f ON f.id = i.destination"
        )
        counts = stage.rows(
            "SELECT count(*), count(*) FILTER (i.source IS NULL), "
            f"count(*) FILTER (i.source IS NOT NULL AND f.id IS NULL) FROM {pairs}"
        )[0]
        records, pending, missing = records + counts[0] - counts[1], pending + counts[1], missing + counts[2]
        stage.run(
            "INSERT INTO verify.discrepancy SELECT r._kind, r.id, '(record)', 'there, as ' || i.destination, NULL "
            f"FROM {pairs} "
            "WHERE i.source IS NOT NULL AND f.id IS NULL"
        )
        for (variant,) in stage.rows(f"SELECT DISTINCT variant FROM predicted.{name(kind_name)}"):
            write = manifest.write(kind_name, variant)
            for label, spec in kinds.kinds[kind_name].fields.items():
                keep = write.fields.get(label) if write else None
                verb = next((v.fields.get(label) for v in mapping.kinds.get(kind_name, ()) if v.name == variant), None)
                if verb is None or spec.private or not is_compared(spec, keep):
                    continue
                where = f"(p.action = 'create' OR p.known) AND f.id IS NOT NULL AND r.variant = {quoted(variant)}"
                expected = f"predicted.{name(kind_name)}"
                compare_field(stage, kinds, label, spec, keep, pairs, where, expected, "verify")
    differences = int(stage.one("SELECT count(*) FROM verify.discrepancy"))
    unequal = int(stage.one("SELECT count(*) FROM (SELECT DISTINCT kind, id FROM verify.discrepancy)"))
    return Verified(int(records), int(records) - unequal, int(missing), int(pending), differences, int(unchecked))


def _placed(stage: Stage, kinds: Kinds, canonical: str) -> None:
    """Give records that are known by their place alone the ids they have at the destination."""
    stage.run("ALTER TABLE verify.identity ADD COLUMN placed VARCHAR")
    stage.run(f"UPDATE verify.identity SET placed = destination WHERE starts_with(destination, {quoted(PLACE)})")
    for kind_name in kinds.in_order():
        kind = kinds.kinds[kind_name]
        marked = "SELECT 1 FROM verify.identity WHERE kind = ? AND placed IS NOT NULL LIMIT 1"
        if not kind.owner or not stage.one(marked, kind_name):
            continue
        sequence = [name(label) for label, spec in kind.fields.items() if spec.sequence]
        order = ", ".join([f"f.{column}" for column in sequence] + ["length(f.id)", "f.id"])
        owner = quoted(kind.fields[kind.owner].to[0])
        ranked = (
            f"SELECT f.id, {quoted(PLACE)} || COALESCE(o.placed, f.{name(kind.owner)}) || ':' || "
            f"row_number() OVER (PARTITION BY f.{name(kind.owner)} ORDER BY {order}) AS at "
            f"FROM {canonical}.{name(kind_name)} f "
            f"LEFT JOIN verify.identity o ON o.kind = {owner} AND o.destination = f.{name(kind.owner)}"
        )
        stage.run(
            f"UPDATE verify.identity SET destination = r.id FROM ({ranked}) r "
            f"WHERE verify.identity.kind = {quoted(kind_name)} AND verify.identity.placed = r.at"
        )


def is_compared(spec: Field, keep: Keep | None) -> bool:
    """Only what we write, or what follows from what we write, is predicted; the rest is the vendor's own."""
    return keep is not None and not keep.moves and (keep.write != "never" or keep.follows is not None)


def discrepancies(stage: Stage, kinds: Kinds, *, most: int | None = None) -> list[dict[str, Any]]:
    """Return the differences, with the record's label."""
    limit = f" LIMIT {int(most)}" if most else ""
    found = []
    for kind_name, id, label, expected, held in stage.rows(
        f"SELECT * FROM verify.discrepancy ORDER BY kind, length(id), id, field{limit}"
    ):
        title = kinds.kinds[kind_name].label
        shown = stage.one(f"SELECT {name(title)} FROM canonical.{name(kind_name)} WHERE id = ?", id) if title else None
        found.append(
            {
                "kind": kind_name,
                "id": id,
                "label": str(shown or ""),
                "field": label,
                "expected": shown_in(expected),
                "found": shown_in(held),
            }
        )
    return found
