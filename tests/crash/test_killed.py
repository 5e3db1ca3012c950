"""A process killed with SIGKILL over a real socket: a second run leaves what an undisturbed one leaves.

Each request of each command is the matter of ``test_sweep`` and of ``benchmarks/crashes.py``.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.extract import Chunk, extract
from migrator.project import open_project
from migrator.sandboxes import serving
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from tests.support.desks import steps, tiny_desk

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(
    ["migrator.steps", "migrator.registry", "ruamel.yaml", "dlt", "pyarrow", "tests.crash.test_killed"]
)


def load_in(folder: str, url: str, environment: dict[str, str]) -> None:
    """Load the plan of a workspace into the sandbox at ``url``: runs in a process of its own."""
    run = elsewhere(folder, url, "destination", environment)
    run.load(run.saved_plan()["digest"])


def extract_in(folder: str, url: str, environment: dict[str, str]) -> None:
    """Extract from the sandbox at ``url``, two pages a durable step."""
    run = elsewhere(folder, url, "source", environment)
    extract(run.source(), run.workspace, chunk=Chunk(2, seconds=0))


def elsewhere(folder: str, url: str, side: str, environment: dict[str, str]) -> Steps:
    """Open a workspace with one side's address replaced, without the sessions of the test."""
    os.environ.update(environment)
    project = open_project(Path(folder))
    one = getattr(project, side)
    account = one.account.model_copy(update={"url": url, "workers": 1})
    return Steps(type(project)(**{**vars(project), side: type(one)(one.connector, one.mapping, account, one.file)}))


def killed_at(work: Any, folder: Path, url: str, box: Sandbox, when: str, nth: int, method: str) -> None:
    """Run ``work`` in a process that is killed ``when`` ("before" or "after") its ``nth`` request is carried out."""
    environment = {k: v for k, v in os.environ.items() if k.startswith("MIGRATOR_TEST_")}
    child = SPAWN.Process(target=work, args=(str(folder), url, environment))
    seen = {"before": 0, "after": 0}

    def watch(moment: str, name: str) -> None:
        if name.split()[0] in method:
            seen[moment] += 1
            if moment == when and seen[moment] == nth and child.pid:
                os.kill(child.pid, signal.SIGKILL)
                if when == "before":
                    raise ConnectionResetError("whoever asked is dead, and nothing was done")

    box.watchers.append(watch)
    child.start()
    child.join(60)
    box.watchers.remove(watch)
    assert child.exitcode == -signal.SIGKILL, f"not killed: exit code {child.exitcode} after {seen}"


def contents(box: Sandbox) -> dict[str, Any]:
    """Return what the sandbox holds, without ids and times: what a person would see."""
    tickets = {}
    for ticket in box.store["tickets"].values():
        notes = [c for c in box.store["conversations"].values() if c["ticket_id"] == ticket["id"]]
        tickets[ticket["subject"]] = (
            ticket["status"],
            ticket["custom_fields"].get("cf_order"),
            [a["name"] for a in ticket["attachments"]],
            [
                (n["body"], n["private"], [a["name"] for a in n["attachments"]])
                for n in sorted(notes, key=lambda n: n["id"])
            ],
        )
    return {
        "tickets": tickets,
        "numbers": {s: len(r) for s, r in box.store.items() if r},
        "people": sorted(c["name"] for c in box.store["contacts"].values()),
    }


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """Return a planned workspace, the number of writes of its load, and what an undisturbed load leaves."""
    with pytest.MonkeyPatch.context() as patch:
        old, new = tiny_desk()
        folder = tmp_path_factory.mktemp("planned")
        run = steps(folder, old, new, patch)
        run.extract()
        plan = run.plan()
        kept = folder.with_name(f"{folder.name}-kept")
        shutil.copytree(folder, kept)
        assert run.load(plan.digest).finished
        assert run.verify()[0].proven
        writes = sum(e.method != "GET" for e in new.exchanges)
        yield kept, writes, contents(new)


WRITES = 13  # of the tiny desk; the fixture's own count is held against it


def test_the_sweep_covers_every_write(planned: tuple[Path, int, dict[str, Any]]) -> None:
    assert planned[1] == WRITES


@pytest.mark.parametrize(
    ("when", "nth"), [("before", 1), ("after", 4), ("after", 8), ("before", 10), ("after", WRITES)]
)
def test_a_load_killed_at_a_request_doubles_and_loses_nothing(
    planned: tuple[Path, int, dict[str, Any]], tmp_path: Path, when: str, nth: int
) -> None:
    kept, _, wanted = planned
    folder = tmp_path / "workspace"
    shutil.copytree(kept, folder)
    box = registry.connector("freshdesk").sandbox.create(clock=Clock(real=True), limits=False)
    with serving(box) as url:
        killed_at(load_in, folder, url, box, when, nth, "POST PUT DELETE")
        again = elsewhere(str(folder), url, "destination", {})
        loaded = again.load(again.saved_plan()["digest"])
    assert loaded.finished
    assert contents(box) == wanted


@pytest.mark.parametrize(("when", "nth"), [("before", 1), ("after", 5), ("before", 12), ("after", 14)])
def test_an_extract_killed_at_a_request_resumes_without_a_gap_or_a_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, nth: int
) -> None:
    old, new = tiny_desk()
    folder = tmp_path / "workspace"
    steps(folder, old, new, monkeypatch)
    with serving(old) as url:
        killed_at(extract_in, folder, url, old, when, nth, "GET")
        run = elsewhere(str(folder), url, "source", {})
        extract(run.source(), run.workspace)
    with Stage(folder / "stage.duckdb") as stage:
        rows = {
            s: stage.rows(f"SELECT count(*), count(DISTINCT id) FROM raw.{s}")[0]
            for s in ("users", "tickets", "ticket_comments")
        }
    assert rows == {"users": (2, 2), "tickets": (2, 2), "ticket_comments": (6, 6)}
