"""Marks every test by the folder it lies in, ``unit`` where it lies in none: ``pytest -m sandbox``.

Workspaces of tests lie in memory where there is room: each statement waits for its disk, a quarter of the time in all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
MARKERS = {
    "conformance": "sandbox",
    "packaging": "packaging",
    "recorded": "recorded",
    "sandbox": "sandbox",
    "servers": "servers",
}
# By the beginning of a file's path here; the quick ones, which fill what is left of either worker, come last.
LONG_FIRST = (
    "servers/request_tracker", "servers/znuny", "conformance/", "crash/test_sweep", "servers/test_across",
    "servers/django_helpdesk", "servers/hosting", "servers/", "test_move", "test_", "crash/", "packaging/", "recorded/",
    "sandbox/", "",
)  # fmt: skip
SHARED = {"tests/servers/test_across.py": "tests/servers/znuny"}  # asks for the same servers
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
    items.sort(key=_turn)  # a stable sort: files and what is in them keep their order


def _turn(item: pytest.Item) -> int:
    """Return where a test's file stands: what takes minutes comes first, so that no worker ends with it alone."""
    path = item.path.relative_to(HERE).as_posix()
    return next(at for at, begins in enumerate(LONG_FIRST) if path.startswith(begins))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole files, and all files of a server together: one that is set up serves them all."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByServer(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            parts = file.split("/")
            return SHARED.get(file, "/".join(parts[:3]) if parts[1] == "servers" else file)

    config.option.loadscopereorder = False  # in the order they were collected
    return ByServer(config, log)
