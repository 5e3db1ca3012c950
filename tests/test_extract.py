"""Extraction against the Zendesk sandbox: both routes to comments, going on where it was, the vendor's counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator import registry
from migrator.errors import TruncatedError
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from tests.support.desks import small_desk, steps, tiny_desk


def staged(run: Steps, sql: str) -> list[tuple[object, ...]]:
    """Return rows of a workspace's stage."""
    with Stage(run.workspace.stage) as stage:
        return stage.rows(sql)


@pytest.mark.parametrize(
    ("tickets", "per_minute", "route"),
    [
        (50, 400, "ticket"),
        (1_000_000, 200, "events"),
        (1_000_000, 400, "events"),
        (1_000_000, 700, "ticket"),
        (1_000_000, 2500, "ticket"),
    ],
)
def test_comments_come_by_the_route_that_takes_fewer_minutes(tickets: int, per_minute: int, route: str) -> None:
    hooks = registry.connector("zendesk").hooks
    assert hooks is not None
    assert hooks.cheaper_route(tickets, per_minute, 10) == route


def test_both_routes_bring_the_same_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = small_desk(tickets=20)
    columns = (
        "id, parent, body->>'$.html_body', body->>'$.public', body->>'$.author_id', "
        "json_array_length(body, '$.attachments')"
    )
    came = {}
    for route in ("ticket", "events"):
        run = steps(tmp_path / route, old, new, monkeypatch, source={"options": {"comments": route}})
        run.extract()
        came[route] = set(staged(run, f"SELECT {columns} FROM raw.ticket_comments"))
    by_ticket, by_events = ({row[:5] for row in came[route]} for route in ("ticket", "events"))
    assert len(by_ticket) > 50
    assert by_ticket == by_events


def test_a_second_extract_brings_what_changed_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = small_desk(tickets=12)
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    before = staged(run, "SELECT count(*), count(DISTINCT id) FROM raw.tickets")[0]
    old.clock.sleep(3600)
    ticket = next(t for t in old.store["tickets"].values() if t["status"] == "open")
    ticket.update(
        subject="changed since",
        raw_subject="changed since",
        updated_at=old.now(),
        generated_timestamp=int(old.clock.now().timestamp()),
    )
    del old.store["groups"][next(iter(old.store["groups"]))]
    old.clock.sleep(3600)
    run.extract()
    assert staged(run, "SELECT count(*), count(DISTINCT id) FROM raw.tickets")[0] == before
    assert staged(run, f"SELECT body->>'$.subject' FROM raw.tickets WHERE id = '{ticket['id']}'") == [
        ("changed since",)
    ]
    assert staged(run, "SELECT count(*) FROM raw.groups") == [(len(old.store["groups"]),)]


def test_what_changed_in_the_last_minute_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    old.store["users"][1]["updated_at"] = old.now()
    run = steps(tmp_path, old, new, monkeypatch)
    began = old.clock.now()
    assert run.extract().rows["users"] == 2
    assert 60 < (old.clock.now() - began).total_seconds() < 70


def test_fewer_records_than_the_vendor_counts_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    old.store["users"][1]["updated_at"] = "2027-01-01T00:00:00Z"  # counted, and never handed over
    run = steps(tmp_path, old, new, monkeypatch)
    with pytest.raises(TruncatedError, match="users: 1 of 2"):
        run.extract()


def gone(box: Sandbox) -> str:
    """Make one attachment's bytes vanish at the vendor; return its token."""
    token = next(iter(box.blobs))
    del box.blobs[token]
    return token


def test_bytes_that_cannot_be_had_are_named_and_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    gone(old.state["content"] if old.state["content"].blobs else old)
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    plan = run.plan()
    left = [d for d in plan.dispositions if d.kind == "attachment" and d.action == "manual"]
    assert [(d.count, "could not be read" in d.reason) for d in left] == [(1, True)]
    assert run.load(plan.digest).finished
    assert run.verify()[0].proven


def test_attachments_are_fetched_without_credentials_for_foreign_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch)
    run.extract()
    assert not old.state["leaks"]
    assert len(staged(run, "SELECT DISTINCT digest FROM blobs.raw")) == 1
    assert staged(run, "SELECT count(*) FROM blobs.raw WHERE digest IS NOT NULL") == [(4,)]
