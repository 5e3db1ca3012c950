"""A plan or an undo that is cut off half way is none, and takes nothing of what earlier ones left with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.errors import InputError, VendorError
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from tests.support.desks import steps, tiny_desk
from tests.test_delta import again, change, there

Moved = tuple[Steps, Sandbox, Sandbox]


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moved:
    """Return a tiny account that is loaded already."""
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch, policies={"deleted": "delete"})
    run.extract()
    assert run.load(run.plan().digest).finished
    return run, old, new


def cut_off(run: Steps, new: Sandbox) -> None:
    """Plan, and lose the destination where the plan looks at the records that changed."""
    new.fault("503", matching=r"^GET .*/tickets/\d+$", times=400)
    run.extract()
    with pytest.raises(VendorError):
        run.plan()
    new.faults.clear()


def test_a_plan_cut_off_leaves_what_earlier_ones_predicted(moved: Moved) -> None:
    run, old, new = moved
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter")
    change(old, "tickets", 101, status="deleted")
    cut_off(run, new)
    plan = again(run)
    assert {(d.kind, d.action) for d in plan.dispositions} >= {("ticket", "update"), ("ticket", "delete")}
    assert run.load(plan.digest).finished
    assert there(run, new, "ticket", "tickets", "100")["subject"] == "Another matter"
    verified, differences = run.verify()
    assert verified.proven, differences
    assert verified.unchecked == 0


def test_after_a_plan_cut_off_nothing_is_loaded_or_undone_before_the_next(moved: Moved) -> None:
    run, old, new = moved
    digest = run.saved_plan()["digest"]
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter")
    cut_off(run, new)
    for step in (lambda: run.load(digest), run.verify, run.undo):
        with pytest.raises(InputError, match="run `migrator plan` first"):
            step()
    run.plan()
    assert run.undo().units


def test_an_undo_takes_a_change_that_was_planned_and_not_made_for_no_persons_change(moved: Moved) -> None:
    run, old, _ = moved
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter")
    change(old, "tickets", 101, subject="Another matter", raw_subject="Another matter")
    assert again(run).units == 2
    plan = run.undo()
    assert not [d for d in plan.dispositions if "changed at" in d.reason]
    assert run.load(plan.digest).finished
    assert run.verify()[0].proven


def test_an_undo_planned_twice_is_the_same_plan(moved: Moved) -> None:
    run, old, new = moved
    was = there(run, new, "ticket", "tickets", "100")["subject"]
    change(old, "tickets", 100, subject="Another matter", raw_subject="Another matter")
    assert run.load(again(run).digest).finished
    first, second = run.undo(last=True), run.undo(last=True)
    assert first.digest == second.digest
    assert run.load(second.digest).finished
    assert there(run, new, "ticket", "tickets", "100")["subject"] == was
    assert run.verify()[0].proven
