"""Zammad is asked itself: which tickets do its rules take? Held against our reading, over a small account."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from migrator import oracle, registry
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.conformance import SandboxGround
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support.desks import steps

Native = dict[str, Any]
DICE = random.Random(7)
TICKETS = 24
MANY = 205  # more than a page of the search


def one(name: str, operator: str, value: Any = None, **more: Any) -> Native:
    return {"name": name, "operator": operator, **({} if value is None else {"value": value}), **more}


def tree(operator: str, *parts: Native) -> Native:
    return {"operator": operator, "conditions": list(parts)}


BASIC: list[Native] = [
    {"ticket.state_id": {"operator": "is", "value": ["1", "2"]}},
    {"ticket.state_id": {"operator": "is not", "value": "4"}, "ticket.priority_id": {"operator": "is", "value": ["2"]}},
    {"ticket.owner_id": {"operator": "is", "pre_condition": "not_set", "value": ""}},
    {"ticket.owner_id": {"operator": "is not", "pre_condition": "specific", "value": "4"}},
    {"ticket.tags": {"operator": "contains one", "value": "vip, bug"}},
    {"ticket.tags": {"operator": "contains all", "value": "vip, bug"}},
    {"ticket.tags": {"operator": "contains one not", "value": "vip"}},
    {"ticket.title": {"operator": "contains", "value": "REFUND"}},
    {
        "ticket.title": {"operator": "contains not", "value": "refund"},
        "ticket.group_id": {"operator": "is", "value": "1"},
    },
    {"ticket.product": {"operator": "is", "value": ["a"]}},  # a choice, by its key
    {"ticket.product": {"operator": "is not", "value": ["a", ""]}},
    tree(
        "OR",
        one("ticket.state_id", "is", "4"),
        tree("AND", one("ticket.priority_id", "is", "1"), one("ticket.tags", "contains one", "vip")),
    ),
    tree("AND", tree("NOT", one("ticket.product", "is", ["p"])), one("ticket.state_id", "is not", ["4"])),
    {},
]
UNASKED: dict[str, Native] = {
    "a time": {"ticket.created_at": {"operator": "before (relative)", "value": "1", "range": "day"}},
    "under OR": tree("OR", one("ticket.action", "is", "create"), one("ticket.state_id", "is", "1")),
    "a box": {"ticket.insured": {"operator": "is", "value": ["false"]}},
    "who asks": {"ticket.owner_id": {"operator": "is", "pre_condition": "current_user.id", "value": ""}},
    "a state that is gone": {"ticket.state_id": {"operator": "is", "value": ["99"]}},
}
# Two such conditions look at one row of a tag: nothing has both. Our reading takes them one by one, and Zammad says so.
TWO = tree("AND", one("ticket.tags", "contains one", "vip"), one("ticket.tags", "contains one", "bug"))
EVENT = {"ticket.action": {"operator": "is", "value": "update"}, "ticket.state_id": {"operator": "has changed"}}
TRIGGER = {
    **EVENT,
    "ticket.priority_id": {"operator": "is", "value": "3"},
    "article.internal": {"operator": "is", "value": "false"},
}


def account(tickets: int = TICKETS) -> Sandbox:
    """Return an account with overviews, jobs and triggers that ask in every way, and tickets of every sort."""
    module = registry.connector("zammad").sandbox
    box: Sandbox = module.create(clock=Clock())
    with mount(box) as session:
        session.headers["Authorization"] = f"Token token={module.TOKEN}"

        def post(path: str, body: Native) -> Any:
            answer = session.post(f"{box.base_url}/api/v1/{path}", json=body)
            assert answer.ok, answer.text
            return answer.json()

        for name, kind, option in (
            ("product", "select", {"options": {"a": "Apples", "p": "Pears"}, "default": None}),
            ("insured", "boolean", {"options": {"true": "yes", "false": "no"}, "default": False}),
        ):
            body = {"object": "Ticket", "name": name, "display": name, "data_type": kind, "data_option": option}
            post("object_manager_attributes", body)
        post("object_manager_attributes_execute_migrations", {})
        agent = {"firstname": "Bo", "lastname": "B", "email": "bo@desk.example", "roles": ["Agent"]}
        assert post("users", {**agent, "group_ids": {"1": ["full"]}})["id"] == 4
        ann = post("users", {"firstname": "Ann", "lastname": "A", "email": "ann@firm.example"})["id"]
        for at in range(tickets):
            title = f"{DICE.choice(('Refund', 'Broken'))} {at}"
            ticket = {"title": title, "group": "Users", "customer_id": ann, "state_id": DICE.choice((1, 2, 4))}
            ticket |= {"priority_id": DICE.choice((1, 2, 3)), "owner_id": DICE.choice((1, 4))}
            ticket |= {"product": DICE.choice((None, "a", "p")), "insured": DICE.choice((True, False))}
            ticket["tags"] = ",".join(tag for tag in ("vip", "bug") if DICE.random() < 0.4)
            post("tickets", {**ticket, "article": {"body": "Hello", "type": "note"}})
        asked = {f"basic {at}": condition for at, condition in enumerate(BASIC)} | UNASKED
        asked["two tags"] = TWO
        look = {"view": {"s": ["title"]}, "order": {"by": "created_at", "direction": "ASC"}, "role_ids": [2]}
        for at, (name, condition) in enumerate(asked.items()):
            kind = ("overviews", "jobs")[at % 2]
            sets = {"timeplan": {}, "perform": {"ticket.priority_id": {"value": "3"}}} if kind == "jobs" else look
            if name == "a state that is gone":
                box.store["ticket_states"][99] = {"id": 99, "name": "old", "state_type": "open"}
            post(kind, {"name": name, "condition": condition, **sets})
        does = {"ticket.tags": {"operator": "add", "value": "late"}}
        post("triggers", {"name": "trigger", "condition": TRIGGER, "perform": does, "active": False})
    return box


def asked(run: Steps) -> dict[str, oracle.Asked]:
    with Stage(run.workspace.stage, read_only=True) as stage:
        found = oracle.asked(stage, run.project.source.connector, run.source().client)
    assert found is not None
    return {one.name: one for one in found}


def extracted(folder: Path, box: Sandbox, patch: pytest.MonkeyPatch) -> Steps:
    new = registry.connector("freshdesk").sandbox.create(clock=box.clock, limits=False)
    run = steps(folder, box, new, patch)
    run.extract()
    return run


def test_zammad_takes_the_tickets_that_we_say_and_what_changed_since_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = account()
    run = extracted(tmp_path, box, monkeypatch)
    del box.store["ticket_states"][99]
    found = asked(run)
    assert len(found) == len(BASIC) + len(UNASKED) + 2
    two = found.pop("two tags")
    assert (two.both, bool(two.extra), two.missed) == (0, True, ())
    assert [one for one in found.values() if not one.agrees] == []
    said = [one for one in found.values() if not one.why]
    assert {one.name for one in said} == {*(f"basic {at}" for at in range(len(BASIC))), "trigger"}
    assert all(0 < one.both < TICKETS for one in said if one.name != f"basic {len(BASIC) - 1}")
    assert found["trigger"].left == ("ticket.action is", "ticket.state_id has changed", "article.internal is")
    assert "of 1 only what does not depend on an event" in oracle.summary(list(found.values()))
    reasons = ("asks for a time", "do not tell", "other words", "do not tell", "do not tell")
    assert [reason in found[name].why for name, reason in zip(UNASKED, reasons, strict=True)] == [True] * len(UNASKED)
    written = [e for e in box.exchanges if e.method not in ("GET", "POST")]
    assert written == []

    moved = next(ticket for ticket in box.store["tickets"].values() if ticket["state_id"] == 2)
    moved["state_id"] = 4
    late = asked(run)["basic 0"]
    assert (late.agrees, late.extra, late.missed) == (False, (str(moved["id"]),), ())


def test_a_rule_that_takes_more_tickets_than_a_page_is_read_to_its_end_and_a_wrong_one_takes_none() -> None:
    box = account(0)
    for at in range(1, MANY + 1):
        ticket = {"id": at, "title": "t", "state_id": 1, "group_id": 1, "customer_id": 5, "owner_id": 1}
        ticket |= {"priority_id": 2, "organization_id": None}
        registry.connector("zammad").sandbox.seed(
            box, "tickets", [{**ticket, "created_at": "2024-01-01T00:00:00.000Z"}]
        )
    client = SandboxGround(registry.connector("zammad"), box).open().client
    taken = registry.dialect("zammad").taken  # type: ignore[attr-defined]
    new = {"condition": {"ticket.state_id": {"operator": "is", "value": "<state:new>"}}}
    assert taken(client, new) == {str(at) for at in range(1, MANY + 1)}
    assert taken(client, {"condition": {"ticket.state_id": {"operator": "is", "value": []}}}) == set()
    gone = {"condition": {"ticket.state_id": {"operator": "is", "value": "<state:never>"}}}
    assert taken(client, gone) == "there is no state 'never' there any more"
    box.state["access"].clear()  # the preview speaks of the whole account, the search of what one may read
    assert taken(client, new) == set()
