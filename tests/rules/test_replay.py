"""Rule sets replayed over what happened to tickets: each as its vendor runs rules, the traps included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from migrator import customizations
from migrator.report import rules_html
from migrator.rules.meaning import Moment, holds
from migrator.rules.replay import History, Run, Side, Update, run
from migrator.rules.sql import counts
from migrator.stage import Stage
from tests.support.connectors import connector
from tests.support.rule_engines import Native, zammad, zendesk
from tests.support.rule_engines import Update as Happened
from tests.support.rule_tables import table
from tests.support.rule_worlds import HAPPENED, STATE, asked, updates
from tests.support.vendor_data import folder

ZENDESK: Any = connector("zendesk.rules")
ZAMMAD: Any = connector("zammad.rules")
FRESHDESK: Any = connector("freshdesk.rules")
CHATWOOT: Any = connector("chatwoot.rules")
TRACKER: Any = connector("request_tracker.rules")
UPDATES = updates(200, seed=9)
many = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def tables() -> Iterator[tuple[Stage, list[str]]]:
    """Return a table of the updates, and its columns."""
    with Stage(":memory:") as stage:
        yield stage, table(stage, UPDATES)


def moment(one: Happened, *, none: str | None = None) -> Moment:
    """Return an invented update as a rule sees it; ``none``: the priority of tickets that have none."""
    names = ("status", "priority", "type", "group", "assignee", "requester", "subject")
    values = {f"ticket.{name}": one[name] for name in names}
    values["ticket.priority"] = one["priority"] or none
    values["ticket.people"] = f"{one['assignee'] or '1'}={one['requester']}"  # as Zammad's helper trigger leaves it
    values["comment.public"] = None if one["comment"] is None else str(one["comment"]["public"]).lower()
    before = {f"ticket.{name}": was for name, was in one["before"].items()}
    if "ticket.priority" in before:
        before["ticket.priority"] = before["ticket.priority"] or none
    events = frozenset({one["event"], *(["commented"] if one["comment"] else [])})
    return Moment(values, frozenset(one["tags"]), before, events, one["actor"])


def rule(conditions: Native, *do: tuple[str, Any], title: str = "a rule", place: int = 0) -> Native:
    actions = [{"field": field, "value": value} for field, value in do or (("current_tags", "seen"),)]
    return {"title": title, "id": title, "position": place, "conditions": conditions, "actions": actions}


def asks(*all: tuple[str, str, Any]) -> Native:
    return {"all": [dict(zip(("field", "operator", "value"), one, strict=True)) for one in all], "any": []}


def played(of: Any, natives: list[Native], history: History) -> Run:
    """Return what a vendor's own rules make of a ticket."""
    rules = tuple(of.read(native, "trigger") for native in natives)
    return run(Side(rules, of.POLICY, tuple(one.name for one in rules)), history)


def life(*updates: Update, **values: str | None) -> History:
    first = Update(
        "7", {"ticket.status": "new", "ticket.requester": "7", **{f"ticket.{k}": v for k, v in values.items()}}
    )
    return History("1", (Update("7", first.changes, public=True), *updates))


@many
@given(asked(STATE | HAPPENED))
def test_a_condition_means_at_one_moment_what_the_source_s_engine_says(conditions: Native) -> None:
    read = ZENDESK.read(rule(conditions), "trigger").when
    assert [holds(read, moment(one)) for one in UPDATES] == [zendesk(conditions, one) for one in UPDATES]


@many
@given(asked(STATE | HAPPENED))
def test_zammad_s_own_words_are_read_with_the_meaning_its_engine_gives_them(conditions: Native) -> None:
    made = ZAMMAD.write(ZENDESK.read(rule(conditions), "trigger"))
    for native in made.native:
        read = ZAMMAD.read(native, "trigger").when
        found = [holds(read, moment(one, none="none")) for one in UPDATES]
        assert found == [zammad(native["condition"], one) for one in UPDATES]


