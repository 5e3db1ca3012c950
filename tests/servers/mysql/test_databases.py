"""Databases between two true MariaDB servers, looked at with the server's own client."""

# statements of dumps, each on its line

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from migrator.connectors.cpanel_archive import made_up
from migrator.connectors.mysql.loading import load
from migrator.connectors.mysql.place import begin, end, reached
from migrator.connectors.mysql.statements import Speaker
from migrator.connectors.mysql.wire import Login, Wire
from migrator.errors import RefusedError
from migrator.testing.servers.mariadb import PASSWORD, MariaDB
from tests.servers.mysql.shop import HASH, HOSTILE, NAME, account, again, checksums, fill, move, steps

pytestmark = pytest.mark.servers
SPAWN = multiprocessing.get_context("forkserver")
MANY = "".join(
    f"CREATE TABLE {table} (a INT) ENGINE={engine};"
    + "".join(f"INSERT INTO {table} VALUES ({n}),({n});" for n in range(60))
    for table, engine in (("safe", "InnoDB"), ("plain", "MyISAM"), ("last", "InnoDB"))
)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATOR_TEST_MYSQL", PASSWORD)


def test_everything_arrives_acts_as_the_customer_and_goes_again(old: MariaDB, new: MariaDB, tmp_path: Path) -> None:
    fill(old)
    new.sql("CREATE DATABASE theirs; CREATE TABLE theirs.t (a INT); CREATE USER staff@localhost")
    run = steps(tmp_path / "w", account(old), account(new))
    plan = move(run)
    assert checksums(new, NAME) == checksums(old, NAME)
    assert checksums(new, HOSTILE) == checksums(old, HOSTILE)
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    assert {(loss.kind, loss.field, loss.how) for loss in plan.losses} == {
        ("database", "definers", "reset"),
        ("database", "events_run", "reset"),
    }
    assert new.users() == ["acme o'b@localhost", "acme_web@10.%", "acme_web@localhost", "staff@localhost"]
    assert {row[0] for row in new.sql("SELECT authentication_string FROM mysql.user WHERE User = 'acme_web'")} == {HASH}
    asked = "SELECT COUNT(*) FROM information_schema.{} WHERE DEFINER <> 'acme_web@10.%' AND {} = '" + NAME + "'"
    for table, column in {"VIEWS": "TABLE_SCHEMA", "TRIGGERS": "TRIGGER_SCHEMA", "ROUTINES": "ROUTINE_SCHEMA"}.items():
        assert new.sql(asked.format(table, column)) == [["0"]]

    # What runs by the clock is off until the switch.
    assert new.sql("SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS ORDER BY 1") == [
        ["never", "DISABLED"],
        ["nightly", "SLAVESIDE_DISABLED"],
    ]
    run.activate(plan.digest)
    assert new.sql("SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS ORDER BY 1") == [
        ["never", "DISABLED"],
        ["nightly", "ENABLED"],
    ]
    workspace = b"".join(path.read_bytes() for path in (tmp_path / "w").glob("*.json"))
    assert HASH.encode() not in workspace
    assert PASSWORD.encode() not in workspace

    undo = run.undo()
    assert run.load(undo.digest).finished
    assert new.databases() == ["theirs"]
    assert new.users() == ["staff@localhost"]


def carried_out(port: int, dump: Path, most: int) -> None:
    """Carry out a dump in a process that kills itself before so many statements."""
    left = most

    def stops() -> bool:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    wire = Wire(Login("127.0.0.1", port, "root", PASSWORD))
    try:
        load(wire, "shop", dump, Speaker(wire.number, wire.mariadb), begin(wire, "shop", "us"), stops)
        end(wire, "shop")
    finally:
        wire.close()


def test_a_load_that_is_killed_goes_on_in_the_middle_of_a_table_and_doubles_nothing(
    new: MariaDB, tmp_path: Path
) -> None:
    dump = tmp_path / "dump"
    dump.write_text(MANY, encoding="utf-8")
    new.sql("CREATE DATABASE shop")
    for most in (2, 35, 50, 30):  # within and between tables of both sorts
        child = SPAWN.Process(target=carried_out, args=(new.port, dump, most))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
    assert 0 < int(new.sql("SELECT COUNT(*) FROM safe", database="shop")[0][0])
    carried_out(new.port, dump, -1)
    for table in ("safe", "plain", "last"):
        told = new.sql(f"SELECT COUNT(*), COUNT(DISTINCT a), SUM(a) FROM {table}", database="shop")
        assert told == [["120", "60", "3540"]], table
    assert new.users() == []


