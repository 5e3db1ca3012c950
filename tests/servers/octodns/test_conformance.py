"""The conformance suite by way of octodns-powerdns, judged by a true PowerDNS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.migration import Account
from migrator.testing.conformance import Check, ServerGround, Suite, checks
from migrator.testing.servers import powerdns
from migrator.testing.servers.powerdns import PowerDNS
from tests.support.behind import Behind
from tests.support.dns_accounts import made

pytest.importorskip("octodns_powerdns")
pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
HERE: Behind[PowerDNS] = Behind()


@pytest.fixture(scope="module")
def server(running: Callable[..., Any]) -> PowerDNS:
    found: PowerDNS = running(powerdns.start, "powerdns-octodns")
    return found


@pytest.fixture(autouse=True)
def _running(server: PowerDNS) -> Iterator[None]:
    with HERE.proxied(server):
        yield


def ground() -> ServerGround:
    """Return an empty server."""
    server, proxy = HERE.empty()
    port = int(proxy.url.rpartition(":")[2])
    arguments = json.dumps({"host": "127.0.0.1", "port": port, "api_key": "{key}"})
    settings = {"provider": "octodns_powerdns.PowerDnsProvider", "arguments": arguments}
    account = Account(vendor="octodns", settings=settings, options={"servers": server.address}, workers=1)

    return ServerGround(proxy, account, {"key": powerdns.KEY}, server.counted, server)


SUITE = Suite("octodns", ground=ground, made=made, step=2, harms=("503", "unanswered"))


@pytest.mark.parametrize("check", checks(SUITE), ids=str)
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
