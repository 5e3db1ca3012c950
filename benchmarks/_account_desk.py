"""A vendor's sandbox in a process of its own: on loopback, by a clock that runs faster, empty or with made-up records.

python benchmarks/_account_desk.py --vendor zendesk --tickets 1000 --speed 100 --origin 0    prints its address

A line ``report`` on stdin is answered with what was asked since the last one, as JSON. What a list costs a sandbox must
not grow with the account, or it would hide what we need: the long lists are handed the rows they will answer with.
"""

from __future__ import annotations

import argparse
import base64
import bisect
import json
import re
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from migrator import registry
from migrator.testing.sandbox import Clock, Native, Quota, Routes, Sandbox, serve

FILE_SECONDS = 0.5  # until a file begins to come
MESSAGES = 5  # a ticket, the first one included
TICKETS_A_PERSON = 20
BEGINS = datetime(2024, 1, 1, tzinfo=UTC)
BETWEEN_SECONDS = 600  # one ticket and the next
AGENTS = ("admin@zendesk.sandbox", "agent1@desk.example", "agent2@desk.example", "agent3@desk.example")  # demo.SEATS
TEXT = (
    "<p>Hello, since yesterday the printer {n} prints nothing but blank pages; I have tried another cable and the "
    "update of last week, and it still says that the cartridge is empty.</p><p>Thanks, {who}</p>"
)
STATUSES = ("open", "pending", "solved", "closed")


class Fast(Clock):
    """A clock ``speed`` times as fast as the machine's since ``origin`` (of ``time.monotonic``, one for all processes);
    who sleeps, waits as much less."""

    def __init__(self, speed: float, origin: float) -> None:
        super().__init__(real=True)
        self.speed, self.origin = speed, origin

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return (time.monotonic() - self.origin) * self.speed

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass by this clock."""
        time.sleep(max(0.0, seconds) / self.speed)


def moment(number: int, seconds: int = 0) -> str:
    """Return when the ticket with this number came, or something on it."""
    return (BEGINS + timedelta(seconds=number * BETWEEN_SECONDS + seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def people(tickets: int) -> int:
    """Return how many people asked for so many tickets."""
    return max(10, tickets // TICKETS_A_PERSON)


# ---- the accounts ----------------------------------------------------------------------------------------------------


def zendesk(box: Sandbox, tickets: int, with_files: int = 0) -> None:
    """Fill an account with ``tickets`` tickets of five comments each (none: what a new account has), every so many
    ``with_files`` having a file."""
    module = registry.connector("zendesk").sandbox
    module.furnish(box)
    box.state["job_seconds"] = 10.0
    if not tickets:
        return
    at = {"created_at": moment(0), "updated_at": moment(0)}
    person = {"active": True, "suspended": False, "verified": True, "tags": [], "user_fields": {}, "locale": "en-US"}
    users: list[Native] = [
        {"id": 100 + n, "name": f"Agent {n}", "email": email, "role": "agent", "organization_id": None, **person, **at}
        for n, email in enumerate(AGENTS[1:])
    ]
    users += [
        {"id": 1000 + n, "name": f"Person {n}", "email": f"p{n}@some.example", "role": "end-user", **person, **at}
        for n in range(people(tickets))
    ]
    module.seed(box, "users", [{"organization_id": None, **user} for user in users])
    group = next(iter(box.store["groups"]))
    form = next(iter(box.store["ticket_forms"]))
    held, threads, made = box.store["tickets"], box.state["comments_of"], box.store["ticket_comments"]
    for n in range(1, tickets + 1):
        asks, answers = 1000 + n % people(tickets), 100 + n % 3
        then = moment(n, (MESSAGES - 1) * 100)
        held[n] = {
            "id": n, "url": f"{box.base_url}/api/v2/tickets/{n}.json", "external_id": None, "type": "question",
            "subject": f"Printer {n} prints blank pages", "raw_subject": f"Printer {n} prints blank pages",
            "description": "Hello", "priority": "normal", "status": STATUSES[n % 4], "recipient": None,
            "requester_id": asks, "submitter_id": asks, "assignee_id": answers, "organization_id": None,
            "group_id": group, "collaborator_ids": [], "follower_ids": [], "email_cc_ids": [], "problem_id": None,
            "due_at": None, "tags": ["printer", f"tag{n % 50}"], "custom_fields": [], "fields": [],
            "satisfaction_rating": {"score": "unoffered"}, "ticket_form_id": form, "via": {"channel": "email"},
            "generated_timestamp": int((BEGINS + timedelta(seconds=n * BETWEEN_SECONDS + 400)).timestamp()),
            "created_at": moment(n), "updated_at": then,
        }  # fmt: skip
        threads[n] = []
        for place in range(MESSAGES):
            id = 10_000_000 + n * 10 + place
            who = answers if place % 2 else asks
            html = TEXT.format(n=n, who=who)
            made[id] = {
                "ticket_id": n,
                "comment": {
                    "id": id, "type": "Comment", "author_id": who, "html_body": html, "body": html, "plain_body": html,
                    "public": place != 3, "attachments": [], "audit_id": 10**9 + id, "via": {"channel": "email"},
                    "created_at": moment(n, place * 100),
                },
            }  # fmt: skip
            threads[n].append(id)
        if with_files and n % with_files == 0:
            made[threads[n][0]]["comment"]["attachments"] = [file(box, n)]
    module.touch(box)


def file(box: Sandbox, n: int) -> Native:
    """Return a ticket's file, whose bytes lie at the address that is served."""
    registry.connector("zendesk").sandbox.put_bytes(box, f"t{n}", f"file {n}\n".encode() * 2000)
    url = f"{box.base_url}/attachments/token/t{n}/?name=print.txt"
    made: Native = {
        "id": 20_000_000 + n, "file_name": "print.txt", "content_url": url, "mapped_content_url": url,
        "content_type": "text/plain", "size": len(f"file {n}\n") * 2000, "inline": False, "deleted": False,
    }  # fmt: skip
    box.store["attachments"][made["id"]] = box.state["tokens"][f"t{n}"] = made
    return made


