"""Deaths for real: one command of a migration in a child that SIGKILL ends at a request, and what it leaves behind.

The parent plays both accounts and answers the child's requests over a pair of sockets, so it knows each of them before
it arrives and after it was answered, and kills there; the vendors outlive the child. It has imported everything and
never opens a database: a child is forked in milliseconds, and a point costs what its two runs cost.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from requests.adapters import BaseAdapter

from migrator import registry
from migrator.compile import name
from migrator.errors import MigratorError
from migrator.ledger import Ledger
from migrator.move import FILE, move
from migrator.project import open_project
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount

KILLS = ("killed before", "killed after")
FAULTS = ("429", "500", "502", "503", "reset", "unanswered", "timeout", "truncated", "garbled")
JUMPS = ("clock ahead", "clock back")
JUMP = timedelta(hours=3)
DISKS = ("disk full", "read-only")  # needs a folder on a ``Disk``
DISK_BYTES = 96 * 2**20
LIVE = ("hosts", "content")  # of a sandbox's state: what answers, and holds nothing
Event = tuple[str, int]  # (how, at which request of the run)
Step = Callable[[Steps], object]

SIDE_BY_SIDE = ("move",)  # whose threads make no two runs alike: one may end before the nth request

COMMANDS: dict[str, tuple[str, list[tuple[str, Step]]]] = {}  # command to (workspace it begins in, its steps)


def _load(run: Steps) -> None:
    loaded = run.load(run.saved_plan()["digest"], accept_losses=True)
    assert loaded.finished, f"{loaded.quarantined} in quarantine"


def _move(run: Steps) -> None:
    """Move on the terms of the plan that was there first; what is durable of them outlives us."""
    terms = run.workspace.folder / FILE
    first = json.loads(terms.read_text())["plans"][0] if terms.is_file() else run.saved_plan()["digest"]
    moved = move(run, first, accept_losses=True, least=1)
    assert not moved.quarantined, f"{moved.quarantined} in quarantine"


def _verify(run: Steps) -> None:
    verified, differences = run.verify()
    assert verified.proven, differences[:3]


COMMANDS |= {
    "extract": ("empty", [("extract", Steps.extract)]),
    "load": ("planned", [("load", _load)]),
    "verify": ("loaded", [("verify", _verify)]),
    "delta": ("changed", [("extract", Steps.extract), ("plan", Steps.plan), ("load", _load)]),
    "undo": ("loaded", [("undo", Steps.undo), ("load", _load)]),
    "move": ("agreed", [("move", _move)]),
}


# ---- our side's disk -------------------------------------------------------------------------------------------------


@dataclass
class Disk:
    """A small file system of its own, so that it can be really full, and really read-only. Needs the right to mount."""

    folder: Path

    def __enter__(self) -> Disk:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs")
        except (OSError, subprocess.CalledProcessError) as err:
            raise PermissionError(f"a small file system cannot be mounted here: {err}") from err
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)

    def _mount(self, *how: str) -> None:
        subprocess.run(["mount", *how, str(self.folder)], check=True, capture_output=True)

    def fill(self) -> None:
        """Leave not a byte free."""
        with suppress(OSError), (self.folder / "ballast").open("ab", buffering=0) as file:
            while True:
                file.write(bytes(2**16))

    def close(self) -> None:
        """Let nobody write. Nobody may have a file open."""
        self._mount("-o", "remount,ro")

    def mend(self) -> None:
        """Make it a good disk again."""
        self._mount("-o", "remount,rw")
        (self.folder / "ballast").unlink(missing_ok=True)


# ---- the vendors' side -----------------------------------------------------------------------------------------------


@dataclass
class Far:
    """Both accounts and their clock: what goes on while our process is dead. ``ours``: how far ours is ahead."""

    old: Sandbox
    new: Sandbox
    clock: Clock
    ours: timedelta = timedelta()
    calls: int = 0  # of the command, over all its runs
    done: int = 0  # steps of the command that came to their end
    disk: Disk | None = None  # ours

    def save(self, folder: Path) -> None:
        """Put everything on disk, where no job is under way."""
        for job in self.new.state.get("jobs", {}).values():
            assert job["status"]["status"] == "completed"
            job["work"] = None
        boxes = [
            (
                dict(box.store),
                box.blobs,
                {k: v for k, v in box.state.items() if k not in ("hosts", "content")},
                box._ids,
            )
            for box in (self.old, self.new)
        ]
        (folder / "far").write_bytes(pickle.dumps((boxes, self.clock.now().isoformat())))

    def take_up(self, folder: Path) -> Far:
        """Go on from what was put on disk."""
        boxes, now = pickle.loads((folder / "far").read_bytes())
        self.clock._now, self.ours, self.calls, self.done = Clock(now).now(), timedelta(), 0, 0
        for box, (store, blobs, state, ids) in zip((self.old, self.new), boxes, strict=True):
            box.store.clear()
            box.store.update(store)
            box.blobs.clear()
            box.blobs.update(blobs)
            kept = {name: box.state[name] for name in LIVE if name in box.state}
            box.state.clear()
            box.state.update(kept | state)
            box._ids = ids
            box.exchanges.clear()
            box.faults.clear()
        return self

    def answer(self, request: requests.PreparedRequest, events: Sequence[Event], kill: Callable[[], None]) -> Any:
        """Answer one request, or raise what the way to the vendor raises; let events happen before and after it."""
        self.calls += 1
        due = {what for what, at in events if at == self.calls}
        if "killed before" in due:
            kill()
            return None
        box = {self.old.host: self.old, self.new.host: self.new}.get((request.url or "").split("/")[2])
        for what in due:
            if what in FAULTS and box:
                box.fault(what)  # type: ignore[arg-type]
            elif what in JUMPS:
                self.ours += JUMP if what == "clock ahead" else -JUMP
            elif what == "disk full" and self.disk:
                self.disk.fill()
        try:
            answer = mount(self.old, self.new).get_adapter("http://sandbox").send(request)
            answer.content  # noqa: B018 (read here, where it may break)
            return answer
        except requests.RequestException as err:
            return type(err)(str(err))
        finally:
            if "killed after" in due:
                kill()


class Line(BaseAdapter):
    """A child's way to both accounts. One request at a time; the accounts' clock is the child's while it lives."""

    def __init__(self, way: socket.socket, far: Far) -> None:
        super().__init__()
        self.file, self.lock = way.makefile("rwb"), threading.Lock()
        self.clock, self.ours, self.done = Clock(far.clock.now().isoformat()), far.ours, far.done

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # type: ignore[override]
        """Send one request and wait for the answer."""
        with self.lock:
            pickle.dump((request, self.clock.now()), self.file)
            self.file.flush()
            answer, self.ours = pickle.load(self.file)
        if isinstance(answer, Exception):
            raise answer
        answer.request = request
        return answer  # type: ignore[no-any-return]

    def tell(self, done: int) -> None:
        """Let the parent know that a step came to its end."""
        with self.lock:
            pickle.dump((done, self.clock.now()), self.file)
            self.file.flush()

    def now(self) -> Any:
        """Return the time as our own machine has it."""
        return self.clock.now() + self.ours

    def close(self) -> None:
        """The parent sees that we are gone."""


