"""Looking: the report, how far it is, and things to try."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migrator.cli.common import AsJson, Bars, Workspace, app, console, opened, say, show_json, write_report

if TYPE_CHECKING:
    from migrator.ledger import Ledger
    from migrator.workspace import Workspace as Folder

WATCH_SECONDS = 1.0


@app.command()
def report(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Write report.html (one file, nothing from outside) and report.json."""
    steps = opened(workspace)
    file, data = write_report(steps)
    if as_json:
        show_json(data)
        return
    say(f"report: {file}")


@app.command()
def status(
    workspace: Workspace = Path("."),
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every second, until the run ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell how far the migration is, and the run that is under way."""
    from migrator.errors import InputError
    from migrator.ledger import Ledger
    from migrator.workspace import Workspace as Folder

    folder = Folder(workspace)
    if not folder.file.is_file():
        raise InputError("no such file", file=str(folder.file), remedy="`migrator init` writes one")
    with ExitStack() as stack:
        ledger = None
        while True:
            if ledger is None and folder.ledger.is_file():
                ledger = stack.enter_context(Ledger(folder.ledger))
            found = _status(folder, ledger)
            if as_json:
                say(json.dumps(found, ensure_ascii=False, default=str)) if watch else show_json(found)
            else:
                _say_status(found, workspace, anew=watch and sys.stdout.isatty())
            if not (watch and found["run"] and found["run"]["alive"]):
                return
            time.sleep(WATCH_SECONDS)


def _status(folder: Folder, ledger: Ledger | None) -> dict[str, Any]:
    """Return everything `status` knows."""
    from dataclasses import asdict

    from migrator.control import look

    made = json.loads(folder.plan.read_text(encoding="utf-8")) if folder.plan.is_file() else None
    tally = ledger.tally(made["digest"]) if ledger and made else {}
    history = ledger.history() if ledger else []
    seen = look(folder.folder)
    units, done, aside = made["units"] if made else 0, tally.get("done", 0), tally.get("quarantined", 0)
    run: dict[str, Any] | None = None
    if seen:
        left = seen.left_seconds
        if left is not None and seen.beat.command in ("load", "undo") and seen.beat.rate:
            left = max(0, units - done - aside) / seen.beat.rate  # to the end of the plan, not of the kind
        wish = dict(zip(("wish", "at", "by"), seen.wish, strict=True)) if seen.wish else None
        run = {**asdict(seen.beat), "alive": seen.alive, "died": seen.died, "left_seconds": left, "wish": wish}
    return {
        "extracted": folder.stage.is_file(),
        "plan": made["digest"] if made else None,
        "units": units,
        "done": done,
        "in_doubt": tally.get("sent", 0),
        "jobs": tally.get("jobs", 0),
        "quarantined": aside,
        "switched_off": ledger.switched() is not None if ledger else False,
        "run": run,
        "history": [{"at": at, "command": command, "what": what} for _, command, at, what in history],
    }


def _say_status(found: dict[str, Any], workspace: Path, *, anew: bool) -> None:
    if anew:
        say("\x1b[H\x1b[2J", err=False)
    run = found["run"]
    alive = bool(run and run["alive"])
    say(f"extracted: {'yes' if found['extracted'] else 'no'}")
    say(f"plan: {found['plan'][:12]}, {found['units']:,} calls" if found["plan"] else "plan: none")
    if found["plan"]:
        doubt = "under way" if alive and run["command"] == "load" else "in doubt"
        jobs = f" (jobs of the vendor: {found['jobs']})" if found["jobs"] else ""
        say(
            f"load: {found['done']:,} of {found['units']:,} done, {found['in_doubt']} {doubt}{jobs}, "
            f"{found['quarantined']} in quarantine"
        )
    if found["switched_off"] and not alive:
        say(f"the destination's automations are still off: `migrator verify -w {workspace}` puts them back")
    if run:
        for line in _run_lines(run, workspace):
            say(line)
    for line in found["history"][-5:]:
        say(f"  {line['at']}  {line['command']}: {line['what']}")


def _run_lines(run: dict[str, Any], workspace: Path) -> Iterator[str]:
    """Yield what is said of the run that is under way, or of the last one."""
    if run["died"]:
        yield f"{run['command']} ended without a word at {run['beat']}; the same command goes on"
        return
    if not run["alive"]:
        if run["state"] != "done":
            yield f"{run['command']} {run['state']} at {run['beat']}: {run['message']}"
        return
    yield f"running: {run['command']}, pid {run['pid']}, since {run['began']}; last heartbeat {run['beat']}"
    if run["phase"]:
        total = f" of {run['total']:,}" if run["total"] is not None else ""
        rate = f", {run['rate']:,.1f}/s" if run["rate"] is not None else ""
        left = f", {_span(run['left_seconds'])} left" if run["left_seconds"] is not None else ""
        yield f"  {run['phase'].replace('_', ' ')}: {run['done']:,}{total}{rate}{left}"
    wish = run["wish"] or {}
    if wish.get("wish") == "pause":
        is_it = "paused" if run["state"] == "paused" else "to be paused"
        yield f"  {is_it} by pid {wish['by']} at {wish['at']}; `migrator resume -w {workspace}` goes on"
    elif wish.get("wish") == "cancel":
        yield f"  to end, by pid {wish['by']} at {wish['at']}"
    elif run["waits"]:
        yield f"  waits for {run['waits']}" + (f", until {run['until']}" if run["until"] else "")


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@app.command()
def sandbox(
    vendor: str,
    port: Annotated[int, typer.Option(help="The port on this machine.")] = 8080,
    demo_data: Annotated[bool, typer.Option("--demo-data", help="Fill it with a made-up help desk.")] = False,
) -> None:
    """Serve a local twin of a vendor's API, to try things on."""
    from migrator.sandboxes import serve_forever

    serve_forever(vendor, port, demo_data=demo_data, say=say)


@app.command()
def demo(
    workspace: Workspace = Path("demo-workspace"),
    tickets: Annotated[int, typer.Option(help="How many tickets to make up.")] = 240,
    hosting: Annotated[
        bool, typer.Option("--hosting", help="Move a hosting account between true servers instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Move a made-up help desk from a Zendesk sandbox to a Freshdesk sandbox, over HTTP, and prove it."""
    from migrator.demo import run, run_hosting

    with Bars(quiet=as_json) as bars:

        def told(text: str) -> None:
            if not as_json:
                bars.progress.console.print(text, markup=False)

        if hosting:
            done = run_hosting(workspace, reading=bars.reading, loading=bars.loading, say=told)
        else:
            done = run(workspace, tickets, reading=bars.reading, loading=bars.loading, say=told)
        steps, loaded, verified, seconds = done
        bars.end()
    file, data = write_report(steps)
    if as_json:
        show_json({"loaded": vars(loaded), "verified": vars(verified), "seconds": seconds, "report": str(file)})
    else:
        from migrator.report import text

        text(data, console())
        say(f"\nmoved and verified in {seconds:.0f} s; the report, for people: {file}")
    if not verified.proven:
        raise typer.Exit(1)
