"""Where Freshdesk is odd: tickets by their date of change, with their conversations; the archive; a field is made in
another shape than read (developers.freshdesk.com/api, 2026-11-22)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from migrator.connector import Cursor, Page, Raw
from migrator.declarative import Declarative, noted, split
from migrator.errors import AbsentError, InputError, RefusedError, TruncatedError
from migrator.http import Client
from migrator.manifest import Stream

from .connection import Connection
from .dependent import BETWEEN, joined, nested, with_paths
from .rules.names import EVERYBODYS
from .sections import form, listed

Native = dict[str, Any]
Parents = Callable[[str], Iterable[str]]

EMBEDDED = 10  # conversations in the view of a ticket, at most
BEGINNING = "1970-01-01T00:00:00Z"
TRIES = 5  # listings of one second that must agree
PROBES_A_PAGE = 50
MANY = 1000  # missing numbers that are looked for without asking
PROBES_BEYOND = (2, 20, 0.005)  # numbers asked for behind the last: at least, at most, and this share of the tickets


# ---- tickets ---------------------------------------------------------------------------------------------------------


def tickets(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield every ticket, those of each filter after the others, in the order of their last change, each looked at with
    its conversations: one call a ticket, unless it has more than ten.

    Each list is asked for anew from the last change seen (``updated_since`` includes it) and never by page number: a
    ticket that changes meanwhile goes to the end, and no other one slips past. One that goes from list to list is met
    by asking round about until no list has anything new. The cursor is ``{"of": which filter, "quiet": lists in a row
    with nothing new, "at": {filter: [date of change to go on from, ids of that date that were read]}, "second": where
    within a date that has more tickets than a page holds}``.
    """
    spec = source.manifest.streams[stream]
    at: dict[str, Any] = dict(start or {"of": 0, "quiet": 0, "at": {}})
    if at.pop("done", False):  # a new round; what changed twice in the last second is looked at again
        at |= {"of": 0, "quiet": 0, "at": {name: [since, []] for name, (since, _) in at["at"].items()}}
    while True:
        query = spec.each[at["of"]]
        name = json.dumps(query)
        since, known = at["at"].get(name, (BEGINNING, []))
        ended = False
        if at.get("second") is None:
            listed, more = _asked(source, spec, query, since)
            if more and listed[-1].updated_at == since:
                at["second"] = ""
                continue  # this date alone fills a page: it is read whole, apart
            fresh = [record for record in listed if not (record.updated_at == since and record.id in known)]
            if listed:
                newest = str(listed[-1].updated_at)
                same = [record.id for record in listed if record.updated_at == newest]
                at["at"] = {**at["at"], name: [newest, sorted({*same, *known}) if newest == since else same]}
            ended = not more and (len(listed) < spec.paging.size or not fresh)
        else:
            ids = [record for record in _second(source, spec, query, since) if record.id not in known]
            rest = [record for record in ids if (len(record.id), record.id) > (len(at["second"]), at["second"])]
            fresh = rest[: spec.paging.size]
            if len(rest) > spec.paging.size:
                at["second"] = fresh[-1].id
            else:
                at["second"], at["at"] = None, {**at["at"], name: [_next_second(since), []]}
        at["quiet"] = 0 if fresh else at["quiet"] + ended
        if ended:
            at["of"] = (at["of"] + 1) % len(spec.each)
        done = at["quiet"] >= len(spec.each)
        records, also, whole = _looked(source, spec, fresh, keep=bool(query))
        cursor = {**at, "goes_on": True, **({"done": True} if done else {})}
        yield Page(records, cursor, done, {"conversations": also}, {"conversations": whole})
        if done:
            return


