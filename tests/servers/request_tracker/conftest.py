"""One Request Tracker a session, brought back to its beginning for every test that asks."""

from __future__ import annotations

import pytest

from migrator.testing.servers.request_tracker import RequestTracker


@pytest.fixture(scope="session")
def server(one_request_tracker: RequestTracker) -> RequestTracker:
    """Return the session's instance, with whatever earlier tests left in it."""
    return one_request_tracker


@pytest.fixture
def tracker(server: RequestTracker) -> RequestTracker:
    """Return the session's instance, new again."""
    server.reset()
    return server
