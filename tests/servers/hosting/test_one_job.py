"""Mail, files and zones in one job: one plan, one ledger, verified through other channels than the ones that wrote."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import dns.message
import dns.query
import pytest

from migrator.testing import hosting
from tests.servers.hosting.conftest import Hosts
from tests.servers.sftp.trees import seen

pytestmark = pytest.mark.servers


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


def test_mail_files_and_zones_move_in_one_job_and_an_undo_leaves_nothing(hosts: Hosts, tmp_path: Path) -> None:
    run = hosts.job(tmp_path / "w")
    assert all(finding.ok for finding in (*run.source().check(), *run.destination().check()))
    run.extract()
    plan = run.plan()
    assert not plan.unaccounted
    assert {"mail_message", "file", "record_set", "mail_filter"} <= {line.kind for line in plan.dispositions}
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences
    # Through other channels: the disks, and port 53.
    assert mails(hosts, new=True) == mails(hosts, new=False)
    assert seen(hosts.new_tree) == seen(hosts.old_tree)
    assert served(hosts, "shop.example.org.", "A") == {hosting.OLD_IP}
    again = run.plan()
    assert again.units == 0
    undo = run.undo()
    assert run.load(undo.digest).finished
    assert run.verify()[0].proven
    assert not mails(hosts, new=True)
    assert not seen(hosts.new_tree)
    assert not hosts.dns.rows("SELECT name FROM domains")
