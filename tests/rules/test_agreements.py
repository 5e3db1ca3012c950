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
our (%ServiceAgreements, %ServiceBusinessHours); my $text = join '', <STDIN>; utf8::decode($text); eval $text or die $@;
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
    text = TRACKER.files([made], {})["migrator_sla.pm"]
    done = subprocess.run(["perl", "-e", READ], input=text.encode(), capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"Levels": made.native[0]["Levels"]}


def schedule(
    name: str, *spans: tuple[int, int], zone: str = "Berlin", off: tuple[str, str] = ("", "")
) -> dict[str, Any]:
    hours = [{"start_time": begins, "end_time": ends} for begins, ends in spans]
    days = [{"name": EVIL, "start_date": off[0], "end_date": off[1]}] if off[0] else []
    return {"id": 1, "name": name, "time_zone": zone, "intervals": hours, "holidays": days}


@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is absent")
def test_an_accounts_hours_and_days_off_stand_beside_the_levels_that_count_by_them() -> None:
    day = 1440
    week = [(day + 540, day + 720), (day + 780, day + 1080), (2 * day + 1320, 3 * day + 360), (6 * day, 7 * day)]
    held = [schedule(EVIL, *week, off=("2026-12-31", "2027-01-02")), schedule("Late", (60, 120), zone="Tokyo")]
    made = TRACKER.write(ZENDESK.read(policy(metric("first_reply_time", "high", 60, business=True)), "sla"))
    files = TRACKER.files([made], ZENDESK.calendars({"schedules": held}))
    told = {
        name: json.loads(
            subprocess.run(
                ["perl", "-e", READ], input=text.encode(), capture_output=True, timeout=60, check=True
            ).stdout
        )
        for name, text in files.items()
    }
    first = told["migrator_hours.pm"][EVIL]
    assert first == told["migrator_hours.pm"]["Default"]
    assert first["1"] == {
        "Name": "Monday", "Start": "09:00", "End": "18:00", "Breaks": [{"Start": "12:00", "End": "13:00"}]
    }  # fmt: skip
    night = [first["2"], first["3"], first["6"]]  # until midnight, which is 00:00 there; from it; all day
    assert [(one["Start"], one["End"]) for one in night] == [("22:00", "00:00"), ("00:00", "06:00"), ("00:00", "00:00")]
    assert first["holidays"] == ["2026-12-31", "2027-01-01", "2027-01-02"]
    assert told["migrator_hours.pm"]["Late"] == {"0": {"Name": "Sunday", "Start": "01:00", "End": "02:00"}}
    (level,) = told["migrator_sla.pm"]["Levels"].values()
    assert level == {"BusinessHours": EVIL, "Timezone": "Europe/Berlin", "Response": {"BusinessMinutes": 60}}


@pytest.mark.parametrize("days", [("yesterday", "today"), ("2026-01-02", "2026-01-01"), ("0001-01-01", "9999-12-31")])
def test_days_off_that_are_none_are_left_out(days: tuple[str, str]) -> None:
    held = ZENDESK.calendars({"schedules": [schedule("Ours", (600, 900), off=days)]})
    assert "holidays" not in TRACKER.files([], held)["migrator_hours.pm"]
    assert ZENDESK.calendars({"schedules": [schedule("Ours", (600, 900), zone="Mars"), schedule("Late", (1, 9))]}) == {}


def test_a_promise_that_lies_too_far_ahead_is_named() -> None:
    held = ZENDESK.calendars({"schedules": [schedule("Ours", (1440, 1440 + 60))]})
    for minutes, named in ((240, False), (241, True)):
        times = policy(metric("first_reply_time", "high", minutes, business=True), title=EVIL)
        text = TRACKER.files([TRACKER.write(ZENDESK.read(times, "sla"))], held)["migrator_sla.pm"]
        said = [line for line in text.splitlines() if line.startswith("# Mind it's")]
        assert bool(said) is named


def test_a_name_with_a_line_break_starts_no_line_of_crontab() -> None:
    asked = {"all": [{"field": "status", "operator": "is", "value": "open"},
                     {"field": "NEW", "operator": "greater_than", "value": "48"}], "any": []}  # fmt: skip
    rule = {"title": EVIL, "conditions": asked, "actions": [{"field": "status", "value": "solved"}]}
    text = TRACKER.files([TRACKER.write(ZENDESK.read(rule, "timed"))], {})["migrator_crontab"]
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
