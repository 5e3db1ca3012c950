"""Zendesk's sandbox: what the vendor does, as facts.yaml lists it, and that zenpy and the specification agree."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import yaml

from migrator.testing.sandbox import Clock, Sandbox, mount, serve
from tests.support.openapi import Spec, specified
from tests.support.vendor_data import ROOT, folder

Get = Callable[..., Any]


@pytest.fixture
def get(box: Sandbox, desk: requests.Session) -> Get:
    """Return ``get("users?role=agent")`` -> the JSON answered with status 200."""

    def ask(path: str, status: int = 200) -> Any:
        answer = desk.get(path if path.startswith("http") else f"{box.base_url}/api/v2/{path}")
        assert answer.status_code == status, answer.text
        return answer.json()

    return ask


@pytest.fixture
def post(box: Sandbox, desk: requests.Session) -> Get:
    """Return ``post("users", {...})`` -> the JSON answered with the status expected."""

    def send(path: str, body: Any, status: int = 201) -> Any:
        answer = desk.post(f"{box.base_url}/api/v2/{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    return send


def _tickets(box: Sandbox, zendesk: Any, count: int, *, second: int = 1) -> None:
    """Seed tickets one ``second`` apart from 2026-01-01 on, each with a comment."""
    for number in range(1, count + 1):
        stamp = 1_767_225_600 + number * second
        ticket = {"id": number, "subject": f"ticket {number}", "status": "open", "generated_timestamp": stamp}
        ticket |= {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "tags": ["all"]}
        zendesk.seed(box, "tickets", [ticket])
        comment = {"id": 10_000 + number * 10, "audit_id": 10_001 + number * 10, "body": f"body {number}"}
        comment |= {"created_at": "2026-01-01T00:00:00Z", "public": True, "attachments": [], "author_id": 1}
        zendesk.seed(box, "ticket_comments", [{"ticket_id": number, "comment": comment}])


def _walk(get: Get, path: str, name: str) -> Iterator[list[Any]]:
    while True:
        body = get(path)
        yield body[name]
        if body["end_of_stream"]:
            return
        path = body.get("after_url") or body["next_page"]


# --- who may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["basic", "bearer"])
def test_token_and_bearer_are_accepted(zendesk: Any, box: Sandbox, way: str) -> None:
    basic = base64.b64encode(f"{zendesk.EMAIL}/token:{zendesk.TOKEN}".encode()).decode()
    header = f"Basic {basic}" if way == "basic" else f"Bearer {zendesk.TOKEN}"
    answer = mount(box).get(f"{box.base_url}/api/v2/groups", headers={"Authorization": header})
    assert answer.status_code == 200


def test_a_wrong_token_is_refused_and_nobody_is_anonymous_at_users_me(box: Sandbox) -> None:
    session = mount(box)
    wrong = session.get(f"{box.base_url}/api/v2/groups", auth=("a@b.c/token", "wrong"))
    nobody = session.get(f"{box.base_url}/api/v2/users/me.json")
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Couldn't authenticate you"})
    assert (nobody.status_code, nobody.json()["user"]["id"]) == (200, None)


@pytest.mark.parametrize("path", ["incremental/tickets/cursor?start_time=0", "incremental/ticket_events?start_time=0"])
def test_an_agent_may_not_export(box: Sandbox, get: Get, path: str) -> None:
    box.state["role"] = "agent"
    assert get(path, 403)["error"]["title"] == "Forbidden"


def test_an_unknown_endpoint_is_told_from_an_unknown_record(get: Get) -> None:
    assert get("nothing_here", 404)["error"] == "InvalidEndpoint"
    assert get("tickets/99", 404)["error"] == "RecordNotFound"


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_eleventh_export_in_a_minute_gets_429_with_retry_after(box: Sandbox, desk: requests.Session) -> None:
    url = f"{box.base_url}/api/v2/incremental/users/cursor.json?start_time=0"
    first = [desk.get(url) for _ in range(10)]
    refused = desk.get(url)
    assert {answer.status_code for answer in first} == {200}
    assert first[0].headers["zendesk-ratelimit-incremental-exports"].startswith("total=10; remaining=9")
    assert (refused.status_code, refused.json()["error"]) == (429, "APIRateLimitExceeded")
    box.clock.sleep(float(refused.headers["Retry-After"]))
    assert desk.get(url).status_code == 200


@pytest.mark.parametrize(("plan", "calls"), [("team", 200), ("professional", 400), ("enterprise", 700)])
def test_the_plan_sets_the_calls_per_minute(zendesk: Any, plan: str, calls: int) -> None:
    box = zendesk.furnish(zendesk.create(plan=plan))
    desk = mount(box)
    desk.auth = (f"{zendesk.EMAIL}/token", zendesk.TOKEN)
    box.quotas[-1].calls = [box.clock.monotonic()] * (calls - 1)
    last, refused = (desk.get(f"{box.base_url}/api/v2/groups") for _ in range(2))
    assert (last.status_code, last.headers["X-Rate-Limit-Remaining"]) == (200, "0")
    assert (refused.status_code, refused.headers["Content-Type"].split(";")[0]) == (429, "text/plain")
    assert len(refused.content) == 50  # as seen live: no JSON


def test_limits_can_be_turned_off(zendesk: Any) -> None:
    box = zendesk.furnish(zendesk.create(limits=False))
    desk = mount(box)
    desk.auth = (f"{zendesk.EMAIL}/token", zendesk.TOKEN)
    url = f"{box.base_url}/api/v2/incremental/users/cursor.json?start_time=0"
    assert {desk.get(url).status_code for _ in range(12)} == {200}


# --- lists -----------------------------------------------------------------------------------------------------------


def test_offset_paging_ends_at_page_100(box: Sandbox, zendesk: Any, get: Get) -> None:
    zendesk.seed(box, "organizations", [{"id": number, "name": f"o{number}"} for number in range(1, 10_051)])
    assert get("organizations?page=100")["next_page"].endswith("page=101")
    assert get("organizations?page=101", 400)["errors"][0]["code"] == "InvalidPaginationDepth"
    assert get("organizations?page=1001&per_page=10", 400)["errors"][0]["code"] == "InvalidPaginationDepth"


def test_per_page_is_capped_and_page_size_refused_above_100(box: Sandbox, zendesk: Any, get: Get) -> None:
    zendesk.seed(box, "organizations", [{"id": number, "name": f"o{number}"} for number in range(1, 150)])
    assert len(get("organizations?per_page=1000")["organizations"]) == 100
    assert get("organizations?page[size]=101", 400)["errors"][0]["code"] == "InvalidPaginationParameter"


def test_cursor_paging_has_a_next_link_on_the_last_page_too(box: Sandbox, zendesk: Any, get: Get) -> None:
    zendesk.seed(box, "organizations", [{"id": number, "name": f"o{number}"} for number in range(1, 151)])
    first = get("organizations?page[size]=100")
    last = get(first["links"]["next"])
    beyond = get(last["links"]["next"])
    assert [len(body["organizations"]) for body in (first, last, beyond)] == [100, 50, 0]
    assert [body["meta"]["has_more"] for body in (first, last, beyond)] == [True, False, False]
    assert (last["links"]["next"] is not None, beyond["links"]["next"]) == (True, None)


def test_lists_leave_out_deleted_and_archived_tickets(box: Sandbox, zendesk: Any, get: Get) -> None:
    _tickets(box, zendesk, 3)
    box.store["tickets"][1]["status"] = "deleted"
    box.store["tickets"][2]["status"] = "closed"  # and untouched for more than 120 days
    assert [ticket["id"] for ticket in get("tickets")["tickets"]] == [3]
    assert get("tickets/2")["ticket"]["id"] == 2
    assert [ticket["id"] for ticket in get("tickets/show_many?ids=1,2,3")["tickets"]] == [2, 3]


def test_an_include_brings_the_users_of_tickets(post: Get, get: Get) -> None:
    user = post("users", {"user": {"name": "Ann", "email": "ann@a.example"}})["user"]
    post("imports/tickets", {"ticket": {"requester_id": user["id"], "comments": [{"value": "hi"}]}})
    body = get("tickets?include=users,comment_count")
    assert user["id"] in [row["id"] for row in body["users"]]
    assert body["tickets"][0]["comment_count"] == 1


# --- exports ---------------------------------------------------------------------------------------------------------


def test_the_cursor_export_walks_every_ticket_once(box: Sandbox, zendesk: Any, get: Get) -> None:
    _tickets(box, zendesk, 25)
    box.store["tickets"][7]["status"] = "deleted"
    pages = list(_walk(get, "incremental/tickets/cursor.json?start_time=0&per_page=10", "tickets"))
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [ticket["id"] for page in pages for ticket in page] == list(range(1, 26))
    assert len(get("incremental/tickets/cursor?start_time=0&exclude_deleted=true")["tickets"]) == 24


def test_the_cursor_export_survives_one_second_with_more_tickets_than_a_page(
    box: Sandbox, zendesk: Any, get: Get
) -> None:
    _tickets(box, zendesk, 12, second=0)
    pages = list(_walk(get, "incremental/tickets/cursor.json?start_time=0&per_page=5", "tickets"))
    assert [ticket["id"] for page in pages for ticket in page] == list(range(1, 13))


def test_a_time_based_export_repeats_the_last_record_on_the_next_page(box: Sandbox, zendesk: Any, get: Get) -> None:
    _tickets(box, zendesk, 5)
    pages = list(_walk(get, "incremental/tickets?start_time=0&per_page=3", "tickets"))
    assert [[ticket["id"] for ticket in page] for page in pages] == [[1, 2, 3], [3, 4, 5]]


def test_a_time_based_export_of_one_second_is_one_page_and_ends(box: Sandbox, zendesk: Any, get: Get) -> None:
    _tickets(box, zendesk, 5, second=0)
    pages = list(_walk(get, "incremental/tickets?start_time=0&per_page=3", "tickets"))
    assert [len(page) for page in pages] == [5]


def test_exports_leave_out_the_last_minute(box: Sandbox, post: Get, get: Get) -> None:
    post("tickets", {"ticket": {"subject": "new", "comment": {"body": "hi"}}})
    assert get("incremental/tickets/cursor?start_time=0")["tickets"] == []
    box.clock.sleep(61)
    assert len(get("incremental/tickets/cursor?start_time=0")["tickets"]) == 1


def test_a_start_time_within_the_last_minute_is_refused(box: Sandbox, get: Get) -> None:
    now = int(box.clock.now().timestamp())
    assert get(f"incremental/tickets/cursor?start_time={now - 30}", 400)["error"] == "StartTimeTooRecent"


def test_ticket_events_carry_comments_only_with_the_side_load(box: Sandbox, zendesk: Any, get: Get) -> None:
    _tickets(box, zendesk, 3)
    bare = get("incremental/ticket_events?start_time=0")["ticket_events"]
    full = get("incremental/ticket_events?start_time=0&include=comment_events")["ticket_events"]
    assert "body" not in bare[0]["child_events"][0]
    assert bare[0]["child_events"][0]["comment_present"] is True
    found = {
        event["ticket_id"]: [child["body"] for child in event["child_events"] if child.get("type") == "Comment"]
        for event in full
        if event["updater_id"] != -1
    }
    assert found == {1: ["body 1"], 2: ["body 2"], 3: ["body 3"]}


# --- comments and files ----------------------------------------------------------------------------------------------


def _import_with_file(post: Get, desk: requests.Session, box: Sandbox, query: str = "") -> Any:
    token = desk.post(
        f"{box.base_url}/api/v2/uploads.json?filename=a%20b.txt{query}",
        data=b"hello",
        headers={"Content-Type": "text/plain"},
    ).json()["upload"]["token"]
    return post("imports/tickets", {"ticket": {"comments": [{"value": "hi", "uploads": [token]}]}})["ticket"]


def test_inline_files_appear_only_when_asked_for(box: Sandbox, post: Get, get: Get, desk: requests.Session) -> None:
    ticket = _import_with_file(post, desk, box, "&inline=true")
    path = f"tickets/{ticket['id']}/comments"
    assert get(path)["comments"][0]["attachments"] == []
    assert len(get(f"{path}?include_inline_images=true")["comments"][0]["attachments"]) == 1


def test_an_attachment_is_redirected_to_a_foreign_host(
    box: Sandbox, post: Get, get: Get, desk: requests.Session, zendesk: Any
) -> None:
    ticket = _import_with_file(post, desk, box)
    file = get(f"tickets/{ticket['id']}/comments")["comments"][0]["attachments"][0]
    answer = desk.get(file["content_url"])
    assert answer.history[0].status_code == 302
    assert answer.url.split("/")[2] == zendesk.CONTENT_HOST
    assert (answer.content, answer.headers["Content-Type"].split(";")[0]) == (b"hello", "text/plain")
    assert box.state["leaks"] == []


def test_credentials_sent_to_the_foreign_host_are_noted_and_refused(
    box: Sandbox, post: Get, get: Get, desk: requests.Session
) -> None:
    ticket = _import_with_file(post, desk, box)
    file = get(f"tickets/{ticket['id']}/comments")["comments"][0]["attachments"][0]
    where = desk.get(file["content_url"], allow_redirects=False).headers["Location"]
    assert desk.get(where).status_code == 400  # this session adds its credentials to every host
    assert [leak["header"] for leak in box.state["leaks"]] == ["Authorization"]


def test_files_are_served_over_a_socket_too(zendesk: Any) -> None:
    box = zendesk.furnish(zendesk.create(clock=Clock()))
    with serve(box) as address, serve(box.state["content"]) as content, requests.Session() as desk:
        box.state["content_base"] = content
        desk.auth = (f"{zendesk.EMAIL}/token", zendesk.TOKEN)
        made = desk.post(f"{address}/api/v2/uploads.json?filename=x.csv", data=b"a;b").json()["upload"]["attachment"]
        assert made["content_url"].startswith(address)
        assert requests.get(made["content_url"], timeout=5).content == b"a;b"


def test_an_upload_token_is_good_for_one_hour_and_one_use(box: Sandbox, post: Get, desk: requests.Session) -> None:
    tokens = [
        desk.post(f"{box.base_url}/api/v2/uploads?filename=a.txt", data=b"x").json()["upload"]["token"] for _ in "ab"
    ]
    body = {"ticket": {"comments": [{"value": "hi", "uploads": [tokens[0]]}]}}
    post("imports/tickets", body)
    assert "uploads" in post("imports/tickets", body, 422)["details"]
    box.clock.sleep(3_601)
    body["ticket"]["comments"][0]["uploads"] = [tokens[1]]
    assert "uploads" in post("imports/tickets", body, 422)["details"]


# --- writing ---------------------------------------------------------------------------------------------------------


def test_an_import_keeps_dates_authors_and_status_and_drops_unknown_keys(post: Get, get: Get) -> None:
    user = post("users", {"user": {"name": "Ann", "email": "Ann@A.example", "colour": "red"}})["user"]
    comments = [
        {"author_id": user["id"], "value": "first", "created_at": "2019-01-02T03:04:05+01:00"},
        {"author_id": user["id"], "html_body": "<b>2</b>", "public": False, "created_at": "2019-02-01T00:00:00Z"},
    ]
    given = {"requester_id": user["id"], "status": "closed", "created_at": "2019-01-02T03:04:05+01:00"}
    given |= {"comments": comments, "colour": "red", "updated_at": "2019-03-01T00:00:00Z"}
    ticket = post("imports/tickets", {"ticket": given})["ticket"]
    kept = get(f"tickets/{ticket['id']}/comments")["comments"]
    assert (ticket["status"], ticket["created_at"]) == ("closed", "2019-01-02T02:04:05Z")
    assert ticket["updated_at"] == "2019-03-01T00:00:00Z"
    assert [(row["author_id"], row["created_at"], row["public"]) for row in kept] == [
        (user["id"], "2019-01-02T02:04:05Z", True),
        (user["id"], "2019-02-01T00:00:00Z", False),
    ]
    assert "colour" not in ticket
    assert (user["email"], "colour" in user) == ("ann@a.example", False)


def test_an_ordinary_ticket_drops_dates_and_comments_of_the_past(post: Get, get: Get) -> None:
    given = {"subject": "x", "comment": {"body": "hi"}, "created_at": "2019-01-01T00:00:00Z"}
    ticket = post("tickets", {"ticket": given})["ticket"]
    assert ticket["created_at"] == "2026-11-01T00:00:00Z"
    assert len(get(f"tickets/{ticket['id']}/comments")["comments"]) == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("users", {"user": {"email": "x@y.example"}}, "name"),
        ("users", {"user": {"name": "x", "email": "no address"}}, "email"),
        ("users", {"user": {"name": "x", "role": "king"}}, "role"),
        ("users", {"user": {"name": "x", "organization_id": 5}}, "organization"),
        ("organizations", {"organization": {"name": " "}}, "name"),
        ("groups", {"group": {"description": "x"}}, "name"),
        ("group_memberships", {"group_membership": {"user_id": 1, "group_id": 2}}, "user"),
        ("ticket_fields", {"ticket_field": {"title": "x", "type": "tagger"}}, "custom_field_options"),
        ("ticket_fields", {"ticket_field": {"type": "text"}}, "title"),
        ("user_fields", {"user_field": {"title": "x", "type": "text"}}, "key"),
        ("tickets", {"ticket": {"subject": "x"}}, "comment"),
        ("imports/tickets", {"ticket": {"requester_id": 5, "comments": [{"value": "x"}]}}, "requester"),
        ("imports/tickets", {"ticket": {"status": "deleted", "comments": [{"value": "x"}]}}, "status"),
        ("imports/tickets", {"ticket": {"comments": [{"value": "x", "author_id": 5}]}}, "author"),
        ("imports/tickets", {"ticket": {"comments": [{"value": "x" * 65_536}]}}, "comment"),
        ("imports/tickets", {"ticket": {"comments": [{"value": "x"}] * 5_001}}, "base"),
    ],
)
def test_invalid_records_are_refused_with_422_and_the_field(post: Get, path: str, body: Any, field: str) -> None:
    refusal = post(path, body, 422)
    assert (refusal["error"], list(refusal["details"])) == ("RecordInvalid", [field])


def test_an_e_mail_is_used_once_and_create_or_update_finds_it(post: Get) -> None:
    first = post("users", {"user": {"name": "Ann", "email": "ann@a.example"}})["user"]
    assert post("users", {"user": {"name": "B", "email": "ANN@a.example"}}, 422)["details"]["email"]
    again = post("users/create_or_update", {"user": {"name": "Anna", "email": "ann@a.example"}}, 200)["user"]
    assert (again["id"], again["name"]) == (first["id"], "Anna")


def test_a_closed_ticket_refuses_every_change(post: Get, desk: requests.Session, box: Sandbox) -> None:
    ticket = post("imports/tickets", {"ticket": {"status": "closed", "comments": [{"value": "x"}]}})["ticket"]
    answer = desk.put(f"{box.base_url}/api/v2/tickets/{ticket['id']}", json={"ticket": {"tags": ["a"]}})
    assert (answer.status_code, list(answer.json()["details"])) == (422, ["status"])


def test_a_deleted_ticket_stays_in_the_export(box: Sandbox, post: Get, get: Get, desk: requests.Session) -> None:
    ticket = post("tickets", {"ticket": {"comment": {"body": "x"}}})["ticket"]
    assert desk.delete(f"{box.base_url}/api/v2/tickets/{ticket['id']}").status_code == 204
    get(f"tickets/{ticket['id']}", 404)
    box.clock.sleep(61)
    assert [row["status"] for row in get("incremental/tickets/cursor?start_time=0")["tickets"]] == ["deleted"]


def test_choices_become_tags_and_unknown_choices_vanish(post: Get) -> None:
    options = [{"name": "Red", "value": "colour_red"}]
    field = post("ticket_fields", {"ticket_field": {"title": "C", "type": "tagger", "custom_field_options": options}})
    number = field["ticket_field"]["id"]
    for value, kept in (("colour_red", "colour_red"), ("colour_blue", None)):
        custom = [{"id": number, "value": value}, {"id": 5, "value": "no such field"}]
        ticket = post("tickets", {"ticket": {"comment": {"body": "x"}, "custom_fields": custom}})["ticket"]
        assert ticket["custom_fields"] == [{"id": number, "value": kept}]
        assert ticket["tags"] == ([kept] if kept else [])


def test_only_the_requester_may_rate(post: Get, box: Sandbox) -> None:
    user = post("users", {"user": {"name": "Ann"}})["user"]
    given = {"status": "solved", "requester_id": user["id"], "comments": [{"value": "x"}]}
    ticket = post("imports/tickets", {"ticket": given})["ticket"]
    rating = {"satisfaction_rating": {"score": "good", "comment": "fine"}}
    post(f"tickets/{ticket['id']}/satisfaction_rating", rating, 403)
    box.state["may_rate"] = True
    assert post(f"tickets/{ticket['id']}/satisfaction_rating", rating, 200)["satisfaction_rating"]["score"] == "good"


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_a_batch_is_queued_and_its_results_come_by_index(box: Sandbox, post: Get, get: Get) -> None:
    good: Any = {"comments": [{"value": "x"}]}
    bad: Any = {"comments": []}
    job = post("imports/tickets/create_many", {"tickets": [good, bad, good]}, 200)["job_status"]
    assert (job["status"], job["results"], box.store["tickets"]) == ("queued", None, {})
    box.clock.sleep(10)
    job = get(f"job_statuses/{job['id']}")["job_status"]
    assert [result["index"] for result in job["results"]] == [0, 1, 2]
    assert ["id" in result for result in job["results"]] == [True, False, True]


def test_a_batch_of_101_is_refused(post: Get) -> None:
    one = {"comments": [{"value": "x"}]}
    assert post("imports/tickets/create_many", {"tickets": [one] * 101}, 400)["error"] == "TooManyValues"


def test_the_thirty_first_job_in_flight_is_refused(box: Sandbox, post: Get, get: Get) -> None:
    body = {"users": [{"name": "Ann"}]}
    ids = [post("users/create_or_update_many", body, 200)["job_status"]["id"] for _ in range(30)]
    assert post("users/create_or_update_many", body, 429)["error"] == "TooManyJobs"
    box.clock.sleep(10)
    done = get(f"job_statuses/show_many?ids={','.join(ids)}")["job_statuses"]
    assert {job["status"] for job in done} == {"completed"}
    post("users/create_or_update_many", body, 200)


def test_a_job_is_forgotten_after_an_hour(box: Sandbox, post: Get, get: Get) -> None:
    job = post("users/create_many", {"users": [{"name": "Ann"}]}, 200)["job_status"]
    box.clock.sleep(11)
    get(f"job_statuses/{job['id']}")
    box.clock.sleep(3_700)
    get(f"job_statuses/{job['id']}", 404)


# --- search ----------------------------------------------------------------------------------------------------------


def test_a_new_record_is_found_by_search_only_after_the_lag(box: Sandbox, post: Get, get: Get) -> None:
    post("tickets", {"ticket": {"external_id": "OLD-1", "comment": {"body": "x"}}})
    found = "search?query=type:ticket external_id:OLD-1"
    assert (get(found)["count"], len(get("tickets?external_id=OLD-1")["tickets"])) == (0, 1)
    box.clock.sleep(60)
    assert get(found)["count"] == 1


def test_search_counts_all_but_gives_no_more_than_1000(box: Sandbox, zendesk: Any, get: Get) -> None:
    _tickets(box, zendesk, 1_050)
    body = get("search?query=type:ticket tags:all&page=10")
    assert (body["count"], len(body["results"]), body["next_page"]) == (1_050, 100, None)
    get("search?query=type:ticket&page=11", 422)
    get("search?query=type:ticket&page[size]=100", 400)
    export = get("search/export?query=tags:all&filter[type]=ticket&page[size]=1000")
    assert (len(export["results"]), export["meta"]["has_more"]) == (1_000, True)


# --- zenpy -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def zenpy(zendesk: Any, box: Sandbox) -> Iterator[Any]:
    """Return zenpy, the client that others wrote, against the account."""
    library = pytest.importorskip("zenpy")
    with mount(box) as session:
        yield library.Zenpy(
            subdomain="zendesk", domain="sandbox", session=session, email=zendesk.EMAIL, token=zendesk.TOKEN
        )


def test_zenpy_makes_and_pages_users(zenpy: Any, box: Sandbox) -> None:
    from zenpy.lib.api_objects import User  # type: ignore[import-untyped]

    for number in range(3):
        assert zenpy.users.create(User(name=f"U{number}", email=f"u{number}@a.example")).id
    assert len(list(zenpy.users())) == 4
    assert [user.name for user in zenpy.users(cursor_pagination=2)][1:] == ["U0", "U1", "U2"]
    assert zenpy.users.me().email == "admin@zendesk.sandbox"


def test_zenpy_imports_a_ticket_with_an_upload_and_reads_it_back(zenpy: Any, box: Sandbox) -> None:
    from zenpy.lib.api_objects import Comment, Ticket

    upload = zenpy.attachments.upload(io.BytesIO(b"hello"), target_name="a.txt")
    comment = Comment(body="hi", uploads=[upload.token], created_at="2019-01-01T00:00:00Z")
    ticket = Ticket(subject="old", comments=[comment], created_at="2019-01-01T00:00:00Z")
    made = zenpy.ticket_import.create(ticket)
    made = getattr(made, "ticket", made)
    kept = list(zenpy.tickets.comments(made.id))
    assert (made.created_at, kept[0].body, kept[0].attachments[0].file_name) == ("2019-01-01T00:00:00Z", "hi", "a.txt")


def test_zenpy_creates_changes_and_deletes_a_ticket(zenpy: Any) -> None:
    from zenpy.lib.api_objects import Comment, Ticket

    audit = zenpy.tickets.create(Ticket(subject="new", comment=Comment(body="hi")))
    audit.ticket.status = "pending"
    assert zenpy.tickets.update(audit.ticket).ticket.status == "pending"
    zenpy.tickets.delete(audit.ticket)
    with pytest.raises(Exception, match="RecordNotFound"):
        zenpy.tickets(id=audit.ticket.id)


def test_zenpy_exports_tickets_and_users(zenpy: Any, zendesk: Any, box: Sandbox) -> None:
    _tickets(box, zendesk, 5)
    exported = list(zenpy.tickets.incremental(start_time=0, paginate_by_time=False, per_page=2))
    assert sorted(ticket.id for ticket in exported) == [1, 2, 3, 4, 5]
    assert [user.email for user in zenpy.users.incremental(start_time=0)] == ["admin@zendesk.sandbox"]


def test_zenpy_sees_a_job_through(zenpy: Any, box: Sandbox) -> None:
    from zenpy.lib.api_objects import User

    job = zenpy.users.create([User(name="A"), User(name="B")])
    box.clock.sleep(10)
    assert [result.status for result in zenpy.job_status(id=job.id).results] == ["Created", "Created"]


# --- specification and facts -----------------------------------------------------------------------------------------

READS = """groups group_memberships users users/me organizations ticket_fields ticket_forms brands tickets tags
 tickets/count users/count tickets/1 tickets/1/comments tickets/1/tags tickets/show_many?ids=1 users/search?query=x
 incremental/tickets/cursor?start_time=0 incremental/users/cursor?start_time=0 incremental/organizations?start_time=0
 incremental/tickets?start_time=0 incremental/ticket_events?start_time=0 search?query=type:ticket satisfaction_ratings
 organization_memberships user_fields organization_fields users?page[size]=10 job_statuses""".split()
KNOWN = {
    # the specification says strings; recorded answers are objects {"name", "count"} (zenpy-betamax/TestTags*)
    "/api/v2/tags": "is not of type 'string'",
}


def test_answers_satisfy_the_official_specification(
    box: Sandbox, get: Get, post: Get, desk: requests.Session, zendesk_spec: Spec
) -> None:
    user = post("users", {"user": {"name": "Ann", "email": "ann@a.example"}})["user"]
    group = post("groups", {"group": {"name": "Second"}})["group"]
    admin = next(iter(box.store["users"]))
    post("group_memberships", {"group_membership": {"user_id": admin, "group_id": group["id"]}})
    post("organizations", {"organization": {"name": "Acme", "domain_names": ["acme.example"]}})
    post("user_fields", {"user_field": {"key": "k", "title": "K", "type": "text"}})
    post("organization_fields", {"organization_field": {"key": "k", "title": "K", "type": "text"}})
    post("ticket_fields", {"ticket_field": {"title": "T", "type": "text"}})
    post("ticket_forms", {"ticket_form": {"name": "Form", "ticket_field_ids": []}})
    given = {"requester_id": user["id"], "status": "solved", "comments": [{"value": "x"}], "tags": ["a"]}
    post("imports/tickets", {"ticket": given})
    job = post("imports/tickets/create_many", {"tickets": [given]}, 200)["job_status"]
    post("tickets", {"ticket": {"subject": "s", "comment": {"body": "x"}}})
    desk.put(f"{box.base_url}/api/v2/tickets/1", json={"ticket": {"priority": "high"}})
    desk.post(f"{box.base_url}/api/v2/uploads?filename=a.txt", data=b"x")
    box.clock.sleep(120)
    get(f"job_statuses/{job['id']}")
    for path in READS:
        get(path)
    wrong = [
        f"{exchange.method} {exchange.path}: {text}"
        for exchange in box.exchanges
        for text in specified(zendesk_spec.check_response(exchange))
        if KNOWN.get(exchange.path, "\0") not in text
    ]
    assert wrong == []


RULE: dict[str, Any] = {
    "title": "R",
    "conditions": {"all": [{"field": "status", "operator": "is", "value": "open"}], "any": []},
    "actions": [{"field": "priority", "value": "high"}],
}
SPLIT: dict[str, Any] = {"title": "R", **RULE["conditions"]}
TARGETS = [{"priority": "low", "metric": "first_reply_time", "target": 60, "business_hours": False}]


def test_rules_are_made_shown_changed_and_taken_away_as_the_specification_says(
    box: Sandbox, get: Get, post: Get, desk: requests.Session, zendesk_spec: Spec
) -> None:
    output = {"columns": ["nice_id", "subject"], "sort_by": "created_at", "sort_order": "desc"}
    bodies = {
        "triggers": ("trigger", RULE),
        "automations": ("automation", {**SPLIT, "actions": RULE["actions"]}),
        "macros": ("macro", {"title": "R", "actions": RULE["actions"]}),
        "views": ("view", {**SPLIT, "output": output}),
        "slas/policies": ("sla_policy", {"title": "R", "filter": RULE["conditions"], "policy_metrics": TARGETS}),
    }
    for path, (word, body) in bodies.items():
        made = post(path, {word: body})[word]
        assert get(f"{path}/{made['id']}")[word] == made
        desk.put(f"{box.base_url}/api/v2/{path}/{made['id']}", json={word: {"title": "S"}})
        (listed,) = get(path)[path.replace("slas/policies", "sla_policies")]
        assert listed["title"] == "S"
        assert desk.delete(f"{box.base_url}/api/v2/{path}/{made['id']}").status_code == 204
    wrong = [
        f"{exchange.method} {exchange.path}: {text}"
        for exchange in box.exchanges
        for text in specified(zendesk_spec.check_response(exchange))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("triggers", {"trigger": {**RULE, "actions": []}}),
        ("triggers", {"trigger": {**RULE, "actions": [{"field": "group_id", "value": "77"}]}}),
        ("triggers", {"trigger": {**RULE, "actions": [{"field": "notification_webhook", "value": ["01NONE", ""]}]}}),
        ("automations", {"automation": {"title": "R", "all": [], "any": [], "actions": RULE["actions"]}}),
        ("slas/policies", {"sla_policy": {"title": "R"}}),
    ],
)
def test_a_rule_that_names_what_is_not_there_or_lacks_a_part_is_refused(
    box: Sandbox, desk: requests.Session, path: str, body: Any
) -> None:
    assert desk.post(f"{box.base_url}/api/v2/{path}", json=body).status_code == 422


def test_a_webhook_never_tells_what_it_signs_in_with(box: Sandbox, get: Get, post: Get) -> None:
    how = {"type": "bearer_token", "data": {"token": "s3cr3t"}, "add_position": "header"}
    hook = {"name": "H", "endpoint": "https://h.example", "http_method": "POST", "request_format": "json"}
    made = post("webhooks", {"webhook": {**hook, "status": "active", "authentication": how}})["webhook"]
    assert made["authentication"]["type"] == "bearer_token"
    (listed,) = get("webhooks")["webhooks"]
    assert "s3cr3t" not in str([made, listed, get(f"webhooks/{made['id']}")])


def test_requests_are_checked_against_the_official_specification(
    desk: requests.Session, box: Sandbox, zendesk_spec: Spec
) -> None:
    for body in ({"comments": [{"value": "x"}], "tags": ["a"]}, {"comments": [{"value": 5}], "tags": "a"}):
        desk.post(f"{box.base_url}/api/v2/imports/tickets", json={"ticket": body})
    desk.get(f"{box.base_url}/api/v2/incremental/users/cursor?start_time=yesterday")
    assert [len(specified(zendesk_spec.check_request(exchange))) for exchange in box.exchanges] == [0, 2, 1]


def test_the_specification_check_sees_what_is_wrong(box: Sandbox, get: Get, zendesk_spec: Spec) -> None:
    box.store["groups"][5] = {"id": "five", "name": 7}
    get("groups")
    assert zendesk_spec.check_response(box.exchanges[-1]) == [
        "groups/0/id: 'five' is not of type 'integer'",
        "groups/0/name: 7 is not of type 'string'",
    ]


def test_every_fact_says_how_it_is_known() -> None:
    facts = yaml.safe_load((ROOT / "connectors/zendesk/facts.yaml").read_text("utf-8"))
    for fact in facts:
        known = set(fact) - {"fact"}
        assert known <= {"documented", "recorded", "assumed"}, fact
        assert known, fact
        if "documented" in fact:
            assert set(fact["documented"]) == {"source", "date"}, fact
        if "recorded" in fact and folder().exists():
            assert (folder() / fact["recorded"]).exists(), fact