def steps_in(folder: Path, line: Line) -> Steps:
    """Return the steps of the migration in ``folder``."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, line)
    clock = line.clock
    return Steps(open_project(folder), session, session, sleep=clock.sleep, monotonic=clock.monotonic, clock=line.now)


# ---- one run ---------------------------------------------------------------------------------------------------------


def carry_out(command: str, folder: Path, line: Line, *, anew: bool = False) -> None:
    """Carry out a command's steps from the one that was cut off, or ``anew`` from the first."""
    run = steps_in(folder, line)
    for place, (_, step) in enumerate(COMMANDS[command][1]):
        if anew or place >= line.done:
            step(run)
            line.tell(place + 1)


def forked(work: Callable[[Line], Any], far: Far, events: Sequence[Event] = ()) -> tuple[int, Any]:
    """Carry ``work`` out in a child and answer its requests; return its exit code (-9: killed) and its result."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        here.close()
        code, result = 70, None
        line = Line(there, far)
        try:
            result, code = work(line), 0
        except MigratorError as err:
            result, code = f"{type(err).__name__}: {err}", err.exit_code
        except BaseException:
            result = traceback.format_exc()
        finally:
            pickle.dump((result, line.clock.now()), line.file)
            line.file.flush()
            os._exit(code)
    there.close()
    result = None
    with suppress(ConnectionError), here, here.makefile("rwb") as file:  # what is not sent to the dead is lost
        try:
            while True:
                asked, far.clock._now = pickle.load(file)
                if isinstance(asked, int):
                    far.done = asked
                    continue
                if not isinstance(asked, requests.PreparedRequest):
                    result = asked
                    break
                answer = far.answer(asked, events, lambda: os.kill(child, signal.SIGKILL))
                pickle.dump((answer, far.ours), file)
                file.flush()
        except (EOFError, BrokenPipeError, ConnectionError):
            pass  # dead
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), result


# ---- what is left ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Left:
    """What a command leaves: records at the destination by stream and content, the ledger, the stage, the verdict."""

    held: Counter[tuple[str, str]]
    ledger: dict[str, Any]
    stage: dict[str, str]
    verdict: dict[str, Any] = field(default_factory=dict)

    def differs(self, wanted: Left) -> dict[str, int | str]:
        """Return what is other than in an undisturbed run: records lost, records doubled, and the rest in words."""
        missing, more = wanted.held - self.held, self.held - wanted.held
        lost, doubled = len(list(missing.elements())), len(list(more.elements()))
        found: dict[str, int | str] = {"lost": lost, "doubled": doubled} if lost or doubled else {}
        if found:
            found["where"] = str((Counter(stream for stream, _ in missing.elements()), Counter(s for s, _ in more)))
        for what in ("ledger", "stage", "verdict"):
            mine, theirs = getattr(self, what), getattr(wanted, what)
            wrong = {k: (theirs.get(k), mine.get(k)) for k in {*mine, *theirs} if mine.get(k) != theirs.get(k)}
            if wrong:
                found[what] = str(wrong)[:1500]
        return found


OPEN = "SELECT unit, state FROM unit WHERE state <> 'done' AND unit NOT IN (SELECT unit FROM unit WHERE state = 'done')"


def left(command: str, folder: Path) -> Left:
    """Return what a command has left in the workspace; opens its databases."""
    schemas = {"extract": ("raw", "canonical"), "delta": ("raw", "canonical"), "verify": ("back", "back_canonical")}
    forward = command != "undo"  # which leaves open what it has taken back
    with Ledger(folder / "ledger.sqlite") as ledger:
        identities = ledger.identities()
        there = Counter((as_kind, target) for _, _, target, _, how, as_kind in identities if how == "created")
        units = Counter(ledger._rows("SELECT kind, state FROM unit"))
        told = {
            "identities": sorted((kind, source, how, as_kind) for kind, source, _, _, how, as_kind in identities),
            "twice": [one for one, number in there.items() if number > 1],
            "units": sorted(units.items()) if command in ("load", "extract", "verify") else [],
            # Of several plans: one that was cut off and made again leaves lines that the later one has carried out.
            "open": sorted({*ledger._rows(OPEN)} if forward else ()),
            "in doubt": ledger._rows("SELECT unit FROM unit WHERE state IN ('sent', 'quarantined')"),
        }
    stage = _staged(folder, schemas[command]) if command in schemas else {}
    verdict = json.loads((folder / "verify.json").read_text()) if command == "verify" else {}
    verdict.pop("at", None)
    return Left(Counter(), told, stage, verdict)


def _staged(folder: Path, schemas: Sequence[str]) -> dict[str, str]:
    """Return a digest of every table's rows, in no order."""
    found = {}
    with Stage(folder / "stage.duckdb") as stage:
        for schema in schemas:
            for table in stage.tables_of(schema):
                if table.startswith("_dlt"):
                    continue
                columns = [c for c in stage.columns_of(schema, table) if not c.startswith("_dlt")]
                picked = ", ".join(f"CAST({name(column)} AS VARCHAR)" for column in columns)
                rows = sorted(map(repr, stage.rows(f"SELECT {picked} FROM {schema}.{name(table)}")))
                digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]
                found[f"{schema}.{table}"] = f"{len(rows)} {digest}"
    return found


