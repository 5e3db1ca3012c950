"""Core workflows: what a form looks like to whom, by Zammad's engine and by Zendesk's rules, over invented forms."""

from __future__ import annotations

import json
import random
from itertools import product
from typing import Any

import pytest

from migrator import registry
from migrator.rules.conditions import Lit, path
from migrator.rules.dialect import find
from migrator.rules.records import native_rule, parsed, read, translate
from migrator.rules.references import bare
from migrator.rules.rule import Rule, Shown
from migrator.testing.conformance import SandboxGround
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.rules.test_leaves import changed, held, mutants, paths, said
from tests.support.connectors import connector

Native = dict[str, Any]
WORKFLOWS: Any = connector("zammad.workflows")
FIELDS = (11, 12, 13, 14)
VALUES = ("red", "green", "blue")
SIDES = {"agents": "agent_conditions", "customers": "end_user_conditions"}
STATES = {"open": 2, "closed": 4}


def invented(dice: random.Random) -> Native:
    """Return a form of Zendesk's in which fields depend on others, also on such as depend on others themselves."""
    sides: Native = {}
    for side in SIDES.values():
        made: dict[tuple[int, str], list[Native]] = {}
        for child in FIELDS[1:]:
            for parent, value in product([one for one in FIELDS if one < child], VALUES):
                if dice.random() < 0.25:
                    needed = dice.choice(
                        ({}, {"type": "ALL_STATUSES"}, {"type": "SOME_STATUSES", "statuses": ["closed"]})
                    )
                    one: Native = {"id": child, "is_required": side != "agent_conditions" and dice.random() < 0.4}
                    if side == "agent_conditions" and needed:
                        one["required_on_statuses"] = needed
                    made.setdefault((parent, value), []).append(one)
        sides[side] = [
            {"parent_field_id": parent, "value": value, "child_fields": some} for (parent, value), some in made.items()
        ]
    return {"id": 5, "name": "Form", **sides}


def zendesk_shows(form: Native, side: str, values: dict[int, str], status: str) -> dict[int, tuple[bool, bool]]:
    """Return which fields Zendesk shows and which of those must be filled in; a field that is hidden opens no other."""
    seen: dict[int, tuple[bool, bool]] = {}
    for field in FIELDS:
        gates = [
            (int(one["parent_field_id"]), one["value"], child)
            for one in form[SIDES[side]]
            for child in one["child_fields"]
            if int(child["id"]) == field
        ]
        open_ = [child for parent, value, child in gates if seen[parent][0] and values.get(parent) == value]
        needed = False
        for child in open_:
            statuses = child.get("required_on_statuses") or {}
            some = statuses.get("type") == "ALL_STATUSES" or status in statuses.get("statuses", ())
            needed = needed or (some if side == "agents" else child["is_required"])
        seen[field] = (not gates or bool(open_), needed)
    return seen


def rule_of(form: Native) -> Rule:
    return parsed(read("zendesk", "form", json.dumps(form)), name=form["name"])


def account() -> tuple[Sandbox, Any, Any]:
    """Return a Zammad with four choices of its own, a session that asks as people do, and a call of it."""
    box: Sandbox = registry.connector("zammad").sandbox.create(clock=Clock())
    session = mount(box)
    session.headers["Authorization"] = f"Token token={registry.connector('zammad').sandbox.TOKEN}"

    def call(method: str, path: str, body: Any, as_whom: str = "") -> Any:
        heads = {"X-On-Behalf-Of": as_whom} if as_whom else {}
        answer = session.request(method, f"{box.base_url}/api/v1/{path}", json=body, headers=heads)
        assert answer.ok, answer.text
        return answer.json()

    for id in FIELDS:
        options = {"options": dict(zip(("a", "b", "c"), VALUES, strict=True))}
        body = {"object": "Ticket", "name": f"f_{id}", "display": f"F {id}", "data_type": "select"}
        call("POST", "object_manager_attributes", {**body, "data_option": options})
    call("POST", "object_manager_attributes_execute_migrations", {})
    call("POST", "users", {"login": "agents", "firstname": "A", "lastname": "B", "roles": ["Agent"]})
    call("POST", "users", {"login": "customers", "firstname": "C", "lastname": "D", "roles": ["Customer"]})
    return box, session, call


def opened(box: Sandbox) -> Any:
    return SandboxGround(registry.connector("zammad"), box).open()


def placed(native: Native) -> Native:
    """Return what was written with the account's names in the place of marks, as `load` puts them."""
    text = json.dumps(native, ensure_ascii=False)
    for id in FIELDS:
        text = text.replace(f"⟪custom_field:ticket:{id}⟫", f"f_{id}")
    return dict(json.loads(text))


