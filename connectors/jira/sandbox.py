"""Jira Service Management's sandbox: a local twin of what its APIs let one read, written from the official
specifications and recorded answers (see facts.yaml). One service project, ``HELP``.

``create`` builds one, ``seed`` fills it: ``comments`` and ``group_members`` say in ``_parent`` whose they are, people
in ``_organization`` where they belong, request types in ``_fields`` what they ask for, fields in ``_choices`` what they
offer. Files are {id, body, type}.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Routes, Sandbox

from .sandbox_jql import JqlError, Query

__all__ = ["EMAIL", "SETTINGS", "TOKEN", "create", "seed"]

TOKEN, EMAIL = "sandbox-jira-token", "admin@jira.sandbox"
PROJECT, CLOUD = "HELP", "11111111-2222-3333-4444-555555555555"
SETTINGS = {"user": EMAIL, "project": PROJECT, "site": "jira.sandbox"}
MOST_IDS = 10  # a page of ids alone: some 5,000 at a site (it may be fewer), few here so that there are several
KEYED = {"users": "accountId", "groups": "groupId", "automation_rules": "uuid"}
STREAMS = (
    "fields",
    "users",
    "organizations",
    "groups",
    "group_members",
    "request_types",
    "issues",
    "comments",
    "queues",
    "filters",
    "automation_rules",
    "files",
)
routes = Routes()


def answer(body: Any, status: int = 200) -> Response:
    """Return JSON."""
    return Response(json.dumps(body), status, content_type="application/json;charset=UTF-8")


def _refused(status: int, message: str) -> Response:
    return answer({"errorMessages": [message], "errors": {}}, status)


def create(
    *, clock: Clock | None = None, plan: str = "cloud", host: str = "jira.sandbox", limits: bool = True
) -> Sandbox:
    """Return a new site with its administrator and an empty service project."""
    quotas = [Quota(600)] if limits else []
    box = Sandbox("jira", routes, clock=clock, host=host, admit=_admit, too_many=_too_many, quotas=quotas)
    seed(box, "users", [{"accountId": "admin", "emailAddress": EMAIL, "displayName": "Sandbox Admin"}])
    return box


def _admit(box: Sandbox, request: Request) -> Response | None:
    if request.path == "/_edge/tenant_info":
        return None
    signed = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {signed}":
        return Response("Client must be authenticated to access this resource.", 401, content_type="text/plain")
    return None


def _too_many(box: Sandbox, wait: float) -> Response:
    refusal = _refused(429, "Rate limit exceeded")
    refusal.headers["Retry-After"] = str(int(wait) + 1)
    refusal.headers["RateLimit-Reason"] = "jira-burst-based"
    return refusal


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Store records as the API shows them."""
    if stream not in STREAMS:
        raise ValueError(f"jira has no stream {stream!r}; it has {', '.join(STREAMS)}")
    for body in map(copy.deepcopy, bodies):
        if stream == "users":
            body = {"accountType": "atlassian", "active": True, "timeZone": "UTC"} | body
        id = str(body["accountId"] if stream == "group_members" else body[KEYED.get(stream, "id")])
        box.store[stream][f"{body['_parent']}:{id}" if stream == "group_members" else id] = body


def _shown(native: Native) -> Native:
    own = ("_links", "_expands")
    return {key: value for key, value in native.items() if not key.startswith("_") or key in own}


def _number(request: Request, name: str, default: int) -> int:
    return int(request.args.get(name, default))


def _values(request: Request, records: list[Native]) -> Response:
    """Return a page of the platform API; it may be shorter than asked for."""
    at, size = _number(request, "startAt", 0), min(_number(request, "maxResults", 50), 100)
    shown = [_shown(one) for one in records[at : at + size]]
    told = {"maxResults": size, "startAt": at, "total": len(records), "isLast": at + size >= len(records)}
    return answer({**told, "values": shown})


def _desk(request: Request, records: list[Native]) -> Response:
    """Return a page of the service desk API."""
    at, size = _number(request, "start", 0), min(_number(request, "limit", 50), 50)
    shown = [_shown(one) for one in records[at : at + size]]
    told = {"size": len(shown), "start": at, "limit": size, "isLastPage": at + size >= len(records)}
    return answer({"_expands": [], **told, "_links": {}, "values": shown})


