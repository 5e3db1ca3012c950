"""The steps of a migration, joined: what each command does, without a word printed. Results lie in the workspace."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from migrator import coverage
from migrator.compile import name
from migrator.delivery import Deliverer
from migrator.documents import Document
from migrator.errors import InputError, PlanError, WorkspaceError
from migrator.extract import Extracted, canonicalize, download, extract
from migrator.ledger import Ledger
from migrator.load import Loaded, Loader
from migrator.plan import Plan, Planner
from migrator.project import Project, Side, Workspace
from migrator.stage import Stage
from migrator.verify import Verified, compare, discrepancies, read_back

Progress = Callable[[str, int], None]
LoadProgress = Callable[[str, int, int], None]


def _quiet(stream: str, records: int) -> None:
    """Show nothing."""


def _quiet_load(kind: str, done: int, total: int) -> None:
    """Show nothing."""


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
    _opened: list[Deliverer] = field(default_factory=list)

    def waiting(self) -> str:
        """Return what the account opened last waits for: a quota, the vendor's own pause; empty where it goes on."""
        return self._opened[-1].client.pacer.waiting_for if self._opened else ""

    @property
    def workspace(self) -> Workspace:
        """Return the workspace."""
        return self.project.workspace

    def source(self) -> Deliverer:
        """Open the source account."""
        self._opened.append(
            self.project.source.open(session=self.source_session, sleep=self.sleep, monotonic=self.monotonic)
        )
        return self._opened[-1]

    def destination(self) -> Deliverer:
        """Open the destination account."""
        self._opened.append(
            self.project.destination.open(session=self.destination_session, sleep=self.sleep, monotonic=self.monotonic)
        )
        return self._opened[-1]

    # ---- extract ----------------------------------------------------------------------------------------------------

    def extract(self, progress: Progress = _quiet) -> Extracted:
        """Bring the source's records and bytes into the stage."""
        source, side = self.source(), self.project.source
        brought = extract(source, self.workspace, progress=progress, sleep=source.client.sleep)
        with Stage(self.workspace.stage) as stage:
            canonicalize(stage, side.connector.kinds, side.mapping, raw="raw", into="canonical")
        failed = download(
            source,
            self.workspace,
            side.connector.kinds,
            canonical="canonical",
            dataset="raw",
            workers=side.account.workers,
            progress=progress,
        )
        self._write(
            "extract.json",
            {
                "at": now(),
                "rows": dict(brought.rows),
                "counted": dict(brought.counted),
                "bytes_failed": failed,
                "refused": dict(brought.refused),
            },
        )
        brought = replace(brought, bytes_failed=failed)
        self._note("", "extract", f"{sum(brought.rows.values())} records")
        return brought

    # ---- plan -------------------------------------------------------------------------------------------------------

    def plan(self, *, offline: bool = False, progress: Progress = _quiet) -> Plan:
        """Decide every write and every loss. Looks at the destination for what is there already, unless ``offline``."""
        side, kinds = self.project.destination, self.project.destination.connector.kinds
        self._need_stage()
        with Stage(self.workspace.stage):
            pass  # held by another run? then say so before anything else
        identities, undone, since = self._identities(offline)
        if not offline:
            streams = self._streams_to_match()
            seen = {v.stream for variants in side.mapping.kinds.values() for v in variants if v.each}
            shutil.rmtree(self.workspace.folder / ".dlt" / "there", ignore_errors=True)
            with Stage(self.workspace.stage) as stage:
                stage.schema("there", "there_staging", fresh=True)
            destination = self.destination()
            extract(
                destination,
                self.workspace,
                dataset="there",
                streams=streams,
                view=seen,
                progress=progress,
                sleep=destination.client.sleep,
            )
        with Stage(self.workspace.stage) as stage:
            if not stage.tables_of("canonical"):
                raise InputError("nothing is extracted yet", remedy="run `migrator extract` first")
            source = self.project.source
            canonicalize(stage, kinds, source.mapping, raw="raw", into="canonical")
            if offline:
                stage.schema("there", fresh=True)
            canonicalize(stage, kinds, side.mapping, raw="there", into="found")
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
                None if offline else self._looking(stage),
                policies.edited,
                policies.deleted,
                since,
            )
            plan = planner.make(quota_plan=side.account.plan, files=self.files())
            covered = coverage.measure(stage, source.mapping)
            unreadable = stage.rows(
                "SELECT kind, field, raw, count(*) FROM canonical.problem GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"
            )
        if plan.unaccounted:
            raise PlanError(
                f"records are unaccounted for: {plan.unaccounted}; this is a fault of migrator, please report it"
            )
        self._write("plan.json", plan.as_json() | {"at": now(), "account": self._accounts()})
        self._write(
            "coverage.json",
            asdict(covered)
            | {"unreadable": [dict(zip(("kind", "field", "raw", "count"), row, strict=True)) for row in unreadable]},
        )
        (self.workspace.folder / "verify.json").unlink(missing_ok=True)
        self._note(plan.digest, "plan", f"{plan.units} units")
        return plan

    def _identities(self, offline: bool) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]], str | None]:
        """Return what the ledger knows, the updates of the last plan that were not carried out, and the last write.

        What the last load left in doubt is settled first.
        """
        with Ledger(self.workspace.ledger) as ledger, Stage(self.workspace.stage) as stage:
            old = self.saved_plan()["digest"] if self.workspace.plan.is_file() else ""
            if old and ledger.in_doubt(old):
                if offline:
                    raise PlanError(
                        "an earlier load left calls in doubt; look them up first: plan again without --offline"
                    )
                self._loader(stage, ledger, self.destination(), _quiet_load).settle(old)
            undone: list[tuple[str, str]] = []
            if old and "planned" in stage.tables_of("plan"):
                states = ledger.states(old)
                rows = stage.rows("SELECT kind, id, unit FROM plan.planned WHERE action = 'update'")
                undone = [(kind, id) for kind, id, unit in rows if states.get(unit) != "done"]
            return ledger.identities(), undone, ledger.last_write()

    def _looking(self, stage: Stage) -> Callable[[str, str, Sequence[tuple[str, str | None]]], None]:
        """Return what brings records as the destination holds them now into ``seen``."""
        stage.schema("seen", fresh=True)
        destination = self.destination()

        def look(kind: str, variant: str, targets: Sequence[tuple[str, str | None]]) -> None:
            stream, records = destination.peek(kind, variant, targets)
            rows = [(r.id, r.parent, r.updated_at, r.body.decode()) for r in records]
            stage.put("seen", stream, rows)

        return look

    def _streams_to_match(self) -> list[str]:
        side = self.project.destination
        kinds = side.connector.kinds.kinds
        wanted = [v.stream for k, variants in side.mapping.kinds.items() for v in variants if kinds[k].match]
        return list(dict.fromkeys(wanted))

    def files(self) -> dict[str, str]:
        """Return digests of everything a plan depends on besides the records."""

        def of(document: Document) -> str:
            return hashlib.sha256(document.model_dump_json().encode()).hexdigest()

        source, destination = self.project.source, self.project.destination
        return {
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

    def load(self, digest: str, *, accept_losses: bool = False, progress: LoadProgress = _quiet_load) -> Loaded:
        """Carry out the plan with this digest, from wherever an earlier load stopped."""
        plan = self.saved_plan()
        if not accept_losses:
            self._within_thresholds(plan)
        with Stage(self.workspace.stage) as stage, Ledger(self.workspace.ledger) as ledger:
            loaded = self._loader(stage, ledger, self.destination(), progress).load(digest, self.files())
            ledger.note(
                plan["digest"], "load", now(), f"{loaded.written} units written, {loaded.quarantined} in quarantine"
            )
        return loaded

    def _loader(self, stage: Stage, ledger: Ledger, destination: Deliverer, progress: LoadProgress) -> Loader:
        side = self.project.destination
        more: dict[str, Any] = {"sleep": self.sleep} if self.sleep else {"sleep": destination.client.sleep}
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
            progress,
            monotonic=destination.client.pacer.monotonic,
            **more,
        )

    def _within_thresholds(self, plan: dict[str, Any]) -> None:
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

    def verify(self, *, progress: Progress = _quiet) -> tuple[Verified, list[dict[str, Any]]]:
        """Read the destination back and compare it with the plan's prediction."""
        plan = self.saved_plan()
        return self._verify(self.destination(), self.workspace.ledger, plan["digest"], progress, "back", "verify.json")

    def _verify(
        self, destination: Deliverer, ledger_file: Path, digest: str, progress: Progress, dataset: str, result: str
    ) -> tuple[Verified, list[dict[str, Any]]]:
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
            progress=progress,
            sleep=destination.client.sleep,
            dataset=dataset,
            canonical=f"{dataset}_canonical",
        )
        with Stage(self.workspace.stage) as stage, Ledger(ledger_file) as ledger:
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
        self._write(result, asdict(verified) | {"at": now(), "plan": digest, "differences": differences})
        return verified, differences

    def _let_settle(self, destination: Deliverer, ledger_file: Path) -> None:
        """Wait until what was written last shows in the destination's lists."""
        lag = max((stream.lag_seconds for stream in destination.manifest.streams.values()), default=0)
        with Ledger(ledger_file) as ledger:
            last = ledger.last_write()
        since = (datetime.now(UTC) - datetime.fromisoformat(last)).total_seconds() if last else lag + 1
        if since <= lag:
            destination.client.sleep(lag + 1 - max(0.0, since) if self.sleep is None else lag + 1)

    # ---- rehearse ---------------------------------------------------------------------------------------------------

    def rehearse(
        self, *, progress: LoadProgress = _quiet_load, reading: Progress = _quiet
    ) -> tuple[Loaded, Verified, list[dict[str, Any]]]:
        """Carry the plan out in a local sandbox of the destination, and verify it there: the dry run of everything."""
        from migrator.testing.sandbox import Clock, mount

        plan, side = self.saved_plan(), self.project.destination
        module = side.connector.sandbox
        clock = Clock(datetime.now(UTC).isoformat())  # wound by hand: a rehearsal does not wait for jobs
        box = module.create(clock=clock, limits=False)
        with Stage(self.workspace.stage) as stage:
            for stream in sorted(stage.tables_of("there") - {"_dlt_loads", "_dlt_version", "_dlt_pipeline_state"}):
                bodies = [
                    json.loads(body)
                    for (body,) in stage.rows(f"SELECT CAST(body AS VARCHAR) FROM there.{name(stream)}")
                ]
                if bodies:
                    box.store[stream].clear()
                    module.seed(box, stream, bodies)
        folder = self.workspace.folder / "rehearsal"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        account = side.account.model_copy(
            update={
                "url": box.base_url,
                "secrets": {s: "env:MIGRATOR_SANDBOX_TOKEN" for s in side.connector.manifest.secrets},
                "per_minute": 10**9,
                "workers": 2,
            }
        )
        os.environ["MIGRATOR_SANDBOX_TOKEN"] = module.TOKEN
        destination = Side(side.connector, side.mapping, account, side.file).open(
            session=mount(box), sleep=clock.sleep, monotonic=clock.monotonic
        )
        with Stage(self.workspace.stage) as stage, Ledger(folder / "ledger.sqlite") as ledger:
            loaded = self._loader(stage, ledger, destination, progress).load(plan["digest"], self.files())
        verified, differences = self._verify(
            destination, folder / "ledger.sqlite", plan["digest"], reading, "rehearsed", "rehearsal.json"
        )
        self._note(plan["digest"], "rehearse", f"{loaded.written} units, {verified.discrepancies} differences")
        return loaded, verified, differences

    # ---- small things -----------------------------------------------------------------------------------------------

    def _accounts(self) -> dict[str, str]:
        return {"source": self.project.source.base_url(), "destination": self.project.destination.base_url()}

    def _need_stage(self) -> None:
        if not self.workspace.stage.is_file():
            raise InputError("nothing is extracted yet", remedy="run `migrator extract` first")

    def _write(self, file: str, data: Any) -> None:
        try:
            self.workspace.folder.mkdir(parents=True, exist_ok=True)
            part = self.workspace.folder / f"{file}.part"
            part.write_text(json.dumps(data, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
            part.replace(self.workspace.folder / file)
        except OSError as err:
            raise WorkspaceError(f"{file} cannot be written: {err}") from err

    def _note(self, digest: str, command: str, what: str) -> None:
        with Ledger(self.workspace.ledger) as ledger:
            ledger.note(digest, command, now(), what)
