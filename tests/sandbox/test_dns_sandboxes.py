"""A zone into the sandboxes of Cloudflare and DigitalOcean and back: what a plan says is lost is lost, no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.migration import Account
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox, mount
from tests.servers.dns.conftest import filed
from tests.support.dns_zones import AWKWARD, ZONE, of_file, of_text
from tests.support.server_desks import Side, steps_between

pytestmark = pytest.mark.sandbox


def boxed(vendor: str) -> tuple[Sandbox, Side]:
    """Return a sandbox without quotas, and the account at it."""
    box = registry.connector(vendor).sandbox.create(limits=False)
    account = Account(vendor=vendor, url=box.base_url, workers=1)
    return box, (account, {"token": registry.connector(vendor).sandbox.TOKEN})


def moving(folder: Path, source: Side, destination: Side, box: Sandbox, patch: pytest.MonkeyPatch) -> Steps:
    """Return a migration that reaches the sandbox."""
    run = steps_between(folder, source, destination, patch, box.clock)
    run.source_session = run.destination_session = mount(box)
    return run


@pytest.mark.parametrize(("vendor", "least"), [("cloudflare", 60), ("digitalocean", 30)])
def test_the_awkward_zone_goes_there_and_back(
    vendor: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, there = boxed(vendor)
    source, target = filed(tmp_path / "old"), filed(tmp_path / "new")
    # Neither takes a text with a NUL in it by JSON, nor a record beside a CNAME of that name.
    text = "\n".join(line for line in AWKWARD.splitlines() if not line.startswith("bytes "))
    (tmp_path / "old" / f"{ZONE}zone").write_text(text, encoding="utf-8")
    run = moving(tmp_path / "1", source, there, box, monkeypatch)
    run.extract()
    plan = run.plan()
    left = {line.reason.rpartition(" ")[2] for line in plan.dispositions if line.action == "manual"}
    assert not left & {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"}
    assert {(loss.field, loss.how) for loss in plan.losses} == {("ttl", "reset")}
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    back = moving(tmp_path / "2", there, target, box, monkeypatch)
    back.extract()
    again = back.plan()
    assert not [line for line in again.dispositions if line.action == "manual"]
    assert back.load(again.digest).finished
    wanted: dict[Any, Any] = {}
    most = 86_400 if vendor == "cloudflare" else 2**31
    for key, (ttl, values) in of_text(text).items():
        if key[1] not in left:
            wanted[key] = (min(max(ttl, least), most), values)
    assert of_file(tmp_path / "new" / f"{ZONE}zone") == wanted
    run.undo()
    assert run.load(run.saved_plan()["digest"]).finished
    assert not box.store["zones"]
    assert not box.store["record_sets"]


def test_a_set_of_digitalocean_that_is_refused_half_way_is_put_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CNAME beside other records is refused when the other one is there already: nothing of the set stays."""
    box, there = boxed("digitalocean")
    source = filed(tmp_path / "old")
    lines = [f"$ORIGIN {ZONE}", "@ 60 IN SOA a. b. 1 2 3 4 5", "www 60 IN A 192.0.2.1", "www 60 IN A 192.0.2.2"]
    (tmp_path / "old" / f"{ZONE}zone").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = moving(tmp_path / "1", source, there, box, monkeypatch)
    run.extract()
    digest = run.plan().digest
    posted: list[str] = []

    def watch(moment: str, name: str) -> None:
        # Before the second address comes, somebody adds it by hand: the vendor takes no record twice.
        if moment == "before" and name.startswith("POST") and name.endswith("/records"):
            posted.append(name)
            if len(posted) == 2:
                domain = ZONE.rstrip(".")
                other = {"id": 999, "type": "CNAME", "name": "www", "data": "x.example", "ttl": 60, "_domain": domain}
                box.store["record_sets"][999] = other

    box.watchers.append(watch)
    assert not run.load(digest).finished
    names = [(one["name"], one["type"]) for one in box.store["record_sets"].values() if one["name"] != "@"]
    assert names == [("www", "CNAME")]


def test_what_cloudflare_alone_has_is_lost_elsewhere_and_the_plan_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, there = boxed("cloudflare")
    zone = {"id": "f" * 32, "name": ZONE.rstrip("."), "status": "active"}
    record = {"zone_id": "f" * 32, "name": f"www.{ZONE}".rstrip("."), "type": "A", "proxiable": True, "ttl": 1}
    records = [
        {**record, "id": "1", "content": "192.0.2.1", "proxied": True, "comment": "the shop", "tags": ["a:b"]},
        {**record, "id": "2", "content": "192.0.2.2", "proxied": True, "comment": None, "tags": []},
    ]
    module = registry.connector("cloudflare").sandbox
    module.seed(box, "zones", [zone])
    module.seed(box, "record_sets", records)
    run = moving(tmp_path / "1", there, filed(tmp_path / "new"), box, monkeypatch)
    run.extract()
    plan = run.plan()
    assert {(loss.field, loss.how) for loss in plan.losses} == {("proxied", "dropped"), ("comment", "dropped")}
    assert run.load(plan.digest).finished
    assert of_file(tmp_path / "new" / f"{ZONE}zone") == of_text(
        f"$ORIGIN {ZONE}\n@ 1 IN SOA a. b. 1 2 3 4 5\nwww 300 IN A 192.0.2.1\nwww 300 IN A 192.0.2.2\n"
    )
