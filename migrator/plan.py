"""Every write and every loss: decided, counted, signed before anything is written. Decides all; writes nothing outside.

For each record: what happens to it (``planned``), what goes out (its payload) and what will be read back
(``predicted``). A loss is where the prediction differs from the source record.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from migrator.compile import name
from migrator.decide import DECIDED, Decider
from migrator.kinds import Kinds
from migrator.losses import Loss, measure_losses
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.predict import Predictor
from migrator.stage import Stage


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
    stand_in: bool = True
    known: list[tuple[str, str, str, str]] = field(default_factory=list)  # (kind, id, its id there, its kind there)

    def make(self, *, quota_plan: str | None = None, files: dict[str, str] | None = None) -> Plan:
        """Plan everything and return the summary."""
        stage = self.stage
        self._keep_earlier()
        stage.schema("plan", "predicted", "native", fresh=True)
        stage.schema("blobs")
        stage.run(f"CREATE TABLE plan.decided ({DECIDED})")
        stage.run("CREATE TABLE plan.payload (as_kind VARCHAR, id VARCHAR, payload JSON)")
        stage.run("CREATE TABLE plan.known (kind VARCHAR, id VARCHAR, target VARCHAR, as_kind VARCHAR)")
        stage.insert("plan.known", self.known)
        self._labels()
        decider = Decider(stage, self.kinds, self.manifest, self.mapping, self.source, self.found, self.stand_in)
        predictor = Predictor(decider)
        for kind_name in self.kinds.in_order():
            decider.decide(kind_name)
            predictor.predict(kind_name)
        stage.run(
            "CREATE TABLE plan.planned AS SELECT d.*, p.payload FROM plan.decided d LEFT JOIN plan.payload p "
            "ON p.as_kind = d.as_kind AND p.id = d.id AND d.action = 'create'"
        )
        _seal(stage, self.kinds)
        losses = measure_losses(stage, self.kinds, self.manifest, self.mapping)
        summary = files or {}
        calls = self._calls(quota_plan)
        units = stage.one("SELECT count(DISTINCT unit) FROM plan.planned WHERE action = 'create'")
        counts = {k: int(stage.one(f"SELECT count(*) FROM canonical.{name(k)}")) for k in self.kinds.in_order()}
        return Plan(
            digest(stage, self.kinds, summary),
            self.source,
            self.manifest.vendor,
            counts,
            self._dispositions(),
            losses,
            int(units),
            calls,
            summary,
        )

    def _keep_earlier(self) -> None:
        """Put the predictions of what earlier loads wrote aside: they still hold."""
        stage = self.stage
        stage.schema("earlier", fresh=True)
        tables = stage.tables_of("predicted") if self.known else set()
        for kind_name, kind in self.kinds.kinds.items():
            columns = ", ".join(["id", "variant", *(name(label) for label in kind.fields), "_kind"])
            if kind_name in tables and stage.columns_of("predicted", kind_name) == [
                "id",
                "variant",
                *kind.fields,
                "_kind",
            ]:
                stage.run(
                    f"CREATE TABLE earlier.{name(kind_name)} AS SELECT {columns} FROM predicted.{name(kind_name)}"
                )

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
        endpoints: dict[str, int] = {}
        for kind_name, variant, count in self.stage.rows(
            "SELECT as_kind, variant, count(*) FROM plan.planned WHERE action = 'create' "
            "AND unit = as_kind || ':' || id GROUP BY ALL"
        ):
            write = self.manifest.write(kind_name, variant)
            if write and write.create:
                endpoint = f"{write.create.method} {write.create.path}"
                endpoints[endpoint] = endpoints.get(endpoint, 0) + int(count)
        plan = quota_plan or self.manifest.quota.default_plan
        quota = []
        for rule in self.manifest.quota.rules:
            calls = sum(n for endpoint, n in endpoints.items() if re.search(rule.matching, endpoint))
            per_minute = rule.per_minute.get(plan, 0)
            if per_minute and calls:
                quota.append((rule.name, per_minute, calls, calls / per_minute))
        return Calls(dict(sorted(endpoints.items(), key=lambda line: -line[1])), quota)


def digest(stage: Stage, kinds: Kinds, files: dict[str, str]) -> str:
    """Return the sha256 over every decision, payload, prediction and source record, and the files that made them."""
    whole = hashlib.sha256(json.dumps(files, sort_keys=True).encode())
    whole.update(stage.one("SELECT records FROM plan.seal").encode())
    decided = (
        "kind, id, as_kind, variant, action, target, unit, lane, CAST(place AS VARCHAR), owner, blob, "
        "CAST(payload AS VARCHAR)"
    )
    _sign(whole, stage, "plan.planned", decided, "kind, id, as_kind, action")
    for kind_name in kinds.in_order():
        _sign(whole, stage, f"predicted.{name(kind_name)}", _columns(kinds, kind_name), "id, _kind")
    return whole.hexdigest()


def _seal(stage: Stage, kinds: Kinds) -> None:
    """Note what the source's records were when the plan was made: what is lost of them stands in no payload."""
    whole = hashlib.sha256()
    for kind_name in kinds.in_order():
        _sign(whole, stage, f"canonical.{name(kind_name)}", _columns(kinds, kind_name), "id")
    stage.run("CREATE TABLE plan.seal (records VARCHAR)")
    stage.insert("plan.seal", [[whole.hexdigest()]])


def _columns(kinds: Kinds, kind_name: str) -> str:
    return ", ".join(["id", *(f"CAST({name(c)} AS VARCHAR)" for c in kinds.kinds[kind_name].fields)])


def _sign(whole: Any, stage: Stage, relation: str, columns: str, order: str) -> None:
    """Add every row to a digest, as JSON: a text beside nothing is another row than nothing beside a text."""
    rows = f"SELECT sha256(CAST(to_json([{columns}]) AS VARCHAR)) FROM {relation} ORDER BY {order}"
    for (line,) in stage.stream(rows):
        whole.update(line.encode())
