"""A made-up hosting account whose records fit Virtualmin's: sites have the names of domains, zones are theirs."""

from __future__ import annotations

from typing import Any

from migrator.kinds import Kinds
from migrator.stage import Stage
from migrator.workspace import Workspace
from tests.support import dns_accounts, panel_accounts
from tests.support.panel_accounts import HASH, ONE, TWO

ZONE = f"{ONE}."
RECORDS: dict[str, list[dict[str, Any]]] = {
    **panel_accounts.RECORDS,
    "domain": [*panel_accounts.RECORDS["domain"], panel_accounts.SUBSCRIPTION["domain"][1]],
    "website": [
        {**site, "name": name, "domain": domain}
        for site, name, domain in zip(
            panel_accounts.RECORDS["website"], (ONE, TWO), ("domain-0", "domain-1"), strict=True
        )
    ],
    "database": [{**one, "url": "dump"} for one in panel_accounts.RECORDS["database"]],
    "redirect": [
        {"id": "redirect-0", "host": ONE, "path": "/old", "to": "https://else.example/?a=b&c=d%20e", "permanent": True},
        {"id": "redirect-1", "host": ONE, "path": "/x", "to": "/y", "wildcard": True},
    ],
    "ftp_account": [
        {
            "id": "ftp-0", "login": f"up@{ONE}", "folder": "public_html/up", "quota_bytes": 2**20,
            "password_hash": HASH,
        },
    ],
    "zone": [{"id": ZONE, "name": ZONE}],
    "record_set": [
        {**one.body(), "zone_name": ZONE, "values": [value for value in one.values if "\\" not in value]}
        for one in dns_accounts.sets(ZONE)  # a plan leaves other texts to a person: test_virtualmin_records.py
    ],
}  # fmt: skip


def made(stage: Stage, kinds: Kinds, workspace: Workspace) -> None:
    """Fill the stage's ``canonical`` schema."""
    panel_accounts.made(stage, kinds, workspace, RECORDS)
