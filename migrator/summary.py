"""The report's data: plan, ledger, verification and coverage of a workspace, joined into one plain document."""

from __future__ import annotations

import json
from typing import Any

from migrator.compile import name
from migrator.ledger import Ledger
from migrator.live import WAITS
from migrator.passport import passport
from migrator.project import Side
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.workspace import now

COLUMNS = ("created", "kept", "updated", "merged", "skipped", "manual", "quarantined", "pending")
PLACES = 500  # of the rewrite register, in the report; rewrites.json holds all
SHOWN = {"skip": "skipped", "merge": "merged", "manual": "manual", "keep": "kept"}


def summarize(steps: Steps) -> dict[str, Any]:
    """Return everything the report shows, as JSON-ready data. Raises InputError where there is no plan."""
    plan, folder = steps.saved_plan(), steps.workspace.folder
    coverage = _read(folder / "coverage.json") or {"mapped": 0, "uncovered": [], "dropped": [], "unreadable": []}
    verification = _read(folder / "verify.json")
    source, destination = steps.project.source, steps.project.destination
    with Ledger(steps.workspace.ledger) as ledger:
        begun = bool(ledger.states(plan["digest"]))
        quarantined = ledger.quarantined(plan["digest"])
        history = ledger.history()
        identities = ledger.identities()
    with Stage(steps.workspace.stage) as stage:
        written = _written(stage, begun, identities, {unit for unit, *_ in quarantined})
        labels = {unit: _label(stage, steps, unit) for unit, *_ in quarantined}
        checked = list(passport(stage, source.connector.kinds, destination.connector.manifest))
    shown = _kinds(source, plan, written)
    stage_name = "verified" if verification and verification["plan"] == plan["digest"] else "planned"
    if begun and stage_name != "verified":
        stage_name = "loading" if any(row["pending"] for row in shown) else "loaded"
    return {
        "name": steps.project.migration.name,
        "source": _side(source, plan, "source"),
        "destination": _side(destination, plan, "destination"),
        "created_at": now(),
        "digest": plan["digest"],
        "stage": stage_name,
        "kinds": shown,
        "balance": _balance(source, shown, _read(folder / "extract.json") or {}),
        **_planned(plan),
        "coverage": coverage,
        "rewrites": {"changes": plan.get("rewrites") or [], "places": _places(folder, plan)},
        "todo": _todo(plan, quarantined, coverage) + _again(sum(one.verdict == "set again" for one in checked)),
        "verification": _verification(verification) if stage_name == "verified" else None,
        "quarantine": _quarantine(quarantined, labels),
        "runs": [{"at": at, "command": command, "what": what} for _, command, at, what in history],
    }


