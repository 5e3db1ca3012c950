"""Freshdesk's automation rules, SLA policies and canned responses, and what an administrator's screen alone makes:
working hours, scenarios."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_html as html
from . import sandbox_rules as rules
from .sandbox_rules import API, Body, Check, routes

LISTS = {1: "creation_rules", 3: "hourly_rules", 4: "update_rules"}  # by rule type
TIMES = ("respond_within", "next_respond_within", "resolve_within", "business_hours", "escalation_enabled")
LEAST_SECONDS = 30


def _anything(field: str, value: Any, body: Body) -> Any:
    return value


def _objects(field: str, value: Any, body: Body) -> Any:
    fits = isinstance(value, list) and all(isinstance(one, dict) for one in value)
    return value if fits else body.wrong_type(field, value, "Array")


CHECKS: dict[str, Check] = {
    "name": rules.text(),
    "active": rules.boolean,
    "position": rules.integer,
    "conditions": _objects,
    "operator": _anything,
    "events": _objects,
    "performer": _anything,
    "actions": _objects,
}


def _known(box: Sandbox, body: Body, kept: Native) -> None:
    """Refuse ids of groups and agents that are not there, and ids that are no numbers."""
    said = [*(kept.get("actions") or [])]
    for one in kept.get("conditions") or []:
        said += one.get("properties") or []
    streams = {"group_id": "groups", "responder_id": "agents", "add_watcher": "agents"}
    for one in said:
        name = one.get("field_name")
        values = one.get("value") if isinstance(one.get("value"), list) else [one.get("value")]
        if name in ("send_email_to_group", "send_email_to_agent"):
            name, values = ("group_id" if name.endswith("group") else "responder_id"), [one.get("email_to")]
        for value in values if name in streams else ():
            if value not in ("", None, 0, -1, -2) and value not in box.store[streams[name]]:
                body.wrong(name, f"There is no record matching the given {name}: {value}")
        custom = str(name).startswith("cf_") and one.get("resource_type", "ticket") == "ticket"
        if custom and not any(field["name"] == name for field in box.store["ticket_fields"].values()):
            body.wrong(str(name), "There is no such field")


def _kept(box: Sandbox, request: Request, kind: int, *, whole: bool) -> Native:
    if kind not in LISTS:
        raise rules.missing()
    rules.need_admin(box)
    body = Body(request)
    body.only(CHECKS)
    if whole:
        body.need("name", "actions")
    kept = body.check(CHECKS)
    _known(box, body, kept)
    body.settle()
    return kept


@routes("GET", f"{API}/automations/<int:kind>/rules")
def listed(box: Sandbox, request: Request, kind: int) -> Response:
    """List the rules of one type, in the order in which they run."""
    if kind not in LISTS:
        raise rules.missing()
    rules.need_admin(box)
    found = sorted(box.store[LISTS[kind]].values(), key=lambda rule: (rule.get("position") or 0, rule["id"]))
    return rules.listed(request, found, rules.query(request, "page", "per_page"), dict)


@routes("POST", f"{API}/automations/<int:kind>/rules")
def create(box: Sandbox, request: Request, kind: int) -> Response:
    """Create a rule; it comes last."""
    kept = _kept(box, request, kind, whole=True)
    last = max((rule.get("position") or 0 for rule in box.store[LISTS[kind]].values()), default=0)
    record: Native = {"id": rules.fresh_id(box), "active": True, "position": last + 1, **kept}
    record |= {"created_at": box.now(), "updated_at": box.now(), "affected_tickets_count": 0, "outdated": False}
    box.store[LISTS[kind]][record["id"]] = record
    return rules.answer(record, 201)


@routes("GET", f"{API}/automations/<int:kind>/rules/<int:id>")
def view(box: Sandbox, request: Request, kind: int, id: int) -> Response:
    """View a rule."""
    return rules.answer(rules.one(box, LISTS.get(kind, "none"), id))


@routes("PUT", f"{API}/automations/<int:kind>/rules/<int:id>")
def change(box: Sandbox, request: Request, kind: int, id: int) -> Response:
    """Change a rule."""
    kept = _kept(box, request, kind, whole=False)
    record = rules.one(box, LISTS[kind], id)
    record |= {**kept, "updated_at": box.now()}
    return rules.answer(record)


@routes("DELETE", f"{API}/automations/<int:kind>/rules/<int:id>")
def delete(box: Sandbox, request: Request, kind: int, id: int) -> Response:
    """Delete a rule."""
    rules.need_admin(box)
    rules.one(box, LISTS.get(kind, "none"), id)
    del box.store[LISTS[kind]][id]
    return rules.empty()


# ---- SLA policies ----------------------------------------------------------------------------------------------------


def _times(field: str, value: Any, body: Body) -> Any:
    if not isinstance(value, dict):
        return body.wrong_type(field, value, "key/value pair")
    for priority, times in value.items():
        if priority not in ("priority_1", "priority_2", "priority_3", "priority_4"):
            body.wrong(field, f"Unexpected/invalid field in request: {priority}", "invalid_field")
            continue
        for name, seconds in times.items():
            if name not in TIMES:
                body.wrong(field, f"Unexpected/invalid field in request: {name}", "invalid_field")
            elif name.endswith("_within") and seconds is not None and seconds < LEAST_SECONDS:
                body.wrong(field, f"{name}: It should be at least {LEAST_SECONDS} seconds")
    return value


POLICY: dict[str, Check] = {
    "name": rules.text(),
    "description": rules.text(None),
    "active": rules.boolean,
    "position": rules.integer,
    "applicable_to": _anything,
    "sla_target": _times,
    "escalation": _anything,
}


def _policy(box: Sandbox, request: Request, *, whole: bool) -> Native:
    rules.need_admin(box)
    body = Body(request)
    body.only(POLICY)
    if whole:
        body.need("name", "sla_target")
    kept = body.check(POLICY)
    streams = {"company_ids": "companies", "group_ids": "groups", "product_ids": "products"}
    for key, values in (kept.get("applicable_to") or {}).items():
        for value in values if key in streams else ():
            if value not in box.store[streams[key]]:
                body.wrong(key, f"There is no record matching the given {key}: {value}")
    body.settle()
    return kept


@routes("GET", f"{API}/sla_policies")
def policies(box: Sandbox, request: Request) -> Response:
    """List the SLA policies."""
    found = sorted(box.store["sla_policies"].values(), key=lambda policy: (policy.get("position") or 0, policy["id"]))
    return rules.listed(request, found, rules.query(request, "page", "per_page"), dict)


@routes("POST", f"{API}/sla_policies")
def create_policy(box: Sandbox, request: Request) -> Response:
    """Create a policy; it comes last."""
    kept = _policy(box, request, whole=True)
    last = max((policy.get("position") or 0 for policy in box.store["sla_policies"].values()), default=0)
    record: Native = {"id": rules.fresh_id(box), "description": None, "active": True, "applicable_to": {}}
    record |= {"position": last + 1, **kept, "is_default": False, "created_at": box.now(), "updated_at": box.now()}
    box.store["sla_policies"][record["id"]] = record
    return rules.answer(record, 201)


@routes("PUT", f"{API}/sla_policies/<int:id>")
def change_policy(box: Sandbox, request: Request, id: int) -> Response:
    """Change a policy."""
    kept = _policy(box, request, whole=False)
    record = rules.one(box, "sla_policies", id)
    record |= {**kept, "updated_at": box.now()}
    return rules.answer(record)


@routes("DELETE", f"{API}/sla_policies/<int:id>")
def delete_policy(box: Sandbox, request: Request, id: int) -> Response:
    """Refuse: nobody deletes a policy through the API."""
    raise rules.locked()


# ---- what is only read -----------------------------------------------------------------------------------------------


def _read_only(path: str, stream: str) -> None:
    @routes("GET", f"{API}/{path}")
    def many(box: Sandbox, request: Request) -> Response:
        given = rules.query(request, "page", "per_page")
        return rules.listed(request, list(box.store[stream].values()), given, dict)


_read_only("business_hours", "business_hours")
_read_only("scenario_automations", "scenario_automations")
_read_only("canned_response_folders", "canned_response_folders")


# ---- canned responses ------------------------------------------------------------------------------------------------

RESPONSE: dict[str, Check] = {
    "title": rules.text(),
    "content_html": rules.text(None),
    "content": rules.text(None),
    "folder_id": rules.integer,
    "visibility": rules.integer,
    "group_ids": rules.strings(rules.integer),
}
EVERYBODY, MINE, GROUPS = 0, 1, 2


def _response(box: Sandbox, request: Request, *, whole: bool) -> Native:
    body = Body(request)
    body.only(RESPONSE)
    if whole:
        body.need("title", "content_html", "folder_id", "visibility")
    kept = body.check(RESPONSE)
    if "folder_id" in kept and kept["folder_id"] not in box.store["canned_response_folders"]:
        body.wrong("folder_id", f"There is no folder matching the given folder_id: {kept['folder_id']}")
    if kept.get("visibility") not in (None, EVERYBODY, MINE, GROUPS):
        body.wrong("visibility", "It should be one of these values: '0,1,2'")
    if kept.get("visibility") == GROUPS and not kept.get("group_ids"):
        body.wrong("group_ids", "It should not be empty where the response is visible to groups", "missing_field")
    for group in kept.get("group_ids") or ():
        if group not in box.store["groups"]:
            body.wrong("group_ids", f"There is no group matching the given group_ids: {group}")
    body.settle()
    if "content_html" in kept:
        kept |= {"content_html": html.clean(kept["content_html"]), "content": html.plain(kept["content_html"])}
    return kept


@routes("POST", f"{API}/canned_response_folders")
def create_folder(box: Sandbox, request: Request) -> Response:
    """Make a folder, which is everybody's."""
    body = Body(request)
    body.only(("name",))
    body.need("name")
    kept = body.check({"name": rules.text()})
    body.settle()
    record: Native = {"id": rules.fresh_id(box), **kept, "personal": False, "responses_count": 0}
    record |= {"created_at": box.now(), "updated_at": box.now()}
    box.store["canned_response_folders"][record["id"]] = record
    return rules.answer(record, 201)


