"""Zammad's rules in the words of one account: values that become one, numbers for names, what a rule needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migrator.rules.verdicts import Need
from tests.support.connectors import connector

ZAMMAD: Any = connector("zammad.rules")
WORDS: Any = connector("zammad.rules.numbers")
FIELDS: Any = connector("zammad.fields")
TICKETS = {  # as a new Zammad has them
    "status": {"new": "new", "open": "open", "pending": "pending reminder", "hold": "pending reminder",
               "solved": "closed", "closed": "closed"},
    "priority": {"low": "1 low", "normal": "2 normal", "high": "3 high", "urgent": "3 high", None: "2 normal"},
    "type": {"incident": "Incident"},
}  # fmt: skip
TABLES = {"state": {1: "new", 4: "closed"}, "role": {2: "Agent"}, "calendar": {1: "default", 5: "Early"}}


def settled(name: str, value: Any, operator: str = "is") -> tuple[Any, str]:
    native = {"name": "x", "condition": {name: {"operator": operator, "value": value}}, "perform": {}}
    made, why = ZAMMAD.settled(native, TICKETS)
    return made["condition"][name]["value"], why


@pytest.mark.parametrize("operator", ["is", "is not"])
def test_a_condition_on_one_of_two_values_that_become_one_is_refused(operator: str) -> None:
    value, why = settled("ticket.state_id", "<state:solved>", operator)
    assert value == "<state:closed>"
    assert "closed would match too" in why


def test_a_condition_on_all_values_that_become_one_names_it_once() -> None:
    some = ["<state:pending reminder>", "<state:on hold>", "<state:open>"]
    assert settled("ticket.state_id", some) == (["<state:pending reminder>", "<state:open>"], "")
    assert settled("ticket.status_before", ["<state:solved>", "<state:closed>"]) == ("<state:closed>", "")


def test_without_a_priority_means_the_one_that_such_tickets_get() -> None:
    assert settled("ticket.priority_id", ["<priority:0 none>", "<priority:2 normal>"]) == ("<priority:2 normal>", "")
    assert "normal would match too" in settled("ticket.priority_id", "<priority:0 none>")[1]


def test_types_are_those_of_the_account_and_one_that_no_ticket_has_is_refused() -> None:
    assert settled("ticket.type", "incident") == ("Incident", "")
    assert "no type 'task'" in settled("ticket.type", ["task", "incident"])[1]


def test_what_a_rule_sets_becomes_what_tickets_become() -> None:
    native = {"condition": {}, "perform": {"ticket.state_id": {"value": "<state:solved>"}}}
    made, why = ZAMMAD.settled(native, TICKETS)
    assert (made["perform"]["ticket.state_id"]["value"], why) == ("<state:closed>", "")


def test_numbers_become_names_and_back() -> None:
    def table(kind: str) -> Any:
        return TABLES.get(kind, {})

    tree = {"operator": "AND", "conditions": [{"name": "ticket.state_id", "operator": "is", "value": ["4", "9"]}]}
    native = {"condition": tree, "role_ids": [2], "group_ids": [7], "calendar_id": 1}
    told = WORDS.in_words(native, table)
    assert told["condition"]["conditions"][0]["value"] == ["<state:closed>", "9"]  # 9 is none it knows
    assert (told["role_ids"], told["group_ids"]) == (["<role:Agent>"], ["⟪group:7⟫"])
    assert told["calendar_id"] == "<calendar:default>"
    assert WORDS.in_words({"calendar_id": 5}, table)["calendar_id"] == "⟪schedule:5⟫"
    assert WORDS.in_ids({k: told[k] for k in ("condition", "role_ids", "calendar_id")}, table) == {
        k: native[k] for k in ("condition", "role_ids", "calendar_id")
    }
    with pytest.raises(KeyError):
        WORDS.in_ids(["<state:on hold>"], table)
    assert list(WORDS.names_in({"a": ["<state:on hold>", "<b>"]})) == [("state", "on hold")]


def test_a_need_is_a_record_or_nothing_or_a_reason() -> None:
    kind, id, fields = ZAMMAD.provided(Need("attribute", "ticket.since_pending", ""))
    assert (kind, id, fields["key"]) == ("custom_field", "needed:since_pending", "since_pending")
    kind, _, fields = ZAMMAD.provided(Need("trigger", "000 people", "", {"name": "000 people", "perform": {}}))
    assert (kind, fields["name"]) == ("trigger", "000 people")
    assert json.loads(fields["rule"])["execution_condition_mode"] == "always"
    assert ZAMMAD.provided(Need("calendar", "around the clock", ""))[0] == "schedule"
    assert ZAMMAD.provided(Need("text_module", "a", "", {"name": "a", "content": "b"}))[0] == "canned_response"
    for name in ("ticket.type", "ticket.⟪custom_field:ticket:1⟫"):
        assert ZAMMAD.provided(Need("attribute", name, "")) == ""
    assert "does not move" in ZAMMAD.provided(Need("attribute", "ticket.brand", ""))


def test_what_helpers_do_is_read_and_written_again_unchanged() -> None:
    asked = {"ticket.state_id": {"operator": "is", "value": "<state:open>"}}
    asked["ticket.status_before"] = {"operator": "is not", "value": "<state:open>"}
    does = {"ticket.status_before": {"value": "<state:open>"}, "ticket.comments_public": {"value": "#{article.body}"}}
    does["ticket.since_pending"] = {"operator": "relative", "value": "0", "range": "minute"}
    native = {"name": "x", "condition": asked, "perform": does}
    made = ZAMMAD.write(ZAMMAD.read(native, "trigger"))
    assert made.native[0] == native
    assert "custom_field" not in json.dumps(made.rule.model_dump(mode="json"))


def test_working_hours_over_midnight_stand_at_both_days() -> None:
    zendesk: Any = connector("zendesk.rules")
    native = {"name": "Late", "intervals": [{"start_time": 1440 + 1200, "end_time": 2880 + 120}]}
    made = ZAMMAD.write(zendesk.read(native, "schedule")).native[0]
    assert made["business_hours"]["mon"]["timeframes"] == [["20:00", "23:59"]]
    assert made["business_hours"]["tue"]["timeframes"] == [["00:00", "02:00"]]
    assert not made["business_hours"]["sun"]["active"]
    back = ZAMMAD.read(made, "schedule")
    assert [(one.begins, one.ends) for one in back.shifts] == [(2640, 2880), (2880, 3000)]
    assert ZAMMAD.write(zendesk.read({**native, "intervals": []}, "schedule")).verdict == "untranslatable"


def test_a_macro_that_fills_in_a_placeholder_is_never_called_the_same() -> None:
    zendesk: Any = connector("zendesk.rules")
    note = [
        {"field": "comment_value", "value": "Seen: {{ticket.title}}"},
        {"field": "comment_mode_is_public", "value": "false"},
    ]
    made = ZAMMAD.write(zendesk.read({"title": "x", "actions": note}, "macro"))
    assert made.verdict == "approximated"
    assert made.native[0]["perform"]["article.note"]["subject"]
