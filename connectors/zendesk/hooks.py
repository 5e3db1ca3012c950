"""Where Zendesk is odd: comments come ticket by ticket, or in bulk inside the ticket events, whichever costs less;
rules are written in another shape than they are read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from migrator.connector import Cursor, Native, Page, Raw
from migrator.declarative import Declarative, noted
from migrator.errors import AbsentError, ForbiddenError

from .rules.reading import TEXTS

EVENTS_A_TICKET = 15  # assumed where nothing is known; the facts reckon with 5 to 24
EVENTS_A_CALL = 1000
WORTH_IT = 200  # tickets: below this the calls are too few to matter, and the list by ticket is the surer one


def cheaper_route(tickets: int, per_minute: int, exports_per_minute: int) -> str:
    """Return ``ticket`` (a call a ticket) or ``events`` (``ticket_events`` with comments), by the minutes they take."""
    if tickets < WORTH_IT:
        return "ticket"
    by_ticket = tickets / per_minute
    by_events = tickets * EVENTS_A_TICKET / EVENTS_A_CALL / exports_per_minute
    return "events" if by_events < by_ticket else "ticket"


def comments(
    source: Declarative, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]
) -> Iterator[Page]:
    """Yield comments by the route an earlier page chose, or the cheaper one."""
    ids = list(parents("tickets"))
    route = (start or {}).get("route") or source.options.get("comments")
    if route not in ("ticket", "events"):
        limits = {limit.name: limit.per_minute for limit in source.client.pacer.limits}
        route = cheaper_route(len(ids), limits.get("account", 400), limits.get("incremental exports", 10))
    if route == "ticket":
        for page in source.children(stream, start if (start or {}).get("after") else None, lambda _: ids):
            yield replace(page, cursor={**page.cursor, "route": route})
        return
    yield from _by_events(source, start, set(ids))


class _Child(msgspec.Struct):
    id: int | str
    event_type: str | None = None
    created_at: str | None = None


class _Event(msgspec.Struct):
    ticket_id: int | str | None = None
    created_at: str | None = None
    child_events: list[msgspec.Raw] | None = None


class _Events(msgspec.Struct):
    ticket_events: list[_Event] | None = None
    end_time: int | None = None
    end_of_stream: bool | None = None


EVENTS, CHILD = msgspec.json.Decoder(_Events), msgspec.json.Decoder(_Child)


def _by_events(source: Declarative, start: Cursor | None, tickets: set[str]) -> Iterator[Page]:
    at: dict[str, Any] = dict((start or {}).get("params") or {"start_time": 1})
    while True:
        query = {"include": "comment_events", "per_page": EVENTS_A_CALL, **at}
        answer = EVENTS.decode(source.client.read("/api/v2/incremental/ticket_events.json", query).content)
        records = []
        for event in answer.ticket_events or []:
            ticket = str(event.ticket_id)
            for raw in (event.child_events or []) if ticket in tickets else []:
                body = bytes(raw)  # whole and as it came; a comment without a date of its own has its event's
                if b"Comment" not in body:
                    continue  # most events are changes of fields
                child = CHILD.decode(raw)
                if child.event_type == "Comment":
                    if child.created_at is None and event.created_at:
                        body = b'{"created_at":' + msgspec.json.encode(event.created_at) + b"," + body.lstrip()[1:]
                    records.append(Raw(str(child.id), body, child.created_at or event.created_at, ticket))
        done = bool(answer.end_of_stream) or answer.end_time is None or answer.end_time == at.get("start_time")
        at = {"start_time": answer.end_time or at["start_time"]}
        # Events come in the order of their time, and a comment's event is never later than its ticket's last change.
        until = datetime.fromtimestamp(at["start_time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield Page(records, {"route": "events", "params": at}, done, until=until)
        if done:
            return


def ticket_field(payload: Native) -> Native:
    """Return the body of ``POST ticket_fields``: options for choices only."""
    return _options(payload)


def person_field(payload: Native) -> Native:
    """Return the body of ``POST user_fields`` and ``organization_fields``."""
    return _options(payload)


def _options(payload: Native) -> Native:
    if payload.get("type") not in ("tagger", "dropdown", "multiselect"):
        payload.pop("custom_field_options", None)
    return payload


def comment(payload: Native) -> Native:
    """Return the body of ``PUT tickets/{id}`` that adds a comment."""
    return {"comment": payload}


def commented(answer: Native) -> Native:
    """Return the comment that a changed ticket's audit names (a comment has the number of its event)."""
    events = answer["audit"]["events"]
    return next({"id": event["id"]} for event in events if event.get("type") == "Comment")


