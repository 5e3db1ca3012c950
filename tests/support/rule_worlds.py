"""Invented updates of tickets, nothing known of some of them, and invented conditions in Zendesk's JSON."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.support.rule_engines import ANCHORS, PRIORITIES, STATUSES, Native, Update

PEOPLE = ("7", "8", "9")
GROUPS = ("21", "22")
TAGS = ("vip", "bug", "late")
SUBJECTS = (None, "refund", "refunds now", "the late refund", "100% (sure)")
HOURS = (None, 0.5, 24.5, 25.5, 47.25, 48.5)  # between the bounds: whether 24.0 is more than 24 is a minute's matter


def update(dice: random.Random) -> Update:
    """Return one update of a ticket; a new ticket has changed nothing and has its first comment."""
    created = dice.random() < 0.4
    pick = dice.choice
    made: Update = {
        "event": "created" if created else "updated",
        "status": pick(STATUSES),
        "priority": pick((None, *PRIORITIES)),
        "type": pick((None, "question", "incident")),
        "group": pick(GROUPS),
        "assignee": pick((None, *PEOPLE)),
        "requester": pick(PEOPLE),
        "subject": pick(SUBJECTS),
        "tags": [tag for tag in TAGS if dice.random() < 0.4],
        "actor": pick(PEOPLE),
        "hours": {anchor: pick(HOURS) for anchor in ANCHORS} | {"created": pick(HOURS[1:]), "updated": pick(HOURS[1:])},
        "comment": {"public": pick((True, False))} if created or dice.random() < 0.5 else None,
        "before": {},
    }
    if not created:
        for name, some in (("status", STATUSES), ("priority", (None, *PRIORITIES)), ("assignee", (None, *PEOPLE))):
            if dice.random() < 0.5:
                made["before"][name] = pick([one for one in some if one != made[name]])
    customers = made["actor"] == made["requester"]
    made["channel"] = pick(("email", "web", "chat") if customers else ("phone_inbound", "outbound_email"))
    return made


def updates(number: int, seed: int = 1) -> list[Update]:
    """Return invented updates, the same for the same seed."""
    dice = random.Random(seed)
    return [update(dice) for _ in range(number)]


def _leaf(field: str, operators: Sequence[str], values: Sequence[Any]) -> st.SearchStrategy[Native]:
    return st.builds(
        lambda operator, value: {"field": field, "operator": operator, "value": value},
        st.sampled_from(operators),
        st.sampled_from(values),
    )


STATE = st.one_of(
    _leaf("status", ("is", "is_not"), STATUSES),
    _leaf("status", ("less_than", "greater_than"), STATUSES),
    _leaf("priority", ("is", "is_not"), ("", *PRIORITIES)),
    _leaf("priority", ("less_than", "greater_than"), PRIORITIES),
    _leaf("type", ("is", "is_not"), ("", "question", "incident")),
    _leaf("group_id", ("is", "is_not"), GROUPS),
    _leaf("assignee_id", ("is", "is_not"), ("", "current_user", "requester_id", *PEOPLE)),
    _leaf("requester_id", ("is", "is_not"), ("current_user", *PEOPLE)),
    _leaf("current_tags", ("includes", "not_includes"), ("vip", "vip bug", "late bug")),
    _leaf("subject_includes_word", ("includes", "not_includes"), ("refund", "late now", "sure")),
)
ACTED = _leaf("assignee_id", ("is", "is_not"), ("current_user",))
WHO = _leaf("role", ("is", "is_not"), ("agent", "end_user"))
CUSTOM = _leaf("custom_fields_5", ("is", "is_not"), ("", "question", "incident"))
HAPPENED = st.one_of(
    _leaf("update_type", ("is", "is_not"), ("Create", "Change")),
    _leaf("comment_is_public", ("is",), ("true", "false", "not_relevant")),
    _leaf("status", ("value", "not_value", "value_previous", "not_value_previous"), STATUSES),
    _leaf("priority", ("value", "value_previous"), PRIORITIES),
    _leaf("status", ("changed", "not_changed"), (None,)),
    _leaf("assignee_id", ("changed", "not_changed"), (None,)),
)
TIME = st.one_of(
    _leaf("NEW", ("is", "less_than", "greater_than"), ("24", "25", "48")),
    _leaf("PENDING", ("is", "less_than", "greater_than"), ("24", "25", "48")),
    _leaf("SOLVED", ("is", "less_than", "greater_than"), ("24", "47")),
)


def asked(leaf: st.SearchStrategy[Native]) -> st.SearchStrategy[Native]:
    """Return a strategy for ALL and ANY over these leaves; not both empty."""
    lists = st.lists(leaf, max_size=3)
    return st.fixed_dictionaries({"all": lists, "any": lists}).filter(lambda one: bool(one["all"] or one["any"]))
