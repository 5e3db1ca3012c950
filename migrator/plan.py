"""Every write and every loss: decided, counted, signed before anything is written. Decides all; writes nothing outside.

For each record: what happens to it (``planned``), what goes out (its payload) and what will be read back
(``predicted``). A loss is where the prediction differs from the source record.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from migrator import translate, witness
from migrator.choice import UNSELECTED, Choice
from migrator.compile import name
from migrator.crossing import work_table
from migrator.decide import DECIDED, WRITES, Decider
from migrator.delta import Change, Delta, Look, changes, prepare
from migrator.errors import PlanError
from migrator.kin import Kin
from migrator.kinds import Kinds
from migrator.live import LEFT, Live
from migrator.losses import Loss, measure_losses
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.predict import Predictor
from migrator.select import Selection
from migrator.stage import Stage

PENDING = "(under way)"  # in place of the id of a record that a load is writing while the next plan is made


@dataclass(frozen=True)
class Disposition:
    """How many records of a kind meet which end, and why."""

    kind: str
    action: str
    reason: str
    count: int
    examples: list[tuple[str, str]]  # (id, label)


@dataclass(frozen=True)
class Calls:
    """Calls by endpoint, and the time each declared quota needs for them."""

    endpoints: dict[str, int]
    quota: list[tuple[str, int, int, float]]  # (name, per minute, calls, minutes)

    @property
    def minutes(self) -> float:
        """Return the time of the tightest quota."""
        return max((minutes for *_, minutes in self.quota), default=0.0)

    @property
    def bottleneck(self) -> str:
        """Return the name of the tightest quota."""
        return max(self.quota, key=lambda line: line[3])[0] if self.quota else ""


@dataclass(frozen=True)
class Plan:
    """A plan's summary; the records lie in the stage. ``digest`` covers them, and all files that made them."""

    digest: str
    source: str
    destination: str
    counts: dict[str, int]  # kind to source records
    dispositions: list[Disposition]
    losses: list[Loss]
    units: int
    calls: Calls
    files: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"hours": self.calls.minutes / 60, "bottleneck": self.calls.bottleneck}

    @property
    def unaccounted(self) -> dict[str, int]:
        """Return kinds whose dispositions do not add up to the source's records: always empty, or the plan is wrong."""
        sums: dict[str, int] = dict.fromkeys(self.counts, 0)
        for line in self.dispositions:
            sums[line.kind] = sums.get(line.kind, 0) + line.count
        return {kind: self.counts[kind] - total for kind, total in sums.items() if self.counts.get(kind) != total}


