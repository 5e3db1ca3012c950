"""A project's two accounts: opened, within one run once, and steered by whoever holds the workspace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import requests

from migrator.control import Run
from migrator.delivery import Deliverer
from migrator.ledger import Ledger
from migrator.load import Loader
from migrator.project import Project, Side
from migrator.stage import Stage
from migrator.workspace import Workspace

A = TypeVar("A", bound="Accounts")
P = ParamSpec("P")
T = TypeVar("T")
Progress = Callable[[str, int], None]
LoadProgress = Callable[[str, int, int], None]


def silent(stream: str, records: int) -> None:
    """Show nothing."""


def silent_load(kind: str, done: int, total: int) -> None:
    """Show nothing."""


def keeps_stage(step: Callable[Concatenate[A, P], T]) -> Callable[Concatenate[A, P], T]:
    """Hold the stage, where there is one, as long as the step lasts: its parts would open it and write it out each."""

    @functools.wraps(step)
    def kept(self: A, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with Stage(self.workspace.stage) if self.workspace.stage.is_file() else nullcontext():
            return step(self, *args, **kwargs)

    return kept


@dataclass
class Accounts:
    """One project and the ways to its two accounts; tests hand in sessions that stay on this machine."""

    project: Project
    source_session: requests.Session | None = None
    destination_session: requests.Session | None = None
    sleep: Callable[[float], None] | None = None
    monotonic: Callable[[], float] | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    run: Run | None = None
    _opened: dict[str, Deliverer] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        """Return the workspace."""
        return self.project.workspace

    def addresses(self) -> dict[str, str]:
        """Return where the two are."""
        return {"source": self.project.source.base_url(), "destination": self.project.destination.base_url()}

    # ---- opened -----------------------------------------------------------------------------------------------------

    def source(self) -> Deliverer:
        """Open the source account."""
        return self._open("source", self.project.source, self.source_session)

    def destination(self) -> Deliverer:
        """Open the destination account."""
        return self._open("destination", self.project.destination, self.destination_session)

    def _open(self, which: str, side: Side, session: requests.Session | None) -> Deliverer:
        """Open an account; within one run once, because its quota is one."""
        account = self._opened.pop(which, None) if self.run else None
        if account is None:
            account = side.open(session=session, sleep=self.sleep, monotonic=self.monotonic, now=self.clock)
            return self.steered(which, account)
        self._opened[which] = account  # the last one, whose waits are shown
        return account

    def steered(self, which: str, account: Deliverer) -> Deliverer:
        """Let the run that holds the workspace stop the account's calls and waits, and show what it waits for."""
        if self.run:
            for client in (one.client for one in account.accounts()):
                client.pacer.cancelled, client.pacer.sleep = (
                    self.run.stops_reading,
                    self.run.sleeper(client.pacer.sleep),
                )
                client.sleep = self.run.sleeper(client.sleep, "the vendor")
        self._opened[which] = account
        return account

    def loader(
        self,
        stage: Stage,
        ledger: Ledger,
        destination: Deliverer,
        progress: LoadProgress,
        planned: str = "plan.planned",
    ) -> Loader:
        """Return what carries out the plan in the stage, or what was set apart of one."""
        side = self.project.destination
        sleep = self.sleep or destination.client.sleep
        more: dict[str, Any] = {"sleep": sleep}
        if self.run:
            more = {"sleep": self.run.sleeper(sleep, "the vendor's jobs and lists"), "gate": self.run.gate}
        return Loader(
            stage,
            ledger,
            self.workspace,
            side.connector.kinds,
            side.connector.manifest,
            side.mapping,
            destination,
            self.project.source.account.vendor,
            side.account.workers,
            self.told(progress),
            planned=planned,
            monotonic=destination.client.pacer.monotonic,
            now=destination.time,
            **more,
        )

    # ---- held, waited for, told -------------------------------------------------------------------------------------

    def begin(self, command: str) -> Run:
        """Hold the workspace: what ``holds`` asks for."""
        self._opened.clear()
        return Run(self.workspace.folder, command, self.waits)

    def waits(self) -> tuple[str, float | None]:
        """Return what is waited for, and how many seconds yet; empty where the run goes on."""
        own = self.run.waits if self.run else ("", None)
        accounts = list(self._opened.values())[-1].accounts() if self._opened else []
        pacers = [account.client.pacer for account in accounts]
        pacer = max(pacers, key=lambda p: (bool(p.waiting_for), p.held_until - p.monotonic()), default=None)
        if pacer is None or (own[0] and own[1] is None):
            return own
        if pacer.waiting_for:
            return pacer.waiting_for.rpartition(",")[0], pacer.waits_seconds()
        held = pacer.held_until - pacer.monotonic()
        return ("the vendor's pause", held) if own[0] and held > (own[1] or 0.0) else own

    def waiting(self) -> str:
        """Return in words what is waited for, with the seconds left; empty where the run goes on."""
        what, seconds = self.waits()
        return what if seconds is None else f"{what}, {seconds:.0f} s"

    def told(self, progress: Callable[P, None]) -> Callable[P, None]:
        """Return ``progress`` that tells other processes too."""

        def both(*args: P.args, **kwargs: P.kwargs) -> None:
            if self.run:
                self.run.note(*args, **kwargs)  # type: ignore[arg-type]
            progress(*args, **kwargs)

        return both
