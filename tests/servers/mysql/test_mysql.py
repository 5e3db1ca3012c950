"""A true MySQL 5.6, as old hosts run it: left for MariaDB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.servers import mysql
from migrator.testing.servers.mariadb import PASSWORD, MariaDB
from migrator.testing.servers.mysql import MySQL
from tests.servers.mysql.shop import HASH, NAME, SHOP, account, checksums, move, steps

pytestmark = pytest.mark.servers
OLD_SHOP = SHOP.replace("twice INT AS (LENGTH(note) * 2) STORED", "twice INT")  # 5.6 has no generated columns


@pytest.fixture(scope="module")
def server(running: Callable[..., Any]) -> MySQL:
    found: MySQL = running(mysql.start, "mysql-5.6")
    return found


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATOR_TEST_MYSQL", PASSWORD)


def fill(server: MariaDB) -> None:
    """Make the shop and its user, in the words of 5.6."""
    server.sql(f"CREATE DATABASE {NAME} COLLATE utf8mb4_unicode_ci")
    server.sql(OLD_SHOP, database=NAME)
    server.sql(
        f"CREATE USER acme_web@localhost IDENTIFIED BY PASSWORD '{HASH}';"
        "GRANT ALL ON `acme\\_shop`.* TO acme_web@localhost; FLUSH PRIVILEGES"
    )


def test_a_database_leaves_mysql_for_mariadb(server: MySQL, new: MariaDB, tmp_path: Path) -> None:
    server.reset()
    fill(server)
    there = steps(tmp_path / "there", account(server), account(new))
    move(there)
    assert {table: rows for table, (rows, _) in checksums(new, NAME).items()} == {
        table: rows for table, (rows, _) in checksums(server, NAME).items()
    }
    verified, differences = there.verify()
    assert verified.proven, differences[:3]
    asked = (
        f"SELECT HEX(name), HEX(latin), born, seen, note, HEX(bits), money, real_, kind, HEX(raw) FROM {NAME}.person"
    )
    assert new.sql(asked) == server.sql(asked)
    assert new.users() == ["acme_web@localhost"]
    assert new.sql("SELECT authentication_string FROM mysql.user WHERE User = 'acme_web'") == [[HASH]]

    # A server that has no words for what is written is left alone, and the plan says why.
    server.reset()
    back = steps(tmp_path / "back", account(new), account(server))
    back.extract()
    plan = back.plan()
    assert {line.action for line in plan.dispositions} == {"manual"}
    assert any("too old to be moved to (5.6." in line.reason for line in plan.dispositions)
    assert (plan.units, server.databases()) == (0, [])