def test_a_not_block_of_zammad_is_not_all_of_them_and_loses_what_is_missing() -> None:
    parts = [
        {"name": "ticket.priority_id", "operator": "is", "value": "<priority:1 low>"},
        {"name": "ticket.group_id", "operator": "is", "value": "<group:21>"},
    ]
    natives = [{"name": "x", "condition": {"operator": "NOT", "conditions": parts}, "perform": {}}]
    natives[0]["perform"] = {"ticket.tags": {"operator": "add", "value": "seen"}}
    for priority, group, acts in (("low", "21", False), ("low", "22", True), ("high", "21", True), (None, "21", False)):
        made = played(ZAMMAD, natives, life(priority=priority, group=group))
        assert ("seen" in made.tags) is acts, (priority, group)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked(STATE | HAPPENED))
def test_a_table_answers_as_a_moment_does(tables: tuple[Stage, list[str]], conditions: Native) -> None:
    stage, columns = tables
    read = ZENDESK.read(rule(conditions), "trigger").when
    question = counts("ticket", [(read, read, {})], columns)
    assert stage.rows(question.sql, *question.values)[0][0] == sum(holds(read, moment(one)) for one in UPDATES)


def test_a_change_to_nothing_is_told_from_any_other_in_a_table_too() -> None:
    with Stage(":memory:") as stage:
        columns = table(stage, UPDATES)
        for conditions in (
            asks(("status", "value", "open")),
            asks(("priority", "value", "")),
            asks(("type", "is_not", "")),
        ):
            read = ZENDESK.read(rule(conditions), "trigger").when
            question = counts("ticket", [(read, read, {})], columns)
            assert stage.rows(question.sql, *question.values)[0][0] == sum(holds(read, moment(one)) for one in UPDATES)


def test_a_trigger_acts_once_an_update_and_an_earlier_one_acts_after_a_later_one_made_it_true() -> None:
    early = rule(
        asks(("priority", "is", "urgent")), ("status", "open"), ("current_tags", "early"), title="early", place=1
    )
    late = rule(asks(("status", "is", "new")), ("priority", "urgent"), title="late", place=2)
    zendesk_side = played(ZENDESK, [early, late], life())
    assert zendesk_side.fired == [["late", "early"]]
    assert zendesk_side.values["ticket.status"] == "open"
    made = [ZAMMAD.write(ZENDESK.read(one, "trigger")).native[0] for one in (early, late)]
    zammad_side = played(ZAMMAD, made, life())
    assert zammad_side.fired == [["002 late"]]
    assert zammad_side.values["ticket.status"] == "new"


def test_zammad_runs_rules_by_name_and_zendesk_by_position() -> None:
    first = rule(asks(("status", "is", "new")), ("status", "open"), title="z", place=1)
    second = rule(asks(("status", "is", "new")), ("status", "pending"), title="a", place=2)
    assert played(ZENDESK, [second, first], life()).fired == [["z"]]
    bare = [{**ZAMMAD.write(ZENDESK.read(one, "trigger")).native[0], "name": one["title"]} for one in (first, second)]
    assert played(ZAMMAD, bare, life()).fired == [["a"]]
    ordered = [ZAMMAD.write(ZENDESK.read(one, "trigger")).native[0] for one in (first, second)]
    assert played(ZAMMAD, ordered, life()).fired == [["001 z"]]


def test_has_changed_means_in_zammad_what_the_update_changed_and_in_zendesk_also_what_rules_did() -> None:
    sets = rule(asks(("update_type", "is", "Change")), ("priority", "high"), title="1 sets", place=1)
    sees = rule(asks(("update_type", "is", "Change"), ("priority", "changed", None)), title="2 sees", place=2)
    happened = life(Update("8", {"ticket.status": "open"}), priority="low")
    assert played(ZENDESK, [sets, sees], happened).fired[1] == ["1 sets", "2 sees"]
    made = [ZAMMAD.write(ZENDESK.read(one, "trigger")).native[0] for one in (sets, sees)]
    assert played(ZAMMAD, made, happened).fired[1] == ["001 1 sets"]


