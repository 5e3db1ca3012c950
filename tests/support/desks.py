"""Migrations between two sandboxes in process: no socket, no waiting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from migrator import registry
from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount

SECRETS = {"MIGRATOR_TEST_SOURCE": "zendesk", "MIGRATOR_TEST_DESTINATION": "freshdesk"}


def steps(
    folder: Path,
    source: Sandbox,
    destination: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    *,
    source_session: requests.Session | None = None,
    destination_session: requests.Session | None = None,
    **more: Any,
) -> Steps:
    """Return the steps of a migration in ``folder``; ``more`` goes into migration.yaml (JSON is YAML)."""
    sides: dict[str, Any] = {}
    for side, box in (("source", source), ("destination", destination)):
        module = registry.connector(box.vendor).sandbox
        monkeypatch.setenv(f"MIGRATOR_TEST_{side.upper()}", module.TOKEN)
        sides[side] = {
            "vendor": box.vendor,
            "url": box.base_url,
            "secrets": {"token": f"env:MIGRATOR_TEST_{side.upper()}"},
            "plan": "enterprise",
            "workers": 1,
            **({"settings": {"user": module.EMAIL}} if hasattr(module, "EMAIL") else {}),
            **more.pop(side, {}),
        }
    folder.mkdir(parents=True, exist_ok=True)
    written = {"name": "test", **sides, "thresholds": {"manual": 1.0}, **more}
    (folder / "migration.yaml").write_text(json.dumps(written), encoding="utf-8")
    clock = destination.clock
    return Steps(
        open_project(folder),
        source_session or mount(source),
        destination_session or mount(destination),
        sleep=clock.sleep,
        monotonic=clock.monotonic,
    )


def small_desk(clock: Clock | None = None, *, tickets: int = 4) -> tuple[Sandbox, Sandbox]:
    """Return a small made-up Zendesk account and a new Freshdesk account, on one clock."""
    clock = clock or Clock()
    zendesk, freshdesk = registry.connector("zendesk"), registry.connector("freshdesk")
    old = zendesk.sandbox.create(clock=clock, limits=False)
    new = freshdesk.sandbox.create(clock=clock, limits=False)
    zendesk.part("demo").fill(old, tickets=tickets)
    return old, new
