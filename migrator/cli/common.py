"""What every command shares: the app, its usual options, printing, progress, and the report's files."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from migrator.plan import Plan
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

    steps = Steps(open_project(workspace))
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda *_: _interrupted(steps))
    return steps


def _interrupted(steps: Steps) -> None:
    """Ctrl-C: once, the run finishes what is under way and ends; twice, it ends at once, which harms nothing."""
    run = steps.run
    if run is None:
        raise KeyboardInterrupt
    # Past Python's buffers: the signal may have come while they were being written.
    if not run.cancelled:
        run.cancel("Ctrl-C")
        os.write(2, b"\nstopping: what is under way is finished first; Ctrl-C again ends it at once\n")
        return
    shown_again = b"\x1b[?25h" if sys.stderr.isatty() else b""  # the cursor, which the bars hid
    os.write(2, shown_again + b"\nended at once; the same command goes on from here\n")
    os._exit(130)


def console() -> Any:
    """Return a console for tables."""
    from rich.console import Console

    return Console(highlight=False)


LINE_SECONDS = 60.0  # between two lines about one stream, where there is no terminal to draw bars on


class Bars:
    """Progress of a long run: a bar for each stream or kind, with rate, time left and what is being waited for."""

    def __init__(self, *, quiet: bool = False, waiting: Callable[[], str] = lambda: "") -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            SpinnerColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        bars = self

        class Now(ProgressColumn):
            """The rate, or what is waited for; asked for at every drawing, so that the seconds count down."""

            def render(self, task: Task) -> Text:
                return Text(bars.now(task.id, task.finished_speed or task.speed))

        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            Now(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(stderr=True),
            disable=quiet or not sys.stderr.isatty(),
            transient=False,
        )
        self.tasks: dict[str, Any] = {}
        self.said: dict[str, float] = {}
        self.last: Any = None
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

    def now(self, task: Any, speed: float | None) -> str:
        """Return what stands beside a bar: what the last one waits for, or its rate."""
        waits = self.waiting() if task == self.last else ""
        return f"waits for {waits}" if waits else f"{speed:,.0f}/s" if speed else ""

    def _update(self, label: str, done: int, total: int | None) -> None:
        if label not in self.tasks:
            self.tasks[label] = self.progress.add_task(label, total=total)
            self.said[label] = time.monotonic()
            if self.plain:
                say(f"  {label} …", err=True)
        self.last = self.tasks[label]
        self.progress.update(self.last, completed=done, total=total)
        if self.plain and time.monotonic() - self.said[label] >= LINE_SECONDS:
            self.said[label] = time.monotonic()
            task = self.progress.tasks[self.last]
            left = f", {task.time_remaining / 60:,.0f} min left" if task.time_remaining else ""
            say(
                f"  {label}: {done:,}{f' of {total:,}' if total else ''}, {self.now(self.last, task.speed)}{left}",
                err=True,
            )

    def end(self, message: str = "") -> None:
        """Mark streams of unknown length as finished."""
        for task in self.progress.tasks:
            if task.total is None:
                self.progress.update(task.id, total=task.completed)
            if self.plain:
                say(f"  {task.description}: {task.completed:,.0f}", err=True)


def show_plan(steps: Steps, made: Plan, *, as_json: bool) -> Path | None:
    """Write the report of a plan and print the plan; return the page's file, None where JSON was wanted."""
    file, data = write_report(steps)
    if as_json:
        show_json(made.as_json())
        return None
    from migrator.report import text

    text(data, console())
    return file


def write_report(steps: Steps) -> tuple[Path, dict[str, Any]]:
    """Write report.html and report.json; return the page's file and the data."""
    from migrator.report import html
    from migrator.seals import shown_in
    from migrator.summary import summarize

    data = shown_in(summarize(steps))
    steps.workspace.folder.joinpath("report.json").write_text(
        json.dumps(data, ensure_ascii=False, indent=1, default=str), encoding="utf-8"
    )
    write_customizations(steps)
    file = steps.workspace.folder / "report.html"
    file.write_text(html(data), encoding="utf-8")
    return file, data


def write_customizations(steps: Steps) -> Path | None:
    """Write the page about the account's rules or mail filters; None where it has none."""
    from migrator.customizations import of_account
    from migrator.mail_filters import of_mailboxes
    from migrator.report import rules_html

    source, destination = steps.project.source, steps.project.destination
    account = source.base_url()
    data = of_account(steps.workspace, source.connector, destination.connector, account)
    called = steps.project.migration.name if source.parts else account  # of several parts the addresses are many
    data = data or of_mailboxes(steps.workspace, source.connector, called)
    if data is None:
        return None
    file = steps.workspace.folder / "customizations.html"
    file.write_text(rules_html(data), encoding="utf-8")
    return file
