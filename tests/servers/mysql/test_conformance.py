"""The suite every connector passes, on a true MariaDB behind a tunnel that cuts connections at statements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.compile import name
from migrator.extract import canonicalize
from migrator.kinds import Kinds
from migrator.migration import Account
from migrator.registry import connector
from migrator.stage import Stage
from migrator.testing.conformance import Check, ServerGround, Suite, checks
from migrator.testing.conformance.runs import stage_all
from migrator.testing.servers.mariadb import PASSWORD, MariaDB
from migrator.testing.servers.sql_tunnel import SqlTunnel
from migrator.workspace import Workspace
from tests.servers.mysql.shop import HASH

pytestmark = pytest.mark.servers
NAMES = ("zw\u00f6lf %s", "it`s; DROP")
ROUND = """CREATE TABLE t (a INT PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, '\U0001f600');
CREATE TABLE plain (a INT) ENGINE=MyISAM; INSERT INTO plain VALUES (5); CREATE VIEW v AS SELECT a FROM t;
CREATE VIEW w AS SELECT a FROM v; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.b = 'z';"""


def fill(server: MariaDB) -> None:
    """Put databases with a user each into a server; the views of each act as that user."""
    for number, database in enumerate(NAMES):
        quoted, pattern = (f"`{text.replace('`', '``')}`" for text in (database, database.replace("%", "\\%")))
        account = f"own{number}@localhost"
        server.sql(f"CREATE DATABASE {quoted} COLLATE utf8mb4_unicode_ci")
        server.sql(f"CREATE USER {account} IDENTIFIED BY PASSWORD '{HASH}'")
        server.sql(f"GRANT ALL ON {pattern}.* TO {account}")
        server.sql(ROUND, database=database)


class Grounds:
    """Hands out the session's server, emptied, behind one tunnel."""

    server: MariaDB
    tunnel: SqlTunnel

    @classmethod
    def empty(cls) -> ServerGround:
        cls.server.reset()
        cls.tunnel.calm()
        account = Account(vendor="mysql", settings={"user": "root"}, workers=1)

        def counted() -> dict[str, int]:
            """Count users and rights too: none is given that was not planned, and none of those lent is left."""
            asked = "SELECT CONCAT_WS(' ', Db, User, Host) FROM mysql.db UNION SELECT User FROM mysql.user"
            found = {row[0]: 1 for row in cls.server.sql(asked)}
            for database in cls.server.databases():
                asked = "SELECT COUNT(*), (SELECT COUNT(*) FROM plain), (SELECT COUNT(*) FROM w) FROM t; SHOW TABLES"
                rows = cls.server.sql(asked, database=database)
                found |= {f"{database}: {' '.join(row)}": 1 for row in rows}
            return found

        return ServerGround(cls.tunnel, account, {"password": PASSWORD}, counted, cls.server)


@pytest.fixture(autouse=True, scope="module")
def behind(both: tuple[MariaDB, MariaDB]) -> Iterator[None]:
    Grounds.server = both[1]
    with SqlTunnel(f"mysql://{both[1].host}", cut_bytes=20) as Grounds.tunnel:
        yield


def made(stage: Stage, kinds: Kinds, workspace: Workspace) -> None:
    """Fill the stage with what the server itself says of such databases, and with their dumps."""
    ground = Grounds.empty()
    ground.fill(fill)
    source = ground.open()
    stage_all(source, stage, "raw", workspace)
    canonicalize(stage, kinds, connector("mysql").mapping, raw="raw", into="canonical")
    stage.schema("blobs", fresh=True)
    for id, url in stage.rows(f"SELECT id, url FROM canonical.{name('database')}"):
        dump = b"".join(source.blob(url))
        digest = hashlib.sha256(dump).hexdigest()
        workspace.blob(digest).parent.mkdir(parents=True, exist_ok=True)
        workspace.blob(digest).write_bytes(dump)
        stage.run(f"UPDATE canonical.{name('database')} SET blob = ? WHERE id = ?", digest, id)


SUITE = Suite("mysql", ground=Grounds.empty, fill=fill, made=made, step=61, harms=("reset", "unanswered", "within"))


@pytest.mark.parametrize("check", checks(SUITE), ids=str)
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
