"""A source that is asked itself: which tickets do its rules take? Held against our reading, over a small account."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from migrator import oracle
from migrator.cli import app
from migrator.registry import connector
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from tests.support import rule_accounts
from tests.support.desks import steps

DICE = random.Random(12)


def view(at: int, *all: tuple[str, str, Any], some: tuple[tuple[str, str, Any], ...] = ()) -> Any:
    sides = {"all": all, "any": some}
    asked = {
        side: [dict(zip(("field", "operator", "value"), one, strict=True)) for one in listed]
        for side, listed in sides.items()
    }
    return (
        "ours",
        "view",
        {"id": 100 + at, "title": f"view {at}", "active": True, "conditions": asked, "execution": {}},
    )


VIEWS = [
    view(at, *every, some=some)
    for at, (every, some) in enumerate(
        [
            ((("status", "less_than", "solved"),), ()),
            ((("status", "is_not", "open"), ("priority", "is", "")), ()),
            ((("priority", "greater_than", "low"),), ()),
            ((("priority", "less_than", "high"),), ()),
            ((("group_id", "is_not", "902"),), ()),
            ((("assignee_id", "is", ""),), ()),
            ((("current_tags", "includes", "vip bug"),), ()),
            ((("current_tags", "not_includes", "vip"),), (("type", "is", "question"), ("status", "is", "new"))),
            ((("type", "is_not", "incident"),), ()),
            ((("status", "is", "open"), ("NEW", "greater_than", "5")), ()),  # of a time
        ]
    )
]
TRIGGER = (
    "ours",
    "trigger",
    {**view(90, ("update_type", "is", "Create"))[2], "actions": [{"field": "status", "value": "open"}]},
)


MACROS = [
    ("ours", "macro", {"id": 200 + at, "title": f"macro {at}", "active": True, "restriction": None, "actions": [
        {"field": field, "value": value} for field, value in does]})
    for at, does in enumerate([
        (("status", "solved"), ("priority", "urgent"), ("comment_value", "Done {{ticket.id}}")),
        (("current_tags", "late vip"), ("remove_tags", "bug"), ("group_id", "902")),
        (("set_tags", "one two"), ("comment_value", "x"), ("comment_mode_is_public", "false")),
        (("assignee_id", "current_user"), ("type", "question")),
        (("assignee_id", "78"), ("priority", "")),
    ])
]  # fmt: skip


def account(clock: Clock) -> Sandbox:
    """Return an account with rules and tickets of every sort."""
    box = rule_accounts.zendesk(clock, rules=[*VIEWS, TRIGGER, *MACROS])
    module = connector("zendesk").sandbox
    person = {"id": 77, "name": "Ann", "email": "ann@firm.example", "role": "end-user", "organization_id": None}
    agent = {**person, "id": 78, "name": "Bo", "email": "bo@desk.example", "role": "agent"}
    module.seed(box, "users", [{**one, **rule_accounts.PERSON} for one in (person, agent)])
    for at in range(1, 41):
        ticket = {
            "id": at,
            "subject": f"ticket {at}",
            "status": DICE.choice(("new", "open", "pending", "hold", "solved")),
            "priority": DICE.choice((None, "low", "normal", "high", "urgent")),
            "type": DICE.choice((None, "question", "incident")),
            "group_id": DICE.choice((None, 902)),
            "assignee_id": DICE.choice((None, 78)),
            "tags": [tag for tag in ("vip", "bug") if DICE.random() < 0.4],
        }
        fixed = {"requester_id": 77, "submitter_id": 77, "custom_fields": [], **rule_accounts.AT}
        module.seed(box, "tickets", [{**ticket, **fixed}])
    return box


def asked(run: Steps) -> dict[str, oracle.Asked]:
    with Stage(run.workspace.stage, read_only=True) as stage:
        found = oracle.asked(stage, run.project.source.connector, run.source().client)
    assert found is not None
    return {one.name: one for one in found}


def test_the_account_takes_the_tickets_that_we_say_and_what_changed_since_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    old = account(clock)
    new = connector("freshdesk").sandbox.create(clock=clock, limits=False)
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    found = asked(run)
    assert len(found) == len(VIEWS) + 1 + len(MACROS)
    assert [one for one in found.values() if not one.agrees] == []
    assert [one.both for one in found.values() if one.kind == "macro"] == [1] * len(MACROS)
    answered = [one for one in found.values() if not one.why and one.kind != "macro"]
    assert len(answered) == len(VIEWS) - 1
    assert all(0 < one.both < 40 for one in answered)
    assert "asks for a time" in found["view 9"].why
    assert "do not tell" in found["view 90"].why
    moved = next(ticket for ticket in old.store["tickets"].values() if ticket["status"] == "open")
    moved["status"] = "solved"
    late = asked(run)["view 0"]
    assert (late.agrees, late.extra, late.missed) == (False, (str(moved["id"]),), ())
    old.store["macros"][201]["actions"][0]["value"] = "later"  # a macro that somebody changed since
    (tags,) = asked(run)["macro 1"].missed
    assert tags.startswith("tags is later")


def test_nothing_is_asked_before_anything_is_staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    steps(tmp_path, account(clock), connector("freshdesk").sandbox.create(clock=clock, limits=False), monkeypatch)
    done = CliRunner().invoke(app, ["rules", "ask", "-w", str(tmp_path)])
    assert done.exit_code != 0
