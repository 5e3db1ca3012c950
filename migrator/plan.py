"""Every write and every loss, decided, counted and signed, before anything is written. Decides all; writes nothing outside.

For each record: what happens to it (``planned``), what goes out (its payload) and what will be read back (``predicted``).
A loss is where the prediction differs from the source record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from migrator.compile import canonical_sql, name, native_sql, quoted
from migrator.kinds import Kind, Kinds
from migrator.losses import Loss, measure_losses
from migrator.manifest import Manifest, Write
from migrator.mapping import Mapping, Variant
from migrator.stage import Stage

ARRIVES = "('create', 'keep', 'merge', 'stand_in')"
PLANNED = (
    "kind VARCHAR, id VARCHAR, as_kind VARCHAR, variant VARCHAR, action VARCHAR, reason VARCHAR, target VARCHAR, "
    "unit VARCHAR, lane VARCHAR, place BIGINT, own BOOLEAN, owner VARCHAR, blob VARCHAR, payload JSON"
)


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
    """A plan's summary; the records themselves lie in the stage. ``digest`` covers them, and all files that made them."""

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

    def make(self, *, quota_plan: str | None = None, files: dict[str, str] | None = None) -> Plan:
        """Plan everything and return the summary."""
        stage = self.stage
        stage.schema("plan", "predicted", "native", fresh=True)
        stage.run(f"CREATE TABLE plan.planned ({PLANNED})")
        self._labels()
        for kind_name in self.kinds.in_order():
            kind = self.kinds.kinds[kind_name]
            stage.run(
                f"CREATE TABLE predicted.{name(kind_name)} (id VARCHAR, variant VARCHAR, {stage.columns(kind)}, _kind VARCHAR)"
            )
            self._decide(kind_name, kind)
            self._predict(kind_name, kind)
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

    # ---- deciding ---------------------------------------------------------------------------------------------------

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
                f"INSERT INTO labels SELECT id, {name(label)} FROM canonical.{name(kind_name)} WHERE id NOT IN (SELECT id FROM labels)"
            )

    def _decide(self, kind_name: str, kind: Kind) -> None:
        """Put one line for every record of the kind into ``plan.planned``, and its resolved columns into ``native``."""
        stage, work = self.stage, f"native.{name('work ' + kind_name)}"
        self._gather(kind_name, kind, work)
        write = self.manifest.write(kind_name)
        cases: list[tuple[str, str, str]] = []  # (condition, action, reason as SQL)
        for label, spec in kind.fields.items():
            if spec.skip:
                needed = f" AND NOT {self._referenced(kind_name)}" if spec.skip.unless_referenced else ""
                cases.append((f"w.{name(label)}{needed}", "skip", quoted(spec.skip.because)))
        if kind.owner:
            of = kind.fields[kind.owner].to[0].replace("_", " ")
            cases.append(("o.id IS NULL", "skip", quoted(f"its {of} is not among the records")))
            cases.append(
                (
                    f"o.action NOT IN {ARRIVES}",
                    "skip",
                    f"{quoted(f'its {of} is not written: ')} || COALESCE(o.reason, '')",
                )
            )
        if write is None:
            plural = kind_name.replace("_", " ")
            cases.append(("TRUE", "manual", quoted(f"{self.manifest.title} has no place for a {plural}")))
        elif write.skip or write.manual:
            cases.append(("TRUE", "skip" if write.skip else "manual", quoted(write.skip or write.manual or "")))
        else:
            self._cases_of_written(kind_name, kind, write, cases)
        key = self._match_key(kind, "w")
        match_join = ""
        if self.found and kind.match:
            match_join = (
                f"LEFT JOIN (SELECT {self._match_key(kind, 'f')} AS k, min(id) AS id FROM {self.found}.{name(kind_name)} f "
                f"WHERE {self._match_key(kind, 'f')} IS NOT NULL AND NOT {self._built_in(kind, 'f')} GROUP BY ALL) there ON there.k = {key}"
            )
            if write and write.match_among:
                others = " UNION ALL ".join(
                    f"SELECT {self._match_key(kind, 'f')} AS k, id FROM {self.found}.{name(other)} f"
                    for other in write.match_among
                )
                match_join += f" LEFT JOIN (SELECT k, min(id) AS id FROM ({others}) WHERE k IS NOT NULL GROUP BY k) among ON among.k = {key}"
                who = " or ".join(write.match_among).replace("_", " ")
                place = next(at for at, case in enumerate(cases) if case[0].startswith("there.id"))
                cases.insert(
                    place, ("among.id IS NOT NULL", "keep", quoted(f"{self.manifest.title} has it already, as {who}"))
                )
        when = " ".join(
            f"WHEN {condition} THEN {{'a': {quoted(action)}, 'r': {reason}}}" for condition, action, reason in cases
        )
        decided = f"CASE {when} ELSE {{'a': 'create', 'r': ''}} END" if cases else "{'a': 'create', 'r': ''}"
        owner_join = (
            f"LEFT JOIN plan.planned o ON o.id = w.{name(kind.owner)} AND o.as_kind = {quoted(kind.fields[kind.owner].to[0])}"
            if kind.owner
            else ""
        )
        variant = self._variant(kind_name, kind, write)
        sequence = next((label for label, spec in kind.fields.items() if spec.sequence), None)
        blob = next((label for label, spec in kind.fields.items() if spec.type == "blob"), None)
        embedded = self._embedded_case(kind_name)
        own_unit = f"{quoted(kind_name + ':')} || w.id"
        there = (
            "NULL" if not match_join else "COALESCE(among.id, there.id)" if write and write.match_among else "there.id"
        )
        target = f"CASE d.a WHEN 'keep' THEN {there} WHEN 'merge' THEN w._first END"
        if write and write.embedded and kind.owner:
            target = f"CASE d.a WHEN 'keep' THEN {self._pair(kind_name, kind)} END"
        unit = f"CASE WHEN {embedded} THEN o.unit ELSE {own_unit} END" if kind.owner else own_unit
        lane = "o.lane" if kind.owner else own_unit
        stage.run(
            f"INSERT INTO plan.planned SELECT w._kind, w.id, {quoted(kind_name)}, v, d.a, d.r, {target}, {unit}, {lane}, "
            f"CAST({self.kinds.in_order().index(kind_name) * 10**9} AS BIGINT) + COALESCE({f'w.{name(sequence)}' if sequence else '0'}, 0), "
            f"w._own, {f'w.{name(kind.owner)}' if kind.owner else 'NULL'}, {f'w.{name(blob)}' if blob else 'NULL'}, NULL FROM (SELECT w.*, {decided} AS d, {variant} AS v FROM {work} w {owner_join} {match_join}) w "
            f"{owner_join} {match_join}"
        )
        self._limit_bytes(kind_name, write)
        for other in write.match_among if write and self.found else ():
            stage.run(
                f"UPDATE plan.planned SET as_kind = {quoted(other)} WHERE as_kind = {quoted(kind_name)} AND action = 'keep' "
                f"AND target IN (SELECT id FROM {self.found}.{name(other)}) AND target NOT IN (SELECT id FROM {self.found}.{name(kind_name)})"
            )
        if write and write.match_only and kind.stands_in:
            stage.run(
                f"UPDATE plan.planned SET as_kind = {quoted(kind.stands_in)} WHERE kind = {quoted(kind_name)} AND action = 'stand_in'"
            )

    def _gather(self, kind_name: str, kind: Kind, work: str) -> None:
        """Make the working table: the kind's records, those that stand in as it, and the connector's own; references that
        do not arrive are empty, ``_first`` is the record an equal one is merged into."""
        stage = self.stage
        columns = ["id", *kind.fields]
        parts = [
            f"SELECT {', '.join(name(c) for c in columns)}, {quoted(kind_name)} AS _kind, FALSE AS _own FROM canonical.{name(kind_name)}"
        ]
        for other_name, other in self.kinds.kinds.items():
            if other.stands_in == kind_name:
                shared = [c for c in columns if c == "id" or c in other.fields]
                parts.append(
                    f"SELECT {', '.join(name(c) for c in shared)}, {quoted(other_name)} AS _kind, FALSE AS _own FROM canonical.{name(other_name)} "
                    f"WHERE id IN (SELECT id FROM plan.planned WHERE kind = {quoted(other_name)} AND action = 'stand_in')"
                )
        for own in self.manifest.setup:
            if own.kind == kind_name:
                values = ", ".join(f"{_literal(value)} AS {name(label)}" for label, value in own.fields.items())
                parts.append(f"SELECT {quoted(own.id)} AS id, {values}, {quoted(kind_name)} AS _kind, TRUE AS _own")
        stage.run(f"CREATE TABLE {work} AS " + " UNION ALL BY NAME ".join(parts))
        key = self._match_key(kind, "w")
        stage.run(f"ALTER TABLE {work} ADD COLUMN _first VARCHAR")
        if kind.match:
            stage.run(
                f"UPDATE {work} SET _first = f.first FROM (SELECT id, _kind, first_value(id) OVER (PARTITION BY {key} "
                f"ORDER BY _own DESC, length(id), id) AS first FROM {work} w WHERE {key} IS NOT NULL) f "
                f"WHERE f.id = {work}.id AND f._kind = {work}._kind AND f.first <> {work}.id"
            )
        self._make_way(kind, kind_name, work)
        write = self.manifest.write(kind_name)
        for label, keep in (write.fields if write else {}).items():
            if keep.unique and kind.fields[label].type == "list":
                self._once(kind_name, label, work)
            elif keep.unique:
                self._first(label, work)
        for label, spec in kind.references():
            # ``label`` keeps what the source says in the canonical table; here it becomes what arrives.
            if write is None or write.skip or write.manual or label == kind.owner:
                continue
            kinds = ", ".join(quoted(to) for to in spec.to)
            arrivals = f"SELECT id FROM plan.planned WHERE as_kind IN ({kinds}) AND action IN {ARRIVES}"
            column = name(label)
            stage.run(f"ALTER TABLE {work} ADD COLUMN {name('_was ' + label)} {spec.column}")
            stage.run(f"UPDATE {work} SET {name('_was ' + label)} = {column} WHERE {column} IS NOT NULL")
            if spec.type == "ref":
                stage.run(
                    f"UPDATE {work} SET {column} = NULL WHERE {column} IS NOT NULL AND {column} NOT IN ({arrivals})"
                )
            else:
                stage.run(
                    f"UPDATE {work} SET {column} = a.some FROM (SELECT id, list(x) AS some FROM (SELECT id, unnest({column}) AS x "
                    f"FROM {work}) WHERE x IN ({arrivals}) GROUP BY id) a WHERE a.id = {work}.id"
                )

    def _once(self, kind_name: str, label: str, work: str) -> None:
        """Leave each value of a list to the record that has it first: those at the destination, then ours in order."""
        column = name(label)
        there = (
            f"SELECT lower(unnest({column})) FROM {self.found}.{name(kind_name)}"
            if self.found
            else "SELECT '' WHERE FALSE"
        )
        self.stage.run(
            f"UPDATE {work} SET {column} = o.some FROM (SELECT w.id, w._kind, list(x.one ORDER BY x.one) AS some FROM {work} w LEFT JOIN ("
            f"SELECT id, _kind, one, row_number() OVER (PARTITION BY lower(one) ORDER BY length(id), id) AS n FROM "
            f"(SELECT id, _kind, unnest({column}) AS one FROM {work}) WHERE lower(one) NOT IN ({there})) x "
            f"ON x.id = w.id AND x._kind = w._kind AND x.n = 1 WHERE w.{column} IS NOT NULL GROUP BY ALL) o "
            f"WHERE o.id = {work}.id AND o._kind = {work}._kind"
        )
        self.stage.run(
            f"UPDATE {work} SET {column} = list_filter({column}, lambda x: x IS NOT NULL) WHERE {column} IS NOT NULL"
        )
        self.stage.run(f"UPDATE {work} SET {column} = NULL WHERE len({column}) = 0")

    def _first(self, label: str, work: str) -> None:
        """Leave a value that must be unique to the first record that has it."""
        column = name(label)
        self.stage.run(
            f"UPDATE {work} SET {column} = NULL FROM (SELECT id, _kind, row_number() OVER (PARTITION BY lower(trim({column})) "
            f"ORDER BY length(id), id) AS n FROM {work} WHERE {column} IS NOT NULL) o "
            f"WHERE o.id = {work}.id AND o._kind = {work}._kind AND o.n > 1"
        )

    def _built_in(self, kind: Kind, alias: str) -> str:
        """Return the SQL test for records the vendor brings along itself: never matched, never written."""
        flags = [f"COALESCE({alias}.{name(label)}, FALSE)" for label, spec in kind.fields.items() if spec.skip]
        return f"({' OR '.join(flags)})" if flags else "FALSE"

    def _make_way(self, kind: Kind, kind_name: str, work: str) -> None:
        """Give a record another name where the destination's own built-in one has it: ours would be refused, or mixed up."""
        if not (self.found and kind.match and any(spec.skip for spec in kind.fields.values())):
            return
        label = name(kind.match[-1])
        self.stage.run(
            f"UPDATE {work} SET {label} = {label} || {quoted(f' ({self.source})')} WHERE NOT {self._built_in(kind, work)} AND "
            f"{self._match_key(kind, work)} IN (SELECT {self._match_key(kind, 'f')} FROM {self.found}.{name(kind_name)} f "
            f"WHERE {self._built_in(kind, 'f')} AND {self._match_key(kind, 'f')} IS NOT NULL)"
        )

    def _cases_of_written(self, kind_name: str, kind: Kind, write: Write, cases: list[tuple[str, str, str]]) -> None:
        if kind.match:
            cases.append(("w._first IS NOT NULL AND NOT w._own", "merge", "'the same as record ' || w._first"))
            if self.found:
                match = " and ".join(kind.match).replace("_", " ")
                cases.append(
                    ("there.id IS NOT NULL", "keep", quoted(f"{self.manifest.title} has it already (same {match})"))
                )
        if write.match_only:
            if kind.stands_in and self.stand_in:
                cases.append(
                    ("TRUE", "stand_in", quoted(f"no seat at {self.manifest.title}: stands in as a {kind.stands_in}"))
                )
            else:
                cases.append(("TRUE", "manual", quoted(f"needs a seat at {self.manifest.title}")))
            return
        if write.embedded and kind.owner:
            cases.append(
                (
                    f"o.action = 'keep' AND {self._pair(kind_name, kind)} IS NOT NULL",
                    "keep",
                    quoted(f"{self.manifest.title} has it already"),
                )
            )
            of = kind.fields[kind.owner].to[0]
            cases.append(
                ("o.action IN ('keep', 'merge')", "manual", quoted(f"its {of} was there already; add it by hand"))
            )
        for label, spec in kind.fields.items():
            keep = write.fields.get(label)
            if spec.required and label != kind.owner and not (keep and keep.default is not None):
                if spec.to:
                    missing = f"CASE WHEN w.{name('_was ' + label)} IS NULL THEN {quoted(f'no {label}, which it needs')} ELSE {quoted(f'its {label} is not written: ')} || w.{name('_was ' + label)} END"
                    cases.append((f"w.{name(label)} IS NULL", "manual", missing))
                else:
                    cases.append((f"w.{name(label)} IS NULL", "manual", quoted(f"no {label}, which it needs")))
        blob = next((label for label, spec in kind.fields.items() if spec.type == "blob"), None)
        if blob:
            why = "'its bytes could not be read' || COALESCE(': ' || (SELECT max(problem) FROM blobs.raw b WHERE b.id = w.id), '')"
            if "raw" not in self.stage.tables_of("blobs"):
                why = "'its bytes were not fetched'"
            cases.append((f"w.{name(blob)} IS NULL", "manual", why))
        cases.append(
            (
                f"({self._variant(kind_name, kind, write)}) IS NULL",
                "manual",
                quoted(f"{self.manifest.title} takes no such {kind_name.replace('_', ' ')}"),
            )
        )

    def _pair(self, kind_name: str, kind: Kind) -> str:
        """Return the destination's record that links the same owner and references, for records that live in a list."""
        if not self.found or not kind.owner:
            return "CAST(NULL AS VARCHAR)"
        links = []
        for label, spec in kind.references():
            of = ", ".join(quoted(to) for to in spec.to)
            links.append(
                f"f.{name(label)} = (SELECT min(target) FROM plan.planned t WHERE t.id = w.{name(label)} AND t.as_kind IN ({of}) AND t.action = 'keep')"
            )
        return f"(SELECT min(f.id) FROM {self.found}.{name(kind_name)} f WHERE {' AND '.join(links)})"

    def _referenced(self, kind_name: str) -> str:
        uses = []
        for other_name, other in self.kinds.kinds.items():
            for label, spec in other.references():
                if kind_name in spec.to:
                    value = f"unnest({name(label)})" if spec.type == "refs" else name(label)
                    uses.append(f"SELECT {value} AS id FROM canonical.{name(other_name)}")
        return f"(w.id IN (SELECT id FROM ({' UNION ALL '.join(uses)}) WHERE id IS NOT NULL))" if uses else "FALSE"

    @staticmethod
    def _match_key(kind: Kind, alias: str) -> str:
        parts = [f"lower(trim(CAST({alias}.{name(field)} AS VARCHAR)))" for field in kind.match]
        return " || chr(31) || ".join(parts) if parts else "NULL"

    def _writable(self, kind_name: str) -> list[tuple[Variant, Write]]:
        found = []
        for variant in self.mapping.kinds.get(kind_name, ()):
            write = self.manifest.write(kind_name, variant.name)
            if write and (write.create or write.embedded):
                found.append((variant, write))
        return found

    def _variant(self, kind_name: str, kind: Kind, write: Write | None) -> str:
        """Return the variant a record is written as: the first whose constants it has, or that of its owner's stream."""
        choices = self._writable(kind_name)
        if not choices:
            return "CAST(NULL AS VARCHAR)"
        tests = []
        for variant, own in choices:
            agree = [
                f"CAST(w.{name(label)} AS VARCHAR) = {quoted(_text(value))}"
                for label, value in variant.constants().items()
            ]
            if own.embedded and variant.each and kind.owner and len(choices) > 1:
                owner_kind = kind.fields[kind.owner].to[0]
                streams = [v.name for v in self.mapping.kinds[owner_kind] if v.stream == variant.stream]
                agree.append(f"o.variant IN ({', '.join(quoted(s) for s in streams)})")
            tests.append(f"WHEN {' AND '.join(agree) or 'TRUE'} THEN {quoted(variant.name)}")
        return f"CASE {' '.join(tests)} END"

    def _embedded_case(self, kind_name: str) -> str:
        names = [variant.name for variant, write in self._writable(kind_name) if write.embedded]
        return f"v IN ({', '.join(quoted(n) for n in names)})" if names else "FALSE"

    def _limit_bytes(self, kind_name: str, write: Write | None) -> None:
        """Put what goes beyond a limit of bytes aside: in order, whatever still fits goes."""
        if not write or not write.max_total:
            return
        most, stage = write.max_total.bytes, self.stage
        prefix = f"{write.max_total.per}:"
        heavy = stage.rows(
            f"SELECT p.lane, p.id, c.size FROM plan.planned p JOIN canonical.{name(kind_name)} c ON c.id = p.id "
            f"WHERE p.kind = ? AND p.action = 'create' AND p.lane IN (SELECT p.lane FROM plan.planned p JOIN canonical.{name(kind_name)} c "
            f"ON c.id = p.id WHERE p.kind = ? AND p.action = 'create' AND starts_with(p.lane, ?) GROUP BY 1 HAVING sum(c.size) > ?) "
            f"ORDER BY p.lane, p.place, length(p.id), p.id",
            kind_name,
            kind_name,
            prefix,
            most,
        )
        used: dict[str, int] = {}
        for lane, id, size in heavy:
            if used.get(lane, 0) + (size or 0) > most:
                stage.run(
                    "UPDATE plan.planned SET action = 'manual', reason = ? WHERE kind = ? AND id = ?",
                    f"larger than {self.manifest.title} takes: {most // 1048576} MB for all files of a {write.max_total.per}",
                    kind_name,
                    id,
                )
            else:
                used[lane] = used.get(lane, 0) + (size or 0)

    # ---- predicting -------------------------------------------------------------------------------------------------

    def _predict(self, kind_name: str, kind: Kind) -> None:
        """Fill the kind's payloads and predictions."""
        stage, table = self.stage, f"predicted.{name(kind_name)}"
        work = f"native.{name('work ' + kind_name)}"
        for variant, write in self._writable(kind_name):
            rows = f"native.{name('rows ' + kind_name + ' ' + variant.name)}"
            stage.run(
                f"CREATE TABLE {rows} AS SELECT w.* FROM {work} w JOIN plan.planned p ON p.id = w.id AND p.kind = w._kind "
                f"WHERE p.as_kind = {quoted(kind_name)} AND p.action = 'create' AND p.variant = {quoted(variant.name)}"
            )
            made = f"native.{name(kind_name + ' ' + variant.name)}"
            sql = native_sql(
                kind, variant, write, rows=rows, vendor=self.source, kind_name=kind_name, fields="predicted.fields"
            )
            stage.run(f"CREATE TABLE {made} AS {sql}")
            payload = (
                f"json_object({quoted(self._list_value(kind_name) or '')}, n.body)"
                if self._list_value(kind_name)
                else "n.body"
            )
            stage.run(
                f"UPDATE plan.planned SET payload = {payload} FROM {made} n WHERE planned.id = n.id AND planned.as_kind = {quoted(kind_name)} "
                f"AND planned.action = 'create' AND planned.variant = {quoted(variant.name)}"
            )
            given = made
            if write.embedded and not variant.each and kind.owner:
                given = f"native.{name('given ' + kind_name + ' ' + variant.name)}"
                owner_kind = kind.fields[kind.owner].to[0]
                owners = " UNION ALL ".join(
                    f"SELECT id, body FROM native.{name(owner_kind + ' ' + v.name)}"
                    for v, _ in self._writable(owner_kind)
                )
                stage.run(
                    f"CREATE TABLE {given} AS SELECT n.id, n.parent, json_merge_patch(o.body, n.body) AS body FROM {made} n "
                    f"JOIN ({owners}) o ON o.id = n.parent"
                )
            reading = canonical_sql(kind, (variant,), lambda _, g=given: g, "predicted.fields", given=True)  # type: ignore[misc]
            stage.run(
                f"INSERT INTO {table} BY NAME SELECT r.*, w._kind AS _kind FROM ({reading}) r JOIN {work} w ON w.id = r.id"
            )
        for label, spec in kind.fields.items():
            if spec.type == "blob":
                stage.run(f"UPDATE {table} SET {name(label)} = w.{name(label)} FROM {work} w WHERE w.id = {table}.id")
        self._predict_kept(kind_name, kind, table)
        if any(
            spec.keyed_by for k in self.kinds.kinds.values() for spec in k.fields.values() if spec.keyed_by == kind_name
        ):
            # Custom fields as they will be there: found by our own ids, as predictions are keyed.
            stage.run(
                f"CREATE TABLE predicted.fields AS SELECT id, applies_to, id AS key, type, options, options AS option_keys FROM {table}"
            )

    def _list_value(self, kind_name: str) -> str | None:
        return next(
            (
                w.embeds[kind_name].value
                for w in self.manifest.writes
                if kind_name in w.embeds and w.embeds[kind_name].how == "list"
            ),
            None,
        )

    def _predict_kept(self, kind_name: str, kind: Kind, table: str) -> None:
        """A kept record stays as it is at the destination; a merged one is what it was merged into."""
        stage = self.stage
        references = {label for label, _ in kind.references()}
        if self.found:
            columns = ", ".join(
                "NULL" if c in references or kind.fields[c].type == "map" else f"f.{name(c)}" for c in kind.fields
            )
            stage.run(
                f"INSERT INTO {table} SELECT p.id, f.variant, {columns}, p.kind FROM plan.planned p JOIN {self.found}.{name(kind_name)} f "
                f"ON f.id = p.target WHERE p.as_kind = ? AND p.action = 'keep'",
                kind_name,
            )
        columns = ", ".join(f"f.{name(c)}" for c in kind.fields)
        stage.run(
            f"INSERT INTO {table} SELECT p.id, f.variant, {columns}, p.kind FROM plan.planned p JOIN {table} f ON f.id = p.target "
            f"WHERE p.kind = ? AND p.action = 'merge'",
            kind_name,
        )

    # ---- counting ---------------------------------------------------------------------------------------------------

    def _dispositions(self) -> list[Disposition]:
        # A person who stands in is one record with two lines: the seat that is missing, and the contact that is written.
        lines = self.stage.rows(
            "SELECT kind, action, reason, count(*), list({'id': id} ORDER BY length(id), id)[1:3] FROM plan.planned "
            "WHERE NOT own AND NOT (action = 'create' AND as_kind <> kind) GROUP BY ALL ORDER BY kind, count(*) DESC, reason"
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
        import re

        endpoints: dict[str, int] = {}
        for kind_name, variant, count in self.stage.rows(
            "SELECT as_kind, variant, count(*) FROM plan.planned WHERE action = 'create' AND unit = as_kind || ':' || id GROUP BY ALL"
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
    """Return the sha256 over every decision, payload and prediction, and the files that made them."""
    whole = hashlib.sha256(json.dumps(files, sort_keys=True).encode())
    for (line,) in stage.stream(
        "SELECT sha256(concat_ws(chr(31), kind, id, as_kind, variant, action, target, unit, lane, CAST(place AS VARCHAR), owner, blob, "
        "CAST(payload AS VARCHAR))) FROM plan.planned ORDER BY kind, id, as_kind"
    ):
        whole.update(line.encode())
    for kind_name in kinds.in_order():
        columns = ", ".join(f"CAST({name(c)} AS VARCHAR)" for c in kinds.kinds[kind_name].fields)
        for (line,) in stage.stream(
            f"SELECT sha256(concat_ws(chr(31), id, {columns})) FROM predicted.{name(kind_name)} ORDER BY id"
        ):
            whole.update(line.encode())
    return whole.hexdigest()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ", ".join(quoted(str(one)) for one in value) + "]"
    return quoted(str(value)) if isinstance(value, str) else str(value)
