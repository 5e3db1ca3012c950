"""Whose password goes along, and who sets one again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import typer

from migrator.cli.common import AsJson, Workspace, app, opened, say, show_json


@app.command()
def passport(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Tell whose password goes along as a hash, and who has to set one again (exit code 1)."""
    from migrator.passport import passport as found_in
    from migrator.stage import Stage

    steps = opened(workspace)
    steps.saved_plan()
    side = steps.project.destination
    with Stage(steps.workspace.stage) as stage:
        logins = list(found_in(stage, side.connector.kinds, side.connector.manifest))
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
