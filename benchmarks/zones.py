"""A zone of 20,000 record sets from one PowerDNS to another: migrator beside octoDNS, in one run.

    python benchmarks/zones.py [--sets 20000] [--repeat 3] [--only migrator octodns] [--json FILE]

Two true PowerDNS servers (Debian's). By turns each contender, a process of its own, copies the zone into the emptied
second server and reads it back its own way: octoDNS by planning again over the API, migrator by a transfer.
Nothing counts that did not arrive: after every run the two zones are transferred and compared here, with dnspython
alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import _measure
from _measure import Aim, Run, median, publish, table, timed

HERE = Path(__file__).parent
PACKAGES = ("octodns==1.22.0", "octodns-powerdns==1.2.0")
ZONE = "wide.example."
CANNOT = 3  # the exit status where a server or the peer cannot be installed
MOST_MB = 450.0


def zone_text(sets: int) -> str:
    """Return a zone with so many record sets, of the types that zones are full of."""
    lines = [f"$ORIGIN {ZONE}", "@ 3600 IN SOA ns1.old.example. host.old.example. 1 7200 900 1209600 300"]
    lines.append("@ 3600 IN NS ns1.old.example.")
    kinds = (
        "A 192.0.2.{0}",
        "AAAA 2001:db8::{0:x}",
        "CNAME h{0}.elsewhere.example.",
        "MX 10 mail{0}.elsewhere.example.",
        'TXT "v=spf1 ip4:192.0.2.{0} -all"',
    )
    lines += [f"h{n:06d} {300 + n % 7} IN {kinds[n % len(kinds)].format(n % 250)}" for n in range(sets)]
    return "\n".join(lines) + "\n"


def migrate(folder: Path, old: str, new: str, wire: str) -> dict[str, Any]:
    """Extract, plan, load and verify, as the commands do."""
    from migrator.project import open_project
    from migrator.steps import Steps

    os.environ["BENCHMARK_KEY"] = "labkey"
    key = {"api_key": "env:BENCHMARK_KEY"}
    sides = {
        "source": {"vendor": "powerdns", "url": f"http://127.0.0.1:{old}", "secrets": key},
        "destination": {
            "vendor": "powerdns",
            "url": f"http://127.0.0.1:{new}",
            "secrets": key,
            "options": {"name_servers": "ns1.new.example.", "servers": f"127.0.0.1:{wire}"},
        },
    }
    folder.mkdir(parents=True)
    (folder / "migration.yaml").write_text(json.dumps({"name": "bench", **sides}), encoding="utf-8")
    run, began, took = Steps(open_project(folder)), time.monotonic(), {}
    for name, step in (
        ("extract", run.extract),
        ("plan", run.plan),
        ("load", lambda: run.load(run.saved_plan()["digest"])),
    ):
        at = time.monotonic()
        step()
        took[name] = time.monotonic() - at
    copied = time.monotonic() - began
    verified, differences = run.verify()
    took["verify"] = time.monotonic() - began - copied
    assert verified.proven, differences[:3]
    return {"rows": verified.records, "copied": copied, "steps": took}


def octodns(envs: Path, *arguments: str) -> Run:
    """Run octoDNS in its environment."""
    began = time.monotonic()
    command = [str(envs / "octodns" / "bin" / "python"), str(HERE / "_zones_octodns.py"), *arguments]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, text=True)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"octodns ended with {process.returncode}: {err.read()[-2000:]}")
        said = json.loads(out.read().splitlines()[-1])
    cpu = used.ru_utime + used.ru_stime
    rows, seconds, work = said.pop("rows"), said.pop("seconds"), said.pop("work_cpu")
    return Run(wall, cpu, used.ru_maxrss / 1024, seconds, work, rows, said)


def install(envs: Path) -> None:
    """Make octoDNS's environment, unless it is there."""
    where, mark = envs / "octodns", envs / "octodns" / ".installed"
    if mark.is_file() and mark.read_text() == " ".join(PACKAGES):
        return
    envs.mkdir(parents=True, exist_ok=True)
    uv = str(Path(sys.executable).with_name("uv"))
    steps = [
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(where)],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(where / "bin" / "python"), *PACKAGES],
    ]
    for step in steps:
        subprocess.run(step, check=True, capture_output=True, text=True, env={"UV_SYSTEM_CERTS": "1", **os.environ})
    mark.write_text(" ".join(PACKAGES))


