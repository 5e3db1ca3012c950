"""Chatwoot's conversations: made, listed, labelled, assigned, opened and closed."""

from __future__ import annotations

import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_messages as messages
from . import sandbox_people as people
from . import sandbox_rules as rules
from .sandbox_rules import API, Params, routes

CONVERSATIONS_A_PAGE = 25
STATUSES = ("open", "resolved", "pending", "snoozed")
PRIORITIES = ("low", "medium", "high", "urgent")
SORTS = {
    "last_activity_at_asc": ("last_activity_at", False),
    "last_activity_at_desc": ("last_activity_at", True),
    "created_at_asc": ("created_at", False),
    "created_at_desc": ("created_at", True),
}


def shown(box: Sandbox, conversation: Native) -> Native:
    """Return a conversation as the API shows it: numbered by account, with its last message."""
    contact = box.store["contacts"].get(conversation["contact_id"])
    inbox = box.store["inboxes"].get(conversation["inbox_id"]) or {}
    meta: Native = {"sender": people.shown(box, contact) if contact else None, "channel": inbox.get("channel_type")}
    if agent := box.store["agents"].get(conversation["assignee_id"]):
        meta["assignee"] = agent
    if team := box.store["teams"].get(conversation["team_id"]):
        meta["team"] = {**team, "is_member": False}
    meta["hmac_verified"] = False
    thread = messages.thread(box, conversation["id"])
    said = [one for one in thread if one["message_type"] != messages.ACTIVITY]
    return {
        "meta": meta,
        "id": conversation["id"],
        "messages": [messages.shown(box, one) for one in thread[-1:]],
        "account_id": rules.ACCOUNT,
        "uuid": conversation["uuid"],
        "additional_attributes": conversation["additional_attributes"],
        "agent_last_seen_at": 0,
        "assignee_last_seen_at": 0,
        "can_reply": True,
        "contact_last_seen_at": 0,
        "custom_attributes": conversation["custom_attributes"],
        "inbox_id": conversation["inbox_id"],
        "labels": conversation["labels"],
        "muted": False,
        "snoozed_until": conversation["snoozed_until"],
        "status": conversation["status"],
        "created_at": int(conversation["created_at"]),
        "updated_at": conversation["updated_at"],
        "timestamp": int(conversation["last_activity_at"]),
        "first_reply_created_at": 0,
        "unread_count": 0,
        "last_non_activity_message": messages.shown(box, said[-1]) if said else None,
        "last_activity_at": int(conversation["last_activity_at"]),
        "priority": conversation["priority"],
        "waiting_since": 0,
        "sla_policy_id": None,
    }


def touch(box: Sandbox, conversation: Native) -> None:
    """Note that a conversation changed."""
    conversation["updated_at"] = rules.now(box)


# ---- lists -----------------------------------------------------------------------------------------------------------


def _wanted(box: Sandbox, request: Request) -> list[Native]:
    given = request.args
    status = given.get("status", "open")
    found = [c for c in box.store["conversations"].values() if status in ("all", c["status"])]
    if box.state["me"]["role"] != "administrator":
        found = [c for c in found if c["inbox_id"] in box.state["my_inboxes"]]
    for name, key in (("inbox_id", "inbox_id"), ("team_id", "team_id")):
        if given.get(name):
            found = [c for c in found if str(c[key]) == given[name]]
    if labels := given.getlist("labels[]") or given.getlist("labels"):
        found = [c for c in found if set(labels) & set(c["labels"])]
    if source := given.get("source_id"):
        found = [c for c in found if c["source_id"] == source]
    return found


@routes("GET", f"{API}/conversations/meta")
def meta(box: Sandbox, request: Request) -> Response:
    """Count conversations."""
    return rules.answer({"meta": _counts(box, _wanted(box, request))})


def _counts(box: Sandbox, found: list[Native]) -> Native:
    mine = sum(c["assignee_id"] == box.state["me"]["id"] for c in found)
    nobody = sum(c["assignee_id"] is None for c in found)
    return {
        "mine_count": mine,
        "assigned_count": len(found) - nobody,
        "unassigned_count": nobody,
        "all_count": len(found),
    }


@routes("GET", f"{API}/conversations")
def conversations(box: Sandbox, request: Request) -> Response:
    """List conversations, 25 a page, open ones unless another status is asked for; newest activity first."""
    found = _wanted(box, request)
    counts = _counts(box, found)
    kind = request.args.get("assignee_type", "")
    if kind == "me":
        found = [c for c in found if c["assignee_id"] == box.state["me"]["id"]]
    elif kind in ("assigned", "unassigned"):
        found = [c for c in found if (c["assignee_id"] is None) == (kind == "unassigned")]
    name, back = SORTS.get(request.args.get("sort_by", ""), SORTS["last_activity_at_desc"])
    found.sort(key=lambda c: (c[name], c["id"]), reverse=back)
    within = request.args.get("updated_within")
    if within:
        page = [c for c in found if c["updated_at"] > rules.now(box) - int(within)]  # whole: no pages
    else:
        page = rules.paged(request, found, CONVERSATIONS_A_PAGE)
    return rules.answer({"data": {"meta": counts, "payload": [shown(box, c) for c in page]}})


