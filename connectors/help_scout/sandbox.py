"""Help Scout's sandbox: a local twin of what its Mailbox API 2.0 lets one read, written from developer.helpscout.com and
the bodies of a client's tests (see facts.yaml).

``create`` builds one, ``seed`` fills it: ``fields``, ``saved_replies``, ``team_members`` and ``threads`` say in
``_parent`` whose they are; files are {id, body}.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Routes, Sandbox

__all__ = ["TOKEN", "create", "seed"]

TOKEN = "sandbox-help-scout-app"  # both the App ID and the App Secret
GRANTED = "granted-by-the-sandbox"
TWO_DAYS = 172_800  # seconds a token lives
PER_MINUTE = {"standard": 200, "plus": 400, "pro": 800}
SIZE = 50
SIZES = {"conversations": 25}  # records a page; nobody can choose
STREAMS = (
    "mailboxes", "fields", "saved_replies", "customer_properties", "organizations", "users", "teams", "team_members",
    "tags", "customers", "conversations", "threads", "workflows", "webhooks", "files",
)  # fmt: skip
KEYED = {"customer_properties": "slug"}
routes = Routes()


def answer(body: Any, status: int = 200) -> Response:
    """Return HAL JSON."""
    return Response(json.dumps(body), status, content_type="application/hal+json;charset=UTF-8")


def _refused(status: int, message: str) -> Response:
    return answer({"logRef": "sandbox", "message": message, "_embedded": {"errors": []}}, status)


def create(
    *, clock: Clock | None = None, plan: str = "standard", host: str = "helpscout.sandbox", limits: bool = True
) -> Sandbox:
    """Return a new account with its owner and one mailbox."""
    quotas = [Quota(PER_MINUTE[plan])] if limits else []
    box = Sandbox(
        "help_scout", routes, clock=clock, host=host, admit=_admit, finish=_finish, too_many=_too_many, quotas=quotas
    )
    box.state |= {"granted": 0, "ends": 0.0}
    seed(box, "users", [{"id": 1, "firstName": "Sandbox", "lastName": "Owner", "email": "owner@helpscout.sandbox"}])
    seed(box, "mailboxes", [{"id": 1, "name": "Support", "slug": "0a", "email": "support@helpscout.sandbox"}])
    return box


def _admit(box: Sandbox, request: Request) -> Response | None:
    if request.path == "/v2/oauth2/token":
        return None
    granted = request.headers.get("Authorization") == f"Bearer {GRANTED}-{box.state['granted']}"
    if not granted or box.clock.monotonic() > box.state["ends"]:
        return answer({"error": "invalid_token", "error_description": "The access token is invalid"}, 401)
    return None


def _finish(box: Sandbox, request: Request, response: Response) -> None:
    if box.quotas:
        left = box.quotas[0].per_minute - len(box.quotas[0].calls)
        response.headers["X-RateLimit-Limit-Minute"] = str(box.quotas[0].per_minute)
        response.headers["X-RateLimit-Remaining-Minute"] = str(left)


def _too_many(box: Sandbox, wait: float) -> Response:
    refusal = _refused(429, "Too many requests")
    refusal.headers["X-RateLimit-Retry-After"] = str(int(wait) + 1)
    return refusal


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Store records as the API shows them."""
    if stream not in STREAMS:
        raise ValueError(f"help_scout has no stream {stream!r}; it has {', '.join(STREAMS)}")
    for body in map(copy.deepcopy, bodies):
        if stream == "users":
            dated = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z"}
            body = {"role": "owner", "timezone": "Europe/Berlin", "type": "user", **dated} | body
        id = body[KEYED.get(stream, "id")]
        box.store[stream][f"{body['_parent']}:{id}" if stream == "team_members" else id] = body


def _shown(native: Native) -> Native:
    own = ("_embedded", "_links")
    return {key: value for key, value in native.items() if not key.startswith("_") or key in own}


