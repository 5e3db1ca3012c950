"""Recorded Zendesk traffic against the sandbox: the same requests get answers of the same status and shape."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.sandbox import Sandbox, mount
from tests.support.connectors import connector
from tests.support.openapi import Spec, specified
from tests.support.vendor_data import vendor_file
from tests.support.zendesk_recorded import HOST, recorded
from tests.support.zendesk_replay import Recording, Replay, case_of, differences, recordings

# records that were in the recorded account before the first recorded request, and texts of that account
NOT_OURS = {
    ("TestIncrementalObjectUpdate.test_clean_dirty", "/api/v2/tickets/1.json"),
    ("TestTicketCreateUpdateDelete.test_full_objects_create", "/api/v2/users/6130907993114.json"),
}
ACCOUNT_DEPENDENT = ("/user_fields/dasds", "/via/source/to/name", "/via/source/to/address")


@pytest.fixture(scope="module")
def replayed() -> list[tuple[Recording, int, list[str]]]:
    """Return each recorded exchange with the sandbox's status and the differences in shape."""
    zendesk: Any = connector("zendesk.sandbox")
    results: list[tuple[Recording, int, list[str]]] = []
    current, replay = "", None
    for recording in recordings(vendor_file("zendesk/zenpy-betamax")):
        if case_of(recording.file) != current:
            current = case_of(recording.file)
            box = zendesk.furnish(zendesk.create(limits=False))
            desk = mount(box)
            desk.auth = (f"{zendesk.EMAIL}/token", zendesk.TOKEN)
            replay = Replay(box, desk)
        assert replay is not None
        answer = replay(recording)
        found: list[str] = []
        if answer.status_code == recording.status and recording.answer.strip():
            found = list(differences(json.loads(recording.answer), json.loads(answer.content or b"null")))
        results.append((recording, answer.status_code, [text for text in found if not _of_account(text)]))
    return results


def _of_account(difference: str) -> bool:
    return any(name in difference for name in ACCOUNT_DEPENDENT)


def test_recorded_requests_get_the_recorded_status(replayed: list[tuple[Recording, int, list[str]]]) -> None:
    wrong = [
        f"{recording.file}: {recording.name}: recorded {recording.status}, ours {status}"
        for recording, status, _ in replayed
        if status != recording.status and (case_of(recording.file), recording.path) not in NOT_OURS
    ]
    assert len(replayed) > 400
    assert wrong == []


def test_recorded_answers_have_no_key_that_ours_lack_and_no_other_type(
    replayed: list[tuple[Recording, int, list[str]]],
) -> None:
    wrong = Counter(f"{recording.name}: {text}" for recording, _, found in replayed for text in found)
    assert dict(wrong) == {}


@pytest.fixture
def account() -> Sandbox:
    return recorded(_import_file(), limits=False)


def _import_file() -> Path:
    return vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json")


def _desk(box: Sandbox) -> Any:
    zendesk: Any = connector("zendesk.sandbox")
    desk = mount(box)
    desk.auth = (f"{zendesk.EMAIL}/token", zendesk.TOKEN)
    return desk


def test_the_recorded_account_has_144_tickets_151_comments_and_142_users(account: Sandbox) -> None:
    sizes = {stream: len(rows) for stream, rows in account.store.items()}
    assert (sizes["tickets"], sizes["ticket_comments"], sizes["users"]) == (144, 151, 142)


def test_every_recorded_answer_comes_back_byte_for_byte(account: Sandbox) -> None:
    desk = _desk(account)
    seen, bodies = 0, {}
    for interaction in json.loads(_import_file().read_text("utf-8"))["interactions"]:
        text = interaction["response"]["body"].get("text")
        if text is not None and not any(
            word in interaction["request"]["uri"] for word in ("incremental", "zdusercontent")
        ):
            bodies[interaction["request"]["uri"]] = (interaction["response"]["status"]["code"], text)
    for uri, (status, text) in bodies.items():
        answer = desk.get(uri, allow_redirects=False)
        assert (answer.status_code, answer.content) == (status, text.encode()), uri
        seen += 1
    assert seen == 143 * 2 + 5 + 3  # comments and tags, five lists, three redirects


def test_recorded_attachments_arrive_whole_through_the_redirect(account: Sandbox) -> None:
    desk = _desk(account)
    picture = desk.get(f"https://{HOST}/attachments/token/4qu5hhI1bKlulyQDZ962Cd6J1/?name=paris.jpg")
    assert picture.history[0].status_code == 302
    assert len(picture.content) == 228_761
    assert hashlib.sha256(picture.content[:2]).digest() == hashlib.sha256(b"\xff\xd8").digest()
    assert account.state["leaks"] == []


def test_the_recorded_cursor_export_walks_all_tickets_verbatim(account: Sandbox) -> None:
    desk, rows = _desk(account), []
    url = f"https://{HOST}/api/v2/incremental/tickets/cursor.json?start_time=0&per_page=50"
    while True:
        body = desk.get(url).json()
        rows += body["tickets"]
        if body["end_of_stream"]:
            break
        url = body["after_url"]
    assert {row["id"]: row for row in rows} == account.store["tickets"]
    assert len(rows) == 144


def test_the_recorded_deleted_ticket_has_no_comments(account: Sandbox) -> None:
    desk = _desk(account)
    answer = desk.get(f"https://{HOST}/api/v2/tickets/73/comments.json")
    assert account.store["tickets"][73]["status"] == "deleted"
    assert (answer.status_code, answer.json()["error"]) == (404, "RecordNotFound")


def test_recorded_answers_satisfy_the_official_specification(account: Sandbox) -> None:
    spec, desk = Spec(vendor_file("zendesk/spec/openapi.yaml")), _desk(account)
    for path in ("groups", "ticket_fields", "user_fields", "organization_fields", "group_memberships", "users",
                 "incremental/tickets/cursor?start_time=0", "incremental/users/cursor?start_time=0",
                 "tickets/2/comments", "tickets/1/tags"):  # fmt: skip
        desk.get(f"https://{HOST}/api/v2/{path}")
    found = [text for exchange in account.exchanges for text in specified(spec.check_response(exchange))]
    assert [text for text in found if "'deleted' is not one of" not in text] == []  # exports do show that status
    assert len(found) == 1
