"""Faults and deaths in any mixture: whatever happened, in the end the account is as an undisturbed load leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from migrator.errors import MigratorError
from migrator.load import Loader
from migrator.testing.conformance import Run

HOWS = ("429", "500", "502", "503", "reset", "unanswered", "timeout", "truncated", "garbled")
WHICH = ("", "^POST ", "^PUT ", "^GET ")
Faults = Sequence[tuple[Any, int, str]]  # (how, at which call, among those that match)
Deaths = Sequence[tuple[str, int]]  # ("before" or "after", at which call)


class Killed(BaseException):
    """The process is dead: nothing of ours may catch this."""


def once(run: Run) -> bool:
    """Load as far as it goes; True where it came to its end. Raises AssertionError where a record was put aside."""
    connector, clock = run.suite.connector, run.ground.clock
    loader = Loader(
        run.stage, run.ledger, run.workspace, connector.kinds, connector.manifest, connector.mapping, run.destination,
        "conformance", workers=1, sleep=clock.sleep, now=clock.now, monotonic=clock.monotonic,
    )  # fmt: skip
    try:
        loaded = loader.load(run.plan.digest, {})
    except (MigratorError, Killed):
        return False
    assert loaded.quarantined == 0, run.ledger.quarantined()[:2]
    return True


def survives(calm: Run, wanted: dict[str, int], faults: Faults, deaths: Deaths) -> int:
    """Load the plan of ``calm`` into an empty account under these; return how many runs it took.

    Raises AssertionError where records are doubled, missing or other than predicted.
    """
    run = calm.again()
    for how, at, matching in faults:
        run.ground.fault(how, at=at, matching=matching)
    seen = {"before": 0, "after": 0}

    def watch(moment: str, name: str) -> None:
        seen[moment] += 1
        if (moment, seen[moment]) in deaths:
            raise Killed

    run.ground.watch(watch)
    most = len(faults) * 2 + len(deaths) + 3
    runs = next((attempt for attempt in range(1, most + 1) if once(run)), 0)
    assert runs, f"the load did not come to an end in {most} runs: {faults} {deaths}"
    run.ground.calm()
    assert run.held() == wanted, f"{run.held()} instead of {wanted}: {faults} {deaths}"
    verified, differences = run.verify()
    assert verified.proven, (differences[:3], faults, deaths)
    run.ledger.close()
    return runs
