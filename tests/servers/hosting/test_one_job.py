"""Mail, files and zones in one job: one plan, one ledger, verified through other channels than the ones that wrote."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path

import dns.message
import dns.query
import pytest

from migrator.live import OTHER, WAITS
from migrator.testing import hosting
from migrator.testing.hosting import Hosts
from migrator.testing.servers import Tunnel
from tests.servers.hosting.conftest import again, job
from tests.servers.sftp.trees import seen

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


def mails(hosts: Hosts, *, new: bool) -> Counter[tuple[str, str, tuple[str, ...], int]]:
    """Return what lies in all mailboxes on the disk: user, digest, flags, date."""
    server = hosts.new_mail if new else hosts.old_mail
    found: Counter[tuple[str, str, tuple[str, ...], int]] = Counter()
    for user in hosting.USERS:
        for (_, digest, flags, at), number in server.seen(user).items():
            found[user, digest, flags, at] += number
    return found


def served(hosts: Hosts, name: str, type: str) -> set[str]:
    """Return what the new name server answers on port 53."""
    asked = dns.message.make_query(name, type)
    answer = dns.query.udp(asked, "127.0.0.1", port=hosts.dns.port, timeout=5)
    return {str(rdata) for rrset in answer.answer for rdata in rrset}


def load_in(folder: str, environment: dict[str, str]) -> None:
    """Load the plan of a workspace: runs in a process of its own."""
    os.environ.update(environment)
    run = again(Path(folder))
    run.load(run.saved_plan()["digest"])


def kill_a_load(tunnel: Tunnel, folder: Path) -> None:
    """Load in a process that is killed when the answer to its third APPEND comes by."""
    environment = {name: os.environ[name] for name in ("MIGRATOR_DEMO_MAIL", "MIGRATOR_DEMO_DNS")}
    child = SPAWN.Process(target=load_in, args=(str(folder), environment))
    count = 0

    def watch(moment: str, name: str) -> None:
        nonlocal count
        if moment == "after" and name.endswith("/append"):
            count += 1
            if count == 3 and child.pid:
                os.kill(child.pid, signal.SIGKILL)

    tunnel.watchers.append(watch)
    child.start()
    child.join(200)
    tunnel.calm()
    assert child.exitcode == -signal.SIGKILL, (child.exitcode, count)


def test_one_job_is_killed_goes_on_is_switched_and_taken_back(hosts: Hosts, tmp_path: Path) -> None:
    with Tunnel(hosts.new_mail.url) as tunnel:
        more = {"rewrite": hosting.REWRITE, "cutover": hosting.CUTOVER}
        run = job(hosts, tmp_path / "w", mail_url=tunnel.url, **more)
        assert all(finding.ok for finding in (*run.source().check(), *run.destination().check()))
        run.extract()
        plan = run.plan()
        assert {"mail_message", "file", "record_set", "mail_filter"} <= {line.kind for line in plan.dispositions}
        assert sum(line.count for line in plan.dispositions if line.reason == WAITS) == 2
        kill_a_load(tunnel, tmp_path / "w")
        assert 0 < sum(mails(hosts, new=True).values()) < sum(mails(hosts, new=False).values())
        assert run.load(plan.digest).finished
        verified, differences = run.verify()
        assert verified.proven, differences

        # Through other channels: the disks, and port 53.
        assert mails(hosts, new=True) == mails(hosts, new=False)
        old, new = seen(hosts.old_tree), seen(hosts.new_tree)
        assert {path for path in old if old[path] != new.pop(path, None)} == {path.encode() for path in REWRITTEN}
        assert not new
        for path, text in REWRITTEN.items():
            assert (hosts.new_tree / path).read_text(encoding="utf-8") == text
        assert served(hosts, "shop.example.org.", "A") == {hosting.NEW_IP}
        spf = f'"v=spf1 ip4:{hosting.NEW_IP} ip4:192.0.2.100 include:oldhost.example -all"'
        assert served(hosts, "example.com.", "TXT") == {spf}
        sieve = (hosts.new_mail.home(hosting.USERS[0]) / "sieve" / "main.sieve").read_text()
        assert hosting.NEW_IP in sieve
        left = [(place["id"], place["why"]) for place in run_register(tmp_path / "w") if place["why"]]
        assert left == [("entry/public_html/logo.png", "the file is not text")]

        # The switch, and the way back.
        assert not served(hosts, "example.com.", "MX")
        switch = run.plan(cutover=True)
        assert switch.units == 2
        assert not [line for line in switch.dispositions if line.reason == OTHER]  # all else is there, and stays
        assert not switch.changes
        assert run.load(switch.digest, cutover=True).finished
        assert served(hosts, "example.com.", "MX") == {f"10 {hosting.NEW_HOST}."}
        assert run.verify()[0].proven
        assert run.load(run.undo().digest).finished
        assert run.verify()[0].proven
    assert not mails(hosts, new=True)
    assert not seen(hosts.new_tree)
    assert not hosts.dns.rows("SELECT name FROM domains")


def run_register(folder: Path) -> list[dict[str, str]]:
    """Return the rewrite register of a workspace."""
    found: list[dict[str, str]] = json.loads((folder / "rewrites.json").read_text(encoding="utf-8"))
    return found
