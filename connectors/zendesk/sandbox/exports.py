"""Zendesk's incremental exports: cursor and time based, with the last minute left out and the paging traps kept."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from .answers import MAX_EXPORT, Refused, _link, bad_parameter, number, reply, route, seconds, side_load

TOO_RECENT_SECONDS = 60
CHANNELS = {"web": "Web form", "email": "Mail", "api": "Web service", "chat": "Chat", "voice": "Phone call (inbound)"}


def stamp(record: Native) -> int:
    """Return the time an export orders a record by: ``generated_timestamp`` of tickets, else ``updated_at``."""
    return int(record.get("generated_timestamp") or 0) or seconds(record.get("updated_at"))


def _place(record: Native) -> tuple[int, int]:
    return stamp(record), int(record["id"])


def _start(box: Sandbox, request: Request) -> int:
    if not request.args.get("start_time"):
        raise bad_parameter("start_time", "start_time is required")
    start = number(request, "start_time", 0)
    if start > box.clock.now().timestamp() - TOO_RECENT_SECONDS:
        text = "Too recent start_time. Use a start_time older than 60 seconds"
        raise Refused(400, {"error": "StartTimeTooRecent", "description": text})
    return start


def _size(request: Request) -> int:
    return max(1, min(number(request, "per_page", MAX_EXPORT), MAX_EXPORT))


def _settled(box: Sandbox, rows: Iterable[Native]) -> Iterable[Native]:
    """Leave out what changed during the last minute."""
    until = box.clock.now().timestamp() - TOO_RECENT_SECONDS
    return (row for row in rows if stamp(row) <= until)


def _tickets(box: Sandbox, request: Request) -> Iterable[Native]:
    scope = request.args.get("support_type_scope", "agent")
    for ticket in box.store["tickets"].values():
        if request.args.get("exclude_deleted") == "true" and ticket.get("status") == "deleted":
            continue
        if scope in ("all", ticket.get("support_type_scope", "agent")):
            yield ticket


def _users(box: Sandbox, request: Request) -> Iterable[Native]:
    for user in box.store["users"].values():
        made_here = ("users", user["id"]) in box.state["arrived"]  # seeded records stay verbatim
        yield {"permanently_deleted": False, **user} if made_here else user


def _organizations(box: Sandbox, request: Request) -> Iterable[Native]:
    return box.store["organizations"].values()


Rows = Callable[[Sandbox, Request], Iterable[Native]]


def _by_cursor(box: Sandbox, request: Request, name: str, rows: Iterable[Native]) -> Response:
    cursor = request.args.get("cursor")
    if cursor:
        try:
            when, _, rest = base64.b64decode(cursor).decode().partition("||")
            after = (int(float(when)), int(rest.rstrip("|")))
        except ValueError:
            raise Refused(400, {"error": "InvalidCursor", "description": "Invalid cursor"}) from None
    else:
        after = (_start(box, request), -(1 << 62))
    size = _size(request)
    wanted = (row for row in _settled(box, rows) if _place(row) > after)
    found = heapq.nsmallest(size + 1, wanted, key=_place)
    page, ended = found[:size], len(found) <= size
    mark = cursor
    if page:
        when_last, id_last = _place(page[-1])
        mark = base64.b64encode(f"{when_last}.0||{id_last}|".encode()).decode()
    body = {
        name: page,
        "after_url": _link(request, cursor=mark, start_time=None) if mark else None,
        "before_url": None,
        "after_cursor": mark,
        "before_cursor": None,
        "end_of_stream": ended,
    }
    return reply(side_load(box, request, name, body))


def _by_time(box: Sandbox, request: Request, name: str, rows: Iterable[Native]) -> Response:
    start, size = _start(box, request), _size(request)
    ordered = sorted((row for row in _settled(box, rows) if stamp(row) >= start), key=_place)
    body = _time_page(request, name, ordered, size, start)
    return reply(side_load(box, request, name, body))


def _time_page(request: Request, name: str, ordered: list[Any], size: int, start: int) -> Native:
    """Return a page whose next one begins at the last record's second, so that record comes again (recorded)."""
    page = ordered[:size]
    ended = len(ordered) <= size
    end = stamp(page[-1]) if page else start
    if page and not ended and stamp(page[0]) == end:  # a page within one second: all of it, then move on (recorded)
        page = [row for row in ordered if stamp(row) == end]
        ended, end = len(page) == len(ordered), end + (len(page) < len(ordered))
    return {
        name: page,
        "next_page": _link(request, start_time=end) if page else None,
        "count": len(page),
        "end_of_stream": ended,
        "end_time": end if page else None,
    }


