"""The whole migration in one run: reading, files and writing side by side, in waves, on terms that a person has read.

A wave is a plan like any other, signed and in the ledger, of what has arrived whole by then; while it is carried out
the next one arrives, and is planned. A person agrees once, to a plan's *terms*: which fields are lost and how, what
stays behind and why. A wave that would lose anything else, or more than ``thresholds`` allow, is not carried out before
it is read.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from migrator.accounts import LoadProgress, Progress
from migrator.blobs import begin_download, with_bytes
from migrator.control import holds
from migrator.delivery import Deliverer
from migrator.errors import InputError, PlanError, StoppedError
from migrator.extract import Arrivals, Chunk, Extracted, canonicalize
from migrator.ledger import Ledger
from migrator.loading import Loading, loading
from migrator.pacer import WINDOW_SECONDS
from migrator.plan import Plan
from migrator.planning import within_thresholds
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.surroundings import look_around
from migrator.waves import ASIDE, WAITS, Wave

LEAST = 10  # records at the top that make a wave worth its plan
SHARE = 0.01  # of all of them, where these are many: the last wave, which nothing overlaps, is not larger
EARLY = 1.5  # times what the last plan took: so long before it is needed the next one is planned
OFTEN = Chunk(pages=1, most_seconds=15.0, eager=True)  # what is durable sooner can be written sooner
LOOK_SECONDS = 1.0  # between two looks for a wish, while nothing arrives
FILE = "terms.json"


@dataclass(frozen=True)
class Terms:
    """What a person has agreed to. ``losses``: (kind, field, how); ``ends``: (kind, action, reason) of what is not
    written; ``files``: the digests of mappings, manifests and policies they were read with."""

    plans: tuple[str, ...]
    files: dict[str, str]
    losses: frozenset[tuple[str, ...]]
    ends: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, plan: dict[str, Any]) -> Terms:
        """Return the terms of one plan."""
        losses = frozenset((line["kind"], line["field"], line["how"]) for line in plan["losses"])
        ends = frozenset(
            (line["kind"], line["action"], line["reason"])
            for line in plan["dispositions"]
            if line["action"] in ("manual", "skip") and not line["reason"].endswith((WAITS, ASIDE))
        )
        return cls((plan["digest"],), plan["files"], losses, ends)

    def beyond(self, plan: dict[str, Any]) -> list[str]:
        """Return in words what a plan does that nobody has agreed to."""
        other = Terms.of(plan)
        if other.files != self.files:
            return ["mappings, manifests or policies have changed since"]
        found = [f"{kind}.{field} is {how}" for kind, field, how in sorted(other.losses - self.losses)]
        return found + [f"{kind}: {action} ({reason})" for kind, action, reason in sorted(other.ends - self.ends)]

    def joined(self, other: Terms) -> Terms:
        """Return these terms and others too, where both were read with the same files; else only the others."""
        if self.files != other.files:
            return other
        plans = tuple(dict.fromkeys((*self.plans, *other.plans)))
        return Terms(plans, other.files, self.losses | other.losses, self.ends | other.ends)


@dataclass(frozen=True)
class Moved:
    """What a run came to: its waves that wrote anything, the units they wrote, put aside and looked up, and the last
    plan; ``extracted`` is None where the run only prepared a plan to be read."""

    waves: int
    written: int
    quarantined: int
    settled: int
    plan: Plan
    extracted: Extracted | None


@holds("move")
def move(
    steps: Steps,
    within: str | None,
    *,
    accept_losses: bool = False,
    reading: Progress = lambda stream, records: None,
    loading: LoadProgress = lambda kind, done, total: None,
    least: int = LEAST,
) -> Moved:
    """Move everything on the terms of the plan ``within``; without one, plan what arrives first, to be read.

    A killed or stopped run goes on when it is called again. Raises PlanError where a wave goes beyond the terms.
    """
    selection = steps.project.selection
    if selection.select.sample:
        what = "a sample cannot be chosen before everything is read"
        raise InputError(what, file=selection.file, remedy="take `sample` out, or use extract, plan and load")
    terms = agreed(steps, within) if within is not None else None
    look_around(steps, reading)
    source = steps.source()
    with _reading(steps, source, reading) as arriving:
        return _Waves(steps, arriving, source, least, reading, loading).carry_out(terms, accept_losses=accept_losses)


class _Waves:
    """The waves of one run."""

    def __init__(
        self, steps: Steps, arriving: _Arriving, source: Deliverer, least: int, reading: Progress, loading: LoadProgress
    ) -> None:
        side = steps.project.source
        self.steps, self.arriving, self.least, self.reading, self.loading = steps, arriving, least, reading, loading
        self.wave = Wave(arriving.arrivals, source, side.connector.manifest, side.mapping, side.connector.kinds)
        self.taken, self.begun = 0, False  # records at the top that were here when the last wave was planned
        self.took = 0.0  # seconds, the last plan
        self.over, self.spent = 0, 0.0  # units that earlier waves wrote, and the seconds that took them

    def carry_out(self, terms: Terms | None, *, accept_losses: bool) -> Moved:
        """Plan and load wave after wave, until the last has everything; without terms, plan the first."""
        waves = written = settled = 0
        while True:
            # A plan that is to be read should show tickets; one that is carried out may begin with those who ask.
            self._await(at_once=terms is not None and not self.begun)
            plan: Plan | None = self._plan()
            if terms is None:
                assert plan is not None
                return Moved(0, 0, 0, 0, plan, None)
            while plan is not None:
                self._agreed(plan, terms, accept_losses)
                with loading(self.steps, plan.digest, self.loading) as under_way:
                    ahead = None if self.wave.last else self._ahead(under_way)
                loaded = under_way.result()
                waves, written, settled = waves + (plan.units > 0), written + loaded.written, settled + loaded.settled
                if self.wave.last:
                    extracted = self.steps.brought(*self.arriving.result())
                    return Moved(waves, written, loaded.quarantined, settled, plan, extracted)
                self.wave.aside += self._refused(plan.digest)
                plan = ahead

    def _plan(self, *, ahead: bool = False) -> Plan:
        """Plan a wave, and note how long that takes."""
        began = time.monotonic()
        plan = self.steps.plan(progress=self.reading, wave=self.wave, ahead=ahead)
        self.took = time.monotonic() - began
        return plan

    def _ahead(self, loading: Loading) -> Plan | None:
        """Plan the next wave while one is written, as late as is early enough; None where it must wait for the end.

        Made too early, it may be made again while that costs the destination nothing: more has arrived by then. The
        last plan is made when nothing is under way: it alone looks at what has changed since it was written.
        """
        plan, began, arrivals = None, time.monotonic(), self.arriving.arrivals
        loading.future.add_done_callback(lambda _: arrivals.news.set())
        while not loading.ended and not loading.alone:
            arrivals.news.clear()
            self.arriving.ended()  # raises what ended the reading
            if self._due(loading, time.monotonic() - began, again=plan is not None) and self._enough(at_once=False):
                plan = self._plan(ahead=True)
                continue
            arrivals.news.wait(LOOK_SECONDS)
        self.over, self.spent = self.over + loading.over(), self.spent + time.monotonic() - began
        return plan

    def _due(self, loading: Loading, gone: float, *, again: bool) -> bool:
        over = loading.over()
        rate = (self.over + over) / (self.spent + gone) if gone else 0.0
        left = (loading.units - over) / rate if rate else None
        return due(left, loading.waits(), self.took, again=again)

    def _await(self, *, at_once: bool) -> None:
        """Wait until a wave is worth its plan, or is the last one. Raises what ended the reading."""
        arrivals = self.arriving.arrivals
        while True:
            arrivals.news.clear()
            self.wave.last = self.arriving.ended()
            if self.wave.last or (self.wave.ready and self._enough(at_once)):
                return
            if self.steps.run and self.steps.run.gate():
                raise StoppedError("stopped between two waves")
            arrivals.news.wait(LOOK_SECONDS)

    def _enough(self, at_once: bool) -> bool:
        """Tell whether as much has arrived since the last wave as is worth another; note how much."""
        with Stage(self.steps.workspace.stage) as stage, self.arriving.arrivals.turn:
            whole, listed = self.wave.listed(stage)
            least = 0 if at_once else max(self.least, int(SHARE * listed))
            if whole - self.taken < least:
                return False
            here = self.wave.here(stage)
        if here - self.taken < least:
            return False
        self.taken, self.begun = here, True
        return True

    def _agreed(self, plan: Plan, terms: Terms, accept_losses: bool) -> None:
        saved = self.steps.saved_plan()
        if new := terms.beyond(saved):
            raise PlanError(
                f"the next {plan.units:,} calls go beyond what was agreed to: {'; '.join(new[:10])}; read the report "
                f"and name its plan, `migrator move --within {plan.digest[:12]}`"
            )
        if not accept_losses:
            within_thresholds(self.steps.project.migration.thresholds, saved)

    def _refused(self, digest: str) -> list[tuple[str, str]]:
        with Ledger(self.steps.workspace.ledger) as ledger:
            units = [unit.partition(":") for unit, *_ in ledger.quarantined(digest)]
        return [(kind, id) for kind, _, id in units]


def due(left: float | None, waits: float, took: float, *, again: bool) -> bool:
    """Tell whether the next wave is to be planned now, a plan taking ``took`` seconds; ``again``: there is one already.

    That is when what is ``left`` to write lasts about as long (None: nothing is known of that yet), or when the quota
    ``waits`` about as long and the rest goes within the minute after.
    """
    lead = took * EARLY
    if not waits:
        return left is not None and left <= lead and not again
    soon = left is None or left <= max(lead, WINDOW_SECONDS)
    return soon and waits <= lead and (waits >= took or not again)


def agreed(steps: Steps, within: str) -> Terms:
    """Return the terms that the named plan stands for, noted so that a later run knows them. Raises PlanError."""
    file = steps.workspace.folder / FILE
    held = _terms_of(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
    if held and len(within) >= 12 and any(digest.startswith(within) for digest in held.plans):
        return held  # the plan in the workspace is a later wave's, or was cut off
    plan = steps.saved_plan()
    if len(within) >= 12 and plan["digest"].startswith(within):
        terms = held.joined(Terms.of(plan)) if held else Terms.of(plan)
        sets = {"losses": sorted(map(list, terms.losses)), "ends": sorted(map(list, terms.ends))}
        steps.workspace.write(FILE, {"plans": list(terms.plans), "files": terms.files, **sets})
        return terms
    raise PlanError(
        f"the plan in the workspace is {plan['digest'][:12]}, not {within[:12] or 'named'}; read its report, then "
        f"`migrator move --within {plan['digest'][:12]}`"
    )


def _terms_of(data: dict[str, Any]) -> Terms:
    losses, ends = (frozenset(map(tuple, data[name])) for name in ("losses", "ends"))
    return Terms(tuple(data["plans"]), data["files"], losses, ends)


# ---- the two that read ----------------------------------------------------------------------------------------------


class _Arriving:
    """Records and files on their way in, each in a thread of its own."""

    def __init__(self, steps: Steps, source: Deliverer, progress: Progress) -> None:
        self.steps, self.source, self.progress = steps, source, progress
        self.arrivals, self.stop = Arrivals(), threading.Event()
        self._records: Extracted | None = None
        self._failed = 0
        self._errors: list[BaseException] = []
        self._over = threading.Event()  # the records are at their end
        self.threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for name, work in (("records", self._bring), ("files", self._fetch))
        ]

    def ended(self) -> bool:
        """Tell whether everything has arrived. Raises what ended it before."""
        if self._errors:
            raise self._errors[0]
        return not any(thread.is_alive() for thread in self.threads) and self._records is not None

    def result(self) -> tuple[Extracted, int]:
        """Return what arrived, and how many files could not be fetched."""
        assert self._records is not None
        return self._records, self._failed

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as err:  # told by ``ended``, in the thread that writes
            self._errors.append(err)
            self.stop.set()
        finally:
            self.arrivals.news.set()

    def _bring(self) -> None:
        try:
            self._records = self.steps.bring(self.source, self.progress, self.arrivals, chunk=OFTEN)
        finally:
            self._over.set()

    def _fetch(self) -> None:
        """Fetch files as their records arrive, until the records are at their end and no file is left."""
        side, seen = self.steps.project.source, -1
        kinds = side.connector.kinds
        while not self.stop.is_set():
            last, came = self._over.is_set(), self.arrivals.times
            if last or came != seen:
                seen = came
                with Stage(self.steps.workspace.stage) as stage, self.arrivals.turn:
                    canonicalize(stage, kinds, side.mapping, raw="raw", into="arriving", only=with_bytes(kinds))
                self._failed = self.steps.fetch(self.source, "arriving", self.progress)
                self.arrivals.news.set()
            if last:
                return
            self._over.wait(LOOK_SECONDS)


@contextmanager
def _reading(steps: Steps, source: Deliverer, progress: Progress) -> Iterator[_Arriving]:
    """Let records and files arrive meanwhile; whatever ends the ``with`` ends them too."""
    arriving = _Arriving(steps, source, progress)
    with Stage(steps.workspace.stage) as stage:
        begin_download(stage, "raw")
    for account in source.accounts():
        client, pacer = account.client, account.client.pacer
        asked = pacer.cancelled
        pacer.cancelled = lambda asked=asked: arriving.stop.is_set() or (steps.run.gate() if steps.run else asked())  # type: ignore[misc]
        pacer.sleep, client.sleep = _heeding(pacer.sleep, arriving.stop), _heeding(client.sleep, arriving.stop)
    for thread in arriving.threads:
        thread.start()
    try:
        yield arriving
    finally:
        arriving.stop.set()
        for thread in arriving.threads:
            thread.join()


def _heeding(sleep: Callable[[float], None], stop: threading.Event) -> Callable[[float], None]:
    """Return ``sleep`` in slices, ended by ``stop``."""

    def sliced(seconds: float) -> None:
        while seconds > 0:
            if stop.is_set():
                raise StoppedError("stopped while waiting")
            sleep(min(LOOK_SECONDS, seconds))
            seconds -= LOOK_SECONDS

    return sliced
