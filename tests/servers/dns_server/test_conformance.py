"""The conformance suite, judged by a true BIND; faults on the way are the matter of tests/servers/dns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.conformance import Check, ServerGround, Straight, Suite, checks
from migrator.testing.servers import name_servers
from tests.servers.dns.conftest import on
from tests.support.dns_accounts import ZONES, made
from tests.support.dns_zones import transferred

pytestmark = pytest.mark.servers
_here: dict[str, Callable[..., Any]] = {}
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _running(running: Callable[..., Any]) -> None:
    _here["now"] = running


def ground() -> ServerGround:
    """Return a new server whose zones are empty."""
    server = _here["now"](name_servers.bind, f"bind-{next(_numbers)}", zones=ZONES)
    account, secrets = on(server)

    def counted() -> dict[str, int]:
        return {zone: len(transferred(server.address, zone, name_servers.KEY)) for zone in ZONES}

    return ServerGround(Straight("dns://server"), account, secrets, counted, server)


SUITE = Suite("dns_server", ground=ground, made=made, harms=())


@pytest.mark.parametrize("check", checks(SUITE), ids=str)
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
