"""Freshdesk's sandbox: a local twin of its API v2, written from its documentation and recordings (see facts.yaml).

``create`` builds one, ``seed`` fills it, ``attach`` stores a file for a record to carry. Settings in ``box.state``:
``scope`` ("admin" or "agent"), ``features`` (what the plan has: ``archive``, ``surveys``), ``most_pages`` (of tickets),
``find_lag_seconds``, ``reopens``, ``max_agents``, ``blocked`` (contact ids) and ``content_base`` (where the foreign
host is served); records kept there: ``mails``, ``leaks``.
"""

from __future__ import annotations

import base64
import copy
import math
import re
import uuid
from collections.abc import Iterable

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Sandbox

from . import (
    sandbox_agents,
    sandbox_automations,
    sandbox_bulk,
    sandbox_companies,
    sandbox_conversations,
    sandbox_field_admin,
    sandbox_fields,
    sandbox_mailboxes,
    sandbox_people,
    sandbox_rules,
    sandbox_search,
    sandbox_sections,
    sandbox_tickets,
)
from .sandbox_conversations import attach

__all__ = ["PLANS", "TOKEN", "attach", "create", "seed"]

TOKEN = "sandbox-freshdesk-token"
PLANS = {  # calls a minute: account, ticket create, ticket update, ticket list, contact list
    "trial": (50, 50, 50, 50, 50),
    "growth": (200, 80, 80, 20, 20),
    "pro": (400, 160, 160, 100, 100),
    "enterprise": (700, 280, 280, 200, 200),
}
LIMITED = (
    r"^POST /api/v2/tickets/?$",
    r"^PUT /api/v2/tickets/\d+$",
    r"^GET /api/v2/tickets/?$",
    r"^GET /api/v2/contacts/?$",
)
_MODULES = (  # each adds its endpoints to the routes when it is imported
    sandbox_agents,
    sandbox_automations,
    sandbox_bulk,
    sandbox_companies,
    sandbox_conversations,
    sandbox_field_admin,
    sandbox_mailboxes,
    sandbox_people,
    sandbox_search,
    sandbox_sections,
    sandbox_tickets,
)


def create(
    *,
    clock: Clock | None = None,
    plan: str = "enterprise",
    host: str = "freshdesk.sandbox",
    limits: bool = True,
    most_pages: int = 300,
) -> Sandbox:
    """Return a new account: default fields, one administrator, the default roles and survey.

    ``most_pages``: of tickets, which tests that need not make 30,000 of them set lower.
    """
    routes = sandbox_rules.routes.answering(sandbox_rules.Refusal, lambda refusal: refusal.response)
    box = Sandbox(
        "freshdesk",
        routes,
        clock=clock,
        first_id=80_000_000_001,
        host=host,
        admit=_admit,
        finish=_finish,
        too_many=_too_many,
    )
    quotas = [Quota(most, matching) for most, matching in zip(PLANS[plan], ("", *LIMITED), strict=True)]
    box.state |= {
        "limits": limits,
        "plan_quotas": quotas,
        "rate": (PLANS[plan][0], PLANS[plan][0], 1),  # total, remaining, used by this request
        "scope": "admin",
        "features": set() if plan == "trial" else {"archive", "surveys"},
        "most_pages": most_pages,
        "find_lag_seconds": 120,
        "reopens": True,
        "max_agents": None,
        "time_zone": "Eastern Time (US & Canada)",
        "blocked": set(),
        "mails": [],
        "leaks": [],
        "files": {},
        "jobs": {},
        "index": {},
        "choices": {},
        "field_names": {},
        "holders": {},
        "threads": {},
        "ticket_id": 0,
    }
    box.state["hosts"] = {sandbox_conversations.STORAGE: sandbox_conversations.storage(box)}
    sandbox_fields.start(box)
    _start_people(box)
    return box


