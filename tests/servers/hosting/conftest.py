"""The servers of a hosting account to leave and of one to go to; all of them a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migrator.steps import Steps
from migrator.testing import acme, hosting
from migrator.testing.hosting import Hosts
from migrator.testing.servers import Unavailable
from tests.servers.imap.moves import TWISTED
from tests.support.vendor_data import folder as vendor_data
from tests.support.workspaces import again as again
from tests.support.workspaces import steps


def job(folder: Path, source: dict[str, Any], destination: dict[str, Any], **more: Any) -> Steps:
    """Return the steps of one job."""
    return steps(folder, source, destination, **{"name": "acme", **more})


@pytest.fixture(scope="session")
def mails() -> list[acme.Mail]:
    """Return the account's messages, with every odd one of the vendor data where that is there."""
    odd = [file.read_bytes() for file in sorted((vendor_data() / "mail").rglob("*")) if file.is_file()]
    return acme.mails([*odd, *TWISTED, *odd[:3]], each=1)


@pytest.fixture(scope="session")
def servers(server_folder: Path, mails: list[acme.Mail]) -> Iterator[Hosts]:
    """Return the two hosts, running; the old one filled, since nobody writes to it."""
    try:
        running = hosting.started(server_folder / "hosts", fill=False)
    except Unavailable as why:
        pytest.skip(str(why))
    with closing(running):
        found = replace(running, mails=mails)
        found.fill()
        yield found


@pytest.fixture
def hosts(servers: Hosts, tmp_path: Path) -> Hosts:
    """Return the two hosts, the new one empty."""
    servers.new_mail.reset()
    servers.new_data.reset()
    servers.dns.reset()
    (tmp_path / "new").mkdir()
    return replace(servers, new_tree=tmp_path / "new")