MOMENT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
RUN_BEGAN = 1790812800  # 2026-10-01: what is later was set in the run, by the sandboxes' clock
REFERS = re.compile(r"(^|_)ids?$")
ROUNDS = 4


def held(box: Sandbox) -> Counter[tuple[str, str]]:
    """Return the account's records by stream and content: ids replaced by what they name, moments of the run left out.

    Two accounts with the same records are equal here whatever ids they gave, in whatever order those came.
    """
    alive = {
        (stream, id): body for stream, records in box.store.items() for id, body in records.items() if not _gone(body)
    }
    others = json.dumps([body for (stream, _), body in alive.items() if stream != "attachments"], default=str)
    for stream, id in list(alive):
        if stream == "attachments" and str(id) not in others:
            del alive[stream, id]  # handed in and named by no record: vendors throw that away
    names: dict[str, str] = {str(id): stream for stream, id in alive}
    place: Counter[Any] = Counter()
    for (stream, id), body in sorted(alive.items(), key=lambda one: (one[0][0], len(str(one[0][1])), str(one[0][1]))):
        owner = body.get("ticket_id") if isinstance(body, dict) else None
        place[stream, owner] += 1
        names[str(id)] = f"{stream} {place[stream, owner]}" if owner is not None else stream
    for _ in range(ROUNDS):  # a record is what it says, and what those are that it names
        names = {
            str(id): f"{names[str(id)].split('#')[0]}#{_digest(body, names, str(id))}"
            for (stream, id), body in alive.items()
        }
    return Counter((stream, names[str(id)].partition("#")[2]) for stream, id in alive)


