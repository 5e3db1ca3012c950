"""Two versions of the same records compared field by field, where one names others by our ids and one by theirs."""

from __future__ import annotations

from functools import cache

from migrator.compile import name, quoted
from migrator.kinds import Field, Kinds
from migrator.ledger import Identity
from migrator.losses import differs
from migrator.manifest import Keep
from migrator.rules.records import same
from migrator.stage import Stage
from migrator.translate import field_ids, there


def compare_field(
    stage: Stage,
    kinds: Kinds,
    label: str,
    spec: Field,
    keep: Keep | None,
    pairs: str,
    where: str,
    expected_in: str,
    schema: str,
) -> None:
    """Add to ``<schema>.discrepancy`` where the field of ``r`` (ours, of ``expected_in``) and of ``f`` (theirs) differ.

    ``pairs`` joins the two; ``<schema>.identity`` names every record on both sides.
    """
    column = name(label)
    if spec.type == "rule":
        _rules(stage, label, pairs, where, schema)
        return
    if spec.type == "map":
        _custom(stage, label, spec.keyed_by or "", pairs, where, schema)
        return
    expected, found = f"r.{column}", f"f.{column}"
    if spec.to:
        named = [k for to in spec.to for k in (to, *(o for o, kind in kinds.kinds.items() if kind.stands_in == to))]
        of = ", ".join(quoted(k) for k in dict.fromkeys(named))
        names = (
            f"(SELECT source, min(destination) AS destination FROM {schema}.identity "
            f"WHERE kind IN ({of}) GROUP BY source)"
        )
        if spec.type == "ref":
            pairs += f" LEFT JOIN {names} n ON n.source = r.{column}"
            expected = f"COALESCE(n.destination, 'source ' || r.{column})"
        else:
            pairs += (
                " LEFT JOIN (SELECT x.id, list_sort(list(n.destination)) AS some "
                f"FROM (SELECT id, unnest({column}) AS one FROM {expected_in}) x "
                f"JOIN {names} n ON n.source = x.one GROUP BY x.id) n ON n.id = r.id"
            )
            expected, found = "n.some", f"list_sort(f.{column})"
    test = differs(spec, f"NULLIF({expected}, [])" if spec.type == "list" else expected, found)
    if spec.type == "boolean":
        test = f"COALESCE({expected}, FALSE) <> COALESCE({found}, FALSE)"
    if keep and keep.fills:
        test += f" AND {expected} IS NOT NULL"
    stage.run(
        f"INSERT INTO {schema}.discrepancy SELECT r._kind, r.id, {quoted(label)}, CAST({expected} AS VARCHAR), "
        f"CAST({found} AS VARCHAR) FROM {pairs} WHERE {where} AND {test}"
    )


def _rules(stage: Stage, label: str, pairs: str, where: str, schema: str) -> None:
    """Compare rules, with the names that the records they speak of have at the destination."""
    column = name(label)
    columns = f"SELECT r._kind, r.id, r.{column}, f.{column} FROM {pairs} WHERE {where}"
    rows = stage.rows(f"{columns} AND r.{column} IS DISTINCT FROM f.{column}")
    fields = field_ids(stage) if rows else {}

    @cache
    def known(kind: str, id: str) -> Identity | None:
        sql = (
            f"SELECT kind, source, destination, key, how, as_kind FROM {schema}.identity WHERE kind = ? AND source = ?"
        )
        found = stage.rows(sql, kind, id)
        return Identity(*found[0][:6]) if found else None

    differ = [row for row in rows if not same(row[2], row[3], lambda kind, id: there(kind, id, fields, known))]
    stage.insert(f"{schema}.discrepancy", [[kind, id, label, was, found] for kind, id, was, found in differ])


def exploded(label: str, side: str, pairs: str, where: str) -> str:
    """Return the SELECT of custom values one by one: ``kind, id, k, v``."""
    entries = f"unnest(map_entries(CAST(CAST({side}.{name(label)} AS JSON) AS MAP(VARCHAR, JSON))))"
    return (
        "SELECT kind, id, e.key AS k, CAST(e.value AS VARCHAR) AS v "
        f"FROM (SELECT r._kind AS kind, r.id, {entries} AS e FROM {pairs} WHERE {where} "
        f"AND {side}.{name(label)} IS NOT NULL)"
    )


def _custom(stage: Stage, label: str, fields: str, pairs: str, where: str, schema: str) -> None:
    """Compare custom values one field at a time, the field's own identity translated."""
    wanted = (
        f"SELECT x.kind, x.id, n.destination AS k, x.v FROM ({exploded(label, 'r', pairs, where)}) x "
        f"LEFT JOIN {schema}.identity n ON n.kind = {quoted(fields)} AND n.source = x.k"
    )
    ours = f"SELECT destination FROM {schema}.identity WHERE kind = {quoted(fields)}"
    stage.run(
        f"INSERT INTO {schema}.discrepancy SELECT COALESCE(s.kind, d.kind), COALESCE(s.id, d.id), "
        f"{quoted(label + ': ')} || COALESCE(s.k, d.k, '?'), s.v, d.v "
        f"FROM ({wanted}) s FULL JOIN (SELECT * FROM ({exploded(label, 'f', pairs, where)}) WHERE k IN ({ours})) d "
        "ON d.kind = s.kind AND d.id = s.id AND d.k = s.k WHERE s.v IS DISTINCT FROM d.v"
    )
