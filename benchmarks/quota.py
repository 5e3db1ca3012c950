"""What share of a vendor's quota the pacer uses, and how many calls it gets refused. No network, no waiting.

Simulated vendors count calls as they arrive, simulated workers call through the real Pacer, one virtual clock runs.
"""

from __future__ import annotations

import heapq
import math
import random
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count, cycle, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrator.pacer import Call, Pacer

MINUTE = 60.0


@dataclass
class Rule:
    """A limit as the vendor keeps it; ``changes``: (moment, calls a minute) from then on."""

    per_minute: int
    matching: str = ""
    window: str = "sliding"
    begins: float = 0.0  # a fixed window: seconds after the full minute
    costs: dict[str, int] = field(default_factory=dict)
    changes: Sequence[tuple[float, int]] = ()
    taken: deque[tuple[float, int]] = field(default_factory=deque)
    used: int = 0

    def most(self, now: float) -> int:
        """Return the calls allowed a minute."""
        return next((most for at, most in reversed(self.changes) if at <= now), self.per_minute)

    def cost(self, name: str) -> int:
        """Return what a call takes."""
        return next((cost for pattern, cost in self.costs.items() if re.search(pattern, name)), 1)

    def left(self, now: float) -> int:
        """Return what is left at this moment."""
        start = now - MINUTE if self.window == "sliding" else math.floor((now - self.begins) / MINUTE) * MINUTE
        start += 0 if self.window == "sliding" else self.begins
        while self.taken and (self.taken[0][0] <= start if self.window == "sliding" else self.taken[0][0] < start):
            self.used -= self.taken.popleft()[1]
        return self.most(now) - self.used

    def wait(self, now: float, cost: int) -> float:
        """Return the seconds until so much is left."""
        if self.window == "fixed":
            return MINUTE - (now - self.begins) % MINUTE
        lacking = cost - self.left(now)
        for at, taken in self.taken:
            lacking -= taken
            if lacking <= 0:
                return at + MINUTE - now
        return MINUTE


@dataclass
class Vendor:
    """Refuses what does not fit (429 with ``Retry-After``), and tells its limits in headers."""

    rules: list[Rule]
    told_of: str = "account"
    tells: bool = True

    def call(self, name: str, now: float) -> tuple[int, dict[str, str]]:
        """Answer a call that arrives now: status and headers."""
        mine = [rule for rule in self.rules if re.search(rule.matching, name.partition("?")[0])]
        lacking = next((rule for rule in mine if rule.left(now) < rule.cost(name)), None)
        if lacking is None:
            for rule in mine:
                rule.taken.append((now, rule.cost(name)))
                rule.used += rule.cost(name)
        told = mine[0 if self.told_of == "account" else -1]
        headers = {
            "X-Total": f"{told.most(now)}.0",
            "X-Left": str(max(0, told.left(now))),
            "X-Used": str(mine[0].cost(name)),
            "X-Reset": str(math.ceil(MINUTE - (now - told.begins) % MINUTE)),
        }
        if lacking is not None:
            headers["Retry-After"] = str(math.ceil(lacking.wait(now, lacking.cost(name))))
        return (429 if lacking else 200), (headers if self.tells or lacking else {})


@dataclass
class Other:
    """One of the customer's own integrations: calls evenly (or, ``bursts``, so many at once) while it runs."""

    per_minute: float
    starts: float = 0.0
    stops: float = math.inf
    bursts: int = 1


