"""Intercom's sandbox: a local twin of what its REST API lets one read, written from the official specification 2.16 and
recorded records (see facts.yaml).

``create`` builds one, ``seed`` fills it: ``conversation_parts``, ``ticket_parts`` and ``exceptions`` say in
``_parent`` whose they are. Settings in ``box.state``: ``most_parts`` of one conversation.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Routes, Sandbox

__all__ = ["SETTINGS", "TOKEN", "create", "seed"]

TOKEN = "sandbox-intercom-token"
SETTINGS = {"host": "api.intercom.sandbox"}
VERSION = "2.16"
MOST_PARTS = 500  # "conversations are limited to 500 parts" (specification, retrieveConversation)
STREAMS = (
    "admins",
    "teams",
    "tags",
    "contact_attributes",
    "company_attributes",
    "conversation_attributes",
    "ticket_types",
    "emails",
    "companies",
    "contacts",
    "conversations",
    "conversation_parts",
    "tickets",
    "ticket_parts",
    "office_hours",
    "exceptions",
    "macros",
    "workflows",
    "articles",
    "collections",
    "files",
)
routes = Routes()


class Refusal(Exception):
    """What the API answers in place of a record."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def answer(body: Any, status: int = 200) -> Response:
    """Return JSON."""
    return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")


def _refused(status: int, code: str, message: str) -> Response:
    about = {"type": "error.list", "request_id": "5a0d8e6c-0000-4000-8000-000000000000"}
    return answer({**about, "errors": [{"code": code, "message": message}]}, status)


def create(
    *, clock: Clock | None = None, plan: str = "app", host: str = "intercom.sandbox", limits: bool = True
) -> Sandbox:
    """Return a new workspace with one teammate."""
    quotas = [Quota(10_000)] if limits else []
    safe = routes.answering(Refusal, lambda refusal: _refused(refusal.status, refusal.code, str(refusal)))
    box = Sandbox("intercom", safe, clock=clock, host=host, admit=_admit, too_many=_too_many, quotas=quotas)
    box.state["most_parts"] = MOST_PARTS
    seed(box, "admins", [{"id": "1", "name": "Sandbox Admin", "email": "admin@intercom.sandbox"}])
    return box


def _admit(box: Sandbox, request: Request) -> Response | None:
    if request.path.startswith("/files/"):
        return None
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return _refused(401, "unauthorized", "Access Token Invalid")
    if request.headers.get("Intercom-Version", VERSION) not in ("2.11", "2.15", VERSION, "Unstable"):
        return _refused(400, "intercom_version_invalid", "The requested version could not be found")
    return None


