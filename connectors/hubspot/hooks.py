"""Where HubSpot is odd: properties come only if they are asked for, several choices in one text, contacts and owners
may share a number, stages mean what their pipeline says (specifications v3 and v4, 2026-08-21)."""

from __future__ import annotations

import html
import json
import mimetypes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from migrator.connector import Cursor, Native, Page, Raw, at_path
from migrator.declarative import Declarative
from migrator.errors import AbsentError, ForbiddenError

from .names import FIXED
from .rules import listed

Parents = Callable[[str], Iterable[str]]


def _objects(
    source: Declarative, stream: str, start: Cursor | None, shown: Callable[[Native], Native], *beside: str
) -> Iterator[Page]:
    """Yield records of a kind with the properties we read, the customer's own among them, and what goes with them."""
    spec = source.manifest.streams[stream]
    own: dict[str, str] = {}
    if stream in ("tickets", "contacts", "companies"):
        held = source.client.read(f"/crm/v3/properties/{stream}").json()["results"]
        own = {one["name"]: one.get("fieldType", "") for one in held if not one.get("hubspotDefined")}
    params = {"properties": ",".join([*FIXED[stream], *own])}
    if beside:
        params["associations"] = ",".join(beside)
    for page in source._list(spec, spec.path, {**spec.params, **params}, start):
        records = []
        for record in page.records:
            native = json.loads(record.body)
            values = {name: native["properties"].get(name) for name in own}
            native["_values"] = {name: _value(value, own[name]) for name, value in values.items() if value is not None}
            native = shown(native)
            records.append(replace(record, body=json.dumps(native, ensure_ascii=False).encode()))
        yield replace(page, records=records)


def _value(value: Any, field: str) -> Any:
    return [one for one in str(value).split(";") if one] if field == "checkbox" else value


def _goes_with(native: Native, other: str) -> str | None:
    """Return the id of the first record of another kind that goes with this one."""
    held = at_path(native, f"associations.{other}.results") or []
    return str(held[0]["id"]) if held else None


# ---- people ----------------------------------------------------------------------------------------------------------


def _name(native: Native, first: str, last: str) -> str:
    return " ".join(filter(None, (native.get(first), native.get(last))))


def owners(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield owners, each with its whole name (``_name``)."""
    for page in source.list_of(stream, start):
        records = []
        for record in page.records:
            native = json.loads(record.body)
            native["_name"] = _name(native, "firstName", "lastName")
            records.append(replace(record, body=json.dumps(native, ensure_ascii=False).encode()))
        yield replace(page, records=records)


def companies(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield companies."""
    yield from _objects(source, stream, start, lambda native: native)


def contacts(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield contacts, each with its whole name (``_name``)."""

    def shown(native: Native) -> Native:
        return native | {"_name": _name(native["properties"], "firstname", "lastname")}

    yield from _objects(source, stream, start, shown)


# ---- tickets ---------------------------------------------------------------------------------------------------------


def tickets(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield tickets, each with what its stage means (``_status``), who asks (``_contact``), the firm (``_company``)."""
    stages: dict[tuple[str, str], str] = {}
    for pipeline in source.client.read("/crm/v3/pipelines/tickets").json()["results"]:
        for stage in pipeline["stages"]:
            default = pipeline["id"] == "0" and stage["id"] in ("1", "2", "3", "4")
            state = (stage.get("metadata") or {}).get("ticketState")
            stages[pipeline["id"], stage["id"]] = f"stage:{stage['id']}" if default else f"state:{state}"

    def shown(native: Native) -> Native:
        held = native["properties"]
        at = (str(held.get("hs_pipeline")), str(held.get("hs_pipeline_stage")))
        more = {"_contact": _goes_with(native, "contacts"), "_company": _goes_with(native, "companies")}
        return native | more | {"_status": stages.get(at), "_text": _html(held.get("content"))}

    yield from _objects(source, stream, start, shown, "contacts", "companies")


def _html(text: str | None) -> str | None:
    return html.escape(text, quote=False).replace("\n", "<br>") if text else None


def emails(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield e-mails, each with the ticket it belongs to and who wrote it."""

    def shown(native: Native) -> Native:
        held = native["properties"]
        came = str(held.get("hs_email_direction") or "").startswith("INCOMING")
        body = held.get("hs_email_html") or _html(held.get("hs_email_text"))
        return _said(source, native, "email", body, came=came)

    yield from _objects(source, stream, start, shown, "tickets", "contacts")


def notes(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield notes as messages among the e-mails, under ids of their own."""

    def shown(native: Native) -> Native:
        return _said(source, native, "note", native["properties"].get("hs_note_body"), came=False)

    for page in _objects(source, stream, start, shown, "tickets", "contacts"):
        yield replace(page, records=[replace(one, id=f"note:{one.id}") for one in page.records])


def _said(source: Declarative, native: Native, kind: str, body: str | None, *, came: bool) -> Native:
    ticket, contact = _goes_with(native, "tickets"), _goes_with(native, "contacts")
    owner = native["properties"].get("hubspot_owner_id")
    author = f"contact:{contact}" if came and contact else f"owner:{owner}" if owner else None
    ids = [one for one in str(native["properties"].get("hs_attachment_ids") or "").split(";") if one]
    files = [file for id in ids if ticket and (file := _file(source, id))]
    more = {"_kind": kind if ticket else f"{kind} of no ticket", "_ticket": ticket, "_author": author, "_body": body}
    return native | more | {"_files": files, "_at": native["properties"].get("hs_timestamp") or native["createdAt"]}


def _file(source: Declarative, id: str) -> Native | None:
    """Return what is known of a file, and the address that signs one for its bytes."""
    address = f"{source.client.base_url.rstrip('/')}/files/v3/files/{id}"
    try:
        told = source.client.read(address).json()
    except (AbsentError, ForbiddenError):
        told = {}  # its bytes will be missed, and reported
    extension = f".{told['extension']}" if told.get("extension") else ""
    name = f"{told.get('name') or id}{extension}"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"  # HubSpot tells "DOCUMENT"
    return {"id": id, "name": name, "content_type": kind, "size": told.get("size"), "url": f"{address}/signed-url"}


# ---- rules -----------------------------------------------------------------------------------------------------------


def flows(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield workflows, each read by its own address; one with branches comes once for each way through it."""
    for page in source.list_of(stream, start):
        records = []
        for record in page.records:
            whole = source.client.read(f"/automation/v4/flows/{record.id}").json()
            for at, (kind, native) in enumerate(listed(whole)):
                body = json.dumps({**native, "_kind": kind}).encode()
                records.append(Raw(f"{record.id}:{at}" if at else record.id, body, record.updated_at))
        yield replace(page, records=records)
