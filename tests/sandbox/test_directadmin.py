"""A DirectAdmin account read by its API: what it means, and how it moves into ISPConfig."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator import registry
from migrator.connectors.directadmin.api import answered, listed
from migrator.errors import AccessError, ForbiddenError, RefusedError, VendorError
from migrator.testing.sandbox import Sandbox
from tests.servers.dns.conftest import filed
from tests.support.server_desks import rows, steps_between, steps_into

pytestmark = pytest.mark.sandbox


@pytest.fixture
def box() -> Sandbox:
    found = registry.connector("directadmin")
    box: Sandbox = found.sandbox.create()
    found.part("demo").fill(box)
    return box


def test_an_account_moves_into_ispconfig_and_nothing_is_lost_in_silence(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel: Sandbox = registry.connector("ispconfig").sandbox.create()
    steps = steps_into(tmp_path / "w", box, panel, monkeypatch)
    steps.extract()
    plan = steps.plan()
    assert not plan.unaccounted
    assert steps.load(plan.digest, accept_losses=True).finished
    verified, differences = steps.verify()
    assert verified.proven, differences
    assert {line.kind for line in plan.dispositions} >= set(registry.connector("directadmin").mapping.kinds)
    held = {table: len(some) for table, some in panel.store.items() if some}
    assert held == {
        "mail_domain": 5, "mail_user": 3, "mail_forwarding": 3, "web_domain": 3, "web_database_user": 2, "cron": 1,
    }  # fmt: skip
    at = tmp_path / "w"
    assert rows(at, "domain", "name", "type", "of", "mail", "suspended") == [
        ("acme.example", "main", None, "local", False), ("acme.test", "alias", "acme.example", None, None),
        ("blog.acme.example", "sub", "acme.example", None, None), ("old.test", "alias", "acme.example", None, None),
        ("second.example", "addon", None, "remote", True),
    ]  # fmt: skip
    assert rows(at, "website", "name", "document_root", "php_version", "aliases") == [
        ("acme.example", "domains/acme.example/public_html", "8.3", ["acme.test", "www.acme.example"]),
        ("blog.acme.example", None, "8.3", ["www.blog.acme.example"]),
        ("second.example", "domains/second.example/public_html", None, ["www.second.example"]),
    ]
    assert rows(at, "mailbox", "address", "quota_bytes", "used_bytes", "suspended") == [
        ("acme@acme.example", None, None, False), ("ann@acme.example", 262144000, 1572864, False),
        ("bob@acme.example", None, None, True),
    ]  # fmt: skip
    assert rows(at, "alias", "address", "destinations", "keep_copy", "other") == [
        ("ann@acme.example", ["bob@acme.example"], True, None),
        ("hook@acme.example", None, None, "|/home/acme/bin/ticket --new, now"),
        ("sales@acme.example", ["ann@acme.example", "out@elsewhere.example"], None, None),
    ]
    assert rows(at, "catch_all", "domain_name", "action", "destination") == [
        ("acme.example", "reject", None), ("second.example", "deliver", "acme@acme.example"),
    ]  # fmt: skip
    away = rows(at, "autoresponder", "address", "subject", "interval_hours", "starts_at", "ends_at")
    assert [(*one[:3], *(str(when)[:13] for when in one[3:])) for one in away] == [
        ("ann@acme.example", "Away", None, "2026-07-01 06", "2026-07-12 18"),
        ("sales@acme.example", "Thanks", 48, "None", "None"),
    ]
    assert rows(at, "redirect", "host", "path", '"to"', "wildcard") == [
        ("acme.example", "/old", "https://acme.example/new", None), ("old.test", "/", "http://acme.example/", True),
    ]  # fmt: skip
    assert rows(at, "mailing_list", "address", "members") == [
        ("news@acme.example", ["ann@acme.example", "x@else.example"])
    ]
    assert rows(at, "database_user", "name", "hosts") == [
        ("acme_ro", ["192.0.2.10", "localhost"]), ("acme_wp", ["192.0.2.10", "localhost"]),
    ]  # fmt: skip
    assert rows(at, "database_grant", "user_name", "database_name") == [("acme_ro", "acme_wp"), ("acme_wp", "acme_wp")]
    assert rows(at, "cron_job", "schedule", "command", "mail_to") == [
        ("*/5 * * * 1-5", "php -q $HOME/cron.php?a=1", "ann@acme.example"),
        ("@daily", "/home/acme/bin/x", "ann@acme.example"),
    ]
    assert rows(at, "ftp_account", "login", "folder") == [("up@acme.example", "domains/acme.example/public_html/up")]
    names = rows(at, "record_set", "name", "type", "ttl", '"values"')
    assert ("acme.example.", "MX", 14400, ["10 mail.acme.example."]) in names
    assert ("acme.example.", "A", 3600, ["192.0.2.10"]) in names  # the zone's own ttl
    assert ("acme.test.", "A", 3600, ["192.0.2.10"]) in names
    [texts] = [values for name, type, _, values in names if (name, type) == ("acme.example.", "TXT")]
    assert '"google-site-verification=x"' in texts
    source = steps.source()
    [url] = [url for (url,) in rows(at, "certificate", "url")]
    assert b"".join(source.blob(url)).startswith(b"-----BEGIN PRIVATE KEY")


def test_what_a_key_may_not_ask_is_noted_and_the_rest_is_read(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.state["denied"] = {"CMD_API_DATABASES"}
    box.state["without"] = {"CMD_API_FTP"}
    run = steps_between(tmp_path / "w", box, filed(tmp_path / "new"), monkeypatch, box.clock)
    extracted = run.extract()
    assert set(extracted.refused) == {"databases", "database_users", "grants", "ftp_accounts"}
    assert extracted.rows["mailboxes"] == 3
    monkeypatch.setenv("MIGRATOR_TEST_SOURCE_TOKEN", "wrong")
    assert not any(finding.ok for finding in run.source().check())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('["a.example"]', ["a.example"]),
        ("list[]=a%2eexample&list[]=b%2Eexample", ["a.example", "b.example"]),
        ('{"0": "x", "1": "y"}', ["x", "y"]),
        ('{"list": ["x"]}', ["x"]),
        ("", []),
        ("[]", []),
    ],
)
def test_a_list_is_read_however_it_comes(text: str, found: list[str]) -> None:
    assert listed(answered("CMD_API_SHOW_DOMAINS", text)) == found


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"error": "Cannot Execute Your Command", "result": "no"}', ForbiddenError),
        ("error=1&text=Permission%20Denied&details=x", ForbiddenError),
        ('{"error": "1", "text": "Error", "details": "<b>odd</b>"}', RefusedError),
        ("<html>Please enter your Username and Password", AccessError),
        ('["a.exam', VendorError),
        ("nothing of the kind", VendorError),
    ],
)
def test_an_answer_that_is_none_is_never_taken_for_one(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        answered("CMD_API_SHOW_DOMAINS", text)


def test_an_answer_without_error_is_one() -> None:
    assert answered("CMD_API_EMAIL_CATCH_ALL", "error=0&value=%3Afail%3A")["value"] == ":fail:"
