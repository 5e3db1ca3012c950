"""What changed since the last load: records written before, as they were written, as they would be now, as they are.

Three versions meet, field by field: ``earlier`` (what was predicted when it was written), ``anew`` (what would be
predicted today) and ``seen`` (what the destination holds). What changed at the source alone is written; what people
changed at the destination stays, and is named.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from migrator.compile import canonical_sql, flagged, name, quoted
from migrator.decide import Decider
from migrator.differences import compare_field, exploded
from migrator.kinds import Field, Kind
from migrator.losses import differs
from migrator.manifest import Keep, Write
from migrator.mapping import Variant
from migrator.stage import Stage

Look = Callable[[str, str, Sequence[tuple[str, str | None]]], None]
Row = tuple[str, str, str, str, str | None]  # kind, id, field, was, becomes
CHANGED = (
    "kind VARCHAR, id VARCHAR, as_kind VARCHAR, field VARCHAR, was VARCHAR, becomes VARCHAR, found VARCHAR, "
    "verdict VARCHAR"
)


@dataclass(frozen=True)
class Change:
    """How many records changed one field at the source since they were written, and what becomes of that.

    ``verdict``: written, edited (people changed the same at the destination, and theirs stays), overwritten (a policy
    says so), by hand (the destination takes no such change), or left (to a plan of the other sort: the cut-over's, or
    an ordinary one).
    """

    kind: str
    field: str
    verdict: str
    count: int
    examples: list[tuple[str, str | None, str | None, str | None]]  # (id, was, becomes, found)


def prepare(stage: Stage, identities: Sequence[Sequence[Any]]) -> None:
    """Make the tables the comparison fills."""
    stage.schema("anew", "edited", fresh=True)
    stage.run(f"CREATE TABLE plan.changed ({CHANGED})")
    stage.run("CREATE TABLE plan.gone (as_kind VARCHAR, id VARCHAR)")
    stage.run("CREATE TABLE edited.discrepancy (kind VARCHAR, id VARCHAR, field VARCHAR, was VARCHAR, found VARCHAR)")
    stage.run(
        "CREATE TABLE edited.identity (kind VARCHAR, source VARCHAR, destination VARCHAR, key VARCHAR, how VARCHAR, "
        "as_kind VARCHAR)"
    )
    stage.insert("edited.identity", [list(row) for row in identities])


@dataclass
class Delta:
    """Turns kept records that changed into updates and deletions, one kind at a time.

    ``look(kind, variant, [(destination id, owner's)])`` stages what the destination holds of records in ``seen``; None
    where nobody may be asked. ``since``: when we last wrote anything, so that later changes are somebody else's.
    """

    decider: Decider
    look: Look | None
    edited: Literal["keep", "overwrite"] = "keep"
    deleted: Literal["keep", "delete"] = "keep"
    since: str | None = None
    left: str | None = None  # a relation of (kind, id): what is left to a plan of the other sort

    @property
    def stage(self) -> Stage:
        """Return the stage."""
        return self.decider.stage

    def compare(self, kind_name: str) -> None:
        """Compare the kind's records that were written before."""
        if kind_name not in self.stage.tables_of("earlier") or not self.stage.one(
            "SELECT 1 FROM plan.decided WHERE as_kind = ? AND known LIMIT 1", kind_name
        ):
            return
        kind = self.decider.kinds.kinds[kind_name]
        for variant, write in self.decider.writable(kind_name):
            self._changes(kind_name, kind, variant, write)
        self._deletions(kind_name, kind)

    # ---- what the source says now -----------------------------------------------------------------------------------

    def _changes(self, kind_name: str, kind: Kind, variant: Variant, write: Write) -> None:
        pairs = (
            f"anew.{name(kind_name)} f JOIN earlier.{name(kind_name)} r ON r.id = f.id AND r._kind = f._kind "
            f"AND r.variant = {quoted(variant.name)}"
        )
        fields = {
            label: (spec, write.fields[label])
            for label, spec in kind.fields.items()
            if label in write.fields and label in variant.fields and self._changeable(label, spec, variant, write)
        }
        found: list[Row] = []
        for label, (spec, keep) in fields.items():
            found += self._changed(label, spec, keep, pairs)
        if not found:
            return
        edits = self._edits(kind_name, kind, variant, write, sorted({(row[0], row[1]) for row in found}), fields)
        left, unseen = self._left(kind_name), self._unseen(kind_name, fields)
        by_record: dict[tuple[str, str], list[Row]] = defaultdict(list)
        lines = []
        for row in found:
            key = (row[0], row[1], row[2])
            rule = kind.fields[row[2]].type == "rule" if row[2] in kind.fields else False
            by_hand = write.update is None or edits is None or rule or row[:3] in unseen
            verdict = "by hand" if by_hand else "written"
            theirs = (edits or {}).get(key)
            verdict = "left" if row[:2] in left else verdict
            if verdict == "written" and key in (edits or {}) and theirs != row[4]:
                verdict = "overwritten" if self.edited == "overwrite" else "edited"
            lines.append([row[0], row[1], kind_name, row[2], row[3], row[4], theirs, verdict])
            if verdict in ("written", "overwritten"):
                by_record[row[0], row[1]].append(row)
        self.stage.insert("plan.changed", lines)
        for (of, id), rows in by_record.items():
            changed = {row[2] for row in rows}
            told = {by for label, (_, keep) in fields.items() if label in changed for by in keep.seen_by}
            self._update(kind_name, kind, variant, of, id, changed, told)
        self._name_the_rest(kind_name, {(row[0], row[1]) for row in found} - set(by_record))

    def _left(self, kind_name: str) -> set[tuple[str, str]]:
        """Return the records (kind, id) that this plan does not touch."""
        if not self.left:
            return set()
        return set(self.stage.rows(f"SELECT kind, id FROM {self.left} WHERE kind = ?", kind_name))

    def _unseen(self, kind_name: str, fields: dict[str, tuple[Field, Keep]]) -> set[tuple[str, str, str]]:
        """Return the fields (kind, id, field) of which nobody could tell whether people changed them."""
        found: set[tuple[str, str, str]] = set()
        for label, seen_by in ((label, keep.seen_by) for label, (_, keep) in fields.items() if keep.seen_by):
            silent = " AND ".join(f"{name(by)} IS NULL" for by in seen_by)
            rows = self.stage.rows(f"SELECT _kind, id FROM earlier.{name(kind_name)} WHERE {silent}")
            found |= {(of, id, label) for of, id in rows}
        return found

    @staticmethod
    def _changeable(label: str, spec: Field, variant: Variant, write: Write) -> bool:
        verb = variant.fields[label]
        if spec.type == "rule":
            return True
        if verb.constant is not None or verb.rank or (spec.type == "blob" and not spec.versioned) or not verb.path:
            return False
        return write.fields[label].write == "always" and not verb.path.startswith(("@", "^"))

    def _changed(self, label: str, spec: Field, keep: Keep, pairs: str) -> list[Row]:
        if spec.type == "map":
            was, becomes = (exploded(label, side, pairs, "TRUE") for side in "rf")
            return self.stage.rows(
                f"SELECT COALESCE(s.kind, d.kind), COALESCE(s.id, d.id), {quoted(label + ': ')} || COALESCE(s.k, d.k), "
                f"s.v, d.v FROM ({was}) s FULL JOIN ({becomes}) d ON d.kind = s.kind AND d.id = s.id AND d.k = s.k "
                "WHERE s.v IS DISTINCT FROM d.v AND COALESCE(s.k, d.k) <> COALESCE(?, '') ORDER BY ALL",
                self._own_key_field(),
            )
        column = name(label)
        test = differs(spec, f"r.{column}", f"f.{column}")
        if keep.fills or spec.type == "blob":
            test += f" AND f.{column} IS NOT NULL"
        return self.stage.rows(
            f"SELECT r._kind, r.id, {quoted(label)}, CAST(r.{column} AS VARCHAR), CAST(f.{column} AS VARCHAR) "
            f"FROM {pairs} WHERE {test} ORDER BY 1, 2"
        )

    def _own_key_field(self) -> str | None:
        return next((write.key_field for write in self.decider.manifest.writes if write.key_field), None)

    # ---- what the destination holds ---------------------------------------------------------------------------------

    def _edits(
        self,
        kind_name: str,
        kind: Kind,
        variant: Variant,
        write: Write,
        records: Sequence[tuple[str, str]],
        fields: dict[str, tuple[Field, Keep]],
    ) -> dict[tuple[str, str, str], str | None] | None:
        """Return what people changed of these records since we wrote them; None where nobody can be asked."""
        if write.update is None:
            return None
        if not self._seen(kind_name, kind, variant, records):
            return None
        relation = f"edited.{name(kind_name)}"
        pairs = (
            f"earlier.{name(kind_name)} r JOIN edited.identity i ON i.kind = r._kind AND i.source = r.id "
            f"JOIN {relation} f ON f.id = i.destination"
        )
        self.stage.run("DELETE FROM edited.discrepancy")
        for label, (spec, keep) in fields.items():
            if spec.type == "blob":
                continue  # nobody fetches bytes to look: what was changed by people has another date, or size
            earlier = f"earlier.{name(kind_name)}"
            compare_field(self.stage, self.decider.kinds, label, spec, keep, pairs, "TRUE", earlier, "edited")
        ours = {there: source for source, there in self.stage.rows("SELECT source, destination FROM edited.identity")}
        found = {}
        for of, id, label, theirs in self.stage.rows("SELECT kind, id, field, found FROM edited.discrepancy"):
            base, _, key = label.partition(": ")
            found[of, id, f"{base}: {ours.get(key, key)}" if key else label] = theirs
        for label in (label for label, (spec, _) in fields.items() if spec.type == "blob"):
            found |= {(of, id, label): "(changed too)" for of, id, _ in list(found)}
        gone = self.stage.rows(
            f"SELECT r._kind, r.id FROM earlier.{name(kind_name)} r JOIN edited.identity i ON i.kind = r._kind "
            f"AND i.source = r.id WHERE i.destination NOT IN (SELECT id FROM {relation})"
        )
        for of, id in set(gone) & set(records):
            found.update({(of, id, label): "(gone)" for label in fields})
        return found

    def _seen(self, kind_name: str, kind: Kind, variant: Variant, records: Sequence[tuple[str, str]]) -> bool:
        """Bring these records, as they are there, into ``edited.<kind>``; False where nobody can be asked."""
        if self.look is None:
            return False
        self.stage.table("plan.asked", "kind VARCHAR, id VARCHAR")
        self.stage.insert("plan.asked", records)
        targets = self.stage.rows(
            "SELECT d.target, o.target FROM plan.asked a JOIN plan.decided d ON d.kind = a.kind AND d.id = a.id "
            "LEFT JOIN plan.decided o ON o.id = d.owner AND o.known "
            "WHERE d.as_kind = ? AND d.known ORDER BY length(d.target), d.target",
            kind_name,
        )
        self.stage.run("DROP TABLE plan.asked")
        self.look(kind_name, variant.name, targets)
        found = self.decider.found
        fields = f"{found}.custom_field" if found else "predicted.fields"
        reading = canonical_sql(
            kind, self.decider.mapping.read(kind_name), lambda v: self.stage.raw("seen", v.stream), fields
        )
        self.stage.run(f"CREATE OR REPLACE TABLE edited.{name(kind_name)} AS {reading}")
        return True

    # ---- what is written --------------------------------------------------------------------------------------------

    def _update(
        self, kind_name: str, kind: Kind, variant: Variant, of: str, id: str, changed: set[str], told: set[str]
    ) -> None:
        """Make a kept record an update of these fields, and predict them; ``told``: fields that change with them."""
        whole = json.loads(
            self.stage.one(
                "SELECT CAST(payload AS VARCHAR) FROM anew.payload WHERE as_kind = ? AND id = ?", kind_name, id
            )
        )
        payload: dict[str, Any] = {}
        columns = []
        keys: dict[str, set[str]] = defaultdict(set)
        for label in sorted(changed):
            base, _, key = label.partition(": ")
            if key and kind.fields[base].type == "map":
                keys[base].add(key)
            else:
                _copy(whole, payload, variant.fields[label].path or "")
                columns.append(label)
        for label, wanted in keys.items():
            path = variant.fields[label].path or ""
            _put(payload, path, _chosen(_get(whole, path), wanted, listed=self._listed(variant, label)))
        self.stage.insert("plan.payload", [[kind_name, id, json.dumps(payload, ensure_ascii=False)]])
        self.stage.run(
            "UPDATE plan.decided SET action = 'update', reason = 'changed at the source since it was written', "
            f"unit = as_kind || ':' || id, stamp = {self._stamp(kind_name, variant)} "
            "WHERE kind = ? AND id = ? AND as_kind = ? AND action <> 'stand_in'",
            of,
            id,
            kind_name,
        )
        table = f"predicted.{name(kind_name)}"
        for label in [*columns, *sorted(told.difference(columns))]:
            self.stage.run(
                f"UPDATE {table} SET {name(label)} = a.{name(label)} FROM anew.{name(kind_name)} a "
                f"WHERE a.id = {table}.id AND a._kind = {table}._kind AND {table}.id = ? AND {table}._kind = ?",
                id,
                of,
            )
        for label, wanted in keys.items():
            versions = [
                self.stage.one(
                    f"SELECT {name(label)} FROM {schema}.{name(kind_name)} WHERE id = ? AND _kind = ?", id, of
                )
                for schema in ("predicted", "anew")
            ]
            was, becomes = (json.loads(version) if version else {} for version in versions)
            merged = {k: v for k, v in was.items() if k not in wanted}
            merged |= {k: v for k, v in becomes.items() if k in wanted}
            text = json.dumps(dict(sorted(merged.items())), ensure_ascii=False, separators=(",", ":"))
            self.stage.run(
                f"UPDATE {table} SET {name(label)} = ? WHERE id = ? AND _kind = ?", text if merged else None, id, of
            )

    @staticmethod
    def _listed(variant: Variant, label: str) -> bool:
        keyed = variant.fields[label].keyed
        return bool(keyed and keyed.style == "list")

    def _stamp(self, kind_name: str, variant: Variant) -> str:
        """Return the SQL of when the destination says a record was last changed."""
        if variant.stream not in self.stage.tables_of("seen"):
            return "NULL"
        bare = f"substr(target, {len(variant.prefix) + 1})"
        return f"(SELECT max(s.updated_at) FROM seen.{name(variant.stream)} s WHERE s.id = {bare})"

    def _name_the_rest(self, kind_name: str, records: set[tuple[str, str]]) -> None:
        """Say of records that changed and stay as they are why that is."""
        title = self.decider.manifest.title
        for of, id in sorted(records):
            rows = self.stage.rows(
                "SELECT field, verdict FROM plan.changed WHERE kind = ? AND id = ? ORDER BY field", of, id
            )
            fields = ", ".join(dict.fromkeys(field.partition(":")[0].replace("_", " ") for field, _ in rows))
            edited = any(verdict == "edited" for _, verdict in rows)
            left = any(verdict == "left" for _, verdict in rows)
            why = (
                f"changed at the source and at {title}, which keeps its own: {fields}"
                if edited
                else f"changed at the source; a plan of the other sort writes it: {fields}"
                if left
                else f"changed at the source; {title} does not take that from here: {fields}"
            )
            self.stage.run(
                "UPDATE plan.decided SET reason = ? WHERE kind = ? AND id = ? AND as_kind = ? AND action <> 'stand_in'",
                why,
                of,
                id,
                kind_name,
            )

    # ---- what is gone -----------------------------------------------------------------------------------------------

    def _deletions(self, kind_name: str, kind: Kind) -> None:
        """Name records that the source has deleted since; where the policy says so, delete them."""
        deleted = flagged(kind, "c")
        owner = f"e.{name(kind.owner)}" if kind.owner else "NULL"
        of_owner = f"{owner} IN (SELECT id FROM plan.gone WHERE as_kind = {quoted(kind.owner_kind)})"
        rows = self.stage.rows(
            f"SELECT d.kind, d.id, d.variant, {owner}, {of_owner} FROM plan.decided d "
            f"JOIN earlier.{name(kind_name)} e ON e.id = d.id AND e._kind = d.kind "
            f"LEFT JOIN native.{name('work ' + kind_name)} c ON c.id = d.id AND c._kind = d.kind "
            "WHERE d.as_kind = ? AND d.known AND d.action IN ('keep', 'update') "
            f"AND (c.id IS NULL OR {deleted} OR COALESCE({of_owner}, FALSE)) ORDER BY 1, 2",
            kind_name,
        )
        left = self._left(kind_name)
        rows = [row for row in rows if row[:2] not in left]
        self.stage.insert("plan.gone", [[kind_name, row[1]] for row in rows])
        for of, id, variant, owner_id, with_owner in rows:
            if with_owner:
                self._follow(kind_name, kind, of, id, owner_id)
            else:
                self._gone(kind_name, kind, of, id, variant)

    def _follow(self, kind_name: str, kind: Kind, of: str, id: str, owner_id: str) -> None:
        """Let a record share the fate of the one it belongs to, which the source has deleted."""
        action, unit = self.stage.rows(
            "SELECT action, unit FROM plan.decided WHERE as_kind = ? AND id = ? AND action <> 'stand_in'",
            kind.owner_kind,
            owner_id,
        )[0]
        action = "delete" if action == "delete" else "keep"
        reason = f"deleted at the source since, with its {kind.owner_kind.replace('_', ' ')}"
        self._decide(kind_name, of, id, action, reason if action == "delete" else f"{reason}; kept", unit, None)

    def _gone(self, kind_name: str, kind: Kind, of: str, id: str, variant_name: str) -> None:
        write = self.decider.manifest.write(kind_name, variant_name)
        action, reason = "keep", "deleted at the source since; kept, as the policy says"
        stamp = None
        if self.deleted == "delete":
            if write is None or write.delete is None:
                reason = f"deleted at the source since; {self.decider.manifest.title} leaves that to a person"
            else:
                stamp, touched = self._touched(kind_name, kind, variant_name, of, id)
                action = "keep" if touched else "delete"
                reason = "deleted at the source since" + (f"; kept, because {touched}" if touched else "")
        self._decide(kind_name, of, id, action, reason, f"{kind_name}:{id}", stamp)

    def _decide(self, kind_name: str, of: str, id: str, action: str, reason: str, unit: str, stamp: str | None) -> None:
        self.stage.run(
            "UPDATE plan.decided SET action = ?, reason = ?, unit = ?, lane = ?, stamp = ? "
            "WHERE kind = ? AND id = ? AND as_kind = ? AND action <> 'stand_in'",
            action, reason, unit, unit, stamp, of, id, kind_name,
        )  # fmt: skip

    def _touched(self, kind_name: str, kind: Kind, variant_name: str, of: str, id: str) -> tuple[str | None, str]:
        """Return when a record was last changed there, and why it is not to be deleted (or nothing)."""
        variant = self.decider.mapping.variant(kind_name, variant_name)
        if not self._seen(kind_name, kind, variant, [(of, id)]):
            return None, "nobody looked at it"
        stamp = self.stage.one(
            f"SELECT {self._stamp(kind_name, variant)} FROM plan.decided "
            "WHERE kind = ? AND id = ? AND as_kind = ? AND action <> 'stand_in'",
            of,
            id,
            kind_name,
        )
        later = (
            self.since is not None
            and stamp is not None
            and self.stage.one(
                "SELECT TRY_CAST(? AS TIMESTAMPTZ) > TRY_CAST(? AS TIMESTAMPTZ) + INTERVAL 2 MINUTE", stamp, self.since
            )
        )
        return stamp, f"somebody changed it at {self.decider.manifest.title} since" if later else ""


def changes(stage: Stage) -> list[Change]:
    """Return what changed at the source since it was written, by field, the commonest first."""
    rows = stage.rows(
        "SELECT kind, CASE WHEN contains(field, ': ') THEN split_part(field, ':', 1) ELSE field END AS base, verdict, "
        "count(*), list({'id': id, 'was': left(was, 300), 'becomes': left(becomes, 300), 'found': left(found, 300)} "
        "ORDER BY length(id), id)[1:3] FROM plan.changed GROUP BY ALL ORDER BY 1, 4 DESC, 2, 3"
    )
    return [
        Change(kind, label, verdict, int(count), [(e["id"], e["was"], e["becomes"], e["found"]) for e in some])
        for kind, label, verdict, count, some in rows
    ]


def _get(whole: Any, path: str) -> Any:
    for step in path.split("."):
        whole = whole.get(step) if isinstance(whole, dict) else None
    return whole


def _put(payload: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    for step in way:
        payload = payload.setdefault(step, {})
    payload[last] = value


def _copy(whole: dict[str, Any], payload: dict[str, Any], path: str) -> None:
    _put(payload, path, _get(whole, path))


def _chosen(held: Any, wanted: set[str], *, listed: bool) -> Any:
    """Return the wanted custom values of a payload; what it no longer holds is emptied."""
    if listed:
        there = {str(one["id"]): one["value"] for one in held or []}
        return [{"id": key, "value": there.get(key)} for key in sorted(wanted)]
    return {key: (held or {}).get(key) for key in sorted(wanted)}
