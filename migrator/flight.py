"""Jobs under way: calls a vendor only promised to carry out, asked for together and no oftener than is worth a call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from migrator.connector import Destination, Outcome, Unit
from migrator.errors import VendorError
from migrator.manifest import Jobs

FIRST = 1.6  # times the declared seconds, until it is known better: to ask too early costs a call


@dataclass
class _Job:
    units: list[Unit]
    lanes: list[Any]
    since: float


@dataclass
class Flight:
    """The jobs of one load. How long one takes is learned: longer when some were not finished, else a little less."""

    spec: Jobs | None
    destination: Destination
    sleep: Callable[[float], None]
    monotonic: Callable[[], float] = time.monotonic
    jobs: dict[str, _Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.takes = self.spec.seconds * FIRST if self.spec else 0.0

    def full(self, coming: int) -> bool:
        """Tell whether no more jobs may be begun, with ``coming`` calls that may become some."""
        return self.spec is not None and len(self.jobs) + coming >= self.spec.most

    def add(self, job: str, units: list[Unit], lanes: list[Any]) -> None:
        """Note a promise."""
        self.jobs[job] = _Job(units, lanes, self.monotonic())

    def land(self, *, wait: bool, more: bool = False) -> Iterator[tuple[list[Unit], list[Any], list[Outcome]]]:
        """Yield what became of jobs, if it is time to ask; ``wait`` lets that time come.

        While ``more`` jobs follow, it is time when as many are thought to be finished as are worth a call; else all.
        """
        if not self.jobs:
            return
        ages = sorted(job.since for job in self.jobs.values())
        enough = self.spec.enough if more and self.spec else len(ages)
        if len(ages) < enough and not wait:
            return
        worth = ages[min(enough, len(ages)) - 1] + self.takes
        now = self.monotonic()
        if now < worth:
            if not wait:
                return
            self.sleep(worth - now)
        yield from self._ask()

    def _ask(self) -> Iterator[tuple[list[Unit], list[Any], list[Outcome]]]:
        now = self.monotonic()
        found = self.destination.outcomes({name: job.units for name, job in self.jobs.items()})
        self._learn([(now - job.since, found.get(name, []) is None) for name, job in self.jobs.items()])
        for name in list(self.jobs):
            if name in found and found[name] is None:
                continue
            job = self.jobs.pop(name)
            yield job.units, job.lanes, found.get(name) or [None] * len(job.units)

    def _learn(self, asked: list[tuple[float, bool]]) -> None:
        """Reckon how long a job takes from (age, whether it is still under way): more, the more of the due ones are."""
        due = [late for age, late in asked if age >= self.takes]
        longest = max((age for age, late in asked if late), default=0.0)
        if longest > self.takes:
            self.takes = longest * max(1.1, 1 + sum(due) / len(due) / 2)
        elif not longest:
            self.takes = max(0.2, self.takes * 0.95)

    def outlast(self, job: str) -> None:
        """Wait until a job of an earlier run is finished, or forgotten."""
        for _ in range(1000):
            if self.destination.outcomes({job: []}).get(job, []) is not None:
                return
            self.sleep(max(1.0, self.takes / 4))
        raise VendorError(f"the job {job} does not come to an end; try again later")

    def calm(self, patience: int) -> None:
        """Wait until the account has no job under way, so that what is not found will not come any more."""
        for _ in range(patience):
            if not self.destination.jobs_open():
                return
            self.sleep(max(1.0, self.takes / 2))
        raise VendorError("the vendor's jobs do not come to an end; try again later")
