"""What an administrator sets up beside rules, from account to account: brands, statuses, roles, texts, hours, doors."""

from __future__ import annotations

import copy
import html
import json
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.cli.common import write_report
from migrator.customizations import explain
from migrator.stage import html_form
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from tests.support import rule_accounts
from tests.support.desks import arrived, steps

Native = dict[str, Any]
AT = rule_accounts.AT
HULL = {"id": 63, "value": "101"}
BERTH = {"id": 64, "value": "berth_1"}
SIGNED = "Nora & her boats"
DEFAULT_BRAND = 900_000_000_031
SETUP: dict[str, list[Native]] = {
    "brands": [
        {
            "id": 50,
            "name": "Boats",
            "subdomain": "boats",
            "brand_url": "https://boats.zendesk.com",
            "active": True,
            "default": False,
            "signature_template": "{{agent.signature}} of Boats",
            "ticket_form_ids": [],
        }
    ],
    "custom_roles": [
        {
            "id": 51,
            "name": "Night shift",
            "description": "Who works at night",
            "role_type": 0,
            "team_member_count": 3,
            "configuration": {"ticket_access": "within-groups", "ticket_deletion": False, "macro_access": "full"},
        },
        {"id": 52, "name": "Light agent", "description": "", "role_type": 1, "configuration": {"light_agent": True}},
    ],
    "custom_statuses": [
        {
            "id": 53,
            "status_category": "hold",
            "agent_label": "Waiting for parts",
            "raw_agent_label": "Waiting for parts",
            "end_user_label": "On its way",
            "raw_end_user_label": "On its way",
            "description": "The supplier has it",
            "end_user_description": "We wait for a part",
            "active": True,
            "default": False,
        }
    ],
    "dynamic_content_items": [
        {
            "id": 54,
            "name": "Good day",
            "placeholder": "{{dc.good_day}}",
            "default_locale_id": 1,
            "outdated": False,
            "variants": [
                {"id": 541, "locale_id": 1, "content": "Hello", "default": True, "active": True, **AT},
                {"id": 542, "locale_id": 8, "content": "Bonjour", "default": False, "active": True, **AT},
            ],
        }
    ],
    "recipient_addresses": [
        {
            "id": 55,
            "name": "Boats",
            "email": "help@boats.example",
            "brand_id": 50,
            "default": False,
            "forwarding_status": "verified",
        },
        {"id": 56, "name": "Own", "email": "support@old.zendesk.com", "default": True, "forwarding_status": "verified"},
    ],
    "ticket_fields": [
        {
            "id": 57,
            "type": "tagger",
            "title": "Kind of boat",
            "active": True,
            "required": False,
            "position": 20,
            "description": "",
            "custom_field_options": [
                {"id": 571, "name": "Sail", "value": "sail", "raw_name": "Sail", "default": False},
                {"id": 572, "name": "Motor", "value": "motor", "raw_name": "Motor", "default": False},
            ],
        },
        {
            "id": 58,
            "type": "text",
            "title": "Length of mast",
            "active": True,
            "required": False,
            "position": 21,
            "description": "",
        },
        {"id": 63, "type": "text", "title": "Hull number", "active": True, "required": True, "position": 22},
        {
            "id": 64,
            "type": "tagger",
            "title": "Berth",
            "active": True,
            "required": False,
            "position": 23,
            "custom_field_options": [
                {"id": 641 + n, "name": name, "value": f"berth_{n}", "raw_name": name, "default": False}
                for n, name in enumerate(("North::Pier 1", "North::Pier 2", "South::Quay"))
            ],
        },
    ],
    "ticket_forms": [
        {
            "id": 59,
            "name": "Boat trouble",
            "display_name": "Boat trouble",
            "ticket_field_ids": [57, 58],
            "active": True,
            "default": False,
            "end_user_visible": True,
            "position": 3,
            "end_user_conditions": [
                {"parent_field_id": 57, "value": "sail", "child_fields": [{"id": 58, "is_required": True}]}
            ],
            "agent_conditions": [
                {
                    "parent_field_id": 57,
                    "value": "sail",
                    "child_fields": [
                        {
                            "id": 58,
                            "is_required": False,
                            "required_on_statuses": {"type": "SOME_STATUSES", "statuses": ["solved"]},
                        }
                    ],
                }
            ],
        }
    ],
    "schedules": [rule_accounts.schedule(60)],
    "users": [
        {
            "id": 61,
            "name": "Nora",
            "email": "nora@desk.example",
            "role": "agent",
            "custom_role_id": 51,
            "signature": SIGNED,
        },
        {"id": 62, "name": "Carl", "email": "carl@people.example", "role": "end-user", "custom_role_id": None},
    ],
    "tickets": [
        {
            "id": 1,
            "subject": "Mast",
            "status": "hold",
            "brand_id": 50,
            "custom_status_id": 53,
            "custom_fields": [HULL, BERTH],
        },
        {"id": 2, "subject": "Sail", "status": "open", "brand_id": DEFAULT_BRAND, "custom_status_id": 900_000_000_041},
        {"id": 3, "subject": "Keel", "status": "closed", "brand_id": 50, "custom_status_id": 900_000_000_044},
    ],
}
MORE: dict[str, Native] = {
    "users": rule_accounts.PERSON,
    "tickets": {"requester_id": 62, "via": {"channel": "web"}, "tags": [], "custom_fields": []},
}


