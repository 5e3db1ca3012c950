"""A plan's calls set apart from the plan, so that the next plan can be made while they are carried out.

A plan made meanwhile takes what is under way as written. It is not to be carried out before that has come to its end.
"""

from __future__ import annotations

from typing import Any

from migrator.decide import WRITES
from migrator.ledger import Ledger
from migrator.plan import PENDING
from migrator.stage import Stage

APART = "orders"  # the schema
PLANNED = f"{APART}.planned"


def set_apart(stage: Stage, digest: str) -> None:
    """Copy what the plan with this digest writes to where no later plan replaces it."""
    with stage.at_once():
        stage.schema(APART, fresh=True)
        stage.run(f"CREATE TABLE {PLANNED} AS SELECT * FROM plan.planned WHERE action IN {WRITES} OR action = 'merge'")
        stage.run(f"CREATE TABLE {APART}.plan (digest VARCHAR)")
        stage.insert(f"{APART}.plan", [[digest]])


def let_go(stage: Stage) -> None:
    """Drop what was set apart."""
    stage.run(f"DROP SCHEMA IF EXISTS {APART} CASCADE")


def apart(stage: Stage) -> str | None:
    """Return the digest of the plan whose calls are set apart, or None."""
    return stage.one(f"SELECT digest FROM {APART}.plan") if "plan" in stage.tables_of(APART) else None


def units(stage: Stage) -> int:
    """Return how many units were set apart."""
    return int(stage.one(f"SELECT count(DISTINCT unit) FROM {PLANNED} WHERE action IN {WRITES}"))


def over(ledger: Ledger, digest: str) -> int:
    """Return how many units of a plan are written or put aside."""
    tally = ledger.tally(digest)
    return int(tally.get("done", 0) + tally.get("quarantined", 0))


def creates_only(stage: Stage) -> bool:
    """Tell whether a plan may be made meanwhile: what changes or deletes is looked at anew by every plan."""
    return not stage.one(f"SELECT 1 FROM {PLANNED} WHERE action IN ('update', 'delete') LIMIT 1")


def pending(stage: Stage) -> list[tuple[Any, ...]]:
    """Return what is under way as if it were written: identities, their ids there yet unknown."""
    rows = stage.rows(f"SELECT kind, id, as_kind FROM {PLANNED} WHERE action = 'create'")
    return [(kind, id, PENDING, None, "created", as_kind) for kind, id, as_kind in rows]
