"""Whose password goes along, who sets one again, and the links by which they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from migrator.cli.common import AsJson, Workspace, app, opened, say, show_json


@app.command()
def passport(
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
    links: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a link for each login that sets a password again.")
    ] = None,
    address: Annotated[str, typer.Option(metavar="URL", help="Where people reach --serve.")] = "",
    days: Annotated[int, typer.Option(help="How long links live.")] = 7,
    serve: Annotated[
        int | None, typer.Option(metavar="PORT", help="Serve the page behind the links, on this machine alone.")
    ] = None,
) -> None:
    """Tell whose password goes along as a hash, and who has to set one again (exit code 1)."""
    from migrator.passport import passport as found_in
    from migrator.stage import Stage

    steps = opened(workspace)
    steps.saved_plan()
    if serve is not None:
        _serve(steps, serve)
        return
    side = steps.project.destination
    with Stage(steps.workspace.stage) as stage:
        logins = list(found_in(stage, side.connector.kinds, side.connector.manifest))
    if links is not None:
        _link(steps, links, logins, address, days)
        return
    if as_json:
        show_json([vars(login) for login in logins])
    else:
        for one in logins:
            hashed = f" ({one.scheme})" if one.scheme else ""
            say(f"  {one.kind.replace('_', ' ')} {one.login}{hashed}: {one.verdict}; {one.why}")
        counts = Counter(one.verdict for one in logins)
        say(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "no login is planned")
    if any(one.verdict == "set again" for one in logins):
        raise typer.Exit(1)


def _link(steps: Any, file: Path, logins: Sequence[Any], address: str, days: int) -> None:
    """Write links into a new file."""
    from migrator.ledger import Ledger
    from migrator.links import Links, address_of, until, written

    where, expires = address_of(address), until(steps.clock(), days)
    with Ledger(steps.workspace.ledger) as ledger:
        made, without = written(
            file, Links(steps.workspace.folder), logins, ledger, steps.destination(), where, expires
        )
    say(f"{made:,} links in {file}, which only you can read: send each to its owner alone, then delete the file")
    if without:
        say(f"{without:,} logins have none: not loaded yet, or {steps.project.destination.account.vendor} sets none")
    say(f"next: `migrator passport --serve 8099`, behind a proxy with TLS at {where}")


def _serve(steps: Any, port: int) -> None:
    """Serve the page until interrupted."""
    from migrator.links import Door, Links, serving

    with serving(Door(Links(steps.workspace.folder), steps.destination(), steps.clock), port) as address:
        say(f"links are answered at {address}; end it with Ctrl-C")
        try:
            Event().wait()
        except KeyboardInterrupt:
            say("ended")
