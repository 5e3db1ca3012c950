"""Migrations into a true Znuny and out of it, in process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from migrator import registry
from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox, mount
from migrator.testing.servers.znuny import Znuny
from tests.support.workspaces import written

CHANNELS = ("console", "sql")


def at_znuny(server: Znuny, *, url: str = "", channels: tuple[str, ...] = CHANNELS, **more: Any) -> dict[str, Any]:
    """Return a side of migration.yaml."""
    for name, value in server.secrets.items():
        os.environ[f"ZNUNY_{name.upper()}"] = value
    needed = {"user": ()} | {"home": ("console",)} | {"database": ("sql",)}
    settings = {n: v for n, v in server.settings.items() if set(needed[n]) <= set(channels)}
    names = [name for name in server.secrets if name == "password" or "sql" in channels]
    secrets = {name: f"env:ZNUNY_{name.upper()}" for name in names}
    return {
        "vendor": "znuny",
        "url": url or server.url,
        "settings": settings,
        "secrets": secrets,
        "channels": list(channels),
        "workers": 2,
        **more,
    }


def at_sandbox(box: Sandbox) -> dict[str, Any]:
    """Return a side of migration.yaml."""
    module = registry.connector(box.vendor).sandbox
    os.environ[f"BOX_{box.vendor.upper()}"] = module.TOKEN
    user = {"settings": {"user": module.EMAIL}} if hasattr(module, "EMAIL") else {}
    secrets = {"token": f"env:BOX_{box.vendor.upper()}"}
    return {"vendor": box.vendor, "url": box.base_url, "secrets": secrets, "plan": "enterprise", "workers": 2, **user}


def steps(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any], **boxes: Sandbox) -> Steps:
    """Return the steps of a migration; ``boxes``: the sandbox a side is (``source=…``, ``destination=…``)."""
    written(folder, old, new)

    def session(side: str) -> requests.Session | None:
        return mount(boxes[side]) if side in boxes else None

    clocks = [box.clock for box in boxes.values()]
    sleep = {"sleep": clocks[0].sleep, "monotonic": clocks[0].monotonic} if clocks else {}
    return Steps(
        open_project(folder), session("source"), session("destination"), clock=lambda: datetime.now(UTC), **sleep
    )