def test_chatwoot_s_flat_list_binds_and_before_or_in_a_replay_too() -> None:
    parts = [("team_id", "21", "AND"), ("status", "pending", "OR"), ("status", "snoozed", None)]
    listed = [
        {"attribute_key": key, "filter_operator": "equal_to", "values": [value], "query_operator": joined}
        for key, value, joined in parts
    ]
    native = {"name": "x", "event_name": "conversation_created", "conditions": listed}
    native["actions"] = [{"action_name": "add_label", "action_params": ["seen"]}]
    elsewhere = life(group="22")
    held = History("1", (Update("7", {**elsewhere.updates[0].changes, "ticket.status": "hold"}),))
    assert "seen" in played(CHATWOOT, [native], held).tags  # though the team is another: the last OR stands alone


def test_rules_that_set_each_other_off_end_in_zendesk_and_never_in_request_tracker() -> None:
    up = rule(asks(("priority", "is", "low")), ("priority", "high"), title="up", place=1)
    down = rule(asks(("priority", "is", "high")), ("priority", "low"), title="down", place=2)
    made = played(ZENDESK, [up, down], life(priority="low"))
    assert made.fired == [["up", "down"]]
    assert not made.endless
    rules = tuple(ZENDESK.read(one, "trigger") for one in (up, down))
    assert run(Side(rules, TRACKER.POLICY, ("up", "down")), life(priority="low")).endless


def test_a_snapshot_lets_both_of_two_rules_act_of_which_the_first_ends_the_second() -> None:
    one = rule(asks(("status", "is", "new")), ("status", "open"), title="one", place=1)
    two = rule(asks(("status", "is", "new")), ("status", "pending"), title="two", place=2)
    rules = tuple(ZENDESK.read(each, "trigger") for each in (one, two))
    assert run(Side(rules, ZENDESK.POLICY, ("one", "two")), life()).fired == [["one"]]
    assert run(Side(rules, TRACKER.POLICY, ("one", "two")), life()).fired[0][:2] == ["one", "two"]


def test_the_helper_field_that_remembers_a_status_is_played_with_the_triggers_that_fill_it(tmp_path: Path) -> None:
    back = rule(asks(("status", "value_previous", "solved")), ("current_tags", "reopened"), title="back", place=1)
    history = audits(("Change", "status", "solved", "new"), ("Change", "status", "open", "solved"))
    data = explained(tmp_path, [back], history, "zammad")
    assert data["differ"] == 0
    assert [one for one in data["rules"] if one["both"] == 1 and not one["missed"] and not one["extra"]]


def audits(*changes: tuple[str, str, str, str], by: str = "", public: bool | None = None) -> list[Native]:
    """Return a ticket's audits: made by its requester, then a change an audit."""
    made = [{"type": "Create", "field_name": "status", "value": "new"}]
    made.append({"type": "Create", "field_name": "requester_id", "value": "7"})
    made.append({"type": "Comment", "public": True, "body": "Help"})
    found: list[Native] = [
        {"id": 1, "ticket_id": 5, "created_at": "2026-01-01T00:00:00Z", "author_id": 7, "events": made}
    ]
    for at, (kind, field, value, previous) in enumerate(changes, 2):
        event = {"type": kind, "field_name": field, "value": value, "previous_value": previous}
        found.append(
            {"id": at, "ticket_id": 5, "created_at": f"2026-01-0{at}T00:00:00Z", "author_id": 8, "events": [event]}
        )
    return found


def explained(tmp_path: Path, natives: list[Native], history: list[Native], to: str) -> dict[str, Any]:
    file, past = tmp_path / "rules.json", tmp_path / "audits.json"
    file.write_text(json.dumps({"triggers": natives}), encoding="utf-8")
    past.write_text(json.dumps({"audits": history}), encoding="utf-8")
    data = customizations.explain(file, "zendesk", to, history=past)
    assert "end otherwise" in rules_html(data)
    found: dict[str, Any] = data["replayed"]
    return found


@pytest.mark.parametrize(("actor", "acts"), [("9", True), ("8", False)])
def test_the_field_that_says_who_acted_is_played_with_the_automations_that_fill_it(actor: str, acts: bool) -> None:
    reopened = rule(asks(("status", "value_previous", "solved"), ("assignee_id", "is_not", "current_user")))
    made = FRESHDESK.write(ZENDESK.read(reopened, "trigger"))
    natives = [need.native for need in made.needs if need.name.startswith("Acted by")]
    solved = Update("8", {"ticket.assignee": "8", "ticket.status": "solved"})
    found = played(FRESHDESK, [*natives, *made.native], life(solved, Update(actor, {"ticket.status": "open"})))
    assert ("a rule" in found.fired[-1]) is acts
    there = played(ZENDESK, [reopened], life(solved, Update(actor, {"ticket.status": "open"})))
    assert ("a rule" in there.fired[-1]) is acts


