"""Where Jira is odd: addresses with the project in them, values as objects, people who are only seen on issues, rules
of automation at another address and in parts (specifications of 2022, facts.yaml)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from migrator.connector import Cursor, Native, Page, Raw, at_path
from migrator.declarative import Declarative
from migrator.errors import AbsentError, ForbiddenError, RefusedError
from migrator.manifest import Stream

from .rules import listed
from .rules.names import CALLED, PROJECT, STATUSES

Parents = Callable[[str], Iterable[str]]
SELECTS = ("select", "multiselect", "radiobuttons", "multicheckboxes")
LINKS = {  # the name of a type of link to (ours, whether it is read the other way round)
    "Blocks": ("depends_on", True),
    "Duplicate": ("duplicates", False),
    "Cloners": ("relates", False),
    "Relates": ("relates", False),
}


def _changed(record: Raw, **more: Any) -> Raw:
    native = {**json.loads(record.body), **more}
    return replace(record, body=json.dumps(native, ensure_ascii=False).encode())


def _listed(source: Declarative, stream: str, path: str, start: Cursor | None = None, **params: Any) -> Iterator[Page]:
    """Yield a stream's list under another address, or with further parameters."""
    spec = source.manifest.streams[stream]
    yield from source._list(spec, path, {**spec.params, **params}, start)


def _of_project(source: Declarative, stream: str, start: Cursor | None) -> Iterator[Page]:
    path = source.manifest.streams[stream].path.replace("PROJECT", source.given("project"))
    yield from _listed(source, stream, path, start)


# ---- fields and forms ------------------------------------------------------------------------------------------------


