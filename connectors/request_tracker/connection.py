"""Where Request Tracker is odd: lists by rising id, messages in parts, numbers in a header, keys as links."""

from __future__ import annotations

import html
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from migrator.connector import Child, Cursor, Native, Outcome, Page, Raw, Unit, Written
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, MigratorError, RefusedError, UnknownOutcomeError
from migrator.manifest import Call, Stream

from .database import Database
from .initialdata import Initialdata

MOST = 100  # a page: Request Tracker caps it there without a word (5.0.3, 2026-11-22)
KINDS = {"customfields": "customfield", "users": "user", "queues": "queue", "tickets": "ticket"}
ROLES = ("Requestor", "Cc", "AdminCc")
SAID = ("Create", "Correspond", "Comment")  # transactions in which somebody says something
LINKS = {"refers-to": "RefersTo", "depends-on": "DependsOn", "child": "Members"}
NEW = ("new", "open", "resolved")  # statuses a ticket may be made with; the others are set at once afterwards
NEVER = "1970-01-01T00:00:00Z"  # how a date that was never set is shown


class Connection(Deliverer):
    """One Request Tracker. People are named by number, though it shows them by name."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._numbers: dict[str, str] = {}  # user's name to number
        self._statuses: dict[str, str] = {}  # of tickets written here: a reply would open them again
        self._database: Database | None = None

    # ---- reading ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield a stream by rising id.

        The cursor is ``{"after": the last ticket, or page, "listed": whether that was all, "gone": the last transaction
        that deleted a ticket}``.
        """
        if stream == "messages":
            yield from self.children(stream, start, parents)
            return
        fresh: Cursor = {"after": 0, "gone": 0, "listed": False}
        at = fresh if not start or start.get("done") else dict(start)
        while not at["listed"]:
            ids, after = self._ids(stream, at["after"])
            at = {**at, "after": after, "listed": after is None}
            done = bool(at["listed"]) and stream != "tickets"
            yield Page(self._seen(stream, ids), {**at, "done": done}, done)
        while stream == "tickets":
            ids, last = self._erased(at["gone"])
            at = {**at, "gone": last or at["gone"]}
            yield Page(self._seen(stream, ids), {**at, "done": last is None}, last is None)
            if last is None:
                return

    def _size(self, stream: str) -> int:
        return min(MOST, self.manifest.streams[stream].paging.size)

    def _ids(self, stream: str, after: int) -> tuple[list[int], int | None]:
        """Return the next ids and from where it goes on; None at the end.

        Tickets leave a search when they are merged or deleted, so they are asked for by id. The others never leave
        their list (the disabled are in it), which goes by pages: a search by id is ignored there without a word.
        """
        params: Native = {"fields": "id", "orderby": "id", "order": "ASC", "per_page": self._size(stream)}
        if stream == "tickets":
            params["query"] = f"id > {after}"
        else:
            params.update({"query": _where("id", ">", 0), "find_disabled_rows": 1, "page": after + 1})
        answer = self.client.read(self.manifest.streams[stream].path, params).json()
        ids = [int(one["id"]) for one in answer["items"]]
        if len(ids) < min(int(answer["per_page"]), self._size(stream)) or not ids:
            return ids, None
        return ids, max(ids) if stream == "tickets" else after + 1

    def _erased(self, after: int) -> tuple[list[int], int | None]:
        """Return tickets that were deleted, which no search for tickets finds, by the transactions that did it."""
        query = f"ObjectType = 'RT::Ticket' AND Type = 'Status' AND NewValue = 'deleted' AND id > {after}"
        params = {"query": query, "fields": "ObjectId", "orderby": "id", "order": "ASC"}
        answer = self.client.read("/transactions", {**params, "per_page": self._size("tickets")}).json()
        found = answer["items"]
        if not found:
            return [], None
        return sorted({int(one["ObjectId"]) for one in found}), max(int(one["id"]) for one in found)

    def _seen(self, stream: str, ids: Iterable[int]) -> list[Raw]:
        with ThreadPoolExecutor(self.workers) as pool:
            records = [record for record in pool.map(lambda id: self._one(stream, str(id)), ids) if record]
        return records

    def _one(self, stream: str, id: str) -> Raw | None:
        """Return one record as it is read, people by number; None where it is gone, or merged into another."""
        try:
            native: Native = self.client.read(f"/{KINDS[stream]}/{id}").json()
        except AbsentError:
            return None
        if str(native.get("id")) != id:
            return None  # a merged ticket is shown as the one it was merged into
        native = {name: value for name, value in native.items() if value not in (NEVER, "Not set")}
        if "CustomFields" in native:
            native["CustomFields"] = _values(native["CustomFields"])
        if stream == "users":
            self._numbers[native["Name"]] = id
        elif stream == "customfields":
            native = self._field(native)
        elif stream == "tickets":
            native = self._ticket_read(native)
        return Raw(id, json.dumps(native, ensure_ascii=False).encode(), native.get("LastUpdated"))

    def _field(self, native: Native) -> Native:
        native["Kind"] = f"{native['Type']}-{1 if str(native.get('MaxValues')) == '1' else 0}"
        if native["Type"] in ("Select", "Combobox", "Autocomplete"):
            path, values = f"/customfield/{native['id']}/values", []
            for page in self._numbered(path, {}):
                values += [{"Name": one["name"]} for one in page]
            native["Values"] = values
        return native

    def _ticket_read(self, native: Native) -> Native:
        for role in ROLES:
            native[role] = [self._number(who["id"]) for who in native.get(role) or []]
        native["_requestors"] = native["Requestor"][1:]
        native["Cc"] = [*native["Cc"], *(who for who in native["_requestors"] if who not in native["Cc"])]
        native["Requestor"] = next(iter(native["Requestor"]), None)
        for label in ("Owner", "Creator", "LastUpdatedBy"):
            who = (native.get(label) or {}).get("id")
            native[label] = self._number(who) if who and who != "Nobody" else None
        native["Queue"] = (native.get("Queue") or {}).get("id")
        priority = int(native.get("Priority") or 0)
        native["_priority"] = "0" if priority < 25 else "50" if priority < 75 else "100"
        native["_links"], native["_external"] = [], []
        for link in native.get("_hyperlinks") or []:
            if link.get("ref") in LINKS and link.get("type") == "ticket":
                native["_links"].append(
                    {"ticket": str(native["id"]), "how": LINKS[link["ref"]], "other": str(link["id"])}
                )
            elif link.get("type") == "external":
                native["_external"].append(link.get("_url"))
        native["_links"].sort(key=lambda link: (link["how"], int(link["other"])))
        return native

    def _number(self, name: str) -> str:
        """Return a user's number by name."""
        if name not in self._numbers:
            params = {"query": _where("Name", "=", name), "fields": "id,Name", "find_disabled_rows": 1}
            for one in self.client.read("/users", params).json()["items"]:
                self._numbers[one["Name"]] = str(one["id"])
        return self._numbers.get(name, name)

    def _numbered(self, path: str, params: Native) -> Iterator[list[Native]]:
        """Yield the pages of a list that only grows at its end."""
        number = 1
        while True:
            answer = self.client.read(path, {**params, "per_page": MOST, "page": number}).json()
            yield answer["items"]
            if number >= int(answer.get("pages") or 0):
                return
            number += 1

    def child(self, spec: Stream, parent: str) -> list[Raw]:
        """Return what was said on a ticket, in order."""
        fields = {"fields": "Type,Created,Creator,ObjectId", "fields[Creator]": "id"}
        try:
            said = [
                one
                for page in self._numbered(f"/ticket/{parent}/history", fields)
                for one in page
                if one["Type"] in SAID
            ]
        except AbsentError:
            return []
        if not said:
            return []
        parts = self._parts(parent)
        return [raw for one in said if (raw := self._message(parent, one, parts.get(str(one["id"]), [])))]

    def _parts(self, ticket: str) -> dict[str, list[Native]]:
        """Return the parts of every message by its transaction, in order, without their bytes."""
        found: dict[str, list[Native]] = {}
        fields = {"fields": "TransactionId,Filename,ContentType,Headers"}
        for page in self._numbered(f"/ticket/{ticket}/attachments", fields):
            for part in page:
                found.setdefault(str(part["TransactionId"]), []).append(part)
        return {of: sorted(parts, key=lambda part: int(part["id"])) for of, parts in found.items()}

    def _message(self, ticket: str, one: Native, parts: list[Native]) -> Raw | None:
        """Return a transaction with its text as HTML; None where it says nothing at all (a ticket without a text)."""
        body, files = _sorted(parts)
        text = self._text(body) if body else ""
        first = one["Type"] == "Create" and str(one["ObjectId"]) == ticket
        if one["Type"] == "Create" and not text and not files:
            return None
        native = {
            "id": f"description:{ticket}" if first else str(one["id"]),
            "Type": "Create" if first else "Correspond" if one["Type"] == "Create" else one["Type"],
            "TransactionId": str(one["id"]),
            "ObjectId": str(one["ObjectId"]),
            "Author": str((one.get("Creator") or {}).get("id") or ""),
            "Dated": one["Created"],
            "Content": text,
            "ContentType": body["ContentType"] if body else "",
            "attachments": [
                {
                    "id": str(part["id"]),
                    "Filename": part.get("Filename") or "untitled",
                    "ContentType": part["ContentType"],
                    "size": _size(part),
                    "url": f"{self.client.base_url}/attachment/{part['id']}",
                }
                for part in files
            ],
        }
        return Raw(str(native["id"]), json.dumps(native, ensure_ascii=False).encode(), one["Created"], ticket)

    def _text(self, part: Native) -> str:
        text = self._bytes(str(part["id"])).decode("utf-8", "replace")
        if part["ContentType"].startswith("text/html"):
            return text
        return html.escape(text.replace("\r\n", "\n").strip("\n"), quote=False).replace("\n", "<br>")

    def _bytes(self, attachment: str) -> bytes:
        content = self.client.read(f"/attachment/{attachment}").json().get("Content")
        return b64decode(content) if content else b""

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield an attachment's bytes, which come inside JSON."""
        number = url.rsplit("/", 1)[-1]
        if not number.isdecimal():
            raise RefusedError(f"attachment address that is none: {url[:80]}")
        yield self._bytes(number)

    def count(self, stream: str) -> int | None:
        """Return how many tickets a search counts, the deleted ones with them."""
        if stream != "tickets":
            return None
        shown = int(self.client.read("/tickets", {"query": "id > 0", "fields": "id", "per_page": 1}).json()["total"])
        after, gone = 0, set[int]()
        while after is not None:
            ids, last = self._erased(after)
            gone |= set(ids)
            if last is None:
                break
            after = last
        return shown + sum(1 for record in self._seen("tickets", sorted(gone)) if b'"deleted"' in record.body)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out one call (and what belongs to it); one unit at a time."""
        unit = units[0]
        if unit.action != "create":
            return super().write(units)  # type: ignore[return-value]
        if unit.kind == "custom_field":
            return [self._field_made(unit)]
        if unit.kind == "ticket_link":
            return [self._linked(unit)]
        write, call = self._declared(unit)
        body = _worded(self._body(write, call, unit))
        if unit.kind in ("contact", "agent"):
            body["Name"] = _login(unit, body)
        aside = {name: body.pop(name, None) for name in ("Author", "Dated", "Type")} if unit.kind != "group" else {}
        path = call.path.replace("{ticket}", unit.refs.get("ticket", ""))
        if unit.kind == "ticket":
            aside["Status"] = body["Status"]
            body = self._ticket_body(unit, body)
        if unit.kind == "message":
            path, body = self._message_body(unit, path, body, aside)
        number = self._posted(call, path, body, _uploads(unit))
        return [self._finished(unit, number, aside)]

    def _posted(self, call: Call, path: str, body: Native, files: list[Any]) -> str:
        """Post, and return the new record's number, which only the header Location has."""
        how: dict[str, Any] = {"json": body}
        if files:
            how = {"data": {"JSON": json.dumps(body)}, "files": files}
        response = self.client.write(call.method, path, **how)
        number = response.headers.get("Location", "").rsplit("/", 1)[-1]
        if not number.isdecimal():
            raise UnknownOutcomeError(f"{call.method} {path}: {response.status_code}, and no address of what was made")
        return number

    def _ticket_body(self, unit: Unit, body: Native) -> Native:
        if body["Status"] not in NEW:
            body["Status"] = "open"
        body.setdefault("Queue", self.options.get("queue", "General"))
        body["RefersTo"] = [_key(unit)]
        if "Content" in body:
            body["ContentType"] = "text/html"
        if self.options.get("ticket_ids") == "keep" and unit.id.isdecimal() and int(unit.id) < 2**31:
            body["id"] = int(unit.id)
        return body

    def _message_body(self, unit: Unit, path: str, body: Native, aside: Native) -> tuple[str, Native]:
        body["ContentType"] = "text/html"
        ticket = unit.refs["ticket"]
        if aside.get("Type") == "Comment":
            return f"/ticket/{ticket}/comment", body
        if ticket not in self._statuses:
            self._statuses[ticket] = str(self.client.read(f"/ticket/{ticket}").json()["Status"])
        if self._statuses[ticket] != "open":
            body["Status"] = self._statuses[ticket]  # in the same call, after the scrip that opens it
        return path, body

    def _finished(self, unit: Unit, number: str, aside: Native) -> Written:
        """Do what belongs to a call once it is carried out; doing it twice harms nothing."""
        children: dict[tuple[str, str], str] = {}
        files = [child for child in unit.children if child.kind == "attachment" and child.blob]
        said: str | None = number if unit.kind == "message" else None
        if unit.kind == "ticket":
            self._statuses[number] = aside["Status"]
            if aside["Status"] not in NEW:
                self.client.write("PUT", f"/ticket/{number}", json={"Status": aside["Status"]})
            for child in unit.children:
                if child.kind == "message":
                    children[child.kind, child.id] = f"description:{number}"
        if files:
            children.update(self._attached(number, said, files))
        if unit.kind in ("ticket", "message") and "sql" in self.channels:
            self._sql().back_fill(number if unit.kind == "ticket" else None, said, aside["Author"], aside["Dated"])
        return Written(number, None, children)

    def _attached(self, number: str, said: str | None, files: Sequence[Child]) -> dict[tuple[str, str], str]:
        """Return the numbers of the files that went along: the last parts of their message, in order."""
        if said:
            links = self.client.read(f"/transaction/{said}").json()["_hyperlinks"]
            ids = sorted(int(link["_url"].rsplit("/", 1)[-1]) for link in links if link.get("ref") == "attachment")
        else:
            parts = self._parts(number)
            ids = [int(part["id"]) for part in parts[min(parts, key=int)]]
        if len(ids) < len(files):
            raise UnknownOutcomeError(f"{len(files)} files went along, and {len(ids)} are there")
        return {(c.kind, c.id): str(id) for c, id in zip(files, ids[-len(files) :], strict=True)}

    def _linked(self, unit: Unit) -> Written:
        ticket, other, how = unit.refs["ticket"], unit.refs["other"], str(unit.payload["how"])
        said = self.client.write("PUT", f"/ticket/{ticket}", json={f"Add{how}": [other]}).text
        if not self._has_link(unit):
            raise RefusedError(f"ticket {ticket}: no link {how} to {other}", status=200, answer=said[:4000])
        return Written(f"{ticket}:{how}:{other}")

    def _has_link(self, unit: Unit) -> bool:
        record = self._one("tickets", unit.refs["ticket"])
        links = json.loads(record.body)["_links"] if record else []
        return any(one["how"] == unit.payload["how"] and one["other"] == unit.refs["other"] for one in links)

    def _field_made(self, unit: Unit) -> Written:
        write, call = self._declared(unit)
        self._initialdata().field(self._body(write, call, unit), unit.variant)
        found = self._field_there(unit)
        if found is None:
            raise RefusedError(f"custom field {unit.payload['Name']}: not there after the import", status=200)
        return found

    def _field_there(self, unit: Unit) -> Written | None:
        query = _where("Name", "=", unit.payload["Name"])
        params = {"query": query, "fields": "id,LookupType", "find_disabled_rows": 1, "per_page": MOST}
        of = {"ticket": "RT::Queue-RT::Ticket", "contact": "RT::User"}[unit.variant]
        found = self.client.read("/customfields", params).json()["items"]
        ids = [str(one["id"]) for one in found if one.get("LookupType") == of]
        return Written(ids[-1], ids[-1]) if ids else None

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made, and do what belongs to them."""
        found: list[Written | None] = []
        for unit in units:
            if unit.action != "create":
                found += super().find([unit], known)
                continue
            written = self._found(unit, known)
            known = known | {written.id} if written else known
            found.append(written)
        return found

    def _found(self, unit: Unit, known: set[str]) -> Written | None:
        if unit.kind == "custom_field":
            return self._field_there(unit)
        if unit.kind == "ticket_link":
            link = f"{unit.refs['ticket']}:{unit.payload['how']}:{unit.refs['other']}"
            return Written(link) if self._has_link(unit) else None
        write, call = self._declared(unit)
        body = _worded(self._body(write, call, unit, send=False))
        aside = {name: body.get(name) for name in ("Author", "Dated", "Type", "Status")}
        if unit.kind == "ticket":
            params = {"query": f"RefersTo = '{_key(unit)}'", "fields": "id", "orderby": "id"}
            ids = [str(one["id"]) for one in self.client.read("/tickets", params).json()["items"]]
        elif unit.kind == "message":
            ids = self._said(unit, body, known)
        elif unit.kind == "group":
            ids = self._by_name("/queues", str(body["Name"]))
        else:
            ids = self._by_name("/users", _login(unit, body))
        return self._finished(unit, ids[0], aside) if ids else None

    def _by_name(self, path: str, name: str) -> list[str]:
        params = {"query": _where("Name", "=", name), "fields": "id", "find_disabled_rows": 1}
        return [str(one["id"]) for one in self.client.read(path, params).json()["items"]]

    def _said(self, unit: Unit, body: Native, known: set[str]) -> list[str]:
        """Return the message on the ticket that says the same and belongs to no other record of ours."""
        from migrator.stage import html_form

        wanted = html_form(str(body.get("Content") or ""))
        for record in self.child(self.manifest.streams["messages"], unit.refs["ticket"]):
            native = json.loads(record.body)
            if record.id not in known and native["Type"] == body["Type"] and html_form(native["Content"]) == wanted:
                return [record.id]
        return []

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return records as they stand now."""
        stream = self.mapping.variant(kind, variant_name).stream
        if stream == "messages":
            return super().peek(kind, variant_name, targets)
        ids = dict.fromkeys(there.split(":")[0] for there, _ in targets)
        return stream, self._seen(stream, [int(id) for id in ids if id.isdecimal()])

    # ---- automations ------------------------------------------------------------------------------------------------

    def switches(self) -> Native:
        """Return the scrips that are on; nothing where only the API is open, which does not show them."""
        if "sql" in self.channels:
            return {"scrips": self._sql().scrips()}
        return {"scrips": self._initialdata().scrips()} if "initialdata" in self.channels else {}

    def quiet(self) -> None:
        """Switch every scrip off: they mail customers, and open tickets again."""
        self._switch(None)

    def restore(self, was: Native) -> None:
        """Switch the scrips on that were on."""
        if was.get("scrips"):
            self._switch(was["scrips"])

    def _switch(self, on: list[int] | None) -> None:
        if "sql" in self.channels:
            self._sql().switch(on)
        elif "initialdata" in self.channels:
            self._initialdata().switch(on)

    def _sql(self) -> Database:
        if self._database is None:
            self._database = Database(self.given("database"), lambda: self.given("database_password"))
        return self._database

    def _initialdata(self) -> Initialdata:
        return Initialdata(self.given("setup_command"))

    def check(self) -> list[Any]:
        """Try the credentials and the rights, then what the channels need."""
        from migrator.connector import Finding

        findings = super().check()
        if "sql" in self.channels and findings[0].ok:
            try:
                findings.append(Finding("the database", True, f"{len(self._sql().scrips())} scrips are on"))
            except MigratorError as err:
                findings.append(Finding("the database", False, str(err)))
        return findings


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _where(field: str, operator: str, value: object) -> str:
    return json.dumps([{"field": field, "operator": operator, "value": value}])


