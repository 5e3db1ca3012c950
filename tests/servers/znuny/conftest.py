"""One Znuny a session, brought back to its beginning for every test that asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrator import registry
from migrator.testing.servers import znuny
from migrator.testing.servers.znuny import Znuny


@pytest.fixture(scope="session")
def server(running: Callable[..., Any]) -> Znuny:
    """Return the session's instance, with whatever earlier tests left in it."""
    service = registry.connector("znuny").folder / "webservice.yml"
    found: Znuny = running(znuny.start, "znuny", service=service)
    return found


@pytest.fixture
def desk(server: Znuny) -> Znuny:
    """Return the session's instance, new again."""
    server.reset()
    return server
