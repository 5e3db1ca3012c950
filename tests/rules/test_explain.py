"""`migrator rules`: a file of rules explained on the terminal, as a page and as JSON, held against staged tickets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from migrator import customizations
from migrator.cli import app
from migrator.errors import InputError
from migrator.report import rules_html
from migrator.stage import Stage


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    file = tmp_path / "desk.json"
    assert run("rules", "demo", str(file)).exit_code == 0
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})


def test_each_rule_stands_beside_its_translation_with_its_verdict(desk: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run("rules", "explain", str(desk), "--from", "zendesk", "--to", "zammad", "-o", str(page))
    assert done.exit_code == 0
    for said in ("Billing  equivalent", "customer's language  untranslatable", "waits for a person"):
        assert said in done.output
    assert "of 17 rules" in done.output
    text = page.read_text(encoding="utf-8")
    assert text.count('<article class="rule">') == 17
    assert "Refunds go to Billing" in text


def test_the_page_asks_no_one_for_anything_and_shows_what_a_vendor_wrote_as_mere_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    mail = ["requester_id", evil, f"{evil}{{{{ticket.id}}}}"]
    conditions = {"all": [{"field": "subject_includes_word", "operator": "is", "value": evil}], "any": []}
    actions = [{"field": "notification_user", "value": mail}, {"field": evil, "value": evil}]
    rule = {"title": evil, "conditions": conditions, "actions": actions, evil: evil}
    file = tmp_path / f"{'x' * 200}.json"
    file.write_text(json.dumps({"triggers": [rule]}), encoding="utf-8")
    page = rules_html(customizations.explain(file, "zendesk", "zammad"))
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "http://" not in page.replace("#{config", "")


@pytest.mark.parametrize("to", ["zendesk", "zammad", "freshdesk"])
def test_the_json_tells_of_every_rule_its_verdict_and_every_note(desk: Path, tmp_path: Path, to: str) -> None:
    page = str(tmp_path / "page.html")
    done = run("rules", "explain", str(desk), "--from", "zendesk", "--to", to, "-o", page, "--json")
    data = json.loads(done.stdout)
    assert sum(data["verdicts"].values()) == data["total"] == len(data["rules"]) == 17
    for rule in data["rules"]:
        for one in rule["findings"]:
            assert one["verdict"] == "exact" or one["note"]
    assert to != "zendesk" or data["good"] == 17


def test_a_secret_in_a_rule_is_never_shown(tmp_path: Path) -> None:
    hook = {"field_name": "trigger_webhook", "request_type": "POST", "url": "https://hooks.example", "content": "x"}
    hook["custom_headers"] = {"Authorization": "Basic c2VjcmV0"}  # type: ignore[assignment]
    rule = {"rule_type": 1, "name": "Call", "conditions": [], "actions": [hook]}
    file = tmp_path / "rules.json"
    file.write_text(json.dumps([rule]), encoding="utf-8")
    for to in ("zammad", "zendesk"):
        data = customizations.explain(file, "freshdesk", to)
        assert "c2VjcmV0" not in json.dumps(data, default=str) + rules_html(data)
        assert "enter again" in rules_html(data)


def test_rules_are_counted_on_the_staged_tickets(tmp_path: Path) -> None:
    conditions = {"all": [{"field": "status", "operator": "is", "value": "open"}], "any": []}
    action = {"field": "priority", "value": "low"}
    file = tmp_path / "rules.json"
    file.write_text(
        json.dumps([{"title": "Open ones", "conditions": conditions, "actions": [action]}]), encoding="utf-8"
    )
    with Stage(tmp_path / "stage.duckdb") as stage:
        stage.schema("canonical")
        columns = "id VARCHAR, status VARCHAR, priority VARCHAR, tags VARCHAR[], custom VARCHAR, updated_at TIMESTAMP"
        stage.run(f"CREATE TABLE canonical.ticket ({columns})")
        for at, status in enumerate(("new", "open", "open", "closed")):
            stage.run("INSERT INTO canonical.ticket VALUES (?, ?, NULL, [], '{}', now())", str(at), status)
    found: dict[str, Any] = customizations.explain(file, "zendesk", "freshdesk", tmp_path)["rules"][0]
    assert found["verdict"] == "equivalent"
    assert found["counted"] is None  # two rules there: one for new tickets, one for changed ones
    to_zammad = customizations.explain(file, "zendesk", "zammad", tmp_path)["rules"][0]["counted"]
    assert (to_zammad["source"], to_zammad["destination"]) == (2, 2)
    assert to_zammad["false_positives"] == to_zammad["false_negatives"] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not JSON"), ("{}", "holds no rules"), ("[1, 2]", "not an export"), ('{"triggers": 7}', "not an export")],
)
def test_a_file_that_holds_no_rules_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "odd.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        customizations.explain(file, "zendesk", "zammad")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("to", ["zendesk", "zammad", "freshdesk", "chatwoot", "request_tracker"])
def test_a_rule_that_has_not_the_shape_of_one_is_unreadable_and_the_others_go_on(tmp_path: Path, to: str) -> None:
    good = {"title": "Good", "conditions": {"all": [], "any": []}, "actions": [{"field": "status", "value": "open"}]}
    odd: list[dict[str, Any]] = [
        {"title": "Odd", "conditions": {"all": 7}, "actions": []},
        {"title": ["Odd"], "conditions": {"all": [], "any": []}},
        {"title": "Odd", "conditions": {"all": [{"field": "status"}], "any": [None]}, "actions": "x"},
        {"title": "Odd", "conditions": {"all": [], "any": []}, "actions": [{"field": "set_tags", "value": {"a": 1}}]},
    ]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"triggers": [*odd, good]}), encoding="utf-8")
    data = customizations.explain(file, "zendesk", to)
    verdicts = [rule["verdict"] for rule in data["rules"]]
    assert verdicts[:3] == ["unreadable"] * 3
    assert data["rules"][-1]["name"] == "Good"
    assert "not the shape of a rule" in rules_html(data)


def test_an_unknown_vendor_is_refused_with_those_that_are_known(desk: Path) -> None:
    with pytest.raises(InputError, match=r"zamad.*did you mean.*zammad"):
        customizations.explain(desk, "zendesk", "zamad")


def test_a_history_is_replayed_and_what_ends_otherwise_is_printed(desk: Path, tmp_path: Path) -> None:
    made = [
        {"type": "Create", "field_name": "status", "value": "new"},
        {"type": "Comment", "public": True, "body": "x"},
    ]
    made += [{"type": "Create", "field_name": "subject", "value": "A refund, please"}]
    audit = {"id": 1, "ticket_id": 5, "created_at": "2026-01-01T00:00:00Z", "author_id": 7, "events": made}
    file, page = tmp_path / "audits.json", str(tmp_path / "page.html")
    file.write_text(json.dumps({"audits": [audit]}), encoding="utf-8")
    options = ("--from", "zendesk", "--to", "zammad", "-o", page, "--history", str(file))
    done = run("rules", "explain", str(desk), *options)
    assert done.exit_code == 0
    assert "replayed: 1 updates of 1 tickets" in done.output
    assert "is not replayed: the histories do not tell" in done.output


@pytest.mark.parametrize(
    ("text", "said"), [("[]", "begins at the beginning"), ("7", "not histories"), ("{", "not JSON")]
)
def test_a_file_without_histories_is_refused_by_name(desk: Path, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "audits.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        customizations.explain(desk, "zendesk", "zammad", history=file)
