"""Marks every test by the folder it lies in, ``unit`` where it lies in none: ``pytest -m sandbox``.

Workspaces of tests lie in memory where there is room: each statement waits for its disk, a quarter of the time in all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MARKERS = {
    "conformance": "sandbox",
    "packaging": "packaging",
    "recorded": "recorded",
    "sandbox": "sandbox",
    "servers": "servers",
}
MEMORY = Path("/dev/shm")
ROOM = 4 << 30  # bytes that must be free there; a whole run leaves less than one


def pytest_configure(config: pytest.Config) -> None:
    keys = tempfile.mkdtemp(prefix="migrator-test-data-")  # in place of the person's folder, where keys are made
    os.environ["XDG_DATA_HOME"] = keys
    config.add_cleanup(lambda: shutil.rmtree(keys, ignore_errors=True))
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    if shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(MARKERS.get(item.path.relative_to(HERE).parts[0], "unit"))
