"""Rules by the clock, played through time: each vendor's runs, its limits, its way of counting hours, the traps."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator import customizations
from migrator.rules.clock import Calendar, lives
from migrator.rules.replay import History, Run, Side, Update
from migrator.rules.rule import Holiday, Shift
from tests.support.connectors import connector
from tests.support.rule_engines import Native, zendesk
from tests.support.rule_worlds import STATE, TIME, asked

ZENDESK: Any = connector("zendesk.rules")
ZAMMAD: Any = connector("zammad.rules")
FRESHDESK: Any = connector("freshdesk.rules")
ZNUNY: Any = connector("znuny.rules")
START = 490_000.0  # a whole hour in 2025, in hours since 1970
many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
DAYS = tuple(Shift(begins=day * 1440 + 540, ends=day * 1440 + 1020) for day in range(1, 6))
NINE_TO_FIVE = Calendar(DAYS, (Holiday(name="x", first="2026-03-30", last="2026-03-31"),), ZoneInfo("Europe/Berlin"))


def rule(*all: tuple[str, str, Any], do: tuple[tuple[str, Any], ...] = (("current_tags", "seen"),)) -> Native:
    conditions = {"all": [dict(zip(("field", "operator", "value"), one, strict=True)) for one in all], "any": []}
    actions = [{"field": field, "value": value} for field, value in do]
    return {"title": "r", "id": "r", "position": 1, "conditions": conditions, "actions": actions}


def ticket(*changes: tuple[float, str], at: float = 0.0, number: str = "1") -> History:
    """Return a ticket that was made at an hour, and became these statuses at these."""
    made = Update("7", {"ticket.status": "new", "ticket.requester": "7"}, public=True, at=START + at)
    later = [Update("8", {"ticket.status": status}, at=START + hour) for hour, status in changes]
    return History(number, (made, *later), dict.fromkeys(("ticket.priority", "ticket.group", "ticket.assignee")))


def side(of: Any, *natives: Native, triggers: tuple[Native, ...] = ()) -> Side:
    timed = tuple(of.read(one, "timed") for one in natives)
    waiting = tuple(of.read(one, "trigger") for one in triggers)
    names = tuple(one.name for one in waiting)
    return Side(waiting, of.POLICY, names, timed=timed, timed_of=tuple(one.name for one in timed), clock=of.CLOCK)


def acted(of: Any, natives: list[Native], *histories: History, until: float = 200.0, **more: Any) -> list[list[float]]:
    """Return, for each ticket, the hours at which rules by the clock acted."""
    found = lives(side(of, *natives, **more), histories, until=START + until)
    return [[moment - START for moment, _ in one.moments] for one in found]


UNTAGGED = ("current_tags", "not_includes", "seen")


def test_zendesk_counts_whole_hours_from_the_run_that_saw_it_first() -> None:
    more = rule(("NEW", "greater_than", "24"), UNTAGGED)
    exactly = rule(("NEW", "is", "24"))
    assert acted(ZENDESK, [more], ticket(at=0.25)) == [[26.0]]  # seen at 1, 24 whole hours at 25, more than that at 26
    assert acted(ZENDESK, [exactly], ticket(at=0.25)) == [[25.0]]
    assert acted(ZENDESK, [exactly], ticket(at=1.0)) == [[25.0]]


def test_an_hour_that_is_an_edge_in_zendesk_has_two_ends_in_zammad() -> None:
    (job,) = ZAMMAD.write(ZENDESK.read(rule(("NEW", "is", "24")), "timed")).native
    assert acted(ZAMMAD, [job], ticket(at=0.25)) == [[25.0]]
    assert acted(ZAMMAD, [job], ticket(at=0.0)) == [[24.0, 25.0]]  # made on the hour: both ends of the hour are seen


def test_a_rule_that_ends_its_own_condition_acts_once_and_one_that_does_not_goes_on() -> None:
    ends = rule(("status", "is", "pending"), ("PENDING", "greater_than", "5"), do=(("status", "open"),))
    assert acted(ZENDESK, [ends], ticket((3.5, "pending"))) == [[10.0]]
    goes_on = rule(("status", "is", "pending"), ("PENDING", "greater_than", "5"))
    (found,) = lives(side(ZENDESK, goes_on), [ticket((3.5, "pending"))], until=START + 5000)
    assert len(found.moments) == 100  # updates by automations that one ticket gets
    assert not found.endless
    made = ZNUNY.write(ZENDESK.read(rule(("status", "is", "new"), ("NEW", "greater_than", "5"),
                                         do=(("priority", "high"),)), "timed"))  # fmt: skip
    (found,) = lives(side(ZNUNY, *made.native), [ticket()], until=START + 5000)
    assert found.endless


def test_one_rule_makes_the_next_one_act_in_the_same_run_and_an_earlier_one_in_the_next() -> None:
    first = {**rule(("status", "is", "pending"), ("priority", "is", "high"), do=(("status", "solved"),)), "title": "a"}
    second = {**rule(("status", "is", "new"), ("NEW", "greater_than", "3"), do=(("status", "pending"),)), "title": "b"}
    third = {**rule(("status", "is", "pending"), ("priority", "is", ""), do=(("priority", "high"),)), "title": "c"}
    natives = [{**one, "position": at} for at, one in enumerate((first, second, third))]
    (played,) = lives(side(ZENDESK, *natives), [ticket()], until=START + 50)
    assert [(moment - START, name) for moment, name in played.moments] == [(4, "b"), (4, "c"), (5, "a")]


def test_a_vendor_takes_so_many_tickets_in_a_run_and_the_others_in_the_next() -> None:
    once = rule(("NEW", "greater_than", "5"), UNTAGGED)
    read = side(ZENDESK, once)
    read.clock = read.clock.model_copy(update={"most": 2})  # type: ignore[union-attr]
    found = lives(read, [ticket(number=str(at)) for at in range(5)], until=START + 50)
    assert [[moment - START for moment, _ in one.moments] for one in found] == [[6], [6], [7], [7], [8]]
    assert ZENDESK.CLOCK.most == 1000


def test_closed_tickets_are_not_looked_at_by_zendesk_nor_old_ones_by_freshdesk() -> None:
    late = rule(("NEW", "greater_than", "100"), UNTAGGED)
    assert acted(ZENDESK, [late], ticket((50.5, "closed"))) == [[]]
    (native,) = FRESHDESK.write(
        ZENDESK.read(rule(("NEW", "greater_than", "800"), do=(("priority", "high"),)), "timed")
    ).native
    assert acted(FRESHDESK, [native], ticket(), until=900.0) == [[]]  # not changed for 30 days by then
    first = acted(FRESHDESK, [native], ticket((700.0, "open")), until=900.0)[0]
    assert first[0] == 801.0


def test_what_the_clock_changes_sets_off_triggers_in_zendesk_and_nothing_in_znuny() -> None:
    closes = rule(("status", "is", "solved"), ("SOLVED", "greater_than", "4"), do=(("status", "open"),))
    trigger = {**rule(("status", "changed", None), ("update_type", "is", "Change")), "title": "t", "id": "t"}
    trigger["actions"] = [{"field": "priority", "value": "high"}]
    (played,) = lives(side(ZENDESK, closes, triggers=(trigger,)), [ticket()], until=START + 50)
    assert played.values["ticket.priority"] is None
    (played,) = lives(side(ZENDESK, closes, triggers=(trigger,)), [ticket((1.5, "solved"))], until=START + 50)
    assert (played.values["ticket.status"], played.fired[1]) == ("open", ["t", "r", "t"])
    assert not ZNUNY.CLOCK.sets_off


@st.composite
def life(draw: st.DrawFn) -> History:
    hours = sorted(draw(st.lists(st.floats(0.1, 60.0), max_size=3, unique=True)))
    words = draw(st.lists(st.sampled_from(("open", "pending", "solved")), min_size=len(hours), max_size=len(hours)))
    return ticket(*zip(hours, words, strict=True), at=0.05)


@many
@given(asked(STATE | TIME), life())
def test_a_rule_acts_in_the_first_run_in_which_a_model_of_zendesk_says_so(conditions: Native, history: History) -> None:
    """The runs that are looked at are chosen; the model is asked in each of them."""
    conditions = {"all": [*conditions["all"], dict(zip(("field", "operator", "value"), UNTAGGED, strict=True))],
                  "any": conditions["any"]}  # fmt: skip
    native = {**rule(), "conditions": conditions}
    anchors = {"created": None, "updated": None} | {f"status:{word}": None for word in ("new", "open", "pending",
               "hold", "solved", "closed")}  # fmt: skip
    state: dict[str, Any] = dict.fromkeys(("type", "group", "assignee", "priority", "subject", "actor", "comment"))
    state |= {"event": "ticked", "actor": "9", "requester": "7", "tags": [], "before": {}}
    since: dict[str, float | None] = dict(anchors)
    expected: float | None = None
    was, waiting = "", list(history.updates)
    for run in range(1, 121):
        while waiting and (waiting[0].at or 0.0) <= START + run:
            one = waiting.pop(0)
            state["status"] = one.changes["ticket.status"]
            seen = float(-(-((one.at or 0.0) - START) // 1))  # the first run at or after it
            since |= {"updated": seen}
            if len(history.updates) - len(waiting) == 1 or state["status"] != was:
                since[f"status:{state['status']}"] = seen
            if since["created"] is None:
                since["created"] = seen
            was = state["status"]
        hours = {anchor: None if at is None else run - at for anchor, at in since.items()}
        if expected is None and zendesk(conditions, {**state, "hours": hours}) and state["status"] != "closed":
            expected = float(run)
    read = side(ZENDESK, native)
    (found,) = lives(read, [history], until=START + 120)
    assert [moment - START for moment, _ in found.moments] == ([] if expected is None else [expected])


@many
@given(st.floats(492_900, 493_100), st.floats(0, 60), st.floats(0, 60))
def test_working_hours_add_up_and_are_found_again(since: float, one: float, other: float) -> None:
    middle, end = since + one, since + one + other
    whole = NINE_TO_FIVE.between(since, end)
    assert whole == pytest.approx(NINE_TO_FIVE.between(since, middle) + NINE_TO_FIVE.between(middle, end))
    after = NINE_TO_FIVE.after(since, one + 0.5)
    assert after is not None
    assert NINE_TO_FIVE.between(since, after) == pytest.approx(one + 0.5)


def test_working_hours_follow_the_wall_clock_over_the_change_to_summer_time() -> None:
    saturday = Calendar((Shift(begins=0, ends=1440),), (), ZoneInfo("Europe/Berlin"))  # all of Sunday
    begins = saturday.after(492_980.0, 0.001)  # 2026-03-29 has 23 hours
    assert begins is not None
    assert saturday.between(492_980.0, 492_980.0 + 100) == pytest.approx(23.0)


def audits(*more: Native) -> list[Native]:
    """Return a ticket's audits: made on a Friday afternoon, what follows, and another ticket that ends the file."""
    made = [
        {"type": "Create", "field_name": "status", "value": "open"},
        {"type": "Comment", "public": True, "body": "x"},
    ]
    made.append({"type": "Create", "field_name": "requester_id", "value": "7"})
    first = {"id": 1, "ticket_id": 5, "created_at": "2026-03-06T15:10:00Z", "author_id": 7, "events": made}
    last = {**first, "id": 99, "ticket_id": 6, "created_at": "2026-03-13T15:10:00Z"}
    return [first, *more, last]


