"""Whole migrations to Chatwoot and from it: predicted, loaded, read back, changed later, taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
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
from tests.support.desks import steps, tiny_desk
from tests.support.vendor_data import vendor_file
from tests.support.zendesk_recorded import recorded

BOTH = {"secrets": {"token": "env:MIGRATOR_TEST_DESTINATION", "oauth_token": "env:MIGRATOR_TEST_DESTINATION"}}
OWN = {"plan": "self_hosted"}


def chatwoot(clock: Clock, *seats: str, limits: bool = False) -> Sandbox:
    """Return a new Chatwoot account with these agents."""
    module = registry.connector("chatwoot").sandbox
    box: Sandbox = module.create(clock=clock, limits=limits)
    return module.furnish(box, seats) if seats else box  # type: ignore[no-any-return]


def moved(run: Steps) -> None:
    """Extract, plan, load and prove."""
    run.extract()
    loaded = run.load(run.plan().digest)
    with Ledger(run.workspace.ledger) as ledger:
        assert loaded.quarantined == 0, ledger.quarantined()[:3]
    proven(run)


def proven(run: Steps) -> None:
    """Read back, and find no difference from the plan."""
    verified, differences = run.verify()
    assert verified.proven, differences[:5]


def conversations(box: Sandbox) -> dict[str, dict[str, Any]]:
    """Return the conversations by their subject."""
    return {c["additional_attributes"]["mail_subject"]: c for c in box.store["conversations"].values()}


def said(box: Sandbox, conversation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what people said in a conversation."""
    return [m for m in box.store["messages"].values() if m["conversation_id"] == conversation["id"]]


@dataclass(frozen=True)
class Desk:
    """A tiny Zendesk account that is in Chatwoot: one ticket is solved, its agent has a seat; and what happened."""

    run: Steps
    old: Sandbox
    new: Sandbox
    refused: str  # while Chatwoot would mail
    written: int  # by then
    rehearsed: bool
    after_rehearsal: int  # conversations
    during: list[bool]  # whether the rule acted while conversations were made


