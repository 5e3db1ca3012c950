"""Workspaces of tests: a folder with a migration.yaml between two sides, and its steps."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migrator.project import open_project
from migrator.steps import Steps


def written(folder: Path, source: Mapping[str, Any], destination: Mapping[str, Any], **more: Any) -> Path:
    """Write migration.yaml (JSON is YAML) and return its folder; any number of records may need a person."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"name": "test", "source": source, "destination": destination, "thresholds": {"manual": 1.0}, **more}
    (folder / "migration.yaml").write_text(json.dumps(whole), encoding="utf-8")
    return folder


def steps(folder: Path, source: Mapping[str, Any], destination: Mapping[str, Any], **more: Any) -> Steps:
    """Return the steps of a move."""
    return again(written(folder, source, destination, **more))


def again(folder: Path) -> Steps:
    """Return the steps of a workspace that is there; it does not wait long for a server that is near."""
    return Steps(open_project(folder), sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
