"""Rules of a Zendesk account in a true Request Tracker: off, as predicted, switched on, taken away again."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from migrator.ledger import Ledger
from migrator.steps import Steps
from migrator.testing.sandbox import Clock
from migrator.testing.servers.request_tracker import RequestTracker
from tests.support import rule_accounts, rule_corpus
from tests.support.server_desks import steps_between

from .grounds import account

OVERLAY = {
    "request_tracker": {
        "ticket": {"status": {name: {s: s for s in ("hold", "closed")} for name in ("values", "write")}}
    }
}
# Strings that would be Perl, a regular expression or a template if they were not held in quotes.
EVIL = "it's \\' {system('touch x')} $x @{[1]} (?{1}) <user:7> \\"
CREATE = {"field": "update_type", "operator": "is", "value": "Create"}


def trigger(id: int, title: str, actions: list[dict[str, Any]], *asked: dict[str, Any], active: bool = True) -> Any:
    body = {"id": id, "title": title, "active": active, "actions": actions}
    return ("ours", "trigger", {**body, "conditions": {"all": [CREATE, *asked], "any": []}})


def mail(to: str, text: str = "Hello {{ticket.id}}") -> dict[str, Any]:
    if to.isdecimal():
        return {"field": "notification_user", "value": [to, "News", text]}
    if to.startswith("group "):
        return {"field": "notification_group", "value": [to.removeprefix("group "), "News", text]}
    return {"field": "notification_user", "value": [to, "News", text]}


OURS = [
    trigger(9001, "Same name", [mail("requester_id", EVIL)]),
    trigger(9002, "Same name", [mail("requester_id", "another text")]),
    trigger(9003, "To people", [mail("901"), mail("group 902"), mail("all_agents")]),
    trigger(9004, EVIL, [{"field": "current_tags", "value": "seen"}, {"field": "group_id", "value": "902"}],
            {"field": "current_tags", "operator": "includes", "value": EVIL.replace(" ", "_")},
            {"field": "subject_includes_word", "operator": "includes", "value": EVIL}),
    trigger(9005, "By mail", [{"field": "assignee_id", "value": "901"}],
            {"field": "via_id", "operator": "is", "value": "4"}),
    trigger(9006, "Calls", [{"field": "notification_webhook", "value": ["01HOOK", '{"id": "{{ticket.id}}"}']}]),
    ("ours", "macro", {"id": 9007, "title": "Thanks", "active": True, "actions": [
        {"field": "comment_value", "value": f"{EVIL} & {{{{ticket.requester.name}}}}"},
        {"field": "status", "value": "solved"}]}),
]  # fmt: skip


class Moved(NamedTuple):
    """The account, moved; what the server held before."""

    steps: Steps
    server: RequestTracker
    before: dict[str, int]


def held(server: RequestTracker) -> dict[str, int]:
    """Return how much there is of what a rule is written as."""
    return {table: server.count(table) for table in ("Scrips", "Templates", "ScripActions", "Attributes")} | {
        "on": server.count("Scrips", "Disabled = 0"),
        "fields": server.count("CustomFields", "Disabled = 0 AND Description = 'made by migrator for a rule'"),
    }


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, server: RequestTracker) -> Iterator[Moved]:
    server.reset()
    published = [one for one in rule_corpus.rules("zendesk") if one[1] in ("trigger", "view")][::3]
    clock = Clock()
    old = rule_accounts.zendesk(clock, rules=[*published, *OURS])
    there = account(server, ("initialdata", "sql")).model_copy(update={"url": server.url, "workers": 2})
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("rules")
        run = steps_between(folder, old, (there, {"token": server.token}), patch, Clock(real=True), overlay=OVERLAY)
        run.extract()
        before = held(server)
        plan = run.plan()
        run.load(plan.digest, accept_losses=True)
        yield Moved(run, server, before)


def test_rules_read_back_as_predicted_and_none_is_put_aside(moved: Moved) -> None:
    with Ledger(moved.steps.workspace.ledger) as ledger:
        assert [(unit, answer) for unit, _, answer, _ in ledger.quarantined()] == []
    verified, differences = moved.steps.verify()
    assert differences == []
    assert verified.proven


def test_every_trigger_that_acts_is_a_scrip_that_is_switched_off(moved: Moved) -> None:
    found = {
        (line["action"], line["reason"]): line["count"]
        for line in moved.steps.saved_plan()["dispositions"]
        if line["kind"] == "trigger"
    }
    assert {action for action, why in found if not why.startswith("it names what is not written")} == {"create"}, found
    assert moved.server.count("Scrips", "Disabled = 0") == moved.before["on"]
    assert moved.server.count("Scrips", "Disabled = 1") > len(OURS)


def test_what_a_scrip_names_is_the_new_desks_own(moved: Moved) -> None:
    server = moved.server
    ((agent,),) = server.rows("SELECT id FROM Users WHERE EmailAddress = 'agent901@desk.example'")
    ((queue,),) = server.rows("SELECT id FROM Queues WHERE Name = 'Group 902'")
    ((team,),) = server.rows("SELECT id FROM Groups WHERE Name = 'Group 902' AND Domain = 'UserDefined'")
    ((agents,),) = server.rows("SELECT id FROM Groups WHERE Name = 'Privileged' AND Domain = 'SystemInternal'")
    to = {argument for (argument,) in server.rows("SELECT Argument FROM ScripActions WHERE ExecModule = 'NotifyGroup'")}
    assert {f"{one}, AlwaysNotifyActor" for one in (agent, team, agents)} <= to
    codes = [code for (code,) in server.rows("SELECT CustomCommitCode FROM Scrips WHERE CustomCommitCode <> ''")]
    assert any(f"SetQueue('{queue}')" in code for code in codes)
    assert any(f"SetOwner('{agent}')" in code for code in codes)
    assert any("'https://hooks.example/01HOOK'" in code for code in codes)
    whole = "\n".join(codes + [text for (text,) in server.rows("SELECT Content FROM Templates")])
    assert "⟪" not in whole
    texts = server.rows("SELECT Name FROM Templates WHERE Name LIKE 'Same name%' ORDER BY 1")
    assert [name for (name,) in texts] == ["Same name (1)", "Same name (1) 2"]


def test_views_are_saved_searches_for_everybody(moved: Moved) -> None:
    found = moved.server.count("Attributes", "Name = 'SavedSearch' AND ObjectType = 'RT::System'")
    planned = {
        line["action"]: line["count"] for line in moved.steps.saved_plan()["dispositions"] if line["kind"] == "view"
    }
    assert found >= planned["create"] > 0
    assert set(planned) <= {"create", "skip", "manual"}


def test_what_a_macro_says_is_an_article_and_what_it_does_is_named(moved: Moved) -> None:
    ((text,),) = moved.server.rows(
        "SELECT v.Content FROM ObjectCustomFieldValues v JOIN Articles a ON a.id = v.ObjectId "
        "WHERE v.ObjectType = 'RT::Article' AND a.Name = 'Thanks'"
    )
    assert html.unescape(text) == f"{EVIL} & [requester name]"
    (line,) = (one for one in moved.steps.saved_plan()["dispositions"] if one["kind"] == "macro")
    assert line["action"] == "manual"
    assert "arrives as an article" in line["reason"]
    assert "solved" in line["reason"]


def test_switched_on_and_taken_away_again(moved: Moved) -> None:
    run, server = moved.steps, moved.server
    due = run.due()[1]
    assert {one.as_kind for one in due} == {"trigger"}
    done = run.activate(run.saved_plan()["digest"])
    assert done.refused == []
    assert server.count("Scrips", "Disabled = 0") == moved.before["on"] + len(due)
    run.load(run.undo().digest, accept_losses=True)
    assert held(server) == moved.before
