"""Zammad at both ends: a recorded account there and back, a delta, an undo, and nothing fired on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.errors import InputError
from migrator.ledger import Ledger
from migrator.rehearsal import rehearse
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support import rule_corpus
from tests.support.desks import steps, tiny_desk
from tests.support.vendor_data import vendor_file
from tests.support.zendesk_recorded import recorded

BOTH = {"secrets": {"token": "env:MIGRATOR_TEST_DESTINATION", "oauth_token": "env:MIGRATOR_TEST_DESTINATION"}}
SEATS = {"people_without_seat": "create"}
IMPORTING = {"channels": ["import_mode"]}
LATER = "2024-03-01T08:00:00Z"


def desk(clock: Clock, *, importing: bool = False) -> Sandbox:
    """Return a new Zammad with a trigger that is on."""
    box: Sandbox = registry.connector("zammad").sandbox.create(clock=clock)
    box.state["import_mode"] = importing
    with mount(box) as session:
        session.headers["Authorization"] = f"Token token={registry.connector('zammad').sandbox.TOKEN}"
        trigger = {"name": "auto reply", "active": True, "perform": {"notification.email": {}}}
        assert session.post(f"{box.base_url}/api/v1/triggers", json=trigger).status_code == 201
    return box


def moved_there(run: Steps) -> Steps:
    """Move an account and prove that it arrived."""
    run.extract()
    loaded = run.load(run.plan().digest)
    with Ledger(run.workspace.ledger) as ledger:
        assert loaded.quarantined == 0, ledger.quarantined()[:3]
    verified, differences = run.verify()
    assert verified.proven, differences[:5]
    return run


def there(run: Steps, box: Sandbox, kind: str, stream: str, source: str) -> dict[str, Any]:
    """Return a record at the destination."""
    with Ledger(run.workspace.ledger) as ledger:
        found = ledger.find(kind, source)
    assert found
    return box.store[stream][int(found.destination)]


def held(box: Sandbox) -> dict[str, int]:
    """Return how many records the account holds."""
    return {stream: len(records) for stream, records in box.store.items() if records and stream != "tag_list"}


def writes(box: Sandbox) -> list[tuple[str, str]]:
    """Return what was written, without the switching of triggers."""
    seen = [(e.method, e.path) for e in box.exchanges if e.method != "GET"]
    return [(method, path) for method, path in seen if "/triggers/" not in path]


def looked_at(box: Sandbox, since: int) -> list[str]:
    """Return the tickets that were looked at one by one."""
    return [e.path for e in box.exchanges[since:] if e.method == "GET" and "all" in e.query]


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Steps, Sandbox, Sandbox]:
    """Return a tiny Zendesk account that was moved to a new Zammad."""
    old, _ = tiny_desk()
    new = desk(old.clock)
    return moved_there(steps(tmp_path, old, new, monkeypatch, policies=SEATS)), old, new


# ---- a recorded account ----------------------------------------------------------------------------------------------


@pytest.mark.recorded
def test_the_recorded_account_goes_to_zammad_and_back_to_zendesk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = recorded(vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json"))
    middle = desk(old.clock)
    there = moved_there(steps(tmp_path / "there", old, middle, monkeypatch, policies=SEATS))
    assert len(middle.store["tickets"]) == 143
    assert len(middle.store["ticket_articles"]) == 151 - len(
        [1 for e in old.store["ticket_comments"].values() if e["ticket_id"] == 73]
    )
    assert (middle.state["mails"], middle.state["fired"]) == ([], [])
    assert [one["active"] for one in middle.store["triggers"].values()] == [True]
    assert json.loads((there.workspace.folder / "coverage.json").read_text())["uncovered"] == []

    with mount(middle) as session:
        session.headers["Authorization"] = f"Token token={registry.connector('zammad').sandbox.TOKEN}"
        for stream, body in (
            ("signatures", {"body": "<p>Kind regards</p>"}),
            ("email_addresses", {"email": "a@b.org"}),
        ):
            answer = session.post(f"{middle.base_url}/api/v1/{stream}", json={"name": "Desk", **body})
            assert answer.status_code == 201, answer.text
    zendesk = registry.connector("zendesk").sandbox
    new = zendesk.furnish(zendesk.create(clock=old.clock, limits=False, host="second.sandbox"))
    back = moved_there(steps(tmp_path / "back", middle, new, monkeypatch, source={}, destination=BOTH, policies=SEATS))
    assert len([t for t in new.store["tickets"].values() if t["status"] != "deleted"]) == 143
    assert "a@b.org" in {one["email"] for one in new.store["recipient_addresses"].values()}
    fates = [(one["action"], one["reason"]) for one in back.saved_plan()["dispositions"] if one["kind"] == "signature"]
    assert fates == [("skip", "it is of no agent by itself")]
    coverage = json.loads((back.workspace.folder / "coverage.json").read_text())
    assert coverage["uncovered"] == []
    assert coverage["unreadable"] == []


@pytest.mark.recorded
def test_in_import_mode_the_recorded_account_keeps_its_dates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = recorded(vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json"))
    new = desk(old.clock, importing=True)
    moved_there(steps(tmp_path, old, new, monkeypatch, destination=IMPORTING, policies=SEATS))
    kept = {(t["title"], t["created_at"].replace(".000Z", "Z")) for t in new.store["tickets"].values()}
    was = [t for t in old.store["tickets"].values() if t["status"] != "deleted"]
    assert kept == {(t["raw_subject"] or t["subject"], t["created_at"]) for t in was}
    assert not any("⟦" in article["body"] for article in new.store["ticket_articles"].values())


# ---- what a load does beside writing ---------------------------------------------------------------------------------


def test_an_author_keeps_his_words_and_a_note_stays_internal(moved: tuple[Steps, Sandbox, Sandbox]) -> None:
    run, _, new = moved
    ticket = there(run, new, "ticket", "tickets", "100")
    said = [a for a in new.store["ticket_articles"].values() if a["ticket_id"] == ticket["id"]]
    ada, bea = (there(run, new, kind, "users", id)["id"] for kind, id in (("contact", "1"), ("agent", "2")))
    assert [(a["origin_by_id"], a["internal"]) for a in said] == [(ada, False), (bea, False), (bea, True)]
    assert {a["type_id"] for a in said} == {10}  # notes: nobody is mailed
    assert (new.state["mails"], new.state["fired"]) == ([], [])


def test_an_own_field_becomes_a_column_that_holds_its_value(moved: tuple[Steps, Sandbox, Sandbox]) -> None:
    run, _, new = moved
    field = there(run, new, "custom_field", "object_manager_attributes", "30")
    ticket = there(run, new, "ticket", "tickets", "100")
    assert (field["display"], field["to_create"]) == ("Order", False)
    assert ticket[field["name"]] == "A-100"
    assert ticket["migrator_key"] == "zendesk:ticket:100"


def test_the_channel_is_refused_where_zammad_is_not_in_import_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = tiny_desk()
    run = steps(tmp_path, old, desk(old.clock), monkeypatch, destination=IMPORTING, policies=SEATS)
    run.extract()
    plan = run.plan()
    with pytest.raises(InputError, match="not in import mode"):
        run.load(plan.digest)


@pytest.mark.parametrize("more", [{}, {"destination": IMPORTING}], ids=["api", "import_mode"])
def test_a_rehearsal_carries_the_plan_out_in_a_twin_of_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    old, _ = tiny_desk()
    new = desk(old.clock, importing=bool(more))
    registry.connector("zammad").part("demo").fill(new, tickets=4)
    before = held(new)
    run = steps(tmp_path, old, new, monkeypatch, policies=SEATS, **more)
    run.extract()
    plan = run.plan()
    loaded, verified, differences = rehearse(run)
    assert (loaded.written, loaded.quarantined) == (plan.units, 0)
    assert differences == []
    assert verified.proven
    assert held(new) == before


# ---- afterwards ------------------------------------------------------------------------------------------------------


def test_a_delta_changes_the_changed_places_and_adds_what_is_new(moved: tuple[Steps, Sandbox, Sandbox]) -> None:
    run, old, new = moved
    run.extract()
    assert run.plan().units == 0
    module = registry.connector("zendesk").sandbox
    comment = next(iter(old.store["ticket_comments"].values()))["comment"]
    later = {**comment, "id": 1009, "attachments": [], "created_at": LATER, "html_body": "<p>and this</p>"}
    module.seed(old, "ticket_comments", [{"ticket_id": 100, "comment": later}])
    changes = {"subject": "Another matter", "raw_subject": "Another matter", "tags": ["b", "c, d"], "status": "pending"}
    old.store["tickets"][100] |= {**changes, "updated_at": LATER, "generated_timestamp": 1709280000}
    module.touch(old)
    run.extract()
    plan = run.plan()
    before = len(writes(new))
    assert run.load(plan.digest).finished
    ticket = there(run, new, "ticket", "tickets", "100")
    assert (ticket["title"], ticket["state_id"]) == ("Another matter", 3)
    assert set(new.state["tags_of"][ticket["id"]]) == {"b", "c, d"}
    tags = [path for _, path in writes(new)[before:] if "/tags/" in path]
    assert len(tags) == 3  # two come, one goes
    verified, differences = run.verify()
    assert verified.proven, differences
    run.extract()
    assert run.plan().units == 0


def test_undo_leaves_what_was_there_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, _ = tiny_desk()
    new = desk(old.clock)
    before = held(new)
    run = moved_there(steps(tmp_path, old, new, monkeypatch, policies=SEATS))
    assert held(new) != before
    plan = run.undo()
    assert run.load(plan.digest).finished
    assert held(new) == before
    assert run.undo().units == 0


# ---- as a source -----------------------------------------------------------------------------------------------------


def test_a_later_round_looks_at_changed_tickets_only_and_notices_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zammad, zendesk = registry.connector("zammad"), registry.connector("zendesk").sandbox
    old = zammad.sandbox.create(clock=Clock("2026-09-01T00:00:00+00:00"))
    zammad.part("demo").fill(old, tickets=6)
    new = zendesk.furnish(zendesk.create(clock=old.clock, limits=False))
    policies = {**SEATS, "deleted": "delete"}
    run = moved_there(steps(tmp_path, old, new, monkeypatch, destination=BOTH, policies=policies))
    first, *_, last = sorted(old.store["tickets"])
    old.clock.sleep(600)
    with mount(old) as session:
        session.headers["Authorization"] = f"Token token={zammad.sandbox.TOKEN}"
        address = f"{old.base_url}/api/v1/tickets"
        assert session.put(f"{address}/{first}", json={"title": "Another matter"}).status_code == 200
        assert session.delete(f"{address}/{last}").status_code == 200
    since = len(old.exchanges)
    run.extract()
    assert looked_at(old, since) == [f"/api/v1/tickets/{first}", f"/api/v1/tickets/{last}"]
    plan = run.plan()
    assert {(d.kind, d.action) for d in plan.dispositions} >= {("ticket", "update"), ("ticket", "delete")}
    assert run.load(plan.digest).finished
    subjects = {t["subject"] for t in new.store["tickets"].values() if t["status"] != "deleted"}
    assert "Another matter" in subjects
    assert f"Ticket {5}" not in subjects


RULES = {"trigger": "triggers", "timed": "jobs", "macro": "macros", "view": "overviews"}


@pytest.mark.recorded
def test_the_published_rules_in_an_account_go_to_zendesk_in_the_order_of_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor_file("rules/zammad")
    module, zendesk = registry.connector("zammad").sandbox, registry.connector("zendesk").sandbox
    old = module.create(clock=Clock("2026-09-01T00:00:00+00:00"))
    for number, (_, kind, native) in enumerate(rule_corpus.rules("zammad"), 1):
        body = {key: value for key, value in native.items() if key != "_source"}
        dated = {"created_at": "2024-01-01T08:00:00.000Z", "updated_at": "2024-01-01T08:00:00.000Z"}
        named = {"name": native.get("name") or f"Rule {number}"}
        module.seed(old, RULES[kind], [{"active": True, **body, **dated, **named, "id": number}])
    new = zendesk.furnish(zendesk.create(clock=old.clock, limits=False))
    run = moved_there(steps(tmp_path, old, new, monkeypatch, destination=BOTH, policies=SEATS))
    with Stage(run.workspace.stage) as stage:
        for kind, stream in (("trigger", "triggers"), ("automation", "jobs"), ("macro", "macros")):
            names = [name for (name,) in stage.rows(f"SELECT name FROM canonical.{kind} ORDER BY position")]
            assert names == sorted((one["name"] for one in old.store[stream].values()), key=str.lower)
    written = [line for line in run.saved_plan()["dispositions"] if line["action"] == "create"]
    assert sum(line["count"] for line in written if line["kind"] in ("trigger", "automation", "macro", "view")) > 0
    coverage = json.loads((run.workspace.folder / "coverage.json").read_text(encoding="utf-8"))
    assert coverage["uncovered"] == []
