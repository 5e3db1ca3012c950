"""What every command shares: the app, its usual options, printing, progress, and the report's files."""

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


def say(text: str, *, err: bool = False) -> None:
    """Print a line."""
    typer.echo(text, err=err)


def show_json(data: Any) -> None:
    """Print data for a machine."""
    say(json.dumps(data, ensure_ascii=False, indent=1, default=str))


def opened(workspace: Path) -> Steps:
    """Return the steps of the workspace's migration."""
    from migrator.project import open_project
    from migrator.steps import Steps

    return Steps(open_project(workspace))


def console() -> Any:
    """Return a console for tables."""
    from rich.console import Console

    return Console(highlight=False)


class Bars:
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

    def __enter__(self) -> Bars:
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
                say(f"  {label} …", err=True)
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
                say(f"  {task.description}: {task.completed:,.0f}", err=True)


def write_report(steps: Steps) -> tuple[Path, dict[str, Any]]:
    """Write report.html and report.json; return the page's file and the data."""
    from migrator.report import html
    from migrator.summary import summarize

    data = summarize(steps)
    steps.workspace.folder.joinpath("report.json").write_text(
        json.dumps(data, ensure_ascii=False, indent=1, default=str), encoding="utf-8"
    )
    file = steps.workspace.folder / "report.html"
    file.write_text(html(data), encoding="utf-8")
    return file, data
