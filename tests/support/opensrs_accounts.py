"""Made-up records of an OpenSRS account that fit each other, and an account that has their domains already."""

from __future__ import annotations

from typing import Any

from migrator import registry
from migrator.kinds import Kinds
from migrator.stage import Stage
from migrator.testing.sandbox import Sandbox
from migrator.workspace import Workspace
from tests.support import dns_accounts

SERVERS = ["ns1.new.example", "ns2.new.example"]
ANN, BOB = "ann@one.example", "bob@one.example"


def empty() -> Sandbox:
    """Return an account to which the domains were transferred; nothing is set up yet."""
    module = registry.connector("opensrs").sandbox
    box: Sandbox = module.create(limits=False)
    module.seed(box, "domains", [{"name": zone.rstrip(".")} for zone in dns_accounts.ZONES])
    module.seed(box, "mail_domains", [{"domain": "one.example"}])
    return box


def made(stage: Stage, kinds: Kinds, workspace: Workspace) -> None:
    """Fill the stage's ``canonical`` schema."""
    held: dict[str, list[dict[str, Any]]] = {
        "registered_domain": [
            {"id": name, "name": name, "name_servers": SERVERS, "locked": True, "auto_renew": name == "one.example"}
            for name in (zone.rstrip(".") for zone in dns_accounts.ZONES)
        ],
        "mailbox": [
            {"id": ANN, "address": ANN, "name": "Ann Grün <&>", "quota_bytes": 5 * 2**30, "suspended": False},
            {"id": BOB, "address": BOB, "name": "Bob", "suspended": True},
        ],
        "alias": [
            {"id": "a", "address": "sales@one.example", "destinations": [ANN]},
            {"id": "b", "address": BOB, "destinations": ["bob@elsewhere.example"], "keep_copy": True},
            {"id": "c", "address": "team@one.example", "destinations": ["x@elsewhere.example", ANN]},
        ],
        "autoresponder": [
            {"id": "r", "address": ANN, "mailbox": ANN, "body": "Away.\n" + "ü" * 5000, "interval_hours": 24}
        ],
        "mail_filter": [
            {"id": "m", "mailbox": ANN, "address": ANN, "name": "main", "script": "keep;\n", "active": True},
            {"id": "n", "mailbox": ANN, "address": ANN, "name": "日本語", "script": "discard;", "active": False},
        ],
    }
    dns_accounts.made(stage, kinds, workspace, held)
