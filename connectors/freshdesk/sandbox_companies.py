"""Freshdesk's companies and groups, and the roles and products that only an administrator's screen makes."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_fields as fields
from . import sandbox_rules as rules
from .sandbox_rules import API, Body, Check, routes

WAITS = ("30m", "1h", "2h", "4h", "8h", "12h", "1d", "2d", "3d")


def _renewal(field: str, value: Any, body: Body) -> Any:
    kept = rules.day(field, value, body)
    return kept and f"{kept}T00:00:00Z"


def _company_checks(box: Sandbox) -> dict[str, Check]:
    checks: dict[str, Check] = {
        "name": rules.text(),
        "description": rules.text(None),
        "note": rules.text(None),
        "domains": rules.strings(lambda field, value, body: str(rules.text()(field, value, body)).lower()),
        "renewal_date": _renewal,
        "custom_fields": fields.values(box, "company_fields"),
    }
    for field in box.store["company_fields"].values():
        if field["name"] in ("health_score", "account_tier", "industry"):
            checks[field["name"]] = rules.among(fields.choice_names(field.get("choices", [])))
    return checks


def _unique_company(box: Sandbox, kept: Native, but: int | None = None) -> None:
    for other in box.store["companies"].values():
        if other["id"] != but:
            if kept.get("name") and other["name"].casefold() == kept["name"].casefold():
                raise rules.duplicate("name")
            if set(kept.get("domains") or []) & set(other["domains"]):
                raise rules.duplicate("domains")


@routes("GET", f"{API}/companies")
def companies(box: Sandbox, request: Request) -> Response:
    """List the companies in alphabetical order."""
    given = rules.query(request, "updated_since", "page", "per_page")
    after = rules.since(given, "updated_since")
    found = [c for c in box.store["companies"].values() if not after or rules.instant(c["updated_at"]) >= after]
    found.sort(key=lambda record: (record["name"].casefold(), record["id"]))
    return rules.listed(request, found, given, dict)


@routes("POST", f"{API}/companies")
def create_company(box: Sandbox, request: Request) -> Response:
    """Create a company; its name and its domains must be unique."""
    body = Body(request)
    checks = _company_checks(box)
    body.only([*checks, "lookup_parameter"])
    body.need("name")
    kept = body.check(checks)
    fields.need(box, "company_fields", body, kept.get("custom_fields") or {})
    body.settle()
    _unique_company(box, kept)
    record: Native = {
        "id": rules.fresh_id(box),
        "name": kept["name"],
        "description": None,
        "note": None,
        "domains": [],
        "created_at": box.now(),
        "updated_at": box.now(),
        "health_score": None,
        "account_tier": None,
        "renewal_date": None,
        "industry": None,
    } | {name: value for name, value in kept.items() if value is not None}
    record["custom_fields"] = fields.blank(box, "company_fields") | (kept.get("custom_fields") or {})
    return rules.created(box, request, "companies", record, record)


@routes("GET", f"{API}/companies/autocomplete")
def find_companies(box: Sandbox, request: Request) -> Response:
    """Find companies by the beginning of a word of their name."""
    word = rules.query(request, "name").get("name", "").casefold()
    found = [{"id": c["id"], "name": c["name"]} for c in box.store["companies"].values() if _begins(c["name"], word)]
    return rules.answer({"companies": found})


@routes("GET", f"{API}/contacts/autocomplete")
def find_contacts(box: Sandbox, request: Request) -> Response:
    """Find contacts by the beginning of a word of their name."""
    word = rules.query(request, "term").get("term", "").casefold()
    people = [c for c in box.store["contacts"].values() if not c.get("deleted") and _begins(c["name"] or "", word)]
    return rules.answer([{"id": c["id"], "name": c["name"]} for c in people])


def _begins(name: str, word: str) -> bool:
    return bool(word) and f" {name.casefold()}".find(f" {word}") >= 0


@routes("GET", f"{API}/companies/<int:id>")
def company(box: Sandbox, request: Request, id: int) -> Response:
    """View a company."""
    return rules.answer(rules.one(box, "companies", id))


@routes("PUT", f"{API}/companies/<int:id>")
def update_company(box: Sandbox, request: Request, id: int) -> Response:
    """Change a company."""
    record = rules.one(box, "companies", id)
    body = Body(request)
    checks = _company_checks(box)
    body.only([*checks, "lookup_parameter"])
    if "name" in body.values:
        body.need("name")
    kept = body.check(checks)
    body.settle()
    _unique_company(box, kept, but=id)
    kept["custom_fields"] = record["custom_fields"] | (kept.get("custom_fields") or {})
    record |= kept | {"domains": kept.get("domains", record["domains"]) or [], "updated_at": box.now()}
    rules.indexed(box, "companies", id)
    return rules.answer(record)


@routes("DELETE", f"{API}/companies/<int:id>")
def delete_company(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a company; its contacts stay, without it."""
    rules.one(box, "companies", id)
    del box.store["companies"][id]
    rules.indexed(box, "companies", id)
    for contact in box.store["contacts"].values():
        if contact.get("company_id") == id:
            contact["company_id"] = None
    return rules.empty()


