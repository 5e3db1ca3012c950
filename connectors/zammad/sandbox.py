"""Zammad's sandbox: a local twin of its REST API, written from its documentation and source (see facts.yaml).

``create`` builds one, ``seed`` fills it. Settings in ``box.state``: ``import_mode``, ``search_lag_seconds``,
``system_id`` (how ticket numbers begin); records kept there: ``mails``, ``fired`` (triggers that ran).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Sandbox

from . import (
    sandbox_belongings,
    sandbox_fields,
    sandbox_people,
    sandbox_rules,
    sandbox_settings,
    sandbox_tickets,
)

__all__ = ["TOKEN", "create", "seed"]

TOKEN = "sandbox-zammad-token"
PASSWORD = "sandbox-password"
ADMIN = 3
_MODULES = (  # importing them adds their routes
    sandbox_belongings,
    sandbox_fields,
    sandbox_people,
    sandbox_settings,
    sandbox_tickets,
)
ROLES = (
    ("Admin", ["admin", "user_preferences", "report", "knowledge_base.editor"]),
    ("Agent", ["ticket.agent", "chat.agent", "cti.agent", "user_preferences"]),
    ("Customer", ["ticket.customer", "user_preferences"]),
)


def create(
    *, clock: Clock | None = None, plan: str = "own", host: str = "zammad.sandbox", limits: bool = True
) -> Sandbox:
    """Return a new Zammad: its roles, states, priorities and attributes, one administrator, the group Users.

    There is no plan and no rate limit: ``plan`` and ``limits`` change nothing.
    """
    routes = sandbox_rules.routes.answering(sandbox_rules.Refusal, lambda refusal: refusal.response)
    box = Sandbox("zammad", routes, clock=clock, host=host, admit=_admit)
    box.state |= {
        "import_mode": False,
        "search_lag_seconds": 10,
        "system_id": 67,
        "asking": 1,
        "owner": ADMIN,
        "mails": [],
        "fired": [],
        "counters": {},
        "access": {},
        "columns": {"Ticket": {}, "User": {}, "Organization": {}},
        "blank": {"Ticket": {}, "User": {}, "Organization": {}},
        "articles_of": {},
        "files_of": {},
        "tags_of": {},
    }
    for name, permissions in ROLES:
        rules = {"name": name, "default_at_signup": name == "Customer", "active": True, "preferences": {}}
        sandbox_rules.made(box, "roles", {**rules, "permissions": permissions, "permission_ids": [], "group_ids": {}})
    nobody = {**sandbox_people.USER, "login": "-", "firstname": "-", "active": False, "role_ids": []}
    sandbox_rules.made(box, "users", nobody)
    box.state["counters"]["users"] = ADMIN - 1  # 2 is the customer of the welcome ticket, which was deleted
    boss = {"login": f"admin@{host}", "email": f"admin@{host}", "firstname": "Sandbox", "lastname": "Admin"}
    sandbox_rules.made(box, "users", {**sandbox_people.USER, **boss, "role_ids": [1, 2], "verified": True})
    sandbox_rules.made(
        box, "groups", {**sandbox_people.GROUP, "name": "Users", "note": "Standard Group/Pool for Tickets."}
    )
    box.state["access"][ADMIN, 1] = ["full"]
    sandbox_tickets.furnish(box)
    sandbox_fields.furnish(box)
    sandbox_settings.furnish(box)
    return box


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Store native records, as the vendor gives them or as the connector stages them, with all that follows from them.

    Where the owner of the token is replaced, the administrator with access to the most groups asks from then on.
    """
    for body in bodies:
        record = {name: value for name, value in body.items() if not name.startswith("_")} | (body.get("_custom") or {})
        if stream == "memberships":
            box.state["access"].setdefault((record["user_id"], record["group_id"]), ["full"])
        elif stream == "holidays":
            continue  # they stand in their calendar
        elif stream == "links":
            ends = {"source": record["ticket_id"], "target": int(record["link_object_value"])}
            how = "parent" if record["link_type"] == "child" else "normal"
            sandbox_rules.made(box, "link_rows", {"type": how, **ends})
        else:
            box.store[stream][record["name" if stream == "tag_list" else "id"]] = record
            _follow(box, stream, record)
    if stream == "users":
        bosses = [one for one in box.store["users"].values() if 1 in one["role_ids"]]
        if not bosses:
            boss = {**sandbox_people.USER, "login": "sandbox-admin", "firstname": "Sandbox", "role_ids": [1, 2]}
            bosses = [sandbox_rules.made(box, "users", boss)]
        wide = max(bosses, key=lambda one: sum(user == one["id"] for user, _ in box.state["access"]))
        box.state["owner"] = wide["id"]


def _follow(box: Sandbox, stream: str, record: Native) -> None:
    """Keep what belongs to a seeded record elsewhere."""
    if stream == "users":
        for group, ways in (record.pop("group_ids", None) or {}).items():
            box.state["access"][record["id"], int(group)] = list(ways)
    elif stream == "object_manager_attributes" and record["editable"] and not record["to_create"]:
        sandbox_fields.column(box, record)
    elif stream == "tickets":
        box.state["tags_of"][record["id"]] = list(record.pop("tags", None) or ())
    elif stream == "ticket_articles":
        box.state["articles_of"].setdefault(record["ticket_id"], []).append(record["id"])
        files = record.pop("attachments", None) or ()
        kept = ("id", "filename", "size", "preferences")
        box.state["files_of"][record["id"]] = [{name: file.get(name) for name in kept} for file in files]


def _admit(box: Sandbox, request: Request) -> Response | None:
    scheme, _, held = request.headers.get("Authorization", "").partition(" ")
    login = f"admin@{box.host}"
    known = {
        "Token": f"token={TOKEN}",
        "Bearer": TOKEN,
        "Basic": base64.b64encode(f"{login}:{PASSWORD}".encode()).decode(),
    }
    if not held or known.get(scheme) != held.strip():
        return sandbox_rules.answer(
            {"error": "Invalid BasicAuth credentials" if scheme == "Basic" else "Not authorized"}, 401
        )
    box.state["asking"] = box.state["owner"]
    if wanted := request.headers.get("X-On-Behalf-Of"):
        word = wanted.lower().strip()
        users = box.store["users"].values()
        found = next((u["id"] for u in users if word in (str(u["id"]), u["login"], u["email"])), None)
        if found is None:
            return sandbox_rules.answer({"error": f"No such user '{wanted}'"}, 401)
        box.state["asking"] = found
    return None
