"""What a workspace proves: records, plan, ledger and comparison in digests, none of a customer's text among them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from migrator.compile import name, quoted
from migrator.export import SIDES, digested, lines_of, sorted_digest
from migrator.kinds import Kinds
from migrator.ledger import Ledger
from migrator.losses import measure_losses
from migrator.plan import digest, sign, signed_columns
from migrator.project import Side
from migrator.signing import canonical_json
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.verify import compare

DISPOSITIONS = ("created", "kept", "updated", "merged", "skipped", "manual", "quarantined", "pending")
MAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")

Evidence = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One thing that is not as the certificate says. ``where``: certificate, workspace or export."""

    where: str
    kind: str
    what: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.kind, self.what) if part)


def contents(steps: Steps, stage: Stage) -> Evidence:
    """Return what holds without any comparison: accounts, files, plan, and each kind's records by digest."""
    side, kinds, files = steps.project.destination, steps.project.destination.connector.kinds, steps.files()
    records = hashlib.sha256()
    for kind_name in kinds.in_order():
        sign(records, stage, f"canonical.{name(kind_name)}", signed_columns(kinds, kind_name), "id")
    return {
        "name": masked(steps.project.migration.name),
        "accounts": {
            "source": {"vendor": steps.project.source.account.vendor, "address": _address(steps.project.source)},
            "destination": {"vendor": side.account.vendor, "address": _address(side)},
        },
        "files": files,
        "plan": {"digest": digest(stage, kinds, files), "records": records.hexdigest()},
        "kinds": {
            kind_name: {
                where: dict(zip(("records", "digest"), digested(stage, lines_of(side, where, kind_name)), strict=True))
                for where in SIDES
            }
            for kind_name in kinds.in_order()
        },
    }


def judged(steps: Steps, stage: Stage, ledger: Ledger) -> Evidence:
    """Return what comparing tells: dispositions, equal records, losses, discrepancies, what is not proven.

    The comparison is made again, in a transaction that is taken back: the stage stays as it was.
    """
    side, kinds = steps.project.destination, steps.project.destination.connector.kinds
    manifest, mapping = side.connector.manifest, side.mapping
    stage.run("BEGIN TRANSACTION")
    try:
        verified = compare(stage, ledger, kinds, manifest, mapping)
        plan = steps.saved_plan()["digest"]
        quarantined = ledger.quarantined(plan)
        counts = _counts(stage, kinds, ledger.states(plan))
        discrepancies = _discrepancies(stage)
        losses = measure_losses(stage, kinds, manifest, mapping)
    finally:
        stage.run("ROLLBACK")
    identities = ledger.identities()
    loads = [of for of, command, *_ in ledger.history() if command == "load" and of != plan]
    found: Evidence = {
        "counts": counts,
        "discrepancies": discrepancies,
        "earlier_plans": list(dict.fromkeys(loads)),
        "ledger": {
            "identities": len(identities),
            "digest": sorted_digest(hashlib.sha256(canonical_json(row)).hexdigest() for row in identities),
        },
        "losses": [
            {
                "kind": loss.kind,
                "field": masked(loss.field),
                "how": loss.how,
                "because": masked(loss.because),
                "count": loss.count,
                "of": loss.of,
            }
            for loss in losses
        ],
        "quarantined": sorted(
            (
                {"kind": kind, "unit": masked(unit), "answer": hashlib.sha256((answer or "").encode()).hexdigest()}
                for unit, kind, answer, _ in quarantined
            ),
            key=canonical_json,
        ),
        "verification": asdict(verified),
        "not_proven": {
            "pending": verified.pending,
            "unchecked": verified.unchecked,
            "in_doubt": len(ledger.in_doubt(plan)),
        },
    }
    return found | {"verdict": _verdict(found)}


def _verdict(found: Evidence) -> dict[str, Any]:
    """Return whether all is proven, and the sentence that says so."""
    numbers = found["verification"]
    against = {
        "differences from the prediction": len(found["discrepancies"]),
        "records in quarantine": len(found["quarantined"]),
        "planned records not written": found["not_proven"]["pending"],
        "records nobody can check": found["not_proven"]["unchecked"],
        "calls in doubt": found["not_proven"]["in_doubt"],
    }
    why = [f"{count} {what}" for what, count in against.items() if count]
    text = f"{numbers['equal']} of {numbers['records']} records were read back and equal their prediction"
    return {"proven": not why, "text": f"not proven: {'; '.join(why)}; {text}" if why else f"proven: {text}"}


