"""An archive opened as a source, and read whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from migrator.connector import Raw
from migrator.project import open_project


def opened(vendor: str, folder: Path, archive: Path) -> Any:
    """Return the source of a migration that lies in ``folder``."""
    sides = {"source": {"vendor": vendor, "settings": {"archive": str(archive)}}}
    sides["destination"] = {"vendor": "zone_file", "settings": {"folder": str(folder)}}
    (folder / "migration.yaml").write_text(json.dumps({"name": "test", **sides}), encoding="utf-8")
    return open_project(folder).source.open()


def read_all(
    vendor: str, folder: Path, archive: Path, *, cut: Callable[[str], bool] = lambda stream: False
) -> dict[str, list[Raw]]:
    """Return every record; after each page of a stream that is ``cut`` a new process goes on from its cursor."""
    source = opened(vendor, folder, archive)
    found: dict[str, list[Raw]] = {}

    def parents(stream: str) -> Iterable[str]:
        return sorted((record.id for record in found[stream]), key=lambda id: (len(id), id))  # as extract hands them

    for stream in source.streams():
        found[stream], cursor, done = [], None, False
        while not done:
            for page in source.pages(stream, cursor, parents):
                found[stream] += page.records
                cursor, done = page.cursor, page.done
                if cut(stream) and not done:
                    source = opened(vendor, folder, archive)
                    break
    return found
