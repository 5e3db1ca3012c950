"""Freshdesk's tickets: lists with their traps, creation, change, deletion, and the archive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_fields as fields
from . import sandbox_people as people
from . import sandbox_rules as rules
from .sandbox_conversations import add_files, conversations_of, live, with_urls
from .sandbox_html import clean, plain
from .sandbox_rules import API, Body, Check, routes

EMBEDS = (
    "archived",
    "attachments",
    "company",
    "conversations",
    "deleted",
    "description",
    "description_text",
    "requester",
    "stats",
)
CREATABLE_SOURCES = (1, 2, 3, 7, 9, 10)
SLA = {1: (259200, 86400), 2: (86400, 28800), 3: (43200, 14400), 4: (14400, 3600)}  # seconds: resolve, respond
STATS = (
    "agent_responded_at",
    "requester_responded_at",
    "first_responded_at",
    "status_updated_at",
    "reopened_at",
    "resolved_at",
    "closed_at",
    "pending_since",
)
REQUESTER = ("requester_id", "email", "facebook_id", "phone", "twitter_id", "unique_external_id")
OTHER_FIELDS = {"ticket_type": "type", "group": "group_id", "agent": "responder_id", "product": "product_id"}


def _person(box: Sandbox, id: Any, stored: Native | None) -> Native:
    found = box.store["contacts"].get(id) or (box.store["agents"].get(id) or {}).get("contact")
    names = ("name", "email", "mobile", "phone")
    return {"id": id} | {name: found.get(name) for name in names} if found else stored or {"id": id}


def _shown(box: Sandbox, record: Native, embeds: set[str]) -> Native:
    shown = {name: value for name, value in record.items() if name not in EMBEDS}
    if record.get("deleted"):
        shown["deleted"] = True
    if "description" in embeds:
        shown |= {"description": record.get("description"), "description_text": record.get("description_text")}
    if "requester" in embeds:
        shown["requester"] = _person(box, record["requester_id"], record.get("requester"))
    if "stats" in embeds:
        shown["stats"] = record.get("stats") or dict.fromkeys(STATS)
    if "company" in embeds:
        firm = box.store["companies"].get(record.get("company_id"))
        shown["company"] = {"id": firm["id"], "name": firm["name"]} if firm else {}
    if "conversations" in embeds:
        shown["conversations"] = conversations_of(box, record["id"])[:10]
    return shown


def viewed(box: Sandbox, record: Native, embeds: set[str] | frozenset[str] = frozenset()) -> Native:
    """Return a ticket as its own endpoint shows it."""
    return _shown(box, record, {*embeds, "description"}) | {
        "attachments": with_urls(box, record.get("attachments", []))
    }


def _embeds(given: dict[str, str], allowed: tuple[str, ...]) -> set[str]:
    embeds = set(filter(None, given.get("include", "").split(",")))
    if embeds - set(allowed):
        raise rules.invalid(rules.error("include", f"It should be one of these values: '{','.join(allowed)}'"))
    return embeds


@routes("GET", f"{API}/tickets")
def tickets(box: Sandbox, request: Request) -> Response:
    """List tickets: without ``updated_since`` those created in the last 30 days only, and never past page 300."""
    names = ("filter", "requester_id", "email", "unique_external_id", "company_id", "updated_since")
    given = rules.query(request, *names, "order_by", "order_type", "include", "page", "per_page")
    embeds = _embeds(given, ("stats", "requester", "description"))
    after = rules.since(given, "updated_since")
    wanted = _wanted(box, given)
    young = box.clock.now() - timedelta(days=30)
    found = []
    for record in (ticket for ticket in box.store["tickets"].values() if not ticket.get("archived")):
        recent = rules.instant(record["updated_at"]) >= after if after else rules.instant(record["created_at"]) >= young
        if recent and all(record.get(name) == value for name, value in wanted.items()):
            deleted, spam, rule = bool(record.get("deleted")), bool(record.get("spam")), given.get("filter")
            if rule == "deleted":
                kept = deleted
            elif rule == "spam":
                kept = spam and not deleted
            else:
                mine = record.get("responder_id") in (None, box.state["me"]) and record["status"] == 2
                kept = not deleted and not spam and rule != "watching" and (rule != "new_and_my_open" or mine)
            if kept:
                found.append(record)
    key = _choice(given, "order_by", ("created_at", "due_by", "updated_at", "status"))
    falling = _choice(given, "order_type", ("desc", "asc")) == "desc"
    found.sort(key=lambda record: (record[key] is not None, record[key] or 0, record["id"]), reverse=falling)
    return rules.listed(
        request, found, given, lambda record: _shown(box, record, embeds), max_page=box.state["most_pages"]
    )


def _choice(given: dict[str, str], name: str, allowed: tuple[str, ...]) -> str:
    if given.get(name, allowed[0]) not in allowed:
        raise rules.invalid(rules.error(name, f"It should be one of these values: '{','.join(allowed)}'"))
    return given.get(name, allowed[0])


def _wanted(box: Sandbox, given: dict[str, str]) -> Native:
    """Return the values that the filters ask of a ticket."""
    if given.get("filter") not in (None, "new_and_my_open", "watching", "spam", "deleted"):
        message = "It should be one of these values: 'new_and_my_open,watching,spam,deleted'"
        raise rules.invalid(rules.error("filter", message))
    ids = {name: rules.number(given, name) for name in ("requester_id", "company_id")}
    wanted: Native = {name: id for name, id in ids.items() if id is not None}
    for name in ("email", "unique_external_id"):
        if name in given:
            wanted["requester_id"] = people.holder(box, name, given[name])
            if wanted["requester_id"] is None:
                raise rules.invalid(rules.error(name, f"There is no contact matching the given {name}"))
    return wanted


def _source(box: Sandbox) -> Check:
    own = [id for id in fields.named(box, "source")["choices"].values() if id > 100]
    return rules.among([*CREATABLE_SOURCES, *own], rules.integer)


def checks_of(box: Sandbox) -> dict[str, Check]:
    """Return the checks of the fields that both creation and change take."""
    types = fields.choice_names(fields.named(box, "ticket_type")["choices"])
    return {
        "name": rules.text(),
        "requester_id": rules.record_of(box, "contact", "contacts", "agents"),
        "email": rules.mail_address,
        "facebook_id": rules.text(),
        "phone": rules.text(),
        "twitter_id": rules.text(),
        "unique_external_id": rules.text(),
        "subject": rules.text(),
        "type": rules.among(types),
        "status": rules.among([int(id) for id in fields.named(box, "status")["choices"]], rules.integer),
        "priority": rules.among([1, 2, 3, 4], rules.integer),
        "source": _source(box),
        "description": rules.text(None),
        "responder_id": rules.record_of(box, "agent", "agents"),
        "group_id": rules.record_of(box, "group", "groups"),
        "product_id": rules.record_of(box, "product", "products"),
        "company_id": rules.record_of(box, "company", "companies"),
        "email_config_id": rules.record_of(box, "email config", "email_configs"),
        "custom_fields": fields.values(box, "ticket_fields"),
        "tags": rules.strings(rules.tag),
        "due_by": rules.when,
        "fr_due_by": rules.when,
        "parent_id": rules.record_of(box, "ticket", "tickets"),
        "attachments": lambda field, value, body: None,
        "internal_agent_id": rules.record_of(box, "agent", "agents"),
        "internal_group_id": rules.record_of(box, "group", "groups"),
        "lookup_parameter": rules.text(),
    }


CREATE_ONLY: dict[str, Check] = {
    "cc_emails": rules.strings(rules.mail_address),
    "related_ticket_ids": rules.strings(rules.integer),
}


def _requester(box: Sandbox, kept: Native, body: Body) -> int | None:
    """Return the requester's id; an unknown address, number or handle makes a new contact."""
    if kept.get("requester_id"):
        contact = box.store["contacts"].get(kept["requester_id"], {})
        if contact.get("deleted") or contact.get("id") in box.state["blocked"]:
            body.wrong("requester_id", "The given requester is blocked or deleted")
        return int(kept["requester_id"])
    for name in ("email", "unique_external_id", "twitter_id", "facebook_id", "phone"):
        if kept.get(name):
            if found := people.holder(box, name, kept[name]):
                return found
            if name == "facebook_id":  # "A contact should exist with this facebook_id" (docs)
                body.wrong(name, f"There is no contact matching the given {name}")
            if kept.get("company_id"):
                body.wrong("company_id", "The requester does not belong to the specified company")
            if name == "phone" and not kept.get("name"):
                body.wrong("name", "Mandatory attribute missing", "missing_field")
            body.settle()
            named = kept.get("name") or str(kept[name]).partition("@")[0]
            return int(people.new_contact(box, {"name": named, name: kept[name]})["id"])
    return None


