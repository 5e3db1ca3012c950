"""The tail: round after round of what still arrives at the old server, until it has been quiet for long enough.

Each round is a delta on terms that a person has read, like those of a move. How far it is is durable: a tail that was
ended goes on, and the quiet it has seen counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from migrator.accounts import LoadProgress, Progress, silent, silent_load
from migrator.control import holds
from migrator.cutover import ROUNDS, facts_of
from migrator.errors import InputError, MigratorError, PlanError
from migrator.move import agreed
from migrator.stage import Stage
from migrator.steps import Steps

FILE = "tail.json"


@dataclass(frozen=True)
class Round:
    """One look at the old server: when it began, how many records had arrived there, and what was refused of them."""

    at: datetime
    arrived: int
    quarantined: int = 0


@dataclass(frozen=True)
class Tail:
    """How far it is. ``quiet_since``: the last look that found something, or the first of all."""

    quiet_since: datetime
    closes: datetime
    rounds: int
    arrived: int
    quarantined: int
    closed: bool


def ttl_of(steps: Steps) -> int:
    """Return the longest TTL of an MX among the records, in seconds. Raises InputError where there is none."""
    try:
        with Stage(steps.workspace.stage) as stage:
            found = max(facts.mx_ttl for facts in facts_of(stage))
    except MigratorError:
        found = 0
    if not found:
        raise InputError("no MX is among the records, so its TTL is not known", remedy="say it with --ttl SECONDS")
    return found


@holds("tail")
def tail(
    steps: Steps,
    within: str,
    *,
    ttl_seconds: int,
    sleep: Callable[[float], None],
    rounds: int = ROUNDS,
    once: bool = False,
    reading: Progress = silent,
    loading: LoadProgress = silent_load,
    told: Callable[[Round], None] = lambda one: None,
) -> Tail:
    """Bring what arrives until ``rounds`` TTLs passed without any, looking once a TTL; ``once``: look once.

    ``within``: the plan whose terms hold. Raises PlanError where a round goes beyond them.
    """
    if ttl_seconds < 1 or rounds < 1:
        raise InputError("a TTL is a second at least, and a tail waits one of them at least")
    terms = agreed(steps, within)
    wait = steps.run.sleeper(sleep, "the next look at the old server") if steps.run else sleep
    file = steps.workspace.folder / FILE
    seen: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    while True:
        began = steps.clock()
        steps.extract(reading)
        plan = steps.plan(progress=reading)
        saved = steps.saved_plan()
        if beyond := terms.beyond(saved):
            raise PlanError(
                f"what arrived goes beyond what was agreed to: {'; '.join(beyond[:10])}; read the report and load plan "
                f"{plan.digest[:12]}, then go on within it"
            )
        quarantined = steps.load(plan.digest, accept_losses=True, progress=loading).quarantined if plan.units else 0
        arrived = sum(line["count"] for line in saved["dispositions"] if line["action"] == "create")
        one = Round(began, arrived, quarantined)
        told(one)
        since = began if arrived or not seen else datetime.fromisoformat(seen["quiet_since"])
        closes = since + timedelta(seconds=rounds * ttl_seconds)
        seen = {
            "quiet_since": since.isoformat(),
            "closes": closes.isoformat(),
            "rounds": seen.get("rounds", 0) + 1,
            "arrived": seen.get("arrived", 0) + arrived,
            "quarantined": quarantined,
            "closed": not arrived and began >= closes,
        }
        steps.workspace.write(FILE, seen)
        if seen["closed"] or once:
            counts = {name: seen[name] for name in ("rounds", "arrived", "quarantined", "closed")}
            return Tail(since, closes, **counts)
        wait(min(float(ttl_seconds), max(1.0, (closes - steps.clock()).total_seconds())))