def _all(box: Sandbox, stream: str) -> list[Native]:
    return list(box.store[stream].values())


# ---- the platform API ------------------------------------------------------------------------------------------------


@routes("GET", "/rest/api/3/myself")
def myself(box: Sandbox, request: Request) -> Response:
    """Show whom the token belongs to."""
    return answer(_shown(box.store["users"]["admin"]))


@routes("GET", "/rest/api/3/field")
def fields(box: Sandbox, request: Request) -> Response:
    """List all fields."""
    return answer([_shown(one) for one in _all(box, "fields")])


@routes("GET", "/rest/api/3/field/<id>/context")
def contexts(box: Sandbox, request: Request, id: str) -> Response:
    """List the contexts of a field: it may offer other choices in each."""
    if not box.store["fields"].get(id, {}).get("custom"):
        return _refused(404, "The custom field was not found.")
    about = {"id": "1", "name": "Default", "description": "", "isGlobalContext": True, "isAnyIssueType": True}
    return _values(request, [about])


@routes("GET", "/rest/api/3/field/<id>/context/<context>/option")
def options(box: Sandbox, request: Request, id: str, context: str) -> Response:
    """List what a field offers in a context."""
    held = box.store["fields"].get(id, {}).get("_choices") or []
    return _values(request, [{"id": str(at), "value": one, "disabled": False} for at, one in enumerate(held)])


@routes("GET", "/rest/api/3/users/search")
def users(box: Sandbox, request: Request) -> Response:
    """List people: a bare list, without those of whom ``_hidden`` says that no list shows them."""
    at, size = _number(request, "startAt", 0), min(_number(request, "maxResults", 50), 1000)
    held = [one for one in _all(box, "users") if not one.get("_hidden")]
    return answer([_shown(one) for one in held[at : at + size]])


@routes("GET", "/rest/api/3/group/bulk")
def groups(box: Sandbox, request: Request) -> Response:
    """List groups."""
    return _values(request, _all(box, "groups"))


@routes("GET", "/rest/api/3/group/member")
def group_members(box: Sandbox, request: Request) -> Response:
    """List the people in a group."""
    if request.args.get("groupId") not in box.store["groups"]:
        return _refused(404, "The group was not found.")
    return _values(request, [one for one in _all(box, "group_members") if one["_parent"] == request.args["groupId"]])


@routes("GET", "/rest/api/3/search/jql")
@routes("POST", "/rest/api/3/search/jql")
def search(box: Sandbox, request: Request) -> Response:
    """Find issues by JQL, the oldest first; a page tells the word that asks for the next, and no total."""
    given: Native = request.get_json() if request.method == "POST" else request.args.to_dict()
    fields = given.get("fields") or "id"
    fields = fields.split(",") if isinstance(fields, str) else fields
    query = Query(_all(box, "issues"), _all(box, "fields"), "admin", box.clock.now())
    try:
        held = query.found(str(given.get("jql") or ""))
    except JqlError as err:
        return _refused(400, str(err))
    held = sorted(held, key=lambda one: (one["fields"]["created"], one["id"]))
    most = MOST_IDS if fields == ["id"] else 100
    at, size = int(given.get("nextPageToken") or 0), min(int(given.get("maxResults") or 50), most)
    rendered = "renderedFields" in str(given.get("expand") or "")
    page = [_issue(one, rendered, fields) for one in held[at : at + size]]
    last = at + size >= len(held)
    return answer({"issues": page, "isLast": last, **({} if last else {"nextPageToken": str(at + size)})})


def _issue(native: Native, rendered: bool, fields: list[str]) -> Native:
    shown = _shown(native)
    if fields == ["id"]:
        return {"id": native["id"]}
    return shown if rendered else {key: value for key, value in shown.items() if key != "renderedFields"}


@routes("GET", "/rest/api/3/issue/<id>")
def issue(box: Sandbox, request: Request, id: str) -> Response:
    """Show an issue, by its number or its key."""
    found = next((one for one in _all(box, "issues") if id in (one["id"], one["key"])), None)
    if found is None:
        return _refused(404, "Issue does not exist or you do not have permission to see it.")
    return answer(_issue(found, "renderedFields" in request.args.get("expand", ""), ["*all"]))


