"""Conditions as SQL mean what the source's engine means, and count where a translation differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from migrator.rules.conditions import All, Condition, Is, Lit, Not, Text, path
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.normal_forms import TooLargeError, dnf, nnf, simple
from migrator.rules.sql import Agreement, agreements, counts, examples
from migrator.stage import Stage
from tests.support.connectors import connector
from tests.support.rule_engines import Native, zammad, zendesk
from tests.support.rule_tables import table
from tests.support.rule_worlds import HAPPENED, STATE, TIME, asked, updates

ZENDESK: Any = connector("zendesk.rules")
ZAMMAD: Any = connector("zammad.rules")
FRESHDESK: Any = connector("freshdesk.rules")
UPDATES = updates(250, seed=7)
some = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Stage, list[str]]]:
    with Stage(":memory:") as stage:
        yield stage, table(stage, UPDATES)


def agreement(world: tuple[Stage, list[str]], one: Condition, other: Condition, moved: Any = None) -> Agreement:
    stage, columns = world
    question = counts("ticket", [(one, other, moved or {})], columns)
    assert question.unseen == ((),)
    return agreements(stage.rows(question.sql, *question.values)[0])[0]


@some
@given(conditions=asked(STATE | HAPPENED | TIME))
def test_a_condition_in_sql_picks_what_the_source_s_engine_picks(world: Any, conditions: Native) -> None:
    read = ZENDESK.reading.when(conditions)
    found = agreement(world, read, read)
    assert found.source == sum(zendesk(conditions, update) for update in UPDATES)


@some
@given(conditions=asked(STATE | HAPPENED))
def test_what_is_counted_is_where_the_engines_differ(world: Any, conditions: Native) -> None:
    native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "status", "value": "open"}]}
    rule = ZENDESK.read(native, "trigger")
    made = ZAMMAD.write(rule)
    if made.verdict == "untranslatable" or made.needs:  # what a helper field would hold, no ticket of today holds
        return
    back = ZAMMAD.read(made.native[0], "trigger")
    found = agreement(world, rule.when, back.when, made.moved)
    theirs = [(zendesk(conditions, one), zammad(made.native[0]["condition"], one)) for one in UPDATES]
    assert found.false_negatives == theirs.count((True, False))
    assert found.false_positives == theirs.count((False, True))


@some
@given(conditions=asked(STATE | HAPPENED | TIME))
def test_normal_forms_change_nothing(world: Any, conditions: Native) -> None:
    read = ZENDESK.reading.when(conditions)
    forms: list[Condition] = [simple(read), Not(of=nnf(read, negate=True)), Not(of=Not(of=read))]
    try:
        forms.append(AnyOf(of=tuple(All(of=part) for part in dnf(read))))
    except TooLargeError:
        pass
    for form in forms:
        found = agreement(world, read, form)
        assert (found.false_negatives, found.false_positives) == (0, 0)


def test_merged_values_are_counted_with_examples(world: Any) -> None:
    stage, columns = world
    asks = {"all": [{"field": "priority", "operator": "is", "value": "low"}], "any": []}
    native = {"title": "a rule", "conditions": asks, "actions": [{"field": "status", "value": "open"}]}
    rule = ZENDESK.read(native, "timed")
    made = FRESHDESK.write(rule)
    back = FRESHDESK.read(made.native[0], "timed")
    found = agreement(world, rule.when, back.when, made.moved)
    assert made.verdict == "approximated"
    assert found.false_positives == sum(one["priority"] is None for one in UPDATES) > 0
    few = examples("ticket", (rule.when, back.when, made.moved), columns)
    assert [UPDATES[id]["priority"] for id, _ in stage.rows(few.sql, *few.values)] == [None] * 3


def test_a_leaf_whose_column_is_not_there_is_left_open_and_named(world: Any) -> None:
    condition = All(of=(Is(path=path("ticket.satisfaction"), values=(Lit(value="bad"),)),))
    question = counts("ticket", [(condition, condition, {})], world[1])
    assert question.unseen[0][0] == condition.of[0]
    assert agreements(world[0].rows(question.sql, *question.values)[0])[0].source == len(UPDATES)


@pytest.mark.parametrize("needle", ["'; DROP TABLE ticket; --", 'a"b', "%_\\", "(?i)x", "$99"])
def test_values_never_become_sql(world: Any, needle: str) -> None:
    condition = Text(path=path("ticket.subject"), mode="word", needles=(needle,))
    assert agreement(world, condition, condition).source == 0
    question = counts("ticket", [(condition, condition, {})], world[1])
    assert needle not in question.sql
