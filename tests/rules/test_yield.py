"""Pairs of rules called good for what surrounds them: histories, clocks, whole conversations, pairs of tools."""

from __future__ import annotations

import html
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.rules.verdicts import Translation
from tests.support.connectors import connector
from tests.support.rule_engines import PRIORITIES, STATUSES, Native, Update, freshdesk, zammad, zendesk
from tests.support.rule_worlds import asked, update

ZENDESK: Any = connector("zendesk.rules")
ZAMMAD: Any = connector("zammad.rules")
FRESHDESK: Any = connector("freshdesk.rules")
GOOD = ("exact", "equivalent")
quick = settings(max_examples=80, deadline=None)


def translated(to: Any, native: Native, kind: str) -> Translation:
    made: Translation = to.write(ZENDESK.read({"title": "a rule", **native}, kind))
    return made


# ---- a rule that has set already what it sets ------------------------------------------------------------------------

PLAIN = st.one_of(
    *(
        st.builds(
            lambda field, operator, value: {"field": field, "operator": operator, "value": value},
            st.just(field),
            st.sampled_from(("is", "is_not")),
            st.sampled_from(values),
        )
        for field, values in (("status", STATUSES), ("priority", PRIORITIES[1:]), ("group_id", ("21", "22")))
    )
)
SETS = st.lists(
    st.sampled_from(
        [("status", one) for one in ("open", "pending", "solved")] + [("priority", one) for one in PRIORITIES]
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda one: one[0],
)


def life(dice: random.Random) -> list[Update]:
    """Return a ticket's beginning and what is then done to it: each time its tags alone, or a field as well."""
    steps: list[Update] = [{"status": "new", "priority": dice.choice(PRIORITIES), "group": "21"}]
    for _ in range(8):
        field, values = dice.choice((("tags", ()), ("status", STATUSES), ("priority", PRIORITIES)))
        steps.append({field: dice.choice(values)} if values else {})
    return steps


def lived(steps: list[Update], acts: Any, sets: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what the ticket is after each step, where a rule acts on the updates on which it does."""
    held = {**update(random.Random(1)), **steps[0]}
    found = []
    for at, step in enumerate(steps):
        changes = {field: held[field] for field, value in step.items() if at and held[field] != value}
        held = {**held, **step, "event": "updated" if at else "created", "before": changes}
        held["comment"] = None if at else {"public": True}
        if acts(held):
            held |= dict(sets)
        found.append((held["status"], held["priority"]))
    return found


@quick
@given(asked(PLAIN), SETS, st.integers(0, 99))
def test_a_rule_that_settles_a_ticket_need_not_see_updates_that_nobody_notices(
    conditions: Native, sets: list[tuple[str, str]], seed: int
) -> None:
    do = [{"field": field, "value": value} for field, value in sets]
    made = translated(FRESHDESK, {"conditions": conditions, "actions": do}, "trigger")
    assert made.verdict in GOOD
    steps = life(random.Random(seed))
    there = lived(steps, lambda one: any(freshdesk(rule, one) for rule in made.native), sets)
    assert there == lived(steps, lambda one: zendesk(conditions, one), sets)


@pytest.mark.parametrize(
    ("asks", "does"),
    [
        (("status", "is", "open"), {"field": "notification_user", "value": ["requester_id", "News", "Hello"]}),
        (("status", "is", "open"), {"field": "current_tags", "value": "seen"}),
        (("current_tags", "includes", "vip"), {"field": "priority", "value": "high"}),
        (("status", "is", "open"), {"field": "assignee_id", "value": "current_user"}),
    ],
)
def test_what_does_not_settle_misses_updates_that_nobody_notices(asks: Any, does: Native) -> None:
    conditions = {"all": [dict(zip(("field", "operator", "value"), asks, strict=True))], "any": []}
    found = translated(FRESHDESK, {"conditions": conditions, "actions": [does]}, "trigger")
    assert found.verdict in ("approximated", "untranslatable")
    assert any("tags" in one.note for one in found.findings)


# ---- the clocks of a policy ------------------------------------------------------------------------------------------

RUNS = {  # metrics definitions of Zendesk (GitLab handbook, 2025-12): in these statuses each clock runs
    "requester_wait_time": ("new", "open", "hold"),
    "agent_work_time": ("new", "open"),
    "total_resolution_time": ("new", "open", "pending", "hold"),
}
TARGET = 60


def late_in_zendesk(metric: str, steps: list[tuple[str, int]]) -> list[bool]:
    """Return after each span of minutes in a status whether more than the target has run."""
    run, found = 0, []
    for status, minutes in steps:
        run += minutes if status in RUNS[metric] else 0
        found.append(run > TARGET)
    return found


def late_in_freshdesk(stops: set[str], within: int, steps: list[tuple[str, int]]) -> list[bool]:
    """Return the same by a due date that moves on by the time a ticket was in statuses whose timer is off."""
    now, due, stopped, found = 0, within // 60, None, []
    for status, minutes in steps:
        if status in stops:
            stopped = now if stopped is None else stopped
        elif stopped is not None:
            due, stopped = due + now - stopped, None
        now += minutes
        found.append((now if stopped is None else stopped) > due)
    return found


@quick
@given(
    st.sampled_from(sorted(RUNS)), st.lists(st.tuples(st.sampled_from(STATUSES[:5]), st.integers(1, 40)), max_size=9)
)
def test_a_clock_of_a_whole_ticket_runs_in_the_same_statuses_and_goes_on_when_it_is_reopened(
    metric: str, steps: list[tuple[str, int]]
) -> None:
    times = [{"priority": "high", "metric": metric, "target": TARGET, "business_hours": False}]
    made = translated(FRESHDESK, {"filter": {"all": [], "any": []}, "policy_metrics": times}, "sla")
    assert made.verdict == "equivalent"
    off = {one.name.partition(":")[0] for one in made.needs if one.kind == "SLA timer" and one.name.endswith("off")}
    stops = {{"Pending": "pending", "On hold": "hold"}[one] for one in off} | {"solved", "closed"}
    within = made.native[0]["sla_target"]["priority_3"]["resolve_within"]
    assert late_in_freshdesk(stops, within, steps) == late_in_zendesk(metric, steps)


def late_in_zammad(made: Translation, steps: list[tuple[str, int]]) -> list[bool]:
    """Return the same by lib/escalation.rb: what lies in states that ignore escalation is a break; a ticket that was
    closed has no time, as long as it is known when that was. In such states nothing is late."""
    switched = dict(one.name.split(": ") for one in made.needs if one.kind == "state switch")
    ignoring = {STATES[name] for name, how in switched.items() if how != "counts"} | {"closed"}
    (reopens,) = (one.native for one in made.needs if one.name == "000 reopened" and one.native)
    now, breaks, closed, before, found = 0, 0, False, "new", []
    for status, minutes in steps:
        changes = {"status": before} if status != before else {}
        after = {**update(random.Random(1)), "status": status, "before": changes, "event": "updated"}
        if zammad(reopens["condition"], after):
            closed = bool(reopens["perform"]["ticket.close_at"]["value"])
        closed = closed or status in ("solved", "closed")
        now, before = now + minutes, status
        breaks += minutes if status in ignoring else 0
        found.append(status not in ignoring and not closed and now - breaks > made.native[0]["solution_time"])
    return found


STATES = {"pending reminder": "pending", "on hold": "hold", "solved": "solved"}


@quick
@given(
    st.sampled_from(sorted(RUNS)), st.lists(st.tuples(st.sampled_from(STATUSES[:5]), st.integers(1, 40)), max_size=9)
)
def test_the_solution_time_of_zammad_is_late_when_the_old_clock_was_and_runs_again_for_a_reopened_ticket(
    metric: str, steps: list[tuple[str, int]]
) -> None:
    times = [{"priority": "high", "metric": metric, "target": TARGET, "business_hours": False}]
    made = translated(ZAMMAD, {"filter": {"all": [], "any": []}, "policy_metrics": times}, "sla")
    assert made.verdict == "equivalent"
    old = [
        late and status in RUNS[metric] for late, (status, _) in zip(late_in_zendesk(metric, steps), steps, strict=True)
    ]
    assert late_in_zammad(made, steps) == old


@pytest.mark.parametrize("to", ["freshdesk", "zammad"])
def test_two_clocks_of_a_whole_ticket_do_not_fit_into_one(to: str) -> None:
    times = [
        {"priority": "high", "metric": metric, "target": TARGET, "business_hours": False}
        for metric in ("requester_wait_time", "agent_work_time")
    ]
    found = translated(connector(f"{to}.rules"), {"filter": {"all": [], "any": []}, "policy_metrics": times}, "sla")
    assert found.verdict == "untranslatable"


# ---- a conversation in a mail ----------------------------------------------------------------------------------------

LOOP = re.compile(r"\{% for comment in ticket\.public_comments reversed %\}(.*?)\{% endfor %\}", re.DOTALL)


def printed(text: str, notes: list[Native]) -> str:
    """Print a text of Freshdesk's: its loop over public messages, oldest first, and what a ticket began with."""
    public = [note for note in notes[1:] if note["public"]]
    values = {"comment.commenter.name": "author", "comment.created_on": "at", "comment.body": "body"}
    first = {"ticket.requester.name": "author", "ticket.created_on": "at", "ticket.description": "body"}

    def loop(found: re.Match[str]) -> str:
        return "".join(_filled(found[1], {name: note[key] for name, key in values.items()}) for note in public[::-1])

    return _filled(LOOP.sub(loop, text), {name: notes[0][key] for name, key in first.items()})


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\{\{(.*?)\}\}", lambda found: values[found[1]], text)


@quick
@given(st.lists(st.booleans(), max_size=6))
def test_a_conversation_in_a_mail_to_the_requester_is_whole_and_holds_no_internal_note(public: list[bool]) -> None:
    do = [{"field": "notification_user", "value": ["requester_id", "News", "{{ticket.comments_formatted}}"]}]
    when = [{"field": "update_type", "operator": "is", "value": "Change"}]
    when.append({"field": "status", "operator": "value", "value": "solved"})
    made = translated(FRESHDESK, {"conditions": {"all": when, "any": []}, "actions": do}, "trigger")
    assert made.verdict == "equivalent"
    notes = [
        {"public": seen, "author": f"A{at}", "at": f"T{at}", "body": f"B{at}"}
        for at, seen in enumerate([True, *public])
    ]
    text = printed(made.native[0]["actions"][0]["email_body"], notes)
    assert re.findall(r"B\d+", text) == [note["body"] for note in notes[::-1] if note["public"]]
    assert re.findall(r"A\d+, T\d+", text) == [f"{n['author']}, {n['at']}" for n in notes[::-1] if n["public"]]


@pytest.mark.parametrize(
    ("asks", "to", "body", "rules"),
    [
        ("true", "requester_and_ccs", "{{ticket.latest_comment_html}}", 0),
        ("requester_can_see_comment", "requester_id", "{{ticket.latest_public_comment_html}}", 0),
        ("true", "requester_id", "Dear you: {{ticket.latest_comment_html}}", 1),
        ("false", "requester_id", "{{ticket.latest_comment_html}}", 1),
        ("true", "assignee_id", "{{ticket.latest_comment_html}}", 1),
    ],
)
def test_what_freshdesk_mails_by_itself_becomes_no_rule(asks: str, to: str, body: str, rules: int) -> None:
    when = [{"field": "update_type", "operator": "is", "value": "Change"}]
    when.append({"field": "comment_is_public", "operator": "is", "value": asks})
    do = [{"field": "notification_user", "value": [to, "Re: {{ticket.title}}", body]}]
    found = translated(FRESHDESK, {"conditions": {"all": when, "any": []}, "actions": do}, "trigger")
    assert found.verdict == "equivalent"
    assert len(found.native) == rules


def test_mails_to_the_agent_of_a_ticket_and_to_whoever_acts_are_told_apart_in_freshdesk() -> None:
    when = [{"field": "update_type", "operator": "is", "value": "Change"}]
    when.append({"field": "status", "operator": "value", "value": "solved"})
    numbers = []
    for to in ("assignee_id", "current_user"):
        do = [{"field": "notification_user", "value": [to, "News", "Hello"]}]
        found = translated(FRESHDESK, {"conditions": {"all": when, "any": []}, "actions": do}, "trigger")
        numbers.append(found.native[0]["actions"][0]["email_to"])
        assert (
            FRESHDESK.read(found.native[0], "trigger").do[0].to[0].who
            == {0: "assignee", -2: "current_user"}[numbers[-1]]
        )
    assert numbers == [0, -2]


# ---- a macro and its text --------------------------------------------------------------------------------------------

VALUES = {"ticket.requester.name": "Ann Lee", "ticket.id": "17", "current_user.name": "Bo Ek", "ticket.title": "A & B"}
HASHES = {
    "ticket.customer.firstname": "Ann",
    "ticket.customer.lastname": "Lee",
    "ticket.number": "17",
    "user.firstname": "Bo",
    "user.lastname": "Ek",
    "ticket.title": "A & B",
}
FIELDS = {"status": "ticket.state_id", "priority": "ticket.priority_id"}


@quick
@given(
    st.lists(st.sampled_from([*VALUES, "hello", "<b>"]), min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(("status", "priority")), st.sampled_from(("open", "high")), max_size=2),
)
def test_a_macro_and_its_text_module_do_in_two_steps_what_the_macro_did_in_two(words: list[str], sets: Native) -> None:
    sets = {field: {"status": "open", "priority": "high"}[field] for field in sets}
    text = " ".join(f"{{{{{word}}}}}" if word in VALUES else word for word in words)
    do = [{"field": field, "value": value} for field, value in sets.items()] + [
        {"field": "comment_value", "value": text}
    ]
    made = translated(ZAMMAD, {"actions": do}, "macro")
    assert made.verdict == "equivalent"
    (module,) = (one.native for one in made.needs if one.kind == "text_module" and one.native)
    sent = re.sub(r"#\{(.*?)\}", lambda found: html.escape(HASHES[found[1]], quote=False), module["content"])
    shown = " ".join(html.escape(VALUES.get(word, word), quote=False) for word in words)
    assert sent == shown
    performs = {key: does["value"] for one in made.native for key, does in one["perform"].items()}
    assert performs == {
        FIELDS[field]: f"<{'state:open' if field == 'status' else 'priority:3 high'}>" for field in sets
    }


@pytest.mark.parametrize(("to", "kind"), [("freshdesk", "canned_response"), ("request_tracker", "article")])
def test_a_macro_that_acts_too_is_never_called_the_same_as_its_text(to: str, kind: str) -> None:
    replies = [{"field": "comment_value", "value": "Thanks & bye"}]
    only = translated(connector(f"{to}.rules"), {"actions": replies}, "macro")
    assert only.verdict == "equivalent"
    assert [(one.kind, one.native and one.native["body"]) for one in only.needs] == [(kind, "Thanks &amp; bye")]
    more = translated(connector(f"{to}.rules"), {"actions": [*replies, {"field": "status", "value": "open"}]}, "macro")
    assert more.verdict == "untranslatable"
    assert any("status" in one.what and one.verdict == "untranslatable" for one in more.findings)


def test_an_article_says_in_brackets_what_the_agent_fills_in() -> None:
    tracker: Any = connector("request_tracker.rules")
    do = [{"field": "comment_value", "value": "Dear {{ticket.requester.name}}"}]
    found = translated(tracker, {"actions": do}, "macro")
    assert found.verdict == "approximated"
    record = tracker.provided(found.needs[0])
    assert record[0] == "article"
    assert record[2] == {"title": "a rule", "category": "General", "body": "Dear [requester name]"}


def test_a_mail_to_all_agents_asks_zammad_for_a_role_of_theirs() -> None:
    do = [{"field": "notification_user", "value": ["all_agents", "News", "Hello"]}]
    asks = [{"field": "update_type", "operator": "is", "value": "Create"}]
    found = translated(ZAMMAD, {"conditions": {"all": asks, "any": []}, "actions": do}, "trigger")
    assert found.verdict == "equivalent"
    assert ("role", "All agents") in {(need.kind, need.name) for need in found.needs}
