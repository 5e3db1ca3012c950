"""A Chatwoot, opened: lists by page numbers, threads by message numbers, and units of several calls (``writing``)."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec

from migrator.connector import Cursor, Native, Outcome, Page, Promise, Raw, Unit, Written, at_path
from migrator.declarative import noted, split
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, InputError, RefusedError, TruncatedError, VendorError
from migrator.manifest import Stream

from .hooks import automation_rules
from .hours import Hours
from .writing import AGENT, Desk

PAGED = ("contacts", "companies", "conversations")
MACROS = "macros"
MOST_PASSES = 10  # of a list whose records move while it is read
FEW, MANY = 20, 1000  # messages: fewer than FEW are all there are, and MANY may be cut off (message_finder.rb)
LAST_NUMBER = 2**31 - 1  # of a message
MAILS = "email_continuity_on_api_channel"  # the feature that mails what is said in an API inbox
SEVERAL = ("organization", "contact", "group", "ticket", "message")  # kinds whose creation is more than a call


class Connection(Deliverer):
    """One account."""

    # ---- reading ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield the stream's pages."""
        if stream in PAGED:
            yield from self._paged(stream, start)
        elif stream == "teams":
            for page in super().pages(stream, start, parents, view=view):
                yield replace(page, records=[self._with_members(team) for team in page.records])
        else:
            yield from super().pages(stream, start, parents, view=view)

    def _list(self, spec: Stream, path: str, params: dict[str, Any], start: Cursor | None) -> Iterator[Page]:
        """Yield the pages of a list; macros have some in some versions, also where one in doubt is looked up."""
        if path == self.manifest.streams[MACROS].path:
            yield from automation_rules(self, MACROS, start, lambda stream: [])
        else:
            yield from super()._list(spec, path, params, start)

    def _paged(self, stream: str, start: Cursor | None) -> Iterator[Page]:
        """Yield a list by page numbers until a page is empty; once more where records went away meanwhile.

        The order is that of creation, so what is new comes last; what is deleted moves the others to pages that were
        read already. The cursor is ``{"page": the next, "pass": which, "seen": records of this pass, "most": the
        highest count told in it}``.
        """
        spec = self.manifest.streams[stream]
        at: dict[str, Any] = {"page": 1, "pass": 1, "seen": 0, "most": 0}
        if start and not start.get("done"):
            at = dict(start)
        while at["pass"] <= MOST_PASSES:
            answer = self.client.read(spec.path, {**_texts(spec.params), "page": at["page"]})
            count, records = _listed(answer.content, stream)
            at = {**at, "page": at["page"] + 1, "seen": at["seen"] + len(records), "most": max(at["most"], count)}
            done = False
            if not records:
                done = count >= at["most"] and at["seen"] >= count
                at = {"page": 1, "pass": at["pass"] + 1, "seen": 0, "most": 0}
            page = Page(records, {**at, "done": True} if done else at, done)
            if stream == "companies":
                page = replace(page, records=_companies(records))
            elif stream == "conversations":
                page = replace(page, also={"contacts": _strangers(records)})
            yield page
            if done:
                return
        raise TruncatedError(f"Chatwoot's list of {stream} shows other records each time; extract again")

    def _with_members(self, team: Raw) -> Raw:
        found = self.client.read(f"/teams/{team.id}/team_members").json()
        return replace(team, body=noted(team.body, "_member_ids", sorted(int(one["id"]) for one in found)))

    def child(self, spec: Stream, parent: str) -> list[Raw]:
        """Return the whole thread of a conversation, each file with the name its address tells."""
        path = spec.path.replace("{parent}", parent)
        try:
            found = self._between(spec, path, 0, LAST_NUMBER)
            while len(found) >= FEW:  # an older Chatwoot knows no "between" and shows the latest few
                earlier = self._thread(spec, path, before=min(map(int, found)))
                if not (earlier.keys() - found.keys()):
                    break
                found |= earlier
        except AbsentError:
            return []
        return [replace(_named(record), parent=parent) for _, record in sorted(found.items(), key=lambda p: int(p[0]))]

    def _between(self, spec: Stream, path: str, low: int, high: int) -> dict[str, Raw]:
        found = self._thread(spec, path, after=low, before=high)
        if len(found) < MANY or high - low <= 1:
            return found
        middle = sorted(map(int, found))[len(found) // 2]  # cut off by date, so asked for by halves of the numbers
        return {**self._between(spec, path, low, middle), **self._between(spec, path, middle, high)}

    def _thread(self, spec: Stream, path: str, **bounds: int) -> dict[str, Raw]:
        _, records = split(self.client.read(path, bounds).content, spec.items, spec.id, None)
        return {record.id: record for record in records}

    # ---- writing ----------------------------------------------------------------------------------------------------

    @cached_property
    def desk(self) -> Desk:
        """Return what carries out units of several calls."""
        return Desk(self.client, lambda ticket: self.child(self.manifest.streams["messages"], ticket))

    def write(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Carry out what is planned for these units, all of one kind, variant and action."""
        unit = _plain(units[0])
        if unit.action == "create" and unit.kind in SEVERAL:
            return [self._made(unit)]
        if unit.action == "update" and unit.kind == "ticket":
            return [self.desk.change(unit)]
        if unit.kind == "schedule":
            return [self.hours.written(unit) if unit.action == "create" else self.hours.switched_off(unit)]
        return super().write([_plain(each) for each in units])

    @cached_property
    def hours(self) -> Hours:
        """Return what writes working hours."""
        return Hours(self.client)

    def _made(self, unit: Unit) -> Written:
        if unit.kind == "organization":
            return Written(str(unit.payload["name"]))  # it is there as soon as a contact names it
        if unit.kind == "ticket":
            return self.desk.open(unit)
        if unit.kind == "message":
            return self.desk.say(unit)
        write, call = self._declared(unit)
        body = self._body(write, call, unit)
        if unit.kind == "group":
            return self.desk.team(unit, body)
        company = at_path(body, "additional_attributes.company_name")
        if company is not None:  # a name of digits, which was taken for a number
            body["additional_attributes"]["company_name"] = str(company)
        made = self.client.write(call.method, call.path, json=body)
        return Written(self.desk.told(made, "payload.contact.id"))

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made, and finish units that were cut off between two calls."""
        if units[0].action == "create" and units[0].kind == "schedule":
            return [self.hours.found(unit) for unit in units]
        if units[0].action != "create" or units[0].kind not in SEVERAL:
            return super().find([_plain(unit) for unit in units], known)
        return [self._found(_plain(unit)) for unit in units]

    def _found(self, unit: Unit) -> Written | None:
        if unit.kind == "organization":
            return self._made(unit)
        if unit.kind == "contact":
            return self._found_contact(str(unit.payload.get("identifier")))
        try:
            if unit.kind == "ticket":
                return self.desk.reopened(unit)
            if unit.kind == "message":
                return self.desk.heard(unit)
            write, call = self._declared(unit)
            body = self._body(write, call, unit, send=False)
            _, teams = split(self.client.read("/teams").content, None, "id", None)
            there = next((t for t in teams if json.loads(t.body).get("name") == body.get("name")), None)
            return self.desk.joined(unit, body, there.id) if there else None
        except RefusedError as refusal:
            return cast(Written, refusal)  # an outcome too: what is in doubt may turn out to be refused

    def _found_contact(self, identifier: str) -> Written | None:
        for page in range(1, MOST_PASSES * 10):
            given = {"q": identifier, "page": page, "include_contact_inboxes": "false"}
            listed = self.client.read("/contacts/search", given).json().get("payload") or []
            for one in listed:
                if str(one.get("identifier")) == identifier:
                    return Written(str(one["id"]))
            if not listed:
                return None
        raise VendorError(f"Chatwoot finds no end of contacts like {identifier[:40]!r}")

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Return what this Chatwoot has against a record: one inbox has one week, one edition has SLA policies."""
        if kind == "schedule":
            return self.hours.complaint(payload)
        try:
            self.client.read("/sla_policies")
        except (AbsentError, RefusedError):
            return "this Chatwoot has no SLA policies, which are of the enterprise edition (Settings, SLA)"
        return None

    def before(self, unit: Unit) -> Native:
        """Return what a record that is about to change holds in those places."""
        return super().before(_plain(unit))

    # ---- what would act on what we write ----------------------------------------------------------------------------

    def switches(self) -> Native:
        """Return the numbers of the automation rules that are active."""
        rules = self.client.read("/automation_rules").json().get("payload") or []
        return {"automation_rules": [one["id"] for one in rules if one.get("active")]}

    def quiet(self) -> None:
        """Hold the automation rules still. Raises InputError where Chatwoot would mail what is written."""
        features = self.client.read("").json().get("features") or {}
        if features.get(MAILS) if isinstance(features, dict) else MAILS in features:
            raise InputError(
                f"Chatwoot mails what is said in API inboxes of this account (feature {MAILS})",
                remedy="switch it off (super admin console, Accounts) until the load is done",
            )
        for number in self.switches()["automation_rules"]:
            self.client.write("PUT", f"/automation_rules/{number}", json={"active": False})

    def restore(self, was: Native) -> None:
        """Switch the rules on that were."""
        for number in was.get("automation_rules") or []:
            try:
                self.client.write("PUT", f"/automation_rules/{number}", json={"active": True})
            except AbsentError:
                continue  # somebody deleted it meanwhile


def _texts(params: Any) -> dict[str, Any]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}


class _Counts(msgspec.Struct):
    count: int | None = None
    all_count: int | None = None


class _List(msgspec.Struct):
    meta: _Counts = msgspec.field(default_factory=_Counts)
    payload: list[msgspec.Raw] = msgspec.field(default_factory=list)


class _Conversations(msgspec.Struct):
    data: _List


class _Changed(msgspec.Struct):
    id: int | str
    updated_at: int | float | str | None = None
    last_activity_at: int | float | str | None = None


def _listed(content: bytes, stream: str) -> tuple[int, list[Raw]]:
    """Return how many records the vendor counts, and those of a page."""
    try:
        if stream == "conversations":
            found = msgspec.json.decode(content, type=_Conversations).data
        else:
            found = msgspec.json.decode(content, type=_List)
    except msgspec.MsgspecError as err:
        raise VendorError(f"GET /{stream}: the answer is not the JSON it should be ({err})") from err
    records = []
    for raw in found.payload:
        key = msgspec.json.decode(raw, type=_Changed)
        changed = key.updated_at if key.updated_at is not None else key.last_activity_at
        records.append(Raw(str(key.id), bytes(raw), None if stream != "conversations" else str(changed)))
    return found.meta.all_count or found.meta.count or 0, records


def _companies(contacts: Sequence[Raw]) -> list[Raw]:
    """Return the firms that contacts name, once each."""
    names = [at_path(json.loads(one.body), "additional_attributes.company_name") for one in contacts]
    once = dict.fromkeys(str(name) for name in names if name)
    return [Raw(name, json.dumps({"name": name}, ensure_ascii=False).encode()) for name in once]


def _strangers(conversations: Sequence[Raw]) -> list[Raw]:
    """Return the contacts that no list shows: without an address, a number or an identifier."""
    found = {}
    for one in conversations:
        sender = at_path(json.loads(one.body), "meta.sender")
        if sender and not any(sender.get(name) for name in ("email", "phone_number", "identifier")):
            found[str(sender["id"])] = Raw(str(sender["id"]), json.dumps(sender, ensure_ascii=False).encode())
    return list(found.values())


def _named(record: Raw) -> Raw:
    """Note the name and the type of each file, which stand in its address only."""
    if b'"attachments"' not in record.body:
        return record
    native = json.loads(record.body)
    for file in native.get("attachments") or []:
        name = unquote(urlsplit(str(file.get("data_url") or "")).path.rpartition("/")[2])
        file["_name"] = name or None
        file["_content_type"] = mimetypes.guess_type(name)[0]
    return replace(record, body=json.dumps(native, ensure_ascii=False).encode())


def _plain(unit: Unit) -> Unit:
    """Return a conversation's unit with the numbers Chatwoot knows its agents by."""
    assignee = at_path(unit.payload, "meta.assignee.id")
    if unit.kind != "ticket" or assignee is None:
        return unit
    number = int(str(assignee).removeprefix(AGENT))
    meta = {**unit.payload["meta"], "assignee": {**unit.payload["meta"]["assignee"], "id": number}}
    return replace(unit, payload={**unit.payload, "meta": meta})
