"""``migrator cutover plan`` reckons from the zones that are extracted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from migrator.cli import app
from migrator.errors import InputError
from migrator.project import open_project
from migrator.steps import Steps

ZONE = """$ORIGIN x.example.
@ 7200 IN SOA ns1.old.example. host.old.example. 1 2 3 4 1800
@ 86400 IN NS ns1.old.example.
@ 3600 IN MX 10 mail
mail 14400 IN A 192.0.2.1
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for side in ("old", "new"):
        (tmp_path / side).mkdir()
    (tmp_path / "old" / "x.example.zone").write_text(ZONE, encoding="utf-8")
    sides = {
        name: {"vendor": "zone_file", "settings": {"folder": str(tmp_path / folder)}}
        for name, folder in (("source", "old"), ("destination", "new"))
    }
    (tmp_path / "migration.yaml").write_text(json.dumps({"name": "x", **sides}), encoding="utf-8")
    return tmp_path


def test_the_calendar_is_reckoned_from_the_zones_own_ttls(workspace: Path) -> None:
    Steps(open_project(workspace)).extract()
    page = workspace / "cutover.html"
    ran = CliRunner().invoke(app, ["cutover", "plan", "-w", str(workspace), "--json", "--html", str(page)])
    assert ran.exit_code == 0, ran.output
    (one,) = json.loads(ran.stdout)
    facts = one["facts"]
    assert (facts["longest_ttl"], facts["mx_ttl"], facts["ns_ttl"]) == (14_400, 3_600, 86_400)
    assert (facts["ds_ttl"], facts["assumed"]) == (None, ["parent_ns_ttl"])
    assert one["because"] == "lowered TTLs"
    assert "<svg" in page.read_text(encoding="utf-8")


def test_without_zones_it_says_what_to_do(workspace: Path) -> None:
    ran = CliRunner().invoke(app, ["cutover", "plan", "-w", str(workspace)])
    assert isinstance(ran.exception, InputError)
    assert "migrator extract" in str(ran.exception)
