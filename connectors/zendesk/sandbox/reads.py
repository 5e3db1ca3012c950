"""Zendesk's lists and single records, and its two searches with their limits and their lag."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from .answers import Key, Refused, id_list, listing, me, not_found, number, reply, route, seconds
from .answers import _cursor_page as cursor_page

ARCHIVE_AFTER_SECONDS = 120 * 86_400
MAX_SEARCH = 1_000
SINGULAR = {
    "groups": "group",
    "group_memberships": "group_membership",
    "users": "user",
    "organizations": "organization",
    "organization_memberships": "organization_membership",
    "ticket_fields": "ticket_field",
    "user_fields": "user_field",
    "organization_fields": "organization_field",
    "ticket_forms": "ticket_form",
    "satisfaction_ratings": "satisfaction_rating",
    "brands": "brand",
    "tickets": "ticket",
}


def is_listed(box: Sandbox, stream: str, record: Native) -> bool:
    """Tell whether a list shows the record: deleted ones and archived tickets are left out."""
    if stream == "users":
        return bool(record.get("active", True)) and not record.get("permanently_deleted")
    if stream == "tickets":
        return record.get("status") != "deleted" and not is_archived(box, record)
    return not (record.get("deleted_at") or (record.get("deleted") and stream == "groups"))


def is_archived(box: Sandbox, ticket: Native) -> bool:
    """Tell whether a closed ticket went to the archive: 120 days after closing, or at once when imported so."""
    if ticket.get("status") != "closed":
        return False
    age = box.clock.now().timestamp() - seconds(ticket.get("updated_at"))
    return ticket["id"] in box.state["archived"] or age > ARCHIVE_AFTER_SECONDS


def get(box: Sandbox, stream: str, key: Any) -> Native:
    """Return a record that is not deleted. Refuses with the recorded 404."""
    record = box.store[stream].get(key)
    if record is None or (stream == "tickets" and record.get("status") == "deleted"):
        raise not_found()
    if record.get("permanently_deleted") or (stream == "groups" and record.get("deleted")):
        raise not_found()
    return record


def _filters(request: Request, stream: str, rows: Iterable[Native]) -> Iterable[Native]:
    roles = request.args.getlist("role[]") + request.args.getlist("role")
    external = request.args.get("external_id")
    for row in rows:
        if stream == "users" and roles and row.get("role") not in roles:
            continue
        if external is not None and stream in ("users", "tickets") and row.get("external_id") != external:
            continue
        if stream == "satisfaction_ratings" and not _score(request, row):
            continue
        yield row


def _score(request: Request, rating: Native) -> bool:
    score = request.args.get("score")
    given = rating.get("score")
    if score in (None, "", given):
        return True
    if score in ("received", "received_with_comment", "received_without_comment"):
        comment = bool(rating.get("comment"))
        return given in ("good", "bad") and (score == "received" or comment == (score == "received_with_comment"))
    return False


def _by_name(record: Native) -> tuple[Any, ...]:
    return str(record.get("name") or ""), record["id"]


def _register(stream: str, singular: str) -> None:
    orders: dict[str, Key] = {"groups": _by_name}
    sorts = ("id", "updated_at", "status") if stream == "tickets" else ("id", "updated_at", "created_at", "name")

    @route("GET", stream)
    def many(box: Sandbox, request: Request) -> Response:
        rows = [row for row in box.store[stream].values() if is_listed(box, stream, row)]
        key = orders.get(stream, lambda row: (row["id"],))
        return listing(box, request, stream, _filters(request, stream, rows), key=key, sorts=sorts)

    @route("GET", f"{stream}/<int:key>")
    def one(box: Sandbox, request: Request, key: int) -> Response:
        return reply({singular: get(box, stream, key)})

    @route("GET", f"{stream}/count")
    def count(box: Sandbox, request: Request) -> Response:
        value = sum(is_listed(box, stream, row) for row in box.store[stream].values())
        return reply({"count": {"value": value, "refreshed_at": box.now()}})


for _stream, _singular in SINGULAR.items():
    _register(_stream, _singular)


def _register_show_many(stream: str) -> None:
    @route("GET", f"{stream}/show_many")
    def show_many(box: Sandbox, request: Request) -> Response:
        ids, external = id_list(request), id_list(request, "external_ids")
        wanted = {int(value) for value in ids if value.strip().isdigit()}
        rows = [
            row
            for row in box.store[stream].values()
            if (row["id"] in wanted or (external and row.get("external_id") in external))
            and row.get("status") != "deleted"
        ]
        return listing(box, request, stream, rows)


for _stream in ("tickets", "users", "organizations"):
    _register_show_many(_stream)


def _register_members(path: str, stream: str, field: str) -> None:
    @route("GET", f"{path}/<int:key>/{stream}")
    def members(box: Sandbox, request: Request, key: int) -> Response:
        get(box, path, key)
        rows = [row for row in box.store[stream].values() if row.get(field) == key and is_listed(box, stream, row)]
        return listing(box, request, stream, rows)


for _path, _stream, _field in (
    ("groups", "group_memberships", "group_id"),
    ("users", "group_memberships", "user_id"),
    ("users", "organization_memberships", "user_id"),
    ("organizations", "organization_memberships", "organization_id"),
    ("organizations", "tickets", "organization_id"),
    ("organizations", "users", "organization_id"),
):
    _register_members(_path, _stream, _field)


@route("GET", "users/me")
def users_me(box: Sandbox, request: Request) -> Response:
    """Answer the current user; without credentials an anonymous one with id null and status 200 (recorded)."""
    if not request.headers.get("Authorization"):
        nobody = {"id": None, "url": None, "name": "Anonymous user", "email": "invalid@example.com", "role": "end-user"}
        return reply({"user": nobody})
    user = dict(me(box))
    user.update(role=box.state["role"], authenticity_token="sandbox")
    return reply({"user": user})


@route("GET", "tickets/<int:key>/comments")
def comments(box: Sandbox, request: Request, key: int) -> Response:
    """Answer a ticket's comments, oldest first; inline images only with ``include_inline_images=true``."""
    get(box, "tickets", key)
    rows = [box.store["ticket_comments"][comment]["comment"] for comment in box.state["comments_of"].get(key, ())]
    if request.args.get("include_inline_images") != "true":
        rows = [_without_inline(row) for row in rows]
    backwards = "desc" in (request.args.get("sort_order"), "") or request.args.get("sort") == "-created_at"
    if backwards and "page[size]" not in request.args:
        newest = sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)
        places = {row["id"]: place for place, row in enumerate(newest)}
        return listing(box, request, "comments", newest, key=lambda row: (places[row["id"]],))
    return listing(
        box, request, "comments", rows, key=lambda row: (row["created_at"], row["id"]), sorts=("created_at",)
    )


