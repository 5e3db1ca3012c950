"""How fast a load goes into a true server, beside a bare loop of ``requests`` that posts the very same bodies.

    python benchmarks/servers.py [VENDOR] [--tickets 120] [--workers 1 8] [--repeat 3] [--json FILE]

A first load is recorded at the client: every request that writes, with its body. Then, on a server brought back to its
beginning each time and by turns, the recording is posted again by plain ``requests`` sessions, and the plan is loaded
by migrator. Share: the bare loop's best time by migrator's best.

Znuny's web service adds no people and wants a session: people and queues are loaded before, and the bare loop signs in
before its time is taken (migrator signs in within its own). ``znuny_sql`` also dates what it writes.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import requests
from requests.adapters import HTTPAdapter

from migrator import registry
from migrator.compile import name
from migrator.extract import canonicalize
from migrator.kinds import Kinds
from migrator.ledger import Ledger
from migrator.load import Loader
from migrator.migration import Account
from migrator.plan import Plan, Planner
from migrator.project import side
from migrator.stage import Stage
from migrator.testing.conformance import stage_all
from migrator.testing.servers import Unavailable, django_helpdesk, request_tracker, znuny
from migrator.workspace import Workspace

CONTACTS, GROUPS = 10, 2


@dataclass
class Desk:
    """A true server of one vendor: how it is started, opened, and brought back to its beginning.

    ``keep``: make what it holds now its beginning, where people have to be there before a ticket is posted.
    ``renewed``: the recorded requests that count, made valid for the server as it stands now.
    """

    account: Account
    secrets: dict[str, str]
    reset: Callable[[], None]
    stop: Callable[[], None]
    keep: Callable[[], None] | None = None
    renewed: Callable[[Sequence[requests.PreparedRequest]], Sequence[requests.PreparedRequest]] = lambda some: some


def start_request_tracker(folder: Path) -> Desk:
    """Start Request Tracker without its scrips: it is the API that is measured."""
    server = request_tracker.start(folder, scrips=False)
    account = Account(vendor="request_tracker", url=server.url)
    return Desk(account, {"token": server.token}, server.reset, server.stop)


def start_django_helpdesk(folder: Path) -> Desk:
    """Start django-helpdesk with a worker process a core."""
    server = django_helpdesk.start(folder)
    account = Account(vendor="django_helpdesk", url=server.url, settings={"address": server.url})
    return Desk(account, {"token": server.token}, server.reset, server.stop)


def start_znuny(folder: Path, *channels: str) -> Desk:
    """Start Znuny with Starman's ten workers."""
    server = znuny.start(folder, service=registry.connector("znuny").folder / "webservice.yml")
    settings = {name: server.settings[name] for name in ("user", "home", *(["database"] if "sql" in channels else []))}
    secrets = {
        name: server.secrets[name] for name in ("password", *(["database_password"] if "sql" in channels else []))
    }
    account = Account(vendor="znuny", url=server.url, settings=settings, channels=channels)
    place = f"{server.url}{znuny.ROUTE}"

    def renewed(some: Sequence[requests.PreparedRequest]) -> list[requests.PreparedRequest]:
        signed_in = {"UserLogin": znuny.USER, "Password": znuny.PASSWORD}
        session = requests.post(f"{place}/Session", json=signed_in, timeout=120).json()["SessionID"]
        fresh = []
        for one in some:
            if str(one.url).startswith(f"{place}/Ticket") and not str(one.url).endswith("Search"):
                body = {**json.loads(one.body or b"{}"), "SessionID": session}
                fresh.append(requests.Request(one.method, one.url, json=body).prepare())
        return fresh

    return Desk(account, secrets, server.reset, server.stop, server.keep, renewed)


DESKS: dict[str, Callable[[Path], Desk]] = {
    "django_helpdesk": start_django_helpdesk,
    "request_tracker": start_request_tracker,
    "znuny": lambda folder: start_znuny(folder, "console"),
    "znuny_sql": lambda folder: start_znuny(folder, "console", "sql"),
}


class Recording(HTTPAdapter):
    """Keeps what is written, as it is sent."""

    def __init__(self, kept: list[requests.PreparedRequest]) -> None:
        super().__init__(pool_maxsize=64)
        self.kept = kept

    def send(self, request: requests.PreparedRequest, *args: Any, **how: Any) -> requests.Response:
        """Send it, and keep what writes."""
        if request.method != "GET":
            self.kept.append(request.copy())
        return super().send(request, *args, **how)


