"""Migrations into (and out of) a true server: the other side is a sandbox in process, or a server too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.migration import Account
from migrator.project import open_project
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount
from migrator.workspace import Workspace

Side = Sandbox | tuple[Account, dict[str, str]]  # a sandbox; or an account at a server, and the values of its secrets


def steps_between(
    folder: Path, source: Side, destination: Side, monkeypatch: pytest.MonkeyPatch, clock: Clock, **more: Any
) -> Steps:
    """Return the steps of a migration in ``folder``; ``more`` goes into migration.yaml (JSON is YAML)."""
    sides: dict[str, Any] = {}
    for name, side in (("source", source), ("destination", destination)):
        if isinstance(side, Sandbox):
            module = registry.connector(side.vendor).sandbox
            values = {"token": module.TOKEN}
            settings = {"user": module.EMAIL} if hasattr(module, "EMAIL") else {}
            written: dict[str, Any] = {"vendor": side.vendor, "url": side.base_url, "settings": settings, "workers": 1}
            written["plan"] = "enterprise"
        else:
            account, values = side
            written = account.model_dump(exclude_defaults=True) | {"url": account.url, "workers": account.workers}
            written["channels"] = list(account.channels)
        for secret, value in values.items():
            variable = f"MIGRATOR_TEST_{name.upper()}_{secret.upper()}"
            monkeypatch.setenv(variable, value)
            written.setdefault("secrets", {})[secret] = f"env:{variable}"
        sides[name] = written
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"name": "test", **sides, "thresholds": {"manual": 1.0}, **more}
    (folder / "migration.yaml").write_text(json.dumps(whole), encoding="utf-8")
    return Steps(
        open_project(folder),
        mount(source) if isinstance(source, Sandbox) else None,
        mount(destination) if isinstance(destination, Sandbox) else None,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        clock=clock.now,
    )


def steps_into(
    folder: Path,
    old: Sandbox,
    panel: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    *,
    settings: dict[str, str] | None = None,
    channels: tuple[str, ...] = (),
    **more: Any,
) -> Steps:
    """Return the steps of a migration between sandboxes, into an account at a panel that its settings tell apart."""
    module: Any = registry.connector(panel.vendor).sandbox
    account = Account(
        vendor=panel.vendor, url=panel.base_url, settings=settings or module.SETTINGS, workers=1, channels=channels
    )
    steps_between(folder, old, (account, {"password": module.TOKEN}), monkeypatch, old.clock, **more)
    clock, project = old.clock, open_project(folder)
    sessions = mount(old), mount(panel)
    return Steps(project, *sessions, sleep=clock.sleep, monotonic=clock.monotonic, clock=clock.now)


def rows(folder: Path, kind: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of a kind's canonical records, secrets opened, in the order of their ids, from ``folder``."""
    vault = Workspace(folder).vault
    with Stage(folder / "stage.duckdb") as stage:
        found = stage.rows(f'select {", ".join(columns)} from canonical."{kind}" order by id')
    return [tuple(vault.open(value) if isinstance(value, str) else value for value in row) for row in found]