def _without_inline(comment: Native) -> Native:
    files = comment.get("attachments") or []
    if not any(file.get("inline") for file in files):
        return comment
    return {**comment, "attachments": [file for file in files if not file.get("inline")]}


@route("GET", "tickets/<int:key>/comments/count")
def comments_count(box: Sandbox, request: Request, key: int) -> Response:
    """Answer how many comments a ticket has."""
    get(box, "tickets", key)
    return reply({"count": {"value": len(box.state["comments_of"].get(key, ())), "refreshed_at": box.now()}})


@route("GET", "tickets/<int:key>/tags")
def ticket_tags(box: Sandbox, request: Request, key: int) -> Response:
    """Answer a ticket's tags."""
    return reply({"tags": get(box, "tickets", key).get("tags") or []})


@route("GET", "tags")
def tags(box: Sandbox, request: Request) -> Response:
    """Answer all tags with the number of tickets that have each, the most used first."""
    counts: dict[str, int] = {}
    for ticket in box.store["tickets"].values():
        if is_listed(box, "tickets", ticket):
            for tag in ticket.get("tags") or []:
                counts[tag] = counts.get(tag, 0) + 1
    rows = [{"name": name, "count": count, "id": name} for name, count in counts.items()]
    response_rows = sorted(rows, key=lambda row: (-int(str(row["count"])), str(row["name"])))
    places = {row["id"]: place for place, row in enumerate(response_rows)}
    response = listing(box, request, "tags", response_rows, key=lambda row: (places[row["id"]],))
    body: Native = response.get_json()
    body["tags"] = [{"name": row["name"], "count": row["count"]} for row in body["tags"]]
    return reply(body)


