"""What has no records costs nothing, and looks as if somebody had looked."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from migrator import registry
from migrator.compile import canonical_sql
from migrator.extract import canonicalize
from migrator.mapping import Variant
from migrator.stage import Stage


def table(relations: dict[str, str], variant: Variant) -> str:
    """Return where a variant's records lie."""
    return relations[variant.stream]


def columns(stage: Stage, sql: str) -> list[tuple[Any, ...]]:
    """Return the columns of a relation or a SELECT, and their types."""
    return [row[:2] for row in stage.rows(f"DESCRIBE {sql}")]


@pytest.mark.parametrize("vendor", registry.vendors())
def test_a_kind_without_records_has_the_columns_that_its_mapping_would_have_made(stage: Stage, vendor: str) -> None:
    connector = registry.connector(vendor)
    stage.schema("raw", fresh=True)
    canonicalize(stage, connector.kinds, connector.mapping, raw="raw", into="canonical")
    for kind_name, kind in connector.kinds.kinds.items():
        if variants := connector.mapping.read(kind_name):
            relations = {variant.stream: stage.raw("raw", variant.stream) for variant in variants}
            sql = canonical_sql(kind, variants, partial(table, relations), "canonical.custom_field")
            assert columns(stage, f'canonical."{kind_name}"') == columns(stage, f"({sql})"), kind_name


def test_the_tables_that_hold_anything_are_told_from_the_others(stage: Stage) -> None:
    stage.schema("some", fresh=True)
    assert stage.counts("some") == {}
    stage.put("some", "things", [("1", None, None, "{}"), ("2", None, None, "{}")])
    stage.raw("some", "none's")
    assert stage.counts("some") == {"none's": 0, "things": 2}
    assert stage.filled("some") == {"things"}
