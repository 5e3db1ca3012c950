"""The way back: a plan that removes what earlier loads wrote, and nothing else.

The destination is read first. A record that is no longer as it was written, or that people have written to, stays and
is named; so does everything that something which stays still needs. What is left is deleted in reverse order, children
with their owners, in as few calls as the vendor allows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from migrator.activate import off
from migrator.compile import flagged, name, quoted
from migrator.connector import AS_IS
from migrator.decide import DECIDED, RANK
from migrator.kin import edges_of, order, rank, written
from migrator.kinds import Kind, Kinds
from migrator.ledger import Ledger
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.stage import Stage
from migrator.verify import Verified, compare

READ = "undo_canonical"  # the schema with the destination as it is now
SWITCHED_OFF = "cannot be deleted there: switched off again"


@dataclass(frozen=True)
class Restored:
    """An update to take back: the record's kind there, our id, and what stood there before."""

    as_kind: str
    id: str
    before: dict[str, Any]


@dataclass
class Undo:
    """Plans the removal inside the stage, after the destination was read into ``READ``.

    ``only``: the records (kind, id) one load created, where not everything is to go; ``restored``: what it changed.
    ``activated``: what was switched on (kind, id), and is switched off where nobody can delete it.
    ``touched``: remove also what people have changed since. ``undone``: updates (kind, id) that the last plan planned
    and nobody carried out.
    """

    stage: Stage
    ledger: Ledger
    kinds: Kinds
    manifest: Manifest
    mapping: Mapping
    only: Sequence[tuple[str, str]] | None = None
    restored: Sequence[Restored] = ()
    touched: bool = False
    undone: Sequence[tuple[str, str]] = ()
    activated: Sequence[tuple[str, str]] = ()
    swaps: int = 0

    def make(self) -> None:
        """Fill ``plan.planned`` with the records to delete, and those that stay with the reason."""
        stage = self.stage
        stage.schema("undo", fresh=True)
        self._take_back()
        self._ours()
        self._stays("its prediction is gone: nobody can tell whether it was changed", "NOT o.predicted")
        if not self.touched:
            self._changed()
        self._unwanted()
        self._needed()
        self._plan()

    def _take_back(self) -> None:
        """Let the predictions be of what was written, not of what was only planned."""
        for of, id in self.undone:
            found = "SELECT as_kind FROM plan.planned WHERE action = 'update' AND kind = ? AND id = ?"
            self._swap(self.stage.one(found, of, id), of, id)

    # ---- what is ours -----------------------------------------------------------------------------------------------

    def _ours(self) -> None:
        """Make ``undo.ours``: what we created and is still there, with its owner; ``undo.base`` to compare it by."""
        stage = self.stage
        stage.run("CREATE TABLE undo.base (kind VARCHAR, id VARCHAR, as_kind VARCHAR, action VARCHAR, known BOOLEAN)")
        rows = [
            [of, id, as_kind, "keep", "true"]
            for of, id, _, _, how, as_kind in self.ledger.identities()
            if how == "created"
        ]
        stage.insert("undo.base", rows)
        compare(stage, self.ledger, self.kinds, self.manifest, self.mapping, canonical=READ, planned="undo.base")
        stage.run(
            "CREATE TABLE undo.ours (kind VARCHAR, id VARCHAR, as_kind VARCHAR, variant VARCHAR, target VARCHAR, "
            "owner VARCHAR, owner_kind VARCHAR, predicted BOOLEAN, why VARCHAR, wanted BOOLEAN)"
        )
        for kind_name, kind in self.kinds.kinds.items():
            owner = f"f.{name(kind.owner)}" if kind.owner else "NULL"
            stage.run(
                "INSERT INTO undo.ours SELECT i.kind, i.source, i.as_kind, COALESCE(r.variant, f.variant), f.id, "
                f"{owner}, {quoted(kind.owner_kind)}, r.id IS NOT NULL, NULL, TRUE FROM verify.identity i "
                f"JOIN {READ}.{name(kind_name)} f ON f.id = i.destination "
                f"LEFT JOIN predicted.{name(kind_name)} r ON r.id = i.source AND r._kind = i.kind "
                f"WHERE i.as_kind = {quoted(kind_name)} AND i.how = 'created' AND NOT {flagged(kind, 'f')}"
            )

    def gone(self) -> list[tuple[str, str]]:
        """Return what we created and is no longer there, nor under any other name."""
        return self.stage.rows(
            "SELECT b.kind, b.id FROM undo.base b WHERE NOT EXISTS "
            "(SELECT 1 FROM undo.ours o WHERE o.kind = b.kind AND o.id = b.id)"
        )

    # ---- what stays -------------------------------------------------------------------------------------------------

    def _stays(self, why: str, test: str) -> int:
        """Let records for which the test holds stay; return how many that are more than before."""
        before = self.stage.one("SELECT count(*) FROM undo.ours WHERE why IS NOT NULL")
        self.stage.run(f"UPDATE undo.ours AS o SET why = {quoted(why)} WHERE o.why IS NULL AND ({test})")
        return int(self.stage.one("SELECT count(*) FROM undo.ours WHERE why IS NOT NULL") - before)

    def _changed(self) -> None:
        """Let stay what is no longer as written, and what people have written to."""
        title = self.manifest.title
        differs = "(o.kind, o.id) IN (SELECT (d.kind, d.id) FROM verify.discrepancy d)"
        self._stays(f"changed at {title} since it was written", differs)
        for kind_name, kind in self.kinds.kinds.items():
            if not kind.owner or kind.by_itself:
                continue
            owner, filled = quoted(kind.owner_kind), self._filled(kind_name)
            counted = f"SELECT f.{name(kind.owner)} AS owner, count(*) AS n FROM {READ}.{name(kind_name)} f GROUP BY 1"
            mine = f"SELECT owner, count(*) AS n FROM undo.ours WHERE as_kind = {quoted(kind_name)} GROUP BY 1"
            spare = (
                "CASE WHEN COALESCE(m.n, 0) = 0 OR NOT COALESCE(m.first, FALSE) THEN 1 ELSE 0 END" if filled else "0"
            )
            if filled:
                first = f"bool_or(variant = {quoted(filled)})" if filled != kind_name else "TRUE"
                mine = (
                    f"SELECT owner, count(*) AS n, {first} AS first FROM undo.ours "
                    f"WHERE as_kind = {quoted(kind_name)} GROUP BY 1"
                )
            more = (
                f"SELECT c.owner FROM ({counted}) c LEFT JOIN ({mine}) m ON m.owner = c.owner "
                f"WHERE c.n > COALESCE(m.n, 0) + {spare}"
            )
            plural = kind_name.replace("_", " ")
            self._stays(f"people have added a {plural} at {title}", f"o.as_kind = {owner} AND o.target IN ({more})")

    def _filled(self, kind_name: str) -> str | None:
        """Return the variant for which the vendor is given a filler where an owner has none of the kind."""
        for write in self.manifest.writes:
            embed = write.embeds.get(kind_name)
            if embed and embed.filler:
                return embed.variant or kind_name
        return None

    def _unwanted(self) -> None:
        """Let stay what another load created."""
        if self.only is None:
            return
        self.stage.table("undo.only", "kind VARCHAR, id VARCHAR")
        self.stage.insert("undo.only", [list(pair) for pair in self.only])
        self.stage.run("UPDATE undo.ours SET wanted = (kind, id) IN (SELECT (kind, id) FROM undo.only)")

    def _needed(self) -> None:
        """Let stay whatever something that stays refers to, belongs to or holds, until nothing more is found."""
        more = 1
        while more:
            more = 0
            for kind_name, kind in self.kinds.kinds.items():
                leaves = f"SELECT target FROM undo.ours WHERE as_kind = {quoted(kind_name)} AND why IS NULL AND wanted"
                rest = f"{READ}.{name(kind_name)} f WHERE f.id NOT IN ({leaves})"
                rest += f" AND NOT ({self._dead(kind, 'f')})"
                title = kind_name.replace("_", " ")
                for label, spec in () if kind.by_itself else kind.references():
                    used = f"unnest(f.{name(label)})" if spec.type == "refs" else f"f.{name(label)}"
                    of = ", ".join(quoted(to) for to in spec.to)
                    test = f"o.wanted AND o.as_kind IN ({of}) AND o.target IN (SELECT {used} FROM {rest})"
                    more += self._stays(f"a {title} that stays needs it", test)
                for label, spec in kind.fields.items():
                    if spec.keyed_by:
                        held = f"json_keys(CAST(f.{name(label)} AS JSON))"
                        keys = f"SELECT unnest({held}) FROM {rest} AND f.{name(label)} IS NOT NULL"
                        test = f"o.wanted AND o.as_kind = {quoted(spec.keyed_by)} AND o.target IN ({keys})"
                        more += self._stays(f"a {title} that stays has a value in it", test)
            owner_stays = (
                "o.wanted AND EXISTS (SELECT 1 FROM undo.ours w WHERE w.target = o.owner AND w.as_kind = o.owner_kind "
                "AND w.why IS NOT NULL AND w.wanted)"
            )
            more += self._stays("what it belongs to stays", owner_stays)

    def _dead(self, kind: Kind, alias: str) -> str:
        """The test for records that nobody sees any more: deleted, or within something deleted."""
        test = flagged(kind, alias)
        if kind.owner:
            above = self.kinds.kinds[kind.owner_kind]
            owners = f"SELECT o.id FROM {READ}.{name(kind.owner_kind)} o WHERE {self._dead(above, 'o')}"
            test += f" OR {alias}.{name(kind.owner)} IN ({owners})"
        return test

    # ---- the plan ---------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Put the removal in the place of the plan."""
        stage = self.stage
        stage.schema("plan")
        stage.table("plan.decided", DECIDED)
        stage.run("CREATE OR REPLACE TABLE plan.payload (as_kind VARCHAR, id VARCHAR, payload JSON)")
        kinds = self.kinds.in_order()
        for kind_name in kinds:
            kind, place = self.kinds.kinds[kind_name], kinds.index(kind_name) * RANK
            deletable = [
                quoted(variant.name)
                for variant in self.mapping.kinds.get(kind_name, ())
                if (write := self.manifest.write(kind_name, variant.name)) and write.delete
            ]
            own = f"o.variant IN ({', '.join(deletable)})" if deletable else "FALSE"
            with_owner = "d.action = 'delete'" if kind.owner else "FALSE"
            title = self.manifest.title
            stage.run(
                "INSERT INTO plan.decided SELECT o.kind, o.id, o.as_kind, o.variant, "
                f"CASE WHEN o.why IS NOT NULL OR NOT o.wanted THEN 'keep' WHEN {with_owner} OR {own} THEN 'delete' "
                "ELSE 'keep' END, "
                f"CASE WHEN o.why IS NOT NULL THEN o.why WHEN NOT o.wanted THEN 'written by another load' "
                f"WHEN {with_owner} THEN 'goes with what it belongs to' WHEN {own} THEN 'written by migrator' "
                f"ELSE {quoted(f'{title} lets nobody delete it')} END, o.target, "
                f"CASE WHEN {with_owner} THEN d.unit ELSE o.as_kind || ':' || o.id END, "
                f"CASE WHEN {with_owner} THEN d.lane ELSE o.as_kind || ':' || o.id END, "
                f"{place}, FALSE, d.id, NULL, TRUE, NULL FROM undo.ours o LEFT JOIN plan.decided d "
                "ON d.target = o.owner AND d.as_kind = o.owner_kind WHERE o.as_kind = ?",
                kind_name,
            )
            rank(stage, kind_name, order(self._kin(kind_name)).levels)
        for one in self.restored:
            stage.run(
                "UPDATE plan.decided SET action = 'update', reason = 'changed by migrator, changed back' "
                "WHERE as_kind = ? AND id = ? AND action = 'keep' AND reason = 'written by another load'",
                one.as_kind,
                one.id,
            )
            body = json.dumps({AS_IS: one.before}, ensure_ascii=False)
            stage.insert("plan.payload", [[one.as_kind, one.id, body]])
            self._swap(one.as_kind, None, one.id)
        self._switch_off()
        stage.run(
            "CREATE OR REPLACE TABLE plan.planned AS SELECT d.*, p.payload FROM plan.decided d "
            "LEFT JOIN plan.payload p ON p.as_kind = d.as_kind AND p.id = d.id AND d.action = 'update'"
        )

    def _kin(self, kind_name: str) -> list[tuple[str, str]]:
        """Return which of the kind's records names which other one, as it is at the destination."""
        found: set[tuple[str, str]] = set()
        ours = f"SELECT id, target FROM undo.ours WHERE as_kind = {quoted(kind_name)}"
        for label in written(self.kinds, self.manifest, kind_name):
            edges = edges_of(label, self.kinds, kind_name, f"{READ}.{name(kind_name)}")
            found.update(
                self.stage.rows(
                    f"SELECT o.id, t.id FROM ({edges}) e JOIN ({ours}) o ON o.target = e.id "
                    f"JOIN ({ours}) t ON t.target = e.other"
                )
            )
        return sorted(found)

    def _switch_off(self) -> None:
        """Let what acts and cannot be deleted act no longer."""
        for of, id in self.activated:
            rows = self.stage.rows(
                "SELECT as_kind, variant FROM plan.decided "
                "WHERE kind = ? AND id = ? AND action = 'keep' AND reason = ?",
                of, id, f"{self.manifest.title} lets nobody delete it",
            )  # fmt: skip
            for as_kind, variant in rows:
                write, switch = self.manifest.write(as_kind, variant), self.kinds.kinds[as_kind].switch
                if not (write and write.update and switch):
                    continue
                verb = self.mapping.variant(as_kind, variant).fields[switch]
                body = json.dumps({AS_IS: {verb.path or switch: off(verb)}})
                self.stage.run(
                    "UPDATE plan.decided SET action = 'update', reason = ? WHERE kind = ? AND id = ? AND as_kind = ?",
                    SWITCHED_OFF, of, id, as_kind,
                )  # fmt: skip
                self.stage.insert("plan.payload", [[as_kind, id, body]])

    def _swap(self, as_kind: str, of: str | None, id: str) -> None:
        """Let the prediction be what it was before the update, and the other way round should nobody carry this out."""
        if as_kind not in self.stage.tables_of("earlier"):
            return
        table, earlier = f"predicted.{name(as_kind)}", f"earlier.{name(as_kind)}"
        self.swaps += 1
        which, wanted = "id = ? AND _kind = COALESCE(?, _kind)", (id, of)
        was = f"undo.was{self.swaps}"  # a transaction takes no table twice
        self.stage.run(f"CREATE TABLE {was} AS SELECT * FROM {table} WHERE {which}", *wanted)
        self.stage.run(f"DELETE FROM {table} WHERE {which}", *wanted)
        self.stage.run(f"INSERT INTO {table} BY NAME SELECT * FROM {earlier} WHERE {which}", *wanted)
        self.stage.run(f"DELETE FROM {earlier} WHERE {which}", *wanted)
        self.stage.run(f"INSERT INTO {earlier} BY NAME SELECT * FROM {was}")