def _company(box: Sandbox, requester: int, kept: Native, body: Body) -> int | None:
    contact = box.store["contacts"].get(requester, {})
    own = [contact.get("company_id"), *(line["company_id"] for line in contact.get("other_companies") or [])]
    if kept.get("company_id") and kept["company_id"] not in own:
        body.wrong("company_id", "The requester does not belong to the specified company")
    company: int | None = kept.get("company_id") or own[0]
    return company


def _required(box: Sandbox, body: Body, ticket: Native) -> None:
    """Note what agents must fill: the fields' own flags decide, as in the agents' form."""
    closing = ticket["status"] in (4, 5)
    fields.need(box, "ticket_fields", body, ticket["custom_fields"])
    if closing:
        fields.need(box, "ticket_fields", body, ticket["custom_fields"], closing=True)
    for field in box.store["ticket_fields"].values():
        name = OTHER_FIELDS.get(field["name"])
        wanted = field["required_for_agents"] or (closing and field["required_for_closure"])
        if name and field["default"] and wanted and ticket.get(name) is None:
            body.wrong(name, "Mandatory attribute missing", "missing_field")


def _moved(box: Sandbox, stats: Native | None, status: int, before: int | None) -> Native:
    stats = dict(stats or dict.fromkeys(STATS))
    if status != before:
        stats["status_updated_at"] = box.now()
        if status in (4, 5):
            stats["resolved_at"] = stats["resolved_at"] or box.now()
        if status == 5:
            stats["closed_at"] = box.now()
        if before in (4, 5) and status not in (4, 5):
            stats |= {"reopened_at": box.now(), "resolved_at": None, "closed_at": None}
        stats["pending_since"] = box.now() if status == 3 else None
    return stats


