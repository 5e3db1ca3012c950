"""From one true server to another and back: what was loaded is a source, and each hop arrives as predicted."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from migrator.testing.servers import django_helpdesk
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from migrator.testing.servers.request_tracker import RequestTracker
from migrator.testing.servers.znuny import Znuny
from tests.servers.django_helpdesk.conftest import account as at_desk
from tests.servers.request_tracker.grounds import account
from tests.servers.znuny import moves
from tests.support.both_ways import undeclared
from tests.support.desks import small_desk, tiny_desk
from tests.support.server_desks import steps_between

CHANNELS = ("initialdata", "sql")
TICKETS, MESSAGES, FILES = 2, 6, 4  # of the tiny desk
SOME = 8  # tickets of a small one


@pytest.fixture(scope="module")
def tracker(one_request_tracker: RequestTracker) -> RequestTracker:
    return one_request_tracker


@pytest.fixture(scope="module")
def desk(one_znuny: Znuny) -> Znuny:
    return one_znuny


@pytest.fixture(scope="module")
def helpdesk(one_django_helpdesk: DjangoHelpdesk) -> DjangoHelpdesk:
    os.environ["MIGRATOR_TEST_DESK"] = django_helpdesk.TOKEN
    return one_django_helpdesk


@pytest.fixture(scope="module")
def filled(tracker: RequestTracker, tmp_path_factory: pytest.TempPathFactory) -> RequestTracker:
    """Return the tracker with a small account in it, which came from Zendesk's sandbox."""
    old, _ = tiny_desk()
    tracker.reset()
    moved(moves.steps(tmp_path_factory.mktemp("fill"), moves.at_sandbox(old), at_tracker(tracker), source=old))
    return tracker


def at_tracker(server: RequestTracker) -> dict[str, Any]:
    """Return a side of migration.yaml."""
    os.environ["ACROSS_TRACKER"] = server.token
    opened = account(server, CHANNELS)
    return {
        "vendor": "request_tracker", "url": server.url, "settings": opened.settings, "channels": list(CHANNELS),
        "secrets": {"token": "env:ACROSS_TRACKER"}, "workers": 2,
    }  # fmt: skip


def moved(run: Steps) -> Steps:
    """Carry a migration through; hold it to its prediction."""
    run.extract()
    plan = run.plan()
    assert plan.unaccounted == {}
    loaded = run.load(plan.digest)
    assert loaded.quarantined == 0
    verified, differences = run.verify()
    assert differences == [], differences[:12]
    assert verified.proven
    return run


def told(run: Steps, schema: str = "canonical") -> list[tuple[Any, ...]]:
    """Return what the source of a migration said: subjects, texts, who may see them, files' digests; without ids.

    ``schema``: ``back_canonical`` for what its destination said when it was verified.
    """
    with Stage(run.workspace.stage) as stage:
        said = stage.rows(
            f"SELECT t.subject, m.public, regexp_replace(m.body, '<[^>]*>', '', 'g') FROM {schema}.message m "
            f"JOIN {schema}.ticket t ON t.id = m.ticket ORDER BY ALL"
        )
        files = stage.rows(f"SELECT name, blob FROM {schema}.attachment ORDER BY ALL")
    return [*said, *files]


def test_request_tracker_to_znuny_and_back(filled: RequestTracker, desk: Znuny, tmp_path: Path) -> None:
    kept = filled.folder / "before"
    desk.reset()
    there = moved(moves.steps(tmp_path / "there", at_tracker(filled), moves.at_znuny(desk)))
    assert desk.count("ticket", "id > 1") == TICKETS
    kept.write_bytes(filled.database.read_bytes())
    filled.reset()
    back = moved(moves.steps(tmp_path / "back", moves.at_znuny(desk), at_tracker(filled)))
    assert filled.count("Tickets") >= TICKETS
    assert {row for row in told(there) if row[0]} <= set(told(back))
    refill(filled, kept)


def test_request_tracker_to_django_helpdesk_and_back(
    filled: RequestTracker, helpdesk: DjangoHelpdesk, tmp_path: Path
) -> None:
    kept = filled.folder / "before"
    helpdesk.reset()
    there = moved(moves.steps(tmp_path / "there", at_tracker(filled), at_desk(helpdesk, "fixtures")))
    assert helpdesk.count("helpdesk_ticket") == TICKETS
    kept.write_bytes(filled.database.read_bytes())
    filled.reset()
    back = moved(moves.steps(tmp_path / "back", at_desk(helpdesk, "fixtures"), at_tracker(filled)))
    assert filled.count("Tickets") == TICKETS
    assert told(there) == told(back) == told(back, "back_canonical")
    found, compared = undeclared(there, back)
    assert found == []
    assert compared > 50
    refill(filled, kept)


def test_znuny_to_django_helpdesk_and_back(desk: Znuny, helpdesk: DjangoHelpdesk, tmp_path: Path) -> None:
    old, _ = small_desk(tickets=SOME)
    desk.reset()
    helpdesk.reset()
    moved(moves.steps(tmp_path / "fill", moves.at_sandbox(old), moves.at_znuny(desk), source=old))
    there = moved(moves.steps(tmp_path / "there", moves.at_znuny(desk), at_desk(helpdesk, "fixtures")))
    tickets = desk.count("ticket", "id > 1")  # the one that greets every new Znuny is of nobody, and stays behind
    assert helpdesk.count("helpdesk_ticket") == tickets >= SOME
    desk.reset()
    back = moved(moves.steps(tmp_path / "back", at_desk(helpdesk, "fixtures"), moves.at_znuny(desk)))
    assert desk.count("ticket", "id > 1") == tickets
    found, compared = undeclared(there, back)
    assert found == []
    assert compared > 200
    with Stage(there.workspace.stage) as before, Stage(back.workspace.stage) as after:
        files = "SELECT name, blob FROM {}.attachment ORDER BY ALL"
        assert before.rows(files.format("canonical")) == after.rows(files.format("back_canonical"))
        dates = "SELECT subject, created_at FROM {}.ticket"
        assert set(before.rows(dates.format("canonical"))) <= set(after.rows(dates.format("back_canonical")))


def test_request_tracker_to_zendesk_and_back(
    filled: RequestTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box: Sandbox = registry.connector("zendesk").sandbox.create(limits=False)
    here = (account(filled, CHANNELS).model_copy(update={"url": filled.url}), {"token": filled.token})
    there = moved(steps_between(tmp_path / "there", here, box, monkeypatch, box.clock))
    kept = filled.folder / "before"
    kept.write_bytes(filled.database.read_bytes())
    filled.reset()
    box.clock.sleep(120)  # an export leaves out its last minute
    back = moved(steps_between(tmp_path / "back", box, here, monkeypatch, box.clock))
    assert filled.count("Tickets") == TICKETS
    assert told(there) == told(back)
    digest = hashlib.sha256(b"bytes").hexdigest()
    assert sum(row[-1] == digest for row in told(back)) == FILES
    refill(filled, kept)


def refill(server: RequestTracker, kept: Path) -> None:
    """Put a kept database back into the running server."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(kept)) as old, closing(sqlite3.connect(server.database, timeout=30)) as live:
        old.backup(live)
