"""Route 53's connector against moto: the awkward zone there and back, page by page, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from migrator.connectors.route53.signature import Signature
from migrator.migration import Account
from migrator.testing.conformance.ground import HastyClock
from migrator.testing.servers import moto
from migrator.testing.servers.moto import Moto
from tests.servers.dns.conftest import filed
from tests.support.dns_zones import AWKWARD, ZONE, of_file, of_text
from tests.support.server_desks import steps_between

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server(running: Callable[..., Any]) -> Moto:
    found: Moto = running(moto.start, "moto")
    return found


def at(server: Moto) -> tuple[Account, dict[str, str]]:
    account = Account(vendor="route53", url=server.url, settings={"access_key": "AKIATEST"}, workers=1)
    return account, {"secret_key": "not-a-secret"}


def test_the_signature_is_the_one_of_amazons_own_example() -> None:
    """The example of docs.aws.amazon.com, Signature Version 4, ``get-vanilla`` of Amazon's test suite."""
    moment = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    signature = Signature("AKIDEXAMPLE", lambda: secret, service="service", now=lambda: moment)
    request = signature(requests.Request("GET", "https://example.amazonaws.com/").prepare())
    expected = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    assert request.headers["Authorization"].endswith(f"Signature={expected}")
    assert secret not in repr(vars(signature).get("_secret"))


def test_the_awkward_zone_goes_to_route53_and_back(
    server: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reset()
    source, target = filed(tmp_path / "old"), filed(tmp_path / "new")
    (tmp_path / "old" / f"{ZONE}zone").write_text(AWKWARD, encoding="utf-8")
    there = steps_between(tmp_path / "1", source, at(server), monkeypatch, HastyClock())
    there.extract()
    plan = there.plan()
    left = {line.reason: line.count for line in plan.dispositions if line.action == "manual"}
    assert all("takes no record set with the type" in reason for reason in left), left
    assert there.load(plan.digest).finished
    verified, differences = there.verify()
    assert verified.proven, differences[:3]
    back = steps_between(tmp_path / "2", at(server), target, monkeypatch, HastyClock())
    back.extract()
    loaded = back.load(back.plan().digest)
    assert loaded.finished
    wanted = {
        key: one for key, one in of_text(AWKWARD).items() if not any(reason.endswith(f" {key[1]}") for reason in left)
    }
    assert of_file(tmp_path / "new" / f"{ZONE}zone") == wanted
    there.undo()
    assert there.load(there.saved_plan()["digest"]).finished
    assert list(there.destination().zones()) == []  # type: ignore[attr-defined]
