"""Where Intercom is odd: threads come inside their conversation and are cut off, dates of attributes are numbers, tags of
people are ids, tickets are only found by a search, and workflows are handed out one by one (specification 2.16)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from migrator.connector import Cursor, Native, Page, Raw, at_path
from migrator.declarative import Declarative, noted, split
from migrator.errors import AbsentError
from migrator.manifest import Stream

Parents = Callable[[str], Iterable[str]]
EVERY = {"field": "created_at", "operator": ">", "value": "0"}  # a search must ask for something


def _body(native: Native) -> bytes:
    return json.dumps(native, ensure_ascii=False).encode()


def _dates(source: Declarative, path: str) -> set[str]:
    """Return the names of the attributes that are dates: Intercom keeps those as seconds since 1970."""
    try:
        listed = source.client.read(path).json()["data"]
    except AbsentError:
        return set()
    return {one["name"] for one in listed if one.get("data_type") in ("date", "datetime")}


def _values(held: Native | None, dates: set[str]) -> Native:
    """Return custom values with dates as dates."""
    return {name: _day(value) if name in dates else value for name, value in (held or {}).items()}


def _day(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d")
    return value


# ---- people ----------------------------------------------------------------------------------------------------------


def contacts(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield contacts, each with the names of its tags (``_tags``) and its first company (``_company``)."""
    dates = _dates(source, "/data_attributes?model=contact&include_archived=true")
    names = {str(tag["id"]): tag["name"] for tag in source.client.read("/tags").json()["data"]}

    def shown(record: Raw) -> Raw:
        native = json.loads(record.body)
        tags = native.get("tags") or {}
        ids = [str(one["id"]) for one in tags.get("data") or []]
        if tags.get("has_more"):
            ids = [str(one["id"]) for one in source.client.read(f"/contacts/{record.id}/tags").json()["data"]]
        firms = (native.get("companies") or {}).get("data") or []
        native |= {"_tags": [names.get(id, id) for id in ids], "_company": firms[0]["id"] if firms else None}
        native["_values"] = _values(native.get("custom_attributes"), dates)
        return replace(record, body=_body(native))

    for page in source.list_of(stream, start):
        yield replace(page, records=[shown(record) for record in page.records])


# ---- conversations and tickets ---------------------------------------------------------------------------------------


