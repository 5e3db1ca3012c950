"""Deaths, faults, refusals, edits by hand, later rounds and the way back, judged by what the servers serve."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from migrator.errors import VendorError
from migrator.ledger import Ledger
from migrator.steps import Steps
from migrator.testing.conformance.ground import HastyClock
from migrator.testing.servers import Proxy, powerdns
from migrator.testing.servers.name_servers import KEY, NameServer
from migrator.testing.servers.powerdns import PowerDNS
from tests.crash.test_killed import load_in
from tests.servers.request_tracker.test_killed import killed_at
from tests.support.dns_relay import Relay
from tests.support.dns_zones import ZONE, Served, of_text, transferred
from tests.support.server_desks import Side, steps_between

from .conftest import at, filed, on

pytestmark = pytest.mark.servers

APEX = f"$ORIGIN {ZONE}\n@ 3600 IN SOA ns1.old.example. host.old.example. 1 2 3 4 5\n@ 3600 IN NS ns1.old.example.\n"
WIDE = APEX + "".join(f"h{n:04d} {60 + n} IN A 192.0.2.{n % 250}\n" for n in range(1300))
SMALL = APEX + '@ 300 IN TXT "one"\nwww 300 IN A 192.0.2.1\nmail 600 IN A 192.0.2.2\n@ 300 IN MX 10 mail\n'
SPAWN = multiprocessing.get_context("forkserver")


def begun(folder: Path, text: str, there: Side, patch: pytest.MonkeyPatch, **more: Any) -> Steps:
    """Return a migration out of a zone file, planned."""
    source = filed(folder / "zones")
    (folder / "zones" / f"{ZONE}zone").write_text(text, encoding="utf-8")
    run = steps_between(folder / "work", source, there, patch, HastyClock(), **more)
    run.extract()
    run.plan()
    return run


def loaded(run: Steps) -> None:
    """Load to the end."""
    assert run.load(run.saved_plan()["digest"]).finished


def by_hand(server: PowerDNS, **rrset: Any) -> None:
    """Change one set by a plain call."""
    answer = requests.patch(
        f"{server.url}/api/v1/servers/localhost/zones/{ZONE}",
        json={"rrsets": [rrset]},
        headers={"X-API-Key": powerdns.KEY},
        timeout=20,
    )
    assert answer.ok, answer.text


def replaced(folder: Path, text: str) -> None:
    """Let the source's zone be another."""
    (folder / "zones" / f"{ZONE}zone").write_text(text, encoding="utf-8")


@pytest.fixture
def tried(tmp_path: Path) -> Path:
    """Return a folder for a migration."""
    folder = tmp_path / "migration"
    folder.mkdir()
    return folder


# ---- faults and deaths -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "unanswered", "failed", "503", "truncated"])
def test_a_fault_at_any_write_to_powerdns_doubles_and_loses_nothing(
    new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch, how: Any
) -> None:
    with Proxy(new.url) as proxy:
        run = begun(tried, WIDE, at(new, url=proxy.url, servers=new.address), monkeypatch)
        for nth in range(1, 5):
            proxy.order(how, nth, "^(POST|PATCH) ")
        for _ in range(5):  # as a person would: again
            with contextlib.suppress(VendorError):
                loaded(run)
                break
        proxy.calm()
        verified, differences = run.verify()
    assert verified.proven, differences[:3]
    assert transferred(new.address) == of_text(WIDE)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_a_load_into_powerdns_killed_at_a_write_doubles_and_loses_nothing(
    new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch, when: str, nth: int
) -> None:
    with Proxy(new.url) as proxy:
        run = begun(tried, WIDE, at(new, url=proxy.url, servers=new.address), monkeypatch)
        killed_at(run.workspace.folder, proxy, when, nth)
        proxy.calm()
        loaded(run)
        assert run.verify()[0].proven
    assert transferred(new.address) == of_text(WIDE)


