"""Planning tickets: the SQL that mappings compile to, the same written by hand, and a loop over pydantic.

A million staged tickets of about 2 KB, shaped like Zendesk's, become canonical records, their references are
resolved, the payloads for Freshdesk are made, and what will be read back is predicted. Two value maps have 50
entries each. The hand-written SQL makes the same tables; their hashes must be equal. The loop makes the same records
and throws them away.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import _measure
from _measure import Aim, Run, median, publish, run, scaled, table, timed
from _planning_desk import prepare

TITLES = {
    "compiled": "migrator: the mapping, compiled",
    "by_hand": "SQL by hand",
    "loop": "a loop: pydantic in, dicts, pydantic out, orjson",
    "whole": "migrator: the whole plan (`Planner.make`: decisions, losses and digest too)",
}
# Each is imported by its own process alone.
CONTENDERS = {
    "compiled": "_planning_ours",
    "by_hand": "_planning_by_hand",
    "loop": "_planning_loop",
    "whole": "_planning_ours",
}


def once(contender: str, desk: Path, made: dict[str, Any]) -> Run:
    """Run a contender on a copy of the desk; what it makes must be what another made of it before."""
    with tempfile.TemporaryDirectory(prefix="migrator-bench-", dir=desk.parent) as folder:
        shutil.copy(desk, folder)
        os.sync()  # or the contender would wait for the copy to be written
        measured = run(__file__, contender, "--folder", folder)
        said = Path(folder) / "made.json"
        found = json.loads(said.read_text(encoding="utf-8")) if said.is_file() else {}
    for what, digest in found.items():
        if made.setdefault(what, digest) != digest:
            raise RuntimeError(f"{contender} made another {what}: {digest} and not {made[what]}")
    return measured


def line(contender: str, one: Run, ours: Run) -> list[str]:
    """Return a contender's line of the table."""
    steps = ", ".join(f"{step} {cpu:.1f}" for step, (_, cpu) in one.said.get("steps", {}).items())
    return [
        TITLES[contender],
        f"{one.rows / one.seconds:,.0f}",
        f"{one.seconds:.1f}",
        f"{one.seconds / ours.seconds:.2f}x",
        f"{one.work_cpu:.1f}",
        f"{one.work_cpu / ours.work_cpu:.2f}x",
        f"{one.rss_mb:,.0f}",
        steps,
    ]


def desk(folder: Path, count: int, people: int) -> Path:
    """Stage the tickets in a process of its own, so that its memory is not counted with anybody's."""
    folder.mkdir(parents=True, exist_ok=True)
    run(__file__, "prepare", "--folder", str(folder), "--tickets", str(count), "--people", str(people))
    return folder / "desk.duckdb"


def contend(args: argparse.Namespace) -> None:
    """Be the contender that the parent asked for."""
    if args.contender == "prepare":
        prepare(args.folder, args.tickets, args.people)
        timed(lambda: {"rows": args.tickets})
    else:
        getattr(import_module(CONTENDERS[args.contender]), args.contender)(args.folder)


def main() -> None:
    """Measure every contender."""
    parser = _measure.parser(__doc__)
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument(
        "--loop-tickets", type=int, default=50_000, help="tickets for the loop, whose time is then scaled by row"
    )
    parser.add_argument("--people", type=int, default=200_000, help="contacts")
    parser.add_argument("--no-whole", action="store_true", help="leave out the whole plan")
    args = parser.parse_args()
    if args.contender:
        contend(args)
        return
    runs: dict[str, list[Run]] = {"compiled": [], "by_hand": [], "loop": [], "whole": []}
    made: dict[str, dict[str, Any]] = {"big": {}, "small": {}}
    fewer = min(args.loop_tickets, args.tickets)
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder:
        big = desk(Path(folder) / "big", args.tickets, args.people)
        small = desk(Path(folder) / "small", fewer, args.people)
        once("by_hand", small, made["small"])  # not measured: so that the loop's payloads have something to be equal to
        for _ in range(args.repeat):
            for contender in ("compiled", "by_hand"):
                runs[contender].append(once(contender, big, made["big"]))
            runs["loop"].append(once("loop", small, made["small"]))
        if not args.no_whole:
            runs["whole"].append(once("whole", big, {}))
    figures = {contender: median(some) for contender, some in runs.items() if some}
    ours, hand = figures["compiled"], figures["by_hand"]
    figures["loop"] = scaled(figures["loop"], args.tickets)
    lines = [line(contender, one, ours) for contender, one in figures.items()]
    head = ["contender", "rows/s", "seconds", "to ours", "CPU s", "CPU to ours", "peak MB", "CPU s by step"]
    slower, faster = ours.seconds / hand.seconds, figures["loop"].seconds / ours.seconds
    most = max(one.rss_mb for one in [ours, *runs["whole"]])
    aims = [
        Aim(
            "compiled against SQL by hand",
            "<= 1.5x",
            f"{slower:.2f}x ({ours.work_cpu / hand.work_cpu:.2f}x CPU)",
            slower <= 1.5,
        ),
        Aim("compiled against the loop", ">= 10x faster", f"{faster:.1f}x", faster >= 10),
        Aim("peak memory of ours (DuckDB's limit is 2 GB)", "< 2,500 MB", f"{most:,.0f} MB", most < 2500),
    ]
    title = (
        f"Planning {args.tickets:,} tickets (median of {args.repeat}, after the imports; "
        f"the loop scaled by row from {fewer:,}; "
        "the first two make equal tables, the loop payloads of equal size)"
    )
    publish(args, title, table(head, lines), aims, {"runs": runs, "made": made["big"]})


if __name__ == "__main__":
    main()
