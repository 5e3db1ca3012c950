"""A Zendesk account made up by ourselves, with comments, and a TLS server that hands it out from memory.

python benchmarks/_peers_desk.py --certificate FILE --key FILE --comments 5 acme=5000 none=0
    prints its port, and serves every account (its name before .zendesk.com) until it is ended
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from _desk import WORDS, ticket

PAGE = 1000  # what Zendesk's exports hand out where nobody asks for another size, and the most they do
FIRST_SECOND = 1_600_000_000  # no two events share a second: a time-based page then repeats one event, no more
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Safari/537.36"

encode = msgspec.json.encode
Native = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One ticket as the exports and the lists show it, all JSON. ``texts``: its comments' bodies by id."""

    ticket: bytes
    comments: bytes
    audits: bytes
    events: list[bytes]
    texts: dict[str, str]


def parts(tickets: int, comments: int) -> list[Part]:
    """Return the tickets, the same ones every time; a smaller account has the first of a larger one's."""
    dice = random.Random(20261122)
    return [_part(id, comments, dice) for id in range(1, tickets + 1)]


def _part(id: int, comments: int, dice: random.Random) -> Part:
    """Return a ticket with its comments; after each audit with a comment comes one that only changes a field."""
    audits: list[Native] = []
    events: list[bytes] = []
    shown: list[Native] = []
    texts: dict[str, str] = {}
    for at in range(2 * comments):
        number = 2 * comments * (id - 1) + at
        second, audit_id, author = FIRST_SECOND + number, 10**9 + 10 * number, 900_000_000 + dice.randrange(200_000)
        made = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        via = {
            "channel": "web",
            "source": {"from": {}, "to": {"name": "Acme", "address": "support@acme.example"}, "rel": None},
        }
        place = {"client": BROWSER, "ip_address": "192.0.2.7", "location": "Lviv, 46, Ukraine"}
        place_on_earth = {"latitude": 49.839, "longitude": 24.0191}
        metadata = {"system": {**place, **place_on_earth}, "custom": {}}
        change = {
            "id": audit_id + 2,
            "type": "Change",
            "field_name": "status",
            "value": "open",
            "previous_value": "new",
        }
        changed = {"id": audit_id + 2, "via": via, "via_reference_id": None, "status": "open", "previous_value": "new"}
        audit_events, children = [change], [{**changed, "event_type": "Change"}]
        if at % 2 == 0:
            text = " ".join(dice.choices(WORDS, k=40))
            comment = {
                "id": audit_id + 1,
                "type": "Comment",
                "author_id": author,
                "body": text,
                "html_body": f'<div class="zd-comment" dir="auto">{text}<br></div>',
                "plain_body": text,
                "public": at % 4 == 0,
                "attachments": [],
                "audit_id": audit_id,
            }
            texts[str(comment["id"])] = text
            shown.append({**comment, "via": via, "created_at": made, "metadata": metadata})
            audit_events = [comment, change]
            whole = {**comment, "via": via, "via_reference_id": None, "created_at": made, "event_type": "Comment"}
            children = [whole, *children]
        head = {"id": audit_id, "ticket_id": id, "created_at": made}
        audits.append({**head, "author_id": author, "metadata": metadata, "events": audit_events, "via": via})
        system = {"client": BROWSER, "location": place["location"], **place_on_earth}
        event = {**head, "timestamp": second, "updater_id": author, "via": "Web form", "system": system}
        events.append(encode({**event, "event_type": "Audit", "merged_ticket_ids": [], "child_events": children}))
    ends = {"next_page": None, "previous_page": None}
    return Part(
        encode(ticket(id, dice)),
        encode({"comments": shown, **ends, "count": len(shown)}),
        encode({"audits": audits, **ends, "count": len(audits), "meta": {"has_more": False}}),
        events,
        texts,
    )


