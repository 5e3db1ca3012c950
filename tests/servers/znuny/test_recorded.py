"""A real Zendesk account, recorded in 2022, moved into a true Znuny and verified record by record."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from migrator.load import Loaded
from migrator.plan import Plan
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.servers.znuny import Znuny
from migrator.verify import Verified
from tests.servers.znuny import moves
from tests.support.vendor_data import vendor_file
from tests.support.zendesk_recorded import recorded

pytestmark = pytest.mark.servers


class Moved(NamedTuple):
    """The account, moved."""

    steps: Steps
    server: Znuny
    plan: Plan
    loaded: Loaded
    verified: Verified
    differences: list[dict[str, Any]]


@pytest.fixture(scope="module")
def moved(server: Znuny, tmp_path_factory: pytest.TempPathFactory) -> Moved:
    """Move the recorded account once for all tests here."""
    old = recorded(vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json"))
    server.reset()
    folder = tmp_path_factory.mktemp("recorded")
    run = moves.steps(folder, moves.at_sandbox(old), moves.at_znuny(server), source=old)
    run.extract()
    plan = run.plan()
    loaded = run.load(plan.digest)
    verified, differences = run.verify()
    return Moved(run, server, plan, loaded, verified, differences)


def rows(moved: Moved, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return rows of the moved account's stage."""
    with Stage(moved.steps.workspace.stage) as stage:
        return stage.rows(sql, *values)


def test_everything_planned_is_written_and_nothing_is_put_aside(moved: Moved) -> None:
    assert moved.loaded.quarantined == 0
    assert moved.loaded.written == moved.plan.units


def test_what_is_read_back_equals_the_prediction(moved: Moved) -> None:
    assert moved.differences == []
    assert moved.verified.proven
    assert moved.verified.equal == moved.verified.records > 143 + 151 + 141


def test_the_database_holds_every_ticket_article_and_file_with_its_own_date_and_author(moved: Moved) -> None:
    server = moved.server
    assert server.count("ticket", "id > 1") == 143
    assert server.count("article_data_mime_attachment", "filename NOT LIKE 'file-%'") == 3
    dated = rows(moved, "SELECT min(created_at), max(created_at) FROM canonical.message")[0]
    found = server.rows("SELECT min(create_time), max(create_time) FROM article WHERE ticket_id > 1")[0]
    assert found == dated
    theirs = "SELECT count(*) FROM canonical.message WHERE author IN (SELECT id FROM canonical.agent)"
    assert (server.count("article", "ticket_id > 1 AND create_by NOT IN (1, 2)"),) == rows(moved, theirs)[0]


def test_nobody_is_mailed_and_notifications_are_on_again(moved: Moved) -> None:
    assert moved.server.count("mail_queue") == 0
    assert moved.server.count("notification_event", "valid_id = 1") == 16


def test_a_row_changed_by_hand_in_the_database_is_found(moved: Moved) -> None:
    id, title = moved.server.rows("SELECT id, title FROM ticket ORDER BY id DESC LIMIT 1")[0]
    moved.server.rows("UPDATE ticket SET title = 'changed by hand' WHERE id = %s", id)
    moved.server.forget()
    try:
        verified, differences = moved.steps.verify()
    finally:
        moved.server.rows("UPDATE ticket SET title = %s WHERE id = %s", title, id)
        moved.server.forget()
    assert not verified.proven
    assert [(d["kind"], d["field"], d["expected"], d["found"]) for d in differences] == [
        ("ticket", "subject", title, "changed by hand")
    ]


def test_loading_the_same_plan_again_writes_nothing(moved: Moved) -> None:
    before = moved.server.count("ticket_history")
    assert moved.steps.load(moved.plan.digest).written == 0
    assert moved.server.count("ticket_history") == before


def test_a_plan_made_after_the_load_writes_nothing(moved: Moved) -> None:
    assert moved.steps.plan().units == 0
