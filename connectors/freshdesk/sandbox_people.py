"""Freshdesk's contacts."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_fields as fields
from . import sandbox_rules as rules
from .sandbox_rules import API, Body, Check, routes

VIEW_ONLY = ("avatar", "deleted", "other_companies", "other_emails", "tags", "view_all_tickets")
UNIQUE = ("email", "unique_external_id", "twitter_id")
HELD = (*UNIQUE, "phone", "facebook_id")
IDENTITIES = ("email", "phone", "mobile", "twitter_id", "unique_external_id")


def contact_listed(record: Native) -> Native:
    """Return a contact as lists show it: without tags and further addresses."""
    shown = {name: value for name, value in record.items() if name not in VIEW_ONLY}
    if record.get("company_id") is not None and "other_companies" in record:
        shown["other_companies"] = record["other_companies"]  # recorded: only beside a company
    return shown


def contact_viewed(record: Native) -> Native:
    """Return a contact as its own endpoint shows it; ``deleted`` is there only when true."""
    shown: Native = {
        "other_emails": [],
        "other_companies": [],
        "tags": [],
        "avatar": None,
        "view_all_tickets": False,
    } | record
    if not shown.get("deleted"):
        shown.pop("deleted", None)
    return shown


def remember(box: Sandbox, id: int, person: Native) -> None:
    """Note who has a person's values, so that ``holder`` need not look at everyone."""
    for field in HELD:
        more = (person.get("other_emails") or []) if field == "email" else []
        for value in (person.get(field), *more):
            if value:
                box.state["holders"].setdefault((field, str(value).lower()), set()).add(id)


def holder(box: Sandbox, field: str, value: Any, but: int | None = None) -> int | None:
    """Return who has a value among contacts and agents; further addresses count, as does a deleted contact's."""
    wanted = str(value).lower()
    for id in sorted(box.state["holders"].get((field, wanted), ())):
        agent = box.store["agents"].get(id)
        person = agent["contact"] if agent else box.store["contacts"].get(id)
        if person and id != but:
            more = (person.get("other_emails") or []) if field == "email" else []
            if wanted in (str(person.get(field)).lower(), *map(str.lower, more)):
                return int(id)
    return None


def _company_of(box: Sandbox, email: str | None) -> int | None:
    domain = (email or "@").rpartition("@")[2]
    return next((id for id, firm in box.store["companies"].items() if domain and domain in firm["domains"]), None)


def new_contact(box: Sandbox, kept: Native) -> Native:
    """Store and return a contact with ``kept``, an ``id`` included, and the vendor's defaults."""
    record: Native = {
        "active": False,
        "address": None,
        "description": None,
        "email": None,
        "id": kept.get("id") or rules.fresh_id(box),
        "job_title": None,
        "language": "en",
        "mobile": None,
        "name": None,
        "phone": None,
        "time_zone": box.state["time_zone"],
        "twitter_id": None,
        "facebook_id": None,
        "created_at": box.now(),
        "updated_at": box.now(),
        "csat_rating": None,
        "preferred_source": None,
        "company_id": None,
        "unique_external_id": None,
        "twitter_profile_status": False,
        "twitter_followers_count": None,
        "other_emails": [],
        "other_companies": [],
        "tags": [],
        "avatar": None,
        "view_all_tickets": False,
    } | {name: value for name, value in kept.items() if value is not None}
    record["custom_fields"] = fields.blank(box, "contact_fields") | (kept.get("custom_fields") or {})
    if record["company_id"] is None:
        record["company_id"] = _company_of(box, record["email"])
    box.store["contacts"][record["id"]] = record
    remember(box, record["id"], record)
    rules.indexed(box, "contacts", record["id"])
    return record


