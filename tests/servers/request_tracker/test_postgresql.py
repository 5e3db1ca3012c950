"""Request Tracker on PostgreSQL, with every channel: what SQLite forgives is refused here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.servers import request_tracker
from migrator.testing.servers.request_tracker import DATABASE_PASSWORD, RequestTracker
from tests.support.desks import tiny_desk
from tests.support.server_desks import steps_between

from .grounds import SAID, account

RIGHT = {"ACL": [{"GroupDomain": "SystemInternal", "GroupType": "Privileged", "Right": ["OwnTicket"]}]}


@pytest.fixture(scope="module")
def moved(
    running: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Steps, RequestTracker, int]]:
    """Return the tiny desk, moved with the numbers of its tickets, and how many scrips were on before."""
    server: RequestTracker = running(request_tracker.start, "rt-postgresql", workers=2, database="postgresql")
    server.initialdata(RIGHT)
    scrips = server.count("Scrips", "Disabled = 0")
    old, _ = tiny_desk()
    options = {"ticket_ids": "keep"}
    there = account(server, ("initialdata", "sql")).model_copy(update={"url": server.url, "options": options})
    secrets = {"token": server.token, "database_password": DATABASE_PASSWORD}
    with pytest.MonkeyPatch.context() as patch:
        run = steps_between(tmp_path_factory.mktemp("postgresql"), old, (there, secrets), patch, old.clock)
        run.extract()
        assert run.load(run.plan().digest).quarantined == 0
        yield run, server, scrips


def test_what_is_read_back_equals_the_prediction(moved: tuple[Steps, RequestTracker, int]) -> None:
    verified, differences = moved[0].verify()
    assert differences == []
    assert verified.proven


def test_dates_and_authors_of_messages_are_the_sources(moved: tuple[Steps, RequestTracker, int]) -> None:
    run, server, _ = moved
    with Stage(run.workspace.stage) as stage:
        wanted = stage.rows(
            "SELECT m.created_at, COALESCE(a.email, c.email) FROM canonical.message m LEFT JOIN canonical.agent a "
            "ON a.id = m.author LEFT JOIN canonical.contact c ON c.id = m.author ORDER BY ALL"
        )
    found = server.rows(
        f"SELECT t.Created, u.EmailAddress FROM Transactions t JOIN Users u ON u.id = t.Creator WHERE {SAID} "
        "AND t.id IN (SELECT TransactionId FROM Attachments WHERE Content <> '') ORDER BY 1, 2"
    )
    assert found == wanted
    assert len(found) > 3


def test_the_scrips_are_on_again_and_mailed_nobody(moved: tuple[Steps, RequestTracker, int]) -> None:
    _, server, scrips = moved
    assert server.count("Scrips", "Disabled = 0") == scrips > 10
    assert server.count("Transactions", "Type IN ('EmailRecord', 'CommentEmailRecord')") == 0


def test_the_desks_own_next_ticket_is_numbered_after_those_that_kept_theirs(
    moved: tuple[Steps, RequestTracker, int],
) -> None:
    _, server, _ = moved
    highest = server.rows("SELECT max(id) FROM Tickets")[0][0]
    with requests.Session() as session:
        session.headers["Authorization"] = f"token {server.token}"
        body = {"Queue": "General", "Subject": "their own", "Requestor": "new@x.example"}
        made = session.post(f"{server.url}/REST/2.0/ticket", json=body, timeout=60)
    assert made.status_code == 201, made.text
    assert int(made.json()["id"]) > highest
