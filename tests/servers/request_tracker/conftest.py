"""One Request Tracker a session, brought back to its beginning for every test that asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrator.testing.servers import request_tracker
from migrator.testing.servers.request_tracker import RequestTracker


@pytest.fixture(scope="session")
def server(running: Callable[..., Any]) -> RequestTracker:
    """Return the session's instance, with whatever earlier tests left in it."""
    found: RequestTracker = running(request_tracker.start, "request_tracker")
    # Set up as docs/connectors/request_tracker.md asks: whoever has a seat may own tickets.
    found.initialdata({"ACL": [{"GroupDomain": "SystemInternal", "GroupType": "Privileged", "Right": ["OwnTicket"]}]})
    found.keep()
    return found


@pytest.fixture
def tracker(server: RequestTracker) -> RequestTracker:
    """Return the session's instance, new again."""
    server.reset()
    return server
