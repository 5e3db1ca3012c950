"""The dry run of everything: a plan carried out in a local sandbox of its destination, and read back from there."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from typing import Any

from migrator.accounts import LoadProgress, Progress, keeps_stage, silent, silent_load
from migrator.compile import name
from migrator.control import holds
from migrator.ledger import Ledger
from migrator.load import Loaded
from migrator.project import Side
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.verify import Verified

TOKEN = "MIGRATOR_SANDBOX_TOKEN"
NOT_RECORDS = {"_dlt_loads", "_dlt_version", "_dlt_pipeline_state"}


@holds("rehearse")
@keeps_stage
def rehearse(
    steps: Steps, *, progress: LoadProgress = silent_load, reading: Progress = silent
) -> tuple[Loaded, Verified, list[dict[str, Any]]]:
    """Carry the plan out in a sandbox that holds what the plan found at the destination, and verify it there.

    Raises InputError where the vendor has no sandbox.
    """
    from migrator.testing.sandbox import Clock, mount

    plan, side = steps.saved_plan(), steps.project.destination
    clock = Clock(datetime.now(UTC).isoformat())  # wound by hand: a rehearsal does not wait for jobs
    box = side.connector.sandbox.create(clock=clock, limits=False)
    box.state["channels"] = side.account.channels  # what a person has opened there, the twin has too
    if hasattr(side.connector.sandbox, "stands_for"):  # whose account it is, its settings say
        side.connector.sandbox.stands_for(box, side.account.settings)
    _furnish(steps, box)
    folder = steps.workspace.folder / "rehearsal"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    twin = _twin(side, box.base_url)
    account = twin.open(session=mount(box), sleep=clock.sleep, monotonic=clock.monotonic)
    destination = steps.steered("sandbox", account)
    ledger_file = folder / "ledger.sqlite"
    with Stage(steps.workspace.stage) as stage, Ledger(ledger_file) as ledger:
        loaded = steps.loader(stage, ledger, destination, progress).load(plan["digest"], steps.files())
    verified, differences = steps.read_and_compare(
        destination, ledger_file, plan["digest"], reading, "rehearsed", "rehearsal.json"
    )
    steps.workspace.note(plan["digest"], "rehearse", f"{loaded.written} units, {verified.discrepancies} differences")
    return loaded, verified, differences


def _furnish(steps: Steps, box: Any) -> None:
    """Put into the sandbox what the destination held when the plan looked."""
    module = steps.project.destination.connector.sandbox
    streams = steps.project.destination.connector.manifest.streams
    with Stage(steps.workspace.stage) as stage:
        for stream in sorted(stage.tables_of("there") - NOT_RECORDS):
            rows = stage.rows(f"SELECT CAST(body AS VARCHAR) FROM there.{name(stream)}")
            if rows:
                box.store[stream].clear()
                bodies = [json.loads(body) for (body,) in rows]
                for body in bodies if stream in streams else ():
                    steps.workspace.vault.opened_in(body, streams[stream].sealed)
                module.seed(box, stream, bodies)


def _twin(side: Side, url: str) -> Side:
    """Return the destination's side with the sandbox in the account's place."""
    os.environ[TOKEN] = side.connector.sandbox.TOKEN
    secrets = dict.fromkeys(side.connector.manifest.secrets, f"env:{TOKEN}")
    account = side.account.model_copy(update={"url": url, "secrets": secrets, "per_minute": 10**9, "workers": 2})
    return Side(side.connector, side.mapping, account, side.file)