@pytest.mark.parametrize("how", ["reset", "unanswered"])
def test_a_fault_at_any_update_of_bind_doubles_and_loses_nothing(
    bind: NameServer, tried: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with Relay(bind.port, dict.fromkeys((1, 3, 6), how)) as relay:
        run = begun(tried, WIDE, on(bind, address=relay.address), monkeypatch)
        loaded(run)
        verified, differences = run.verify()
    assert verified.proven, differences[:3]
    assert transferred(bind.address, key=KEY) == of_text(WIDE)


@pytest.mark.parametrize(("when", "nth"), [("before", 2), ("after", 1), ("after", 5)])
def test_a_load_into_bind_killed_at_an_update_doubles_and_loses_nothing(
    bind: NameServer, tried: Path, monkeypatch: pytest.MonkeyPatch, when: str, nth: int
) -> None:
    with Relay(bind.port) as relay:
        run = begun(tried, WIDE, on(bind, address=relay.address), monkeypatch)
        environment = {k: v for k, v in os.environ.items() if k.startswith("MIGRATOR_TEST_")}
        child: Any = SPAWN.Process(target=load_in, args=(str(run.workspace.folder), relay.address, environment))

        def watch(moment: str, number: int) -> None:
            if (moment, number) == (when, nth):
                os.kill(child.pid, signal.SIGKILL)
                if when == "before":
                    raise EOFError

        relay.watch = watch
        child.start()
        child.join(120)
        assert child.exitcode == -signal.SIGKILL
        loaded(run)
        assert run.verify()[0].proven
    assert transferred(bind.address, key=KEY) == of_text(WIDE)


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_what_powerdns_refuses_is_singled_out_and_the_rest_of_its_call_arrives(
    new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = WIDE + "px 300 IN PX 10 a.example. b.example.\n"  # a type PowerDNS does not know
    run = begun(tried, odd, at(new, servers=new.address), monkeypatch)
    assert not run.load(run.saved_plan()["digest"]).finished
    with Ledger(run.workspace.ledger) as ledger:
        ((unit, kind, answer, _),) = ledger.quarantined()
    assert (unit, kind) == (f"record_set:{ZONE} PX px.{ZONE}", "record_set")
    assert "422" in answer
    assert "PX" in answer
    assert transferred(new.address) == of_text(WIDE)


def test_what_bind_refuses_is_singled_out_and_the_rest_of_its_update_arrives(
    running: Callable[..., Any], tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from migrator.testing.servers import name_servers

    strict = running(name_servers.bind, "bind-strict", zones=[ZONE], names="fail")
    run = begun(tried, SMALL + "under_score 300 IN A 192.0.2.9\n", on(strict), monkeypatch)
    assert not run.load(run.saved_plan()["digest"]).finished
    with Ledger(run.workspace.ledger) as ledger:
        found = ledger.quarantined()
        assert len(found) == 1, found
        ((unit, _, answer, _),) = found
    assert unit == f"record_set:{ZONE} A under_score.{ZONE}"
    assert "REFUSED" in answer
    assert transferred(strict.address, key=KEY) == of_text(SMALL)


def test_a_set_that_came_up_at_the_server_since_the_plan_is_not_written_over(
    bind: NameServer, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tried, SMALL, on(bind), monkeypatch)
    other = begun(tried.with_name("other"), APEX + "www 60 IN A 198.51.100.7\n", on(bind), monkeypatch)
    loaded(other)
    assert not run.load(run.saved_plan()["digest"]).finished
    with Ledger(run.workspace.ledger) as ledger:
        found = ledger.quarantined()
        assert len(found) == 1, found
        ((unit, _, answer, _),) = found
    assert unit == f"record_set:{ZONE} A www.{ZONE}"
    assert "YXRRSET" in answer
    wanted: Served = of_text(SMALL) | of_text(APEX + "www 60 IN A 198.51.100.7\n")
    assert transferred(bind.address, key=KEY) == wanted


def test_another_set_that_is_there_already_is_left_to_a_person_and_an_equal_one_is_kept(
    new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(
        begun(
            tried.with_name("other"), APEX + "www 60 IN A 198.51.100.7\nmail 600 IN A 192.0.2.2\n", at(new), monkeypatch
        )
    )
    run = begun(tried, SMALL, at(new, servers=new.address), monkeypatch)
    fates = {line["action"]: line for line in run.saved_plan()["dispositions"] if line["kind"] == "record_set"}
    assert fates["manual"]["count"] == 1
    assert "another one" in fates["manual"]["reason"]
    assert fates["manual"]["examples"][0][0] == f"{ZONE} A www.{ZONE}"
    assert fates["keep"]["count"] == 1
    loaded(run)
    assert transferred(new.address)[f"www.{ZONE}", "A"] == (60, ("c6336407",))


# ---- edits, later rounds, the way back -------------------------------------------------------------------------------


def test_verify_finds_what_somebody_changed_by_hand(
    new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tried, SMALL, at(new, servers=new.address), monkeypatch)
    loaded(run)
    assert run.verify()[0].proven
    off = {"content": "192.0.2.77", "disabled": False}
    by_hand(new, name=f"www.{ZONE}", type="A", ttl=300, changetype="REPLACE", records=[off])
    by_hand(new, name=f"mail.{ZONE}", type="A", changetype="DELETE")
    _, differences = run.verify()
    found = {(one["id"], one["field"], one["found"]) for one in differences}
    assert found == {
        (f"{ZONE} A www.{ZONE}", "values", "[192.0.2.77]"),
        (f"{ZONE} A mail.{ZONE}", "(record)", None),
    }


def test_verify_hears_every_server_and_names_the_one_that_serves_something_else(
    old: PowerDNS, new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .conftest import put

    put(old, SMALL.replace("192.0.2.2", "192.0.2.200"))
    run = begun(tried, SMALL, at(new, servers=f"{new.address} {old.address}"), monkeypatch)
    loaded(run)
    _, differences = run.verify()
    assert {(one["id"], one["field"]) for one in differences} == {(f"{ZONE} A mail.{ZONE}", "values")}
    assert f"{old.address} serves 600 192.0.2.200" in differences[0]["found"]


def test_verify_asks_name_by_name_where_no_transfer_is_allowed(
    running: Callable[..., Any], new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from migrator.testing.servers import name_servers

    closed = running(name_servers.bind, "bind-closed", zones=[ZONE], transfers="none")
    run = begun(tried, SMALL, at(new, servers=f"{closed.address}"), monkeypatch)
    loaded(run)
    _, differences = run.verify()
    assert {one["found"] for one in differences if one["field"] == "values"} == {
        f"['({closed.address} does not serve it)']"
    }


def test_a_later_round_changes_what_changed_and_undo_brings_back_what_was(
    new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tried, SMALL, at(new, servers=new.address), monkeypatch, policies={"deleted": "delete"})
    loaded(run)
    changed = SMALL.replace("www 300", "www 60").replace("mail 600 IN A 192.0.2.2\n", "").replace('"one"', '"two"')
    replaced(tried, changed)
    run.extract()
    plan = run.plan()
    assert {(one.field, one.verdict, one.count) for one in plan.changes} == {
        ("ttl", "written", 1),
        ("values", "written", 1),
    }
    loaded(run)
    assert run.verify()[0].proven
    assert transferred(new.address) == of_text(changed)
    run.undo(last=True)
    loaded(run)
    wanted = of_text(SMALL)
    del wanted[f"mail.{ZONE}", "A"]  # what a load deletes is not made again
    assert transferred(new.address) == wanted
    run.undo()
    loaded(run)
    assert new.rows("SELECT count(*) FROM domains") == [(0,)]


def test_all_ttls_of_a_zone_are_lowered_in_a_later_round_in_a_few_calls(
    new: PowerDNS, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(new.url) as proxy:
        run = begun(tried, WIDE, at(new, url=proxy.url, servers=new.address), monkeypatch)
        loaded(run)
        low = APEX + "".join(f"h{n:04d} 60 IN A 192.0.2.{n % 250}\n" for n in range(1300))
        replaced(tried, low)
        run.extract()
        run.plan()
        proxy.calm()
        loaded(run)
        assert len(proxy.exchanges) < 60
    assert transferred(new.address) == of_text(low)


def test_an_update_of_bind_changes_the_ttl_and_undo_takes_everything_away(
    bind: NameServer, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tried, SMALL, on(bind), monkeypatch)
    loaded(run)
    replaced(tried, SMALL.replace("www 300 IN A 192.0.2.1", "www 60 IN A 192.0.2.1"))
    run.extract()
    run.plan()
    loaded(run)
    assert transferred(bind.address, key=KEY)[f"www.{ZONE}", "A"][0] == 60
    run.undo()
    loaded(run)
    assert transferred(bind.address, key=KEY) == {}
