"""The staging file: one a process, however often it is opened in it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from migrator.errors import WorkspaceError
from migrator.stage import Stage

OPEN = "import sys; from migrator.stage import Stage; Stage(sys.argv[1]).close()"


def opens_elsewhere(file: Path) -> bool:
    """Tell whether another process gets the file."""
    return not subprocess.run([sys.executable, "-c", OPEN, str(file)], capture_output=True, check=False).returncode


def test_opened_again_in_one_process_it_is_the_same_file_and_is_let_go_of_with_the_last(tmp_path: Path) -> None:
    file = tmp_path / "stage.duckdb"
    first = Stage(file)
    second = Stage(tmp_path / "." / "stage.duckdb")
    first.run("CREATE TABLE t AS SELECT html_form('<p>a  b</p>') AS text")
    assert second.rows("SELECT text, html_form('<i>c</i>') FROM t") == [("a b[]", "c[]")]
    first.close()
    first.close()
    assert second.one("SELECT html_form('<b>d</b>')") == "d[]"
    assert not opens_elsewhere(file)
    second.close()
    assert opens_elsewhere(file)


def test_a_transaction_of_one_is_not_seen_by_the_other_before_it_ends(tmp_path: Path) -> None:
    with Stage(tmp_path / "stage.duckdb") as first, Stage(tmp_path / "stage.duckdb") as second:
        first.run("CREATE TABLE t (x INTEGER)")
        first.run("BEGIN TRANSACTION")
        first.run("INSERT INTO t VALUES (1)")
        assert second.one("SELECT count(*) FROM t") == 0
        first.run("COMMIT")
        assert second.one("SELECT count(*) FROM t") == 1


def test_stages_in_memory_are_apart() -> None:
    with Stage(":memory:", threads=1) as first, Stage(":memory:", threads=1) as second:
        first.run("CREATE SCHEMA here")
        assert second.rows("SELECT 1 FROM duckdb_schemas() WHERE schema_name = 'here'") == []


def test_a_file_that_could_not_be_opened_can_be_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "stage.duckdb"
    file.write_text("this is no database, and long enough to be taken for one " * 200)
    with pytest.raises(WorkspaceError):
        Stage(file)
    file.unlink()
    Stage(file).close()


def test_a_statement_that_cannot_work_on_disk_gets_more_memory_and_a_transaction_none(tmp_path: Path) -> None:
    much = (
        "SELECT count(DISTINCT l) FROM (SELECT list(repeat('x', 100) || i) AS l FROM range(400000) t(i) GROUP BY i % 7)"
    )
    with Stage(tmp_path / "stage.duckdb", threads=1) as stage:
        stage.run("SET GLOBAL memory_limit = '30MB'")
        with pytest.raises(WorkspaceError), stage.at_once():
            stage.run(f"CREATE TABLE t AS {much}")
        stage.run(f"CREATE TABLE t AS {much}")
        assert stage.rows("SELECT * FROM t") == [(7,)]
        stage.run("SET GLOBAL memory_limit = '30MB'")
        assert stage.rows(much) == [(7,)]


def test_threads_may_ask_the_same_stage_at_once(tmp_path: Path) -> None:
    with Stage(tmp_path / "stage.duckdb") as stage, ThreadPoolExecutor(8) as pool:
        stage.run("CREATE TABLE t AS SELECT i FROM range(1000) r(i)")
        found = pool.map(lambda n: stage.one("SELECT sum(i + ?) FROM t, range(500)", n), range(40))
        assert len(set(found)) == 40


def test_rows_are_put_in_place_of_those_with_their_key_the_last_of_equals(tmp_path: Path) -> None:
    with Stage(tmp_path / "stage.duckdb") as stage:
        stage.schema("s")
        stage.run("CREATE TABLE s.t (id VARCHAR PRIMARY KEY, number BIGINT, text VARCHAR)")
        stage.replace("s.t", [("a", 1, "was"), ("b", 2, 'q"uote')])
        stage.replace("s.t", [("a", None, "first"), ("a", 7, None), ("c", 3, "ümläut")])
        assert stage.rows("SELECT * FROM s.t ORDER BY id") == [("a", 7, None), ("b", 2, 'q"uote'), ("c", 3, "ümläut")]
