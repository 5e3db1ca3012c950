"""Planning again: what earlier loads wrote is known, still verified, and nobody is doubled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator.rehearsal import rehearse
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from tests.support.desks import small_desk, steps, tiny_desk


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Steps, Sandbox, Sandbox]:
    """Return a tiny account that is loaded already."""
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    assert run.load(run.plan().digest).finished
    return run, old, new


def test_a_second_plan_writes_nothing_and_verifies_as_much_as_the_first(moved: Any) -> None:
    run, _, new = moved
    first, _ = run.verify()
    writes = sum(e.method != "GET" for e in new.exchanges)
    plan = run.plan()
    assert plan.units == 0
    assert run.load(plan.digest).written == 0
    assert sum(e.method != "GET" for e in new.exchanges) == writes
    second, _ = run.verify()
    assert (second.records, second.equal, second.proven) == (first.records, first.equal, True)
    ticket = next(iter(new.store["tickets"].values()))
    ticket["subject"] = "changed"
    third, differences = run.verify()
    assert not third.proven
    assert [d["field"] for d in differences] == ["subject"]


def test_what_came_since_is_written_once_beside_what_is_known(moved: Any) -> None:
    run, old, new = moved
    comment = {**next(iter(old.store["ticket_comments"].values()))}
    module = __import__("migrator.registry", fromlist=["connector"]).connector("zendesk").sandbox
    comment = comment.get("comment", comment)
    later = {**comment, "id": 1009, "attachments": [], "created_at": "2024-01-01T09:00:00Z"}
    module.seed(old, "ticket_comments", [{"ticket_id": 100, "comment": later}])
    old.store["tickets"][100] |= {"updated_at": "2024-03-01T08:00:00Z", "generated_timestamp": 1709280000}
    module.touch(old)
    before = len(new.store["conversations"])
    run.extract()
    plan = run.plan()
    assert plan.units == 1
    assert run.load(plan.digest).written == 1
    assert len(new.store["conversations"]) == before + 1
    assert run.verify()[0].proven


def test_an_employee_with_a_seat_who_asks_is_that_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrator import registry

    old, new = tiny_desk()
    registry.connector("freshdesk").part("demo").furnish(new, ("ada@firm.example",))
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    plan = run.plan()
    assert any(d.kind == "contact" and d.action == "keep" and "as agent" in d.reason for d in plan.dispositions)
    assert run.load(plan.digest).finished
    assert run.verify()[0].proven
    seat = next(a["id"] for a in new.store["agents"].values() if a["contact"]["email"] == "ada@firm.example")
    assert {t["requester_id"] for t in new.store["tickets"].values()} == {seat}


def test_an_employee_who_asks_is_predicted_as_that_agent_and_his_losses_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from migrator import registry

    old, new = tiny_desk()
    registry.connector("freshdesk").part("demo").furnish(new, ("ada@firm.example",))
    old.store["users"][1]["phone"] = "+49 30 1234"
    old.store["users"][4] = {**old.store["users"][1], "id": 4, "name": "Ada once more"}
    old.store["tickets"][101]["requester_id"] = 4
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    plan = run.plan()
    lost = {(loss.field, loss.how): loss.count for loss in plan.losses if loss.kind == "contact"}
    assert lost["name", "merged"] == lost["phone", "merged"] == 2  # the agent keeps his own
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences
    seats = new.store["agents"]
    seats.pop(next(id for id, a in seats.items() if a["contact"]["email"] == "ada@firm.example"))
    verified, differences = run.verify()
    assert {(d["kind"], d["id"], d["field"]) for d in differences} >= {("contact", "1", "(record)")}


def test_two_agents_of_one_address_without_a_seat_are_one_contact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tiny_desk()
    twin = {**old.store["users"][2], "id": 3, "name": "Bea again"}
    old.store["users"][3] = twin
    for ticket in old.store["tickets"].values():
        ticket["assignee_id"] = 3
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    plan = run.plan()
    loaded = run.load(plan.digest)
    assert loaded.finished
    assert run.verify()[0].proven
    assert sum(c["email"] == "bea@desk.example" for c in new.store["contacts"].values()) == 1
    assert all(t["responder_id"] is None for t in new.store["tickets"].values())


def test_people_without_a_seat_may_be_left_to_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch, policies={"people_without_seat": "manual"})
    run.extract()
    plan = run.plan()
    assert any(d.kind == "agent" and d.action == "manual" for d in plan.dispositions)
    assert run.load(plan.digest).finished
    assert run.verify()[0].proven


def test_the_rehearsal_of_awkward_data_equals_the_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = small_desk(tickets=60)
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    run.plan()
    loaded, verified, differences = rehearse(run)
    assert loaded.finished
    assert differences == []
    assert verified.proven
    assert new.store["tickets"] == {}
