"""A dependent field of Freshdesk is read as one drop-down of whole paths, and so is what tickets have in it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from migrator import registry
from migrator.extract import canonicalize
from migrator.nesting import tree
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


PART = st.sampled_from(["a", "b", "c", "A b", "é"])
PATHS = st.lists(st.lists(PART, min_size=1, max_size=4).map("::".join), min_size=1, max_size=8)


@given(PATHS)
@settings(max_examples=150, deadline=None)
def test_options_become_levels_only_where_every_one_is_a_path_and_each_arrives_as_it_was(options: list[str]) -> None:
    dependent = connector("freshdesk.dependent")
    found = tree(options, 3)
    whole = [option.split("::") for option in options]
    fits = all(2 <= len(path) <= 3 for path in whole) and len(set(options)) == len(options)
    fits = fits and not any(other.startswith(f"{one}::") for one in options for other in options)
    assert bool(found) is fits
    if not found:
        return
    assert [one for one in found if one in options] == sorted(options, key=found.index)
    field = {"label": "Bank", "type": "custom_dropdown", "choices": [{"value": one} for one in found]}
    made = dependent.nested(field, max(map(len, whole)))
    assert list(dependent.paths([{c["value"]: _short(c.get("choices"))} for c in made["choices"]])) == found
    names = ("cf_bank", *(f"cf_bank_{one['level']}" for one in made["dependent_fields"]))
    for option in found:
        values = dependent.parted({"cf_bank": option, "cf_other": "x::y"}, [names])
        assert [values[name] for name in names if values[name]] == option.split("::")
        assert values["cf_other"] == "x::y"
        read = json.loads(dependent.joined(json.dumps({"custom_fields": values}).encode(), [names]))
        assert {name: v for name, v in read["_custom_fields"].items() if v} == {"cf_bank": option, "cf_other": "x::y"}
    assert dependent.parted({"cf_bank": None}, [names]) == dict.fromkeys(names)


def _short(choices: Any) -> Any:
    return {one["value"]: _short(one.get("choices")) for one in choices or ()}
