"""The steps of a migration, one command each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from migrator.cli.common import AsJson, Bars, Workspace, app, opened, say, show_json, show_plan, write_report


@app.command()
def extract(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Bring the source's records and files into the workspace; a killed extract goes on where it was."""
    steps = opened(workspace)
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        brought = steps.extract(bars.reading)
        bars.end()
    if as_json:
        show_json({"rows": dict(brought.rows), "counted": dict(brought.counted)})
        return
    say(
        f"{sum(brought.rows.values()):,} records staged in {steps.workspace.stage}; "
        f"next: `migrator plan -w {workspace}`"
    )
    if brought.mended:
        say(f"{brought.mended:,} answers held half an emoji, or what is no text at all; U+FFFD stands in its place")
    if brought.bytes_failed:
        say(f"{brought.bytes_failed:,} files could not be fetched; the plan names them")


@app.command()
def plan(
    workspace: Workspace = Path("."),
    offline: Annotated[bool, typer.Option(help="Do not look at the destination: match nothing.")] = False,
    sample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Plan for so many tickets only, and whom they need.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Plan for tickets made on this day or later: 2024-01-31.")
    ] = None,
    cutover: Annotated[
        bool, typer.Option("--cutover", help="Plan what is live at once (mail routing, a switch), and nothing else.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide every write and every loss, and sign them with a digest. Nothing is written anywhere."""
    steps = opened(workspace)
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        made = steps.plan(offline=offline, sample=sample, since=since, progress=bars.reading, cutover=cutover)
        bars.end()
    report_file = show_plan(steps, made, as_json=as_json)
    if report_file is None:
        return
    carry_out = f"migrator load -w {workspace} --plan {made.digest[:12]}{' --cutover' * cutover}"
    say(f"\nreport: {report_file}\nnext: read it, then `{carry_out}`")


@app.command()
def rehearse(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Carry the plan out in a local sandbox of the destination and verify it there: the dry run."""
    steps = opened(workspace)
    from migrator.rehearsal import rehearse as rehearse_in_sandbox

    with Bars(quiet=as_json) as bars:
        loaded, verified, differences = rehearse_in_sandbox(steps, progress=bars.loading, reading=bars.reading)
        bars.end()
    if as_json:
        show_json({"loaded": vars(loaded), "verified": vars(verified), "differences": differences})
    else:
        say(
            f"rehearsed: {loaded.written:,} calls, {loaded.quarantined} refused, "
            f"{verified.equal:,} of {verified.records:,} records as predicted"
        )
        _differences(differences)
    if not (loaded.finished and verified.proven):
        raise typer.Exit(1)


@app.command()
def load(
    plan_digest: Annotated[
        str, typer.Option("--plan", metavar="DIGEST", help="The plan you read and approve (12 characters are enough).")
    ],
    workspace: Workspace = Path("."),
    accept_losses: Annotated[bool, typer.Option(help="Load although more is lost than migration.yaml allows.")] = False,
    cutover: Annotated[
        bool, typer.Option("--cutover", help="It is the plan that writes what is live at once.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Carry out one approved plan. Stopped or killed, the same command goes on; nothing is written twice."""
    steps = opened(workspace)
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        loaded = steps.load(plan_digest, accept_losses=accept_losses, cutover=cutover, progress=bars.loading)
    report_file, _ = write_report(steps)
    if as_json:
        show_json(vars(loaded))
    else:
        say(
            f"{loaded.written:,} calls carried out, {loaded.before:,} before; {loaded.settled} in doubt looked up; "
            f"{loaded.quarantined} in quarantine"
        )
        say(f"report: {report_file}\nnext: `migrator verify -w {workspace}`")
    if not loaded.finished:
        raise typer.Exit(1)


@app.command()
def move(
    within: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="A plan you have read: what it loses may be lost, and nothing else."),
    ] = None,
    workspace: Workspace = Path("."),
    accept_losses: Annotated[bool, typer.Option(help="Move although more is lost than migration.yaml allows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Extract, fetch files and load side by side, in waves; without --within, plan what arrives first, to be read."""
    from migrator.move import move as moving

    steps = opened(workspace)
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        moved = moving(steps, within, accept_losses=accept_losses, reading=bars.reading, loading=bars.loading)
        bars.end()
    if within is None:
        if show_plan(steps, moved.plan, as_json=as_json):
            say(
                "\nthis is a plan of what arrived first; nothing was written"
                f"\nnext: read it, then `migrator move -w {workspace} --within {moved.plan.digest[:12]}`"
            )
        return
    report_file, _ = write_report(steps)
    if as_json:
        show_json({"waves": moved.waves, "written": moved.written, "quarantined": moved.quarantined})
    else:
        say(
            f"{moved.written:,} calls carried out in {moved.waves} waves; {moved.settled} in doubt looked up; "
            f"{moved.quarantined} in quarantine"
        )
        say(f"report: {report_file}\nnext: `migrator verify -w {workspace}`")
    if moved.quarantined:
        raise typer.Exit(1)


@app.command()
def verify(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Read the destination back and compare every record with the prediction; exit code 1 where any differs."""
    steps = opened(workspace)
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        verified, differences = steps.verify(progress=bars.reading)
        bars.end()
    report_file, _ = write_report(steps)
    if as_json:
        show_json({**vars(verified), "differences": differences})
    else:
        say(
            f"{verified.equal:,} of {verified.records:,} records read back as predicted; "
            f"{verified.missing} missing, {verified.pending} not written yet"
        )
        _differences(differences)
        say(f"report: {report_file}")
    if not verified.proven:
        raise typer.Exit(1)


@app.command()
def activate(
    plan_digest: Annotated[
        str, typer.Option("--plan", metavar="DIGEST", help="The plan whose rules may act now; without it, a list.")
    ] = "",
    workspace: Workspace = Path("."),
    as_json: AsJson = False,
) -> None:
    """Switch on, after `verify`, the rules that were written and acted at the source; without --plan, list them."""
    from migrator.customizations import enter_again

    steps = opened(workspace)
    secrets = enter_again(steps.workspace, steps.project.source.connector.manifest)
    if not plan_digest:
        plan, records = steps.due()
        if as_json:
            show_json({"due": [vars(record) for record in records], "secrets": secrets})
            return
        for record in records:
            say(f"  {record.as_kind.replace('_', ' ')} {record.there}: {record.label}")
        _secrets(secrets)
        next_one = f"`migrator activate -w {workspace} --plan {plan['digest'][:12]}`"
        say(f"{len(records)} wait to be switched on; next: {next_one}")
        return
    with Bars(quiet=as_json, waiting=steps.waiting) as bars:
        done = steps.activate(plan_digest, progress=bars.loading)
    if as_json:
        refused = [{**vars(record), "answer": answer} for record, answer in done.refused]
        show_json({"on": done.on, "refused": refused, "secrets": secrets})
    else:
        say(f"{done.on} switched on, {done.before} are on in all")
        for record, answer in done.refused:
            say(f"  {record.as_kind.replace('_', ' ')} {record.there} ({record.label}): {answer}")
        _secrets(secrets)
    if done.refused:
        raise typer.Exit(1)


def _secrets(secrets: list[dict[str, Any]]) -> None:
    for one in secrets:
        say(f"  enter again: {', '.join(one['places'])} of {one['stream'].replace('_', ' ')} {one['label']}")


def _differences(differences: list[dict[str, Any]]) -> None:
    for line in differences[:20]:
        say(
            f"  {line['kind']} {line['id']} {line['field']}: expected {line['expected']!r:.120}, "
            f"found {line['found']!r:.120}"
        )
    if len(differences) > 20:
        say(f"  and {len(differences) - 20:,} more, in the report")
