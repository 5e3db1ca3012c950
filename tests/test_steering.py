"""A run held, continued and ended from elsewhere, watched while it goes on; and what it put aside, tried again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from werkzeug.wrappers import Request, Response

from migrator import aside, registry
from migrator.control import FILE, Run, leave, look
from migrator.errors import MigratorError, StoppedError, WorkspaceError
from migrator.remedies import remedy
from migrator.sandboxes import serving
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from tests.crash.test_killed import contents, killed_at, load_in
from tests.support.desks import steps, tiny_desk
from tests.test_cli import run as command

PATIENCE_SECONDS = 30.0
WRITES = ("POST", "PUT", "DELETE")


class Planned(NamedTuple):
    """A workspace that is planned, its source, the digest, and what an undisturbed load leaves."""

    folder: Path
    old: Sandbox
    digest: str
    wanted: dict[str, Any]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    """Return a planned workspace; ticket 101 is pending, ticket 100 open."""
    with pytest.MonkeyPatch.context() as patch:
        old, new = tiny_desk()
        old.store["tickets"][101]["status"] = "pending"
        folder = tmp_path_factory.mktemp("planned")
        run = steps(folder, old, new, patch)
        run.extract()
        digest = run.plan().digest
        kept = folder.with_name(f"{folder.name}-kept")
        shutil.copytree(folder, kept)
        assert run.load(digest).finished
        yield Planned(kept, old, digest, contents(new))


@pytest.fixture
def account() -> Sandbox:
    """Return a new Freshdesk account."""
    return registry.connector("freshdesk").sandbox.create(clock=Clock(), limits=False)  # type: ignore[no-any-return]


@pytest.fixture
def desk(planned: Planned, account: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Return the steps of a planned workspace, to be loaded into the new account."""
    shutil.copytree(planned.folder, tmp_path / "desk")
    return steps(tmp_path / "desk", planned.old, account, monkeypatch)


def at_call(box: Sandbox, nth: int, do: Callable[[], Any], methods: tuple[str, ...] = WRITES) -> None:
    """Let something happen while the account answers its ``nth`` call."""
    seen = 0

    def watch(moment: str, name: str) -> None:
        nonlocal seen
        if moment == "before" and name.split()[0] in methods:
            seen += 1
            if seen == nth:
                do()

    box.watchers.append(watch)


