"""What the demo finds at the new vendor: four agents with seats, a group of the same name, a customer's own status."""

from __future__ import annotations

from migrator.testing.sandbox import Sandbox, mount

from . import sandbox_agents as agents
from . import sandbox_fields as fields
from . import sandbox_rules as rules
from .sandbox import TOKEN

SEATS = ("admin@zendesk.sandbox", "agent1@desk.example", "agent2@desk.example", "agent3@desk.example")


def furnish(box: Sandbox, seats: tuple[str, ...] = SEATS) -> None:
    """Give the new account agents with these addresses, a group "Support", and status 6 "Waiting on a third party"."""
    fields.named(box, "status")["choices"]["6"] = ["Waiting on a third party", "Waiting on a third party"]
    members = []
    for place, email in enumerate(seats, 1):
        person = {"id": rules.fresh_id(box), "active": True, "email": email, "name": f"Agent {place}", "language": "en"}
        members.append(agents.new_agent(box, person | {"created_at": box.now()}, {})["id"])
    id = rules.fresh_id(box)
    box.store["groups"][id] = {
        "id": id,
        "name": "support",
        "description": "The first line",
        "escalate_to": None,
        "unassigned_for": None,
        "business_hour_id": None,
        "group_type": "support_agent_group",
        "created_at": box.now(),
        "updated_at": box.now(),
        "auto_ticket_assign": 0,
        "agent_ids": members[:2],
    }


def fill(box: Sandbox, tickets: int = 30) -> Sandbox:
    """Make up an account through the sandbox's API: contacts beyond a page, tickets, one with notes beyond a page."""
    furnish(box)
    with mount(box) as session:
        session.auth = (TOKEN, "X")

        def post(path: str, **how: object) -> int:
            answer = session.post(f"{box.base_url}/api/v2{path}", **how)  # type: ignore[arg-type]
            answer.raise_for_status()
            return int(answer.json()["id"])

        firm = post("/companies", json={"name": "Firm", "domains": ["firm.example"]})
        people = [
            post(
                "/contacts",
                json={"name": f"Person {n}", "email": f"p{n}@some.example", "company_id": firm, "tags": ["a"]},
            )
            for n in range(110)
        ]
        for n in range(tickets):
            body = {
                "subject": f"Ticket {n}",
                "description": f"Text {n}",
                "requester_id": people[n],
                "status": 2,
                "priority": 1,
            }
            ticket = post("/tickets", json=body | {"tags": ["x"]})
            for note in range(105 if n == 3 else 1):
                post(f"/tickets/{ticket}/notes", json={"body": f"Note {note}", "user_id": people[n]})
            if n % 10 == 0:
                post(f"/tickets/{ticket}/satisfaction_ratings", json={"ratings": {"default_question": 103}})
                post(f"/tickets/{ticket}/notes", data={"body": "file"}, files={"attachments[]": ("a.txt", b"text")})
    return box