def _counts(stage: Stage, kinds: Kinds, states: dict[str, str]) -> dict[str, dict[str, int]]:
    """Return, by kind of the source, its records, each disposition, and how many were compared and are equal."""
    found = {
        kind_name: {"source": int(stage.one(f"SELECT count(*) FROM canonical.{name(kind_name)}"))}
        | dict.fromkeys((*DISPOSITIONS, "compared", "equal"), 0)
        for kind_name in kinds.in_order()
    }

    def within(state: str) -> str:
        units = json.dumps([unit for unit, is_now in states.items() if is_now == state])
        return f"p.unit IN (SELECT unnest(from_json({quoted(units)}, '[\"VARCHAR\"]')))"

    waits = f"WHEN {within('quarantined')} THEN 'quarantined' ELSE 'pending' END"
    for kind_name, disposition, count in stage.rows(
        "SELECT p.kind, CASE p.action WHEN 'keep' THEN 'kept' WHEN 'merge' THEN 'merged' WHEN 'skip' THEN 'skipped' "
        f"WHEN 'create' THEN CASE WHEN i.source IS NOT NULL THEN 'created' {waits} "
        f"WHEN 'update' THEN CASE WHEN {within('done')} THEN 'updated' {waits} ELSE p.action END, count(*) "
        "FROM plan.planned p LEFT JOIN verify.identity i ON i.kind = p.kind AND i.source = p.id "
        "WHERE NOT p.own AND p.action <> 'stand_in' GROUP BY ALL"
    ):
        found[kind_name][disposition] = found[kind_name].get(disposition, 0) + int(count)
    for as_kind in kinds.in_order():  # a person without a seat is predicted among the contacts, and counts as an agent
        for kind_name, compared, equal in stage.rows(
            "SELECT r._kind, count(*), count(*) FILTER (d.id IS NULL) "
            f"FROM predicted.{name(as_kind)} r JOIN plan.planned p ON p.id = r.id AND p.kind = r._kind "
            f"AND p.as_kind = {quoted(as_kind)} AND p.action NOT IN ('merge', 'stand_in') "
            "JOIN verify.identity i ON i.kind = r._kind AND i.source = r.id "
            "LEFT JOIN (SELECT DISTINCT kind, id FROM verify.discrepancy) d ON d.kind = r._kind AND d.id = r.id "
            "GROUP BY 1"
        ):
            found[kind_name]["compared"] += int(compared)
            found[kind_name]["equal"] += int(equal)
    return found


def _discrepancies(stage: Stage) -> list[dict[str, Any]]:
    """Return each difference: which record, which field, and the digests of what was expected and what was found."""
    sides = ", ".join(
        f"CASE WHEN {side} IS NOT NULL THEN sha256(CAST(to_json([kind, id, field, {side}]) AS VARCHAR)) END"
        for side in ("expected", "found")
    )
    order = "ORDER BY kind, length(id), id, field, expected, found"
    return [
        {"kind": kind, "id": masked(id), "field": masked(label), "expected": expected, "found": held}
        for kind, id, label, expected, held in stage.rows(
            f"SELECT kind, id, field, {sides} FROM verify.discrepancy {order}"
        )
    ]


def masked(text: str) -> str:
    """Return the text with every mail address in it replaced by its digest: ids and titles are the customer's."""
    return MAIL.sub(lambda found: "sha256:" + hashlib.sha256(found[0].encode()).hexdigest(), text)


def _address(side: Side) -> str:
    """Return the account's address without user, query or secret; a secret that is part of it stays a name."""
    if side.parts:
        return ", ".join(f"{name}: {_address(part)}" for name, part in side.parts.items())
    template = side.account.url or side.connector.manifest.base_url
    filled = re.sub(r"\{(\w+)\}", lambda word: side.account.settings.get(word[1], word[0]), template)
    return masked(re.sub(r"[?#].*", "", filled).rstrip("/"))


def lacking(steps: Steps, stage: Stage) -> list[Fault]:
    """Return what the stage does not hold that a certificate is computed from."""
    kinds = steps.project.destination.connector.kinds
    faults = []
    for table in {"planned", "seal"} - stage.tables_of("plan"):
        faults.append(Fault("workspace", "", f"there is no plan.{table} in the stage"))
    for where, schema in SIDES.items():
        tables = stage.tables_of(schema)
        for kind_name, kind in kinds.kinds.items():
            columns = {"id", "variant", *kind.fields} | ({"_kind"} if where == "predicted" else set())
            if kind_name not in tables:
                faults.append(Fault("workspace", kind_name, f"there is no {schema}.{kind_name} in the stage"))
            elif columns - set(stage.columns_of(schema, kind_name)):
                faults.append(Fault("workspace", kind_name, f"{schema}.{kind_name} was made by another migrator"))
    return faults