def until(true: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for something that another thread or process brings about; return it."""
    for _ in range(int(seconds / 0.02)):
        if found := true():
            return found
        threading.Event().wait(0.02)
    raise AssertionError("it never came to that")


def state(folder: Path) -> str:
    """Return the state of a workspace's run."""
    seen = look(folder)
    return seen.beat.state if seen else ""


class Beside(threading.Thread):
    """Something that runs beside the test; ``result`` hands over what it returned, or raises what it raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.work, self.found, self.failed = work, None, None  # type: ignore[var-annotated]
        self.start()

    def run(self) -> None:
        try:
            self.found = self.work()
        except BaseException as err:  # handed over to the test
            self.failed = err

    def result(self) -> Any:
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive()
        if self.failed is not None:
            raise self.failed
        return self.found


# ---- pause, resume, cancel ------------------------------------------------------------------------------------------


def test_a_paused_load_makes_no_call_until_it_is_resumed_and_then_verifies(
    desk: Steps, planned: Planned, account: Sandbox
) -> None:
    folder = desk.workspace.folder
    at_call(account, 5, lambda: leave(folder, "pause"))
    load = Beside(lambda: desk.load(planned.digest))
    until(lambda: state(folder) == "paused")
    before = len(account.exchanges)
    threading.Event().wait(0.5)
    assert len(account.exchanges) == before
    assert sum(e.method in WRITES for e in account.exchanges) == 5
    leave(folder, "resume")
    assert load.result().finished
    assert contents(account) == planned.wanted
    assert desk.verify()[0].proven


@pytest.mark.parametrize("nth", [1, 5, 9])
def test_a_cancelled_load_leaves_nothing_in_doubt_and_goes_on_later(
    desk: Steps, planned: Planned, account: Sandbox, nth: int
) -> None:
    folder = desk.workspace.folder
    at_call(account, nth, lambda: leave(folder, "cancel"))
    with pytest.raises(StoppedError, match=r"load was stopped by `migrator cancel`.*goes on from here"):
        desk.load(planned.digest)
    assert state(folder) == "cancelled"
    loaded = desk.load(planned.digest)
    assert loaded.finished
    assert loaded.settled == 0
    assert contents(account) == planned.wanted


def test_a_load_that_waits_for_its_quota_is_cancelled_within_two_seconds(
    planned: Planned, account: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "desk"
    shutil.copytree(planned.folder, folder)
    run = steps(folder, planned.old, account, monkeypatch, destination={"per_minute": 5})
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        if not slept:
            assert "quota" in run.waiting()
            leave(folder, "cancel")
        slept.append(seconds)
        account.clock.sleep(seconds)

    run.sleep = sleep
    with pytest.raises(StoppedError):
        run.load(planned.digest)
    assert sum(slept) <= 2
    again = run.load(planned.digest)
    assert again.finished
    assert again.settled == 0  # what was stopped before it was sent is not in doubt
    assert contents(account) == planned.wanted


def test_a_cancelled_extract_keeps_its_pages_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch)
    at_call(old, 9, lambda: leave(tmp_path, "cancel"), ("GET",))
    with pytest.raises(StoppedError, match="extract was stopped"):
        run.extract()
    stopped = len(old.exchanges)
    assert stopped == 9
    run.extract()
    with Stage(run.workspace.stage) as stage:
        rows = {s: stage.rows(f"SELECT count(*), count(DISTINCT id) FROM raw.{s}")[0] for s in ("users", "tickets")}
    assert rows == {"users": (2, 2), "tickets": (2, 2)}
    again = [e.path for e in old.exchanges[stopped:]]
    pages = [e.path for e in old.exchanges[:stopped] if "count" not in e.path]
    assert not set(pages[:-1]) <= set(again)


def test_ctrl_c_ends_a_load_cleanly_and_twice_at_once(desk: Steps, planned: Planned) -> None:
    folder = desk.workspace.folder
    account = registry.connector("freshdesk").sandbox.create(clock=Clock(real=True), limits=False)
    children: list[subprocess.Popen[str]] = []

    def interrupt(times: int) -> None:
        for _ in range(times):
            os.kill(children[-1].pid, signal.SIGINT)
            if times > 1:
                until(lambda: (seen := look(folder)) and "to stop" in seen.beat.waits)

    def load() -> tuple[int, str]:
        words = [sys.executable, "-m", "migrator.cli", "load", "--plan", planned.digest, "-w", str(folder)]
        children.append(subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        _, said = children[-1].communicate(timeout=PATIENCE_SECONDS * 2)
        return children[-1].returncode, said

    at_call(account, 3, lambda: interrupt(1))
    at_call(account, 6, lambda: interrupt(2))
    with serving(account) as url:
        written = json.loads(desk.workspace.file.read_text(encoding="utf-8"))
        written["destination"]["url"] = url
        desk.workspace.file.write_text(json.dumps(written), encoding="utf-8")
        code, said = load()
        assert (code, "load was stopped by Ctrl-C" in said) == (1, True), said
        code, said = load()
        assert (code, "ended at once" in said) == (130, True), said
        code, said = load()
        assert code == 0, said
    assert contents(account) == planned.wanted


def test_nobody_can_be_paused_where_nothing_runs(desk: Steps) -> None:
    for wish in ("pause", "resume", "cancel"):
        answer = command(wish, "-w", str(desk.workspace.folder))
        assert (answer.returncode, "nothing is running" in answer.stderr) == (1, True), answer.stderr


# ---- status ---------------------------------------------------------------------------------------------------------


def test_another_process_sees_the_run_steers_it_and_cannot_run_beside_it(
    desk: Steps, planned: Planned, account: Sandbox
) -> None:
    folder = desk.workspace.folder
    at_call(account, 5, lambda: leave(folder, "pause"))
    load = Beside(lambda: desk.load(planned.digest))
    until(lambda: state(folder) == "paused")
    found = json.loads(command("status", "--json", "-w", str(folder)).stdout)
    shown = found["run"]
    assert (shown["command"], shown["pid"], shown["alive"], shown["state"]) == ("load", os.getpid(), True, "paused")
    assert (shown["phase"], shown["wish"]["wish"], shown["wish"]["by"]) == (shown["phase"], "pause", os.getpid())
    assert shown["total"] >= shown["done"] >= 0
    assert 0 < found["done"] < found["units"]
    text = command("status", "-w", str(folder)).stdout
    assert f"running: load, pid {os.getpid()}" in text
    assert f"paused by pid {os.getpid()}" in text
    with pytest.raises(WorkspaceError, match="is held by another run of migrator \\(load, pid"):
        Run(folder, "plan")
    answer = command("cancel", "-w", str(folder))
    assert (answer.returncode, "has ended" in answer.stdout) == (0, True), answer.stderr
    with pytest.raises(StoppedError):
        load.result()
    assert "load cancelled at" in command("status", "-w", str(folder)).stdout


def test_watching_ends_with_the_run(desk: Steps, planned: Planned, account: Sandbox) -> None:
    folder = desk.workspace.folder
    at_call(account, 2, lambda: leave(folder, "pause"))
    load = Beside(lambda: desk.load(planned.digest))
    until(lambda: state(folder) == "paused")
    watch = subprocess.Popen(
        [sys.executable, "-m", "migrator.cli", "status", "--watch", "--json", "-w", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watch.stdout is not None
    first = json.loads(watch.stdout.readline())
    leave(folder, "resume")
    assert load.result().finished
    rest, _ = watch.communicate(timeout=PATIENCE_SECONDS)
    last = json.loads(rest.splitlines()[-1])
    assert (first["run"]["state"], last["run"]["state"], last["run"]["alive"]) == ("paused", "done", False)
    assert last["done"] == last["units"]


def test_a_killed_run_is_shown_as_such_and_what_was_wished_of_it_binds_nobody(
    desk: Steps, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = desk.workspace.folder
    box = registry.connector("freshdesk").sandbox.create(clock=Clock(real=True), limits=False)
    at_call(box, 5, lambda: leave(folder, "pause"))
    with serving(box) as url:
        killed_at(load_in, folder, url, box, "before", 5, "POST PUT DELETE")
        seen = look(folder)
        assert seen is not None
        assert (seen.died, seen.alive, seen.wish and seen.wish[0]) == (True, False, "pause")
        text = command("status", "-w", str(folder)).stdout
        assert f"load ended without a word at {seen.beat.beat}; the same command goes on" in text
        again = steps(folder, planned.old, box, monkeypatch)
        again.destination_session = None
        again.sleep = again.monotonic = None
        assert again.load(planned.digest).finished
    assert contents(box) == planned.wanted
    assert state(folder) == "done"


def test_a_damaged_run_file_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    assert look(tmp_path) is None
    Run(tmp_path, "load").end()
    assert state(tmp_path) == "done"


def test_the_rate_counts_what_this_run_did_and_the_rest_is_reckoned_by_it(tmp_path: Path) -> None:
    run = Run(tmp_path, "load")
    try:
        run.note("ticket", 1000, 2000)  # by an earlier load
        first = until(lambda: (seen := look(tmp_path)) and seen.beat.done == 1000 and seen)
        assert not first.beat.rate
        run.note("ticket", 1100, 2000)
        seen = until(lambda: (seen := look(tmp_path)) and seen.beat.rate and seen)
        assert 0 < seen.beat.rate <= 100
        assert seen.left_seconds == pytest.approx(900 / seen.beat.rate)
    finally:
        run.end()


def test_a_failed_run_says_why_and_is_not_taken_for_a_killed_one(tmp_path: Path) -> None:
    Run(tmp_path, "load").end("failed", "the vendor is out of reach")
    seen = look(tmp_path)
    assert seen is not None
    assert (seen.alive, seen.died, seen.beat.message) == (False, False, "the vendor is out of reach")


# ---- quarantine and retry -------------------------------------------------------------------------------------------


def test_after_the_overlay_was_corrected_only_what_was_refused_is_planned_and_loaded(
    planned: Planned, account: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "desk"
    shutil.copytree(planned.folder, folder)
    wrong = {"freshdesk": {"ticket": {"status": {"values": {77: "open"}, "write": {"open": 77}}}}}
    run = steps(folder, planned.old, account, monkeypatch, overlay=wrong)
    first = run.plan()
    assert not run.load(first.digest).finished
    refused = aside.quarantined(run)
    units = {one.unit for one in refused if one.kind != "status"}  # that a status 77 is to be made is the overlay's too
    assert "ticket:100" in units
    assert "ticket:101" not in units
    ticket = next(one for one in refused if one.unit == "ticket:100")
    assert (ticket.status, "overlay" in ticket.remedy, ticket.payload["payload"]["status"]) == (400, True, 77)
    with pytest.raises(MigratorError, match="retry --same"):
        aside.again(run)
    run = steps(folder, planned.old, account, monkeypatch)
    made = aside.again(run)
    assert ("ticket", "100") in made.again
    assert (made.others, made.impossible, made.left) == ([], [], 0)
    assert made.plan.units == len(units)
    assert run.load(made.plan.digest).finished
    assert contents(account) == planned.wanted


def test_what_was_not_named_stays_in_quarantine_under_the_new_plan(
    planned: Planned, account: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "desk"
    shutil.copytree(planned.folder, folder)
    wrong = {"values": {77: "open", 78: "pending"}, "write": {"open": 77, "pending": 78}}
    run = steps(folder, planned.old, account, monkeypatch, overlay={"freshdesk": {"ticket": {"status": wrong}}})
    assert not run.load(run.plan().digest).finished
    run = steps(folder, planned.old, account, monkeypatch)
    made = aside.again(run, ["ticket:100"])
    assert {id for kind, id in made.again if kind == "ticket"} == {"100"}
    assert made.left > 0
    assert run.load(made.plan.digest).quarantined == made.left
    assert [t["subject"] for t in account.store["tickets"].values()] == ["Question 100"]
    assert "ticket:101" in aside.same(run)
    assert run.load(made.plan.digest).finished
    assert contents(account) == planned.wanted


def without_right(box: Sandbox, path: str) -> Callable[[], None]:
    """Let the account refuse writes below a path with 403; return what grants the right."""
    before, granted = box.admit, threading.Event()

    def admit(of: Sandbox, request: Request) -> Response | None:
        if request.method != "GET" and request.path.endswith(path) and not granted.is_set():
            return Response('{"code": "access_denied"}', 403, content_type="application/json")
        return before(of, request)

    box.admit = admit
    return granted.set


def test_what_was_refused_for_want_of_a_right_is_sent_again_as_it_was(
    desk: Steps, planned: Planned, account: Sandbox
) -> None:
    folder = desk.workspace.folder
    grant = without_right(account, "/tickets")
    assert not desk.load(planned.digest).finished
    listed = json.loads(command("quarantine", "--json", "-w", str(folder)).stdout)
    by_unit = {one["unit"]: one for one in listed}
    assert (by_unit["ticket:100"]["status"], "right" in by_unit["ticket:100"]["remedy"]) == (403, True)
    assert any(one["status"] is None and "its parent comes first" in one["remedy"] for one in listed)
    assert "remedy:" in command("quarantine", "-w", str(folder)).stdout
    unchanged = command("retry", "-w", str(folder))
    assert (unchanged.returncode, "retry --same" in unchanged.stderr) == (1, True)
    unknown = command("retry", "--same", "--unit", "ticket:10", "-w", str(folder))
    assert (unknown.returncode, "did you mean 'ticket:10" in unknown.stderr) == (2, True)
    grant()
    one = json.loads(command("retry", "--same", "--unit", "ticket:100", "--json", "-w", str(folder)).stdout)
    assert one["digest"] == planned.digest
    assert "ticket:100" in one["units"]
    assert "ticket:101" not in one["units"]
    assert desk.load(planned.digest).quarantined == len(listed) - len(one["units"])
    rest = command("retry", "--same", "-w", str(folder))
    assert f"--plan {planned.digest[:12]}" in rest.stdout
    assert desk.load(planned.digest).finished
    assert contents(account) == planned.wanted
    assert command("retry", "--same", "-w", str(folder)).returncode == 2


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("POST /x: refused (403, the account lacks the right) {}", "a right is missing"),
        ("POST /x: refused (422) {}", "a value was refused"),
        ("ticket: refused within a job {}", "a value was refused"),
        ("PUT /x: refused (404) {}", "deleted there"),
        ("ticket 7 was changed at 2026-11-22, after the plan looked at it; plan again", "looks again"),
        ("message 7: its ticket (1) was not written; see the quarantine, then retry", "its parent comes first"),
        ("something else", "read the answer"),
    ],
)
def test_each_refusal_has_a_remedy_in_words(answer: str, word: str) -> None:
    assert word in remedy(answer)
