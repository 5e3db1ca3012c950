"""Rules are held against the account's own definitions, in the form in which Zendesk serves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator import customizations
from tests.support.vendor_data import folder

Native = dict[str, Any]
IS = [{"value": "is", "title": "Is", "terminal": False}, {"value": "changed", "title": "Changed", "terminal": True}]


def defined(subject: str, *values: str, off: str = "") -> Native:
    listed = [{"value": one, "title": one, "enabled": one != off} for one in values]
    return {"subject": subject, "type": "list", "nullable": False, "operators": IS, "values": listed, "title": subject}


def said(tmp_path: Path, condition: tuple[str, str, Any], action: tuple[str, Any] = ("priority", "low")) -> list[str]:
    field, operator, value = condition
    asked = {"all": [{"field": field, "operator": operator, "value": value}], "any": []}
    do = [{"field": action[0], "value": action[1]}]
    known = [defined("group_id", "21", "22", off="22"), defined("status", "open", "solved")]
    definitions = {"conditions_all": known, "conditions_any": known, "actions": [defined("priority", "low")]}
    file = tmp_path / "rules.json"
    document = {"triggers": [{"title": "x", "conditions": asked, "actions": do}], "definitions": definitions}
    file.write_text(json.dumps(document), encoding="utf-8")
    data = customizations.explain(file, "zendesk", "zendesk")
    assert data["checked"]
    return [one["note"] for one in data["rules"][0]["findings"] if one["note"]]


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (("group_id", "is", "23"), "no value '23'"),
        (("group_id", "is", "22"), "switched off"),
        (("group_id", "is", None), "no value"),
        (("group_id", "less_than", "21"), "no operator 'less_than'"),
        (("custom_fields_9", "is", "x"), "no such field"),
    ],
)
def test_what_the_account_does_not_have_is_named(tmp_path: Path, condition: tuple[str, str, Any], why: str) -> None:
    (note,) = said(tmp_path, condition)
    assert why in note


@pytest.mark.parametrize("condition", [("group_id", "is", "21"), ("group_id", "is", 21), ("status", "changed", None)])
def test_what_the_account_has_is_no_matter(tmp_path: Path, condition: tuple[str, str, Any]) -> None:
    assert said(tmp_path, condition) == []


def test_actions_are_held_against_them_too(tmp_path: Path) -> None:
    assert "no value 'high'" in said(tmp_path, ("status", "is", "open"), ("priority", "high"))[0]
    assert "no such field" in said(tmp_path, ("status", "is", "open"), ("custom_fields_9", "x"))[0]


def test_without_definitions_nothing_is_checked_and_said_so(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    rule = {"title": "x", "conditions": {"all": [], "any": []}, "actions": [{"field": "priority", "value": "low"}]}
    file.write_text(json.dumps({"triggers": [rule]}), encoding="utf-8")
    assert customizations.explain(file, "zendesk", "zammad")["checked"] is False


@pytest.mark.skipif(not (folder() / "zendesk" / "spec").is_dir(), reason="vendor data is absent")
def test_the_form_that_is_checked_against_is_that_of_the_specification() -> None:
    text = (folder() / "zendesk" / "spec" / "openapi.yaml").read_text("utf-8")
    at = text.index("    TriggerConditionDefinitionObjectAll:")
    form = text[at : text.index("    TriggerConditionDefinitionObjectAny:", at)]
    for key in (*defined("x", "y"), "enabled", "terminal"):
        assert f"{key}:" in form