def conversations(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield conversations, each read by its own address with its thread; what is cut off of a thread is ``_missing``."""
    dates = _dates(source, "/conversations/attributes")

    def shown(native: Native) -> Native:
        source_of = native.get("source") or {}
        held = native.get("conversation_parts") or {}
        missing = int(held.get("total_count") or 0) - len(held.get("conversation_parts") or [])
        native |= {"_said": _says(source_of), "_missing": missing if missing > 0 else None} | _people(native)
        native["_values"] = _values(native.get("custom_attributes"), dates)
        _number(native["id"], source_of)
        return native

    yield from _threads(source, source.list_of(stream, start), "conversation_parts", shown)


def tickets(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield tickets, found by a search."""

    def shown(native: Native) -> Native:
        kind = native.get("ticket_type") or {}
        held = (kind.get("ticket_type_attributes") or {}).get("ticket_type_attributes") or []
        dates = {one["name"] for one in held if one.get("data_type") == "datetime"}
        values = _values(native.get("ticket_attributes"), dates)
        native["_values"] = {f"{kind.get('id')}:{name}": value for name, value in values.items() if name[:1] != "_"}
        return native | _people(native)

    yield from _threads(source, _found(source, source.manifest.streams[stream], start), "ticket_parts", shown)


def _found(source: Declarative, spec: Stream, start: Cursor | None) -> Iterator[Page]:
    at = None if start is None or start.get("done") else start.get("after")
    while True:
        wanted = {"per_page": spec.paging.size, **({"starting_after": at} if at else {})}
        answer = source.client.ask(spec.path, {"query": EVERY, "pagination": wanted})
        _, records = split(answer.content, spec.items)
        at = at_path(answer.json(), "pages.next.starting_after")
        yield Page(records, {"after": at} if at else {"done": True}, not at)
        if not at:
            return


def _threads(
    source: Declarative, pages: Iterable[Page], parts: str, shown: Callable[[Native], Native]
) -> Iterator[Page]:
    """Yield the records of each page as their own address shows them, with their threads beside them."""
    one = "/conversations/" if parts == "conversation_parts" else "/tickets/"

    def look(record: Raw) -> tuple[Raw, list[Raw]] | None:
        try:
            native = source.client.read(one + record.id).json()
        except AbsentError:
            return None  # gone between the list and the look
        held = _parts(native, parts, record.id)
        native = shown(native)
        native[parts] = {key: value for key, value in native[parts].items() if key != parts} if held else None
        return replace(record, body=_body(native)), held

    for page in pages:
        with ThreadPoolExecutor(source.workers) as pool:
            seen = [pair for pair in pool.map(look, page.records) if pair]
        also = {parts: [part for _, held in seen for part in held]}
        whole = {parts: {record.id: [part.id for part in held] for record, held in seen}}
        yield replace(page, records=[record for record, _ in seen], also=also, whole=whole)


def _parts(native: Native, parts: str, parent: str) -> list[Raw]:
    """Return the thread: what is said, ``_said``, and what was done."""
    found = []
    for part in (native.get(parts) or {}).get(parts) or []:
        _number(part["id"], part)
        part["_said"] = _says(part)
        found.append(Raw(str(part["id"]), _body(part), str(part.get("updated_at") or ""), parent))
    return found


def _number(id: str, native: Native) -> None:
    """Give attachments ids, which they have not: that of the message, and their place."""
    for place, one in enumerate(native.get("attachments") or [], 1):
        one["_id"] = f"{id}:{place}"


def _says(native: Native) -> bool:
    return bool(native.get("body") or native.get("attachments"))


def _people(native: Native) -> Native:
    """Return the first of its contacts (else who wrote first), and the others."""
    ids = [one["id"] for one in (native.get("contacts") or {}).get("contacts") or []]
    first = ids[0] if ids else at_path(native, "source.author.id")
    return {"_requester": first, "_others": ids[1:]}


def conversation_parts(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the threads of conversations that did not come with them."""
    yield from _children(source, stream, start, parents)


def ticket_parts(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the threads of tickets that did not come with them."""
    yield from _children(source, stream, start, parents)


def _children(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    def thread(spec: Stream, parent: str) -> list[Raw]:
        try:
            return _parts(source.client.read(spec.path.replace("{parent}", parent)).json(), stream, parent)
        except AbsentError:
            return []

    yield from source.children(stream, start, parents, thread)


def attributes(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield attributes; ``_list`` says whether one offers choices."""
    for page in source.list_of(stream, start):
        records = [
            replace(record, body=noted(record.body, "_list", bool(json.loads(record.body).get("options"))))
            for record in page.records
        ]
        yield replace(page, records=records)


# ---- customizations --------------------------------------------------------------------------------------------------


def office_hours(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield schedules, each with its days off and odd days (``_exceptions``)."""

    def shown(record: Raw) -> Raw:
        answer = source.client.read(f"/office_hours_schedules/{record.id}/office_hours_exceptions").json()
        return replace(record, body=_body({**json.loads(record.body), "_exceptions": answer["data"]}))

    for page in source.list_of(stream, start):
        yield replace(page, records=[shown(record) for record in page.records])


def workflows(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the workflows whose numbers the account's options name: Intercom lists none."""
    found = []
    for id in source.options.get("workflows", "").split():
        try:
            native = source.client.read(f"/export/workflows/{id}").json()["workflow"]
        except AbsentError:
            continue
        found.append(Raw(str(native["id"]), _body(native), str(native.get("updated_at") or "")))
    yield Page(found, {}, done=True)


def articles(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield articles, each with the name of the collection it lies in (``_collection``)."""
    names: dict[str, str] = {}
    page, pages = 1, 1
    while page <= pages:
        answer = source.client.read("/help_center/collections", {"page": page, "per_page": 25}).json()
        names |= {str(one["id"]): one["name"] for one in answer["data"]}
        page, pages = page + 1, int(at_path(answer, "pages.total_pages") or 1)
    for each in source.list_of(stream, start):
        records = []
        for record in each.records:
            native = json.loads(record.body)
            within = native.get("parent_ids") or [native.get("parent_id")]
            records.append(replace(record, body=_body({**native, "_collection": names.get(str(within[0]))})))
        yield replace(each, records=records)


def ticket_types(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield ticket types, each attribute with the name its values are kept under (``_key``), and the fields' ids."""
    for page in source.list_of(stream, start):
        records = []
        for record in page.records:
            native = json.loads(record.body)
            held = (native.get("ticket_type_attributes") or {}).get("ticket_type_attributes") or []
            for one in held:
                one["_key"] = f"{record.id}:{one['name']}"
            ids = [f"ticket_type:{one['id']}" for one in held if not one.get("default")]
            records.append(replace(record, body=_body({**native, "_field_ids": ids})))
        yield replace(page, records=records)
