"""A load killed with SIGKILL: counted in the server's own database, nothing is doubled and nothing missing."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing.servers import Proxy, until
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from tests.servers.django_helpdesk.conftest import account, counted, onto
from tests.support.desks import tiny_desk

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["migrator.steps", "migrator.registry", "ruamel.yaml", "dlt", "pyarrow"])
WRITING = ("POST", "PATCH")
# In the place of the host's command: says when loaddata begins, waits for a word, and dies as it is told.
SLOW = """\
import os, signal, subprocess, sys, time
from pathlib import Path
here, command = Path(__file__).parent, sys.argv[1:]
if "loaddata" not in command:
    os.execv(command[0], command)
text = sys.stdin.buffer.read()
nth = len(list(here.glob("begun*"))) + 1
(here / f"begun{nth}").touch()
while (here / "hold").exists() and nth == int((here / "hold").read_text()):
    time.sleep(0.02)
how = (here / f"die{nth}").read_text() if (here / f"die{nth}").exists() else ""
if how == "before":
    os.kill(os.getpid(), signal.SIGKILL)
ran = subprocess.run(command, input=text)
if how == "after":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(ran.returncode)
"""


class Planned(NamedTuple):
    """A planned workspace, and what an undisturbed load of it leaves in the server's database."""

    folder: Path
    wanted: dict[str, int]
    writes: int


def load_in(folder: str, environment: dict[str, str]) -> None:
    """Load the plan of a workspace: runs in a process of its own."""
    os.environ.update(environment)
    run = Steps(open_project(Path(folder)))
    run.load(run.saved_plan()["digest"])


def again(folder: Path) -> Any:
    """Load the plan of a workspace to its end, here."""
    run = Steps(open_project(folder))
    loaded = run.load(run.saved_plan()["digest"])
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    return loaded


def planned(
    folder: Path, desk: DjangoHelpdesk, proxy: Proxy, side: dict[str, Any], patch: pytest.MonkeyPatch
) -> Planned:
    """Plan a small account, keep the workspace, and load it once without harm."""
    desk.reset()
    old, _ = tiny_desk()
    run = onto(folder, old, {**side, "workers": 1}, patch)
    run.extract()
    plan = run.plan()
    kept = folder.with_name(f"{folder.name}-kept")
    shutil.copytree(folder, kept)
    proxy.calm()
    assert run.load(plan.digest).finished
    writes = sum(seen.method in WRITING for seen in proxy.exchanges)
    return Planned(kept, counted(desk), writes)


# ---- by the API ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(server: DjangoHelpdesk, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    with pytest.MonkeyPatch.context() as patch:
        side = account(server, url=proxy.url)
        yield planned(tmp_path_factory.mktemp("api"), server, proxy, side, patch)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3, 6])
def test_a_load_by_the_api_killed_at_a_request_doubles_and_loses_nothing(
    api: Planned, desk: DjangoHelpdesk, proxy: Proxy, tmp_path: Path, when: str, nth: int
) -> None:
    assert api.writes > 8
    folder = tmp_path / "workspace"
    shutil.copytree(api.folder, folder)
    environment = {name: value for name, value in os.environ.items() if name.startswith("MIGRATOR_TEST_")}
    child = SPAWN.Process(target=load_in, args=(str(folder), environment))
    seen = {"before": 0, "after": 0}

    def watch(moment: str, name: str) -> None:
        if name.split()[0] in WRITING:
            seen[moment] += 1
            if moment == when and seen[moment] == nth and child.pid:
                os.kill(child.pid, signal.SIGKILL)
                if when == "before":
                    raise ConnectionResetError("whoever asked is dead, and nothing was done")

    proxy.calm()
    proxy.watchers.append(watch)
    child.start()
    child.join(120)
    proxy.calm()
    assert child.exitcode == -signal.SIGKILL, f"not killed: exit code {child.exitcode} after {seen}"
    again(folder)
    assert counted(desk) == api.wanted


