"""Chatwoot's people: contacts with their inboxes and labels, agents, teams and their members."""

from __future__ import annotations

import re
import uuid

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import API, Params, routes

CONTACTS_A_PAGE = 15
PHONE = re.compile(r"\+[1-9]\d{1,14}\Z")
SORTS = ("name", "email", "phone_number", "last_activity_at", "created_at", "company_name", "city", "country")


# ---- contacts --------------------------------------------------------------------------------------------------------


def shown(box: Sandbox, contact: Native, *, inboxes: bool = False) -> Native:
    """Return a contact as the API shows it; ``last_activity_at`` is left out where there is none."""
    found = {
        "additional_attributes": contact["additional_attributes"],
        "availability_status": "offline",
        "email": contact["email"],
        "id": contact["id"],
        "name": contact["name"],
        "phone_number": contact["phone_number"],
        "blocked": contact["blocked"],
        "identifier": contact["identifier"],
        "thumbnail": "",
        "custom_attributes": contact["custom_attributes"],
        "created_at": int(contact["created_at"]),
    }
    if contact.get("last_activity_at"):
        found["last_activity_at"] = int(contact["last_activity_at"])
    if inboxes:
        sessions = [one for one in box.state["contact_inboxes"] if one["contact_id"] == contact["id"]]
        found["contact_inboxes"] = [
            {"source_id": one["source_id"], "inbox": box.store["inboxes"].get(one["inbox_id"])} for one in sessions
        ]
    return found


def contact_inbox(box: Sandbox, contact: int, inbox: int, source: str | None) -> Native:
    """Return the session of a contact in an inbox, made where there is none; a name is one contact's only."""
    source = source or str(uuid.uuid5(uuid.NAMESPACE_URL, f"session {len(box.state['contact_inboxes'])}"))
    for one in box.state["contact_inboxes"]:
        if (one["inbox_id"], one["source_id"]) == (inbox, source):
            if one["contact_id"] != contact:
                raise rules.refused("source_id should be unique")
            return one  # type: ignore[no-any-return]
    made = {"id": len(box.state["contact_inboxes"]) + 1, "contact_id": contact, "inbox_id": inbox, "source_id": source}
    box.state["contact_inboxes"].append(made)
    return made


def _wants_inboxes(request: Request) -> bool:
    return request.args.get("include_contact_inboxes", "true") == "true"


def _sorted(request: Request, contacts: list[Native]) -> list[Native]:
    wish = request.args.get("sort", "")
    name = wish.lstrip("-")
    if name not in SORTS:
        return contacts
    return sorted(contacts, key=lambda c: (str(c.get(name) or "").lower(), c["id"]), reverse=wish.startswith("-"))


@routes("GET", f"{API}/contacts")
def contacts(box: Sandbox, request: Request) -> Response:
    """List who has an address, a number or an identifier, fifteen a page."""
    known = [c for c in box.store["contacts"].values() if c["email"] or c["phone_number"] or c["identifier"]]
    page = rules.paged(request, _sorted(request, known), CONTACTS_A_PAGE)
    meta = {"count": len(known), "current_page": request.args.get("page", "1")}
    return rules.answer({"meta": meta, "payload": [shown(box, c, inboxes=_wants_inboxes(request)) for c in page]})


@routes("GET", f"{API}/contacts/search")
def search(box: Sandbox, request: Request) -> Response:
    """Search in the database itself, so that what was just written is found."""
    wanted = request.args.get("q", "").strip()
    if not wanted:
        raise rules.refused("Specify search string with parameter q")
    like = re.compile("".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in wanted), re.IGNORECASE | re.DOTALL)
    found = [
        c
        for c in box.store["contacts"].values()
        if any(like.search(c[name] or "") for name in ("name", "email", "phone_number", "identifier"))
        or str(c["id"]) == wanted
    ]
    page = rules.paged(request, _sorted(request, found), CONTACTS_A_PAGE)
    meta = {"count": len(page), "current_page": request.args.get("page", "1"), "has_more": len(found) > len(page)}
    return rules.answer({"meta": meta, "payload": [shown(box, c, inboxes=_wants_inboxes(request)) for c in page]})


