"""What a plan has to know beside the source's records: what the destination holds, and what was written before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from migrator import orders
from migrator.accounts import Accounts, Progress, silent, silent_load
from migrator.connector import Native, Trying
from migrator.errors import PlanError
from migrator.extract import extract
from migrator.ledger import Ledger
from migrator.stage import Stage


@dataclass(frozen=True)
class Before:
    """What earlier loads wrote (``Ledger.identities``), which updates of the last plan (kind, id) were not carried out,
    and when something was written last.
    """

    identities: list[tuple[Any, ...]]
    undone: list[tuple[str, str]]
    written: str | None


def look_around(accounts: Accounts, progress: Progress = silent) -> None:
    """Read what the destination holds of the kinds that may be there already."""
    side, workspace = accounts.project.destination, accounts.workspace
    kinds = side.connector.kinds.kinds
    seen = {v.stream for variants in side.mapping.kinds.values() for v in variants if v.each}
    streams = [
        v.stream for k, variants in side.mapping.kinds.items() for v in variants if kinds[k].match or kinds[k].apart
    ]
    with Stage(workspace.stage) as stage:
        stage.schema("there", fresh=True)
    destination = accounts.destination()
    extract(
        destination,
        workspace,
        dataset="there",
        streams=list(dict.fromkeys(streams)),
        view=seen,
        progress=accounts.told(progress),
        sleep=destination.client.sleep,
        anew=True,
    )


def before(accounts: Accounts, *, offline: bool = False) -> Before:
    """Return what was written before. What the last load left in doubt is settled first.

    Raises PlanError where something is in doubt and nobody can be asked.
    """
    workspace = accounts.workspace
    with Ledger(workspace.ledger) as ledger, Stage(workspace.stage) as stage:
        old = workspace.saved_plan()["digest"] if workspace.plan.is_file() else ""
        for digest, planned in ((orders.apart(stage), orders.PLANNED), (old, "plan.planned")):
            if digest and ledger.in_doubt(digest):
                if offline:
                    raise PlanError(
                        "an earlier load left calls in doubt; look them up first: plan again without --offline"
                    )
                accounts.loader(stage, ledger, accounts.destination(), silent_load, planned).settle(digest)
        orders.let_go(stage)
        undone: list[tuple[str, str]] = []
        if old and "planned" in stage.tables_of("plan"):
            rows = stage.rows("SELECT kind, id, unit FROM plan.planned WHERE action = 'update'")
            undone = [(kind, id) for kind, id, unit in rows if ledger.state(old, unit) != "done"]
        return Before(ledger.identities(), undone, ledger.last_write())


def under_way(accounts: Accounts) -> Before:
    """Return what was written before and what is being written, as if it were; no update."""
    with Ledger(accounts.workspace.ledger) as ledger, Stage(accounts.workspace.stage) as stage:
        pending = orders.pending(stage)  # first: what is written meanwhile is in one of the two
        known = ledger.identities()
        here = {(kind, id) for kind, id, *_ in known}
        return Before(known + [one for one in pending if one[:2] not in here], [], ledger.last_write())


def looking(accounts: Accounts, stage: Stage) -> Callable[[str, str, Sequence[tuple[str, str | None]]], None]:
    """Return what brings records as the destination holds them now into ``seen``."""
    stage.schema("seen", fresh=True)
    destination = accounts.destination()

    def look(kind: str, variant: str, targets: Sequence[tuple[str, str | None]]) -> None:
        stream, records = destination.peek(kind, variant, targets)
        paths = destination.manifest.streams[stream].sealed
        bodies = [accounts.workspace.vault.sealed(r.body, paths) if paths else r.body for r in records]
        rows = [(r.id, r.parent, r.updated_at, body.decode()) for r, body in zip(records, bodies, strict=True)]
        stage.put("seen", stream, rows)

    return look


def complaint(accounts: Accounts) -> Callable[[str, Native], str | None] | None:
    """Return what asks the destination whether it would take a record, where it can tell."""
    destination = accounts.destination()
    return destination.complaint if isinstance(destination, Trying) else None