def _group_checks(box: Sandbox) -> dict[str, Check]:
    agent = rules.record_of(box, "agent", "agents")
    return {
        "name": rules.text(),
        "description": rules.text(None),
        "escalate_to": agent,
        "unassigned_for": rules.among(WAITS),
        "business_hour_id": rules.integer,
        "agent_ids": rules.strings(agent),
        "auto_ticket_assign": rules.among([0, 1], lambda f, v, b: int(v) if isinstance(v, bool) else v),
        "group_type": rules.among(["support_agent_group", "field_agent_group"]),
    }


def _unique_group(box: Sandbox, kept: Native, but: int | None = None) -> None:
    for other in box.store["groups"].values():
        if other["id"] != but and kept.get("name") and other["name"].casefold() == kept["name"].casefold():
            raise rules.duplicate("name")


def _group_listed(record: Native) -> Native:
    return {name: value for name, value in record.items() if name != "agent_ids"}


def _group_viewed(box: Sandbox, record: Native) -> Native:
    members = [id for id, agent in box.store["agents"].items() if record["id"] in agent.get("group_ids", [])]
    return {"agent_ids": members} | record


def _members(box: Sandbox, group: int, agent_ids: list[int]) -> None:
    for id, agent in box.store["agents"].items():
        groups = [other for other in agent.get("group_ids", []) if other != group]
        agent["group_ids"] = [*groups, group] if id in agent_ids else groups


@routes("GET", f"{API}/groups")
def groups(box: Sandbox, request: Request) -> Response:
    """List the groups in alphabetical order, without their agents."""
    rules.need_admin(box)
    given = rules.query(request, "page", "per_page")
    found = sorted(box.store["groups"].values(), key=lambda record: (record["name"].casefold(), record["id"]))
    return rules.listed(request, found, given, _group_listed)


@routes("POST", f"{API}/groups")
def create_group(box: Sandbox, request: Request) -> Response:
    """Create a group; its name must be unique."""
    rules.need_admin(box)
    body = Body(request)
    checks = _group_checks(box)
    body.only(checks)
    body.need("name")
    kept = body.check(checks)
    body.settle()
    _unique_group(box, kept)
    record: Native = {
        "id": rules.fresh_id(box),
        "name": kept["name"],
        "description": None,
        "escalate_to": None,
        "unassigned_for": "30m",
        "business_hour_id": None,
        "group_type": "support_agent_group",
        "created_at": box.now(),
        "updated_at": box.now(),
        "auto_ticket_assign": 0,
        "agent_availability_status": False,
        "agent_ids": [],
    } | {name: value for name, value in kept.items() if value is not None}
    _members(box, record["id"], record["agent_ids"])
    return rules.created(box, request, "groups", record, record)


@routes("GET", f"{API}/groups/<int:id>")
def group(box: Sandbox, request: Request, id: int) -> Response:
    """View a group with its agents."""
    rules.need_admin(box)
    return rules.answer(_group_viewed(box, rules.one(box, "groups", id)))


@routes("PUT", f"{API}/groups/<int:id>")
def update_group(box: Sandbox, request: Request, id: int) -> Response:
    """Change a group; ``agent_ids`` replaces the whole list."""
    rules.need_admin(box)
    record = rules.one(box, "groups", id)
    body = Body(request)
    checks = _group_checks(box)
    body.only(checks)
    kept = body.check(checks)
    body.settle()
    _unique_group(box, kept, but=id)
    record |= kept | {"updated_at": box.now()}
    if "agent_ids" in kept:
        _members(box, id, kept["agent_ids"] or [])
    return rules.answer(_group_viewed(box, record))


@routes("DELETE", f"{API}/groups/<int:id>")
def delete_group(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a group; its agents stay."""
    rules.need_admin(box)
    rules.one(box, "groups", id)
    del box.store["groups"][id]
    _members(box, id, [])
    for ticket in box.store["tickets"].values():
        if ticket.get("group_id") == id:
            ticket["group_id"] = None
    return rules.empty()


def _register(stream: str) -> None:
    @routes("GET", f"{API}/{stream}")
    def all_of(box: Sandbox, request: Request) -> Response:
        rules.need_admin(box)
        given = rules.query(request, "page", "per_page")
        return rules.listed(request, list(box.store[stream].values()), given, dict)

    @routes("GET", f"{API}/{stream}/<int:id>")
    def view(box: Sandbox, request: Request, id: int) -> Response:
        rules.need_admin(box)
        return rules.answer(rules.one(box, stream, id))


_register("roles")
_register("products")
