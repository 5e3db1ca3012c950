"""The demo: a made-up help desk in one sandbox, moved into another through the real connectors over HTTP, verified."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from migrator import registry
from migrator.errors import InputError
from migrator.load import Loaded
from migrator.project import open_project
from migrator.sandboxes import serving
from migrator.steps import LoadProgress, Progress, Steps
from migrator.testing.sandbox import Clock
from migrator.verify import Verified

MARK = "# made by `migrator demo`; remade each time\n"

FILE = """name: demo
source:
  vendor: zendesk
  url: {source}
  settings: {{user: {user}}}
  secrets: {{token: env:MIGRATOR_DEMO_SOURCE}}
  plan: enterprise
  per_minute: 100000  # the sandboxes of the demo have no quota; the report reckons with the plan's own
destination:
  vendor: freshdesk
  url: {destination}
  secrets: {{token: env:MIGRATOR_DEMO_DESTINATION}}
  plan: enterprise
  per_minute: 100000
policies: {{people_without_seat: stand_in}}
thresholds: {{manual: 1.0}}
overlay:
  freshdesk:
    ticket:
      status: {{values: {{6: hold}}, write: {{hold: 6}}}}
"""


def run(
    folder: Path, tickets: int, *, reading: Progress, loading: LoadProgress, say: Callable[[str], None]
) -> tuple[Steps, Loaded, Verified, float]:
    """Make, move and verify a help desk in ``folder``; return the steps, what was loaded and verified, the seconds."""
    began = time.monotonic()
    file = folder / "migration.yaml"
    if folder.exists() and any(folder.iterdir()):
        if not file.is_file() or not file.read_text(encoding="utf-8").startswith(MARK):
            raise InputError(f"{folder} holds something else", remedy="name another folder with --workspace")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    source, destination = registry.connector("zendesk"), registry.connector("freshdesk")
    old = source.sandbox.create(clock=Clock(real=True), limits=False)
    new = destination.sandbox.create(clock=Clock(real=True), limits=False)
    old.keep_bodies = new.keep_bodies = False
    os.environ["MIGRATOR_DEMO_SOURCE"] = source.sandbox.TOKEN
    os.environ["MIGRATOR_DEMO_DESTINATION"] = destination.sandbox.TOKEN
    with serving(old) as here, serving(new) as there:
        source.part("demo").fill(old, tickets=tickets)
        destination.part("demo").furnish(new)
        settings = FILE.format(source=here, destination=there, user=source.sandbox.EMAIL)
        file.write_text(MARK + settings, encoding="utf-8")
        steps = Steps(open_project(folder))
        say(f"1 of 4  reading the old help desk (Zendesk sandbox at {here})")
        steps.extract(reading)
        say("2 of 4  planning every write and every loss")
        plan = steps.plan(progress=reading)
        say(f"3 of 4  loading plan {plan.digest[:12]} into the new one (Freshdesk sandbox at {there})")
        loaded = steps.load(plan.digest, progress=loading)
        say("4 of 4  reading everything back and comparing it with the plan")
        verified, _ = steps.verify(progress=lambda stream, n: reading(f"back: {stream}", n))
    return steps, loaded, verified, time.monotonic() - began