def served(port: int) -> dict[tuple[str, str], Any]:
    """Return what a server serves, by dnspython alone."""
    import dns.query
    import dns.zone

    zone = dns.zone.from_xfr(dns.query.xfr("127.0.0.1", ZONE, port=port, relativize=False), relativize=False)
    return {
        (str(name), str(rdataset.rdtype)): (rdataset.ttl, sorted(one.to_digestable() for one in rdataset))
        for name, rdataset in zone.iterate_rdatasets()
        if str(name) != ZONE
    }


def main() -> None:
    """Measure."""
    parser = _measure.parser(__doc__)
    parser.add_argument("--sets", type=int, default=20_000)
    parser.add_argument("--only", nargs="+", default=["migrator", "octodns"], choices=["migrator", "octodns"])
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir()) / "migrator-peers")
    parser.add_argument("--ports", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        timed(lambda: migrate(args.folder, *args.ports))
        return
    from migrator.testing.servers import Unavailable, powerdns

    try:
        if "octodns" in args.only:
            install(args.envs)
        with tempfile.TemporaryDirectory() as name:
            measure(args, Path(name), powerdns)
    except (Unavailable, OSError, subprocess.CalledProcessError) as err:
        print(f"cannot be measured here: {err}", file=sys.stderr)
        raise SystemExit(CANNOT) from err


def measure(args: argparse.Namespace, folder: Path, powerdns: Any) -> None:
    """Start the servers, run the contenders by turns, and publish."""
    servers = []
    for name in ("old", "new"):
        (folder / name).mkdir()
        # octoDNS sends a zone in one call, which the API's limit of 2 MB refuses at this size (400).
        servers.append(powerdns.start(folder / name, body_mb=64))
    old, new = servers
    try:
        (folder / "zone").write_text(zone_text(args.sets), encoding="utf-8")
        command = ["pdnsutil", f"--config-dir={old.folder}", "load-zone", ZONE.rstrip("."), str(folder / "zone")]
        subprocess.run(command, check=True, capture_output=True, text=True)
        wanted = served(old.port)
        runs: dict[str, list[Run]] = {name: [] for name in args.only}
        for number in range(args.repeat):
            for name in args.only:
                new.reset()
                if name == "migrator":
                    ports = ["--ports", str(old.api), str(new.api), str(new.port)]
                    made = _measure.run(__file__, name, "--folder", str(folder / f"work{number}"), *ports)
                else:
                    made = octodns(args.envs, str(old.api), str(new.api), ZONE)
                if served(new.port) != wanted:
                    raise RuntimeError(f"{name}: the zones are not equal on the wire")
                runs[name].append(made)
    finally:
        for server in servers:
            server.stop()
    report(args, runs)


def report(args: argparse.Namespace, runs: dict[str, list[Run]]) -> None:
    """Print the table and what it should show."""
    lines, aims = [], []
    medians = {name: median(some) for name, some in runs.items()}
    for name, one in medians.items():
        steps = ", ".join(f"{step} {took:.1f}" for step, took in (one.said.get("steps") or {}).items())
        lines.append(
            [name, f"{one.said['copied']:.1f}", f"{one.seconds:.1f}", f"{one.cpu:.1f}", f"{one.rss_mb:.0f}", steps]
        )
    head = ["contender", "copied after, s", "and read back, s", "CPU, s", "memory, MB", "steps, s"]
    ours = medians.get("migrator")
    if ours:
        aims.append(Aim("memory", f"below {MOST_MB:.0f} MB", f"{ours.rss_mb:.0f} MB", ours.rss_mb < MOST_MB))
    text = table(head, lines)
    if ours and "octodns" in medians:  # no aim: a durable stage, a ledger and a second channel are not had for nothing
        wall, cpu = ours.seconds / medians["octodns"].seconds, ours.cpu / medians["octodns"].cpu
        text += f"\n\nmigrator takes {wall:.1f} times the time of octoDNS, and {cpu:.1f} times the CPU."
    title = f"{args.sets:,} record sets from PowerDNS to PowerDNS"
    publish(args, title, text, aims, {"sets": args.sets, "runs": runs})


if __name__ == "__main__":
    main()
