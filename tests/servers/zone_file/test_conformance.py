"""The conformance suite on a folder of zone files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from migrator.testing.conformance import Check, ServerGround, Straight, Suite, checks
from tests.servers.dns.conftest import filed
from tests.support.dns_accounts import made


def ground() -> ServerGround:
    """Return an empty folder."""
    folder = Path(tempfile.mkdtemp())
    account, secrets = filed(folder)
    return ServerGround(Straight("file://zones"), account, secrets, lambda: {"files": len(list(folder.iterdir()))})


SUITE = Suite("zone_file", ground=ground, made=made, harms=())
# A folder has no strangers: it knows no credentials.
CHECKS = [check for check in checks(SUITE) if str(check) != "strangers are refused"]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
