"""Accounts that hold the published rules of their vendor, with whatever records those rules name."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

from migrator import registry
from migrator.rules.records import read
from migrator.rules.references import marks
from migrator.testing.sandbox import Clock, Sandbox
from tests.support import rule_corpus

Native = dict[str, Any]
AT = {"created_at": "2024-01-01T08:00:00Z", "updated_at": "2024-01-02T08:00:00Z"}
STREAMS = {"trigger": "triggers", "timed": "automations", "macro": "macros", "view": "views", "sla": "sla_policies"}
PERSON = {"active": True, "suspended": False, "verified": True, "tags": [], "user_fields": {}, "locale": "en-US", **AT}


def zendesk(clock: Clock, *, rules: Iterable[tuple[str, str, Native]] | None = None) -> Sandbox:
    """Return a Zendesk account with the rules (the published ones), and what they name."""
    module = registry.connector("zendesk").sandbox
    box = module.furnish(module.create(clock=clock, limits=False))
    used: set[str] = set()
    held: list[tuple[str, str]] = []
    for at, (_, kind, native) in enumerate(rules if rules is not None else rule_corpus.rules("zendesk"), 1):
        body = {k: v for k, v in copy.deepcopy(native).items() if k != "_source"}
        if str(body.get("id", "")) in used or not isinstance(body.get("id"), int):
            body["id"] = 7_000_000 + at
        used.add(str(body["id"]))
        body = {"position": at, **AT, **body}
        if not body.get("title"):
            body["title"] = f"Rule {at}"
        module.seed(box, STREAMS[kind], [body])
        held += marks(read("zendesk", kind, json.dumps(body)))
    _furnish(module, box, dict.fromkeys(held))
    return box  # type: ignore[no-any-return]


def _furnish(module: Any, box: Sandbox, named: Iterable[tuple[str, str]]) -> None:
    for kind, id in named:
        bare = id.partition(":")[2] if kind == "custom_field" else id
        if kind == "webhook":
            hook = {"name": f"Hook {id}", "endpoint": f"https://hooks.example/{id}", "http_method": "POST"}
            hook |= {"request_format": "json", "status": "active", "subscriptions": ["conditional_ticket_events"], **AT}
            hook |= {"custom_headers": {"X-Key": f"s3cr3t-{id}"}, "id": id}
            module.seed(box, "webhooks", [hook])
        elif not bare.isdecimal():
            continue
        elif kind == "group":
            group = {"id": int(id), "name": f"Group {id}", "description": "", "deleted": False, "default": False}
            module.seed(box, "groups", [{**group, **AT}])
        elif kind in ("user", "agent"):
            person = {"id": int(id), "name": f"Agent {id}", "email": f"agent{id}@desk.example", "role": "agent"}
            module.seed(box, "users", [{**person, "organization_id": None, **PERSON}])
        elif kind == "organization":
            firm = {"id": int(id), "name": f"Firm {id}", "tags": [], "domain_names": [], "organization_fields": {}}
            module.seed(box, "organizations", [{**firm, **AT}])
        elif kind == "form":
            form = {"id": int(id), "name": f"Form {id}", "display_name": f"Form {id}", "ticket_field_ids": []}
            module.seed(box, "ticket_forms", [{**form, "active": True, "default": False, "position": 2, **AT}])
        elif kind == "schedule":
            module.seed(box, "schedules", [schedule(int(id))])
        elif kind == "custom_field" and id.startswith("ticket:"):
            field = {"id": int(bare), "type": "text", "title": f"Field {bare}", "active": True, "required": False}
            module.seed(box, "ticket_fields", [{**field, "position": 9, "description": "", **AT}])


def schedule(id: int) -> Native:
    """Return a schedule: Monday to Friday, nine to five, and a day off."""
    intervals = [{"start_time": day * 1440 + 540, "end_time": day * 1440 + 1020} for day in range(1, 6)]
    holiday = {"id": id + 1, "name": "New Year", "start_date": "2026-01-01", "end_date": "2026-01-01"}
    return {"id": id, "name": f"Hours {id}", "time_zone": "Berlin", "intervals": intervals, "holidays": [holiday], **AT}
