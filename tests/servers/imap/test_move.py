"""Mailboxes from one true server to another, held against the messages' files on both disks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.ledger import Ledger
from migrator.testing.servers import dovecot
from migrator.testing.servers.dovecot import Dovecot
from tests.servers.imap import moves
from tests.servers.imap.conftest import USERS

pytestmark = pytest.mark.servers
FILTER = 'require ["fileinto", "imap4flags"];\r\nif header :contains "subject" "Rechnung für" { fileinto "Büro"; }\r\n'


def test_every_odd_message_arrives_as_it_was(old: Dovecot, new: Dovecot, tmp_path: Path) -> None:
    messages = moves.odd_messages()
    with moves.signed_in(old) as client:
        for folder in ("Büro & Söhne", "日本/東京", "v1.2 final", "Upper", "UPPER", "INBOX/below"):
            client.create_folder(folder)
        client.subscribe_folder("Upper")
        moves.put(client, "INBOX", messages)
        moves.put(client, "INBOX", messages[:9], at=moves.AT, flags=[b"\\Seen"])
        moves.put(client, "INBOX", messages[:9], at=moves.AT, flags=[b"\\Seen"])  # the same thrice: all of them move
        for folder in ("Büro & Söhne", "日本/東京", "v1.2 final", "Upper", "UPPER", "INBOX/below", "Sent Items"):
            moves.put(client, folder, messages[::25])
    with moves.signed_in(old, "bob@example.com") as client:
        moves.put(client, "INBOX", messages[5:30])
    run = moves.steps(tmp_path / "w", moves.account(old), moves.account(new))
    moves.move(run)
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    for user in USERS:
        assert sum(moves.plain(old, user).values()) > 20
        assert moves.plain(new, user) == moves.plain(old, user)
    names = set(new.files("ann@example.com").values())
    assert {"", "B&APw-ro &- S&APY-hne", "v1&,w4-2 final", "Upper", "UPPER", "INBOX.below", "Sent"} <= names
    with moves.signed_in(new) as client:
        assert [name for _, _, name in client.list_sub_folders() if "pper" in name] == ["INBOX.Upper"]
        assert "INBOX.日本.東京" in {name for _, _, name in client.list_folders()}


def test_a_change_by_hand_is_found(old: Dovecot, new: Dovecot, tmp_path: Path) -> None:
    with moves.signed_in(old) as client:
        moves.put(client, "INBOX", [b"Subject: %d\r\n\r\nbody %d\r\n" % (n, n) for n in range(5)], flags=[])
    run = moves.steps(tmp_path / "w", moves.account(old), moves.account(new))
    moves.move(run)
    file = next(file for file in new.files("ann@example.com") if b"body 3" in file.read_bytes())
    was = file.stat()
    file.write_bytes(file.read_bytes().replace(b"body 3", b"body 8"))
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    with moves.signed_in(new) as client:
        client.select_folder("INBOX")
        client.add_flags([1], [b"\\Answered"])
        client.delete_messages([5])
        client.expunge()
    verified, differences = run.verify()
    found = sorted((one["field"], str(one["id"])[-2:]) for one in differences if one["kind"] == "mail_message")
    assert found == [("(record)", "05"), ("blob", "04"), ("flags", "01")]
    assert not verified.proven


def test_filters_move_and_what_the_new_server_cannot_run_is_said_in_the_plan(
    old: Dovecot, new: Dovecot, tmp_path: Path
) -> None:
    home = old.home("ann@example.com")
    (home / "sieve").mkdir(parents=True)
    (home / "sieve" / "Büro.sieve").write_bytes(FILTER.encode())
    away = b'require "vacation";\r\nvacation "away";\r\n'
    (home / "sieve" / "away.sieve").write_bytes(away)
    (home / ".dovecot.sieve").symlink_to("sieve/Büro.sieve")
    for path in (home.parent, home, *home.rglob("*")):
        os.chown(
            path, *[os.stat(old.folder / "home").st_uid, os.stat(old.folder / "home").st_gid], follow_symlinks=False
        )
    run = moves.steps(tmp_path / "w", moves.account(old), moves.account(new))
    run.extract()
    plan = run.plan()
    [left] = [line for line in plan.dispositions if line.kind == "mail_filter" and line.action == "manual"]
    assert left.count == 1
    assert "vacation" in left.reason
    assert run.load(plan.digest).finished
    there = new.home("ann@example.com")
    assert (there / "sieve" / "Büro.sieve").read_bytes() == FILTER.encode()
    assert (there / ".dovecot.sieve").resolve().name == "Büro.sieve"
    assert not (there / "sieve" / "away.sieve").exists()
    _, differences = run.verify()
    assert differences == []
    undo = run.undo()
    assert run.load(undo.digest).finished
    assert not (there / "sieve" / "Büro.sieve").exists()


def test_a_mailbox_that_fills_up_keeps_the_servers_answer_and_the_others_arrive(
    old: Dovecot, tmp_path: Path, running: Callable[..., Any]
) -> None:
    small: Dovecot = running(dovecot.start, "dovecot-small", users=USERS, quota="100k")
    with moves.signed_in(old) as client:
        moves.put(client, "INBOX", [b"Subject: %d\r\n\r\n%s\r\n" % (n, b"x" * 30_000) for n in range(6)])
    with moves.signed_in(old, "bob@example.com") as client:
        moves.put(client, "INBOX", [b"Subject: small\r\n\r\nbody\r\n"])
    folder = tmp_path / "w"
    run = moves.steps(folder, moves.account(old), moves.account(small))
    run.extract()
    loaded = run.load(run.plan().digest)
    assert loaded.quarantined == 3
    assert len(small.files("ann@example.com")) == 3
    assert len(small.files("bob@example.com")) == 1
    with Ledger(folder / "ledger.sqlite") as ledger:
        assert all("ann@example.com is full" in answer for _, _, answer, _ in ledger.quarantined())


def test_a_server_that_can_little_is_served_one_message_at_a_time(
    old: Dovecot, tmp_path: Path, running: Callable[..., Any]
) -> None:
    bare: Dovecot = running(dovecot.start, "dovecot-bare", users=USERS, says="IMAP4rev1 NAMESPACE")
    messages = [b"Subject: %d\r\n\r\nbody\r\n" % (n // 2) for n in range(30)]  # each of them twice
    with moves.signed_in(old) as client:
        moves.put(client, "INBOX", messages, at=moves.AT)
    run = moves.steps(tmp_path / "w", moves.account(old), moves.account(bare))
    moves.move(run)
    _, differences = run.verify()
    assert differences == []
    assert moves.plain(bare) == moves.plain(old)
    with moves.signed_in(old) as client:
        client.select_folder("INBOX")
        client.add_flags([2], [b"\\Deleted"])
        client.expunge()
        client.add_flags([7], [b"\\Answered"])
    moves.move(run)
    _, differences = run.verify()
    assert differences == []
    undo = run.undo()
    assert run.load(undo.digest).finished
    assert bare.files("ann@example.com") == {}


def test_a_password_for_each_mailbox_opens_them_under_their_new_names(
    old: Dovecot, new: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moves.signed_in(old, "bob@example.com") as client:
        moves.put(client, "INBOX", [b"Subject: one\r\n\r\nbody\r\n"])
    monkeypatch.setenv("EACH", '{"ann@example.com": "secret", "bob@example.com": "secret"}')
    each = moves.account(old)
    each |= {"secrets": {"password": "env:EACH"}, "settings": {"mailboxes": "bob@example.com=ann@example.com"}}
    each["options"] = {"passwords": "each", "sieve": "none"}
    run = moves.steps(tmp_path / "w", each, moves.account(new))
    moves.move(run)
    assert len(new.files("ann@example.com")) == 1
    assert new.files("bob@example.com") == {}
