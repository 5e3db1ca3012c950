"""Bytes that are noted as here are here after a power cut, under their name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator import registry
from migrator.blobs import download
from migrator.compile import name
from migrator.kinds import Kinds
from migrator.project import Workspace
from migrator.stage import Stage


class Files:
    """A source of two files."""

    vendor = "files"

    def blob(self, url: str) -> Iterator[bytes]:
        yield url.encode()


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
        stage.schema("canonical")
        kind = kinds.kinds["attachment"]
        stage.run(f"CREATE TABLE canonical.attachment (id VARCHAR, {stage.columns(kind)})")
        for other in without(kinds, "attachment"):
            stage.run(f"CREATE TABLE canonical.{name(other)} (id VARCHAR, {stage.columns(kinds.kinds[other])})")
        stage.run("INSERT INTO canonical.attachment (id, url) VALUES ('1', 'one'), ('2', 'two')")
        assert download(Files(), workspace, kinds, canonical="canonical", dataset="raw") == 0  # type: ignore[arg-type]
        kept = [workspace.blob(digest) for (digest,) in stage.rows("SELECT digest FROM blobs.raw")]
    assert len(kept) == 2
    for home in kept:
        assert any(place == home.parent and home.name in held for place, held in synced)
        assert any(place == workspace.blobs and home.parent.name in held for place, held in synced)


def without(kinds: Kinds, one: str) -> list[str]:
    """Return the other kinds whose records have bytes."""
    return [k for k, kind in kinds.kinds.items() if k != one and any(f.type == "blob" for f in kind.fields.values())]