def _other_companies(box: Sandbox) -> Check:
    def check(field: str, value: Any, body: Body) -> Any:
        if not isinstance(value, list) or not all(isinstance(line, dict) for line in value):
            return body.wrong_type(field, value, "Array")
        company = rules.record_of(box, "company", "companies")
        return [
            {"company_id": company(field, line.get("company_id"), body), "view_all_tickets": False} | line
            for line in value
        ]

    return check


def _contact_checks(box: Sandbox) -> dict[str, Check]:
    names = ("name", "phone", "mobile", "twitter_id", "unique_external_id", "address", "job_title", "language")
    return {name: rules.text() for name in (*names, "time_zone")} | {
        "description": rules.text(None),
        "email": rules.mail_address,
        "other_emails": rules.strings(rules.mail_address),
        "company_id": rules.record_of(box, "company", "companies"),
        "other_companies": _other_companies(box),
        "view_all_tickets": rules.boolean,
        "tags": rules.strings(rules.tag),
        "custom_fields": fields.values(box, "contact_fields"),
    }


def _unique(box: Sandbox, kept: Native, but: int | None = None) -> None:
    for field in UNIQUE:
        if kept.get(field) and (found := holder(box, field, kept[field], but)):
            raise rules.duplicate(field, found)
    for address in kept.get("other_emails") or []:
        if found := holder(box, "email", address, but):
            raise rules.duplicate("other_emails", found)


@routes("GET", f"{API}/contacts")
def contacts(box: Sandbox, request: Request) -> Response:
    """List the contacts in alphabetical order; blocked and deleted ones only by ``state``."""
    names = ("email", "phone", "mobile", "unique_external_id", "company_id", "state", "updated_since", "_updated_since")
    given = rules.query(request, *names, "page", "per_page")
    state, company = given.get("state"), rules.number(given, "company_id")
    if state not in (None, "blocked", "deleted", "unverified", "verified"):
        message = "It should be one of these values: 'blocked,deleted,unverified,verified'"
        raise rules.invalid(rules.error("state", message))
    after = rules.since(given, "updated_since") or rules.since(given, "_updated_since")
    found = []
    for record in box.store["contacts"].values():
        deleted, blocked = bool(record.get("deleted")), record["id"] in box.state["blocked"]
        wanted = {"deleted": deleted, "blocked": blocked}.get(state or "", not deleted and not blocked)
        if state in ("verified", "unverified"):
            wanted = wanted and record["active"] == (state == "verified")
        for name in ("email", "phone", "mobile", "unique_external_id"):
            if name in given:
                emails = (record.get("other_emails") or []) if name == "email" else []
                wanted = wanted and given[name].lower() in (str(record.get(name)).lower(), *map(str.lower, emails))
        wanted = wanted and (company is None or record["company_id"] == company)
        if wanted and (after is None or rules.instant(record["updated_at"]) >= after):
            found.append(record)
    found.sort(key=lambda record: ((record["name"] or "").casefold(), record["id"]))
    return rules.listed(request, found, given, contact_listed)


@routes("POST", f"{API}/contacts")
def create_contact(box: Sandbox, request: Request) -> Response:
    """Create a contact: a name and one of the identities are needed."""
    body = Body(request)
    checks = _contact_checks(box)
    body.only([*checks, "avatar", "lookup_parameter", "social_handler"])
    body.need("name")
    if not any(body.values.get(name) for name in IDENTITIES):
        message = f"Please fill at least 1 of {', '.join(IDENTITIES)} fields"
        body.wrong("email", message, "missing_field")
    kept = body.check(checks)
    fields.need(box, "contact_fields", body, kept.get("custom_fields") or {})
    body.settle()
    _unique(box, kept)
    record = new_contact(box, kept)
    return rules.created(box, request, "contacts", record, contact_viewed(record))


@routes("GET", f"{API}/contacts/<int:id>")
def contact(box: Sandbox, request: Request, id: int) -> Response:
    """View a contact, deleted ones included."""
    return rules.answer(contact_viewed(rules.one(box, "contacts", id)))


