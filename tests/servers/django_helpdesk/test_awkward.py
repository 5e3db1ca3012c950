"""An account of awkward content survives, by the API and through fixtures, and is counted in the server's database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from migrator.testing import awkward
from migrator.testing.conformance import Run, Suite, begin
from migrator.testing.servers import Proxy
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from tests.servers.django_helpdesk.conftest import ground

SIZE = awkward.Account(seed=11)


class Moved(NamedTuple):
    """The account, loaded."""

    channel: str
    run: Run
    desk: DjangoHelpdesk


@pytest.fixture(scope="module", params=["api", "fixtures"])
def moved(
    request: pytest.FixtureRequest, server: DjangoHelpdesk, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Moved]:
    channels = (request.param,) if request.param != "api" else ()
    suite = Suite("django_helpdesk", ground=lambda: ground(server, proxy, *channels), channels=channels)
    run = begin(suite, tmp_path_factory.mktemp("awkward"), SIZE)
    run.load()
    yield Moved(request.param, run, server)
    run.close()


def test_every_record_arrives_once(moved: Moved) -> None:
    assert moved.run.ledger.quarantined() == []
    assert moved.desk.count("helpdesk_ticket") == SIZE.tickets
    longest = "SELECT count(*) FROM helpdesk_followup WHERE comment <> '' GROUP BY ticket_id ORDER BY 1 DESC LIMIT 1"
    assert moved.desk.rows(longest) == [(SIZE.messages,)]
    written = "SELECT count(*) FROM plan.planned WHERE kind = ? AND action = 'create'"
    files = moved.run.stage.one(written, "attachment")
    assert moved.desk.count("helpdesk_followupattachment") == files > 10


def test_what_is_read_back_equals_the_prediction(moved: Moved) -> None:
    verified, differences = moved.run.verify()
    assert differences == []
    assert verified.proven


def test_the_largest_file_lies_in_the_servers_folder_byte_for_byte(moved: Moved) -> None:
    wanted = moved.run.stage.one("SELECT blob FROM canonical.attachment WHERE id = 'big'")
    ((path,),) = moved.desk.rows("SELECT file FROM helpdesk_followupattachment WHERE filename = 'large ü.bin'")
    assert hashlib.sha256((moved.desk.media / path).read_bytes()).hexdigest() == wanted
