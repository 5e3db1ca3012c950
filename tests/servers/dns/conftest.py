"""Two PowerDNS, a BIND and a Knot a session; the awkward zone goes into a server by its own tool, not by ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.migration import Account
from migrator.testing.servers import name_servers, powerdns
from migrator.testing.servers.name_servers import NameServer
from migrator.testing.servers.powerdns import PowerDNS
from tests.support.dns_zones import AWKWARD, ZONE


@pytest.fixture(scope="session")
def old(running: Callable[..., Any]) -> PowerDNS:
    """Return the PowerDNS that customers leave."""
    found: PowerDNS = running(powerdns.start, "powerdns-old")
    return found


@pytest.fixture(scope="session")
def new_session(running: Callable[..., Any]) -> PowerDNS:
    """Return the PowerDNS they go to, with what earlier tests left in it."""
    found: PowerDNS = running(powerdns.start, "powerdns-new")
    return found


@pytest.fixture
def new(new_session: PowerDNS) -> PowerDNS:
    """Return the PowerDNS they go to, empty."""
    new_session.reset()
    return new_session


@pytest.fixture
def bind(running: Callable[..., Any], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NameServer]:
    """Return a BIND with an empty zone."""
    server: NameServer = running(name_servers.bind, f"bind-{abs(hash(tmp_path))}", zones=[ZONE])
    yield server
    server.stop()


@pytest.fixture
def knot(running: Callable[..., Any], tmp_path: Path) -> Iterator[NameServer]:
    """Return a Knot with an empty zone."""
    server: NameServer = running(name_servers.knot, f"knot-{abs(hash(tmp_path))}", zones=[ZONE])
    yield server
    server.stop()


def put(server: PowerDNS, text: str = AWKWARD, zone: str = ZONE) -> None:
    """Load a zone with PowerDNS's own tool."""
    file = server.folder / "given.zone"
    file.write_text(text, encoding="utf-8")
    server.reset()
    command = ["pdnsutil", f"--config-dir={server.folder}", "load-zone", zone.rstrip("."), str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def at(server: PowerDNS, *, url: str = "", **options: str) -> tuple[Account, dict[str, str]]:
    """Return the account at a PowerDNS, and its secret."""
    given = {"name_servers": "ns1.new.example ns2.new.example", **options}
    account = Account(vendor="powerdns", url=url or server.url, options=given, workers=2)
    return account, {"api_key": powerdns.KEY}


def on(server: NameServer, *, address: str = "") -> tuple[Account, dict[str, str]]:
    """Return the account at a name server, and its key."""
    settings = {"server": address or server.address, "zones": " ".join(server.zones)}
    return Account(vendor="dns_server", settings=settings, workers=2), {"key": name_servers.KEY}


def filed(folder: Path) -> tuple[Account, dict[str, str]]:
    """Return an account that is a folder of zone files."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"name_servers": "ns1.new.example. ns2.new.example."}
    return Account(vendor="zone_file", settings={"folder": str(folder)}, options=options), {}
