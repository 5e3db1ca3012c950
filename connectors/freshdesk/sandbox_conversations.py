"""Freshdesk's conversations: notes, replies, attachments on their foreign host, satisfaction ratings and surveys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_html import clean, plain
from .sandbox_rules import API, Body, Check, routes

STORAGE = "s3.freshdesk.sandbox"  # the host attachments lie on; it is not the help desk's
NOTE_SHOWN = (
    "body_text",
    "body",
    "id",
    "incoming",
    "private",
    "user_id",
    "support_email",
    "ticket_id",
    "attachments",
    "created_at",
    "updated_at",
)
REPLY_SHOWN = (
    "body_text",
    "body",
    "id",
    "user_id",
    "from_email",
    "cc_emails",
    "bcc_emails",
    "ticket_id",
    "attachments",
    "created_at",
    "updated_at",
)


def storage(box: Sandbox) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application of the foreign host; it notes a leak when the help desk's token reaches it."""

    @Request.application
    def app(request: Request) -> Response:
        if "Authorization" in request.headers:
            box.state["leaks"].append(request.path)
            return Response("<Error><Code>InvalidArgument</Code></Error>", 400, content_type="application/xml")
        found = re.match(r"/data/helpdesk/attachments/production/(\d+)/original/(.*)", unquote(request.path))
        if not found or found[1] not in box.blobs:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403, content_type="application/xml")
        kind = box.state["files"][int(found[1])]["content_type"]
        return Response(box.blobs[found[1]], content_type=kind)

    return app


def attach(box: Sandbox, name: str, content: bytes, content_type: str = "application/octet-stream") -> Native:
    """Store a file and return its attachment record, for a ticket or a conversation to carry."""
    record = {
        "id": rules.fresh_id(box),
        "name": name,
        "content_type": content_type,
        "size": len(content),
        "created_at": box.now(),
        "updated_at": box.now(),
    }
    box.blobs[str(record["id"])] = content
    box.state["files"][record["id"]] = record
    return with_urls(box, [record])[0]


def with_urls(box: Sandbox, attachments: Iterable[Native]) -> list[Native]:
    """Return attachments with the address of the moment: in process, or over the socket of ``content_base``."""
    base = box.state.get("content_base") or f"https://{STORAGE}"
    path = "/data/helpdesk/attachments/production"
    shown = []
    for file in attachments:
        own = box.state["files"].get(file["id"])
        url = {"attachment_url": f"{base}{path}/{file['id']}/original/{quote(file['name'])}"} if own else {}
        shown.append(file | url)
    return shown


def add_files(box: Sandbox, body: Body, ticket: Native | None) -> list[Native]:
    """Store a body's files; all attachments of a ticket together may have 20 MB."""
    total = 0
    if ticket:
        owners = [ticket, *(box.store["conversations"][id] for id in thread(box, ticket["id"]))]
        total = sum(file["size"] for owner in owners for file in owner.get("attachments") or [])
    if "attachments" in body.values and not body.files and body.values["attachments"]:
        raise rules.invalid(rules.error("attachments", "It should be a/an Array of valid files", "datatype_mismatch"))
    if total + sum(len(content) for _, content, _ in body.files) > rules.MAX_ATTACHMENTS:
        message = "The total size of all the ticket's attachments should not exceed 20 MB"
        raise rules.invalid(rules.error("attachments", message, "invalid_size"))
    return [attach(box, name, content, kind) for name, content, kind in body.files]


def mail(box: Sandbox, ticket: Native, body: str, to: list[Any] | None = None, **more: Any) -> None:
    """Record a mail that would have left the house."""
    contact = box.store["contacts"].get(ticket["requester_id"], {})
    box.state["mails"].append({"ticket_id": ticket["id"], "to": to or [contact.get("email")], "body": body, **more})


def thread(box: Sandbox, ticket_id: int) -> list[int]:
    """Return the ids of a ticket's conversations, in the order they were made."""
    ids: list[int] = box.state["threads"].setdefault(ticket_id, [])
    return ids


def conversations_of(box: Sandbox, ticket_id: int) -> list[Native]:
    """Return a ticket's conversations, oldest first."""
    found = [box.store["conversations"][id] for id in thread(box, ticket_id)]
    found.sort(key=lambda record: (record["created_at"], record["id"]))
    return [record | {"attachments": with_urls(box, record.get("attachments") or [])} for record in found]


def live(box: Sandbox, id: int) -> Native:
    """Return a ticket outside the archive, or refuse with 404."""
    ticket = rules.one(box, "tickets", id)
    if ticket.get("archived"):
        raise rules.missing()
    return ticket


