"""Where Help Scout is odd: numbers of customers, users and teams are apart from each other, names come in two parts,
properties of people as a list, and a saved reply's text only one by one (developer.helpscout.com, 2026-11-26)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from migrator.connector import Cursor, Native, Page, Raw, at_path
from migrator.declarative import Declarative
from migrator.manifest import Stream

Parents = Callable[[str], Iterable[str]]


def _changed(record: Raw, **more: Any) -> Raw:
    native = {**json.loads(record.body), **more}
    return replace(record, body=json.dumps(native, ensure_ascii=False).encode())


def _person(of: Native | None) -> str | None:
    """Return a person's id with what it is the number of; what writes by itself has number 0."""
    if not of or not of.get("id"):
        return None
    return f"customer:{of['id']}" if of.get("type") == "customer" else f"user:{of['id']}"


def customers(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield customers, each with its whole name (``_name``) and its first addresses (``_email``, ``_phone``)."""

    def shown(record: Raw) -> Raw:
        native = json.loads(record.body)
        held = native.get("_embedded") or {}
        name = " ".join(filter(None, (native.get("firstName"), native.get("lastName"))))
        first = {key: (held.get(key) or [{}])[0].get("value") for key in ("emails", "phones")}
        values = {one["slug"]: one.get("text", one.get("value")) for one in held.get("properties") or []}
        return _changed(record, _name=name, _email=first["emails"], _phone=first["phones"], _values=values)

    for page in source.list_of(stream, start):
        yield replace(page, records=[shown(record) for record in page.records])


def users(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield users, each with its whole name (``_name``)."""
    for page in source.list_of(stream, start):
        records = []
        for record in page.records:
            native = json.loads(record.body)
            name = " ".join(filter(None, (native.get("firstName"), native.get("lastName"))))
            records.append(_changed(record, _name=name))
        yield replace(page, records=records)


def conversations(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield conversations, each with who has it: a user (``_assignee``) or a team (``_group``)."""

    def shown(record: Raw) -> Raw:
        native = json.loads(record.body)
        of = native.get("assignee") or {}
        team = of.get("id") if of.get("type") == "team" else None
        asks = at_path(native, "primaryCustomer.id")
        return _changed(
            record,
            _assignee=None if team else _person({**of, "type": "user"}) if of else None,
            _group=team,
            _requester=f"customer:{asks}" if asks else _person(native.get("createdBy")),
        )

    for page in source.list_of(stream, start):
        yield replace(page, records=[shown(record) for record in page.records])


def threads(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the threads of each conversation, each with who wrote it (``_author``)."""

    def thread(spec: Stream, conversation: str) -> list[Raw]:
        listed = source.child(spec, conversation)
        return [_changed(one, _author=_person(json.loads(one.body).get("createdBy"))) for one in listed]

    yield from source.children(stream, start, parents, thread)


def team_members(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the members of each team; one user may be in several."""

    def members(spec: Stream, team: str) -> list[Raw]:
        return [replace(one, id=f"{team}:{one.id}") for one in source.child(spec, team)]

    yield from source.children(stream, start, parents, members)


def saved_replies(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the saved replies of each mailbox with their whole texts, of which the list shows the beginning."""

    def texts(spec: Stream, mailbox: str) -> list[Raw]:
        listed = source.child(spec, mailbox)
        path = spec.path.replace("{parent}", mailbox)
        whole = [source.client.read(f"{path}/{one.id}").json() for one in listed]
        return [_changed(one, **each, mailboxId=mailbox) for one, each in zip(listed, whole, strict=True)]

    yield from source.children(stream, start, parents, texts)
