"""A whole account in one job: by the doors of its host, and from an archive; one plan, one ledger, and proof through
other channels than the ones that wrote."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from migrator.live import OTHER, WAITS
from migrator.testing import acme, hosting
from migrator.testing.hosting import Hosts
from migrator.testing.servers import Tunnel
from migrator.testing.servers.sql_tunnel import SqlTunnel
from tests.servers.hosting.conftest import again, job
from tests.servers.mysql.shop import checksums
from tests.servers.sftp.trees import seen
from tests.support.open_secrets import lying

pytestmark = pytest.mark.servers
SPAWN = multiprocessing.get_context("forkserver")
REWRITTEN = {
    "public_html/.htaccess": (
        "RewriteEngine On\nRedirect 301 /old http://198.51.100.20/new\n"
        "AuthUserFile /srv/www/acme-2026/.htpasswds/site\nRequire ip 192.0.2.100\n"
    ),
    "public_html/wp-config.php": (
        "<?php\ndefine('DB_NAME', 'wp');\ndefine('DB_HOST', 'mail.newhost.example');\n"
        "define('WP_CONTENT_DIR', '/srv/www/acme-2026/public_html/wp-content');\n"
    ),
    "public_html/cache/options.ser": (
        'a:3:{s:7:"siteurl";s:28:"http://198.51.100.20/s\u00fc\u00dfe/";'
        's:4:"path";s:40:"/srv/www/acme-2026/public_html/wp-cont\u00e9";'
        's:6:"widget";s:44:"a:1:{s:5:"inner";s:18:"/srv/www/acme-2026";}";}'
    ),
    "crontab.txt": (
        "MAILTO=ann@example.com\n*/5 * * * * php /srv/www/acme-2026/public_html/cron.php >/dev/null\n"
    ),
}  # fmt: skip
STAYS = {  # kind to the beginning of the reason why none of its records is written
    "domain": "a name server serves zones",
    "alias": "IMAP knows no addresses",
    "catch_all": "IMAP knows no addresses",
    "autoresponder": "it is said in the mailbox's Sieve script",
    "website": "files are moved",
    "redirect": "it stands in the .htaccess file",
    "cron_job": "a crontab is no file",
    "ftp_account": "logins are made by",
}

FILES_LOSE = {("file", "mode", "dropped"), ("file", "modified_at", "dropped")}
LOST = {
    "doors": FILES_LOSE | {("database", "definers", "reset")},
    "archive": FILES_LOSE | {("mail_folder", "subscribed", "merged")},
}


def held(hosts: Hosts) -> dict[str, int]:
    """Return how many records of each kind the account has, by its own account."""
    counted = {"mailbox": 10, "mail_folder": 20, "mail_message": len(hosts.mails), "mail_filter": 4}
    counted |= {"domain": 3, "zone": 3, "record_set": 30, "alias": 3, "catch_all": 2, "autoresponder": 2, "website": 2}
    return counted | {"cron_job": 1, "ftp_account": 1, "database": 1, "database_user": 2, "database_grant": 2}


def mails(hosts: Hosts) -> Counter[tuple[str, str, tuple[str, ...], int]]:
    """Return what lies in all mailboxes on the new disk: user, digest, flags, date."""
    found: Counter[tuple[str, str, tuple[str, ...], int]] = Counter()
    for user in acme.USERS:
        for (_, digest, flags, at), number in hosts.new_mail.seen(user).items():
            found[user, digest, flags, at] += number
    return found


def served(hosts: Hosts, name: str, type: str) -> set[str]:
    """Return what the new name server answers on port 53."""
    asked = dns.message.make_query(name, type)
    answer = dns.query.udp(asked, "127.0.0.1", port=hosts.dns.port, timeout=5)
    return {str(rdata) for rrset in answer.answer for rdata in rrset}


def does(hosts: Hosts, user: str, subject: str) -> str:
    """Return what the script that runs in a mailbox does to a message, as Pigeonhole's own program says."""
    to = hosts.new_mail.home(user) / "question"
    to.write_text(f"From: c@elsewhere.example\nTo: {user}\nSubject: {subject}\n\nhello\n", encoding="utf-8")
    script = hosts.new_mail.home(user) / ".dovecot.sieve"
    settings = {"first_valid_uid": "1", "mail_uid": "mail", "mail_gid": "mail", "mail_location": f"maildir:{to}.d"}
    set_ = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    told = ["-r", user, "-a", user, "-f", "c@elsewhere.example", str(script), str(to)]
    ran = subprocess.run(["sieve-test", "-c", "/dev/null", *set_, *told], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def load_in(folder: str, environment: dict[str, str]) -> None:
    """Load the plan of a workspace: runs in a process of its own."""
    os.environ.update(environment)
    run = again(Path(folder))
    run.load(run.saved_plan()["digest"])


def kill_a_load(tunnel: Tunnel, folder: Path, command: str, times: int) -> None:
    """Load in a process that is killed when the answer to so many of a command has come by."""
    child = SPAWN.Process(target=load_in, args=(str(folder), hosting.SECRETS))
    count = 0

    def watch(moment: str, name: str) -> None:
        nonlocal count
        if moment == "after" and name.endswith(command):
            count += 1
            if count == times and child.pid:
                os.kill(child.pid, signal.SIGKILL)

    tunnel.watchers.append(watch)
    child.start()
    child.join(200)
    tunnel.calm()
    assert child.exitcode == -signal.SIGKILL, (child.exitcode, count)


def source(hosts: Hosts, way: str, folder: Path) -> dict[str, Any]:
    """Return the old host: by its doors, or as its archive."""
    if way == "doors":
        return hosts.source()
    return hosting.archive_account(hosting.archive(folder / "cpmove-acme.tar.gz", hosts.mails, hosts.old_data))


@pytest.mark.parametrize("way", ["doors", "archive"])
def test_a_whole_account_is_killed_goes_on_is_switched_and_taken_back(hosts: Hosts, tmp_path: Path, way: str) -> None:
    with Tunnel(hosts.new_mail.url) as mail, SqlTunnel(f"mysql://{hosts.new_data.host}") as data:
        there = hosts.destination(mail_url=mail.url, data_url=data.url)
        more = {"rewrite": acme.REWRITE, "cutover": acme.CUTOVER}
        run = job(tmp_path / "w", source(hosts, way, tmp_path), there, **more)
        assert all(finding.ok for finding in (*run.source().check(), *run.destination().check()))
        run.extract()
        plan = run.plan()
        balanced(hosts, plan, way)
        kill_a_load(data, tmp_path / "w", "/insert", 2)
        assert hosts.new_data.sql("SHOW TABLES LIKE '%progress'", database=acme.NEW_DATABASE)
        kill_a_load(mail, tmp_path / "w", "/append", 3)
        assert 0 < sum(mails(hosts).values()) < len(hosts.mails)
        assert run.load(plan.digest).finished
        verified, differences = run.verify()
        assert verified.proven, differences
        arrived(hosts, way)
        assert not lying(tmp_path / "w", [acme.HASH[1:]])
        left = [(place["id"], place["why"]) for place in register(tmp_path / "w") if place["why"]]
        assert left == [("entry/public_html/logo.png", "the file is not text")]
        names = {place["kind"] for place in register(tmp_path / "w") if place["new"] == acme.NEW_DATABASE}
        assert {"database", "database_user", "database_grant", "file"} <= names

        # The switch, and the way back.
        assert not served(hosts, "example.com.", "MX")
        switch = run.plan(cutover=True)
        assert switch.units == 3
        assert not [line for line in switch.dispositions if line.reason == OTHER]  # all else is there, and stays
        assert [line.count for line in switch.dispositions if line.kind == "cron_job"] == [1]
        assert {line.action for line in switch.dispositions if line.kind == "cron_job"} == {"manual"}
        assert not switch.changes
        assert run.load(switch.digest, cutover=True).finished
        assert served(hosts, "example.com.", "MX") == {f"10 {acme.NEW_HOST}."}
        assert run.verify()[0].proven
        assert run.load(run.undo().digest).finished
        assert run.verify()[0].proven
    assert not mails(hosts)
    assert not list(hosts.new_mail.folder.glob("home/*/*/sieve/*.sieve"))
    assert not seen(hosts.new_tree)
    assert not hosts.dns.rows("SELECT name FROM domains")
    assert hosts.new_data.databases() == hosts.new_data.users() == []


def balanced(hosts: Hosts, plan: Any, way: str) -> None:
    """Assert that each record of the account has its place in the plan, and each that stays behind its reason."""
    assert plan.unaccounted == {}
    sums: Counter[str] = Counter()
    for line in plan.dispositions:
        sums[line.kind] += line.count
        if line.kind in STAYS:
            assert line.reason.startswith(STAYS[line.kind]), line
    assert {kind: sums[kind] for kind in held(hosts)} == held(hosts)
    assert sums["redirect"] == (way == "doors")  # an archive has them in .htaccess alone
    assert sum(line.count for line in plan.dispositions if line.reason == WAITS) == 3
    assert all(loss.because for loss in plan.losses), plan.losses
    assert {(loss.kind, loss.field, loss.how) for loss in plan.losses} == LOST[way]


def arrived(hosts: Hosts, way: str) -> None:
    """Assert that the account is at the new host: by its disks, its port 53, its own programs."""
    assert mails(hosts) == Counter(mail.seen for mail in hosts.mails)
    for path, text in {**acme.SITE, **REWRITTEN}.items():
        assert (hosts.new_tree / path).read_text(encoding="utf-8") == text
    old, new = seen(hosts.old_tree), seen(hosts.new_tree)
    if way == "doors":
        assert {path for path in old if old[path] != new.pop(path, None)} == {path.encode() for path in REWRITTEN}
        assert not new
    for domain in acme.DOMAINS:
        assert served(hosts, f"shop.{domain}.", "A") == {acme.NEW_IP}
        spf = f'"v=spf1 ip4:{acme.NEW_IP} ip4:192.0.2.100 include:oldhost.example -all"'
        assert served(hosts, f"{domain}.", "TXT") == {spf}
        assert not served(hosts, f"cpanel.{domain}.", "A")
    ann = does(hosts, "ann@example.com", "my invoice")
    assert "Archive.2024" in ann
    assert acme.NEW_IP in ann
    assert "Re: hello" in does(hosts, "dora@example.com", "hello")
    wp = acme.NEW_DATABASE
    assert checksums(hosts.new_data, wp) == checksums(hosts.old_data, acme.OLD_DATABASE)
    assert hosts.new_data.users() == [f"acme_ro@{acme.NEW_IP}", f"{wp}@localhost"]
    assert acme.HASH in str(hosts.new_data.sql(f"SHOW GRANTS FOR {wp}@localhost"))
    asked = "SELECT DEFINER FROM information_schema.TRIGGERS UNION SELECT DEFINER FROM information_schema.VIEWS"
    assert hosts.new_data.sql(f"{asked} WHERE TABLE_SCHEMA = '{wp}'") == [[f"{wp}@localhost"]]
    assert hosts.new_data.sql("SELECT Db, User FROM mysql.db ORDER BY 2") == [[wp, "acme_ro"], [wp, wp]]


def register(folder: Path) -> list[dict[str, str]]:
    """Return the rewrite register of a workspace."""
    found: list[dict[str, str]] = json.loads((folder / "rewrites.json").read_text(encoding="utf-8"))
    return found