def explained(folder: Path, document: Native, history: list[Native], to: str) -> dict[str, Any]:
    file, past = folder / "rules.json", folder / "audits.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    past.write_text(json.dumps({"audits": history}), encoding="utf-8")
    found: dict[str, Any] = customizations.explain(file, "zendesk", to, history=past)["replayed"]
    return found


def test_an_automation_that_acted_is_met_again_and_its_translation_with_helpers_acts_too(tmp_path: Path) -> None:
    ends = rule(("status", "is", "pending"), ("PENDING", "greater_than", "24"), do=(("status", "open"),))
    via = {"channel": "rule", "source": {"rel": "automation", "from": {"id": "r", "title": "r"}}}
    waits = {"type": "Change", "field_name": "status", "value": "pending", "previous_value": "open"}
    acts = {**waits, "value": "open", "previous_value": "pending", "via": via}
    history = audits(
        {"id": 2, "ticket_id": 5, "created_at": "2026-03-07T10:20:00Z", "author_id": 8, "events": [waits]},
        {"id": 3, "ticket_id": 5, "created_at": "2026-03-08T12:00:00Z", "author_id": -1, "events": [acts]},
    )
    for to in ("zammad", "freshdesk"):
        data = explained(tmp_path, {"automations": [ends]}, history, to)
        assert (data["by_the_clock"], data["timed"], data["differ"]) == (0, ["r"], 0), data
        (found,) = data["rules"]
        assert (found["both"], found["missed"], found["extra"]) == (1, 0, 0)
        assert (found["recorded"], found["reproduced"]) == (1, 1)


