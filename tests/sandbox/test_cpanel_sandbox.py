"""A cPanel account read by UAPI: every kind comes, the zone is written, what has no place is left with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator import registry
from migrator.testing.sandbox import Sandbox
from tests.servers.dns.conftest import filed
from tests.support.dns_zones import of_file
from tests.support.server_desks import rows, steps_between

pytestmark = pytest.mark.sandbox


@pytest.fixture
def box() -> Sandbox:
    connector = registry.connector("cpanel")
    box: Sandbox = connector.sandbox.create()
    connector.part("demo").fill(box)
    return box


def test_an_account_is_read_whole_and_its_zone_is_written(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steps_between(tmp_path / "w", box, filed(tmp_path / "new"), monkeypatch, box.clock)
    run.extract()
    plan = run.plan()
    assert {loss.kind for loss in plan.losses} == set()
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences
    zone = "acme.example."
    served = set(of_file(tmp_path / "new" / "acme.example.zone", zone))
    assert served == {
        (zone, "A"),
        (zone, "MX"),
        (zone, "TXT"),
        (zone, "CAA"),
        (f"www.{zone}", "CNAME"),
        (f"shop.{zone}", "CNAME"),
        (f"default._domainkey.{zone}", "TXT"),
        (f"_sip._tcp.{zone}", "SRV"),
        (f"webmail.{zone}", "A"),
    }
    ways = {(line.kind, line.action, line.reason): line.count for line in plan.dispositions}
    assert sum(n for (kind, action, why), n in ways.items() if kind == "record_set" and "panel" in why) == 2
    assert ways["alias", "manual", "Zone files has no place for a alias"] == 3
    assert all(action == "manual" for kind, action, _ in ways if kind not in ("zone", "record_set"))
    assert {kind for kind, _, _ in ways} >= set(registry.connector("cpanel").mapping.kinds)


def test_what_is_read_means_what_cpanel_says(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = steps_between(tmp_path / "w", box, filed(tmp_path / "new"), monkeypatch, box.clock)
    run.extract()
    run.plan()
    at = tmp_path / "w"
    assert rows(at, "domain", "name", "type", "of", "mail") == [
        ("acme.example", "main", None, "local"),
        ("acme.test", "alias", "acme.example", None),
        ("blog.second.example", "sub", "second.example", None),
        ("second.example", "addon", None, "remote"),
    ]
    assert rows(at, "mailbox", "address", "quota_bytes", "suspended") == [
        ("acme@acme.example", None, False),
        ("ann@acme.example", 262144000, False),
        ("bob@acme.example", None, True),
    ]
    assert rows(at, "alias", "address", "destinations", "other") == [
        ("@second.example", ["@acme.example"], None),
        ("hook@acme.example", None, "|/home/acme/bin/ticket --new"),
        ("sales@acme.example", ["ann@acme.example", "bob@acme.example", "out@elsewhere.example"], None),
    ]
    assert rows(at, "catch_all", "domain_name", "action", "destination", "answer") == [
        ("acme.example", "reject", None, "No such person here"),
        ("second.example", "deliver", "acme", None),
    ]
    assert rows(at, "mail_filter", "name", "script", "active") == [
        (
            "cpanel",
            'require ["fileinto"];\n# spam\nif header :contains "subject" "[SPAM]" {\n    fileinto "Junk";\n}\n',
            True,
        ),
        ("body: looks at '$message_body', which others cannot, or only otherwise", None, True),
        ("to ann", '# to ann\nif header :contains "from" "[SPAM]" {\n    redirect "ann@acme.example";\n}\n', False),
    ]
    [(away,)] = rows(at, "autoresponder", "starts_at")
    assert away.isoformat().startswith("2024-07-01T00:00")
    assert rows(at, "website", "name", "document_root", "php_version") == [
        ("acme.example", "public_html", "8.3"),
        ("blog.second.example", "second.example/blog", None),
        ("second.example", "second.example", None),
    ]
    assert rows(at, "database_grant", "user", "database", "rights") == [
        ("mysql/acme_wp", "mysql/acme_wp", ["CREATE", "INSERT", "SELECT"])
    ]
    assert rows(at, "cron_job", "schedule") == [("*/5 * * * 1-5",)]
    assert rows(at, "redirect", "host", "path", '"to"', "permanent") == [
        ("acme.example", "/old", "https://acme.example/new", True)
    ]
    assert rows(at, "ftp_account", "login", "folder", "quota_bytes") == [
        ("up@acme.example", "public_html/up", 524288000)
    ]
    assert rows(at, "mailing_list", "address", "owners", "private") == [
        ("news@acme.example", ["ann@acme.example", "bob@acme.example"], True)
    ]


def test_a_feature_that_the_plan_lacks_is_noted_and_the_rest_is_read(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.state["without"] = {"Mysql", "Ftp", "Postgresql"}
    run = steps_between(tmp_path / "w", box, filed(tmp_path / "new"), monkeypatch, box.clock)
    extracted = run.extract()
    assert set(extracted.refused) == {"databases", "database_users", "grants", "ftp_accounts"}
    assert extracted.rows["mailboxes"] == 3


def test_a_wrong_token_is_found_by_check(box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = steps_between(tmp_path / "w", box, filed(tmp_path / "new"), monkeypatch, box.clock)
    monkeypatch.setenv("MIGRATOR_TEST_SOURCE_TOKEN", "wrong")
    assert not all(finding.ok for finding in run.source().check())