def freshdesk(box: Sandbox, tickets: int, with_files: int = 0) -> None:
    """Fill an account with ``tickets`` tickets of a description and four conversations each (none: seats alone)."""
    connector = registry.connector("freshdesk")
    demo = connector.part("demo")
    if not tickets:
        demo.furnish(box, AGENTS)
        return
    at = {"created_at": moment(0), "updated_at": moment(0)}
    served = box.state.pop("served_at")
    demo.fill(box, tickets=1)  # one of each, as the vendor shapes it; in process
    box.state["served_at"] = served
    pattern = dict(next(iter(box.store["contacts"].values())))
    ticket = dict(next(iter(box.store["tickets"].values())))
    note = dict(next(iter(box.store["conversations"].values())))
    for stream in ("tickets", "conversations", "contacts", "companies", "satisfaction_ratings"):
        box.store[stream].clear()
        box.state["index"].pop(stream, None)
    box.state["threads"].clear()
    index, begins = box.state["index"], float("-inf")
    agents = [id for id, agent in box.store["agents"].items() if agent["contact"]["email"] in demo.SEATS[1:]]
    group = next(iter(box.store["groups"]))
    asking = []
    for n in range(people(tickets)):
        own = {"id": 1000 + n, "name": f"Person {n}", "email": f"p{n}@some.example", "company_id": None, "tags": []}
        asking.append(1000 + n)
        box.store["contacts"][1000 + n] = pattern | own | at
        index.setdefault("contacts", {})[1000 + n] = [(begins, box.store["contacts"][1000 + n])]
    for n in range(1, tickets + 1):
        asks, answers = asking[n % len(asking)], agents[n % len(agents)]
        html = TEXT.format(n=n, who=asks)
        subject = f"Printer {n} prints blank pages"
        box.store["tickets"][n] = ticket | {
            "id": n, "subject": subject, "requester_id": asks, "responder_id": answers, "group_id": group,
            "company_id": None, "status": n % 4 + 2, "priority": 2, "tags": ["printer", f"tag{n % 50}"],
            "description": html, "description_text": subject, "attachments": [], "source": 1, "type": "Question",
            "created_at": moment(n), "updated_at": moment(n, (MESSAGES - 1) * 100),
        }  # fmt: skip
        index.setdefault("tickets", {})[n] = [(begins, box.store["tickets"][n])]
        thread = box.state["threads"][n] = []
        for place in range(1, MESSAGES):
            id = 10_000_000 + n * 10 + place
            then = moment(n, place * 100)
            box.store["conversations"][id] = note | {
                "id": id, "ticket_id": n, "user_id": answers if place % 2 else asks, "body": html, "body_text": html,
                "private": place == 3, "incoming": not place % 2, "attachments": [], "created_at": then,
                "updated_at": then,
            }  # fmt: skip
            thread.append(id)
    box.state["ticket_id"] = tickets


