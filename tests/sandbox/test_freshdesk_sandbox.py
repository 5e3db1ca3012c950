"""Freshdesk's sandbox: its traps, its refusals, and a client that others wrote working against it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from freshdesk.api import API  # type: ignore[import-untyped]
from freshdesk.v2.errors import (  # type: ignore[import-untyped]
    FreshdeskBadRequest,
    FreshdeskRateLimited,
    FreshdeskUnauthorized,
)

from migrator.testing.sandbox import Clock, Sandbox, mount, serve
from tests.support.connectors import connector

fd = connector("freshdesk.sandbox")
Call = Callable[..., requests.Response]


def caller(box: Sandbox, base: str | None = None) -> Call:
    session = requests.Session() if base else mount(box)
    session.auth = (fd.TOKEN, "X")

    def call(method: str, path: str, **given: Any) -> requests.Response:
        return session.request(method, f"{base or box.base_url}/api/v2/{path}", **given)

    return call


@pytest.fixture
def box() -> Sandbox:
    made: Sandbox = fd.create(limits=False)
    return made


@pytest.fixture
def call(box: Sandbox) -> Call:
    return caller(box)


def ticket(**more: Any) -> dict[str, Any]:
    return {"subject": "Printer", "description": "It smokes", "email": "ann@example.com"} | more


def codes(response: requests.Response) -> set[tuple[str, str]]:
    return {(line["field"], line["code"]) for line in response.json()["errors"]}


def pages(call: Call, path: str) -> list[dict[str, Any]]:
    found, answer = [], call("GET", path)
    while True:
        assert answer.status_code == 200
        found += answer.json()
        if "next" not in answer.links:
            return found
        answer = call("GET", answer.links["next"]["url"].partition("/api/v2/")[2])


def client(box: Sandbox, token: str = fd.TOKEN) -> Any:
    api = API("acme.freshdesk.com", token)
    mount(box, session=api._session, **{"acme.freshdesk.com": box})
    return api


# lists


@pytest.mark.parametrize(("records", "asked"), [(100, 4), (101, 5), (99, 4)])
def test_following_links_gives_every_record_once(box: Sandbox, call: Call, records: int, asked: int) -> None:
    for number in range(records):
        call("POST", "contacts", json={"name": f"P{number:03}", "email": f"p{number}@example.com"})
    box.exchanges.clear()
    found = pages(call, "contacts?per_page=25")
    assert [record["name"] for record in found] == [f"P{number:03}" for number in range(records)]
    assert len(box.exchanges) == asked


@pytest.mark.parametrize("query", ["per_page=101", "per_page=0", "per_page=x", "page=0"])
def test_pages_outside_the_documented_bounds_are_refused(call: Call, query: str) -> None:
    assert call("GET", f"contacts?{query}").status_code == 400


def test_a_list_without_updated_since_hides_tickets_older_than_30_days(box: Sandbox, call: Call) -> None:
    call("POST", "tickets", json=ticket())
    box.clock.sleep(31 * 86400)
    call("POST", "tickets", json=ticket(subject="Young"))
    assert [t["subject"] for t in pages(call, "tickets")] == ["Young"]
    everything = pages(call, "tickets?updated_since=2000-01-01T00:00:00Z&order_by=updated_at&order_type=asc")
    assert [t["subject"] for t in everything] == ["Printer", "Young"]


def test_page_301_is_refused(call: Call) -> None:
    assert call("GET", "tickets?page=300&per_page=1").status_code == 200
    assert codes(call("GET", "tickets?page=301&per_page=1")) == {("page", "invalid_value")}


def test_a_list_has_descriptions_only_on_demand(call: Call) -> None:
    call("POST", "tickets", json=ticket())
    assert not {"description", "description_text"} & set(call("GET", "tickets").json()[0])
    assert call("GET", "tickets?include=description").json()[0]["description"] == "<div>It smokes</div>"


def test_embedded_conversations_stop_at_ten(call: Call) -> None:
    call("POST", "tickets", json=ticket())
    for number in range(12):
        call("POST", "tickets/1/notes", json={"body": f"note {number}"})
    assert len(call("GET", "tickets/1?include=conversations").json()["conversations"]) == 10
    bodies = [note["body_text"] for note in pages(call, "tickets/1/conversations?per_page=5")]
    assert bodies == [f"note {number}" for number in range(12)]


def test_deleted_tickets_are_listed_by_their_filter_only(call: Call) -> None:
    call("POST", "tickets", json=ticket())
    assert call("DELETE", "tickets/1").status_code == 204
    assert call("GET", "tickets").json() == []
    assert call("GET", "tickets?filter=deleted").json()[0]["deleted"] is True
    assert call("PUT", "tickets/1", json={"status": 3}).status_code == 405
    assert call("PUT", "tickets/1/restore").status_code == 204
    assert len(call("GET", "tickets").json()) == 1


def test_a_ticket_of_the_archive_is_in_no_list_and_has_an_address_of_its_own(box: Sandbox, call: Call) -> None:
    call("POST", "tickets", json=ticket())
    call("POST", "tickets/1/notes", json={"body": "note"})
    connector("freshdesk.sandbox_tickets").archive(box, 1)
    box.state["find_lag_seconds"] = 0
    assert call("GET", "tickets?updated_since=2000-01-01").json() == []
    assert call("GET", "search/tickets?query=\"created_at:>'2000-01-01'\"").json()["total"] == 0
    for path in ("tickets/1", "tickets/1/conversations", "tickets/archived/2"):
        assert call("GET", path).status_code == 404
    assert call("GET", "tickets/archived/1").json()["archived"] is True
    assert len(call("GET", "tickets/archived/1/conversations").json()) == 1


@pytest.mark.parametrize("path", ["tickets/archived/1", "surveys/satisfaction_ratings"])
def test_what_the_plan_lacks_is_refused_with_its_name(path: str) -> None:
    refused = caller(fd.create(plan="trial", limits=False))("GET", path)
    assert (refused.status_code, refused.json()["code"]) == (403, "require_feature")


def test_the_filters_of_deleted_and_spam_go_together_with_updated_since(box: Sandbox, call: Call) -> None:
    call("POST", "tickets", json=ticket())
    box.clock.sleep(40 * 86400)
    call("DELETE", "tickets/1")
    assert [t["id"] for t in call("GET", "tickets?filter=deleted&updated_since=2000-01-01").json()] == [1]
    assert call("GET", "tickets?filter=spam&updated_since=2000-01-01").json() == []


def test_a_query_parameter_the_documentation_does_not_name_is_refused(call: Call) -> None:
    assert codes(call("GET", "tickets?status=2")) == {("status", "invalid_field")}


# refusals


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"created_at": "2020-01-01T00:00:00Z"}, ("created_at", "invalid_field")),
        ({"description_html": "x"}, ("description_html", "invalid_field")),
        ({"subject": None}, ("subject", "invalid_value")),
        ({"description": " "}, ("description", "invalid_value")),
        ({"subject": "x" * 256}, ("subject", "invalid_value")),
        ({"status": 8}, ("status", "invalid_value")),
        ({"status": "2"}, ("status", "datatype_mismatch")),
        ({"priority": 5}, ("priority", "invalid_value")),
        ({"source": 5}, ("source", "invalid_value")),
        ({"type": "Grumble"}, ("type", "invalid_value")),
        ({"group_id": 1}, ("group_id", "invalid_value")),
        ({"responder_id": 1}, ("responder_id", "invalid_value")),
        ({"email": None}, ("requester_id", "missing_field")),
        ({"email": "nobody"}, ("email", "invalid_value")),
        ({"tags": "a,b"}, ("tags", "datatype_mismatch")),
        ({"tags": ["x" * 33]}, ("tags", "invalid_value")),
        ({"custom_fields": {"cf_unknown": 1}}, ("cf_unknown", "invalid_field")),
        ({"custom_fields": {"cf_size": "XXL"}}, ("cf_size", "invalid_value")),
        ({"custom_fields": {"cf_count": 1.5}}, ("cf_count", "datatype_mismatch")),
        ({"custom_fields": {"cf_count": "7"}}, ("cf_count", "datatype_mismatch")),
        ({"custom_fields": {"cf_day": "01.02.2020"}}, ("cf_day", "invalid_date")),
        ({"custom_fields": {"cf_paid": "true"}}, ("cf_paid", "datatype_mismatch")),
        ({"custom_fields": {"cf_price": "1.5"}}, ("cf_price", "datatype_mismatch")),
        ({"custom_fields": {"cf_name": "x" * 256}}, ("cf_name", "invalid_value")),
    ],
)
def test_a_ticket_with_a_wrong_field_is_refused_and_not_made(
    box: Sandbox, call: Call, change: dict[str, Any], expected: tuple[str, str]
) -> None:
    custom_fields(call)
    answer = call("POST", "tickets", json=ticket(**change))
    assert answer.status_code == 400
    assert answer.json()["description"] == "Validation failed"
    assert codes(answer) == {expected}
    assert not box.store["tickets"]
    assert not box.store["contacts"]


def custom_fields(call: Call) -> None:
    kinds = {"Count": "number", "Day": "date", "Paid": "checkbox", "Price": "decimal", "Name": "text"}
    for label, kind in kinds.items():
        field = {"label": label, "label_for_customers": label, "type": f"custom_{kind}"}
        assert call("POST", "admin/ticket_fields", json=field).status_code == 201
    choices = [{"value": "S", "position": 1}, {"value": "M", "position": 2}]
    size = {"label": "Size", "label_for_customers": "Size", "type": "custom_dropdown", "choices": choices}
    assert call("POST", "admin/ticket_fields", json=size).json()["name"] == "cf_size"


def test_custom_fields_are_read_back_with_their_types(call: Call) -> None:
    custom_fields(call)
    given = {"cf_count": 7, "cf_day": "2020-02-01", "cf_price": 1.5, "cf_name": " Ann ", "cf_size": "M"}
    call("POST", "tickets", json=ticket(custom_fields=given))
    expected = given | {"cf_name": "Ann", "cf_paid": False}
    assert call("GET", "tickets/1").json()["custom_fields"] == expected


def test_a_custom_status_is_accepted_once_the_status_field_has_it(call: Call) -> None:
    status = next(field for field in call("GET", "ticket_fields").json() if field["name"] == "status")
    assert status["choices"]["2"] == ["Open", "Being Processed"]
    call("PUT", f"admin/ticket_fields/{status['id']}", json={"choices": [{"value": "Waiting on Vendor"}]})
    assert call("POST", "tickets", json=ticket(status=6)).status_code == 201


def test_a_field_required_for_closure_stops_a_closed_ticket(call: Call) -> None:
    field = {"label": "Cause", "label_for_customers": "Cause", "type": "custom_text", "required_for_closure": True}
    call("POST", "admin/ticket_fields", json=field)
    assert codes(call("POST", "tickets", json=ticket(status=5))) == {("cf_cause", "missing_field")}
    assert call("POST", "tickets", json=ticket(status=2)).status_code == 201


def test_a_dependent_field_takes_only_values_below_the_one_above(call: Call) -> None:
    cities = [{"value": "Chennai", "position": 1, "choices": [{"value": "Porur", "position": 1}]}]
    field: dict[str, Any] = {
        "label": "Bank",
        "label_for_customers": "Bank",
        "type": "nested_field",
        "choices": [{"value": "HDFC", "position": 1, "choices": cities}, {"value": "SBI", "position": 2}],
        "dependent_fields": [{"label": "City", "level": 2}, {"label": "Branch", "level": 3}],
    }
    assert call("POST", "admin/ticket_fields", json=field).json()["ticket_field"]["name"] == "cf_bank"
    whole = {"cf_bank": "HDFC", "cf_city": "Chennai", "cf_branch": "Porur"}
    assert call("POST", "tickets", json=ticket(custom_fields=whole)).status_code == 201
    wrong = whole | {"cf_bank": "SBI"}
    assert codes(call("POST", "tickets", json=ticket(custom_fields=wrong))) == {
        ("cf_city", "invalid_value"),
        ("cf_branch", "invalid_value"),
    }


def test_a_contact_needs_a_name_and_an_identity(call: Call) -> None:
    assert codes(call("POST", "contacts", json={"name": "Ann"})) == {("email", "missing_field")}
    assert codes(call("POST", "contacts", json={"email": "a@example.com"})) == {("name", "missing_field")}
    assert call("POST", "contacts", json={"name": "Ann", "mobile": "+1"}).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ANN@example.com"),
        ("email", "second@example.com"),
        ("unique_external_id", "u1"),
        ("twitter_id", "ann"),
    ],
)
def test_a_value_that_must_be_unique_is_refused_with_its_holder(call: Call, field: str, value: str) -> None:
    first = {"name": "Ann", "email": "ann@example.com", "other_emails": ["second@example.com"]}
    id = call("POST", "contacts", json=first | {"unique_external_id": "u1", "twitter_id": "ann"}).json()["id"]
    answer = call("POST", "contacts", json={"name": "Other", field: value})
    assert answer.status_code == 409
    line = answer.json()["errors"][0]
    assert (line["field"], line["code"], line["additional_info"]) == (field, "duplicate_value", {"user_id": id})


def test_an_agents_address_is_taken_for_contacts(box: Sandbox, call: Call) -> None:
    assert call("POST", "contacts", json={"name": "X", "email": f"admin@{box.host}"}).status_code == 409


def test_a_seeded_address_is_taken_in_any_case(box: Sandbox, call: Call) -> None:
    seeded = call("POST", "contacts", json={"name": "A", "email": "a@example.com"}).json()
    fd.seed(box, "contacts", [seeded | {"id": 5, "email": "Bea@Example.com"}])
    assert call("POST", "contacts", json={"name": "B", "email": "bea@example.com"}).status_code == 409


def test_names_are_trimmed_and_addresses_lowered(call: Call) -> None:
    made = call("POST", "contacts", json={"name": "  Ann ", "email": "Ann@Example.COM"}).json()
    assert (made["name"], made["email"]) == ("Ann", "ann@example.com")


def test_a_contact_joins_the_company_of_its_domain(call: Call) -> None:
    company = call("POST", "companies", json={"name": "Acme", "domains": ["acme.com"]}).json()
    assert call("POST", "contacts", json={"name": "A", "email": "a@acme.com"}).json()["company_id"] == company["id"]
    for twin in ({"name": " acme"}, {"name": "Other", "domains": ["acme.com"]}):
        assert call("POST", "companies", json=twin).status_code == 409


def test_a_deleted_contact_is_hidden_locked_and_can_be_restored(call: Call) -> None:
    id = call("POST", "contacts", json={"name": "A", "email": "a@example.com"}).json()["id"]
    assert call("DELETE", f"contacts/{id}").status_code == 204
    assert call("GET", "contacts").json() == []
    assert [c["id"] for c in call("GET", "contacts?state=deleted").json()] == [id]
    assert call("PUT", f"contacts/{id}", json={"name": "B"}).status_code == 405
    assert call("PUT", f"contacts/{id}/restore").status_code == 204
    assert call("DELETE", f"contacts/{id}/hard_delete").status_code == 400
    assert call("DELETE", f"contacts/{id}/hard_delete?force=true").status_code == 204
    assert call("GET", f"contacts/{id}").status_code == 404


def test_an_agent_comes_from_a_contact_and_goes_back(call: Call) -> None:
    id = call("POST", "contacts", json={"name": "A", "email": "a@example.com"}).json()["id"]
    agent = {"email": "a@example.com", "ticket_scope": 1}
    assert call("POST", "agents", json=agent).status_code == 409
    assert call("PUT", f"contacts/{id}/make_agent", json={}).json()["agent"]["id"] == id
    group = call("POST", "groups", json={"name": "Sales", "agent_ids": [id]}).json()
    assert call("GET", f"agents/{id}").json()["group_ids"] == [group["id"]]
    assert call("POST", "groups", json={"name": "sales"}).status_code == 409
    assert call("DELETE", f"agents/{id}").status_code == 204
    assert call("GET", f"contacts/{id}").json()["email"] == "a@example.com"


def test_merged_contacts_leave_one_that_search_finds(box: Sandbox, call: Call) -> None:
    box.state["find_lag_seconds"] = 0
    one, two = (call("POST", "contacts", json={"name": n, "email": f"{n}@example.com"}).json()["id"] for n in "ab")
    call("POST", "tickets", json=ticket(email=None, requester_id=two))
    contact = {"email": "a@example.com", "other_emails": ["b@example.com"]}
    merge = {"primary_contact_id": one, "secondary_contact_ids": [two], "contact": contact}
    assert call("POST", "contacts/merge", json=merge).status_code == 204
    assert call("GET", "tickets/1").json()["requester_id"] == one
    assert call("GET", 'search/contacts?query="active:false"').json()["total"] == 1
    assert call("POST", "contacts", json={"name": "b", "email": "b@example.com"}).status_code == 409


def test_a_refused_ticket_leaves_no_new_requester(box: Sandbox, call: Call) -> None:
    company = call("POST", "companies", json={"name": "Acme"}).json()["id"]
    assert codes(call("POST", "tickets", json=ticket(company_id=company))) == {("company_id", "invalid_value")}
    assert codes(call("POST", "tickets", json=ticket(email=None, phone="+1"))) == {("name", "missing_field")}
    assert codes(call("POST", "tickets", json=ticket(email=None, facebook_id="f"))) == {
        ("facebook_id", "invalid_value")
    }
    assert not box.store["contacts"]


def test_without_administrators_scope_configuration_is_denied(box: Sandbox, call: Call) -> None:
    box.state["scope"] = "agent"
    for method, path in [
        ("GET", "agents"),
        ("GET", "admin/ticket_fields"),
        ("POST", "admin/ticket_fields"),
        ("POST", "groups"),
        ("POST", "agents"),
        ("POST", "contact_fields"),
    ]:
        answer = call(method, path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "access_denied")
    assert call("GET", "agents/me").status_code == 200
    assert call("GET", "ticket_fields").status_code == 200
    assert call("POST", "tickets", json=ticket()).status_code == 201


def test_bodies_that_are_not_json_are_refused(call: Call) -> None:
    broken = call("POST", "tickets", data="{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_json")
    assert call("POST", "tickets", data="<a/>", headers={"Content-Type": "application/xml"}).status_code == 415


# conversations, files, mails


def test_a_note_is_private_by_default_may_have_any_author_and_sends_no_mail(box: Sandbox, call: Call) -> None:
    author = call("POST", "tickets", json=ticket()).json()["requester_id"]
    private = call("POST", "tickets/1/notes", json={"body": "seen"}).json()
    public = call("POST", "tickets/1/notes", json={"body": "<b>x</b>", "private": False, "user_id": author}).json()
    assert (private["private"], public["private"], public["user_id"]) == (True, False, author)
    assert public["body"] == "<div><b>x</b></div>"
    assert codes(call("POST", "tickets/1/notes", json={"body": "x", "user_id": 1})) == {("user_id", "invalid_value")}
    dated = call("POST", "tickets/1/notes", json={"body": "x", "created_at": "2020-01-01T00:00:00Z"})
    assert codes(dated) == {("created_at", "invalid_field")}
    assert box.state["mails"] == []


def test_a_reply_sends_the_requester_a_mail_and_cannot_be_changed(box: Sandbox, call: Call) -> None:
    call("POST", "tickets", json=ticket())
    reply = call("POST", "tickets/1/reply", json={"body": "Hello"}).json()
    assert [mail["to"] for mail in box.state["mails"]] == [["ann@example.com"]]
    assert call("PUT", f"conversations/{reply['id']}", json={"body": "y"}).status_code == 405


def test_a_public_incoming_note_reopens_a_closed_ticket(call: Call) -> None:
    call("POST", "tickets", json=ticket(status=5))
    call("POST", "tickets/1/notes", json={"body": "still broken", "incoming": True, "private": False})
    assert call("GET", "tickets/1").json()["status"] == 2


def test_html_is_wrapped_and_cleaned(call: Call) -> None:
    html = '<p onclick="x()" data-x="1" class="c">Hi<br>there<script>alert(1)</script></p>'
    made = call("POST", "tickets", json=ticket(description=html)).json()
    assert made["description"] == '<div><p class="c">Hi<br>there</p></div>'
    assert made["description_text"] == "Hi\nthere"


def test_multipart_carries_files_custom_fields_and_lists(box: Sandbox, call: Call) -> None:
    custom_fields(call)
    form = {"subject": "s", "description": "d", "email": "a@example.com", "status": "3", "tags[]": ["x", "y"]}
    form |= {"custom_fields[cf_count]": "7", "custom_fields[cf_paid]": "true"}
    files = [("attachments[]", ("ä.txt", b"one", "text/plain")), ("attachments[]", ("b.bin", b"two!", None))]
    made = call("POST", "tickets", data=form, files=files)
    assert made.status_code == 201
    record = made.json()
    assert (record["status"], record["tags"]) == (3, ["x", "y"])
    assert (record["custom_fields"]["cf_count"], record["custom_fields"]["cf_paid"]) == (7, True)
    assert [(file["name"], file["size"]) for file in record["attachments"]] == [("ä.txt", 3), ("b.bin", 4)]
    note = call("POST", "tickets/1/notes", data={"body": "n", "private": "false"}, files=files[:1]).json()
    assert (note["private"], note["attachments"][0]["content_type"]) == (False, "text/plain")


def test_all_files_of_a_ticket_together_may_have_20_megabytes(box: Sandbox, call: Call) -> None:
    box.keep_bodies = False
    big = [("attachments[]", ("big", b"x" * (11 * 1024 * 1024), "text/plain"))]
    assert call("POST", "tickets", data=ticket(), files=big).status_code == 201
    assert codes(call("POST", "tickets/1/notes", data={"body": "n"}, files=big)) == {("attachments", "invalid_size")}
    assert call("GET", "tickets/1/conversations").json() == []


def test_files_lie_on_a_foreign_host_that_notes_a_leaked_token(box: Sandbox, call: Call) -> None:
    call("POST", "tickets", data=ticket(), files=[("attachments[]", ("a b.txt", b"one", "text/plain"))])
    url = call("GET", "tickets/1").json()["attachments"][0]["attachment_url"]
    assert mount(box).get(url).content == b"one"
    assert box.state["leaks"] == []
    assert mount(box).get(url, auth=(fd.TOKEN, "X")).status_code == 400
    assert len(box.state["leaks"]) == 1


def test_over_a_socket_files_are_reached_through_content_base(box: Sandbox) -> None:
    (storage,) = box.state["hosts"].values()
    with serve(box) as base, serve(storage) as content:
        box.state["content_base"] = content
        call = caller(box, base)
        call("POST", "tickets", data=ticket(), files=[("attachments[]", ("a.txt", b"one", "text/plain"))])
        url = call("GET", "tickets/1").json()["attachments"][0]["attachment_url"]
        assert url.startswith(content)
        assert requests.get(url, timeout=5).content == b"one"


def test_seeded_records_may_carry_files(box: Sandbox, call: Call) -> None:
    call("POST", "tickets", json=ticket())
    seeded = call("GET", "tickets/1").json() | {"id": 9, "attachments": [fd.attach(box, "a.txt", b"abc", "text/plain")]}
    fd.seed(box, "tickets", [seeded])
    url = call("GET", "tickets/9").json()["attachments"][0]["attachment_url"]
    assert mount(box).get(url).content == b"abc"
    assert call("POST", "tickets", json=ticket()).json()["id"] == 10


def test_a_rating_follows_the_active_survey(call: Call) -> None:
    call("POST", "tickets", json=ticket())
    wrong = call("POST", "tickets/1/satisfaction_ratings", json={"ratings": {"default_question": 7}})
    assert codes(wrong) == {("default_question", "invalid_value")}
    made = call("POST", "tickets/1/satisfaction_ratings", json={"ratings": {"default_question": 103}, "feedback": "+"})
    assert made.status_code == 201
    assert pages(call, "surveys/satisfaction_ratings?created_since=2020-01-01T00:00:00Z") == [made.json()]
    assert call("GET", "surveys/satisfaction_ratings?created_since=2030-01-01T00:00:00Z").json() == []


def test_bulk_jobs_change_and_delete_in_the_background(call: Call) -> None:
    for _ in range(3):
        call("POST", "tickets", json=ticket())
    action = {"bulk_action": {"ids": [1, 2], "properties": {"status": 4}}}
    job = call("POST", "tickets/bulk_update", json=action)
    assert job.status_code == 202
    assert call("GET", f"jobs/{job.json()['job_id']}").json()["status"] == "IN PROGRESS"
    assert call("GET", f"jobs/{job.json()['job_id']}").json()["status"] == "COMPLETED"
    call("POST", "tickets/bulk_delete", json={"bulk_action": {"ids": [3]}})
    assert {t["id"]: t["status"] for t in pages(call, "tickets")} == {1: 4, 2: 4}


# search


def test_search_finds_a_record_only_after_the_lag(box: Sandbox, call: Call) -> None:
    call("POST", "tickets", json=ticket(tags=["vip"], type="Question"))
    query = "search/tickets?query=\"(tag:'vip' OR priority:>3) AND type:'question' AND agent_id:null\""
    assert call("GET", query).json() == {"results": [], "total": 0}
    box.clock.sleep(box.state["find_lag_seconds"])
    assert call("GET", query).json()["total"] == 1
    call("PUT", "tickets/1", json={"tags": []})
    assert call("GET", query).json()["total"] == 1
    box.clock.sleep(box.state["find_lag_seconds"])
    assert call("GET", query).json()["total"] == 0


def test_search_stops_at_page_ten_of_thirty(box: Sandbox, call: Call) -> None:
    box.state["find_lag_seconds"] = 0
    call("POST", "contacts", json={"name": "A", "email": "a@example.com"})
    found = call("GET", "search/contacts?query=\"email:'a@example.com'\"").json()
    assert found["total"] == 1
    assert call("GET", 'search/contacts?query="active:false"&page=11').status_code == 400


@pytest.mark.parametrize("query", ["status:2", '"colour:1"', '"status:2 AND"', '"(status:2"', f'"{"x" * 520}"'])
def test_a_query_outside_the_language_is_refused(call: Call, query: str) -> None:
    assert call("GET", "search/tickets", params={"query": query}).status_code == 400


# rate limits and credentials


def test_the_account_limit_is_refused_with_the_time_to_wait() -> None:
    box = fd.create(plan="trial")
    call = caller(box)
    assert call("GET", "agents/me").headers["X-RateLimit-Total"] == "50.0"
    for _ in range(49):
        assert call("GET", "nothing").status_code == 404  # invalid calls count
    refused = call("GET", "agents/me")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert "limit" in refused.json()["message"]
    box.clock.sleep(60)
    assert call("GET", "agents/me").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "most"), [("GET", "tickets", 20), ("GET", "contacts", 20), ("POST", "tickets", 80)]
)
def test_some_endpoints_have_limits_of_their_own(method: str, path: str, most: int) -> None:
    box = fd.create(plan="growth")
    call = caller(box)
    for left in reversed(range(most)):
        answer = call(method, path, json={} if method == "POST" else None)
        assert answer.status_code != 429
        assert (answer.headers["X-RateLimit-Total"], answer.headers["X-RateLimit-Remaining"]) == (
            f"{most}.0",
            str(left),
        )
    assert call(method, path).status_code == 429
    assert call("GET", "agents/me").status_code == 200


def test_embeds_cost_credits() -> None:
    call = caller(fd.create())
    assert call("GET", "tickets?include=stats,requester").headers["X-RateLimit-Used-CurrentRequest"] == "5"
    assert call("GET", "agents/me").headers["X-RateLimit-Remaining"] == str(700 - 5 - 1)


def test_limits_can_be_turned_off() -> None:
    call = caller(fd.create(plan="trial", limits=False))
    assert {call("GET", "agents/me").status_code for _ in range(60)} == {200}


def test_a_wrong_token_is_refused(box: Sandbox) -> None:
    answer = mount(box).get(f"{box.base_url}/api/v2/agents/me", auth=("wrong", "X"))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")


def test_an_ordered_fault_reaches_the_client(box: Sandbox, call: Call) -> None:
    box.fault("unanswered", matching="POST /api/v2/tickets")
    with pytest.raises(requests.ConnectionError):
        call("POST", "tickets", json=ticket())
    assert call("GET", "tickets").json()[0]["subject"] == "Printer"


# python-freshdesk (PyPI), which knows nothing of this project


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the client leaves the files it sends open
def test_python_freshdesk_writes_and_reads_tickets_with_files(box: Sandbox, call: Call, tmp_path: Path) -> None:
    custom_fields(call)
    api, path = client(box), tmp_path / "note.txt"
    path.write_text("hello")
    made = api.tickets.create_ticket(
        "Help", email="ann@example.com", description="broken", tags=["a"], custom_fields={"cf_count": 3},
        attachments=[str(path)],
    )  # fmt: skip
    read = api.tickets.get_ticket(made.id, "requester", "stats")
    assert (read.subject, read.status, read.priority, read.source) == ("Help", "open", "low", "portal")
    assert (read.custom_fields["cf_count"], read.attachments[0]["name"], read.tags) == (3, "note.txt", ["a"])
    assert read.requester["email"] == "ann@example.com"
    api.comments.create_note(made.id, "private note")
    api.comments.create_reply(made.id, "public answer")
    assert [(str(c), c.source) for c in api.comments.list_comments(made.id)] == [
        ("private note", "note"),
        ("public answer", "reply"),
    ]
    assert api.tickets.update_ticket(made.id, status=4).status == "resolved"
    api.tickets.delete_ticket(made.id)
    assert [t.id for t in api.tickets.list_deleted_tickets()] == [made.id]
    gc.collect()


def test_python_freshdesk_pages_people_companies_and_search(box: Sandbox) -> None:
    box.state["find_lag_seconds"] = 0
    api = client(box)
    company = api.companies.create_company(name="Acme", domains=["acme.com"])
    ids = {api.contacts.create_contact(name=f"N{n}", email=f"n{n}@acme.com").id for n in range(205)}
    assert {contact.id for contact in api.contacts.list_contacts()} == ids
    assert [c.name for c in api.contacts.filter_contacts("email:'n7@acme.com'")] == ["N7"]
    assert [c.id for c in api.companies.list_companies()] == [company.id]
    for _ in range(32):
        api.tickets.create_ticket("S", description="d", email="n7@acme.com", priority=4)
    assert len(api.tickets.filter_tickets("priority:4")) == 32
    assert len(api.tickets.list_tickets(filter_name=None, updated_since="2020-01-01T00:00:00Z")) == 32
    agent = api.contacts.make_agent(min(ids))
    assert agent.ticket_scope == 2
    assert {str(a) for a in api.agents.list_agents()} == {"N0", "Sandbox Admin"}
    assert api.agents.currently_authenticated_agent().contact["name"] == "Sandbox Admin"
    assert {field.name for field in api.ticket_fields.list_ticket_fields()} >= {"requester", "subject", "status"}
    assert str(api.roles.list_roles()[0]) == "Account Administrator"
    assert api.groups.list_groups() == []


def test_python_freshdesk_names_refusals(box: Sandbox) -> None:
    with pytest.raises(FreshdeskBadRequest, match="missing_field"):
        client(box).tickets.create_ticket("Help")
    with pytest.raises(FreshdeskUnauthorized):
        client(box, "wrong").agents.currently_authenticated_agent()
    api = client(fd.create(plan="trial", clock=Clock()))
    with pytest.raises(FreshdeskRateLimited):  # noqa: PT012 - the fifty-first call is refused
        for _ in range(51):
            api.agents.currently_authenticated_agent()
