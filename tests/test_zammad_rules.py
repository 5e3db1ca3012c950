"""Rules in a Zammad account: written switched off with what they need, read back, switched on, moved on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support import rule_accounts
from tests.support.desks import arrived, steps
from tests.support.vendor_data import vendor_file

Native = dict[str, Any]
KINDS = ("trigger", "automation", "macro", "view", "sla_policy", "schedule", "holiday", "webhook")
STREAMS = ("triggers", "jobs", "macros", "overviews", "slas")
SEATS = {"people_without_seat": "create"}
# What the page of Zammad tells to add, and how tickets are moved into it.
ADDED = {
    "ticket_states": (("on hold", "pending reminder"), ("solved", "closed")),
    "ticket_priorities": (("4 urgent", ""),),
}
OVERLAY = {
    "status": {"values": {"on hold": "hold", "solved": "solved"}, "write": {"hold": "on hold", "solved": "solved"}},
    "priority": {"values": {"4 urgent": "urgent"}, "write": {"urgent": "4 urgent"}},
}
WHEN = {"created_at": "2024-01-01T08:00:00.000Z", "updated_at": "2024-01-01T08:00:00.000Z"}


def new_zammad(clock: Clock, *, added: bool = True) -> Sandbox:
    """Return a new Zammad; ``added``: with the states and the priority that others have and it has not."""
    box: Sandbox = registry.connector("zammad").sandbox.create(clock=clock)
    for stream, some in ADDED.items() if added else ():
        for name, kind in some:
            id = max(box.store[stream]) + 1
            box.store[stream][id] = {"id": id, "name": name, "state_type": kind, "active": True, "note": None, **WHEN}
    return box


def moved(folder: Path, old: Sandbox, new: Sandbox, patch: pytest.MonkeyPatch, *, overlay: bool = True) -> Steps:
    """Move an account and prove that it arrived."""
    more = {"overlay": {"zammad": {"ticket": OVERLAY}}} if overlay else {}
    return arrived(steps(folder, old, new, patch, policies=SEATS, **more))


def ends(run: Steps, *kinds: str) -> dict[tuple[str, str], int]:
    """Return how many records of which kind met which end."""
    found: dict[tuple[str, str], int] = {}
    for line in run.saved_plan()["dispositions"]:
        if line["kind"] in (kinds or KINDS):
            key = line["kind"], line["action"]
            found[key] = found.get(key, 0) + line["count"]
    return found


def reasons(run: Steps) -> str:
    """Return why records are left to a person."""
    return json.dumps([line["reason"] for line in run.saved_plan()["dispositions"] if line["action"] == "manual"])


# ---- the published rules ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Steps, Sandbox]]:
    vendor_file("rules/zendesk")
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock("2026-09-01T00:00:00+00:00")
        old, new = rule_accounts.zendesk(clock), new_zammad(clock)
        yield moved(tmp_path_factory.mktemp("zammad"), old, new, patch), new


@pytest.mark.recorded
def test_published_rules_arrive_as_predicted_and_switched_off(published: tuple[Steps, Sandbox]) -> None:
    run, new = published
    found = ends(run)
    assert found["trigger", "create"] >= 20
    assert found["automation", "create"] >= 10
    assert found["view", "create"] >= 17
    assert found["macro", "create"] >= 7
    assert found["sla_policy", "create"] >= 5
    rules = [rule for stream in STREAMS for rule in new.store[stream].values()]
    written = json.dumps(rules, ensure_ascii=False)
    assert "⟪" not in written
    assert not [word for word in ("<state:", "<priority:", "<role:", "<calendar:", "<article_type:") if word in written]
    assert not any(rule.get("active") for rule in rules)
    for line in run.saved_plan()["dispositions"]:
        assert line["reason"] or line["action"] == "create"


@pytest.mark.recorded
def test_rules_keep_their_order_by_their_names(published: tuple[Steps, Sandbox]) -> None:
    run, new = published
    with Stage(run.workspace.stage) as stage:
        wanted = [
            name for (name,) in stage.rows("SELECT name FROM canonical.trigger ORDER BY position, length(id), id")
        ]
    names = sorted((one["name"] for one in new.store["triggers"].values()), key=str.lower)
    ours = [name.partition(" ")[2] for name in names if name[:3].isdecimal() and name[:3] != "000"]
    arrived = [name.removesuffix(" (2)") for name in ours]
    assert list(dict.fromkeys(arrived)) == [name for name in wanted if name in arrived]


@pytest.mark.recorded
def test_what_rules_need_is_made_with_them_and_switched_on_before_them(published: tuple[Steps, Sandbox]) -> None:
    run, new = published
    held = {one["name"]: one for one in new.store["object_manager_attributes"].values()}
    for name, kind in (("since_pending", "datetime"), ("came_by", "input"), ("people", "input")):
        assert (held[name]["data_type"], held[name]["to_create"]) == (kind, False)
    assert "around the clock" in {one["name"] for one in new.store["calendars"].values()}
    waiting = [one.label for one in run.due()[1] if one.as_kind == "trigger"]
    helpers = [label for label in waiting if label.startswith("needed:")]
    assert helpers
    assert waiting[: len(helpers)] == helpers
    done = run.activate(run.saved_plan()["digest"])
    assert (done.on > len(helpers), done.refused) == (True, [])
    acting = {one["name"] for one in new.store["triggers"].values() if one["active"]}
    assert "000 people" in acting
    verified, differences = run.verify()
    assert verified.proven, differences[:3]


# ---- small accounts --------------------------------------------------------------------------------------------------


def trigger(number: int, title: str, asked: list[Native], do: list[Native]) -> tuple[str, str, Native]:
    body = {"id": number, "title": title, "active": True, "position": number, "actions": do}
    return title, "trigger", {**body, "conditions": {"all": asked, "any": []}}


def asks(field: str, operator: str, value: str) -> Native:
    return {"field": field, "operator": operator, "value": value}


CREATED = asks("update_type", "is", "Create")
SECRET = "Bearer s3cr3t-of-the-old-account"
HOOK = [{"field": "notification_webhook", "value": ["01HOOK", "{}"]}]
TAG = [{"field": "current_tags", "value": "seen"}]


def small(clock: Clock) -> Sandbox:
    """Return a Zendesk account with a webhook that holds a secret, working hours and three rules."""
    within = {"field": "within_schedule", "operator": "is", "value": "70"}
    rules = [
        trigger(1, "Tell the other system", [CREATED, asks("group_id", "is", "20")], HOOK),
        trigger(2, "Solved ones", [asks("status", "is", "solved")], TAG),
        trigger(3, "At work", [CREATED, within, asks("ticket_fields_30", "is", "x")], TAG),
    ]
    box = rule_accounts.zendesk(clock, rules=rules)
    box.store["webhooks"]["01HOOK"]["custom_headers"] = {"Authorization": SECRET}
    return box


def test_hours_and_webhooks_move_and_a_secret_lies_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock("2026-09-01T00:00:00+00:00")
    new = new_zammad(clock, added=False)
    run = moved(tmp_path, small(clock), new, monkeypatch, overlay=False)
    found = ends(run)
    assert found["schedule", "create"] == found["webhook", "create"] == found["holiday", "create"] == 1
    assert found["trigger", "create"] == 2
    assert "closed would match too" in reasons(run)  # solved and closed are one state there
    hours = next(one for one in new.store["calendars"].values() if one["name"] == "Hours 70")
    assert hours["timezone"] == "Europe/Berlin"
    assert hours["business_hours"]["mon"] == {"active": True, "timeframes": [["09:00", "17:00"]]}
    assert hours["public_holidays"]["2026-01-01"]["summary"] == "New Year"
    (webhook,) = new.store["webhooks"].values()
    tell, at_work = (one for one in new.store["triggers"].values())
    assert tell["perform"]["notification.webhook"]["webhook_id"] == webhook["id"]
    assert (webhook["active"], tell["active"]) == (False, False)
    asked = json.dumps(at_work["condition"])
    (field,) = (one["name"] for one in new.store["object_manager_attributes"].values() if one["display"] == "Field 30")
    assert f"ticket.{field}" in asked
    assert '"is in working time"' in asked
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if b"s3cr3t" in file.read_bytes()]


def test_from_zammad_to_zammad_rules_lose_nothing_but_what_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock("2026-09-01T00:00:00+00:00")
    old = registry.connector("zammad").sandbox.create(clock=clock, host="first.sandbox")
    new = new_zammad(clock)
    with mount(old) as session:
        session.headers["Authorization"] = f"Token token={registry.connector('zammad').sandbox.TOKEN}"

        def post(path: str, body: Native) -> int:
            answer = session.post(f"{old.base_url}/api/v1/{path}", json=body)
            assert answer.status_code == 201, answer.text
            return int(answer.json()["id"])

        group = post("groups", {"name": "Second level", "active": True})
        week = {day: {"active": True, "timeframes": [["08:00", "23:59"]]} for day in ("mon", "tue")}
        off = {f"2026-12-{day}": {"active": True, "summary": "Christmas"} for day in (24, 25, 26)}
        early = {"name": "Early", "timezone": "Europe/Vienna", "business_hours": week, "public_holidays": off}
        calendar = post("calendars", early)
        hook = post("webhooks", {"name": "Out", "endpoint": "https://hooks.example/1", "signature_token": "s3cr3t"})
        reply = {
            "recipient": "ticket_customer",
            "subject": "Re: #{ticket.title}",
            "body": "Hello #{ticket.customer.note}",
        }
        asked: Native = {"ticket.state_id": {"operator": "is", "value": ["7", "1"]}}
        asked["ticket.group_id"] = {"operator": "is", "value": [str(group)]}
        tree = {"operator": "OR", "conditions": [{"name": key, **one} for key, one in asked.items()]}
        hours = {"name": "execution_time.calendar_id", "operator": "is in working time", "value": str(calendar)}
        does: Native = {"notification.email": reply, "notification.webhook": {"webhook_id": hook}}
        post("triggers", {"name": "b", "condition": {"operator": "AND", "conditions": [tree, hours]}, "perform": does})
        sets = {"ticket.state_id": {"value": "4"}, "ticket.priority_id": {"value": "3"}}
        post("macros", {"name": "Close", "perform": sets, "group_ids": [group], "ux_flow_next_up": "next_task"})
        plan = {"days": {"Mon": True}, "hours": {"5": True}, "minutes": {"10": True}}
        post("jobs", {"name": "Nightly", "timeplan": plan, "condition": asked, "perform": sets, "active": False})
        look = {"view": {"s": ["title", "state"]}, "order": {"by": "created_at", "direction": "ASC"}, "prio": 7}
        post("overviews", {"name": "Mine", "condition": asked, "role_ids": [2], **look})
        post("slas", {"name": "Soon", "condition": asked, "calendar_id": calendar, "first_response_time": 30})
    new.state["counters"] |= {"groups": 40, "calendars": 30, "webhooks": 20}  # so that numbers differ
    run = moved(tmp_path, old, new, monkeypatch)
    lost = {(loss["kind"], loss["field"]) for loss in run.saved_plan()["losses"] if loss["kind"] in KINDS}
    assert {field for _, field in lost} <= {"active", "created_at", "updated_at", "default"}
    there = next(id for id, one in new.store["groups"].items() if one["name"] == "Second level")
    assert there != group
    (macro,) = new.store["macros"].values()
    assert (macro["group_ids"], macro["ux_flow_next_up"]) == ([there], "next_task")
    (sla,) = new.store["slas"].values()
    early = new.store["calendars"][sla["calendar_id"]]
    assert (early["name"], sorted(early["public_holidays"])) == ("Early", sorted(off))
    (overview,) = new.store["overviews"].values()
    assert (overview["role_ids"], overview["prio"]) == ([2], 7)
    assert [one.label for one in run.due()[1]] == ["Out", "b", "Close", "Mine"]  # the job was off
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"s3cr3t" in file.read_bytes()]
