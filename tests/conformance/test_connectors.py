"""Our own connectors, held to the suite that other people's run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.testing.conformance import Check, Suite, checks
from migrator.testing.sandbox import Sandbox
from tests.support import opensrs_accounts as opensrs
from tests.support.dns_accounts import made as zones
from tests.support.panel_accounts import made as panel
from tests.support.panel_accounts import with_zone as subscription
from tests.support.virtualmin_accounts import made as virtual_servers


def small_zendesk(box: Sandbox) -> Any:
    """Fill a Zendesk sandbox with a small made-up account."""
    return registry.connector("zendesk").part("demo").fill(box, tickets=12)


def small_zammad(box: Sandbox) -> Any:
    """Fill a Zammad sandbox with a small made-up account."""
    return registry.connector("zammad").part("demo").fill(box, tickets=8)


def importing() -> Sandbox:
    """Return a Zammad sandbox in import mode."""
    box: Sandbox = registry.connector("zammad").sandbox.create()
    box.state["import_mode"] = True
    return box


SERVERS = Path(__file__).parents[1] / "servers"  # where a true server is the judge


def small(vendor: str, tickets: int) -> Suite:
    """Return the suite of a vendor that is only read, with a small made-up account."""

    def fill(box: Sandbox) -> Any:
        registry.connector(vendor).part("demo").fill(box, tickets=tickets)
        if vendor == "intercom":
            box.store["workflows"].clear()  # no list shows them: they come only where a person names them
        return box

    return Suite(vendor, fill=fill, harms=("429", "garbled"))


# Zendesk and Freshdesk meet every harm, each write one of the eight; the others three each. All lose answers.
SUITES = {  # a made-up record refers to the one that is five times its number on: with five, all would be linked alike
    "chatwoot": Suite("chatwoot", records=6, step=12, harms=("429", "unanswered", "garbled")),
    "cloudflare": Suite("cloudflare", made=zones, step=2, harms=("500", "unanswered", "truncated")),
    "cpanel": Suite("cpanel"),
    "directadmin": Suite("directadmin", step=30, harms=("503", "garbled")),
    "digitalocean": Suite("digitalocean", made=zones, step=9, harms=("429", "unanswered", "timeout")),
    "freshdesk": Suite("freshdesk", records=6, step=8),
    "help_scout": small("help_scout", 27),  # a page of conversations, and two more
    "hubspot": small("hubspot", 4),
    "intercom": small("intercom", 8),
    "jira": small("jira", 8),
    "opensrs": Suite("opensrs", create=opensrs.empty, made=opensrs.made, step=67),
    "ispconfig": Suite("ispconfig", made=panel, step=9, harms=("503", "unanswered", "garbled")),
    "plesk": Suite("plesk", made=subscription, channels=("command_line",), step=37, harms=("unanswered", "garbled")),
    "virtualmin": Suite("virtualmin", made=virtual_servers, step=23, harms=("unanswered",)),
    "zammad": Suite("zammad", fill=small_zammad, records=6, step=24, harms=("503", "unanswered", "reset")),
    "zendesk": Suite("zendesk", fill=small_zendesk, step=8),
}


def test_every_connector_has_a_suite() -> None:
    here = {folder.name for folder in SERVERS.iterdir() if (folder / "test_conformance.py").is_file()}
    assert set(SUITES) | here == set(registry.vendors())


@pytest.mark.parametrize("check", [pytest.param(c, id=f"{v}: {c}") for v, s in SUITES.items() for c in checks(s)])
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)


IMPORT = Suite("zammad", create=importing, channels=("import_mode",), records=6, step=40, harms=("unanswered",))
WRITING = [check for check in checks(IMPORT) if not str(check).startswith(("reading", "pages"))]


@pytest.mark.parametrize("check", [pytest.param(c, id=str(c)) for c in WRITING])
def test_conformance_of_zammad_in_import_mode(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
