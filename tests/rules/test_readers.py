"""Vendors whose rules are only read: HubSpot, Jira, Intercom and Help Scout, in the forms their APIs serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator import customizations, registry
from migrator.report import rules_html
from migrator.rules.conditions import Opaque, leaves
from migrator.rules.meaning import Moment, holds
from migrator.rules.records import translated
from migrator.rules.rule import Hook, Rule, SetField, SetTags
from tests.support.vendor_data import folder

Native = dict[str, Any]


def read(vendor: str, document: Any) -> list[Rule]:
    dialect = registry.dialect(vendor)
    return [dialect.read(native, kind) for kind, native in dialect.listed(document)]


def acts(rule: Rule, events: tuple[str, ...] = ("updated",), **values: str | None) -> bool:
    return holds(rule.when, Moment({f"ticket.{key}": one for key, one in values.items()}, events=frozenset(events)))


def asked(name: str, operator: str, *values: Any, null: bool = False) -> Native:
    operation = {"operator": operator, "values": list(values), "includeObjectsWithNoValueSet": null}
    return {"filterType": "PROPERTY", "property": name, "operation": {**operation, "operationType": "ENUMERATION"}}


def branch(word: str, *filters: Native, of: tuple[Native, ...] = ()) -> Native:
    return {
        "filterBranchType": word,
        "filterBranchOperator": word,
        "filters": list(filters),
        "filterBranches": list(of),
    }


def flow(*actions: Native, **more: Any) -> Native:
    criteria = branch("OR", of=(branch("AND", asked("hs_ticket_priority", "IS_ANY_OF", "HIGH", "URGENT")),))
    enrols = {"type": "LIST_BASED", "shouldReEnroll": False, "listFilterBranch": criteria}
    made = {"id": "7", "name": "Flow", "isEnabled": True, "objectTypeId": "0-5", "startActionId": "1"}
    return {**made, "enrollmentCriteria": enrols, "actions": list(actions), **more}


def sets(id: str, name: str, value: str, then: str = "") -> Native:
    fields = {"property_name": name, "value": {"staticValue": value, "type": "STATIC_VALUE"}}
    action = {"actionId": id, "type": "SINGLE_CONNECTION", "actionTypeId": "0-5", "fields": fields}
    return {**action, **({"connection": {"edgeType": "STANDARD", "nextActionId": then}} if then else {})}


SPLIT: Native = {"actionId": "1", "type": "LIST_BRANCH", "listBranches": [], "defaultBranchName": "the rest"}
SPLIT["listBranches"] = [
    {
        "branchName": "mine",
        "filterBranch": branch("AND", asked("hubspot_owner_id", "IS_ANY_OF", "9")),
        "connection": {"nextActionId": "2"},
    },
    {
        "branchName": "none",
        "filterBranch": branch(
            "AND",
            {
                "filterType": "PROPERTY",
                "property": "hubspot_owner_id",
                "operation": {"operator": "IS_UNKNOWN", "operationType": "ALL_PROPERTY"},
            },
        ),
        "connection": {"nextActionId": "3"},
    },
]
SPLIT["defaultBranch"] = {"nextActionId": "4"}


def test_a_workflow_of_hubspot_is_a_rule_for_each_way_through_its_branches() -> None:
    ends = [
        sets("2", "subject", "a"),
        sets("3", "subject", "b"),
        sets("4", "subject", "c", "5"),
        sets("5", "content", "d"),
    ]
    rules = read("hubspot", {"results": [flow(SPLIT, *ends)]})
    assert [rule.name.split(" ")[-1] for rule in rules] == ["mine", "none", "rest"]
    assert [len(rule.do) for rule in rules] == [1, 1, 2]
    for owner, at in (("9", 0), (None, 1), ("8", 2)):
        assert [acts(rule, priority="high", assignee=owner) for rule in rules] == [at == one for one in range(3)]
        assert not any(acts(rule, priority="low", assignee=owner) for rule in rules)


@pytest.mark.parametrize("null", [True, False])
def test_hubspot_says_itself_what_a_missing_value_means(null: bool) -> None:
    criteria = {
        "type": "LIST_BASED",
        "listFilterBranch": branch("AND", asked("hs_ticket_priority", "IS_NONE_OF", "LOW", null=null)),
    }
    (rule,) = read("hubspot", [flow(sets("1", "subject", "x"), enrollmentCriteria=criteria)])
    assert (acts(rule, priority=None), acts(rule, priority="low"), acts(rule, priority="high")) == (null, False, True)


def test_branches_that_deny_are_denied_as_a_whole() -> None:
    parts = (asked("hs_ticket_priority", "IS_ANY_OF", "LOW"), asked("source_type", "IS_ANY_OF", "CHAT"))
    for word, both, one in (("NOT_ALL", False, True), ("NOT_ANY", False, False)):
        criteria = {"type": "LIST_BASED", "listFilterBranch": branch(word, *parts)}
        (rule,) = read("hubspot", [flow(sets("1", "subject", "x"), enrollmentCriteria=criteria)])
        assert acts(rule, priority="low", channel="chat") is both
        assert acts(rule, priority="low", channel="email") is one


def test_a_circle_of_actions_and_a_workflow_that_is_not_about_tickets_are_read_to_their_end() -> None:
    circle = [sets("1", "subject", "x", "2"), sets("2", "content", "y", "1")]
    (rule,) = read("hubspot", [flow(*circle, objectTypeId="0-1")])
    assert len(rule.do) == 2
    assert [leaf.why for leaf in leaves(rule.when) if isinstance(leaf, Opaque)] == [
        "a workflow that is not about tickets"
    ]


@pytest.mark.skipif(not (folder() / "hubspot" / "spec").is_dir(), reason="vendor data is absent")
def test_the_workflow_that_is_read_here_has_the_form_of_hubspot_s_specification() -> None:
    document = json.loads((folder() / "hubspot" / "spec" / "v4" / "automationV4.json").read_text("utf-8"))
    schemas = document["components"]["schemas"]
    action = schemas["ApiListBranchAction"]["properties"]
    assert {"listBranches", "defaultBranch", "defaultBranchName"} <= action.keys()
    assert {"branchName", "connection", "filterBranch"} <= schemas["ApiListBranch"]["properties"].keys()
    assert set(branch("AND")) == set(schemas["PublicAndFilterBranch"]["properties"])
    assert set(sets("1", "a", "b", "2")) <= schemas["ApiSingleConnectionAction"]["properties"].keys()
    assert set(asked("a", "b")["operation"]) == set(schemas["PublicEnumerationPropertyOperation"]["properties"])
    assert "listFilterBranch" in schemas["ApiListBasedEnrollmentCriteria"]["properties"]


def condition(name: str, comparison: str, *values: str) -> Native:
    compared = {
        "type": "NAME",
        "value": json.dumps(values) if len(values) > 1 else "".join(values),
        "multiValue": len(values) > 1,
    }
    value = {"selectedField": {"type": "ID", "value": name}, "comparison": comparison, "compareValue": compared}
    return {"component": "CONDITION", "type": "jira.issue.condition", "value": value}


def does(kind: str, **value: Any) -> Native:
    return {"component": "ACTION", "type": f"jira.issue.{kind}", "value": value}


def label(word: str) -> Native:
    return does("edit", operations=[{"field": {"type": "ID", "value": "labels"}, "type": "ADD", "value": [word]}])


def automation(*components: Native, trigger: str = "jira.issue.event.trigger:created", **value: Any) -> Native:
    made = {
        "id": 5,
        "name": "Rule",
        "state": "ENABLED",
        "trigger": {"component": "TRIGGER", "type": trigger, "value": value},
    }
    return {"rules": [{**made, "components": list(components)}]}


def test_what_stands_behind_a_condition_of_jira_is_done_only_under_it() -> None:
    rules = read("jira", automation(label("all"), condition("priority", "ONE_OF", "High", "Highest"), label("high")))
    assert [one.do for one in rules] == [(SetTags(how="add", tags=(word,)),) for word in ("all", "high")]
    for priority, expected in (("urgent", [True, True]), ("low", [True, False])):
        assert [acts(one, ("created",), priority=priority) for one in rules] == expected


def test_if_and_else_of_jira_exclude_each_other() -> None:
    first = {
        "type": "jira.condition.if.block",
        "conditions": [condition("priority", "EQUALS", "High")],
        "children": [label("a")],
    }
    second = {"type": "jira.condition.if.block", "conditions": [], "children": [label("b")]}
    block = {"component": "CONDITION", "type": "jira.condition.container.block", "children": [first, second]}
    rules = read("jira", automation(block, label("after")))
    assert [acts(one, ("created",), priority="high") for one in rules] == [True, False, True]
    assert [acts(one, ("created",), priority="low") for one in rules] == [False, True, True]


@pytest.mark.parametrize(
    ("jql", "high", "low", "missing"),
    [
        ("priority = High", True, False, False),
        ("priority != High", False, True, False),  # of what is empty, neither
        ("priority not in (High, 'Highest') or priority is EMPTY", False, True, True),
        ("NOT (priority = High) ORDER BY created", False, True, False),
        ("(priority = High or priority = Low) and labels is EMPTY", True, True, False),
        ('summary ~ "help" AND priority is not EMPTY', True, True, False),
    ],
)
def test_jql_is_read_with_what_it_says_of_the_empty(jql: str, high: bool, low: bool, missing: bool) -> None:
    (rule,) = read(
        "jira", automation({"component": "CONDITION", "type": "jira.jql.condition", "value": jql}, label("x"))
    )
    assert not [one for one in leaves(rule.when) if isinstance(one, Opaque)]
    found = [acts(rule, ("created",), priority=one, subject="Help me") for one in ("high", "low", None)]
    assert found == [high, low, missing]


@pytest.mark.parametrize(
    "jql", ["assignee = currentUser()", "status was Open", "(priority = High", "priority", 'a = "']
)
def test_jql_that_is_not_known_is_said_to_be_so(jql: str) -> None:
    (rule,) = read(
        "jira", automation({"component": "CONDITION", "type": "jira.jql.condition", "value": jql}, label("x"))
    )
    (leaf,) = [one for one in leaves(rule.when) if isinstance(one, Opaque)]
    assert leaf.text == jql


def test_headers_of_a_call_in_a_rule_of_jira_are_secrets(tmp_path: Path) -> None:
    headers = [{"name": "Authorization", "value": "Basic c2VjcmV0", "headerSecure": False}]
    document = automation(does("outgoing.webhook", url="https://hooks.example", method="POST", headers=headers))
    (rule,) = read("jira", document)
    assert isinstance(rule.do[0], Hook)
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    for to in ("zendesk", "zammad", "freshdesk", "jira"):
        data = customizations.explain(file, "jira", to)
        assert "c2VjcmV0" not in json.dumps(data, default=str) + rules_html(data)


def test_a_vendor_s_own_words_are_shown_without_the_secrets_in_them(tmp_path: Path) -> None:
    hook = {"field_name": "trigger_webhook", "request_type": "POST", "url": "https://hooks.example", "content": "x"}
    rule = {
        "rule_type": 1,
        "name": "Call",
        "conditions": [],
        "actions": [{**hook, "custom_headers": {"X": "c2VjcmV0"}}],
    }
    file = tmp_path / "rules.json"
    file.write_text(json.dumps([rule]), encoding="utf-8")
    data = customizations.explain(file, "freshdesk", "freshdesk")
    assert "c2VjcmV0" not in json.dumps(data, default=str) + rules_html(data)


def test_a_transition_of_jira_is_a_change_of_status() -> None:
    sides = {
        "fromStatus": [{"type": "NAME", "value": "Waiting for customer"}],
        "toStatus": [{"type": "NAME", "value": "Resolved"}],
    }
    trigger = "jira.issue.event.trigger:transitioned"
    (rule,) = read(
        "jira",
        automation(does("transition", destinationStatus={"type": "NAME", "value": "Closed"}), trigger=trigger, **sides),
    )
    moment = Moment({"ticket.status": "solved"}, before={"ticket.status": "pending"})
    assert holds(rule.when, moment)
    assert not holds(rule.when, Moment({"ticket.status": "solved"}, before={"ticket.status": "open"}))
    assert isinstance(rule.do[0], SetField)
    made = registry.dialect("zammad").write(rule)
    assert made.verdict == "equivalent"


def test_what_help_scout_hides_is_unreadable_and_asked_for_in_a_letter(tmp_path: Path) -> None:
    flows = [{"id": at, "name": f"Flow {at}", "type": "automatic", "status": "active", "order": at} for at in (1, 2)]
    file = tmp_path / "workflows.json"
    file.write_text(json.dumps({"_embedded": {"workflows": flows}}), encoding="utf-8")
    data = customizations.explain(file, "help_scout", "zammad")
    assert data["verdicts"] == {"unreadable": 2}
    for said in ("2023/2854", "Data Act", "- Flow 1", "machine-readable", "Help Scout"):
        assert said in data["request"]
    assert "Data Act" in rules_html(data)


@pytest.mark.skipif(not (folder() / "rules" / "intercom").is_dir(), reason="vendor data is absent")
def test_an_export_of_intercom_is_read_as_far_as_its_form_is_told() -> None:
    document = json.loads((folder() / "rules" / "intercom" / "workflow_export.json").read_text("utf-8"))
    (rule,) = read("intercom", document)
    assert rule.active is True
    assert not rule.unknown
    made = customizations.translated(registry.dialect("zammad"), rule)
    assert made.verdict == "unreadable"
    assert acts(rule, ("created",), channel="chat")


@pytest.mark.parametrize("vendor", ["hubspot", "jira", "intercom", "help_scout"])
def test_into_a_vendor_that_is_only_read_nothing_is_written(vendor: str) -> None:
    source = Rule(vendor="zendesk", kind="trigger", name="x")
    made = registry.dialect(vendor).write(source)
    assert (made.native, made.verdict) == ((), "untranslatable")
    assert made.findings[0].note


def test_a_workflow_that_help_scout_hands_out_by_name_only_is_unreadable_and_no_dead_rule() -> None:
    (rule,) = read("help_scout", [{"id": 1, "name": "Escalate", "type": "automatic", "status": "active", "order": 1}])
    made = translated(registry.dialect("zendesk"), rule)
    assert made.obsolete == ""
    assert "unreadable" in {finding.verdict for finding in made.findings}
