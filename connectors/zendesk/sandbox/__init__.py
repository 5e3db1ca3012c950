"""Zendesk's local twin, written from its documentation, official specification and recorded traffic (facts.yaml)."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Sandbox

from . import account, exports, people, preview, reads, rules, tickets
from .answers import EMAIL, TOKEN, reply, routes
from .files import CONTENT_HOST, content_host, keep, put_bytes
from .jobs import settle

__all__ = ["CONTENT_HOST", "EMAIL", "PLANS", "TOKEN", "create", "furnish", "put_bytes", "seed", "touch"]

# requests a minute: account, incremental exports (support.zendesk.com "Rate limits", vendor-facts Z1)
PLANS: dict[str, tuple[int, int]] = {
    "essential": (10, 10),
    "team": (200, 10),
    "growth": (400, 10),
    "professional": (400, 10),
    "enterprise": (700, 10),
    "enterprise_plus": (2_500, 10),
    "high_volume": (2_500, 30),
}
ANY = r" /api/v2/"
INCREMENTAL = r"^GET /api/v2/incremental/"
_MODULES = (account, exports, people, preview, reads, rules, tickets)  # importing them registers their routes


def create(
    *, clock: Clock | None = None, plan: str = "enterprise", host: str = "zendesk.sandbox", limits: bool = True
) -> Sandbox:
    """Return an empty account. ``limits=False`` turns the rate limits off (not the limit of 30 jobs).

    ``state``: ``role`` ("admin" or "agent"), ``search_lag_seconds``, ``job_seconds``, ``may_rate``, ``content_base``
    (where attachments are redirected to), ``content`` (that foreign host, a sandbox), ``leaks`` (credentials it saw).
    """
    account, incremental = PLANS[plan]
    quotas = [
        Quota(incremental, INCREMENTAL),
        Quota(100, r"^PUT /api/v2/tickets/\d"),
        Quota(100, r"^GET /api/v2/search/export"),
        Quota(2_500, r"^GET /attachments/"),
        Quota(account, ANY),
    ]
    box = Sandbox(
        "zendesk",
        routes,
        clock=clock,
        first_id=32_535_150_720_000,
        host=host,
        admit=_admit,
        finish=_finish,
        too_many=_too_many,
        quotas=quotas if limits else (),
    )
    content = content_host(box, box.clock)
    box.state.update(
        role="admin",
        plan=plan,
        search_lag_seconds=60,
        job_seconds=10.0,
        may_rate=False,
        content_base=f"https://{CONTENT_HOST}",
        content=content,
        hosts={CONTENT_HOST: content},
        leaks=[],
        comments_of={},
        tokens={},
        lazy_blobs={},
        uploads={},
        jobs={},
        archived=set(),
        arrived={},
        revision=0,
    )
    return box


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Store native records verbatim; a body of ``ticket_comments`` is ``{"ticket_id": …, "comment": {…}}``."""
    for body in bodies:
        if stream == "ticket_comments":
            comment = body["comment"]
            box.store[stream][comment["id"]] = body
            box.state["comments_of"].setdefault(body["ticket_id"], []).append(comment["id"])
            for attachment in comment.get("attachments") or []:
                keep(box, attachment)
        else:
            box.store[stream][body["id"]] = body
    touch(box)


def touch(box: Sandbox) -> None:
    """Say that records were changed behind the sandbox's back, so that it forgets what it derived from them."""
    box.state["revision"] += 1