def fields(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield fields; those with choices have them (``_options``), where the account may look at them."""

    def options(id: str) -> list[str]:
        found: dict[str, None] = {}
        path = f"/rest/api/3/field/{id}/context"
        for context in _all(source, path):
            for option in _all(source, f"{path}/{context['id']}/option"):
                found[option["value"]] = None
        return list(found)

    for page in source.list_of(stream, start):
        records = []
        for record in page.records:
            kind = str(at_path(json.loads(record.body), "schema.custom") or "").rpartition(":")[2]
            try:
                held = options(record.id) if kind in SELECTS else []
            except (ForbiddenError, AbsentError):
                held = []  # only an administrator may see them: the values on issues remain
            records.append(_changed(record, _options=held, _type=kind))
        yield replace(page, records=records)


def _all(source: Declarative, path: str) -> Iterator[Native]:
    at = 0
    while True:
        answer = source.client.read(path, {"startAt": at, "maxResults": 100}).json()
        yield from answer["values"]
        at += len(answer["values"])
        if answer.get("isLast", True) or not answer["values"]:
            return


def request_types(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield request types, each with the ids of the custom fields it asks for (``_field_ids``)."""
    spec = source.manifest.streams[stream]
    for page in _of_project(source, stream, start):
        records = []
        for record in page.records:
            path = spec.path.replace("PROJECT", source.given("project"))
            held = source.client.read(f"{path}/{record.id}/field").json()["requestTypeFields"]
            ids = [one["fieldId"] for one in held if str(one["fieldId"]).startswith("customfield_")]
            records.append(_changed(record, _field_ids=ids))
        yield replace(page, records=records)


def queues(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the queues of the project."""
    called = _called(source)
    for page in _of_project(source, stream, start):
        yield replace(page, records=[_changed(one, **_noted(source, one, called)) for one in page.records])


def filters(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the filters that one may see."""
    called = _called(source)
    for page in source.list_of(stream, start):
        yield replace(page, records=[_changed(one, **_noted(source, one, called)) for one in page.records])


def _called(source: Declarative) -> dict[str, str]:
    """Return what JQL calls custom fields, in small letters, to the fields; of a name that two have, neither."""
    found: dict[str, str] = {}
    several: set[str] = set()
    for one in source.client.read(source.manifest.streams["fields"].path).json():
        for word in one.get("clauseNames") or () if one.get("custom") else ():
            if found.setdefault(str(word).lower(), one["id"]) != one["id"]:
                several.add(str(word).lower())
    return {word: id for word, id in found.items() if word not in several}


def _noted(source: Declarative, record: Raw, called: dict[str, str]) -> Native:
    """Return what a rule says of its account only by our reading: its project, and the fields that it calls by name."""
    text = json.dumps(json.loads(record.body), ensure_ascii=False).lower()
    used = {word: id for word, id in called.items() if word in text}
    return {PROJECT: source.given("project"), **({CALLED: used} if used else {})}


# ---- people ----------------------------------------------------------------------------------------------------------


def users(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield people, each with the first organization he belongs to (``_organization``)."""
    belongs: dict[str, str] = {}
    for page in source.list_of("organizations", None):
        for firm in page.records:
            at = 0
            while True:
                path = f"/rest/servicedeskapi/organization/{firm.id}/user"
                answer = source.client.read(path, {"start": at, "limit": 50}).json()
                for one in answer["values"]:
                    belongs.setdefault(one["accountId"], firm.id)
                at += len(answer["values"])
                if answer.get("isLastPage", True) or not answer["values"]:
                    break
    for page in source.list_of(stream, start):
        yield replace(page, records=[_changed(one, _organization=belongs.get(one.id)) for one in page.records])


def group_members(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the members of each group; one person may be in several."""

    def members(spec: Stream, group: str) -> list[Raw]:
        try:
            pages = list(_listed(source, stream, spec.path, groupId=group))
        except (AbsentError, RefusedError):
            return []
        held = [record for page in pages for record in page.records]
        return [replace(one, id=f"{group}:{one.id}", parent=group) for one in held]

    yield from source.children(stream, start, parents, members)


# ---- issues ----------------------------------------------------------------------------------------------------------


def issues(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the issues of the project, the oldest first; people whom no list may show come along."""
    jql = f'project = "{_quoted(source.given("project"))}" ORDER BY created ASC'
    for page in _listed(source, stream, source.manifest.streams[stream].path, start, jql=jql):
        records, people = [], dict[str, Raw]()
        for record in page.records:
            native = json.loads(record.body)
            held = native["fields"]
            for person in (held.get("reporter"), held.get("creator")):
                if person and person.get("accountType") == "customer":
                    body = json.dumps({**person, "_seen": True}).encode()
                    people.setdefault(person["accountId"], Raw(person["accountId"], body))
            name = str(at_path(held, "status.name") or "")
            known = STATUSES.get(name.lower())
            asks = held.get("reporter") or held.get("creator") or {}
            more = {
                "_status": f"name:{known}" if known else f"category:{at_path(held, 'status.statusCategory.key')}",
                "_values": {key: _plain(value) for key, value in held.items() if key.startswith("customfield_")},
                "_links": [link for one in held.get("issuelinks") or [] if (link := _link(record.id, one))],
                "_requester": asks.get("accountId"),
                "_form": _form(held),
            }
            records.append(_changed(record, **more))
        known_people = set(parents("users"))
        also = {"users": [one for one in people.values() if one.id not in known_people]}
        yield replace(page, records=records, also=also)


def _quoted(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')


def _plain(value: Any) -> Any:
    """Return a value without what the vendor says about it: a choice is its label, a person the name."""
    if isinstance(value, list):
        return [plain for one in value if (plain := _plain(one)) is not None]
    if isinstance(value, dict):
        if value.get("type") == "doc":
            return _text(value)
        return next((value[key] for key in ("value", "name", "displayName", "requestTypeName") if key in value), None)
    return value


def _text(node: Native) -> str:
    """Return the words of a document in Atlassian's format, a line a paragraph."""
    if node.get("type") == "text":
        return str(node.get("text", ""))
    inner = "".join(_text(one) for one in node.get("content") or ())
    return inner + "\n" if node.get("type") in ("paragraph", "heading") else inner


def _form(held: Native) -> str | None:
    """Return the request type an issue came by: it lies in a custom field of the account."""
    for value in held.values():
        if isinstance(value, dict) and isinstance(value.get("requestType"), dict):
            return str(value["requestType"].get("id"))
    return None


def _link(id: str, link: Native) -> Native | None:
    """Return a link as the issue it goes out from tells it."""
    other = link.get("outwardIssue")
    if not other:
        return None
    how, turned = LINKS.get(at_path(link, "type.name") or "", ("relates", False))
    ticket, beside = (str(other["id"]), id) if turned else (id, str(other["id"]))
    return {"id": str(link["id"]), "ticket": ticket, "other": beside, "how": how}


# ---- rules -----------------------------------------------------------------------------------------------------------


def automation_rules(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the automation rules, each read by its own address; one with conditions between comes in parts."""
    cloud = source.client.read("/_edge/tenant_info").json()["cloudId"]
    base, called = f"{source.manifest.streams[stream].path}/{cloud}/rest/v1/rule", _called(source)
    found: list[Raw] = []
    path: str | None = f"{base}/summary"
    while path:
        answer = source.client.read(path).json()
        for one in answer["data"]:
            rule = source.client.read(f"{base}/{one['uuid']}").json()
            for at, (kind, native) in enumerate(listed(rule)):
                body = json.dumps({**native, "_kind": kind, "_place": len(found)}).encode()
                made = Raw(f"{one['uuid']}:{at}" if at else one["uuid"], body)
                found.append(_changed(made, **_noted(source, made, called)))
        path = at_path(answer, "links.next")
    yield Page(found, {}, done=True)
