"""A made-up Zammad account: people beyond a page, tickets with articles and files, own fields, links, tags."""

from __future__ import annotations

import base64
from typing import Any

from migrator.testing.sandbox import Sandbox, mount

from .sandbox import TOKEN

FIELDS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("Ticket", "order", "input", {"type": "text", "maxlength": 120}),
    ("Ticket", "product", "select", {"options": {"a": "Apples", "p": "Pears"}}),
    ("Ticket", "fits", "multiselect", {"options": {"x": "Round", "y": "Square"}}),
    ("Ticket", "insured", "boolean", {"options": {"true": "yes", "false": "no"}}),
    ("User", "shoe_size", "integer", {"min": 0, "max": 99}),
    ("Organization", "since", "date", {"diff": 0}),
)
WORKFLOWS: tuple[dict[str, Any], ...] = (
    {
        "condition_selected": {"ticket.product": {"operator": "is not", "value": ["a"]}},
        "perform": {"ticket.order": {"operator": "hide", "hide": "true"}},
    },
    {
        "condition_saved": {"ticket.group_id": {"operator": "is", "value": ["1"]}},
        "perform": {"ticket.product": {"operator": "set_fixed_to", "set_fixed_to": ["a", "p"]}},
        "preferences": {"screen": ["edit"]},
        "stop_after_match": True,
    },
)
STATES = ("new", "open", "pending reminder", "closed")


def furnish(box: Sandbox) -> Sandbox:
    """Give the new account what the demo's tickets need: two agents with access to the group Users."""
    for number in (1, 2):
        person = {"firstname": "Agent", "lastname": f"N{number}", "email": f"agent{number}@desk.example"}
        _post(box, "/users", {**person, "roles": ["Agent"], "group_ids": {"1": ["full"]}})
    return box


def fill(box: Sandbox, tickets: int = 24) -> Sandbox:
    """Make up an account through the sandbox's API."""
    _fields(box)
    furnish(box)
    firm = _post(
        box, "/organizations", {"name": "Firm", "domain": "firm.example", "since": "2019-05-01", "note": "a & b"}
    )
    person = {"organization_id": firm["id"], "shoe_size": 43, "note": "calls<br>often"}
    people = [
        _post(box, "/users", {**person, "firstname": "Person", "lastname": f"N{n}", "email": f"p{n}@some.example"})[
            "id"
        ]
        for n in range(110)
    ]
    file = {"filename": "a.txt", "data": base64.b64encode(b"text").decode(), "mime-type": "text/plain"}
    made = []
    for n in range(tickets):
        box.clock.sleep(60)
        article: dict[str, Any] = {"body": f"<p>Text {n}</p>", "content_type": "text/html", "type": "web"}
        article |= {"sender": "Customer", "origin_by_id": people[n]}
        if n % 7 == 0:
            article |= {"attachments": [file], "body": 'One picture: <img src="data:image/png;base64,iVBORw0KGgo=">'}
        body = {"title": f"Ticket {n}", "group": "Users", "customer_id": people[n], "state": STATES[n % 4]}
        body |= {"article": article, "tags": "one,two" if n % 2 else "", "owner": "agent1@desk.example"}
        body |= {"order": f"A-{n}", "product": "a" if n % 3 else "p", "insured": n % 2 == 0}
        body["fits"] = ["x", "y"] if n % 5 == 0 else []
        if STATES[n % 4].startswith("pending"):
            body["pending_time"] = "2030-01-01T00:00:00Z"
        ticket = _post(box, "/tickets", body)
        made.append(ticket)
        for note in range(3 if n == 3 else 1):
            text = {
                "ticket_id": ticket["id"],
                "body": f"Note {note}",
                "internal": note == 0,
                "content_type": "text/plain",
            }
            _post(box, "/ticket_articles", text)
    _link(box, "parent", made[0], made[1])
    _link(box, "normal", made[2], made[3])
    _post(box, "/signatures", {"name": "Desk", "body": "<p>#{user.firstname} of the desk</p>"})
    _post(box, "/email_addresses", {"name": "Desk", "email": "help@desk.example"})
    _post(box, "/text_modules", {"name": "Greeting", "content": "Hello <b>you</b>", "group_ids": [1]})
    return box


def _fields(box: Sandbox) -> None:
    """Add own fields, and what shows them."""
    for object, name, kind, option in FIELDS:
        sent = {"object": object, "name": name, "display": name.title(), "data_type": kind, "data_option": option}
        _post(box, "/object_manager_attributes", sent)
    _post(box, "/object_manager_attributes_execute_migrations", {})
    for number, flow in enumerate(WORKFLOWS, 1):
        _post(box, "/core_workflows", {"object": "Ticket", "name": f"Fruit {number}", **flow})


def _link(box: Sandbox, how: str, source: Any, target: Any) -> None:
    ends = {
        "link_object_source": "Ticket",
        "link_object_target": "Ticket",
        "link_object_source_number": source["number"],
    }
    _post(box, "/links/add", {**ends, "link_type": how, "link_object_target_value": target["id"]})


def _post(box: Sandbox, path: str, body: Any) -> Any:
    with mount(box) as session:
        answer = session.post(
            f"{box.base_url}/api/v1{path}", json=body, headers={"Authorization": f"Token token={TOKEN}"}
        )
        answer.raise_for_status()
        return answer.json()
