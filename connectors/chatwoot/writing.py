"""Units that take several calls: a conversation with its messages, a team with its members.

Each step leaves at the vendor what tells that it was done: the conversation its Migrator key, a message its
``source_id``. So a unit that was cut off is looked up and finished, and nothing is said twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import requests

from migrator.connector import Child, Native, Raw, Unit, Written, at_path
from migrator.errors import AbsentError, MigratorError, RefusedError, UnknownOutcomeError
from migrator.http import Client
from migrator.payloads import form

AGENT = "agent:"  # begins an agent's id in mappings/vendors/chatwoot.yaml
WAKES = ("resolved", "snoozed")  # a customer's word opens a conversation that is
NOTE = "migrator_status"  # in a message's attributes: what its conversation's status is to be afterwards
NOBODY, INBOX = "migrator-nobody", "migrator-inbox"  # what connector.yaml sets up
FLOOD, FLOOD_SECONDS, FLOOD_TRIES = "Too many messages", 61, 5  # 200 a minute in one conversation (lib/limits.rb)
SAID = (0, 1)  # message types that people write; the others are told by Chatwoot itself


@dataclass
class Desk:
    """``thread`` returns the messages of a conversation as they stand now."""

    client: Client
    thread: Callable[[str], list[Raw]]

    # ---- conversations ----------------------------------------------------------------------------------------------

    def open(self, unit: Unit) -> Written:
        """Make a conversation with all its messages. Raises RefusedError when nothing of it is left behind."""
        answer = self._call("POST", "/conversations", json=_opening(unit))
        made = self.told(answer, "id")
        with _begun(f"conversation {made}"):
            return self._finished(unit, answer.json(), [])

    def reopened(self, unit: Unit) -> Written | None:
        """Look a conversation up by its key, and finish it; None where there is none."""
        found = self._by_key(unit)
        if found is None:
            return None
        said = [m for raw in self.thread(str(found["id"])) if (m := _message(raw))["message_type"] in SAID]
        return self._finished(unit, found, said)

    def _by_key(self, unit: Unit) -> Native | None:
        given = {"status": "all", "assignee_type": "all", "source_id": unit.key, "page": 1}
        listed = (self.client.read("/conversations", given).json().get("data") or {}).get("payload") or []
        name = unit.keys.get("migrator-key", "")
        return next((c for c in listed if (c.get("custom_attributes") or {}).get(name) == unit.key), None)

    def _finished(self, unit: Unit, native: Native, said: Sequence[Native]) -> Written:
        """Do what is not done yet of a conversation that is there; take it back where Chatwoot refuses a part."""
        there = str(native["id"])
        try:
            children = self._messages(unit, there, said)
            self._dressed(unit, native, there)
        except RefusedError as refusal:
            try:
                self.client.write("DELETE", f"/conversations/{there}")
            except AbsentError:
                pass
            raise refusal
        return Written(there, None, children)

    def _messages(self, unit: Unit, there: str, said: Sequence[Native]) -> dict[tuple[str, str], str]:
        by_source = {m["source_id"]: m for m in said if m.get("source_id")}
        vendor = unit.key.partition(":")[0]
        children: dict[tuple[str, str], str] = {}
        for place, child in enumerate(c for c in unit.children if c.kind == "message"):
            files = [c for c in unit.children if c.kind == "attachment" and c.owner == child.id]
            key = f"{vendor}:message:{child.id}"
            # An older Chatwoot keeps no source_id: then messages are told by their place; they are written in order.
            held = by_source.get(key) or (said[place] if not by_source and place < len(said) else None)
            message = held or self._post(there, child.payload, key, files, {})
            children["message", child.id] = str(message["id"])
            for file, kept in zip(files, message.get("attachments") or [], strict=False):
                children["attachment", file.id] = str(kept["id"])
        return children

    def _dressed(self, unit: Unit, native: Native, there: str) -> None:
        """Assign, label, prioritise, and at last set the status: a customer's word would have opened it again."""
        wanted = unit.payload
        at = f"/conversations/{there}"
        agent = at_path(wanted, "meta.assignee.id")
        if agent is not None and at_path(native, "meta.assignee.id") != agent:  # not of that team: dropped with it
            self._call("POST", f"{at}/assignments", json={"assignee_id": agent})
        labels = wanted.get("labels") or []
        if labels and list(native.get("labels") or []) != list(labels):
            self._call("POST", f"{at}/labels", json={"labels": labels})
        priority = wanted.get("priority")
        if priority and native.get("priority") != priority:
            self._call("POST", f"{at}/toggle_priority", json={"priority": priority})
        status = wanted.get("status") or "open"
        if status != "open" and native.get("status") != status:
            self._call("POST", f"{at}/toggle_status", json={"status": status})

    def change(self, unit: Unit) -> Written:
        """Change a conversation in the places a payload names; each has a call of its own."""
        wanted, at = unit.payload, f"/conversations/{unit.there}"
        with _begun(f"conversation {unit.there}"):
            if "team" in (wanted.get("meta") or {}):
                self._call("POST", f"{at}/assignments", json={"team_id": at_path(wanted, "meta.team.id") or 0})
            if "assignee" in (wanted.get("meta") or {}):
                self._call("POST", f"{at}/assignments", json={"assignee_id": at_path(wanted, "meta.assignee.id") or 0})
            if "custom_attributes" in wanted:  # the call sets all of them, so those that stay are named too
                held = self.client.read(at).json().get("custom_attributes") or {}
                values = {**held, **(wanted["custom_attributes"] or {})}
                self._call("POST", f"{at}/custom_attributes", json={"custom_attributes": values})
            if "labels" in wanted:
                self._call("POST", f"{at}/labels", json={"labels": wanted["labels"] or []})
            if "priority" in wanted:
                self._call("POST", f"{at}/toggle_priority", json={"priority": wanted["priority"]})
            if wanted.get("status"):
                self._call("POST", f"{at}/toggle_status", json={"status": wanted["status"]})
        return Written(unit.there)

    # ---- messages ---------------------------------------------------------------------------------------------------

    def say(self, unit: Unit) -> Written:
        """Add a message to a conversation that is there already, whose status stays as it is."""
        there = str(unit.refs["ticket"])
        files = [child for child in unit.children if child.kind == "attachment"]
        note: Native = {}
        if _incoming(unit.payload):
            status = self.client.read(f"/conversations/{there}").json().get("status")
            note = {NOTE: status} if status in WAKES else {}
        message = self._post(there, unit.payload, unit.key, files, note)
        with _begun(f"message {message['id']}"):
            return self._settled(unit, there, message, files)

    def heard(self, unit: Unit) -> Written | None:
        """Look an added message up by its key, and finish what follows it; None where there is none."""
        there = str(unit.refs["ticket"])
        files = [child for child in unit.children if child.kind == "attachment"]
        said = (_message(raw) for raw in self.thread(there))
        found = next((m for m in said if m.get("source_id") == unit.key), None)
        return self._settled(unit, there, found, files) if found else None

    def _settled(self, unit: Unit, there: str, message: Native, files: Sequence[Child]) -> Written:
        status = (message.get("content_attributes") or {}).get(NOTE)
        if status in WAKES and self.client.read(f"/conversations/{there}").json().get("status") == "open":
            self._call("POST", f"/conversations/{there}/toggle_status", json={"status": status})
        held = zip(files, message.get("attachments") or [], strict=False)
        return Written(str(message["id"]), None, {("attachment", file.id): str(kept["id"]) for file, kept in held})

    def _post(self, there: str, payload: Native, key: str, files: Sequence[Child], note: Native) -> Native:
        body: Native = {
            "content": str(payload.get("content") or ""),
            "message_type": "incoming" if _incoming(payload) else "outgoing",
            "private": bool(payload.get("private")),
            "source_id": key,
        }
        if body["message_type"] == "outgoing":
            body["content"] = unliquid(body["content"])
        if note:
            body["content_attributes"] = note
        how: dict[str, Any] = {"json": body}
        if files:
            how = {"data": form(body), "files": [part for file in files for part in _part(file)]}
        for attempt in range(1, FLOOD_TRIES + 1):
            try:
                answer = self._call("POST", f"/conversations/{there}/messages", **how)
                self.told(answer, "id")
                return answer.json()  # type: ignore[no-any-return]
            except RefusedError as refusal:
                if FLOOD not in refusal.answer or attempt == FLOOD_TRIES:
                    raise
                self.client.sleep(FLOOD_SECONDS)
        raise AssertionError("unreachable")

    # ---- teams ------------------------------------------------------------------------------------------------------

    def team(self, unit: Unit, body: Native) -> Written:
        """Make a team, and then say who belongs to it."""
        team = {name: value for name, value in body.items() if name != "_member_ids"}
        made = self.told(self._call("POST", "/teams", json=team), "id")
        with _begun(f"team {made}"):
            return self.joined(unit, body, made)

    def joined(self, unit: Unit, body: Native, there: str) -> Written:
        """Add the members of a team that is there; who is one already stays one."""
        members = [int(str(id).removeprefix(AGENT)) for id in body.get("_member_ids") or []]
        if members:
            self._call("POST", f"/teams/{there}/team_members", json={"user_ids": members})
        listed = [child for child in unit.children if child.kind == "membership"]
        ids = {("membership", c.id): f"{there}:{str(c.payload['agent']).removeprefix(AGENT)}" for c in listed}
        return Written(there, None, ids)

    # ---- calls ------------------------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, **how: Any) -> requests.Response:
        return self.client.write(method, path, **how)

    @staticmethod
    def told(answer: requests.Response, path: str) -> str:
        """Return what an answer holds at a path. Raises UnknownOutcomeError where it cannot be read."""
        try:
            value = at_path(answer.json(), path)
        except ValueError:
            value = None
        if value is None:
            raise UnknownOutcomeError(f"POST: {answer.status_code}, with an unreadable answer")
        return str(value)


