"""A status that is made at Freshdesk has the number that tickets are moved into, or it is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from migrator import registry
from migrator.connector import Unit, Written
from migrator.delivery import Deliverer
from migrator.errors import RefusedError, UnknownOutcomeError
from migrator.testing.conformance import SandboxGround
from migrator.testing.sandbox import Clock, Sandbox


@pytest.fixture
def box() -> Sandbox:
    made: Sandbox = registry.connector("freshdesk").sandbox.create(clock=Clock(), limits=False)
    return made


def opened(box: Sandbox) -> Deliverer:
    account: Deliverer = SandboxGround(registry.connector("freshdesk"), box).open()
    return account


def status(code: int, name: str) -> Unit:
    payload: dict[str, Any] = {"name": name, "customer_name": f"{name}!", "code": code}
    return Unit("status", f"needed:status:{code}", "status", payload, {}, "", {}, sent_at="2026-01-01T00:00:00+00:00")


def choices(box: Sandbox) -> dict[str, list[str]]:
    (field,) = (one for one in box.store["ticket_fields"].values() if one["name"] == "status")
    return {number: labels for number, labels in field["choices"].items() if number > "5"}


def test_statuses_get_their_numbers_in_order(box: Sandbox) -> None:
    account = opened(box)
    assert account.write([status(6, "New")]) == [Written("6")]
    assert account.write([status(7, "On hold")]) == [Written("7")]
    assert choices(box) == {"6": ["New", "New!"], "7": ["On hold", "On hold!"]}


def test_a_status_that_somebody_added_since_is_not_added_again(box: Sandbox) -> None:
    account = opened(box)
    account.write([status(6, "new")])
    assert account.write([status(6, "New")]) == [Written("6")]
    with pytest.raises(RefusedError, match="the status 6 of Freshdesk is new, and not On hold"):
        account.write([status(6, "On hold")])
    assert list(choices(box)) == ["6"]


def test_another_number_than_the_overlays_is_said(box: Sandbox) -> None:
    with pytest.raises(RefusedError, match="given the number 6 at Freshdesk, and not 8: change the overlay"):
        opened(box).write([status(8, "Waiting")])


def test_a_status_whose_answer_never_came_is_looked_up(box: Sandbox) -> None:
    account = opened(box)
    box.fault("unanswered", at=1, matching="^PUT ")
    with pytest.raises(UnknownOutcomeError):
        account.write([status(6, "New")])
    (found,) = account.find([status(6, "New")], set())
    assert found is not None
    assert found.id == "6"
    assert list(choices(box)) == ["6"]
