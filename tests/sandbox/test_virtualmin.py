"""A cPanel account moves into Virtualmin, changes, and is taken back; and what a program answers is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.errors import AccessError, ForbiddenError, MigratorError, RefusedError, VendorError
from migrator.passport import passport
from migrator.project import Account, open_project, side
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox, mount
from tests.support.connectors import connector
from tests.support.server_desks import steps_between

pytestmark = pytest.mark.sandbox


@pytest.fixture
def panel() -> Sandbox:
    box: Sandbox = registry.connector("virtualmin").sandbox.create()
    return box


def opened_at(panel: Sandbox, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Any:
    module = connector("virtualmin.sandbox")
    monkeypatch.setenv("MIGRATOR_TEST_PASSWORD", module.TOKEN)
    secrets = {"password": "env:MIGRATOR_TEST_PASSWORD"}
    told = {**module.SETTINGS, **settings}
    account = Account(vendor="virtualmin", url=panel.base_url, settings=told, secrets=secrets, workers=1)
    clock = panel.clock
    return side(account, None, "test").open(session=mount(panel), sleep=clock.sleep, monotonic=clock.monotonic)


def test_a_cpanel_account_arrives_changes_and_is_taken_back(
    panel: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = registry.connector("cpanel").sandbox.create()
    registry.connector("cpanel").part("demo").fill(old)
    module = connector("virtualmin.sandbox")
    account = Account(vendor="virtualmin", url=panel.base_url, settings=module.SETTINGS, workers=1)
    steps_between(tmp_path / "w", old, (account, {"password": module.TOKEN}), monkeypatch, old.clock)
    clock = old.clock
    steps = Steps(
        open_project(tmp_path / "w"), mount(old), mount(panel), sleep=clock.sleep, monotonic=clock.monotonic,
        clock=clock.now,
    )  # fmt: skip
    steps.extract()
    plan = steps.plan()
    assert not plan.unaccounted
    print(plan.dispositions)
    assert steps.load(plan.digest, accept_losses=True).finished
    verified, differences = steps.verify()
    assert verified.proven, differences
    print({table: list(rows) for table, rows in panel.store.items() if rows})
