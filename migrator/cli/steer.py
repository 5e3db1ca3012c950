"""Steering: a run held, continued or ended from another terminal; what was refused looked at and tried again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migrator.cli.common import AsJson, Bars, Workspace, app, opened, say, show_json, write_report

if TYPE_CHECKING:
    from migrator.control import Seen, Wish

PATIENCE_SECONDS = 3.0  # to see a wish heeded; a longer call ends later, and is not waited for
SHOWN = 300  # characters of an answer or a payload


@app.command()
def pause(workspace: Workspace = Path(".")) -> None:
    """Let the run that holds the workspace finish its calls under way and wait; jobs at the vendor go on."""
    seen = _wished(workspace, "pause")
    done = "holds" if seen.beat.state == "paused" else "holds as soon as its calls under way are finished"
    say(f"{seen.beat.command} (pid {seen.beat.pid}) {done}; `migrator resume -w {workspace}` goes on")


@app.command()
def resume(workspace: Workspace = Path(".")) -> None:
    """Let a paused run go on."""
    from migrator import control
    from migrator.errors import MigratorError

    seen = control.look(workspace)
    if seen and seen.alive and not (seen.wish and seen.wish[0] == "pause"):
        raise MigratorError(f"{seen.beat.command} (pid {seen.beat.pid}) is not paused")
    seen = _wished(workspace, "resume")
    say(f"{seen.beat.command} (pid {seen.beat.pid}) goes on")


@app.command()
def cancel(workspace: Workspace = Path(".")) -> None:
    """End the run that holds the workspace once its calls under way are finished; its command goes on later."""
    seen = _wished(workspace, "cancel")
    done = "ends as soon as its calls under way are finished" if seen.alive else "has ended"
    say(f"{seen.beat.command} (pid {seen.beat.pid}) {done}; the same command goes on from there")


def _wished(workspace: Path, wish: Wish) -> Seen:
    """Leave a wish, and return the run as it is once it heeded it, or patience is over."""
    from migrator import control

    asked = seen = control.leave(workspace, wish)
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        seen = control.look(workspace) or seen
        heeded = {"pause": "paused", "resume": "running"}.get(wish)
        if not seen.alive or seen.beat.run != asked.beat.run or seen.beat.state == heeded:
            break
        time.sleep(0.1)
    return seen if seen.beat.run == asked.beat.run else asked


@app.command()
def quarantine(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """List what was refused: the vendor's answer, what was sent, and what to do about it."""
    from dataclasses import asdict

    from migrator.aside import quarantined

    found = quarantined(opened(workspace))
    if as_json:
        show_json([asdict(one) for one in found])
        return
    for one in found:
        say(one.unit)
        say(f"  answer: {_short(one.answer)}")
        say(f"  sent: {_short(json.dumps(one.payload, ensure_ascii=False))}")
        say(f"  remedy: {one.remedy}")
    say(f"{len(found):,} in quarantine" if found else "nothing lies in quarantine")


@app.command()
def retry(
    workspace: Workspace = Path("."),
    unit: Annotated[
        list[str] | None,
        typer.Option(help="Only this one, as `migrator quarantine` names it, and what hangs on it; may be repeated."),
    ] = None,
    same: Annotated[bool, typer.Option("--same", help="Send the same again: nothing but the vendor changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan what lies in quarantine again, after a correction; nothing is written before the digest is named."""
    from migrator import aside

    steps = opened(workspace)
    units = unit or []
    if same:
        digest, back = steps.saved_plan()["digest"], aside.same(steps, units)
        if as_json:
            show_json({"digest": digest, "units": back})
        else:
            say(f"{len(back):,} taken out of quarantine, to be sent as before")
            say(f"next: `migrator load -w {workspace} --plan {digest[:12]}`")
        return
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        made = aside.again(steps, units, progress=bars.reading)
        bars.end()
    report_file, _ = write_report(steps)
    if as_json:
        show_json(
            {
                "digest": made.plan.digest,
                "again": made.again,
                "others": made.others,
                "impossible": made.impossible,
                "left": made.left,
            }
        )
    else:
        _say_again(made)
        say(f"report: {report_file}\nnext: read it, then `migrator load -w {workspace} --plan {made.plan.digest[:12]}`")
    if made.impossible:
        raise typer.Exit(1)


def _say_again(made: Any) -> None:
    say(f"plan {made.plan.digest[:12]}: {len(made.again):,} records out of quarantine are written")
    if made.others:
        say(f"  and {len(made.others):,} others: the source changed, or the last load did not come to them")
    if made.left:
        say(f"  {made.left:,} calls were not named and stay in quarantine")
    for kind, id, action, reason in made.impossible[:20]:
        say(f"  still not written: {kind} {id} ({action}: {reason})")
    if len(made.impossible) > 20:
        say(f"  and {len(made.impossible) - 20:,} more, in the report")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else text[:SHOWN] + " …"