def _rule(id: int, asked: list[tuple[str, str, Any]], *acts: tuple[str, Any]) -> tuple[str, str, Native]:
    conditions = [dict(zip(("field", "operator", "value"), one, strict=True)) for one in asked]
    native = {"id": id, "title": f"Rule {id}", "active": True, "position": id}
    native |= {"conditions": {"all": conditions, "any": []}, "actions": [{"field": f, "value": v} for f, v in acts]}
    return f"rule {id}", "trigger", native


MAIL = ("notification_user", ["requester_id", "News", "{{dc.good_day}}, {{ticket.requester.name}}"])
NEW = ("update_type", "is", "Create")
RULES = [
    _rule(1, [NEW, ("brand_id", "is", "50")], ("current_tags", "boats")),
    _rule(2, [("custom_status_id", "value", "53")], ("current_tags", "parts")),
    _rule(3, [NEW, ("priority", "is", "high")], MAIL),
    _rule(4, [NEW, ("within_schedule", "is", "60")], ("priority", "high")),
    _rule(5, [NEW, ("status", "is", "hold")], MAIL),
    _rule(6, [NEW, ("status", "less_than", "solved")], MAIL),
]


def account(clock: Clock) -> Sandbox:
    """Return a Zendesk account that has one of each."""
    box = rule_accounts.zendesk(clock, rules=RULES)
    for stream, bodies in SETUP.items():
        registry.connector("zendesk").sandbox.seed(
            box, stream, [{**AT, **MORE.get(stream, {}), **copy.deepcopy(body)} for body in bodies]
        )
    return box


def moved(folder: Path, new: Sandbox, patch: pytest.MonkeyPatch, **more: Any) -> Steps:
    return arrived(steps(folder, account(new.clock), new, patch, policies={"people_without_seat": "create"}, **more))


def losses(run: Steps, *kinds: str) -> set[tuple[str, str, str]]:
    return {(one["kind"], one["field"], one["how"]) for one in run.saved_plan()["losses"] if one["kind"] in kinds}


def fates(run: Steps) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in run.saved_plan()["dispositions"]:
        told = found.setdefault(line["kind"], {})
        told[line["action"]] = f"{told.get(line['action'], '')} {line['reason']}"
    return found


RESET = {("ticket", "channel", "dropped"), ("agent", "created_at", "reset"), ("agent", "updated_at", "reset")}
KINDS = ("brand", "role", "status", "dynamic_content", "email_address", "schedule", "holiday", "form_condition")


