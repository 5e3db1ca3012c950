"""An account of awkward content survives, and is counted in the server's own database."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Iterator

import pytest

from migrator.testing import awkward
from migrator.testing.conformance import Run, Suite, begin
from migrator.testing.servers import Proxy
from migrator.testing.servers.request_tracker import RequestTracker

from .grounds import SAID, ground

SIZE = awkward.Account(seed=11)


@pytest.fixture(scope="module")
def moved(server: RequestTracker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, RequestTracker]]:
    channels = ("initialdata", "sql")
    with Proxy(server.url) as proxy:
        suite = Suite("request_tracker", ground=lambda: ground(server, proxy, channels), channels=channels)
        run = begin(suite, tmp_path_factory.mktemp("awkward"), SIZE)
        run.load()
        yield run, server
        run.close()


def test_every_record_arrives(moved: tuple[Run, RequestTracker]) -> None:
    run, server = moved
    assert run.ledger.quarantined() == []
    assert server.count("Tickets") == SIZE.tickets
    planned = run.stage.one("SELECT count(*) FROM plan.planned WHERE kind = 'message' AND action = 'create'")
    said = f"{SAID} AND id IN (SELECT TransactionId FROM Attachments WHERE Content <> '')"
    assert server.count("Transactions", said) == planned > SIZE.messages


def test_what_is_read_back_equals_the_prediction(moved: tuple[Run, RequestTracker]) -> None:
    verified, differences = moved[0].verify()
    assert differences == []
    assert verified.proven


def test_the_largest_file_is_in_the_database_byte_for_byte(moved: tuple[Run, RequestTracker]) -> None:
    run, server = moved
    wanted = run.stage.one("SELECT blob FROM canonical.attachment WHERE id = 'big'")
    ((content, encoding),) = server.rows(
        "SELECT Content, ContentEncoding FROM Attachments WHERE Filename = 'large ü.bin'"
    )
    assert encoding == "base64"
    assert hashlib.sha256(b64decode(content)).hexdigest() == wanted


def test_deleted_people_come_where_a_ticket_needs_them(moved: tuple[Run, RequestTracker]) -> None:
    run, server = moved
    needed = run.stage.one(
        "SELECT count(*) FROM canonical.contact WHERE deleted AND id IN (SELECT requester FROM canonical.ticket)"
    )
    assert needed
    names = {name for (name,) in server.rows("SELECT RealName FROM Users")}
    wanted = run.stage.rows("SELECT name FROM canonical.contact WHERE id IN (SELECT requester FROM canonical.ticket)")
    assert {name for (name,) in wanted} <= names
