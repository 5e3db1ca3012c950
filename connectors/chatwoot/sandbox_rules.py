"""What Chatwoot's endpoints share: parameters as Rails reads them, refusals, numbers and times."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Routes, Sandbox

API = "/api/v1/accounts/<int:account>"
ACCOUNT = 1
STREAMS = (
    "inboxes",
    "agents",
    "teams",
    "labels",
    "custom_attributes",
    "canned_responses",
    "automation_rules",
    "macros",
    "custom_filters",
    "sla_policies",
    "webhooks",
    "hours",
    "contacts",
    "companies",
    "conversations",
    "messages",
)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
MOST_OF_A_STRING, MOST_OF_A_TEXT = 255, 20_000
MOST_OF_AN_ATTRIBUTE, LARGEST_ATTRIBUTE = 1500, 9_999_999_999

routes = Routes()


class Refusal(HTTPException):
    """An answer that ends a request."""

    def __init__(self, response: Response) -> None:
        super().__init__(response=response)
        self.code = response.status_code


def answer(body: Any, status: int = 200) -> Response:
    """Return JSON."""
    return Response(json.dumps(body, ensure_ascii=False), status, content_type="application/json; charset=utf-8")


def invalid(errors: dict[str, str]) -> Refusal:
    """Return what a record that does not hold ends in: {attribute: what is wrong with it}."""
    said = ", ".join(f"{name.replace('_', ' ').capitalize()} {what}".strip() for name, what in errors.items())
    return Refusal(answer({"message": said, "attributes": list(errors)}, 422))


def refused(said: str, status: int = 422) -> Refusal:
    """Return a refusal with an ``error``."""
    return Refusal(answer({"error": said}, status))


def missing() -> Refusal:
    """Return what a record that is not there ends in."""
    return refused("Resource could not be found", 404)


def forbidden() -> Refusal:
    """Return what a right that is lacking ends in: 401, as for a stranger."""
    return refused("You are not authorized to do this action", 401)


def need_admin(box: Sandbox) -> None:
    """Refuse who is no administrator."""
    if box.state["me"]["role"] != "administrator":
        raise forbidden()


def one(box: Sandbox, stream: str, id: int) -> Native:
    """Return a record, or refuse with 404."""
    found = box.store[stream].get(id)
    if found is None:
        raise missing()
    return found


def fresh(box: Sandbox, table: str) -> int:
    """Return the next number of a table: each has its own, so that a contact and an agent may share one."""
    last: dict[str, int] = box.state["numbers"]
    last[table] = max(last.get(table, 0), max((k for k in box.store[table] if isinstance(k, int)), default=0)) + 1
    return last[table]


def now(box: Sandbox) -> float:
    """Return the time as it is stored, in seconds with six places."""
    return round(box.clock.now().timestamp(), 6)


def iso(box: Sandbox) -> str:
    """Return the time as tables that are rendered whole show it."""
    return box.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Params:
    """The parameters of a request: JSON, or form fields with Rails' brackets; ``files`` beside them."""

    def __init__(self, request: Request, wrapped: str = "") -> None:
        self.files: dict[str, list[tuple[str, bytes, str]]] = {}
        for name, file in request.files.items(multi=True):
            held = (file.filename or "file", file.read(), file.content_type or "application/octet-stream")
            self.files.setdefault(name.removesuffix("[]"), []).append(held)
            file.close()
        if "json" in (request.content_type or ""):
            try:
                body = json.loads(request.get_data() or b"{}")
            except ValueError:
                raise refused("Bad Request", 400) from None
        else:
            body = _nested((name, value) for name, value in request.form.items(multi=True))
        given = body if isinstance(body, dict) else {"_json": body}
        inner = given.get(wrapped)
        self.values: Native = {**given, **inner} if wrapped and isinstance(inner, dict) else given

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, default: Any = None) -> Any:
        """Return a parameter."""
        return self.values.get(name, default)

    def flag(self, name: str) -> bool:
        """Return a boolean, which a form can only tell as text."""
        value = self.values.get(name)
        return value if isinstance(value, bool) else str(value or "").lower() in ("true", "1", "t", "on")

    def whole(self, name: str) -> int | None:
        """Return a number, however it came."""
        value = self.values.get(name)
        return int(str(value)) if str(value or "").lstrip("-").isdigit() else None

    def map(self, name: str) -> Native:
        """Return an object; JSON text where a form brought it."""
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        return dict(value) if isinstance(value, dict) else {}


def _nested(fields: Any) -> Native:
    found: Native = {}
    for label, value in fields:
        steps = re.findall(r"[^\[\]]+|\[\]", label)
        node: Any = found
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if following is None:
                node[step] = value
            elif following == "[]":
                node.setdefault(step, []).append(value)
                break
            else:
                node = node.setdefault(step, {})
    return found


def text(errors: dict[str, str], name: str, value: Any, most: int = MOST_OF_A_STRING) -> str | None:
    """Return a text within what its column takes."""
    if value is None:
        return None
    said = str(value)
    if len(said) > most:
        errors[name] = f"is too long (maximum is {most} characters)"
    return said


def unique(errors: dict[str, str], box: Sandbox, stream: str, name: str, value: Any, own: int | None = None) -> None:
    """Refuse a value that another record has."""
    if value and any(record.get(name) == value for id, record in box.store[stream].items() if id != own):
        errors[name] = "has already been taken"


def attributes(errors: dict[str, str], name: str, values: Native) -> None:
    """Hold attributes to the lengths that conversations are held to."""
    for key, value in values.items():
        if isinstance(value, str) and len(value) > MOST_OF_AN_ATTRIBUTE:
            errors[name] = f"{key} length should be < {MOST_OF_AN_ATTRIBUTE}"
        if isinstance(value, int) and not isinstance(value, bool) and value > LARGEST_ATTRIBUTE:
            errors[name] = f"{key} value should be < {LARGEST_ATTRIBUTE}"


def paged(request: Request, records: list[Native], size: int) -> list[Native]:
    """Return the page that was asked for; the size is the vendor's."""
    page = request.args.get("page", "1")
    at = (max(1, int(page)) if page.isdigit() else 1) - 1
    return records[at * size : (at + 1) * size]


def safe(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Return a handler whose refusals are answers. Whatever account is asked for, it is this one (rehearsals)."""

    def called(box: Sandbox, request: Request, account: int | None = None, **values: Any) -> Response:
        try:
            return handler(box, request, **values)
        except Refusal as refusal:
            return refusal.response  # type: ignore[return-value]

    return called
