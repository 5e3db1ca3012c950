"""A Zendesk account's automations as jobs of a true Znuny's GenericAgent: off, as predicted, on, taken away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.connector import Unit
from migrator.errors import RefusedError
from migrator.ledger import Ledger
from migrator.migration import Account
from migrator.project import side
from migrator.steps import Steps
from migrator.testing.sandbox import Clock
from migrator.testing.servers.znuny import Znuny
from tests.servers.znuny import moves
from tests.support import rule_accounts, rule_corpus

pytestmark = pytest.mark.servers
ROWS = "SELECT job_name, job_key, job_value FROM generic_agent_jobs"
EVIL = "(OTRS_TICKET_Title) ' \\ \" 💥"
RUN = r"""
use strict; use warnings; use Kernel::System::ObjectManager;
local $Kernel::OM = Kernel::System::ObjectManager->new();
my $Agent = $Kernel::OM->Get('Kernel::System::GenericAgent');
my %Jobs = $Agent->JobList();
for my $Name (sort keys %Jobs) { my %Job = $Agent->JobGet(Name => $Name); next if !$Job{Valid};
    $Agent->JobRun(Job => $Name, UserID => 1) or die "not run: $Name"; }
"""


def automation(id: int, title: str, asked: list[tuple[str, str, str]], *do: tuple[str, Any]) -> Any:
    conditions = {"all": [dict(zip(("field", "operator", "value"), one, strict=True)) for one in asked], "any": []}
    actions = [{"field": field, "value": value} for field, value in do]
    body = {"id": id, "title": title, "active": True, "conditions": conditions, "actions": actions}
    return ("ours", "timed", body)


NOTE = ("comment_mode_is_public", "false")
OLD = ("NEW", "greater_than", "48")
OURS = [
    automation(9101, "Stale", [("status", "is", "open"), OLD], ("priority", "high"), ("group_id", "902")),
    automation(9102, "Stale", [("assignee_id", "is", "901"), OLD], ("assignee_id", "901"), ("status", "solved")),
    automation(9103, EVIL, [("group_id", "is", "902"), OLD], ("status", "open"), NOTE, ("comment_value", EVIL)),
    automation(9104, "Too long", [("status", "is", "new")], NOTE, ("comment_value", "a" * 201)),
    automation(9105, "Only on hold", [("status", "is", "hold"), OLD], ("status", "open")),
]  # fmt: skip


def moved(folder: Path, desk: Znuny) -> Steps:
    """Return the account, moved, its old tickets with it."""
    clock = Clock()
    published = [one for one in rule_corpus.rules("zendesk") if one[1] == "timed"][::4]
    box = rule_accounts.zendesk(clock, rules=[*published, *OURS])
    person = {"id": 77, "name": "Ann", "email": "ann@firm.example", "role": "end-user", "organization_id": None}
    ticket = {"id": 501, "subject": "old", "status": "open", "priority": "low", "requester_id": 77, "tags": []}
    module = registry.connector("zendesk").sandbox
    module.seed(box, "users", [{**person, **rule_accounts.PERSON}])
    module.seed(box, "tickets", [{**ticket, "submitter_id": 77, "custom_fields": [], **rule_accounts.AT}])
    run = moves.steps(folder, moves.at_sandbox(box), moves.at_znuny(desk), source=box)
    run.extract()
    run.load(run.plan().digest, accept_losses=True)
    return run


def test_automations_become_jobs_that_wait_act_when_switched_on_and_can_be_taken_away(
    desk: Znuny, tmp_path: Path
) -> None:
    before = desk.rows(ROWS)
    run = moved(tmp_path, desk)
    with Ledger(run.workspace.ledger) as ledger:
        assert [(unit, answer) for unit, _, answer, _ in ledger.quarantined()] == []
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    ends = [one for one in run.saved_plan()["dispositions"] if one["kind"] == "automation"]
    reasons = " ".join(one["reason"] for one in ends if one["action"] == "manual")
    assert "200 letters at most" in reasons
    held = [(name, key, value) for name, key, value in desk.rows(ROWS) if (name, key, value) not in before]
    names = {name for name, _, _ in held}
    assert len(names) == sum(one["count"] for one in ends if one["action"] == "create") >= 4
    assert {value for _, key, value in held if key == "Valid"} == {"0"}
    ((queue,),) = desk.rows("SELECT id FROM queue WHERE name = 'Group 902'")
    ((agent,),) = desk.rows("SELECT id FROM users WHERE login = 'agent901@desk.example'")
    assert {value for _, key, value in held if key == "NewQueueID"} == {str(queue)}
    assert {value for _, key, value in held if key == "NewOwnerID"} == {str(agent)}
    assert not any("⟪" in str(value) or "<state" in str(value) for _, _, value in held)
    wanted = "SELECT p.name, q.name FROM ticket t JOIN ticket_priority p ON p.id = t.ticket_priority_id JOIN queue q ON q.id = t.queue_id WHERE t.title = 'old'"  # fmt: skip  # noqa: E501
    desk.perl(RUN)
    assert desk.rows(wanted) == [("2 low", "Raw")]  # none of them acts before somebody says so
    done = run.activate(run.saved_plan()["digest"])
    assert done.refused == []
    assert done.on == len(names)
    desk.perl(RUN)
    assert desk.rows(wanted) == [("4 high", "Group 902")]
    desk.forget()
    run.load(run.undo().digest, accept_losses=True)
    assert desk.rows(ROWS) == before


def test_a_job_is_added_whole_or_not_at_all_and_found_again_by_what_it_says(desk: Znuny) -> None:
    opened = side(Account(**moves.at_znuny(desk)), None, "test").open()
    data = {"Name": "close ~ old", "StateIDs": ["<state:open>", "<state:new>"], "OwnerIDs": ["agent:1"], "Valid": "1"}
    unit = Unit("automation", "7", "automation", data, {}, "k", {})
    before = desk.count("generic_agent_jobs")
    long = Unit("automation", "8", "automation", {**data, "Name": "long", "NewNoteBody": "a" * 300}, {}, "k", {})
    with pytest.raises(RefusedError):
        opened.write([long])
    unknown = Unit("automation", "9", "automation", {"Name": "odd", "StateIDs": ["<state:dreaming>"]}, {}, "k", {})
    assert "no state 'dreaming'" in str(opened.complaint("automation", unknown.payload))
    with pytest.raises(RefusedError, match="no state 'dreaming'"):
        opened.write([unknown])
    assert desk.count("generic_agent_jobs") == before
    assert opened.find([unit], set()) == [None]
    (written,) = opened.write([unit])
    assert opened.find([unit], set()) == [written]
    with pytest.raises(RefusedError, match="refused"):
        opened.write([unit])
    held = {json.dumps(value) for name, key, value in desk.rows(ROWS) if (name, key) == ("close ~ old", "Valid")}
    assert held == {'"0"'}
    there = Unit("automation", "7", "automation", {}, {}, "k", {}, action="update", there=written.id)
    opened.activate(there, "active")
    assert opened.look(there)["Valid"] == "1"
    gone = Unit("automation", "7", "automation", {}, {}, "k", {}, action="delete", there=written.id)
    opened.write([gone])
    assert opened.find([gone], set()) == [written]
    assert desk.count("generic_agent_jobs") == before
