"""A backup into true servers in one job: its zone on the wire, its messages on Dovecot's disk, its tree over SFTP."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.connectors.archives import written
from migrator.connectors.directadmin_archive import made_up
from migrator.testing.hosting import SECRETS, files_account, mail_account, zones_account
from migrator.testing.servers import dovecot, openssh, powerdns
from tests.servers.imap import moves
from tests.servers.sftp import trees
from tests.support.dns_zones import of_text, transferred

pytestmark = pytest.mark.servers
USERS = ("acme@acme.example", "ann@acme.example", "bob@acme.example")


def test_a_backup_arrives_whole_at_new_servers(
    running: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    dns, ssh = running(powerdns.start, "powerdns-of-a-backup"), running(openssh.start, "openssh-of-a-backup")
    mail = running(dovecot.start, "dovecot-of-a-backup", users=USERS)
    new = tmp_path / "new"
    new.mkdir()
    messages = [b"Subject: %d\n\nbody\r\nwith \x00 and \xff\n" % number for number in range(5)]
    archive = written.write(tmp_path / "a.tar.zst", made_up.entries(messages, inner="zstd"), by="zstd")
    there = {"mail": mail_account(mail), "files": files_account(ssh, new), "dns": zones_account(dns)}
    old = {"vendor": "directadmin_archive", "settings": {"archive": str(archive)}, "workers": 2}
    run = moves.steps(tmp_path / "w", old, {"parts": there})
    plan = moves.move(run)
    assert not plan.unaccounted
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    zone = made_up.ZONE.replace('_acme-challenge   60     IN      TXT     "check"\n', "")
    assert transferred(dns.address, zone="acme.example.") == of_text(zone, "acme.example.")
    wanted: Counter[tuple[str, tuple[str, ...], int]] = Counter()
    for number, body in enumerate(messages):
        stored = body.replace(b"\r\n", b"\n").replace(b"\x00", b"\x80")
        flags = ("$Forwarded", "S") if number % 3 == 0 and number % 4 != 3 else ("S",)
        wanted[hashlib.sha256(stored).hexdigest(), flags, made_up.AT + number] += 1
    assert moves.plain(mail, "ann@acme.example") == wanted
    assert moves.plain(mail, "acme@acme.example").total() == 1
    assert b"fileinto" in (mail.home("ann@acme.example") / "sieve" / "main.sieve").read_bytes()
    found = trees.seen(new)
    assert {path for path, seen in found.items() if seen[0] == "file"} == {
        b"domains/acme.example/public_html/index.php", b"domains/acme.example/public_html/.htaccess", b".bashrc",
        b"bin/x",
    }  # fmt: skip
    assert found[b"public_html"] == ("link", b"./domains/acme.example/public_html")
    assert (new / "bin/x").read_text() == made_up.HOME["bin/x"]
    left = {(line.kind, line.action) for line in plan.dispositions}
    assert ("database", "manual") in left  # no MySQL in this job
