"""The steps of a migration, joined: what each command does, without a word printed. Results lie in the workspace."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from migrator import orders, surroundings, witness
from migrator.accounts import Accounts, LoadProgress, Progress, keeps_stage, silent, silent_load
from migrator.activate import Activated, Activator, Due, due
from migrator.blobs import download
from migrator.control import holds
from migrator.delivery import Deliverer
from migrator.errors import InputError, PlanError
from migrator.extract import CHUNK, Arrivals, Chunk, Extracted, canonicalize, extract
from migrator.ledger import Ledger
from migrator.live import Live
from migrator.load import Loaded
from migrator.plan import Plan, Planner, is_whole
from migrator.planning import Planning, files, within_thresholds
from migrator.stage import Stage
from migrator.switches import put_back, quiet
from migrator.undo import READ, SWITCHED_OFF, Restored, Undo, removed
from migrator.verify import Verified, compare, discrepancies, read_back
from migrator.waves import Wave
from migrator.workspace import now


@dataclass
class Steps(Accounts):
    """What each command does with a project's two accounts."""

    def files(self) -> dict[str, str]:
        """Return digests of everything a plan depends on besides the records."""
        return files(self.project)

    def saved_plan(self) -> dict[str, Any]:
        """Return the plan's summary. Raises InputError where there is none."""
        return self.workspace.saved_plan()

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
            progress=self.told(progress),
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
            progress=self.told(progress),
        )

    def brought(self, extracted: Extracted, failed: int) -> Extracted:
        """Note what an extract came to, and return it; ``failed`` files could not be fetched."""
        self.workspace.write(
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
        self.workspace.note("", "extract", f"{sum(extracted.rows.values())} records")
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
        return Planning(self, selection, progress, offline, wave, ahead, cutover).make()

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
            within_thresholds(self.project.migration.thresholds, plan)
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

    # ---- verify -----------------------------------------------------------------------------------------------------

    @holds("verify")
    @keeps_stage
    def verify(self, *, progress: Progress = silent) -> tuple[Verified, list[dict[str, Any]]]:
        """Read the destination back and compare it with the plan's prediction."""
        plan, destination = self.saved_plan(), self.destination()
        with Ledger(self.workspace.ledger) as ledger:
            put_back(destination, ledger)
        found = self.read_and_compare(
            destination, self.workspace.ledger, plan["digest"], progress, "back", "verify.json"
        )
        if not plan.get("undo"):
            self._witness(plan["digest"], "back_canonical")
        return found

    def _witness(self, digest: str, canonical: str) -> None:
        """Note what later changes are told by, of records that are as planned by now."""
        connector = self.project.destination.connector
        with Stage(self.workspace.stage) as stage, Ledger(self.workspace.ledger) as ledger:
            updates = stage.rows("SELECT kind, id, unit FROM plan.planned WHERE action = 'update'")
            undone = [(kind, id) for kind, id, unit in updates if ledger.state(digest, unit) != "done"]
            witness.note(stage, connector.kinds, connector.manifest, canonical, undone)

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
        self.workspace.write(result, asdict(verified) | {"at": now(), "plan": digest, "differences": differences})
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
            told = self.told(progress)
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
        self.workspace.need_stage()
        with Stage(self.workspace.stage) as stage:
            if stage.tables_of("plan") and not is_whole(stage):
                raise InputError("the last plan was cut off before its end", remedy="run `migrator plan` first")
        undone = surroundings.before(self).undone  # what is in doubt is settled
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
        extra: dict[str, Any] = {"at": now(), "account": self.addresses(), "undo": files["undo"]}
        self.workspace.write("plan.json", made.as_json() | extra)
        self.workspace.note(made.digest, "undo", f"{made.units} units planned to be taken back")
        return made

    def _read_anew(
        self, destination: Deliverer, ledger_file: Path, progress: Progress, dataset: str, canonical: str
    ) -> None:
        """Read the whole destination into the stage, once what was written last shows in its lists."""
        side, kinds = self.project.destination, self.project.destination.connector.kinds
        self._let_settle(destination, ledger_file)
        with Stage(self.workspace.stage) as stage:
            stage.schema(dataset, fresh=True)
        read_back(
            destination,
            self.workspace,
            kinds,
            side.mapping,
            progress=self.told(progress),
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
