"""A made-up account: contacts and conversations beyond a page, a long thread, notes, files, what happened between."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Sandbox, mount

from .sandbox import TOKEN, furnish
from .sandbox_rules import ACCOUNT


def fill(box: Sandbox, tickets: int = 30) -> Sandbox:
    """Make up an account through the sandbox's API, and a visitor whom no list shows."""
    furnish(box)
    with mount(box) as session:
        session.headers["Api-Access-Token"] = TOKEN

        def post(path: str, **how: Any) -> Any:
            if not box.clock.real:  # a person who tries it does not wait
                box.clock.sleep(1)
            answer = session.post(f"https://{box.host}/api/v1/accounts/{ACCOUNT}{path}", **how)
            answer.raise_for_status()
            return answer.json() if answer.content else {}

        inbox = post("/inboxes", json={"name": "Shop", "channel": {"type": "api"}})["id"]
        for title in ("vip", "refund"):
            post("/labels", json={"title": title})
        post("/custom_attribute_definitions", json=_attribute("Order", "order", 0, 0))
        post(
            "/custom_attribute_definitions",
            json=_attribute("Colour", "colour", 6, 0) | {"attribute_values": ["Red", "Blue"]},
        )
        post("/custom_attribute_definitions", json=_attribute("Plan", "plan", 0, 1))
        post("/canned_responses", json={"short_code": "hi", "content": "Hello,\nhow can I help?"})
        people = []
        for n in range(40):
            about = {"name": f"Person {n}", "email": f"p{n}@some.example", "identifier": f"crm-{n}"}
            firm = {"additional_attributes": {"company_name": f"Firm {n % 3}"}, "custom_attributes": {"plan": "basic"}}
            people.append(post("/contacts", json=about | firm)["payload"]["contact"]["id"])
        people[1] = post("/contacts", json={"name": "A visitor", "inbox_id": inbox})["payload"]["contact"]["id"]
        for n in range(tickets):
            _conversation(post, n, inbox, people[n % len(people)])
    return box


def _attribute(title: str, key: str, kind: int, model: int) -> dict[str, Any]:
    return {
        "attribute_display_name": title,
        "attribute_key": key,
        "attribute_display_type": kind,
        "attribute_model": model,
    }


def _conversation(post: Any, n: int, inbox: int, contact: int) -> None:
    wanted = {"inbox_id": inbox, "contact_id": contact, "source_id": f"s{n}", "custom_attributes": {"order": f"A-{n}"}}
    here = f"/conversations/{post('/conversations', json=wanted | {'team_id': 1, 'assignee_id': 2})['id']}"
    for place in range(64 if n == 3 else 3):
        kind = "incoming" if place % 2 == 0 else "outgoing"
        said = {"content": f"Text {place} & <more>\nof {n}", "message_type": kind, "private": place == 1}
        if n % 10 == 0 and place == 2:
            post(f"{here}/messages", data=said | {"private": "false"}, files={"attachments[]": ("a b.txt", b"text")})
        else:
            post(f"{here}/messages", json=said)
    if n % 2:
        post(f"{here}/labels", json={"labels": ["vip"]})
        post(f"{here}/toggle_priority", json={"priority": "high"})
    if n % 3 == 0:
        post(f"{here}/toggle_status", json={"status": "resolved"})
