"""Chatwoot's messages: what was said and what merely happened, their files, and the Liquid in what agents say."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_conversations as conversations
from . import sandbox_rules as rules
from .sandbox_rules import API, Params, routes

INCOMING, OUTGOING, ACTIVITY, TEMPLATE = range(4)
TYPES = {"incoming": INCOMING, "outgoing": OUTGOING, "activity": ACTIVITY, "template": TEMPLATE}
LATEST, FOLLOWING, BETWEEN = 20, 100, 1000  # messages an answer holds, by what is asked
MOST_OF_A_MESSAGE, MOST_FILES = 150_000, 15
BAD_IN_NAMES = '\u202e%$|:;/<>?*"\t\r\n\\'  # ActiveStorage::Filename#sanitized
BLOBS = "/rails/active_storage"


def thread(box: Sandbox, conversation: int) -> list[Native]:
    """Return everything of a conversation, in the order of its date."""
    found = [
        m for s in ("messages", "activities") for m in box.store[s].values() if m["conversation_id"] == conversation
    ]
    return sorted(found, key=lambda m: (m["created_at"], m["id"]))


def shown(box: Sandbox, message: Native) -> Native:
    """Return a message as the API shows it; who said it, and files, only where there are such."""
    kept = {name: value for name, value in message.items() if not name.startswith("_")}
    found = {**kept, "created_at": int(message["created_at"])}
    sender = message.get("_sender")
    if sender and (person := _person(box, *sender)):
        found["sender"] = person
    if message.get("_files"):
        found["attachments"] = [_file(box, message, number) for number in message["_files"]]
    return found


def _person(box: Sandbox, kind: str, id: int) -> Native | None:
    if kind == "contact":
        held = box.store["contacts"].get(id)
        if held is None:
            return None
        names = ("additional_attributes", "custom_attributes", "email", "id", "identifier", "name", "phone_number")
        return {**{name: held[name] for name in names}, "thumbnail": "", "blocked": held["blocked"], "type": "contact"}
    agent = box.store["agents"].get(id) or (box.state["me"] if box.state["me"]["id"] == id else None)
    if agent is None:
        return None
    return {
        "id": id,
        "name": agent["name"],
        "available_name": agent["available_name"],
        "avatar_url": "",
        "type": "user",
        "availability_status": agent["availability_status"],
        "thumbnail": "",
    }


# ---- files -----------------------------------------------------------------------------------------------------------


def _file(box: Sandbox, message: Native, number: int) -> Native:
    held = box.state["files"][number]
    url = f"{box.base_url}{BLOBS}/blobs/redirect/{held['key']}/{quote(held['name'])}"
    kind = held["content_type"].split("/")[0]
    return {
        "id": number,
        "message_id": message["id"],
        "file_type": kind if kind in ("image", "audio", "video") else "file",
        "account_id": rules.ACCOUNT,
        "extension": None,
        "data_url": url,
        "thumb_url": url if kind == "image" else "",
        "file_size": held["size"],
        "width": None,
        "height": None,
    }


def keep(box: Sandbox, name: str, content: bytes, content_type: str) -> int:
    """Store a file under the name Active Storage lets it have; return its number."""
    last = name.strip().translate(dict.fromkeys(map(ord, BAD_IN_NAMES), "-"))
    number = len(box.state["files"]) + 1
    key = f"blob{number}"
    box.state["files"][number] = {"name": last, "key": key, "size": len(content), "content_type": content_type}
    box.blobs[key] = content
    return number


@routes("GET", f"{BLOBS}/blobs/redirect/<key>/<path:name>")
def blob(box: Sandbox, request: Request, key: str, name: str) -> Response:
    """Send on to where the bytes are, with an address that is good for minutes."""
    where = f"{box.base_url}{BLOBS}/disk/{key}/{quote(unquote(name))}"
    return Response(status=302, headers={"Location": where})


@routes("GET", f"{BLOBS}/disk/<key>/<path:name>")
def disk(box: Sandbox, request: Request, key: str, name: str) -> Response:
    """Hand the bytes over, to whoever has the address."""
    if key not in box.blobs:
        return Response(status=404)
    held = next(file for file in box.state["files"].values() if file["key"] == key)
    return Response(box.blobs[key], content_type=held["content_type"])


# ---- Liquid ----------------------------------------------------------------------------------------------------------


def rendered(content: str, drops: dict[str, str]) -> str:
    """Return what Liquid makes of a text an agent says: names become values, and unknown ones nothing.

    Code between backticks is left alone; a text that is no template stays as it is. Tags other than ``raw`` are not
    played: a text with one is taken for no template.
    """
    raw = re.sub(r"`(.*?)`", r"{% raw %}`\1`{% endraw %}", content, flags=re.DOTALL)
    out, at = [], 0
    for token in re.finditer(r"\{%-?.*?%\}|\{\{.*?\}\}?", raw, re.DOTALL):
        if token.start() < at:
            continue
        out.append(raw[at : token.start()])
        at = token.end()
        if token[0].startswith("{%"):
            if token[0].strip("{%- }") != "raw":
                return content
            end = re.compile(r"\{%-?\s*endraw\s*-?%\}").search(raw, at)
            if end is None:
                return content
            out.append(raw[at : end.start()])
            at = end.end()
        else:
            if not token[0].endswith("}}"):
                return content
            said = token[0][2:-2].strip()
            literal = re.fullmatch(r"\"([^\"]*)\"|'([^']*)'", said)
            out.append((literal[1] or literal[2] or "") if literal else drops.get(said, ""))
    rest = raw[at:]
    return content if "{{" in rest or "{%" in rest else "".join(out) + rest


def _drops(box: Sandbox, conversation: Native) -> dict[str, str]:
    contact = box.store["contacts"].get(conversation["contact_id"]) or {}
    names = {name: str(contact.get(name) or "") for name in ("name", "email", "phone_number", "id")}
    me = box.state["me"]
    return {
        **{f"contact.{name}": value for name, value in names.items()},
        "agent.name": me["name"],
        "agent.email": me["email"],
        "conversation.display_id": str(conversation["id"]),
    }


# ---- writing ---------------------------------------------------------------------------------------------------------


def _number(box: Sandbox) -> int:
    last = max((max(box.store[s], default=0) for s in ("messages", "activities")), default=0)
    box.state["numbers"]["messages"] = max(box.state["numbers"].get("messages", 0), last) + 1
    return int(box.state["numbers"]["messages"])


def _put(box: Sandbox, conversation: Native, stream: str, **more: object) -> Native:
    id, at = _number(box), rules.now(box)
    made: Native = {
        "id": id,
        "content": None,
        "inbox_id": conversation["inbox_id"],
        "conversation_id": conversation["id"],
        "message_type": ACTIVITY,
        "content_type": "text",
        "status": "sent",
        "content_attributes": {},
        "created_at": at,
        "private": False,
        "source_id": None,
        **more,
    }
    box.store[stream][id] = made
    conversation["last_activity_at"] = at
    conversations.touch(box, conversation)
    return made


def activity(box: Sandbox, conversation: Native, content: str) -> None:
    """Note in the thread what happened."""
    _put(box, conversation, "activities", content=content)


def create(box: Sandbox, conversation: Native, params: Params) -> Native:
    """Say something: as the contact (``incoming``, in API inboxes only), or as whom the token belongs to.

    A customer's word opens what was resolved or snoozed. Nothing lets one choose a date, or another agent.
    """
    kind = params.get("message_type") or "outgoing"
    inbox = box.store["inboxes"].get(conversation["inbox_id"]) or {}
    if kind == "incoming" and inbox.get("channel_type") != "Channel::Api":
        raise rules.refused("Incoming messages are only allowed in Api inboxes")
    if kind not in TYPES:
        raise rules.refused(f"'{kind}' is not a valid message_type")
    at = rules.now(box)
    recent = [m for m in thread(box, conversation["id"]) if m["created_at"] >= at - 60]
    if len(recent) >= box.state["most_a_minute"]:
        raise rules.refused("Validation failed: Too many messages")
    content = params.get("content")
    content = None if content is None else str(content)
    if content is not None and len(content) > MOST_OF_A_MESSAGE:
        raise rules.refused(f"Validation failed: Content is too long (maximum is {MOST_OF_A_MESSAGE} characters)")
    files = [file for name in ("attachments", "message[attachments]") for file in params.files.get(name, [])]
    if len(files) > MOST_FILES:
        raise rules.refused("Validation failed: Attachments exceeded maximum allowed")
    attributes = params.map("content_attributes")
    if params.get("external_created_at"):
        attributes["external_created_at"] = params.get("external_created_at")
    if kind in ("outgoing", "template") and content:
        content = rendered(content, _drops(box, conversation))
    sender = ("user", box.state["me"]["id"]) if kind == "outgoing" else ("contact", conversation["contact_id"])
    made = _put(
        box,
        conversation,
        "messages",
        content=content,
        message_type=TYPES[kind],
        content_type=params.get("content_type") or "text",
        content_attributes=attributes,
        private=params.flag("private"),
        source_id=params.get("source_id"),
        _sender=sender,
        _files=[keep(box, *file) for file in files],
    )
    if kind == "incoming" and conversation["status"] in ("resolved", "snoozed"):
        conversations.set_status(box, conversation, "open")
    contact = box.store["contacts"].get(conversation["contact_id"])
    if kind == "incoming" and contact:
        contact["last_activity_at"] = at
    if kind == "outgoing" and not made["private"] and box.state["features"].get("email_continuity_on_api_channel"):
        box.state["mails"].append({"to": contact and contact["email"], "why": "reply"})
    return made


@routes("GET", f"{API}/conversations/<int:id>/messages")
def messages(box: Sandbox, request: Request, id: int) -> Response:
    """List messages, oldest first: the latest, those before or after one, or those between two."""
    found = rules.one(box, "conversations", id)
    listed = thread(box, id)
    if request.args.get("filter_internal_messages"):
        listed = [m for m in listed if not (m["private"] or m["message_type"] == ACTIVITY)]
    after, before = (int(request.args[n]) if request.args.get(n, "").isdigit() else None for n in ("after", "before"))
    if after is not None and before is not None:
        page = [m for m in listed if after <= m["id"] < before][:BETWEEN]
    elif before is not None:
        page = [m for m in listed if m["id"] < before][-LATEST:]
    elif after is not None:
        page = [m for m in listed if m["id"] > after][:FOLLOWING]
    else:
        page = listed[-LATEST:]
    meta = {
        "labels": found["labels"],
        "additional_attributes": found["additional_attributes"],
        "contact": conversations.shown(box, found)["meta"]["sender"],
        "agent_last_seen_at": None,
        "assignee_last_seen_at": None,
    }
    return rules.answer({"meta": meta, "payload": [shown(box, m) for m in page]})


@routes("POST", f"{API}/conversations/<int:id>/messages")
def create_message(box: Sandbox, request: Request, id: int) -> Response:
    """Say something in a conversation."""
    return rules.answer(shown(box, create(box, rules.one(box, "conversations", id), Params(request))))


@routes("DELETE", f"{API}/conversations/<int:id>/messages/<int:number>")
def delete_message(box: Sandbox, request: Request, id: int, number: int) -> Response:
    """Blank a message; that there was one stays."""
    found = box.store["messages"].get(number)
    if found is None or found["conversation_id"] != id:
        raise rules.missing()
    found |= {"content": "This message was deleted", "content_attributes": {"deleted": True}, "_files": []}
    return Response(status=200)
