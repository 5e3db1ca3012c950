"""What lands in the stage: one row an id, the latest, whatever comes twice and whatever is loaded twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from migrator.connector import Raw
from migrator.extract import Chunk
from migrator.landing import durable
from migrator.snapshot import Landing, Resource, Snapshot
from migrator.stage import Stage
from migrator.workspace import Workspace

Rows = list[tuple[str, str | None]]  # (id, date of change), in the order they came

SOME = st.tuples(st.sampled_from("abcd"), st.sampled_from([None, "2024-01-01", "2024-01-02"]))
CHUNKS = st.lists(st.lists(st.lists(SOME, max_size=4), min_size=1, max_size=3), min_size=1, max_size=3)


def latest(chunks: list[list[Rows]]) -> dict[str, str]:
    """Return {id: body} by the rule: a later chunk replaces; in one the latest date, and of equals the later row."""
    kept: dict[str, str] = {}
    for number, pages in enumerate(chunks):
        newest: dict[str, tuple[str, int]] = {}
        for place, (id, changed) in enumerate(row for page in pages for row in page):
            newest[id] = max(newest.get(id, ("", -1)), (changed or "", place))
        kept |= {id: f'{{"at":"{number}.{place}"}}' for id, (_, place) in newest.items()}
    return kept


def chunk(landing: Landing, number: int, pages: list[Rows]) -> list[Resource]:
    """Return the resource of one chunk, each row telling in its body where it stood."""
    place, records = 0, []
    for page in pages:
        records.append([])
        for id, changed in page:
            records[-1].append(Raw(id, f'{{"at":"{number}.{place}"}}'.encode(), changed))
            place += 1

    def come() -> Iterator[Any]:
        for page in records:
            landing.state("things")["chunks"] = number + 1
            yield "things", page

    return [Resource("things", "things", come)]


@settings(max_examples=8, phases=[Phase.generate])  # to make an example smaller would take minutes
@given(chunks=CHUNKS, twice=st.booleans())
def test_an_id_has_one_row_and_it_is_the_latest_also_where_a_chunk_is_loaded_twice(
    chunks: list[list[Rows]], twice: bool
) -> None:
    with tempfile.TemporaryDirectory() as made:
        workspace = Workspace(Path(made) / "w")
        with Stage(Path(made) / "stage.duckdb") as stage:
            with durable(workspace, stage, "raw") as landing:
                for number, pages in enumerate(chunks):
                    landing.bring(chunk(landing, number, pages))
                    waiting, kept = workspace.folder / ".dlt" / "raw" / "load" / "normalized", Path(made) / "kept"
                    shutil.copytree(waiting, kept)
                    landing.settle()
                    if twice:  # as after a death between the rows' commit and dlt's note of it
                        for package in waiting.with_name("loaded").iterdir():
                            shutil.rmtree(package)
                        shutil.copytree(kept, waiting, dirs_exist_ok=True)
                        assert landing.pipeline.has_pending_data
                        landing.resume()
                    shutil.rmtree(kept)
                assert landing.states()["things"]["chunks"] == len(chunks)
                found = stage.rows("SELECT id, body FROM raw.things") if any(map(any, chunks)) else []
    assert sorted(found) == sorted(latest(chunks).items())


@given(pages=st.lists(st.lists(SOME, max_size=4), min_size=1, max_size=9), most=st.sampled_from([1, 30, 2**24]))
def test_a_snapshot_has_one_row_of_an_id_the_latest_however_little_memory_it_has(
    stage: Stage, pages: list[Rows], most: int
) -> None:
    stage.schema("back", fresh=True)
    landing = Snapshot(stage, "back", most)
    landing.bring(chunk(landing, 0, pages))
    landing.settle()
    found = stage.rows("SELECT id, body FROM back.things") if any(pages) else []
    assert sorted(found) == sorted(latest([pages]).items())


def test_a_chunk_has_its_pages_and_its_seconds_but_is_ended_by_its_bounds() -> None:
    chunk = Chunk(pages=20, seconds=3, most_seconds=60, most_bytes=1000)
    assert not chunk.full(500, 2.9, 999)
    assert not chunk.full(19, 59.9, 999)
    assert chunk.full(20, 3, 0)
    assert chunk.full(1, 60, 0)
    assert chunk.full(1, 0, 1000)


def test_neither_the_environment_nor_a_file_of_settings_steers_what_lands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "elsewhere.duckdb"))
    monkeypatch.setenv("DATASET_NAME", "elsewhere")
    monkeypatch.setenv("SCHEMA__NAMING", "sql_ci_v1")
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text('[normalize.data_writer]\ndisable_compression = "not a truth"\n')
    monkeypatch.chdir(tmp_path)
    with Stage(tmp_path / "stage.duckdb") as stage:
        with durable(Workspace(tmp_path / "w"), stage, "raw") as landing:
            landing.bring(chunk(landing, 0, [[("a", None)]]))
            landing.settle()
            assert stage.rows("SELECT id, body FROM raw.things") == [("a", '{"at":"0.0"}')]
    assert not (tmp_path / "elsewhere.duckdb").exists()
