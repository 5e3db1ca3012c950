"""Statements of dumps: cut apart as a server does, let through by a list, acting as the customer and nobody else."""

# ruff: noqa: E501  # statements of dumps, each on its line

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.connectors.mysql.reading import grantee_of, like
from migrator.connectors.mysql.statements import Speaker, Statement, statements
from migrator.connectors.mysql.wire import pattern, quoted
from migrator.errors import RefusedError

MARIA = Speaker(101100, True, "`acme`@`localhost`")
MYSQL = Speaker(80036, False, "`acme`@`localhost`", (("utf8mb4_uca1400_ai_ci", "utf8mb4_0900_ai_ci"),))


def cut(folder: Path, dump: str | bytes, speaker: Speaker = MARIA) -> list[Statement]:
    file = folder / "dump"
    file.write_bytes(dump if isinstance(dump, bytes) else dump.encode())
    return list(statements(file, speaker))


def said(folder: Path, dump: str | bytes, speaker: Speaker = MARIA) -> list[str]:
    return [" ".join(one.text.decode().split()) for one in cut(folder, dump, speaker) if one.sort != "nothing"]


ACTING = "CREATE DEFINER=`acme`@`localhost`"


@pytest.mark.parametrize(
    ("dump", "sent"),
    [
        ("/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @a = 1 */;",
         f"{ACTING} TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @a = 1"),
        ("/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`a@b``c`@`h` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */;",
         "CREATE ALGORITHM=UNDEFINED DEFINER=`acme`@`localhost` SQL SECURITY DEFINER VIEW `v` AS select 1"),
        ("CREATE VIEW v AS SELECT * FROM t WHERE definer = 'x'", f"{ACTING} VIEW v AS SELECT * FROM t WHERE definer = 'x'"),
        ("DELIMITER ;;\nCREATE PROCEDURE p() BEGIN SELECT 1; SELECT ';;'; END ;;\nDELIMITER ;\nSET NAMES utf8mb4;",
         f"{ACTING} PROCEDURE p() BEGIN SELECT 1; SELECT ';;'; END"),
        ("CREATE DEFINER=root@localhost FUNCTION f() RETURNS INT RETURN 1;", f"{ACTING} FUNCTION f() RETURNS INT RETURN 1"),
        ("CREATE EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE DO SELECT 1",
         f"{ACTING} EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE ON SLAVE DO SELECT 1"),
        ("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1", f"{ACTING} EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1"),
        ("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", f"{ACTING} EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO SELECT 1"),
        ("ALTER DATABASE `old_name` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;", "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
        ("/*M!999999\\- enable the sandbox mode */ \nCREATE TABLE t (a INT);", "CREATE TABLE t (a INT)"),
        ("INSERT INTO t VALUES ('a;b','it''s','\\'; DROP USER x; --',\"/*\")", "INSERT INTO t VALUES ('a;b','it''s','\\'; DROP USER x; --',\"/*\")"),
        ("CREATE TABLE t (a INT) /*!80016 DEFAULT ENCRYPTION='N' */ /*M!100616 COMMENT 'x' */;", "CREATE TABLE t (a INT) COMMENT 'x'"),
        ("# it's\n-- it's \"not\"\n--\n/* it's */ DROP TABLE IF EXISTS t;", "DROP TABLE IF EXISTS t"),
    ],
)  # fmt: skip
def test_statements_of_dumps_are_said_as_the_customer(tmp_path: Path, dump: str, sent: str) -> None:
    assert said(tmp_path, dump)[0] == sent


def test_what_another_vendor_calls_otherwise_is_renamed_outside_of_texts_only(tmp_path: Path) -> None:
    dump = "CREATE TABLE t (a TEXT COLLATE utf8mb4_uca1400_ai_ci COMMENT 'utf8mb4_uca1400_ai_ci');"
    assert said(tmp_path, dump, MYSQL) == [
        "CREATE TABLE t (a TEXT COLLATE utf8mb4_0900_ai_ci COMMENT 'utf8mb4_uca1400_ai_ci')"
    ]


@pytest.mark.parametrize(
    "dump",
    [
        "GRANT ALL ON *.* TO evil@'%'", "/*!50000 GRANT ALL ON *.* TO evil */", "/*M! CREATE USER evil */", "SET PASSWORD = 'x'",
        "SET GLOBAL general_log = 1", "SET @@global.x = 1", "SET @a = (SELECT 1)", "SET sql_mode = load_file('x')", "USE mysql",
        "CREATE DATABASE x", "DROP DATABASE x", "CALL p()", "PREPARE s FROM 'x'", "EXECUTE IMMEDIATE 'x'", "DO SLEEP(9)",
        "SELECT 1 INTO OUTFILE '/x'", "LOAD DATA INFILE 'x' INTO TABLE t", "INSERT INTO t SELECT LOAD_FILE('/etc/passwd')",
        "CREATE FUNCTION f RETURNS STRING SONAME 'x.so'", "INSTALL PLUGIN x SONAME 'x'", "CREATE SERVER s FOREIGN DATA WRAPPER x",
        "CREATE DEFINER=a@b DEFINER=root@localhost VIEW v AS SELECT 1", "CREATE ROLE r", "SHUTDOWN", "DROP USER x",
        "ALTER DEFINER=root@localhost VIEW v AS SELECT 1", "\\! id", "source /etc/passwd", "INSERT INTO t VALUES ('a", "SELECT 1 /* x",
        "CREATE TABLE t (a INT) DATA DIRECTORY='/x'", "CREATE TABLE t (a INT) ENGINE=FEDERATED", b"DROP \0 TABLE x", "DELIMITER",
        "DELIMITER $$\nGRANT ALL ON *.* TO x$$", "INSERT INTO t VALUES (1); GRANT ALL ON *.* TO x", "X" * 99,
    ],
)  # fmt: skip
def test_what_no_dump_holds_is_refused(tmp_path: Path, dump: str | bytes) -> None:
    with pytest.raises(RefusedError, match=r"line \d+ of the dump"):
        cut(tmp_path, dump)


def test_a_routine_that_nobody_could_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"options\.definer"):
        cut(tmp_path, "CREATE PROCEDURE p() SELECT 1", Speaker(101100, True))


def test_lines_and_tables_are_told(tmp_path: Path) -> None:
    dump = "-- one\n\nCREATE TABLE `a``b` (\n a INT);\nINSERT INTO `a``b` VALUES ('\n\n');\nDROP TABLE x;"
    assert [(one.sort, one.line, one.table) for one in cut(tmp_path, dump)] == [
        ("shape", 3, "a`b"),
        ("rows", 5, "a`b"),
        ("shape", 8, ""),
    ]


@given(st.lists(st.text(alphabet="ab;'\"`\\-#/*!\n \x00é", max_size=12), max_size=4))
def test_whatever_a_value_holds_a_row_stays_one_statement(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    escaped = ["'" + value.replace("\\", "\\\\").replace("'", "''") + "'" for value in values]
    dump = f"INSERT INTO t VALUES ({','.join(escaped)});"
    assert [one.text.decode() for one in cut(tmp_path_factory.getbasetemp(), dump)] == [dump[:-1]]


def test_names_and_patterns_of_grants() -> None:
    assert quoted("a`; DROP") == "`a``; DROP`"
    assert pattern("acme_50%") == r"`acme\_50\%`"
    assert like(r"acme\_wp", "acme_wp")
    assert not like(r"acme\_wp", "acmeXwp")
    assert like("acme_%", "acme_wp.x")
    assert grantee_of("'o'b'@'10.%'") == ("o'b", "10.%")
