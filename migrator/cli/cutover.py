"""The calendar of a switch of name servers, and the tail of what arrives at the old servers after it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from migrator.cli.common import AsJson, Bars, Workspace, app, opened, say, show_json, write_report

group = typer.Typer(
    help="The switch of name servers: when it is safe, reckoned from the TTLs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="cutover")


@group.callback()
def cutover() -> None:
    """Reckon when a switch of name servers is safe, and bring what arrives late."""


@group.command()
def plan(
    workspace: Workspace = Path("."),
    low_ttl: Annotated[int, typer.Option(metavar="SECONDS", help="What TTLs are lowered to.")] = 300,
    parent: Annotated[
        str | None, typer.Option(metavar="SERVER", help="A name server of the zone above, to ask.")
    ] = None,
    locked_until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day of a registrar's lock.")
    ] = None,
    certificate_hours: Annotated[float, typer.Option(help="How long a new certificate takes.")] = 0,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with pictures too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Reckon when TTLs are to be lowered, when the switch is safe, and how long the tail lasts."""
    from migrator import cutover as reckoning
    from migrator.stage import Stage
    from migrator.zones.wire import delegated

    steps = opened(workspace)
    lock = locked_until.replace(tzinfo=UTC) if locked_until else None
    with Stage(steps.workspace.stage) as stage:
        seconds = round(certificate_hours * 3600)
        facts = reckoning.facts_of(stage, certificate_seconds=seconds, locked_until=lock)
    if parent:
        facts = [reckoning.told(one, *delegated(parent, one.zone)) for one in facts]
    now = datetime.now(UTC).replace(microsecond=0)
    calendars = [reckoning.calendar(one, now, low_ttl=low_ttl) for one in facts]
    if html:
        html.write_text(reckoning.as_html(calendars), encoding="utf-8")
    if as_json:
        show_json([one.as_json() for one in calendars])
    else:
        say(reckoning.as_text(calendars))


@group.command()
def tail(
    within: Annotated[str, typer.Option(metavar="DIGEST", help="The plan you have read: its terms hold.")],
    workspace: Workspace = Path("."),
    ttl: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="The old MX's TTL, where no zone is among the records.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="TTLs without an arrival after which the tail is over.")] = 2,
    once: Annotated[bool, typer.Option("--once", help="Look once, and tell how far it is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep bringing what arrives at the old servers, until it has been quiet there for so many TTLs."""
    import time

    from migrator.tail import Round, ttl_of
    from migrator.tail import tail as following

    steps = opened(workspace)
    with Bars(quiet=True, waiting=steps.waiting) as bars:

        def told(one: Round) -> None:
            if not as_json:
                say(f"{one.at:%Y-%m-%d %H:%M:%S}  {one.arrived:,} arrived, {one.quarantined} in quarantine")

        ended = following(
            steps, within, ttl_seconds=ttl or ttl_of(steps), sleep=time.sleep, rounds=rounds, once=once,
            reading=bars.reading, loading=bars.loading, told=told,
        )  # fmt: skip
    write_report(steps)
    if as_json:
        show_json(vars(ended))
    elif ended.closed:
        say(
            f"closed: nothing arrived since {ended.quiet_since:%Y-%m-%d %H:%M:%S} UTC; "
            f"next: `migrator verify -w {workspace}`"
        )
    else:
        say(f"open: closes at {ended.closes:%Y-%m-%d %H:%M:%S} UTC if nothing arrives until then")
    if ended.quarantined:
        raise typer.Exit(1)