@routes("POST", f"{API}/tickets")
def create_ticket(box: Sandbox, request: Request) -> Response:
    """Create a ticket. Nothing sets when it was created, nor by whom."""
    body = Body(request)
    checks = checks_of(box) | CREATE_ONLY
    body.only(checks)
    if not any(body.values.get(name) for name in REQUESTER):
        body.wrong("requester_id", f"Please fill at least 1 of {', '.join(REQUESTER)} fields", "missing_field")
    body.need("subject", "description")
    kept = {name: value for name, value in body.check(checks).items() if value is not None}
    ticket: Native = {
        "cc_emails": kept.get("cc_emails", []),
        "fwd_emails": [],
        "reply_cc_emails": kept.get("cc_emails", []),
        "ticket_cc_emails": kept.get("cc_emails", []),
        "fr_escalated": False,
        "spam": False,
        "email_config_id": kept.get("email_config_id"),
        "group_id": kept.get("group_id"),
        "priority": kept.get("priority", 1),
        "responder_id": kept.get("responder_id"),
        "source": kept.get("source", 2),
        "status": kept.get("status", 2),
        "subject": kept.get("subject"),
        "association_type": 2 if "parent_id" in kept else None,
        "support_email": None,
        "to_emails": None,
        "product_id": kept.get("product_id"),
        "type": kept.get("type"),
        "due_by": kept.get("due_by"),
        "fr_due_by": kept.get("fr_due_by"),
        "is_escalated": False,
        "custom_fields": fields.blank(box, "ticket_fields") | kept.get("custom_fields", {}),
        "created_at": box.now(),
        "updated_at": box.now(),
        "associated_tickets_count": None,
        "tags": kept.get("tags", []),
        "nr_due_by": None,
        "nr_escalated": False,
        "stats": _moved(box, None, kept.get("status", 2), None),
        "attachments": [],
    }
    _required(box, body, ticket)
    body.settle()
    ticket["attachments"] = add_files(box, body, None)
    ticket["requester_id"] = _requester(box, kept, body)
    ticket["company_id"] = _company(box, ticket["requester_id"], kept, body)
    body.settle()
    ticket["description"] = clean(kept["description"])
    ticket["description_text"] = plain(ticket["description"])
    ticket["id"] = box.state["ticket_id"] = box.state["ticket_id"] + 1
    shown = viewed(box, ticket)  # "The due_by value is set within a few seconds of ticket creation" (docs)
    for name, seconds in zip(("due_by", "fr_due_by"), SLA[ticket["priority"]], strict=True):
        due = box.clock.now() + timedelta(seconds=seconds)
        ticket[name] = ticket[name] or due.strftime("%Y-%m-%dT%H:%M:%SZ")
    return rules.created(box, request, "tickets", ticket, shown)


