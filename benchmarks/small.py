"""What a small account costs in CPU: extract, plan, load and verify of a made-up help desk, in one process.

Zendesk's and Freshdesk's sandboxes answer in the same process, so their share is in the figures. Each run is a process
of its own that moves two accounts one after the other: *first* is what a command costs (imports, mappings compiled for
the first time), *again* what is left in a process that did the same before, as tests do.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from _measure import cpu_seconds, median, parser, publish, run, table, timed

STEPS = ("extract", "plan", "load", "verify")


def move(tickets: int, folder: Path) -> dict[str, float]:
    """Move an account; return the CPU seconds of each step. Raises RuntimeError where it is not proven."""
    from migrator import registry
    from migrator.project import open_project
    from migrator.steps import Steps
    from migrator.testing.sandbox import Clock, mount

    clock = Clock()
    old, new = (registry.connector(v).sandbox.create(clock=clock, limits=False) for v in ("zendesk", "freshdesk"))
    registry.connector("zendesk").part("demo").fill(old, tickets=tickets)
    sides: dict[str, Any] = {}
    for side, box in (("source", old), ("destination", new)):
        module = registry.connector(box.vendor).sandbox
        os.environ[f"BENCHMARK_{side.upper()}"] = module.TOKEN
        sides[side] = {"vendor": box.vendor, "url": box.base_url, "plan": "enterprise", "workers": 1}
        sides[side] |= {"secrets": {"token": f"env:BENCHMARK_{side.upper()}"}}
        sides[side] |= {"settings": {"user": module.EMAIL}} if hasattr(module, "EMAIL") else {}
    folder.mkdir()
    (folder / "migration.yaml").write_text(json.dumps({"name": "small", **sides, "thresholds": {"manual": 1.0}}))
    steps = Steps(
        open_project(folder), mount(old), mount(new), sleep=clock.sleep, monotonic=clock.monotonic, clock=clock.now
    )
    spent, used = {}, cpu_seconds()

    def took(step: str) -> None:
        nonlocal used
        spent[step], used = cpu_seconds() - used, cpu_seconds()

    steps.extract()
    took("extract")
    plan = steps.plan()
    took("plan")
    steps.load(plan.digest, accept_losses=True)
    took("load")
    verified, differences = steps.verify()
    took("verify")
    if not verified.proven:
        raise RuntimeError(f"not as predicted: {differences[:3]}")
    return spent


def work(tickets: int) -> dict[str, Any]:
    """Move two accounts one after the other."""
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as made:
        return {"rows": tickets, "first": move(tickets, Path(made) / "1"), "again": move(tickets, Path(made) / "2")}


def main(args: argparse.Namespace) -> None:
    """Measure each size and print."""
    lines, results = [], {}
    for tickets in args.tickets:
        runs = [run(__file__, "move", "--tickets", str(tickets)) for _ in range(args.repeat)]
        said = median(runs).said
        results[str(tickets)] = [one.said for one in runs]
        for which in ("first", "again"):
            spent = [said[which][step] for step in STEPS]
            own = sum(spent) - said[which]["load"]
            lines.append([f"{tickets:,}", which, *(f"{one:.2f}" for one in spent), f"{own:.2f}"])
    head = ["tickets", "in the process", *STEPS, "without load"]
    publish(args, "A small account, CPU seconds", table(head, lines), [], {"runs": results})


if __name__ == "__main__":
    known = parser(__doc__)
    known.add_argument("--tickets", type=int, nargs="+", default=[4, 200])
    given = known.parse_args()
    if given.contender:
        timed(lambda: work(given.tickets[0]))
    else:
        main(given)
