"""Two true MariaDB servers a session; each test has both empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrator.testing.servers import mariadb
from migrator.testing.servers.mariadb import MariaDB


@pytest.fixture(scope="session")
def both(running: Callable[..., Any]) -> tuple[MariaDB, MariaDB]:
    """Return the server to leave, and the one to go to."""
    return running(mariadb.start, "mariadb-old"), running(mariadb.start, "mariadb-new")


@pytest.fixture
def old(both: tuple[MariaDB, MariaDB]) -> MariaDB:
    """Return the server to leave."""
    both[0].reset()
    return both[0]


@pytest.fixture
def new(both: tuple[MariaDB, MariaDB]) -> MariaDB:
    """Return the server to go to."""
    both[1].reset()
    return both[1]
