"""The rules every Freshdesk endpoint shares: refusals, reading of bodies and queries, paging, values of fields.

"docs" is developers.freshdesk.com/api; ``facts.yaml`` has a line with its source for each behaviour.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Routes, Sandbox

Errors = list[dict[str, Any]]  # [{field, message, code}]
Check = Callable[[str, Any, "Body"], Any]  # (field, value, body) to the value to keep; adds to body.errors

routes = Routes()
API = "/api/v2"
MAX_ATTACHMENTS = 20 * 1024 * 1024  # bytes, all attachments of a ticket together
DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
STREAMS = (
    "contacts",
    "companies",
    "agents",
    "groups",
    "ticket_fields",
    "sections",
    "contact_fields",
    "company_fields",
    "tickets",
    "conversations",
    "satisfaction_ratings",
    "surveys",
    "roles",
    "products",
    "email_configs",
    "creation_rules",
    "update_rules",
    "hourly_rules",
    "sla_policies",
    "business_hours",
    "scenario_automations",
    "canned_response_folders",
    "canned_responses",
)


class Refusal(Exception):
    """A request the vendor refuses, with its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def answer(data: Any, status: int = 200, **headers: str) -> Response:
    """Return ``data`` as Freshdesk's JSON."""
    response = Response(json.dumps(data), status, content_type="application/json; charset=utf-8")
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def empty(status: int = 204) -> Response:
    """Return an answer without a body."""
    return Response(b"", status, content_type="application/json; charset=utf-8")


def invalid(*errors: Mapping[str, Any], status: int = 400) -> Refusal:
    """Return the refusal of a body or a query, with one line for each field."""
    return Refusal(answer({"description": "Validation failed", "errors": [dict(line) for line in errors]}, status))


def error(field: str, message: str, code: str = "invalid_value") -> dict[str, Any]:
    """Return one line of a refusal."""
    return {"field": field, "message": message, "code": code}


def unexpected(field: str) -> dict[str, Any]:
    """Return the line for a field that the documentation does not name."""
    return error(field, "Unexpected/invalid field in request", "invalid_field")


def duplicate(field: str, user_id: int | None = None) -> Refusal:
    """Return the refusal (409) of a value that must be unique; a user's also names who has it."""
    line: dict[str, Any] = {"field": field}
    if user_id is not None:
        line["additional_info"] = {"user_id": user_id}
    return invalid({**line, "message": "It should be a unique value", "code": "duplicate_value"}, status=409)


def denied() -> Refusal:
    """Return the refusal of an action that needs an administrator."""
    return Refusal(answer({"code": "access_denied", "message": "You are not authorized to perform this action."}, 403))


def missing() -> Refusal:
    """Return the answer for a record that is not there."""
    return Refusal(empty(404))


def locked() -> Refusal:
    """Return the answer to a change of a record whose state forbids it."""
    return Refusal(empty(405))


def need_admin(box: Sandbox) -> None:
    """Refuse when the token is an agent's."""
    if box.state["scope"] != "admin":
        raise denied()


def need_feature(box: Sandbox, name: str, title: str) -> None:
    """Refuse what the plan does not have."""
    if name not in box.state["features"]:
        message = f"The {title} feature(s) is/are not supported in your plan. Please upgrade your account to use it."
        raise Refusal(answer({"code": "require_feature", "message": message}, 403))


def one(box: Sandbox, stream: str, id: int) -> Native:
    """Return a record or refuse with 404."""
    record = box.store[stream].get(id)
    if record is None:
        raise missing()
    return record


def fresh_id(box: Sandbox) -> int:
    """Return an id that no record has, seeded ones included."""
    id = box.next_id()
    while any(id in box.store[stream] for stream in STREAMS):
        id = box.next_id()
    return id


