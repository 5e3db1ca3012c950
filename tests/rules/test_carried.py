"""What a vendor lacks is made of what it has, and said to be needed: fields, statuses, rules that fill them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from migrator import customizations
from migrator.rules.verdicts import Translation
from tests.support.connectors import connector
from tests.support.rule_engines import Native

ZENDESK: Any = connector("zendesk.rules")
TO: dict[str, Any] = {
    name: connector(f"{name}.rules") for name in ("zammad", "freshdesk", "request_tracker", "chatwoot")
}
NEW_TICKET = ("update_type", "is", "Create")
GOOD = ("exact", "equivalent")


def made(to: str, *asked: tuple[str, str, Any], do: list[Native] | None = None, kind: str = "trigger") -> Translation:
    listed = [dict(zip(("field", "operator", "value"), one, strict=True)) for one in asked]
    native = {"title": "a rule", "conditions": {"all": listed, "any": []}}
    native["actions"] = do or [{"field": "status", "value": "open"}]
    found: Translation = TO[to].write(ZENDESK.read(native, kind))
    return found


def mail(body: str, to: str = "requester_id") -> list[Native]:
    return [{"field": "notification_user", "value": [to, "News", body]}]


def needs(found: Translation) -> set[tuple[str, str]]:
    return {(need.kind, need.name) for need in found.needs}


@pytest.mark.parametrize("to", ["zammad", "freshdesk", "request_tracker"])
def test_a_channel_that_is_unknown_there_is_remembered_in_a_field_that_rules_fill(to: str) -> None:
    found = made(to, ("update_type", "is", "Create"), ("via_id", "includes", ["4", "75"]))
    assert found.verdict in GOOD
    assert any(
        "came" in name.lower() and kind in ("attribute", "ticket field", "custom field") for kind, name in needs(found)
    )
    assert any("came by" in name.lower() and kind in ("trigger", "automation", "scrip") for kind, name in needs(found))


@pytest.mark.parametrize(("to", "value"), [("freshdesk", "new"), ("freshdesk", "hold"), ("request_tracker", "closed")])
def test_statuses_that_would_become_one_are_told_apart_by_one_that_is_added(to: str, value: str) -> None:
    found = made(to, ("update_type", "is", "Create"), ("status", "is", value))
    assert found.verdict in GOOD
    (need,) = [need for need in found.needs if need.kind == "status"]
    assert "overlay" in need.because
    assert "added there" in json.dumps([one.note for one in found.findings])


def test_a_mail_to_all_agents_goes_to_a_group_of_them_in_freshdesk() -> None:
    found = made("freshdesk", ("update_type", "is", "Create"), do=mail("Hello", "all_agents"))
    assert found.verdict == "equivalent"
    assert ("group", "All agents") in needs(found)
    assert TO["freshdesk"].read(found.native[0], "trigger").do[0].to[0].who == "group"


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [(("status", "less_than", "solved"), "equivalent"), (("status", "is", "hold"), "approximated")],
)
def test_a_status_that_is_not_there_is_what_its_tickets_become_in_freshdesk(
    asked: tuple[str, str, Any], verdict: str
) -> None:
    listed = [dict(zip(("field", "operator", "value"), one, strict=True)) for one in (NEW_TICKET, asked)]
    native = {"title": "x", "conditions": {"all": listed, "any": []}, "actions": mail("Hello")}
    found = TO["freshdesk"].write_with(())(ZENDESK.read(native, "trigger"))
    assert found.verdict == verdict
    assert "<status:" not in json.dumps(found.native)
    assert "status" not in {kind for kind, _ in needs(found)}
    assert found.waits is (verdict == "approximated")


def test_hours_on_hold_are_counted_in_freshdesk_by_the_status_that_is_added() -> None:
    found = made("freshdesk", ("status", "is", "hold"), ("HOLD", "greater_than", "24"), kind="timed")
    assert found.verdict in GOOD
    asked = found.native[0]["conditions"][0]["properties"]
    assert {"custom_status_id": "<status:On hold>", "value": 24}.items() <= asked[1].items()
    back = TO["freshdesk"].read(found.native[0], "timed")
    assert "hold" in str(back.when)


@pytest.mark.parametrize("asked", [("current_tags", "includes", "vip"), ("subject_includes_word", "includes", "vip")])
def test_timed_rules_of_freshdesk_know_neither_tags_nor_texts(asked: tuple[str, str, Any]) -> None:
    assert made("freshdesk", ("NEW", "greater_than", "24"), asked, kind="timed").verdict == "untranslatable"


def test_what_an_old_policy_does_not_promise_gets_the_longest_time_in_freshdesk() -> None:
    times = [{"priority": "high", "metric": "first_reply_time", "target": 60, "business_hours": False}]
    asked = {"all": [{"field": "organization_id", "operator": "is", "value": "7"}], "any": []}
    found = TO["freshdesk"].write(ZENDESK.read({"title": "x", "filter": asked, "policy_metrics": times}, "sla"))
    assert found.verdict == "equivalent"
    target = found.native[0]["sla_target"]
    assert sorted(target) == ["priority_1", "priority_2", "priority_3", "priority_4"]
    assert all({"respond_within", "resolve_within"} <= one.keys() for one in target.values())
    assert [one["escalation_enabled"] for _, one in sorted(target.items())] == [False, False, True, False]
    assert target["priority_3"]["respond_within"] == 3600


@pytest.mark.parametrize("metric", ["requester_wait_time", "total_resolution_time"])
def test_zammad_s_solution_time_needs_switches_of_states_and_a_trigger_for_reopened_tickets(metric: str) -> None:
    times = [{"priority": "high", "metric": metric, "target": 60, "business_hours": False}]
    found = TO["zammad"].write(ZENDESK.read({"title": "x", "filter": {}, "policy_metrics": times}, "sla"))
    assert found.verdict == "equivalent"
    assert found.native[0]["solution_time"] == 60
    counts = "counts" if metric == "total_resolution_time" else "ignores escalation"
    assert {("state switch", f"pending reminder: {counts}"), ("trigger", "000 reopened")} <= needs(found)


@pytest.mark.parametrize("to", ["zammad", "request_tracker"])
def test_a_whole_conversation_for_a_customer_holds_no_internal_note(to: str) -> None:
    found = made(to, ("update_type", "is", "Change"), do=mail("So far: {{ticket.comments_formatted}}"))
    assert found.verdict == "equivalent"
    text = json.dumps([need.native for need in found.needs])
    assert "comments_all" not in text
    assert "|Comment" not in text
    inside = made(to, ("update_type", "is", "Change"), do=mail("So far: {{ticket.comments_formatted}}", "assignee_id"))
    assert inside.verdict == "equivalent"
    assert json.dumps([need.native for need in inside.needs]) != json.dumps([need.native for need in found.needs])


def test_what_has_only_a_leaking_counterpart_is_left_out_and_never_called_the_same() -> None:
    message = [{"field": "comment_value", "value": "{{ticket.comments_formatted}}"}]
    found = made("chatwoot", ("update_type", "is", "Create"), do=message)
    assert found.verdict == "approximated"
    assert "recent_messages" not in json.dumps(found.native)


def test_text_in_a_mail_never_becomes_perl() -> None:
    evil = "\\{system('touch /x')} {{ticket.title}} } { \\"
    found = made("request_tracker", ("update_type", "is", "Create"), do=mail(evil))
    (template,) = [need.native["Content"] for need in found.needs if need.kind == "template" and need.native]
    assert "{system" not in template
    perl = shutil.which("perl")
    script = "require Text::Template; print Text::Template->fill_this_in($ARGV[0], PREPEND => 'no strict;', "
    script += "HASH => { Ticket => \\(bless {}, 'Thing') }); package Thing; sub Subject { 'the {title}' }"
    if perl is None or subprocess.run([perl, "-MText::Template", "-e1"], capture_output=True, timeout=60).returncode:
        pytest.skip("there is no Text::Template")
    done = subprocess.run([perl, "-e", script, template], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"Subject: News\n\n{evil.replace('{{ticket.title}}', 'the {title}')}\n"


def test_a_call_to_another_system_is_made_by_the_scrip_with_the_text_filled_in() -> None:
    hook = [{"field": "notification_webhook", "value": ["7", '{"id": "{{ticket.id}}"}']}]
    found = made("request_tracker", ("update_type", "is", "Create"), do=hook)
    code = found.native[0]["CustomCommitCode"]
    assert found.verdict == "equivalent"
    assert "{chr(123)}" in code
    if perl := shutil.which("perl"):
        check = f"sub {{ my $self = shift;\n{code}\n}}\n"
        assert (
            "syntax OK" in subprocess.run([perl, "-c", "-e", check], capture_output=True, text=True, timeout=60).stderr
        )


@pytest.mark.parametrize(
    ("texts", "verdict"), [(["Hello {{ticket.id}}"], "equivalent"), (["Hi", "Salut"], "approximated")]
)
def test_dynamic_content_is_written_out_where_the_file_has_it(tmp_path: Any, texts: list[str], verdict: str) -> None:
    variants = [{"locale_id": at, "content": text, "active": True} for at, text in enumerate(texts)]
    item = {
        "name": "Greeting",
        "placeholder": "{{dc.greeting}}",
        "default_locale_id": len(texts) - 1,
        "variants": variants,
    }
    asked = {"all": [{"field": "update_type", "operator": "is", "value": "Create"}], "any": []}
    rule = {"title": "a rule", "conditions": asked, "actions": mail("{{dc.greeting}}!")}
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"triggers": [rule], "dynamic_content_items": [item]}), encoding="utf-8")
    (shown,) = customizations.explain(file, "zendesk", "zammad")["rules"]
    assert shown["verdict"] == verdict
    assert (
        texts[-1].replace("{{ticket.id}}", "#{ticket.number}") + "!"
        in json.loads(shown["native"][0])["perform"]["notification.email"]["body"]
    )
    file.write_text(json.dumps({"triggers": [rule]}), encoding="utf-8")
    (without,) = customizations.explain(file, "zendesk", "zammad")["rules"]
    assert without["verdict"] == "approximated"
    assert "put the dynamic content into it" in json.dumps(without["findings"])


def test_one_of_several_events_becomes_a_rule_for_each_in_freshdesk() -> None:
    some = [{"field": "status", "operator": "value", "value": "solved"}]
    some.append({"field": "priority", "operator": "value", "value": "high"})
    asked = {"all": [{"field": "update_type", "operator": "is", "value": "Change"}], "any": some}
    for do, verdict in (([{"field": "current_tags", "value": "seen"}], "equivalent"), (mail("Hello"), "approximated")):
        found = TO["freshdesk"].write(ZENDESK.read({"title": "x", "conditions": asked, "actions": do}, "trigger"))
        assert found.verdict == verdict
        assert [one["events"][0]["field_name"] for one in found.native] == ["status", "priority"]
        assert {one["rule_type"] for one in found.native} == {4}


def test_a_tree_too_deep_for_two_sets_becomes_several_rules_in_freshdesk() -> None:
    def block(operator: str, *parts: Native) -> Native:
        return {"operator": operator, "conditions": list(parts)}

    def tag(word: str) -> Native:
        return {"name": "ticket.tags", "operator": "contains one", "value": word}

    tree = block("AND", block("OR", block("AND", tag("a"), tag("b")), block("AND", tag("c"), tag("d"))))
    created = {"name": "ticket.action", "operator": "is", "value": "create"}
    native = {"name": "x", "condition": block("AND", created, *tree["conditions"]), "perform": {}}
    native["perform"] = {"ticket.tags": {"operator": "add", "value": "seen"}}
    found = TO["freshdesk"].write(TO["zammad"].read(native, "trigger"))
    assert found.verdict == "equivalent"
    assert len(found.native) == 2


@pytest.mark.parametrize(
    ("asked", "do", "verdict"),
    [
        ([("comment_is_public", "is", "true")], mail("{{ticket.latest_comment_html}}"), "equivalent"),
        ([("comment_is_public", "is", "true")], mail("Dear you: {{ticket.latest_comment_html}}"), "approximated"),
        ([("assignee_id", "changed", "")], mail("It is yours", "assignee_id"), "approximated"),
    ],
)
def test_what_chatwoot_does_by_itself_becomes_no_rule(asked: Any, do: list[Native], verdict: str) -> None:
    found = made("chatwoot", ("update_type", "is", "Change"), *asked, do=do)
    assert found.verdict == verdict
    assert found.native == ()
    more = made("chatwoot", ("update_type", "is", "Change"), *asked, ("current_tags", "includes", "vip"), do=do)
    assert more.native or more.verdict == "untranslatable"  # a condition of the customer's own: a rule is needed


def test_a_mail_to_the_requester_is_said_in_the_conversation_in_chatwoot() -> None:
    found = made("chatwoot", ("update_type", "is", "Create"), do=mail("We have {{ticket.id}}"))
    assert found.verdict == "approximated"
    (action,) = found.native[0]["actions"]
    assert action == {"action_name": "send_message", "action_params": ["We have {{conversation.display_id}}"]}


def test_labels_in_chatwoot_s_rules_are_spelled_as_those_of_the_conversations() -> None:
    found = made("chatwoot", ("current_tags", "includes", "VIP a.b"), do=[{"field": "current_tags", "value": "c/d É"}])
    assert [one["values"] for one in found.native[0]["conditions"]] == [["vip", "a_b"]]
    assert {tag for one in found.native[0]["actions"] for tag in one["action_params"]} <= {"c_d", "é", "vip", "a_b"}


@pytest.mark.parametrize(("status", "event"), [("solved", "conversation_resolved"), ("open", "conversation_opened")])
def test_a_change_to_one_status_is_an_event_of_its_own_in_chatwoot(status: str, event: str) -> None:
    found = made("chatwoot", ("status", "value", status), ("group_id", "is", "21"))
    (native,) = (one for one in found.native if one["event_name"] == event)
    assert [one["attribute_key"] for one in native["conditions"]] == ["team_id"]
    assert found.verdict == "approximated"  # closed is resolved there, new is open
    again = TO["chatwoot"].read(native, "trigger")
    assert TO["chatwoot"].write(again).native[0]["event_name"] == event


def test_a_view_becomes_a_saved_filter_of_one_person_in_chatwoot() -> None:
    found = made("chatwoot", ("status", "less_than", "solved"), kind="view", do=[])
    (payload,) = found.native[0]["query"]["payload"]
    assert payload["values"] == ["open", "pending", "snoozed"]
    assert found.verdict == "approximated"
    mine = made("chatwoot", ("assignee_id", "is", "current_user"), kind="view", do=[])
    assert mine.verdict == "untranslatable"
    assert "“Mine”" in json.dumps([one.note for one in mine.findings], ensure_ascii=False)
    assert made("chatwoot", ("requester_id", "is", "7"), kind="view", do=[]).verdict == "untranslatable"


OF = ("new", "changed")


def test_a_policy_of_several_priorities_becomes_several_in_chatwoot_each_with_a_rule_that_is_needed() -> None:
    times = [
        {"priority": word, "metric": metric, "target": 60, "business_hours": word == "low"}
        for word in ("low", "high")
        for metric in ("first_reply_time", "agent_work_time")
    ]
    asked = {"all": [{"field": "current_tags", "operator": "includes", "value": "vip"}], "any": []}
    found = TO["chatwoot"].write(ZENDESK.read({"title": "x", "filter": asked, "policy_metrics": times}, "sla"))
    assert found.verdict == "approximated"
    assert [one["first_response_time_threshold"] for one in found.native] == [3600.0, 3600.0]
    assert [one["only_during_business_hours"] for one in found.native] == [True, False]
    rules = [need for need in found.needs if need.kind == "automation rule"]
    assert [one.name for one in rules] == [f"apply “x” ({word}), {of}" for word in ("low", "high") for of in OF]
    for at, need in enumerate(rules):
        assert need.native["event_name"] == ("conversation_created", "conversation_updated")[at % 2]
        assert [one["attribute_key"] for one in need.native["conditions"]] == ["labels", "priority"]
        given = f"<sla_policy:⟪sla_policy:~{at // 2 + 1}⟫>"
        assert need.native["actions"] == [{"action_name": "add_sla", "action_params": [given]}]
    kind, id, fields = TO["chatwoot"].provided(rules[0])
    assert (kind, fields["name"], json.loads(fields["rule"])["actions"]) == (
        "trigger",
        rules[0].name,
        rules[0].native["actions"],
    )
    assert id != TO["chatwoot"].provided(rules[1])[1]
    strange = {"all": [{"field": "type", "operator": "is", "value": "incident"}], "any": []}
    found = TO["chatwoot"].write(ZENDESK.read({"title": "x", "filter": strange, "policy_metrics": times}, "sla"))
    assert [(need.native, TO["chatwoot"].provided(need)) for need in found.needs] == [(None, "")] * 2
    assert any("Chatwoot cannot ask this of type" in one.note for one in found.findings)


def test_chatwoot_s_agent_in_a_text_is_whoever_speaks() -> None:
    said = [{"field": "comment_value", "value": "{{current_user.name}} for {{ticket.assignee.name}}"}]
    clicked = TO["chatwoot"].write(ZENDESK.read({"title": "x", "actions": said}, "macro"))
    assert clicked.native[0]["actions"][0]["action_params"] == ["{{agent.name}} for "]
    ruled = made("chatwoot", ("update_type", "is", "Create"), do=said)
    assert "agent" not in json.dumps(ruled.native)


@pytest.mark.parametrize("hours", [24, 48])
def test_each_rule_by_the_clock_says_what_to_do_in_chatwoot(hours: int) -> None:
    opens = made("chatwoot", ("PENDING", "greater_than", str(hours)), kind="timed")
    assert (opens.verdict, opens.native) == ("untranslatable", ())
    assert "snoozes" in opens.findings[0].note
    assert "Auto-resolve" in opens.findings[0].click
    asked = (("status", "is", "solved"), ("SOLVED", "greater_than", str(hours)))
    closes = made("chatwoot", *asked, do=[{"field": "status", "value": "closed"}], kind="timed")
    assert (closes.verdict, closes.native) == ("approximated", ())