def removed(
    stage: Stage, ledger: Ledger, kinds: Kinds, canonical: str, plan: str
) -> tuple[Verified, list[dict[str, Any]]]:
    """Compare the destination with an undo plan: what should be gone and is there is a difference."""
    found = _still_there(stage, kinds, canonical)
    total = int(stage.one("SELECT count(*) FROM plan.planned WHERE action = 'delete'"))
    states = ledger.states(plan)
    units = [
        unit for (unit,) in stage.rows("SELECT DISTINCT unit FROM plan.planned WHERE action IN ('delete', 'update')")
    ]
    pending = sum(states.get(unit) != "done" for unit in units)
    return Verified(total, total - len(found), 0, pending, len(found)), found


def _still_there(stage: Stage, kinds: Kinds, canonical: str) -> list[dict[str, Any]]:
    found = []
    for kind_name, kind in kinds.kinds.items():
        rows = stage.rows(
            f"SELECT p.kind, p.id, p.target FROM plan.planned p JOIN {canonical}.{name(kind_name)} f "
            "ON f.id = p.target WHERE p.as_kind = ? AND p.action = 'delete' AND p.unit = p.as_kind || ':' || p.id "
            f"AND NOT {flagged(kind, 'f')} ORDER BY 1, 2",
            kind_name,
        )
        found += [
            {"kind": of, "id": id, "label": "", "field": "(record)", "expected": "gone", "found": f"there, as {there}"}
            for of, id, there in rows
        ]
    return found
