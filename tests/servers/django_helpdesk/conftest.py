"""One django-helpdesk a session, brought back to its beginning for every test that asks; and a proxy before it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.migration import Account
from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing.conformance.ground import ServerGround
from migrator.testing.sandbox import Sandbox, mount
from migrator.testing.servers import Proxy, django_helpdesk
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk

TABLES = ("ticket", "followup", "followupattachment", "ticketcustomfieldvalue", "ticketcc", "queue", "customfield")
MORE = ("presetreply", "kbitem", "kbcategory")


@pytest.fixture(scope="session")
def server(one_django_helpdesk: DjangoHelpdesk) -> DjangoHelpdesk:
    """Return the session's instance, with whatever earlier tests left in it."""
    return one_django_helpdesk


@pytest.fixture(scope="session")
def proxy(server: DjangoHelpdesk) -> Iterator[Proxy]:
    """Return a proxy before the session's instance."""
    with Proxy(server.url) as between:
        yield between


@pytest.fixture
def desk(server: DjangoHelpdesk) -> DjangoHelpdesk:
    """Return the session's instance, new again."""
    server.reset()
    return server


def account(desk: DjangoHelpdesk, *channels: str, url: str | None = None) -> dict[str, Any]:
    """Return a side of migration.yaml for the desk; its token is in MIGRATOR_TEST_DESK."""
    settings = {"address": url or desk.url}
    if "fixtures" in channels:
        settings |= {"command": shlex.join(desk.command), "media": str(desk.media)}
    secrets = {"token": "env:MIGRATOR_TEST_DESK"}
    return {"vendor": "django_helpdesk", "settings": settings, "secrets": secrets, "channels": list(channels)}


def counted(desk: DjangoHelpdesk) -> dict[str, int]:
    """Return the numbers of rows in the desk's own database."""
    numbers = {table: desk.count(f"helpdesk_{table}") for table in (*TABLES, *MORE)}
    return {**numbers, "user": desk.count("auth_user"), "file": sum(file.is_file() for file in desk.media.rglob("*"))}


def ground(desk: DjangoHelpdesk, between: Proxy, *channels: str) -> ServerGround:
    """Return the desk, emptied, for a law to be tried on."""
    desk.reset()
    between.calm()
    side = account(desk, *channels)
    held = Account(vendor="django_helpdesk", settings=side["settings"], channels=channels, workers=1)
    streams = {"tickets": "helpdesk_ticket", "attachments": "helpdesk_followupattachment", "queues": "helpdesk_queue"}

    def listed(stream: str) -> set[str]:
        return {str(id) for (id,) in desk.rows(f"SELECT id FROM {streams[stream]}")} if stream in streams else set()

    return ServerGround(between, held, {"token": desk.token}, lambda: counted(desk), desk, listed)


def onto(folder: Path, old: Sandbox, side: dict[str, Any], patch: pytest.MonkeyPatch, **more: Any) -> Steps:
    """Return the steps of a migration from a sandbox onto the desk; ``more`` goes into migration.yaml."""
    module = registry.connector(old.vendor).sandbox
    patch.setenv("MIGRATOR_TEST_SOURCE", module.TOKEN)
    patch.setenv("MIGRATOR_TEST_DESK", django_helpdesk.TOKEN)
    settings = {"settings": {"user": module.EMAIL}} if hasattr(module, "EMAIL") else {}
    secrets = {"token": "env:MIGRATOR_TEST_SOURCE"}
    source = {"vendor": old.vendor, "url": old.base_url, "secrets": secrets, "plan": "enterprise", **settings}
    folder.mkdir(parents=True, exist_ok=True)
    written = {"name": "test", "source": source, "destination": side, "thresholds": {"manual": 1.0}, **more}
    (folder / "migration.yaml").write_text(json.dumps(written), encoding="utf-8")
    return Steps(open_project(folder), mount(old), None, sleep=old.clock.sleep, clock=old.clock.now)


def away(folder: Path, side: dict[str, Any], new: Sandbox, patch: pytest.MonkeyPatch) -> Steps:
    """Return the steps of a migration from the desk to a sandbox."""
    module = registry.connector(new.vendor).sandbox
    patch.setenv("MIGRATOR_TEST_DESTINATION", module.TOKEN)
    patch.setenv("MIGRATOR_TEST_DESK", django_helpdesk.TOKEN)
    settings = {"settings": {"user": module.EMAIL}} if hasattr(module, "EMAIL") else {}
    secrets = {"token": "env:MIGRATOR_TEST_DESTINATION"}
    there = {"vendor": new.vendor, "url": new.base_url, "secrets": secrets, "plan": "enterprise", **settings}
    written = {"name": "test", "source": side, "destination": there, "thresholds": {"manual": 1.0}}
    (folder / "migration.yaml").write_text(json.dumps(written), encoding="utf-8")
    clock = new.clock
    return Steps(open_project(folder), None, mount(new), sleep=clock.sleep, monotonic=clock.monotonic, clock=clock.now)
