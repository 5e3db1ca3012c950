"""Chatwoot's sandbox: a local twin of its application API, written from its source code and its official specification
(see facts.yaml).

``create`` builds one, ``seed`` fills it, ``furnish`` gives a new account its agents. Settings in ``box.state``: ``me``
(whom the token belongs to), ``most_a_minute`` (messages of one conversation), ``features`` of the account, ``online``
(agents a team may pick), ``my_inboxes`` (those an agent sees), ``enterprise`` (whether there are SLA policies). Kept
there: ``mails``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Routes, Sandbox

from . import (
    sandbox_automations,
    sandbox_conversations,
    sandbox_filters,
    sandbox_messages,
    sandbox_people,
    sandbox_rules,
    sandbox_settings,
)
from .sandbox_rules import ACCOUNT, API, answer, routes

__all__ = ["SETTINGS", "TOKEN", "create", "furnish", "seed"]

TOKEN = "sandbox-chatwoot-token"
SETTINGS = {"account": str(ACCOUNT)}
A_MINUTE, SEARCHES_A_MINUTE, MESSAGES_A_MINUTE = 3000, 100, 200
_MODULES = (
    sandbox_automations,
    sandbox_conversations,
    sandbox_filters,
    sandbox_messages,
    sandbox_people,
    sandbox_settings,
)  # each adds its endpoints


class _Routes(Routes):
    """The endpoints, with a refusal raised anywhere below turned into its answer."""

    def __init__(self, inner: Routes) -> None:
        super().__init__()
        self.map = inner.map
        self.handlers = {name: sandbox_rules.safe(handler) for name, handler in inner.handlers.items()}


def create(
    *, clock: Clock | None = None, plan: str = "self_hosted", host: str = "chatwoot.sandbox", limits: bool = True
) -> Sandbox:
    """Return a new account with one administrator and nothing else: no inbox, no label."""
    quotas = [Quota(A_MINUTE), Quota(SEARCHES_A_MINUTE, r"/contacts/search$")] if limits else []
    box = Sandbox("chatwoot", _Routes(routes), clock=clock, host=host, admit=_admit, too_many=_too_many, quotas=quotas)
    box.state |= {
        "numbers": {},
        "contact_inboxes": [],
        "members": {},
        "files": {},
        "mails": [],
        "features": {},
        "online": set(),
        "my_inboxes": set(),
        "enterprise": True,
        "most_a_minute": MESSAGES_A_MINUTE,
    }
    box.state["me"] = sandbox_people.new_agent(box, "Sandbox Admin", f"admin@{box.host}", "administrator")
    return box


def furnish(box: Sandbox, seats: tuple[str, ...] = ("admin@zendesk.sandbox", "agent1@desk.example")) -> Sandbox:
    """Give the account agents with these addresses, and a team of them."""
    made = [sandbox_people.new_agent(box, email.split("@")[0], email)["id"] for email in seats]
    id = sandbox_rules.fresh(box, "teams")
    about = {"name": "support", "description": "The first line", "allow_auto_assign": True}
    box.store["teams"][id] = {"id": id, "account_id": ACCOUNT, **about}
    box.state["members"][id] = made
    return box


def _admit(box: Sandbox, request: Request) -> Response | None:
    if request.path.startswith("/rails/"):
        return None
    if request.headers.get("api-access-token", request.environ.get("HTTP_API_ACCESS_TOKEN")) != TOKEN:
        return answer({"error": "Invalid Access Token"}, 401)
    return None


def _too_many(box: Sandbox, wait: float) -> Response:
    return Response("Retry later\n", 429, content_type="text/plain")  # rack-attack, and no header that says when


@routes("GET", API)
def account(box: Sandbox, request: Request) -> Response:
    """Show the account."""
    about = {"id": ACCOUNT, "name": "Sandbox", "locale": "en", "status": "active", "domain": None}
    return answer({**about, "support_email": None, "features": box.state["features"], "custom_attributes": {}})


@routes("GET", "/api/v1/profile")
def profile(box: Sandbox, request: Request) -> Response:
    """Show whom the token belongs to."""
    return answer(
        {**box.state["me"], "accounts": [{"id": ACCOUNT, "name": "Sandbox", "role": box.state["me"]["role"]}]}
    )


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Store records as the API shows them; ``_member_ids`` says who belongs to a team."""
    if stream not in sandbox_rules.STREAMS:
        raise ValueError(f"chatwoot has no stream {stream!r}; it has {', '.join(sandbox_rules.STREAMS)}")
    for body in map(copy.deepcopy, bodies):
        if stream in ("companies", "hours"):
            continue  # a word in the contacts that name them; a part of the inbox
        if stream == "teams":
            box.state["members"][body["id"]] = body.pop("_member_ids", [])
            body.pop("is_member", None)
        elif stream == "contacts":
            for one in body.pop("contact_inboxes", None) or []:
                sandbox_people.contact_inbox(box, body["id"], one["inbox"]["id"], one["source_id"])
        elif stream == "conversations":
            body = _conversation(body)
        elif stream == "messages":
            body = _message(box, body)
        kept = "activities" if stream == "messages" and body["message_type"] == sandbox_messages.ACTIVITY else stream
        box.store[kept][body["id"]] = body


def _conversation(shown: Native) -> Native:
    meta = shown.get("meta") or {}
    of = {name: (meta.get(name) or {}).get("id") for name in ("sender", "assignee", "team")}
    names = ("id", "inbox_id", "labels", "status", "priority", "additional_attributes", "custom_attributes")
    return {
        **{name: shown.get(name) for name in names},
        "uuid": shown.get("uuid") or str(shown["id"]),
        "contact_id": of["sender"],
        "assignee_id": of["assignee"],
        "team_id": of["team"],
        "source_id": shown.get("_source_id"),
        "snoozed_until": shown.get("snoozed_until"),
        "created_at": float(shown["created_at"]),
        "updated_at": float(shown.get("updated_at") or shown["created_at"]),
        "last_activity_at": float(shown.get("last_activity_at") or shown["created_at"]),
    }


def _message(box: Sandbox, shown: Native) -> Native:
    sender = shown.pop("sender", None)
    files = [
        sandbox_messages.keep(box, str(one.get("_name") or "file"), b"", "application/octet-stream")
        for one in shown.pop("attachments", None) or []
    ]
    who = (sender.get("type") or "user", sender["id"]) if sender else None
    return {**shown, "created_at": float(shown["created_at"]), "_sender": who, "_files": files}