@routes("GET", "/rest/api/3/issue/<id>/comment")
def comments(box: Sandbox, request: Request, id: str) -> Response:
    """List the comments of an issue, the oldest first."""
    held = sorted((one for one in _all(box, "comments") if one["_parent"] == id), key=lambda one: one["created"])
    at, size = _number(request, "startAt", 0), min(_number(request, "maxResults", 50), 5000)
    shown = [_shown(one) for one in held[at : at + size]]
    if request.args.get("expand") != "renderedBody":
        shown = [{key: value for key, value in one.items() if key != "renderedBody"} for one in shown]
    return answer({"startAt": at, "maxResults": size, "total": len(held), "comments": shown})


@routes("GET", "/rest/api/3/attachment/content/<id>")
def attachment(box: Sandbox, request: Request, id: str) -> Response:
    """Hand over the bytes of a file."""
    held = box.store["files"].get(id)
    return Response(held["body"], content_type=held["type"]) if held else _refused(404, "not found")


@routes("GET", "/rest/api/3/filter/search")
def filters(box: Sandbox, request: Request) -> Response:
    """Find filters."""
    return _values(request, _all(box, "filters"))


# ---- the service desk API --------------------------------------------------------------------------------------------


@routes("GET", "/rest/servicedeskapi/organization")
def organizations(box: Sandbox, request: Request) -> Response:
    """List organizations."""
    return _desk(request, _all(box, "organizations"))


@routes("GET", "/rest/servicedeskapi/organization/<id>/user")
def organization_users(box: Sandbox, request: Request, id: str) -> Response:
    """List the people of an organization."""
    names = ("accountId", "emailAddress", "displayName", "active", "timeZone")
    held = [one for one in _all(box, "users") if one.get("_organization") == id]
    return _desk(request, [{name: one.get(name) for name in names} for one in held])


@routes("GET", f"/rest/servicedeskapi/servicedesk/{PROJECT}/requesttype")
def request_types(box: Sandbox, request: Request) -> Response:
    """List the request types of the project."""
    return _desk(request, _all(box, "request_types"))


@routes("GET", f"/rest/servicedeskapi/servicedesk/{PROJECT}/requesttype/<id>/field")
def request_type_fields(box: Sandbox, request: Request, id: str) -> Response:
    """List what a request type asks for."""
    held = box.store["request_types"].get(id)
    if held is None:
        return _refused(404, "The request type was not found.")
    about = {"required": False, "defaultValues": [], "validValues": [], "visible": True, "presetValues": []}
    asked = [
        {**about, "fieldId": one, "name": one, "description": "", "jiraSchema": {"type": "string"}}
        for one in held.get("_fields", [])
    ]
    return answer({"requestTypeFields": asked, "canRaiseOnBehalfOf": True, "canAddRequestParticipants": True})


@routes("GET", f"/rest/servicedeskapi/servicedesk/{PROJECT}/queue")
def queues(box: Sandbox, request: Request) -> Response:
    """List the queues of the project."""
    return _desk(request, _all(box, "queues"))


# ---- automation ------------------------------------------------------------------------------------------------------


@routes("GET", "/_edge/tenant_info")
def tenant(box: Sandbox, request: Request) -> Response:
    """Tell the site's own id, to anybody."""
    return answer({"cloudId": CLOUD})


@routes("GET", f"/gateway/api/automation/public/jira/{CLOUD}/rest/v1/rule/summary")
def rule_summaries(box: Sandbox, request: Request) -> Response:
    """List automation rules by name, two a page."""
    held, at = _all(box, "automation_rules"), _number(request, "cursor", 0)
    links = {"self": request.url, "next": f"{request.base_url}?cursor={at + 2}" if at + 2 < len(held) else None}
    shown = [{"uuid": one["uuid"], "name": one["name"], "state": one["state"]} for one in held[at : at + 2]]
    return answer({"links": links, "data": shown})


@routes("GET", f"/gateway/api/automation/public/jira/{CLOUD}/rest/v1/rule/<uuid>")
def rule(box: Sandbox, request: Request, uuid: str) -> Response:
    """Show an automation rule."""
    held = box.store["automation_rules"].get(uuid)
    return answer({"rule": _shown(held), "connections": []}) if held else _refused(404, "not found")