def test_working_hours_are_counted_by_the_account_s_schedule_and_where_they_are_not_it_shows(tmp_path: Path) -> None:
    ends = rule(("status", "is", "open"), ("OPEN", "greater_than_business_hours", "4"), do=(("priority", "high"),
                ("status", "pending")))  # fmt: skip
    intervals = [{"start_time": one.begins, "end_time": one.ends} for one in DAYS]
    schedule = {"id": 1, "name": "s", "time_zone": "Berlin", "intervals": intervals}
    document = {"automations": [ends], "schedules": [schedule]}
    data = explained(tmp_path, document, audits(), "zammad")
    # 16:10 in Berlin on a Friday: four working hours are over on Monday; Zammad's clock runs on through the night.
    (found,) = data["rules"]
    assert (found["both"], found["missed"], found["extra"]) == (1, 0, 0)
    data = explained(tmp_path, {"automations": [ends]}, audits(), "zammad")
    assert [one["why"] for one in data["left_out"]] == ["the histories do not tell: working hours since open"]
    weekend = {"id": 2, "ticket_id": 5, "created_at": "2026-03-07T10:20:00Z", "author_id": 8, "events": [
        {"type": "Change", "field_name": "status", "value": "solved", "previous_value": "open"}]}  # fmt: skip
    data = explained(tmp_path, document, audits(weekend), "zammad")
    (found,) = data["rules"]
    assert (found["both"], found["missed"], found["extra"]) == (0, 0, 1)
    assert [one["fields"][0]["field"] for one in data["examples"]] == ["ticket.priority"]


def test_tickets_played_side_by_side_end_as_they_do_alone() -> None:
    dice = random.Random(3)
    made = [ticket(*[(dice.uniform(1, 90), dice.choice(("open", "pending", "solved"))) for _ in range(1)],
                   number=str(at)) for at in range(30)]  # fmt: skip
    natives = [rule(("status", "is", "pending"), ("PENDING", "greater_than", "8"), do=(("status", "solved"),)),
               rule(("status", "is", "solved"), ("SOLVED", "is", "10"), do=(("current_tags", "x"),))]  # fmt: skip
    together = lives(side(ZENDESK, *natives), made, until=START + 150)
    alone: list[Run] = [lives(side(ZENDESK, *natives), [one], until=START + 150)[0] for one in made]
    assert [(one.values, one.tags, one.moments) for one in together] == [(a.values, a.tags, a.moments) for a in alone]
