"""The steps of a migration, joined: what each command does, without a word printed. Results lie in the workspace."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import requests

from migrator import coverage, orders
from migrator.activate import Activated, Activator, Due, due
from migrator.blobs import download
from migrator.connector import Native, Trying
from migrator.control import Run, holds
from migrator.delivery import Deliverer
from migrator.documents import Document
from migrator.errors import InputError, PlanError, WorkspaceError
from migrator.extract import CHUNK, Arrivals, Chunk, Extracted, canonicalize, extract
from migrator.ledger import Ledger
from migrator.live import Live
from migrator.load import Loaded, Loader
from migrator.narrowing import narrow
from migrator.nesting import nest
from migrator.plan import Plan, Planner, is_whole
from migrator.project import Project, Side, Workspace
from migrator.rewrite import register, rewrite, rules_digest, totals
from migrator.stage import Stage
from migrator.switches import put_back, quiet
from migrator.undo import READ, SWITCHED_OFF, Restored, Undo, removed
from migrator.verify import Verified, compare, discrepancies, read_back
from migrator.waves import Wave

P = ParamSpec("P")
T = TypeVar("T")
Progress = Callable[[str, int], None]
LoadProgress = Callable[[str, int, int], None]


def silent(stream: str, records: int) -> None:
    """Show nothing."""


def silent_load(kind: str, done: int, total: int) -> None:
    """Show nothing."""


def keeps_stage(step: Callable[Concatenate[Steps, P], T]) -> Callable[Concatenate[Steps, P], T]:
    """Hold the stage, where there is one, as long as the step lasts: its parts would open it and write it out each."""

    @functools.wraps(step)
    def kept(self: Steps, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with Stage(self.workspace.stage) if self.workspace.stage.is_file() else nullcontext():
            return step(self, *args, **kwargs)

    return kept


def now() -> str:
    """Return the time, for the history of runs."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Steps:
    """One project and the ways to its two accounts; tests hand in sessions that stay on this machine."""

    project: Project
    source_session: requests.Session | None = None
    destination_session: requests.Session | None = None
    sleep: Callable[[float], None] | None = None
    monotonic: Callable[[], float] | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    run: Run | None = None
    _opened: dict[str, Deliverer] = field(default_factory=dict)

    def begin(self, command: str) -> Run:
        """Hold the workspace: what ``holds`` asks for."""
        self._opened.clear()
        return Run(self.workspace.folder, command, self.waits)

    def waits(self) -> tuple[str, float | None]:
        """Return what is waited for, and how many seconds yet; empty where the run goes on."""
        own = self.run.waits if self.run else ("", None)
        accounts = list(self._opened.values())[-1].accounts() if self._opened else []
        pacers = [account.client.pacer for account in accounts]
        pacer = max(pacers, key=lambda p: (bool(p.waiting_for), p.held_until - p.monotonic()), default=None)
        if pacer is None or (own[0] and own[1] is None):
            return own
        if pacer.waiting_for:
            return pacer.waiting_for.rpartition(",")[0], pacer.waits_seconds()
        held = pacer.held_until - pacer.monotonic()
        return ("the vendor's pause", held) if own[0] and held > (own[1] or 0.0) else own

    def waiting(self) -> str:
        """Return in words what is waited for, with the seconds left; empty where the run goes on."""
        what, seconds = self.waits()
        return what if seconds is None else f"{what}, {seconds:.0f} s"

    @property
    def workspace(self) -> Workspace:
        """Return the workspace."""
        return self.project.workspace

    def source(self) -> Deliverer:
        """Open the source account."""
        return self._open("source", self.project.source, self.source_session)

    def destination(self) -> Deliverer:
        """Open the destination account."""
        return self._open("destination", self.project.destination, self.destination_session)

    def _open(self, which: str, side: Side, session: requests.Session | None) -> Deliverer:
        """Open an account; within one run once, because its quota is one."""
        account = self._opened.pop(which, None) if self.run else None
        if account is None:
            account = side.open(session=session, sleep=self.sleep, monotonic=self.monotonic, now=self.clock)
            return self.steered(which, account)
        self._opened[which] = account  # the last one, whose waits are shown
        return account

    def steered(self, which: str, account: Deliverer) -> Deliverer:
        """Let the run that holds the workspace stop the account's calls and waits, and show what it waits for."""
        if self.run:
            for client in (one.client for one in account.accounts()):
                client.pacer.cancelled, client.pacer.sleep = (
                    self.run.stops_reading,
                    self.run.sleeper(client.pacer.sleep),
                )
                client.sleep = self.run.sleeper(client.sleep, "the vendor")
        self._opened[which] = account
        return account

    def _told(self, progress: Callable[P, None]) -> Callable[P, None]:
        """Return ``progress`` that tells other processes too."""

        def both(*args: P.args, **kwargs: P.kwargs) -> None:
            if self.run:
                self.run.note(*args, **kwargs)  # type: ignore[arg-type]
            progress(*args, **kwargs)

        return both

    # ---- extract ----------------------------------------------------------------------------------------------------

    @holds("extract")
    @keeps_stage
    def extract(self, progress: Progress = silent) -> Extracted:
        """Bring the source's records and bytes into the stage."""
        source = self.source()
        brought = self.bring(source, progress)
        kinds, mapping = self.project.source.connector.kinds, self.project.source.mapping
        with Stage(self.workspace.stage) as stage:
            canonicalize(stage, kinds, mapping, raw="raw", into="canonical")
        return self.brought(brought, self.fetch(source, "canonical", progress))

    def bring(
        self, source: Deliverer, progress: Progress, arrivals: Arrivals | None = None, *, chunk: Chunk = CHUNK
    ) -> Extracted:
        """Bring the records alone."""
        expects = self.run.expect if self.run else lambda records: None
        return extract(
            source,
            self.workspace,
            progress=self._told(progress),
            sleep=source.client.sleep,
            expects=expects,
            arrivals=arrivals,
            chunk=chunk,
        )

    def fetch(self, source: Deliverer, canonical: str, progress: Progress) -> int:
        """Fetch the bytes that the records of ``canonical`` name and that are not here; return how many failed."""
        side = self.project.source
        return download(
            source,
            self.workspace,
            side.connector.kinds,
            canonical=canonical,
            dataset="raw",
            workers=side.account.workers,
            progress=self._told(progress),
        )

    def brought(self, extracted: Extracted, failed: int) -> Extracted:
        """Note what an extract came to, and return it; ``failed`` files could not be fetched."""
        self.write(
            "extract.json",
            {
                "at": now(),
                "rows": dict(extracted.rows),
                "counted": dict(extracted.counted),
                "bytes_failed": failed,
                "refused": dict(extracted.refused),
                "mended": extracted.mended,
            },
        )
        self.note("", "extract", f"{sum(extracted.rows.values())} records")
        return replace(extracted, bytes_failed=failed)

    # ---- plan -------------------------------------------------------------------------------------------------------

    @holds("plan")
    @keeps_stage
    def plan(
        self,
        *,
        offline: bool = False,
        sample: int | None = None,
        since: str | None = None,
        progress: Progress = silent,
        wave: Wave | None = None,
        ahead: bool = False,
        cutover: bool = False,
    ) -> Plan:
        """Decide every write and every loss. Looks at the destination for what is there already, unless ``offline``.

        ``sample`` and ``since`` stand in for those of the selection, this time. ``wave``: only what has arrived by now.
        ``ahead``: while another plan is carried out, whose records count as written. ``cutover``: plan what is live at
        once, and nothing else.
        """
        selection = self.project.selection.narrowed(sample=sample, since=since)
        side, kinds = self.project.destination, self.project.destination.connector.kinds
        self._need_stage()
        identities, undone, written = self._under_way() if ahead else self._identities(offline)
        if not offline and wave is None:
            self.look_around(progress)
        with Stage(self.workspace.stage) as stage:
            if not (stage.tables_of("canonical") or wave):
                raise InputError("nothing is extracted yet", remedy="run `migrator extract` first")
            source = self.project.source
            with wave.arrivals.turn if wave else nullcontext():
                canonicalize(stage, kinds, source.mapping, raw="raw", into="canonical")
                rewrite(stage, kinds, self.project.migration.rewrite, self.workspace)
                waiting = wave.wait(stage) if wave else None
            if offline:
                stage.schema("there", fresh=True)
            canonicalize(stage, kinds, side.mapping, raw="there", into="found")
            there = {one[1] for one in identities if one[0] == "custom_field"}
            wishes, whole = self.project.migration.narrow, wave is None and not ahead
            narrowed = narrow(stage, kinds, source.mapping, wishes, there, whole=whole) if wishes else []
            nested = nest(stage, kinds, side.connector.manifest, side.mapping, there, whole=whole)
            policies = self.project.migration.policies
            planner = Planner(
                stage,
                kinds,
                side.connector.manifest,
                side.mapping,
                source.account.vendor,
                "found",
                policies.people_without_seat,
                identities,
                undone,
                None if offline or ahead else self._looking(stage),
                policies.edited,
                policies.deleted,
                written,
                selection,
                waiting=waiting,
                complaint=None if offline else self._complaint(),
                live=Live(kinds, self.project.migration.cutover, cutover),
                ahead=ahead,
            )
            self.workspace.plan.unlink(missing_ok=True)  # a plan cut off from here on is none
            plan = planner.make(quota_plan=side.account.plan, files=self.files())
            covered = coverage.measure(stage, source.mapping)
            rewrites = totals(stage)
            if self.project.migration.rewrite:
                self.write("rewrites.json", list(register(stage)))
            unreadable = stage.rows(
                "SELECT kind, field, raw, count(*) FROM canonical.problem GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"
            )
        if plan.unaccounted:
            raise PlanError(
                f"records are unaccounted for: {plan.unaccounted}; this is a fault of migrator, please report it"
            )
        selected = selection.select.model_dump(mode="json", exclude_defaults=True)
        extra: dict[str, Any] = {"at": now(), "account": self._accounts(), "select": selected, "rewrites": rewrites}
        extra |= {"cutover": True} if cutover else {}
        extra |= {"narrowed": [one.as_json() for one in narrowed]} if narrowed else {}
        extra |= {"nested": nested} if nested else {}
        self.write("plan.json", plan.as_json() | extra)
        self.write(
            "coverage.json",
            asdict(covered)
            | {"unreadable": [dict(zip(("kind", "field", "raw", "count"), row, strict=True)) for row in unreadable]},
        )
        (self.workspace.folder / "verify.json").unlink(missing_ok=True)
        self.note(plan.digest, "plan", f"{plan.units} units")
        return plan

    def look_around(self, progress: Progress = silent) -> None:
        """Read what the destination holds of the kinds that may be there already."""
        seen = {v.stream for vs in self.project.destination.mapping.kinds.values() for v in vs if v.each}
        shutil.rmtree(self.workspace.folder / ".dlt" / "there", ignore_errors=True)
        with Stage(self.workspace.stage) as stage:
            stage.schema("there", "there_staging", fresh=True)
        destination = self.destination()
        extract(
            destination,
            self.workspace,
            dataset="there",
            streams=self._streams_to_match(),
            view=seen,
            progress=self._told(progress),
            sleep=destination.client.sleep,
            anew=True,
        )

    def _identities(self, offline: bool) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]], str | None]:
        """Return what the ledger knows, the updates of the last plan that were not carried out, and the last write.

        What the last load left in doubt is settled first.
        """
        with Ledger(self.workspace.ledger) as ledger, Stage(self.workspace.stage) as stage:
            old = self.saved_plan()["digest"] if self.workspace.plan.is_file() else ""
            for digest, planned in ((orders.apart(stage), orders.PLANNED), (old, "plan.planned")):
                if digest and ledger.in_doubt(digest):
                    if offline:
                        raise PlanError(
                            "an earlier load left calls in doubt; look them up first: plan again without --offline"
                        )
                    self.loader(stage, ledger, self.destination(), silent_load, planned).settle(digest)
            orders.let_go(stage)
            undone: list[tuple[str, str]] = []
            if old and "planned" in stage.tables_of("plan"):
                rows = stage.rows("SELECT kind, id, unit FROM plan.planned WHERE action = 'update'")
                undone = [(kind, id) for kind, id, unit in rows if ledger.state(old, unit) != "done"]
            return ledger.identities(), undone, ledger.last_write()

    def _under_way(self) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]], str | None]:
        """Return what the ledger knows and what is being written, no update, and the last write."""
        with Ledger(self.workspace.ledger) as ledger, Stage(self.workspace.stage) as stage:
            under_way = orders.pending(stage)  # first: what is written meanwhile is in one of the two
            known = ledger.identities()
            here = {(kind, id) for kind, id, *_ in known}
            return known + [one for one in under_way if one[:2] not in here], [], ledger.last_write()

    def _looking(self, stage: Stage) -> Callable[[str, str, Sequence[tuple[str, str | None]]], None]:
        """Return what brings records as the destination holds them now into ``seen``."""
        stage.schema("seen", fresh=True)
        destination = self.destination()

        def look(kind: str, variant: str, targets: Sequence[tuple[str, str | None]]) -> None:
            stream, records = destination.peek(kind, variant, targets)
            rows = [(r.id, r.parent, r.updated_at, r.body.decode()) for r in records]
            stage.put("seen", stream, rows)

        return look

    def _complaint(self) -> Callable[[str, Native], str | None] | None:
        """Return what asks the destination whether it would take a record, where it can tell."""
        destination = self.destination()
        return destination.complaint if isinstance(destination, Trying) else None

    def _streams_to_match(self) -> list[str]:
        side = self.project.destination
        kinds = side.connector.kinds.kinds
        wanted = [
            v.stream for k, variants in side.mapping.kinds.items() for v in variants if kinds[k].match or kinds[k].apart
        ]
        return list(dict.fromkeys(wanted))

    def files(self) -> dict[str, str]:
        """Return digests of everything a plan depends on besides the records."""

        def of(document: Document) -> str:
            return hashlib.sha256(document.model_dump_json().encode()).hexdigest()

        source, destination = self.project.source, self.project.destination
        cutover = json.dumps(self.project.migration.cutover, sort_keys=True)
        beside = {"rewrite": rules_digest(self.project.migration.rewrite)} if self.project.migration.rewrite else {}
        live = {"cutover": hashlib.sha256(cutover.encode()).hexdigest()} if self.project.migration.cutover else {}
        return {
            **live,
            **beside,
            "kinds": of(source.connector.kinds),
            "source mapping": of(source.mapping),
            "destination mapping": of(destination.mapping),
            "destination manifest": of(destination.connector.manifest),
            "policies": of(self.project.migration.policies),
        }

    def saved_plan(self) -> dict[str, Any]:
        """Return the plan's summary. Raises InputError where there is none."""
        if not self.workspace.plan.is_file():
            raise InputError("there is no plan yet", remedy="run `migrator plan` first")
        return json.loads(self.workspace.plan.read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    # ---- load -------------------------------------------------------------------------------------------------------

    @holds("load")
    @keeps_stage
    def load(
        self,
        digest: str,
        *,
        accept_losses: bool = False,
        cutover: bool = False,
        progress: LoadProgress = silent_load,
    ) -> Loaded:
        """Carry out the plan with this digest, from wherever an earlier load stopped.

        ``cutover``: it is the one that writes what is live at once. Raises PlanError where it is of the other sort.
        """
        plan = self.saved_plan()
        if not accept_losses:
            self.within_thresholds(plan)
        with Stage(self.workspace.stage) as stage, Ledger(self.workspace.ledger) as ledger:
            self._nothing_apart(stage, ledger, plan["digest"])
            files = self.files() | ({"undo": plan["undo"]} if plan.get("undo") else {})
            if not plan.get("undo"):
                live = Live(self.project.destination.connector.kinds, self.project.migration.cutover)
                live.refuse(stage, switching=cutover)
            destination = self.destination()
            with quiet(destination, ledger, self.clock()):
                loaded = self.loader(stage, ledger, destination, progress).load(digest, files)
            if plan.get("undo"):
                ledger.deactivate(stage.rows("SELECT kind, id FROM plan.planned WHERE reason = ?", SWITCHED_OFF))
            self.loaded(ledger, plan["digest"], loaded)
        return loaded

    def loaded(self, ledger: Ledger, digest: str, loaded: Loaded) -> None:
        """Note what a load came to."""
        ledger.note(digest, "load", now(), f"{loaded.written} units written, {loaded.quarantined} in quarantine")

    def _nothing_apart(self, stage: Stage, ledger: Ledger, digest: str) -> None:
        """Raise PlanError where the plan was made while another was carried out, which then was cut off."""
        other = orders.apart(stage)
        if other and other != digest and orders.over(ledger, other) < orders.units(stage):
            raise PlanError(
                f"the plan counts on {other[:12]}, which was cut off while it was carried out; "
                "run `migrator move` again, or `migrator plan`"
            )
        orders.let_go(stage)

    def loader(
        self,
        stage: Stage,
        ledger: Ledger,
        destination: Deliverer,
        progress: LoadProgress,
        planned: str = "plan.planned",
    ) -> Loader:
        """Return what carries out the plan in the stage, or what was set apart of one."""
        side = self.project.destination
        sleep = self.sleep or destination.client.sleep
        more: dict[str, Any] = {"sleep": sleep}
        if self.run:
            more = {"sleep": self.run.sleeper(sleep, "the vendor's jobs and lists"), "gate": self.run.gate}
        return Loader(
            stage,
            ledger,
            self.workspace,
            side.connector.kinds,
            side.connector.manifest,
            side.mapping,
            destination,
            self.project.source.account.vendor,
            side.account.workers,
            self._told(progress),
            planned=planned,
            monotonic=destination.client.pacer.monotonic,
            now=destination.time,
            **more,
        )

    def within_thresholds(self, plan: dict[str, Any]) -> None:
        """Raise PlanError where more is left over than a person has agreed to."""
        limits, over = self.project.migration.thresholds, []
        for line in plan["dispositions"]:
            total = plan["counts"].get(line["kind"], 0)
            if line["action"] == "manual" and total and line["count"] / total > limits.manual and line["count"] > 10:
                over.append(f"{line['count']} of {total} {line['kind']} records need a person ({line['reason']})")
        for loss in plan["losses"]:
            if loss["how"] == "dropped" and loss["of"] and loss["count"] / loss["of"] > limits.dropped:
                over.append(f"{loss['kind']}.{loss['field']} is dropped in {loss['count']} of {loss['of']}")
        if over:
            raise PlanError(
                "the plan loses more than migration.yaml allows: "
                + "; ".join(over)
                + "; read the report, then add --accept-losses"
            )

    # ---- verify -----------------------------------------------------------------------------------------------------

    @holds("verify")
    @keeps_stage
    def verify(self, *, progress: Progress = silent) -> tuple[Verified, list[dict[str, Any]]]:
        """Read the destination back and compare it with the plan's prediction."""
        plan, destination = self.saved_plan(), self.destination()
        with Ledger(self.workspace.ledger) as ledger:
            put_back(destination, ledger)
        return self.read_and_compare(
            destination, self.workspace.ledger, plan["digest"], progress, "back", "verify.json"
        )

    def read_and_compare(
        self, destination: Deliverer, ledger_file: Path, digest: str, progress: Progress, dataset: str, result: str
    ) -> tuple[Verified, list[dict[str, Any]]]:
        """Read an account back and compare it with the prediction; ``result`` is the file that says what was found."""
        side, kinds = self.project.destination, self.project.destination.connector.kinds
        self._read_anew(destination, ledger_file, progress, dataset, f"{dataset}_canonical")
        with Stage(self.workspace.stage) as stage, Ledger(ledger_file) as ledger:
            if self.saved_plan().get("undo"):
                verified, differences = removed(stage, ledger, kinds, f"{dataset}_canonical", digest)
            else:
                verified = compare(
                    stage, ledger, kinds, side.connector.manifest, side.mapping, canonical=f"{dataset}_canonical"
                )
                differences = discrepancies(stage, kinds)
            ledger.note(
                digest,
                "verify",
                now(),
                f"{verified.equal} of {verified.records} equal, {verified.discrepancies} differences",
            )
        self.write(result, asdict(verified) | {"at": now(), "plan": digest, "differences": differences})
        return verified, differences

    # ---- activate ---------------------------------------------------------------------------------------------------

    def due(self) -> tuple[dict[str, Any], list[Due]]:
        """Return the plan and what waits to be switched on. Raises InputError where it is too early for that."""
        plan = self.saved_plan()
        if plan.get("undo"):
            raise InputError("the plan in the workspace is a removal", remedy="run `migrator plan` first")
        kinds, manifest = self.project.destination.connector.kinds, self.project.destination.connector.manifest
        with Stage(self.workspace.stage) as stage, Ledger(self.workspace.ledger) as ledger:
            return plan, due(stage, ledger, kinds, manifest)

    @holds("activate")
    @keeps_stage
    def activate(self, digest: str, *, progress: LoadProgress = silent_load) -> Activated:
        """Switch on what this migration wrote and what acted at the source, once the plan ``digest`` is verified."""
        plan, records = self.due()
        if len(digest) < 12 or not plan["digest"].startswith(digest):
            raise PlanError(f"the plan in the workspace is {plan['digest'][:12]}, not {digest[:12] or 'named'}")
        file = self.workspace.folder / "verify.json"
        verified = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if verified.get("plan") != plan["digest"] or verified["discrepancies"]:
            raise PlanError("what was written is not verified yet, or differs; run `migrator verify` first")
        side, destination = self.project.destination, self.destination()
        with Ledger(self.workspace.ledger) as ledger:
            told = self._told(progress)
            activator = Activator(destination, ledger, side.connector.kinds, side.mapping, plan["digest"], now, told)
            done = activator.run(records)
            ledger.note(plan["digest"], "activate", now(), f"{done.on} switched on, {len(done.refused)} refused")
        return done

    # ---- undo -------------------------------------------------------------------------------------------------------

    @holds("undo")
    @keeps_stage
    def undo(self, *, last: bool = False, touched: bool = False, progress: Progress = silent) -> Plan:
        """Plan the removal of what was written: all of it, or what the ``last`` load wrote. `load` carries it out.

        ``touched``: also what people have changed since. Raises InputError where nothing was written.
        """
        self._need_stage()
        with Stage(self.workspace.stage) as stage:
            if stage.tables_of("plan") and not is_whole(stage):
                raise InputError("the last plan was cut off before its end", remedy="run `migrator plan` first")
        _, undone, _ = self._identities(offline=False)  # settles what is in doubt
        side, kinds, destination = (
            self.project.destination,
            self.project.destination.connector.kinds,
            self.destination(),
        )
        self._read_anew(destination, self.workspace.ledger, progress, "undo_read", READ)
        with Stage(self.workspace.stage) as stage, Ledger(self.workspace.ledger) as ledger:
            plan = ledger.last_plan()
            if plan is None:
                raise InputError("nothing was written yet: there is nothing to undo")
            only = ledger.created_by(plan) if last else None
            restored = [Restored(*row) for row in ledger.changed_by(plan)] if last else []
            acting = [pair for pair in ledger.activated() if only is None or pair in only]
            undo = Undo(
                stage, ledger, kinds, side.connector.manifest, side.mapping, only, restored, touched, undone, acting
            )
            self.workspace.plan.unlink(missing_ok=True)
            with stage.at_once():
                undo.make()
            ledger.forget(undo.gone())
            counts = dict(stage.rows("SELECT kind, count(*) FROM plan.planned GROUP BY 1"))
            planner = Planner(stage, kinds, side.connector.manifest, side.mapping, self.project.source.account.vendor)
            files = self.files() | {"undo": plan if last else "all"}
            made = planner.summarize(counts, side.account.plan, files)
        extra: dict[str, Any] = {"at": now(), "account": self._accounts(), "undo": files["undo"]}
        self.write("plan.json", made.as_json() | extra)
        self.note(made.digest, "undo", f"{made.units} units planned to be taken back")
        return made

    def _read_anew(
        self, destination: Deliverer, ledger_file: Path, progress: Progress, dataset: str, canonical: str
    ) -> None:
        """Read the whole destination into the stage, once what was written last shows in its lists."""
        side, kinds = self.project.destination, self.project.destination.connector.kinds
        shutil.rmtree(self.workspace.folder / ".dlt" / dataset, ignore_errors=True)
        self._let_settle(destination, ledger_file)
        with Stage(self.workspace.stage) as stage:
            stage.schema(dataset, f"{dataset}_staging", fresh=True)
        read_back(
            destination,
            self.workspace,
            kinds,
            side.mapping,
            progress=self._told(progress),
            sleep=destination.client.sleep,
            dataset=dataset,
            canonical=canonical,
        )

    def _let_settle(self, destination: Deliverer, ledger_file: Path) -> None:
        """Wait until what was written last shows in the destination's lists."""
        lag = max((stream.lag_seconds for stream in destination.manifest.streams.values()), default=0)
        with Ledger(ledger_file) as ledger:
            last = ledger.last_write()
        since = (destination.time() - datetime.fromisoformat(last)).total_seconds() if last else lag + 1
        if since <= lag:
            destination.client.sleep(lag + 1 - max(0.0, since))

    # ---- small things -----------------------------------------------------------------------------------------------

    def _accounts(self) -> dict[str, str]:
        return {"source": self.project.source.base_url(), "destination": self.project.destination.base_url()}

    def _need_stage(self) -> None:
        if not self.workspace.stage.is_file():
            raise InputError("nothing is extracted yet", remedy="run `migrator extract` first")

    def write(self, file: str, data: Any) -> None:
        """Write a JSON file of the workspace, whole or not at all. Raises WorkspaceError."""
        try:
            self.workspace.folder.mkdir(parents=True, exist_ok=True)
            part = self.workspace.folder / f"{file}.part"
            part.write_text(json.dumps(data, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
            part.replace(self.workspace.folder / file)
        except OSError as err:
            raise WorkspaceError(f"{file} cannot be written: {err}") from err

    def note(self, digest: str, command: str, what: str) -> None:
        """Add a line to the history of runs."""
        with Ledger(self.workspace.ledger) as ledger:
            ledger.note(digest, command, now(), what)
