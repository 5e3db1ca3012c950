"""What every endpoint of Zammad's sandbox shares: answers, refusals, columns, names for ids, pages, who may do what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Routes, Sandbox

API = "/api/v1"
MOST = 1000  # records a page, unless an endpoint says otherwise
KEPT_BY_VENDOR = ("created_at", "updated_at", "created_by_id", "updated_by_id", "created_by", "updated_by")
routes = Routes()
View = Callable[[Sandbox, Native], Native]


class Refusal(Exception):
    """An answer that is no success, raised from anywhere below an endpoint."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.response = answer({"error": message, "error_human": message}, status)


def answer(body: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(json.dumps(body, ensure_ascii=False), status, content_type="application/json; charset=utf-8")


def now(box: Sandbox) -> str:
    """Return the time with milliseconds, as Zammad writes it."""
    return stamp(box.clock.now())


def stamp(moment: datetime) -> str:
    """Return a moment as Zammad writes it: ``2021-11-03T11:51:13.790Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def moment(value: Any) -> str | None:
    """Return a date that somebody sent as Zammad keeps it; None where it is none."""
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return stamp(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))


def importing(box: Sandbox) -> bool:
    """Tell whether the import mode is on."""
    return bool(box.state["import_mode"]) or "import_mode" in box.state.get("channels", ())


def given(request: Request) -> Native:
    """Return what was sent: the query and the body as one, as Rails has it."""
    sent: Native = dict(request.args)
    if request.mimetype == "application/json" and request.get_data():
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise Refusal("There was a problem in the JSON you submitted", 400)
        sent |= body
    else:
        sent |= dict(request.form)
    return sent


def true(value: Any) -> bool:
    """Tell whether a parameter says yes."""
    return str(value).lower() in ("true", "1")


def one(box: Sandbox, stream: str, id: Any, what: str) -> Native:
    """Return a record. Raises the vendor's 404."""
    found = box.store[stream].get(int(id)) if str(id).isdecimal() else None
    if found is None:
        raise Refusal(f"Couldn't find {what} with 'id'={id}", 404)
    return found


def cleaned(box: Sandbox, sent: Mapping[str, Any], columns: Iterable[str]) -> Native:
    """Return what belongs to columns; anything else is dropped without a word, and dates outside import mode too."""
    taken = {name: value for name, value in sent.items() if name in set(columns) and name != "id"}
    if not importing(box):
        for name in KEPT_BY_VENDOR:
            taken.pop(name, None)
    for name in ("created_at", "updated_at"):
        if name in taken and (kept := moment(taken[name])):
            taken[name] = kept
    return taken


def cut(record: Native, limits: Mapping[str, int]) -> None:
    """Cut texts at the length of their column, without a word."""
    for name, most in limits.items():
        if isinstance(record.get(name), str):
            record[name] = record[name].replace("\x00", "")[:most]


def by_name(box: Sandbox, sent: Native, names: Mapping[str, tuple[str, str]]) -> None:
    """Put ids in the place of names: ``names`` is {key: (stream, column)}. Raises the vendor's refusal."""
    for key, (stream, column) in names.items():
        value = sent.get(key)
        if not value or sent.get(f"{key}_id"):
            continue
        if not isinstance(value, str):
            raise Refusal(f"String is needed as ref value {value!r} for '{key}'")
        found = next((id for id, record in box.store[stream].items() if record.get(column) == value), None)
        if found is None and stream == "users":
            found = next((id for id, record in box.store[stream].items() if record.get("email") == value), None)
        if found is None:
            raise Refusal(f"No lookup value found for '{key}': {json.dumps(value)}")
        sent.pop(key)
        sent[f"{key}_id"] = found


def known(box: Sandbox, sent: Native, references: Mapping[str, str]) -> None:
    """Refuse ids of records that do not exist; numbers may come as text."""
    for key, stream in references.items():
        value = sent.get(key)
        if value in (None, ""):
            continue
        if not str(value).isdecimal() or int(value) not in box.store[stream]:
            raise Refusal(f"Invalid value for param '{key}': {value!r}")
        sent[key] = int(value)


def page(request: Request, records: list[Native], *, default: int = 100, most: int = MOST) -> list[Native]:
    """Return one numbered page; what is asked for beyond ``most`` is cut without a word."""
    sent = given(request)
    size = min(int(sent.get("per_page") or sent.get("limit") or default), most)
    at = (int(sent.get("page") or 1) - 1) * size
    return records[at : at + size]


def listed(box: Sandbox, request: Request, records: Iterable[Native], view: View, **bounds: int) -> Response:
    """Answer a list in the order of its ids."""
    ordered = sorted(records, key=lambda record: record["id"])
    return answer([view(box, record) for record in page(request, ordered, **bounds)])


def me(box: Sandbox) -> Native:
    """Return who asks: the token's owner, or whom the request is made for."""
    return box.store["users"][box.state["asking"]]


def admin(box: Sandbox) -> None:
    """Refuse whoever has no right to administer."""
    if 1 not in me(box)["role_ids"]:
        raise Refusal("Not authorized", 403)


def may(box: Sandbox, group: int, *ways: str) -> bool:
    """Tell whether who asks has one of these ways into a group (``full`` is all of them)."""
    held = box.state["access"].get((box.state["asking"], group), ())
    return bool({"full", *ways} & set(held))


def ticket(box: Sandbox, id: Any, *ways: str) -> Native:
    """Return a ticket that who asks has one of these ways to, or that is his own. Raises the vendor's refusal."""
    record = one(box, "tickets", id, "Ticket")
    if not may(box, record["group_id"], *ways) and record["customer_id"] != box.state["asking"]:
        raise Refusal("Not authorized", 403)
    return record


def fresh(box: Sandbox, stream: str) -> int:
    """Return the next id of a table; each counts by itself."""
    count = box.state["counters"]
    count[stream] = count.get(stream, 0) + 1
    while count[stream] in box.store[stream]:
        count[stream] += 1
    return int(count[stream])


def made(box: Sandbox, stream: str, record: Native) -> Native:
    """Store and return a new record with its id, its dates and who made it."""
    who = box.state["asking"]
    record = {"id": fresh(box, stream), "created_at": now(box), "updated_at": now(box), **record}
    record |= {"created_by_id": who, "updated_by_id": who}
    box.store[stream][record["id"]] = record
    return record


def changed(box: Sandbox, record: Native, values: Native) -> Native:
    """Change a record."""
    record |= {"updated_at": now(box), **values, "updated_by_id": box.state["asking"]}
    return record


def searchable(box: Sandbox, records: Iterable[Native], query: str, fields: Iterable[str]) -> list[Native]:
    """Return what the search finds: words in fields, of records that are in its index by now."""
    lag = box.state["search_lag_seconds"]
    until = stamp(datetime.fromtimestamp(box.clock.now().timestamp() - lag, UTC))
    words = query.replace("*", " ").replace('"', " ").lower().split()
    found = []
    for record in records:
        text = " ".join(str(record.get(field) or "") for field in fields).lower()
        if record["updated_at"] <= until and all(word in text for word in words):
            found.append(record)
    return found
