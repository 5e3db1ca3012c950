"""A database with one of everything that goes wrong, and the migrations between two servers."""

# ruff: noqa: E501  # statements of dumps, each on its line

from __future__ import annotations

from typing import Any

from migrator.testing.servers.mariadb import MariaDB
from tests.servers.sftp.trees import again, move, steps

__all__ = ["NAME", "account", "again", "checksums", "fill", "move", "steps"]
NAME = "acme_shop"
HOSTILE = "we`ird; DROP TABLE x --"
HASH = "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"  # of "password"

SHOP = r"""
CREATE TABLE person (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) COLLATE utf8mb4_german2_ci, latin VARCHAR(20)
  CHARACTER SET latin1, born DATE, seen TIMESTAMP NULL, note TEXT, twice INT AS (LENGTH(note) * 2) STORED, bits BIT(5), money DECIMAL(12,4),
  real_ DOUBLE, kind ENUM('a','ü'), raw VARBINARY(40), UNIQUE (name)) ENGINE=InnoDB;
SET sql_mode = '';
INSERT INTO person (id, name, latin, born, seen, note, bits, money, real_, kind, raw) VALUES
  (7, 'Jürgen 😀', 'café', '0000-00-00', '2026-03-29 01:30:00', '', b'10101', -12.3400, 0.1, 'ü', x'00FF27225C0A1A'),
  (9, 'O''Brien; -- "x" \\ /* no */', NULL, '2024-02-30', NULL, NULL, NULL, 0, NULL, NULL, ''),
  (12, 'DELIMITER ;;\nDROP TABLE person;', 'é', '1970-01-01', NULL, 'DEFINER=`root`@`localhost`', 0, 1e7, 1e-300, 'a', NULL);
CREATE TABLE bill (id INT PRIMARY KEY, person INT UNSIGNED, a INT, CONSTRAINT of FOREIGN KEY (person) REFERENCES person (id));
INSERT INTO bill VALUES (1, 7, NULL), (2, 7, 0), (3, 12, 1);
CREATE TABLE old_style (a INT, t TEXT) ENGINE=MyISAM;
INSERT INTO old_style VALUES (1, 'x'), (1, 'x'), (2, REPEAT('long ', 9000));
CREATE TABLE `we``ird ; 'table" %s` (`col``umn %s` INT, `select` INT);
INSERT INTO `we``ird ; 'table" %s` VALUES (1, NULL);
CREATE TABLE log (what VARCHAR(99), who VARCHAR(99));
CREATE VIEW rich AS SELECT p.name, COUNT(*) AS bills FROM person p JOIN bill b ON b.person = p.id GROUP BY p.id;
CREATE VIEW richer AS SELECT * FROM rich WHERE bills > 1;
DELIMITER ;;
CREATE TRIGGER noted AFTER INSERT ON bill FOR EACH ROW BEGIN
  -- a comment; with a semicolon
  INSERT INTO log VALUES (CONCAT('bill;', NEW.id), CURRENT_USER());
END;;
CREATE PROCEDURE pay(IN which INT) BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION ROLLBACK; UPDATE bill SET a = 1 WHERE id = which; END;;
CREATE FUNCTION who() RETURNS VARCHAR(99) DETERMINISTIC RETURN CURRENT_USER();;
CREATE EVENT nightly ON SCHEDULE EVERY 1 SECOND DO INSERT INTO log VALUES ('event', CURRENT_USER());;
CREATE EVENT never ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'it''s off' DO DELETE FROM log;;
DELIMITER ;
"""


def fill(server: MariaDB) -> None:
    """Make the shop, its users and their rights."""
    server.sql(f"CREATE DATABASE {NAME} COLLATE utf8mb4_unicode_ci")
    server.sql(SHOP, database=NAME)
    quoted = HOSTILE.replace("`", "``")
    server.sql(f"CREATE DATABASE `{quoted}`; CREATE TABLE `{quoted}`.t (a INT); INSERT INTO `{quoted}`.t VALUES (5)")
    server.sql(
        f"CREATE USER acme_web@localhost IDENTIFIED BY PASSWORD '{HASH}'; CREATE USER acme_web@'10.%' IDENTIFIED BY PASSWORD '{HASH}';"
        f"CREATE USER `acme o'b`@localhost IDENTIFIED VIA unix_socket;"
        f"GRANT ALL ON `acme\\_shop`.* TO acme_web@localhost; GRANT ALL ON `acme\\_shop`.* TO acme_web@'10.%';"
        f"GRANT SELECT, SHOW VIEW ON `acme\\_shop`.* TO `acme o'b`@localhost;"
    )


def checksums(server: MariaDB, database: str) -> dict[str, list[list[str]]]:
    """Return what the server's own client says of each table: number of rows and CHECKSUM TABLE."""
    tables = server.sql("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'", database=database)
    found = {}
    for table, _ in tables:
        name = f"`{table.replace('`', '``')}`"
        said = server.sql(f"SELECT COUNT(*) FROM {name}; CHECKSUM TABLE {name}", database=database)
        found[table] = [said[0], said[1][-1:]]
    return found


def account(server: MariaDB, *, user: str = "root", **options: str) -> dict[str, Any]:
    """Return a side of migration.yaml."""
    settings = {"host": server.host, "user": user}
    return {
        "vendor": "mysql",
        "settings": settings,
        "workers": 1,
        "options": options,
        "secrets": {"password": "env:MIGRATOR_TEST_MYSQL"},
    }
