"""The commands: the only place that prints. Heavy modules are imported inside, so that ``--help`` answers at once.

Exit codes: 0 done · 1 something needs a person (differences, quarantine, a right is missing) · 2 wrong file or option ·
3 credentials · 4 the plan was refused · 5 the vendor is out of reach · 6 the extract is incomplete · 7 the workspace.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from migrator.steps import Steps

app = typer.Typer(
    help="Moves a company's help desk from one vendor to another: "
    "every write planned, every loss named, all read back.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 needs a person, 2 wrong input, 3 credentials, 4 plan refused, 5 vendor unreachable, "
    "6 extract incomplete, 7 workspace unusable.",
)

Workspace = Annotated[Path, typer.Option("--workspace", "-w", help="The folder with migration.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


def main() -> None:
    """Run the command line; an error of ours becomes one line and its exit code."""
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        _say("stopped; the same command goes on from here", err=True)
        raise SystemExit(130) from None
    except Exception as err:
        from migrator.errors import MigratorError

        if not isinstance(err, MigratorError):
            raise
        _say(f"error: {err}", err=True)
        raise SystemExit(err.exit_code) from None


def _say(text: str, *, err: bool = False) -> None:
    typer.echo(text, err=err)


def _json(data: Any) -> None:
    _say(json.dumps(data, ensure_ascii=False, indent=1, default=str))


def _steps(workspace: Path) -> Steps:
    from migrator.project import open_project
    from migrator.steps import Steps

    return Steps(open_project(workspace))


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


class _Bars:
    """Progress of a long run: a bar for each stream or kind, with rate, time left and what is being waited for."""

    def __init__(self, *, quiet: bool = False, waiting: Callable[[], str] = lambda: "") -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(stderr=True),
            disable=quiet or not sys.stderr.isatty(),
            transient=False,
        )
        self.tasks: dict[str, Any] = {}
        self.plain = not quiet and not sys.stderr.isatty()
        self.waiting = waiting

    def __enter__(self) -> _Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def reading(self, stream: str, records: int) -> None:
        """Show records read so far; how many there will be is not known."""
        self._update(stream.replace("_", " "), records, None)

    def loading(self, kind: str, done: int, total: int) -> None:
        """Show units written of all."""
        self._update(kind.replace("_", " "), done, total)

    def _update(self, label: str, done: int, total: int | None) -> None:
        if label not in self.tasks:
            self.tasks[label] = self.progress.add_task(label, total=total, rate="")
            if self.plain:
                _say(f"  {label} …", err=True)
        task = self.progress.tasks[self.tasks[label]]
        waits = self.waiting()
        rate = f"waits for {waits}" if waits else f"{task.speed:,.0f}/s" if task.speed else ""
        self.progress.update(self.tasks[label], completed=done, total=total, rate=rate)

    def end(self, message: str = "") -> None:
        """Mark streams of unknown length as finished."""
        for task in self.progress.tasks:
            if task.total is None:
                self.progress.update(task.id, total=task.completed)
            if self.plain:
                _say(f"  {task.description}: {task.completed:,.0f}", err=True)


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
    _say(f"{file} written: fill in the two accounts, then `migrator check -w {workspace}`")


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
        _json(found)
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
    _console().print(table)


@app.command()
def compare(source: str, destination: str, as_json: AsJson = False) -> None:
    """Show what cannot arrive, from the files alone, before any login."""
    from dataclasses import asdict

    from migrator import registry
    from migrator.compare import compare as compared

    one, other = registry.connector(source), registry.connector(destination)
    lines = compared(one, other)
    if as_json:
        _json(
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
    console = _console()
    console.print(table)
    for what, why in one.manifest.unread.items():
        console.print(f"not read: {what} ({why})", style="dim", markup=False)


@app.command()
def check(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Try the credentials and the rights of both accounts, and show the quota their plans declare."""
    steps = _steps(workspace)
    found = {"source": steps.source().check(), "destination": steps.destination().check()}
    if as_json:
        _json({side: [vars(finding) for finding in findings] for side, findings in found.items()})
    else:
        for side, findings in found.items():
            account = getattr(steps.project, side).account
            quota = getattr(steps.project, side).connector.manifest.quota
            chosen = account.plan or quota.default_plan
            _say(f"{side}: {account.vendor}, plan {chosen}")
            for rule in quota.rules:
                _say(f"      {rule.name}: {account.per_minute or rule.per_minute[chosen]:,} calls a minute")
            for finding in findings:
                _say(f"  {'ok ' if finding.ok else 'NO '} {finding.what}: {finding.detail}")
    if not all(findings[0].ok for findings in found.values()):
        raise typer.Exit(3)
    if not all(finding.ok for findings in found.values() for finding in findings):
        raise typer.Exit(1)


