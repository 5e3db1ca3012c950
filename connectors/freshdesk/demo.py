"""What the demo finds at the new vendor: four agents with seats, a group of the same name, a status of the customer's own."""

from __future__ import annotations

from migrator.testing.sandbox import Sandbox

from . import sandbox_agents as agents
from . import sandbox_fields as fields
from . import sandbox_rules as rules

SEATS = ("admin@zendesk.sandbox", "agent1@desk.example", "agent2@desk.example", "agent3@desk.example")


def furnish(box: Sandbox, seats: tuple[str, ...] = SEATS) -> None:
    """Give the new account agents with these addresses, a group "Support", and the status "Waiting on a third party" (6)."""
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