def _page(box: Sandbox, request: Request, stream: str, records: list[Native], embedded: str = "") -> Response:
    size, number = SIZES.get(stream, SIZE), int(request.args.get("page", 1))
    pages = -(-len(records) // size)
    shown = [_shown(one) for one in records[(number - 1) * size : number * size]]
    links: Native = {"self": {"href": request.url}}
    if number < pages:
        rest = "&".join(f"{key}={value}" for key, value in request.args.items() if key != "page")
        links["next"] = {"href": f"{request.base_url}?{rest}&page={number + 1}".replace("?&", "?")}
    told = {"size": size, "totalElements": len(records), "totalPages": pages, "number": number}
    return answer({"_embedded": {embedded or stream: shown}, "_links": links, "page": told})


def _of(box: Sandbox, stream: str, parent: int) -> list[Native]:
    return [one for one in box.store[stream].values() if str(one["_parent"]) == str(parent)]


@routes("POST", "/v2/oauth2/token")
def token(box: Sandbox, request: Request) -> Response:
    """Hand out a token for two days; the one before is no longer good."""
    form = request.form
    good = form.get("client_id") == TOKEN and form.get("client_secret") == TOKEN
    if form.get("grant_type") != "client_credentials" or not good:
        return answer({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)
    box.state["granted"] += 1
    box.state["ends"] = box.clock.monotonic() + TWO_DAYS
    word = f"{GRANTED}-{box.state['granted']}"
    return answer({"token_type": "bearer", "access_token": word, "expires_in": TWO_DAYS})


@routes("GET", "/v2/users/me")
def me(box: Sandbox, request: Request) -> Response:
    """Show whom the app belongs to."""
    return answer(_shown(next(iter(box.store["users"].values()))))


@routes("GET", "/v2/mailboxes/<int:id>/fields")
def fields(box: Sandbox, request: Request, id: int) -> Response:
    """List the custom fields of a mailbox."""
    return _page(box, request, "fields", _of(box, "fields", id))


@routes("GET", "/v2/mailboxes/<int:id>/saved-replies")
def saved_replies(box: Sandbox, request: Request, id: int) -> Response:
    """List the saved replies of a mailbox: a bare list, with the beginnings of their texts."""
    chats = request.args.get("includeChatReplies") == "true"
    listed = []
    for one in _of(box, "saved_replies", id):
        begins = {"preview": one["text"][:40]} if one.get("text") else {}
        begins |= {"chatPreview": one["chatText"][:40]} if one.get("chatText") else {}
        if one.get("text") or chats:
            listed.append({"id": one["id"], "name": one["name"], **begins})
    return answer(listed)


@routes("GET", "/v2/mailboxes/<int:id>/saved-replies/<int:reply>")
def saved_reply(box: Sandbox, request: Request, id: int, reply: int) -> Response:
    """Show a saved reply with its text."""
    found = box.store["saved_replies"].get(reply)
    return answer(_shown(found)) if found else _refused(404, "Not Found")


@routes("GET", "/v2/customer-properties")
def customer_properties(box: Sandbox, request: Request) -> Response:
    """List the properties of customers."""
    held = [_shown(one) for one in box.store["customer_properties"].values()]
    return answer({"_embedded": {"customer-properties": held}, "_links": {}})


@routes("GET", "/v2/teams/<int:id>/members")
def members(box: Sandbox, request: Request, id: int) -> Response:
    """List the users in a team."""
    return _page(box, request, "team_members", _of(box, "team_members", id), "users")


@routes("GET", "/v2/conversations")
def conversations(box: Sandbox, request: Request) -> Response:
    """List conversations: active ones, unless a status or all of them are asked for."""
    wanted = request.args.get("status", "active")
    held = [one for one in box.store["conversations"].values() if wanted in ("all", one["status"])]
    newest = request.args.get("sortOrder", "desc") == "desc"
    return _page(box, request, "conversations", sorted(held, key=lambda one: one["createdAt"], reverse=newest))


@routes("GET", "/v2/conversations/<int:id>")
def conversation(box: Sandbox, request: Request, id: int) -> Response:
    """Show a conversation."""
    found = box.store["conversations"].get(id)
    return answer(_shown(found)) if found else _refused(404, "Not Found")


@routes("GET", "/v2/conversations/<int:id>/threads")
def threads(box: Sandbox, request: Request, id: int) -> Response:
    """List the threads of a conversation, the newest first."""
    return _page(
        box, request, "threads", sorted(_of(box, "threads", id), key=lambda one: one["createdAt"], reverse=True)
    )


@routes("GET", "/v2/conversations/<int:id>/attachments/<int:file>/data")
def attachment(box: Sandbox, request: Request, id: int, file: int) -> Response:
    """Hand over a file as base64 within JSON."""
    found = box.store["files"].get(file)
    return answer({"data": base64.b64encode(found["body"]).decode()}) if found else _refused(404, "Not Found")


@routes("GET", "/v2/<any(mailboxes, organizations, users, teams, tags, workflows, webhooks, customers):stream>")
def lists(box: Sandbox, request: Request, stream: str) -> Response:
    """List the records of which there is nothing to choose."""
    held = list(box.store[stream].values())
    if stream == "customers":
        held.sort(key=lambda one: one["createdAt"], reverse=request.args.get("sortOrder", "desc") == "desc")
    return _page(box, request, stream, held)