RULES = [{"id": 1, "name": "on", "active": True}, {"id": 2, "name": "off", "active": False}]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Return the desk: a load that is refused, a rehearsal, a load."""
    with pytest.MonkeyPatch.context() as patch:
        old, _ = tiny_desk()
        old.store["tickets"][101]["status"] = "solved"
        new = chatwoot(old.clock, "bea@desk.example")
        registry.connector("chatwoot").sandbox.seed(new, "automation_rules", RULES)
        run = steps(tmp_path_factory.mktemp("desk"), old, new, patch, destination=OWN)
        run.extract()
        plan = run.plan()
        new.state["features"] = {"email_continuity_on_api_channel": True}
        with pytest.raises(InputError) as refusal:
            run.load(plan.digest)
        written = len([e for e in new.exchanges if e.method != "GET"])
        new.state["features"] = {}
        loaded, verified, _ = rehearse(run)
        rehearsed, made = loaded.finished and verified.proven, len(new.store["conversations"])
        during: list[bool] = []

        def watch(when: str, name: str) -> None:
            if name.startswith("POST") and name.endswith("/conversations"):
                during.append(new.store["automation_rules"][1]["active"])

        new.watchers.append(watch)
        assert run.load(plan.digest).quarantined == 0
        new.watchers.clear()
        proven(run)
        yield Desk(run, old, new, str(refusal.value), written, rehearsed, made, during)


def test_a_conversation_arrives_with_its_people_words_files_and_status(desk: Desk) -> None:
    new = desk.new
    there = conversations(new)["Question 101"]
    assert there["status"] == "resolved"  # though the customer's word came after it was made
    assert there["priority"] == "high"
    assert there["labels"] == ["a"]
    assert new.store["agents"][there["assignee_id"]]["email"] == "bea@desk.example"
    contact = new.store["contacts"][there["contact_id"]]
    assert contact["email"] == "ada@firm.example"
    assert contact["additional_attributes"] == {"company_name": "Firm"}
    words = said(new, there)
    assert [(m["message_type"], m["private"]) for m in words] == [(0, False), (1, False), (1, True)]
    assert words[1]["content"].startswith("⟦Bea, 2024-01-01 01:00 UTC")
    assert new.blobs[new.state["files"][words[0]["_files"][0]]["key"]] == b"bytes"
    assert not [mail for mail in new.state["mails"] if mail["why"] == "reply"]


def test_a_rehearsal_differs_in_nothing(desk: Desk) -> None:
    assert desk.rehearsed
    assert desk.after_rehearsal == 0


def test_rules_are_held_still_and_put_back(desk: Desk) -> None:
    assert desk.during
    assert not any(desk.during)
    assert [rule["active"] for rule in desk.new.store["automation_rules"].values()] == [True, False]


def test_nothing_is_written_where_chatwoot_would_mail_it(desk: Desk) -> None:
    assert "mails what is said" in desk.refused
    assert desk.written == 0


def test_what_is_said_later_arrives_once_and_wakes_nobody_and_undo_leaves_what_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = tiny_desk()
    old.store["tickets"][101]["status"] = "solved"
    new = chatwoot(old.clock, "bea@desk.example")
    run = steps(tmp_path, old, new, monkeypatch, destination=OWN)
    moved(run)
    comment = next(iter(old.store["ticket_comments"].values()))["comment"]
    module = registry.connector("zendesk").sandbox
    for at, (lost, priority) in enumerate([("/messages$", "low"), ("/toggle_status$", "urgent")], 1):
        text, when = f"later {at}", f"2024-03-0{at}T08:00:00Z"
        more = {"id": 9000 + at, "author_id": 1, "html_body": f"<p>{text}</p>", "body": text, "public": True}
        more |= {"attachments": [], "created_at": when}
        module.seed(old, "ticket_comments", [{"ticket_id": 101, "comment": {**comment, **more}}])
        stamp = 1709280000 + 86400 * (at - 1)
        old.store["tickets"][101] |= {"updated_at": when, "generated_timestamp": stamp, "priority": priority}
        module.touch(old)
        run.extract()
        plan = run.plan()
        new.fault("unanswered", matching=f"^POST .*{lost}")
        assert run.load(plan.digest).finished
        proven(run)
        there = conversations(new)["Question 101"]
        assert len(said(new, there)) == 3 + at
        assert (there["status"], there["priority"]) == ("resolved", priority)
        assert said(new, there)[-1]["message_type"] == 0
        assert said(new, there)[-1]["content"].endswith(text)
    assert run.load(run.undo().digest).finished
    proven(run)
    assert {stream for stream, records in new.store.items() if records} == {"agents", "teams"}


def test_from_chatwoot_to_zendesk_and_nothing_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock("2026-09-01T00:00:00+00:00")
    old = registry.connector("chatwoot").sandbox.create(clock=clock, limits=False)
    registry.connector("chatwoot").part("demo").fill(old, tickets=8)
    zendesk = registry.connector("zendesk").sandbox
    new = zendesk.furnish(zendesk.create(clock=clock, limits=False))
    run = steps(tmp_path, old, new, monkeypatch, source=OWN, destination=BOTH)
    moved(run)
    tickets = [t for t in new.store["tickets"].values() if t["status"] != "deleted"]
    assert len(tickets) == 8
    assert {t["status"] for t in tickets} == {"open", "solved"}
    with Stage(run.workspace.stage) as stage:
        came = stage.one("SELECT count(*) FROM canonical.message")
        assert stage.one("SELECT count(*) FROM canonical.contact WHERE name = 'A visitor'") == 1
    assert came == 7 * 3 + 64
    coverage = json.loads((run.workspace.folder / "coverage.json").read_text(encoding="utf-8"))
    assert coverage["uncovered"] == []
    assert coverage["unreadable"] == []


@pytest.mark.recorded
def test_the_recorded_account_goes_to_chatwoot_as_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = recorded(vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json"))
    for id in list(old.store["tickets"])[::3]:  # two of three are left, in their variety
        del old.store["tickets"][id]
    left = [ticket for ticket in old.store["tickets"].values() if ticket["status"] != "deleted"]
    new = chatwoot(old.clock, limits=True)
    run = steps(tmp_path, old, new, monkeypatch, destination=OWN)
    run.source_session, run.destination_session = mount(old), mount(new)
    moved(run)
    assert len(new.store["conversations"]) == len(left)
