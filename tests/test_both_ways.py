"""There and back: what comes back equals what went in, apart from the losses both plans predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.ledger import Ledger
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support.both_ways import undeclared
from tests.support.desks import small_desk, steps
from tests.support.vendor_data import vendor_file
from tests.support.zendesk_recorded import recorded

BOTH = {"secrets": {"token": "env:MIGRATOR_TEST_DESTINATION", "oauth_token": "env:MIGRATOR_TEST_DESTINATION"}}


def second_zendesk(clock: Clock, *, limits: bool = False) -> Sandbox:
    """Return a new Zendesk account at another address."""
    module = registry.connector("zendesk").sandbox
    return module.furnish(module.create(clock=clock, limits=limits, host="second.sandbox"))  # type: ignore[no-any-return]


def move(folder: Path, old: Sandbox, new: Sandbox, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Steps:
    """Move an account and prove that it arrived."""
    run = steps(folder, old, new, monkeypatch, **more)
    run.extract()
    loaded = run.load(run.plan().digest)
    with Ledger(run.workspace.ledger) as ledger:
        assert loaded.quarantined == 0, ledger.quarantined()[:3]
    verified, differences = run.verify()
    assert verified.proven, differences[:5]
    return run


@pytest.fixture(scope="module")
def there_and_back(tmp_path_factory: pytest.TempPathFactory) -> tuple[Steps, Steps]:
    """Return both migrations: Zendesk to Freshdesk, and from there to another Zendesk."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        old, middle = small_desk(clock, tickets=10)
        new = second_zendesk(clock)
        first = move(tmp_path_factory.mktemp("there"), old, middle, patch)
        second = move(tmp_path_factory.mktemp("back"), middle, new, patch, destination=BOTH)
        return first, second


def test_what_comes_back_differs_only_where_a_plan_said_so(there_and_back: tuple[Steps, Steps]) -> None:
    first, second = there_and_back
    found, compared = undeclared(first, second)
    assert found == []
    assert compared > 500


def test_as_many_come_back_as_went_in(there_and_back: tuple[Steps, Steps]) -> None:
    first, second = there_and_back
    for kind in ("ticket", "message", "attachment", "organization", "satisfaction"):
        went = next(d for d in first.saved_plan()["dispositions"] if d["kind"] == kind and d["action"] == "create")
        came = next(d for d in second.saved_plan()["dispositions"] if d["kind"] == kind and d["action"] == "create")
        assert went["count"] == came["count"], kind


def test_the_texts_and_their_order_survive_both_ways(there_and_back: tuple[Steps, Steps]) -> None:
    texts = []
    for run, schema in zip(there_and_back, ("canonical", "back_canonical"), strict=True):
        with Stage(run.workspace.stage) as stage:
            rows = stage.rows(
                f'SELECT t.subject, m."order", html_form(m.body) FROM {schema}.message m '
                f"JOIN {schema}.ticket t ON t.id = m.ticket ORDER BY ALL"
            )
            texts.append(rows)
    assert texts[0] == texts[1]


@pytest.mark.recorded
def test_the_recorded_account_goes_from_zendesk_to_zendesk_with_the_declared_losses_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = recorded(vendor_file("zendesk/zammad-import-2022/zendesk_import.decoded.json"))
    new = second_zendesk(old.clock, limits=True)
    run = steps(tmp_path, old, new, monkeypatch, destination=BOTH, policies={"people_without_seat": "create"})
    run.source_session, run.destination_session = mount(old), mount(new)
    run.extract()
    plan = run.plan()
    loaded = run.load(plan.digest)
    assert loaded.finished
    verified, differences = run.verify()
    assert verified.proven, differences[:5]
    kept = {"created_at", "updated_at", "channel", "problem", "due_at", "inline", "archived", "required", "fields"}
    lost = [(loss.kind, loss.field, loss.how, loss.count) for loss in plan.losses if loss.field not in kept]
    # "1,2" is no number: the old account took it once, and no field takes it now.
    declared = {("custom_field", "type"), ("ticket", "custom: Custom Decimal")}
    merged = [line for line in lost if line[2] == "merged" and (line[0], line[1]) not in declared]
    assert [line for line in lost if (line[0], line[1]) not in declared and line not in merged] == []
    assert all(count <= 3 for *_, count in merged), merged  # what the new account has already keeps its own
    tickets = [t for t in new.store["tickets"].values() if t["status"] != "deleted"]
    assert len(tickets) == 143
    dates = {(t["subject"], t["created_at"]) for t in tickets}
    assert dates == {
        (t["raw_subject"] or t["subject"], t["created_at"])
        for t in old.store["tickets"].values()
        if t["status"] != "deleted"
    }