class Body:
    """A request's fields, from JSON or multipart, with the errors found in them."""

    def __init__(self, request: Request) -> None:
        self.errors: Errors = []
        self.loose = request.mimetype == "multipart/form-data"  # then every value came as text
        self.files: list[tuple[str, bytes, str]] = []  # name, content, content type
        self.values: Native = {}
        if self.loose:
            self._read_form(request)
        elif request.get_data():
            if request.mimetype != "application/json":
                message = f"Content-Type header is set to {request.mimetype}. It should be application/json"
                raise Refusal(answer({"code": "invalid_content_type", "message": message}, 415))
            try:
                self.values = json.loads(request.get_data())
            except ValueError:
                self.values = []  # type: ignore[assignment]
            if not isinstance(self.values, dict):
                raise Refusal(answer({"code": "invalid_json", "message": "Request body has invalid json format"}, 400))

    def _read_form(self, request: Request) -> None:
        for key, texts in request.form.lists():
            if key.endswith("[]"):
                self.values[key[:-2]] = texts
            elif inner := re.fullmatch(r"(\w+)\[([^\]]+)\]", key):
                self.values.setdefault(inner[1], {})[inner[2]] = texts[-1]
            else:
                self.values[key] = texts[-1]
        for key, files in request.files.lists():
            self.values.setdefault(key.removesuffix("[]"), []).extend(file.filename for file in files)
            for file in files:
                with file.stream as stream:
                    kind = file.mimetype or "application/octet-stream"
                    self.files.append((file.filename or "file", stream.read(), kind))

    def wrong(self, field: str, message: str, code: str = "invalid_value") -> None:
        """Note an error."""
        self.errors.append(error(field, message, code))

    def wrong_type(self, field: str, value: Any, wanted: str) -> None:
        """Note a value of another type than ``wanted``."""
        given = {bool: "Boolean", int: "Integer", float: "Float", dict: "key/value pair", list: "Array"}
        self.wrong(
            field,
            f"Value set is of type {given.get(type(value), 'String' if value is not None else 'Null')}."
            f"It should be a/an {wanted}",
            "datatype_mismatch",
        )

    def only(self, names: Iterable[str]) -> None:
        """Refuse at once when another field than ``names`` was sent."""
        if unknown := sorted(set(self.values) - set(names)):
            raise invalid(*(unexpected(field) for field in unknown))

    def need(self, *names: str) -> None:
        """Note each field that is absent, null or blank."""
        for name in names:
            value = self.values.get(name)
            if name not in self.values:
                self.wrong(name, "Mandatory attribute missing", "missing_field")
            elif value is None or (isinstance(value, str) and not value.strip()):
                self.wrong(name, "It should not be blank as this is a mandatory field", "invalid_value")

    def check(self, checks: Mapping[str, Check]) -> Native:
        """Return the fields that were sent, each through its check; nulls pass."""
        kept: Native = {}
        for name, check in checks.items():
            if name in self.values:
                value = self.values[name]
                kept[name] = None if value is None else check(name, value, self)
        return kept

    def settle(self) -> None:
        """Refuse when there are errors."""
        if self.errors:
            raise invalid(*self.errors)


def text(limit: int | None = 255) -> Check:
    """Return the check of a string, trimmed; longer than ``limit`` characters is refused."""

    def check(field: str, value: Any, body: Body) -> Any:
        if not isinstance(value, str):
            return body.wrong_type(field, value, "String")
        if limit and len(value.strip()) > limit:
            return body.wrong(field, f"Has {len(value)} characters, it can have maximum of {limit} characters")
        return value.strip() if limit else value

    return check


def integer(field: str, value: Any, body: Body) -> Any:
    """Check a whole number."""
    if body.loose and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return body.wrong_type(field, value, "Integer")
    return value


def decimal(field: str, value: Any, body: Body) -> Any:
    """Check a number."""
    if body.loose and isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return body.wrong_type(field, value, "Number")
    return value


def boolean(field: str, value: Any, body: Body) -> Any:
    """Check true or false."""
    if body.loose and value in ("true", "false"):
        return value == "true"
    return value if isinstance(value, bool) else body.wrong_type(field, value, "Boolean")


def day(field: str, value: Any, body: Body) -> Any:
    """Check a date, YYYY-MM-DD."""
    try:
        if isinstance(value, str) and DATE.match(value):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    return body.wrong(field, "It should be in the 'yyyy-mm-dd' format", "invalid_date")


def when(field: str, value: Any, body: Body) -> Any:
    """Check a moment and write it as the vendor does."""
    try:
        return instant(value).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, AttributeError):
        return body.wrong(field, "It should be in the 'combined date and time ISO8601' format", "invalid_date")


def strings(each: Check) -> Check:
    """Return the check of a list whose members pass ``each``; repeated members are kept once."""

    def check(field: str, value: Any, body: Body) -> Any:
        if not isinstance(value, list):
            return body.wrong_type(field, value, "Array")
        return list(dict.fromkeys(each(field, member, body) for member in value))

    return check


