"""Zendesk's preview of a view: which tickets hold its conditions, from the documents of conditions and not from ours.

Source: developer.zendesk.com conditions-reference and the official OpenAPI file, `PreviewViews` (read 2026-11-27).
Tickets in the archive are in no view. A missing value is no value, and lower than any, as for business rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from .answers import _cursor_page as cursor_page
from .answers import invalid, me, payload, reply, route, seconds
from .reads import get, is_listed

STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
PRIORITIES = ("low", "normal", "high", "urgent")
SINCE = {"NEW": "created_at", "updated_at": "updated_at"}
# Fields that business rules ask for at an event, and a view does not offer (its definitions, recorded).
OF_EVENTS = ("update_type", "comment_is_public", "comment_includes_word", "role", "current_via_id", "in_business_hours")
CHANGES = ("changed", "not_changed", "changed_to", "value", "value_previous", "not_value", "not_value_previous")


def holds(box: Sandbox, ticket: Native, every: Iterable[Native], some: Iterable[Native]) -> bool:
    """Say whether a ticket holds all of these conditions, and one of those where there are any."""
    some = list(some)
    return all(_one(box, ticket, one) for one in every) and (not some or any(_one(box, ticket, one) for one in some))


def _one(box: Sandbox, ticket: Native, condition: Native) -> bool:
    field, operator = str(condition.get("field")), str(condition.get("operator"))
    wanted = "" if condition.get("value") is None else condition.get("value")
    if field in OF_EVENTS or operator in CHANGES:
        raise invalid(conditions=(f"Conditions: {field} {operator} is not available in views", "InvalidValue"))
    if field == "current_tags":
        words = wanted if isinstance(wanted, list) else str(wanted).split()
        return bool(set(words) & set(ticket.get("tags") or ())) is (operator == "includes")
    if field in SINCE and operator in ("is", "less_than", "greater_than"):
        passed = (box.clock.now().timestamp() - seconds(ticket[SINCE[field]])) / 3600
        return _ordered(int(passed), int(str(wanted)), operator)
    if field in ("status", "priority"):
        return _ranked(ticket.get(field), str(wanted), operator, STATUSES if field == "status" else PRIORITIES)
    if field == "subject_includes_word":
        spoken = re.findall(r"[\w']+", str(ticket.get("subject") or "").lower())
        return any(word in spoken for word in str(wanted).lower().split()) is (operator == "includes")
    held = _held(ticket, field)
    if held is None:
        raise invalid(conditions=(f"Conditions: {field} is not available in views", "InvalidValue"))
    tests: dict[str, Callable[[], bool]] = {
        "is": lambda: held() == str(wanted),
        "is_not": lambda: held() != str(wanted),
    }
    if operator not in tests:
        raise invalid(conditions=(f"Conditions: {operator} is invalid for {field}", "InvalidValue"))
    return tests[operator]()


def _held(ticket: Native, field: str) -> Callable[[], str] | None:
    """Return what reads a plain field as text, the empty text for no value; None for a field views do not know."""
    if field in ("type", "group_id", "assignee_id", "requester_id", "organization_id", "brand_id", "ticket_form_id"):
        return lambda: "" if ticket.get(field) is None else str(ticket[field])
    if found := re.fullmatch(r"custom_fields_(\d+)", field):
        values = {str(one["id"]): one.get("value") for one in ticket.get("custom_fields") or ()}
        return lambda: "" if values.get(found[1]) is None else str(values[found[1]])
    return None


def _ordered(held: int, wanted: int, operator: str) -> bool:
    return {"is": held == wanted, "less_than": held < wanted, "greater_than": held > wanted}[operator]


def _ranked(held: Any, wanted: str, operator: str, scale: tuple[str, ...]) -> bool:
    if operator in ("is", "is_not"):
        return (str(held or "") == wanted) is (operator == "is")
    if operator not in ("less_than", "greater_than") or wanted not in scale:
        raise invalid(conditions=(f"Conditions: {operator} {wanted} is invalid", "InvalidValue"))
    place = scale.index(held) if held in scale else -1
    return _ordered(place, scale.index(wanted), operator)


def _found(box: Sandbox, request: Request) -> list[Native]:
    view = payload(request, "view")
    every, some = (view.get(side) or [] for side in ("all", "any"))
    if not every and not some:
        raise invalid(conditions=("Conditions: cannot be blank", "BlankValue"))
    rows = [ticket for ticket in box.store["tickets"].values() if is_listed(box, "tickets", ticket)]
    return [ticket for ticket in rows if holds(box, ticket, every, some)]


@route("POST", "views/preview")
def preview(box: Sandbox, request: Request) -> Response:
    """Show the tickets that hold conditions nobody has saved."""
    rows = [
        {"ticket": {"id": ticket["id"], "status": ticket["status"]}, "id": ticket["id"]}
        for ticket in _found(box, request)
    ]
    page = cursor_page(request, "rows", rows, lambda row: (row["id"],), ("id",))
    return reply({"columns": [], "groups": [], **page, "view": {"id": None}})


@route("POST", "views/preview/count")
def preview_count(box: Sandbox, request: Request) -> Response:
    """Count them."""
    count = len(_found(box, request))
    return reply({"view_count": {"view_id": None, "url": None, "value": count, "pretty": f"{count}", "fresh": True}})


def _applied(box: Sandbox, ticket: Native, macro: Native) -> Native:
    """Return a ticket as it would be after a macro (actions-reference, and ShowTicketAfterChanges of the file)."""
    after = {**ticket, "tags": list(ticket.get("tags") or ())}
    comment: Native = {}
    for action in macro.get("actions") or ():
        field, value = str(action.get("field")), action.get("value")
        words = value if isinstance(value, list) else str(value or "").split()
        if field == "current_tags":
            after["tags"] = sorted({*after["tags"], *words})
        elif field == "remove_tags":
            after["tags"] = [tag for tag in after["tags"] if tag not in words]
        elif field == "set_tags":
            after["tags"] = sorted(set(words))
        elif field in ("status", "priority", "type"):
            after[field] = value or None
        elif field in ("group_id", "assignee_id", "requester_id", "brand_id", "ticket_form_id"):
            after[field] = (
                int(str(value)) if str(value).isdecimal() else me(box)["id"] if value == "current_user" else None
            )
        elif field in ("comment_value", "comment_value_html"):
            comment |= {"body": value[-1] if isinstance(value, list) else value, "public": comment.get("public", True)}
        elif field == "comment_mode_is_public":
            comment["public"] = str(value) != "false"
    return {**after, **({"comment": comment} if "body" in comment else {})}


@route("GET", "tickets/<int:ticket>/macros/<int:macro>/apply")
def apply_macro(box: Sandbox, request: Request, ticket: int, macro: int) -> Response:
    """Show a ticket as it would be; nothing changes."""
    return reply({"result": {"ticket": _applied(box, get(box, "tickets", ticket), get(box, "macros", macro))}})
