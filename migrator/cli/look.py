"""Looking: the report, how far it is, and things to try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from migrator.cli.common import AsJson, Bars, Workspace, app, console, opened, say, show_json, write_report


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
def status(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Tell how far the migration is; works while a load is running."""
    from collections import Counter

    from migrator.errors import InputError
    from migrator.ledger import Ledger
    from migrator.project import Workspace as Folder

    folder = Folder(workspace)
    if not folder.file.is_file():
        raise InputError("no such file", file=str(folder.file), remedy="`migrator init` writes one")
    made = json.loads(folder.plan.read_text(encoding="utf-8")) if folder.plan.is_file() else None
    states: Counter[str] = Counter()
    history: list[tuple[str, str, str, str]] = []
    if folder.ledger.is_file():
        with Ledger(folder.ledger) as ledger:
            states = Counter(ledger.states(made["digest"]).values()) if made else states
            history = ledger.history()
    found = {
        "extracted": folder.stage.is_file(),
        "plan": made["digest"] if made else None,
        "units": made["units"] if made else 0,
        "done": states["done"],
        "in_doubt": states["sent"],
        "quarantined": states["quarantined"],
        "history": [{"at": at, "command": command, "what": what} for _, command, at, what in history],
    }
    if as_json:
        show_json(found)
        return
    say(f"extracted: {'yes' if found['extracted'] else 'no'}")
    say(f"plan: {made['digest'][:12]}, {made['units']:,} calls" if made else "plan: none")
    if made:
        say(
            f"load: {states['done']:,} of {made['units']:,} done, {states['sent']} in doubt, "
            f"{states['quarantined']} in quarantine"
        )
    for _, command, at, what in history[-5:]:
        say(f"  {at}  {command}: {what}")


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
    as_json: AsJson = False,
) -> None:
    """Move a made-up help desk from a Zendesk sandbox to a Freshdesk sandbox, over HTTP, and prove it."""
    from migrator.demo import run

    with Bars(quiet=as_json) as bars:
        steps, loaded, verified, seconds = run(
            workspace,
            tickets,
            reading=bars.reading,
            loading=bars.loading,
            say=lambda text: bars.progress.console.print(text, markup=False) if not as_json else None,
        )
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
