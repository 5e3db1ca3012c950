"""Whatever is called exact or equivalent acts on the same updates, by models of both engines; the traps stay closed."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from migrator.rules.verdicts import Translation
from tests.support.connectors import connector
from tests.support.rule_engines import Native, Update, chatwoot, freshdesk, zammad, zendesk
from tests.support.rule_worlds import CUSTOM, HAPPENED, STATE, TIME, asked, updates

ZENDESK: Any = connector("zendesk.rules")
ZAMMAD: Any = connector("zammad.rules")
FRESHDESK: Any = connector("freshdesk.rules")
CHATWOOT: Any = connector("chatwoot.rules")
GOOD = ("exact", "equivalent")
UPDATES = updates(300)
many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def translated(to: Any, conditions: Native, kind: str) -> Translation:
    native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "status", "value": "open"}]}
    made: Translation = to.write(ZENDESK.read(native, kind))
    return made


def good(made: Translation) -> bool:
    return all(one.verdict in GOOD for one in made.findings if one.place == "when")


def differing(to: Any, engine: Any, conditions: Native, kind: str) -> list[Update]:
    """Return the updates on which the source's rule and a translation called good differ."""
    made = translated(to, conditions, kind)
    if not good(made):
        return []
    acts = lambda update: any(engine(one, update) for one in made.native)  # noqa: E731
    return [update for update in UPDATES if acts(update) is not zendesk(conditions, update)]


def in_zammad(native: Native, update: Update) -> bool:
    return zammad(native["condition"], update)


@many
@given(asked(STATE | HAPPENED))
def test_no_trigger_called_good_differs_in_zammad(conditions: Native) -> None:
    assert differing(ZAMMAD, in_zammad, conditions, "trigger") == []


@many
@given(asked(STATE | TIME))
def test_no_timed_rule_called_good_differs_in_zammad(conditions: Native) -> None:
    assert differing(ZAMMAD, in_zammad, conditions, "timed") == []


@many
@given(asked(STATE | HAPPENED | CUSTOM))
def test_no_trigger_called_good_differs_in_freshdesk(conditions: Native) -> None:
    assert differing(FRESHDESK, freshdesk, conditions, "trigger") == []


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
