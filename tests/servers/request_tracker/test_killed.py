"""kill -9 before and after requests of a load: a second run leaves what an undisturbed one leaves, no row more."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.servers import Proxy
from migrator.testing.servers.request_tracker import RequestTracker
from tests.crash.test_killed import elsewhere, load_in
from tests.support.desks import tiny_desk
from tests.support.server_desks import steps_between

from .grounds import account, counted

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["migrator.steps", "migrator.registry", "ruamel.yaml", "tests.crash.test_killed"])
WRITES = 9  # requests of the tiny desk that are not GET; the fixture's own count is held against it


@pytest.fixture(scope="module")
def planned(
    tmp_path_factory: pytest.TempPathFactory, server: RequestTracker
) -> Iterator[tuple[Path, int, dict[str, int], int]]:
    """Return a planned workspace, the writes of its load, what an undisturbed one leaves, and the scrips on."""
    server.reset()
    old, _ = tiny_desk()
    scrips = server.count("Scrips", "Disabled = 0")
    there = account(server, ("initialdata", "sql")).model_copy(update={"url": server.url})
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("planned")
        run = steps_between(folder, old, (there, {"token": server.token}), patch, old.clock)
        run.extract()
        run.plan()
        kept = folder.with_name(f"{folder.name}-kept")
        shutil.copytree(folder, kept)
        with Proxy(server.url) as proxy:
            calm = elsewhere(str(folder), proxy.url, "destination", {})
            assert calm.load(calm.saved_plan()["digest"]).finished
            writes = sum(seen.method != "GET" for seen in proxy.exchanges)
            verified, differences = calm.verify()
            assert verified.proven, differences
        yield kept, writes, counted(server), scrips


def test_the_sweep_covers_every_write(planned: tuple[Path, int, dict[str, int], int]) -> None:
    assert planned[1] == WRITES


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", range(1, WRITES + 1, 2))
def test_a_load_killed_at_a_request_doubles_and_loses_nothing(
    planned: tuple[Path, int, dict[str, int], int], server: RequestTracker, tmp_path: Path, when: str, nth: int
) -> None:
    kept, _, wanted, scrips = planned
    folder = tmp_path / "workspace"
    shutil.copytree(kept, folder)
    server.reset()
    with Proxy(server.url) as proxy:
        killed_at(folder, proxy, when, nth)
        proxy.calm()
        assert server.count("Scrips", "Disabled = 0") == 0  # as the dead run left them
        again = elsewhere(str(folder), proxy.url, "destination", {})
        assert again.load(again.saved_plan()["digest"]).finished
    assert counted(server) == wanted
    assert server.count("Scrips", "Disabled = 0") == scrips


def killed_at(folder: Path, proxy: Proxy, when: str, nth: int) -> None:
    """Load in a process that is killed ``when`` ("before" or "after") the server carries out its ``nth`` write."""
    environment = {k: v for k, v in os.environ.items() if k.startswith("MIGRATOR_TEST_")}
    child: Any = SPAWN.Process(target=load_in, args=(str(folder), proxy.url, environment))
    seen = {"before": 0, "after": 0}

    def watch(moment: str, name: str) -> None:
        if not name.startswith("GET "):
            seen[moment] += 1
            if moment == when and seen[moment] == nth:
                os.kill(child.pid, signal.SIGKILL)
                if when == "before":
                    raise ConnectionResetError("whoever asked is dead, and nothing was done")

    proxy.watchers.append(watch)
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL, f"not killed: exit code {child.exitcode} after {seen}"
