"""Kinds, mappings and writes of one field, and the law they are held to: written and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from migrator.compile import canonical_sql, name
from migrator.kinds import Kind
from migrator.manifest import Write
from migrator.mapping import Variant
from migrator.native import native_sql
from migrator.stage import Stage

FIELDS = "id VARCHAR, applies_to VARCHAR, key VARCHAR, type VARCHAR, options VARCHAR[], option_keys VARCHAR[]"

HOSTILE = [
    "'; DROP TABLE x;--", "' OR ''='", '"', "''", '""', "\\", "\\'", "\\n", "%s", "{0}", "{id}", "{{}}", "$.a",
    '$."a"[*]', "@id", "^.id",
    "@value", "null", "NULL", "true", "[]", "{}", '["a"]', '{"a": 1}', "a.b", "*", "\x01\x1b[31m", "\x1f", "\x7f", "\t",
    "\n", "\r\n",
    "\u2028", "\u2029", "\u00a0", "\ufeff", "\u202e\u05d0\u05d1", "\u0645\u0631\u062d\u0628\u0627", "👩‍👩‍👧‍👦",
    "e\u0301", "\U0010fffd", "⟦", "⟦x⟧", "⟧", "<b>", "&amp;", "<br>",
    "/* */", "-- ", ";", "chr(31)", "$$", "?", "$1", ":a", " ", "'||(SELECT 1)||'",
]  # fmt: skip

letters = st.characters(codec="utf-8", exclude_characters="\0")
texts = st.one_of(st.sampled_from(HOSTILE), st.text(letters, min_size=1, max_size=12))
"""Whatever a customer may have typed, never empty."""


def kind(**fields: Any) -> Kind:
    return Kind.model_validate({"fields": fields})


def variant(**fields: Any) -> Variant:
    return Variant.model_validate({"name": "only", "from": "things", "id": "id", "fields": fields})


def write(**fields: Any) -> Write:
    return Write.model_validate({"kind": "thing", "create": {"path": "/things"}, "fields": fields})


def put_fields(stage: Stage, rows: Iterable[Sequence[Any]], relation: str = "predicted.fields") -> None:
    """Lay down the custom fields that values are keyed by."""
    stage.schema("predicted")
    stage.table(relation, FIELDS)
    stage.insert(relation, list(rows))


def natives(
    stage: Stage, kind: Kind, variant: Variant, write: Write, records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what is written of canonical ``records``; it lies in ``made`` afterwards."""
    stage.table("records", f"id VARCHAR, {stage.columns(kind)}")
    stage.insert(
        "records", [[str(at), *(record.get(label) for label in kind.fields)] for at, record in enumerate(records)]
    )
    stage.run("CREATE TABLE IF NOT EXISTS labels (id VARCHAR, label VARCHAR)")
    if "fields" not in stage.tables_of("predicted"):
        put_fields(stage, [])
    sql = native_sql(kind, variant, write, rows="records", vendor="old", kind_name="thing", fields="predicted.fields")
    stage.run("DROP TABLE IF EXISTS made")
    stage.run(f"CREATE TABLE made AS {sql}")
    bodies = stage.rows("SELECT CAST(body AS VARCHAR) FROM made ORDER BY length(id), id")
    return [json.loads(body) for (body,) in bodies]


def back(
    stage: Stage, kind: Kind, variant: Variant, write: Write, records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return canonical ``records`` after they were written and read back."""
    natives(stage, kind, variant, write, records)
    sql = canonical_sql(kind, (variant,), lambda _: "made", "predicted.fields", given=True)
    return _rows(stage, kind, sql)


def read(
    stage: Stage,
    kind: Kind,
    variants: Variant | Sequence[Variant],
    bodies: Sequence[Any],
    *,
    fields: str = "predicted.fields",
) -> list[dict[str, Any]]:
    """Return native ``bodies`` as canonical records."""
    if "fields" not in stage.tables_of("predicted"):
        put_fields(stage, [])
    stage.table("bodies", "id VARCHAR, parent VARCHAR, updated_at VARCHAR, body JSON")
    stage.insert(
        "bodies", [[str(at), "7", None, json.dumps({"id": str(at), **body})] for at, body in enumerate(bodies)]
    )
    several = (variants,) if isinstance(variants, Variant) else tuple(variants)
    return _rows(stage, kind, canonical_sql(kind, several, lambda _: "bodies", fields))


def _rows(stage: Stage, kind: Kind, sql: str) -> list[dict[str, Any]]:
    labels = list(kind.fields)
    columns = ", ".join(name(label) for label in labels)
    return [
        dict(zip(labels, row, strict=True))
        for row in stage.rows(f"SELECT {columns} FROM ({sql}) ORDER BY length(id), id")
    ]
