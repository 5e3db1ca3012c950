"""What every Zendesk endpoint shares: routes, JSON, refusals, the two kinds of paging, side-loads, who is asking."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Handler, Native, Routes, Sandbox

EMAIL = "admin@zendesk.sandbox"
TOKEN = "sandbox-token"
ACCOUNT_ID = 18525119
MAX_PAGE = 100
MAX_OFFSET_ROWS = 10_000
MAX_EXPORT = 1_000

routes = Routes()

Key = Callable[[Native], tuple[Any, ...]]


class Refused(Exception):
    """A request that Zendesk refuses; carries the answer."""

    def __init__(self, status: int, body: Native) -> None:
        super().__init__(json.dumps(body))
        self.status, self.body = status, body


def route(method: str, path: str, *, admin: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler at ``path`` and ``path.json``; ``admin`` refuses agents with 403."""

    def register(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def answer(box: Sandbox, request: Request, **values: Any) -> Response:
            try:
                if admin and box.state["role"] != "admin":
                    raise forbidden()
                return handler(box, request, **values)
            except Refused as refusal:
                return reply(refusal.body, refusal.status)

        routes(method, f"/api/v2/{path}")(answer)
        routes(method, f"/api/v2/{path}.json")(answer)
        return answer

    return register


def reply(body: Any, status: int = 200, **headers: str) -> Response:
    """Return ``body`` as JSON, in UTF-8 without escapes as Zendesk writes it."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    response = Response(text, status, content_type="application/json; charset=utf-8")
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def not_found() -> Refused:
    """Return the recorded answer for a record that is not there."""
    return Refused(404, {"error": "RecordNotFound", "description": "Not found"})


def forbidden() -> Refused:
    """Return the answer for a role that may not."""
    message = (
        "You do not have access to this page. Please contact the account owner of this help desk for further help."
    )
    return Refused(403, {"error": {"title": "Forbidden", "message": message}})


def invalid(**details: tuple[str, str | None]) -> Refused:
    """Return 422 RecordInvalid; ``details`` maps a field to (description, error code or None)."""
    problems: dict[str, list[Native]] = {
        field: [{"description": text, **({"error": code} if code else {})}] for field, (text, code) in details.items()
    }
    return Refused(422, {"error": "RecordInvalid", "description": "Record validation errors", "details": problems})


def bad_parameter(name: str, text: str) -> Refused:
    """Return 400 for a query parameter."""
    return Refused(
        400, {"error": {"title": "Invalid attribute", "message": f"You passed an invalid value for {name}. {text}"}}
    )


def bad_paging(code: str, title: str) -> Refused:
    """Return 400 in the envelope the paging layer uses."""
    return Refused(400, {"errors": [{"code": code, "title": title}]})


def payload(request: Request, key: str) -> Any:
    """Return the value of ``key`` in the JSON body. Refuses bodies that are not JSON or lack the key."""
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError:
        raise Refused(400, {"error": "Unprocessable Entity", "message": "Server could not parse JSON"}) from None
    value = body.get(key) if isinstance(body, dict) else None
    if value is None:
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": f"Parameter {key} is required"}})
    return value


def address(request: Request, path: str) -> str:
    """Return the absolute address of ``path`` on the host the caller used."""
    return f"{request.host_url.rstrip('/')}/api/v2/{path}"


@functools.lru_cache(200_000)
def seconds(moment: str | None) -> int:
    """Return the Unix time of an ISO 8601 moment, 0 when there is none."""
    return int(datetime.fromisoformat(moment).timestamp()) if moment else 0


def number(request: Request, name: str, default: int) -> int:
    """Return an integer query parameter. Refuses other text with 400."""
    text = request.args.get(name, "")
    if not text:
        return default
    try:
        return int(float(text))
    except ValueError:
        raise bad_parameter(name, "It must be an integer") from None


def id_list(request: Request, name: str = "ids") -> list[str]:
    """Return the comma-separated values of ``name``, at most 100."""
    values = [value for value in request.args.get(name, "").split(",") if value.strip()]
    if len(values) > MAX_PAGE:
        raise too_many_values()
    return values


def too_many_values(text: str = "Parameter  cannot specify more than 100 values") -> Refused:
    """Return the recorded 400 for more than 100 values."""
    return Refused(400, {"error": "TooManyValues", "description": text, "max_count": MAX_PAGE})


def by_id(record: Native) -> tuple[Any, ...]:
    """Order by id, as most lists do."""
    return (record["id"],)


def listing(
    box: Sandbox,
    request: Request,
    name: str,
    rows: Iterable[Native],
    *,
    key: Key = by_id,
    sorts: Sequence[str] = ("id",),
) -> Response:
    """Answer a list: cursor paging when ``page[size]``, ``page[after]`` or ``page[before]`` is given, else offset."""
    if any(f"page[{word}]" in request.args for word in ("size", "after", "before")):
        body = _cursor_page(request, name, rows, key, sorts)
    else:
        body = _offset_page(request, name, sorted(rows, key=key))
    return reply(side_load(box, request, name, body))


def _offset_page(request: Request, name: str, rows: list[Native]) -> Native:
    try:
        page, size = int(request.args.get("page", "1")), int(request.args.get("per_page", str(MAX_PAGE)))
    except ValueError:
        raise bad_parameter("page", "page must be an integer") from None
    page, size = max(1, page), max(1, min(size, MAX_PAGE))
    if page > MAX_OFFSET_ROWS // MAX_PAGE or page * size > MAX_OFFSET_ROWS:
        raise bad_paging("InvalidPaginationDepth", "Pagination requests using Offset Pagination are limited")
    count = len(rows)
    return {
        name: rows[(page - 1) * size : page * size],
        "next_page": _link(request, page=page + 1) if page * size < count else None,
        "previous_page": _link(request, page=page - 1) if page > 1 else None,
        "count": count,
    }


def _cursor_page(
    request: Request, name: str, rows: Iterable[Native], key: Key, sorts: Sequence[str], *, most: int = MAX_PAGE
) -> Native:
    try:
        size = int(request.args.get("page[size]", MAX_PAGE))
    except ValueError:
        size = 0
    if not 1 <= size <= most:
        raise bad_paging("InvalidPaginationParameter", f"page[size] must be an integer between 1 and {most}")
    sort = request.args.get("sort", "")
    if sort and sort.lstrip("-") not in sorts:
        raise bad_paging("InvalidPaginationParameter", f"sort is not valid, use one of: {', '.join(sorts)}")
    order: Key = (lambda row: (row.get(sort.lstrip("-")) or "", row["id"])) if sort else key
    backwards = sort.startswith("-")
    ordered = sorted(rows, key=order, reverse=backwards)
    after, before = request.args.get("page[after]"), request.args.get("page[before]")
    if after is not None:
        place = _position(after)
        ordered = [row for row in ordered if (list(order(row)) < place if backwards else list(order(row)) > place)]
        page, more = ordered[:size], len(ordered) > size
    elif before is not None:
        place = _position(before)
        ordered = [row for row in ordered if (list(order(row)) > place if backwards else list(order(row)) < place)]
        page, more = ordered[-size:], len(ordered) > size
    else:
        page, more = ordered[:size], len(ordered) > size
    last = _cursor(order(page[-1])) if page else None
    first = _cursor(order(page[0])) if page else None
    return {
        name: page,
        "meta": {"has_more": more, "after_cursor": last, "before_cursor": first},
        "links": {  # both links are there on a full last page too (recorded): only has_more tells the end
            "prev": _link(request, **{"page[before]": first, "page[after]": None}) if first else None,
            "next": _link(request, **{"page[after]": last, "page[before]": None}) if last else None,
        },
    }


def _cursor(place: tuple[Any, ...]) -> str:
    return base64.b64encode(json.dumps({"o": "id", "v": list(place)}).encode()).decode()


def _position(cursor: str) -> list[Any]:
    try:
        place = json.loads(base64.b64decode(cursor))["v"]
    except (ValueError, KeyError, TypeError):
        place = None
    if not isinstance(place, list):
        raise bad_paging("InvalidPaginationParameter", "page[after] or page[before] is not a cursor")
    return place


def _link(request: Request, **changes: Any) -> str:
    query: MultiDict[str, Any] = MultiDict(request.args)
    for name, value in changes.items():
        query.poplist(name)
        if value is not None:
            query[name] = value
    return f"{request.base_url}?{urlencode(list(query.items(multi=True)))}"


SIDE_LOADS: dict[str, dict[str, tuple[str, ...]]] = {
    "tickets": {
        "users": ("requester_id", "submitter_id", "assignee_id", "collaborator_ids"),
        "groups": ("group_id",),
        "organizations": ("organization_id",),
        "brands": ("brand_id",),
        "ticket_forms": ("ticket_form_id",),
    },
    "users": {"organizations": ("organization_id",), "groups": ("default_group_id",)},
    "comments": {"users": ("author_id",)},
    "group_memberships": {"users": ("user_id",), "groups": ("group_id",)},
    "organization_memberships": {"users": ("user_id",), "organizations": ("organization_id",)},
}


def side_load(box: Sandbox, request: Request, name: str, body: Native) -> Native:
    """Add the records that ``include=users,groups`` asks for, each once."""
    for wanted in request.args.get("include", "").split(","):
        if wanted == "comment_count" and name == "tickets":
            counts = box.state["comments_of"]
            body[name] = [{**row, "comment_count": len(counts.get(row["id"], ()))} for row in body[name]]
        fields = SIDE_LOADS.get(name, {}).get(wanted)
        if not fields:
            continue
        found: dict[Any, Native] = {}
        for row in body[name]:
            for field in fields:
                values = row.get(field)
                for value in values if isinstance(values, list) else [values]:
                    if value in box.store[wanted]:
                        found[value] = box.store[wanted][value]
        body[wanted] = list(found.values())
    return body


def me(box: Sandbox) -> Native:
    """Return who asks: whom an OAuth token speaks for, else the one with our address, an admin, an invented one."""
    users = list(box.store["users"].values())
    speaking = box.state.get("on_behalf_of")
    for user in users if speaking else ():
        if speaking in (str(user["id"]), user.get("email")):
            return user
    for user in users:
        if user.get("email") == EMAIL:
            return user
    for user in users:
        if user.get("role") == "admin" and user.get("active", True):
            return user
    return {"id": 900000000001, "name": "Sandbox Admin", "email": EMAIL, "role": "admin", "active": True}
