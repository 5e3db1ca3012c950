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

from migrator import landing
from migrator.connector import Raw
from migrator.extract import Chunk
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


def chunk(number: int, pages: list[Rows]) -> list[Any]:
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
            yield landing.arrow(page)

    return [landing.resource("things", "things", come)]


@settings(max_examples=8, phases=[Phase.generate])  # to make an example smaller would take minutes
@given(chunks=CHUNKS, twice=st.booleans())
def test_an_id_has_one_row_and_it_is_the_latest_also_where_a_chunk_is_loaded_twice(
    chunks: list[list[Rows]], twice: bool
) -> None:
    with tempfile.TemporaryDirectory() as made:
        workspace = Workspace(Path(made) / "w")
        with Stage(Path(made) / "stage.duckdb") as stage:
            with landing.pipeline(workspace, stage, "raw") as pipeline:
                for number, pages in enumerate(chunks):
                    pipeline.extract(chunk(number, pages), loader_file_format="parquet")
                    pipeline.normalize()
                    waiting, kept = workspace.folder / ".dlt" / "raw" / "load" / "normalized", Path(made) / "kept"
                    shutil.copytree(waiting, kept)
                    pipeline.load()
                    if twice:  # as after a death between the rows' commit and dlt's note of it
                        for package in waiting.with_name("loaded").iterdir():
                            shutil.rmtree(package)
                        shutil.copytree(kept, waiting, dirs_exist_ok=True)
                        assert pipeline.has_pending_data
                        pipeline.load()
                    shutil.rmtree(kept)
                found = stage.rows("SELECT id, body FROM raw.things") if any(map(any, chunks)) else []
    assert sorted(found) == sorted(latest(chunks).items())


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
        with landing.pipeline(Workspace(tmp_path / "w"), stage, "raw") as pipeline:
            pipeline.run(chunk(0, [[("a", None)]]), loader_file_format="parquet")
            assert stage.rows("SELECT id, body FROM raw.things") == [("a", '{"at":"0.0"}')]
    assert not (tmp_path / "elsewhere.duckdb").exists()
