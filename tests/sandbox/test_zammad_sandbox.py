"""Zammad's sandbox: what its documentation and source say it does, and a client that others wrote (zammad_py)."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
import requests
from requests.exceptions import HTTPError
from zammad_py import ZammadAPI  # type: ignore[import-untyped]
from zammad_py.api import Object, TagList  # type: ignore[import-untyped]

from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support.connectors import connector

zammad = connector("zammad.sandbox")
markup = connector("zammad.sandbox_html")


@pytest.fixture
def box() -> Sandbox:
    return zammad.create(clock=Clock())  # type: ignore[no-any-return]


@pytest.fixture
def client(box: Sandbox) -> Any:
    """Return zammad_py, unpatched, with a session that reaches the sandbox in process."""
    api = ZammadAPI(url=f"{box.base_url}/api/v1/", http_token=zammad.TOKEN)
    mount(box, session=api.session)
    return api


@pytest.fixture
def ask(box: Sandbox) -> Any:
    """Return a function that asks the sandbox: ``ask("POST", "/users", json={...})``."""
    session = mount(box)

    def asked(method: str, path: str, **how: Any) -> requests.Response:
        headers = {"Authorization": f"Token token={zammad.TOKEN}", **how.pop("headers", {})}
        return session.request(method, f"{box.base_url}/api/v1{path}", headers=headers, **how)

    return asked


def customer(client: Any, **values: Any) -> Any:
    return client.user.create({"firstname": "Ada", "lastname": "L", "email": "ada@some.example", **values})


def ticket(client: Any, **values: Any) -> Any:
    article = {"body": "Hello", "type": "note", "internal": False}
    given = {"title": "Help", "group": "Users", "customer": "ada@some.example", "article": article}
    return client.ticket.create(given | values)


# ---- the client of others --------------------------------------------------------------------------------------------


def test_a_client_of_others_makes_finds_changes_and_deletes(client: Any) -> None:
    firm = client.organization.create({"name": "Firm", "note": "x"})
    ada = customer(client, organization="Firm")
    assert (ada["organization_id"], client.user.find(ada["id"])["email"]) == (firm["id"], "ada@some.example")
    made = ticket(client, state="open", priority="3 high")
    assert (made["customer_id"], made["organization_id"], made["state_id"]) == (ada["id"], firm["id"], 2)
    assert client.ticket.update(made["id"], {"title": "Help!", "state": "closed"})["title"] == "Help!"
    assert [one["state"] for one in client.ticket.all()] == ["closed"]
    note = client.ticket_article.create({"ticket_id": made["id"], "body": "<b>x</b>", "content_type": "text/html"})
    assert [one["id"] for one in client.ticket.articles(made["id"])][-1] == note["id"]
    with pytest.raises(HTTPError, match="has references"):
        client.user.destroy(ada["id"])
    client.ticket.destroy(made["id"])
    client.user.destroy(ada["id"])
    client.organization.destroy(firm["id"])
    assert len(client.ticket.all()) == 0
    with pytest.raises(HTTPError, match="Couldn't find"):
        client.ticket.find(made["id"])


def test_a_client_of_others_goes_from_page_to_page(client: Any) -> None:
    for number in range(23):
        customer(client, email=f"p{number}@some.example")
    seen, page = [], client.user.all()
    while len(page):
        seen += [user["id"] for user in page]
        page = page.next_page()
    assert seen == [1, *range(3, 27)]


def test_a_client_of_others_hands_in_and_gets_files(client: Any) -> None:
    customer(client)
    file = {"filename": "a.bin", "data": base64.b64encode(b"\x00\xffbytes").decode(), "mime-type": "application/x-a"}
    made = ticket(client, article={"body": "see file", "attachments": [file]})
    (article,) = client.ticket.articles(made["id"])
    (held,) = article["attachments"]
    assert (held["filename"], held["size"], held["preferences"]) == ("a.bin", "7", {"Mime-Type": "application/x-a"})
    assert client.ticket_article_attachment.download(held["id"], article["id"], made["id"]) == b"\x00\xffbytes"


def test_a_client_of_others_links_merges_searches_and_acts_for_somebody(box: Sandbox, client: Any) -> None:
    customer(client)
    one, two, three = (ticket(client, title=f"Number {n}") for n in "123")
    client.link.add(two["id"], one["number"], link_type="parent")
    assert [(x["link_type"], x["link_object_value"]) for x in client.link.get(one["id"])["links"]] == [
        ("child", two["id"])
    ]
    assert client.link.get(two["id"])["links"][0]["link_type"] == "parent"
    assert client.ticket.merge(three["id"], one["number"])["result"] == "success"
    assert client.ticket.find(three["id"])["state_id"] == 5
    assert len(client.ticket.articles(one["id"])) == 2
    assert len(client.ticket.search("number")) == 0  # not in the index yet
    box.clock.sleep(11)
    assert len(client.ticket.search("number")) == 3
    client.on_behalf_of = "ada@some.example"
    assert client.user.me()["email"] == "ada@some.example"


def test_a_client_of_others_adds_a_field_and_lists_tags(client: Any) -> None:
    customer(client)
    option = {"type": "text", "maxlength": 5}
    sent = {"object": "Ticket", "name": "order", "display": "Order", "data_type": "input", "data_option": option}
    made = Object(client).create(sent)
    assert made["to_create"]
    assert "order" not in ticket(client, order="before")
    Object(client).execute_migrations()
    assert ticket(client, order="1234567", tags="a,b")["order"] == "12345"
    assert [(tag["name"], tag["count"]) for tag in TagList(client).all()] == [("a", 1), ("b", 1)]


# ---- what it refuses, and what it does without a word ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/tickets", {"title": "x", "customer_id": 3}, "Group can't be blank"),
        ("/tickets", {"title": "x", "group": "Users"}, "Attribute 'customer_id' required!"),
        ("/tickets", {"title": "x", "group": "Nobody", "customer_id": 3}, "No lookup value found for 'group'"),
        ("/tickets", {"title": "x", "group": "Users", "customer_id": 99}, "Invalid value for param 'customer_id'"),
        ("/tickets", {"title": "x", "group": "Users", "customer_id": 3, "state": "pending reminder"}, "pending_time"),
        ("/tickets", {"title": "x", "group": "Users", "customer_id": 3, "article": {"type": "note"}}, "Need at least"),
        ("/users", {"firstname": "A", "email": "nobody"}, "Invalid email"),
        ("/users", {"firstname": "A", "email": "ADMIN@zammad.sandbox"}, "already used"),
        ("/users", {"note": "nobody at all"}, "At least one identifier"),
        ("/groups", {"name": "users"}, "already been taken"),
        ("/object_manager_attributes", {"object": "Ticket", "name": "a_id", "data_type": "input"}, "not allowed"),
        ("/object_manager_attributes", {"object": "Ticket", "name": "table", "data_type": "input"}, "reserved word"),
        ("/object_manager_attributes", {"object": "Ticket", "name": "title", "data_type": "input"}, "already exists"),
        (
            "/object_manager_attributes",
            {"object": "Ticket", "name": "a", "data_type": "decimal"},
            "not a valid data type",
        ),
        ("/object_manager_attributes", {"object": "Ticket", "name": "a", "data_type": "input"}, ":type"),
    ],
)
def test_it_refuses_what_zammad_refuses(ask: Any, path: str, body: Any, said: str) -> None:
    answer = ask("POST", path, json=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_nothing_is_left_of_a_ticket_that_was_refused(box: Sandbox, ask: Any) -> None:
    file = {"filename": "a", "data": "not base64!", "mime-type": "text/plain"}
    article = {"body": "x", "attachments": [file]}
    sent = {"title": "x", "group": "Users", "customer_id": 3, "tags": "a", "article": article}
    assert "Invalid base64" in ask("POST", "/tickets", json=sent).json()["error"]
    assert not any(box.store[stream] for stream in ("tickets", "ticket_articles", "tag_list"))


def test_dates_are_kept_in_import_mode_only(box: Sandbox, client: Any) -> None:
    customer(client)
    then = "2019-02-28T12:00:00Z"
    article = {"body": "x", "created_at": then}
    assert ticket(client, created_at=then, article=article)["created_at"] == "2026-11-01T00:00:00.000Z"
    box.state["import_mode"] = True
    made = ticket(client, created_at=then, article=article)
    assert made["created_at"] == "2019-02-28T12:00:00.000Z"
    assert client.ticket.articles(made["id"])[0]["created_at"] == "2019-02-28T12:00:00.000Z"


def test_unknown_keys_are_dropped_without_a_word_and_long_texts_are_cut(client: Any) -> None:
    customer(client)
    made = ticket(client, title="x" * 300, nothing_like_it=1)
    assert len(made["title"]) == 250
    assert "nothing_like_it" not in made


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (("ada", ""), ("Ada", "")),
        (("ada lovelace", ""), ("Ada", "Lovelace")),
        (("Lovelace, Ada", ""), ("Ada", "Lovelace")),
        (("ada", "lovelace"), ("ada", "lovelace")),
        (("", "van Dyck"), ("van", "Dyck")),
        (("https://a.example/x", "B"), ("a.example/x", "B")),
    ],
)
def test_names_are_guessed_where_one_is_missing(client: Any, sent: tuple[str, str], kept: tuple[str, str]) -> None:
    made = customer(client, firstname=sent[0], lastname=sent[1])
    if kept[0] == "van":
        kept = ("Van", "Dyck")  # all in one case, so it is raised
    assert (made["firstname"], made["lastname"]) == kept


def test_an_owner_without_access_to_the_group_is_taken_off(box: Sandbox, client: Any) -> None:
    customer(client)
    bea = client.user.create({"firstname": "Bea", "lastname": "B", "email": "bea@desk.example", "roles": ["Agent"]})
    assert ticket(client, owner="bea@desk.example")["owner_id"] == 1
    client.user.update(bea["id"], {"group_ids": {"1": ["full"]}})
    assert ticket(client, owner="bea@desk.example")["owner_id"] == bea["id"]


def test_a_group_one_has_no_access_to_hides_its_tickets(box: Sandbox, client: Any) -> None:
    customer(client)
    made = ticket(client)
    client.group.create({"name": "Others"})
    with pytest.raises(HTTPError, match="Not authorized"):
        ticket(client, group="Others")
    box.state["access"].clear()
    assert len(client.ticket.all()) == 0
    with pytest.raises(HTTPError, match="Not authorized"):
        client.ticket.find(made["id"])


def test_an_article_of_somebody_else_is_the_customers_outside_import_mode(box: Sandbox, client: Any) -> None:
    ada = customer(client)
    made = ticket(client)
    sent = {"ticket_id": made["id"], "body": "x", "origin_by_id": ada["id"], "sender": "Agent", "internal": True}
    assert [client.ticket_article.create(sent)[key] for key in ("sender", "from", "internal")] == [
        "Customer",
        "Ada L",
        True,
    ]
    box.state["import_mode"] = True
    assert client.ticket_article.create(sent)["sender"] == "Agent"


def test_a_picture_within_a_text_is_no_file_of_its_list(client: Any, ask: Any) -> None:
    customer(client)
    body = '<p>see <img src="data:image/png;base64,iVBORw0KGgo="></p>'
    made = ticket(client, article={"body": body, "content_type": "text/html"})
    (article,) = client.ticket.articles(made["id"])
    assert article["attachments"] == []
    assert f'src="/api/v1/ticket_attachment/{made["id"]}/{article["id"]}/1"' in article["body"]
    assert ask("GET", f"/ticket_attachment/{made['id']}/{article['id']}/1").content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('a <img src="https://x.example/a.png"> b', "a  b"),
        ('a <img src="cid:1@x"> b', 'a <img src="cid:1@x"> b'),
        ("<script>alert(1)</script><b>x</b>", "<b>x</b>"),
        ("<o:p>x</o:p>", "x"),
        ("see https://a.example/b?c=1&amp;d=2.", "see <a*>https://a.example/b?c=1&amp;d=2</a>."),
        ('<a href="https://a.example">here</a>', "<a*>here</a>"),
        ('<a href="javascript:alert(1)">x</a>', "<a>x</a>"),
        ("a &lt; b &amp; c", "a &lt; b &amp; c"),
    ],
)
def test_html_is_cleaned_as_zammad_cleans_it(sent: str, kept: str) -> None:
    assert re.sub(r"<a [^>]*>", "<a*>", markup.clean(sent)) == kept


def test_strangers_are_refused(box: Sandbox) -> None:
    with mount(box) as session:
        for headers in ({}, {"Authorization": "Token token=wrong"}, {"Authorization": "Basic eDp5"}):
            assert session.get(f"{box.base_url}/api/v1/users/me", headers=headers).status_code == 401


# ---- what administrators set up --------------------------------------------------------------------------------------

NOTE = {"body": "a", "subject": "b", "internal": "true"}
PENDING = {"ticket.state_id": {"value": "3"}}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("triggers", {"perform": {"article.note": {**NOTE, "subject": ""}}}, "article.note, subject is missing"),
        ("triggers", {"perform": {"notification.webhook": {"webhook_id": ""}}}, "webhook_id is missing"),
        ("macros", {"perform": PENDING}, "Pending till"),
        ("jobs", {"condition": {"ticket.no_such": {"operator": "is", "value": "1"}}}, "Invalid ticket selector"),
        (
            "overviews",
            {"condition": {"ticket.state_id": {"operator": "is", "value": "<state:open>"}}},
            "Invalid ticket",
        ),
        ("calendars", {"business_hours": {"mon": {"active": False, "timeframes": []}}}, "No configured business hours"),
        ("webhooks", {"endpoint": "ftp://a.example"}, "no http/https"),
        ("slas", {"calendar_id": 99}, "Couldn't find Calendar"),
    ],
)
def test_what_zammad_refuses_of_rules(ask: Any, path: str, body: dict[str, Any], said: str) -> None:
    answer = ask("POST", f"/{path}", json={"name": "x", **body})
    assert answer.status_code in (404, 422)
    assert said in answer.json()["error"]


def test_of_calendars_one_is_the_default_and_a_name_is_had_once(ask: Any) -> None:
    week = {"mon": {"active": True, "timeframes": [["08:00", "16:00"]]}}
    made = ask("POST", "/calendars", json={"name": "Early", "business_hours": week, "default": True}).json()
    held = {one["id"]: one["default"] for one in ask("GET", "/calendars").json()}
    assert [id for id, default in held.items() if default] == [made["id"]]
    assert (
        "already been taken"
        in ask("POST", "/calendars", json={"name": "early", "business_hours": week}).json()["error"]
    )
