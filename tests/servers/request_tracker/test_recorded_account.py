"""A real Zendesk account, recorded in 2022, lands in a true Request Tracker and is verified record by record."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migrator.ledger import Ledger
from migrator.load import Loaded
from migrator.plan import Plan
from migrator.steps import Steps
from migrator.summary import summarize
from migrator.testing.servers.request_tracker import RequestTracker
from migrator.verify import Verified
from tests.support.server_desks import steps_between
from tests.support.vendor_data import vendor_file
from tests.support.zendesk_recorded import recorded

from .grounds import SAID, account

TAPE = "zendesk/zammad-import-2022/zendesk_import.decoded.json"
DEMO = "migrator:zendesk:"


class Moved(NamedTuple):
    """The account, moved through every channel."""

    steps: Steps
    server: RequestTracker
    scrips: int
    plan: Plan
    loaded: Loaded
    verified: Verified
    differences: list[dict[str, Any]]


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, server: RequestTracker) -> Iterator[Moved]:
    server.reset()
    old = recorded(vendor_file(TAPE))
    scrips = server.count("Scrips", "Disabled = 0")
    there = account(server, ("initialdata", "sql")).model_copy(update={"url": server.url, "workers": 4})
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("recorded")
        run = steps_between(folder, old, (there, {"token": server.token}), patch, old.clock)
        run.extract()
        plan = run.plan()
        loaded = run.load(plan.digest)
        verified, differences = run.verify()
        yield Moved(run, server, scrips, plan, loaded, verified, differences)


def test_everything_planned_is_written_and_nothing_is_put_aside(moved: Moved) -> None:
    with Ledger(moved.steps.workspace.ledger) as ledger:
        assert ledger.quarantined() == []
    assert moved.loaded.written == moved.plan.units
    assert moved.plan.unaccounted == {}


def test_what_is_read_back_equals_the_prediction(moved: Moved) -> None:
    assert moved.differences == []
    assert moved.verified.proven
    assert moved.verified.equal == moved.verified.records > 143 + 151 + 141


def test_the_servers_own_database_counts_the_same(moved: Moved) -> None:
    assert moved.server.count("Tickets") == 143
    said = f"{SAID} AND id IN (SELECT TransactionId FROM Attachments WHERE Content <> '')"
    assert moved.server.count("Transactions", said) == 151
    links = moved.server.rows("SELECT Target, count(*) FROM Links WHERE Target LIKE ? GROUP BY Target", DEMO + "%")
    assert len(links) == 143
    assert {n for _, n in links} == {1}


def test_dates_and_authors_of_messages_are_the_sources(moved: Moved) -> None:
    dates = moved.server.rows(f"SELECT min(Created), max(Created) FROM Transactions WHERE {SAID}")[0]
    assert dates[0].startswith("2015-")
    assert dates[1] < "2023"
    authors = moved.server.rows(
        f"SELECT u.RealName FROM Transactions t JOIN Users u ON u.id = t.Creator WHERE {SAID} GROUP BY 1"
    )
    assert ("Martin Edenhofer",) in authors


def test_attachments_are_byte_for_byte_in_the_database(moved: Moved) -> None:
    tape = json.loads(vendor_file(TAPE).read_text(encoding="utf-8"))
    wanted = {
        hashlib.sha256(b64decode(body["base64"]) if "base64" in body else body["text"].encode()).hexdigest()
        for exchange in tape["interactions"]
        if "zdusercontent.com" in exchange["request"]["uri"]
        for body in [exchange["response"]["body"]]
    }
    held = moved.server.rows("SELECT Content, ContentEncoding FROM Attachments WHERE Filename <> ''")
    assert {hashlib.sha256(_decoded(*row)).hexdigest() for row in held} == wanted


def _decoded(content: Any, encoding: str) -> bytes:
    data = content if isinstance(content, bytes) else str(content).encode("utf-8")
    if encoding == "quoted-printable":
        import quopri

        return quopri.decodestring(data)
    return b64decode(data) if encoding == "base64" else data


def test_nobody_was_mailed_and_the_scrips_are_on_again(moved: Moved) -> None:
    assert moved.server.count("Transactions", "Type IN ('EmailRecord', 'CommentEmailRecord')") == 0
    assert moved.server.count("Scrips", "Disabled = 0") == moved.scrips > 10


def test_the_loss_report_closes_its_balance(moved: Moved) -> None:
    data = summarize(moved.steps)
    assert data["stage"] == "verified"
    assert all(line["ok"] for line in data["balance"])
    lost = {(loss.kind, loss.field) for loss in moved.plan.losses}
    assert ("ticket", "tags") in lost
    assert ("message", "created_at") not in lost
    assert ("message", "author") not in lost


def test_rows_changed_by_hand_in_the_database_are_found(moved: Moved) -> None:
    with Ledger(moved.steps.workspace.ledger) as ledger:
        ticket, message, contact = (
            ledger.find(kind, id).destination  # type: ignore[union-attr]
            for kind, id in (("ticket", "1"), ("message", "31964468521"), ("contact", "1202726611"))
        )
    said = message.removeprefix("description:")
    which = "Transactions.ObjectId" if message.startswith("description:") else "Transactions.id"
    part = moved.server.rows(
        "SELECT Attachments.id, Content FROM Attachments JOIN Transactions ON Transactions.id = TransactionId "
        f"WHERE {which} = ? AND Attachments.ContentType = 'text/html' ORDER BY Attachments.id LIMIT 1",
        int(said),
    )[0]
    moved.server.rows("UPDATE Tickets SET Priority = 100 - Priority + 1, Subject = 'edited' WHERE id = ?", int(ticket))
    moved.server.rows("UPDATE Attachments SET Content = '<p>edited</p>' WHERE id = ?", part[0])
    moved.server.rows("UPDATE Users SET RealName = 'somebody else' WHERE id = ?", int(contact))
    verified, differences = moved.steps.verify()
    assert not verified.proven
    assert {(d["kind"], d["id"], d["field"]) for d in differences} >= {
        ("ticket", "1", "subject"),
        ("message", "31964468521", "body"),
        ("contact", "1202726611", "name"),
    }
    assert {(d["kind"], d["id"]) for d in differences} == {
        ("ticket", "1"), ("message", "31964468521"), ("contact", "1202726611"),
    }  # fmt: skip


def test_the_workspace_holds_no_secret(moved: Moved) -> None:
    for file in Path(moved.steps.workspace.folder).rglob("*"):
        if file.is_file():
            assert moved.server.token.encode() not in file.read_bytes(), file
