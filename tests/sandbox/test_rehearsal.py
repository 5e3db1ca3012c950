"""A rehearsal stands for the customer's own account at a panel: its user, its client, what it holds already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.rehearsal import rehearse
from migrator.testing.sandbox import Sandbox
from tests.support.connectors import connector
from tests.support.server_desks import steps_into

pytestmark = pytest.mark.sandbox
MAIN = "mine.example"
SETTINGS = {
    "ispconfig": {"user": "carol", "client_id": "12"},
    "plesk": {"user": "carol", "subscription": MAIN},
    "virtualmin": {"user": "carol", "server": MAIN},
}


def holding(vendor: str) -> Sandbox:
    """Return the customer's server, which has one of the domains already, with a mailbox in it."""
    module: Any = connector(f"{vendor}.sandbox")
    box: Sandbox = module.create()
    module.stands_for(box, SETTINGS[vendor])
    if vendor == "ispconfig":
        box.state.update(group="31", stands=False)
        forms = module.FORMS
        domain = {**forms["mail_domain"].defaults, "domain": "acme.example", "active": "y", "domain_id": 1}
        user = {**forms["mail_user"].defaults, "email": "ann@acme.example", "login": "ann@acme.example", "quota": "0"}
        module.seed(box, "mail_domain", [{**domain, "sys_groupid": "31"}])
        module.seed(box, "mail_user", [{**user, "mailuser_id": 1, "sys_groupid": "31"}])
    elif vendor == "plesk":
        box.state["stands"] = False
        module.seed(box, "site", [{"name": "acme.example"}])
        [id] = [one["id"] for one in box.store["site"].values() if one["name"] == "acme.example"]
        mail = {"name": "ann", "address": "ann@acme.example", "site-id": id, "mailbox": True, "quota": "-1"}
        module.seed(box, "mail", [mail])
    else:
        params = [["--domain", "acme.example"], ["--parent", MAIN], ["--dir", "--mail"]]
        module.seed(box, "", [{"program": "create-domain", "params": params}])
        params = [["--domain", "acme.example"], ["--user", "ann"], ["--pass", "secret-1"]]
        module.seed(box, "", [{"program": "create-user", "params": params}])
    return box


@pytest.mark.parametrize("vendor", SETTINGS)
def test_a_plan_is_rehearsed_in_the_customers_own_name_beside_what_he_has_there(
    vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, old = holding(vendor), registry.connector("cpanel").sandbox.create()
    registry.connector("cpanel").part("demo").fill(old)
    steps = steps_into(tmp_path / "w", old, panel, monkeypatch, settings=SETTINGS[vendor])
    steps.extract()
    plan = steps.plan()
    there = {line.kind for line in plan.dispositions if line.action in ("merge", "keep", "update")}
    assert {"domain", "mailbox"} <= there, plan.dispositions
    before = {table: dict(rows) for table, rows in panel.store.items() if rows}
    loaded, rehearsed, differences = rehearse(steps)
    assert loaded.quarantined == 0
    assert rehearsed.proven, differences
    assert {table: dict(rows) for table, rows in panel.store.items() if rows} == before
