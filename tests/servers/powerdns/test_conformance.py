"""The conformance suite, judged by a true PowerDNS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.conformance import Check, ServerGround, Suite, checks
from migrator.testing.servers import powerdns
from migrator.testing.servers.powerdns import PowerDNS
from tests.servers.dns.conftest import at
from tests.support.behind import Behind
from tests.support.dns_accounts import made

pytestmark = pytest.mark.servers
HERE: Behind[PowerDNS] = Behind()


@pytest.fixture(scope="module")
def server(running: Callable[..., Any]) -> PowerDNS:
    found: PowerDNS = running(powerdns.start, "powerdns")
    return found


@pytest.fixture(autouse=True)
def _running(server: PowerDNS) -> Iterator[None]:
    with HERE.proxied(server):
        yield


def ground() -> ServerGround:
    """Return an empty server."""
    server, proxy = HERE.empty()
    account, secrets = at(server, servers=server.address)

    return ServerGround(proxy, account.model_copy(update={"workers": 1}), secrets, server.counted, server)


SUITE = Suite("powerdns", ground=ground, made=made, step=2, harms=("429", "unanswered", "failed"))


@pytest.mark.parametrize("check", checks(SUITE), ids=str)
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
