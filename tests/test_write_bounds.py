"""Calls a ticket, held to the lower bounds of the vendors' own rules (vendor facts, help desks, section 5)."""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from migrator import registry
from migrator.compile import name
from migrator.delivery import Deliverer
from migrator.extract import canonicalize
from migrator.ledger import Ledger
from migrator.load import Loader
from migrator.migration import Account
from migrator.plan import Planner
from migrator.project import side
from migrator.stage import Stage
from migrator.testing.conformance import stage_all
from migrator.testing.sandbox import Sandbox, mount
from migrator.workspace import Workspace

pytestmark = pytest.mark.sandbox

SLACK = 1.02  # what we may need beyond the bound
MESSAGES = 5
PEOPLE = 40
JOBS = 30  # that Zendesk lets queue or run (developer.zendesk.com, rate limits)
BATCH = 100
BLOB = b"bytes of an attachment"


@dataclass(frozen=True)
class Seen:
    """What a sandbox saw of one load: calls by endpoint, refusals (429 among them), jobs under way at most."""

    calls: Counter[str]
    refused: list[tuple[str, int]]
    jobs: int


def loaded(folder: Path, vendor: str, *, tickets: int, attachments: int = 0) -> Seen:
    """Plan and load a made-up account into a new sandbox with quotas, whose calls and jobs take time by its clock."""
    connector = registry.connector(vendor)
    box: Sandbox = connector.sandbox.create(plan="enterprise")
    box.keep_bodies = False
    if hasattr(connector.sandbox, "furnish"):
        connector.sandbox.furnish(box)
    workspace = Workspace(folder)
    with wired(box, vendor) as destination, Stage(workspace.stage) as stage, Ledger(workspace.ledger) as ledger:
        made_up(stage, workspace, vendor, tickets, attachments)
        stage_all(destination, stage, "there", workspace)
        canonicalize(stage, connector.kinds, connector.mapping, raw="there", into="found")
        plan = Planner(stage, connector.kinds, connector.manifest, connector.mapping, "south", "found").make()
        box.clock.sleep(120)
        before, jobs, dice = len(box.exchanges), [0], random.Random(5)

        def watch(when: str, call: str) -> None:
            if when == "before":
                box.clock.sleep(dice.uniform(0.1, 0.4))
                box.state["job_seconds"] = dice.uniform(6, 16)  # recorded jobs of 100 tickets took from 6 to 16
            states = [job["status"]["status"] for job in box.state["jobs"].values() if "status" in job]
            jobs[0] = max(jobs[0], sum(state in ("queued", "working") for state in states))

        box.watchers.append(watch)
        done = Loader(
            stage,
            ledger,
            workspace,
            connector.kinds,
            connector.manifest,
            connector.mapping,
            destination,
            "south",
            workers=1,  # one clock for all: two who sleep would wind it twice
            now=box.clock.now,
            sleep=box.clock.sleep,
            monotonic=box.clock.monotonic,
        ).load(plan.digest, {})
        assert done.finished
        assert done.written == plan.units
    some = box.exchanges[before:]
    refused = [(f"{one.method} {one.path}", one.status) for one in some if one.status >= 400]
    return Seen(Counter(f"{one.method} {endpoint(one.path)}" for one in some), refused, jobs[0])


def endpoint(path: str) -> str:
    """Return a path without the numbers in it."""
    return "/".join("{id}" if part.isdigit() else part for part in path.split("/"))


@contextmanager
def wired(box: Sandbox, vendor: str) -> Iterator[Deliverer]:
    """Open the sandbox as an account, paced by its clock."""
    module = registry.connector(vendor).sandbox
    with pytest.MonkeyPatch.context() as patch, mount(box) as session:
        patch.setenv("MIGRATOR_BOUND", module.TOKEN)
        account = Account(
            vendor=vendor,
            url=box.base_url,
            settings={"user": module.EMAIL} if hasattr(module, "EMAIL") else {},
            secrets={"token": "env:MIGRATOR_BOUND"},
            plan="enterprise",
            workers=1,
        )
        yield side(account, None, "bound").open(session=session, sleep=box.clock.sleep, monotonic=box.clock.monotonic)