def mail_address(field: str, value: Any, body: Body) -> Any:
    """Check an e-mail address and write it in lower case."""
    if not isinstance(value, str):
        return body.wrong_type(field, value, "String")
    if not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s.,;<>]+", value.strip()):
        return body.wrong(field, "It should be in the 'valid email address' format")
    return value.strip().lower()


def among(allowed: Iterable[Any], kind: Check | None = None) -> Check:
    """Return the check of a value that must be one of ``allowed``."""
    listed, by_kind = list(allowed), kind or text()

    def check(field: str, value: Any, body: Body) -> Any:
        before = len(body.errors)
        kept = by_kind(field, value, body)
        if len(body.errors) == before and kept not in listed:
            body.wrong(field, f"It should be one of these values: '{','.join(map(str, listed))}'")
        return kept

    return check


def record_of(box: Sandbox, noun: str, *streams: str) -> Check:
    """Return the check of the id of an existing record."""

    def check(field: str, value: Any, body: Body) -> Any:
        before = len(body.errors)
        id = integer(field, value, body)
        if len(body.errors) == before and not any(id in box.store[stream] for stream in streams):
            body.wrong(field, f"There is no {noun} matching the given {field}")
        return id

    return check


def tag(field: str, value: Any, body: Body) -> Any:
    """Check a tag: at most 32 characters."""
    return text(32)(field, value, body)


@lru_cache(maxsize=65536)
def instant(value: str) -> datetime:
    """Return the moment of a timestamp in one of the documented formats; without a zone it is UTC."""
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def query(request: Request, *names: str) -> dict[str, str]:
    """Return the query's parameters; one that is not named here is refused."""
    if unknown := sorted(set(request.args) - set(names)):
        raise invalid(*(unexpected(field) for field in unknown))
    return {name: request.args[name] for name in names if name in request.args}


def since(given: dict[str, str], name: str) -> datetime | None:
    """Return the moment a query asks for."""
    try:
        return instant(given[name]) if name in given else None
    except ValueError:
        message = "It should be in the 'combined date and time ISO8601' format"
        raise invalid(error(name, message, "invalid_date")) from None


def number(given: dict[str, str], name: str) -> int | None:
    """Return the whole number a query asks for."""
    if name not in given:
        return None
    if not given[name].isdigit():
        raise invalid(error(name, "It should be a/an Positive Integer", "datatype_mismatch"))
    return int(given[name])


def paging(given: dict[str, str], max_page: int | None = None) -> tuple[int, int]:
    """Return (page, records a page); refuse values outside the documented bounds."""
    page, per_page = number(given, "page"), number(given, "per_page")
    page, per_page = 1 if page is None else page, 30 if per_page is None else per_page
    if page < 1 or (max_page and page > max_page):
        bound = f"less than or equal to {max_page}" if page > 1 else "a Positive Integer"
        raise invalid(error("page", f"It should be {bound}"))
    if not 1 <= per_page <= 100:
        raise invalid(error("per_page", "It should be a Positive Integer less than or equal to 100"))
    return page, per_page


def listed(
    request: Request,
    records: list[Native],
    given: dict[str, str],
    show: Callable[[Native], Native],
    max_page: int | None = None,
) -> Response:
    """Return one page of ``records`` with a ``Link`` to the next, when there is one."""
    page, per_page = paging(given, max_page)
    start = (page - 1) * per_page
    response = answer([show(record) for record in records[start : start + per_page]])
    if start + per_page < len(records):
        args = request.args.to_dict() | {"page": str(page + 1), "per_page": str(per_page)}
        joined = "&".join(f"{name}={_escape(value)}" for name, value in args.items())
        response.headers["Link"] = f'<{request.base_url}?{joined}>; rel="next"'
    return response


def _escape(value: str) -> str:
    return re.sub(r"[^\w.,:-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


def created(box: Sandbox, request: Request, stream: str, record: Native, shown: Native) -> Response:
    """Store a new record and answer 201 with its address."""
    box.store[stream][record["id"]] = record
    indexed(box, stream, record["id"])
    return answer(shown, 201, Location=f"{request.host_url}api/v2/{stream}/{record['id']}")


def indexed(box: Sandbox, stream: str, id: int) -> None:
    """Hand a record, or its absence, to the search index, which shows it ``find_lag_seconds`` later."""
    record = box.store[stream].get(id)
    versions = box.state["index"].setdefault(stream, {}).setdefault(id, [])
    versions.append((box.clock.monotonic(), dict(record) if record else None))