def made_up(stage: Stage, kinds: Kinds, tickets: int) -> None:
    """Make an account of tickets with one message each."""
    stage.schema("canonical", "blobs", fresh=True)
    at = datetime(2024, 1, 1)
    held: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds.kinds}
    held["group"] = [{"id": f"g{n}", "name": f"Group {n}"} for n in range(GROUPS)]
    held["contact"] = [
        {"id": f"c{n}", "name": f"Person {n}", "email": f"p{n}@x.example", "created_at": at} for n in range(CONTACTS)
    ]
    for n in range(tickets):
        person, moment = f"c{n % CONTACTS}", at + timedelta(minutes=n)
        ticket = {"id": f"t{n}", "subject": f"Question {n}", "status": "open", "priority": "normal"}
        held["ticket"].append({**ticket, "requester": person, "group": f"g{n % GROUPS}", "created_at": moment})
        message = {"id": f"m{n}", "ticket": f"t{n}", "author": person, "body": f"<p>{'text ' * 40}{n}</p>"}
        held["message"].append({**message, "public": True, "order": 1, "created_at": moment})
    for kind_name, kind in kinds.kinds.items():
        stage.run(f"CREATE TABLE canonical.{name(kind_name)} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
        rows = [[one["id"], kind_name, *(one.get(column) for column in kind.fields)] for one in held[kind_name]]
        stage.insert(f"canonical.{name(kind_name)}", rows)


class Moving:
    """One plan, loaded as often as wanted."""

    def __init__(self, desk: Desk, folder: Path, tickets: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.desk, self.workspace, self.runs = desk, Workspace(folder), 0
        for secret, value in desk.secrets.items():
            os.environ[f"MIGRATOR_BENCH_{secret.upper()}"] = value
        self.connector = registry.connector(desk.account.vendor)
        self.manifest = self.connector.manifest.through(desk.account.channels)
        self.stage = Stage(self.workspace.stage)
        made_up(self.stage, self.connector.kinds, tickets)
        stage_all(self._open(1), self.stage, "there", self.workspace)
        connector = self.connector
        canonicalize(self.stage, connector.kinds, connector.mapping, raw="there", into="found")
        planner = Planner(self.stage, connector.kinds, self.manifest, connector.mapping, "bench", "found")
        self.plan: Plan = planner.make()

    def _open(self, workers: int, session: requests.Session | None = None) -> Any:
        secrets = {secret: f"env:MIGRATOR_BENCH_{secret.upper()}" for secret in self.desk.secrets}
        account = self.desk.account.model_copy(update={"workers": workers, "secrets": secrets})
        return side(account, None, "bench").open(session=session)

    def load(self, workers: int, session: requests.Session | None = None) -> float:
        """Load the plan into an empty server; return the seconds."""
        self.desk.reset()
        self.runs += 1
        with Ledger(self.workspace.folder / f"ledger{self.runs}.sqlite") as ledger:
            connector, destination = self.connector, self._open(workers, session)
            began = time.monotonic()
            loaded = Loader(
                self.stage, ledger, self.workspace, connector.kinds, self.manifest, connector.mapping, destination,
                "bench", workers=workers,
            ).load(self.plan.digest, {})  # fmt: skip
            seconds = time.monotonic() - began
            assert loaded.quarantined == 0, ledger.quarantined()[:1]
            assert loaded.written == self.plan.units
        return seconds


def bare(desk: Desk, recorded: Sequence[requests.PreparedRequest], workers: int) -> float:
    """Post what was recorded, group by group, by so many threads with a session each; return the seconds."""
    desk.reset()
    recorded = desk.renewed(recorded)
    began = time.monotonic()
    with_sessions = [requests.Session() for _ in range(workers)]
    for _, group in groupby(recorded, key=lambda request: str(request.url).split("?")[0]):
        waiting: queue.SimpleQueue[requests.PreparedRequest] = queue.SimpleQueue()
        for request in group:
            waiting.put(request)
        failed: list[str] = []

        def work(session: requests.Session, waiting: Any = waiting, failed: list[str] = failed) -> None:
            while True:
                try:
                    request = waiting.get_nowait()
                except queue.Empty:
                    return
                answer = session.send(request, timeout=120)
                if not answer.ok or b'"Error"' in answer.content:
                    failed.append(answer.text[:200])

        threads = [threading.Thread(target=work, args=(session,)) for session in with_sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed[:2]
    return time.monotonic() - began


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vendor", nargs="?", default="request_tracker", choices=sorted(DESKS))
    parser.add_argument("--tickets", type=int, default=120)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    lines = []
    with tempfile.TemporaryDirectory(dir=memory) as folder, tempfile.TemporaryDirectory() as own:
        try:
            desk = DESKS[options.vendor](Path(folder))
        except Unavailable as why:
            print(f"{options.vendor}: not measured, {why}")
            return 0
        try:
            if desk.keep:
                Moving(desk, Path(own) / "people", 0).load(1)
                desk.keep()
            moving = Moving(desk, Path(own) / "tickets", options.tickets)
            recorded: list[requests.PreparedRequest] = []
            with requests.Session() as session:
                session.mount("http://", Recording(recorded))
                moving.load(1, session)
            recorded = list(desk.renewed(recorded))
            print(f"{options.vendor}: {moving.plan.units} units, {len(recorded)} requests that write")
            print("| workers | bare loop, requests/s | migrator, requests/s | share |")
            print("|---|---|---|---|")
            for workers in options.workers:
                turns = [(bare(desk, recorded, workers), moving.load(workers)) for _ in range(options.repeat)]
                plain, ours = (min(times) for times in zip(*turns, strict=True))
                number = len(recorded)
                lines.append({"workers": workers, "bare": plain, "migrator": ours, "share": plain / ours, "all": turns})
                print(f"| {workers} | {number / plain:.1f} | {number / ours:.1f} | {plain / ours:.2f} |", flush=True)
        finally:
            desk.stop()
    if options.json:
        options.json.write_text(json.dumps({"vendor": options.vendor, "runs": lines}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
