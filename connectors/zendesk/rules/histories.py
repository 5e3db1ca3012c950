"""Zendesk's ticket audits read as histories: what people did to tickets, without what triggers and automations did.

An event of a rule names it (via.source.rel is trigger or automation, from.id the rule): recorded so in the public
records of 2023 and 2024, and in the documents of the via object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from migrator.rules.replay import History, Update
from migrator.rules.sql import plain_value

from .names import CHANNELS
from .reading import place, text, value_of

Native = Mapping[str, Any]
RULES = ("trigger", "automation")
EMPTY_AT_FIRST = ("ticket.priority", "ticket.type", "ticket.assignee", "ticket.group", "ticket.organization")


def listed(document: Any) -> Iterator[History]:
    """Yield the history of each ticket of which a document has audits: a list, or the API's answer (``audits``)."""
    audits = document if isinstance(document, list) else document.get("audits") or document.get("ticket_audits") or []
    of: dict[str, list[Native]] = {}
    for one in audits:
        if isinstance(one, Mapping) and "ticket_id" in one and isinstance(one.get("events"), list):
            of.setdefault(str(one["ticket_id"]), []).append(one)
    for ticket, some in of.items():
        yield history(ticket, sorted(some, key=lambda one: (str(one.get("created_at")), int(one.get("id") or 0))))


def history(ticket: str, audits: list[Native]) -> History:
    """Return a ticket's history; where its first audit made nothing, it begins in the middle."""
    made = bool(audits) and any(event.get("type") == "Create" for event in audits[0]["events"])
    first: dict[str, str | None] = {}
    tags: set[str] | None = None
    for one in audits:
        for event in one["events"]:
            if event.get("type") != "Change":
                continue
            if event.get("field_name") == "tags":
                tags = _tags(event.get("previous_value")) if tags is None else tags
            elif (found := _field(event, "previous_value")) is not None:
                first.setdefault(*found)
    if made:
        first, tags = dict.fromkeys(EMPTY_AT_FIRST), set()
    updates = tuple(update(one, created=made and at == 0) for at, one in enumerate(audits))
    return History(ticket, updates, first, frozenset(tags or ()), from_start=made)


def update(audit: Native, *, created: bool) -> Update:
    """Return what people did in an audit, and the ids of the rules that acted in it."""
    changes: dict[str, str | None] = {}
    added, removed = set[str](), set[str]()
    public: bool | None = None
    said: str | None = None
    fired: set[str] = set()
    for event in audit["events"]:
        source = (event.get("via") or {}).get("source") or {}
        if source.get("rel") in RULES:
            fired.add(text((source.get("from") or {}).get("id", "")))
        elif event.get("type") == "Comment":
            public, said = bool(event.get("public")), event.get("body")
        elif event.get("type") in ("Create", "Change"):
            if event.get("field_name") == "tags":
                now, then = _tags(event.get("value")), _tags(event.get("previous_value"))
                added, removed = added | (now - then), removed | (then - now)
            elif (found := _field(event, "value")) is not None:
                changes[found[0]] = found[1]
    if public:
        changes["ticket.privacy"] = "public"  # for good: a ticket is public as soon as one comment is
    if created:
        changes.setdefault("ticket.status", "new")
        changes.setdefault("ticket.privacy", "private")
        channel = str((audit.get("via") or {}).get("channel"))
        if channel in CHANNELS.values():
            changes["ticket.channel"] = channel
    author = audit.get("author_id")
    actor = None if author in (None, -1) else text(author)
    at = _hours(audit.get("created_at"))
    return Update(actor, changes, frozenset(added), frozenset(removed), public, said, frozenset(fired - {""}), at)


def _hours(moment: Any) -> float | None:
    """Return a moment in hours since 1970; None for what is no date."""
    try:
        return datetime.fromisoformat(str(moment)).timestamp() / 3600
    except ValueError:
        return None


def _field(event: Native, side: str) -> tuple[str, str | None] | None:
    """Return the path that an event is about, with its value; None where rules do not ask for it."""
    name = text(event.get("field_name", ""))
    at, refers = place(f"custom_fields_{name}" if name.isdigit() else name)
    if at is None or isinstance(event.get(side), list | dict):
        return None
    value = value_of(at, refers, name, event.get(side))
    return str(at), None if value is None else plain_value(value)


def _tags(value: Any) -> set[str]:
    return set(value if isinstance(value, list) else text(value or "").split())
