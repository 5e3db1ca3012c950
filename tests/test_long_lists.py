"""Lists that are read whole and do not fit in a row: what they no longer hold leaves the stage, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migrator.connector import Page, Raw
from migrator.extract import PIECE, WHOLE, extract
from migrator.project import Workspace
from migrator.stage import Stage

SPEC = {"into": None, "optional": False, "lag_seconds": 0, "sealed": ()}


@dataclass
class Folders:
    """A source of two folders, one of which holds many messages, numbered from ``first`` on."""

    messages: range
    changed: str = "a"
    vendor: str = "folders"
    manifest: Any = field(
        default_factory=lambda: SimpleNamespace(
            streams={
                "folders": SimpleNamespace(parent=None, **SPEC),
                "messages": SimpleNamespace(parent="folders", **SPEC),
            }
        )
    )

    def streams(self) -> list[str]:
        return ["folders", "messages"]

    def count(self, stream: str) -> int | None:
        return None

    def pages(self, stream: str, start: Any, parents: Callable[[str], Iterable[str]], **_: Any) -> Iterator[Page]:
        if stream == "folders":
            yield Page([Raw("few", b"{}", "a"), Raw("many", b"{}", self.changed)], {"goes_on": True}, done=True)
            return
        held = {"few": ["few/1", "few/2"], "many": [f"many/{number}" for number in self.messages]}
        due = list(parents("folders"))
        records = [Raw(id, b"{}", "a", parent=folder) for folder in due for id in held[folder]]
        yield Page(records, {"goes_on": True}, done=True, whole={"messages": {f: iter(held[f]) for f in due}})


@pytest.mark.parametrize(
    "later",
    [range(PIECE // 2, 2 * PIECE), range(1, 2 * PIECE + 10), range(5), range(0), range(3 * PIECE + 7)],
    ids=["begins later", "one gone", "five left", "nothing left", "more"],
)
def test_what_a_long_list_no_longer_holds_leaves_the_stage(later: range, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    extract(Folders(range(2 * PIECE + 10)), workspace)  # type: ignore[arg-type]
    extract(Folders(later, changed="b"), workspace)  # type: ignore[arg-type]
    with Stage(workspace.stage) as stage:
        there = {id for (id,) in stage.rows("SELECT id FROM raw.messages")}
        widest = stage.one(f"SELECT max(json_array_length(body)) FROM raw.messages{WHOLE}")
    assert there == {"few/1", "few/2", *(f"many/{number}" for number in later)}
    assert widest <= PIECE
