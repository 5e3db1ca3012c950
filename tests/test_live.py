"""What is live at once is left out of ordinary plans, written by a plan of its own, and taken back alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator.errors import InputError, PlanError
from migrator.live import OTHER, WAITS
from migrator.project import open_project
from migrator.steps import Steps
from migrator.summary import summarize
from migrator.testing import hosting

SERVERS = {"name_servers": "ns1.newhost.example"}
MX = {"record_set": {"type": ["mx"]}}


def job(folder: Path, cutover: dict[str, Any] | None = None, **policies: str) -> Steps:
    """Return the steps from a folder of zone files to another."""
    hosting.fill_zones(folder / "old")
    (folder / "new").mkdir(exist_ok=True)
    sides = {
        side: {
            "parts": {"dns": {"vendor": "zone_file", "settings": {"folder": str(folder / name)}, "options": SERVERS}}
        }
        for side, name in (("source", "old"), ("destination", "new"))
    }
    written = {"name": "m", **sides, "cutover": MX if cutover is None else cutover, "policies": policies}
    (folder / "migration.yaml").write_text(json.dumps(written | {"thresholds": {"manual": 1.0}}), encoding="utf-8")
    return Steps(open_project(folder), sleep=lambda seconds: None)


def mx(folder: Path) -> int:
    return sum(line.count(" MX ") for file in (folder / "new").iterdir() for line in file.read_text().splitlines())


def skipped(plan: Any, reason: str) -> int:
    return sum(line.count for line in plan.dispositions if line.action == "skip" and line.reason == reason)


def test_an_ordinary_plan_leaves_mx_and_a_cutover_writes_it_alone_and_takes_it_back_alone(tmp_path: Path) -> None:
    run = job(tmp_path)
    run.extract()
    plan = run.plan()
    assert skipped(plan, WAITS) == 2
    with pytest.raises(PlanError, match="nothing in the plan is live"):
        run.load(plan.digest, cutover=True)
    run.load(plan.digest)
    assert run.verify()[0].proven
    assert mx(tmp_path) == 0
    assert any("cut-over" in line["what"] and line["count"] == 2 for line in summarize(run)["todo"])

    switch = run.plan(cutover=True)
    assert (switch.units, skipped(switch, WAITS)) == (2, 0)
    with pytest.raises(PlanError, match="live at once"):
        run.load(switch.digest)
    assert mx(tmp_path) == 0
    run.load(switch.digest, cutover=True)
    assert run.verify()[0].proven
    assert mx(tmp_path) == 2
    assert run.plan().units == run.plan(cutover=True).units == 0

    run.plan(cutover=True)
    back = run.undo(last=True)
    run.load(back.digest)
    assert mx(tmp_path) == 0
    assert run.verify()[0].proven
    everything = run.undo()
    run.load(everything.digest)
    assert not list((tmp_path / "new").iterdir())


def test_a_zone_that_is_live_takes_its_records_with_it(tmp_path: Path) -> None:
    run = job(tmp_path, {"zone": {"name": ["EXAMPLE.ORG."]}})
    run.extract()
    plan = run.plan()
    sets = next(line.count for line in plan.dispositions if line.kind == "record_set" and line.reason == WAITS)
    assert sets >= 5
    run.load(plan.digest)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["example.com.zone"]
    switch = run.plan(cutover=True)
    assert skipped(switch, OTHER) == 0  # the others are there already
    run.load(switch.digest, cutover=True)
    assert len(list((tmp_path / "new").iterdir())) == 2
    assert run.verify()[0].proven


def test_a_change_of_what_is_live_waits_for_a_cutover_too(tmp_path: Path) -> None:
    run = job(tmp_path, deleted="delete")
    run.extract()
    run.load(run.plan().digest)
    run.load(run.plan(cutover=True).digest, cutover=True)
    for file in (tmp_path / "old").iterdir():
        file.write_text(file.read_text().replace("MX 10", "MX 20").replace("A 192.0.2.10", "A 192.0.2.11"))
    run.extract()
    plan = run.plan()
    assert {(change.field, change.verdict) for change in plan.changes} == {("values", "left"), ("values", "written")}
    switch = run.plan(cutover=True)
    assert switch.units == 2
    run.load(switch.digest, cutover=True)
    assert all(" MX 20 " in file.read_text() for file in (tmp_path / "new").iterdir())
    assert not any("192.0.2.11" in file.read_text() for file in (tmp_path / "new").iterdir())
    run.load(run.plan().digest)
    assert all("192.0.2.11" in file.read_text() for file in (tmp_path / "new").iterdir())
    assert run.verify()[0].proven


def test_a_cutover_of_nothing_or_of_what_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"record_set\.tpye"):
        job(tmp_path, {"record_set": {"tpye": ["MX"]}})
    with pytest.raises(InputError, match="record_sets"):
        job(tmp_path, {"record_sets": {}})
