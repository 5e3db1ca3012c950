"""A sample first, everything later: what was moved is known, nothing is doubled, and changes still follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator.ledger import Ledger
from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from tests.support.desks import small_desk, steps, tiny_desk
from tests.test_delta import again, change, there, writes


def everything(box: Sandbox) -> dict[str, int]:
    """Return how many records the destination holds."""
    return {stream: len(records) for stream, records in box.store.items() if records}


def carry_out(run: Steps, *, prove: bool = False, **how: Any) -> Any:
    """Plan and load, and verify where that is to be proven; return the plan."""
    plan = run.plan(**how)
    loaded = run.load(plan.digest, accept_losses=True)
    assert loaded.finished
    if not prove:
        return plan
    verified, differences = run.verify()
    assert verified.proven, differences
    return plan


def test_a_sample_and_then_everything_is_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = small_desk(tickets=6)
    run = steps(tmp_path / "steps", old, new, monkeypatch)
    run.extract()
    carry_out(run, sample=3, prove=True)
    assert len(new.store["tickets"]) == 3
    few = len(new.store["contacts"])
    carry_out(run, prove=True)
    assert len(new.store["contacts"]) > few

    same, at_once = small_desk(tickets=6)
    other = steps(tmp_path / "at once", same, at_once, monkeypatch)
    other.extract()
    carry_out(other)
    assert everything(new) == everything(at_once)
    for of in (run, other):
        with Ledger(of.workspace.ledger) as ledger:
            rows = [row[:2] for row in ledger.identities()]
        assert len(set(rows)) == len(rows)
    assert run.plan().units == 0


def test_open_ones_first_and_what_is_closed_since_is_still_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tiny_desk()
    old.store["tickets"][101]["status"] = "closed"
    run = steps(tmp_path, old, new, monkeypatch, select={"where": {"status": ["new", "open", "pending", "hold"]}})
    run.extract()
    carry_out(run)
    assert len(new.store["tickets"]) == 1

    change(old, "tickets", 100, status="closed", subject="Done", raw_subject="Done")  # out of the selection
    change(old, "tickets", 101, subject="Not ours yet", raw_subject="Not ours yet")
    plan = again(run)
    assert {(c.kind, c.field, c.verdict) for c in plan.changes} == {
        ("ticket", "subject", "written"),
        ("ticket", "status", "written"),
    }
    assert plan.units == 1
    carry_out(run)
    assert there(run, new, "ticket", "tickets", "100")["subject"] == "Done"

    file = run.workspace.file
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: text.index(', "select"')] + "}", encoding="utf-8")
    whole = Steps(open_project(tmp_path), run.source_session, run.destination_session, run.sleep, run.monotonic)
    carry_out(whole, prove=True)
    assert {ticket["subject"] for ticket in new.store["tickets"].values()} == {"Done", "Not ours yet"}
    before = len(writes(new))
    carry_out(whole)
    assert len(writes(new)) == before


def test_a_new_message_on_a_moved_ticket_brings_its_author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrator import registry

    old, new = tiny_desk()
    sandbox = registry.connector("zendesk").sandbox
    cy = {**old.store["users"][1], "id": 3, "name": "Cy", "email": "cy@firm.example"}
    sandbox.seed(old, "users", [cy])
    run = steps(tmp_path, old, new, monkeypatch, select={"where": {"created_at": {"since": "2024-01-01"}}})
    run.extract()
    carry_out(run)
    assert "Cy" not in {contact["name"] for contact in new.store["contacts"].values()}
    comment = next(iter(old.store["ticket_comments"].values()))["comment"]
    later = {**comment, "id": 1009, "author_id": 3, "attachments": [], "created_at": "2024-03-01T08:00:00Z"}
    sandbox.seed(old, "ticket_comments", [{"ticket_id": 100, "comment": later}])
    change(old, "tickets", 100)
    run.extract()
    carry_out(run)
    assert "Cy" in {contact["name"] for contact in new.store["contacts"].values()}