def test_a_set_of_rules_each_carried_exactly_can_end_in_another_ticket_and_it_is_said_which(tmp_path: Path) -> None:
    early = rule(asks(("priority", "is", "urgent")), ("status", "open"), title="early", place=1)
    late = rule(asks(("status", "is", "new")), ("priority", "urgent"), title="late", place=2)
    data = explained(tmp_path, [early, late], audits(), "zammad")
    assert (data["tickets"], data["differ"]) == (1, 1)
    (example,) = data["examples"]
    assert example["fields"] == [{"field": "ticket.status", "source": "open", "destination": "new"}]
    assert {one["name"]: (one["both"], one["missed"]) for one in data["rules"]} == {"early": (0, 1), "late": (1, 0)}


def test_what_a_rule_did_is_taken_out_of_the_history_and_met_again(tmp_path: Path) -> None:
    greets = rule(asks(("update_type", "is", "Create")), ("priority", "high"), title="greets", place=1)
    history = audits()
    via = {"channel": "rule", "source": {"rel": "trigger", "from": {"id": "greets", "title": "greets"}}}
    history[0]["events"].append({"type": "Change", "field_name": "priority", "value": "high", "via": via})
    (found,) = ZENDESK.histories({"audits": history})
    assert "ticket.priority" not in found.updates[0].changes
    data = explained(tmp_path, [greets], history, "zammad")
    assert (data["rules"][0]["recorded"], data["rules"][0]["reproduced"]) == (1, 1)


def test_how_a_ticket_came_and_whether_it_is_public_is_told_by_its_first_audit(tmp_path: Path) -> None:
    asked_for = asks(("ticket_is_public", "is", "public"), ("via_id", "is", "4"), ("update_type", "is", "Create"))
    history = audits()
    for channel, public, acts in (("email", True, 1), ("web", True, 0), ("email", False, 0)):
        history[0]["via"] = {"channel": channel}
        history[0]["events"][-1]["public"] = public
        data = explained(tmp_path, [rule(asked_for, title="greets", place=1)], history, "zammad")
        assert [(one["both"], one["missed"], one["extra"]) for one in data["rules"]] == [(acts, 0, 0)]


def test_a_rule_whose_question_no_history_answers_is_named_and_not_played(tmp_path: Path) -> None:
    french = rule(asks(("locale_id", "is", "8")), title="french", place=1)
    data = explained(tmp_path, [french], audits(), "zammad")
    assert [one["name"] for one in data["left_out"]] == ["french"]
    assert "requester.language" in data["left_out"][0]["why"]
    assert data["rules"] == []


def test_values_that_merge_are_compared_as_they_are_after_the_move(tmp_path: Path) -> None:
    done = rule(asks(("status", "is", "closed")), ("current_tags", "gone"), title="done", place=1)
    history = audits(("Change", "status", "solved", "new"), ("Change", "status", "closed", "solved"))
    data = explained(tmp_path, [done], history, "chatwoot")
    fields = [each["field"] for one in data["examples"] for each in one["fields"]]
    assert "ticket.status" not in fields  # resolved is what both become


@pytest.mark.recorded
@pytest.mark.skipif(not (folder() / "zendesk").is_dir(), reason="vendor data is absent")
def test_recorded_audits_are_read_and_name_the_rules_that_acted() -> None:
    fixture = folder() / "zendesk" / "go-zendesk-fixtures" / "GET" / "ticket_audits.json"
    (found,) = ZENDESK.histories(json.loads(fixture.read_text("utf-8")))
    assert not found.from_start
    assert found.updates[0].fired == {"35079792"}
    assert found.updates[0].public is False
    assert "ticket.status" not in found.updates[0].changes
    assert found.values["ticket.status"] == "new"