def _gone(body: Any) -> bool:
    return isinstance(body, dict) and (bool(body.get("deleted")) or body.get("status") == "deleted")


def _digest(body: Any, names: dict[str, str], own: str) -> str:
    def shape(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: shape(v, k) for k, v in sorted(value.items()) if not k.endswith(("url", "token"))}
        if isinstance(value, list):
            inner = [shape(one, key) for one in value]
            return sorted(inner, key=str) if REFERS.search(key) else inner
        if REFERS.search(key) and value is not None:
            return "self" if str(value) == own else names.get(str(value), "an id")
        if key.endswith("timestamp") and isinstance(value, int) and value > RUN_BEGAN:
            return "now"
        if isinstance(value, str):
            return MOMENT.sub(lambda at: at[0] if at[0] < "2026-10" else "now", value)
        return value

    return hashlib.sha256(json.dumps(shape(body), sort_keys=True, default=str).encode()).hexdigest()[:16]


# ---- a whole point ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """One pair of vendors, made ready once: workspaces by name, and what each command leaves undisturbed."""

    pair: str
    folder: Path
    calls: dict[str, int]
    wanted: dict[str, Left]


def survive(bench: Bench, far: Far, command: str, events: Sequence[Event], scratch: Path) -> tuple[int, dict[str, Any]]:
    """Carry out a command under these events, as often as it is cut off; return (runs, what is otherwise)."""
    root = scratch
    if far.disk:
        far.disk.mend()
        root = far.disk.folder
    folder = root / "workspace"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bench.folder / COMMANDS[command][0], folder)
    far.take_up(folder)
    if far.disk and ("read-only", 0) in events:
        far.disk.close()
    anew = sum(at for _, at in events) % 2 == 1  # half of them go on with the step cut off, half from the first
    most, killed, said = 3 + 3 * len(events), 0, None

    def work(line: Line) -> Left:
        carry_out(command, folder, line, anew=anew)
        return left(command, folder)

    for run in range(1, most + 1):
        code, said = forked(work, far, events)
        killed += code == -signal.SIGKILL
        if code == 0:
            differs = replace(said, held=held(far.new)).differs(bench.wanted[command])
            if command not in SIDE_BY_SIDE and killed < sum(len(events) == 1 and how in KILLS for how, _ in events):
                differs["failed"] = "nobody was killed: fewer requests than in the undisturbed run"
            return run, differs
        if code == 7 and far.disk:
            far.disk.mend()
            continue
        if code not in (-signal.SIGKILL, 5, 6):
            return run, {"failed": f"exit code {code}: {said}"}
    return most, {"failed": f"no end after {most} runs; the last one: {said}"}


def warm() -> None:
    """Import what a command needs, and read both manifests, so that children need not."""
    import selectolax.lexbor

    import migrator.landing

    assert selectolax.lexbor
    assert migrator.landing
    for vendor in ("zendesk", "freshdesk"):
        registry.connector(vendor)
