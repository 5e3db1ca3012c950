"""A desk in use, read: by its API, and whole through dumpdata; what is odd there is told right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migrator import registry
from migrator.plan import Plan
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from tests.servers.django_helpdesk.conftest import account, away
from tests.servers.django_helpdesk.rows import filled

TICKETS = 12


class Read(NamedTuple):
    """The desk, read and planned for another vendor."""

    channel: str
    steps: Steps
    new: Sandbox
    plan: Plan


@pytest.fixture(scope="module", params=["api", "fixtures"])
def read(
    request: pytest.FixtureRequest, server: DjangoHelpdesk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Read]:
    server.reset()
    server.insert(filled(server, TICKETS))
    new = registry.connector("zendesk").sandbox.create(clock=Clock(), limits=False)
    channels = [request.param] if request.param != "api" else []
    with pytest.MonkeyPatch.context() as patch:
        run = away(tmp_path_factory.mktemp("source"), account(server, *channels), new, patch)
        run.extract()
        yield Read(request.param, run, new, run.plan())


def rows(read: Read, sql: str) -> list[tuple[Any, ...]]:
    with Stage(read.steps.workspace.stage) as stage:
        return stage.rows(sql)


def test_each_ticket_arrives_with_its_first_message_and_its_answer_and_no_event(read: Read) -> None:
    assert rows(read, "SELECT count(*) FROM canonical.ticket") == [(TICKETS,)]
    each = 'SELECT ticket, list(author ORDER BY "order") FROM canonical.message GROUP BY 1 ORDER BY length(ticket), 1'
    assert rows(read, each)[0] == ("1", ["asks1@customer.example", "2"])
    assert rows(read, "SELECT count(*), count(DISTINCT id) FROM canonical.message") == [(TICKETS * 2, TICKETS * 2)]


def test_states_priorities_and_custom_values_are_read_as_they_are_meant(read: Read) -> None:
    found = dict(rows(read, "SELECT id, status FROM canonical.ticket WHERE id IN ('5', '1', '2', '3')"))
    assert found == {"5": "hold", "1": "open", "2": "solved", "3": "closed"}
    assert rows(read, "SELECT priority FROM canonical.ticket WHERE id = '5'") == [("urgent",)]
    custom = {id: json.loads(held) for id, held in rows(read, "SELECT id, custom FROM canonical.ticket")}
    assert custom["2"] == {"severity": "Low"}
    assert custom["3"] == {"order": "A-3"}


def test_the_bytes_of_files_come_with_the_names_that_people_gave_them(read: Read) -> None:
    names = rows(read, "SELECT name, size FROM canonical.attachment ORDER BY size")
    assert names == [("bild ü 4.png", 4), ("bild ü 8.png", 8), ("bild ü 12.png", 12)]
    digests = {row[0] for row in rows(read, "SELECT digest FROM blobs.raw")}
    assert {path.read_bytes() for path in map(read.steps.workspace.blob, digests)} == {
        bytes(range(n)) for n in (4, 8, 12)
    }


def test_dumpdata_brings_what_the_api_does_not_show(read: Read) -> None:
    counts = [rows(read, f"SELECT count(*) FROM canonical.{kind}")[0][0] for kind in ("canned_response", "article")]
    created = rows(read, "SELECT CAST(created_at AS VARCHAR) FROM canonical.ticket WHERE id = '3'")
    if read.channel == "fixtures":
        assert counts == [1, 1]
        assert rows(read, "SELECT name, groups FROM canonical.canned_response") == [("Thanks", ["7"])]
        article = rows(read, "SELECT title, category, body, position, published FROM canonical.article")
        assert article == [("Send it back", "How to", "By *post*.", 3, True)]
        assert rows(read, "SELECT name FROM canonical.contact WHERE id = 'asks1@customer.example'") == [("Kim Ü",)]
        assert rows(read, "SELECT ccs FROM canonical.ticket WHERE id = '4'") == [(["copy@customer.example"],)]
    else:
        assert counts == [0, 0]
        said = json.loads((read.steps.workspace.folder / "extract.json").read_text(encoding="utf-8"))
        assert "the channel `fixtures` does" in json.dumps(said, ensure_ascii=False)
    assert created == [("2024-01-04 08:00:00",)]


def test_a_saved_search_is_read_as_what_it_asks_for_and_one_that_asks_for_more_stays_behind(read: Read) -> None:
    columns = (
        "name, agent, shared, words, groups, assignees, unassigned, statuses, priorities, "
        "CAST(created_from AS VARCHAR), sort, descending"
    )
    found = rows(read, f'SELECT {columns} FROM canonical.saved_search WHERE "left" IS NULL')
    if read.channel != "fixtures":
        assert found == []
        return
    whole = ("Urgent, mine or nobody's", "2", True, "order", ["7"], ["2"], True, ["open", "reopened"], ["urgent"])
    assert found == [(*whole, "2024-01-03", "priority", True)]
    skipped = [(one.action, one.count) for one in read.plan.dispositions if one.kind == "saved_search"]
    assert sorted(skipped) == [("manual", 1), ("skip", 2)]


def test_every_leaf_is_accounted_for_and_no_secret_is_staged(read: Read) -> None:
    coverage = json.loads((read.steps.workspace.folder / "coverage.json").read_text(encoding="utf-8"))
    assert coverage["uncovered"] == []
    assert coverage["unreadable"] == []
    for file in Path(read.steps.workspace.folder).rglob("*"):
        if file.is_file():
            assert b"mailbox-secret" not in file.read_bytes(), file


def test_the_desk_moves_on_to_another_vendor_and_is_verified_there(read: Read) -> None:
    assert read.plan.unaccounted == {}
    loaded = read.steps.load(read.plan.digest)
    assert loaded.quarantined == 0
    verified, differences = read.steps.verify()
    assert differences == []
    assert verified.proven
    assert len(read.new.store["tickets"]) == TICKETS
