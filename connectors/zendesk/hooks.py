"""Where Zendesk is odd: comments come ticket by ticket, or in bulk inside the ticket events, whichever costs less;
rules are written in another shape than they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from migrator.connector import Cursor, Native, Page, Raw
from migrator.declarative import Declarative, noted, split

EVENTS_A_TICKET = 15  # assumed where nothing is known; the facts reckon with 5 to 24
EVENTS_A_CALL = 1000
WORTH_IT = 200  # tickets: below this the calls are too few to matter, and the list by ticket is the surer one


def cheaper_route(tickets: int, per_minute: int, exports_per_minute: int) -> str:
    """Return ``ticket`` (a call a ticket) or ``events`` (``ticket_events`` with comments), by the minutes they take."""
    if tickets < WORTH_IT:
        return "ticket"
    by_ticket = tickets / per_minute
    by_events = tickets * EVENTS_A_TICKET / EVENTS_A_CALL / exports_per_minute
    return "events" if by_events < by_ticket else "ticket"


def comments(
    source: Declarative, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]
) -> Iterator[Page]:
    """Yield comments by the route an earlier page chose, or the cheaper one."""
    ids = list(parents("tickets"))
    route = (start or {}).get("route") or source.options.get("comments")
    if route not in ("ticket", "events"):
        limits = {limit.name: limit.per_minute for limit in source.client.pacer.limits}
        route = cheaper_route(len(ids), limits.get("account", 400), limits.get("incremental exports", 10))
    if route == "ticket":
        for page in source.children(stream, start if (start or {}).get("after") else None, lambda _: ids):
            yield replace(page, cursor={**page.cursor, "route": route})
        return
    yield from _by_events(source, start, set(ids))


class _Child(msgspec.Struct):
    id: int | str
    event_type: str | None = None
    created_at: str | None = None


class _Event(msgspec.Struct):
    ticket_id: int | str | None = None
    created_at: str | None = None
    child_events: list[msgspec.Raw] | None = None


class _Events(msgspec.Struct):
    ticket_events: list[_Event] | None = None
    end_time: int | None = None
    end_of_stream: bool | None = None


EVENTS, CHILD = msgspec.json.Decoder(_Events), msgspec.json.Decoder(_Child)


def _by_events(source: Declarative, start: Cursor | None, tickets: set[str]) -> Iterator[Page]:
    at: dict[str, Any] = dict((start or {}).get("params") or {"start_time": 1})
    while True:
        query = {"include": "comment_events", "per_page": EVENTS_A_CALL, **at}
        answer = EVENTS.decode(source.client.read("/api/v2/incremental/ticket_events.json", query).content)
        records = []
        for event in answer.ticket_events or []:
            ticket = str(event.ticket_id)
            for raw in (event.child_events or []) if ticket in tickets else []:
                body = bytes(raw)  # whole and as it came; a comment without a date of its own has its event's
                if b"Comment" not in body:
                    continue  # most events are changes of fields
                child = CHILD.decode(raw)
                if child.event_type == "Comment":
                    if child.created_at is None and event.created_at:
                        body = b'{"created_at":' + msgspec.json.encode(event.created_at) + b"," + body.lstrip()[1:]
                    records.append(Raw(str(child.id), body, child.created_at or event.created_at, ticket))
        done = bool(answer.end_of_stream) or answer.end_time is None or answer.end_time == at.get("start_time")
        at = {"start_time": answer.end_time or at["start_time"]}
        # Events come in the order of their time, and a comment's event is never later than its ticket's last change.
        until = datetime.fromtimestamp(at["start_time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield Page(records, {"route": "events", "params": at}, done, until=until)
        if done:
            return


def ticket_field(payload: Native) -> Native:
    """Return the body of ``POST ticket_fields``: options for choices only."""
    return _options(payload)


def person_field(payload: Native) -> Native:
    """Return the body of ``POST user_fields`` and ``organization_fields``."""
    return _options(payload)


def _options(payload: Native) -> Native:
    if payload.get("type") not in ("tagger", "dropdown", "multiselect"):
        payload.pop("custom_field_options", None)
    return payload


def comment(payload: Native) -> Native:
    """Return the body of ``PUT tickets/{id}`` that adds a comment."""
    return {"comment": payload}


def commented(answer: Native) -> Native:
    """Return the comment that a changed ticket's audit names (a comment has the number of its event)."""
    events = answer["audit"]["events"]
    return next({"id": event["id"]} for event in events if event.get("type") == "Comment")


# ---- rules -----------------------------------------------------------------------------------------------------------


def schedules(
    source: Declarative, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]
) -> Iterator[Page]:
    """Yield the schedules, with the days off that a list of their own holds."""
    spec = source.manifest.streams[stream]
    _, records = split(source.client.read(spec.path).content, spec.items, spec.id, spec.updated_at)
    held = []
    for record in records:
        path = f"/api/v2/business_hours/schedules/{record.id}/holidays.json"
        holidays = source.client.read(path).json().get("holidays") or []
        held.append(replace(record, body=noted(record.body, "holidays", holidays)))
    yield Page(held, {"done": True}, done=True)


def webhook(payload: Native) -> Native:
    """Return the body of ``POST /webhooks``: rules call it where nothing else does."""
    return {"subscriptions": ["conditional_ticket_events"], **payload}


def automation(payload: Native) -> Native:
    """Return the body of ``POST /automations``, which has the two lists of conditions by themselves."""
    return _listed(payload)


def view(payload: Native) -> Native:
    """Return the body of ``POST /views``: the conditions as two lists, the columns by their names."""
    body = _listed(payload)
    look = body.pop("execution", None) or {}
    columns = [{"number": "nice_id"}.get(one["id"], one["id"]) for one in look.get("columns") or ()]
    order = {key: look[key] for key in ("group_by", "group_order", "sort_by", "sort_order") if look.get(key)}
    return _shared({**body, "output": {"columns": columns, **order}})


def macro(payload: Native) -> Native:
    """Return the body of ``POST /macros``."""
    return _shared(dict(payload))


def _listed(payload: Native) -> Native:
    body = dict(payload)
    asked = body.pop("conditions", None) or {}
    return {**body, "all": asked.get("all") or [], "any": asked.get("any") or []}


def _shared(body: Native) -> Native:
    """Return it with the ids of those who may use it as numbers."""
    who = body.get("restriction")
    if who:
        ids = [int(id) if str(id).isdecimal() else id for id in who.get("ids") or ()]
        body["restriction"] = {**who, "id": ids[0] if ids else None, "ids": ids}
    return body
