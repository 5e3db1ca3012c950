"""After the first load: bringing over what changed since, and taking back what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrator.cli.common import AsJson, Bars, Workspace, app, opened, say, show_json, show_plan


@app.command()
def delta(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Extract what changed at the source since, and plan it: creates, updates and, by policy, deletions."""
    steps = opened(workspace)
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        steps.extract(bars.reading)
        made = steps.plan(progress=bars.reading)
        bars.end()
    report_file = show_plan(steps, made, as_json=as_json)
    if report_file is None:
        return
    for change in made.changes:
        kind, field = change.kind.replace("_", " "), change.field.replace("_", " ")
        say(f"  {kind} {field}: {change.count:,} changed at the source, {change.verdict}")
    if not made.units:
        say("\nnothing to write")
        return
    say(f"\nreport: {report_file}\nnext: read it, then `migrator load -w {workspace} --plan {made.digest[:12]}`")


@app.command()
def undo(
    workspace: Workspace = Path("."),
    plan_digest: Annotated[
        str, typer.Option("--plan", metavar="DIGEST", help="Carry out the removal you read and approve.")
    ] = "",
    last: Annotated[bool, typer.Option("--last", help="Take back only what the last load wrote.")] = False,
    touched: Annotated[bool, typer.Option("--touched", help="Remove also what people have changed since.")] = False,
    as_json: AsJson = False,
) -> None:
    """Plan the removal of what was written, and with --plan carry it out; what people have touched stays."""
    steps = opened(workspace)
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        if not plan_digest:
            made = steps.undo(last=last, touched=touched, progress=bars.reading)
            bars.end()
        else:
            loaded = steps.load(plan_digest, accept_losses=True, progress=bars.loading)
            verified, differences = steps.verify(progress=bars.reading)
            bars.end()
    if not plan_digest:
        if as_json:
            show_json(made.as_json())
            return
        for line in made.dispositions:
            does = {"delete": "removed", "update": "changed back"}.get(line.action, "stays")
            say(f"  {line.count:>8,} {line.kind.replace('_', ' ')} {does}: {line.reason}")
        say(f"{made.units:,} calls, about {made.calls.minutes:.0f} minutes")
        say(f"next: `migrator undo -w {workspace} --plan {made.digest[:12]}`" if made.units else "nothing to take back")
        return
    if as_json:
        show_json({"loaded": vars(loaded), "verified": vars(verified), "differences": differences})
    else:
        say(f"{verified.equal:,} of {verified.records:,} records are gone; {loaded.quarantined} calls were refused")
        for line in steps.saved_plan()["dispositions"]:
            if line["action"] == "keep":
                say(f"  left: {line['count']:,} {line['kind'].replace('_', ' ')}: {line['reason']}")
    if not (loaded.finished and verified.proven):
        raise typer.Exit(1)
