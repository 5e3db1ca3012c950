"""Sections of Freshdesk's ticket form: what conditions of a form become, and what sections become elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migrator import registry
from migrator.connector import Unit
from migrator.errors import RefusedError, RetryError, UnknownOutcomeError
from migrator.rules.dialect import find
from migrator.rules.records import labelled, parsed, read
from migrator.rules.rule import Rule
from migrator.testing.conformance import SandboxGround
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support.connectors import connector

Native = dict[str, Any]
LABELS = {"ticket:57": {"sail": "Sail", "motor": "Motor"}}


ALWAYS: Native = {"required_on_statuses": {"type": "ALL_STATUSES"}}
SOLVED: Native = {"required_on_statuses": {"type": "SOME_STATUSES", "statuses": ["solved"]}}
PENDING: Native = {"required_on_statuses": {"type": "SOME_STATUSES", "statuses": ["pending"]}}


def condition(parent: int, value: Any, *children: int, **more: Any) -> Native:
    fields = [{"id": child, "is_required": False, **more} for child in children]
    return {"parent_field_id": parent, "value": value, "child_fields": fields}


def zendesk(agents: list[Native], customers: list[Native] | None = None, **types: str) -> Rule:
    """Return a form of Zendesk as a plan hands it to a writer; ``types``: of the fields that others depend on."""
    native = {
        "name": "Boats",
        "agent_conditions": agents,
        "end_user_conditions": agents if customers is None else customers,
    }
    rule = parsed(labelled(read("zendesk", "form", json.dumps(native)), LABELS))
    typed = [
        one.model_copy(update={"parent_type": types.get(f"f{one.parent.custom.strip('⟪⟫').rpartition(':')[2]}", "")})
        for one in rule.shown
    ]
    return rule.model_copy(update={"shown": tuple(typed)})


def written(rule: Rule, vendor: str = "freshdesk") -> tuple[list[Native], list[tuple[str, str]]]:
    made = find(vendor).write(rule)
    return list(made.native), [(one.verdict, one.note) for one in made.findings if one.verdict != "exact"]


def named(id: int) -> str:
    return f"⟪custom_field:ticket:{id}⟫"


def test_each_value_of_a_condition_is_a_section_of_the_field_it_depends_on() -> None:
    natives, told = written(zendesk([condition(57, "sail", 58, 59), condition(57, "motor", 58)], f57="dropdown"))
    assert natives == [
        {"label": "Sail", "parent": named(57), "choices": ["Sail"], "fields": [named(58), named(59)]},
        {"label": "Motor", "parent": named(57), "choices": ["Motor"], "fields": [named(58)]},
    ]
    assert [verdict for verdict, _ in told] == ["equivalent"]


@pytest.mark.parametrize(
    ("rule", "fields", "because"),
    [
        (zendesk([condition(57, "sail", 58), condition(60, True, 59)]), [[58]], "only a drop-down"),
        (zendesk([condition(57, "sail", 58), condition(60, "x", 59)], f60="multiselect"), [[58]], "only a drop-down"),
        (zendesk([condition(57, "sail", 58, 59), condition(60, "x", 59)]), [[58]], "sections of one field only"),
        (zendesk([condition(57, "sail", 58), condition(58, "x", 59)]), [[58]], "has no sections itself"),
        (zendesk([condition(57, "sail", 58)], []), [[58]], "not for agents only"),
        (zendesk([condition(57, "sail", 58, is_required=True)]), [[58]], "“Required when submitting the form”"),
        (zendesk([condition(57, "sail", 58, **ALWAYS)]), [[58]], "“Required when submitting the form” for agents"),
        (zendesk([condition(57, "sail", 58, **SOLVED)]), [[58]], "“Required when closing the ticket” for agents"),
        (zendesk([condition(57, "sail", 58, **SOLVED), condition(57, "motor", 58)]), [[58], [58]], "or nowhere"),
        (zendesk([condition(57, "sail", 58, **PENDING)]), [[58]], "in the statuses pending"),
        (zendesk([condition(57, "sail", 58), condition(60, True, 59, **SOLVED)]), [[58]], "or nowhere"),
    ],
)
def test_what_a_section_cannot_say_is_told_and_the_field_shows_always(
    rule: Rule, fields: list[list[int]], because: str
) -> None:
    natives, told = written(rule)
    assert [one["fields"] for one in natives] == [[named(id) for id in some] for some in fields]
    assert {verdict for verdict, note in told if because in note} == {"approximated"}


def test_a_form_of_which_a_section_could_say_nothing_is_left_to_a_person() -> None:
    rule = zendesk([condition(60, True, 59)])
    assert find("freshdesk").write(rule).verdict == "untranslatable"
    assert written(rule)[0] == []


def account() -> tuple[Sandbox, Any, dict[str, Native]]:
    """Return an account with a dropdown and two texts, and a session of its administrator."""
    box = registry.connector("freshdesk").sandbox.create(clock=Clock(), limits=False)
    session = mount(box)
    session.auth = (connector("freshdesk.sandbox").TOKEN, "X")
    fields = {}
    for label, more in (
        ("Boat", {"type": "custom_dropdown", "choices": [{"value": "Sail"}, {"value": "Motor"}]}),
        ("Mast", {"type": "custom_text"}),
        ("Keel", {"type": "custom_text"}),
    ):
        body = {"label": label, "label_for_customers": label, **more}
        made = session.post(f"{box.base_url}/api/v2/admin/ticket_fields", json=body)
        assert made.status_code == 201, made.text
        fields[label] = made.json()
    return box, session, fields


def unit(**payload: Any) -> Unit:
    native = {"label": "Sail", "parent": "cf_boat", "choices": ["Sail"], "fields": ["cf_mast", "cf_keel"]} | payload
    return Unit("form_condition", "1", "section", native, {}, "k", {}, (), "2026-11-27T00:00:00+00:00", "create")


def test_a_section_is_read_back_as_it_was_written_and_a_call_in_doubt_finds_and_completes_it() -> None:
    box, session, fields = account()
    freshdesk = SandboxGround(registry.connector("freshdesk"), box).open()
    assert [page.records for page in freshdesk.pages("forms", None, lambda _: [])] == [[]]
    base = f"{box.base_url}/api/v2/admin/ticket_fields/{fields['Boat']['id']}/sections"
    sail = fields["Boat"]["choices"][0]["id"]
    assert session.post(base, json={"label": "Sail", "choice_ids": [sail]}).status_code == 201  # and no answer came
    (found,) = freshdesk.find([unit()], set())
    assert found is not None
    (made,) = freshdesk.write([unit(label="Motor", choices=["Motor"], fields=["cf_mast"])])
    records = [json.loads(one.body) for page in freshdesk.pages("sections", None, lambda _: []) for one in page.records]
    assert [{key: one[key] for key in ("label", "parent", "choices", "fields")} for one in records] == [
        unit().payload,
        unit(label="Motor", choices=["Motor"], fields=["cf_mast"]).payload,
    ]
    assert [str(one["id"]) for one in records] == [found.id, made.id]
    assert freshdesk.find([unit(label="Other")], set()) == [None]
    with pytest.raises(RefusedError, match="no choice Steam"):
        freshdesk.write([unit(choices=["Steam"])])

    (whole,) = [json.loads(one.body) for page in freshdesk.pages("forms", None, lambda _: []) for one in page.records]
    assert whole["fields"] == [fields[label]["id"] for label in ("Keel", "Mast", "Boat")]
    there = parsed(read("freshdesk", "form", json.dumps(whole)))
    (form,), told = written(there, "zendesk")
    mark = "⟪custom_field:ticket:cf_{}⟫".format
    assert form["agent_conditions"] == form["end_user_conditions"]
    assert [
        (one["parent_field_id"], one["value"], [child["id"] for child in one["child_fields"]])
        for one in form["agent_conditions"]
    ] == [(mark("boat"), "Sail", [mark("mast"), mark("keel")]), (mark("boat"), "Motor", [mark("mast")])]
    assert told == []
    own = [written(parsed(read("freshdesk", "form", json.dumps(one))))[0] for one in (records[0], whole)]
    assert own == [[unit().payload | {"parent": mark("boat"), "fields": [mark("mast"), mark("keel")]}], []]

    gone = unit()
    freshdesk.write([Unit("form_condition", "1", "section", {}, {}, "k", {}, (), "", "delete", found.id)])
    left = [one.id for page in freshdesk.pages("sections", None, lambda _: []) for one in page.records]
    assert left == [made.id], gone


@pytest.mark.parametrize("how", ["500", "reset", "unanswered", "garbled"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_whatever_call_fails_the_section_is_there_once_and_whole_in_the_end(how: Any, at: int) -> None:
    box, _, fields = account()
    freshdesk = SandboxGround(registry.connector("freshdesk"), box).open()
    box.fault(how, at=at, matching="^(POST|PUT) .*ticket_fields")
    made: Any = None
    for _ in range(3):
        try:
            made = made or (freshdesk.find([unit()], set()) if made == () else freshdesk.write([unit()]))[0]
        except UnknownOutcomeError:
            made = ()
        except RetryError:  # nothing was done
            made = None
        if made:
            break
    (section,) = box.store["sections"].values()
    assert str(section["id"]) == made.id
    mappings = [box.store["ticket_fields"][fields[label]["id"]]["section_mappings"] for label in ("Mast", "Keel")]
    assert mappings == [[{"section_id": section["id"], "position": n}] for n in (1, 2)]