def _asked(source: Declarative, spec: Stream, query: Any, since: str, page: int = 1) -> tuple[list[Raw], bool]:
    """Return one page of the list from a date of change on, and whether more follows. Raises TruncatedError where the
    page is not what was asked for: what it leaves out could not be told."""
    size = spec.paging.size
    asked = {**spec.params, **query, "updated_since": since, spec.paging.size_param: size}
    answer = source.client.read(spec.path, asked | ({"page": page} if page > 1 else {}))
    _, records = split(answer.content, spec.items, spec.id, spec.updated_at)
    more = "next" in answer.links
    dates = [str(record.updated_at) for record in records]
    if dates != sorted(dates) or (dates and dates[0] < since):
        raise TruncatedError(f"Freshdesk lists tickets out of order from {since} on; extract again")
    if more and len(records) < size:
        raise TruncatedError(f"Freshdesk lists {len(records)} of {size} tickets from {since} on, and more follow")
    return records, more


def _second(source: Declarative, spec: Stream, query: Any, since: str) -> list[Raw]:
    """Return every ticket changed in one second, by their numbers. They can only be told by page numbers, so they are
    listed until a listing shows nothing new. Raises TruncatedError beyond the vendor's last page."""
    found: dict[str, Raw] = {}
    for _ in range(TRIES):
        before, page, more = len(found), 0, True
        while more:
            page += 1
            if page > (spec.paging.most or page):
                raise TruncatedError(
                    f"more than {spec.paging.most} pages of tickets were changed in one second ({since}), and Freshdesk"
                    " hands over no more; change some of them, then extract again"
                )
            records, more = _asked(source, spec, query, since, page)
            found.update({record.id: record for record in records if record.updated_at == since})
            more = more and records[-1].updated_at == since
        if page == 1 or len(found) == before:
            return sorted(found.values(), key=lambda record: (len(record.id), record.id))
    raise TruncatedError(f"Freshdesk lists other tickets of {since} each time; extract again")


