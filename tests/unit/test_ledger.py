"""What was acknowledged is there, whoever wrote it and however it ended."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from migrator.errors import WorkspaceError
from migrator.ledger import Identity, Ledger

ROOT = Path(__file__).resolve().parents[2]
AT = "2026-11-01T00:00:00+00:00"


def test_workers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    def work(worker: int) -> None:
        for at in range(25):
            unit = f"ticket:{worker}-{at}"
            ledger.sent("p", [(unit, "ticket")], AT)
            if at % 5 == 4:
                ledger.quarantine("p", unit, "ticket", AT, "no", {"n": at})
            elif at % 5 == 3:
                ledger.unsent("p", [unit])
            elif at % 5 != 2:
                ledger.done("p", [(unit, [Identity("ticket", f"{worker}-{at}", f"d{worker}-{at}")])], AT)

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        states = list(ledger.states("p").values())
        assert {state: states.count(state) for state in set(states)} == {
            "done": 80,
            "sent": 40,
            "open": 40,
            "quarantined": 40,
        }
        assert len(ledger.identities()) == 80
        assert len(ledger.in_doubt("p")) == len(ledger.quarantined("p")) == 40
    with Ledger(tmp_path / "ledger.sqlite") as again:
        assert len(again.states("p")) == 200


class Units(RuleBasedStateMachine):
    """A ledger and a dictionary are told the same; they never differ."""

    units = st.sampled_from(["a", "b", "c:'; DROP TABLE unit;--"])
    plans = st.sampled_from(["p", "q"])

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name) / "ledger.sqlite")
        self.states: dict[tuple[str, str], str] = {}
        self.names: dict[str, str] = {}
        self.created: set[str] = set()

    @rule(plan=plans, unit=units)
    def sent(self, plan: str, unit: str) -> None:
        self.ledger.sent(plan, [(unit, "k")], AT)
        self.states[plan, unit] = "sent"

    @rule(plan=plans, unit=units, there=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
    def done(self, plan: str, unit: str, there: str) -> None:
        self.ledger.done(plan, [(unit, [Identity("k", unit, there)])], AT)
        self.names[unit] = there
        self.created.add(unit)
        if (plan, unit) in self.states:
            self.states[plan, unit] = "done"

    @rule(plan=plans, unit=units)
    def unsent(self, plan: str, unit: str) -> None:
        self.ledger.unsent(plan, [unit])
        if (plan, unit) in self.states:
            self.states[plan, unit] = "open"

    @rule(plan=plans, unit=units)
    def quarantine(self, plan: str, unit: str) -> None:
        self.ledger.quarantine(plan, unit, "k", AT, "answer", [1])
        self.states[plan, unit] = "quarantined"

    @rule(unit=units, there=st.sampled_from(["1", "2"]))
    def know(self, unit: str, there: str) -> None:
        self.ledger.know([Identity("k", unit, there, "key", "kept")])
        if unit not in self.created:  # what migrator made itself stays so
            self.names[unit] = there

    @invariant()
    def agree(self) -> None:
        for plan in ("p", "q"):
            mine = {unit: state for (p, unit), state in self.states.items() if p == plan}
            assert self.ledger.states(plan) == mine
            assert {row[0] for row in self.ledger.in_doubt(plan)} == {
                unit for unit, state in mine.items() if state == "sent"
            }
            assert {row[0] for row in self.ledger.quarantined(plan)} == {
                unit for unit, state in mine.items() if state == "quarantined"
            }
        assert {row[1]: row[2] for row in self.ledger.identities()} == self.names
        assert self.ledger.known_ids("k") == set(self.names.values())

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


TestUnits = Units.TestCase
TestUnits.settings = settings(max_examples=8, stateful_step_count=15)


@given(
    names=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("12"), st.text(min_size=1, max_size=3)), max_size=8)
)
def test_a_record_has_one_name_at_the_destination_the_last_one(
    tmp_path_factory: pytest.TempPathFactory, names: list[tuple[str, str, str]]
) -> None:
    names = [
        (kind, source, there.encode("utf-8", "replace").decode().replace("\0", "")) for kind, source, there in names
    ]
    with Ledger(tmp_path_factory.mktemp("l") / "ledger.sqlite") as ledger:
        ledger.know(Identity(*name) for name in names)
        last = {(kind, source): there for kind, source, there in names}
        assert {(row[0], row[1]): row[2] for row in ledger.identities()} == last
        assert all(ledger.find(kind, source).destination == there for (kind, source), there in last.items())  # type: ignore[union-attr]


@pytest.mark.parametrize("where", ["gone/ledger.sqlite", "file/ledger.sqlite", "folder"])
def test_a_place_that_cannot_hold_a_ledger_is_a_workspace_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WorkspaceError, match="cannot be used as ledger"):
        Ledger(tmp_path / where)


def test_a_read_only_place_is_a_workspace_error() -> None:
    with pytest.raises(WorkspaceError):
        Ledger("/proc/ledger.sqlite")


def test_a_file_that_is_no_ledger_is_a_workspace_error(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"something else entirely" * 200)
    with pytest.raises(WorkspaceError):
        Ledger(tmp_path / "ledger.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_folder_made_read_only_is_a_workspace_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(WorkspaceError):
        Ledger(tmp_path / "ledger.sqlite")


def test_a_ledger_held_by_somebody_else_is_a_workspace_error_and_the_next_write_goes_on(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger._write.execute("PRAGMA busy_timeout = 20")
        other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(WorkspaceError, match="nothing more was sent"):
            ledger.sent("p", [("a", "k")], AT)
        other.execute("ROLLBACK")
        other.close()
        ledger.sent("p", [("b", "k")], AT)
        assert ledger.states("p") == {"b": "sent"}


def test_what_is_done_is_known_to_whoever_asks_next_however_many_ask_at_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger, ThreadPoolExecutor(6) as pool:
        for at in range(60):
            unit = f"u{at}"
            ledger.sent("p", [(unit, "k")], AT)
            ledger.done("p", [(unit, [Identity("k", unit, "there")])], AT)
            assert all(pool.map(lambda _, one=unit: ledger.find("k", one), range(6)))


def test_an_end_that_could_not_be_noted_fails_whatever_comes_next(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger._write.execute("PRAGMA busy_timeout = 20")
        ledger.sent("p", [("a", "k"), ("b", "k")], AT)
        for following in (lambda: ledger.sent("p", [("c", "k")], AT), lambda: ledger.states("p")):
            with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                ledger.done("p", [("a", [])], AT)
                with pytest.raises(WorkspaceError, match="nothing more was sent"):
                    following()
                other.execute("ROLLBACK")
        assert ledger.states("p")["a"] == "sent"
        ledger.done("p", [("b", [])], AT)
        assert ledger.state("p", "b") == "done"


def test_a_folder_that_vanishes_under_a_load_is_a_workspace_error(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    folder.mkdir()
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.sent("p", [("a", "k")], AT)
        shutil.rmtree(folder)
        with pytest.raises(WorkspaceError):
            ledger.sent("p", [("b", "k")], AT)


def test_what_sqlite_cannot_hold_fails_its_own_call_and_hangs_nobody(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger, ThreadPoolExecutor(1) as pool:
        call = pool.submit(ledger.quarantine, "p", "a", "k", AT, "half a letter: \ud83d", {})
        with pytest.raises(WorkspaceError):
            call.result(timeout=5)
        pool.submit(ledger.sent, "p", [("b", "k")], AT).result(timeout=5)
        assert ledger.states("p") == {"b": "sent"}


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.close()
    with ThreadPoolExecutor(1) as pool, pytest.raises(WorkspaceError):
        pool.submit(ledger.sent, "p", [("a", "k")], AT).result(timeout=5)


def test_a_process_killed_in_the_middle_loses_no_acknowledged_unit(tmp_path: Path) -> None:
    """Fifty times: a child writes and says so; it is killed by SIGKILL after some words; what it said is there."""
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from migrator.ledger import Identity, Ledger
        folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
        for round in range(rounds):
            file = folder / f"{round % 5}.sqlite"
            ours, theirs = os.pipe()
            child = os.fork()
            if child == 0:
                ledger = Ledger(file)
                before = ""
                for at in range(10_000):
                    unit = f"{round}:{at}"
                    ledger.sent("p", [(unit, "k")], "now")
                    os.write(theirs, f"sent {unit}\\n{before}".encode())
                    ledger.done("p", [(unit, [Identity("k", unit, "d")])], "now")
                    before = f"done {unit}\\n"  # is durable when the next note is
                os._exit(0)
            os.close(theirs)
            said = b""
            while said.count(b"\\n") < round % 9 + 1:
                said += os.read(ours, 64)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            while more := os.read(ours, 4096):
                said += more
            os.close(ours)
            with Ledger(file) as ledger:
                states = ledger.states("p")
                for line in said.decode().splitlines():
                    word, unit = line.split()
                    held = states[unit]
                    assert held == "done" or (word == "sent" and held == "sent"), (round, line, held)
                    assert (held == "done") == (ledger.find("k", unit) is not None), (round, line)
        print("kept")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), "50"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "kept", done.stderr