class Account:
    """What one account answers, every answer made beforehand."""

    def __init__(self, name: str, some: list[Part], comments: int) -> None:
        base = f"https://{name}.zendesk.com/api/v2"
        self.tickets = self._tickets(f"{base}/incremental/tickets/cursor.json", [part.ticket for part in some])
        self.events: dict[str, bytes] = {}  # by start_time; "" the first page
        self._events(f"{base}/incremental/ticket_events.json", [event for part in some for event in part.events])
        self.lists: dict[str, bytes] = {
            "/tickets/count": answer({"count": {"value": len(some), "refreshed_at": "2026-11-22T00:00:00Z"}}),
            "/users/me": answer({"user": {"id": 1, "name": "Admin", "role": "admin", "email": "admin@acme.example"}}),
            "/account/settings": answer({"settings": {"active_features": {"organization_access_enabled": True}}}),
            "/ticket_forms": answer({"ticket_forms": [_form()], "next_page": None, "count": 1}),
            "/search": answer({"results": [], "next_page": None, "count": 0}),
            "/slas/policies": answer({"sla_policies": [], "next_page": None, "count": 0}),
            "/tags": answer({"tags": [{"name": "printer", "count": 1}], "meta": {"has_more": False}, "links": {}}),
        }
        for id, part in enumerate(some, 1):
            self.lists[f"/tickets/{id}/comments"] = _answer(part.comments)
            self.lists[f"/tickets/{id}/audits"] = _answer(part.audits)

    def _tickets(self, address: str, rows: list[bytes]) -> list[bytes]:
        made = []
        for at in range(0, max(1, len(rows)), PAGE):
            last = at + PAGE >= len(rows)
            number = len(made) + 1
            end = {
                "after_url": None if last else f"{address}?cursor={number}",
                "after_cursor": None if last else str(number),
                "before_url": None,
                "before_cursor": None,
                "end_of_stream": last,
            }
            made.append(_answer(_page("tickets", rows[at : at + PAGE], end)))
        return made

    def _events(self, address: str, rows: list[bytes]) -> None:
        """Make time-based pages: each begins with the last event of the one before, as Zendesk's do."""
        at, start = 0, ""
        while True:
            some = rows[at : at + PAGE]
            last = at + PAGE >= len(rows)
            end_time = FIRST_SECOND + at + len(some) - 1 if some else None
            end = {
                "next_page": f"{address}?start_time={end_time}&include=comment_events" if some else None,
                "count": len(some),
                "end_of_stream": last,
                "end_time": end_time,
            }
            self.events[start] = _answer(_page("ticket_events", some, end))
            if last:
                return
            at, start = at + PAGE - 1, str(end_time)

    def answer(self, target: str) -> bytes:
        """Return the whole response. A list that nobody made is there and empty."""
        found = urlsplit(target)
        path = found.path.removeprefix("/api/v2").removesuffix(".json")
        if path in self.lists:
            return self.lists[path]
        if path == "/incremental/tickets/cursor":
            return self.tickets[int(parse_qs(found.query).get("cursor", ["0"])[0])]
        if path == "/incremental/ticket_events":
            start = parse_qs(found.query).get("start_time", [""])[0]
            return self.events.get(start, self.events[""])
        made = self.lists[path] = answer(
            {path.rpartition("/")[2]: [], "next_page": None, "count": 0, "meta": {"has_more": False}, "links": {}}
        )
        return made


def _form() -> Native:
    """Return a ticket form: airbyte takes an account without one for an account without the right."""
    made = "2019-01-01T00:00:00Z"
    return {"id": 360_001, "name": "Default", "ticket_field_ids": [], "created_at": made, "updated_at": made}


def _page(name: str, rows: list[bytes], end: Native) -> bytes:
    return f'{{"{name}":['.encode() + b",".join(rows) + b"]," + encode(end)[1:]


def answer(body: Native) -> bytes:
    """Return a response with a JSON body."""
    return _answer(encode(body))


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def digest(tickets: Iterable[str], comments: Iterable[tuple[str, str]]) -> str:
    """Return a hash of the tickets' ids and of the comments' ids and texts, whatever their order."""
    lines = [*sorted(set(tickets)), *(f"{id} {text}" for id, text in sorted(set(comments)))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Talk(asyncio.Protocol):
    """One connection, kept alive: reads heads of GET requests, writes answers that are ready."""

    def __init__(self, accounts: dict[bytes, Account]) -> None:
        self.accounts, self.unread = accounts, b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while b"\r\n\r\n" in self.unread:
            head, _, self.unread = self.unread.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            host = next(line for line in lines if line[:5].lower() == b"host:")[5:].strip()
            account = self.accounts[host.split(b".")[0]]
            self.transport.write(account.answer(lines[0].split(b" ")[1].decode()))


async def serve(accounts: dict[bytes, Account], certificate: str, key: str) -> None:
    """Answer until somebody ends us."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = await asyncio.get_running_loop().create_server(lambda: Talk(accounts), "127.0.0.1", 0, ssl=tls)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--comments", type=int, required=True)
    parser.add_argument("accounts", nargs="+", help="name=tickets")
    asked = parser.parse_args()
    sizes = {name: int(size) for name, _, size in (one.partition("=") for one in asked.accounts)}
    every = parts(max(sizes.values()), asked.comments)
    made = {name.encode(): Account(name, every[:size], asked.comments) for name, size in sizes.items()}
    asyncio.run(serve(made, asked.certificate, asked.key))