def _next_second(moment: str) -> str:
    return (datetime.fromisoformat(moment) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _looked(
    source: Declarative, spec: Stream, listed: list[Raw], *, keep: bool
) -> tuple[list[Raw], list[Raw], dict[str, list[str]]]:
    """Return the tickets as their own address shows them, their conversations, and whose are complete."""

    def look(record: Raw) -> tuple[Raw, list[Raw]] | None:
        try:
            answer = source.client.read((spec.view or "").replace("{id}", record.id), {"include": "conversations"})
        except AbsentError:
            return (record, []) if keep else None  # gone; of a deleted one, what the list shows is all there is
        parts = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
        _, held = split(bytes(parts.pop("conversations", msgspec.Raw(b"[]"))), None)
        return replace(record, body=msgspec.json.encode(parts)), [replace(each, parent=record.id) for each in held]

    with ThreadPoolExecutor(source.workers) as pool:
        seen = [pair for pair in pool.map(look, listed) if pair]
    whole = {record.id: [each.id for each in held] for record, held in seen if len(held) < EMBEDDED}
    return [_joined(source, record) for record, _ in seen], [each for _, held in seen for each in held], whole


def _joined(source: Declarative, record: Raw) -> Raw:
    """Return a ticket whose dependent fields are one each."""
    dependent = source.dependent() if isinstance(source, Connection) else []
    return replace(record, body=joined(record.body, dependent)) if dependent else record


def ticket_fields(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the ticket fields, a dependent one with the paths of its choices."""
    for page in source.list_of(stream, start):
        if isinstance(source, Connection):
            source.learn([json.loads(record.body) for record in page.records])
        yield replace(page, records=[replace(record, body=with_paths(record.body)) for record in page.records])


def sections(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the sections of the ticket form, each as a record."""
    yield Page([_record(one) for one in listed(source.client)], {"done": True}, done=True)


def forms(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the one form that agents see, where fields of it depend on others."""
    held = form(source.client)
    yield Page([_record(held)] if held else [], {"done": True}, done=True)


def _record(body: Native) -> Raw:
    return Raw(str(body["id"]), json.dumps(body, ensure_ascii=False).encode(), None)


def conversations(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the conversations of tickets that have more of them than the view shows."""

    def thread(spec: Stream, ticket: str) -> list[Raw]:
        try:
            return source.child(spec, ticket)
        except AbsentError:  # since it was looked at it went to the archive, or for good
            archive = spec.model_copy(update={"path": "/tickets/archived/{parent}/conversations", "absent": True})
            return source.child(archive, ticket)

    yield from source.children(stream, start, parents, thread)


# ---- the archive -----------------------------------------------------------------------------------------------------


def archived(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the tickets of the archive, which no list shows: each number that the lists left out is asked for.

    A ticket's number is the next free one of its account. The cursor is ``{"to": the last number asked for}``.
    """
    spec, size = source.manifest.streams[stream], PROBES_A_PAGE
    known = {int(id) for id in parents(spec.parent or "") if id.isdigit()}
    at, last = int((start or {}).get("to", 0)), max(known, default=0)
    missing = [number for number in range(at + 1, last + 1) if number not in known]
    wish = source.options.get("archive", "")
    if wish == "leave":
        yield Page([], {"to": at, "goes_on": True}, done=True)
        return
    if wish != "read" and len(missing) > max(MANY, len(known)):
        raise InputError(
            f"{len(missing):,} ticket numbers are in no list of Freshdesk; each costs a call to look for",
            remedy="say `options: {archive: read}` or `options: {archive: leave}` for this account in migration.yaml",
        )

    def probe(number: int) -> tuple[Raw, list[Raw]] | None:
        try:
            body = source.client.read(spec.path.replace("{id}", str(number))).content
        except AbsentError:
            return None
        _, (record,) = split(b"[" + body + b"]", None, spec.id, spec.updated_at)
        thread = source.manifest.streams["conversations"]
        path = "/tickets/archived/{parent}/conversations"
        return _joined(source, record), source.child(
            thread.model_copy(update={"path": path, "absent": True}), record.id
        )

    def page(numbers: list[int], *, done: bool) -> Page:
        first = [probe(number) for number in numbers[:1]]  # alone: where the plan has no archive, one refusal will do
        with ThreadPoolExecutor(source.workers) as pool:
            found = [pair for pair in [*first, *pool.map(probe, numbers[1:])] if pair]
        also = [each for _, held in found for each in held]
        whole = {record.id: [each.id for each in held] for record, held in found}
        cursor = {"to": numbers[-1] if numbers else at, "goes_on": True}
        return Page([record for record, _ in found], cursor, done, {"conversations": also}, {"conversations": whole})

    for place in range(0, len(missing), size):
        yield page(missing[place : place + size], done=False)
    last, (least, most, share) = max(last, at), PROBES_BEYOND  # the newest tickets of all may lie in the archive
    probes = min(most, max(least, int(len(known) * share)))
    while True:
        beyond = page(list(range(last + 1, last + 1 + probes)), done=False)
        if not beyond.records:
            # What comes into being later takes these numbers: the next round asks for them again.
            yield Page([], {"to": last, "goes_on": True}, done=True)
            return
        last = max(int(record.id) for record in beyond.records)
        yield replace(beyond, cursor={"to": last, "goes_on": True})


# ---- people ----------------------------------------------------------------------------------------------------------


def agents(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the agents as they are listed, each with his roles, which only his own address tells, and a word on
    whether his signature is markup that says nothing, as new agents have."""

    def with_roles(record: Raw) -> Raw:
        native = json.loads(record.body)
        if native.get("signature"):
            record = replace(record, body=noted(record.body, "_blank", blank(native["signature"])))
        if "role_ids" in native:
            return record
        try:
            shown = source.client.read(f"/agents/{record.id}").json()
        except AbsentError:
            return record
        return replace(record, body=noted(record.body, "role_ids", shown.get("role_ids") or []))

    for page in source.list_of(stream, start):
        with ThreadPoolExecutor(source.workers) as pool:
            yield replace(page, records=list(pool.map(with_roles, page.records)))


def blank(signature: str) -> bool:
    """Say whether HTML shows nothing: ``<div dir="ltr"><p><br></p></div>`` (recorded)."""
    return not re.sub(r"<(?!img\b)[^>]*>|&nbsp;|\s", "", signature, flags=re.IGNORECASE)


# ---- writing ---------------------------------------------------------------------------------------------------------


def signature(payload: Native) -> Native:
    """Return the body of ``PUT /agents/{id}`` that sets the signature alone."""
    return {"signature": payload.get("signature")}


def ticket_field(payload: Native) -> Native:
    """Return the body of ``POST /admin/ticket_fields``: options as objects, and a wording for the portal."""
    levels = payload.get("_levels") or 1
    body = {key: value for key, value in payload.items() if key != "_levels"}
    body = _options({**body, "label_for_customers": body["label"]})
    depth = max((choice["value"].count(BETWEEN) + 1 for choice in body.get("choices") or ()), default=1)
    return nested(body, depth) if 1 < depth <= levels else body


def ticket_field_made(answer: Native) -> Native:
    """Return the field that was made: a dependent one stands in an envelope."""
    field: Native = answer.get("ticket_field", answer)
    return field


def person_field(payload: Native) -> Native:
    """Return the body of ``POST /contact_fields``."""
    return _options({**payload, "label_for_customers": payload["label"]})


def company_field(payload: Native) -> Native:
    """Return the body of ``POST /company_fields``, which has no portal."""
    return _options(payload)


def _options(payload: Native) -> Native:
    choices = payload.pop("choices", None)
    if payload["type"] == "custom_dropdown":
        labels = [choice["value"] if isinstance(choice, dict) else choice for choice in choices or []]
        payload["choices"] = [{"value": label, "position": place} for place, label in enumerate(labels, 1)]
    return payload


# ---- rules -----------------------------------------------------------------------------------------------------------


def automations(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the rules of one type, each with its type in it: the address alone may say so."""
    spec = source.manifest.streams[stream]
    kind = int(spec.path.split("/")[2])
    for page in source.list_of(stream, start):
        held = [
            r if "rule_type" in json.loads(r.body) else replace(r, body=noted(r.body, "rule_type", kind))
            for r in page.records
        ]
        yield replace(page, records=held)


def statuses(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the statuses of the account's own, each as a record: only the choices of the field Status list them.

    What one counts as is told nowhere; its clocks run, as those of an open one (assumed).
    """
    for field in source.client.read("/ticket_fields").json():
        if field.get("name") != "status" or not isinstance(field.get("choices"), dict):
            continue
        held = []
        for number, labels in field["choices"].items():
            if number in EVERYBODYS:  # which the mapping speaks of
                continue
            told = [str(one) for one in labels] if isinstance(labels, list) else [str(labels)]
            body = {"id": int(number), "name": told[0], "customer_name": told[-1], "category": "open"}
            held.append(Raw(number, json.dumps(body, ensure_ascii=False).encode(), None))
        yield Page(held, {"done": True}, done=True)
        return
    yield Page([], {"done": True}, done=True)


def canned_responses(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the canned responses of each folder, with their texts, which no list shows."""

    def texts(spec: Stream, folder: str) -> list[Raw]:
        listed = source.child(spec, folder)
        return [replace(r, body=source.client.read(f"/canned_responses/{r.id}").content) for r in listed]

    yield from source.children(stream, start, parents, texts)


def canned_response(client: Client, payload: Native) -> Native:
    """Return the body of ``POST /canned_responses``: it lies in a folder that is everybody's, or its groups'.

    Raises RefusedError where the account has none: a folder is nobody's to make who was not asked.
    """
    folders = [one for one in client.read("/canned_response_folders").json() if not one.get("personal")]
    if not folders:
        raise RefusedError("there is no folder for canned responses that all may use: make one, then retry")
    groups = payload.get("group_ids") or []
    folder = min(folders, key=lambda one: int(one["id"]))
    return {**payload, "folder_id": folder["id"], "visibility": 2 if groups else 0}


def automation(payload: Native) -> Native:
    """Return the body of ``POST /automations/{type}/rules``: the address says which type it is."""
    return {key: value for key, value in payload.items() if key not in ("rule_type", "id")}


def policy(payload: Native) -> Native:
    """Return the body of ``POST /sla_policies``."""
    return {key: value for key, value in payload.items() if key not in ("is_default", "id")}
