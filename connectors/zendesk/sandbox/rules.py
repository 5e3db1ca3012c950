"""Zendesk's triggers, automations, macros, views, SLA policies and webhooks, with what it refuses.

A rule that names a group, a person, a field or a webhook which is not there is refused; facts.yaml says what is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from .answers import Refused, address, invalid, listing, not_found, payload, reply, route
from .answers import _cursor_page as cursor_page

STREAMS = {  # stream to (path, the word for one)
    "triggers": ("triggers", "trigger"),
    "automations": ("automations", "automation"),
    "macros": ("macros", "macro"),
    "views": ("views", "view"),
    "sla_policies": ("slas/policies", "sla_policy"),
}
# one of these in an automation; hours since a status say which status (published automations have nothing else)
NULLIFYING: tuple[str, ...] = ("status", "type", "group_id", "assignee_id", "requester_id", "custom_status_id")
NULLIFYING += ("NEW", "OPEN", "PENDING", "HOLD", "SOLVED", "CLOSED")
KNOWN: dict[str, tuple[str, ...]] = {
    "triggers": ("title", "description", "active", "position", "category_id", "conditions", "actions"),
    "automations": ("title", "active", "position", "actions"),
    "macros": ("title", "description", "active", "position", "actions", "restriction"),
    "views": ("title", "description", "active", "position", "restriction"),
    "sla_policies": ("title", "description", "position", "filter", "policy_metrics", "metric_settings"),
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FORMATS = ("json", "xml", "form_encoded")


def _refers(native: Native) -> Iterator[tuple[str, str, Any]]:
    """Yield (stream, the field that says so, id) of every record that a rule names."""
    conditions = native.get("conditions") or native.get("filter") or {}
    for one in [*(conditions.get("all") or []), *(conditions.get("any") or []), *(native.get("actions") or [])]:
        field, value = str(one.get("field", "")), one.get("value")
        values = value if isinstance(value, list) else [value]
        streams = {
            "group_id": "groups",
            "assignee_id": "users",
            "requester_id": "users",
            "organization_id": "organizations",
            "brand_id": "brands",
            "custom_status_id": "custom_statuses",
        }
        if field in streams:
            yield from ((streams[field], field, each) for each in values)
        elif field == "notification_group":
            yield "groups", field, values[0]
        elif field == "notification_user":
            yield "users", field, values[0]
        elif field == "notification_webhook":
            yield "webhooks", field, values[0]
        elif field == "ticket_form_id":
            yield "ticket_forms", field, value
        elif found := re.fullmatch(r"(?:custom|ticket)_fields_(\d+)", field):
            yield "ticket_fields", field, found[1]
    who = native.get("restriction") or {}
    for id in who.get("ids") or ():
        yield ("groups" if who.get("type") == "Group" else "users"), "restriction", id


def _check(box: Sandbox, stream: str, record: Native) -> None:
    if not str(record.get("title") or "").strip():
        raise invalid(title=("Title: cannot be blank", "BlankValue"))
    for of, field, id in _refers(record):
        word = str(id)
        if word.isdecimal() and int(word) not in box.store[of]:
            raise invalid(**{field: (f"{field}: {word} is invalid", "InvalidValue")})
        if of == "webhooks" and word not in box.store[of]:
            raise invalid(**{field: (f"{field}: {word} is invalid", "InvalidValue")})
    if stream in ("triggers", "automations", "macros") and not record.get("actions"):
        raise invalid(base=("Actions: must have at least one action", "BlankValue"))
    if stream == "automations":
        conditions = record["conditions"]
        if not any(one.get("field") in NULLIFYING for one in conditions["all"]):
            text = "Your automation must contain at least one of the following conditions in the ALL section"
            raise invalid(conditions=(f"{text}: Status, Type, Group, Assignee, Requester", None))
        for other in box.store[stream].values():
            same = other["conditions"] == conditions and other["id"] != record.get("id")
            if same and record.get("active") and other.get("active"):
                raise invalid(conditions=("Conditions: are the same as those of another active automation", None))
    if stream == "sla_policies" and record.get("filter") is None:
        raise invalid(filter=("Filter: cannot be blank", "BlankValue"))


def _execution(output: Native) -> Native:
    """Return how an answer shows what a request calls ``output``."""
    ids = {"nice_id": "ticket_id"}
    columns = [{"id": ids.get(one, one), "title": str(one).capitalize()} for one in output.get("columns") or ()]
    keys = ("group_by", "group_order", "sort_by", "sort_order")
    return {"columns": columns, **{key: output.get(key) for key in keys}}


def _written(box: Sandbox, request: Request, stream: str, given: Any, existing: Native | None = None) -> Native:
    if not isinstance(given, dict):
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": "The record must be an object"}})
    record: Native = dict(existing or {"active": True, "description": None, "default": False})
    if stream == "sla_policies":
        record = dict(existing or {"description": None})
    record.update({key: given[key] for key in KNOWN[stream] if key in given})
    if stream in ("automations", "views") and ("all" in given or "any" in given or not existing):
        record["conditions"] = {"all": given.get("all") or [], "any": given.get("any") or []}
    if stream == "views" and ("output" in given or not existing):
        record["execution"] = _execution(given.get("output") or {})
    if stream != "sla_policies":
        record["raw_title"] = record.get("title")
    _check(box, stream, record)
    path, _ = STREAMS[stream]
    if not existing:
        number = box.next_id()
        last = max((int(one.get("position") or 0) for one in box.store[stream].values()), default=0)
        record.setdefault("position", last + 1)
        record |= {"id": number, "url": address(request, f"{path}/{number}.json"), "created_at": box.now()}
    record["updated_at"] = box.now()
    box.store[stream][record["id"]] = record
    return record


def _one(box: Sandbox, stream: str, key: Any) -> Native:
    if key not in box.store[stream]:
        raise not_found()
    return box.store[stream][key]


def _register(stream: str, path: str, word: str) -> None:
    @route("GET", path)
    def many(box: Sandbox, request: Request) -> Response:
        def order(row: Native) -> tuple[Any, ...]:
            return (int(row.get("position") or 0), row["id"])

        return listing(box, request, stream, list(box.store[stream].values()), key=order)

    @route("GET", f"{path}/<int:key>")
    def one(box: Sandbox, request: Request, key: int) -> Response:
        return reply({word: _one(box, stream, key)})

    @route("POST", path, admin=True)
    def create(box: Sandbox, request: Request) -> Response:
        return reply({word: _written(box, request, stream, payload(request, word))}, 201)

    @route("PUT", f"{path}/<int:key>", admin=True)
    def change(box: Sandbox, request: Request, key: int) -> Response:
        return reply({word: _written(box, request, stream, payload(request, word), _one(box, stream, key))})

    @route("DELETE", f"{path}/<int:key>", admin=True)
    def delete(box: Sandbox, request: Request, key: int) -> Response:
        _one(box, stream, key)
        del box.store[stream][key]
        return Response(b"", 204)


for _stream, (_path, _word) in STREAMS.items():
    _register(_stream, _path, _word)


def _webhook(box: Sandbox, given: Any, existing: Native | None = None) -> Native:
    if not isinstance(given, dict):
        raise Refused(400, {"errors": [{"code": "InvalidType", "title": "webhook must be an object"}]})
    keys = ("name", "description", "endpoint", "http_method", "request_format", "status", "subscriptions")
    record = {
        **(existing or {}),
        **{key: given[key] for key in (*keys, "custom_headers", "authentication") if key in given},
    }
    wrong = [key for key in ("name", "endpoint", "http_method", "request_format", "status") if not record.get(key)]
    if wrong or record["http_method"] not in METHODS or record["request_format"] not in FORMATS:
        named = ", ".join(wrong) or "http_method or request_format"
        raise Refused(400, {"errors": [{"code": "InvalidValue", "title": f"{named}: not a valid value"}]})
    if record["status"] not in ("active", "inactive"):
        raise Refused(400, {"errors": [{"code": "InvalidValue", "title": "status: not a valid value"}]})
    if existing is None:
        record |= {"id": f"01SANDBOX{box.next_id()}", "created_at": box.now(), "created_by": "900000000001"}
    record |= {"updated_at": box.now(), "updated_by": "900000000001"}
    box.store["webhooks"][record["id"]] = record
    return record


def _shown(record: Native) -> Native:
    """Return a webhook as answers show it: what it signs in with is never told."""
    how = record.get("authentication")
    return {**record, "authentication": {**how, "data": {}}} if how else record


@route("GET", "webhooks")
def webhooks(box: Sandbox, request: Request) -> Response:
    """List the webhooks, which are paged by cursor only."""
    rows = [_shown(row) for row in box.store["webhooks"].values()]
    return reply(cursor_page(request, "webhooks", rows, lambda row: (row["created_at"], row["id"]), ("name", "status")))


@route("POST", "webhooks", admin=True)
def create_webhook(box: Sandbox, request: Request) -> Response:
    """Make a webhook."""
    return reply({"webhook": _shown(_webhook(box, payload(request, "webhook")))}, 201)


@route("GET", "webhooks/<key>")
def webhook(box: Sandbox, request: Request, key: str) -> Response:
    """Show one webhook."""
    return reply({"webhook": _shown(_one(box, "webhooks", key))})


@route("PATCH", "webhooks/<key>", admin=True)
def patch_webhook(box: Sandbox, request: Request, key: str) -> Response:
    """Change some of a webhook; nothing is answered."""
    _webhook(box, json.loads(request.get_data() or b"{}").get("webhook"), _one(box, "webhooks", key))
    return Response(b"", 204)


@route("DELETE", "webhooks/<key>", admin=True)
def delete_webhook(box: Sandbox, request: Request, key: str) -> Response:
    """Take a webhook away."""
    _one(box, "webhooks", key)
    del box.store["webhooks"][key]
    return Response(b"", 204)
