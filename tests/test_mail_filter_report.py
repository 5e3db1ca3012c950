"""The customization report of a hosting account: each mail filter beside its Sieve, counted on the staged messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.compile import name
from migrator.connectors.cpanel.filters import Spelling, scripts
from migrator.mail_filters import of_mailboxes
from migrator.report import rules_html
from migrator.stage import Stage
from migrator.testing import acme
from migrator.workspace import Workspace

Native = dict[str, Any]
ANN, BOB, CARL = (f"{one}@example.com" for one in ("ann", "bob", "carl"))
SUBJECTS = {ANN: ["Invoice 1", "your INVOICE", "hello", None], BOB: ["Invoice 2", "[SPAM] x"], CARL: ["[SPAM] y"]}


def filtering(named: str, part: str, match: str, value: str, *does: tuple[str, str], enabled: int = 1) -> Native:
    rules = [{"part": part, "match": match, "val": value, "opt": "or"}]
    actions = [{"action": action, "dest": dest} for action, dest in does]
    return {"filtername": named, "enabled": enabled, "rules": rules, "actions": actions}


SPAM = filtering("spam", "$header_subject:", "begins", "[SPAM]", ("save", "/dev/null"), ("finish", ""))
OWN = {
    ANN: [
        filtering("invoices", "$header_subject:", "contains", "invoice", ("save", "$home/mail/.Archive.2024")),
        filtering("boss", "$header_from:", "contains", "boss@", ("deliver", BOB)),
        filtering("off", "$header_subject:", "is", "hello", ("save", "/dev/null"), enabled=0),
    ],
    BOB: [
        filtering("robot", "$header_to:", "contains", "robot", ("pipe", "/home/acme/bin/robot")),
        filtering("behind", "$header_subject:", "contains", "invoice", ("deliver", ANN)),
        filtering("robot", "$message_body", "contains", "<script>alert(1)</script>", ("fail", "no")),
    ],
    CARL: [],
}


def staged(folder: Path, records: Sequence[Native], planned: dict[str, tuple[str, str]] | None = None) -> Workspace:
    """Stage these records of filters, and the messages in their mailboxes."""
    workspace, kinds = Workspace(folder), registry.kinds("hosting")
    with Stage(workspace.stage) as stage:
        stage.schema("canonical", "raw", "plan", fresh=True)
        for kind in ("mail_filter", "mail_folder", "mail_message"):
            spec = kinds.kinds[kind]
            stage.run(f"CREATE TABLE canonical.{name(kind)} (id VARCHAR, variant VARCHAR, {stage.columns(spec)})")
        stage.run("CREATE TABLE raw.filters (id VARCHAR, body VARCHAR)")
        stage.run("CREATE TABLE plan.planned (kind VARCHAR, id VARCHAR, action VARCHAR, reason VARCHAR)")
        for one in records:
            stage.run("INSERT INTO raw.filters VALUES (?, ?)", one["id"], json.dumps(one))
            stage.run(
                "INSERT INTO canonical.mail_filter (id, address, name, script, active) VALUES (?, ?, ?, ?, ?)",
                one["id"], one["address"], one["name"], one.get("script"), one["active"],
            )  # fmt: skip
            action, reason = (planned or {}).get(one["id"], ("create", "") if one.get("script") else ("manual", "x"))
            stage.run("INSERT INTO plan.planned VALUES ('mail_filter', ?, ?, ?)", one["id"], action, reason)
        for address, subjects in SUBJECTS.items():
            stage.run("INSERT INTO canonical.mail_folder (id, address, name) VALUES (?, ?, 'INBOX')", address, address)
            for at, subject in enumerate(subjects):
                told = f"{address}/{at}", address, subject
                stage.run("INSERT INTO canonical.mail_message (id, folder, subject) VALUES (?, ?, ?)", *told)
    return workspace


def account() -> list[Native]:
    spelling = Spelling("INBOX.", ".")
    return [one for address, own in OWN.items() for one in scripts(address, address, [SPAM], own, spelling)]


def report(workspace: Workspace, vendor: str = "cpanel") -> dict[str, Any]:
    data = of_mailboxes(workspace, registry.connector(vendor), "old.example")
    assert data
    return data


def test_each_filter_stands_beside_its_sieve_once_with_what_becomes_of_it_and_how_often_it_acts(tmp_path: Path) -> None:
    data = report(staged(tmp_path, account()))
    assert sum(len(own) for own in OWN.values()) + 1 == data["total"] == len(data["rules"])
    found = {(one["name"], one["verdict"]): one for one in data["rules"]}
    told = {key: (one["written"], one["counted"] and one["counted"]["source"]) for key, one in found.items()}
    assert told == {
        ("spam", "equivalent"): (True, 2),
        ("invoices", "exact"): (True, 2),
        ("boss", "exact"): (True, None),  # who sent a message is not staged
        ("off", "equivalent"): (True, 1),
        ("robot", "untranslatable"): (False, None),
        ("behind", "untranslatable"): (False, 1),
        ("robot", "unreadable"): (False, None),
    }
    assert found["spam", "equivalent"]["mailboxes"] == [ANN, BOB, CARL]
    [written] = found["invoices", "exact"]["destination"]
    assert (1, "put it into the folder INBOX.Archive.2024") in written["lines"]
    for one in data["rules"]:
        said = [each["what"] + each["note"] for each in one["findings"] if each["verdict"].startswith("un")]
        assert bool(said) is not one["written"]
        if one["counted"]:
            assert (one["counted"]["false_negatives"], one["counted"]["false_positives"]) == (0, 0)
    (why,) = found["behind", "untranslatable"]["findings"]
    assert why["note"] == "stands behind 'robot', which is left"
    assert (data["good"], data["fired"], data["fired_good"]) == (4, 6, 5)
    assert data["hours"] == pytest.approx((3 * 30 + 2 * 2) / 60, abs=0.05)  # to be made again, to be looked at


def test_what_the_plan_does_not_write_counts_as_left_with_its_reason(tmp_path: Path) -> None:
    records = account()
    why = "name the connector imap beside this one"
    data = report(staged(tmp_path, records, {one["id"]: ("manual", why) for one in records}))
    assert data["good"] == 0
    for one in data["rules"]:
        if one["name"] in ("spam", "invoices"):
            assert [each["note"] for each in one["findings"] if each["verdict"] == "untranslatable"] == [why]
            assert one["native"]  # what a person may paste


def test_a_script_that_was_sieve_already_goes_along_in_plain_words(tmp_path: Path) -> None:
    script = 'require ["fileinto"];\nif header :contains "subject" "x" { fileinto "Work"; }\n'
    base: Native = {"address": ANN, "mailbox": ANN, "active": True}
    records = [
        {**base, "id": "1", "name": "main", "script": script},
        {**base, "id": "2", "name": "all of example.com: an Exim filter, which Sieve is not"},
    ]
    first, second = report(staged(tmp_path, records), "directadmin_archive")["rules"]
    assert (first["verdict"], first["written"]) == ("exact", True)
    assert first["source"] == first["destination"][0]["lines"]
    assert (1, "put it into the folder Work") in first["source"]
    assert (second["verdict"], second["written"]) == ("unreadable", False)


def test_the_page_holds_every_filter_as_mere_text_and_fits_what_is_mail(tmp_path: Path) -> None:
    page = rules_html(report(staged(tmp_path, account())))
    assert page.count('<article class="rule">') == 7
    assert "<script" not in page
    assert "4 of 7 mail filters" in page
    assert "ticket" not in page


@pytest.mark.parametrize("vendor", ["cpanel", "zendesk"])
def test_an_account_without_filters_has_no_such_page(tmp_path: Path, vendor: str) -> None:
    assert of_mailboxes(Workspace(tmp_path), registry.connector(vendor), "x") is None
    assert of_mailboxes(staged(tmp_path, []), registry.connector(vendor), "x") is None


def test_the_made_up_account_of_the_demo_has_filters_that_are_carried_and_filters_that_are_not(tmp_path: Path) -> None:
    spelling = Spelling("INBOX.", ".")
    some = [one for address, own in acme.FILTERS.items() for one in scripts(address, address, [], own, spelling)]
    assert {one["written"] for one in report(staged(tmp_path, some))["rules"]} == {True, False}
