"""The suite every connector passes, on a true Znuny."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.migration import Account
from migrator.testing.conformance import ServerGround, Suite, checks
from migrator.testing.servers import Proxy
from migrator.testing.servers.znuny import Znuny

pytestmark = pytest.mark.servers
CHANNELS = ("console", "sql")
COUNTED = (
    "ticket", "article", "article_data_mime", "article_data_mime_attachment", "customer_user", "customer_company",
    "queue", "users", "dynamic_field", "dynamic_field_value",
)  # fmt: skip


class Grounds:
    """Hands out the session's server, new again, behind one proxy."""

    server: Znuny
    proxy: Proxy

    @classmethod
    def empty(cls) -> ServerGround:
        cls.server.reset()
        cls.proxy.calm()
        account = Account(vendor="znuny", settings=cls.server.settings, channels=CHANNELS, workers=1)

        def counted() -> dict[str, int]:
            return {table: cls.server.count(table) for table in COUNTED}

        return ServerGround(cls.proxy, account, cls.server.secrets, counted, cls.server)


@pytest.fixture(autouse=True, scope="module")
def behind(server: Znuny) -> Iterator[None]:
    Grounds.server = server
    with Proxy(server.url) as Grounds.proxy:
        yield


SUITE = Suite(
    "znuny", ground=Grounds.empty, channels=CHANNELS, records=6, step=10, harms=("500", "reset", "unanswered", "failed")
)


@pytest.mark.parametrize("check", checks(SUITE), ids=str)
def test_conformance(check, tmp_path: Path) -> None:
    check(tmp_path)