ACCOUNTS: dict[str, Callable[[Sandbox, int], None]] = {"zendesk": zendesk, "freshdesk": freshdesk}


# ---- lists that do not grow ------------------------------------------------------------------------------------------


class Rows:
    """A stream's rows in an order, made again after a write."""

    def __init__(self, box: Sandbox, stream: str, key: Callable[[Native], Any]) -> None:
        self.box, self.stream, self.key = box, stream, key
        self.rows: list[Native] = []
        self.keys: list[Any] = []
        self.made = -1

    @contextmanager
    def after(self, place: Any, count: int) -> Iterator[None]:
        """Let the sandbox see ``count`` rows from ``place`` on, and no others."""
        if self.made != self.box.state["writes"]:
            self.rows = sorted(self.box.store[self.stream].values(), key=self.key)
            self.keys = [self.key(row) for row in self.rows]
            self.made = self.box.state["writes"]
        first = bisect.bisect_left(self.keys, place)
        whole = self.box.store[self.stream]
        self.box.store[self.stream] = {row["id"]: row for row in self.rows[first : first + count]}
        try:
            yield
        finally:
            self.box.store[self.stream] = whole


def swift(box: Sandbox) -> None:
    """Hand the long lists their rows: the endpoints answer as before, and look at as much as they answer with."""
    own = Routes()
    own.map, own.handlers = box.routes.map, dict(box.routes.handlers)
    box.routes = own
    if box.vendor == "freshdesk":
        rows = Rows(box, "tickets", lambda row: row["updated_at"])
        inner = own.handlers["GET /api/v2/tickets"]

        def listed(box: Sandbox, request: Any, **values: Any) -> Any:
            with rows.after(request.args.get("updated_since", ""), 2 * int(request.args.get("per_page", 30))):
                return inner(box, request, **values)

        own.handlers["GET /api/v2/tickets"] = listed
        return
    for stream in ("tickets", "users"):
        rows = Rows(box, stream, lambda row: (stamp(row), row["id"]))
        exported(own, f"GET /api/v2/incremental/{stream}/cursor.json", rows)
    marks = own.handlers["GET /api/v2/incremental/ticket_events.json"]
    held: dict[str, Any] = {"made": None}

    def events(box: Sandbox, request: Any, **values: Any) -> Any:
        if held["made"] != box.state["writes"] or box.state.get("marks") is None:
            answer = marks(box, request, **values)
            held.update(made=box.state["writes"], whole=box.state.get("marks"))
            if held["whole"]:
                held["keys"] = [mark["generated_timestamp"] for mark in held["whole"][1]]
            return answer
        revision, whole = held["whole"]
        first = bisect.bisect_left(held["keys"], int(float(request.args.get("start_time", 0))))
        box.state["marks"] = (revision, whole[first : first + 2_000])
        try:
            return marks(box, request, **values)
        finally:
            box.state["marks"] = held["whole"]

    own.handlers["GET /api/v2/incremental/ticket_events.json"] = events


def exported(routes: Routes, name: str, rows: Rows) -> None:
    """Hand a cursor export the rows behind its cursor."""
    inner = routes.handlers[name]

    def listed(box: Sandbox, request: Any, **values: Any) -> Any:
        cursor = request.args.get("cursor")
        when, _, rest = base64.b64decode(cursor).decode().partition("||") if cursor else ("0", "", "0|")
        with rows.after((int(float(when)), int(rest.rstrip("|"))), 1_010):
            return inner(box, request, **values)

    routes.handlers[name] = listed


def stamp(row: Native) -> int:
    """Return the time an export of Zendesk's orders a record by."""
    return int(row.get("generated_timestamp") or 0) or int(datetime.fromisoformat(row["updated_at"]).timestamp())


# ---- over a socket ---------------------------------------------------------------------------------------------------