def test_to_its_own_vendor_everything_that_is_set_up_arrives_and_rules_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    module = registry.connector("zendesk").sandbox
    new = module.furnish(module.create(clock=clock, limits=False, host="second.sandbox"))
    for _ in range(3):
        new.next_id()  # numbers of the two accounts differ
    run = moved(tmp_path, new, monkeypatch)
    dated = {(kind, field, "reset") for kind in KINDS for field in ("created_at", "updated_at")}
    told = {("brand", "address", "reset"), ("email_address", "verified", "reset")}
    assert losses(run, *KINDS) - dated == told
    (brand,) = (one for one in new.store["brands"].values() if one["name"] == "Boats")
    (role,) = new.store["custom_roles"].values()
    (status,) = (one for one in new.store["custom_statuses"].values() if one["agent_label"] == "Waiting for parts")
    (item,) = new.store["dynamic_content_items"].values()
    (address,) = new.store["recipient_addresses"].values()
    (schedule,) = new.store["schedules"].values()
    (form,) = (one for one in new.store["ticket_forms"].values() if one["name"] == "Boat trouble")
    fields = {one["title"]: one["id"] for one in new.store["ticket_fields"].values()}
    assert role["configuration"] == SETUP["custom_roles"][0]["configuration"]
    assert (status["status_category"], status["end_user_label"]) == ("hold", "On its way")
    assert [(one["locale_id"], one["content"], one["default"]) for one in item["variants"]] == [
        (1, "Hello", True),
        (8, "Bonjour", False),
    ]
    assert (address["email"], address["brand_id"], address["forwarding_status"]) == (
        "help@boats.example",
        brand["id"],
        "unknown",
    )
    assert schedule["intervals"] == SETUP["schedules"][0]["intervals"]
    assert [(day["name"], day["start_date"]) for day in schedule["holidays"]] == [("New Year", "2026-01-01")]
    file = tmp_path / "rules.json"  # without schedules: those of the staged account are drafted
    file.write_text(json.dumps({"views": [{"title": "All", "conditions": {"all": [], "any": []}}]}), encoding="utf-8")
    drafts = explain(file, "zendesk", "request_tracker", run.workspace.folder)["files"]
    assert list(drafts) == ["migrator_hours.pm"]
    assert all(said in drafts["migrator_hours.pm"] for said in ("'Hours 60' =>", "['2026-01-01']", "'09:00'"))
    (condition,) = form["agent_conditions"]
    assert (condition["parent_field_id"], condition["value"]) == (fields["Kind of boat"], "sail")
    assert condition["child_fields"] == [
        {
            "id": fields["Length of mast"],
            "is_required": False,
            "required_on_statuses": {"type": "SOME_STATUSES", "statuses": ["solved"]},
        }
    ]
    asked = {one["title"]: one["conditions"]["all"][-1]["value"] for one in new.store["triggers"].values()}
    assert asked["Rule 1"] == str(brand["id"])
    assert asked["Rule 2"] == str(status["id"])
    assert asked["Rule 4"] == str(schedule["id"])
    assert "{{dc.good_day}}" in json.dumps(new.store["triggers"][max(new.store["triggers"])]["actions"])
    assert len(asked) == len(RULES)
    tickets = {one["subject"]: one for one in new.store["tickets"].values()}
    default = next(one["id"] for one in new.store["brands"].values() if one["default"])
    kept = {name: (one["brand_id"], one["custom_status_id"], one["status"]) for name, one in tickets.items()}
    assert kept == {
        "Mast": (brand["id"], status["id"], "hold"),
        "Sail": (default, 900_000_000_041, "open"),
        "Keel": (brand["id"], 900_000_000_044, "closed"),
    }
    nora = next(one for one in new.store["users"].values() if one["name"] == "Nora")
    assert (nora["custom_role_id"], nora["signature"]) == (role["id"], SIGNED)
    assert not losses(run, "ticket", "agent") - RESET


