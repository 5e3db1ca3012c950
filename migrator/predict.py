"""What will be read back: payloads within the destination's limits, read by the very SQL that reads the destination."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.compile import canonical_sql, name, quoted
from migrator.decide import Decider
from migrator.kinds import Kind
from migrator.manifest import Write
from migrator.mapping import Variant
from migrator.native import native_sql

NATIVE = "id VARCHAR, parent VARCHAR, body JSON"  # a payload, by the record's id and its owner's


@dataclass
class Predictor:
    """Fills ``predicted.<kind>`` and ``plan.payload`` for what the decider decided."""

    decider: Decider
    anew: bool = True  # also what was written before, as if it were written now: what changes are told by

    def predict(self, kind_name: str) -> None:
        """Predict the kind's records: those to create, those kept as they are, those merged into another."""
        stage, kind = self.decider.stage, self.decider.kinds.kinds[kind_name]
        table = f"predicted.{name(kind_name)}"
        stage.run(f"CREATE TABLE {table} (id VARCHAR, variant VARCHAR, {stage.columns(kind)}, _kind VARCHAR)")
        again = f"anew.{name(kind_name)}"
        stage.run(f"CREATE TABLE {again} (id VARCHAR, variant VARCHAR, {stage.columns(kind)}, _kind VARCHAR)")
        known = self.anew and stage.one("SELECT 1 FROM plan.known WHERE as_kind = ? LIMIT 1", kind_name)
        for variant, write in self.decider.writable(kind_name):
            self._written(kind_name, kind, variant, write, table)
            if known:
                self._written(kind_name, kind, variant, write, again)
        self._kept(kind_name, kind, table)
        if kind_name in self._keyed:
            # Custom fields as they will be there: found by our own ids, as predictions are keyed.
            stage.run(
                "CREATE TABLE predicted.fields AS SELECT id, applies_to, id AS key, type, options, "
                "COALESCE(option_keys, options) AS option_keys "
                f"FROM {table}"
            )

    def forget(self, kind_name: str) -> None:
        """Take the kind's predictions and payloads away, for others to be made."""
        stage = self.decider.stage
        for schema, payload in (("predicted", "plan.payload"), ("anew", "anew.payload")):
            stage.run(f"DROP TABLE {schema}.{name(kind_name)}")
            stage.run(f"DELETE FROM {payload} WHERE as_kind = ?", kind_name)
        if kind_name in self._keyed:
            stage.run("DROP TABLE predicted.fields")
        for variant, _ in self.decider.writable(kind_name):
            for made in ("", "anew ", "given ", "anew given "):
                stage.run(f"DROP TABLE IF EXISTS native.{name(f'{made}{kind_name} {variant.name}')}")

    @property
    def _keyed(self) -> set[str | None]:
        """Return the kinds by whose records values are keyed."""
        kinds = self.decider.kinds.kinds.values()
        return {spec.keyed_by for each in kinds for spec in each.fields.values()}

    def _written(self, kind_name: str, kind: Kind, variant: Variant, write: Write, table: str) -> None:
        """Predict what is created; for a table of ``anew``, what was written before, as if it were created now."""
        stage, again = self.decider.stage, table.startswith("anew.")
        work = f"native.{name('work ' + kind_name)}"
        which = "_known IS NOT NULL" if again else "_action = 'create'"
        rows = f"(SELECT * FROM {work} WHERE {which} AND _variant = {quoted(variant.name)})"
        prefix = "anew " if again else ""
        made = f"native.{name(prefix + kind_name + ' ' + variant.name)}"
        if not stage.one(f"SELECT 1 FROM {rows} LIMIT 1"):
            stage.run(f"CREATE TABLE {made} ({NATIVE})")
            return
        sql = native_sql(
            kind, variant, write, rows=rows, vendor=self.decider.source, kind_name=kind_name, fields="predicted.fields"
        )
        stage.run(f"CREATE TABLE {made} AS {sql}")
        value = self._list_value(kind_name)
        payload = f"json_object({quoted(value)}, n.body)" if value else "n.body"
        into = "anew.payload" if again else "plan.payload"
        stage.run(f"INSERT INTO {into} SELECT {quoted(kind_name)}, n.id, {payload} FROM {made} n")
        given = made
        if write.embedded and not variant.each and kind.owner:
            # Read back as part of its owner: the vendor's own fields of the owner stand around it.
            owner_kind = kind.fields[kind.owner].to[0]
            owners = " UNION ALL ".join(
                f"SELECT id, body FROM native.{name(prefix + owner_kind + ' ' + v.name)}"
                for v, _ in self.decider.writable(owner_kind)
            )
            given = f"native.{name(prefix + 'given ' + kind_name + ' ' + variant.name)}"
            stage.run(
                f"CREATE TABLE {given} AS SELECT n.id, n.parent, json_merge_patch(o.body, n.body) AS body "
                f"FROM {made} n JOIN ({owners}) o ON o.id = n.parent"
            )
        reading = canonical_sql(kind, (variant,), lambda _: given, "predicted.fields", given=True)
        blob = next((name(label) for label, spec in kind.fields.items() if spec.type == "blob"), None)
        columns = f"r.* REPLACE (w.{blob} AS {blob})" if blob else "r.*"
        stage.run(
            f"INSERT INTO {table} BY NAME SELECT {columns}, w._kind AS _kind FROM ({reading}) r "
            f"JOIN {work} w ON w.id = r.id"
        )

    def _list_value(self, kind_name: str) -> str | None:
        """Return the reference that stands for a record which travels as an entry of its owner's list."""
        embeds = (write.embeds.get(kind_name) for write in self.decider.manifest.writes)
        return next((embed.value for embed in embeds if embed and embed.how == "list"), None)

    def predict_joined(self) -> None:
        """Predict records that are kept as another kind (an employee who asks, and has a seat), and those merged into
        them. Comes last, when both kinds are decided."""
        stage, found, kinds = self.decider.stage, self.decider.found, self.decider.kinds.kinds
        for kind_name in kinds:
            write = self.decider.manifest.write(kind_name)
            for other in write.match_among if write and found else ():
                table, there = f"predicted.{name(other)}", kinds[other]
                loose = {label for label, spec in there.fields.items() if spec.to or spec.type == "map"}
                columns = ", ".join("NULL" if label in loose else f"f.{name(label)}" for label in there.fields)
                stage.run(
                    f"INSERT INTO {table} SELECT d.id, f.variant, {columns}, d.kind FROM plan.decided d "
                    f"JOIN {found}.{name(other)} f ON f.id = d.target "
                    "WHERE d.kind = ? AND d.as_kind = ? AND d.action = 'keep' AND NOT d.known",
                    kind_name,
                    other,
                )
                columns = ", ".join(f"f.{name(label)}" for label in there.fields)
                stage.run(
                    f"INSERT INTO {table} SELECT d.id, f.variant, {columns}, d.kind FROM plan.decided d JOIN {table} f "
                    "ON f.id = d.target AND f._kind = d.kind WHERE d.kind = ? AND d.as_kind = ? AND d.action = 'merge'",
                    kind_name,
                    other,
                )

    def _kept(self, kind_name: str, kind: Kind, table: str) -> None:
        """A kept record stays as it is at the destination, a merged one is what it was merged into, and one that an
        earlier load wrote is what that plan predicted."""
        stage = self.decider.stage
        ends = dict(
            stage.rows("SELECT action, bool_or(known) FROM plan.decided WHERE as_kind = ? GROUP BY 1", kind_name)
        )
        loose = {label for label, spec in kind.fields.items() if spec.to or spec.type == "map"}
        if self.decider.found and "keep" in ends:
            columns = ", ".join("NULL" if label in loose else f"f.{name(label)}" for label in kind.fields)
            stage.run(
                f"INSERT INTO {table} SELECT d.id, f.variant, {columns}, d.kind FROM plan.decided d "
                f"JOIN {self.decider.found}.{name(kind_name)} f ON f.id = d.target "
                f"WHERE d.as_kind = {quoted(kind_name)} AND d.action = 'keep' AND NOT d.known"
            )
        if "merge" in ends:
            columns = ", ".join(f"f.{name(label)}" for label in kind.fields)
            stage.run(
                f"INSERT INTO {table} SELECT d.id, f.variant, {columns}, d.kind FROM plan.decided d JOIN {table} f "
                f"ON f.id = d.target WHERE d.as_kind = {quoted(kind_name)} AND d.action = 'merge'"
            )
        if any(ends.values()) and kind_name in stage.tables_of("earlier"):
            stage.run(
                f"INSERT INTO {table} SELECT e.* FROM earlier.{name(kind_name)} e JOIN plan.decided d ON d.id = e.id "
                f"AND d.kind = e._kind AND d.known WHERE d.as_kind = {quoted(kind_name)}"
            )
