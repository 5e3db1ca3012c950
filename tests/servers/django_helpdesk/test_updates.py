"""What changes at the source after the load is changed at the desk too, in the changed places only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.plan import Plan
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from tests.servers.django_helpdesk.conftest import account, onto
from tests.support.desks import tiny_desk

pytestmark = pytest.mark.servers
CHANNELS = [pytest.param((), id="api"), pytest.param(("fixtures",), id="fixtures")]
COLUMNS = "title, priority, status, on_hold, queue_id, submitter_email, secret_key, description"


def change(old: Sandbox, id: int, **values: Any) -> None:
    """Change a ticket at the source, as somebody at work there would."""
    ticket = old.store["tickets"][id]
    old.store["tickets"][id] = {
        **ticket, "updated_at": "2024-03-01T08:00:00Z", "generated_timestamp": 1709280000, **values,
    }  # fmt: skip
    registry.connector("zendesk").sandbox.touch(old)


def planned(run: Steps) -> Plan:
    run.extract()
    return run.plan()


@pytest.mark.parametrize("channels", CHANNELS)
def test_a_changed_ticket_is_changed_and_nothing_else_is(
    channels: tuple[str, ...], desk: DjangoHelpdesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.insert([{"model": "helpdesk.customfield", "pk": 9, "fields": {
        "name": "order_no", "label": "Order", "data_type": "varchar", "max_length": 64, "ordering": 9}}])  # fmt: skip
    desk.rows("DELETE FROM helpdesk_customfield WHERE name = 'order'")  # it has the same label in other letters
    old, _ = tiny_desk()
    run = onto(tmp_path, old, account(desk, *channels), monkeypatch)
    assert run.load(planned(run).digest).finished
    title = "SELECT id FROM helpdesk_ticket WHERE title = ?"
    (mine,), (other,) = desk.rows(title, "Question 100")[0], desk.rows(title, "Question 101")[0]
    before = {id: desk.rows(f"SELECT {COLUMNS} FROM helpdesk_ticket WHERE id = ?", id)[0] for id in (mine, other)}
    said, mails = desk.count("helpdesk_followup"), len(desk.mails)
    change(
        old, 100, subject="Another matter", raw_subject="Another matter", priority="urgent", status="solved",
        custom_fields=[{"id": 30, "value": "B-1"}],
    )  # fmt: skip
    plan = planned(run)
    assert {change.field for change in plan.changes} >= {"subject", "priority", "status", "custom"}
    assert run.load(plan.digest).finished
    after = {id: desk.rows(f"SELECT {COLUMNS} FROM helpdesk_ticket WHERE id = ?", id)[0] for id in (mine, other)}
    assert after[mine] == ("Another matter", 1, 3, before[mine][3], *before[mine][4:])
    assert after[other] == before[other]
    value = "SELECT value FROM helpdesk_ticketcustomfieldvalue v JOIN helpdesk_customfield f ON f.id = v.field_id"
    assert desk.rows(f"{value} WHERE v.ticket_id = ? AND f.label = 'Order'", mine) == [("B-1",)]
    assert desk.count("helpdesk_followup") == said
    assert len(desk.mails) == mails
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    assert planned(run).units == 0


def test_what_an_agent_changed_meanwhile_is_not_written_over(
    desk: DjangoHelpdesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = tiny_desk()
    run = onto(tmp_path, old, account(desk, "fixtures"), monkeypatch)
    assert run.load(planned(run).digest).finished
    change(old, 100, subject="Another matter", raw_subject="Another matter")
    plan = planned(run)
    desk.rows(
        "UPDATE helpdesk_ticket SET title = 'Ours', modified = '2030-01-01 00:00:00' WHERE title = 'Question 100'"
    )
    assert run.load(plan.digest).quarantined == 1
    assert desk.count("helpdesk_ticket", "title = 'Ours'") == 1
