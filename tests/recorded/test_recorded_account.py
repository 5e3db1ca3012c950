"""A real Zendesk account, recorded in 2022, moved to Freshdesk and verified record by record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migrator import registry
from migrator.ledger import Ledger
from migrator.load import Loaded
from migrator.plan import Plan
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.summary import summarize
from migrator.testing.sandbox import Sandbox, mount
from migrator.verify import Verified
from tests.support.desks import steps
from tests.support.openapi import Spec
from tests.support.vendor_data import vendor_file
from tests.support.zendesk_recorded import recorded

pytestmark = pytest.mark.recorded


class Moved(NamedTuple):
    """The account, moved."""

    steps: Steps
    old: Sandbox
    new: Sandbox
    plan: Plan
    loaded: Loaded
    verified: Verified
    differences: list[dict[str, Any]]


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Move the recorded account once for all tests here."""
    old = recorded(vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json"))
    new = registry.connector("freshdesk").sandbox.create(clock=old.clock)
    with pytest.MonkeyPatch.context() as patch:
        run = steps(tmp_path_factory.mktemp("recorded"), old, new, patch)
        run.source_session, run.destination_session = mount(old), mount(new)
        run.extract()
        plan = run.plan()
        loaded = run.load(plan.digest)
        verified, differences = run.verify()
        yield Moved(run, old, new, plan, loaded, verified, differences)


def rows(moved: Moved, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return rows of the moved account's stage."""
    with Stage(moved.steps.workspace.stage) as stage:
        return stage.rows(sql, *values)


def test_every_recorded_ticket_comment_and_user_has_one_disposition(moved: Moved) -> None:
    counts = moved.plan.counts
    assert counts["ticket"] == 144
    assert counts["message"] == 151
    assert counts["contact"] + counts["agent"] == 142
    assert moved.plan.unaccounted == {}
    dispositions = rows(
        moved,
        "SELECT kind, count(DISTINCT id), count(*) FROM plan.planned WHERE NOT own AND action <> 'stand_in' "
        "GROUP BY kind",
    )
    assert {kind: ids for kind, ids, _ in dispositions} == {kind: n for kind, n in counts.items() if n}
    assert all(ids == lines for _, ids, lines in dispositions)


def test_the_only_record_left_behind_is_the_deleted_ticket(moved: Moved) -> None:
    left = rows(moved, "SELECT id, reason FROM plan.planned WHERE kind = 'ticket' AND action <> 'create'")
    assert left == [("73", "deleted at the source")]
    assert rows(moved, "SELECT count(*) FROM plan.planned WHERE kind = 'message' AND action <> 'create'") == [(0,)]


def test_everything_planned_is_written_and_nothing_is_put_aside(moved: Moved) -> None:
    assert moved.loaded.written == moved.plan.units
    assert moved.loaded.quarantined == 0


def test_what_is_read_back_equals_the_prediction(moved: Moved) -> None:
    assert moved.differences == []
    assert moved.verified.proven
    assert moved.verified.equal == moved.verified.records > 144 - 1 + 151 + 141


def test_attachments_arrive_byte_for_byte(moved: Moved) -> None:
    tape = json.loads(vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json").read_text(encoding="utf-8"))
    import base64

    recorded_bytes = {
        hashlib.sha256(base64.b64decode(body["base64"]) if "base64" in body else body["text"].encode()).hexdigest()
        for exchange in tape["interactions"]
        if "zdusercontent.com" in exchange["request"]["uri"]
        for body in [exchange["response"]["body"]]
    }
    arrived = {hashlib.sha256(data).hexdigest() for data in moved.new.blobs.values()}
    assert len(recorded_bytes) == 3
    assert arrived == recorded_bytes
    read_back = {digest for (digest,) in rows(moved, "SELECT blob FROM back_canonical.attachment")}
    assert read_back == recorded_bytes


def test_every_leaf_of_every_record_is_accounted_for(moved: Moved) -> None:
    coverage = json.loads((moved.steps.workspace.folder / "coverage.json").read_text(encoding="utf-8"))
    assert coverage["uncovered"] == []
    assert coverage["unreadable"] == []
    assert len(coverage["dropped"]) > 50
    assert all(line["because"] for line in coverage["dropped"])


def test_the_balance_closes_with_the_vendors_own_counts(moved: Moved) -> None:
    data = summarize(moved.steps)
    assert data["stage"] == "verified"
    assert all(line["ok"] for line in data["balance"])
    assert next(line for line in data["balance"] if line["kind"] == "organization")["vendor_count"] == 1


def test_nobody_is_mailed_and_no_credential_leaves_its_host(moved: Moved) -> None:
    assert moved.new.state["mails"] == []
    assert moved.new.state["leaks"] == []
    assert not moved.old.state.get("leaks")


def test_the_original_author_and_date_stand_in_every_message(moved: Moved) -> None:
    bodies = [ticket["description"] for ticket in moved.new.store["tickets"].values()]
    bodies += [note["body"] for note in moved.new.store["conversations"].values()]
    prefaced = [body for body in bodies if "⟦" in body and " UTC, zendesk " in body]
    assert len(prefaced) == 151
    assert any("⟦Martin Edenhofer, 2015-07-" in body for body in prefaced), [b[:80] for b in prefaced[-12:]]


def test_a_record_changed_behind_our_back_is_found(moved: Moved) -> None:
    with Ledger(moved.steps.workspace.ledger) as ledger:
        ticket = ledger.find("ticket", "1")
        note = ledger.find("message", "31964468521")
        contact = ledger.find("contact", "1202726611")
    assert ticket
    assert note
    assert contact
    store = moved.new.store
    kept = [dict(store["tickets"][int(ticket.destination)]), dict(store["conversations"][int(note.destination)])]
    gone = store["contacts"].pop(int(contact.destination))
    store["tickets"][int(ticket.destination)]["priority"] = 4
    store["conversations"][int(note.destination)]["body"] = "<div>edited</div>"
    try:
        verified, differences = moved.steps.verify()
    finally:
        store["tickets"][int(ticket.destination)], store["conversations"][int(note.destination)] = kept
        store["contacts"][gone["id"]] = gone
    assert not verified.proven
    assert {(d["kind"], d["id"], d["field"]) for d in differences} == {
        ("ticket", "1", "priority"),
        ("message", "31964468521", "body"),
        ("contact", "1202726611", "(record)"),
    }


def test_loading_the_same_plan_again_writes_nothing(moved: Moved) -> None:
    before = len(moved.new.exchanges)
    again = moved.steps.load(moved.plan.digest)
    assert again.written == 0
    assert [e.method for e in moved.new.exchanges[before:] if e.method != "GET"] == []


def test_every_request_to_zendesk_conforms_to_its_official_specification(moved: Moved) -> None:
    spec = Spec(vendor_file("zendesk/spec/openapi.yaml"))
    wrong = [
        (e.path, found)
        for e in moved.old.exchanges
        if e.path.startswith("/api/") and (found := [f for f in spec.check_request(e) if "not specified" not in f])
    ]
    assert wrong == []


def test_every_request_to_freshdesk_conforms_to_the_available_specification(moved: Moved) -> None:
    spec = Spec(vendor_file("freshdesk/spec-unofficial/freshdesk-rest-api-openapi.yml"), prefix="/api/v2")
    checked, wrong = 0, []
    for exchange in moved.new.exchanges:
        found = spec.check_request(exchange)
        if any("not specified" in f for f in found):
            continue
        checked += 1
        wrong += [(exchange.method, exchange.path, f) for f in found]
    assert checked > 400
    assert wrong == []


def test_the_workspace_and_the_report_hold_no_secret(moved: Moved) -> None:
    tokens = [registry.connector(vendor).sandbox.TOKEN.encode() for vendor in ("zendesk", "freshdesk")]
    for file in Path(moved.steps.workspace.folder).rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not any(token in data for token in tokens), file


def test_a_plan_made_after_the_load_finds_everything_written_and_writes_nothing(moved: Moved) -> None:
    again = moved.steps.plan()
    assert again.units == 0
    assert {d.action for d in again.dispositions if d.kind in ("ticket", "message", "contact")} <= {"keep", "skip"}
    assert again.unaccounted == {}