def _too_many(box: Sandbox, wait: float) -> Response:
    return _refused(429, "rate_limit_exceeded", "Exceeded rate limit")


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Store records as the API shows them; those of a thread name their ``_parent``. Files are {id, body, type}."""
    if stream not in STREAMS:
        raise ValueError(f"intercom has no stream {stream!r}; it has {', '.join(STREAMS)}")
    for body in map(copy.deepcopy, bodies):
        if stream == "admins":
            body = {
                "type": "admin",
                "job_title": "",
                "away_mode_enabled": False,
                "away_mode_reassign": False,
                "has_inbox_seat": True,
                "team_ids": [],
            } | body
        box.store[stream][str(body["full_name"] if "full_name" in body else body["id"])] = body


# ---- lists -----------------------------------------------------------------------------------------------------------


def _size(request: Request, default: int, most: int, wanted: Any = None) -> int:
    size = int(wanted if wanted is not None else request.args.get("per_page", default))
    if not 1 <= size <= most:
        raise Refusal(400, "parameter_invalid", f"per_page must be between 1 and {most}")
    return size


def _by_cursor(records: list[Native], size: int, after: str | None) -> tuple[list[Native], Native]:
    """Return a page and what ``pages`` says of it; the cursor tells the last record of the page before."""
    begin = 0
    if after:
        last = json.loads(base64.b64decode(after))[1]
        begin = next((at + 1 for at, one in enumerate(records) if str(one["id"]) == last), len(records))
    page = records[begin : begin + size]
    pages: Native = {"type": "pages", "page": begin // size + 1, "per_page": size}
    pages["total_pages"] = max(1, -(-len(records) // size))
    if begin + size < len(records):
        word = json.dumps([page[-1].get("updated_at"), str(page[-1]["id"])]).encode()
        pages["next"] = {"page": begin // size + 2, "starting_after": base64.b64encode(word).decode()}
    return page, pages


def _shown(native: Native, *without: str) -> Native:
    return {key: value for key, value in native.items() if not key.startswith("_") and key not in without}


def _cursor_list(box: Sandbox, request: Request, stream: str, key: str, kind: str, *, most: int = 150) -> Response:
    records = sorted(box.store[stream].values(), key=lambda one: str(one["id"]))
    page, pages = _by_cursor(records, _size(request, 20, most), request.args.get("starting_after"))
    return answer({"type": kind, key: list(map(_shown, page)), "total_count": len(records), "pages": pages})


def _numbered_list(box: Sandbox, request: Request, stream: str) -> Response:
    records, size = list(box.store[stream].values()), _size(request, 15, 60)
    number = int(request.args.get("page", 1))
    pages = {"type": "pages", "page": number, "per_page": size, "total_pages": max(1, -(-len(records) // size))}
    page = [_shown(one) for one in records[(number - 1) * size : number * size]]
    return answer({"type": "list", "data": page, "total_count": len(records), "pages": pages})


def _whole(box: Sandbox, stream: str, key: str = "data", kind: str = "list") -> Response:
    return answer({"type": kind, key: [_shown(one) for one in box.store[stream].values()]})


def _one(box: Sandbox, stream: str, id: str) -> Native:
    found = box.store[stream].get(id)
    if found is None:
        raise Refusal(404, "not_found", "Resource Not Found")
    return found


@routes("GET", "/me")
def me(box: Sandbox, request: Request) -> Response:
    """Show whom the token belongs to."""
    app = {
        "type": "app",
        "id_code": "sandbox1",
        "name": "Sandbox",
        "region": "US",
        "timezone": "UTC",
        "created_at": 1700000000,
        "identity_verification": False,
    }
    shown = next(iter(box.store["admins"].values()))
    return answer({**shown, "email_verified": True, "app": app, "avatar": {"type": "avatar", "image_url": None}})


@routes("GET", "/admins")
def admins(box: Sandbox, request: Request) -> Response:
    """List teammates."""
    return _whole(box, "admins", "admins", "admin.list")


@routes("GET", "/teams")
def teams(box: Sandbox, request: Request) -> Response:
    """List teams."""
    return _whole(box, "teams", "teams", "team.list")


@routes("GET", "/tags")
def tags(box: Sandbox, request: Request) -> Response:
    """List tags."""
    return _whole(box, "tags")


@routes("GET", "/emails")
def emails(box: Sandbox, request: Request) -> Response:
    """List addresses."""
    return _whole(box, "emails")


@routes("GET", "/data_attributes")
def data_attributes(box: Sandbox, request: Request) -> Response:
    """List attributes of people or companies; archived ones where asked for."""
    model = request.args.get("model")
    wanted = [f"{one}_attributes" for one in ("contact", "company") if model in (None, one)]
    listed = [one for stream in wanted for one in box.store[stream].values()]
    if request.args.get("include_archived") != "true":
        listed = [one for one in listed if not one.get("archived")]
    return answer({"type": "list", "data": listed})


@routes("GET", "/conversations/attributes")
def conversation_attributes(box: Sandbox, request: Request) -> Response:
    """List attributes of conversations."""
    return _whole(box, "conversation_attributes")


@routes("GET", "/ticket_types")
def ticket_types(box: Sandbox, request: Request) -> Response:
    """List ticket types, with their attributes."""
    return _whole(box, "ticket_types")


@routes("GET", "/companies")
def companies(box: Sandbox, request: Request) -> Response:
    """List companies, by page numbers."""
    return _numbered_list(box, request, "companies")


# ---- people ----------------------------------------------------------------------------------------------------------


def _embedded(id: str, name: str, records: list[Native]) -> Native:
    """Return what a contact shows of its tags, companies or notes: ten at most."""
    listed = [
        {
            "id": str(one["id"]),
            "type": {"tags": "tag", "companies": "company", "notes": "note"}[name],
            "url": f"/{name}/{one['id']}",
        }
        for one in records
    ]
    return {
        "type": "list",
        "data": listed[:10],
        "url": f"/contacts/{id}/{name}",
        "total_count": len(listed),
        "has_more": len(listed) > 10,
    }


@routes("GET", "/contacts")
def contacts(box: Sandbox, request: Request) -> Response:
    """List contacts."""
    records = sorted(box.store["contacts"].values(), key=lambda one: str(one["id"]))
    page, pages = _by_cursor(records, _size(request, 50, 150), request.args.get("starting_after"))
    shown = []
    for one in page:
        held = {
            name: _embedded(str(one["id"]), name, [box.store[name][id] for id in one.get(f"_{name}", [])])
            for name in ("tags", "companies")
        }
        shown.append({**_shown(one), **held, "notes": _embedded(str(one["id"]), "notes", [])})
    return answer({"type": "list", "data": shown, "total_count": len(records), "pages": pages})


@routes("GET", "/contacts/<id>/tags")
def tags_of(box: Sandbox, request: Request, id: str) -> Response:
    """List all the tags of a contact."""
    held = _one(box, "contacts", id).get("_tags", [])
    return answer({"type": "list", "data": [box.store["tags"][tag] for tag in held]})


# ---- conversations and tickets ---------------------------------------------------------------------------------------


def _thread(box: Sandbox, stream: str, parent: str) -> Native:
    """Return the newest parts, and how many there are."""
    held = [one for one in box.store[stream].values() if str(one["_parent"]) == parent]
    held.sort(key=lambda one: (one["created_at"], str(one["id"])))
    shown = [_shown(one) for one in held[-box.state["most_parts"] :]]
    return {"type": f"{stream[:-1]}.list", stream: shown, "total_count": len(held)}


@routes("GET", "/conversations")
def conversations(box: Sandbox, request: Request) -> Response:
    """List conversations, without their threads."""
    return _cursor_list(box, request, "conversations", "conversations", "conversation.list")


@routes("GET", "/conversations/<id>")
def conversation(box: Sandbox, request: Request, id: str) -> Response:
    """Show a conversation with its thread."""
    return answer(
        _shown(_one(box, "conversations", id)) | {"conversation_parts": _thread(box, "conversation_parts", id)}
    )


@routes("POST", "/tickets/search")
def search_tickets(box: Sandbox, request: Request) -> Response:
    """Find tickets by the date of their creation; other questions are not played."""
    asked = request.get_json(force=True)
    query = asked.get("query") or {}
    if query.get("field") != "created_at" or query.get("operator") not in (">", "<", "="):
        raise Refusal(400, "invalid_query", "the sandbox finds tickets by created_at only")
    bound, how = int(query["value"]), (">", "<", "=").index(query["operator"])
    records = sorted(
        (
            one
            for one in box.store["tickets"].values()
            if (one["created_at"] > bound, one["created_at"] < bound, one["created_at"] == bound)[how]
        ),
        key=lambda one: str(one["id"]),
    )
    paging = asked.get("pagination") or {}
    page, pages = _by_cursor(records, _size(request, 20, 150, paging.get("per_page", 20)), paging.get("starting_after"))
    shown = [_ticket(box, one) for one in page]
    return answer({"type": "ticket.list", "tickets": shown, "total_count": len(records), "pages": pages})


@routes("GET", "/tickets/<id>")
def ticket(box: Sandbox, request: Request, id: str) -> Response:
    """Show a ticket with its thread."""
    return answer(_ticket(box, _one(box, "tickets", id)))


def _ticket(box: Sandbox, native: Native) -> Native:
    kind = box.store["ticket_types"].get(str(native.get("_type")))
    return {**_shown(native), "ticket_type": kind, "ticket_parts": _thread(box, "ticket_parts", str(native["id"]))}


@routes("GET", "/files/<id>")
def file(box: Sandbox, request: Request, id: str) -> Response:
    """Hand over the bytes of an attachment, by an address that is signed."""
    held = box.store["files"].get(id)
    return Response(held["body"], content_type=held["type"]) if held else Response("gone", 404)


# ---- customizations --------------------------------------------------------------------------------------------------


@routes("GET", "/office_hours_schedules")
def office_hours(box: Sandbox, request: Request) -> Response:
    """List schedules."""
    return _whole(box, "office_hours", kind="office_hours_schedule.list")


@routes("GET", "/office_hours_schedules/<id>/office_hours_exceptions")
def exceptions(box: Sandbox, request: Request, id: str) -> Response:
    """List the odd days of a schedule."""
    _one(box, "office_hours", id)
    held = [_shown(one) for one in box.store["exceptions"].values() if str(one["_parent"]) == id]
    return answer({"type": "office_hours_exception.list", "data": held})


@routes("GET", "/macros")
def macros(box: Sandbox, request: Request) -> Response:
    """List macros, the last changed first."""
    records = sorted(box.store["macros"].values(), key=lambda one: (one["updated_at"], one["id"]), reverse=True)
    page, pages = _by_cursor(records, _size(request, 50, 150), request.args.get("starting_after"))
    kept = {key: pages[key] for key in ("type", "per_page", "next") if key in pages}
    return answer({"type": "list", "data": list(map(_shown, page)), "pages": kept})


@routes("GET", "/export/workflows/<id>")
def workflow(box: Sandbox, request: Request, id: str) -> Response:
    """Export one workflow."""
    about = {"export_version": "1.0", "exported_at": box.now(), "app_id": 12345}
    return answer({**about, "workflow": _one(box, "workflows", id)})


@routes("GET", "/articles")
def articles(box: Sandbox, request: Request) -> Response:
    """List articles, by page numbers."""
    return _numbered_list(box, request, "articles")


@routes("GET", "/help_center/collections")
def collections(box: Sandbox, request: Request) -> Response:
    """List the collections of the help center, by page numbers."""
    return _numbered_list(box, request, "collections")
