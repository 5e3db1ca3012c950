"""The long sweep: a death before and after every call of a load, every fault at every call, and mixtures of both.

    python benchmarks/crashes.py [--vendors freshdesk zendesk] [--points 1000] [--seed 1]

Each point loads a made-up account into a new sandbox under its faults, goes on as often as it is cut off, then counts
and compares every record. Prints faults tried, records lost, records doubled.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from migrator.testing.chaos import HOWS, WHICH, Deaths, Faults, survives
from migrator.testing.conformance import Suite, begin

Point = tuple[str, Faults, Deaths]


def points(calls: int, seed: int) -> list[Point]:
    """Return every single death and fault, then endless mixtures, so that a cut-off list covers the systematic part."""
    single: list[Point] = [
        (f"killed {when} a call", [], [(when, at)]) for at in range(1, calls + 1) for when in ("before", "after")
    ]
    single += [(f"{how} at a call", [(how, at, "")], []) for at in range(1, calls + 1) for how in HOWS]
    chance = random.Random(seed)
    chance.shuffle(single)
    return single


def mixtures(calls: int, seed: int) -> itertools.chain[Point]:
    """Yield two to five faults with up to three deaths, without end."""
    chance = random.Random(seed)

    def one() -> Point:
        faults = [
            (chance.choice(HOWS), chance.randint(1, calls), chance.choice(WHICH)) for _ in range(chance.randint(2, 5))
        ]
        deaths = [(chance.choice(("before", "after")), chance.randint(1, calls)) for _ in range(chance.randint(0, 3))]
        return "several at once", faults, deaths

    return itertools.chain(iter(one, None))


def main() -> int:
    """Run the sweep and print its table; 1 where anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vendors", nargs="+", default=["freshdesk", "zendesk"])
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=6)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lines, wrong = [], []
    for vendor in options.vendors:
        with tempfile.TemporaryDirectory() as folder:
            calm = begin(Suite(vendor, records=options.records), Path(folder))
            calm.load()
            calls, wanted = len(calm.ground.methods()), calm.held()
            each = options.points // len(options.vendors)
            systematic = points(calls, options.seed)
            share = systematic[: each * 3 // 4]
            swept = [*share, *itertools.islice(mixtures(calls, options.seed), each - len(share))]
            tried: Counter[str] = Counter()
            runs, start = 0, time.monotonic()
            for name, faults, deaths in swept:
                tried[name] += 1
                try:
                    runs += survives(calm, wanted, faults, deaths)
                except AssertionError as err:
                    wrong.append(f"{vendor}, {name}: {err}")
            calm.close()
            took = time.monotonic() - start
            lines.append(
                {"vendor": vendor, "calls": calls, "points": len(swept), "runs": runs, "seconds": round(took)}
                | {"records": sum(wanted.values()), "tried": dict(tried), "wrong": len(wrong)}
            )
            print(f"{vendor}: {calls} calls a load, {len(swept)} points, {runs} runs, {took:.0f} s")
            for name, count in sorted(tried.items()):
                print(f"  {count:5} {name}")
    for line in wrong[:20]:
        print("WRONG", line[:600])
    print(f"records lost or doubled: in {len(wrong)} of {sum(int(line['points']) for line in lines)} points")
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
