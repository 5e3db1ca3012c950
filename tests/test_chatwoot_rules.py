"""Rules written into Chatwoot accounts and read from them: predicted, switched off, switched on, secrets nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.customizations import enter_again
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from tests.support import rule_accounts
from tests.support.connectors import connector
from tests.support.desks import arrived, steps
from tests.support.vendor_data import vendor_file

OWN = {"plan": "self_hosted"}
BOTH = {"secrets": {"token": "env:MIGRATOR_TEST_DESTINATION", "oauth_token": "env:MIGRATOR_TEST_DESTINATION"}}
KINDS = ("trigger", "automation", "macro", "view", "sla_policy")
WRITTEN = ("automation_rules", "macros", "custom_filters", "sla_policies")


def desk(clock: Clock, host: str = "chatwoot.sandbox", *, seats: tuple[str, ...] = ()) -> Sandbox:
    module = registry.connector("chatwoot").sandbox
    box: Sandbox = module.create(clock=clock, limits=False, host=host)
    return module.furnish(box, seats) if seats else box  # type: ignore[no-any-return]


def moved(folder: Path, old: Sandbox, new: Sandbox, patch: pytest.MonkeyPatch, **sides: Any) -> Steps:
    return arrived(steps(folder, old, new, patch, **{"destination": OWN, **sides}))


def proven(run: Steps) -> None:
    verified, differences = run.verify()
    assert verified.proven, [(d["kind"], d["id"], d["field"], d["expected"], d["found"]) for d in differences[:5]]


def ends(run: Steps) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for line in run.saved_plan()["dispositions"]:
        if line["kind"] in KINDS:
            assert line["reason"] or line["action"] == "create"
            key = (line["kind"], line["action"])
            found[key] = found.get(key, 0) + line["count"]
    return found


@pytest.mark.recorded
def test_the_published_rules_arrive_as_predicted_and_off_and_are_switched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor_file("rules/zendesk")
    clock = Clock()
    new = desk(clock)
    policies = {"people_without_seat": "create"}
    old = rule_accounts.zendesk(clock)
    late = {**rule_accounts.schedule(2), "intervals": [{"start_time": 2000, "end_time": 2100}]}
    registry.connector("zendesk").sandbox.seed(old, "schedules", [rule_accounts.schedule(1), late])
    run = moved(tmp_path, old, new, monkeypatch, policies=policies)
    found = ends(run)
    assert sum(count for (_, action), count in found.items() if action == "create") == 30
    assert sum(found.values()) == 71
    weeks = [one["name"] for one in new.store["inboxes"].values() if one["working_hours_enabled"]]
    hours = {line["action"] for line in run.saved_plan()["dispositions"] if line["kind"] == "schedule"}
    assert (weeks, hours) == (["Migrator"], {"create", "manual"})  # it has one week, and there are two schedules
    said = json.dumps([list(new.store[stream].values()) for stream in WRITTEN], ensure_ascii=False)
    assert "⟪" not in said
    assert "agent:" not in said
    assert not any(rule["active"] for rule in new.store["automation_rules"].values())
    assert {macro["visibility"] for macro in new.store["macros"].values()} == {"personal"}
    waiting = {one.label for one in run.due()[1]}
    run.activate(run.saved_plan()["digest"])
    acting = {rule["name"].partition(" (")[0] for rule in new.store["automation_rules"].values() if rule["active"]}
    everybodys = {macro["name"] for macro in new.store["macros"].values() if macro["visibility"] == "global"}
    assert acting | everybodys == waiting
    assert run.due()[1] == []
    proven(run)


AGENT, TEAM, INBOX, POLICY = 2, 1, 1, 4
SECRETS = ("s3cr3t-query", "s3cr3tuser", "K3yInThePath0123456789", "s3cr3t-hmac", "s3cr3t-signed")


def asked(key: str, operator: str, *values: Any, join: str | None = None, of: str = "") -> dict[str, Any]:
    more = {"custom_attribute_type": of} if of else {}
    return {"attribute_key": key, "filter_operator": operator, "values": list(values), "query_operator": join, **more}


def done(name: str, *given: Any) -> dict[str, Any]:
    return {"action_name": name, "action_params": list(given)}


def automation(id: int, name: str, event: str, conditions: list[Any], *actions: Any, active: bool = True) -> Any:
    about = {"id": id, "account_id": 1, "name": name, "description": f"About {name}", "event_name": event}
    return {**about, "conditions": conditions, "actions": list(actions), "created_on": 1704096000, "active": active}


RULES: dict[str, list[dict[str, Any]]] = {
    "automation_rules": [
        automation(
            11,
            "To the team",
            "conversation_created",
            [
                asked("inbox_id", "equal_to", INBOX, join="AND"),
                asked("assignee_id", "equal_to", AGENT, join="OR"),
                asked("order", "equal_to", "A-1", of="conversation_attribute"),
            ],
            done("assign_team", TEAM),
            done("add_label", "vip"),
            done("add_sla", POLICY),
        ),
        automation(
            12,
            "Was off",
            "conversation_updated",
            [asked("status", "equal_to", "open")],
            done("change_priority", "high"),
            active=False,
        ),
        automation(
            13,
            "Resolved",
            "conversation_resolved",
            [asked("priority", "equal_to", "low")],
            done("send_message", "Bye {{contact.name}}"),
            done("assign_agent", AGENT),
        ),
        automation(
            14,
            "Tell another",
            "message_created",
            [asked("message_type", "equal_to", "incoming")],
            done("send_webhook_event", "https://s3cr3tuser@hooks.example/a/K3yInThePath0123456789?key=s3cr3t-query"),
        ),
        automation(
            15, "A file", "conversation_created", [asked("status", "equal_to", "open")], done("send_attachment", 9)
        ),
        automation(
            16, "A campaign", "conversation_created", [asked("campaign_id", "equal_to", 7)], done("add_label", "vip")
        ),
    ],
    "macros": [
        {
            "id": 21,
            "name": "Close",
            "visibility": "global",
            "actions": [done("change_status", "resolved"), done("assign_agent", "self")],
        },
        {"id": 22, "name": "My own", "visibility": "personal", "actions": [done("assign_team", TEAM)]},
    ],
    "custom_filters": [
        {
            "id": 31,
            "name": "Team's urgent",
            "filter_type": "conversation",
            "query": {
                "payload": [asked("team_id", "equal_to", TEAM, join="AND"), asked("priority", "equal_to", "urgent")]
            },
            "created_at": "2024-01-01T08:00:00.000Z",
            "updated_at": "2024-01-01T08:00:00.000Z",
        }
    ],
    "sla_policies": [
        {
            "id": POLICY,
            "name": "Gold",
            "description": "For those who pay",
            "first_response_time_threshold": 3600.0,
            "next_response_time_threshold": None,
            "resolution_time_threshold": 7200.0,
            "only_during_business_hours": True,
        }
    ],
    "webhooks": [
        {
            "id": 51,
            "name": "Ours",
            "url": "https://hooks.example/all?key=s3cr3t-query",
            "account_id": 1,
            "subscriptions": ["conversation_created"],
            "secret": "s3cr3t-signed",
        }
    ],
}


def account(clock: Clock) -> Sandbox:
    """Return an account with rules of every kind, an inbox that keeps hours, and secrets."""
    module, box = registry.connector("chatwoot").sandbox, desk(clock, seats=("bea@desk.example",))
    days = [
        {
            "day_of_week": day,
            "closed_all_day": day in (0, 6),
            "open_hour": 8,
            "open_minutes": 30,
            "close_hour": 16,
            "close_minutes": 0,
            "open_all_day": False,
        }
        for day in range(7)
    ]
    shop = {"id": INBOX, "name": "Shop", "channel_type": "Channel::Api", "hmac_token": "s3cr3t-hmac"}
    hours = {"working_hours_enabled": True, "timezone": "Europe/Berlin", "working_hours": days}
    module.seed(box, "inboxes", [{**shop, **hours}])
    module.seed(box, "labels", [{"id": 1, "title": "vip", "description": "", "color": "#fff", "show_on_sidebar": True}])
    order = {"attribute_display_name": "Order", "attribute_key": "order", "attribute_display_type": "text"}
    order |= {"id": 1, "attribute_model": "conversation_attribute", "attribute_values": [], "attribute_description": ""}
    module.seed(box, "custom_attributes", [{**order, **rule_accounts.AT}])
    for stream, bodies in RULES.items():
        module.seed(box, stream, bodies)
    return box


def test_to_another_chatwoot_nothing_is_lost_but_what_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    old, new = account(clock), desk(clock, "second.sandbox", seats=("first@desk.example", "bea@desk.example"))
    registry.connector("chatwoot").sandbox.seed(
        new, "inboxes", [{"id": 6, "name": "Other", "channel_type": "Channel::Api"}]
    )
    registry.connector("chatwoot").sandbox.seed(
        new, "sla_policies", [{**RULES["sla_policies"][0], "id": 40, "name": "Silver"}]
    )
    run = moved(tmp_path, old, new, monkeypatch, source=OWN)
    found = ends(run)
    assert found == {
        ("trigger", "create"): 4,
        ("trigger", "manual"): 2,
        ("macro", "create"): 2,
        ("view", "create"): 1,
        ("sla_policy", "create"): 1,
    }
    manual = [line["reason"] for line in run.saved_plan()["dispositions"] if line["action"] == "manual"]
    assert any("names what is not written: file 9" in reason for reason in manual)
    assert any("names what is not written: campaign 7" in reason for reason in manual)
    lost = {(one["kind"], one["field"], one["how"]) for one in run.saved_plan()["losses"] if one["kind"] in KINDS}
    assert {line for line in lost if line[1] not in ("active", "created_at", "updated_at")} == set()
    rules = {rule["name"]: rule for rule in new.store["automation_rules"].values()}
    (shop,) = (id for id, one in new.store["inboxes"].items() if one["name"] == "Shop")
    week = new.store["inboxes"][shop]
    assert (week["working_hours_enabled"], week["timezone"]) == (True, "Europe/Berlin")
    assert [(day["closed_all_day"], day["open_hour"], day["open_minutes"]) for day in week["working_hours"]][1:3] == [
        (False, 8, 30)
    ] * 2
    (gold,) = (id for id, one in new.store["sla_policies"].items() if one["name"] == "Gold")
    (bea,) = (id for id, one in new.store["agents"].items() if one["email"] == "bea@desk.example")
    assert (AGENT, POLICY, INBOX) != (bea, gold, shop)
    asks, does = rules["To the team"]["conditions"], rules["To the team"]["actions"]
    assert [one["values"] for one in asks] == [[shop], [bea], ["A-1"]]
    assert [one["query_operator"] for one in asks] == ["AND", "OR", None]
    assert does[2] == done("add_sla", gold)
    assert rules["Resolved"]["event_name"] == "conversation_resolved"
    assert rules["Resolved"]["actions"][1] == done("assign_agent", bea)
    written = {one["name"]: one for one in new.store["macros"].values()}
    assert written["Close"]["actions"][1] == done("assign_agent", "self")
    assert written["My own"]["visibility"] == "personal"
    for stream in ("automation_rules", "macros"):
        assert not any(one.get("active") or one.get("visibility") == "global" for one in new.store[stream].values())
    _no_secret(run)
    run.activate(run.saved_plan()["digest"])
    proven(run)
    assert {rule["name"] for rule in rules.values() if rule["active"]} == {"To the team", "Resolved", "Tell another"}
    assert {one["name"] for one in new.store["macros"].values() if one["visibility"] == "global"} == {"Close"}
    run.load(run.undo().digest, accept_losses=True)
    assert not any(new.store[stream] for stream in ("automation_rules", "macros", "custom_filters"))
    assert [one["name"] for one in new.store["sla_policies"].values()] == ["Silver"]


def _no_secret(run: Steps) -> None:
    """Look for secrets in every file and every staged record; each is named, to be entered again."""
    files = [file for file in run.workspace.folder.rglob("*") if file.is_file()]
    assert not [file for file in files if any(word.encode() in file.read_bytes() for word in SECRETS)]
    with Stage(run.workspace.stage) as stage:
        for stream in ("automation_rules", "webhooks", "inboxes"):
            held = json.dumps(stage.rows(f"SELECT CAST(body AS VARCHAR) FROM raw.{stream}"))
            assert not any(word in held for word in SECRETS)
    named = enter_again(run.workspace, run.project.source.connector.manifest)
    assert {(one["stream"], one["label"]) for one in named} == {
        ("automation_rules", "Tell another"),
        ("webhooks", "Ours"),
        ("inboxes", "Shop"),
    }


def test_to_zendesk_what_chatwoot_says_is_said_and_the_rest_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    module = registry.connector("zendesk").sandbox
    new = module.furnish(module.create(clock=clock, limits=False))
    run = moved(
        tmp_path,
        account(clock),
        new,
        monkeypatch,
        source=OWN,
        destination=BOTH,
        policies={"people_without_seat": "create"},
    )
    assert ends(run) == {
        ("trigger", "create"): 2,
        ("trigger", "manual"): 4,  # an inbox and a policy, a message's direction, a file, a campaign
        ("macro", "create"): 2,
        ("view", "create"): 1,
        ("sla_policy", "manual"): 1,
    }
    (hours,) = new.store["schedules"].values()  # of the inbox that keeps them
    assert (hours["name"], hours["intervals"][0]) == ("Shop", {"start_time": 1950, "end_time": 2400})
    titles = {rule["title"] for rule in new.store["triggers"].values()}
    assert titles == {"Was off", "Resolved"}
    assert not any(rule["active"] for rule in new.store["triggers"].values())
    coverage = json.loads((run.workspace.folder / "coverage.json").read_text(encoding="utf-8"))
    assert coverage["uncovered"] == []
    _no_secret(run)


def test_without_the_enterprise_edition_policies_are_a_persons_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    new = desk(clock, "second.sandbox", seats=("bea@desk.example",))
    new.state["enterprise"] = False
    run = steps(tmp_path, account(clock), new, monkeypatch, source=OWN, destination=OWN)
    run.extract()
    run.plan()
    assert ends(run)["sla_policy", "manual"] == 1
    assert ends(run)["trigger", "manual"] == 3  # one gives the policy


def policy(number: int, title: str, field: str, value: str) -> tuple[str, str, Any]:
    times = [{"metric": "first_reply_time", "priority": word, "target": 60, "business_hours": False}
             for word in ("low", "urgent")]  # fmt: skip
    asked = {"all": [{"field": field, "operator": "is" if field != "current_tags" else "includes", "value": value}]}
    return (
        "ours",
        "sla",
        {"id": number, "title": title, "position": 9 - number, "filter": asked, "policy_metrics": times},
    )


def test_rules_that_give_the_policies_are_made_with_them_in_their_order_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    old = rule_accounts.zendesk(clock, rules=[
        policy(1, "Vips", "current_tags", "vip"),
        policy(2, "Of a group", "group_id", "902"),
        policy(3, "Incidents", "type", "incident"),  # which no rule can ask there
    ])  # fmt: skip
    new = desk(clock)
    new.state["enterprise"] = False
    run = steps(tmp_path, old, new, monkeypatch, destination=OWN)
    run.extract()
    run.plan()
    given = "SELECT id, action, reason FROM plan.decided WHERE as_kind = 'trigger' ORDER BY id"
    with Stage(run.workspace.stage) as stage:
        rows = stage.rows(given)
    assert len(rows) == 8  # two policies, two priorities, new and changed conversations
    assert {(action, "names what is not written: sla policy" in reason) for _, action, reason in rows} == {
        ("manual", True)
    }
    new.state["enterprise"] = True
    loaded = run.load(run.plan().digest)
    assert loaded.quarantined == 0
    proven(run)
    policies = {id: one["name"] for id, one in new.store["sla_policies"].items()}
    rules = list(new.store["automation_rules"].values())
    assert [policies[one["actions"][0]["action_params"][0]].partition(" (")[0] for one in rules] == [
        *["Of a group"] * 4, *["Vips"] * 4
    ]  # fmt: skip
    (team,) = (id for id, one in new.store["teams"].items() if one["name"] == "group 902")
    assert rules[0]["conditions"][0] == asked("team_id", "equal_to", team, join="AND")
    assert not any(one["active"] for one in rules)
    waiting = {one.label.partition(" (") for one in run.due()[1]}
    assert {label for label, *_ in waiting} >= {f"needed:{one['name']}".partition(" (")[0] for one in rules}
    run.activate(run.saved_plan()["digest"])
    assert all(one["active"] for one in new.store["automation_rules"].values())
    proven(run)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://hooks.example/rules/42", "https://hooks.example/rules/42"),
        ("https://u:p@hooks.example:8443/a?x=1", "⟦"),
        ("https://hooks.example/services/T0/B0/abc123abc123abc123", "⟦"),
        ("http://[", "⟦"),
    ],
)
def test_only_what_may_be_secret_in_an_address_is_sealed(url: str, kept: str) -> None:
    hooks: Any = connector("chatwoot.hooks")
    found = hooks.unsecret(url)
    assert found == kept if "⟦" not in kept else "⟦secret " in found
    assert hooks.unsecret(found) == found