def _checked(box: Sandbox, params: Params, own: int | None) -> Native:
    errors: dict[str, str] = {}
    kept: Native = {}
    for name in ("name", "identifier", "email", "phone_number"):
        if name in params:
            kept[name] = rules.text(errors, name, params.get(name))
    if "email" in kept:
        kept["email"] = (kept["email"] or "").lower() or None
        if kept["email"] and not rules.EMAIL.fullmatch(kept["email"]):
            errors["email"] = "Invalid email"
    if kept.get("phone_number") and not PHONE.search(kept["phone_number"]):
        errors["phone_number"] = "should be in e164 format"
    for name in ("email", "identifier", "phone_number"):
        rules.unique(errors, box, "contacts", name, kept.get(name), own)
    if "blocked" in params:
        kept["blocked"] = params.flag("blocked")
    if errors:
        raise rules.invalid(errors)
    return kept


@routes("POST", f"{API}/contacts")
def create_contact(box: Sandbox, request: Request) -> Response:
    """Make a contact, with a session where an inbox is named."""
    params = Params(request, "contact")
    kept = _checked(box, params, None)
    inbox = params.whole("inbox_id")
    if inbox is not None:
        rules.one(box, "inboxes", inbox)
    id = rules.fresh(box, "contacts")
    contact = box.store["contacts"][id] = {
        "id": id,
        "name": "",
        "email": None,
        "phone_number": None,
        "identifier": None,
        "blocked": False,
        **kept,
        "additional_attributes": params.map("additional_attributes"),
        "custom_attributes": params.map("custom_attributes"),
        "created_at": rules.now(box),
    }
    session = contact_inbox(box, id, inbox, params.get("source_id")) if inbox is not None else None
    made = {"inbox": box.store["inboxes"].get(inbox), "source_id": session["source_id"]} if session else None
    return rules.answer({"payload": {"contact": shown(box, contact, inboxes=True), "contact_inbox": made or {}}})


@routes("GET", f"{API}/contacts/<int:id>")
def contact(box: Sandbox, request: Request, id: int) -> Response:
    """Show a contact."""
    found = rules.one(box, "contacts", id)
    return rules.answer({"payload": shown(box, found, inboxes=_wants_inboxes(request))})


@routes("PATCH", f"{API}/contacts/<int:id>")
@routes("PUT", f"{API}/contacts/<int:id>")
def update_contact(box: Sandbox, request: Request, id: int) -> Response:
    """Change a contact; attributes are merged into those it has."""
    found, params = rules.one(box, "contacts", id), Params(request, "contact")
    kept = _checked(box, params, id)
    for name in ("additional_attributes", "custom_attributes"):
        if name in params:
            kept[name] = {**found[name], **params.map(name)}
    found |= kept
    return rules.answer({"payload": shown(box, found, inboxes=True)})


