"""Rules merge values exactly as tickets are moved: the tables of the dialects agree with the mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.connectors import connector

ROOT = Path(__file__).resolve().parents[2]


def moved(vendor: str, field: str) -> dict[str, str]:
    """Return what a canonical value is after it was written and read back, by the vendor's mapping."""
    kinds = yaml.safe_load((ROOT / "mappings" / "vendors" / f"{vendor}.yaml").read_text("utf-8"))["kinds"]
    ticket = kinds["ticket"][0] if isinstance(kinds["ticket"], list) else kinds["ticket"]
    spec: dict[str, Any] = ticket["fields"][field]
    back = dict(spec["values"].items())
    written = {ours: native for native, ours in reversed(spec["values"].items())} | spec.get("write", {})
    return {ours: back[native] for ours, native in written.items()}


@pytest.mark.parametrize("vendor", ["freshdesk", "request_tracker"])
@pytest.mark.parametrize(("field", "table"), [("status", "STATUS_TABLE"), ("priority", "PRIORITY_TABLE")])
def test_a_rule_s_values_become_what_a_ticket_s_become(vendor: str, field: str, table: str) -> None:
    names = connector(f"{vendor}.rules.names")
    found = getattr(names, table)
    expected = moved(vendor, field)
    if field == "status":  # the statuses that the rules ask to be added are told apart by the overlay they ask for
        assert {ours: expected[ours] for ours in names.ADDED_STATUSES} == {
            ours: without for ours, (_, without) in names.ADDED_STATUSES.items()
        }
        expected |= {ours: ours for ours in names.ADDED_STATUSES}
    assert {ours: becomes for ours, becomes in found.items() if ours is not None} == {
        ours: expected[ours] for ours in found if ours is not None
    }
