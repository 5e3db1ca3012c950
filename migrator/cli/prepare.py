"""Before anything moves: a workspace, the vendors, what they can keep, and whether they let us in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from migrator.cli.common import AsJson, Workspace, app, console, opened, say, show_json


@app.command()
def init(
    workspace: Annotated[Path, typer.Argument(help="The folder to make.")] = Path("."),
    source: Annotated[str, typer.Option(help="The vendor to leave.")] = "zendesk",
    destination: Annotated[str, typer.Option(help="The vendor to go to.")] = "freshdesk",
) -> None:
    """Write a commented migration.yaml to fill in."""
    from migrator.errors import InputError
    from migrator.starter import starter

    file = workspace / "migration.yaml"
    if file.exists():
        raise InputError("exists already", file=str(file), remedy="edit it, or choose another folder")
    text = starter(workspace.resolve().name, source, destination)
    workspace.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    say(f"{file} written: fill in the two accounts, then `migrator check -w {workspace}`")


@app.command()
def connectors(as_json: AsJson = False) -> None:
    """List the vendors, and what each can be."""
    from migrator import registry

    found: list[dict[str, Any]] = []
    for vendor in registry.vendors():
        one = registry.connector(vendor)
        roles = ["source"] + ["destination"] * bool(one.manifest.writes)
        found.append({"vendor": vendor, "title": one.manifest.title, "roles": roles, "kinds": list(one.mapping.kinds)})
    if as_json:
        show_json(found)
        return
    from rich.table import Table

    table = Table("vendor", "name", "as", "kinds", box=None, header_style="bold")
    for line in found:
        table.add_row(
            line["vendor"],
            line["title"],
            ", ".join(line["roles"]),
            ", ".join(k.replace("_", " ") for k in line["kinds"]),
        )
    console().print(table)


@app.command()
def compare(
    source: str,
    destination: str,
    channel: Annotated[list[str] | None, typer.Option(help="A channel of the destination, beside its API.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what cannot arrive, from the files alone, before any login."""
    from dataclasses import asdict

    from migrator import registry
    from migrator.compare import compare as compared

    one, other = registry.connector(source), registry.connector(destination).through(channel or ())
    lines = compared(one, other)
    if as_json:
        show_json(
            {
                "source": source,
                "destination": destination,
                "lines": [asdict(line) for line in lines],
                "unread": one.manifest.unread,
            }
        )
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "kind",
        "field",
        "verdict",
        "why",
        box=None,
        header_style="bold",
        title=f"{one.manifest.title} to {other.manifest.title}",
    )
    colours = {"arrives": "green", "changes": "yellow", "lost": "red", "by hand": "magenta"}
    for line in lines:
        table.add_row(
            line.kind.replace("_", " "), line.field or "(all)", Text(line.verdict, colours[line.verdict]), line.because
        )
    out = console()
    out.print(table)
    for what, why in one.manifest.unread.items():
        out.print(f"not read: {what} ({why})", style="dim", markup=False)


@app.command()
def check(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Try the credentials and the rights of both accounts, and show the quota their plans declare."""
    steps = opened(workspace)
    found = {"source": steps.source().check(), "destination": steps.destination().check()}
    if as_json:
        show_json({side: [vars(finding) for finding in findings] for side, findings in found.items()})
    else:
        for side, findings in found.items():
            account = getattr(steps.project, side).account
            quota = getattr(steps.project, side).connector.manifest.quota
            chosen = account.plan or quota.default_plan
            say(f"{side}: {account.vendor}, plan {chosen}")
            for rule in quota.rules:
                say(f"      {rule.name}: {account.per_minute or rule.per_minute[chosen]:,} calls a minute")
            for finding in findings:
                say(f"  {'ok ' if finding.ok else 'NO '} {finding.what}: {finding.detail}")
    if not all(findings[0].ok for findings in found.values()):
        raise typer.Exit(3)
    if not all(finding.ok for findings in found.values() for finding in findings):
        raise typer.Exit(1)
