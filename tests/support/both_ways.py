"""There and back: what is another value afterwards, although neither plan had said so."""

from __future__ import annotations

from migrator.compile import name, quoted
from migrator.ledger import Ledger
from migrator.losses import differs
from migrator.stage import Stage
from migrator.steps import Steps


def undeclared(first: Steps, second: Steps) -> tuple[list[tuple[object, ...]], int]:
    """Return the fields of two migrations, one after the other, that changed without being told, and how many were
    compared: (kind, field, id, was, became). The second plan's prediction stands for what is there, once verified.
    """
    kinds = first.project.source.connector.kinds
    with Ledger(first.workspace.ledger) as one, Ledger(second.workspace.ledger) as two:
        names = [list(row[:3]) for row in one.identities()]
        further = [list(row[:3]) for row in two.identities()]
    found: list[tuple[object, ...]] = []
    compared = 0
    with Stage(second.workspace.stage) as stage:
        stage.connection.execute(f"ATTACH {quoted(str(first.workspace.stage))} AS first (READ_ONLY)")
        stage.schema("way", fresh=True)
        for table, rows in (("one", names), ("two", further)):
            stage.run(f"CREATE TABLE way.{table} (kind VARCHAR, source VARCHAR, destination VARCHAR)")
            stage.insert(f"way.{table}", rows)
        for kind_name, kind in kinds.kinds.items():
            # A record the first plan wrote, by its three names; what each plan predicted of it.
            pairs = (
                f"first.canonical.{name(kind_name)} a "
                f"JOIN way.one i ON i.kind = {quoted(kind_name)} AND i.source = a.id "
                f"JOIN first.predicted.{name(kind_name)} p ON p.id = a.id AND p._kind = {quoted(kind_name)} "
                f"JOIN canonical.{name(kind_name)} b ON b.id = i.destination "
                f"JOIN predicted.{name(kind_name)} q ON q.id = b.id AND q._kind = {quoted(kind_name)}"
            )
            for label, spec in kind.fields.items():
                if spec.private or spec.to or spec.type == "map" or label == kind.owner:
                    continue
                column = name(label)
                changed = differs(spec, f"a.{column}", f"q.{column}")
                said = f"{differs(spec, f'a.{column}', f'p.{column}')} OR {differs(spec, f'b.{column}', f'q.{column}')}"
                rows = stage.rows(
                    f"SELECT a.id, CAST(a.{column} AS VARCHAR), CAST(q.{column} AS VARCHAR) FROM {pairs} "
                    f"WHERE {changed} AND NOT ({said})"
                )
                found += [(kind_name, label, *row) for row in rows]
                compared += int(stage.one(f"SELECT count(*) FROM {pairs}"))
    return found, compared
