"""Moves between true mail servers, and what lies in them, without our connector."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from imapclient import IMAPClient

from migrator.steps import Steps
from migrator.testing.servers.dovecot import MASTER, MASTER_PASSWORD, PASSWORD, Dovecot
from tests.support.vendor_data import vendor_file
from tests.support.workspaces import again as again
from tests.support.workspaces import steps as steps

NUL = b"Subject: a NUL\r\n\r\nbefore \x00 after\r\n"
TWISTED = (
    NUL,
    b"\r\n",
    b"no head at all",
    b"Subject: bare\nline\nends\n\nbody\n",
    b"Subject: \xff\xfe raw\r\nX-Odd : blank before the colon\r\n broken\r\nnot a field\r\n\r\nbody\r\n",
    b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\r\nSubject: mbox line\r\n\r\n.\r\nFrom here on\r\n",
    b"Subject: " + b"long " * 4000 + b"\r\n\r\n" + b"x" * 200_000 + b"\r\n",
    b"Subject: =?utf-8?B?w7x?= =?nonsense?Q?x?=\r\nMessage-ID: <twice@example.com>\r\n\r\nbody\r\n",
)
AT = datetime(2019, 3, 31, 1, 30, tzinfo=UTC)


def account(server: Dovecot, *, url: str = "", **more: Any) -> dict[str, Any]:
    """Return a side of migration.yaml: all mailboxes through the master user."""
    os.environ["MAIL_PASSWORD"] = MASTER_PASSWORD
    options = {"master": MASTER, "sieve": f"127.0.0.1:{server.sieve}"}
    options |= more.pop("options", {})
    return {
        "vendor": "imap", "url": url or server.url, "secrets": {"password": "env:MAIL_PASSWORD"}, "workers": 2,
        "options": options, "settings": {"mailboxes": " ".join(server.users)}, **more,
    }  # fmt: skip


@contextmanager
def signed_in(server: Dovecot, user: str = "ann@example.com") -> Iterator[IMAPClient]:
    """Give a mail program's view of a mailbox."""
    client = IMAPClient("127.0.0.1", port=server.imap, ssl=False)
    client.login(user, PASSWORD)
    try:
        yield client
    finally:
        client.logout()


def odd_messages() -> list[bytes]:
    """Return every message of the vendor data, and those that are odder still."""
    return [file.read_bytes() for file in sorted(vendor_file("mail").rglob("*")) if file.is_file()] + list(TWISTED)


def put(client: IMAPClient, folder: str, messages: Iterable[bytes], **how: Any) -> None:
    """Append messages as a mail program does."""
    for number, message in enumerate(messages):
        flags = how.get("flags", [[], [b"\\Seen"], [b"\\Seen", b"$Forwarded", b"NonJunk"], [b"\\Flagged"]][number % 4])
        client.append(folder, message, flags=flags, msg_time=how.get("at", AT.replace(second=number % 60)))


def plain(server: Dovecot, user: str = "ann@example.com") -> Counter[tuple[str, tuple[str, ...], int]]:
    """Return what lies in a mailbox, whatever its folders are called: digest, flags, date."""
    found: Counter[tuple[str, tuple[str, ...], int]] = Counter()
    for (_, digest, flags, at), number in server.seen(user).items():
        found[digest, flags, at] += number
    return found


def move(run: Steps) -> Any:
    """Extract, plan and load; return the plan."""
    run.extract()
    plan = run.plan()
    loaded = run.load(plan.digest)
    assert loaded.finished, loaded
    return plan
