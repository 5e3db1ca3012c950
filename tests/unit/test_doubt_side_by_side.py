"""Workers that look up what is in doubt at the same time do not get into each other's way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from migrator import registry
from migrator.ledger import Ledger
from migrator.stage import Stage
from migrator.units import Builder
from migrator.workspace import Workspace

pytestmark = pytest.mark.unit


def test_units_are_found_by_many_workers_at_once(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    connector = registry.connector("powerdns")
    with Stage(workspace.stage) as stage, Ledger(workspace.ledger) as ledger:
        stage.schema("plan")
        stage.run(
            "CREATE TABLE plan.planned AS SELECT 'zone' AS kind, 'z' || n AS id, 'zone' AS as_kind, 'zone' AS variant, "
            "'create' AS action, NULL AS target, 'zone:z' || n AS unit, 'l' AS lane, NULL AS owner, NULL AS blob, "
            'NULL AS stamp, \'{"name": "x."}\' AS payload, n AS place FROM range(2000) t(n)'
        )
        builder = Builder(stage, ledger, workspace, connector.kinds, connector.manifest, connector.mapping, "x")
        names = [[f"zone:z{n}" for n in range(at, 2000, 50)] for at in range(50)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda some: [rows[0].unit for rows in builder.units(some)], names))
    assert found == names