@pytest.mark.parametrize("seed", range(8))
def test_a_form_shows_and_needs_the_same_fields_as_at_zendesk_and_is_read_back_as_it_was(seed: int) -> None:
    form = invented(random.Random(seed))
    rule = rule_of(form)
    made = find("zammad").write(rule)
    assert {one.verdict for one in made.findings} <= {"exact", "equivalent"}
    box, session, call = account()
    there = opened(box)
    for native in made.native:
        body = WORKFLOWS.sent(there._in_ids(placed(native)), there.own_fields)
        call("POST", "core_workflows", body)
    keys = dict(zip((*VALUES, ""), ("a", "b", "c", ""), strict=True))
    dice = random.Random(seed)
    chosen = [tuple(dice.choice((*VALUES, "")) for _ in FIELDS) for _ in range(16)]
    for side, (status, state), values in product(SIDES, STATES.items(), chosen):
        params = {f"f_{id}": keys[value] for id, value in zip(FIELDS, values, strict=True)}
        asked = {"class_name": "Ticket", "screen": "edit", "params": {**params, "state_id": state}}
        seen = call("POST", "core_workflows/perform", asked, side)
        for field, (shows, needed) in zendesk_shows(form, side, dict(zip(FIELDS, values, strict=True)), status).items():
            assert (seen["visibility"][f"f_{field}"] == "show") is shows, (side, values, field)
            assert (shows and seen["mandatory"][f"f_{field}"]) is needed, (side, values, field)
    (whole,) = [json.loads(one.body) for page in there.pages("forms", None, lambda _: []) for one in page.records]
    back = native_rule(find("zammad"), "zammad", whole, "form")
    assert back.options == ()
    (again,) = find("zendesk").write(back).native
    home = json.loads(bare(json.dumps(again, ensure_ascii=False)).replace('"f_1', '"1'))
    for side, status, values in product(SIDES, STATES, chosen):
        held_now = dict(zip(FIELDS, values, strict=True))
        assert zendesk_shows(home, side, held_now, status) == zendesk_shows(form, side, held_now, status)
    session.close()


ODD: dict[str, Native] = {
    "fixes options": {"perform": {"ticket.f_12": {"operator": "set_fixed_to", "set_fixed_to": ["a"]}}},
    "asks what is saved": {"condition_saved": {"ticket.f_11": {"operator": "is", "value": ["a"]}}},
    "on one screen": {"preferences": {"screen": ["edit"]}},
    "for a role of its own": {"condition_selected": {"session.role_ids": {"operator": "is", "value": ["1"]}}},
    "stops": {"stop_after_match": True},
    "of users": {"object": "User", "perform": {"user.note": {"operator": "hide", "hide": "true"}}},
    "for good": {},
    "two at once": {"perform": {"ticket.f_12": {"operator": ["hide", "set_readonly"], "hide": "true"}}},
}
HIDES: Native = {
    "object": "Ticket",
    "condition_saved": {},
    "condition_selected": {"ticket.f_11": {"operator": "is not", "value": ["a", "b"]}},
    "perform": {"ticket.f_12": {"operator": "hide", "hide": "true"}},
    "preferences": {"screen": ["create_middle", "edit"]},
}


@pytest.fixture(scope="module")
def odd() -> tuple[list[Native], Native]:
    """Return workflows of every sort as they are staged, one by one and as a whole."""
    box, session, call = account()
    for name, more in ODD.items():
        asked = {} if name == "for good" else HIDES["condition_selected"]
        call("POST", "core_workflows", {**HIDES, "condition_selected": asked, "name": name, "priority": 7, **more})
    call("POST", "core_workflows", {**HIDES, "name": "off", "active": False})
    base = call("POST", "core_workflows", {**HIDES, "name": "base - of the vendor"})
    box.store["core_workflows"][base["id"]]["changeable"] = False
    there = opened(box)
    streams = [
        [json.loads(one.body) for page in there.pages(stream, None, lambda _: []) for one in page.records]
        for stream in ("core_workflows", "forms")
    ]
    session.close()
    return streams[0], streams[1][0]


def test_a_workflow_goes_home_as_it_was_and_any_leaf_of_it_is_read(odd: tuple[list[Native], Native]) -> None:
    singles, _ = odd
    assert len(singles) == len(ODD) + 1  # the vendor's own is in no list
    for native in singles:
        rule = find("zammad").read(native, "form")
        (home,) = find("zammad").write(rule).native
        assert home == {key: native[key] for key in home}
        assert {"name", "object", "condition_selected", "perform", "preferences", "priority"} <= home.keys()
        was = rule.model_dump(exclude={"kept"})
        for at in paths(native):
            if at[-1] not in ("id", "created_at", "updated_at", "created_by_id", "updated_by_id", "changeable"):
                other = native_rule(find("zammad"), "zammad", changed(native, at), "form").model_dump(exclude={"kept"})
                assert other != was, at