def made_up(stage: Stage, workspace: Workspace, vendor: str, tickets: int, attachments: int) -> None:
    """Put contacts, tickets with five messages each, and attachments into the canonical tables."""
    kinds = registry.connector(vendor).kinds
    stage.schema("canonical", "blobs", fresh=True)
    for kind_name, kind in kinds.kinds.items():
        stage.run(f"CREATE TABLE canonical.{name(kind_name)} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
    stage.run(
        "INSERT INTO canonical.contact BY NAME SELECT 'p' || n AS id, 'contact' AS variant, 'Person ' || n AS name, "
        "'p' || n || '@some.example' AS email FROM range(?) r(n)",
        PEOPLE,
    )
    stage.run(
        "INSERT INTO canonical.ticket BY NAME SELECT 't' || n AS id, 'ticket' AS variant, 'Question ' || n AS subject, "
        "'open' AS status, 'normal' AS priority, 'email' AS channel, 'p' || (n % ?) AS requester, "
        "TIMESTAMP '2024-01-01' + to_minutes(n) AS created_at, created_at AS updated_at FROM range(?) r(n)",
        PEOPLE,
        tickets,
    )
    stage.run(
        "INSERT INTO canonical.message BY NAME SELECT 'm' || n AS id, 'message' AS variant, 't' || (n // ?) AS ticket, "
        "'p' || (n // ? % ?) AS author, '<p>Message ' || n || '</p>' AS body, true AS public, 'email' AS channel, "
        "n % ? + 1 AS \"order\", TIMESTAMP '2024-01-01' + to_minutes(n // ?) + to_seconds(n % ?) AS created_at "
        "FROM range(?) r(n)",
        *(MESSAGES, MESSAGES, PEOPLE, MESSAGES, MESSAGES, MESSAGES, tickets * MESSAGES),
    )
    digest = hashlib.sha256(BLOB).hexdigest()
    workspace.blob(digest).parent.mkdir(parents=True)
    workspace.blob(digest).write_bytes(BLOB)
    stage.run(
        "INSERT INTO canonical.attachment BY NAME SELECT 'a' || n AS id, 'attachment' AS variant, "
        "'m' || (n * ?) AS message, 'file.txt' AS name, 'text/plain' AS content_type, ? AS size, false AS inline, "
        "? AS blob FROM range(?) r(n)",
        *(MESSAGES * 3, len(BLOB), digest, attachments),
    )


IMPORT = "POST /api/v2/imports/tickets/create_many.json"
POLL = "GET /api/v2/job_statuses/show_many.json"
UPLOAD = "POST /api/v2/uploads.json"


def test_zendesk_takes_a_hundred_tickets_a_call_and_a_poll_for_thirty_jobs(tmp_path: Path) -> None:
    tickets = 6_000
    seen = loaded(tmp_path, "zendesk", tickets=tickets)
    jobs = tickets // BATCH
    assert seen.calls[IMPORT] == jobs
    polls = seen.calls[POLL] - 1  # the people's job is asked for alone, before the tickets
    assert jobs + polls <= (jobs + math.ceil(jobs / JOBS)) * SLACK
    assert seen.jobs <= JOBS
    assert seen.refused == []


def test_zendesk_takes_one_more_call_for_each_attachment(tmp_path: Path) -> None:
    seen = loaded(tmp_path, "zendesk", tickets=300, attachments=60)
    assert seen.calls[UPLOAD] == 60
    assert seen.calls[IMPORT] == 3
    assert seen.refused == []


def test_freshdesk_takes_a_call_for_a_ticket_and_one_for_each_further_message(tmp_path: Path) -> None:
    tickets = 400
    seen = loaded(tmp_path, "freshdesk", tickets=tickets)
    calls = sum(count for call, count in seen.calls.items() if "/tickets" in call)
    assert calls <= tickets * MESSAGES * SLACK
    assert seen.refused == []
