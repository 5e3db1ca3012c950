"""The run that holds a workspace, as other processes see it: how far it is, and the wishes they leave for it.

Both lie in ``run.sqlite``, apart from the ledger, whose commits are durable and therefore slow: nothing here has to
outlive a power cut, so it is written with synchronous=OFF, by a thread of its own, and an extract opens no ledger at
all. ``run.lock`` is locked by the system for as long as the process lives, so that a dead run is told from a slow one.
The only module that opens these two files.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, Protocol, TypeVar

from migrator.errors import MigratorError, StoppedError, WorkspaceError, disk_trouble

FILE, LOCK = "run.sqlite", "run.lock"
BEAT_SECONDS = 1.0
HOLD_SECONDS = 0.1  # between two looks of a run that is paused
SLICE_SECONDS = 1.0  # of sleep, between two looks for a wish
BRIEF_SECONDS = 0.25  # who writes and has to wait no longer than this, finishes
RATE_SECONDS = 60.0
COLLECTED = (50_000, 20, 100)  # Python's own is (700, 10, 10): objects more than before, looks at the next generation
LIVING = ("running", "paused")
SCHEMA = """
CREATE TABLE IF NOT EXISTS beat (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS wish (run TEXT PRIMARY KEY, wish TEXT NOT NULL, at TEXT NOT NULL, by INTEGER NOT NULL);
"""

Wish = Literal["pause", "resume", "cancel"]
P = ParamSpec("P")
T = TypeVar("T")
H = TypeVar("H", bound="Holder")


@dataclass(frozen=True)
class Beat:
    """What a run tells of itself, once a second. Moments are ISO 8601 in UTC.

    ``state``: running, paused, done, cancelled or failed (``message`` says why). ``rate``: records or calls a second
    over the last minute. ``waits``: what for, and ``until`` when, where that is known.
    """

    run: str
    command: str
    pid: int
    began: str
    beat: str
    state: str = "running"
    phase: str = ""
    done: int = 0
    total: int | None = None
    rate: float | None = None
    waits: str = ""
    until: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Seen:
    """A workspace's last run as another process finds it; ``wish``: what was asked of it, when, from which pid."""

    beat: Beat
    alive: bool
    died: bool  # ended without a word: killed, or the machine went off
    wish: tuple[str, str, int] | None = None

    @property
    def left_seconds(self) -> float | None:
        """Return the time left for what is under way now, at the rate of the last minute."""
        one = self.beat
        if self.alive and one.state == "running" and one.rate and one.total is not None:
            return max(0, one.total - one.done) / one.rate
        return None


class Run:
    """This process's run: keeps the workspace to itself, tells how far it is, and heeds what others wish.

    ``waiting`` returns what for and how many seconds yet. ``wait`` lets real time pass while paused.
    Raises WorkspaceError where another run holds the workspace.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        waiting: Callable[[], tuple[str, float | None]] = lambda: ("", None),
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder, self.command, self._waiting, self._wait = folder, command, waiting, wait
        self.id, self.writing = uuid.uuid4().hex, False
        self._began, self._by = _now(), ""
        self._cancelled, self._holding = False, set[int]()
        self._phase, self._done, self._total = "", 0, None  # type: tuple[str, int, int | None]
        self._reached, self._expected, self._sum = dict[str, int](), dict[str, int](), 0
        self._sums: deque[tuple[float, int]] = deque()
        self._sleeps: dict[int, tuple[str, float]] = {}
        self._lock, self._over, self._wake = threading.Lock(), threading.Event(), threading.Event()
        self._ended: tuple[str, str] | None = None
        self._guard = _locked(folder)
        try:
            self._read, self._write = _fresh(folder), _opened(folder)
            self._write.execute("DELETE FROM wish")  # what was left for a run that is over
            self._tell()
        except sqlite3.Error as err:
            self._guard.close()
            raise WorkspaceError(f"{folder / FILE} cannot be used: {err}") from err
        self._thread = threading.Thread(target=self._beats, daemon=True)
        self._thread.start()

    def end(self, state: str = "done", message: str = "") -> None:
        """Say how the run ended, and let go of the workspace."""
        self._ended = state, message[:2000]
        self._over.set()
        self._wake.set()
        self._thread.join()
        self._write.close()
        with self._lock:
            self._read.close()
        self._guard.close()

    # ---- how far it is ----------------------------------------------------------------------------------------------

    def expect(self, records: Mapping[str, int]) -> None:
        """Note how many records of a stream are thought to come."""
        self._expected = dict(records)

    def note(self, phase: str, done: int, total: int | None = None) -> None:
        """Note how far a stream (``total`` not known) or a kind of a load is."""
        self.writing = total is not None
        before = self._reached.get(phase, done if total is not None else 0)  # an earlier load's part is no rate of ours
        self._reached[phase] = done
        self._sum += max(0, done - before)
        if total is None and phase in self._expected and done <= self._expected[phase]:
            total = self._expected[phase]
        self._phase, self._done, self._total = phase, done, total

    @property
    def waits(self) -> tuple[str, float | None]:
        """Return what a sleep of ours waits for, and how many seconds yet; empty where nobody sleeps."""
        if self._cancelled:
            return "what is under way, to stop", None
        if self._holding:
            return "`migrator resume`", None
        sleeps = [one for one in list(self._sleeps.values()) if one[0]]
        why, until = min(sleeps, key=lambda one: one[1], default=("", 0.0))
        return why, max(0.0, until - time.monotonic()) if why else None

    def _tell(self) -> None:
        now = time.monotonic()
        self._sums.append((now, self._sum))
        while len(self._sums) > 1 and self._sums[1][0] <= now - RATE_SECONDS:
            self._sums.popleft()
        since, sum_then = self._sums[0]
        rate = (self._sum - sum_then) / (now - since) if now > since else None
        why, seconds = ("", None) if self._ended else self._waiting()
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds") if seconds else None
        state, message = self._ended or ("paused" if self._holding else "running", "")
        one = Beat(
            self.id, self.command, os.getpid(), self._began, _now(), state, self._phase, self._done, self._total, rate,
            why, until, message,
        )  # fmt: skip
        self._write.execute("INSERT OR REPLACE INTO beat VALUES (1, ?)", (json.dumps(asdict(one)),))

    def _beats(self) -> None:
        while True:
            over = self._over.is_set()
            # Nobody's run ends because nobody can be told of it: a full disk shows where it matters.
            with suppress(sqlite3.Error, ValueError, RuntimeError):
                self._tell()
            if over:
                return
            self._wake.wait(BEAT_SECONDS)
            self._wake.clear()

    # ---- what others wish -------------------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Tell whether somebody wants the run to end."""
        return self._cancelled

    def cancel(self, by: str) -> None:
        """End the run at the next call or page."""
        self._by, self._cancelled = by, True
        self._wake.set()

    def gate(self) -> bool:
        """Hold while the run is paused; tell whether it is to end. Asked between calls, by any thread."""
        if self._wish() != "pause" or self._cancelled:
            return self._cancelled
        me = threading.get_ident()
        self._holding.add(me)
        self._wake.set()
        try:
            while self._wish() == "pause" and not self._cancelled:
                self._wait(HOLD_SECONDS)
        finally:
            self._holding.discard(me)
            self._wake.set()
        return self._cancelled

    def stops_reading(self) -> bool:
        """Hold while paused; tell whether no further page is to be read. Calls of a load are finished, once begun."""
        return self.gate() and not self.writing

    def sleeper(self, sleep: Callable[[float], None], why: str = "") -> Callable[[float], None]:
        """Return ``sleep`` in slices that heed wishes. Raises StoppedError once the run is to end.

        ``why``: what is waited for, where nobody else tells.
        """

        def sliced(seconds: float) -> None:
            me, brief = threading.get_ident(), self.writing and seconds <= BRIEF_SECONDS
            outer = self._sleeps.get(me)
            if outer is None:
                self._sleeps[me] = why, time.monotonic() + seconds
            try:
                left = seconds
                while left > 0:
                    if self.gate() and not brief:
                        raise StoppedError("stopped while waiting")
                    sleep(min(SLICE_SECONDS, left))
                    left -= SLICE_SECONDS
            finally:
                if outer is None:
                    self._sleeps.pop(me, None)

        return sliced

    def _wish(self) -> str:
        """Return what is wished of this run now."""
        if self._over.is_set():
            return ""
        with self._lock:
            try:
                row = self._read.execute("SELECT wish, by FROM wish WHERE run = ?", (self.id,)).fetchone()
            except sqlite3.Error:
                return ""
        if row and row[0] == "cancel" and not self._cancelled:
            self.cancel(f"`migrator cancel` (pid {row[1]})")
        return str(row[0]) if row else ""

    def _stopped(self) -> StoppedError:
        return StoppedError(
            f"{self.command} was stopped by {self._by}; what was done is noted, and the same command goes on from here"
        )


class Holder(Protocol):
    """What may hold a workspace: the steps of a migration."""

    run: Run | None

    def begin(self, command: str) -> Run:
        """Return a new run."""


_seldom = threading.Lock()
_runs: list[tuple[int, int, int]] = []  # under way in this process, each with how often garbage was looked for before


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let Python look for cycles of garbage a hundred times as rarely while this lasts.

    Records by the ten thousand make no cycles, yet each look goes through all of them and all modules: a tenth of the
    CPU of a copied zone (1.0 of 7.5 s, 2026-11-27), for no byte of memory.
    """
    with _seldom:
        _runs.append(_runs[0] if _runs else gc.get_threshold())
        gc.set_threshold(*COLLECTED)
    try:
        yield
    finally:
        with _seldom:
            usual = _runs.pop()
            if not _runs:
                gc.set_threshold(*usual)


def holds(command: str) -> Callable[[Callable[Concatenate[H, P], T]], Callable[Concatenate[H, P], T]]:
    """Make a step a run that others see and may steer; a step within another is part of that one."""

    def decorate(step: Callable[Concatenate[H, P], T]) -> Callable[Concatenate[H, P], T]:
        @functools.wraps(step)
        def held(self: H, /, *args: P.args, **kwargs: P.kwargs) -> T:
            if self.run is not None:
                return step(self, *args, **kwargs)
            run = self.run = self.begin(command)
            try:
                with seldom_collected():
                    result = step(self, *args, **kwargs)
            except BaseException as err:
                stopped = run.cancelled and isinstance(err, MigratorError)
                disk = None if isinstance(err, MigratorError) else disk_trouble(err)
                shown = run._stopped() if stopped else disk or err
                self.run = None
                run.end("cancelled" if stopped else "failed", str(shown) or type(shown).__name__)
                if shown is not err:
                    raise shown from err
                raise
            self.run = None
            run.end()
            return result

        return held

    return decorate


# ---- from another process -------------------------------------------------------------------------------------------


def look(folder: Path) -> Seen | None:
    """Return the workspace's run, or its last one; None where there was none yet."""
    if not (folder / FILE).is_file():
        return None
    alive = _held(folder)  # first: a run that ends between the two has said so by then
    try:
        connection = _opened(folder)
        try:
            row = connection.execute("SELECT body FROM beat").fetchone()
            if row is None:
                return None
            known = {field.name for field in fields(Beat)}
            beat = Beat(**{name: value for name, value in json.loads(row[0]).items() if name in known})
            wish = connection.execute("SELECT wish, at, by FROM wish WHERE run = ?", (beat.run,)).fetchone()
        finally:
            connection.close()
    except (sqlite3.Error, TypeError, ValueError):
        return None  # another version's, or damaged: the next run makes it anew
    died = not alive and beat.state in LIVING
    return Seen(beat, alive and beat.state in LIVING, died, wish)


def leave(folder: Path, wish: Wish) -> Seen:
    """Leave a wish for the run that holds the workspace, and return that run. Raises MigratorError where none does."""
    seen = look(folder)
    if seen is None or not seen.alive:
        raise MigratorError(f"nothing is running in {folder}; `migrator status` tells what was")
    connection = _opened(folder)
    try:
        connection.execute(
            "INSERT OR REPLACE INTO wish VALUES (?, ?, ?, ?)", (seen.beat.run, wish, _now(), os.getpid())
        )
    except sqlite3.Error as err:
        raise WorkspaceError(f"{folder / FILE} cannot be written: {err}") from err
    finally:
        connection.close()
    return seen


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _opened(folder: Path) -> sqlite3.Connection:
    """Open ``run.sqlite``."""
    connection = sqlite3.connect(folder / FILE, check_same_thread=False, timeout=5, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _fresh(folder: Path) -> sqlite3.Connection:
    """Open ``run.sqlite``, anew where what lies there cannot be read: it holds nothing that must be kept."""
    try:
        return _opened(folder)
    except sqlite3.DatabaseError as err:
        if isinstance(err, sqlite3.OperationalError):
            raise
        for suffix in ("", "-wal", "-shm"):
            (folder / f"{FILE}{suffix}").unlink(missing_ok=True)
        return _opened(folder)


def _locked(folder: Path) -> sqlite3.Connection:
    """Lock ``run.lock``, without writing into it: the system lets go of it when the process ends, however it ends."""
    try:
        guard = sqlite3.connect(folder / LOCK, check_same_thread=False, timeout=1, isolation_level=None)
    except sqlite3.Error as err:
        raise WorkspaceError(f"{folder / LOCK} cannot be used: {err}") from err
    try:
        guard.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as err:
        guard.close()
        if "locked" not in str(err):
            raise WorkspaceError(f"{folder / LOCK} cannot be used: {err}") from err
        seen = look(folder)
        who = f" ({seen.beat.command}, pid {seen.beat.pid}, since {seen.beat.began})" if seen and seen.alive else ""
        raise WorkspaceError(
            f"{folder} is held by another run of migrator{who}; wait for it, or end it by `migrator cancel`"
        ) from err
    return guard


def _held(folder: Path) -> bool:
    """Tell whether a living process holds the workspace."""
    if not (folder / LOCK).is_file():
        return False
    probe = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None)
    try:
        probe.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as err:
        return "locked" in str(err)
    finally:
        probe.close()
    return False