def _register(name: str, rows: Rows) -> None:
    @route("GET", f"incremental/{name}", admin=True)
    def by_time(box: Sandbox, request: Request) -> Response:
        return _by_time(box, request, name, rows(box, request))

    if name != "organizations":

        @route("GET", f"incremental/{name}/cursor", admin=True)
        def by_cursor(box: Sandbox, request: Request) -> Response:
            return _by_cursor(box, request, name, rows(box, request))


for _name, _rows in (("tickets", _tickets), ("users", _users), ("organizations", _organizations)):
    _register(_name, _rows)


@route("GET", "incremental/ticket_events", admin=True)
def ticket_events(box: Sandbox, request: Request) -> Response:
    """Answer the audits of all tickets; ``include=comment_events`` adds the comments to ``child_events``."""
    start, size = _start(box, request), _size(request)
    ordered = [mark for mark in _settled(box, _marks(box)) if mark["generated_timestamp"] >= start]
    body = _time_page(request, "ticket_events", ordered, size, start)
    full = "comment_events" in request.args.get("include", "").split(",")
    body["ticket_events"] = [_event(box, mark, full=full) for mark in body["ticket_events"]]
    return reply(body)


def _marks(box: Sandbox) -> list[Native]:
    """Return where each event is, in order; the list is rebuilt after ``touch``."""
    cached: tuple[int, list[Native]] | None = box.state.get("marks")
    if cached and cached[0] == box.state["revision"]:
        return cached[1]
    marks: list[Native] = []
    for ticket_id, ids in box.state["comments_of"].items():
        ticket = box.store["tickets"].get(ticket_id)
        if ticket is None or ticket.get("status") == "deleted":
            continue
        for position, comment_id in enumerate(ids):
            comment = box.store["ticket_comments"][comment_id]["comment"]
            when = seconds(comment["created_at"])
            audit = comment.get("audit_id") or comment_id - 1
            marks.append(
                {"id": audit, "generated_timestamp": when, "ticket": ticket_id, "comment": comment_id, "at": position}
            )
        if ids and stamp(ticket) > when and ticket.get("status") != "new":
            audit = 10**14 + ticket_id
            marks.append({"id": audit, "generated_timestamp": stamp(ticket), "ticket": ticket_id, "comment": None})
    marks.sort(key=_place)
    box.state["marks"] = (box.state["revision"], marks)
    return marks


def _event(box: Sandbox, mark: Native, *, full: bool) -> Native:
    ticket = box.store["tickets"][mark["ticket"]]
    moment = ticket.get("updated_at")
    updater, channel = -1, "Rule"
    children: list[Native]
    if mark["comment"] is None:
        children = [
            {
                "id": mark["id"] + 1,
                "via": channel,
                "via_reference_id": None,
                "status": ticket.get("status"),
                "event_type": "Change",
                "previous_value": "new",
            }
        ]
    else:
        comment = box.store["ticket_comments"][mark["comment"]]["comment"]
        via = comment.get("via") or {"channel": "web", "source": {"from": {}, "to": {}, "rel": None}}
        moment, updater = comment["created_at"], comment.get("author_id")
        channel = CHANNELS.get(via["channel"], str(via["channel"]).title())
        children = [_comment_event(comment, via) if full else _comment_hint(comment, channel)]
        if mark["at"] == 0:
            children.append(
                {
                    "id": mark["id"] + 2,
                    "via": channel,
                    "via_reference_id": None,
                    "subject": ticket.get("subject"),
                    "requester_id": ticket.get("requester_id"),
                    "event_type": "Create",
                }
            )
    return {
        "child_events": children,
        "id": mark["id"],
        "ticket_id": mark["ticket"],
        "timestamp": mark["generated_timestamp"],
        "created_at": moment,
        "updater_id": updater,
        "via": channel,
        "system": {},
        "metadata": {},
        "event_type": "Audit",
    }


def _comment_event(comment: Native, via: Native) -> Native:
    return {
        "id": comment["id"],
        "via": via,
        "via_reference_id": None,
        "type": comment.get("type", "Comment"),
        "author_id": comment.get("author_id"),
        "body": comment.get("body"),
        "html_body": comment.get("html_body"),
        "plain_body": comment.get("plain_body"),
        "public": comment.get("public"),
        "attachments": [file for file in comment.get("attachments", []) if not file.get("inline")],
        "audit_id": comment.get("audit_id"),
        "created_at": comment["created_at"],
        "event_type": "Comment",
    }


def _comment_hint(comment: Native, channel: str) -> Native:
    return {
        "id": comment["id"],
        "via": channel,
        "via_reference_id": None,
        "comment_present": True,
        "comment_public": comment.get("public"),
        "event_type": "Comment",
    }