def furnish(box: Sandbox) -> Sandbox:
    """Put in what a new account has: its admin, a group, the system fields, a form, a brand, five statuses."""
    then, base = "2026-01-05T09:00:00Z", f"{box.base_url}/api/v2"
    common = {"created_at": then, "updated_at": then}
    admin = {**people.DEFAULTS["users"], **people.FIXED["users"], "name": "Sandbox Admin", "email": EMAIL}
    admin |= {"id": 900_000_000_001, "url": f"{base}/users/900000000001.json", "role": "admin", "role_type": 4}
    admin |= {"verified": True, "moderator": True, "restricted_agent": False, "default_group_id": 900_000_000_002}
    seed(box, "users", [{**admin, "ticket_restriction": None, **common}])
    box.state["arrived"]["users", admin["id"]] = float("-inf")
    group = {"url": f"{base}/groups/900000000002.json", "id": 900_000_000_002, "is_public": True, "name": "Support"}
    seed(box, "groups", [{**group, "description": "", "default": True, "deleted": False, **common}])
    member = {"url": f"{base}/group_memberships/900000000003.json", "id": 900_000_000_003, "default": True}
    seed(box, "group_memberships", [{**member, "user_id": admin["id"], "group_id": group["id"], **common}])
    fields = []
    for place, kind in enumerate("subject description status tickettype priority group assignee".split()):
        number, title = 900_000_000_010 + place, kind.capitalize()
        field = {**people.DEFAULTS["ticket_fields"], "id": number, "url": f"{base}/ticket_fields/{number}.json"}
        field |= {"type": kind, "title": title, "raw_title": title, "description": title, "raw_description": title}
        field |= {"title_in_portal": title, "raw_title_in_portal": title, "position": place, "removable": False}
        field.pop("custom_field_options")
        fields.append({**field, "key": None, **common})
    seed(box, "ticket_fields", fields)
    form = {**people.DEFAULTS["ticket_forms"], "id": 900_000_000_030, "name": "Default Ticket Form", "default": True}
    form |= {"raw_name": form["name"], "display_name": form["name"], "raw_display_name": form["name"], "position": 1}
    form |= {"url": f"{base}/ticket_forms/{form['id']}.json", "ticket_field_ids": [field["id"] for field in fields]}
    seed(box, "ticket_forms", [{**form, **common}])
    brand = {"url": f"{base}/brands/900000000031.json", "id": 900_000_000_031, "name": "Sandbox", "default": True}
    brand |= {"brand_url": box.base_url, "subdomain": "sandbox", "host_mapping": None, "has_help_center": False}
    brand |= {"help_center_state": "disabled", "active": True, "is_deleted": False, "logo": None}
    brand |= {"ticket_form_ids": [form["id"]], "signature_template": "{{agent.signature}}"}
    seed(box, "brands", [{**brand, **common}])
    labels = ("New", "Open", "Pending", "On-hold", "Solved")
    for place, (category, label) in enumerate(zip(account.CATEGORIES, labels, strict=True)):
        status = {"id": 900_000_000_040 + place, "status_category": category, "default": True, "active": True}
        status |= {f"{raw}{side}_label": label for side in ("agent", "end_user") for raw in ("", "raw_")}
        seed(box, "custom_statuses", [{**status, "description": "", "end_user_description": "", **common}])
    return box


def _admit(box: Sandbox, request: Request) -> Response | None:
    box.state["on_behalf_of"] = None
    settle(box)
    header = request.headers.get("Authorization", "")
    anonymous = request.path.removesuffix(".json") == "/api/v2/users/me" and not header
    if not request.path.startswith("/api/") or anonymous:
        return None
    bearer = header == f"Bearer {TOKEN}"
    box.state["on_behalf_of"] = request.headers.get("X-On-Behalf-Of") if bearer else None
    basic = base64.b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()
    if header in (f"Basic {basic}", f"Bearer {TOKEN}"):
        return None
    return reply({"error": "Couldn't authenticate you"}, 401, WWW_Authenticate='Basic realm="Web Password"')


def _too_many(box: Sandbox, wait: float) -> Response:
    """Answer 429: plain text for the account's limit (seen live, see facts.yaml), JSON for that of exports."""
    text = "Number of allowed API requests per minute exceeded"
    seconds = str(max(1, math.ceil(wait)))
    now = box.clock.monotonic()
    exports_full = any(
        quota.matching == INCREMENTAL and sum(moment > now - 60 for moment in quota.calls) >= quota.per_minute
        for quota in box.quotas
    )
    if exports_full:
        body = {"error": "APIRateLimitExceeded", "description": text.replace("API", "incremental export API")}
        return reply(body, 429, Retry_After=seconds)
    return Response(text, 429, {"Retry-After": seconds}, content_type="text/plain")


def _finish(box: Sandbox, request: Request, response: Response) -> None:
    if response.status_code in (404, 405) and response.get_data() == b'{"error": "not found"}':
        response.status_code = 404
        response.set_data(b'{"error":"InvalidEndpoint","description":"Not found"}')
    if not request.path.startswith("/api/"):
        return
    now = box.clock.monotonic()
    for quota in box.quotas:
        used = [moment for moment in quota.calls if moment > now - 60]
        left = str(max(0, quota.per_minute - len(used)))
        reset = str(max(0, int(used[0] + 60 - now)) if used else 60)
        if quota.matching == ANY:
            response.headers["X-Rate-Limit"] = response.headers["ratelimit-limit"] = str(quota.per_minute)
            response.headers["X-Rate-Limit-Remaining"] = response.headers["ratelimit-remaining"] = left
            response.headers["ratelimit-reset"] = reset
        elif quota.matching == INCREMENTAL and re.search(INCREMENTAL, f"{request.method} {request.path}"):
            value = f"total={quota.per_minute}; remaining={left}; resets={reset}"
            response.headers["zendesk-ratelimit-incremental-exports"] = value