# ---- rules -----------------------------------------------------------------------------------------------------------


def form_conditions(
    source: Declarative, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]
) -> Iterator[Page]:
    """Yield the forms once more, each with a word on whether any of its fields depends on another."""
    for page in source.list_of(stream, start):
        held = []
        for record in page.records:
            form = json.loads(record.body)
            plain = not (form.get("agent_conditions") or form.get("end_user_conditions"))
            held.append(replace(record, body=noted(record.body, "plain", plain)))
        yield replace(page, records=held)


def custom_roles(
    source: Declarative, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]
) -> Iterator[Page]:
    """Yield the roles, each with its rights as a list of lines ``name: value``."""
    for page in source.list_of(stream, start):
        held = []
        for record in page.records:
            rights = json.loads(record.body).get("configuration") or {}
            lines = sorted(f"{name}: {json.dumps(value)}" for name, value in rights.items())
            held.append(replace(record, body=noted(record.body, "rights", lines)))
        yield replace(page, records=held)


def dynamic_content(
    source: Declarative, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]
) -> Iterator[Page]:
    """Yield the items, each with the name its placeholder has, and whether a text names fields by their numbers."""
    for page in source.list_of(stream, start):
        held = []
        for record in page.records:
            item = json.loads(record.body)
            numbers = any(NUMBERED.search(str(one.get("content"))) for one in item.get("variants") or ())
            body = noted(record.body, "key", _placeholder_name(item))
            held.append(
                replace(record, body=noted(body, "fields_named", "by their old numbers" if numbers else "none"))
            )
        yield replace(page, records=held)


def support_addresses(
    source: Declarative, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]
) -> Iterator[Page]:
    """Yield the support addresses, each with a word on whether it is one of the vendor's own domain."""
    for page in source.list_of(stream, start):
        held = []
        for record in page.records:
            own = str(json.loads(record.body).get("email") or "").lower().endswith(".zendesk.com")
            held.append(replace(record, body=noted(record.body, "built_in", own)))
        yield replace(page, records=held)


def with_texts(
    source: Declarative, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]
) -> Iterator[Page]:
    """Yield rules, each with the dynamic content that its texts name: others are given the texts themselves."""
    items: dict[str, Any] | None = None
    for page in source.list_of(stream, start):
        held = []
        for record in page.records:
            used = set(NAMED_TEXT.findall(record.body.decode("utf-8", "replace")))
            if used and items is None:
                items = _items(source)
            texts = {f"dc.{name}": items[name] for name in sorted(used) if items and name in items}
            held.append(replace(record, body=noted(record.body, TEXTS, texts)) if texts else record)
        yield replace(page, records=held)


NUMBERED = re.compile(r"ticket_field_(?:option_title_)?\d|custom_fields_\d")
NAMED_TEXT = re.compile(r"\bdc\.([\w-]+)")


def _placeholder_name(item: Native) -> str:
    return str(item.get("placeholder") or "").strip("{} ").removeprefix("dc.")


def _items(source: Declarative) -> dict[str, Any]:
    """Return the dynamic content by the names of its placeholders; none where the plan has none."""
    try:
        pages = list(source.list_of("dynamic_content_items", None))
    except (ForbiddenError, AbsentError):
        return {}
    items = [json.loads(record.body) for page in pages for record in page.records]
    return {_placeholder_name(item): item for item in items}


