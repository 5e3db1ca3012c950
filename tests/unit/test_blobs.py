"""Bytes that are noted as here are here after a power cut, under their name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator import registry
from migrator.blobs import download
from migrator.compile import name
from migrator.errors import RefusedError
from migrator.kinds import Kinds
from migrator.stage import Stage
from migrator.workspace import Workspace


class Files:
    """A source of files; one whose address begins with "no" is refused."""

    vendor = "files"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def blob(self, url: str) -> Iterator[bytes]:
        self.asked.append(url)
        if url.startswith("no"):
            raise RefusedError("there is no such file", status=404, answer="gone")
        yield url.encode()


def opened(stage: Stage, kinds: Kinds, *urls: str) -> None:
    """Make an account of attachments."""
    stage.schema("canonical")
    for kind_name, kind in kinds.kinds.items():
        if any(field.type == "blob" for field in kind.fields.values()):
            stage.run(f"CREATE TABLE canonical.{name(kind_name)} (id VARCHAR, {stage.columns(kind)})")
    for number, url in enumerate(urls):
        stage.run("INSERT INTO canonical.attachment (id, url) VALUES (?, ?)", str(number), url)


def test_more_files_than_fit_in_memory_are_each_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.blobs.AT_ONCE", 3)  # a bound, not a function of ours
    workspace, kinds, source = Workspace(tmp_path), registry.kinds("help_desk"), Files()
    urls = [f"{'no' if number % 4 == 2 else 'file'}{number}" for number in range(12)]
    seen: list[int] = []
    with Stage(workspace.stage) as stage:
        opened(stage, kinds, *urls)
        how = {"canonical": "canonical", "dataset": "raw", "workers": 1}
        assert download(source, workspace, kinds, progress=lambda _, at: seen.append(at), **how) == 3  # type: ignore[arg-type]
        assert list(dict.fromkeys(source.asked)) == urls
        assert seen == list(range(1, 13))
        assert len(stage.rows("SELECT 1 FROM canonical.attachment WHERE blob IS NOT NULL")) == 9
        source.asked.clear()
        assert download(source, workspace, kinds, **how) == 3  # type: ignore[arg-type]
    assert sorted(set(source.asked)) == sorted(url for url in urls if url.startswith("no"))


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be synced there")
def test_a_files_name_is_durable_before_it_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[Path, list[str]]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        place = Path(os.readlink(f"/proc/self/fd/{handle}"))
        synced.append((place, sorted(os.listdir(place)) if place.is_dir() else []))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    workspace, kinds = Workspace(tmp_path), registry.kinds("help_desk")
    with Stage(workspace.stage) as stage:
        opened(stage, kinds, "one", "two")
        assert download(Files(), workspace, kinds, canonical="canonical", dataset="raw") == 0  # type: ignore[arg-type]
        kept = [workspace.blob(digest) for (digest,) in stage.rows("SELECT digest FROM blobs.raw")]
    assert len(kept) == 2
    for home in kept:
        assert any(place == home.parent and home.name in held for place, held in synced)
        assert any(place == workspace.blobs and home.parent.name in held for place, held in synced)