@route("GET", "users/search")
def users_search(box: Sandbox, request: Request) -> Response:
    """Answer users by ``query`` (name, e-mail, with the index's lag) or by ``external_id`` (at once)."""
    external, query = request.args.get("external_id"), request.args.get("query", "").strip()
    rows = [row for row in box.store["users"].values() if is_listed(box, "users", row)]
    if external is not None:
        found = [row for row in rows if row.get("external_id") == external]
    else:
        found = [row for row in rows if is_indexed(box, "users", row) and _matches(box, "user", row, query)]
    return listing(box, request, "users", found)


def is_indexed(box: Sandbox, stream: str, record: Native) -> bool:
    """Tell whether the search index has caught up with a record; ``box.state["search_lag_seconds"]`` sets the lag."""
    arrived: float | None = box.state["arrived"].get((stream, record["id"]))
    return arrived is None or box.clock.now().timestamp() - arrived >= box.state["search_lag_seconds"]


KINDS = {"ticket": "tickets", "user": "users", "organization": "organizations", "group": "groups"}
TERM = re.compile(r"""(?:(\w+)(:|>=|<=|>|<))?("[^"]*"|\S+)""")


def _matches(box: Sandbox, kind: str, record: Native, query: str) -> bool:
    for name, sign, quoted in TERM.findall(query):
        value = quoted.strip('"')
        if not name:
            text = " ".join(str(record.get(field) or "") for field in ("name", "email", "subject", "description"))
            if value.lower() not in text.lower():
                return False
        elif name == "type":
            if value != kind:
                return False
        elif name in ("tags", "tag"):
            if value not in (record.get("tags") or []):
                return False
        elif name in ("created", "created_at", "updated", "updated_at"):
            field = "created_at" if name.startswith("created") else "updated_at"
            if not _compares(str(record.get(field) or ""), sign, value):
                return False
        elif str(record.get(name) if record.get(name) is not None else "").lower() != value.lower():
            return False
    return True


def _compares(moment: str, sign: str, value: str) -> bool:
    if sign == ":":
        return moment.startswith(value)
    left, right = moment[: len(value)], value
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[sign]


def _found(box: Sandbox, query: str, kinds: Iterable[str]) -> list[Native]:
    rows = []
    for kind in kinds:
        stream = KINDS[kind]
        for row in box.store[stream].values():
            gone = row.get("status") == "deleted" or not row.get("active", True) or row.get("permanently_deleted")
            if not gone and is_indexed(box, stream, row) and _matches(box, kind, row, query):
                rows.append({**row, "result_type": kind})
    return sorted(rows, key=lambda row: (row.get("created_at") or "", row["id"]), reverse=True)


@route("GET", "search")
def search(box: Sandbox, request: Request) -> Response:
    """Answer a search: offset paging only, ``count`` is the true total but no page goes beyond 1,000 results."""
    if any(name.startswith("page[") for name in request.args):
        raise Refused(400, {"error": "invalid", "description": "page must be an integer"})
    page, size = number(request, "page", 1), min(100, number(request, "per_page", 100))
    if page * size > MAX_SEARCH:
        text = "Invalid search: Requested response size was greater than Search Response Limits"
        raise Refused(422, {"error": "invalid", "description": text})
    rows = _found(box, request.args.get("query", ""), KINDS)
    body: Native = listing(box, request, "results", []).get_json()
    base = request.base_url
    query = request.args.get("query", "")
    more = page * size < min(len(rows), MAX_SEARCH)
    body.update(
        results=rows[(page - 1) * size : page * size],
        facets=None,
        count=len(rows),
        next_page=f"{base}?page={page + 1}&per_page={size}&query={query}" if more else None,
        previous_page=f"{base}?page={page - 1}&per_page={size}&query={query}" if page > 1 else None,
    )
    return reply(body)


@route("GET", "search/export")
def search_export(box: Sandbox, request: Request) -> Response:
    """Answer a search of one type by cursor, up to 1,000 a page."""
    kind = request.args.get("filter[type]", "")
    if kind not in KINDS:
        raise Refused(
            400, {"error": "invalid", "description": "filter[type] must be ticket, user, organization or group"}
        )
    rows = _found(box, request.args.get("query", ""), [kind])
    places = {row["id"]: place for place, row in enumerate(rows)}
    body = cursor_page(request, "results", rows, lambda row: (places[row["id"]],), (), most=MAX_SEARCH)
    return reply({**body, "facets": None})