@pytest.mark.parametrize("brought", [False, True])
def test_to_freshdesk_rules_are_written_for_the_statuses_the_overlay_brings(
    brought: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = registry.connector("freshdesk").sandbox.create(clock=Clock(), limits=False)
    overlay: Native = {}
    seed = registry.connector("freshdesk").sandbox.seed
    seed(new, "products", [{"id": 77, "name": "boats", "description": "", **AT}] if brought else [])
    if brought:
        nora = {"id": 88, "contact": {"name": "Nora", "email": "nora@desk.example"}, "role_ids": []}
        seed(new, "agents", [{**nora, "type": "support_agent", "occasional": False, **AT}])
        status = {"values": {"6": "new", "7": "hold"}, "write": {"new": 6, "hold": 7}}
        overlay = {"overlay": {"freshdesk": {"ticket": {"status": status}}}}
        overlay["narrow"] = [{"field": "Hull number", "type": "integer"}]
    run = moved(tmp_path, new, monkeypatch, **overlay)
    found = fates(run)
    (field,) = (one for one in new.store["ticket_fields"].values() if one["name"] == "status")
    made = {"6": ["New", "New"], "7": ["On hold", "On hold"]}
    assert {number: labels for number, labels in field["choices"].items() if number > "5"} == (made if brought else {})
    held = {one["subject"]: one["status"] for one in new.store["tickets"].values()}
    assert held == {"Mast": 7 if brought else 3, "Sail": 2, "Keel": 5}
    (mailbox,) = new.store["email_configs"].values()
    assert (mailbox["support_email"], mailbox["product_id"], mailbox["active"]) == (
        "help@boats.example",
        77 if brought else None,
        False,
    )
    assert {how for _, field, how in losses(run, "email_address") if field in ("brand", "verified")} == (
        {"reset"} if brought else {"reset", "unresolved"}
    )
    signed = [one["signature"] for one in new.store["agents"].values() if one.get("signature")]
    assert [html_form(one) for one in signed] == ([html_form(html.escape(SIGNED))] if brought else [])
    assert found["signature"].keys() == ({"create"} if brought else {"skip"})
    for kind in ("brand", "role", "schedule", "status"):
        assert found[kind]["keep" if brought and kind == "brand" else "manual"]
    assert sorted(str(one["product_id"]) for one in new.store["tickets"].values()) == (
        ["77", "77", "None"] if brought else ["None"] * 3
    )
    assert (("agent", "roles", "merged") in losses(run, "agent")) is brought  # who is there keeps what he has
    lost = {field for kind, field, _ in losses(run, "ticket") if field in ("brand", "custom_status")}
    assert lost == ({"custom_status"} if brought else {"brand", "custom_status"})
    assert "not written" in found["holiday"]["skip"]  # with the schedule, that a person makes
    fields = {one["label"]: one for one in new.store["ticket_fields"].values()}
    (section,) = new.store["sections"].values()
    assert (section["label"], section["parent_ticket_field_id"]) == ("Sail", fields["Kind of boat"]["id"])
    assert fields["Length of mast"]["section_mappings"] == [{"section_id": section["id"], "position": 1}]
    assert losses(run, "form_condition") == {("form_condition", "rule: when", "merged")}  # that it must be filled in
    berths = fields["Berth"]
    assert (berths["type"], berths["choices"]) == (
        "nested_field",
        [{"North": ["Pier 1", "Pier 2"]}, {"South": ["Quay"]}],
    )
    written = {one["name"]: one for one in new.store["creation_rules"].values()}
    hull = next(one for one in new.store["ticket_fields"].values() if one["label"] == "Hull number")
    mast = next(one for one in new.store["tickets"].values() if one["subject"] == "Mast")
    levels = [berths["name"], *(one["name"] for one in berths["nested_ticket_fields"])]
    assert [mast["custom_fields"][one] for one in levels] == ["North", "Pier 2"]
    assert (hull["type"], mast["custom_fields"][hull["name"]]) == (
        ("custom_number", 101) if brought else ("custom_text", "101")
    )
    assert {one["label"] for one in fields.values() if one["required_for_closure"]} == set()  # tickets arrive first
    run.activate(run.saved_plan()["digest"])
    asked = {one["label"] for one in new.store["ticket_fields"].values() if one["required_for_closure"]}
    assert asked == {"Hull number"}
    write_report(run)
    report = (run.workspace.folder / "report.html").read_text(encoding="utf-8")
    assert ("proven, made narrower" in report) is brought
    page = (run.workspace.folder / "customizations.html").read_text(encoding="utf-8")
    assert "What is set up beside rules" in page
    assert "roles are made by hand at Freshdesk" in page
    assert "Night shift" in page
    assert "“Length of mast” must be filled in by agents" in page
    assert "<bdi>Pier 1</bdi>, <bdi>Pier 2</bdi>" in report  # of the dependent field
    assert "⟪" not in page + report  # records by their names
    values = {
        name: [one["value"] for each in rule["conditions"] for one in each["properties"]]
        for name, rule in written.items()
    }
    assert values["Rule 6"] == [[6, 2, 3, 7]] if brought else [[2, 3]]
    assert "Hello" in written["Rule 3"]["actions"][0]["email_body"]
    if brought:
        assert values["Rule 5"] == [[7]]
    else:
        assert "Rule 5" not in written  # pending and on hold are one there, and a mail cannot be taken back
        assert "cannot be told apart" in found["trigger"]["manual"] + json.dumps(run.saved_plan()["dispositions"])
