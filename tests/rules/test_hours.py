"""Working hours as the week of a Chatwoot inbox: one span a day, what does not fit is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.rules.rule import Rule, Shift
from tests.support.connectors import connector

CHATWOOT: Any = connector("chatwoot.rules")
DAY = 1440


def schedule(*spans: tuple[int, int], zone: str = "Berlin") -> Rule:
    shifts = tuple(Shift(begins=begins, ends=ends) for begins, ends in spans)
    return Rule(vendor="zendesk", kind="schedule", name="s", shifts=shifts, options=(("time_zone", json.dumps(zone)),))


@pytest.mark.parametrize(
    ("named", "known"),
    [("Eastern Time (US & Canada)", "America/New_York"), ("Tokyo", "Asia/Tokyo"), ("Etc/UTC", "Etc/UTC")],
)
def test_a_time_zone_is_known_by_any_of_its_names(named: str, known: str) -> None:
    assert CHATWOOT.write(schedule((600, 900), zone=named)).native[0]["timezone"] == known


@given(st.lists(st.tuples(st.integers(0, 1437), st.integers(0, 1438)), min_size=7, max_size=7))
def test_a_week_of_one_span_a_day_comes_back_as_it_was(spans: list[tuple[int, int]]) -> None:
    week = [(day * DAY + begins, day * DAY + ends) for day, (begins, ends) in enumerate(spans) if begins < ends]
    made = CHATWOOT.write(schedule(*week))
    assert made.verdict == "equivalent"
    read = CHATWOOT.read(made.native[0], "schedule")
    assert [(one.begins, one.ends) for one in read.shifts] == week
    assert dict(read.options)["time_zone"] == '"Europe/Berlin"'


@pytest.mark.parametrize(
    ("spans", "verdict", "shifts"),
    [
        (((1980, 2160), (2220, 2460)), "approximated", [(1980, 2460)]),  # a break at noon counts as open
        (((1440, 2880),), "equivalent", [(1440, 2880)]),  # Monday, all day
        (((2000, 2880),), "equivalent", [(2000, 2879)]),  # until midnight
        (((2400, 3000),), "equivalent", [(2400, 2879), (2880, 3000)]),  # over midnight
        (((0, 7 * DAY),), "equivalent", [(day * DAY, day * DAY + DAY) for day in range(7)]),
    ],
)
def test_what_an_inbox_cannot_keep_is_said(spans: Any, verdict: str, shifts: list[tuple[int, int]]) -> None:
    made = CHATWOOT.write(schedule(*spans))
    assert made.verdict == verdict
    assert [(one.begins, one.ends) for one in CHATWOOT.read(made.native[0], "schedule").shifts] == shifts


@pytest.mark.parametrize("named", ["Mars", ""])
def test_a_time_zone_that_nobody_knows_leaves_the_hours_to_a_person(named: str) -> None:
    made = CHATWOOT.write(schedule((600, 900), zone=named))
    assert (made.verdict, made.native) == ("untranslatable", ())
