"""A load into a true Znuny, killed with SIGKILL: a second run leaves what an undisturbed one leaves, dates and all."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from migrator.ledger import Ledger
from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing.servers import Proxy
from migrator.testing.servers.znuny import Znuny
from tests.servers.znuny import moves
from tests.support.desks import tiny_desk

pytestmark = pytest.mark.servers
SPAWN = multiprocessing.get_context("forkserver")
COUNTED = ("ticket", "article", "article_data_mime_attachment", "customer_user", "customer_company", "queue", "users",
           "dynamic_field", "dynamic_field_value")  # fmt: skip


class Planned(NamedTuple):
    """A planned workspace (kept apart), the digest, what an undisturbed load leaves, and its number of writes."""

    kept: Path
    digest: str
    leaves: dict[str, int]
    writes: int


def load_in(folder: str, environment: dict[str, str]) -> None:
    """Load the plan of a workspace: runs in a process of its own."""
    os.environ.update(environment)
    run = again(Path(folder))
    run.load(run.saved_plan()["digest"])


def again(folder: Path) -> Steps:
    """Return the steps of a workspace that is there."""
    return Steps(open_project(folder), clock=lambda: datetime.now(UTC))


def counts(server: Znuny) -> dict[str, int]:
    """Return the numbers of rows in the server's own database."""
    return {table: server.count(table) for table in COUNTED}


@pytest.fixture(scope="module")
def proxy(server: Znuny) -> Iterator[Proxy]:
    with Proxy(server.url) as found:
        yield found


@pytest.fixture(scope="module")
def planned(server: Znuny, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Planned:
    old, _ = tiny_desk()
    server.reset()
    folder = tmp_path_factory.mktemp("planned") / "w"
    run = moves.steps(folder, moves.at_sandbox(old), moves.at_znuny(server, url=proxy.url, workers=1), source=old)
    run.extract()
    plan = run.plan()
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    proxy.calm()
    assert run.load(plan.digest).finished
    writes = sum(seen.method in ("POST", "PUT") for seen in proxy.exchanges)
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    return Planned(kept, plan.digest, counts(server), writes)


def kill_at(proxy: Proxy, folder: Path, when: str, nth: int) -> None:
    """Load in a process that is killed when the ``nth`` write comes by, or when its answer does."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(("ZNUNY_", "BOX_"))}
    child = SPAWN.Process(target=load_in, args=(str(folder), environment))
    seen = {"before": 0, "after": 0}

    def watch(moment: str, name: str) -> None:
        if name.split()[0] in ("POST", "PUT"):
            seen[moment] += 1
            if moment == when and seen[moment] == nth and child.pid:
                os.kill(child.pid, signal.SIGKILL)

    proxy.calm()
    proxy.watchers.append(watch)
    child.start()
    child.join(120)
    proxy.calm()
    assert child.exitcode == -signal.SIGKILL, f"not killed: exit code {child.exitcode} after {seen}"


@pytest.mark.parametrize(("when", "nth"), [("before", 2), ("after", 3), ("before", 5), ("after", 6), ("after", 7)])
def test_a_killed_load_goes_on_and_doubles_nothing(
    server: Znuny, proxy: Proxy, planned: Planned, tmp_path: Path, when: str, nth: int
) -> None:
    assert nth <= planned.writes
    server.reset()
    folder = tmp_path / "w"
    shutil.copytree(planned.kept, folder)
    kill_at(proxy, folder, when, nth)
    with Ledger(folder / "ledger.sqlite") as ledger:
        assert ledger.switched() is not None
    assert server.count("notification_event", "valid_id = 1") == 0
    run = again(folder)
    assert run.load(planned.digest).finished
    assert counts(server) == planned.leaves
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    assert server.count("notification_event", "valid_id = 1") == 16