def schedule(payload: Native) -> Native:
    """Return the body of ``POST schedules``, which takes no hours."""
    return {key: value for key, value in payload.items() if key != "intervals"}


def workweek(payload: Native) -> Native:
    """Return the body of ``PUT schedules/{id}/workweek``."""
    return {"intervals": payload.get("intervals") or []}


def form_condition(payload: Native) -> Native:
    """Return the body of ``PUT ticket_forms/{id}`` that sets both lists of conditions."""
    sides = {key: payload.get(key) or [] for key in ("agent_conditions", "end_user_conditions")}
    return {key: [_numbered(one) for one in some] for key, some in sides.items()}


def _numbered(node: Any) -> Any:
    """Return a condition with the ids in it as numbers."""
    if isinstance(node, list):
        return [_numbered(one) for one in node]
    if not isinstance(node, dict):
        return node
    ids = {key: int(v) for key, v in node.items() if key in ("id", "parent_field_id") and str(v).isdecimal()}
    return {key: _numbered(value) for key, value in node.items()} | ids


def signature(payload: Native) -> Native:
    """Return an item of ``PUT users/update_many`` that sets the signature alone."""
    return {"id": int(str(payload["id"]).removeprefix("signature:")), "signature": payload.get("signature")}


def brand(payload: Native) -> Native:
    """Return the body of ``POST /brands``: its subdomain is nobody else's in the world, the old account included."""
    word = re.sub(r"[^a-z0-9]+", "-", str(payload.get("name")).lower()).strip("-")[:40].strip("-") or "brand"
    told = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:8]
    return {**payload, "subdomain": f"{word}-{told}"}


def custom_role(payload: Native) -> Native:
    """Return the body of ``POST /custom_roles``, with the rights under their names."""
    body = dict(payload)
    lines = (line.partition(": ") for line in body.pop("rights", None) or ())
    return {**body, "configuration": {name: _value(text) for name, _, text in lines}}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def text_item(payload: Native) -> Native:
    """Return the body of ``POST dynamic_content/items``: the languages as numbers, one of them the default."""
    first = int(payload["default_locale_id"])
    made = [{**one, "locale_id": int(one["locale_id"])} for one in payload.get("variants") or ()]
    variants = [{**one, "default": one["locale_id"] == first} for one in made]
    return {"name": payload["name"], "default_locale_id": first, "variants": variants}


def text_made(answer: Native) -> Native:
    """Return the item that was made, with the name its placeholder has."""
    return {**answer["item"], "key": _placeholder_name(answer["item"])}


def webhook(payload: Native) -> Native:
    """Return the body of ``POST /webhooks``: rules call it where nothing else does."""
    return {"subscriptions": ["conditional_ticket_events"], **payload}


def automation(payload: Native) -> Native:
    """Return the body of ``POST /automations``, which has the two lists of conditions by themselves."""
    return _listed(payload)


def view(payload: Native) -> Native:
    """Return the body of ``POST /views``: the conditions as two lists, the columns by their names."""
    body = _listed(payload)
    look = body.pop("execution", None) or {}
    columns = [{"number": "nice_id"}.get(one["id"], one["id"]) for one in look.get("columns") or ()]
    order = {key: look[key] for key in ("group_by", "group_order", "sort_by", "sort_order") if look.get(key)}
    return _shared({**body, "output": {"columns": columns, **order}})


def macro(payload: Native) -> Native:
    """Return the body of ``POST /macros``."""
    return _shared(dict(payload))


def _listed(payload: Native) -> Native:
    body = dict(payload)
    asked = body.pop("conditions", None) or {}
    return {**body, "all": asked.get("all") or [], "any": asked.get("any") or []}


def _shared(body: Native) -> Native:
    """Return it with the ids of those who may use it as numbers."""
    who = body.get("restriction")
    if who:
        ids = [int(id) if str(id).isdecimal() else id for id in who.get("ids") or ()]
        body["restriction"] = {**who, "id": ids[0] if ids else None, "ids": ids}
    return body
