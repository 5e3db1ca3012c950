"""Taking back what was written: exactly that, in few calls, and never what people have touched since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.errors import InputError, VendorError
from migrator.steps import Steps
from migrator.testing.chaos import Killed
from migrator.testing.sandbox import Sandbox
from tests.support.desks import steps, tiny_desk
from tests.test_delta import again, change, there, writes

Moved = tuple[Steps, Sandbox, Sandbox]


def held(box: Sandbox) -> dict[str, int]:
    """Return how many records of each stream a person would see."""
    found = {}
    for stream, records in box.store.items():
        alive = [r for r in records.values() if not r.get("deleted") and r.get("status") != "deleted"]
        alive = [r for r in alive if r.get("active", True) is not False or stream != "users"]
        tickets = box.store["tickets"]
        alive = [
            r for r in alive if not tickets.get(r.get("ticket_id", 0), {"deleted": "ticket_id" in r}).get("deleted")
        ]
        if alive:
            found[stream] = len(alive)
    return found


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Steps, Sandbox, Sandbox, dict[str, int]]:
    """Return a tiny account that is loaded already, and what the new one held before."""
    old, new = tiny_desk()
    before = held(new)
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    assert run.load(run.plan().digest).finished
    return run, old, new, before


def taken_back(run: Steps, **how: Any) -> Any:
    """Plan the removal and carry it out."""
    plan = run.undo(**how)
    loaded = run.load(plan.digest)
    assert loaded.finished
    verified, differences = run.verify()
    assert verified.proven, differences
    return plan


def test_undo_leaves_what_was_there_before(moved: Any) -> None:
    run, _, new, before = moved
    assert held(new) != before
    taken_back(run)
    assert held(new) == before


def test_after_undo_everything_can_be_loaded_again(moved: Any) -> None:
    run, _, new, _ = moved
    full = held(new)
    taken_back(run)
    assert run.load(run.plan().digest).finished
    assert held(new) == full
    assert run.verify()[0].proven


def test_a_second_undo_makes_no_call(moved: Any) -> None:
    run, _, new, _ = moved
    taken_back(run)
    count = len(writes(new))
    assert run.undo().units == 0
    assert len(writes(new)) == count


def test_nothing_written_is_nothing_to_undo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    run.plan()
    with pytest.raises(InputError, match="nothing was written"):
        run.undo()


def test_what_people_changed_stays_with_all_it_needs(moved: Any) -> None:
    run, _, new, before = moved
    ticket = there(run, new, "ticket", "tickets", "100")
    ticket["subject"] = "Ours by now"
    plan = taken_back(run)
    assert any(d.kind == "ticket" and "changed at Freshdesk" in d.reason for d in plan.dispositions)
    assert ticket["id"] in new.store["tickets"]
    assert ticket["requester_id"] in new.store["contacts"]
    assert len([c for c in new.store["conversations"].values() if c["ticket_id"] == ticket["id"]]) >= 1
    assert held(new)["tickets"] == before.get("tickets", 0) + 1


def test_what_people_added_keeps_its_ticket(moved: Any) -> None:
    run, _, new, _ = moved
    ticket = there(run, new, "ticket", "tickets", "100")
    by_hand = {"body": "<div>by hand</div>", "private": False}
    note = run.destination().client.write("POST", f"/tickets/{ticket['id']}/notes", json=by_hand).json()
    plan = taken_back(run)
    assert any("people have added a message" in d.reason for d in plan.dispositions)
    assert note["id"] in new.store["conversations"]
    assert ticket["id"] in new.store["tickets"]


def test_a_persons_own_record_keeps_what_it_names(moved: Any) -> None:
    run, _, new, _ = moved
    contact = there(run, new, "contact", "contacts", "1")
    mine = {"subject": "mine", "description": "by hand", "requester_id": contact["id"], "status": 2, "priority": 1}
    run.destination().client.write("POST", "/tickets", json=mine)
    taken_back(run)
    assert contact["id"] in new.store["contacts"]
    assert held(new)["tickets"] == 1


def test_touched_records_go_where_a_person_says_so(moved: Any) -> None:
    run, _, new, before = moved
    there(run, new, "ticket", "tickets", "100")["subject"] = "Ours by now"
    taken_back(run, touched=True)
    assert held(new) == before


def test_undo_of_the_last_load_takes_back_what_it_changed(moved: Any) -> None:
    run, old, new, _ = moved
    full = held(new)
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter")
    old_subject = there(run, new, "ticket", "tickets", "100")["subject"]
    comment = next(iter(old.store["ticket_comments"].values()))["comment"]
    later = {**comment, "id": 1009, "attachments": [], "created_at": "2024-03-01T08:00:00Z"}
    registry.connector("zendesk").sandbox.seed(old, "ticket_comments", [{"ticket_id": 100, "comment": later}])
    assert run.load(again(run).digest).finished
    assert there(run, new, "ticket", "tickets", "100")["subject"] == "Another matter"
    taken_back(run, last=True)
    assert there(run, new, "ticket", "tickets", "100")["subject"] == old_subject
    assert held(new) == full
    plan = run.plan()
    assert plan.units == 2  # both changes are to be made again
    assert {(c.field, c.verdict) for c in plan.changes} == {("subject", "written")}


@pytest.mark.parametrize("nth", [1, 4, 8, 12])
def test_a_load_cut_off_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    old, new = tiny_desk()
    before = held(new)
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    plan = run.plan()
    new.fault("unanswered", at=nth, matching="^POST")
    new.fault("503", at=1, times=400, matching="^GET .*")
    with pytest.raises(VendorError):
        run.load(plan.digest)
    new.faults.clear()
    taken_back(run)
    assert held(new) == before


def test_an_undo_planned_anew_after_it_was_cut_off_removes_the_rest(moved: Any) -> None:
    run, _, new, before = moved
    deleted = [0]

    def watch(moment: str, name: str) -> None:
        deleted[0] += moment == "after" and name.startswith("DELETE") and "/tickets/" in name
        if deleted[0] == 2:
            raise Killed

    plan = run.undo()
    new.watchers.append(watch)
    with pytest.raises(Killed):
        run.load(plan.digest)
    new.watchers.clear()
    taken_back(run)
    assert held(new) == before


@pytest.mark.parametrize("how", ["unanswered", "500", "reset", "429"])
def test_a_fault_in_the_middle_of_an_undo_harms_nothing(moved: Any, how: Any) -> None:
    run, _, new, before = moved
    plan = run.undo()
    for at in (1, 3, 6):
        new.fault(how, at=at, matching="^DELETE")
    for _ in range(4):
        try:
            assert run.load(plan.digest).finished
            break
        except VendorError:
            continue
    assert held(new) == before
    assert run.undo().units == 0