def test_what_the_model_has_no_word_for_is_a_loss_by_name(odd: tuple[list[Native], Native]) -> None:
    singles, whole = odd
    rule = parsed(read("zammad", "form", json.dumps(whole)), name="Ticket")
    made = find("zendesk").write(rule)
    told = [one.what for one in made.findings if one.verdict == "approximated"]
    for name in ODD:
        if name != "for good":
            assert [what for what in told if what.startswith(f"{name}: ")], name
    assert [what for what in told if what.startswith("ticket.⟪custom_field:ticket:f_12⟫ hide")]  # it never shows
    assert not [what for what in told if what.startswith("off")]
    for native in singles:  # they arrive with the whole, not by themselves
        rule = parsed(read("zammad", "form", json.dumps(native)), name="one")
        for vendor in ("zendesk", "freshdesk"):
            one = translate(find(vendor), vendor, rule)
            assert (one.native, one.findings[-1].note) == ((), one.findings[-1].note)
            assert "in the conditions of the form as a whole" in one.findings[-1].note


def test_what_shows_where_it_is_hidden_at_first_is_a_condition_too() -> None:
    mark = "ticket.⟪custom_field:ticket:f_{}⟫".format
    shows = {"name": "s", "id": 2, "object": "Ticket", "active": True, "condition_selected": {}}
    shows["condition_selected"] = {mark(11): {"operator": "is", "value": ["red", "blue"]}}
    shows["perform"] = {mark(12): {"operator": ["show", "set_mandatory"], "show": "true", "set_mandatory": "true"}}
    hides = {**HIDES, "name": "h", "condition_selected": {}, "perform": {mark(12): {"operator": "remove"}}}
    for first, flows in (({"agents": [mark(12)], "customers": [mark(12)]}, [shows]), ({}, [hides, shows])):
        rule = find("zammad").read({"name": "F", "workflows": flows, "hidden": first}, "form")
        assert rule.options == ()
        assert [(one.to, one.value.value, one.needed, one.required) for one in rule.shown] == [  # type: ignore[union-attr]
            ("agents", "red", "always", False),
            ("agents", "blue", "always", False),
            ("customers", "red", "", True),
            ("customers", "blue", "", True),
        ]
    rule = find("zammad").read({"name": "F", "workflows": [shows], "hidden": {}}, "form")
    assert {key for key, _ in rule.options} == {f"{mark(12)} show", f"{mark(12)} set_mandatory"}


def test_changing_any_leaf_of_a_form_changes_what_is_written_or_said() -> None:
    silent, tried = [], 0
    for seed in range(3):
        rule = rule_of(invented(random.Random(seed)))
        was = said(find("zammad").write(rule))
        for at, data in mutants(json.loads(rule.model_dump_json())):
            if at[0] != "shown" or at[-1] in ("parent_type", "statuses"):
                continue
            try:
                other = Rule.model_validate(data)
            except ValueError:
                continue
            tried += 1
            if said(find("zammad").write(other)) == was:
                silent.append((at, held(data, at)))
    assert silent == []
    assert tried > 50


def test_a_ticket_without_what_a_workflow_wants_is_refused_and_what_it_takes_off_is_empty() -> None:
    box, session, call = account()
    wants = {**HIDES, "name": "wants", "condition_selected": {"ticket.f_11": {"operator": "is", "value": ["a"]}}}
    wants["perform"] = {"ticket.text": {"operator": "set_mandatory", "set_mandatory": "true"}}
    takes = {**wants, "name": "takes", "perform": {"ticket.f_13": {"operator": "remove", "remove": "true"}}}
    option = {"type": "text", "maxlength": 9, "default": None}
    field = {"object": "Ticket", "name": "text", "display": "T", "data_type": "input", "data_option": option}
    call("POST", "object_manager_attributes", field)
    call("POST", "object_manager_attributes_execute_migrations", {})
    for flow in (wants, takes):
        call("POST", "core_workflows", flow)
    body = {"title": "t", "group": "Users", "customer_id": 3, "f_11": "a", "f_13": "b"}
    refused = session.post(f"{box.base_url}/api/v1/tickets", json=body)
    assert (refused.status_code, refused.json()["error"]) == (422, "Missing required value for field 'text'!")
    assert call("POST", "tickets", {**body, "text": "x"})["f_13"] is None
    assert call("POST", "tickets", {**body, "f_11": "b"})["f_13"] == "b"
    session.close()


