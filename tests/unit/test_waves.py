"""What a wave leaves to the next because of what it names."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from migrator import registry
from migrator.extract import Arrivals
from migrator.stage import Stage
from migrator.waves import WAITING, Wave


def test_a_ticket_waits_as_long_as_the_one_it_names_and_no_longer(tmp_path: Path) -> None:
    zendesk = registry.connector("zendesk")
    source = cast(Any, SimpleNamespace(streams=lambda: list(zendesk.manifest.streams)))
    arrivals = Arrivals()
    arrivals.done = frozenset(zendesk.manifest.streams)  # all lists are here
    aside = [("ticket", "1")]  # but this one was refused
    with Stage(tmp_path / "stage.duckdb") as stage:
        stage.schema("raw", "blobs", "canonical")
        stage.run("CREATE TABLE blobs.raw (id VARCHAR)")
        for kind_name, kind in zendesk.kinds.kinds.items():
            stage.table(f"canonical.{kind_name}", f"id VARCHAR, variant VARCHAR, {stage.columns(kind)}")
        named = {"1": None, "2": "1", "3": "2", "4": "5", "5": None, "6": "gone"}
        for id, problem in named.items():
            stage.run("INSERT INTO canonical.ticket (id, problem) VALUES (?, ?)", id, problem)
        wave = Wave(arrivals, source, zendesk.manifest, zendesk.mapping, zendesk.kinds, aside=aside)
        assert wave.wait(stage) == WAITING
        assert {id for (id,) in stage.rows(f"SELECT id FROM {WAITING}")} == {"1", "2", "3", "6"}
        wave.last = True
        assert wave.wait(stage) is None
