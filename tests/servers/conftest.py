"""A place on the memory disk for servers, and the skip where one cannot run; their fixtures lie in their folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.testing.servers import Unavailable, django_helpdesk, request_tracker, znuny
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from migrator.testing.servers.request_tracker import RequestTracker
from migrator.testing.servers.znuny import Znuny

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Return a folder for this session's servers, gone afterwards."""
    memory = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="migrator-servers-", dir=memory))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def running(server_folder: Path) -> Iterator[Callable[..., Any]]:
    """Return ``running(start, name, **options)``: starts a server in a folder of that name, or skips the test."""
    started: list[Any] = []

    def run(start: Callable[..., Any], name: str, **options: Any) -> Any:
        folder = server_folder / name
        folder.mkdir(parents=True)
        try:
            server = start(folder, **options)
        except Unavailable as why:
            pytest.skip(str(why))
        started.append(server)
        return server

    yield run
    for server in reversed(started):
        server.stop()


# Those that take long to set up, once a session for all who ask; whoever asks resets it.


@pytest.fixture(scope="session")
def one_request_tracker(running: Callable[..., Any]) -> RequestTracker:
    """Return the session's Request Tracker, with whatever earlier tests left in it."""
    found: RequestTracker = running(request_tracker.start, "request_tracker")
    # Set up as docs/connectors/request_tracker.md asks: whoever has a seat may own tickets.
    found.initialdata({"ACL": [{"GroupDomain": "SystemInternal", "GroupType": "Privileged", "Right": ["OwnTicket"]}]})
    found.keep()
    return found


@pytest.fixture(scope="session")
def one_znuny(running: Callable[..., Any]) -> Znuny:
    """Return the session's Znuny, with whatever earlier tests left in it."""
    service = registry.connector("znuny").folder / "webservice.yml"
    found: Znuny = running(znuny.start, "znuny", service=service)
    return found


@pytest.fixture(scope="session")
def one_django_helpdesk(running: Callable[..., Any]) -> DjangoHelpdesk:
    """Return the session's django-helpdesk, with whatever earlier tests left in it."""
    found: DjangoHelpdesk = running(django_helpdesk.start, "django_helpdesk")
    return found