@dataclass
class Outcome:
    """What happened after the warm-up: credits that fitted, that we used, and calls refused."""

    allowed: float
    used: float
    refused: int
    others_used: int = 0
    others_refused: int = 0
    longest_gap: float = 0.0
    by_worker: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Return the part of the allowed that was used."""
        return self.used / self.allowed if self.allowed else 1.0


@dataclass
class Scene:
    """A vendor, the workers, the way between them, and who else calls."""

    rules: list[Rule]
    workers: int = 8
    latency: tuple[float, float] = (0.1, 0.4)  # seconds, from and to, of a whole call
    names: Sequence[str] = ("GET /x",)
    others: Sequence[Other] = ()
    share: float = 1.0
    minutes: int = 12
    warm_up: int = 2
    told_of: str = "account"
    tells: bool = True
    declared: Sequence[Rule] | None = None  # what the manifest believes, where it is not what the vendor does
    seed: int = 1
    reset: bool = False
    start: float = 0.0
    surprises: int = 0  # changes that nobody can foresee: what is on the way then may be refused

    def pacer(self, clock: Callable[[], float]) -> Pacer:
        """Return a pacer as project.Side.open makes it."""
        from migrator.pacer import Limit, Pacer

        limits = [
            Limit(
                f"limit {at}",
                max(1, int(rule.per_minute * self.share)),
                rule.matching,
                rule.per_minute,
                rule.window,  # type: ignore[arg-type]
                rule.costs,
            )
            for at, rule in enumerate(self.declared or self.rules)
        ]
        return Pacer(
            limits,
            "X-Total",
            "X-Left",
            share=self.share,
            by_endpoint=self.told_of == "endpoint",
            monotonic=clock,
            used_header="X-Used",
            reset_header="X-Reset" if self.reset else None,
        )


def play(scene: Scene) -> Outcome:
    """Play a scene to its end; what the first limit allowed is compared with what we used of it."""
    return _Play(scene).run()


class _Play:
    def __init__(self, scene: Scene) -> None:
        self.scene, self.random = scene, random.Random(scene.seed)
        self.vendor = Vendor(scene.rules, scene.told_of, scene.tells)
        self.now, self.order = scene.start, count()
        self.pacer = scene.pacer(lambda: self.now)
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.begin = scene.start + scene.warm_up * MINUTE
        self.end = scene.start + scene.minutes * MINUTE
        self.outcome = Outcome(0, 0, 0, by_worker=[0] * scene.workers)

    def run(self) -> Outcome:
        names = cycle(self.scene.names)
        for worker in range(self.scene.workers):
            self.at(self.now, self.step(worker, iter(names)))
        for other in self.scene.others:
            self.at(max(self.now, self.scene.start + other.starts), lambda other=other: self.other(other))  # type: ignore[misc]
        while self.due and self.due[0][0] <= self.end:
            self.now, _, work = heapq.heappop(self.due)
            work()
        done = self.outcome
        first = self.scene.rules[0]
        marks = [self.begin, *(self.scene.start + at for at, _ in first.changes), self.end]
        marks = sorted(mark for mark in marks if self.begin <= mark <= self.end)
        spans = [(first.most(a), (b - a) / MINUTE) for a, b in pairwise(marks)]
        ours = sum(max(1, int(most * self.scene.share)) * minutes for most, minutes in spans)
        done.allowed = min(ours, sum(most * minutes for most, minutes in spans) - done.others_used)
        return done

    def at(self, moment: float, work: Callable[[], None]) -> None:
        heapq.heappush(self.due, (moment, next(self.order), work))

    def step(self, worker: int, names: Iterator[str]) -> Callable[[], None]:
        def begin() -> None:
            name = next(names)
            path, _, query = name.partition("?")
            go(name, self.pacer.waits(path, query), self.now)

        def go(name: str, waits: Generator[float, None, Call], since: float) -> None:
            try:
                seconds = next(waits)
            except StopIteration as done:
                if self.now >= self.begin:
                    self.outcome.longest_gap = max(self.outcome.longest_gap, self.now - since)
                send(name, done.value)
            else:
                self.at(self.now + seconds, lambda: go(name, waits, since))

        def send(name: str, call: Call) -> None:
            whole = self.random.uniform(*self.scene.latency)
            out = min(0.9, whole * self.random.uniform(0.1, 0.9))  # the way there; a slow call is slow at the vendor

            def arrive() -> None:
                status, headers = self.vendor.call(name, self.now)
                if self.now >= self.begin:
                    if status == 429:
                        self.outcome.refused += 1
                        self.outcome.times.append(self.now)
                    else:
                        self.outcome.used += self.vendor.rules[0].cost(name)
                        self.outcome.by_worker[worker] += 1
                self.at(self.now + whole - out, lambda: answer(status, headers))

            def answer(status: int, headers: dict[str, str]) -> None:
                self.pacer.observe(headers, name.partition("?")[0], call)
                if status == 429:
                    self.pacer.hold(self.pacer.retry_after(headers) or 1.0, call)
                begin()

            self.at(self.now + out, arrive)

        return begin

    def other(self, other: Other) -> None:
        if self.now > self.scene.start + other.stops:
            return
        for _ in range(other.bursts):
            status, _ = self.vendor.call("GET /x", self.now)
            if self.now >= self.begin:
                self.outcome.others_refused += status == 429
                self.outcome.others_used += status == 200
        self.at(self.now + other.bursts * MINUTE / other.per_minute, lambda: self.other(other))


LIST = "GET /tickets?include=requester"
BEGINS = 17.3  # seconds after our full minute at which a vendor begins to count anew
SCENES: dict[str, Callable[[], Scene]] = {
    "one limit, 400 a minute": lambda: Scene([Rule(400)]),
    "2,500 a minute, 32 workers": lambda: Scene([Rule(2500)], workers=32),
    "10 a minute, calls of 2 to 6 s": lambda: Scene([Rule(10)], workers=4, latency=(2.0, 6.0), minutes=32),
    "fixed window, taken for sliding": lambda: Scene([Rule(400, window="fixed", begins=BEGINS)], declared=[Rule(400)]),
    "fixed window, its end told": lambda: Scene([Rule(400, window="fixed", begins=BEGINS)], reset=True),
    "fixed window, its end found": lambda: Scene([Rule(400, window="fixed", begins=BEGINS)]),
    "account and two endpoints": lambda: Scene(
        [Rule(400), Rule(160, "^POST /tickets$"), Rule(100, "^GET /tickets$")],
        names=("POST /tickets", "GET /x", "GET /tickets", "GET /x", "GET /x"),
        workers=16,
        told_of="endpoint",
    ),
    "credits: 3 for a list": lambda: Scene([Rule(400, costs={"include=": 3})], names=(LIST, "GET /x", "GET /x")),
    "credits told by a header alone": lambda: Scene(
        [Rule(400, costs={"include=": 3})], names=(LIST, "GET /x"), declared=[Rule(400)]
    ),
    "share 0.75, others keep to theirs": lambda: Scene([Rule(400)], share=0.75, others=[Other(98)]),
    "share 0.75, another takes 160": lambda: Scene([Rule(400)], share=0.75, others=[Other(160)]),
    "share 1, another takes 120": lambda: Scene([Rule(400)], others=[Other(120)]),
    "share 1, another takes 120, fixed window": lambda: Scene(
        [Rule(400, window="fixed", begins=BEGINS)], others=[Other(120)], reset=True
    ),
    "another comes and goes, twice": lambda: Scene(
        [Rule(400)], others=[Other(150, 200, 380), Other(150, 500, 560)], minutes=14, surprises=2
    ),
    "the limit falls, then rises": lambda: Scene([Rule(400, changes=((0, 400), (180, 200), (420, 700)))], surprises=1),
}


def acquire_microseconds(calls: int = 20_000) -> float:
    """Return what acquire takes of the processor, with three limits and a free quota."""
    from migrator.pacer import Limit, Pacer

    limits = [Limit("account", 10**9), Limit("lists", 10**9, "^GET .*/tickets$"), Limit("one", 10**9, "/tickets/")]
    pacer = Pacer(limits)
    began = time.process_time()
    for _ in range(calls):
        pacer.acquire("GET /api/v2/tickets/12")
    return (time.process_time() - began) / calls * 1e6


def main() -> None:
    """Play every scene and print what came of it."""
    from _measure import Aim, parser, publish, table

    arguments = parser(__doc__).parse_args()
    played = {title: (scene := make(), play(scene)) for title, make in SCENES.items()}
    lines = [
        [
            title,
            f"{done.allowed:,.0f}",
            f"{done.used:,}",
            f"{done.share:.1%}",
            str(done.refused),
            f"{done.others_used:,} / {done.others_refused:,}" if scene.others else "",
            f"{min(done.by_worker)} to {max(done.by_worker)}",
        ]
        for title, (scene, done) in played.items()
    ]
    head = ["scene", "allowed", "used", "share", "429", "others: used / 429", "calls a worker"]
    least = min(done.share for _, done in played.values())
    avoidable = sum(done.refused for scene, done in played.values() if not scene.surprises)
    surprised = [(done.refused, scene.surprises * scene.workers) for scene, done in played.values() if scene.surprises]
    microseconds = min(acquire_microseconds() for _ in range(max(1, arguments.repeat)))
    aims = [
        Aim("share of the allowed calls that is used, least", "97.0 %", f"{least:.1%}", least >= 0.97),
        Aim("calls refused where nothing changes unforeseen", "0", str(avoidable), not avoidable),
        Aim(
            "calls refused by a surprise",
            "at most those on the way",
            ", ".join(f"{seen} of {most}" for seen, most in surprised),
            all(seen <= most for seen, most in surprised),
        ),
        Aim("acquire with three limits, CPU", "20 us", f"{microseconds:.1f} us", microseconds < 20),
    ]
    results = {title: asdict(done) | {"share": done.share} for title, (_, done) in played.items()}
    publish(arguments, "The quota", table(head, lines), aims, {"scenes": results})


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
