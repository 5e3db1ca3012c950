"""A seeded part of the long sweep: each command, both ways, killed with SIGKILL at a request of chance, and resumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEED = 4
POINTS = 10  # one for each command and direction


def test_whatever_was_killed_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    results = tmp_path / "sweep.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "crashes.py"), "--what", "kills", "--json", str(results)]
    command += ["--points", str(POINTS), "--seed", str(SEED), "--folder", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = json.loads(results.read_text(encoding="utf-8"))["lines"]
    assert len({(line["pair"], line["command"]) for line in lines}) == POINTS
    assert all(line["runs"] == 2 and not line["differs"] for line in lines)