@dataclass
class Planner:
    """Plans one migration inside the stage. ``found``: the schema of what is at the destination already (or none)."""

    stage: Stage
    kinds: Kinds
    manifest: Manifest
    mapping: Mapping  # the destination's
    source: str
    found: str | None = None
    without_seat: str = "stand_in"
    identities: Sequence[tuple[Any, ...]] = ()  # what the ledger knows: kind, id, id there, key there, how, kind there
    undone: Sequence[tuple[str, str]] = ()  # updates of the last plan that were not carried out: kind, id
    look: Look | None = None
    edited: Literal["keep", "overwrite"] = "keep"
    deleted: Literal["keep", "delete"] = "keep"
    since: str | None = None
    selection: Selection | None = None
    complaint: Callable[[str, dict[str, Any]], str | None] | None = None  # what the destination has against a payload
    waiting: str | None = None  # a relation of (kind, id, reason): records that a later plan will take
    live: Live | None = None  # what is live at once, and whether this plan writes it
    ahead: bool = False  # made while another plan is carried out: what was written before is left to a later one

    def make(self, *, quota_plan: str | None = None, files: dict[str, str] | None = None) -> Plan:
        """Plan everything and return the summary."""
        stage = self.stage
        self._begin()
        stage.schema("blobs")
        stage.run(f"CREATE TABLE plan.decided ({DECIDED})")
        translate.begin(stage)
        stage.run("CREATE TABLE plan.payload (as_kind VARCHAR, id VARCHAR, payload JSON)")
        stage.run(
            "CREATE TABLE plan.known (kind VARCHAR, id VARCHAR, target VARCHAR, as_kind VARCHAR, variant VARCHAR)"
        )
        stage.insert("plan.known", [[*row, None] for row in self._known()])
        for kind_name in sorted(stage.tables_of("earlier")):
            stage.run(
                f"UPDATE plan.known SET variant = e.variant FROM earlier.{name(kind_name)} e WHERE e.id = known.id "
                "AND e._kind = known.kind AND known.as_kind = ?",
                kind_name,
            )
        stage.run(f"CREATE TABLE plan.unselected ({UNSELECTED})")
        if self.selection:
            Choice(self.selection, stage).make()
        prepare(stage, self.identities)
        left = LEFT if self.live and self.live.leave(stage) else None
        for waiting in filter(None, (left, self.waiting)):
            # What was matched before is matched again, and stays what others refer to.
            stage.run(
                f"INSERT INTO plan.unselected SELECT w.kind, w.id, w.kind, w.reason FROM {waiting} w "
                "WHERE (w.kind, w.id) NOT IN (SELECT (kind, id) FROM plan.known) "
                "AND (w.kind, w.id) NOT IN (SELECT (kind, id) FROM plan.unselected)"
                + (" AND (w.kind, w.id) NOT IN (SELECT (kind, source) FROM edited.identity)" if waiting == LEFT else "")
            )
        stage.run("CREATE TABLE anew.payload (as_kind VARCHAR, id VARCHAR, payload JSON)")
        self._labels()
        translator = translate.Translator(stage, self.kinds, self.manifest, self.mapping)
        manifest = self.manifest.model_copy(update={"setup": (*self.manifest.setup, *translator.needed())})
        decider = Decider(
            stage, self.kinds, manifest, self.mapping, self.source, translator, self.found, self.without_seat
        )
        predictor = Predictor(decider, anew=not self.ahead)
        kin = Kin(decider)
        delta = Delta(decider, self.look, self.edited, self.deleted, self.since, left)
        for kind_name in self.kinds.in_order():
            if decider.decide(kind_name):
                kin.settle(kind_name)
            predictor.predict(kind_name)
            if self._try(kind_name):
                kin.follow(kind_name)
                kin.settle(kind_name)
                predictor.forget(kind_name)
                predictor.predict(kind_name)
            if not self.ahead:
                delta.compare(kind_name)
        self._unnamed(decider)
        predictor.predict_joined()
        stage.run(
            "CREATE TABLE plan.planned AS SELECT d.*, p.payload FROM plan.decided d LEFT JOIN plan.payload p "
            "ON p.as_kind = d.as_kind AND p.id = d.id AND d.action IN ('create', 'update')"
        )
        stage.run("UPDATE plan.planned SET target = NULL WHERE target = ?", PENDING)
        _seal(stage, self.kinds)
        losses = measure_losses(stage, self.kinds, self.manifest, self.mapping, self.found)
        counts = {k: int(stage.one(f"SELECT count(*) FROM canonical.{name(k)}")) for k in self.kinds.in_order()}
        return replace(self.summarize(counts, quota_plan, files or {}), losses=losses, changes=changes(stage))

    def _try(self, kind_name: str) -> bool:
        """Leave to a person what the destination says it would not take, with its answer; tell whether it does."""
        write, refused = self.manifest.write(kind_name), False
        if not (write and write.tried and self.complaint):
            return False
        rows = self.stage.rows(
            "SELECT d.kind, d.id, CAST(p.payload AS VARCHAR) FROM plan.decided d JOIN plan.payload p ON p.id = d.id "
            "AND p.as_kind = d.as_kind WHERE d.as_kind = ? AND d.action = 'create' ORDER BY d.id",
            kind_name,
        )
        for of, id, payload in rows:
            said = self.complaint(kind_name, json.loads(payload))
            if said is None:
                continue
            refused = True
            whole = id.partition("~")[0]  # of a rule that becomes several, none is written without the others
            these = "(id = ? OR id LIKE ? ESCAPE '!')"
            parts = (whole, whole.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "~%")
            self.stage.run(
                f"UPDATE plan.decided SET action = 'manual', reason = ? WHERE kind = ? AND as_kind = ? AND {these}",
                f"{self.manifest.title} does not take it: {said}",
                of,
                kind_name,
                *parts,
            )
            work = work_table(kind_name)
            self.stage.run(f"UPDATE {work} SET _action = 'manual' WHERE _kind = ? AND {these}", of, *parts)
        return refused

    def _unnamed(self, decider: Decider) -> None:
        """Leave behind what is only there when it is named, where all that names it stays behind."""
        for kind_name in self.kinds.in_order():
            write = self.manifest.write(kind_name)
            alone = (write.named or write.unnamed) if write and write.create else None
            if alone is None:
                continue
            self.stage.run(
                "UPDATE plan.decided AS w SET action = 'skip', reason = ? WHERE kind = ? AND as_kind = ? "
                f"AND action = 'create' AND NOT {decider.named(kind_name)}",
                alone,
                kind_name,
                kind_name,
            )
            left = "id IN (SELECT id FROM plan.decided WHERE kind = ? AND as_kind = ? AND action = 'skip')"
            self.stage.run(f"DELETE FROM plan.payload WHERE as_kind = ? AND {left}", *[kind_name] * 3)
            self.stage.run(f"DELETE FROM predicted.{name(kind_name)} WHERE _kind = ? AND {left}", *[kind_name] * 3)

    def summarize(self, counts: dict[str, int], quota_plan: str | None, files: dict[str, str]) -> Plan:
        """Return the summary of the plan that lies in the stage."""
        units = self.stage.one(f"SELECT count(DISTINCT unit) FROM plan.planned WHERE action IN {WRITES}")
        return Plan(
            digest(self.stage, self.kinds, files),
            self.source,
            self.manifest.vendor,
            counts,
            self._dispositions(),
            [],
            int(units),
            self._calls(quota_plan),
            files,
        )

    def _known(self) -> list[tuple[str, str, str, str]]:
        """Return what earlier loads wrote: kind, id, id there, kind there."""
        return [(k, id, there, as_kind) for k, id, there, _, how, as_kind in self.identities if how == "created"]

    def _begin(self) -> None:
        """Put the predictions of what earlier loads wrote aside, and empty the plan: both, or neither.

        Those predictions still hold, and are what changes are told by. After a plan that was cut off (it has no seal)
        they lie where that one has put them, and nothing was written since.
        """
        stage = self.stage
        cut_off = bool(stage.tables_of("earlier")) and not is_whole(stage)
        if not cut_off:
            self._keep()
        with stage.at_once():
            if not cut_off:
                stage.schema("earlier", fresh=True)
                for kind_name in sorted(stage.tables_of("kept") - {"_undone"}):
                    stage.run(f"CREATE TABLE earlier.{name(kind_name)} AS SELECT * FROM kept.{name(kind_name)}")
                witness.fill(stage, self.kinds, self.manifest)
            stage.schema("plan", "predicted", "native", fresh=True)
        stage.run("DROP SCHEMA IF EXISTS kept CASCADE")

    def _keep(self) -> None:
        """Gather in ``kept`` what was predicted of each record that was written.

        An update that was planned and not carried out leaves the prediction that came before it.
        """
        stage = self.stage
        before, made = stage.tables_of("earlier"), stage.tables_of("predicted") if self.identities else set()
        stage.schema("kept", fresh=True)
        stage.run("CREATE TABLE kept._undone (kind VARCHAR, id VARCHAR)")
        stage.insert("kept._undone", list(self.undone))
        of_undone = "(_kind, id) IN (SELECT (kind, id) FROM kept._undone)"
        for kind_name, kind in self.kinds.kinds.items():
            wanted = ["id", "variant", *kind.fields, "_kind"]
            if kind_name not in made or stage.columns_of("predicted", kind_name) != wanted:
                continue
            columns = ", ".join(name(label) for label in wanted)
            parts = [f"SELECT {columns} FROM predicted.{name(kind_name)} WHERE NOT {of_undone}"]
            if kind_name in before and stage.columns_of("earlier", kind_name) == wanted:
                parts.append(f"SELECT {columns} FROM earlier.{name(kind_name)} WHERE {of_undone}")
            stage.run(f"CREATE TABLE kept.{name(kind_name)} AS {' UNION ALL '.join(parts)}")

    def _labels(self) -> None:
        """Note the names of the people a preface may name."""
        people: set[str] = set()
        for kind_name, variants in self.mapping.kinds.items():
            for verb in (verb for variant in variants for verb in variant.fields.values() if verb.preface):
                assert verb.preface is not None
                people.update(self.kinds.kinds[kind_name].fields[verb.preface.by].to)
        self.stage.table("labels", "id VARCHAR, label VARCHAR")
        for kind_name in sorted(people):
            label = self.kinds.kinds[kind_name].label or "id"
            self.stage.run(
                f"INSERT INTO labels SELECT id, {name(label)} FROM canonical.{name(kind_name)} "
                "WHERE id NOT IN (SELECT id FROM labels)"
            )

    # ---- counting ---------------------------------------------------------------------------------------------------

    def _dispositions(self) -> list[Disposition]:
        # A person who stands in is one record with two lines: the missing seat, and the contact that is written.
        lines = self.stage.rows(
            "SELECT p.kind, CASE WHEN p.action = 'create' AND s.id IS NOT NULL THEN 'stand_in' "
            "ELSE p.action END AS act, "
            "CASE WHEN p.action = 'create' AND s.id IS NOT NULL THEN s.reason ELSE p.reason END AS why, count(*), "
            "list({'id': p.id} ORDER BY length(p.id), p.id)[1:3] FROM plan.planned p LEFT JOIN plan.planned s "
            "ON s.action = 'stand_in' AND s.kind = p.kind AND s.id = p.id WHERE NOT p.own AND p.action <> 'stand_in' "
            "GROUP BY ALL ORDER BY p.kind, count(*) DESC, why"
        )
        found = []
        for kind_name, action, reason, count, some in lines:
            label = self.kinds.kinds[kind_name].label
            examples = []
            for one in some or []:
                text = (
                    self.stage.one(f"SELECT {name(label)} FROM canonical.{name(kind_name)} WHERE id = ?", one["id"])
                    if label
                    else None
                )
                examples.append((one["id"], str(text or "")[:120]))
            found.append(Disposition(kind_name, action, reason or "", int(count), examples))
        return found

    def _calls(self, quota_plan: str | None) -> Calls:
        """Count the calls of the load and of the read-back, and hold them against the declared quotas."""
        endpoints: dict[str, int] = defaultdict(int)
        jobs = 0
        for kind_name, variant, action, count in self.stage.rows(
            f"SELECT as_kind, variant, action, count(*) FROM plan.planned WHERE action IN {WRITES} "
            "AND unit = as_kind || ':' || id GROUP BY ALL"
        ):
            write = self.manifest.write(kind_name, variant)
            call = getattr(write, action) if write else None
            if call and write and not write.named:
                calls = math.ceil(int(count) / call.many)
                endpoints[f"{call.method} {call.path}"] += calls
                jobs += calls if call.job else 0
        spec = self.manifest.jobs
        if jobs and spec:
            endpoints[f"GET {spec.path}"] += math.ceil(jobs / spec.enough)
        uploads = {(k, e.upload) for w in self.manifest.writes for k, e in w.embeds.items() if e.upload}
        for kind_name, upload in sorted((k, u) for k, u in uploads if u):
            of = "SELECT count(*) FROM plan.planned WHERE action = 'create' AND as_kind = ? AND blob IS NOT NULL"
            if count := int(self.stage.one(of, kind_name)):
                endpoints[f"POST {upload}"] += count
        plan = quota_plan or self.manifest.quota.default_plan
        quota = []
        for rule in self.manifest.quota.rules:
            calls = sum(n for endpoint, n in endpoints.items() if re.search(rule.matching, endpoint))
            per_minute = rule.per_minute.get(plan, 0)
            if per_minute and calls:
                quota.append((rule.name, per_minute, calls, calls / per_minute))
        return Calls(dict(sorted(endpoints.items(), key=lambda line: -line[1])), quota)


