"""The traps of the engines, each found once, stay closed: what a plain translation would do, and what ours does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.connectors import connector
from tests.support.rule_engines import Native, Update, chatwoot, zammad, zendesk
from tests.support.rule_worlds import updates

ZENDESK: Any = connector("zendesk.rules")
ZAMMAD: Any = connector("zammad.rules")
CHATWOOT: Any = connector("chatwoot.rules")
UPDATES = updates(300, seed=3)


def asks(*all: tuple[str, str, Any], some: tuple[tuple[str, str, Any], ...] = ()) -> Native:
    def one(part: tuple[str, str, Any]) -> Native:
        return dict(zip(("field", "operator", "value"), part, strict=True))

    return {"all": [one(part) for part in all], "any": [one(part) for part in some]}


def in_zammad(conditions: Native) -> Native:
    native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "status", "value": "open"}]}
    made: Native = ZAMMAD.write(ZENDESK.read(native, "trigger")).native[0]["condition"]
    return made


def picked(engine: Any, condition: Native) -> list[Update]:
    return [update for update in UPDATES if engine(condition, update)]


def test_zammad_s_not_is_not_all_of_them_and_loses_what_is_missing() -> None:
    conditions = asks(("type", "is_not", "question"), ("subject_includes_word", "not_includes", "refund"))
    plain = {
        "operator": "NOT",
        "conditions": [
            {"name": "ticket.type", "operator": "is", "value": "question"},
            {"name": "ticket.title", "operator": "matches regex", "value": "refund"},
        ],
    }
    assert picked(zammad, plain) != picked(zendesk, conditions)
    assert picked(zammad, in_zammad(conditions)) == picked(zendesk, conditions)


def test_zammad_s_not_over_one_condition_still_loses_what_is_missing() -> None:
    conditions = asks(("type", "is_not", "question"))
    plain = {"operator": "NOT", "conditions": [{"name": "ticket.type", "operator": "is", "value": "question"}]}
    missing = [update for update in UPDATES if update["type"] is None]
    assert missing
    assert not [update for update in missing if zammad(plain, update)]
    assert picked(zammad, in_zammad(conditions)) == picked(zendesk, conditions)


def test_two_of_zammad_s_contains_one_look_at_the_same_tag() -> None:
    conditions = asks(("current_tags", "includes", "vip late"), ("current_tags", "includes", "bug"))
    plain = {
        "operator": "AND",
        "conditions": [
            {"name": "ticket.tags", "operator": "contains one", "value": "vip, late"},
            {"name": "ticket.tags", "operator": "contains one", "value": "bug"},
        ],
    }
    assert picked(zammad, plain) == []
    assert picked(zammad, in_zammad(conditions)) == picked(zendesk, conditions) != []


def test_an_update_without_a_comment_is_neither_public_nor_private() -> None:
    conditions = asks(("comment_is_public", "is", "false"))
    silent = [update for update in UPDATES if update["comment"] is None]
    assert silent
    assert not [update for update in silent if zammad(in_zammad(conditions), update)]


def test_zammad_does_not_match_a_regex_on_a_missing_text_either_way() -> None:
    conditions = asks(("subject_includes_word", "not_includes", "refund"))
    plain = {"ticket.title": {"operator": "does not match regex", "value": "refund"}}
    assert len(picked(zammad, plain)) < len(picked(zendesk, conditions))
    assert picked(zammad, in_zammad(conditions)) == picked(zendesk, conditions)


@pytest.mark.parametrize("value", ["open", "closed"])
def test_a_value_changed_from_is_remembered_in_zammad_by_a_helper_field_and_its_triggers(value: str) -> None:
    conditions = asks(("status", "value_previous", value))
    native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "priority", "value": "low"}]}
    made = ZAMMAD.write(ZENDESK.read(native, "trigger"))
    assert picked(zammad, made.native[0]["condition"]) == picked(zendesk, conditions) != []
    helpers = [need for need in made.needs if need.kind == "trigger"]
    assert len(helpers) == 6
    assert all(need.native and need.native["name"].startswith("zzz ") for need in helpers)
    assert ("attribute", "ticket.status_before") in {(need.kind, need.name) for need in made.needs}


def test_enough_of_what_is_tried_is_called_good_for_the_laws_to_mean_something() -> None:
    leaves = [("status", "is_not", "open"), ("priority", "less_than", "high"), ("assignee_id", "is", "")]
    leaves += [("current_tags", "not_includes", "vip bug"), ("status", "not_value_previous", "solved")]
    leaves += [("comment_is_public", "is", "true"), ("subject_includes_word", "includes", "refund")]
    for leaf in leaves:
        conditions = asks(leaf)
        native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "status", "value": "open"}]}
        assert ZAMMAD.write(ZENDESK.read(native, "trigger")).verdict in ("exact", "equivalent")
        assert picked(zammad, in_zammad(conditions)) == picked(zendesk, conditions) != []


def test_an_internal_note_is_not_mailed_to_a_customer() -> None:
    mail = ["requester_id", "News", "{{ticket.latest_comment}}"]
    native = {"title": "a rule", "conditions": asks(("update_type", "is", "Change")), "actions": []}
    native["actions"] = [{"field": "notification_user", "value": mail}]
    made = ZAMMAD.write(ZENDESK.read(native, "trigger"))
    assert made.native[0]["perform"]["notification.email"]["body"] == "#{last_external_article.body}"
    native["actions"] = [{"field": "notification_user", "value": ["assignee_id", *mail[1:]]}]
    made = ZAMMAD.write(ZENDESK.read(native, "trigger"))
    assert made.native[0]["perform"]["notification.email"]["body"] == "#{last_article.body}"


def test_an_approximated_condition_on_a_mail_waits_for_a_person() -> None:
    asked = asks(("locale_id", "is", "8"))
    mail = {"field": "notification_user", "value": ["requester_id", "Bonjour", "Merci"]}
    for action, waits in (
        (mail, True),
        ({"field": "status", "value": "closed"}, True),
        ({"field": "priority", "value": "low"}, False),
    ):
        made = ZAMMAD.write(ZENDESK.read({"title": "a rule", "conditions": asked, "actions": [action]}, "trigger"))
        assert made.verdict == "approximated"
        assert made.waits is waits


def test_text_becomes_html_and_cannot_break_out_of_it() -> None:
    mail = {"field": "notification_user", "value": ["requester_id", "a < b", "1 < 2 & <script>\nend"]}
    native = {"title": "a rule", "conditions": asks(("update_type", "is", "Create")), "actions": [mail]}
    sent = ZAMMAD.write(ZENDESK.read(native, "trigger")).native[0]["perform"]["notification.email"]
    assert sent["body"] == "1 &lt; 2 &amp; &lt;script&gt;<br>\nend"
    assert sent["subject"] == "a < b"


def test_chatwoot_s_list_binds_and_before_or() -> None:
    group, *states = (
        {"attribute_key": key, "filter_operator": "equal_to", "values": [value], "query_operator": joined}
        for key, value, joined in (("team_id", "21", "AND"), ("status", "pending", "OR"), ("status", "snoozed", None))
    )
    plain = {"event_name": "conversation_updated", "conditions": [group, *states]}
    either = (("status", "is", "hold"), ("status", "is", "pending"))
    conditions = asks(("update_type", "is", "Change"), ("group_id", "is", "21"), some=either)
    native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "priority", "value": "low"}]}
    (made,) = CHATWOOT.write(ZENDESK.read(native, "trigger")).native
    assert picked(chatwoot, plain) != picked(zendesk, conditions)
    assert picked(chatwoot, made) == picked(zendesk, conditions) != []


def test_two_things_that_a_custom_attribute_is_not_are_asked_at_once() -> None:
    conditions = asks(
        ("update_type", "is", "Change"),
        ("custom_fields_5", "is_not", "question"),
        ("custom_fields_5", "is_not", "incident"),
    )
    native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "priority", "value": "low"}]}
    found = CHATWOOT.write(ZENDESK.read(native, "trigger"))
    (made,) = found.native
    assert found.verdict in ("exact", "equivalent")
    assert len(made["conditions"]) == 1  # in all versions: nothing stands behind it
    assert picked(chatwoot, made) == picked(zendesk, conditions) != []


def test_what_two_custom_attributes_are_not_is_never_called_carried_to_chatwoot() -> None:
    conditions = asks(("custom_fields_5", "is_not", "question"), ("custom_fields_6", "is_not", "x"))
    native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "priority", "value": "low"}]}
    assert CHATWOOT.write(ZENDESK.read(native, "trigger")).verdict == "untranslatable"


def test_a_custom_attribute_s_is_not_tears_chatwoot_s_and_apart_unless_it_is_closed() -> None:
    conditions = asks(
        ("update_type", "is", "Change"), ("custom_fields_5", "is_not", "question"), ("group_id", "is", "21")
    )
    base = {"attribute_key": "cf_5", "custom_attribute_type": "conversation_attribute"}
    plain = {
        "event_name": "conversation_updated",
        "conditions": [
            {**base, "filter_operator": "not_equal_to", "values": ["question"], "query_operator": "AND"},
            {"attribute_key": "team_id", "filter_operator": "equal_to", "values": ["21"], "query_operator": None},
        ],
    }
    native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "priority", "value": "low"}]}
    found = CHATWOOT.write(ZENDESK.read(native, "trigger"))
    (made,) = found.native
    assert [one.verdict for one in found.findings if "older versions fail" in one.note] == ["approximated"]
    assert picked(chatwoot, plain) != picked(zendesk, conditions)
    assert picked(chatwoot, made) == picked(zendesk, conditions) != []
