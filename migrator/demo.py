"""The demos: a made-up help desk moved between sandboxes over HTTP, a hosting account between true servers."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from migrator import registry
from migrator.accounts import LoadProgress, Progress
from migrator.errors import InputError
from migrator.load import Loaded
from migrator.project import open_project
from migrator.sandboxes import serving
from migrator.steps import Steps
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


def _made_anew(folder: Path) -> Path:
    """Empty the folder of an earlier demo, and return its migration.yaml. Raises InputError where it holds another."""
    file = folder / "migration.yaml"
    if folder.exists() and any(folder.iterdir()):
        if not file.is_file() or not file.read_text(encoding="utf-8").startswith(MARK):
            raise InputError(f"{folder} holds something else", remedy="name another folder with --workspace")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return file


def run(
    folder: Path, tickets: int, *, reading: Progress, loading: LoadProgress, say: Callable[[str], None]
) -> tuple[Steps, Loaded, Verified, float]:
    """Make, move and verify a help desk in ``folder``; return the steps, what was loaded and verified, the seconds."""
    began = time.monotonic()
    file = _made_anew(folder)
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


def run_hosting(
    folder: Path, *, reading: Progress, loading: LoadProgress, say: Callable[[str], None]
) -> tuple[Steps, Loaded, Verified, float]:
    """Move a made-up hosting account between true servers, which run on this machine as long as that takes.

    What a panel keeps, mail, files, zones and a database in one job, with addresses put right; the MX records by a
    cut-over of their own. Raises InputError where a server cannot run here.
    """
    from migrator.testing import acme, hosting
    from migrator.testing.servers import Unavailable

    began = time.monotonic()
    file = _made_anew(folder)
    with tempfile.TemporaryDirectory(prefix="migrator-demo-") as temporary:
        say("1 of 6  starting Dovecot and MariaDB (old and new), PowerDNS, OpenSSH and a panel on this machine")
        place = Path(temporary)
        try:
            hosts = hosting.started(place)
        except Unavailable as why:
            raise InputError(
                f"the servers of the demo cannot run here: {why}", remedy="run it as root on Debian, or install these"
            ) from why
        with closing(hosts):
            settings: dict[str, Any] = {
                "name": "acme moves",
                "source": hosts.source(),
                "destination": hosts.destination(),
            }
            settings |= {"rewrite": acme.REWRITE, "cutover": acme.CUTOVER, "thresholds": {"manual": 1.0}}
            settings |= {"key": "file:demo.key"}  # of a made-up account, so that a demo leaves nothing elsewhere
            file.write_text(MARK + json.dumps(settings, indent=1), encoding="utf-8")
            steps = Steps(open_project(folder))
            say("2 of 6  reading mailboxes, files, the database and the panel of the old host")
            steps.extract(reading)
            say("3 of 6  planning every write and every loss, and what the new addresses change")
            plan = steps.plan(progress=reading)
            say(f"4 of 6  loading plan {plan.digest[:12]}: mail, filters, files, zones and the database in one job")
            steps.load(plan.digest, accept_losses=True, progress=loading)
            say("5 of 6  the cut-over: where mail goes, by a plan of its own")
            switch = steps.plan(cutover=True, progress=reading)
            loaded = steps.load(switch.digest, cutover=True, accept_losses=True, progress=loading)
            say("6 of 6  reading everything back: by IMAP, by SFTP, from port 53 and from the database server")
            verified, _ = steps.verify(progress=lambda stream, n: reading(f"back: {stream}", n))
    return steps, loaded, verified, time.monotonic() - began
