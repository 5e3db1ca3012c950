"""Planning tickets as migrator does: the SQL its mappings compile to, and the whole plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from _measure import timed
from _planning_desk import STATUS_CODES, STATUSES, TYPE_WORDS, TYPES, Clock, in_stage

if TYPE_CHECKING:
    from migrator.registry import Connector
    from migrator.stage import Stage


def connectors() -> tuple[Connector, Connector]:
    """Return Zendesk and Freshdesk for one customer: 50 statuses and 50 types of its own, and no custom fields."""
    from dataclasses import replace

    from migrator.mapping import Mapping, Verb
    from migrator.registry import connector

    def changed(mapping: Mapping, verbs: dict[str, dict[str, Any]]) -> Mapping:
        (ticket,) = mapping.kinds["ticket"]
        fields = {label: verb for label, verb in ticket.fields.items() if label != "custom"}
        fields |= {label: Verb.model_validate(verb) for label, verb in verbs.items()}
        return mapping.model_copy(
            update={"kinds": {**mapping.kinds, "ticket": (ticket.model_copy(update={"fields": fields}),)}}
        )

    source, destination = connector("zendesk"), connector("freshdesk")
    source = replace(
        source,
        mapping=changed(
            source.mapping,
            {"status": {"path": "custom_status_id", "values": STATUSES}, "type": {"path": "type", "values": TYPES}},
        ),
    )
    writes = []
    for write in destination.manifest.writes:
        if write.kind == "ticket":
            taken = write.fields["type"].model_copy(update={"one_of": ()})
            write = write.model_copy(update={"fields": {**write.fields, "type": taken}})
        writes.append(write)
    destination = replace(
        destination,
        manifest=destination.manifest.model_copy(update={"writes": tuple(writes)}),
        mapping=changed(
            destination.mapping,
            {"status": {"path": "status", "values": STATUS_CODES}, "type": {"path": "type", "values": TYPE_WORDS}},
        ),
    )
    return source, destination


def compiled(folder: Path) -> None:
    """Read, resolve, make the payloads and predict, with the SQL that `migrator plan` runs for its tickets."""
    from migrator.compile import canonical_sql
    from migrator.decide import Decider
    from migrator.native import native_sql
    from migrator.translate import Translator

    source, destination = connectors()
    kind = source.kinds.kinds["ticket"]
    (theirs,), (ours,) = source.mapping.kinds["ticket"], destination.mapping.kinds["ticket"]
    write = destination.manifest.write("ticket")
    assert write is not None
    clock = Clock()

    def work(stage: Stage) -> None:
        with clock("read"):
            stage.schema("canonical")
            sql = canonical_sql(kind, (theirs,), lambda _: stage.raw("raw", "tickets"), "canonical.custom_field")
            stage.run(f"CREATE TABLE canonical.ticket AS {sql}")
        with clock("decide"):
            # References that arrive, and besides what happens to each ticket, and why.
            sides = (stage, source.kinds, destination.manifest, destination.mapping)
            Decider(*sides, "zendesk", Translator(*sides)).decide("ticket")
        with clock("payload"):
            sql = native_sql(
                kind,
                ours,
                write,
                rows="(SELECT * FROM native.\"work ticket\" WHERE _action = 'create')",
                vendor="zendesk",
                kind_name="ticket",
                fields="predicted.fields",
            )
            stage.run(f"CREATE TABLE native.made AS {sql}")
        with clock("predict"):
            sql = canonical_sql(kind, (ours,), lambda _: "native.made", "predicted.fields", given=True)
            stage.run(f"CREATE TABLE predicted.ticket AS {sql}")

    in_stage(folder, work, clock)


def whole(folder: Path) -> None:
    """Make the whole plan over canonical tables, as `migrator plan` does once everything is read."""
    from migrator.compile import canonical_sql, name
    from migrator.plan import Planner
    from migrator.stage import Stage

    source, destination = connectors()
    kinds = source.kinds.kinds
    around = {
        "contact": "'Person ' || id AS name, 'p' || id || '@example.com' AS email, "
        "CAST(700000 + CAST(id AS BIGINT) % 5000 AS VARCHAR) AS organization",
        "agent": "'Agent ' || id AS name, 'a' || id || '@acme.example' AS email",
        "group": "'Group ' || id AS name",
        "organization": "'Organization ' || id AS name",
    }
    with Stage(folder / "desk.duckdb") as stage:
        stage.schema("canonical")
        for kind_name in source.kinds.in_order():
            relation = f"canonical.{name(kind_name)}"
            stage.run(f"CREATE TABLE {relation} (id VARCHAR, variant VARCHAR, {stage.columns(kinds[kind_name])})")
            if kind_name in around:
                stage.run(
                    f"INSERT INTO {relation} BY NAME SELECT id, kind AS variant, {around[kind_name]}, "
                    "FALSE AS deleted, TIMESTAMP '2020-01-01' AS created_at, TIMESTAMP '2020-01-01' AS updated_at "
                    "FROM plan.decided WHERE kind = ?",
                    kind_name,
                )
        sql = canonical_sql(
            kinds["ticket"], source.mapping.kinds["ticket"], lambda _: "raw.tickets", "canonical.custom_field"
        )
        stage.run(f"INSERT INTO canonical.ticket BY NAME {sql}")
        stage.run("CHECKPOINT")

        def work() -> dict[str, Any]:
            plan = Planner(stage, source.kinds, destination.manifest, destination.mapping, "zendesk").make()
            assert not plan.unaccounted
            return {"rows": plan.counts["ticket"], "digest": plan.digest, "losses": len(plan.losses)}

        timed(work)
