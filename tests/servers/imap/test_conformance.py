"""The suite every connector passes, on a true Dovecot behind a tunnel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.migration import Account
from migrator.testing.conformance import ServerGround, Suite, checks
from migrator.testing.servers import Tunnel
from migrator.testing.servers.dovecot import MASTER, MASTER_PASSWORD, Dovecot
from tests.servers.imap import moves

pytestmark = pytest.mark.servers
USER = "ann@example.com"


class Grounds:
    """Hands out the session's server, emptied, behind one tunnel."""

    server: Dovecot
    tunnel: Tunnel

    @classmethod
    def empty(cls) -> ServerGround:
        cls.server.reset()
        cls.tunnel.calm()
        options = {"master": MASTER, "sieve": f"127.0.0.1:{cls.server.sieve}"}
        account = Account(vendor="imap", settings={"mailboxes": USER}, options=options, workers=1)

        def counted() -> dict[str, int]:
            files = cls.server.files(USER)
            return {folder: list(files.values()).count(folder) for folder in set(files.values())}

        return ServerGround(cls.tunnel, account, {"password": MASTER_PASSWORD}, counted, cls.server)


@pytest.fixture(autouse=True, scope="module")
def behind(both: tuple[Dovecot, Dovecot]) -> Iterator[None]:
    Grounds.server = both[1]
    with Tunnel(both[1].url, cut_bytes=90) as Grounds.tunnel:
        yield


def fill(server: Dovecot) -> None:
    with moves.signed_in(server) as client:
        client.create_folder("INBOX.Archive.2024")
        moves.put(client, "INBOX", [b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(15)])
        moves.put(client, "INBOX.Archive.2024", moves.TWISTED)


SUITE = Suite(
    "imap", ground=Grounds.empty, fill=fill, records=9, step=2, harms=("reset", "unanswered", "within", "truncated"),
    blob=b"Subject: made up\r\n\r\nbody \xff\r\n",
)  # fmt: skip


@pytest.mark.parametrize("check", checks(SUITE), ids=str)
def test_conformance(check, tmp_path: Path) -> None:
    check(tmp_path)