@contextmanager
def _begun(what: str) -> Iterator[None]:
    """Let what ends a unit half-way be told as an unknown outcome: something of it is there. A refusal stays one."""
    try:
        yield
    except (RefusedError, UnknownOutcomeError):
        raise
    except (MigratorError, ValueError, KeyError, TypeError) as err:
        raise UnknownOutcomeError(f"{what} is there, and was not finished: {err}") from err


def unliquid(text: str) -> str:
    """Return a text that Liquid, which Chatwoot lets loose on what agents say, turns into the text that was meant.

    Code between backticks is left alone by Chatwoot (app/models/concerns/liquidable.rb), and so here.
    """
    parts = re.split(r"(`.*?`)", text, flags=re.DOTALL)
    return "".join(part if place % 2 else re.sub(r"\{(?=[{%])", '{{ "{" }}', part) for place, part in enumerate(parts))


def _opening(unit: Unit) -> Native:
    wanted = unit.payload
    status = wanted.get("status") or "open"
    if status in WAKES and any(c.kind == "message" and _incoming(c.payload) for c in unit.children):
        status = "pending"  # until all is said
    body: Native = {
        "source_id": unit.key,
        "inbox_id": set_up(unit, INBOX),
        "contact_id": at_path(wanted, "meta.sender.id") or set_up(unit, NOBODY),
        "additional_attributes": wanted.get("additional_attributes") or {},
        "custom_attributes": wanted.get("custom_attributes") or {},
        "status": status,
        "assignee_id": at_path(wanted, "meta.assignee.id"),
        "team_id": at_path(wanted, "meta.team.id"),
    }
    return {name: value for name, value in body.items() if value is not None}


def set_up(unit: Unit, name: str) -> int:
    """Return the number of a record that connector.yaml sets up. Raises RefusedError where it was not written."""
    if name not in unit.keys:
        raise RefusedError(
            f"{unit.kind} {unit.id}: {name}, which it needs, was not written; see the quarantine, then retry"
        )
    return int(unit.keys[name])


def _incoming(payload: Native) -> bool:
    """Tell whether a message is written as the customer's own: an author is sent for no other (connector.yaml)."""
    return at_path(payload, "sender.id") is not None


def _message(raw: Raw) -> Native:
    return msgspec.json.decode(raw.body)  # type: ignore[no-any-return]


def _part(file: Child) -> Iterator[tuple[str, Any]]:
    if file.blob:
        kind = file.payload.get("_content_type") or file.payload.get("content_type") or "application/octet-stream"
        yield "attachments[]", (file.payload["_name"], file.blob.read_bytes(), kind)
