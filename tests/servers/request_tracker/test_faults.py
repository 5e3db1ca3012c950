"""Faults at what the conformance sweep does not write: members, articles, merges, links, and what is imported.

Each record is handed to the connection as the engine does it: written, looked up where the outcome is unknown, written
again only where it is not there. The server's own database counts.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from migrator.connector import Marking, Unit, Written
from migrator.delivery import Deliverer
from migrator.errors import UnknownOutcomeError
from migrator.testing.conformance import ServerGround
from migrator.testing.servers import Proxy
from migrator.testing.servers.request_tracker import RequestTracker

from .grounds import account, counted

HARMS = ("reset", "unanswered", "failed")
WRITES = {"membership": 2, "article": 2, "merge": 2, "link": 1}  # requests that write, of each


def settled(opened: Deliverer, unit: Unit) -> Written:
    """Write a record as the engine does."""
    assert isinstance(opened, Marking)
    (mark,) = opened.marks([unit])
    unit = replace(unit, mark=mark)
    for _ in range(3):
        try:
            (outcome,) = opened.write([unit])
        except UnknownOutcomeError:
            outcome = None
        if outcome is None:
            (outcome,) = opened.find([unit], set())
        if isinstance(outcome, Written):
            return outcome
    raise AssertionError(f"{unit.kind}: {outcome}")


class Desk(NamedTuple):
    """A server with a queue, two people and two tickets, and a proxy before it."""

    server: RequestTracker
    proxy: Proxy
    refs: dict[str, str]


@pytest.fixture(scope="module")
def desk(server: RequestTracker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    server.reset()
    pristine, aside = server.folder / "rtdb.new", tmp_path_factory.mktemp("aside") / "rtdb"
    shutil.copyfile(pristine, aside)
    with requests.Session() as session:
        session.headers["Authorization"] = f"token {server.token}"

        def call(path: str, **body: Any) -> str:
            answer = session.post(f"{server.url}/REST/2.0{path}", json=body, timeout=60)
            assert answer.ok, answer.text
            return answer.headers["Location"].rsplit("/", 1)[-1]

        refs = {"group": call("/queue", Name="Leute ü")}
        refs["agent"] = call("/user", Name="a@x.example", EmailAddress="a@x.example", Privileged=1)
        refs["ticket"] = call("/ticket", Queue="General", Subject="one", Requestor="one@x.example", Cc="cc@x.example")
        refs["other"] = call("/ticket", Queue="General", Subject="two", Requestor="two@x.example")
    server.keep()
    with Proxy(server.url) as proxy:
        yield Desk(server, proxy, refs)
    shutil.copyfile(aside, pristine)


def unit(what: str, refs: dict[str, str]) -> Unit:
    """Return a record to write."""
    kind, variant, payload = {
        "membership": ("membership", "membership", {}),
        "article": ("article", "plain", {"Name": "日本 & co", "_class": "Neu ü", "_text": "plain"}),
        "merge": ("ticket_link", "merge", {}),
        "link": ("ticket_link", "link", {"how": "DependsOn"}),
    }[what]
    return Unit(kind, "1", variant, dict(payload), refs, f"zendesk:{kind}:1", {})


@pytest.mark.parametrize("what", WRITES)
def test_a_fault_at_any_write_doubles_and_loses_nothing(desk: Desk, what: str) -> None:
    left: list[tuple[str, int, dict[str, int], object]] = []
    watchers = (
        "SELECT g.Name, g.Instance, m.MemberId FROM GroupMembers m JOIN Groups g ON g.id = m.GroupId "
        "WHERE g.Domain = 'RT::Ticket-Role' ORDER BY 1, 2, 3"
    )
    for how, at in [("", 0), *((how, at) for how in HARMS for at in range(1, WRITES[what] + 1))]:
        desk.server.reset()
        desk.proxy.calm()
        if how:
            desk.proxy.order(how, at, "^(POST|PUT) ")  # type: ignore[arg-type]
        here = ServerGround(desk.proxy, account(desk.server), {"token": desk.server.token}, dict).open()
        settled(here, unit(what, desk.refs))
        left.append((how, at, counted(desk.server), desk.server.rows(watchers)))
        writes = sum(seen.method in ("POST", "PUT") for seen in desk.proxy.exchanges)
        assert writes >= WRITES[what], (how, at, writes)
    assert [(how, at) for how, at, *held in left if held != list(left[0][2:])] == []


TRIGGER: dict[str, Any] = {
    "ScripCondition": "User Defined", "Stage": "TransactionBatch", "CustomIsApplicableCode": "return 1;\n",
    "ScripAction": "Notify for it (1)", "To": ["all agents"], "Template": "it's (1)", "Text": "Subject: ü\n\n日本\n",
    "Description": "it's", "Helpers": {"Tags": "Freeform-0"}, "Disabled": 1, "SortOrder": 3,
}  # fmt: skip


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_import_command_that_dies_doubles_and_loses_no_scrip(desk: Desk, tmp_path: Path, when: str) -> None:
    server, flag, command = desk.server, tmp_path / "die", tmp_path / "import"
    server.reset()
    run = f'{server.setup_command} "$1"'
    die = f"rm {shlex.quote(str(flag))}; echo 'killed'; exit 9"
    first = f"{run} >/dev/null 2>&1; {die}" if when == "after" else die
    command.write_text(f"#!/bin/sh\nif [ -e {shlex.quote(str(flag))} ]; then {first}; fi\nexec {run}\n")
    command.chmod(0o755)
    flag.touch()
    there = account(server, ("initialdata",))
    there = there.model_copy(update={"settings": {**there.settings, "setup_command": str(command)}})
    here = ServerGround(desk.proxy, there, {"token": server.token}, dict).open()
    made = settled(here, Unit("trigger", "1", "trigger", TRIGGER, {}, "zendesk:trigger:1", {}))
    assert not flag.exists()
    assert server.rows("SELECT id, Disabled FROM Scrips WHERE Description = 'it''s'") == [(int(made.id), 1)]
    assert server.count("Templates", "Name LIKE 'it''s (1)%'") == 1
    assert server.count("ScripActions", "ExecModule = 'NotifyGroup'") == 1
    here.activate(Unit("trigger", "1", "trigger", {}, {}, "", {}, there=made.id), "active")
    (record,) = here.peek("trigger", "trigger", [(made.id, None)])[1]
    assert b'"Disabled": "0"' in record.body
    assert b'"To": ["all agents"]' in record.body
