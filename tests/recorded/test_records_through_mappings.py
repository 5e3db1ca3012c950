"""Real records of other people's accounts pass through both mappings: read whole, planned, every leaf accounted for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.coverage import measure
from migrator.extract import canonicalize
from migrator.plan import Planner
from migrator.stage import Stage
from tests.support.vendor_data import vendor_file

pytestmark = pytest.mark.recorded

FILES = {
    "zendesk 2023": ("zendesk", "zendesk/airbyte-zendesk-support-2023-11/expected_records.jsonl"),
    "zendesk 2024": ("zendesk", "zendesk/airbyte-zendesk-support-2024-06/expected_records.jsonl"),
    "freshdesk 2023": ("freshdesk", "freshdesk/airbyte-freshdesk-2023-11/expected_records.jsonl"),
    "freshdesk 2024": ("freshdesk", "freshdesk/airbyte-freshdesk-2024-06/expected_records.jsonl"),
}


def bodies(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (stream, record) of a file of recorded records."""
    for line in file.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        yield entry["stream"], entry["data"]


@pytest.fixture(params=list(FILES))
def staged(request: pytest.FixtureRequest) -> Iterator[tuple[str, Stage, dict[str, int]]]:
    """Stage one file's records: the vendor, the stage, and how many records each stream has."""
    vendor, file = FILES[request.param]
    connector = registry.connector(vendor)
    ids: dict[str, set[str]] = {}
    with Stage(":memory:") as stage:
        for stream, data in bodies(vendor_file(file)):
            if stream in connector.manifest.streams:
                above = "folder_id" if stream == "canned_responses" else "ticket_id"
                parent = str(data[above]) if connector.manifest.streams[stream].parent else None
                stage.put("raw", stream, [(str(data["id"]), parent, data.get("updated_at"), json.dumps(data))])
                ids.setdefault(stream, set()).add(
                    str(data["id"])
                )  # a policy was recorded twice, before and after a change
        canonicalize(stage, connector.kinds, connector.mapping, raw="raw", into="canonical")
        yield vendor, stage, {stream: len(some) for stream, some in ids.items()}


def test_every_record_is_read_and_no_value_is_unreadable(staged: tuple[str, Stage, dict[str, int]]) -> None:
    vendor, stage, counts = staged
    connector = registry.connector(vendor)
    assert sum(counts.values()) > 20
    for kind, variants in connector.mapping.kinds.items():
        plain = [v for v in variants if not (v.each or v.where or v.unless) and v.name == kind]
        for variant in plain:
            read = stage.one(f'SELECT count(*) FROM canonical."{kind}"')
            assert read == counts.get(variant.stream, 0), kind
    assert stage.rows("SELECT * FROM canonical.problem") == []


def test_no_leaf_of_a_real_record_is_unaccounted_for(staged: tuple[str, Stage, dict[str, int]]) -> None:
    vendor, stage, _ = staged
    assert measure(stage, registry.connector(vendor).mapping).uncovered == []


def test_real_records_are_planned_to_freshdesk_and_the_plan_balances(staged: tuple[str, Stage, dict[str, int]]) -> None:
    vendor, stage, counts = staged
    freshdesk = registry.connector("freshdesk")
    plan = Planner(stage, freshdesk.kinds, freshdesk.manifest, freshdesk.mapping, vendor).make()
    assert plan.unaccounted == {}
    assert sum(plan.counts.values()) >= sum(counts.values()) - 5
    assert plan.digest == Planner(stage, freshdesk.kinds, freshdesk.manifest, freshdesk.mapping, vendor).make().digest
