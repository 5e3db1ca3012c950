"""A dependent field of Freshdesk is read as one drop-down of whole paths, and so is what tickets have in it."""

from __future__ import annotations

import json
from typing import Any

from migrator import registry
from migrator.extract import canonicalize
from migrator.stage import Stage
from migrator.testing.conformance import SandboxGround
from migrator.testing.sandbox import Clock, mount
from tests.support.connectors import connector

FRESHDESK = registry.connector("freshdesk")
CITIES = [{"value": "Chennai", "position": 1, "choices": [{"value": "Porur", "position": 1}]}]
FIELD: dict[str, Any] = {
    "label": "Bank",
    "label_for_customers": "Bank",
    "type": "nested_field",
    "choices": [{"value": "HDFC", "position": 1, "choices": CITIES}, {"value": "SBI", "position": 2}],
    "dependent_fields": [{"label": "City", "level": 2}, {"label": "Branch", "level": 3}],
}
CHOSEN: list[tuple[dict[str, str], str | None]] = [
    ({"cf_bank": "HDFC", "cf_city": "Chennai", "cf_branch": "Porur"}, "HDFC::Chennai::Porur"),
    ({"cf_bank": "HDFC", "cf_city": "Chennai"}, "HDFC::Chennai"),
    ({"cf_bank": "SBI"}, "SBI"),
    ({}, None),
]


def test_what_is_chosen_at_each_level_is_one_choice_of_the_whole_path() -> None:
    box = FRESHDESK.sandbox.create(clock=Clock(), limits=False)
    session, base = mount(box), f"{box.base_url}/api/v2"
    session.auth = (connector("freshdesk.sandbox").TOKEN, "X")
    assert session.post(f"{base}/admin/ticket_fields", json=FIELD).status_code == 201
    for values, _ in CHOSEN:
        body = {"subject": "S", "description": "D", "email": "ann@example.com", "custom_fields": values}
        assert session.post(f"{base}/tickets", json=body).status_code == 201
    account = SandboxGround(FRESHDESK, box).open()
    with Stage(":memory:", threads=1) as stage:
        stage.schema("raw", "blobs", fresh=True)
        for stream in ("ticket_fields", "tickets"):
            pages = list(account.pages(stream, None, lambda _: []))
            stage.put("raw", stream, [(r.id, None, None, r.body.decode()) for page in pages for r in page.records])
        canonicalize(stage, FRESHDESK.kinds, FRESHDESK.mapping, raw="raw", into="canonical")
        (bank,) = stage.rows("SELECT id, type, options, levels FROM canonical.custom_field WHERE title = 'Bank'")
        assert bank[1:] == ("dropdown", ["HDFC", "HDFC::Chennai", "HDFC::Chennai::Porur", "SBI"], 3)
        held = stage.rows("SELECT custom FROM canonical.ticket ORDER BY length(id), id")
    assert [json.loads(text) if text else {} for (text,) in held] == [
        {bank[0]: whole} if whole else {} for _, whole in CHOSEN
    ]