@pytest.mark.parametrize(
    "reaching",
    [
        "INSERT INTO t SELECT 1 FROM mysql.user",
        "INSERT INTO theirs.t VALUES (1)",
        "DROP TABLE theirs.t",
        "CREATE TABLE x AS SELECT * FROM theirs.t",
    ],
)
def test_nothing_of_a_dump_reaches_beyond_its_own_database(new: MariaDB, tmp_path: Path, reaching: str) -> None:
    new.sql("CREATE DATABASE theirs; CREATE TABLE theirs.t (a INT); CREATE DATABASE shop")
    (tmp_path / "dump").write_text(f"CREATE TABLE t (a INT);\n{reaching};", encoding="utf-8")
    wire = Wire(Login("127.0.0.1", new.port, "root", PASSWORD))
    try:
        done = begin(wire, "shop", "us")
        with pytest.raises(RefusedError, match=r"line 2 of the dump.*denied"):
            load(wire, "shop", tmp_path / "dump", Speaker(wire.number, wire.mariadb), done, lambda: False)
        at = reached(wire, "shop")
        assert at is not None
        assert (at.whose, at.done) == ("us", 1)
    finally:
        wire.close()
    assert new.sql("SELECT COUNT(*) FROM theirs.t") == [["0"]]
    assert new.users() == []


def test_a_customer_without_rights_of_an_administrator_moves_its_own_database(
    old: MariaDB, new: MariaDB, tmp_path: Path
) -> None:
    for server in (old, new):
        server.sql(f'CREATE USER own@127.0.0.1 IDENTIFIED BY "{PASSWORD}"; GRANT ALL ON `own\\_db`.* TO own@127.0.0.1')
    old.sql("CREATE DATABASE own_db; CREATE TABLE own_db.t (a INT); INSERT INTO own_db.t VALUES (4)")
    old.sql("CREATE DEFINER=own@127.0.0.1 VIEW own_db.v AS SELECT * FROM own_db.t")
    run = steps(tmp_path / "w", account(old, user="own"), account(new, user="own"))
    run.extract()
    plan = run.plan()
    run.load(plan.digest)
    assert new.sql("SELECT * FROM own_db.v") == [["4"]]
    new.sql("INSERT INTO own_db.t VALUES (5)")
    assert not run.verify()[0].proven


MORE = """
INSERT INTO person (id, name) VALUES (20, 'new here'); UPDATE bill SET a = 9 WHERE id = 2; DROP TABLE old_style;
CREATE TABLE added (a INT, CONSTRAINT its FOREIGN KEY (a) REFERENCES bill (id)); INSERT INTO added VALUES (1), (3);
DROP VIEW richer; CREATE OR REPLACE VIEW rich AS SELECT p.name FROM person p; DROP EVENT never;
DROP PROCEDURE pay; CREATE PROCEDURE pay() SELECT 'otherwise';
"""


def updated(folder: str, port: int, most: int) -> None:
    """Load the plan of a workspace in a process that kills itself before so many statements at a server."""
    os.environ["MIGRATOR_TEST_MYSQL"] = PASSWORD
    said, left = Wire.do, most

    def do(self: Wire, *how: object, **more: object) -> object:
        nonlocal left
        left -= self.login.port == port
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return said(self, *how, **more)  # type: ignore[arg-type]

    Wire.do = do  # type: ignore[method-assign]
    run = again(Path(folder))
    run.load(run.saved_plan()["digest"])


