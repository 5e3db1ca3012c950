"""A made-up subscription for the sandbox, with one of everything."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Sandbox

from . import sandbox


def fill(box: Sandbox) -> Any:
    """Put the subscription's objects in."""
    main = next(site["id"] for site in box.store["site"].values() if site["webspace"])
    sandbox.seed(box, "site", [{"name": "elm.example", "mailservice": False}])
    elm = next(site["id"] for site in box.store["site"].values() if site["name"] == "elm.example")
    sub = {"name": "blog.elm.example", "parent": elm, "hosting": {"www_root": "blog", "php": "false"}}
    sandbox.seed(box, "site", [sub])
    box.store["site"][main]["unknown"] = ("forward", "eve@main.example")
    sandbox.seed(box, "site_alias", [{"name": "main.test", "site-id": main}])
    answer = {
        "enabled": "true", "subject": "Fort", "content_type": "text/plain", "charset": "UTF-8",
        "text": "Grüße & <3", "end_date": "2026-12-24",
    }  # fmt: skip
    accounts = [
        {"address": "eve@main.example", "mailbox": True, "quota": "1073741824", "alias": ["eva"], "answer": answer},
        {"address": "info@main.example", "mailbox": False, "forwarding": True,
         "to": ["eve@main.example", "x@else.example"]},
        {"address": "both@main.example", "mailbox": True, "forwarding": True, "to": ["y@else.example"]},
    ]  # fmt: skip
    for one in accounts:
        sandbox.seed(box, "mail", [{"name": str(one["address"]).partition("@")[0], "site-id": main, **one}])
    sandbox.seed(box, "database", [{"id": "900", "name": "shop", "type": "mysql", "webspace-id": main}])
    sandbox.seed(box, "database_user", [{"login": "shop", "db-id": "900", "password": "x"}])
    sandbox.seed(box, "ftp_user", [{"name": "up", "home": "/httpdocs/up", "quota": "500", "webspace-id": main}])
    sandbox.seed(
        box, "cron", [{"type": "exec", "command": "php cron.php", "schedule": "*/5 * * * 1-5", "active": True}]
    )