@app.command()
def extract(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Bring the source's records and files into the workspace; a killed extract goes on where it was."""
    steps = _steps(workspace)
    with _Bars(quiet=as_json, waiting=steps.waiting) as bars:
        brought = steps.extract(bars.reading)
        bars.end()
    if as_json:
        _json({"rows": dict(brought.rows), "counted": dict(brought.counted)})
        return
    _say(
        f"{sum(brought.rows.values()):,} records staged in {steps.workspace.stage}; "
        f"next: `migrator plan -w {workspace}`"
    )
    if brought.bytes_failed:
        _say(f"{brought.bytes_failed:,} files could not be fetched; the plan names them")


@app.command()
def plan(
    workspace: Workspace = Path("."),
    offline: Annotated[bool, typer.Option(help="Do not look at the destination: match nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide every write and every loss, and sign them with a digest. Nothing is written anywhere."""
    steps = _steps(workspace)
    with _Bars(quiet=as_json, waiting=steps.waiting) as bars:
        made = steps.plan(offline=offline, progress=bars.reading)
        bars.end()
    report_file, data = _report(steps)
    if as_json:
        _json(made.as_json())
        return
    from migrator.report import text

    text(data, _console())
    _say(f"\nreport: {report_file}\nnext: read it, then `migrator load -w {workspace} --plan {made.digest[:12]}`")


@app.command()
def rehearse(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Carry the plan out in a local sandbox of the destination and verify it there: the dry run."""
    steps = _steps(workspace)
    with _Bars(quiet=as_json) as bars:
        loaded, verified, differences = steps.rehearse(progress=bars.loading, reading=bars.reading)
        bars.end()
    if as_json:
        _json({"loaded": vars(loaded), "verified": vars(verified), "differences": differences})
    else:
        _say(
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
    as_json: AsJson = False,
) -> None:
    """Carry out one approved plan. Stopped or killed, the same command goes on; nothing is written twice."""
    steps = _steps(workspace)
    with _Bars(quiet=as_json, waiting=steps.waiting) as bars:
        loaded = steps.load(plan_digest, accept_losses=accept_losses, progress=bars.loading)
    report_file, _ = _report(steps)
    if as_json:
        _json(vars(loaded))
    else:
        _say(
            f"{loaded.written:,} calls carried out, {loaded.before:,} before; {loaded.settled} in doubt looked up; "
            f"{loaded.quarantined} in quarantine"
        )
        _say(f"report: {report_file}\nnext: `migrator verify -w {workspace}`")
    if not loaded.finished:
        raise typer.Exit(1)


@app.command()
def verify(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Read the destination back and compare every record with the prediction; exit code 1 where any differs."""
    steps = _steps(workspace)
    with _Bars(quiet=as_json, waiting=steps.waiting) as bars:
        verified, differences = steps.verify(progress=bars.reading)
        bars.end()
    report_file, _ = _report(steps)
    if as_json:
        _json({**vars(verified), "differences": differences})
    else:
        _say(
            f"{verified.equal:,} of {verified.records:,} records read back as predicted; "
            f"{verified.missing} missing, {verified.pending} not written yet"
        )
        _differences(differences)
        _say(f"report: {report_file}")
    if not verified.proven:
        raise typer.Exit(1)


def _differences(differences: list[dict[str, Any]]) -> None:
    for line in differences[:20]:
        _say(
            f"  {line['kind']} {line['id']} {line['field']}: expected {line['expected']!r:.120}, "
            f"found {line['found']!r:.120}"
        )
    if len(differences) > 20:
        _say(f"  and {len(differences) - 20:,} more, in the report")


def _report(steps: Steps) -> tuple[Path, dict[str, Any]]:
    from migrator.report import html
    from migrator.summary import summarize

    data = summarize(steps)
    steps.workspace.folder.joinpath("report.json").write_text(
        json.dumps(data, ensure_ascii=False, indent=1, default=str), encoding="utf-8"
    )
    file = steps.workspace.folder / "report.html"
    file.write_text(html(data), encoding="utf-8")
    return file, data


@app.command()
def report(workspace: Workspace = Path("."), as_json: AsJson = False) -> None:
    """Write report.html (one file, nothing from outside) and report.json."""
    steps = _steps(workspace)
    file, data = _report(steps)
    if as_json:
        _json(data)
        return
    _say(f"report: {file}")


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
        _json(found)
        return
    _say(f"extracted: {'yes' if found['extracted'] else 'no'}")
    _say(f"plan: {made['digest'][:12]}, {made['units']:,} calls" if made else "plan: none")
    if made:
        _say(
            f"load: {states['done']:,} of {made['units']:,} done, {states['sent']} in doubt, "
            f"{states['quarantined']} in quarantine"
        )
    for _, command, at, what in history[-5:]:
        _say(f"  {at}  {command}: {what}")


@app.command()
def sandbox(
    vendor: str,
    port: Annotated[int, typer.Option(help="The port on this machine.")] = 8080,
    demo_data: Annotated[bool, typer.Option("--demo-data", help="Fill it with a made-up help desk.")] = False,
) -> None:
    """Serve a local twin of a vendor's API, to try things on."""
    from migrator.sandboxes import serve_forever

    serve_forever(vendor, port, demo_data=demo_data, say=_say)


@app.command()
def demo(
    workspace: Workspace = Path("demo-workspace"),
    tickets: Annotated[int, typer.Option(help="How many tickets to make up.")] = 240,
    as_json: AsJson = False,
) -> None:
    """Move a made-up help desk from a Zendesk sandbox to a Freshdesk sandbox, over HTTP, and prove it."""
    from migrator.demo import run

    with _Bars(quiet=as_json) as bars:
        steps, loaded, verified, seconds = run(
            workspace,
            tickets,
            reading=bars.reading,
            loading=bars.loading,
            say=lambda text: bars.progress.console.print(text, markup=False) if not as_json else None,
        )
        bars.end()
    file, data = _report(steps)
    if as_json:
        _json({"loaded": vars(loaded), "verified": vars(verified), "seconds": seconds, "report": str(file)})
    else:
        from migrator.report import text

        text(data, _console())
        _say(f"\nmoved and verified in {seconds:.0f} s; the report, for people: {file}")
    if not verified.proven:
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
