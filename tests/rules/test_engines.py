"""Whatever is called exact or equivalent acts on the same updates, by models of both engines; the traps stay closed."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from migrator.rules.verdicts import Translation
from tests.support.connectors import connector
from tests.support.rule_engines import Native, Update, chatwoot, freshdesk, freshdesk_filled, zammad, zendesk
from tests.support.rule_worlds import ACTED, CUSTOM, HAPPENED, STATE, TIME, WHO, asked, updates

ZENDESK: Any = connector("zendesk.rules")
ZAMMAD: Any = connector("zammad.rules")
FRESHDESK: Any = connector("freshdesk.rules")
CHATWOOT: Any = connector("chatwoot.rules")
CHANGE = {"field": "update_type", "operator": "is", "value": "Change"}
GOOD = ("exact", "equivalent")
UPDATES = updates(300)
many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


TAGGING = {"field": "current_tags", "value": "seen"}  # which comes to the same if done again, but is not noticed


def translated(to: Any, conditions: Native, kind: str) -> Translation:
    native = {"title": "a rule", "conditions": conditions, "actions": [TAGGING]}
    made: Translation = to.write(ZENDESK.read(native, kind))
    return made


def good(made: Translation) -> bool:
    return all(one.verdict in GOOD for one in made.findings if one.place == "when")


def differing(to: Any, engine: Any, conditions: Native, kind: str, among: list[Update] = UPDATES) -> list[Update]:
    """Return the updates on which the source's rule and a translation called good differ."""
    made = translated(to, conditions, kind)
    if not good(made):
        return []
    helpers = [one.native for one in made.needs if one.kind == "automation" and one.native]

    def acts(update: Update) -> bool:
        found = freshdesk_filled(helpers, update) if to is FRESHDESK else update
        return any(engine(one, found) for one in made.native)

    return [update for update in among if acts(update) is not zendesk(conditions, update)]


def in_zammad(native: Native, update: Update) -> bool:
    return zammad(native["condition"], update)


@settings(parent=many, max_examples=60)
@given(asked(STATE))
def test_the_rules_that_give_a_policy_in_chatwoot_give_it_to_the_tickets_it_is_for(conditions: Native) -> None:
    times = [{"priority": word, "metric": "first_reply_time", "target": 60} for word in ("low", "urgent")]
    native = {"title": "a policy", "filter": conditions, "policy_metrics": times}
    made: Translation = CHATWOOT.write(ZENDESK.read(native, "sla"))
    for need in made.needs:
        if need.kind != "automation rule" or not need.native:
            continue
        word, created = ("low", "urgent")["urgent" in need.name], need.name.endswith("new")
        for update in UPDATES[:120]:
            due = update["priority"] == word and created is (update["event"] == "created")
            assert chatwoot(need.native, update) is (due and zendesk(conditions, update))


@many
@given(asked(STATE | HAPPENED | WHO))
def test_no_trigger_called_good_differs_in_zammad(conditions: Native) -> None:
    assert differing(ZAMMAD, in_zammad, conditions, "trigger") == []


@many
@given(asked(STATE | TIME))
def test_no_timed_rule_called_good_differs_in_zammad(conditions: Native) -> None:
    assert differing(ZAMMAD, in_zammad, conditions, "timed") == []


@many
@given(asked(STATE | HAPPENED | CUSTOM | WHO))
def test_no_trigger_called_good_differs_in_freshdesk(conditions: Native) -> None:
    public = [
        one for one in UPDATES if one["event"] == "updated" or one["comment"]["public"]
    ]  # as new tickets are there
    assert differing(FRESHDESK, freshdesk, conditions, "trigger", public) == []


@many
@given(asked(HAPPENED | WHO | ACTED))
def test_who_acted_and_what_did_not_change_is_asked_of_fields_that_automations_fill(conditions: Native) -> None:
    changes = [one for one in UPDATES if one["event"] == "updated"]
    conditions = {**conditions, "all": [*conditions["all"], CHANGE]}
    assert differing(FRESHDESK, freshdesk, conditions, "trigger", changes) == []


@many
@given(asked(STATE | TIME))
def test_no_timed_rule_called_good_differs_in_freshdesk(conditions: Native) -> None:
    assert differing(FRESHDESK, freshdesk, conditions, "timed") == []


@many
@given(asked(STATE | HAPPENED | CUSTOM))
def test_no_trigger_called_good_differs_in_chatwoot(conditions: Native) -> None:
    assert differing(CHATWOOT, chatwoot, conditions, "trigger") == []


@many
@given(asked(CUSTOM | STATE))
def test_custom_attributes_do_not_tear_chatwoot_s_list_apart(conditions: Native) -> None:
    assert differing(CHATWOOT, chatwoot, conditions, "trigger") == []