def test_what_changed_at_the_source_since_is_written_table_by_table_and_whole_whenever_it_is_killed(
    old: MariaDB, new: MariaDB, tmp_path: Path
) -> None:
    fill(old)
    run = steps(tmp_path / "w", account(old, databases=NAME), account(new, databases=NAME))
    plan = move(run)
    run.verify()
    run.activate(plan.digest)
    when = "SELECT CREATE_TIME FROM information_schema.TABLES WHERE TABLE_NAME = 'we`ird ; ''table\" %s'"
    before = new.sql(when)
    old.sql(MORE, database=NAME)
    run.extract()
    plan = run.plan()
    assert {(change.kind, change.field, change.verdict) for change in plan.changes} == {
        ("database", "blob", "written"), ("database", "objects", "written"), ("database", "tables", "written")
    }  # fmt: skip
    for most in (9, 20, 31):
        child = SPAWN.Process(target=updated, args=(str(tmp_path / "w"), new.port, most))
        child.start()
        child.join(60)
        assert child.exitcode in (-signal.SIGKILL, 0)
    assert run.load(plan.digest).finished
    assert checksums(new, NAME) == checksums(old, NAME)
    assert new.sql(when) == before  # what did not change was not touched
    verified, differences = run.verify()
    assert verified.proven, differences
    assert new.sql("SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS") == [["nightly", "ENABLED"]]
    new.sql("INSERT INTO bill VALUES (9, 7, 1); DROP TRIGGER noted", database=NAME)  # it acts: `log` has a line more
    assert new.sql("SELECT what FROM log", database=NAME) == [["bill;9"]]
    assert new.sql("SELECT * FROM rich WHERE name = 'new here'", database=NAME) == [["new here"]]
    assert not [name for name in new.users() if name.startswith("migrator")]

    # What people changed there too is theirs.
    old.sql("DELETE FROM added", database=NAME)
    run.extract()
    plan = run.plan()
    assert {change.verdict for change in plan.changes} == {"edited"}
    assert plan.units == 0


DUMPED = """CREATE TABLE kept (a INT, t TEXT); INSERT INTO kept VALUES (1,'x;y'),(2,NULL);
CREATE TABLE orders (a INT PRIMARY KEY, kept INT); INSERT INTO orders VALUES {orders};
CREATE TABLE {last} (a INT);
CREATE VIEW open AS SELECT a FROM orders{where};
"""


def packed(folder: Path, number: int, **words: str) -> dict[str, object]:
    """Write the account's archive of a day, and return it as a source."""
    dump = DUMPED.format(**{"last": "old", "where": "", **words}) + f"-- Dump completed on day {number}\n"
    lost = f"GRANT USAGE ON *.* TO 'lost'@'%' IDENTIFIED BY PASSWORD '{HASH}';\n"
    lost += "GRANT ALL ON `acme\\_gone`.* TO 'lost'@'%';\n"
    files = {**made_up.FILES, "mysql/acme_wp.sql": dump, "mysql.sql": made_up.GRANTS + lost}
    path = folder / f"{number}.tar"
    made_up.write(path, [made_up.entry(f"{made_up.ROOT}/{name}", text.encode()) for name, text in files.items()])
    return {"vendor": "cpanel_archive", "settings": {"archive": str(path)}}


def test_a_newer_archive_changes_the_tables_that_differ_and_none_that_people_changed(
    new: MariaDB, tmp_path: Path
) -> None:
    first = packed(tmp_path, 1, orders="(1,1)")
    plan = move(steps(tmp_path / "w", first, account(new, databases="acme_wp")))
    users = {(line.action, line.count) for line in plan.dispositions if line.kind == "database_user"}
    assert users == {("create", 2), ("skip", 1)}, "nobody could tell that a user without a database is there"
    verified, differences = again(tmp_path / "w").verify()
    assert verified.proven, differences
    when = "SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'acme_wp' ORDER BY 1"
    before = dict(new.sql(when))

    more = packed(tmp_path, 2, orders="(1,1),(2,2)", last="fresh", where=" WHERE a > 1")
    run = steps(tmp_path / "w", more, account(new, databases="acme_wp"))
    run.extract()
    plan = run.plan()
    assert {(change.field, change.verdict) for change in plan.changes if change.kind == "database"} == {
        ("blob", "written")
    }
    assert run.load(plan.digest, accept_losses=True).finished
    after = dict(new.sql(when))
    assert set(after) == {"fresh", "kept", "open", "orders"}
    assert after["kept"] == before["kept"], "what did not change was not touched"
    assert new.sql("SELECT * FROM open", database="acme_wp") == [["2"]]
    assert not [name for name in new.databases() if name.startswith("migrator")]
    verified, differences = run.verify()
    assert verified.proven, differences

    new.sql("CREATE VIEW theirs AS SELECT 1 AS a", database="acme_wp")
    last = packed(tmp_path, 3, orders="(9,9)")
    run = steps(tmp_path / "w", last, account(new, databases="acme_wp"))
    run.extract()
    plan = run.plan()
    assert {(change.field, change.verdict) for change in plan.changes if change.kind == "database"} == {
        ("blob", "edited")
    }
