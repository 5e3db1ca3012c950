"""Two Dovecots a session that differ in all that may differ, emptied for every test that asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrator.testing.servers import dovecot
from migrator.testing.servers.dovecot import Dovecot

USERS = ("ann@example.com", "bob@example.com")


@pytest.fixture(scope="session")
def both(running: Callable[..., Any]) -> tuple[Dovecot, Dovecot]:
    """Return an old server (levels by ``/``, any name) and a new one (below ``INBOX.``, levels by ``.``)."""
    old: Dovecot = running(
        dovecot.start, "dovecot-old", users=USERS, layout=":LAYOUT=fs", special={"Sent Items": "\\Sent"}
    )
    new: Dovecot = running(
        dovecot.start, "dovecot-new", users=USERS, prefix="INBOX.", separator=".", special={"Sent": "\\Sent"},
        extensions="-vacation",
    )  # fmt: skip
    return old, new


@pytest.fixture
def old(both: tuple[Dovecot, Dovecot]) -> Dovecot:
    """Return the server to leave, empty."""
    both[0].reset()
    return both[0]


@pytest.fixture
def new(both: tuple[Dovecot, Dovecot]) -> Dovecot:
    """Return the server to go to, empty."""
    both[1].reset()
    return both[1]
