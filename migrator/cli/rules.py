"""Rules: those of an exported file beside what they would be at another vendor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migrator.cli.common import AsJson, Workspace, app, console, opened, say, show_json

if TYPE_CHECKING:
    from rich.text import Text

    from migrator.oracle import Asked

group = typer.Typer(
    help="Rules, macros, SLA policies and views of one vendor, explained in another's words.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="rules")

COLOURS = {"exact": "green", "equivalent": "green", "approximated": "yellow"}


@group.command()
def explain(
    file: Path,
    source: Annotated[str, typer.Option("--from", metavar="VENDOR", help="Whose rules the file holds.")],
    destination: Annotated[str, typer.Option("--to", metavar="VENDOR", help="In whose words to put them.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")] = Path("rules.html"),
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Count on its staged tickets.", show_default=False)
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option("--history", metavar="FILE", help="Replay it under both rule sets.", show_default=False),
    ] = None,
    drafts: Annotated[
        Path | None,
        typer.Option("--drafts", metavar="FOLDER", help="Where files for the new server go.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show each rule of a vendor's JSON export beside its translation, with a verdict, and write a page."""
    from migrator import customizations
    from migrator.report import rules_html

    data = customizations.explain(file, source, destination, workspace, history=history)
    output.write_text(rules_html(data), encoding="utf-8")
    if drafts is not None:
        drafts.mkdir(parents=True, exist_ok=True)
        for name, text in data["files"].items():
            (drafts / name).write_text(text, encoding="utf-8")
    if as_json:
        show_json({key: value for key, value in data.items() if key != "kinds"})
        return
    for rule in data["rules"]:
        _show(rule, data)
    if data["replayed"]:
        _say_replayed(data["replayed"])
    say(customizations.summary(data))
    if data["request"]:
        say(f"some rules cannot be read from {data['source']}; the page has a letter that asks for their export")
    for name in data["files"] if drafts is not None else ():
        say(f"for a person to put on {data['destination']}'s machine: {drafts / name}")
    if data["files"] and drafts is None:
        say(f"{len(data['files'])} files for {data['destination']}'s machine can be written: --drafts FOLDER")
    say(f"page: {output}")


@group.command()
def ask(workspace: Workspace = Path(), as_json: AsJson = False) -> None:
    """Ask the source itself which tickets its rules take, and hold that against our reading of them."""
    from migrator import oracle
    from migrator.errors import InputError
    from migrator.stage import Stage

    steps = opened(workspace)
    source = steps.project.source.connector
    if not steps.workspace.stage.is_file():
        raise InputError("nothing is staged", file=str(steps.workspace.stage), remedy="`migrator extract` first")
    with Stage(steps.workspace.stage, read_only=True) as stage:
        found = oracle.asked(stage, source, steps.source().client)
    if found is None:
        can = f"these can: {', '.join(oracle.able())}"
        raise InputError(f"{source.manifest.title} cannot be asked, or has no staged rules", remedy=can)
    if as_json:
        show_json([vars(one) for one in found])
    else:
        for one in found:
            _say_asked(one)
        say(oracle.summary(found))
    if not all(one.agrees for one in found):
        raise typer.Exit(1)


def _say_asked(one: Asked) -> None:
    """Print what came of a rule: that it was not asked, or the tickets on which the vendor and we differ."""
    from migrator.oracle import FEW
    from migrator.wording import clipped

    label = f"{one.kind} {clipped(one.name, 80)}"
    if one.why:
        say(f"  {label}: not asked; {clipped(one.why, 200)}")
    if one.kind == "macro" and one.missed:
        say(f"! {label}: by the vendor's word {', '.join(one.missed)}")
        return
    for what, some in (("only the vendor", one.missed), ("only our reading", one.extra)):
        if some:
            say(f"! {label}: {what} takes {len(some)} tickets: {', '.join(some[:FEW])}")


@group.command()
def demo(
    file: Path,
    source: Annotated[str, typer.Option("--from", metavar="VENDOR", help="Whose rules to invent.")] = "zendesk",
) -> None:
    """Write a file of invented rules, as the vendor would export them, to try `explain` on."""
    from importlib import import_module

    from migrator import registry
    from migrator.errors import InputError

    registry.dialect(source)
    try:
        made = import_module(f"{registry.dialects()[source]}.demo").export()
    except ModuleNotFoundError as err:
        raise InputError(f"no invented rules of {source}", remedy="zendesk has some") from err
    file.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    say(f"{sum(map(len, made.values()))} rules in {file}")


def _say_replayed(found: dict[str, Any]) -> None:
    """Print how tickets end under both rule sets."""
    from migrator.wording import clipped

    def shown(value: object) -> str:
        return clipped(str(value or "nothing"), 80)

    say(f"replayed: {found['updates']:,} updates of {found['tickets']:,} tickets; {found['differ']:,} end otherwise")
    if found["timed"]:
        say(f"  {len(found['timed']):,} of the rules run by the clock, up to the last update in the file")
    for rule in found["rules"]:
        if rule["missed"] or rule["extra"]:
            acts = (
                f"acts {rule['both']:,} times on both sides, {rule['missed']:,} only there, {rule['extra']:,} only here"
            )
            say(f"  {shown(rule['name'])}{'' if rule['carried'] else ' (not carried)'}: {acts}")
    for one in found["examples"]:
        for each in one["fields"]:
            sides = f"{shown(each['source'])} there, {shown(each['destination'])} here"
            say(f"  ticket {shown(one['ticket'])}: {shown(each['field'])} is {sides}")
    for one in found["left_out"]:
        say(f"  {shown(one['name'])} is not replayed: {clipped(one['why'], 200)}")


def _show(rule: dict[str, Any], data: dict[str, Any]) -> None:
    """Print one rule: the old on the left, the new on the right, then what is to be said about it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from migrator.wording import clipped

    def lines(some: list[tuple[int, str]]) -> Text:
        return Text("\n".join("  " * depth + clipped(text, 160) for depth, text in some))

    title = Text(f"{clipped(rule['name'], 80)}  ")
    title.append(rule["verdict"], style=COLOURS.get(rule["verdict"], "red"))
    if rule["obsolete"]:
        title.append(f"  obsolete: {rule['obsolete']}", style="dim")
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", expand=True, pad_edge=False)
    table.add_column(data["source"], ratio=1)
    table.add_column(data["destination"] if rule["written"] else f"{data['destination']} (a draft, not made)", ratio=1)
    right: list[tuple[int, str]] = []
    for one in rule["destination"]:
        right += ([(0, clipped(one["name"], 80))] if len(rule["destination"]) > 1 else []) + one["lines"]
    table.add_row(lines(rule["source"]), lines(right))
    out = console()
    out.print(table)
    for one in rule["findings"]:
        if one["verdict"] == "exact":
            continue
        said = f"  {one['verdict']}: {clipped(one['what'], 120)}: {one['note']}".rstrip(": ")
        out.print(Text(said, style="dim" if one["verdict"] == "equivalent" else COLOURS.get(one["verdict"], "red")))
    if rule["counted"]:
        found = rule["counted"]
        say(
            f"  on staged tickets: {found['source']:,} before, {found['destination']:,} after, "
            f"{found['false_negatives']:,} missed, {found['false_positives']:,} too many"
        )
    if rule["waits"]:
        say("  waits for a person: its condition is approximated, and what it does cannot be taken back")
