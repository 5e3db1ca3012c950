"""Chatwoot and Jira asked themselves which tickets their rules take: by SQL and JQL of their own, not our reading."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from migrator import oracle
from migrator.registry import connector
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from tests.support.connectors import connector as module_of
from tests.support.desks import steps

AT = 1_704_096_000
MANY = 30  # random questions of each vendor, and as many tickets


def asked(run: Steps) -> dict[str, oracle.Asked]:
    """Return what came of each rule; of several of one name the others are called that and a number."""
    with Stage(run.workspace.stage, read_only=True) as stage:
        found = oracle.asked(stage, run.project.source.connector, run.source().client)
    assert found is not None
    made: dict[str, oracle.Asked] = {}
    for one in found:
        before = sum(other.name == one.name for other in made.values())
        made[f"{one.name} {before + 1}" if before else one.name] = one
    return made


def staged(folder: Path, old: Sandbox, patch: pytest.MonkeyPatch) -> Steps:
    new = connector("zendesk").sandbox.create(clock=old.clock, limits=False)
    run = steps(folder, old, new, patch, source={"plan": PLANS[old.vendor]})
    run.extract()
    return run


PLANS = {"chatwoot": "self_hosted", "jira": "cloud"}

# ---- Chatwoot --------------------------------------------------------------------------------------------------------

LEVEL = "conversation_attribute"


def of_chatwoot(key: str, operator: str, *values: Any, join: str | None = None) -> dict[str, Any]:
    more = {"custom_attribute_type": LEVEL} if key in ("level", "size") else {}
    return {"attribute_key": key, "filter_operator": operator, "values": list(values), "query_operator": join, **more}


LEAVES: list[tuple[Any, ...]] = [
    ("status", "equal_to", "open", "pending"),
    ("status", "not_equal_to", "resolved"),
    ("priority", "equal_to", "high"),
    ("priority", "not_equal_to", "low"),
    ("team_id", "equal_to", 1),
    ("team_id", "is_not_present"),
    ("team_id", "not_equal_to", 1),
    ("assignee_id", "is_present"),
    ("assignee_id", "not_equal_to", 2),
    ("labels", "equal_to", "vip", "bug"),
    ("labels", "not_equal_to", "vip"),
    ("labels", "is_not_present"),
    ("mail_subject", "contains", "REFUND"),
    ("mail_subject", "does_not_contain", "refund", "late"),
]
SAID = [("level", "equal_to", "gold"), ("level", "is_present"), ("level", "not_equal_to", "gold")]  # they stand last


def saved_filter(id: int, *conditions: dict[str, Any], name: str = "") -> dict[str, Any]:
    body = {"id": id, "name": name or f"filter {id}", "filter_type": "conversation"}
    return {**body, "query": {"payload": list(conditions)}, "created_at": "2024-01-01T08:00:00Z"}


def lists(dice: random.Random) -> list[dict[str, Any]]:
    """Return saved filters: flat lists of conditions, joined in any way."""
    made = []
    for id in range(100, 100 + MANY):
        some = [dice.choice(LEAVES) for _ in range(dice.randrange(0, 4))]
        some = some if some and dice.random() < 0.6 else [*some, dice.choice(SAID)]
        joins = [dice.choice(("AND", "OR", "and")) for _ in some[1:]]
        made.append(saved_filter(id, *(of_chatwoot(*one, join=j) for one, j in zip(some, [*joins, None], strict=True))))
    return made


def automation(id: int, name: str, event: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    body = {"id": id, "account_id": 1, "name": name, "description": "", "event_name": event, "active": True}
    act = {"action_name": "add_label", "action_params": ["seen"]}
    return {**body, "conditions": list(conditions), "actions": [act], "created_on": AT}


def chatwoot(clock: Clock, filters: list[dict[str, Any]], rules: list[dict[str, Any]]) -> Sandbox:
    module, dice = connector("chatwoot").sandbox, random.Random(4)
    box: Sandbox = module.furnish(module.create(clock=clock, limits=False), ("bea@desk.example",))
    module.seed(box, "inboxes", [{"id": 1, "name": "Mail", "channel_type": "Channel::Api"}])
    for at, key in enumerate(("level", "size"), 1):
        about = {"id": at, "attribute_display_name": key.title(), "attribute_key": key, "attribute_values": []}
        kind = {"attribute_display_type": "text", "attribute_model": LEVEL, "attribute_description": ""}
        dates = {"created_at": "2024-01-01T08:00:00Z", "updated_at": "2024-01-01T08:00:00Z"}
        module.seed(box, "custom_attributes", [{**about, **kind, **dates}])
    contact = {"id": 5, "name": "Ann", "email": "ann@firm.example", "phone_number": None, "identifier": None}
    contact |= {"additional_attributes": {}, "custom_attributes": {}, "created_at": AT, "blocked": False}
    module.seed(box, "contacts", [{**contact, "availability_status": "offline", "last_activity_at": None}])
    for id in range(1, MANY + 1):
        subject = dice.choice(("A refund, please", "Too late", "Hello", None))
        team, agent = dice.choice((None, 1)), dice.choice((None, 1, 2))
        body = {
            "id": id,
            "inbox_id": 1,
            "labels": [one for one in ("vip", "bug") if dice.random() < 0.4],
            "status": dice.choice(("open", "pending", "snoozed", "resolved")),
            "priority": dice.choice((None, "low", "medium", "high", "urgent")),
            "additional_attributes": {"mail_subject": subject} if subject else {},
            "custom_attributes": {"level": one} if (one := dice.choice((None, "gold", "silver"))) else {},
            "meta": {"sender": {"id": 5}, "team": {"id": team}, "assignee": {"id": agent}},
            "created_at": AT + id,
            "last_activity_at": AT + id // 10,  # many at one moment: in no sure order
        }
        module.seed(box, "conversations", [body])
    module.seed(box, "custom_filters", filters)
    module.seed(box, "automation_rules", rules)
    return box


def test_a_chatwoot_finds_the_conversations_that_we_say_whatever_its_list_joins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [
        automation(
            1, "of a team", "conversation_created", of_chatwoot(*LEAVES[4], join="AND"), of_chatwoot(*LEAVES[2])
        ),
        automation(2, "is resolved", "conversation_resolved", of_chatwoot(*LEAVES[9])),
        automation(3, "a message", "message_created", of_chatwoot("content", "contains", "refund")),
        automation(4, "no end", "conversation_created", of_chatwoot(*LEAVES[0], join="AND")),
    ]
    special = [
        saved_filter(1, of_chatwoot("level", "equal_to", "Gold"), name="in capitals"),
        saved_filter(2, of_chatwoot("level", "equal_to", "none", "gold"), name="the second"),
        saved_filter(3, of_chatwoot("level", "not_equal_to", "gold", join="AND"), of_chatwoot(*LEAVES[0]), name="torn"),
        saved_filter(4, of_chatwoot("inbox_id", "equal_to", 1), name="an inbox"),
        saved_filter(5, of_chatwoot("display_id", "is_present"), name="no such operator"),
    ]
    old = chatwoot(Clock(), [*special, *lists(random.Random(7))], rules)
    filters = {id: one["query"]["payload"] for id, one in old.store["custom_filters"].items()}
    run = staged(tmp_path, old, monkeypatch)
    found = asked(run)
    ours = {name: one for name, one in found.items() if name.startswith("filter ")}
    assert len(ours) == MANY
    differing = [(filters[int(name[7:])], one) for name, one in ours.items() if one.why or not one.agrees]
    assert differing == []
    assert sum(0 < one.both < MANY for one in ours.values()) > MANY / 2
    assert (found["of a team"].agrees, found["of a team"].why) == (True, "")
    assert found["is resolved"].both > 0
    gold = [
        str(id) for id, one in old.store["conversations"].items() if one["custom_attributes"].get("level") == "gold"
    ]
    assert found["in capitals"].missed == tuple(gold)  # small letters there, and texts as they are in our reading
    assert found["the second"].extra == tuple(gold)  # the first value alone counts there
    assert "fails at it" in found["torn"].why
    assert "do not tell" in found["an inbox"].why
    assert "do not tell" in found["a message"].why
    assert "no query" in found["no end"].why
    moved = next(
        one for one in old.store["conversations"].values() if one["team_id"] == 1 and one["priority"] == "high"
    )
    moved["team_id"] = None
    late = asked(run)["of a team"]
    assert (late.agrees, late.missed, late.extra) == (False, (), (str(moved["id"]),))


# ---- Jira ------------------------------------------------------------------------------------------------------------

CLAUSES = [
    'status = "Waiting for support"',
    'status in ("waiting for customer", Resolved)',
    "priority != High",
    "priority not in (High, Low)",
    "assignee is EMPTY",
    "assignee = agent1",
    "assignee != agent1",
    "reporter in (qm:1, qm:2)",
    "labels = vip",
    "labels not in (vip, bug)",
    "labels is not EMPTY",
    'issuetype = "[System] Incident"',
    "Color = red",
    "cf[10100] != red",
    'Serial ~ "A"',
    'summary ~ "order"',
    'summary !~ "question"',
]


def jql(dice: random.Random, deep: int = 2) -> str:
    """Return a random question."""
    if deep == 0 or dice.random() < 0.3:
        return dice.choice(CLAUSES)
    word = dice.choice((" AND ", " OR ", " and ", "NOT "))
    if word == "NOT ":
        return f"NOT ({jql(dice, deep - 1)})" if dice.random() < 0.7 else f"NOT {dice.choice(CLAUSES)}"
    return word.join(f"({jql(dice, deep - 1)})" for _ in range(2))


def compared(field: str, comparison: str, *values: str) -> dict[str, Any]:
    held = {"type": "NAME", "value": str(list(values)).replace("'", '"'), "multiValue": True}
    value = {"selectedField": {"type": "ID", "value": field}, "comparison": comparison, "compareValue": held}
    return {"component": "CONDITION", "type": "jira.issue.condition", "value": value}


def block(*conditions: dict[str, Any], do: str, match: str = "ALL") -> dict[str, Any]:
    value = {"conditionMatchType": match}
    return {"type": "jira.condition.if.block", "conditions": list(conditions), "value": value, "children": [label(do)]}


def label(word: str) -> dict[str, Any]:
    operation = {"field": {"value": "labels"}, "type": "ADD", "value": word}
    return {"component": "ACTION", "type": "jira.issue.edit", "value": {"operations": [operation]}}


def rule(
    uuid: str, *components: dict[str, Any], trigger: str = "jira.issue.event.trigger:created", **value: Any
) -> Any:
    about = {"uuid": uuid, "name": uuid, "state": "ENABLED", "description": ""}
    return {**about, "trigger": {"component": "TRIGGER", "type": trigger, "value": value}, "components": [*components]}


def queue(id: int, jql: str, name: str) -> dict[str, Any]:
    return {"id": str(id), "name": name, "jql": jql, "fields": ["issuekey"], "_links": {}}


def jira(clock: Clock, queues: list[dict[str, Any]], rules: list[Any]) -> Sandbox:
    module = connector("jira").sandbox
    box: Sandbox = module_of("jira.demo").fill(module.create(clock=clock, limits=False), MANY)
    dice = random.Random(3)
    for one in box.store["issues"].values():
        one["fields"] |= {
            "status": {**one["fields"]["status"], "name": dice.choice(("Waiting for support", "Resolved", "Closed"))},
            "priority": dice.choice((None, {"id": "2", "name": "High"}, {"id": "3", "name": "Medium"})),
            "labels": [word for word in ("vip", "bug") if dice.random() < 0.4],
            "assignee": dice.choice((None, {"accountId": "agent1"}, {"accountId": "agent2"})),
            "summary": dice.choice(("An order by mail", "A question", "Both: order, question")),
            "issuelinks": [],
        }
    box.store["queues"].clear()
    box.store["automation_rules"].clear()
    module.seed(box, "queues", queues)
    module.seed(box, "automation_rules", rules)
    return box


def test_a_jira_finds_the_issues_that_we_say_by_its_own_jql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(11)
    texts = [jql(dice) for _ in range(MANY)]
    queues = [queue(at, f"project = HELP AND ({one}) ORDER BY created", f"queue {at}") for at, one in enumerate(texts)]
    queues += [
        queue(900, 'project = HELP AND summary ~ "order by mail" ORDER BY created', "an order in words"),
        queue(901, "project = HELP AND sprint in openSprints()", "a function"),
        queue(902, "project = HELP AND status = Unheard", "no such status"),
        queue(903, "project = HELP", "all"),
        queue(904, "project = HELP AND labels = vip", "vips"),
    ]
    vip, high = compared("labels", "CONTAINS_ANY", "vip"), compared("priority", "ONE_OF", "High", "Medium")
    empty = compared("assignee", "NOT_ONE_OF", "agent1")
    container = {"component": "CONDITION", "type": "jira.condition.container.block"}
    split = {**container, "children": [block(vip, high, do="one"), block(empty, do="two"), block(do="three")]}
    rules = [
        rule("compares", high, label("x")),
        rule("parts", split),
        rule("scheduled", label("x"), trigger="jira.jql.scheduled", jql="priority = High AND labels is EMPTY"),
        rule("any", {**container, "children": [block(vip, empty, do="x", match="ANY")]}),
        rule("asks nothing", label("x")),
        rule("unknown", {"component": "CONDITION", "type": "jira.smart.values", "value": {}}, label("x")),
    ]
    old = jira(Clock(), queues, rules)
    run = staged(tmp_path, old, monkeypatch)
    found = asked(run)
    ours = {name: one for name, one in found.items() if name.startswith("queue ")}
    assert len(ours) == MANY
    differing = [(texts[int(name[6:])], one) for name, one in ours.items() if one.why or not one.agrees]
    assert differing == []
    assert sum(0 < one.both < MANY for one in ours.values()) > MANY / 2
    played = ("compares", "parts", "parts 2", "parts 3", "scheduled", "any", "all", "an order in words", "Mine")
    assert [name for name in played if found[name].why or not found[name].agrees or not found[name].both] == []
    assert sum(found[name].both for name in ("parts", "parts 2", "parts 3")) == found["all"].both == MANY
    assert "no conditions" in found["asks nothing"].why
    assert {"a function", "no such status", "unknown"} <= {name for name, one in found.items() if one.why}
    some = [one for one in old.store["issues"].values() if "vip" in one["fields"]["labels"]][:7]
    for one in some:
        one["fields"]["labels"] = ["VIP"]
    late = asked(run)["vips"]
    assert (late.agrees, late.missed) == (False, ())
    assert set(late.extra) == {one["id"] for one in some}
