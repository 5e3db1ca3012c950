"""Fields that depend on others, from account to account by Zammad: written off, switched on, read back, moved on."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support import rule_accounts
from tests.support.desks import arrived, steps

Native = dict[str, Any]
SEATS = {"people_without_seat": "create"}
CONDITIONS = {
    "end_user_conditions": [
        {"parent_field_id": 57, "value": "sail", "child_fields": [{"id": 58, "is_required": True}]}
    ],
    "agent_conditions": [
        {
            "parent_field_id": 57,
            "value": "sail",
            "child_fields": [{"id": 58, "is_required": False, "required_on_statuses": {"type": "ALL_STATUSES"}}],
        },
        {"parent_field_id": 59, "value": True, "child_fields": [{"id": 60, "is_required": False}]},
    ],
}
FIELDS = (
    (57, "Kind of boat", "tagger", [("Sail", "sail"), ("Motor", "motor")]),
    (58, "Length of mast", "text", []),
    (59, "Insured", "checkbox", []),
    (60, "Policy", "text", []),
)


def zendesk(clock: Clock, *, host: str = "", forms: bool = True) -> Sandbox:
    """Return a Zendesk account; ``forms``: with a form on which fields depend on others."""
    module = registry.connector("zendesk").sandbox
    if host:
        return module.furnish(module.create(clock=clock, limits=False, host=host))  # type: ignore[no-any-return]
    box = rule_accounts.zendesk(clock, rules=[])
    for id, title, kind, options in FIELDS:
        some = [{"id": id * 10 + n, "name": name, "value": v, "raw_name": name} for n, (name, v) in enumerate(options)]
        more = {"custom_field_options": [{**one, "default": False} for one in some]} if some else {}
        field = {"id": id, "type": kind, "title": title, "active": True, "required": False, "position": id, **more}
        module.seed(box, "ticket_fields", [{**field, "description": "", **rule_accounts.AT}])
    form = {"id": 70, "name": "Boats", "display_name": "Boats", "ticket_field_ids": [57, 58, 59, 60], "position": 3}
    form |= {"active": True, "default": False, "end_user_visible": True, **rule_accounts.AT}
    module.seed(box, "ticket_forms", [{**form, **copy.deepcopy(CONDITIONS)}])
    return box


def moved(folder: Path, old: Sandbox, new: Sandbox, patch: pytest.MonkeyPatch, **more: Any) -> Steps:
    """Move an account and prove that it arrived."""
    run = arrived(steps(folder, old, new, patch, policies=SEATS, **more))
    assert json.loads((run.workspace.folder / "coverage.json").read_text())["uncovered"] == []
    return run


def ends(run: Steps) -> dict[str, int]:
    lines = [line for line in run.saved_plan()["dispositions"] if line["kind"] == "form_condition"]
    return {
        action: sum(one["count"] for one in lines if one["action"] == action) for action in {o["action"] for o in lines}
    }


def losses(run: Steps) -> set[tuple[str, str]]:
    return {(one["field"], one["how"]) for one in run.saved_plan()["losses"] if one["kind"] == "form_condition"}


def own(box: Sandbox) -> list[Native]:
    return [one for one in box.store["core_workflows"].values() if one["changeable"]]


def test_conditions_of_a_form_go_to_zammad_are_switched_on_and_go_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    old, middle = zendesk(clock), registry.connector("zammad").sandbox.create(clock=clock)
    run = moved(tmp_path / "there", old, middle, monkeypatch)
    names = {one["display"]: one["name"] for one in middle.store["object_manager_attributes"].values()}
    flows = own(middle)
    assert [one["active"] for one in flows] == [False] * 4
    assert {one["name"] for one in flows} == {"Boats 1", "Boats 2", "Boats 3", "Boats 4"}
    mast, boat = f"ticket.{names['Length of mast']}", f"ticket.{names['Kind of boat']}"
    assert [(one["condition_selected"], one["perform"]) for one in flows[:2]] == [
        ({boat: {"operator": "is not", "value": ["sail"]}}, {mast: {"operator": "hide", "hide": "true"}}),
        (
            {
                f"ticket.{names['Insured']}": {"operator": "is not", "value": ["true"]},
                "session.role_ids": {"operator": "is", "value": ["2"]},
            },
            {f"ticket.{names['Policy']}": {"operator": "hide", "hide": "true"}},
        ),
    ]
    assert len([one for one in run.due()[1] if one.as_kind == "form_condition"]) == 4
    assert run.activate(run.saved_plan()["digest"]).refused == []
    assert all(one["active"] for one in own(middle))

    new = zendesk(clock, host="second.sandbox")
    both = {"secrets": {"token": "env:MIGRATOR_TEST_DESTINATION", "oauth_token": "env:MIGRATOR_TEST_DESTINATION"}}
    back = steps(tmp_path / "back", middle, new, monkeypatch, policies=SEATS, destination=both)
    back.extract()
    back.plan()
    assert json.loads((back.workspace.folder / "coverage.json").read_text())["uncovered"] == []
    with Stage(back.workspace.stage, read_only=True) as stage:
        (planned,) = stage.rows(
            "SELECT native FROM plan.translated WHERE kind = 'form_condition' AND native IS NOT NULL"
        )
    text = json.dumps(CONDITIONS)
    for id, title, *_ in FIELDS:
        text = text.replace(f'": {id}', f'": "⟪custom_field:ticket:{names[title]}⟫"')
    assert json.loads(planned[0]) == json.loads(text)
    assert ends(back) == {"skip": 4, "create": 1}
    assert losses(back) == set()


def test_workflows_go_from_zammad_to_zammad_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    module = registry.connector("zammad").sandbox
    old, new = module.create(clock=clock), module.create(clock=clock)
    with mount(old) as session:
        session.headers["Authorization"] = f"Token token={module.TOKEN}"

        def post(path: str, body: Native) -> Any:
            answer = session.post(f"{old.base_url}/api/v1/{path}", json=body)
            assert answer.ok, answer.text
            return answer.json()

        options = {"options": {"a": "Apples", "p": "Pears"}}
        for name, kind, option in (("fruit", "select", options), ("kilos", "input", {"type": "text", "maxlength": 9})):
            body = {"object": "Ticket", "name": name, "display": name.title(), "data_type": kind, "data_option": option}
            post("object_manager_attributes", body)
        post("object_manager_attributes_execute_migrations", {})
        group = post("groups", {"name": "Second level", "active": True})["id"]
        flow = {"name": "Kilos of pears", "object": "Ticket", "preferences": {"screen": ["edit"]}, "priority": 120}
        flow |= {"condition_saved": {"ticket.group_id": {"operator": "is", "value": [str(group)]}}}
        flow |= {"condition_selected": {"ticket.fruit": {"operator": "is", "value": ["p"]}}, "stop_after_match": True}
        does = {"operator": ["show", "set_mandatory"], "show": "true", "set_mandatory": "true"}
        fixed = {"operator": "set_fixed_to", "set_fixed_to": ["p"]}
        post("core_workflows", {**flow, "perform": {"ticket.kilos": does, "ticket.fruit": fixed}})
        admin = {"name": "For admins", "object": "User", "condition_selected": {}, "active": False}
        admin["condition_saved"] = {"session.role_ids": {"operator": "is", "value": ["1"]}}
        post("core_workflows", {**admin, "perform": {"user.note": {"operator": "hide", "hide": "true"}}})
    new.state["counters"] |= {"groups": 40}  # so that numbers differ
    run = moved(tmp_path, old, new, monkeypatch)
    there = next(id for id, one in new.store["groups"].items() if one["name"] == "Second level")
    names = {one["display"]: one["name"] for one in new.store["object_manager_attributes"].values()}
    assert (there != group, names["Fruit"] != "fruit") == (True, True)
    home = json.loads(
        json.dumps([{k: v for k, v in one.items() if k not in ("id", "active")} for one in own(old)])
        .replace(f'"{group}"', f'"{there}"')
        .replace("ticket.fruit", f"ticket.{names['Fruit']}")
        .replace("ticket.kilos", f"ticket.{names['Kilos']}")
    )
    dated = ("id", "active", "created_at", "updated_at", "created_by_id", "updated_by_id")
    arrived = [{k: v for k, v in one.items() if k not in dated} for one in own(new)]
    assert arrived == [{k: v for k, v in one.items() if k not in dated} for one in home]
    assert [one.label for one in run.due()[1]] == ["Kilos of pears"]  # the other was off
    assert ends(run) == {"create": 2, "skip": 1}
    assert losses(run) == {("active", "reset")}