def _kinds(source: Side, plan: dict[str, Any], written: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Return each kind's records by what becomes of them."""
    counts: dict[str, dict[str, int]] = {}
    for line in plan["dispositions"]:
        row = counts.setdefault(line["kind"], dict.fromkeys(COLUMNS, 0))
        if line["action"] in SHOWN:
            row[SHOWN[line["action"]]] += line["count"]
    for (kind_name, column), count in written.items():
        counts.setdefault(kind_name, dict.fromkeys(COLUMNS, 0))[column] += count
    kinds = source.connector.kinds.in_order()
    return [{"kind": k, "source": plan["counts"][k], **counts[k]} for k in kinds if counts.get(k)]


def _balance(source: Side, shown: list[dict[str, Any]], extracted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each kind's records, how many of them met an end, and the vendor's own count where it is of them alone."""
    streams = {k: {v.stream for v in variants} for k, variants in source.mapping.kinds.items()}
    alone = {
        k: next(iter(s))
        for k, s in streams.items()
        if len(s) == 1 and sum(s == other for other in streams.values()) == 1
    }
    balance = []
    for row in shown:
        accounted = sum(int(row[column]) for column in COLUMNS)
        counted = extracted.get("counted", {}).get(alone.get(str(row["kind"]), ""))
        if counted != row["source"]:
            counted = None  # fewer: the vendor leaves archived ones out of its count; more would have ended the extract
        balance.append(
            {
                "kind": row["kind"],
                "source": row["source"],
                "accounted": accounted,
                "vendor_count": counted,
                "ok": accounted == row["source"],
            }
        )
    return balance


def _planned(plan: dict[str, Any]) -> dict[str, Any]:
    """Return what the plan itself says: reasons, losses, what was narrowed, calls and hours."""
    return {
        "reasons": [
            {
                "kind": d["kind"],
                "action": SHOWN[d["action"]],
                "reason": d["reason"],
                "count": d["count"],
                "examples": [{"id": i, "label": label} for i, label in d["examples"]],
            }
            for d in plan["dispositions"]
            if d["action"] in SHOWN
        ],
        "losses": [
            {
                **{k: loss[k] for k in ("kind", "field", "how", "because", "count", "of")},
                "examples": [dict(zip(("id", "label", "was", "becomes"), e, strict=True)) for e in loss["examples"]],
            }
            for loss in plan["losses"]
        ],
        "narrowed": plan.get("narrowed") or [],
        "nested": plan.get("nested") or [],
        "calls": [{"endpoint": e, "calls": n} for e, n in plan["calls"]["endpoints"].items()],
        "quota": [
            dict(zip(("name", "per_minute", "calls", "minutes"), q, strict=True)) for q in plan["calls"]["quota"]
        ],
        "hours": plan["hours"],
        "bottleneck": plan["bottleneck"],
    }


def _quarantine(quarantined: list[tuple[str, str, str, str]], labels: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "unit": unit,
            "kind": kind_name,
            "label": labels[unit],
            "answer": (answer or "")[:2000],
            "remedy": "correct the mapping or the record, then plan and load again",
        }
        for unit, kind_name, answer, _ in quarantined
    ]


def _written(
    stage: Stage, begun: bool, identities: list[tuple[str, str, str, str | None, str, str]], aside: set[str]
) -> dict[tuple[str, str], int]:
    """Return how many records to create are created, pending or quarantined, by kind."""
    stage.run(
        "CREATE OR REPLACE TEMP TABLE known (kind VARCHAR, id VARCHAR, d VARCHAR, k VARCHAR, h VARCHAR, a VARCHAR)"
    )
    stage.insert("known", identities)
    stage.run("CREATE OR REPLACE TEMP TABLE aside (unit VARCHAR)")
    stage.insert("aside", [(unit,) for unit in sorted(aside)])
    pending = "'pending'" if begun else "'created'"
    return {
        (kind_name, column): int(count)
        for kind_name, column, count in stage.rows(
            "SELECT p.kind, CASE WHEN k.id IS NOT NULL THEN 'created' "
            "WHEN p.unit IN (SELECT unit FROM aside) THEN 'quarantined' "
            f"ELSE {pending} END, count(*) FROM plan.planned p LEFT JOIN known k ON k.kind = p.kind AND k.id = p.id "
            "WHERE p.action = 'create' AND NOT p.own GROUP BY ALL"
        )
    }


def _label(stage: Stage, steps: Steps, unit: str) -> str:
    as_kind, _, id = unit.partition(":")
    title = steps.project.source.connector.kinds.kinds[as_kind].label
    return (
        str(stage.one(f"SELECT {name(title)} FROM canonical.{name(as_kind)} WHERE id = ?", id) or "") if title else ""
    )


def _places(folder: Any, plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the places of the rewrite register, those that were left first."""
    found = (_read(folder / "rewrites.json") or []) if plan.get("rewrites") else []
    return sorted(found, key=lambda place: not place["why"])[:PLACES]


def _side(side: Side, plan: dict[str, Any], which: str) -> dict[str, str]:
    return {"vendor": side.account.vendor, "title": side.connector.manifest.title, "account": plan["account"][which]}


RULES = {
    "rules, macros, views and policies, each beside what becomes of it": (
        ("trigger", "automation", "macro", "view", "sla_policy"),
        "read customizations.html beside this page; `migrator activate` switches on what was written",
    ),
    "mail filters, each beside its Sieve": (
        ("mail_filter",),
        "read customizations.html beside this page; a script acts as soon as it is loaded",
    ),
}


def _todo(plan: dict[str, Any], quarantined: list[Any], coverage: dict[str, Any]) -> list[dict[str, Any]]:
    todo = [
        {
            "what": f"{d['kind'].replace('_', ' ')}: {d['reason']}",
            "count": d["count"],
            "how": "set up by hand at the destination",
        }
        for d in plan["dispositions"]
        if d["action"] == "manual"
    ]
    todo += [
        {
            "what": f"{d['kind'].replace('_', ' ')}: left for the cut-over",
            "count": d["count"],
            "how": "`migrator plan --cutover` when the time has come, then `migrator load --cutover`",
        }
        for d in plan["dispositions"]
        if d["reason"] == WAITS
    ]
    seats = sum(d["count"] for d in plan["dispositions"] if d["action"] == "stand_in")
    if seats:
        todo.append(
            {
                "what": "agents without a seat stand in as contacts",
                "count": seats,
                "how": "give them seats at the destination; their messages stay theirs",
            }
        )
    for what, (kinds, how) in RULES.items():
        if count := sum(plan["counts"].get(kind, 0) for kind in kinds):
            todo.append({"what": what, "count": count, "how": how})
    if quarantined:
        todo.append(
            {
                "what": "records the vendor refused lie in quarantine",
                "count": len(quarantined),
                "how": "read the vendor's answer below, correct, plan and load again",
            }
        )
    if coverage["uncovered"]:
        todo.append(
            {
                "what": "source fields no mapping speaks of",
                "count": len(coverage["uncovered"]),
                "how": "see the appendix; map or drop them in the overlay",
            }
        )
    for loss in plan["losses"]:
        if "by hand" in loss["because"]:
            todo.append(
                {
                    "what": f"{loss['kind'].replace('_', ' ')}, {loss['field']}: {loss['because']}",
                    "count": loss["count"],
                    "how": "at the destination",
                }
            )
    return todo


def _again(logins: int) -> list[dict[str, Any]]:
    how = "`migrator passport` names them; each sets one of his own, by the new host's way"
    return [{"what": "logins whose password is set again", "count": logins, "how": how}] if logins else []


def _verification(found: dict[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "at": found["at"],
        "records": found["records"],
        "equal": found["equal"],
        "missing": found["missing"],
        "count": found["discrepancies"],
        "discrepancies": found["differences"],
    }


def _read(path: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