def is_whole(stage: Stage) -> bool:
    """Tell whether the plan in the stage was made to its end."""
    return "seal" in stage.tables_of("plan")


def digest(stage: Stage, kinds: Kinds, files: dict[str, str]) -> str:
    """Return the sha256 over every decision, payload, prediction and source record, and the files that made them.

    Raises PlanError where the plan was cut off before its end.
    """
    if not is_whole(stage):
        raise PlanError("the plan in the workspace was cut off before its end; run `migrator plan` again")
    whole = hashlib.sha256(json.dumps(files, sort_keys=True).encode())
    whole.update(stage.one("SELECT records FROM plan.seal").encode())
    decided = (
        "kind, id, as_kind, variant, action, target, unit, lane, CAST(place AS VARCHAR), owner, blob, "
        "stamp, CAST(payload AS VARCHAR)"
    )
    sign(whole, stage, "plan.planned", decided, "kind, id, as_kind, action")
    filled = stage.filled("predicted")
    for kind_name in (one for one in kinds.in_order() if one in filled):
        sign(whole, stage, f"predicted.{name(kind_name)}", signed_columns(kinds, kind_name), "id, _kind")
    return whole.hexdigest()


def _seal(stage: Stage, kinds: Kinds) -> None:
    """Note what the source's records were when the plan was made: what is lost of them stands in no payload."""
    whole = hashlib.sha256()
    filled = stage.filled("canonical")
    for kind_name in (one for one in kinds.in_order() if one in filled):
        sign(whole, stage, f"canonical.{name(kind_name)}", signed_columns(kinds, kind_name), "id")
    stage.run("CREATE TABLE plan.seal (records VARCHAR)")
    stage.insert("plan.seal", [[whole.hexdigest()]])


def signed_columns(kinds: Kinds, kind_name: str) -> str:
    """Return the columns of a kind that a digest covers."""
    return ", ".join(["id", *(f"CAST({name(c)} AS VARCHAR)" for c in kinds.kinds[kind_name].fields)])


def sign(whole: Any, stage: Stage, relation: str, columns: str, order: str) -> None:
    """Add every row to a digest, as JSON: a text beside nothing is another row than nothing beside a text."""
    rows = f"SELECT sha256(CAST(to_json([{columns}]) AS VARCHAR)) FROM {relation} ORDER BY {order}"
    for (line,) in stage.stream(rows):
        whole.update(line.encode())
