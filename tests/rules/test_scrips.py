"""Scrips and saved searches as an account of Request Tracker tells them, read for other desks."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from migrator.rules.records import parsed, read
from migrator.rules.rule import Comment, Mail, Rule, SetField
from tests.support.connectors import connector

TRACKER: Any = connector("request_tracker.rules")
ZENDESK: Any = connector("zendesk.rules")
ROW: dict[str, Any] = {
    "id": 7, "Description": "Greet", "Condition": "On Create", "Action": "Notify Requestors", "Template": "Hello",
    "Scopes": ["queue: Billing"], "Queues": [3], "Stage": "TransactionCreate", "Disabled": "0", "_digest": "x",
    "Text": "Subject: [{$rtname}] {chr(123)}hi{chr(125)}\n\nYour ticket {$Ticket->id}\n",
    "CustomIsApplicableCode": None,
}  # fmt: skip


def held(row: dict[str, Any], kind: str = "trigger") -> Rule:
    """Return what the stage holds of a row."""
    return parsed(read("request_tracker", kind, json.dumps(row)), name="x")


def test_a_stock_scrip_becomes_a_trigger_with_the_text_of_its_template_within_its_queues() -> None:
    rule = held(ROW)
    (mail,) = rule.do
    assert isinstance(mail, Mail)
    assert [one.who for one in mail.to] == ["requester"]
    made = ZENDESK.write(rule)
    assert made.verdict in ("exact", "equivalent", "approximated")
    text = json.dumps(made.native, ensure_ascii=False)
    assert "Your ticket {{ticket.id}}" in text
    assert "{hi}" in text
    assert "⟪group:3⟫" in text


def test_what_an_account_names_by_itself_is_no_difference() -> None:
    other = {**ROW, "id": 9, "Template": "Hello 2", "Scopes": ["queue: Rechnungen"], "Disabled": "1"}
    assert held(other) == held(ROW)
    assert held({**ROW, "Text": ROW["Text"] + "."}) != held(ROW)
    assert held({**ROW, "Queues": [4]}) != held(ROW)


def test_perl_and_queries_are_left_to_a_person() -> None:
    code = held({**ROW, "Condition": "User Defined", "CustomIsApplicableCode": "return 1;"})
    assert "Perl" in json.dumps(code.when.model_dump())
    search = {"id": 1, "Name": "Mine", "Scope": "everything", "Query": "Status = 'open'", "More": "{}"}
    assert "TicketSQL" in json.dumps(held(search, "view").when.model_dump())


@pytest.mark.parametrize("value", ["it's", "back\\slash", "a\" ' ) OR id > 0", "100%"])
def test_whatever_value_a_view_asks_for_is_one_string_of_its_search(value: str) -> None:
    asked = {"all": [{"field": "current_tags", "operator": "includes", "value": value.replace(" ", "_")}], "any": []}
    (native,) = TRACKER.write(ZENDESK.read({"title": "x", "conditions": asked, "execution": {}}, "view")).native
    said = value.replace(" ", "_").replace("\\", "\\\\").replace("'", "\\'")
    assert native["Query"] == f"CF.{{Tags}} = '{said}'"


def test_a_value_that_would_be_a_column_is_left_to_a_person() -> None:
    asked = {"all": [{"field": "current_tags", "operator": "includes", "value": "CF.{Secret}"}], "any": []}
    made = TRACKER.write(ZENDESK.read({"title": "x", "conditions": asked, "execution": {}}, "view"))
    assert made.verdict == "untranslatable"
    assert made.native[0]["Query"] == "id = '0'"


def test_a_rule_by_the_clock_is_drafted_as_a_line_of_crontab_that_a_shell_reads_as_meant() -> None:
    asked = {"all": [{"field": "status", "operator": "is", "value": "pending"}], "any": []}
    asked["all"].append({"field": "current_tags", "operator": "includes", "value": "it's;$(x)"})
    asked["all"].append({"field": "NEW", "operator": "greater_than", "value": "48"})
    do = [{"field": "status", "value": "solved"}, {"field": "comment_value", "value": "Bye"}]
    made = TRACKER.write(ZENDESK.read({"title": "x", "conditions": asked, "actions": do}, "timed"))
    assert made.verdict == "untranslatable"
    (line,) = made.native[0]["Crontab"]
    words = shlex.split(line.removeprefix("0 * * * * "))
    assert words[0] == "rt-crontool"
    assert words[4].startswith("( Status = 'stalled' AND CF.{Tags} = 'it\\'s;$(x)' AND Created < '48 hours ago'")
    assert words[5:] == ["--action", "RT::Action::SetStatus", "--action-arg", "resolved"]


def test_a_job_of_the_generic_agent_comes_home_as_it_was_and_a_draft_is_off() -> None:
    znuny: Any = connector("znuny.rules")
    job = {
        "Name": "close", "Valid": "1", "StateIDs": ["4", "<state:open>"], "TimeSearchType": "TimePoint",
        "TicketCreateTimePoint": "3", "TicketCreateTimePointFormat": "day", "TicketCreateTimePointStart": "Before",
        "NewStateID": "<state:closed successful>", "NewNoteBody": "closed", "ScheduleHours": ["1"], "Odd": "kept",
    }  # fmt: skip
    rule = znuny.read(job, "timed")
    assert [type(one) for one in rule.do] == [SetField, Comment]
    assert znuny.write(rule).native[0] == job
    asked = {"all": [{"field": "current_tags", "operator": "includes", "value": "vip"}], "any": []}
    asked["all"].append({"field": "NEW", "operator": "greater_than", "value": "48"})
    do = [{"field": "status", "value": "solved"}]
    made = znuny.write(ZENDESK.read({"title": "x", "conditions": asked, "actions": do}, "timed"))
    assert made.verdict == "untranslatable"
    assert made.native[0]["Valid"] == "0"
