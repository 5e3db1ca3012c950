"""The servers of a hosting account to leave and of one to go to; all of them a session."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing import hosting
from migrator.testing.servers import dovecot, openssh, powerdns
from migrator.testing.servers.dovecot import Dovecot
from migrator.testing.servers.openssh import OpenSSH
from migrator.testing.servers.powerdns import PowerDNS


@dataclass(frozen=True)
class Hosts:
    """The two hosts; their files lie on this disk."""

    old_mail: Dovecot
    new_mail: Dovecot
    ssh: OpenSSH
    dns: PowerDNS
    old_tree: Path
    new_tree: Path
    old_zones: Path

    def job(self, folder: Path, **more: Any) -> Steps:
        """Return the steps of one job from host to host."""
        folder.mkdir(parents=True, exist_ok=True)
        zones = {"vendor": "zone_file", "settings": {"folder": str(self.old_zones)}}
        old = {
            "mail": hosting.mail_account(self.old_mail),
            "files": hosting.files_account(self.ssh, self.old_tree),
            "dns": zones,
        }
        new = {
            "mail": hosting.mail_account(self.new_mail),
            "files": hosting.files_account(self.ssh, self.new_tree),
            "dns": hosting.zones_account(self.dns),
        }
        written = {"name": "acme", "source": {"parts": old}, "destination": {"parts": new}}
        written |= {"thresholds": {"manual": 1.0}, **more}
        (folder / "migration.yaml").write_text(json.dumps(written), encoding="utf-8")
        return again(folder)


def again(folder: Path) -> Steps:
    """Return the steps of a workspace that is there; it does not wait long for a server that is near."""
    return Steps(open_project(folder), sleep=lambda seconds: time.sleep(min(seconds, 0.05)))


@pytest.fixture(scope="session")
def servers(running: Callable[..., Any]) -> tuple[Dovecot, Dovecot, OpenSSH, PowerDNS]:
    """Return the servers, the old mail server filled."""
    old: Dovecot = running(dovecot.start, "host-old-mail", users=hosting.USERS, layout=":LAYOUT=fs")
    new: Dovecot = running(dovecot.start, "host-new-mail", users=hosting.USERS, prefix="INBOX.", separator=".")
    return old, new, running(openssh.start, "host-ssh"), running(powerdns.start, "host-dns")


@pytest.fixture
def hosts(servers: tuple[Dovecot, Dovecot, OpenSSH, PowerDNS], tmp_path: Path) -> Hosts:
    """Return the two hosts, the old one filled and the new one empty."""
    old, new, ssh, dns = servers
    for server in (old, new, dns):
        server.reset()
    found = Hosts(old, new, ssh, dns, tmp_path / "old", tmp_path / "new", tmp_path / "zones")
    for tree in (found.old_tree, found.new_tree):
        tree.mkdir()
    hosting.fill_mail(old)
    hosting.fill_site(found.old_tree)
    hosting.fill_zones(found.old_zones)
    return found
