"""The demo account: the same every time, valid by the official schemas, whole, and as odd as it promises."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import requests

from migrator.testing.sandbox import Clock, Native, Sandbox, mount
from tests.support.connectors import connector
from tests.support.openapi import Spec

Desk = dict[str, list[Native]]
SCHEMAS = {
    "users": "UserForAdmin",
    "organizations": "OrganizationObject",
    "groups": "GroupObject",
    "group_memberships": "GroupMembershipObject",
    "organization_memberships": "OrganizationMembershipObject",
    "ticket_fields": "TicketFieldObject",
    "user_fields": "UserFieldObject",
    "organization_fields": "OrganizationFieldObject",
    "ticket_forms": "TicketFormObject",
    "brands": "BrandObject",
    "tickets": "TicketObject",
    "satisfaction_ratings": "SatisfactionRatingObject",
}


@pytest.fixture(scope="module")
def demo() -> Any:
    return connector("zendesk.demo")


@pytest.fixture(scope="module")
def made(demo: Any) -> Desk:
    desk: Desk = demo.generate()
    return desk


@pytest.fixture(scope="module")
def filled(demo: Any, zendesk: Any) -> tuple[Sandbox, requests.Session]:
    box: Sandbox = demo.fill(zendesk.create(clock=Clock(), limits=False))
    session = mount(box)
    session.auth = (f"{zendesk.EMAIL}/token", zendesk.TOKEN)
    return box, session


def test_a_seed_makes_the_same_account_every_time(demo: Any, made: Desk) -> None:
    assert demo.generate() == made
    assert demo.generate(8) != made


@pytest.mark.parametrize("tickets", [1, 7, 40])
def test_small_accounts_can_be_made_too(demo: Any, tickets: int) -> None:
    assert len(demo.generate(7, tickets)["tickets"]) == tickets


@pytest.mark.parametrize("stream", SCHEMAS)
def test_every_record_satisfies_the_official_schema(made: Desk, zendesk_spec: Spec, stream: str) -> None:
    wrong = {
        (record["id"], text)
        for record in made[stream]
        for text in zendesk_spec.check(f"/components/schemas/{SCHEMAS[stream]}", record)
        # two deviations that records of real accounts have too (zammad-import-2022, airbyte-zendesk-support-2024-06)
        if not (record.get("status") == "deleted" and text.startswith("status:"))
        if not text.startswith("organization_fields/account_checkbox: ")
    }
    assert made[stream]
    assert wrong == set()


def test_every_comment_satisfies_the_official_schema(made: Desk, zendesk_spec: Spec) -> None:
    schema = "/components/schemas/TicketCommentObject"
    assert [text for item in made["ticket_comments"] for text in zendesk_spec.check(schema, item["comment"])] == []


def test_every_reference_leads_to_a_record(made: Desk) -> None:
    ids = {stream: {record["id"] for record in rows} for stream, rows in made.items() if stream != "ticket_comments"}
    where = {"user_id": "users", "requester_id": "users", "assignee_id": "users", "submitter_id": "users",
             "organization_id": "organizations", "group_id": "groups", "default_group_id": "groups",
             "ticket_id": "tickets", "problem_id": "tickets", "brand_id": "brands", "ticket_form_id": "ticket_forms",
             "author_id": "users"}  # fmt: skip
    rows = [row for stream, found in made.items() if stream != "ticket_comments" for row in found]
    rows += [item["comment"] for item in made["ticket_comments"]]
    lost = [
        (field, row[field])
        for row in rows
        for field, stream in where.items()
        if row.get(field) is not None and row[field] not in ids[stream]
    ]
    assert lost == []
    assert len({row["id"] for stream, found in made.items() if stream not in ("tickets", "ticket_comments")
                for row in found}) == sum(len(found) for stream, found in made.items()
                                          if stream not in ("tickets", "ticket_comments"))  # fmt: skip


def test_the_account_has_the_size_it_promises(made: Desk) -> None:
    assert {stream: len(rows) for stream, rows in made.items()}.items() >= {
        "organizations": 12, "users": 158, "groups": 4, "tickets": 240, "ticket_forms": 2,
    }.items()  # fmt: skip
    per_ticket = Counter(item["ticket_id"] for item in made["ticket_comments"])
    assert (min(per_ticket.values()), max(per_ticket.values()) >= 9) == (1, True)
    assert {ticket["created_at"][:4] for ticket in made["tickets"]} == {"2024", "2025", "2026"}


def test_the_account_is_as_odd_as_it_promises(made: Desk) -> None:
    tickets, users = made["tickets"], made["users"]
    comments = [item["comment"] for item in made["ticket_comments"]]
    files = [file for comment in comments for file in comment["attachments"]]
    kinds = {field["type"] for field in made["ticket_fields"] if field["removable"]}
    whole = json.dumps(made, ensure_ascii=False)
    promises = {
        "statuses": {ticket["status"] for ticket in tickets}
        == {"new", "open", "pending", "hold", "solved", "closed", "deleted"},
        "types": {ticket["type"] for ticket in tickets} >= {None, "question", "problem", "incident", "task"},
        "priorities": {ticket["priority"] for ticket in tickets} == {None, "low", "normal", "high", "urgent"},
        "channels": {item["via"]["channel"] for item in comments} >= {"email", "web", "api", "chat", "voice"},
        "problem and incidents": any(ticket["problem_id"] for ticket in tickets),
        "copies": any(ticket["email_cc_ids"] for ticket in tickets),
        "private": any(not comment["public"] for comment in comments),
        "subjects": {len(ticket["subject"] or "") for ticket in tickets} >= {0, 300},
        "no subject": any(ticket["subject"] is None for ticket in tickets),
        "ratings": {rating["score"] for rating in made["satisfaction_ratings"]} == {"good", "bad"},
        "rating words": any(rating["comment"] for rating in made["satisfaction_ratings"]),
        "suspended": sum(user["suspended"] for user in users) >= 4,
        "no e-mail": sum(user["email"] is None for user in users) >= 10,
        "permanently deleted": sum(user.get("permanently_deleted", False) for user in users) == 2,
        "custom field types": kinds
        == {"tagger", "multiselect", "text", "textarea", "integer", "decimal", "date", "checkbox", "regexp"},
        "inactive field": any(not field["active"] for field in made["ticket_fields"]),
        "too large a file": any(file["size"] > 20 * 1024 * 1024 for file in files),
        "inline": any(file["inline"] for file in files),
        "awkward names": {file["file_name"] for file in files} >= {"../../etc/passwd", "résumé 履歴書.pdf"},
        "duplicates": Counter(file["size"] for file in files).most_common(1)[0][1] > 5,
        "large body": max(len(comment["body"]) for comment in comments) > 39_000,
        "script": "<script>" in whole,
        "languages": all(
            word in whole for word in ("お世話になっております", "مرحباً", "Здравствуйте", "Olá", "Guten Tag")
        ),
        "zero width": "\u200b" in whole,
        "control": "\\u001b" in whole,
        "emoji": "👩‍👩‍👧‍👦" in whole,
    }
    assert [name for name, kept in promises.items() if not kept] == []


def test_everything_can_be_read_back_by_the_exports(filled: tuple[Sandbox, requests.Session], made: Desk) -> None:
    box, desk = filled
    for stream in ("tickets", "users"):
        url, rows = f"{box.base_url}/api/v2/incremental/{stream}/cursor?start_time=0&per_page=100", []
        while url:
            body = desk.get(url).json()
            rows += body[stream]
            url = "" if body["end_of_stream"] else body["after_url"]
        assert sorted(rows, key=lambda row: row["id"]) == sorted(made[stream], key=lambda row: row["id"])


def test_comments_by_ticket_and_by_events_are_the_same(filled: tuple[Sandbox, requests.Session], made: Desk) -> None:
    box, desk = filled
    by_ticket, by_event = {}, {}
    for ticket in made["tickets"]:
        answer = desk.get(f"{box.base_url}/api/v2/tickets/{ticket['id']}/comments")
        assert answer.status_code == (404 if ticket["status"] == "deleted" else 200)
        by_ticket.update({row["id"]: row["html_body"] for row in answer.json().get("comments", [])})
    url = f"{box.base_url}/api/v2/incremental/ticket_events?start_time=0&include=comment_events&per_page=500"
    while url:
        body = desk.get(url).json()
        children = [child for event in body["ticket_events"] for child in event["child_events"]]
        by_event.update({child["id"]: child["html_body"] for child in children if child.get("type") == "Comment"})
        url = "" if body["end_of_stream"] else body["next_page"]
    assert by_ticket == by_event
    assert len(by_ticket) > 1_000


def test_every_file_can_be_fetched_and_has_its_size(filled: tuple[Sandbox, requests.Session], made: Desk) -> None:
    box, desk = filled
    files = [file for item in made["ticket_comments"] for file in item["comment"]["attachments"]]
    sizes = {file["file_name"]: len(desk.get(file["content_url"]).content) for file in files}
    assert sizes == {file["file_name"]: file["size"] for file in files}
    assert len(files) > 60
    assert box.state["leaks"] == []


def test_inline_pictures_are_referred_to_by_their_address(made: Desk) -> None:
    pairs = [
        (file["content_url"], item["comment"]["html_body"])
        for item in made["ticket_comments"]
        for file in item["comment"]["attachments"]
        if file["inline"]
    ]
    assert [url in body for url, body in pairs] == [True, True]