@routes("PUT", f"{API}/contacts/<int:id>")
def update_contact(box: Sandbox, request: Request, id: int) -> Response:
    """Change a contact; a blocked or deleted one is refused with 405."""
    record = rules.one(box, "contacts", id)
    if record.get("deleted") or id in box.state["blocked"]:
        raise rules.locked()
    body = Body(request)
    checks = _contact_checks(box)
    body.only([*checks, "avatar", "lookup_parameter", "social_handler"])
    if "name" in body.values:
        body.need("name")
    kept = body.check(checks)
    body.settle()
    _unique(box, kept, but=id)
    kept |= {name: [] for name in ("tags", "other_emails", "other_companies") if name in kept and kept[name] is None}
    kept["custom_fields"] = record["custom_fields"] | (kept.get("custom_fields") or {})
    record |= kept | {"updated_at": box.now()}
    remember(box, id, record)
    rules.indexed(box, "contacts", id)
    return rules.answer(contact_viewed(record))


@routes("DELETE", f"{API}/contacts/<int:id>")
def delete_contact(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a contact softly."""
    record = rules.one(box, "contacts", id)
    if record.get("deleted"):
        raise rules.locked()
    record |= {"deleted": True, "updated_at": box.now()}
    rules.indexed(box, "contacts", id)
    return rules.empty()


@routes("DELETE", f"{API}/contacts/<int:id>/hard_delete")
def hard_delete_contact(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a contact for good, with its tickets; it must be softly deleted before, or ``force=true``."""
    record = rules.one(box, "contacts", id)
    if not record.get("deleted") and request.args.get("force", "").lower() != "true":
        return rules.empty(400)
    del box.store["contacts"][id]
    rules.indexed(box, "contacts", id)
    for ticket in [t["id"] for t in box.store["tickets"].values() if t["requester_id"] == id]:
        del box.store["tickets"][ticket]
        rules.indexed(box, "tickets", ticket)
    return rules.empty()


@routes("PUT", f"{API}/contacts/<int:id>/restore")
def restore_contact(box: Sandbox, request: Request, id: int) -> Response:
    """Take a soft deletion back."""
    record = rules.one(box, "contacts", id)
    if not record.get("deleted"):
        raise rules.missing()
    record |= {"deleted": False, "updated_at": box.now()}
    rules.indexed(box, "contacts", id)
    return rules.empty()


@routes("PUT", f"{API}/contacts/<int:id>/send_invite")
def invite_contact(box: Sandbox, request: Request, id: int) -> Response:
    """Send the activation mail."""
    box.state["mails"].append({"kind": "invite", "to": [rules.one(box, "contacts", id)["email"]]})
    return rules.empty()


@routes("POST", f"{API}/contacts/merge")
def merge_contacts(box: Sandbox, request: Request) -> Response:
    """Merge contacts: the secondary ones are deleted, their tickets become the primary's."""
    body = Body(request)
    body.only(["primary_contact_id", "secondary_contact_ids", "contact"])
    body.need("primary_contact_id", "secondary_contact_ids")
    person = rules.record_of(box, "contact", "contacts")
    kept = body.check({"primary_contact_id": person, "secondary_contact_ids": rules.strings(person)})
    body.settle()
    primary, merged = box.store["contacts"][kept["primary_contact_id"]], body.values.get("contact") or {}
    for id in kept["secondary_contact_ids"]:
        box.store["contacts"][id] |= {"deleted": True, "email": None, "other_emails": [], "updated_at": box.now()}
        rules.indexed(box, "contacts", id)
        for ticket in box.store["tickets"].values():
            if ticket["requester_id"] == id:
                ticket["requester_id"] = primary["id"]
    names = ("email", "phone", "mobile", "twitter_id", "unique_external_id", "other_emails")
    primary |= {name: merged[name] for name in names if name in merged} | {"updated_at": box.now()}
    remember(box, primary["id"], primary)
    rules.indexed(box, "contacts", primary["id"])
    return rules.empty()
