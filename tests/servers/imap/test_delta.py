"""What changes at the old server after the move, and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.testing.servers.dovecot import Dovecot
from tests.servers.imap import moves

pytestmark = pytest.mark.servers
MESSAGES = [b"Subject: %d\r\n\r\nbody %d\r\n" % (n, n) for n in range(8)]


def test_a_delta_brings_new_mail_changed_flags_and_what_is_gone(old: Dovecot, new: Dovecot, tmp_path: Path) -> None:
    with moves.signed_in(old) as client:
        client.create_folder("Work")
        moves.put(client, "INBOX", MESSAGES, flags=[])
        moves.put(client, "Work", MESSAGES[:2], flags=[])
    run = moves.steps(tmp_path / "w", moves.account(old), moves.account(new), policies={"deleted": "delete"})
    moves.move(run)
    with moves.signed_in(old) as client:
        client.select_folder("INBOX")
        client.add_flags([2], [b"\\Seen", b"$Forwarded"])
        client.delete_messages([5])
        client.expunge()
        moves.put(client, "INBOX", [b"Subject: late\r\n\r\nmail\r\n", MESSAGES[0]])
        client.create_folder("New")
        moves.put(client, "New", MESSAGES[3:4])
        client.subscribe_folder("Work")
    with moves.signed_in(new) as client:  # a new server gets mail of its own, and people read it
        moves.put(client, "INBOX", [b"Subject: own\r\n\r\nmail\r\n"])
        client.select_folder("INBOX")
        client.add_flags([7], [b"\\Flagged"])
    plan = moves.move(run)
    actions = {(line.kind, line.action): line.count for line in plan.dispositions}
    assert actions["mail_message", "create"] == 3
    assert actions["mail_message", "update"] == 1
    assert actions["mail_folder", "update"] == 1
    _, differences = run.verify()
    assert [(one["field"], one["found"]) for one in differences] == [("flags", "[flagged]")]  # theirs, which stays
    assert moves.plain(new).total() == moves.plain(old).total() + 1


def test_undo_removes_what_was_written_and_nothing_else(old: Dovecot, new: Dovecot, tmp_path: Path) -> None:
    with moves.signed_in(new) as client:
        client.create_folder("INBOX.Own")
        for folder in ("INBOX", "INBOX.Own"):
            moves.put(client, folder, MESSAGES[:3])
    before = new.seen("ann@example.com")
    with moves.signed_in(old) as client:
        client.create_folder("Work/2024")
        for folder in ("INBOX", "Work/2024"):
            moves.put(client, folder, MESSAGES)
    run = moves.steps(tmp_path / "w", moves.account(old), moves.account(new))
    moves.move(run)
    assert new.seen("ann@example.com").total() == before.total() + 16
    with moves.signed_in(new) as client:
        client.select_folder("INBOX")
        client.add_flags([6], [b"\\Answered"])
    undo = run.undo()
    assert run.load(undo.digest).finished
    left = new.seen("ann@example.com")
    assert (left - before).total() == 1  # the one that somebody answered since
    assert (before - left).total() == 0
    with moves.signed_in(new) as client:
        assert "INBOX.Work.2024" not in {name for _, _, name in client.list_folders()}
