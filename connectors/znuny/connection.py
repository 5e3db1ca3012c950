"""A Znuny, opened: read and written through its web service, its own Perl and its database, as far as each is given."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from migrator.connector import Cursor, Finding, Native, Outcome, Page, Promise, Raw, Unit, Written
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, InputError, MigratorError, RefusedError
from migrator.manifest import Stream

from . import catalogue, jobs, records, writing
from .console import Console
from .database import Database
from .interface import AT_ONCE, Interface
from .records import People

TOLD = {"services": "Service", "slas": "SLA"}  # how a ticket names them
BYTES_AT_ONCE = 32_000_000  # of files, in one answer


class Connection(Deliverer):
    """One account. Without a channel there is the web service alone, which shows tickets and who they name."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.interface = Interface(self.client, self.given("user"), self.given("password"))
        self.console = self.database = None
        if "console" in self.channels:
            self.console = Console(self.given("home"), self.options.get("perl", "perl"))
        if "sql" in self.channels:
            self.database = Database(self.given("database"), self.given("database_password"))

    # ---- who is who -------------------------------------------------------------------------------------------------

    @cached_property
    def myself(self) -> str:
        """Return the number of the agent we are signed in as."""
        answer = self.interface.read("/Session/" + self.interface.signed_in())
        data = {one["Key"]: one.get("Value") for one in answer.get("SessionData") or ()}
        return str(data.get("UserID") or "")

    @property
    def sees(self) -> bool:
        """Tell whether a channel leads to Znuny's database."""
        return bool(self.database or self.console)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Native] | None:
        """Return rows of Znuny's database, every value as text; None where no channel leads there."""
        if self.database:
            return self.database.rows(sql, values)
        return self.console.rows(sql, values) if self.console else None

    def listed(self, stream: str) -> list[Native]:
        """Return the records of a stream that is no list of tickets."""
        if not self.sees:
            return [] if stream == "jobs" else self._told_by_tickets(stream)
        if stream == "jobs":
            return jobs.listed(self)
        made: dict[str, tuple[str, Callable[[Native], Native]]] = {
            "agents": (records.AGENTS, records.agent),
            "contacts": (records.CONTACTS, records.contact),
            "companies": (records.COMPANIES, dict),
            "queues": (records.QUEUES, dict),
            "links": (records.LINKS, records.link),
            "slas": (records.SLAS, dict),
            "services": (records.SERVICES, dict),
            "service_customers": (records.CUSTOMERS, dict),
            "fields": (records.FIELDS, records.dynamic_field),
        }
        sql, make = made[stream]
        found = [make(row) for row in self.rows(sql) or ()]
        if stream == "services":
            found = records.services(found, self.rows(records.CUSTOMERS) or ())
        elif stream == "service_customers":
            found = records.service_customers(found)
        elif stream == "slas":
            found = records.slas(found, self.rows(records.SLA_SERVICES) or ())
        elif stream == "contacts":
            agents = {one["email"].lower() for one in self.listed("agents") if one.get("email")}
            logins = [row["login"] for row in self.rows(records.STRANGERS) or ()]
            found += [records.stranger(login) for login in logins if login.lower() not in agents]
        return found

    def _told_by_tickets(self, stream: str) -> list[Native]:
        """Return what tickets tell of people, queues and fields, where nothing else does."""
        found: dict[str, Native] = {}
        how = {"AllArticles": 1} if stream == "fields" else {}
        for tickets in self._chunks(self.interface.search(), **how):
            for ticket in tickets:
                if stream == "queues":
                    found[str(ticket["QueueID"])] = {"id": ticket["QueueID"], "name": ticket["Queue"]}
                elif stream in ("services", "slas") and ticket.get(TOLD[stream] + "ID"):
                    one = {"id": str(ticket[TOLD[stream] + "ID"]), "name": ticket[TOLD[stream]]}
                    found[one["id"]] = one
                elif stream == "agents":
                    for role in ("Owner", "Responsible"):
                        if str(ticket[role + "ID"]) != records.ROOT:
                            login = ticket[role]
                            known = {"id": ticket[role + "ID"], "login": login, "name": login, "email": login}
                            found[str(known["id"])] = known
                elif stream == "contacts" and ticket.get("CustomerUserID"):
                    found[ticket["CustomerUserID"]] = records.stranger(ticket["CustomerUserID"])
                elif stream == "companies" and ticket.get("CustomerID"):
                    found[ticket["CustomerID"]] = {"customer_id": ticket["CustomerID"], "name": ticket["CustomerID"]}
                elif stream == "fields":
                    articles = ticket.get("Article") or ()
                    mine = [one for article in articles for one in article.get("DynamicField") or ()]
                    for one in [*(ticket.get("DynamicField") or ()), *mine]:
                        name = one["Name"]
                        found[name] = {"id": name, "name": name, "label": name, "field_type": "Text"}
            if stream == "fields" and found:
                break
        return list(found.values())

    def _chunks(self, ids: Sequence[int], **how: Any) -> Iterator[list[Native]]:
        for at in range(0, len(ids), AT_ONCE):
            yield self.interface.tickets(ids[at : at + AT_ONCE], **how)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield the stream's pages; tickets come with their articles, fifty at a time."""
        self.interface.signed_in()  # who may not sign in is shown nothing by the other ways in either
        if stream == "tickets":
            yield from self._ticket_pages(start, self.interface.search())
        elif stream in ("articles", "history"):
            ids = sorted(int(id) for id in parents("tickets"))
            for page in self._ticket_pages(start, ids):
                yield Page(list(page.also.get(stream, ())), page.cursor, page.done, whole=page.whole)
        else:
            yield Page([self._raw(stream, record) for record in self.listed(stream)], {"done": True}, True)

    def _raw(self, stream: str, record: Native, parent: str | None = None) -> Raw:
        spec = self.manifest.streams[stream]
        changed = record.get(spec.updated_at) if spec.updated_at else None
        body = json.dumps(record, ensure_ascii=False).encode()
        return Raw(str(record[spec.id]), body, str(changed) if changed else None, parent)

    def _ticket_pages(self, start: Cursor | None, ids: Sequence[int]) -> Iterator[Page]:
        after = int((start or {}).get("after", 0))
        ids = [id for id in ids if id > after]
        if not ids:
            yield Page([], start or {}, True)
        people, types = self._people(), self._types()
        companies = self._companies()
        for at in range(0, len(ids), AT_ONCE):
            some = ids[at : at + AT_ONCE]
            tickets, articles, history = [], [], []
            whole: dict[str, dict[str, list[str]]] = {"articles": {}, "history": {}}
            events = self._events(some)
            for ticket in self._whole(some):
                id = str(ticket["TicketID"])
                tickets.append(self._raw("tickets", records.ticket_record(ticket, people, types, companies)))
                made = [
                    self._raw(
                        "articles", records.article_record(one, ticket, people, self.myself, one.get("_body")), id
                    )
                    for one in ticket.get("Article") or ()
                ]
                done_to_it = [self._raw("history", one, id) for one in events.get(id, ())]
                whole["articles"][id] = [one.id for one in made]
                whole["history"][id] = [one.id for one in done_to_it]
                articles += made
                history += done_to_it
            done = at + AT_ONCE >= len(ids)
            yield Page(tickets, {"after": some[-1]}, done, {"articles": articles, "history": history}, whole)

    def _events(self, ids: Sequence[int]) -> dict[str, list[Native]]:
        """Return the history of some tickets, by ticket."""
        found: dict[str, list[Native]] = {}
        if self.sees:
            for row in self.rows(records.HISTORY.format(", ".join(["%s"] * len(ids))), ids) or ():
                found.setdefault(row["ticket_id"], []).append(records.event(row))
            return found
        return {str(one["TicketID"]): records.told_events(one) for one in self.interface.histories(ids)}

    def _people(self) -> People:
        return People.known(self.listed("agents"), self.listed("contacts"))

    def _types(self) -> dict[str, str]:
        return {one["name"]: one.get("field_type") or "Text" for one in self.listed("fields")}

    def _companies(self) -> set[str] | None:
        known = self.rows(records.COMPANIES)
        return None if known is None else {one["customer_id"] for one in known}

    def _whole(self, ids: Sequence[int]) -> list[Native]:
        """Return tickets with articles, the lists of their files, and HTML bodies; no answer holds too many bytes."""
        how = {"AllArticles": 1, "Attachments": 1, "HTMLBodyAsAttachment": 1}
        tickets = self.interface.tickets(ids, **how, GetAttachmentContents=0)
        if self.database:
            articles = [int(one["ArticleID"]) for ticket in tickets for one in ticket.get("Article") or ()]
            bodies = self.database.bodies(articles)
            for ticket in tickets:
                for one in ticket.get("Article") or ():
                    if body := bodies.pop(int(one["ArticleID"]), None):
                        one["_body"] = body
            if not any(_lacks_body(ticket) for ticket in tickets):
                return tickets
        again = {int(ticket["TicketID"]): ticket for ticket in tickets}
        for some in _portions([ticket for ticket in tickets if _lacks_body(ticket)]):
            again |= {int(ticket["TicketID"]): ticket for ticket in self.interface.tickets(some, **how)}
        return list(again.values())

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield an attachment's bytes. The web service hands files out with their ticket only."""
        found = re.fullmatch(r"znuny:(\d+)/(\d+)/(\d+)", url)
        if not found:
            raise RefusedError(f"not the address of a file at Znuny: {url[:80]}")
        ticket, article, file = found.groups()
        if self.database and (held := self._bytes(article, file)) is not None:
            yield held
            return
        for whole in self.interface.tickets([ticket], AllArticles=1, Attachments=1, HTMLBodyAsAttachment=1):
            for one in whole.get("Article") or ():
                for each in one.get("Attachment") or ():
                    if (str(one["ArticleID"]), str(each["FileID"])) == (article, file):
                        yield base64.b64decode(each.get("Content") or "")
                        return
        raise AbsentError(f"article {article} of ticket {ticket} has no file {file}", status=404)

    def _bytes(self, article: str, file: str) -> bytes | None:
        """Return a file's bytes from the database, unless Znuny keeps files elsewhere."""
        assert self.database is not None
        sql = "SELECT content FROM article_data_mime_attachment WHERE article_id = %s ORDER BY filename, id"
        found = self.database.rows(f"{sql} OFFSET %s LIMIT 1", [int(article), int(file) - 1])
        return base64.b64decode(found[0]["content"] or "") if found else None

    def count(self, stream: str) -> int | None:
        """Return how many tickets Znuny itself finds."""
        return len(self.interface.search()) if stream == "tickets" else None

    def child(self, spec: Stream, parent: str) -> list[Raw]:
        """Return the articles, or the history, of one ticket."""
        if spec == self.manifest.streams["history"]:
            events = self._events([int(parent)]).get(parent, [])
            return [self._raw("history", one, parent) for one in events]
        pages = self._ticket_pages(None, [int(parent)])
        return [record for page in pages for record in page.also.get("articles", ())]

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there (id, its owner's) as they stand now."""
        variant = self.mapping.variant(kind, variant_name)
        if variant.stream in ("articles", "history"):
            return super().peek(kind, variant_name, targets)
        ids = {there.removeprefix(variant.prefix) for there, _ in targets}
        if variant.stream == "tickets":
            pages = self._ticket_pages(None, sorted(int(id) for id in ids))
            return variant.stream, [record for page in pages for record in page.records]
        found = [self._raw(variant.stream, record) for record in self.listed(variant.stream)]
        return variant.stream, [record for record in found if record.id in ids]

    def check(self) -> list[Finding]:
        """Try the credentials, then each channel."""
        try:
            findings = [Finding("credentials", bool(self.myself), f"signed in as agent {self.myself}")]
        except MigratorError as err:
            return [Finding("credentials", False, str(err))]
        tries: dict[str, Callable[[], object]] = {"to list tickets": lambda: self.interface.search(TicketID=1)}
        if self.console:
            console = self.console
            tries["the channel console"] = lambda: console.ask("hello")
        if self.database:
            database = self.database
            tries["the channel sql"] = lambda: database.rows("SELECT count(*) AS n FROM ticket")
        for what, attempt in tries.items():
            try:
                attempt()
                findings.append(Finding(what, True))
            except MigratorError as err:
                findings.append(Finding(what, False, str(err)))
        return findings

    # ---- writing ----------------------------------------------------------------------------------------------------

    def write(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Carry out one call: every call carries one record, and what travels with it."""
        unit = units[0]
        if unit.action == "delete":
            return [writing.deleted(self, unit)]
        _, call = self._declared(unit)
        if call.many > 1:
            return catalogue.written(self, units)
        if call.path.startswith("console:"):
            return [writing.added(self, unit)]
        if unit.kind == "ticket":
            return [writing.changed(self, unit) if unit.action == "update" else writing.ticket(self, unit)]
        return [writing.article(self, unit)]

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made, and complete what was left half done."""
        if units[0].action == "create" and units[0].kind in catalogue.KINDS:
            return catalogue.found(self, units, known)
        return [self._stands(unit) if unit.action != "create" else writing.found(self, unit) for unit in units]

    def sender(self, id: str) -> str:
        """Return a person the way a mail's From has it; ``id`` is a reference's."""
        if id not in self._senders:
            sql, make, at = (
                (records.AGENTS.replace("u.id <> 1", "u.id = %s"), records.agent, int(id.removeprefix(records.AGENT)))
                if id.startswith(records.AGENT)
                else (records.CONTACTS.replace("ORDER BY", "WHERE c.login = %s ORDER BY"), records.contact, id)
            )
            rows = self.rows(sql, [at])
            one: Native = make(rows[0]) if rows else {"name": id, "email": id if "@" in id else None}
            self._senders[id] = records.sender(str(one["name"]), one.get("address") or one.get("email"))
        return self._senders[id]

    @cached_property
    def _senders(self) -> dict[str, str]:
        return {} if self.sees else self._people().senders

    @cached_property
    def field_types(self) -> dict[str, str]:
        """Return the type of every dynamic field, as it was when first asked for."""
        return self._types()

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Return what a job names that is not there; asked while planning."""
        return jobs.missing(self, payload) if kind == "automation" else None

    def activate(self, unit: Unit, switch: str) -> None:
        """Switch on a job; nothing else of Znuny's is written off."""
        jobs.switched_on(self, unit)

    # ---- switches ---------------------------------------------------------------------------------------------------

    def switches(self) -> Native:
        """Return the notifications that are on."""
        found = self.rows("SELECT id FROM notification_event WHERE valid_id = 1 ORDER BY id") if self.console else None
        return {"notifications": [int(row["id"]) for row in found or ()]}

    def quiet(self) -> None:
        """Switch notifications off: without the console nobody can, and none of our articles asks for one."""
        if self.database and not self.console:
            raise InputError(
                "the channel sql writes dates that Znuny's cache hides until it is cleared",
                remedy="add the channel console: `channels: [console, sql]`",
            )
        if self.console:
            self.console.ask("notifications", ids=self.switches()["notifications"], valid=False)

    def restore(self, was: Native) -> None:
        """Switch on what was on, and let Znuny forget what it remembers of tickets."""
        if self.console:
            self.console.ask("notifications", ids=was.get("notifications", []), valid=True)
            self.console.ask("forget", types=list(writing.REMEMBERED))


def _lacks_body(ticket: Native) -> bool:
    return any(
        "_body" not in one and any(records.is_body(file) for file in one.get("Attachment") or ())
        for one in ticket.get("Article") or ()
    )


def _portions(tickets: Sequence[Native]) -> Iterator[list[int]]:
    """Yield ids of tickets whose files together are not too much for one answer."""
    some: list[int] = []
    held = 0
    for ticket in tickets:
        files = (file for one in ticket.get("Article") or () for file in one.get("Attachment") or ())
        size = sum(int(file.get("FilesizeRaw") or 0) for file in files)
        if some and held + size > BYTES_AT_ONCE:
            yield some
            some, held = [], 0
        some.append(int(ticket["TicketID"]))
        held += size
    if some:
        yield some
