"""Migrations between two sandboxes in process: no socket, no waiting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from migrator import registry
from migrator.ledger import Ledger
from migrator.project import open_project
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount

SECRETS = {"MIGRATOR_TEST_SOURCE": "zendesk", "MIGRATOR_TEST_DESTINATION": "freshdesk"}


def arrived(run: Steps) -> Steps:
    """Extract, load and read back; nothing is refused, and all is as predicted."""
    run.extract()
    loaded = run.load(run.plan().digest)
    with Ledger(run.workspace.ledger) as ledger:
        assert loaded.quarantined == 0, [line[2] for line in ledger.quarantined()]
    verified, differences = run.verify()
    assert verified.proven, [(d["kind"], d["id"], d["field"], d["expected"], d["found"]) for d in differences[:5]]
    return run


def steps(
    folder: Path,
    old: Sandbox,
    new: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    *,
    source_session: requests.Session | None = None,
    destination_session: requests.Session | None = None,
    **more: Any,
) -> Steps:
    """Return the steps of a migration in ``folder``; ``more`` goes into migration.yaml (JSON is YAML)."""
    sides: dict[str, Any] = {}
    for side, box in (("source", old), ("destination", new)):
        module = registry.connector(box.vendor).sandbox
        monkeypatch.setenv(f"MIGRATOR_TEST_{side.upper()}", module.TOKEN)
        sides[side] = {
            "vendor": box.vendor,
            "url": box.base_url,
            "secrets": {"token": f"env:MIGRATOR_TEST_{side.upper()}"},
            "plan": "enterprise",
            "workers": 1,
            **({"settings": {"user": module.EMAIL}} if hasattr(module, "EMAIL") else {}),
            **({"settings": module.SETTINGS} if hasattr(module, "SETTINGS") else {}),
            **more.pop(side, {}),
        }
    folder.mkdir(parents=True, exist_ok=True)
    written = {"name": "test", **sides, "thresholds": {"manual": 1.0}, **more}
    (folder / "migration.yaml").write_text(json.dumps(written), encoding="utf-8")
    clock = new.clock
    return Steps(
        open_project(folder),
        source_session or mount(old),
        destination_session or mount(new),
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        clock=clock.now,
    )


def small_desk(clock: Clock | None = None, *, tickets: int = 4) -> tuple[Sandbox, Sandbox]:
    """Return a small made-up Zendesk account and a new Freshdesk account, on one clock."""
    clock = clock or Clock()
    zendesk, freshdesk = registry.connector("zendesk"), registry.connector("freshdesk")
    old = zendesk.sandbox.create(clock=clock, limits=False)
    new = freshdesk.sandbox.create(clock=clock, limits=False)
    zendesk.part("demo").fill(old, tickets=tickets)
    return old, new


def tiny_desk(clock: Clock | None = None) -> tuple[Sandbox, Sandbox]:
    """Return a Zendesk account of a dozen records with one of everything, and a new Freshdesk account."""
    clock = clock or Clock()
    module = registry.connector("zendesk").sandbox
    old = module.create(clock=clock, limits=False)
    new = registry.connector("freshdesk").sandbox.create(clock=clock, limits=False)
    at = {"created_at": "2024-01-01T08:00:00Z", "updated_at": "2024-01-02T08:00:00Z"}
    person = {
        "active": True,
        "suspended": False,
        "verified": True,
        "tags": [],
        "user_fields": {},
        "locale": "en-US",
        **at,
    }
    module.seed(
        old,
        "organizations",
        [{"id": 10, "name": "Firm", "tags": [], "domain_names": ["firm.example"], "organization_fields": {}, **at}],
    )
    module.seed(
        old, "groups", [{"id": 20, "name": "Support", "description": "", "deleted": False, "default": True, **at}]
    )
    module.seed(
        old,
        "users",
        [
            {"id": 1, "name": "Ada", "email": "ada@firm.example", "role": "end-user", "organization_id": 10, **person},
            {"id": 2, "name": "Bea", "email": "bea@desk.example", "role": "agent", "organization_id": None, **person},
        ],
    )
    module.seed(
        old,
        "ticket_fields",
        [
            {
                "id": 30,
                "type": "text",
                "title": "Order",
                "active": True,
                "required": False,
                "position": 1,
                "description": "",
                **at,
            }
        ],
    )
    tickets, comments = [], []
    for number in (100, 101):
        tickets.append(
            {
                "id": number,
                "subject": f"Question {number}",
                "status": "open",
                "priority": "high",
                "type": "question",
                "via": {"channel": "email"},
                "requester_id": 1,
                "submitter_id": 1,
                "assignee_id": 2,
                "group_id": 20,
                "organization_id": 10,
                "tags": ["a"],
                "custom_fields": [{"id": 30, "value": f"A-{number}"}],
                "generated_timestamp": 1704182400,
                **at,
            }
        )
        for place, (author, public) in enumerate(((1, True), (2, True), (2, False))):
            id = number * 10 + place
            file = {
                "id": id + 5000,
                "file_name": "note.txt",
                "content_type": "text/plain",
                "size": 5,
                "inline": False,
                "content_url": f"{old.base_url}/attachments/token/t{id}/?name=note.txt",
            }
            module.put_bytes(old, f"t{id}", b"bytes")
            comment = {
                "id": id,
                "type": "Comment",
                "author_id": author,
                "html_body": "<p>ok</p>",  # the same text each time: only order and authorship tell them apart
                "body": "ok",
                "public": public,
                "attachments": [file] if place < 2 else [],
                "via": {"channel": "email"},
                "created_at": f"2024-01-01T0{place}:00:00Z",
            }
            comments.append({"ticket_id": number, "comment": comment})
    module.seed(old, "tickets", tickets)
    module.seed(old, "ticket_comments", comments)
    module.seed(
        old,
        "satisfaction_ratings",
        [
            {
                "id": 40,
                "ticket_id": 100,
                "score": "good",
                "comment": "thanks",
                "requester_id": 1,
                "assignee_id": 2,
                "group_id": 20,
                **at,
            }
        ],
    )
    return old, new


def tiny_freshdesk(clock: Clock | None = None) -> tuple[Sandbox, Sandbox]:
    """Return a Freshdesk account of a dozen records with one of everything, and a new Zendesk account."""
    clock = clock or Clock("2026-09-01T00:00:00+00:00")
    freshdesk, zendesk = registry.connector("freshdesk"), registry.connector("zendesk")
    old = freshdesk.sandbox.create(clock=clock, limits=False)
    freshdesk.part("demo").furnish(old, ("admin@zendesk.sandbox", "agent1@desk.example"))
    with mount(old) as session:
        session.auth = (freshdesk.sandbox.TOKEN, "X")

        def post(path: str, **how: Any) -> int:
            clock.sleep(60)
            answer = session.post(f"{old.base_url}/api/v2{path}", **how)
            answer.raise_for_status()
            return int(answer.json()["id"])

        post("/admin/ticket_fields", json={"label": "Order", "label_for_customers": "Order", "type": "custom_text"})
        firm = post("/companies", json={"name": "Firm", "domains": ["firm.example"]})
        ada = post("/contacts", json={"name": "Ada", "email": "ada@firm.example", "company_id": firm, "tags": ["a"]})
        ben = post("/contacts", json={"name": "Ben", "email": "ben@other.example"})
        for number, asks in ((100, ada), (101, ben)):
            told = {"subject": f"Question {number}", "description": "<p>ok</p>", "requester_id": asks, "status": 2}
            ticket = post("/tickets", json=told | {"priority": 1, "custom_fields": {"cf_order": f"A-{number}"}})
            post(f"/tickets/{ticket}/notes", json={"body": "<p>ok</p>", "private": True})
            file = {"attachments[]": ("note.txt", b"bytes", "text/plain")}
            post(f"/tickets/{ticket}/notes", data={"body": "<p>ok</p>", "user_id": str(asks)}, files=file)
        post(f"/tickets/{ticket}/satisfaction_ratings", json={"ratings": {"default_question": 103}})
    clock.sleep(3600 * 24 * 61)
    new = zendesk.sandbox.furnish(zendesk.sandbox.create(clock=clock, limits=False))
    return old, new
