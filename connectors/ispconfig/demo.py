"""A made-up client for the sandbox, with one of everything."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox

ROWS: dict[str, list[Native]] = {
    "mail_domain": [
        {"domain_id": 1, "domain": "birch.example", "active": "y", "dkim": "n", "dkim_private": "", "dkim_public": ""},
        {"domain_id": 2, "domain": "birch.test", "active": "n", "dkim": "y", "dkim_private": "-----KEY-----"},
    ],
    "mail_user": [
        {"mailuser_id": 1, "email": "eve@birch.example", "name": "Eve", "quota": "1073741824", "password": "$6$s$h",
         "disableimap": "n", "disablepop3": "n", "autoresponder": "y", "autoresponder_subject": "Away",
         "autoresponder_text": "Back soon.", "autoresponder_start_date": "2026-07-01 00:00:00"},
        {"mailuser_id": 2, "email": "old@birch.example", "name": "", "quota": "0", "password": "$6$s$i",
         "disableimap": "y", "disablepop3": "y", "autoresponder": "n", "autoresponder_text": ""},
    ],
    "mail_forwarding": [
        {"forwarding_id": 1, "source": "info@birch.example", "destination": "eve@birch.example, x@else.example",
         "type": "forward", "active": "y"},
        {"forwarding_id": 2, "source": "@birch.example", "destination": "eve@birch.example", "type": "catchall",
         "active": "y"},
    ],
    "web_domain": [
        {"domain_id": 5, "domain": "birch.example", "type": "vhost", "custom_php_ini": "memory_limit=256M"},
        {"domain_id": 6, "domain": "birch.test", "type": "alias", "parent_domain_id": "5"},
    ],
    "web_database": [{"database_id": 1, "database_name": "c7shop", "type": "mysql", "database_user_id": "1"}],
    "web_database_user": [{"database_user_id": 1, "database_user": "c7shop", "database_password": "*" + "A" * 40}],
    "cron": [
        {"id": 1, "run_min": "*/5", "run_hour": "*", "run_mday": "*", "run_month": "*", "run_wday": "1-5",
         "command": "php cron.php", "active": "y", "parent_domain_id": "5"},
    ],
}  # fmt: skip


def fill(box: Sandbox) -> Any:
    """Put the client's records in."""
    for stream, rows in ROWS.items():
        sandbox.seed(box, stream, rows)
