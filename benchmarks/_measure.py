"""What every benchmark here shares: contenders in processes of their own, what they use, tables and JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
UNIT = 1024 if sys.platform != "darwin" else 1024**2  # of ru_maxrss in a MB
LIBRARIES = ("dlt", "duckdb", "msgspec", "orjson", "pyarrow", "pydantic", "requests", "sqlglot")


@dataclass(frozen=True)
class Run:
    """One run of a contender: CPU of the process and its children, peak memory, and what it said itself.

    ``seconds`` and ``work_cpu`` begin after the imports; ``wall`` and ``cpu`` are those of the whole process.
    """

    wall: float
    cpu: float
    rss_mb: float
    seconds: float
    work_cpu: float
    rows: int
    said: dict[str, Any] = field(default_factory=dict)


def run(file: str, contender: str, *arguments: str) -> Run:
    """Run ``file --contender contender …`` to its end. Raises RuntimeError with its last words where it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, file, "--contender", contender, *arguments],
            stdout=out,
            stderr=err,
            text=True,
            env=environment(),
        )
        # Not subprocess's own wait: it would throw away the resources used.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        lines = out.read().splitlines()
        if process.returncode or not lines:
            raise RuntimeError(f"{contender} ended with {process.returncode}: {err.read()[-2000:]}")
    said = json.loads(lines[-1])
    # Of a process that was forked the kernel counts its parent's memory too, so it tells its own.
    rss_mb = said.pop("peak_mb", None) or used.ru_maxrss / UNIT
    return Run(
        wall, used.ru_utime + used.ru_stime, rss_mb, said.pop("seconds"), said.pop("work_cpu"), said.pop("rows"), said
    )


def peak_mb() -> float | None:
    """Return the most memory that this process has held, or one of those it started; None where nobody tells."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    own = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / UNIT)


def environment() -> dict[str, str]:
    """Return a contender's environment: migrator importable from a checkout, modules kept compiled, dlt silent."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }


def timed(work: Callable[[], dict[str, Any]]) -> None:
    """Do a contender's work and say on the last line of stdout what it took; ``work`` returns at least ``rows``."""
    began, used = time.monotonic(), cpu_seconds()
    said = work()
    took = {"seconds": time.monotonic() - began, "work_cpu": cpu_seconds() - used, "peak_mb": peak_mb()}
    print(json.dumps({**took, **said}))


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its children so far."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def median(runs: Sequence[Run]) -> Run:
    """Return the medians of several runs, each figure by itself."""

    def of(label: str) -> float:
        return float(statistics.median(getattr(one, label) for one in runs))

    return Run(of("wall"), of("cpu"), of("rss_mb"), of("seconds"), of("work_cpu"), runs[0].rows, middle(runs).said)


def middle(runs: Sequence[Run]) -> Run:
    """Return the run in the middle, by CPU."""
    return sorted(runs, key=lambda one: one.work_cpu)[len(runs) // 2]


def scaled(one: Run, rows: int) -> Run:
    """Return the run as it would be with ``rows``: the work in proportion, the start once, the memory as measured."""
    factor = rows / one.rows
    return Run(
        one.wall + one.seconds * (factor - 1),
        one.cpu + one.work_cpu * (factor - 1),
        one.rss_mb,
        one.seconds * factor,
        one.work_cpu * factor,
        rows,
        one.said,
    )


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])


@dataclass(frozen=True)
class Aim:
    """What the measurement should show, and whether it does."""

    what: str
    wanted: str
    measured: str
    met: bool


def publish(args: argparse.Namespace, title: str, text: str, aims: Sequence[Aim], results: dict[str, Any]) -> None:
    """Print the table and the aims, and write everything to the file that ``--json`` names."""
    shown = table(
        ["aim", "wanted", "measured", ""], [[a.what, a.wanted, a.measured, "met" if a.met else "MISSED"] for a in aims]
    )
    print(f"## {title}\n\n{text}\n\n{shown}\n")
    if args.json:
        whole = {"title": title, "machine": machine(), "aims": [asdict(aim) for aim in aims], **results}
        args.json.write_text(json.dumps(whole, indent=1, default=vars) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge the figures."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": [round(one, 1) for one in os.getloadavg()],
        "libraries": {library: version(library) for library in LIBRARIES},
    }


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every benchmark has."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write all results to this file too")
    made.add_argument("--repeat", type=int, default=3, help="runs of each contender, taken in turn (medians are shown)")
    made.add_argument("--contender", help=argparse.SUPPRESS)
    made.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return made
