"""One django-helpdesk a session, brought back to its beginning for every test that asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrator.testing.servers import django_helpdesk
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk


@pytest.fixture(scope="session")
def server(running: Callable[..., Any]) -> DjangoHelpdesk:
    """Return the session's instance, with whatever earlier tests left in it."""
    found: DjangoHelpdesk = running(django_helpdesk.start, "django_helpdesk")
    return found


@pytest.fixture
def desk(server: DjangoHelpdesk) -> DjangoHelpdesk:
    """Return the session's instance, new again."""
    server.reset()
    return server
