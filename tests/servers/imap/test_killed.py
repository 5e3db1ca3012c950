"""A move killed with SIGKILL goes on where it was; the messages are counted on the disk."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from migrator.testing.servers import Tunnel
from migrator.testing.servers.dovecot import Dovecot
from tests.servers.imap import moves

pytestmark = pytest.mark.servers
SPAWN = multiprocessing.get_context("forkserver")
FOLDERS = ("INBOX", "A", "A/B", "C")


class Planned(NamedTuple):
    """A planned workspace (kept apart), its digest and its number of writes."""

    kept: Path
    digest: str
    writes: int


def step_in(folder: str, step: str, environment: dict[str, str]) -> None:
    """Carry out a step of a workspace: runs in a process of its own."""
    os.environ.update(environment)
    run = moves.again(Path(folder))
    run.extract() if step == "extract" else run.load(run.saved_plan()["digest"])


def killed(tunnel: Tunnel, folder: Path, step: str, when: str, matching: str, nth: int) -> None:
    """Run a step in a process that is killed when the ``nth`` such command comes by, or when its answer does."""
    child = SPAWN.Process(target=step_in, args=(str(folder), step, {"MAIL_PASSWORD": os.environ["MAIL_PASSWORD"]}))
    seen = {"before": 0, "after": 0}

    def watch(moment: str, name: str) -> None:
        if name.endswith(matching):
            seen[moment] += 1
            if moment == when and seen[moment] == nth and child.pid:
                os.kill(child.pid, signal.SIGKILL)

    tunnel.calm()
    tunnel.watchers.append(watch)
    child.start()
    child.join(120)
    tunnel.calm()
    assert child.exitcode == -signal.SIGKILL, f"not killed: exit code {child.exitcode} after {seen}"


@pytest.fixture(scope="module")
def tunnels(both: tuple[Dovecot, Dovecot]) -> Iterator[tuple[Tunnel, Tunnel]]:
    with Tunnel(both[0].url) as source, Tunnel(both[1].url) as destination:
        yield source, destination


@pytest.fixture(scope="module")
def planned(
    both: tuple[Dovecot, Dovecot], tunnels: tuple[Tunnel, Tunnel], tmp_path_factory: pytest.TempPathFactory
) -> Planned:
    old, new = both
    for server in both:
        server.reset()
    with moves.signed_in(old) as client:
        for folder in FOLDERS[1:]:
            client.create_folder(folder)
        for folder in FOLDERS:  # every message twice, equal to the last byte
            moves.put(client, folder, [b"Subject: %d\r\n\r\nbody\r\n" % (n // 2) for n in range(30)], at=moves.AT)
    folder = tmp_path_factory.mktemp("planned") / "w"
    more = {"options": {"sieve": "none"}, "workers": 1}
    run = moves.steps(
        folder, moves.account(old, url=tunnels[0].url, **more), moves.account(new, url=tunnels[1].url, **more)
    )
    run.extract()
    plan = run.plan()
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    tunnels[1].calm()
    assert run.load(plan.digest).finished
    writes = sum(seen.path == "/append" for seen in tunnels[1].exchanges)
    assert moves.plain(new) == moves.plain(old)
    return Planned(kept, plan.digest, writes)


@pytest.mark.parametrize(("when", "nth"), [("before", 1), ("after", 1), ("before", 3), ("after", 4)])
def test_a_killed_load_goes_on_and_doubles_nothing(
    both: tuple[Dovecot, Dovecot], new: Dovecot, tunnels: tuple[Tunnel, Tunnel], planned: Planned, tmp_path: Path,
    when: str, nth: int,
) -> None:  # fmt: skip
    assert nth <= planned.writes
    folder = tmp_path / "w"
    shutil.copytree(planned.kept, folder)
    killed(tunnels[1], folder, "load", when, "/append", nth)
    run = moves.again(folder)
    assert run.load(planned.digest).finished
    assert moves.plain(new) == moves.plain(both[0])
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven


@pytest.mark.parametrize("nth", [2, 7])
def test_a_killed_extract_goes_on_within_a_folder(
    both: tuple[Dovecot, Dovecot], tunnels: tuple[Tunnel, Tunnel], planned: Planned, tmp_path: Path, nth: int
) -> None:
    folder = tmp_path / "w"
    folder.mkdir()
    shutil.copy(planned.kept / "migration.yaml", folder)
    killed(tunnels[0], folder, "extract", "after", "/fetch", nth)
    run = moves.again(folder)
    assert run.extract().rows["messages"] == 30 * len(FOLDERS)
    assert run.plan().counts["mail_message"] == 30 * len(FOLDERS)


@pytest.mark.parametrize("how", ["reset", "unanswered", "within", "truncated"])
def test_a_connection_that_breaks_at_every_command_in_turn_doubles_and_loses_nothing(
    both: tuple[Dovecot, Dovecot], new: Dovecot, tunnels: tuple[Tunnel, Tunnel], planned: Planned, tmp_path: Path,
    how: str,
) -> None:  # fmt: skip
    folder = tmp_path / "w"
    shutil.copytree(planned.kept, folder)
    tunnels[1].calm()
    for at in (1, 3, 4):
        tunnels[1].order(how, at, "/append$")  # type: ignore[arg-type]
    tunnels[1].order(how, 9)  # type: ignore[arg-type]
    run = moves.again(folder)
    assert run.load(planned.digest).finished
    assert moves.plain(new) == moves.plain(both[0])
