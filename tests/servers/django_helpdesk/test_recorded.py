"""A real Zendesk account, recorded in 2022, moved to a true django-helpdesk, by its API and through its fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migrator.ledger import Ledger
from migrator.load import Loaded
from migrator.plan import Plan
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.summary import summarize
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from migrator.verify import Verified
from tests.servers.django_helpdesk.conftest import account, onto
from tests.support.vendor_data import vendor_file
from tests.support.zendesk_recorded import recorded

TICKETS, MESSAGES, FILES = 143, 151, 3  # one of 144 tickets is deleted


class Moved(NamedTuple):
    """The account, moved."""

    channel: str
    steps: Steps
    desk: DjangoHelpdesk
    plan: Plan
    loaded: Loaded
    verified: Verified
    differences: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["api", "fixtures"])
def moved(
    request: pytest.FixtureRequest, server: DjangoHelpdesk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Moved]:
    """Move the recorded account once for all tests here, each way."""
    server.reset()
    old = recorded(vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json"))
    channels = [request.param] if request.param != "api" else []
    with pytest.MonkeyPatch.context() as patch:
        run = onto(tmp_path_factory.mktemp("recorded"), old, account(server, *channels), patch)
        run.extract()
        plan = run.plan()
        loaded = run.load(plan.digest)
        verified, differences = run.verify()
        yield Moved(request.param, run, server, plan, loaded, verified, differences)


def test_everything_planned_is_written_and_read_back_as_predicted(moved: Moved) -> None:
    assert moved.plan.unaccounted == {}
    assert (moved.loaded.written, moved.loaded.quarantined) == (moved.plan.units, 0)
    assert moved.differences == []
    assert moved.verified.proven
    assert moved.verified.equal == moved.verified.records > TICKETS + MESSAGES + FILES


def test_the_servers_own_database_holds_each_record_once(moved: Moved) -> None:
    desk = moved.desk
    assert desk.count("helpdesk_ticket") == TICKETS
    said = "id IN (SELECT min(id) FROM helpdesk_followup GROUP BY ticket_id) OR comment <> ''"
    assert desk.count("helpdesk_followup", said) == MESSAGES
    assert desk.count("helpdesk_followupattachment") == FILES
    assert len([file for file in desk.media.rglob("*") if file.is_file()]) == FILES


def test_dates_and_numbers_are_kept_through_fixtures_and_their_loss_by_the_api_is_told(moved: Moved) -> None:
    lost = {(loss.kind, loss.field): loss for loss in moved.plan.losses}
    if moved.channel == "fixtures":
        assert ("ticket", "created_at") not in lost
        assert ("message", "created_at") not in lost
        with Stage(moved.steps.workspace.stage) as stage:
            created = "SELECT id, CAST(created_at AS VARCHAR) FROM canonical.ticket WHERE NOT COALESCE(deleted, FALSE)"
            wanted = dict(stage.rows(created))
        there = moved.desk.rows("SELECT CAST(id AS TEXT), created FROM helpdesk_ticket")
        assert len(wanted) == TICKETS
        assert {id: at[:19] for id, at in there} == wanted
        assert moved.desk.mails == []
    else:
        assert lost["ticket", "created_at"].how == "reset"
        assert lost["message", "created_at"].count == MESSAGES
        assert "⟦" in moved.desk.rows("SELECT description FROM helpdesk_ticket ORDER BY id LIMIT 1")[0][0]


def test_the_report_names_every_loss_with_its_reason(moved: Moved) -> None:
    assert summarize(moved.steps)["stage"] == "verified"
    assert all(loss.because for loss in moved.plan.losses), [loss for loss in moved.plan.losses if not loss.because]


def test_loading_the_same_plan_again_writes_nothing(moved: Moved) -> None:
    before = moved.desk.count("helpdesk_followup")
    assert moved.steps.load(moved.plan.digest).written == 0
    assert moved.desk.count("helpdesk_followup") == before


def test_a_row_changed_by_hand_in_the_servers_database_is_found(moved: Moved) -> None:
    with Ledger(moved.steps.workspace.ledger) as ledger:
        ticket, message = ledger.find("ticket", "1"), ledger.find("message", "31964468521")
    assert ticket
    assert message
    rows = {"ticket": ("priority", ticket.destination, 5), "followup": ("comment", message.destination, "edited")}
    was = {}
    for table, (column, id, value) in rows.items():
        was[table] = moved.desk.rows(f"SELECT {column} FROM helpdesk_{table} WHERE id = ?", id)[0][0]
        moved.desk.rows(f"UPDATE helpdesk_{table} SET {column} = ? WHERE id = ?", value, id)
    try:
        verified, differences = moved.steps.verify()
    finally:
        for table, (column, id, _) in rows.items():
            moved.desk.rows(f"UPDATE helpdesk_{table} SET {column} = ? WHERE id = ?", was[table], id)
    assert not verified.proven
    found = {(d["kind"], d["id"], d["field"]) for d in differences}
    assert found == {("ticket", "1", "priority"), ("message", "31964468521", "body")}


def test_the_workspace_holds_no_secret(moved: Moved) -> None:
    secrets = [moved.desk.token, *(row[0] for row in moved.desk.rows("SELECT password FROM auth_user"))]
    if moved.channel == "fixtures":  # by the API, a file's address holds its ticket's key
        secrets += [row[0] for row in moved.desk.rows("SELECT secret_key FROM helpdesk_ticket LIMIT 3")]
    for file in Path(moved.steps.workspace.folder).rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not any(secret.encode() in data for secret in secrets if len(secret) > 8), file
