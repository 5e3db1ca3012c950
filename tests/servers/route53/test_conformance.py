"""The conformance suite against moto's Route 53."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.conformance import Check, ServerGround, Suite, checks
from migrator.testing.servers import moto
from migrator.testing.servers.moto import Moto
from tests.support.behind import Behind
from tests.support.dns_accounts import made

from .test_moto import at

pytestmark = pytest.mark.servers
HERE: Behind[Moto] = Behind()


@pytest.fixture(scope="module")
def playing(running: Callable[..., Any]) -> Moto:
    found: Moto = running(moto.start, "moto-suite")
    return found


@pytest.fixture(autouse=True)
def _running(playing: Moto) -> Iterator[None]:
    with HERE.proxied(playing):
        yield


def ground() -> ServerGround:
    """Return an account without zones."""
    server, proxy = HERE.empty()
    account, secrets = at(server)
    return ServerGround(proxy, account, secrets, dict, server)


SUITE = Suite("route53", ground=ground, made=made, harms=("503", "unanswered"))
# moto lets everybody in: whether AWS takes the signature is held against Amazon's own example (test_moto).
CHECKS = [check for check in checks(SUITE) if str(check) != "strangers are refused"]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
