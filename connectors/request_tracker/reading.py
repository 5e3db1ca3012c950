"""Reading Request Tracker: lists by rising id, what no search finds, messages in parts, people by number."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from migrator.connector import Cursor, Native, Page, Raw
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, RefusedError
from migrator.manifest import Stream

from .articles import Articles, as_html
from .customizations import STREAMS, Customizations
from .initialdata import Initialdata
from .teams import PEOPLE, Teams, where

MOST = 100  # a page: Request Tracker caps it there without a word (5.0.3, 2026-11-22)
KINDS = {
    "customfields": "customfield", "users": "user", "queues": "queue", "groups": "group", "tickets": "ticket",
    "articles": "article",
}  # fmt: skip
ROLES = ("Requestor", "Cc", "AdminCc")
SAID = ("Create", "Correspond", "Comment")  # transactions in which somebody says something
LINKS = {"refers-to": "RefersTo", "depends-on": "DependsOn", "child": "Members"}
MERGED = (  # of a merged ticket, which is found by its number and EffectiveId only
    "Subject,Status,Priority,Queue,Owner,Creator,Created,LastUpdated,LastUpdatedBy,Due,Requestor,Cc,AdminCc,"
    "CustomFields,EffectiveId,Type"
)
NEVER = "1970-01-01T00:00:00Z"  # how a date that was never set is shown


class Reader(Deliverer):
    """One Request Tracker, read. People are named by number, though it shows them by name."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._numbers: dict[str, str] = {}  # user's name to number
        self._together = self.options.get("merged_tickets") == "together"
        self._custom = Customizations(lambda script: self._initialdata().run(script))
        self._teams, self._articles = Teams(self.client, self._number), Articles(self.client)

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
        if stream in STREAMS.values():
            records = self._custom.read(stream) if "initialdata" in self.channels else []
            yield Page(records, {"done": True}, True)
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

    def _initialdata(self) -> Initialdata:
        return Initialdata(self.given("setup_command"))

    def _size(self, stream: str) -> int:
        return min(MOST, self.manifest.streams[stream].paging.size)

    def _ids(self, stream: str, after: int) -> tuple[list[int], int | None]:
        """Return the next ids and from where it goes on; None at the end.

        Tickets leave a search when they are merged or deleted, so they are asked for by id. The others never leave
        their list (the disabled are in it), which goes by pages: a search by id is ignored there without a word.
        """
        params: Native = {"fields": "id", "orderby": "id", "order": "ASC", "per_page": self._size(stream)}
        if stream == "tickets":
            params["query"] = f"id > {after}{self._merged_too()}"
        else:
            test = ("Domain", "=", "UserDefined") if stream == "groups" else ("id", ">", 0)
            params.update({"query": where(test), "find_disabled_rows": 1, "page": after + 1})
        answer = self.client.read(self.manifest.streams[stream].path, params).json()
        ids = [int(one["id"]) for one in answer["items"]]
        if len(ids) < min(int(answer["per_page"]), self._size(stream)) or not ids:
            return ids, None
        return ids, max(ids) if stream == "tickets" else after + 1

    def _merged_too(self) -> str:
        return "" if self._together else " AND EffectiveId > 0"

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
            return [record for record in pool.map(lambda id: self._one(stream, str(id)), ids) if record]

    def _one(self, stream: str, id: str) -> Raw | None:
        """Return one record as it is read, people by number; None where it is gone, or merged into another."""
        try:
            native: Native = self.client.read(f"/{KINDS[stream]}/{id}").json()
        except AbsentError:
            return None
        if str(native.get("id")) != id:  # a merged ticket is shown as the one it was merged into
            merged = self._merged(id) if stream == "tickets" and not self._together else None
            if merged is None:
                return None
            native = merged
        native = {name: value for name, value in native.items() if value not in (NEVER, "Not set")}
        if stream == "articles":
            native = self._articles.read(native)
        if "CustomFields" in native:
            native["CustomFields"] = _values(native["CustomFields"])
        if stream == "users":
            self._numbers[native["Name"]] = id
        elif stream == "customfields":
            native = self._field(native)
        elif stream == "tickets":
            native = self._ticket_read(native)
        elif stream == "groups":
            team = self._teams.read(native)
            if team is None:
                return None
            native = team
        if "_hyperlinks" in native:  # like every key, in another order each time it is asked for
            native["_hyperlinks"] = sorted(native["_hyperlinks"], key=lambda link: json.dumps(link, sort_keys=True))
        body = json.dumps(native, ensure_ascii=False, sort_keys=True).encode()
        return Raw(id, body, native.get("LastUpdated"))

    def _merged(self, id: str) -> Native | None:
        """Return a ticket that was merged into another, as far as a search shows it."""
        params = {"query": f"id = {int(id)} AND EffectiveId > 0", "fields": MERGED, "fields[Queue]": "id"}
        found: list[Native] = self.client.read("/tickets", params).json()["items"]
        return found[0] if found else None

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
        native["Queue"] = str((native.get("Queue") or {}).get("id") or "") or None
        priority = int(native.get("Priority") or 0)
        native["_priority"] = "0" if priority < 25 else "50" if priority < 75 else "100"
        native["_links"], native["_merges"], native["_external"] = [], [], []
        for link in native.get("_hyperlinks") or []:
            if link.get("ref") in LINKS and link.get("type") == "ticket":
                native["_links"].append(
                    {"ticket": str(native["id"]), "how": LINKS[link["ref"]], "other": str(link["id"])}
                )
            elif link.get("type") == "external":
                native["_external"].append(link.get("_url"))
        into = native.get("EffectiveId")
        into = str(into.get("id") if isinstance(into, dict) else into or native["id"])
        if into != str(native["id"]):
            native["_merges"].append({"ticket": str(native["id"]), "how": "MergedInto", "other": into})
        native["_links"].sort(key=lambda link: (link["how"], int(link["other"])))
        return native

    def _number(self, name: str) -> str:
        """Return a user's number by name."""
        if name not in self._numbers:
            params = {"query": where(("Name", "=", name)), "fields": "id,Name", "find_disabled_rows": 1}
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
        """Return what was said on a ticket, in order; its history holds that of tickets merged into it, too."""
        fields = {"fields": "Type,Created,Creator,ObjectId", "fields[Creator]": "id"}
        try:
            said = [
                one
                for page in self._numbered(f"/ticket/{parent}/history", fields)
                for one in page
                if one["Type"] in SAID and (self._together or str(one["ObjectId"]) == parent)
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
        return as_html(text)

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
        query = f"id > 0{self._merged_too()}"
        shown = int(self.client.read("/tickets", {"query": query, "fields": "id", "per_page": 1}).json()["total"])
        after, gone = 0, set[int]()
        while after is not None:
            ids, last = self._erased(after)
            gone |= set(ids)
            if last is None:
                break
            after = last
        return shown + sum(1 for record in self._seen("tickets", sorted(gone)) if b'"deleted"' in record.body)

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return records as they stand now."""
        stream = self.mapping.variant(kind, variant_name).stream
        if stream == "messages":
            return super().peek(kind, variant_name, targets)
        if stream in STREAMS.values():
            wanted = {there for there, _ in targets}
            return stream, [record for record in self._custom.seen(stream) if record.id in wanted]
        if stream == "groups":
            teams = dict.fromkeys(
                self._teams.of(":".join(there.split(":")[: 2 if there.startswith(PEOPLE) else 1]))[0]
                for there, _ in targets
            )
            return stream, self._seen(stream, [int(team) for team in teams if team])
        ids = dict.fromkeys(there.split(":")[0] for there, _ in targets)
        return stream, self._seen(stream, [int(id) for id in ids if id.isdecimal()])


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _values(fields: Any) -> Native:
    """Return custom values by the field's number: one, or a list."""
    found: Native = {}
    for one in fields or []:
        values = [value for value in one.get("values") or [] if value not in (None, "")]
        if values:
            found[str(one["id"])] = values if len(values) > 1 else values[0]
    return found


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