@routes("GET", f"{API}/contacts/<int:id>/conversations")
def of_contact(box: Sandbox, request: Request, id: int) -> Response:
    """List the latest conversations of a contact."""
    rules.one(box, "contacts", id)
    found = [c for c in box.store["conversations"].values() if c["contact_id"] == id]
    found.sort(key=lambda c: c["last_activity_at"], reverse=True)
    return rules.answer({"payload": [shown(box, c) for c in found[:20]]})


@routes("GET", f"{API}/conversations/<int:id>")
def conversation(box: Sandbox, request: Request, id: int) -> Response:
    """Show a conversation by its number in the account."""
    return rules.answer(shown(box, rules.one(box, "conversations", id)))


# ---- writing ---------------------------------------------------------------------------------------------------------


def _from_team(box: Sandbox, conversation: Native) -> None:
    """Who is assigned must belong to the team that was just set; a team that assigns by itself picks somebody."""
    team = box.store["teams"].get(conversation["team_id"])
    if team is None:
        return
    members = box.state["members"].get(team["id"], [])
    if conversation["assignee_id"] not in members:
        conversation["assignee_id"] = None
    if conversation["assignee_id"] is None and team["allow_auto_assign"]:
        online = [one for one in members if one in box.state["online"]]
        conversation["assignee_id"] = online[0] if online else None


@routes("POST", f"{API}/conversations")
def create_conversation(box: Sandbox, request: Request) -> Response:
    """Make a conversation for a contact in an inbox; what is not permitted here (priority, dates) is dropped."""
    params = Params(request)
    errors: dict[str, str] = {}
    inbox, contact = params.whole("inbox_id"), params.whole("contact_id")
    source = params.get("source_id")
    if inbox is not None and contact is not None:
        rules.one(box, "inboxes", inbox)
        rules.one(box, "contacts", contact)
        session = people.contact_inbox(box, contact, inbox, str(source) if source else None)
    else:
        found = [one for one in box.state["contact_inboxes"] if source and one["source_id"] == source]
        if not found:
            raise rules.missing()
        session = found[0]
    additional, custom = params.map("additional_attributes"), params.map("custom_attributes")
    rules.attributes(errors, "additional_attributes", additional)
    rules.attributes(errors, "custom_attributes", custom)
    status = params.get("status") or "open"
    if status not in STATUSES:
        raise rules.refused(f"'{status}' is not a valid status")
    if errors:
        raise rules.invalid(errors)
    held = box.store["inboxes"][session["inbox_id"]]
    if held.get("lock_to_single_conversation"):
        for one in box.store["conversations"].values():
            if one["source_id"] == session["source_id"] and one["inbox_id"] == session["inbox_id"]:
                return rules.answer(shown(box, one))
    if box.store["contacts"][session["contact_id"]]["blocked"]:
        status = "resolved"
    made = _stored(box, session, params, status, additional, custom)
    if message := params.map("message"):
        messages.create(box, made, Params(request, "message") if message else params)
    return rules.answer(shown(box, made))


def _stored(box: Sandbox, session: Native, params: Params, status: str, additional: Native, custom: Native) -> Native:
    id, at = rules.fresh(box, "conversations"), rules.now(box)
    team, assignee = params.whole("team_id"), params.whole("assignee_id")
    made: Native = {
        "id": id,
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"conversation {id}")),
        "contact_id": session["contact_id"],
        "inbox_id": session["inbox_id"],
        "source_id": session["source_id"],
        "assignee_id": assignee if assignee in box.store["agents"] else None,
        "team_id": team if team in box.store["teams"] else None,
        "labels": [],
        "status": status,
        "priority": None,
        "additional_attributes": additional,
        "custom_attributes": custom,
        "snoozed_until": params.get("snoozed_until") if status == "snoozed" else None,
        "created_at": at,
        "updated_at": at,
        "last_activity_at": at,
    }
    _from_team(box, made)
    box.store["conversations"][id] = made
    if made["assignee_id"]:
        box.state["mails"].append({"to": made["assignee_id"], "why": "assignment"})
    return made


@routes("PATCH", f"{API}/conversations/<int:id>")
def update_conversation(box: Sandbox, request: Request, id: int) -> Response:
    """Change a conversation: its priority, and nothing else."""
    found, params = rules.one(box, "conversations", id), Params(request)
    if "priority" in params:
        _prioritise(box, found, params.get("priority"))
    return rules.answer(shown(box, found))


