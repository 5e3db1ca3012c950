"""A backup of DirectAdmin is read as every kind it holds, and nothing in it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migrator.connectors.archives import written
from migrator.connectors.directadmin_archive import made_up
from migrator.migration import Account
from migrator.steps import Steps
from migrator.testing.sandbox import Clock
from tests.servers.dns.conftest import filed
from tests.support.dns_zones import of_file, of_text
from tests.support.server_desks import rows, steps_between

pytestmark = pytest.mark.sandbox


def moving(folder: Path, archive: Path, patch: pytest.MonkeyPatch, **options: str) -> Steps:
    source = Account(vendor="directadmin_archive", settings={"archive": str(archive)}, options=options)
    return steps_between(folder / "w", (source, {}), filed(folder / "new"), patch, Clock())


def test_a_backup_is_read_whole_whatever_else_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = [
        written.entry("domains/../../etc/cron.d/x", b"!"),
        written.entry("backup/acme_evil.sql", b"GRANT ALL ON *.* TO x;"),
    ]
    messages = [b"Subject: =?utf-8?q?gr=C3=BCn?= %d\n\nbody\n" % number for number in range(6)]
    archive = written.write(tmp_path / "a", [*made_up.entries(messages, inner="zstd"), *odd], by="zstd")
    run = moving(tmp_path, archive, monkeypatch)
    run.extract()
    plan = run.plan()
    assert not plan.unaccounted
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences
    wanted = of_text(made_up.ZONE.replace('_acme-challenge   60     IN      TXT     "check"\n', ""), "acme.example.")
    assert of_file(tmp_path / "new" / "acme.example.zone", "acme.example.") == wanted
    assert rows(tmp_path / "w", "domain", "name", "type", "of", "mail", "suspended") == [
        ("acme.example", "main", None, "local", False), ("acme.test", "alias", "acme.example", None, None),
        ("blog.acme.example", "sub", "acme.example", None, None), ("old.test", "alias", "acme.example", None, None),
        ("second.example", "addon", None, "remote", True), ("shop.acme.example", "sub", "acme.example", None, None),
    ]  # fmt: skip
    site = "domains/acme.example"
    assert rows(tmp_path / "w", "website", "name", "document_root", "php_version", "aliases") == [
        ("acme.example", f"{site}/public_html", "8.3", ["acme.test", "www.acme.example"]),
        ("blog.acme.example", f"{site}/public_html/blog", "8.3", ["www.blog.acme.example"]),
        ("second.example", "domains/second.example/public_html", None, ["www.second.example"]),
        ("shop.acme.example", f"{site}/store", "8.3", ["www.shop.acme.example"]),
    ]  # fmt: skip
    assert rows(tmp_path / "w", "redirect", "host", "path", '"to"', "wildcard") == [
        ("old.test", "/", "http://acme.example/", True)
    ]
    assert rows(tmp_path / "w", "mailbox", "address", "quota_bytes", "password_hash", "suspended") == [
        ("acme@acme.example", None, None, False),
        ("ann@acme.example", 262144000, "{SHA512-CRYPT}$6$salt$hash", False),
        ("bob@acme.example", None, "{SHA512-CRYPT}$6$salt$other", True),
    ]
    assert sorted(rows(tmp_path / "w", "mail_folder", "address", "name", "subscribed")) == [
        ("acme@acme.example", "INBOX", True), ("ann@acme.example", "Archive/2024", True),
        ("ann@acme.example", "Entwürfe", False), ("ann@acme.example", "INBOX", True),
        ("bob@acme.example", "INBOX", True),
    ]  # fmt: skip
    found = rows(tmp_path / "w", "mail_message", "subject", "flags", "keywords", "received_at")
    assert sorted(one[0] for one in found) == sorted([*(f"grün {n}" for n in range(6)), "to the account"])
    assert [one[2] for one in found if one[0] in ("grün 0", "grün 1")] == [["$Forwarded"], None]
    assert rows(tmp_path / "w", "alias", "address", "destinations", "keep_copy", "other") == [
        ("ann@acme.example", ["bob@acme.example"], True, None),
        ("hook@acme.example", None, None, "|/home/acme/bin/ticket --new, now"),
        ("info@acme.example", ["acme@acme.example"], None, None),
        ("sales@acme.example", ["ann@acme.example", "out@elsewhere.example"], None, None),
    ]
    assert rows(tmp_path / "w", "catch_all", "domain_name", "action", "destination") == [
        ("acme.example", "reject", None), ("second.example", "deliver", "acme@acme.example"),
    ]  # fmt: skip
    away = rows(
        tmp_path / "w", "autoresponder", "address", "subject", "body", "html", "interval_hours", "starts_at", "ends_at"
    )
    assert [(*one[:5], *(str(when)[:13] for when in one[5:])) for one in away] == [
        ("bob@acme.example", "Away", "Back on Monday.\n", False, None, "2026-07-01 06", "2026-07-12 18"),
        ("sales@acme.example", "Thanks", "We have it.\n", True, 48, "None", "None"),
    ]
    assert rows(tmp_path / "w", "mail_filter", "address", "name", "script", "active") == [
        ("ann@acme.example", "all of acme.example: an Exim filter, which Sieve is not", None, True),
        ("ann@acme.example", "main", 'require ["fileinto"];\nfileinto "INBOX.Archive";\n', True),
        ("ann@acme.example", "other", "discard;\n", False),
    ]
    assert rows(tmp_path / "w", "mailing_list", "address", "members") == [
        ("news@acme.example", ["ann@acme.example", "x@else.example"])
    ]
    assert rows(tmp_path / "w", "database_user", "name", "hosts", "password_hash") == [
        ("acme_ro", ["192.0.2.10", "localhost"], "*" + "AB" * 20),
        ("acme_wp", ["192.0.2.10", "localhost"], "*" + "01" * 20),
    ]
    assert rows(tmp_path / "w", "database_grant", "user_name", "database_name", "rights") == [
        ("acme_ro", "acme_wp", ["SELECT", "SHOW VIEW"]), ("acme_wp", "acme_wp", ["ALL PRIVILEGES"]),
    ]  # fmt: skip
    dumped = rows(tmp_path / "w", "database", "name", '"collation"', "blob is not null")
    assert dumped == [("acme_evil", None, False), ("acme_wp", "utf8mb4_unicode_ci", True)]
    assert rows(tmp_path / "w", "cron_job", "schedule", "command", "mail_to") == [
        ("*/5 * * * 1-5", "php -q $HOME/cron.php?a=1", "ann@acme.example"),
        ("@daily", "/home/acme/bin/x", "ann@acme.example"),
    ]
    assert rows(tmp_path / "w", "ftp_account", "login", "folder", "password_hash") == [
        ("up@acme.example", f"{site}/public_html/up", "$6$b")
    ]
    assert rows(tmp_path / "w", "certificate", "names", "website") == [(["acme.example"], "acme.example")]
    paths = dict(rows(tmp_path / "w", "file", "path", "type"))
    assert {path: type for path, type in paths.items() if type != "refused"} == {
        "domains": "folder", site: "folder", f"{site}/public_html": "folder", f"{site}/public_html/index.php": "file",
        f"{site}/public_html/.htaccess": "file", f"{site}/private_html": "link", ".bashrc": "file", "bin": "folder",
        "bin/x": "file", "public_html": "link",
    }  # fmt: skip
    assert [path for path, type in paths.items() if type == "refused"] == [
        "domains/../../etc/cron.d/x (its name leads out of the archive)"
    ]
    [(text,)] = [(run.source().account.text("acme.example"),)]  # type: ignore[attr-defined]
    assert text.startswith("-----BEGIN PRIVATE KEY")
    assert text.endswith(made_up.CERTIFICATE)


@pytest.mark.parametrize("php", ["1=8.2 2=7.4", ""])
def test_the_versions_of_php_are_those_a_person_names(
    php: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = written.write(tmp_path / "a", made_up.entries(), by="")
    run = moving(tmp_path, archive, monkeypatch, **({"php": php} if php else {}))
    sites = {one["name"]: one["php_version"] for one in run.source().account.websites()}  # type: ignore[attr-defined]
    assert (sites["acme.example"], sites["second.example"]) == (("8.2", "7.4") if php else ("8.3", None))


def test_mail_of_an_older_backup_lies_among_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = "backup/acme.example/email/data/imap/carl/Maildir"
    some = [*made_up.entries(), written.entry(f"{old}/.Sent/cur/1.x:2,RS", b"Subject: old\n\nbody\n")]
    source = moving(tmp_path, written.write(tmp_path / "a", some), monkeypatch).source()
    boxes = {one["address"]: one["suspended"] for one in source.account.mailboxes()}  # type: ignore[attr-defined]
    assert boxes["carl@acme.example"]  # in no list of logins
    [page] = source.pages("messages", None, lambda stream: [])
    assert [json.loads(one.body)["flags"] for one in page.records if "carl" in one.id] == [["answered", "seen"]]