@routes("GET", f"{API}/tickets/<int:id>/conversations")
def conversations(box: Sandbox, request: Request, id: int) -> Response:
    """List a ticket's conversations, page by page."""
    live(box, id)
    given = rules.query(request, "page", "per_page")
    return rules.listed(request, conversations_of(box, id), given, dict)


def _new(box: Sandbox, ticket: Native, body: Body, kept: Native, more: Native) -> Native:
    html = clean(kept["body"])
    record: Native = {
        "body": html,
        "body_text": plain(html, " "),
        "id": rules.fresh_id(box),
        "incoming": False,
        "private": False,
        "user_id": kept.get("user_id") or box.state["me"],
        "support_email": None,
        "source": 2,
        "category": 2,
        "to_emails": [],
        "from_email": None,
        "cc_emails": kept.get("cc_emails") or [],
        "bcc_emails": None,
        "email_failure_count": None,
        "outgoing_failures": None,
        "thread_id": None,
        "thread_message_id": None,
        "created_at": box.now(),
        "updated_at": box.now(),
        "last_edited_at": None,
        "last_edited_user_id": None,
        "attachments": add_files(box, body, ticket),
        "automation_id": None,
        "automation_type_id": None,
        "auto_response": False,
        "ticket_id": ticket["id"],
        "source_additional_info": None,
    } | more
    box.store["conversations"][record["id"]] = record
    thread(box, ticket["id"]).append(record["id"])
    ticket["updated_at"] = box.now()
    rules.indexed(box, "tickets", ticket["id"])
    return record


def _open(box: Sandbox, id: int) -> Native:
    ticket = live(box, id)
    if ticket.get("deleted") or ticket.get("spam"):
        raise rules.locked()
    return ticket


@routes("POST", f"{API}/tickets/<int:id>/notes")
def create_note(box: Sandbox, request: Request, id: int) -> Response:
    """Add a note: private unless said otherwise, by any user; only ``notify_emails`` sends a mail."""
    ticket = _open(box, id)
    body = Body(request)
    checks: dict[str, Check] = {
        "body": rules.text(None),
        "private": rules.boolean,
        "incoming": rules.boolean,
        "user_id": rules.record_of(box, "agent or contact", "agents", "contacts"),
        "notify_emails": rules.strings(rules.mail_address),
        "attachments": lambda field, value, body: None,
    }
    body.only(checks)
    body.need("body")
    kept = body.check(checks)
    body.settle()
    told, private = kept.get("notify_emails") or [], kept.get("private")
    more = {"private": private is not False, "incoming": bool(kept.get("incoming")), "to_emails": told}
    record = _new(box, ticket, body, kept, more)
    if told:
        mail(box, ticket, record["body"], told, kind="note")
    if record["incoming"] and not record["private"] and ticket["status"] in (4, 5) and box.state["reopens"]:
        stats = ticket.get("stats") or {}
        ticket["status"] = 2
        ticket["stats"] = stats | {"reopened_at": box.now(), "status_updated_at": box.now(), "closed_at": None}
    shown = {name: record[name] for name in NOTE_SHOWN} | {"notified_to": told}
    return rules.answer(shown, 201)


@routes("POST", f"{API}/tickets/<int:id>/reply")
def reply(box: Sandbox, request: Request, id: int) -> Response:
    """Reply, which sends the requester a mail."""
    ticket = _open(box, id)
    body = Body(request)
    addresses = rules.strings(rules.mail_address)
    checks: dict[str, Check] = {
        "body": rules.text(None),
        "from_email": rules.text(),
        "user_id": rules.record_of(box, "agent", "agents"),
        "cc_emails": addresses,
        "bcc_emails": addresses,
        "attachments": lambda field, value, body: None,
    }
    body.only(checks)
    body.need("body")
    kept = body.check(checks)
    body.settle()
    contact = box.store["contacts"].get(ticket["requester_id"], {})
    support = kept.get("from_email") or f"support@{box.host}"
    more = {
        "support_email": support,
        "source": 0,
        "category": 3,
        "to_emails": [contact.get("email")],
        "from_email": f"Support <{support}>",
        "bcc_emails": kept.get("bcc_emails") or [],
    }
    record = _new(box, ticket, body, kept, more)
    stats = ticket.get("stats") or {}
    first = stats.get("first_responded_at") or box.now()
    ticket["stats"] = stats | {"agent_responded_at": box.now(), "first_responded_at": first}
    mail(box, ticket, record["body"], kind="reply", cc=record["cc_emails"], bcc=record["bcc_emails"])
    return rules.answer({name: record[name] for name in REPLY_SHOWN} | {"replied_to": record["to_emails"]}, 201)