def _key(unit: Unit) -> str:
    """Return migrator's own key as the address a ticket refers to."""
    return "migrator:" + quote(unit.key, safe=":.-_")


def _login(unit: Unit, body: Native) -> str:
    """Return the name a user signs in with: it must be there, and nobody else's."""
    return str(body.get("EmailAddress") or f"migrator {unit.key}")


def _moment(text: str) -> str:
    return text.replace("T", " ").removesuffix("Z")[:19]


def _uploads(unit: Unit) -> list[Any]:
    """Return the files that go along, as multipart: JSON would turn a name in other letters into question marks."""
    return [
        ("Attachments", (c.payload["Filename"].replace('"', "'"), c.blob.read_bytes(), c.payload["ContentType"]))
        for c in unit.children
        if c.kind == "attachment" and c.blob
    ]


def _values(fields: Any) -> Native:
    """Return custom values by the field's number: one, or a list."""
    found: Native = {}
    for one in fields or []:
        values = [value for value in one.get("values") or [] if value not in (None, "")]
        if values:
            found[str(one["id"])] = values if len(values) > 1 else values[0]
    return found


def _worded(body: Native) -> Native:
    """Return a payload as Request Tracker takes it: dates without a zone, custom values as text."""
    body = {k: _moment(v) if k in ("Created", "Due") and v else v for k, v in body.items()}
    held = body.get("CustomFields")
    if not isinstance(held, dict):
        return body

    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    worded = {k: [text(v) for v in value] if isinstance(value, list) else text(value) for k, value in held.items()}
    return {**body, "CustomFields": worded}


def _sorted(parts: list[Native]) -> tuple[Native | None, list[Native]]:
    """Return the part that is the text (HTML before plain), and those that are files."""
    whole = [part for part in parts if not part["ContentType"].startswith("multipart/")]
    texts = [part for part in whole if not part.get("Filename") and part["ContentType"].startswith("text/")]
    body = next((part for part in texts if part["ContentType"].startswith("text/html")), next(iter(texts), None))
    alike = {id(part) for part in texts if body and part["ContentType"] != body["ContentType"]}
    files = [part for part in whole if part is not body and id(part) not in alike]
    return body, [part for part in files if part.get("Filename") or (_size(part) or 0) > 0]


def _size(part: Native) -> int | None:
    found = re.search(r"^Content-Length:\s*(\d+)", part.get("Headers") or "", re.MULTILINE | re.IGNORECASE)
    return int(found[1]) if found else None