@routes("GET", f"{API}/tickets/<int:id>")
def ticket(box: Sandbox, request: Request, id: int) -> Response:
    """View a ticket; ``include=conversations`` gives the first ten only."""
    given = rules.query(request, "include")
    embeds = _embeds(given, ("conversations", "requester", "company", "stats"))
    return rules.answer(viewed(box, live(box, id), embeds))


def archived(box: Sandbox, id: int) -> Native:
    """Return a ticket of the archive, or refuse."""
    rules.need_feature(box, "archive", "Archive Tickets")
    record = rules.one(box, "tickets", id)
    if not record.get("archived"):
        raise rules.missing()
    return record


@routes("GET", f"{API}/tickets/archived/<int:id>")
def archived_ticket(box: Sandbox, request: Request, id: int) -> Response:
    """View a ticket of the archive, which no list shows."""
    rules.query(request)
    return rules.answer(viewed(box, archived(box, id)) | {"archived": True})


@routes("GET", f"{API}/tickets/archived/<int:id>/conversations")
def archived_conversations(box: Sandbox, request: Request, id: int) -> Response:
    """List the conversations of a ticket of the archive, page by page."""
    archived(box, id)
    given = rules.query(request, "page", "per_page")
    return rules.listed(request, conversations_of(box, id), given, dict)


@routes("DELETE", f"{API}/tickets/archived/<int:id>")
def delete_archived(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a ticket of the archive for good."""
    del box.store["tickets"][archived(box, id)["id"]]
    return rules.empty()


def update(box: Sandbox, record: Native, body: Body, checks: dict[str, Check]) -> None:
    """Change a ticket by a body, or refuse."""
    if record.get("deleted") or record.get("spam"):
        raise rules.locked()
    for name in ("subject", "description"):
        if name in body.values:
            body.need(name)
            if record["source"] == 10:  # "the subject and description of outbound tickets cannot be updated" (docs)
                body.errors.append(rules.unexpected(name))
    kept = body.check(checks)
    for name in ("status", "priority", "source", "requester_id"):
        if name in kept and kept[name] is None:
            body.wrong(name, "It should not be blank as this is a mandatory field")
    custom = record["custom_fields"] | (kept.pop("custom_fields", None) or {})
    body.settle()
    _required(box, body, record | {k: v for k, v in kept.items() if k in record} | {"custom_fields": custom})
    body.settle()
    before, requester = record["status"], _requester(box, kept, body)
    body.settle()
    if requester:
        kept |= {"requester_id": requester, "company_id": _company(box, requester, kept, body)}
    if "description" in kept:
        kept["description"] = clean(kept["description"])
        kept["description_text"] = plain(kept["description"])
    files = add_files(box, body, record)
    record |= {name: value for name, value in kept.items() if name in record or name.startswith("description")}
    record |= {"custom_fields": custom, "tags": record["tags"] or [], "updated_at": box.now()}
    record["attachments"] = [*record.get("attachments", []), *files]
    record["stats"] = _moved(box, record.get("stats"), record["status"], before)
    rules.indexed(box, "tickets", record["id"])


@routes("PUT", f"{API}/tickets/<int:id>")
def update_ticket(box: Sandbox, request: Request, id: int) -> Response:
    """Change a ticket; a deleted one, or spam, is refused with 405."""
    record = live(box, id)
    body, checks = Body(request), checks_of(box)
    body.only(checks)
    update(box, record, body, checks)
    return rules.answer(viewed(box, record))


@routes("DELETE", f"{API}/tickets/<int:id>")
def delete_ticket(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a ticket softly."""
    delete(box, live(box, id))
    return rules.empty()


def delete(box: Sandbox, record: Native) -> None:
    """Delete a ticket softly, or refuse."""
    if record.get("deleted") or record.get("spam"):
        raise rules.locked()
    record |= {"deleted": True, "updated_at": box.now()}
    rules.indexed(box, "tickets", record["id"])


@routes("PUT", f"{API}/tickets/<int:id>/restore")
def restore_ticket(box: Sandbox, request: Request, id: int) -> Response:
    """Take a deletion back."""
    record = rules.one(box, "tickets", id)
    if not record.get("deleted"):
        raise rules.missing()
    record.pop("deleted")
    record["updated_at"] = box.now()
    rules.indexed(box, "tickets", id)
    return rules.empty()


def archive(box: Sandbox, id: int) -> None:
    """Move a ticket into the archive, as the vendor does with closed ones that nobody touched for 120 days."""
    box.store["tickets"][id] |= {"archived": True, "status": 5}
    rules.indexed(box, "tickets", id)
