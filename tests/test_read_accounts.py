"""Accounts of vendors that are only read: everything of them is staged, covered and planned, and one is moved whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from tests.support.desks import steps

RULES = ("trigger", "automation", "macro", "view", "sla_policy", "schedule")
SECRET = "env:MIGRATOR_TEST_SOURCE"
ACCOUNTS: dict[str, dict[str, Any]] = {  # what each needs to be told besides
    "intercom": {"plan": "app", "options": {"workflows": "67890"}},
    "help_scout": {"plan": "standard", "secrets": {"app_id": SECRET, "app_secret": SECRET}},
    "jira": {"plan": "cloud", "settings": registry.connector("jira").sandbox.SETTINGS},
    "hubspot": {"plan": "free"},
}
DESTINATIONS = {"zendesk": "enterprise", "zammad": "own"}  # with a plan of theirs


def begun(folder: Path, vendor: str, to: str, patch: pytest.MonkeyPatch) -> tuple[Steps, Sandbox, Sandbox]:
    clock, connector = Clock(), registry.connector(vendor)
    old = connector.sandbox.create(clock=clock, limits=False)
    connector.part("demo").fill(old, tickets=6)
    new = registry.connector(to).sandbox.create(clock=clock, limits=False)
    seats = {"people_without_seat": "create"}
    sides = {"source": ACCOUNTS[vendor], "destination": {"plan": DESTINATIONS[to]}}
    return steps(folder, old, new, patch, policies=seats, **sides), old, new


@pytest.mark.parametrize(("vendor", "to"), [("help_scout", "zendesk"), ("jira", "zendesk"), ("hubspot", "zendesk")])
def test_all_of_an_account_is_covered_and_planned_and_every_rule_has_a_verdict(
    vendor: str, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, old, _ = begun(tmp_path, vendor, to, monkeypatch)
    run.extract()
    plan = run.plan()
    assert plan.unaccounted == {}
    coverage = json.loads((tmp_path / "coverage.json").read_text(encoding="utf-8"))
    assert (coverage["uncovered"], coverage["unreadable"]) == ([], [])
    ends = run.saved_plan()["dispositions"]
    assert all(line["action"] in ("create", "manual", "skip") for line in ends)
    assert all(line["reason"] for line in ends if line["kind"] in RULES and line["action"] != "create")
    planned = sum(line["count"] for line in ends if line["kind"] in RULES)
    streams = ("workflows", "macros", "office_hours", "saved_replies", "queues", "filters", "automation_rules", "flows")
    assert planned == sum(len(old.store[stream]) for stream in streams) > 0
    # what the demo accounts hold of secrets: a header of an outgoing webhook, and the secret of one
    for kept in (b"bm90IHRvIGJlIGtlcHQ", b"not to be kept"):
        assert not [file for file in tmp_path.rglob("*") if file.is_file() and kept in file.read_bytes()]


def test_a_workspace_of_intercom_arrives_at_zendesk_as_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, old, new = begun(tmp_path, "intercom", "zendesk", monkeypatch)
    old.state["most_parts"] = 2  # of four: the rest of each conversation is cut off, as beyond 500 at the vendor
    run.extract()
    loaded = run.load(run.plan().digest)
    verified, differences = run.verify()
    assert (loaded.quarantined, differences) == (0, [])
    assert verified.proven
    notes = [one for one in new.store["ticket_comments"].values() if "hands over the newest 500 parts" in str(one)]
    assert len(notes) == 6  # a note in each conversation says so