def _start_people(box: Sandbox) -> None:
    for name in ("Account Administrator", "Administrator", "Supervisor", "Agent"):
        role = {"id": box.next_id(), "name": name, "description": name, "default": True}
        box.store["roles"][role["id"]] = role | {"created_at": box.now(), "updated_at": box.now(), "agent_type": 1}
    admin_role, *_, agent_role = box.store["roles"]
    person: Native = {
        "id": box.next_id(),
        "active": True,
        "email": f"admin@{box.host}",
        "name": "Sandbox Admin",
        "language": "en",
        "time_zone": box.state["time_zone"],
        "created_at": box.now(),
    }
    box.state |= {"me": person["id"], "agent_role": agent_role}
    sandbox_agents.new_agent(box, person, {"role_ids": [admin_role]})
    survey = {"id": box.next_id(), "title": "Default Survey", "active": True}
    label = "How would you rate your overall satisfaction for the resolution provided by the agent?"
    question = {"id": "default_question", "label": label, "accepted_ratings": [103, 100, -103], "default": True}
    survey |= {"created_at": box.now(), "updated_at": box.now(), "questions": [question]}
    box.store["surveys"][survey["id"]] = survey
    folder = {"id": box.next_id(), "name": "General", "personal": False, "responses_count": 0}
    box.store["canned_response_folders"][folder["id"]] = folder | {"created_at": box.now(), "updated_at": box.now()}


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Store native records as they are; ``_state`` may say of a contact "blocked" or "deleted".

    A seeded default ticket field replaces the one of its name.
    """
    if stream not in sandbox_rules.STREAMS:
        raise ValueError(f"freshdesk has no stream {stream!r}; it has {', '.join(sandbox_rules.STREAMS)}")
    for body in map(copy.deepcopy, bodies):
        state = body.pop("_state", None)  # which list a contact that was read elsewhere came from
        if state == "blocked":
            box.state["blocked"].add(body["id"])
        elif state == "deleted":
            body["deleted"] = True
        if stream.endswith("_fields"):
            for id in [id for id, field in box.store[stream].items() if field["name"] == body["name"]]:
                del box.store[stream][id]
        box.store[stream][body["id"]] = body
        if stream in ("contacts", "agents"):
            sandbox_people.remember(box, body["id"], body.get("contact") or body)
        if stream == "conversations":
            sandbox_conversations.thread(box, body["ticket_id"]).append(body["id"])
        if stream == "tickets":
            box.state["ticket_id"] = max(box.state["ticket_id"], body["id"])
        box.state["index"].setdefault(stream, {})[body["id"]] = [(-math.inf, dict(body))]


def _cost(request: Request) -> int:
    """Return the credits of a request: an embed costs two more in lists, one more in a view."""
    embeds = len([name for name in request.args.get("include", "").split(",") if name])
    if request.method != "GET" or not request.path.startswith("/api/v2/tickets"):
        return 1
    return 1 + embeds * (2 if request.path.rstrip("/") == "/api/v2/tickets" else 1)


def _admit(box: Sandbox, request: Request) -> Response | None:
    name, cost, now = f"{request.method} {request.path}", _cost(request), box.clock.monotonic()
    account, *others = box.state["plan_quotas"]
    bound = next((quota for quota in others if re.search(quota.matching, name)), None)
    box.state["rate"] = ((bound or account).per_minute, (bound or account).per_minute - cost, cost)
    if box.state["limits"]:
        for quota, price in ((bound, 1), (account, cost)):
            allowed, left, wait = quota.take(name, now, price) if quota else (True, 0, 0.0)
            if quota and (quota is bound or not bound):
                box.state["rate"] = (quota.per_minute, left, cost)
            if not allowed:
                return _too_many(box, wait)
    scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
    try:
        key = base64.b64decode(coded).decode().partition(":")[0] if scheme == "Basic" else ""
    except ValueError:
        key = ""
    if key != TOKEN:
        message = "You have to be logged in to perform this action."
        return sandbox_rules.answer({"code": "invalid_credentials", "message": message}, 401)
    accepts = request.headers.get("Accept", "*/*")
    if not any(wanted in accepts for wanted in ("application/json", "*/*")):
        return sandbox_rules.empty(406)
    return None


def _too_many(box: Sandbox, wait: float) -> Response:
    message = "You have exceeded the limit of requests per hour"
    return sandbox_rules.answer({"message": message}, 429, Retry_After=str(max(1, math.ceil(wait))))


def _finish(box: Sandbox, request: Request, response: Response) -> None:
    if response.status_code in (404, 405):
        response.set_data(b"")
    total, left, used = box.state["rate"]
    response.headers["Content-Type"] = "application/json; charset=utf-8"
    response.headers["X-Freshdesk-Api-Version"] = "latest=v2; requested=v2"
    response.headers["X-Request-Id"] = str(uuid.uuid4())
    if box.state["limits"]:
        response.headers["X-RateLimit-Total"] = f"{total}.0"
        response.headers["X-RateLimit-Remaining"] = str(left)
        response.headers["X-RateLimit-Used-CurrentRequest"] = str(used)
