"""The servers of a hosting account to leave and of one to go to; all of them a session."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing import hosting
from migrator.testing.hosting import Hosts
from migrator.testing.servers import Unavailable


def job(hosts: Hosts, folder: Path, *, mail_url: str = "", **more: Any) -> Steps:
    """Return the steps of one job from host to host; ``mail_url``: where else the new mail server is reached."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {"name": "acme", **hosts.sides(mail_url=mail_url), "thresholds": {"manual": 1.0}, **more}
    (folder / "migration.yaml").write_text(json.dumps(written), encoding="utf-8")
    return again(folder)


def again(folder: Path) -> Steps:
    """Return the steps of a workspace that is there; it does not wait long for a server that is near."""
    return Steps(open_project(folder), sleep=lambda seconds: time.sleep(min(seconds, 0.05)))


@pytest.fixture(scope="session")
def servers(server_folder: Path) -> Iterator[Hosts]:
    """Return the two hosts, running."""
    try:
        found = hosting.started(server_folder / "hosts")
    except Unavailable as why:
        pytest.skip(str(why))
    with closing(found):
        yield found


@pytest.fixture
def hosts(servers: Hosts, tmp_path: Path) -> Hosts:
    """Return the two hosts, the old one filled and the new one empty."""
    for server in (servers.old_mail, servers.new_mail, servers.dns):
        server.reset()
    found = replace(servers, old_tree=tmp_path / "old", new_tree=tmp_path / "new", old_zones=tmp_path / "zones")
    found.fill()
    return found
