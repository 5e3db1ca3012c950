"""After the first load: what changes at the source is brought over, what people changed at the destination stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from tests.support.desks import steps, tiny_desk, tiny_freshdesk

LATER = "2024-03-01T08:00:00Z"
Moved = tuple[Steps, Sandbox, Sandbox]


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Moved:
    """Return a tiny account that is loaded already; ``request.param`` holds policies."""
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch, policies=getattr(request, "param", {}))
    run.extract()
    assert run.load(run.plan().digest).finished
    return run, old, new


def change(old: Sandbox, stream: str, id: int, **values: Any) -> None:
    """Change a record at the source, as somebody at work there would."""
    stamp = {"generated_timestamp": 1709280000} if stream == "tickets" else {}
    old.store[stream][id] = {**old.store[stream][id], "updated_at": LATER, **stamp, **values}
    registry.connector("zendesk").sandbox.touch(old)


def writes(box: Sandbox) -> list[tuple[str, str]]:
    """Return what was written to the sandbox."""
    return [(e.method, e.path) for e in box.exchanges if e.method != "GET"]


def there(run: Steps, new: Sandbox, kind: str, stream: str, source: str) -> dict[str, Any]:
    """Return the record at the destination."""
    from migrator.ledger import Ledger

    with Ledger(run.workspace.ledger) as ledger:
        found = ledger.find(kind, source)
    assert found
    return new.store[stream][int(found.destination)]


def again(run: Steps) -> Any:
    """Extract and plan again."""
    run.extract()
    return run.plan()


def test_a_delta_without_changes_writes_nothing(moved: Moved) -> None:
    run, _, new = moved
    before = len(writes(new))
    plan = again(run)
    assert plan.units == 0
    assert plan.changes == []
    run.load(plan.digest)
    assert len(writes(new)) == before


def test_a_changed_ticket_is_changed_in_the_changed_places_only(moved: Moved) -> None:
    run, old, new = moved
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter", priority="urgent")
    plan = again(run)
    assert plan.units == 1
    before = len(writes(new))
    assert run.load(plan.digest).finished
    assert len(writes(new)) == before + 1
    assert there(run, new, "ticket", "tickets", "100")["subject"] == "Another matter"
    sent = [e for e in new.exchanges if e.method == "PUT"][-1]
    import json

    assert set(json.loads(sent.body)) == {"subject", "priority"}
    verified, differences = run.verify()
    assert verified.proven, differences
    assert again(run).units == 0


def test_what_people_changed_at_the_destination_stays_and_is_named(moved: Moved) -> None:
    run, old, new = moved
    there(run, new, "ticket", "tickets", "100")["subject"] = "Ours by now"
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter", priority="urgent")
    plan = again(run)
    assert {(c.field, c.verdict) for c in plan.changes} == {("subject", "edited"), ("priority", "written")}
    assert run.load(plan.digest).finished
    ticket = there(run, new, "ticket", "tickets", "100")
    assert (ticket["subject"], ticket["priority"]) == ("Ours by now", 4)
    assert {(c.field, c.verdict) for c in again(run).changes} == {("subject", "edited")}


@pytest.mark.parametrize("moved", [{"edited": "overwrite"}], indirect=True)
def test_a_policy_overwrites_and_the_plan_names_it(moved: Moved) -> None:
    run, old, new = moved
    there(run, new, "ticket", "tickets", "100")["subject"] = "Ours by now"
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter")
    plan = again(run)
    assert [(c.field, c.verdict) for c in plan.changes] == [("subject", "overwritten")]
    assert run.load(plan.digest).finished
    assert there(run, new, "ticket", "tickets", "100")["subject"] == "Another matter"


def test_an_edit_between_plan_and_load_is_not_overwritten(moved: Moved) -> None:
    run, old, new = moved
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter")
    plan = again(run)
    ticket = there(run, new, "ticket", "tickets", "100")
    ticket.update(subject="Just now", updated_at="2030-01-01T00:00:00Z")
    loaded = run.load(plan.digest)
    assert loaded.quarantined == 1
    assert there(run, new, "ticket", "tickets", "100")["subject"] == "Just now"


def test_an_update_planned_and_not_carried_out_is_planned_again(moved: Moved) -> None:
    run, old, _ = moved
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter")
    assert again(run).units == 1
    assert again(run).units == 1  # the first was never loaded


def test_a_new_message_is_appended_once(moved: Moved) -> None:
    run, old, new = moved
    comment = next(iter(old.store["ticket_comments"].values()))["comment"]
    later = {**comment, "id": 1009, "attachments": [], "created_at": LATER, "html_body": "<p>and this</p>"}
    registry.connector("zendesk").sandbox.seed(old, "ticket_comments", [{"ticket_id": 100, "comment": later}])
    change(old, "tickets", 100)
    before = len(new.store["conversations"])
    for _ in range(2):
        run.load(again(run).digest)
    assert len(new.store["conversations"]) == before + 1
    assert run.verify()[0].proven


@pytest.mark.parametrize("moved", [{"deleted": "keep"}, {"deleted": "delete"}], indirect=True)
def test_what_the_source_deletes_goes_by_the_policy(moved: Moved) -> None:
    run, old, new = moved
    policy = run.project.migration.policies.deleted
    ticket = there(run, new, "ticket", "tickets", "100")
    change(old, "tickets", 100, status="deleted")
    plan = again(run)
    actions = {(d.kind, d.action) for d in plan.dispositions}
    assert (("ticket", "delete") in actions) == (policy == "delete")
    assert run.load(plan.digest).finished
    gone = new.store["tickets"].get(ticket["id"], {"deleted": True}).get("deleted", False)
    assert gone == (policy == "delete")
    assert again(run).units == 0


@pytest.mark.parametrize("moved", [{"deleted": "delete"}], indirect=True)
def test_what_people_work_on_is_not_deleted(moved: Moved) -> None:
    run, old, new = moved
    there(run, new, "ticket", "tickets", "100")["updated_at"] = "2030-01-01T00:00:00Z"
    change(old, "tickets", 100, status="deleted")
    plan = again(run)
    assert any("somebody changed it" in d.reason for d in plan.dispositions if d.kind == "ticket")
    assert plan.units == 0


def test_a_custom_value_changes_alone(moved: Moved) -> None:
    run, old, new = moved
    change(old, "tickets", 100, custom_fields=[{"id": 30, "value": "A-2"}])
    plan = again(run)
    assert [(c.field, c.verdict) for c in plan.changes] == [("custom", "written")]
    assert run.load(plan.digest).finished
    assert there(run, new, "ticket", "tickets", "100")["custom_fields"]["cf_order"] == "A-2"
    assert run.verify()[0].proven


def test_a_person_who_moves_to_nobody_is_updated(moved: Moved) -> None:
    run, old, new = moved
    change(old, "users", 1, name="Ada Lovelace", phone="+44 1")
    change(old, "users", 2, name="Bea Two")  # an agent without a seat, who stands in as a contact
    plan = again(run)
    assert {(c.kind, c.field, c.verdict) for c in plan.changes} == {
        ("contact", "name", "written"),
        ("contact", "phone", "written"),
        ("agent", "name", "written"),
    }
    assert run.load(plan.digest).finished
    assert there(run, new, "contact", "contacts", "1")["phone"] == "+44 1"
    assert run.verify()[0].proven


def test_a_changed_note_is_changed(moved: Moved) -> None:
    run, old, _ = moved
    for row in old.store["ticket_comments"].values():
        row["comment"]["html_body"] = row["comment"]["body"] = "redacted"
    change(old, "tickets", 100)
    plan = again(run)
    assert {c.verdict for c in plan.changes} == {"written"}
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences
    with Stage(run.workspace.stage) as stage:
        assert stage.one("SELECT count(*) FROM back_canonical.message WHERE contains(body, 'redacted')") >= 3


def test_a_new_message_of_a_ticket_that_changed_too_is_written_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tiny_freshdesk()
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    assert run.load(run.plan().digest).finished
    now = old.now()
    note = next(c for c in old.store["conversations"].values() if c["ticket_id"] == 1)
    said = {
        **note,
        "id": 990001,
        "attachments": [],
        "created_at": now,
        "updated_at": now,
        "body": "<div>and this</div>",
    }
    registry.connector("freshdesk").sandbox.seed(old, "conversations", [said])
    old.store["tickets"][1] |= {"subject": "Another matter", "updated_at": now}
    new.clock.sleep(120)
    before = len(new.store["ticket_comments"])
    assert run.load(again(run).digest).finished
    assert len(new.store["ticket_comments"]) == before + 1
    assert again(run).units == 0