@routes("DELETE", f"{API}/contacts/<int:id>")
def delete_contact(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a contact, with the conversations."""
    rules.need_admin(box)
    rules.one(box, "contacts", id)
    del box.store["contacts"][id]
    box.state["contact_inboxes"] = [one for one in box.state["contact_inboxes"] if one["contact_id"] != id]
    for number in [n for n, c in box.store["conversations"].items() if c["contact_id"] == id]:
        del box.store["conversations"][number]
    return Response(status=200)


@routes("GET", f"{API}/contacts/<int:id>/labels")
def contact_labels(box: Sandbox, request: Request, id: int) -> Response:
    """List a contact's labels, which nothing else shows."""
    return rules.answer({"payload": rules.one(box, "contacts", id).get("_labels", [])})


@routes("POST", f"{API}/contacts/<int:id>/labels")
def label_contact(box: Sandbox, request: Request, id: int) -> Response:
    """Set a contact's labels."""
    found = rules.one(box, "contacts", id)
    found["_labels"] = [str(one) for one in Params(request).get("labels") or []]
    return rules.answer({"payload": found["_labels"]})


# ---- agents and teams ------------------------------------------------------------------------------------------------


@routes("GET", f"{API}/agents")
def agents(box: Sandbox, request: Request) -> Response:
    """List the agents."""
    return rules.answer(list(box.store["agents"].values()))


def new_agent(box: Sandbox, name: str, email: str, role: str = "agent") -> Native:
    """Store an agent, as if an invitation had been accepted."""
    id = rules.fresh(box, "agents")
    box.store["agents"][id] = {
        "id": id,
        "account_id": rules.ACCOUNT,
        "availability_status": "offline",
        "auto_offline": True,
        "confirmed": True,
        "email": email,
        "provider": "email",
        "available_name": name,
        "name": name,
        "role": role,
        "thumbnail": "",
        "custom_role_id": None,
    }
    return box.store["agents"][id]


@routes("POST", f"{API}/agents")
def create_agent(box: Sandbox, request: Request) -> Response:
    """Invite an agent, by mail."""
    rules.need_admin(box)
    params = Params(request, "agent")
    email = str(params.get("email") or "").lower()
    if not rules.EMAIL.fullmatch(email):
        raise rules.invalid({"email": "is invalid"})
    if any(one["email"] == email for one in box.store["agents"].values()):
        raise rules.invalid({"email": "has already been taken"})
    box.state["mails"].append({"to": email, "why": "invitation"})
    return rules.answer(new_agent(box, str(params.get("name") or email), email, str(params.get("role") or "agent")))


def _team(box: Sandbox, team: Native) -> Native:
    members = box.state["members"].get(team["id"], [])
    return {**team, "is_member": box.state["me"]["id"] in members}


@routes("GET", f"{API}/teams")
def teams(box: Sandbox, request: Request) -> Response:
    """List the teams."""
    return rules.answer([_team(box, one) for one in box.store["teams"].values()])


def _kept_team(box: Sandbox, params: Params, own: int | None) -> Native:
    errors: dict[str, str] = {}
    kept: Native = {}
    if "name" in params or own is None:
        kept["name"] = (rules.text(errors, "name", params.get("name")) or "").lower()  # "before_validation"
        if not kept["name"]:
            errors["name"] = "must not be blank"
        rules.unique(errors, box, "teams", "name", kept["name"], own)
    if "description" in params:
        kept["description"] = rules.text(errors, "description", params.get("description"), rules.MOST_OF_A_TEXT)
    if "allow_auto_assign" in params:
        kept["allow_auto_assign"] = params.flag("allow_auto_assign")
    if errors:
        raise rules.invalid(errors)
    return kept


@routes("POST", f"{API}/teams")
def create_team(box: Sandbox, request: Request) -> Response:
    """Make a team; who belongs to it is said by another call."""
    rules.need_admin(box)
    kept = _kept_team(box, Params(request, "team"), None)
    id = rules.fresh(box, "teams")
    made = {"id": id, "name": "", "description": None, "allow_auto_assign": True, "account_id": rules.ACCOUNT, **kept}
    box.store["teams"][id] = made
    return rules.answer(_team(box, made))


@routes("GET", f"{API}/teams/<int:id>")
def team(box: Sandbox, request: Request, id: int) -> Response:
    """Show a team."""
    return rules.answer(_team(box, rules.one(box, "teams", id)))


@routes("PATCH", f"{API}/teams/<int:id>")
@routes("PUT", f"{API}/teams/<int:id>")
def update_team(box: Sandbox, request: Request, id: int) -> Response:
    """Change a team."""
    rules.need_admin(box)
    found = rules.one(box, "teams", id)
    found |= _kept_team(box, Params(request, "team"), id)
    return rules.answer(_team(box, found))


@routes("DELETE", f"{API}/teams/<int:id>")
def delete_team(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a team; its conversations stay without one."""
    rules.need_admin(box)
    rules.one(box, "teams", id)
    del box.store["teams"][id]
    box.state["members"].pop(id, None)
    for conversation in box.store["conversations"].values():
        if conversation["team_id"] == id:
            conversation["team_id"] = None
    return Response(status=200)


@routes("GET", f"{API}/teams/<int:id>/team_members")
def team_members(box: Sandbox, request: Request, id: int) -> Response:
    """List who belongs to a team."""
    rules.one(box, "teams", id)
    members = box.state["members"].get(id, [])
    return rules.answer([box.store["agents"][one] for one in members if one in box.store["agents"]])


@routes("POST", f"{API}/teams/<int:id>/team_members")
def add_team_members(box: Sandbox, request: Request, id: int) -> Response:
    """Add members; who is one already stays one."""
    rules.need_admin(box)
    rules.one(box, "teams", id)
    members = box.state["members"].setdefault(id, [])
    for one in Params(request).get("user_ids") or []:
        if one not in box.store["agents"]:
            raise rules.refused("User must belong to account")
        if one not in members:
            members.append(one)
    return rules.answer([box.store["agents"][one] for one in members])
