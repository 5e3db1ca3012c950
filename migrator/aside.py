"""The quarantine and the ways out of it: shown with remedies, planned again, or sent again as it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.accounts import Progress
from migrator.decide import WRITES
from migrator.documents import did_you_mean
from migrator.errors import InputError, MigratorError
from migrator.ledger import Ledger
from migrator.plan import Plan
from migrator.remedies import moved, remedy, status
from migrator.seals import shown_in
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.workspace import now

WRITTEN = ("create", "update", "delete")
Record = tuple[str, str]  # (kind, source id)


@dataclass(frozen=True)
class Aside:
    """A unit in quarantine: the vendor's answer, its HTTP status if it was asked at all, what was sent, what to do."""

    unit: str
    kind: str
    answer: str
    status: int | None
    payload: Any
    remedy: str


@dataclass(frozen=True)
class Again:
    """A plan that was made after a correction. ``again``: records that lay in quarantine and are written now;
    ``others``: records it writes besides, because the source changed or the last load did not come to them;
    ``impossible``: records that lay in quarantine and are still not written, each with its action and reason;
    ``left``: units that were not named, and stay in quarantine.
    """

    plan: Plan
    again: list[Record]
    others: list[Record]
    impossible: list[tuple[str, str, str, str]]
    left: int


def quarantined(steps: Steps) -> list[Aside]:
    """Return what the present plan's load put aside. Raises InputError where there is no plan."""
    digest = steps.saved_plan()["digest"]
    with Ledger(steps.workspace.ledger) as ledger:
        rows = ledger.quarantined(digest)
    return [
        Aside(
            unit,
            kind,
            answer or "",
            status(answer or ""),
            shown_in(json.loads(payload or "null")),
            remedy(answer or ""),
        )
        for unit, kind, answer, payload in rows
    ]


def changed(steps: Steps) -> bool:
    """Tell whether anything that a plan depends on is another than when the present plan was made."""
    plan = steps.saved_plan()
    made = steps.workspace.folder / "extract.json"
    at = json.loads(made.read_text(encoding="utf-8"))["at"] if made.is_file() else ""
    return bool(plan["files"] != steps.files() or at > plan["at"])


def same(steps: Steps, units: Sequence[str] = ()) -> list[str]:
    """Take units, and what hangs on them, out of quarantine as they are; return them. The plan stays the same."""
    digest = steps.saved_plan()["digest"]
    chosen = _chosen(steps, units)
    with Ledger(steps.workspace.ledger) as ledger:
        ledger.put_back(digest, chosen)
        ledger.note(digest, "retry", now(), f"{len(chosen)} units are to be sent again as they were")
    return chosen


def again(steps: Steps, units: Sequence[str] = (), *, progress: Progress = lambda stream, records: None) -> Again:
    """Plan what lies in quarantine again; units that are not named stay there. Writes nothing at the destination.

    Raises MigratorError where nothing changed that would make another plan.
    """
    chosen = set(_chosen(steps, units))
    if steps.saved_plan().get("undo"):
        raise MigratorError(
            "the plan that lies here takes records back: `migrator undo` plans that again, `migrator retry --same` "
            "sends the same again"
        )
    old = steps.saved_plan()["digest"]
    with Ledger(steps.workspace.ledger) as ledger:
        aside = ledger.quarantined(old)
    if not changed(steps) and not any(moved(answer or "") for unit, _, answer, _ in aside if unit in chosen):
        raise MigratorError(
            "neither the overlay, the policies nor the records changed since the plan was made, so it would be the "
            "same; correct one of them, or send the same again by `migrator retry --same` (after a right was "
            "granted, or the destination was changed)"
        )
    of_unit = _records(steps, [unit for unit, *_ in aside])
    plan = steps.plan(progress=progress, cutover=bool(steps.saved_plan().get("cutover")))
    wanted = {record for unit in chosen for record in of_unit.get(unit, [])}
    unnamed = {record for unit, *_ in aside if unit not in chosen for record in of_unit.get(unit, [])}
    with Stage(steps.workspace.stage) as stage:
        planned = stage.rows("SELECT kind, id, action, reason, unit FROM plan.planned WHERE NOT own")
    writes = [(kind, id, unit) for kind, id, action, _, unit in planned if action in WRITTEN]
    stay = {unit for kind, id, unit in writes if (kind, id) in unnamed}
    _keep_aside(steps, plan.digest, stay, aside)
    written = {(kind, id) for kind, id, _ in writes}
    return Again(
        plan,
        again=sorted(written & wanted),
        others=sorted(written - wanted - unnamed),
        impossible=sorted(
            (kind, id, action, reason or "")
            for kind, id, action, reason, _ in planned
            if (kind, id) in wanted - written and action not in ("keep", "merge", "stand_in")
        ),
        left=len(stay),
    )


def _chosen(steps: Steps, units: Sequence[str]) -> list[str]:
    """Return the quarantined units that are named, with those that hang on them; all where none is named."""
    digest = steps.saved_plan()["digest"]
    with Ledger(steps.workspace.ledger) as ledger:
        aside = [unit for unit, *_ in ledger.quarantined(digest)]
    if not aside:
        raise InputError("nothing lies in quarantine", remedy="`migrator status` tells what is left to do")
    for unit in units:
        if unit not in aside:
            raise InputError(
                f"'{unit}' is not in quarantine{did_you_mean(unit, aside)}", remedy="see `migrator quarantine`"
            )
    if not units:
        return aside
    with Stage(steps.workspace.stage) as stage:
        lanes = dict(stage.rows(f"SELECT unit, min(lane) FROM plan.planned WHERE action IN {WRITES} GROUP BY 1"))
    return [unit for unit in aside if unit in units or lanes.get(unit) in units]


def _records(steps: Steps, units: Iterable[str]) -> dict[str, list[Record]]:
    """Return the records of the present plan's units."""
    wanted, found = set(units), dict[str, list[Record]]()
    with Stage(steps.workspace.stage) as stage:
        for unit, kind, id in stage.rows(f"SELECT unit, kind, id FROM plan.planned WHERE action IN {WRITES}"):
            if unit in wanted:
                found.setdefault(unit, []).append((kind, id))
    return found


def _keep_aside(steps: Steps, digest: str, units: set[str], aside: list[tuple[str, str, str, str]]) -> None:
    """Leave units in quarantine under the new plan too, with what was said of them."""
    before = {unit: (kind, answer, payload) for unit, kind, answer, payload in aside}
    with Ledger(steps.workspace.ledger) as ledger:
        for unit in sorted(units):
            kind, answer, payload = before.get(
                unit, (unit.partition(":")[0], "not named when the rest was retried", "")
            )
            ledger.quarantine(digest, unit, kind, now(), answer, json.loads(payload) if payload else None)