def shown(parent: str, value: Any, child: str = "cf:x", **more: Any) -> Shown:
    held = None if value is None else Lit(value=value)
    return Shown(to="agents", parent=path(f"ticket.{parent}"), value=held, child=path(f"ticket.{child}"), **more)


def written(*some: Shown) -> tuple[list[Native], list[tuple[str, str]]]:
    made = find("zammad").write(Rule(vendor="nobody", kind="form", name="F", shown=some))
    return list(made.native), [(one.verdict, one.note) for one in made.findings if one.verdict != "exact"]


@pytest.mark.parametrize(
    ("parent", "value", "asked"),
    [
        ("status", "pending", {"ticket.state_id": {"operator": "is not", "value": ["<state:pending reminder>"]}}),
        ("priority", "high", {"ticket.priority_id": {"operator": "is not", "value": ["<priority:3 high>"]}}),
        ("type", "incident", {"ticket.type": {"operator": "is not", "value": ["incident"]}}),
        ("cf:box", True, {"ticket.cf_box": {"operator": "is not", "value": [True]}}),
        ("cf:box", False, {"ticket.cf_box": {"operator": "is", "value": [True]}}),  # nobody ticked it
    ],
)
def test_a_field_may_depend_on_what_every_ticket_has(parent: str, value: Any, asked: Native) -> None:
    (flow,), told = written(shown(parent, value))
    assert flow["condition_selected"] == {**asked, "session.role_ids": {"operator": "is", "value": ["<role:Agent>"]}}
    assert {verdict for verdict, _ in told} == {"equivalent"}
    whole = find("zammad").read({"name": "F", "workflows": [flow], "hidden": {}}, "form")
    (one,) = whole.shown
    assert (whole.options, one.to, one.value, one.child.name) == ((), "agents", Lit(value=value), "cf:x")
    assert str(one.parent) == f"ticket.{parent}"


@pytest.mark.parametrize(
    ("some", "because"),
    [
        ((shown("cf:a", None),), "any value"),
        ((shown("group", "1"),), "a field of every account"),
        ((shown("status", "invented"),), "no state invented"),
        ((shown("cf:a", "1", "priority"),), "a field of every account"),
    ],
)
def test_what_no_workflow_can_say_shows_always_and_is_told(some: tuple[Shown, ...], because: str) -> None:
    flows, told = written(*some)
    assert (flows, find("zammad").write(Rule(vendor="nobody", kind="form", name="F", shown=some)).verdict) == (
        [],
        "untranslatable",
    )
    assert [note for verdict, note in told if verdict == "approximated" and because in note]
    flows, told = written(*some, shown("cf:b", "1", some[0].child.name))  # half of it would hide the field too often
    assert [flow for flow in flows if "ticket.cf_x" in flow["perform"]] == []


def test_a_status_that_becomes_one_with_another_leaves_only_what_hides_to_a_person() -> None:
    words = {"status": {"open": "open", "solved": "closed", "closed": "closed"}}
    settled = registry.dialect("zammad").settled  # type: ignore[attr-defined]
    (hides,), _ = written(shown("status", "solved"))
    native, why = settled(hides, words)
    assert native["condition_selected"]["ticket.state_id"]["value"] == ["<state:closed>"]
    assert "closed would match too" in why
    needs = written(shown("cf:a", "1", needed="some", statuses=("solved", "open")))[0][1]
    native, why = settled(needs, words)
    assert (native["condition_selected"]["ticket.state_id"]["value"], why) == (["<state:closed>", "<state:open>"], "")


def test_sections_of_freshdesk_become_workflows_and_more_than_twelve_ways_are_a_persons() -> None:
    section = {"parent": "cf_boat", "choices": ["Sail"], "fields": ["cf_mast"], "plain": False}
    rule = find("freshdesk").read({"id": "agents", "name": "Ticket form", "sections": [section]}, "form")
    (flow,) = find("zammad").write(rule).native
    assert (flow["condition_selected"], list(flow["perform"])) == (
        {"ticket.cf_boat": {"operator": "is not", "value": ["Sail"]}},
        ["ticket.cf_mast"],
    )
    deep = [shown(f"cf:b{n}", "1", "cf:x") for n in range(4)] + [shown(f"cf:c{n}", "1", f"cf:b{n}") for n in range(4)]
    flows, told = written(*deep)
    assert [note for _, note in told if "too many fields on each other" in note]
    assert [len(flow["condition_selected"]) for flow in flows if "ticket.cf_x" in flow["perform"]] == [5]
