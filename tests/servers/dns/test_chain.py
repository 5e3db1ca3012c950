"""The awkward zone from server to server: equal after every leg by our own comparison, nothing lost unpredicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.ledger import Ledger
from migrator.steps import Steps
from migrator.testing.sandbox import Clock
from migrator.testing.servers.name_servers import KEY, NameServer
from migrator.testing.servers.powerdns import PowerDNS
from tests.support.dns_zones import AWKWARD, ZONE, of_file, of_text, transferred
from tests.support.server_desks import Side, steps_between

from .conftest import at, filed, on, put

pytestmark = pytest.mark.servers


def moved(folder: Path, source: Side, destination: Side, patch: pytest.MonkeyPatch, manual: int = 0) -> Steps:
    """Move everything but ``manual`` records, and see it proven with no loss at all."""
    run = steps_between(folder, source, destination, patch, Clock(real=True))
    run.extract()
    plan = run.plan()
    assert plan.losses == [], plan.losses
    assert sum(line.count for line in plan.dispositions if line.action == "manual") == manual, plan.dispositions
    loaded = run.load(plan.digest)
    assert loaded.finished, Ledger(run.workspace.ledger).quarantined()
    verified, differences = run.verify()
    assert verified.proven, differences[:5]
    return run


def test_the_awkward_zone_goes_through_four_servers_and_a_file_and_stays_what_it_is(
    old: PowerDNS, new: PowerDNS, bind: NameServer, knot: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(old)
    wanted = of_text(AWKWARD)
    assert transferred(old.address) == wanted
    moved(tmp_path / "1", at(old), on(bind), monkeypatch)
    assert transferred(bind.address, key=KEY) == wanted
    moved(tmp_path / "2", on(bind), on(knot), monkeypatch)
    assert transferred(knot.address, key=KEY) == wanted
    moved(tmp_path / "3", on(knot), filed(tmp_path / "zones"), monkeypatch)
    assert of_file(tmp_path / "zones" / f"{ZONE}zone") == wanted
    moved(tmp_path / "4", filed(tmp_path / "zones"), at(new, servers=new.address), monkeypatch, manual=1)
    del wanted["a\\.dot.awkward.example.", "A"]  # PowerDNS takes no such name, and the plan said so
    assert transferred(new.address) == wanted
