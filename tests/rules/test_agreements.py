"""Promises as levels of service of Request Tracker, in a file that a person puts in place; and lines of crontab."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from migrator.cli import app
from tests.support.connectors import connector

ZENDESK: Any = connector("zendesk.rules")
TRACKER: Any = connector("request_tracker.rules")
EVIL = "it's \\' }; system('touch x'); # ü\n* * * * * touch y"
READ = r"""
use strict; use warnings; use JSON::PP; binmode STDIN, ':raw';
my %set; sub Set(\[$@%]@) { my ($name, @held) = @_; print JSON::PP->new->utf8->canonical->encode({@held}); return 1 }
our %ServiceAgreements; my $text = join '', <STDIN>; utf8::decode($text); eval $text or die $@;
"""


def metric(name: str, priority: str, minutes: int, *, business: bool = False) -> dict[str, Any]:
    return {"metric": name, "priority": priority, "target": minutes, "business_hours": business}


def policy(*metrics: dict[str, Any], title: str = "Gold") -> dict[str, Any]:
    asked = {"all": [{"field": "type", "operator": "is", "value": "incident"}], "any": []}
    return {"id": 1, "title": title, "position": 1, "filter": asked, "policy_metrics": list(metrics)}


def level(*metrics: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the one level of a policy, and the translation."""
    made = TRACKER.write(ZENDESK.read(policy(*metrics), "sla"))
    (held,) = made.native[0]["Levels"].values()
    return held, made


def test_a_policy_becomes_a_level_for_each_priority_and_a_person_puts_it_in_place() -> None:
    read = ZENDESK.read(policy(metric("first_reply_time", "high", 60), metric("first_reply_time", "low", 480)), "sla")
    made = TRACKER.write(read)
    assert made.verdict == "untranslatable"
    assert list(made.native[0]["Levels"]) == ["Gold (high)", "Gold (low)"]
    assert any("type is incident" in one.what and one.verdict == "approximated" for one in made.findings)


def test_what_comes_to_one_deadline_there_is_the_shorter_and_is_said() -> None:
    held, made = level(metric("first_reply_time", "high", 60), metric("next_reply_time", "high", 240))
    assert held == {"StartImmediately": 1, "Response": {"RealMinutes": 60}}
    assert [one.verdict for one in made.findings if "next reply" in one.what] == ["approximated"]
    held, made = level(metric("first_reply_time", "high", 60, business=True))
    assert held == {"Response": {"BusinessMinutes": 60}}
    assert [one.verdict for one in made.findings if "first reply" in one.what] == ["approximated"]


def test_a_clock_that_stands_still_while_a_ticket_waits_does_so_there() -> None:
    held, _ = level(metric("requester_wait_time", "high", 90), metric("pausable_update_time", "high", 30))
    assert held["Resolve"] == {"RealMinutes": 90, "IgnoreOnStatuses": ["stalled"], "ExcludeTimeOnIgnoredStatuses": 1}
    assert held["KeepInLoop"]["RealMinutes"] == 30


@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is absent")
def test_whatever_a_policy_is_called_the_file_holds_that_and_nothing_else() -> None:
    made = TRACKER.write(ZENDESK.read(policy(metric("first_reply_time", "high", 60), title=EVIL), "sla"))
    text = TRACKER.files([made])["migrator_sla.pm"]
    done = subprocess.run(["perl", "-e", READ], input=text.encode(), capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"Levels": made.native[0]["Levels"]}


def test_a_name_with_a_line_break_starts_no_line_of_crontab() -> None:
    asked = {"all": [{"field": "status", "operator": "is", "value": "open"},
                     {"field": "NEW", "operator": "greater_than", "value": "48"}], "any": []}  # fmt: skip
    rule = {"title": EVIL, "conditions": asked, "actions": [{"field": "status", "value": "solved"}]}
    text = TRACKER.files([TRACKER.write(ZENDESK.read(rule, "timed"))])["migrator_crontab"]
    lines = text.splitlines()
    assert [line for line in lines if not line.startswith("#")] == [lines[-1]]
    assert lines[-1].startswith("0 * * * * rt-crontool ")


def test_the_files_are_written_where_somebody_asks_for_them(tmp_path: Path) -> None:
    file, there = tmp_path / "rules.json", tmp_path / "drafts"
    file.write_text(json.dumps({"sla_policies": [policy(metric("first_reply_time", "high", 60))]}), encoding="utf-8")
    options = ["rules", "explain", str(file), "--from", "zendesk", "--to", "request_tracker", "-o", str(tmp_path / "p")]
    done = CliRunner().invoke(app, options)
    assert "1 files for Request Tracker's machine can be written: --drafts" in done.output
    done = CliRunner().invoke(app, [*options, "--drafts", str(there)])
    assert done.exit_code == 0
    assert [one.name for one in there.iterdir()] == ["migrator_sla.pm"]
