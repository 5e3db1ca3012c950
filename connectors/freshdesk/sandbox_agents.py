"""Freshdesk's agents, and contacts that become agents and back."""

from __future__ import annotations

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_people as people
from . import sandbox_rules as rules
from .sandbox_html import clean
from .sandbox_rules import API, Body, Check, routes


def agent_listed(record: Native) -> Native:
    """Return an agent as lists show it: without groups, roles and skills."""
    return {name: value for name, value in record.items() if name not in ("group_ids", "role_ids", "skill_ids")}


def agent_viewed(record: Native) -> Native:
    """Return an agent as its own endpoint shows it (recorded: agents/me)."""
    shown: Native = {"group_ids": [], "role_ids": [], "skill_ids": []} | record
    return {name: value for name, value in shown.items() if name not in ("last_active_at", "deactivated")}


def new_agent(box: Sandbox, person: Native, kept: Native) -> Native:
    """Store and return an agent who is ``person``."""
    names = ("active", "email", "job_title", "language", "mobile", "name", "phone", "time_zone", "created_at")
    kinds = {1: "support_agent", 2: "field_agent", 3: "collaborator"}
    record: Native = {
        "available": False,
        "occasional": bool(kept.get("occasional")),
        "id": person["id"],
        "ticket_scope": kept.get("ticket_scope") or 1,
        "created_at": box.now(),
        "updated_at": box.now(),
        "last_active_at": None,
        "available_since": None,
        "type": kinds[kept.get("agent_type") or 1],
        "contact": {name: person.get(name) for name in names} | {"last_login_at": None, "updated_at": box.now()},
        "deactivated": False,
        "signature": clean(kept["signature"]) if kept.get("signature") else None,
        "group_ids": kept.get("group_ids") or [],
        "role_ids": kept.get("role_ids") or [box.state["agent_role"]],
        "skill_ids": kept.get("skill_ids") or [],
    }
    box.store["agents"][record["id"]] = record
    people.remember(box, record["id"], record["contact"])
    return record


def _agent_checks(box: Sandbox) -> dict[str, Check]:
    return {
        "occasional": rules.boolean,
        "signature": rules.text(None),
        "ticket_scope": rules.among([1, 2, 3], rules.integer),
        "skill_ids": rules.strings(rules.integer),
        "group_ids": rules.strings(rules.record_of(box, "group", "groups")),
        "role_ids": rules.strings(rules.record_of(box, "role", "roles")),
        "email": rules.mail_address,
        "language": rules.text(),
        "time_zone": rules.text(),
        "focus_mode": rules.boolean,
    }


def _room_for_agents(box: Sandbox, kept: Native) -> None:
    full_time = sum(not agent["occasional"] for agent in box.store["agents"].values())
    if box.state["max_agents"] and not kept.get("occasional") and full_time >= box.state["max_agents"]:
        message = "You have reached the maximum number of agents"
        raise rules.Refusal(rules.answer({"code": "max_agents_reached", "message": message}, 403))


@routes("GET", f"{API}/agents")
def agents(box: Sandbox, request: Request) -> Response:
    """List the agents in alphabetical order."""
    rules.need_admin(box)
    given = rules.query(request, "email", "phone", "mobile", "state", "page", "per_page")
    found = []
    for record in box.store["agents"].values():
        wanted = given.get("state") in (None, "occasional" if record["occasional"] else "fulltime")
        for name in ("email", "phone", "mobile"):
            wanted = wanted and given.get(name, "").lower() in ("", str(record["contact"].get(name)).lower())
        if wanted:
            found.append(record)
    found.sort(key=lambda record: ((record["contact"]["name"] or "").casefold(), record["id"]))
    return rules.listed(request, found, given, agent_listed)


@routes("GET", f"{API}/agents/me")
def me(box: Sandbox, request: Request) -> Response:
    """View the agent whose token it is."""
    return rules.answer(agent_viewed(box.store["agents"][box.state["me"]]))


@routes("GET", f"{API}/agents/<int:id>")
def agent(box: Sandbox, request: Request, id: int) -> Response:
    """View an agent."""
    rules.need_admin(box)
    return rules.answer(agent_viewed(rules.one(box, "agents", id)))


@routes("POST", f"{API}/agents")
def create_agent(box: Sandbox, request: Request) -> Response:
    """Create an agent; an address that a contact has is refused (409): make that contact an agent."""
    rules.need_admin(box)
    body = Body(request)
    checks = _agent_checks(box) | {"agent_type": rules.among([1, 2, 3], rules.integer), "name": rules.text()}
    body.only(checks)
    body.need("email", "ticket_scope")
    kept = body.check(checks)
    body.settle()
    if found := people.holder(box, "email", kept["email"]):
        raise rules.duplicate("email", found)
    _room_for_agents(box, kept)
    person = {
        "id": rules.fresh_id(box),
        "active": False,
        "email": kept["email"],
        "name": kept.get("name") or kept["email"].partition("@")[0],
        "language": kept.get("language") or "en",
        "time_zone": kept.get("time_zone") or box.state["time_zone"],
        "created_at": box.now(),
    }
    record = new_agent(box, person, kept)
    return rules.created(box, request, "agents", record, agent_viewed(record))


@routes("PUT", f"{API}/contacts/<int:id>/make_agent")
def make_agent(box: Sandbox, request: Request, id: int) -> Response:
    """Turn a contact with an address into an agent of the same id; its further addresses are deleted."""
    rules.need_admin(box)
    contact = rules.one(box, "contacts", id)
    body = Body(request)
    checks = _agent_checks(box) | {"type": rules.among(["support_agent", "field_agent", "collaborator"])}
    del checks["email"], checks["language"], checks["time_zone"]
    body.only(checks)
    kept = body.check(checks)
    body.settle()
    if not contact["email"]:
        message = "Contact with email is only allowed to convert to agent"
        raise rules.Refusal(rules.answer({"code": "inconsistent_state", "message": message}, 409))
    _room_for_agents(box, kept)
    record = new_agent(box, contact, kept) | {"type": kept.get("type") or "support_agent"}
    box.store["agents"][id] = record
    del box.store["contacts"][id]
    rules.indexed(box, "contacts", id)
    shown = agent_viewed(record)
    return rules.answer(shown.pop("contact") | {"agent": shown})


@routes("PUT", f"{API}/agents/<int:id>")
def update_agent(box: Sandbox, request: Request, id: int) -> Response:
    """Change an agent; name, telephones and title cannot be changed here."""
    rules.need_admin(box)
    record = rules.one(box, "agents", id)
    body = Body(request)
    checks = _agent_checks(box)
    body.only(checks)
    kept = body.check(checks)
    body.settle()
    if kept.get("email") and (found := people.holder(box, "email", kept["email"], but=id)):
        raise rules.duplicate("email", found)
    contact = {name: kept.pop(name) for name in ("email", "language", "time_zone") if name in kept}
    kept.pop("focus_mode", None)
    record |= kept | {"contact": record["contact"] | contact, "updated_at": box.now()}
    people.remember(box, id, record["contact"])
    return rules.answer(agent_viewed(record))


@routes("DELETE", f"{API}/agents/<int:id>")
def delete_agent(box: Sandbox, request: Request, id: int) -> Response:
    """Delete an agent, who becomes a contact of the same id."""
    rules.need_admin(box)
    person = rules.one(box, "agents", id)["contact"]
    del box.store["agents"][id]
    names = ("name", "email", "phone", "mobile", "job_title", "language", "time_zone", "active")
    people.new_contact(box, {name: person.get(name) for name in names} | {"id": id})
    return rules.empty()
