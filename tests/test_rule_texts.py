"""Macros where none can be written: their texts arrive, each on the ordinary route; and what rules need beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from requests.auth import HTTPBasicAuth

from migrator import registry
from migrator.errors import RefusedError
from migrator.http import Client
from migrator.pacer import Pacer
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support import rule_accounts
from tests.test_accounts import ends, moved

Native = dict[str, Any]


def macro(number: int, title: str, *do: tuple[str, Any], **more: Any) -> tuple[str, str, Native]:
    actions = [{"field": field, "value": value} for field, value in do]
    return (
        title,
        "macro",
        {"id": number, "title": title, "active": True, "position": number, "actions": actions, **more},
    )


def trigger(number: int, title: str, asked: list[tuple[str, str, Any]], do: list[Native]) -> tuple[str, str, Native]:
    listed = [dict(zip(("field", "operator", "value"), one, strict=True)) for one in asked]
    body = {"id": number, "title": title, "active": True, "position": number, "actions": do}
    return title, "trigger", {**body, "conditions": {"all": listed, "any": []}}


RULES = [
    macro(1, "Thanks", ("comment_value", "Dear {{ticket.requester.name}}, thank you & good-bye.")),
    macro(2, "Wait", ("status", "pending"), ("comment_value_html", "<p>We look <b>into</b> it.</p>")),
    macro(3, "Close", ("status", "solved")),
    macro(4, "Ours", ("comment_value", "For us"), restriction={"type": "Group", "id": 20, "ids": [20]}),
    macro(5, "Ours", ("comment_value", "For all")),
    trigger(
        6,
        "Yours now",
        [("assignee_id", "changed", None), ("assignee_id", "is_not", "current_user")],
        [{"field": "notification_user", "value": ["assignee_id", "Yours", "It is yours"]}],
    ),
]


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Steps, Sandbox]]:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        new = registry.connector("freshdesk").sandbox.create(clock=clock, limits=False)
        yield moved(tmp_path_factory.mktemp("texts"), rule_accounts.zendesk(clock, rules=RULES), new, patch), new


def test_what_macros_say_arrives_as_canned_responses_of_the_same_groups(arrived: tuple[Steps, Sandbox]) -> None:
    run, new = arrived
    (group,) = (one["id"] for one in new.store["groups"].values() if one["name"] == "Group 20")
    held = {one["title"]: (one["content_html"], one["group_ids"]) for one in new.store["canned_responses"].values()}
    assert held == {
        "Thanks": ("<div>Dear {{ticket.requester.name}}, thank you &amp; good-bye.</div>", []),
        "Wait": ("<div><p>We look <b>into</b> it.</p></div>", []),
        "Ours": ("<div>For us</div>", [group]),
        "Ours (2)": ("<div>For all</div>", []),
    }
    assert {one["visibility"] for one in new.store["canned_responses"].values()} == {0, 2}
    assert ends(run, "macro") == {("macro", "skip"): 3, ("macro", "manual"): 2}


def test_what_a_macro_does_besides_is_named(arrived: tuple[Steps, Sandbox]) -> None:
    run, _ = arrived
    said = {line["reason"] for line in run.saved_plan()["dispositions"] if line["kind"] == "macro"}
    (waits,) = (reason for reason in said if "besides" in reason)
    assert "its text arrives as a canned response" in waits
    assert "pending" in waits
    assert any("no call to make one" in reason for reason in said)  # the one that only acts


def test_fields_and_automations_that_a_rule_needs_are_made_and_run_before_it(arrived: tuple[Steps, Sandbox]) -> None:
    run, new = arrived
    (field,) = (one for one in new.store["ticket_fields"].values() if one["name"] == "cf_acted_by")
    assert "somebody else" in json.dumps(field["choices"])
    rules = sorted(new.store["update_rules"].values(), key=lambda one: (one["position"], one["id"]))
    assert [one["name"] for one in rules] == ["Acted by somebody else", "Acted by the agent", "Yours now"]
    assert rules[1]["performer"] == {"type": 1, "members": [-1]}
    assert rules[2]["actions"][0]["email_to"] == 0
    run.activate(run.saved_plan()["digest"])
    assert all(one["active"] for one in new.store["update_rules"].values())
    verified, differences = run.verify()
    assert verified.proven, differences[:3]


@pytest.mark.parametrize(("groups", "visibility"), [([], 0), ([7], 2)])
def test_a_text_lies_in_a_folder_of_all_and_without_one_it_is_refused_and_none_is_made(
    groups: list[int], visibility: int
) -> None:
    vendor = registry.connector("freshdesk")
    box = vendor.sandbox.create(clock=Clock(), limits=False)
    with mount(box) as session:
        client = Client(f"{box.base_url}/api/v2", HTTPBasicAuth(vendor.sandbox.TOKEN, "X"), Pacer([]), session)
        (folder,) = box.store["canned_response_folders"].values()
        body = vendor.hooks.canned_response(client, {"title": "Thanks", "group_ids": groups})
        assert (body["folder_id"], body["visibility"]) == (folder["id"], visibility)
        folder["personal"] = True
        with pytest.raises(RefusedError, match="no folder"):
            vendor.hooks.canned_response(client, {"title": "Thanks"})
    assert len(box.store["canned_response_folders"]) == 1
