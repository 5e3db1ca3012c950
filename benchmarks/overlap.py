"""Reading, files and writing side by side (`migrator move`), against the slower of source and destination alone.

Two sandboxes, each a process of its own on loopback, with clocks ``--speed`` times as fast as real. The source's quota
is such that reading takes as long as writing, the hardest case: nothing hides behind anything. Files are fetched on the
same quota as records (Zendesk's own address, connector.yaml), so that the source alone is both, one after the other.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import _measure
from _measure import ROOT, Aim, publish, table, timed
from account import desk, project

ALONE = ("extract", "load")
MOST = 1.05  # times the slowest alone
SHARE = 0.43  # of Zendesk's 400 a minute: 1.2 calls a ticket take as long as five at Freshdesk's 700
WINDOW_SECONDS = 61
FILES = 5  # every so many tickets have a file


def work(which: str, folder: Path, speed: float, origin: float) -> dict[str, Any]:
    """Carry out one part alone, or all of it side by side."""
    sys.path.insert(0, str(ROOT))
    from _account_desk import Fast

    from migrator.move import move
    from migrator.project import open_project
    from migrator.steps import Steps

    clock = Fast(speed, origin)
    steps = Steps(open_project(folder), sleep=clock.sleep, monotonic=clock.monotonic)
    if which == "extract":
        done = steps.extract()
        return {"rows": done.rows["tickets"], "failed": done.bytes_failed}
    if which == "plan":
        return {"rows": steps.plan().units}
    if which == "load":
        done = steps.load(steps.saved_plan()["digest"], accept_losses=True)
        return {"rows": done.written, "quarantined": done.quarantined}
    if which == "terms":
        return {"rows": move(steps, None).plan.units}
    if which == "move":
        moved = move(steps, steps.saved_plan()["digest"], accept_losses=True)
        return {"rows": moved.written, "waves": moved.waves, "quarantined": moved.quarantined}
    verified, differences = steps.verify()
    return {"rows": verified.records, "proven": verified.proven, "some": differences[:3]}


def measured(parts: tuple[str, ...], tickets: int, speed: float, folder: Path) -> dict[str, _measure.Run]:
    """Carry out the parts one after another, from a new pair of accounts, each in a process of its own."""
    origin = time.monotonic() - 100
    with ExitStack() as stack:
        old = stack.enter_context(desk("zendesk", tickets, speed, origin, FILES))
        new = stack.enter_context(desk("freshdesk", 0, speed, origin))
        source = {"share": SHARE, "options": {"comments": "ticket"}}
        addresses = {"zendesk": old.address, "freshdesk": new.address}
        project(folder, addresses, "zendesk", "freshdesk", of_source=source)
        more = ("--folder", str(folder), "--speed", str(speed), "--origin", str(origin))
        found = {}
        for part in parts:
            if found:
                time.sleep(WINDOW_SECONDS / speed)  # each part begins with a quota that nobody has used
            found[part] = _measure.run(__file__, part, *more)
        return found


def main() -> None:
    """Measure and publish."""
    parser = _measure.parser(__doc__)
    parser.add_argument("--tickets", type=int, default=1000)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--origin", type=float, default=0.0)
    args = parser.parse_args()
    if args.contender:
        timed(lambda: work(args.contender, args.folder, args.speed, args.origin))
        return
    with tempfile.TemporaryDirectory() as folder:
        alone = measured(("extract", "plan", "load"), args.tickets, args.speed, Path(folder, "alone"))
        together = measured(("terms", "move", "verify"), args.tickets, args.speed, Path(folder, "together"))
    slowest = max(alone[part].seconds for part in ALONE)
    one_by_one = sum(run.seconds for run in alone.values())
    ratio = together["move"].seconds / slowest
    rows = [[part, f"{run.seconds:.1f} s", f"{run.rows:,}", f"{run.cpu:.1f} s"] for part, run in alone.items()]
    rows.append(["one after another", f"{one_by_one:.1f} s", "", ""])
    move = together["move"]
    rows.append(
        [f"side by side, {move.said['waves']} waves", f"{move.seconds:.1f} s", f"{move.rows:,}", f"{move.cpu:.1f} s"]
    )
    aims = [
        Aim("side by side against the slowest alone", f"at most {MOST}", f"{ratio:.3f}", ratio <= MOST),
        Aim("all of it as predicted", "yes", str(together["verify"].said["proven"]), together["verify"].said["proven"]),
    ]
    text = f"{args.tickets:,} tickets, {args.speed:g} times as fast as real\n\n"
    text += table(["part", "time", "rows or calls", "CPU"], rows)
    publish(args, "Reading, files and writing side by side", text, aims, {"alone": alone, "together": together})


if __name__ == "__main__":
    main()
