"""One Znuny a session, brought back to its beginning for every test that asks."""

from __future__ import annotations

import pytest

from migrator.testing.servers.znuny import Znuny


@pytest.fixture(scope="session")
def server(one_znuny: Znuny) -> Znuny:
    """Return the session's instance, with whatever earlier tests left in it."""
    return one_znuny


@pytest.fixture
def desk(server: Znuny) -> Znuny:
    """Return the session's instance, new again."""
    server.reset()
    return server
