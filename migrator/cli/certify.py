"""The acceptance certificate: made, checked, and the records it speaks of handed out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrator.cli.common import AsJson, Workspace, app, opened, say, show_json

group = typer.Typer(
    help="The acceptance certificate: signed, without a customer's text, and checked by anybody.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="certificate")


@group.command()
def make(
    workspace: Workspace = Path("."),
    key: Annotated[
        str | None, typer.Option(help="The key to sign with: env:NAME, keyring:SERVICE/USER or a PEM file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign what the verification found, as certificate.json; exit code 1 where not everything is proven."""
    from migrator import certificate

    made = certificate.make(opened(workspace), key)
    if made.new_key:
        say(f"a key was made: {made.new_key}; keep it to sign again, and show it nobody", err=as_json)
    if as_json:
        show_json(made.certificate)
    else:
        say(made.certificate["verdict"]["text"])
        say(f"certificate: {made.file}\npublic key: {made.certificate['public_key']}")
    if not made.proven:
        raise typer.Exit(1)


@group.command()
def check(
    file: Path,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="The folder to hold it against.", show_default=False)
    ] = None,
    public_key: Annotated[str | None, typer.Option(metavar="HEX", help="The key that must have signed it.")] = None,
    export: Annotated[Path | None, typer.Option(metavar="FILE", help="An export to hold it against.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove a certificate's signature, and that it is true of a workspace or an export; exit code 1 where not."""
    from migrator import certificate

    if workspace is None and export is None and Path("migration.yaml").is_file():
        workspace = Path(".")
    steps = opened(workspace) if workspace is not None else None
    found = certificate.check(file, steps=steps, export_file=export, public_key=public_key)
    if as_json:
        show_json(
            {
                "ok": not found.faults,
                "against": list(found.against),
                "faults": [vars(fault) for fault in found.faults],
                "verdict": found.certificate.get("verdict"),
            }
        )
    else:
        for fault in found.faults:
            say(f"  NO  {fault}")
        if not found.faults:
            held = f"true of {' and of '.join(found.against)}" if found.against else "held against no records"
            say(f"the signature holds; {held}\nit says: {found.certificate['verdict']['text']}")
            if not found.against:
                say("name -w or --export to hold it against records")
            if public_key is None:
                say(f"signed by the key {found.certificate['public_key']}; ask the signer whether it is his")
    if found.faults:
        raise typer.Exit(1)


@group.command()
def export(out: Path, workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Write what was read back as lines of JSON, for somebody who checks the certificate without the workspace."""
    from migrator.export import export as export_to

    counts = export_to(opened(workspace), out)
    if as_json:
        show_json({"file": str(out), "records": counts})
    else:
        say(f"{out}: {sum(counts.values()):,} records as they were read back; they are your customers' data")