def test_an_ending_that_the_server_refuses_arrives_under_its_name_and_cannot_run_in_a_browser(
    desk: DjangoHelpdesk, api: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = tiny_desk()
    for one in old.store["ticket_comments"].values():
        for file in one["comment"]["attachments"]:
            file["file_name"] = "page.html"
    run = onto(tmp_path / "w", old, account(desk), monkeypatch)
    run.extract()
    assert run.load(run.plan().digest).finished
    assert run.verify()[0].proven
    files = desk.rows("SELECT filename, file FROM helpdesk_followupattachment")
    assert {name for name, _ in files} == {"page.html"}
    assert all("." not in Path(stored).name for _, stored in files), files


# ---- through fixtures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def fixtures(
    server: DjangoHelpdesk, proxy: Proxy, slow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Planned]:
    with pytest.MonkeyPatch.context() as patch:
        side = account(server, "fixtures")
        side["settings"]["command"] = shlex.join([sys.executable, str(slow / "slow.py"), *server.command])
        yield planned(tmp_path_factory.mktemp("fixtures"), server, proxy, side, patch)


@pytest.fixture
def orders(slow: Path) -> Path:
    """Return the folder of what the slow command is told, as new."""
    for file in slow.iterdir():
        if file.suffix != ".py":
            file.unlink()
    return slow


LOADS = 3  # loaddata calls of the tiny desk: custom fields, people, tickets; its queue is there already


def test_the_sweep_covers_every_loaddata(fixtures: Planned, slow: Path) -> None:
    assert len(list(slow.glob("begun*"))) == LOADS


@pytest.mark.parametrize(("nth", "how"), [(1, "before"), (2, "after"), (3, "before"), (3, "after")])
def test_a_command_that_dies_is_looked_up_and_its_records_are_there_once(
    fixtures: Planned, desk: DjangoHelpdesk, orders: Path, tmp_path: Path, nth: int, how: str
) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(fixtures.folder, folder)
    (orders / f"die{nth}").write_text(how)
    again(folder)
    assert counted(desk) == fixtures.wanted


def test_a_load_killed_while_its_command_goes_on_waits_for_it_and_doubles_nothing(
    fixtures: Planned, desk: DjangoHelpdesk, orders: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(fixtures.folder, folder)
    environment = {name: value for name, value in os.environ.items() if name.startswith("MIGRATOR_TEST_")}
    (orders / "hold").write_text(str(LOADS))  # the tickets
    child = SPAWN.Process(target=load_in, args=(str(folder), environment))
    child.start()
    assert child.pid
    until((orders / f"begun{LOADS}").exists, seconds=60, what="the loaddata of the tickets begins")
    os.kill(child.pid, signal.SIGKILL)
    child.join(20)
    assert desk.count("helpdesk_ticket") == 0
    (orders / "hold").unlink()  # the orphan goes on, and the next run meets it
    again(folder)
    assert counted(desk) == fixtures.wanted


def test_a_ticket_that_the_desk_made_meanwhile_is_not_written_over(
    fixtures: Planned, desk: DjangoHelpdesk, orders: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(fixtures.folder, folder)
    made = {"title": "made meanwhile", "queue": 1, "secret_key": "k", "priority": 1}
    made |= dict.fromkeys(("created", "modified"), "2026-11-26T00:00:00Z")
    said = {"ticket": 100, "date": "2026-11-26T00:00:00Z", "comment": "made meanwhile", "public": True}
    desk.insert(
        [
            {"model": "helpdesk.ticket", "pk": 100, "fields": made},
            {"model": "helpdesk.followup", "pk": 1, "fields": said},
        ]
    )
    again(folder)
    assert desk.rows("SELECT title FROM helpdesk_ticket WHERE id = 100") == [("made meanwhile",)]
    assert desk.count("helpdesk_ticket") == fixtures.wanted["ticket"] + 1
