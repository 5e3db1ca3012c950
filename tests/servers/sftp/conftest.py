"""One OpenSSH a session; each test has a tree to leave and a tree to go to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.servers import openssh
from migrator.testing.servers.openssh import OpenSSH


@pytest.fixture(scope="session")
def server(running: Callable[..., Any]) -> OpenSSH:
    """Return the server."""
    found: OpenSSH = running(openssh.start, "openssh")
    return found


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return the tree to leave."""
    (tmp_path / "old").mkdir()
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Return the tree to go to."""
    (tmp_path / "new").mkdir()
    return tmp_path / "new"
