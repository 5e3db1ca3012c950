"""A made-up hosting account whose records fit each other, for the conformance suite of panels."""

from __future__ import annotations

from typing import Any

from migrator.compile import name
from migrator.kinds import Kinds
from migrator.stage import Stage
from migrator.workspace import Workspace

ONE, TWO = "one.example", "two.example"
HASH = "{SHA512-CRYPT}$6$saltsalt$" + "a" * 86
RECORDS: dict[str, list[dict[str, Any]]] = {
    "domain": [
        {"id": "domain-0", "name": ONE, "type": "main", "mail": "local"},
        {"id": "domain-1", "name": TWO, "type": "addon", "mail": "remote"},
    ],
    "mailbox": [
        {
            "id": "mailbox-0", "address": f"ann@{ONE}", "domain": "domain-0", "name": "Ann <Ä> 日本",
            "quota_bytes": 2**30, "password_hash": HASH, "suspended": False,
        },
        {"id": "mailbox-1", "address": f"bob@{ONE}", "domain": "domain-0", "suspended": True},
    ],
    "alias": [
        {
            "id": "alias-0", "address": f"sales@{ONE}", "domain": "domain-0",
            "destinations": [f"ann@{ONE}", "x@else.example"],
        },
        {
            "id": "alias-1", "address": f"bob@{ONE}", "domain": "domain-0", "destinations": ["b@else.example"],
            "keep_copy": True,
        },
    ],
    "catch_all": [
        {
            "id": "catch-0", "domain": "domain-0", "domain_name": ONE, "action": "deliver", "destination": f"ann@{ONE}",
        },
        {"id": "catch-1", "domain": "domain-1", "domain_name": TWO, "action": "reject", "answer": "nobody"},
    ],
    "autoresponder": [
        {
            "id": "away-0", "address": f"ann@{ONE}", "mailbox": "mailbox-0", "subject": "Fort < weg",
            "body": "Bin weg.\nGrüße, Ann <3\n", "starts_at": "2026-07-01T00:00:00Z",
        },
    ],
    "website": [
        {
            "id": "site-0", "name": ONE, "domain": "domain-0", "document_root": "public_html", "php_version": "8.3",
            "php_settings": ["memory_limit=256M", "max_execution_time=60"],
        },
        {"id": "site-1", "name": f"blog.{TWO}", "domain": "domain-1"},
    ],
    "database": [{"id": f"database-{n}", "name": f"acme_{n}", "engine": "mysql"} for n in range(2)],
    "database_user": [
        {"id": "user-0", "name": "acme_w", "password_hash": "*" + "AB" * 20, "hosts": ["localhost"]},
        {"id": "user-1", "name": "acme_x"},
    ],
    "database_grant": [
        {
            "id": f"grant-{n}", "user": "user-0", "user_name": "acme_w", "database": f"database-{n}",
            "database_name": f"acme_{n}", "rights": ["ALL PRIVILEGES"],
        }
        for n in range(2)
    ],
    "cron_job": [
        {"id": "cron-0", "schedule": "*/5 * * * 1-5", "command": "php -q /x/cron.php > /dev/null 2>&1"},
        {"id": "cron-1", "schedule": "0 3 1,15 * *", "command": "echo 'ü' | cat", "suspended": True},
    ],
}  # fmt: skip
SUBSCRIPTION: dict[str, list[dict[str, Any]]] = {  # what a panel holds besides that keeps zones and FTP users too
    "domain": [
        {"id": "domain-2", "name": f"blog.{TWO}", "type": "sub", "of": "domain-1", "mail": "local"},
        {"id": "domain-3", "name": "one.test", "type": "alias", "of": "domain-0"},
    ],
    "zone": [{"id": f"{ONE}.", "name": f"{ONE}."}],
    "record_set": [
        {"id": f"{ONE}. {type} {host}", "zone": f"{ONE}.", "zone_name": f"{ONE}.", "name": host, "type": type,
         "ttl": 3600, "values": values}
        for type, host, values in (
            ("A", f"{ONE}.", ["192.0.2.1", "192.0.2.2"]),
            ("MX", f"{ONE}.", ["10 a.else.example.", "20 b.else.example."]),
            ("TXT", f"{ONE}.", ['"v=spf1 \\"x\\"; \\195\\169 -all"']),
            ("CAA", f"{ONE}.", ['0 issue "letsencrypt.org"']),
            ("SRV", f"_sip._tcp.{ONE}.", ["10 60 5060 sip.else.example."]),
            ("CNAME", f"www.{ONE}.", [f"{ONE}."]),
        )
    ],
    "ftp_account": [{"id": "up", "login": "up", "folder": "public_html/up", "quota_bytes": 5 * 2**20}],
}  # fmt: skip


def with_zone(stage: Stage, kinds: Kinds, workspace: Workspace) -> None:
    """Fill it with a zone, a sub domain, an alias and an FTP user too."""
    both = {kind: [*RECORDS.get(kind, ()), *SUBSCRIPTION.get(kind, ())] for kind in {*RECORDS, *SUBSCRIPTION}}
    both["autoresponder"] = [{**one, "ends_at": "2026-07-14T12:30:00Z"} for one in both["autoresponder"]]
    both["alias"] = [{**one, "keep_copy": one["id"] == "alias-1"} for one in both["alias"]]
    made(stage, kinds, workspace, both)


def made(
    stage: Stage, kinds: Kinds, workspace: Workspace, records: dict[str, list[dict[str, Any]]] | None = None
) -> None:
    """Fill the stage's ``canonical`` schema, with other ``records`` where a panel needs them otherwise."""
    told = RECORDS if records is None else records
    stage.schema("canonical", "blobs", fresh=True)
    for kind_name, kind in kinds.kinds.items():
        stage.run(f"CREATE TABLE canonical.{name(kind_name)} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
        rows = [[one["id"], kind_name, *(one.get(column) for column in kind.fields)] for one in told.get(kind_name, ())]
        stage.insert(f"canonical.{name(kind_name)}", rows)
