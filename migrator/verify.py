"""The third long run: the destination, read back through its source side, is compared with the prediction in SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from migrator.compile import name, quoted
from migrator.connector import Source
from migrator.extract import canonicalize, download, extract
from migrator.kinds import Field, Kinds
from migrator.ledger import Ledger
from migrator.losses import differs
from migrator.manifest import Keep, Manifest
from migrator.mapping import Mapping
from migrator.project import Workspace
from migrator.stage import Stage

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
    dataset: str = DATASET,
    canonical: str = CANONICAL,
) -> None:
    """Read the destination into the stage, anew, with the attachments' bytes."""
    extract(source, workspace, dataset=dataset, progress=progress)
    with Stage(workspace.stage) as stage:
        canonicalize(stage, kinds, mapping, raw=dataset, into=canonical)
    if bytes_too:
        download(source, workspace, kinds, canonical=canonical, dataset=dataset, progress=progress)


def compare(
    stage: Stage, ledger: Ledger, kinds: Kinds, manifest: Manifest, mapping: Mapping, *, canonical: str = CANONICAL
) -> Verified:
    """Compare what is at the destination with what was predicted; the differences lie in ``verify.discrepancy``."""
    stage.schema("verify", fresh=True)
    stage.run(
        "CREATE TABLE verify.identity (kind VARCHAR, source VARCHAR, destination VARCHAR, key VARCHAR, how VARCHAR, "
        "as_kind VARCHAR)"
    )
    stage.insert("verify.identity", ledger.identities())
    stage.run(
        "CREATE TABLE verify.discrepancy (kind VARCHAR, id VARCHAR, field VARCHAR, expected VARCHAR, found VARCHAR)"
    )
    records = missing = pending = unchecked = 0
    for kind_name in kinds.in_order():
        pairs = (
            f"predicted.{name(kind_name)} r JOIN plan.planned p ON p.id = r.id AND p.kind = r._kind "
            f"AND p.as_kind = {quoted(kind_name)} "
            f"AND p.action IN ('create', 'keep') LEFT JOIN verify.identity i ON i.kind = r._kind AND i.source = r.id "
            f"LEFT JOIN {canonical}.{name(kind_name)} f ON f.id = i.destination"
        )
        counts = stage.rows(
            "SELECT count(*), count(*) FILTER (i.source IS NULL), "
            f"count(*) FILTER (i.source IS NOT NULL AND f.id IS NULL) FROM {pairs}"
        )[0]
        records, pending, missing = records + counts[0] - counts[1], pending + counts[1], missing + counts[2]
        unchecked += stage.one(
            f"SELECT count(*) FROM plan.planned p WHERE p.as_kind = {quoted(kind_name)} AND p.known AND NOT EXISTS "
            f"(SELECT 1 FROM predicted.{name(kind_name)} r WHERE r.id = p.id AND r._kind = p.kind)"
        )
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
                if verb is None or spec.private or not _compared(spec, keep):
                    continue
                where = f"(p.action = 'create' OR p.known) AND f.id IS NOT NULL AND r.variant = {quoted(variant)}"
                _field(stage, kinds, kind_name, label, spec, keep, pairs, where)
    differences = int(stage.one("SELECT count(*) FROM verify.discrepancy"))
    unequal = int(stage.one("SELECT count(*) FROM (SELECT DISTINCT kind, id FROM verify.discrepancy)"))
    return Verified(int(records), int(records) - unequal, int(missing), int(pending), differences, int(unchecked))


def _compared(spec: Field, keep: Keep | None) -> bool:
    """Only what we write, or what follows from what we write, is predicted; the rest is the vendor's own."""
    return keep is not None and (keep.write != "never" or keep.follows is not None)


def _field(
    stage: Stage, kinds: Kinds, kind_name: str, label: str, spec: Field, keep: Keep | None, pairs: str, where: str
) -> None:
    column = name(label)
    if spec.type == "map":
        _custom(stage, label, spec.keyed_by or "", pairs, where, kind_name)
        return
    expected, found = f"r.{column}", f"f.{column}"
    if spec.to:
        named = [k for to in spec.to for k in (to, *(o for o, kind in kinds.kinds.items() if kind.stands_in == to))]
        of = ", ".join(quoted(k) for k in dict.fromkeys(named))
        names = (
            "(SELECT source, min(destination) AS destination FROM verify.identity "
            f"WHERE kind IN ({of}) GROUP BY source)"
        )
        if spec.type == "ref":
            pairs += f" LEFT JOIN {names} n ON n.source = r.{column}"
            expected = f"COALESCE(n.destination, 'source ' || r.{column})"
        else:
            pairs += (
                " LEFT JOIN (SELECT x.id, list_sort(list(n.destination)) AS some "
                f"FROM (SELECT id, unnest({column}) AS one FROM predicted.{name(kind_name)}) x "
                f"JOIN {names} n ON n.source = x.one GROUP BY x.id) n ON n.id = r.id"
            )
            expected, found = "n.some", f"list_sort(f.{column})"
    test = differs(spec, expected, found)
    if spec.type == "boolean":
        test = f"COALESCE({expected}, FALSE) <> COALESCE({found}, FALSE)"
    if keep and keep.fills:
        test += f" AND {expected} IS NOT NULL"
    stage.run(
        f"INSERT INTO verify.discrepancy SELECT r._kind, r.id, {quoted(label)}, CAST({expected} AS VARCHAR), "
        f"CAST({found} AS VARCHAR) FROM {pairs} WHERE {where} AND {test}"
    )


def _custom(stage: Stage, label: str, fields: str, pairs: str, where: str, kind_name: str) -> None:
    """Compare custom values one field at a time, the field's own identity translated."""

    def exploded(side: str) -> str:
        return (
            "SELECT kind, id, e.key AS k, CAST(e.value AS VARCHAR) AS v "
            "FROM (SELECT r._kind AS kind, r.id, unnest(map_entries(CAST("
            f"CAST({side}.{name(label)} AS JSON) AS MAP(VARCHAR, JSON)))) AS e FROM {pairs} WHERE {where} "
            f"AND {side}.{name(label)} IS NOT NULL)"
        )

    wanted = (
        f"SELECT x.kind, x.id, n.destination AS k, x.v FROM ({exploded('r')}) x "
        f"LEFT JOIN verify.identity n ON n.kind = {quoted(fields)} AND n.source = x.k"
    )
    ours = f"SELECT destination FROM verify.identity WHERE kind = {quoted(fields)}"
    stage.run(
        "INSERT INTO verify.discrepancy SELECT COALESCE(s.kind, d.kind), COALESCE(s.id, d.id), "
        f"{quoted(label + ': ')} || COALESCE(s.k, d.k, '?'), s.v, d.v "
        f"FROM ({wanted}) s FULL JOIN (SELECT * FROM ({exploded('f')}) WHERE k IN ({ours})) d "
        "ON d.kind = s.kind AND d.id = s.id AND d.k = s.k WHERE s.v IS DISTINCT FROM d.v"
    )


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
                "expected": expected,
                "found": held,
            }
        )
    return found
