"""What happens to each record, and why: one table a kind, made by one statement, with every reference that arrives.

``native."work <kind>"`` holds the kind's records as they may be written; ``plan.decided`` one line for each.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrator import gathering, reasons
from migrator.compile import name, quoted
from migrator.crossing import Crossing, work_table, writable
from migrator.kinds import Kinds
from migrator.manifest import Manifest, Write
from migrator.mapping import Mapping, Variant
from migrator.stage import Stage
from migrator.translate import Translator

WRITES = "('create', 'update', 'delete')"  # the actions that make a call
LEVEL, MOST_LEVELS = 10**9, 10**4  # a place is the kind's, then the level among its kin, then that among its siblings
RANK = LEVEL * MOST_LEVELS
DECIDED = (
    "kind VARCHAR, id VARCHAR, as_kind VARCHAR, variant VARCHAR, action VARCHAR, reason VARCHAR, target VARCHAR, "
    "unit VARCHAR, lane VARCHAR, place BIGINT, own BOOLEAN, owner VARCHAR, blob VARCHAR, known BOOLEAN, stamp VARCHAR"
)


@dataclass
class Decider:
    """Decides kind by kind, in the kinds' order. ``found``: the schema of what is at the destination (or none)."""

    stage: Stage
    kinds: Kinds
    manifest: Manifest
    mapping: Mapping
    source: str
    translator: Translator
    found: str | None = None
    without_seat: str = "stand_in"  # or manual, create

    def decide(self, kind_name: str) -> bool:
        """Make the kind's working table and add its lines to ``plan.decided``; tell whether there may be any."""
        crossing = self.crossing(kind_name)
        work = work_table(kind_name)
        self.translator.translate(kind_name, crossing.kind)
        if not self._any(crossing):  # a tenth of what the statement costs that would find nothing
            columns = self.stage.columns(crossing.kind)
            told = "_kind VARCHAR, _known VARCHAR, _variant VARCHAR, _action VARCHAR"
            self.stage.run(f"CREATE TABLE {work} (id VARCHAR, {columns}, {told})")
            return False
        clauses = [
            *gathering.relations(crossing, self.translator.unmade(kind_name, self.manifest.setup)),
            f"varied AS (SELECT *, {crossing.variant()} AS _variant FROM joined w)",
            f"judged AS (SELECT *, {reasons.judged(crossing)} AS _d FROM varied w)",
        ]
        self.stage.run(
            f"CREATE TABLE {work} AS WITH {', '.join(clauses)} "
            f"SELECT * EXCLUDE (_d), _d.a AS _action, _d.r AS _reason, {_target(crossing)} AS _target, "
            f"{_as_kind(crossing)} AS _as_kind FROM judged w"
        )
        self._insert(crossing, work)
        self._insert_gone(kind_name, work)
        self._limit_bytes(kind_name, crossing.write, work)
        return True

    def _any(self, crossing: Crossing) -> bool:
        """Tell whether any record may be of the kind: its own, one that stands in as it, the connector's, or one that
        was written before.
        """
        kind_name, kinds = crossing.kind_name, self.kinds.kinds
        if any(own.kind == kind_name for own in self.manifest.setup):
            return True
        if self.stage.one("SELECT 1 FROM plan.known WHERE as_kind = ? OR kind = ? LIMIT 1", kind_name, kind_name):
            return True
        origins = [kind_name, *(other for other, kind in kinds.items() if kind.stands_in == kind_name)]
        return any(self.stage.one(f"SELECT 1 FROM canonical.{name(origin)} LIMIT 1") for origin in origins)

    def writable(self, kind_name: str) -> list[tuple[Variant, Write]]:
        """Return the variants the destination can write, with what it keeps of each."""
        return writable(self.manifest, self.mapping, kind_name)

    def named(self, kind_name: str) -> str:
        """Return the test for records ``w`` that a record which is written names, once all is decided."""
        return reasons.named_by(self.crossing(kind_name), decided=True)

    def crossing(self, kind_name: str) -> Crossing:
        """Return the kind between the two accounts."""
        sides = (self.kinds, self.manifest, self.mapping)
        return Crossing(kind_name, self.stage, *sides, self.source, self.found, self.without_seat)

    def _insert(self, crossing: Crossing, work: str) -> None:
        kind_name, kind = crossing.kind_name, crossing.kind
        sequence = next((label for label, spec in kind.fields.items() if spec.sequence), None)
        blob = next((label for label, spec in kind.fields.items() if spec.type == "blob"), None)
        own_unit = f"{quoted(kind_name + ':')} || w.id"
        inside = crossing.inside or "FALSE"
        owner = None if crossing.stands_alone else kind.owner
        unit = f"CASE WHEN {inside} THEN w._owner_unit ELSE {own_unit} END" if owner else own_unit
        lane = "w._owner_lane" if owner else quoted(f"{kind_name}:") if sequence or kind.owner else own_unit
        rank = self.kinds.in_order().index(kind_name) * RANK
        place = f"CAST({rank} AS BIGINT) + {f'COALESCE(w.{name(sequence)}, 0)' if sequence else '0'}"
        self.stage.run(
            "INSERT INTO plan.decided SELECT w._kind, w.id, w._as_kind, w._variant, w._action, w._reason, w._target, "
            f"{unit}, {lane}, {place}, w._own, {f'w.{name(owner)}' if owner else 'NULL'}, "
            f"{f'w.{name(blob)}' if blob else 'NULL'}, w._known IS NOT NULL AND w._action <> 'stand_in', NULL "
            f"FROM {work} w"
        )
        if kind.match:
            # Who is merged into somebody without a seat, or with one, stands where that one stands.
            self.stage.run(
                "UPDATE plan.decided SET as_kind = t.as_kind FROM plan.decided t WHERE decided.kind = ? AND "
                "decided.action = 'merge' AND t.kind = decided.kind AND t.id = decided.target",
                kind_name,
            )

    def _insert_gone(self, kind_name: str, work: str) -> None:
        """Add what earlier loads wrote and the source no longer has."""
        rank = self.kinds.in_order().index(kind_name) * RANK
        self.stage.run(
            "INSERT INTO plan.decided SELECT k.kind, k.id, k.as_kind, k.variant, 'keep', 'gone from the source since', "
            f"k.target, k.as_kind || ':' || k.id, k.as_kind || ':' || k.id, {rank}, TRUE, NULL, NULL, TRUE, NULL "
            f"FROM plan.known k WHERE k.as_kind = ? AND NOT EXISTS (SELECT 1 FROM {work} w WHERE w.id = k.id "
            "AND w._kind = k.kind)",
            kind_name,
        )

    def _limit_bytes(self, kind_name: str, write: Write | None, work: str) -> None:
        """Put what goes beyond a limit of bytes aside: in order, whatever still fits goes."""
        if not write or not write.max_total:
            return
        most, per = write.max_total.bytes, write.max_total.per
        lines = (
            "SELECT d.lane, d.id, c.size, d.place FROM plan.decided d "
            f"JOIN canonical.{name(kind_name)} c ON c.id = d.id "
            f"WHERE d.kind = {quoted(kind_name)} AND d.action = 'create' AND starts_with(d.lane, {quoted(per + ':')})"
        )
        heavy = self.stage.rows(
            f"SELECT lane, id, size FROM ({lines}) "
            f"WHERE lane IN (SELECT lane FROM ({lines}) GROUP BY lane HAVING sum(size) > ?) "
            "ORDER BY lane, place, length(id), id",
            most,
        )
        used: dict[str, int] = {}
        why = f"larger than {self.manifest.title} takes: {most // 1048576} MB for all files of a {per}"
        for lane, id, size in heavy:
            if used.get(lane, 0) + (size or 0) <= most:
                used[lane] = used.get(lane, 0) + (size or 0)
                continue
            self.stage.run(
                "UPDATE plan.decided SET action = 'manual', reason = ? WHERE kind = ? AND id = ?", why, kind_name, id
            )
            self.stage.run(f"UPDATE {work} SET _action = 'manual', _reason = ? WHERE id = ?", why, id)


def _target(crossing: Crossing) -> str:
    there = "COALESCE(w._known, w._there, w._among)"
    if (crossing.write and crossing.write.embedded and crossing.kind.owner) or crossing.linked:
        there = f"COALESCE(w._known, {crossing.pair()})"
    return f"CASE w._d.a WHEN 'keep' THEN {there} WHEN 'merge' THEN w._first END"


def _as_kind(crossing: Crossing) -> str:
    stands_in, write = crossing.kind.stands_in, crossing.write
    stands = f"WHEN w._d.a = 'stand_in' THEN {quoted(stands_in)} " if stands_in else ""
    here = "w._d.a = 'keep' AND w._known IS NULL AND w._there IS NULL AND w._among IS NOT NULL"
    among = f"WHEN {here} THEN w._among_as " if write and write.match_among and crossing.found else ""
    return f"CASE WHEN w._known IS NOT NULL THEN w._known_as {stands}{among}ELSE {quoted(crossing.kind_name)} END"