def _prioritise(box: Sandbox, found: Native, wish: Any) -> None:
    wish = None if wish in (None, "", "none") else wish
    if wish is not None and wish not in PRIORITIES:
        raise rules.refused(f"'{wish}' is not a valid priority")
    if found["priority"] != wish:
        found["priority"] = wish
        touch(box, found)
        messages.activity(box, found, f"{box.state['me']['name']} set the priority to {wish or 'none'}")


@routes("POST", f"{API}/conversations/<int:id>/toggle_priority")
def toggle_priority(box: Sandbox, request: Request, id: int) -> Response:
    """Set the priority."""
    _prioritise(box, rules.one(box, "conversations", id), Params(request).get("priority"))
    return Response(status=200)


@routes("POST", f"{API}/conversations/<int:id>/toggle_status")
def toggle_status(box: Sandbox, request: Request, id: int) -> Response:
    """Set the status, or turn it over where none is given."""
    found, params = rules.one(box, "conversations", id), Params(request)
    status = params.get("status") or ("resolved" if found["status"] == "open" else "open")
    if status not in STATUSES:
        raise rules.refused(f"'{status}' is not a valid status")
    set_status(box, found, status)
    if status == "snoozed":
        found["snoozed_until"] = params.get("snoozed_until")
    if status == "open" and box.state["me"]["role"] == "agent":
        found["assignee_id"] = box.state["me"]["id"]
    payload = {
        "success": True,
        "current_status": status,
        "conversation_id": id,
        "snoozed_until": found["snoozed_until"],
    }
    return rules.answer({"meta": {}, "payload": payload})


def set_status(box: Sandbox, found: Native, status: str) -> None:
    """Change the status, with the line in the thread that tells of it."""
    if found["status"] == status:
        return
    found["status"] = status
    if status != "snoozed":
        found["snoozed_until"] = None
    touch(box, found)
    messages.activity(box, found, f"Conversation was marked {status} by {box.state['me']['name']}")


@routes("GET", f"{API}/conversations/<int:id>/labels")
def labels(box: Sandbox, request: Request, id: int) -> Response:
    """List a conversation's labels."""
    return rules.answer({"payload": rules.one(box, "conversations", id)["labels"]})


@routes("POST", f"{API}/conversations/<int:id>/labels")
def label(box: Sandbox, request: Request, id: int) -> Response:
    """Set a conversation's labels, known to the sidebar or not; a comma ends one."""
    found = rules.one(box, "conversations", id)
    given = [part.strip().strip('"') for one in Params(request).get("labels") or [] for part in str(one).split(",")]
    wanted = list(dict.fromkeys(one for one in given if one))
    if wanted != found["labels"]:
        found["labels"] = wanted
        touch(box, found)
        messages.activity(box, found, f"{box.state['me']['name']} changed the labels")
    return rules.answer({"payload": found["labels"]})


@routes("POST", f"{API}/conversations/<int:id>/assignments")
def assign(box: Sandbox, request: Request, id: int) -> Response:
    """Assign an agent, or else a team; a number of nobody's means none."""
    found, params = rules.one(box, "conversations", id), Params(request)
    touch(box, found)
    if "assignee_id" in params:
        agent = box.store["agents"].get(params.whole("assignee_id"))
        found["assignee_id"] = agent["id"] if agent else None
        if agent:
            box.state["mails"].append({"to": agent["id"], "why": "assignment"})
        return rules.answer(agent)
    if "team_id" in params:
        team = box.store["teams"].get(params.whole("team_id"))
        changed = found["team_id"] != (team["id"] if team else None)
        found["team_id"] = team["id"] if team else None
        if changed:
            _from_team(box, found)
        return rules.answer(team)
    return rules.answer(None)


@routes("POST", f"{API}/conversations/<int:id>/custom_attributes")
def set_custom_attributes(box: Sandbox, request: Request, id: int) -> Response:
    """Set the custom attributes: all of them, those that are not named are gone."""
    found = rules.one(box, "conversations", id)
    errors: dict[str, str] = {}
    wanted = Params(request).map("custom_attributes")
    rules.attributes(errors, "custom_attributes", wanted)
    if errors:
        raise rules.invalid(errors)
    found["custom_attributes"] = wanted
    touch(box, found)
    return rules.answer({"custom_attributes": wanted})


@routes("DELETE", f"{API}/conversations/<int:id>")
def delete_conversation(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a conversation with its messages: administrators only."""
    rules.need_admin(box)
    rules.one(box, "conversations", id)
    del box.store["conversations"][id]
    for stream in ("messages", "activities"):
        for one in [n for n, m in box.store[stream].items() if m["conversation_id"] == id]:
            del box.store[stream][one]
    return Response(status=200)
