"""An archive is read as every kind it holds, and nothing in it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.connectors.cpanel_archive import made_up
from migrator.errors import VendorError
from migrator.migration import Account
from migrator.steps import Steps
from migrator.testing.sandbox import Clock
from tests.servers.dns.conftest import filed
from tests.support.dns_zones import of_file, of_text
from tests.support.server_desks import rows, steps_between

pytestmark = pytest.mark.sandbox
R = made_up.ROOT


def moving(folder: Path, archive: Path, patch: pytest.MonkeyPatch, **options: str) -> Steps:
    source = Account(vendor="cpanel_archive", settings={"archive": str(archive)}, options=options)
    return steps_between(folder / "w", (source, {}), filed(folder / "new"), patch, Clock())


def test_an_account_is_read_whole_whatever_else_the_archive_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [
        made_up.entry(f"{R}/homedir/../../etc/cron.d/x", b"!"),
        made_up.entry(f"{R}/mysql/acme_evil.sql", b"GRANT ALL ON *.* TO x;"),
    ]
    messages = [b"Subject: =?utf-8?q?gr=C3=BCn?= %d\n\nbody\n" % number for number in range(6)]
    monkeypatch.chdir(tmp_path)  # where a pickle that is loaded leaves its mark
    made_up.write(tmp_path / "a.tar.gz", [*made_up.entries(messages), *odd])
    run = moving(tmp_path, tmp_path / "a.tar.gz", monkeypatch)
    run.extract()
    plan = run.plan()
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences
    wanted = of_text(made_up.ZONE.replace("cpanel IN A 192.0.2.10\n", ""), "acme.example.")
    assert of_file(tmp_path / "new" / "acme.example.zone", "acme.example.") == wanted
    assert not (tmp_path / "loaded").exists()
    assert rows(tmp_path / "w", "domain", "name", "type", "of") == [
        ("acme.example", "main", None), ("acme.test", "alias", "acme.example"),
        ("blog.acme.example", "sub", "acme.example"), ("second.example", "addon", None),
    ]  # fmt: skip
    assert rows(tmp_path / "w", "website", "name", "document_root", "php_version", "aliases") == [
        ("acme.example", "public_html", "8.2", ["mail.acme.example", "www.acme.example"]),
        ("blog.acme.example", None, "8.3", None), ("second.example", "second", "8.3", None),
    ]  # fmt: skip
    assert rows(tmp_path / "w", "mailbox", "address", "quota_bytes", "password_hash", "suspended") == [
        ("acme@acme.example", None, None, False),
        ("ann@acme.example", 262144000, "{SHA512-CRYPT}$6$salt$hash", False),
        ("bob@acme.example", None, "{SHA512-CRYPT}$6$salt$other", True),
    ]
    assert rows(tmp_path / "w", "mail_folder", "name", "subscribed") == [
        ("INBOX", True), ("Archive", False), ("Archive/2024", True), ("Empty", False), ("Entwürfe", False),
        ("INBOX", True), ("INBOX", True),
    ]  # fmt: skip
    first = rows(tmp_path / "w", "mail_message", "subject", "flags", "keywords", "size", "received_at")[0]
    assert first[:4] == ("grün 3", ["seen"], None, 42)
    assert first[4].isoformat().startswith("2020-09-13T12:26:43")
    assert rows(tmp_path / "w", "alias", "address", "destinations", "keep_copy", "other") == [
        ("@second.example", ["@acme.example"], None, None),
        ("ann@acme.example", ["bob@acme.example"], True, None),
        ("hook@acme.example", None, None, "|/home/acme/bin/ticket --new, now"),
        ("sales@acme.example", ["ann@acme.example", "out@elsewhere.example"], None, None),
    ]
    assert rows(tmp_path / "w", "catch_all", "domain_name", "action", "destination", "answer") == [
        ("acme.example", "reject", None, "No such person here"), ("second.example", "deliver", "acme", None),
    ]  # fmt: skip
    assert [(name, bool(script)) for name, script in rows(tmp_path / "w", "mail_filter", "name", "script")] == [
        ("cpanel", True), ("by a program: does 'pipe' to '/home/acme/bin/robot', which others cannot", False),
    ]  # fmt: skip
    assert rows(tmp_path / "w", "autoresponder", "address", "subject", "body", "interval_hours") == [
        ("bob@acme.example", "Away", "Back on Monday.\n", 24)
    ]
    assert rows(tmp_path / "w", "database_user", "name", "hosts", "password_hash") == [
        ("acme_ro", ["%"], "*00112233445566778899AABBCCDDEEFF00112233"),
        ("acme_wp", ["192.0.2.10", "localhost"], "*0123456789ABCDEF0123456789ABCDEF01234567"),
    ]
    assert rows(tmp_path / "w", "database_grant", "user_name", "database_name", "rights") == [
        ("acme_ro", "acme_wp", ["SELECT", "SHOW VIEW"]), ("acme_wp", "acme_wp", ["ALL PRIVILEGES"]),
    ]  # fmt: skip
    assert [(name, blob is not None) for name, blob in rows(tmp_path / "w", "database", "name", "blob")] == [
        ("acme_evil", False), ("acme_wp", True),
    ]  # fmt: skip
    assert rows(tmp_path / "w", "cron_job", "schedule", "command", "mail_to") == [
        ("*/5 * * * 1-5", "php -q $HOME/cron.php", "ann@acme.example"),
        ("@daily", "/home/acme/bin/x", "ann@acme.example"),
    ]
    assert rows(tmp_path / "w", "ftp_account", "login", "folder") == [("up@acme.example", "public_html/up")]
    assert rows(tmp_path / "w", "certificate", "names", "website") == [(["acme.example"], "acme.example")]
    paths = dict(rows(tmp_path / "w", "file", "path", "type"))
    assert paths["public_html/index.php"] == paths["copy.php"] == "file"
    assert [path for path, type in paths.items() if type == "refused"] == [
        "cpmove-acme/homedir/../../etc/cron.d/x (its name leads out of the archive)"
    ]


def test_yaml_that_unfolds_into_gigabytes_is_not_unfolded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laugh = made_up.entry(f"{R}/userdata/main", b"a: &a [x, x]\nmain_domain: *a\n")
    twisted = [laugh, *(one for one in made_up.entries() if one[0].name != laugh[0].name)]
    run = moving(tmp_path, made_up.write(tmp_path / "b", twisted), monkeypatch)
    with pytest.raises(VendorError, match="userdata/main"):
        run.extract()


def test_bytes_of_another_archive_are_not_taken_for_those_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = moving(tmp_path, made_up.write(tmp_path / "a", made_up.entries()), monkeypatch)
    url = next(one["url"] for one in run.source().account.databases())  # type: ignore[attr-defined]
    made_up.write(tmp_path / "a", made_up.entries([b"more"]))
    with pytest.raises(VendorError, match="is not the archive"):
        list(run.source().blob(url))