class Desk:
    """A sandbox that counts: calls by endpoint, credits by quota, refusals, jobs under way at most."""

    def __init__(self, box: Sandbox) -> None:
        self.box, self.lock = box, threading.Lock()
        self.quotas: list[Quota] = box.state.get("plan_quotas") or box.quotas
        self.reset()

    def reset(self) -> None:
        """Count from nothing."""
        self.calls: Counter[str] = Counter()
        self.credits: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self.jobs, self.since = 0, self.box.clock.monotonic()

    def report(self) -> dict[str, Any]:
        """Return what was asked since the last report, and the share of each quota that was used."""
        with self.lock:
            minutes = (self.box.clock.monotonic() - self.since) / 60
            said = {
                "calls": dict(self.calls),
                "refused": dict(self.refused),
                "jobs": self.jobs,
                "share": max(
                    (self.credits[at] / q.per_minute / minutes for at, q in enumerate(self.quotas)), default=0
                ),
                "cpu": time.process_time(),
            }
            self.reset()
        return said

    def answer(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        """Answer one request and count it."""
        told: list[Any] = []
        if environ["REQUEST_METHOD"] != "GET":
            with self.lock:
                self.box.state["writes"] += 1
        body = b"".join(self.box(environ, lambda status, headers, *_: told.extend((status, headers))))
        status, headers = told
        name = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        with self.lock:
            short = re.sub(r"\d+", "{id}", name.replace("/api/v2", ""))
            self.calls[short] += 1
            if status.startswith("429"):
                self.refused[short] += 1
                return status, headers, body
            cost = int(dict(headers).get("X-RateLimit-Used-CurrentRequest", 1))
            for at, quota in enumerate(self.quotas):
                if re.search(quota.matching, name):
                    self.credits[at] += cost if quota.matching in ("", r" /api/v2/") else 1
            if environ["REQUEST_METHOD"] != "GET" and self.box.vendor == "zendesk":
                jobs = list(self.box.state["jobs"].values())
                self.jobs = max(self.jobs, sum(job["status"]["status"] in ("queued", "working") for job in jobs))
        return status, headers, body

    def talk(self, connection: socket.socket) -> None:
        """Answer one connection's requests."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb", 1 << 16) as file:
            while first := file.readline():
                method, target, _ = first.decode("latin-1").split(" ", 2)
                path, _, query = target.partition("?")
                environ: dict[str, Any] = {
                    "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": unquote(path, "latin-1"),
                    "QUERY_STRING": query, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80",
                    "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input_terminated": True,
                }  # fmt: skip
                while (line := file.readline().decode("latin-1").rstrip()) != "":
                    name, _, value = line.partition(":")
                    name = name.upper().replace("-", "_")
                    environ[name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"] = value.strip()
                sent = file.read(int(environ.get("CONTENT_LENGTH") or 0))
                environ["wsgi.input"] = Body(sent)
                status, headers, body = self.answer(environ)
                kept = "".join(f"{name}: {value}\r\n" for name, value in headers if name != "Content-Length")
                head = f"HTTP/1.1 {status}\r\n{kept}Content-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode("latin-1") + body)


class Body:
    """A request's body, as WSGI hands it on."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or the rest."""
        end = len(self.data) if size is None or size < 0 else self.at + size
        part, self.at = self.data[self.at : end], min(end, len(self.data))
        return part

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def slow(box: Sandbox, foreign: Any) -> Any:
    """Return the host of the files as one that takes its time."""

    def answer(environ: dict[str, Any], start: Any) -> Any:
        box.clock.sleep(FILE_SECONDS)
        return foreign(environ, start)

    return answer


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vendor", choices=sorted(ACCOUNTS), required=True)
    parser.add_argument("--tickets", type=int, default=0)
    parser.add_argument("--plan", required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--origin", type=float, required=True)
    parser.add_argument("--files", type=int, default=0, help="every so many tickets have a file")
    asked = parser.parse_args()
    box: Sandbox = registry.connector(asked.vendor).sandbox.create(
        clock=Fast(asked.speed, asked.origin), plan=asked.plan
    )
    box.keep_bodies = False
    box.exchanges = cast("Any", deque(maxlen=1))
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    box.state["served_at"] = f"http://127.0.0.1:{listening.getsockname()[1]}"
    box.state["writes"] = 0
    foreign = next(iter(box.state.get("hosts", {}).values()), None)
    elsewhere = ExitStack()
    if foreign:
        box.state["content_base"] = elsewhere.enter_context(serve(slow(box, foreign)))
    ACCOUNTS[asked.vendor](box, asked.tickets, asked.files)
    swift(box)
    desk = Desk(box)

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=desk.talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(box.state["served_at"], flush=True)
    for line in sys.stdin:
        if line.strip() == "report":
            print(json.dumps(desk.report()), flush=True)


if __name__ == "__main__":
    main()