@routes("PUT", f"{API}/conversations/<int:id>")
def update_conversation(box: Sandbox, request: Request, id: int) -> Response:
    """Change a note; replies cannot be changed."""
    record = rules.one(box, "conversations", id)
    if record["source"] != 2:
        raise rules.locked()
    body = Body(request)
    checks: dict[str, Check] = {"body": rules.text(None), "attachments": lambda field, value, body: None}
    body.only(checks)
    if "body" in body.values:
        body.need("body")
    kept = body.check(checks)
    body.settle()
    files = add_files(box, body, box.store["tickets"].get(record["ticket_id"]))
    if kept.get("body"):
        record |= {"body": clean(kept["body"])}
        record["body_text"] = plain(record["body"], " ")
    edited = {"last_edited_at": box.now(), "last_edited_user_id": box.state["me"], "updated_at": box.now()}
    record |= edited | {"attachments": [*(record.get("attachments") or []), *files]}
    return rules.answer({name: record[name] for name in NOTE_SHOWN} | {"notified_to": record["to_emails"]})


@routes("DELETE", f"{API}/conversations/<int:id>")
def delete_conversation(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a conversation for good."""
    thread(box, rules.one(box, "conversations", id)["ticket_id"]).remove(id)
    del box.store["conversations"][id]
    return rules.empty()


@routes("DELETE", f"{API}/attachments/<int:id>")
def delete_attachment(box: Sandbox, request: Request, id: int) -> Response:
    """Delete an attachment."""
    for owner in [*box.store["tickets"].values(), *box.store["conversations"].values()]:
        kept = [file for file in owner.get("attachments") or [] if file["id"] != id]
        if len(kept) < len(owner.get("attachments") or []):
            owner["attachments"] = kept
            box.blobs.pop(str(id), None)
            return rules.empty()
    raise rules.missing()


def _rating(box: Sandbox, survey: Native) -> Check:
    allowed = {question["id"]: question["accepted_ratings"] for question in survey["questions"]}

    def check(field: str, value: Any, body: Body) -> Any:
        if not isinstance(value, dict) or "default_question" not in value:
            return body.wrong(field, "It should be a key/value pair with a default_question", "datatype_mismatch")
        for question, rating in value.items():
            rules.among(allowed.get(question, []), rules.integer)(question, rating, body)
        return value

    return check


@routes("POST", f"{API}/tickets/<int:id>/satisfaction_ratings")
def create_rating(box: Sandbox, request: Request, id: int) -> Response:
    """Rate a ticket by the active survey, in its requester's name and at this moment."""
    ticket = rules.one(box, "tickets", id)
    survey = next((s for s in box.store["surveys"].values() if s["active"]), None)
    if survey is None:
        raise rules.denied()
    body = Body(request)
    checks: dict[str, Check] = {"feedback": rules.text(None), "ratings": _rating(box, survey)}
    body.only(checks)
    body.need("ratings")
    kept = body.check(checks)
    body.settle()
    record: Native = {
        "id": rules.fresh_id(box),
        "survey_id": survey["id"],
        "user_id": ticket["requester_id"],
        "agent_id": ticket.get("responder_id"),
        "feedback": kept.get("feedback"),
        "group_id": ticket.get("group_id"),
        "ticket_id": id,
        "created_at": box.now(),
        "updated_at": box.now(),
        "ratings": kept["ratings"],
    }
    return rules.created(box, request, "satisfaction_ratings", record, record)


@routes("GET", f"{API}/tickets/<int:id>/satisfaction_ratings")
def ratings_of(box: Sandbox, request: Request, id: int) -> Response:
    """List the ratings of a ticket."""
    rules.one(box, "tickets", id)
    return rules.answer([r for r in box.store["satisfaction_ratings"].values() if r["ticket_id"] == id])


@routes("GET", f"{API}/surveys/satisfaction_ratings")
def ratings(box: Sandbox, request: Request) -> Response:
    """List all ratings."""
    rules.need_feature(box, "surveys", "Surveys")
    given = rules.query(request, "created_since", "user_id", "page", "per_page")
    after, user = rules.since(given, "created_since"), rules.number(given, "user_id")
    found = [
        record
        for record in box.store["satisfaction_ratings"].values()
        if (not after or rules.instant(record["created_at"]) >= after) and user in (None, record["user_id"])
    ]
    found.sort(key=lambda record: (record["created_at"], record["id"]))
    return rules.listed(request, found, given, dict)


@routes("GET", f"{API}/surveys")
def surveys(box: Sandbox, request: Request) -> Response:
    """List the surveys."""
    given = rules.query(request, "state", "page", "per_page")
    active = {"active": True, "inactive": False}.get(given.get("state", ""))
    return rules.answer([s for s in box.store["surveys"].values() if active in (None, s["active"])])