@routes("POST", f"{API}/canned_responses")
def create_response(box: Sandbox, request: Request) -> Response:
    """Make a canned response in a folder."""
    kept = _response(box, request, whole=True)
    record: Native = {"id": rules.fresh_id(box), "group_ids": [], "attachments": [], **kept}
    record |= {"created_at": box.now(), "updated_at": box.now()}
    box.store["canned_responses"][record["id"]] = record
    return rules.answer(record, 201)


@routes("PUT", f"{API}/canned_responses/<int:id>")
def change_response(box: Sandbox, request: Request, id: int) -> Response:
    """Change a canned response."""
    kept = _response(box, request, whole=False)
    record = rules.one(box, "canned_responses", id)
    record |= {**kept, "updated_at": box.now()}
    return rules.answer(record)


@routes("DELETE", f"{API}/canned_responses/<int:id>")
def delete_response(box: Sandbox, request: Request, id: int) -> Response:
    """Refuse: nobody deletes a canned response through the API."""
    raise rules.locked()


@routes("GET", f"{API}/canned_response_folders/<int:id>/responses")
def responses(box: Sandbox, request: Request, id: int) -> Response:
    """List the canned responses of a folder, without their texts."""
    rules.one(box, "canned_response_folders", id)
    found = [one for one in box.store["canned_responses"].values() if one["folder_id"] == id]
    shown = [{key: one.get(key) for key in ("id", "title", "created_at", "updated_at")} for one in found]
    return rules.listed(request, shown, rules.query(request, "page", "per_page"), dict)


@routes("GET", f"{API}/canned_responses/<int:id>")
def response(box: Sandbox, request: Request, id: int) -> Response:
    """View a canned response."""
    return rules.answer(rules.one(box, "canned_responses", id))
