"""The second long run: carries out exactly one approved plan. Decides nothing; a crash anywhere leaves nothing doubled.

Units of one lane (a ticket, then its notes) go in order; lanes go side by side, and where a call carries many records
the units that are ready share one. Before its call a unit is noted as ``sent``, after it as ``done``; whatever is still
``sent`` when a load begins is looked up before anything else is written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from migrator.connector import Destination, Marking, Outcome, Promise, Unit, Written
from migrator.errors import (
    AccessError,
    MigratorError,
    PlanError,
    RefusedError,
    RetryError,
    StoppedError,
    UnknownOutcomeError,
)
from migrator.flight import Flight
from migrator.kinds import Kinds
from migrator.ledger import Identity, Ledger
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.plan import digest
from migrator.stage import Stage
from migrator.translate import KEYED
from migrator.units import Builder, Row, shown
from migrator.vault import hidden
from migrator.workspace import Workspace

log = logging.getLogger(__name__)

TRIES = 3  # times a unit that turns out not to have been carried out is sent again within one run
KNOWN_AT_ONCE = 10_000  # records that were there already, noted in one go
JOBS_PATIENCE = 120  # looks at jobs of the account that do not end, before a settling gives up
Progress = Callable[[str, int, int], None]  # (kind, units done, units in all)


@dataclass(frozen=True)
class Loaded:
    """What a load did: units written, put aside, and settled after an earlier crash; what was there already."""

    written: int
    quarantined: int
    settled: int
    before: int

    @property
    def finished(self) -> bool:
        """Tell whether every unit of the plan is written."""
        return self.quarantined == 0


@dataclass
class _Lane:
    """What is left of one lane; ``tries`` counts how often its first unit was sent in vain."""

    units: deque[list[Row]]
    tries: int = 0


@dataclass
class _Phase:
    """The lanes of one kind on their way. ``ready``: units that wait for others to share a call with."""

    root: str
    total: int
    counted: int
    done: int = 0
    aside: int = 0
    ready: dict[tuple[str, str, str], list[_Lane]] = field(default_factory=lambda: defaultdict(list))
    calls: set[Future[_Sent]] = field(default_factory=set)


@dataclass
class _Sent:
    """What one call came to: lanes whose first unit is through, and those that are only promised."""

    done: int = 0
    aside: int = 0
    through: list[_Lane] = field(default_factory=list)
    again: list[_Lane] = field(default_factory=list)
    turned: list[_Lane] = field(default_factory=list)  # whose next unit shares a call
    promised: list[tuple[str, list[Unit], list[_Lane]]] = field(default_factory=list)


@dataclass
class Loader:
    """Carries a plan out. ``now``, ``sleep`` and ``monotonic`` are arguments, so that tests never wait."""

    stage: Stage
    ledger: Ledger
    workspace: Workspace
    kinds: Kinds
    manifest: Manifest
    mapping: Mapping
    destination: Destination
    source: str
    workers: int = 4
    progress: Progress = lambda kind, done, total: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = lambda seconds: None
    monotonic: Callable[[], float] = time.monotonic
    planned: str = "plan.planned"  # or where its rows were set apart
    gate: Callable[[], bool] = lambda: False  # asked between calls: may wait (a pause), and tells whether to stop
    _stop: threading.Event = field(default_factory=threading.Event)
    _most: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.builder = Builder(
            self.stage,
            self.ledger,
            self.workspace,
            self.kinds,
            self.manifest,
            self.mapping,
            self.source,
            self.planned,
        )
        self.plan = ""
        self.flight = Flight(self.manifest.jobs, self.destination, self.sleep, self.monotonic)

    def load(self, named: str, files: dict[str, str]) -> Loaded:
        """Load the plan with the digest ``named`` (12 characters or more are enough).

        Raises PlanError if another plan lies in the workspace; AccessError or VendorError end a run that can go on.
        """
        self.begin(named, files)
        return self.carry_out()

    def begin(self, named: str, files: dict[str, str]) -> None:
        """Make sure that the plan is the one ``named``, and note what is there already. Raises PlanError."""
        actual = digest(self.stage, self.kinds, files)
        if len(named) < 12 or not actual.startswith(named):
            raise PlanError(
                f"the plan in the workspace is {actual[:12]}, not {named[:12] or 'named'}; read its report, then "
                f"`migrator load --plan {actual[:12]}`"
            )
        self.plan = actual
        self._know_kept()

    def carry_out(self) -> Loaded:
        """Carry out the plan that was begun."""
        before = sum(number for (_, state), number in self.ledger.counts(self.plan).items() if state == "done")
        settled = self._settle_all()
        written = 0
        roots = self.kinds.roots()
        # Most kinds of most plans have nothing to do: asking for each took a third of a small load.
        rows = self.stage.rows(f"SELECT DISTINCT as_kind, action FROM {self.planned}")
        acts = {(as_kind, action) for as_kind, action in rows if as_kind in self.kinds.kinds}
        written_to = {self.kinds.root(as_kind) for as_kind, action in acts if action in ("create", "update")}
        taken_from = {self.kinds.root(as_kind) for as_kind, action in acts if action == "delete"}
        merges = any(action == "merge" for _, action in acts)
        for kind_name in roots:
            written += self._phase(kind_name, ("create", "update")) if kind_name in written_to else 0
            if merges:
                self._know_merged()
        for kind_name in reversed(roots):
            written += self._phase(kind_name, ("delete",)) if kind_name in taken_from else 0
        return Loaded(written, len(self.ledger.quarantined(self.plan)), settled, before)

    def settle(self, digest_: str) -> int:
        """Look up what an earlier load of the plan in the stage left in doubt, before that plan is replaced."""
        self.plan = digest_
        return self._settle_all()

    def stop(self) -> None:
        """Let units under way finish and begin no other."""
        self._stop.set()

    # ---- what is known ----------------------------------------------------------------------------------------------

    def _know_kept(self) -> None:
        rows = self.stage.stream(
            "SELECT kind, id, as_kind, target FROM plan.planned WHERE action = 'keep' AND target IS NOT NULL"
        )
        keyed = {spec.keyed_by for kind in self.kinds.kinds.values() for spec in kind.fields.values() if spec.keyed_by}
        keyed |= KEYED.keys() & self.kinds.kinds.keys()
        known = []
        for kind_name, id, as_kind, target in rows:
            key = None
            if as_kind in keyed:
                key = self.stage.one(f'SELECT key FROM found."{as_kind}" WHERE id = ?', target)
            known.append(Identity(kind_name, id, target, key, "kept", as_kind))
            if len(known) == KNOWN_AT_ONCE:
                self.ledger.know(known)
                known = []
        self.ledger.know(known)

    def _know_merged(self) -> None:
        known = []
        for kind_name, as_kind, id, target in self.stage.rows(
            f"SELECT kind, as_kind, id, target FROM {self.planned} WHERE action = 'merge' AND target IS NOT NULL"
        ):
            of = dict.fromkeys((kind_name, *self.builder.standing(as_kind)))  # who stands in may be another's like
            there = next((i for k in of if (i := self.ledger.find(k, target))), None)
            if there and not self.ledger.find(kind_name, id):
                known.append(Identity(kind_name, id, there.destination, there.key, "merged", there.as_kind))
        self.ledger.know(known)

    # ---- carrying out -----------------------------------------------------------------------------------------------

    def _phase(self, root: str, actions: tuple[str, ...]) -> int:
        """Carry out every lane that begins with a record of the kind ``root``; return the units written."""
        members = [k for k in self.kinds.in_order() if self.kinds.root(k) == root]
        marks, wanted = ", ".join("?" for _ in members), ", ".join("?" for _ in actions)
        total = self.stage.one(
            f"SELECT count(DISTINCT unit) FROM {self.planned} WHERE action IN ({wanted}) AND as_kind IN ({marks})",
            *actions,
            *members,
        )
        if not total:
            return 0
        begun = self.ledger.counts(self.plan)
        counted = sum(number for (kind, state), number in begun.items() if state == "done" and kind in members)
        over = self._over if any(kind in members for kind, _ in begun) else lambda unit: False
        phase = _Phase(root, int(total), min(counted, int(total)))
        self.progress(root, phase.counted, phase.total)
        self.now()  # whoever has to ask for the time does so once, before the workers begin
        levels: list[int] = self.builder.levels(root, actions)
        for level in reversed(levels) if "delete" in actions else levels:
            lanes = self.builder.lanes(members, actions, level if len(levels) > 1 else None)
            self._level(phase, (_Lane(deque(rows for rows in lane if not over(rows[0].unit))) for lane in lanes))
            if level < levels[-1]:
                self._know_merged()
        return phase.done

    def _level(self, phase: _Phase, lanes: Iterator[_Lane]) -> None:
        """Carry out lanes of which none waits for another."""
        more = True
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                while True:
                    if self.gate():
                        self._stop.set()
                    while more and not self._stop.is_set() and len(phase.calls) < self.workers * 2:
                        if self.flight.full(len(phase.calls)):
                            break
                        lane = next(lanes, None)
                        more = lane is not None
                        if lane:
                            self._advance(phase, pool, lane)
                    if (not more or self._stop.is_set()) and not self._flush(phase, pool):
                        break
                    self._collect(phase, pool, idle=not more)
            except BaseException:
                self._stop.set()
                for call in phase.calls:
                    call.cancel()
                raise
        if self._stop.is_set():
            raise MigratorError("stopped before the end; `migrator load` with the same plan goes on from here")

    def _over(self, unit: str) -> bool:
        return self.ledger.state(self.plan, unit) in ("done", "quarantined")

    def _flush(self, phase: _Phase, pool: ThreadPoolExecutor) -> bool:
        """Send what waits for company that will not come; False where nothing is left or under way."""
        if not self._stop.is_set():
            for batch in phase.ready.values():
                if batch and not phase.calls and not self.flight.full(0):
                    phase.calls.add(pool.submit(self._batch, list(batch)))
                    batch.clear()
        return bool(phase.calls or self.flight.jobs or (any(phase.ready.values()) and not self._stop.is_set()))

    def _advance(self, phase: _Phase, pool: ThreadPoolExecutor, lane: _Lane) -> None:
        """Bring a lane's next unit on its way: with others, or the lane by itself."""
        if not lane.units or self._stop.is_set():
            return
        main = lane.units[0][0]
        most = self._at_once(main)
        if most == 1:
            phase.calls.add(pool.submit(self._alone, lane))
            return
        batch = phase.ready[main.as_kind, main.variant, main.action]
        batch.append(lane)
        if len(batch) >= most:
            phase.calls.add(pool.submit(self._batch, list(batch)))
            batch.clear()

    def _at_once(self, main: Row) -> int:
        """Return how many units such as this one may share a call."""
        what = main.as_kind, main.variant, main.action
        if what not in self._most:
            self._most[what] = self.destination.most(*what)
        return self._most[what]

    def _collect(self, phase: _Phase, pool: ThreadPoolExecutor, *, idle: bool) -> None:
        """Take in what calls and jobs have come to, waiting for whichever is next."""
        finished: set[Future[_Sent]] = set()
        if phase.calls:
            finished, phase.calls = wait(phase.calls, return_when=FIRST_COMPLETED)
        came = [future.result() for future in finished]
        for sent in came:
            for job, units, lanes in sent.promised:
                self.flight.add(job, units, lanes)
        more = not (idle or self._stop.is_set())
        waiting = not phase.calls and (not more or self.flight.full(0))
        for units, lanes, outcomes in self.flight.land(wait=waiting and not finished, more=more):
            came.append(self._settled(units, lanes, outcomes))
        for sent in came:
            phase.done, phase.aside = phase.done + sent.done, phase.aside + sent.aside
            for lane in sent.through:
                lane.tries = 0
                lane.units.popleft()
            for lane in sent.again:
                lane.tries += 1
                if lane.tries >= TRIES:
                    name = lane.units[0][0].unit
                    raise UnknownOutcomeError(f"{name}: sent {TRIES} times and never carried out")
            for lane in (*sent.through, *sent.again, *sent.turned):
                self._advance(phase, pool, lane)
        self.progress(phase.root, phase.counted + phase.done + phase.aside, phase.total)

    def _alone(self, lane: _Lane) -> _Sent:
        """Carry out a lane's units one after another, up to one that may share a call."""
        whole = _Sent()
        while lane.units and not self._stop.is_set():
            main = lane.units[0][0]
            if self._at_once(main) > 1:
                break
            sent = self._batch([lane])
            whole.done, whole.aside = whole.done + sent.done, whole.aside + sent.aside
            if sent.promised:
                whole.promised += sent.promised
                return whole
            if sent.again:
                lane.tries += 1
                if lane.tries >= TRIES:
                    raise UnknownOutcomeError(f"{main.unit}: sent {TRIES} times and never carried out")
                continue
            lane.tries = 0
            lane.units.popleft()
        if lane.units and not self._stop.is_set():
            whole.turned.append(lane)
        return whole

    def _batch(self, lanes: list[_Lane]) -> _Sent:
        """Carry out the first unit of each lane in one call. Raises what ends the run."""
        sent, units, with_units, at = _Sent(), [], [], self._at()
        for lane in lanes:
            rows = lane.units[0]
            try:
                units.append(self.builder.build(rows, at))
                with_units.append(lane)
            except RefusedError as err:
                self._aside(rows[0].unit, rows[0].kind, str(err), rows[0].payload)
                sent.aside += 1
                sent.through.append(lane)
        if units:
            self._call(units, with_units, sent)
        return sent

    def _call(self, units: list[Unit], lanes: list[_Lane], sent: _Sent) -> None:
        names = [lane.units[0][0].unit for lane in lanes]
        if isinstance(self.destination, Marking) and units[0].action == "create":
            marked = zip(units, self.destination.marks(units), strict=True)
            units = [replace(unit, mark=mark) if mark else unit for unit, mark in marked]
        marks = {n: u.mark for n, u in zip(names, units, strict=True)}
        kinds = [(n, u.kind) for n, u in zip(names, units, strict=True)]
        self.ledger.sent(self.plan, kinds, units[0].sent_at, marks)
        outcomes: Sequence[Outcome]
        try:
            with self._discreet(row for lane in lanes for row in lane.units[0]):
                if units[0].action != "create":
                    self._note_before(units, lanes)
                answer = self.destination.write(units)
            if isinstance(answer, Promise):
                self.ledger.promised(self.plan, names, answer.job)
                sent.promised.append((answer.job, [unit.slim() for unit in units], lanes))
                return
            outcomes = answer
        except RefusedError as err:
            if len(units) > 1:  # one of them may be to blame, or they are too much together
                self.ledger.unsent(self.plan, names)
                half = len(units) // 2
                self._call(units[:half], lanes[:half], sent)
                self._call(units[half:], lanes[half:], sent)
                return
            outcomes = [err]
        except UnknownOutcomeError as err:
            log.warning("looked up", extra={"unit": names[0], "why": str(err)})
            outcomes = [None] * len(units)
        except (RetryError, AccessError, StoppedError):  # each of them says that nothing was done
            self.ledger.unsent(self.plan, names)
            raise
        settled = self._settled(units, lanes, outcomes)
        sent.done, sent.aside = sent.done + settled.done, sent.aside + settled.aside
        sent.through += settled.through
        sent.again += settled.again

    def _settled(self, units: Sequence[Unit], lanes: Sequence[_Lane], outcomes: Sequence[Outcome]) -> _Sent:
        """Note what became of units: done, put aside, or to be sent again after nothing of them was found."""
        sent = _Sent()
        outcomes = self._looked_up(units, [lane.units[0] for lane in lanes], outcomes)
        done, again = [], []
        for lane, outcome in zip(lanes, outcomes, strict=True):
            rows = lane.units[0]
            name = rows[0].unit
            if isinstance(outcome, Written):
                done.append((name, self._identities(rows[0], outcome)))
                sent.done += 1
                sent.through.append(lane)
            elif isinstance(outcome, RefusedError):
                again_built = next(iter(self.builder.units([name])))
                secrets = self.builder.secrets(again_built)
                said = f"{hidden(str(outcome), secrets)} {hidden(outcome.answer, secrets)}".strip()
                self._aside(name, rows[0].kind, said, self._shown(again_built))
                log.warning("quarantined", extra={"unit": name, "status": outcome.status})
                sent.aside += 1
                sent.through.append(lane)
            else:
                again.append(name)
                sent.again.append(lane)
        self.ledger.done(self.plan, done, self._at())
        self.ledger.unsent(self.plan, again)
        self._forget(units, outcomes)
        return sent

    @contextmanager
    def _discreet(self, rows: Iterable[Row]) -> Iterator[None]:
        """Take the secrets that are sent out of what is said where a call fails."""
        try:
            yield
        except Exception as err:
            secrets = self.builder.secrets(rows)
            cause: BaseException | None = err if secrets else None
            while cause is not None:
                cause.args = tuple(hidden(each, secrets) if isinstance(each, str) else each for each in cause.args)
                if isinstance(cause, RefusedError):
                    cause.answer = hidden(cause.answer, secrets)
                cause = cause.__cause__ or cause.__context__
            raise

    def _note_before(self, units: Sequence[Unit], lanes: Sequence[_Lane]) -> None:
        """Note what the records held that are about to change, for the way back."""
        for unit, lane in zip(units, lanes, strict=True):
            if unit.action == "delete" and not unit.stamp:
                continue
            held = self.destination.before(unit)
            if unit.action == "update":
                main = lane.units[0][0]
                self.workspace.vault.sealed_in(held, self.builder.secret_paths(main))
                self.ledger.before(self.plan, main.unit, held)

    def _forget(self, units: Sequence[Unit], outcomes: Sequence[Outcome]) -> None:
        gone = [(u, o) for u, o in zip(units, outcomes, strict=True) if u.action == "delete" and isinstance(o, Written)]
        if gone:
            for unit, _ in gone:
                name = f"{unit.kind}:{unit.id}"
                with_it = f"SELECT kind, id FROM {self.planned} WHERE action = 'delete' AND unit = ?"
                self.ledger.forget(self.stage.rows(with_it, name))

    def _identities(self, main: Row, written: Written) -> list[Identity]:
        if main.action != "create":
            return []
        found = [Identity(main.kind, main.id, written.id, written.key, as_kind=main.as_kind)]
        return found + [Identity(kind, id, there) for (kind, id), there in written.children.items()]

    def _aside(self, unit: str, kind: str, answer: str, payload: Any) -> None:
        self.ledger.quarantine(self.plan, unit, kind, self._at(), answer, payload)

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def _settle_all(self) -> int:
        """Look up every unit an earlier run left in doubt: by its job where it has one, else by what is there."""
        doubtful = {unit: (sent_at, job, mark) for unit, sent_at, job, mark in self.ledger.in_doubt(self.plan)}
        by_job: dict[str | None, list[tuple[Unit, _Lane]]] = defaultdict(list)
        for rows in self.builder.units(list(doubtful)):
            sent_at, job, mark = doubtful[rows[0].unit]
            by_job[job].append((self.builder.build(rows, sent_at, mark or ""), _Lane(deque([rows]))))
        for job, pairs in by_job.items():
            groups: dict[tuple[str, str, str], list[tuple[Unit, _Lane]]] = defaultdict(list)
            for unit, lane in pairs:
                groups[unit.kind, unit.variant, unit.action].append((unit, lane))
            for group in groups.values():
                units, lanes = [unit for unit, _ in group], [lane for _, lane in group]
                # A job's results are told by their place in the call, which a part of the call no longer has.
                if job:
                    self.flight.outlast(job)
                self._settled(units, lanes, [None] * len(units))
        return len(doubtful)

    def _looked_up(
        self, units: Sequence[Unit], rows: Sequence[list[Row]], outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """Return the outcomes, with what is unknown looked up; None is left where nothing was carried out."""
        unknown = [index for index, outcome in enumerate(outcomes) if outcome is None]
        if not unknown:
            return list(outcomes)
        planned = self.builder.units([rows[i][0].unit for i in unknown])
        whole = [
            self.builder.build(one, units[i].sent_at, units[i].mark) for i, one in zip(unknown, planned, strict=True)
        ]
        kind = whole[0].kind
        write = self.manifest.write(kind, whole[0].variant)
        call = getattr(write, whole[0].action) if write else None
        if call and call.job:
            self.flight.calm(JOBS_PATIENCE)
        known = {id for k in self.builder.standing(kind) for id in self.ledger.known_ids(k)}
        with self._discreet(row for i in unknown for row in rows[i]):
            found = self._found(whole, known, write.find.lag_seconds if write and write.find else 0)
        settled = list(outcomes)
        for index, one in zip(unknown, found, strict=True):
            settled[index] = one
        return settled

    def _found(self, units: Sequence[Unit], known: set[str], lag: int) -> list[Outcome]:
        """Look units up, and those that are not there once more when a search that sees them late would."""
        found: list[Outcome] = list(self.destination.find(units, known))
        missing = [place for place, one in enumerate(found) if one is None]
        if missing and lag:
            self.sleep(lag)
            known |= {one.id for one in found if isinstance(one, Written)}
            for place, one in zip(missing, self.destination.find([units[p] for p in missing], known), strict=True):
                found[place] = one
        return found

    def _at(self) -> str:
        return self.now().isoformat()

    def _shown(self, rows: list[Row]) -> dict[str, Any]:
        """Return what was sent of a unit, for people, from the plan."""
        try:
            return shown(self.builder.build(rows, sealed=True))
        except MigratorError:
            return {"payload": rows[0].payload}
