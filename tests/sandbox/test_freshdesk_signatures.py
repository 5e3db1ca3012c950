"""Signatures, which are part of an agent, and addresses, which are mailboxes: written once, where they belong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from migrator import registry
from migrator.connector import Promise, Unit, Written
from migrator.testing.conformance import SandboxGround
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support.connectors import connector

AT = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
EMPTY = '<div dir="ltr"><p><br></p>\n</div>'  # recorded, of an agent who has none


def account(**signatures: str | None) -> tuple[Sandbox, Any]:
    """Return an account with these agents beside its administrator, and a connection to it."""
    box = registry.connector("freshdesk").sandbox.create(clock=Clock(), limits=False)
    for id, (name, signature) in enumerate(signatures.items(), 300):
        contact = {"name": name, "email": f"{name}@desk.example"}
        agent = {"id": id, "contact": contact, "signature": signature, "role_ids": [], "type": "support_agent"}
        registry.connector("freshdesk").sandbox.seed(box, "agents", [{**agent, "occasional": False, **AT}])
    return box, SandboxGround(registry.connector("freshdesk"), box).open()


def unit(agent: int, text: str) -> Unit:
    payload = {"contact": {"email": "a@desk.example"}, "signature": text}
    return Unit("signature", "1", "signature", payload, {"agent": str(agent)}, "k", {}, (), "2026-11-27T00:00:00+00:00")


def test_a_signature_changes_nothing_else_of_its_agent_and_one_in_doubt_is_looked_up_at_that_agent() -> None:
    box, freshdesk = account(ann=None, bob="<div>Same words</div>")
    before = json.loads(json.dumps(box.store["agents"][300]))
    assert freshdesk.find([unit(300, "<p>Same words</p>")], set()) == [None]  # another has the same
    (made,) = freshdesk.write([unit(300, "<p>Same words</p>")])
    assert freshdesk.find([unit(300, "<p>Same words</p>")], set()) == [made]
    assert made.id == "signature:300"
    after = box.store["agents"][300]
    assert {key for key in before if before[key] != after[key]} <= {"signature", "updated_at"}
    assert "Same words" in after["signature"]


def test_a_signature_that_changed_is_changed_at_that_agent_alone() -> None:
    box, freshdesk = account(ann="<div>Old</div>", bob="<div>Old</div>")
    changed = replace(unit(300, "<p>New</p>"), payload={"signature": "<p>New</p>"}, action="update")
    changed = replace(changed, there="signature:300")
    assert freshdesk.before(changed) == {"signature": "<div>Old</div>"}
    freshdesk.write([changed])
    assert ["New" in box.store["agents"][id]["signature"] for id in (300, 301)] == [True, False]

    desk = registry.connector("zendesk").sandbox.create(clock=Clock(), limits=False)
    person = {"role": "agent", "active": True, "signature": "Old", **AT}
    people = [{"id": id, "name": "N", "email": f"n{id}@desk.example", **person} for id in (300, 301)]
    registry.connector("zendesk").sandbox.seed(desk, "users", people)
    zendesk = SandboxGround(registry.connector("zendesk"), desk).open()
    changed = replace(changed, payload={"signature": "New"})
    assert zendesk.before(changed) == {"signature": "Old"}
    promise = zendesk.write([changed])
    assert isinstance(promise, Promise)
    desk.clock.sleep(60)
    ((made,),) = (done or [None] for done in zendesk.outcomes({promise.job: [changed]}).values())
    assert isinstance(made, Written)
    assert [desk.store["users"][id]["signature"] for id in (300, 301)] == ["New", "Old"]


def test_markup_that_says_nothing_is_noted_and_pictures_say_something() -> None:
    _, freshdesk = account(
        ann=EMPTY, bob='<p><img src="https://x.example/logo.png"></p>', cai="<p>&nbsp;Cai</p>", dee=""
    )
    records = [json.loads(one.body) for page in freshdesk.pages("agents", None, lambda _: []) for one in page.records]
    assert {one["contact"]["name"]: one.get("_blank") for one in records if one["id"] in range(300, 304)} == {
        "ann": True,
        "bob": False,
        "cai": False,
        "dee": None,
    }


@pytest.mark.parametrize("domain", ["gmail.com", "yahoo.co.uk", "hotmail.de"])
def test_an_address_of_a_public_domain_is_left_to_a_person_as_freshdesk_refuses_it(domain: str) -> None:
    box, freshdesk = account()
    session = mount(box)
    session.auth = (connector("freshdesk.sandbox").TOKEN, "X")

    def post(email: str) -> int:
        body = {"support_email": email, "mailbox_type": "freshdesk_mailbox"}
        return int(session.post(f"{box.base_url}/api/v2/email/mailboxes", json=body).status_code)

    assert "by hand" in freshdesk.complaint("email_address", {"support_email": f"help@{domain}"})
    assert post(f"help@{domain}") == 400
    assert freshdesk.complaint("email_address", {"support_email": f"help@not-{domain}"}) is None
    assert [post(f"help@not-{domain}"), post(f"HELP@not-{domain}")] == [201, 409]
    configs = session.get(f"{box.base_url}/api/v2/email_configs").json()
    assert [(one["reply_email"], one["active"]) for one in configs] == [(f"help@not-{domain}", False)]
