"""One plan of a project: made in the stage, with what was found around it, and written down in the workspace."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from migrator import coverage, surroundings
from migrator.accounts import Accounts, Progress, silent
from migrator.documents import Document
from migrator.errors import InputError, PlanError
from migrator.extract import canonicalize
from migrator.live import Live
from migrator.migration import Thresholds
from migrator.narrowing import narrow
from migrator.nesting import nest
from migrator.plan import Plan, Planner
from migrator.project import Project
from migrator.rewrite import register, rewrite, rules_digest, totals
from migrator.select import Selection
from migrator.stage import Stage
from migrator.surroundings import Before
from migrator.waves import Wave
from migrator.workspace import now


@dataclass(frozen=True)
class Planning:
    """How a plan is made. ``offline``: without a look at the destination. ``wave``: only what has arrived by now.

    ``ahead``: while another plan is carried out, whose records count as written. ``cutover``: what is live at once, and
    nothing else.
    """

    accounts: Accounts
    selection: Selection
    progress: Progress = silent
    offline: bool = False
    wave: Wave | None = None
    ahead: bool = False
    cutover: bool = False

    @property
    def project(self) -> Project:
        """Return the project."""
        return self.accounts.project

    def make(self) -> Plan:
        """Decide every write and every loss. Raises InputError where there are no records."""
        workspace = self.accounts.workspace
        workspace.need_stage()
        before = surroundings.under_way(self.accounts) if self.ahead else self._before()
        if not self.offline and self.wave is None:
            surroundings.look_around(self.accounts, self.progress)
        with Stage(workspace.stage) as stage:
            waiting = self._canonical(stage)
            extra = self._fitted(stage, before)
            planner = self._planner(stage, before, waiting)
            workspace.plan.unlink(missing_ok=True)  # a plan cut off from here on is none
            plan = planner.make(quota_plan=self.project.destination.account.plan, files=files(self.project))
            extra = {"rewrites": totals(stage), **extra}
            if self.project.migration.rewrite:
                workspace.write("rewrites.json", list(register(stage)))
            covered = self._covered(stage)
        if plan.unaccounted:
            raise PlanError(
                f"records are unaccounted for: {plan.unaccounted}; this is a fault of migrator, please report it"
            )
        self._write_down(plan, extra, covered)
        return plan

    def _before(self) -> Before:
        return surroundings.before(self.accounts, offline=self.offline)

    def _canonical(self, stage: Stage) -> str | None:
        """Make canonical records of both accounts'; return the relation of those that wait for a later wave."""
        project, wave = self.project, self.wave
        source, side, kinds = project.source, project.destination, project.destination.connector.kinds
        if not (stage.tables_of("canonical") or wave):
            raise InputError("nothing is extracted yet", remedy="run `migrator extract` first")
        with wave.arrivals.turn if wave else nullcontext():
            canonicalize(stage, kinds, source.mapping, raw="raw", into="canonical")
            rewrite(stage, kinds, project.migration.rewrite, self.accounts.workspace)
            waiting = wave.wait(stage) if wave else None
        if self.offline:
            stage.schema("there", fresh=True)
        canonicalize(stage, kinds, side.mapping, raw="there", into="found")
        return waiting

    def _fitted(self, stage: Stage, before: Before) -> dict[str, Any]:
        """Make custom fields narrower or nested where that is wished for or needed; return what was, for the plan."""
        side, wishes = self.project.destination, self.project.migration.narrow
        kinds, whole = side.connector.kinds, self.wave is None and not self.ahead
        there = {one[1] for one in before.identities if one[0] == "custom_field"}
        mapping = self.project.source.mapping
        narrowed = narrow(stage, kinds, mapping, wishes, there, whole=whole) if wishes else []
        nested = nest(stage, kinds, side.connector.manifest, side.mapping, there, whole=whole)
        extra: dict[str, Any] = {"narrowed": [one.as_json() for one in narrowed]} if narrowed else {}
        return extra | ({"nested": nested} if nested else {})

    def _planner(self, stage: Stage, before: Before, waiting: str | None) -> Planner:
        project, side = self.project, self.project.destination
        policies, kinds = project.migration.policies, side.connector.kinds
        return Planner(
            stage,
            kinds,
            side.connector.manifest,
            side.mapping,
            project.source.account.vendor,
            "found",
            policies.people_without_seat,
            before.identities,
            before.undone,
            None if self.offline or self.ahead else surroundings.looking(self.accounts, stage),
            policies.edited,
            policies.deleted,
            before.written,
            self.selection,
            waiting=waiting,
            complaint=None if self.offline else surroundings.complaint(self.accounts),
            live=Live(kinds, project.migration.cutover, self.cutover),
            ahead=self.ahead,
        )

    def _covered(self, stage: Stage) -> dict[str, Any]:
        """Return what the mapping reads of the source's records, and what could not be read."""
        unreadable = stage.rows(
            "SELECT kind, field, raw, count(*) FROM canonical.problem GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"
        )
        rows = [dict(zip(("kind", "field", "raw", "count"), row, strict=True)) for row in unreadable]
        return asdict(coverage.measure(stage, self.project.source.mapping)) | {"unreadable": rows}

    def _write_down(self, plan: Plan, extra: dict[str, Any], covered: dict[str, Any]) -> None:
        workspace = self.accounts.workspace
        selected = self.selection.select.model_dump(mode="json", exclude_defaults=True)
        said: dict[str, Any] = {"at": now(), "account": self.accounts.addresses(), "select": selected}
        said |= {"cutover": True} if self.cutover else {}
        workspace.write("plan.json", plan.as_json() | said | extra)
        workspace.write("coverage.json", covered)
        (workspace.folder / "verify.json").unlink(missing_ok=True)
        workspace.note(plan.digest, "plan", f"{plan.units} units")


def files(project: Project) -> dict[str, str]:
    """Return digests of everything a plan depends on besides the records."""

    def of(document: Document) -> str:
        return hashlib.sha256(document.model_dump_json().encode()).hexdigest()

    source, destination, migration = project.source, project.destination, project.migration
    cutover = json.dumps(migration.cutover, sort_keys=True)
    beside = {"rewrite": rules_digest(migration.rewrite)} if migration.rewrite else {}
    live = {"cutover": hashlib.sha256(cutover.encode()).hexdigest()} if migration.cutover else {}
    return {
        **live,
        **beside,
        "kinds": of(source.connector.kinds),
        "source mapping": of(source.mapping),
        "destination mapping": of(destination.mapping),
        "destination manifest": of(destination.connector.manifest),
        "policies": of(migration.policies),
    }


def within_thresholds(limits: Thresholds, plan: dict[str, Any]) -> None:
    """Raise PlanError where more is left over than a person has agreed to."""
    over = []
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
