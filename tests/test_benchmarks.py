"""The benchmarks run, at tiny sizes: what they claim to compare is equal, and their results are written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(file: str, results: Path, *arguments: str) -> tuple[str, dict[str, object]]:
    command = [sys.executable, str(ROOT / "benchmarks" / file), "--json", str(results), "--repeat", "1", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}


def test_the_staging_benchmark_stages_every_ticket_three_ways(tmp_path: Path) -> None:
    shown, results = run(
        "staging.py", tmp_path / "staging.json", "--tickets", "60", "--page", "20", "--default-tickets", "20"
    )
    assert "| migrator (" in shown
    assert "| dlt `rest_api` source" in shown
    runs = results["runs"]
    assert isinstance(runs, dict)
    assert {name: [one["rows"] for one in some] for name, some in runs.items()} == {
        "migrator": [60],
        "requests": [60],
        "default": [20],
    }


def test_the_planning_benchmark_makes_the_same_tables_three_ways(tmp_path: Path) -> None:
    shown, results = run("planning.py", tmp_path / "planning.json", "--tickets", "300", "--people", "200")
    assert "| SQL by hand |" in shown
    runs, made = results["runs"], results["made"]
    assert isinstance(runs, dict)
    assert isinstance(made, dict)
    assert set(made) == {"canonical.ticket", "native.made", "predicted.ticket", "bytes of payloads"}
    assert runs["whole"][0]["rows"] == 300


def test_the_rules_benchmark_finds_no_difference_where_a_rule_is_called_good(tmp_path: Path) -> None:
    shown, results = run("rules.py", tmp_path / "rules.json", "--tickets", "2000", "--rules", "40")
    assert "| compared in one scan |" in shown
    assert results["rules"] == 40
    assert results["wrong"] == 0


def test_the_zones_benchmark_copies_a_zone_that_is_equal_on_the_wire(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "zones.py"), "--json", str(tmp_path / "zones.json")]
    command += ["--sets", "60", "--repeat", "1", "--only", "migrator"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "zones.json").read_text(encoding="utf-8"))
    assert [one["rows"] for one in results["runs"]["migrator"]] == [61]


@pytest.mark.servers
def test_the_mail_benchmark_brings_every_message_both_ways(tmp_path: Path) -> None:
    if shutil.which("dovecot") is None:
        pytest.skip("needs Dovecot, which tests/servers install")
    shown, results = run("mail.py", tmp_path / "mail.json", "--messages", "40", "--large-mb", "2")
    assert "| plain loop of IMAPClient |" in shown
    runs = results["runs"]
    assert isinstance(runs, dict)
    assert [[one["rows"] for one in some] for some in runs.values()] == [[41], [41]]


@pytest.mark.servers
def test_the_files_benchmark_brings_every_byte_all_three_ways(tmp_path: Path) -> None:
    if shutil.which("/usr/sbin/sshd") is None:
        pytest.skip("needs OpenSSH's server, which tests/servers install")
    shown, results = run("files.py", tmp_path / "files.json", "--files", "30")
    assert "| migrator, streams of tar |" in shown
    runs = results["runs"]
    assert isinstance(runs, dict)
    assert [[one["rows"] for one in some] for some in runs.values()] == [[30], [30], [30]]


def test_the_peers_benchmark_sees_that_all_bring_the_same_comments(tmp_path: Path) -> None:
    results = tmp_path / "peers.json"
    who = ["migrator", "migrator-ticket", "zenpy", "zenpy-events"]  # of the peers, the one that is soonest installed
    command = [sys.executable, str(ROOT / "benchmarks" / "peers.py"), "--json", str(results), "--repeat", "1"]
    command += ["--tickets", "40", "--comments", "2", "--few", "0", "--only", *who]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode == 3:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    runs = json.loads(results.read_text(encoding="utf-8"))["runs"]
    assert list(runs) == who
    assert {(one["tickets"], one["comments"]) for some in runs.values() for one in some} == {(40, 80)}
    assert len({one["digest"] for some in runs.values() for one in some}) == 1
    assert "| zenpy | ticket | 40 | 80 |" in done.stdout


@pytest.mark.servers
def test_the_servers_benchmark_posts_as_many_tickets_as_migrator_loads_into_a_true_znuny(tmp_path: Path) -> None:
    results = tmp_path / "servers.json"
    shown, runs = run("servers.py", results, "znuny_sql", "--tickets", "3", "--workers", "2")
    if "not measured" in shown:
        pytest.skip(shown.strip())
    assert "3 units, 3 requests that write" in shown
    assert [one["workers"] for one in runs["runs"]] == [2]  # type: ignore[attr-defined]
