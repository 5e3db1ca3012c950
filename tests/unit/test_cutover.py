"""The calendar of a switch, held against caches that behave: none is surprised, and none of the waiting is in vain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.cutover import Calendar, Facts, as_html, as_text, calendar, told
from migrator.errors import InputError

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TTL = st.integers(0, 7 * 86_400)
LOW = st.integers(1, 3600)
FACTS = st.builds(
    Facts,
    zone=st.just("x.example."),
    longest_ttl=TTL,
    mx_ttl=TTL,
    ns_ttl=TTL,
    parent_ns_ttl=TTL,
    ds_ttl=st.none() | TTL,
    certificate_seconds=TTL,
    locked_until=st.none() | st.integers(0, 60).map(lambda days: NOW + timedelta(days=days)),
)


def second(moment: datetime) -> float:
    return (moment - NOW).total_seconds()


@given(facts=FACTS, low=LOW, asked=st.integers(-7 * 86_400, 90 * 86_400))
def test_no_cache_holds_an_old_answer_much_longer_than_the_low_ttl_after_the_switch(
    facts: Facts, low: int, asked: int
) -> None:
    """A cache that asks the old servers at any second before the switch keeps what it got for that moment's TTL."""
    made = calendar(facts, NOW, low_ttl=low)
    if asked >= second(made.switch):
        return
    for ttl in (facts.longest_ttl, facts.mx_ttl, facts.ns_ttl):
        given_then = ttl if asked < 0 else min(ttl, low)
        assert asked + given_then <= second(made.switch) + low


@given(facts=FACTS, low=LOW, asked=st.integers(-7 * 86_400, 90 * 86_400))
def test_the_old_servers_answer_as_long_as_a_cache_may_come_to_them(facts: Facts, low: int, asked: int) -> None:
    made = calendar(facts, NOW, low_ttl=low)
    if asked < second(made.switch):
        assert asked + facts.parent_ns_ttl <= second(made.old_until)


@given(facts=FACTS, low=LOW)
def test_no_cache_holds_the_ds_when_the_keys_change(facts: Facts, low: int) -> None:
    made = calendar(facts, NOW, low_ttl=low)
    if facts.ds_ttl is not None:
        assert facts.ds_ttl <= second(made.switch)
        assert any("DS out of the parent" in step.what for step in made.steps)


@given(facts=FACTS, low=LOW)
def test_the_switch_is_as_early_as_something_allows(facts: Facts, low: int) -> None:
    """A second earlier, one of the four causes would not be over."""
    made = calendar(facts, NOW, low_ttl=low)
    ends = [facts.longest_ttl, facts.mx_ttl, facts.ns_ttl, facts.ds_ttl or 0, facts.certificate_seconds]
    lock = second(facts.locked_until) if facts.locked_until else 0
    assert second(made.switch) == max(0, lock, *ends)


@given(facts=FACTS, low=LOW, more=TTL)
def test_a_longer_ttl_never_brings_the_switch_forward(facts: Facts, low: int, more: int) -> None:
    from dataclasses import replace

    longer = replace(facts, longest_ttl=facts.longest_ttl + more)
    assert calendar(longer, NOW, low_ttl=low).switch >= calendar(facts, NOW, low_ttl=low).switch


@given(facts=FACTS, low=LOW, rounds=st.integers(1, 9))
def test_the_steps_are_in_order_and_the_tail_ends_last(facts: Facts, low: int, rounds: int) -> None:
    made = calendar(facts, NOW, low_ttl=low, rounds=rounds)
    assert list(made.steps) == sorted(made.steps, key=lambda step: (step.at, step.until or step.at))
    assert NOW <= made.switch <= made.old_until < made.tail_until
    assert second(made.tail_until) - second(made.old_until) == low * rounds


def test_what_nobody_said_is_marked_and_what_the_parent_says_takes_its_place() -> None:
    facts = Facts("x.example.", 3600, 3600, 86_400, assumed=("parent_ns_ttl",))
    assert "assumed" in as_text([calendar(facts, NOW)])
    known = told(facts, 3600, None)
    assert "assumed" not in as_text([calendar(known, NOW)])
    assert calendar(known, NOW).old_until == NOW + timedelta(days=1, hours=1)


def test_the_page_asks_nobody_and_hides_no_markup() -> None:
    made: Calendar = calendar(Facts("<script>.example.", 3600, 0, 0, ds_ttl=60, certificate_seconds=60), NOW)
    page = as_html([made])
    assert "<script>" not in page
    assert "<svg" in page
    assert "src=" not in page
    assert page.count("<rect") == len(made.steps)


def test_a_ttl_of_nothing_is_refused() -> None:
    with pytest.raises(InputError):
        calendar(Facts("x.example.", 1, 1, 1), NOW, low_ttl=0)
