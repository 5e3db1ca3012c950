"""Tickets with their comments out of Zendesk: migrator beside tap-zendesk, airbyte's Zendesk source and zenpy.

One TLS server (a process of its own, answers in memory) plays https://….zendesk.com for all of them in one run. Each
contender is a process of its own with its own libraries and writes what it reads to disk in its own form: migrator a
DuckDB file, the others JSON lines. The peers come from PyPI by name, each into an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _measure
from _measure import Aim, publish, table, timed
from _peers_desk import digest, parts

HERE = Path(__file__).parent
AIM = 15  # times less CPU than each
VERSIONS = {"tap-zendesk": "2.8.2", "airbyte-source-zendesk-support": "4.9.1", "zenpy": "2.0.57"}
START = "2015-01-01T00:00:00Z"
CANNOT = 3  # the exit status where the peers cannot be installed
FULL, FEW, EMPTY = "acme", "few", "none"  # accounts: the measured one, the one for runs that sleep, and no tickets


@dataclass(frozen=True)
class Job:
    """One run to make: on which account, in which folder, with the environment of a contender."""

    account: str
    folder: Path
    environment: dict[str, str]
    envs: Path


@dataclass(frozen=True)
class Spent:
    """What one run took and brought. ``asked_seconds``: pauses of a second and more it asked for, taken or not."""

    wall: float
    cpu: float
    rss_mb: float
    tickets: int
    comments: int
    digest: str
    asked_seconds: float


Found = tuple[list[str], list[tuple[str, str]]]  # ids of tickets; ids and texts of comments


# ---- the contenders --------------------------------------------------------------------------------------------------


def migrator(route: str) -> Callable[[Job], list[str]]:
    """Return what starts migrator, told which way to read comments."""
    whose = [sys.executable, __file__, "--contender", route]
    return lambda job: [*whose, "--account", job.account, "--folder", str(job.folder)]


def extract(route: str, account: str, folder: Path) -> None:
    """Extract as `migrator extract` does; its pacer keeps Zendesk's quota, but on a clock that its pauses only set."""
    from migrator.extract import extract
    from migrator.migration import Account
    from migrator.project import side
    from migrator.workspace import Workspace

    os.environ["BENCHMARK_TOKEN"] = "none"
    here = Account(
        vendor="zendesk",
        settings={"account": account, "user": "nobody"},
        secrets={"token": "env:BENCHMARK_TOKEN"},
        options={"comments": route},
    )
    clock = Clock(keep=os.environ["PEERS_SLEEP"] == "keep")

    def work() -> dict[str, Any]:
        source = side(here, None, "benchmark").open(sleep=clock.sleep, monotonic=clock.monotonic)
        brought = extract(source, Workspace(folder / "workspace"), streams=["tickets", "ticket_comments"])
        return {"rows": sum(brought.rows.values()), "asked_seconds": clock.ahead, "calls": source.client.calls}

    timed(work)


class Clock:
    """A clock that pauses move on, taken (``keep``) or not; threads that wait for the same moment move it once."""

    def __init__(self, *, keep: bool) -> None:
        self.ahead, self._keep, self._lock, self._seen = 0.0, keep, threading.Lock(), threading.local()

    def monotonic(self) -> float:
        """Return the seconds on this clock."""
        self._seen.now = time.monotonic() + (0.0 if self._keep else self.ahead)
        return float(self._seen.now)

    def sleep(self, seconds: float) -> None:
        """Pause, or be later at once."""
        with self._lock:
            now = time.monotonic() + (0.0 if self._keep else self.ahead)
            left = max(0.0, self._seen.now + seconds - now)
            self.ahead += left
        if self._keep:
            time.sleep(left)


def staged(folder: Path) -> Found:
    """Return what migrator left in DuckDB."""
    import duckdb

    with duckdb.connect(str(folder / "workspace" / "stage.duckdb"), read_only=True) as db:
        tickets = db.execute("SELECT id FROM raw.tickets").fetchall()
        comments = db.execute("SELECT id, body->>'body' FROM raw.ticket_comments").fetchall()
    return [row[0] for row in tickets], comments


def tap(job: Job) -> list[str]:
    """Discover (not counted: once for an account) and select the two streams."""
    config, catalog = job.folder / "config.json", job.folder / "catalog.json"
    config.write_text(json.dumps({"subdomain": job.account, "access_token": "none", "start_date": START}))
    program = str(python(job.envs, "tap-zendesk").with_name("tap-zendesk"))
    found = subprocess.run(
        [program, "--config", str(config), "--discover"],
        env=job.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise RuntimeError(f"tap-zendesk does not discover: {found.stderr[-2000:]}")
    streams = json.loads(found.stdout)
    for stream in streams["streams"]:
        for each in stream["metadata"]:
            each["metadata"]["selected"] = stream["stream"] in ("tickets", "ticket_comments")
    catalog.write_text(json.dumps(streams))
    return [program, "--config", str(config), "--catalog", str(catalog)]


def airbyte(job: Job) -> list[str]:
    """Configure the two streams, incremental as the connector proposes."""
    config, catalog = job.folder / "config.json", job.folder / "catalog.json"
    credentials = {"credentials": "api_token", "email": "admin@acme.example", "api_token": "none"}
    config.write_text(json.dumps({"subdomain": job.account, "start_date": START, "credentials": credentials}))
    modes = ["full_refresh", "incremental"]
    streams = [
        {
            "stream": {"name": name, "json_schema": {}, "supported_sync_modes": modes},
            "sync_mode": "incremental",
            "cursor_field": [cursor],
            "destination_sync_mode": "append",
        }
        for name, cursor in (("tickets", "generated_timestamp"), ("ticket_comments", "created_at"))
    ]
    catalog.write_text(json.dumps({"streams": streams}))
    program = str(python(job.envs, "airbyte-source-zendesk-support").with_name("source-zendesk-support"))
    return [program, "read", "--config", str(config), "--catalog", str(catalog)]


def zenpy(route: str) -> Callable[[Job], list[str]]:
    """Return what starts the script for zenpy."""
    return lambda job: [str(python(job.envs, "zenpy")), str(HERE / "_peers_zenpy.py"), job.account, route]


def lines(message: Callable[[dict[str, Any]], tuple[str, Any] | None]) -> Callable[[Path], Found]:
    """Return what reads JSON lines; ``message`` gives a line's stream and record, or None for another line."""

    def read(folder: Path) -> Found:
        found: dict[str, list[Any]] = {"tickets": [], "ticket_comments": []}
        with (folder / "out.jsonl").open(encoding="utf-8") as file:
            for line in file:
                said = message(json.loads(line))
                if said is not None:
                    found[said[0]].append(said[1])
        return (
            [str(record["id"]) for record in found["tickets"]],
            [(str(record["id"]), record["body"]) for record in found["ticket_comments"]],
        )

    return read


@dataclass(frozen=True)
class Contender:
    """Who runs, how it reads comments, how it is started and how what it wrote is read back."""

    title: str
    package: str | None
    route: str
    command: Callable[[Job], list[str]]
    found: Callable[[Path], Found]


ZENPY = lines(lambda line: (line["stream"], line["record"]))
CONTENDERS = {
    "migrator": Contender("migrator", None, "events", migrator("events"), staged),
    "migrator-ticket": Contender("migrator", None, "ticket", migrator("ticket"), staged),
    "tap-zendesk": Contender(
        "tap-zendesk",
        "tap-zendesk",
        "ticket",
        tap,
        lines(lambda line: (line["stream"], line["record"]) if line["type"] == "RECORD" else None),
    ),
    "airbyte": Contender(
        "airbyte-source-zendesk-support",
        "airbyte-source-zendesk-support",
        "events",
        airbyte,
        lines(lambda line: (line["record"]["stream"], line["record"]["data"]) if line["type"] == "RECORD" else None),
    ),
    "zenpy": Contender("zenpy", "zenpy", "ticket", zenpy("ticket"), ZENPY),
    "zenpy-events": Contender("zenpy", "zenpy", "events", zenpy("events"), ZENPY),
}


# ---- environments ----------------------------------------------------------------------------------------------------


def python(envs: Path, package: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return envs / package / "bin" / "python"


def install(envs: Path, package: str) -> None:
    """Make a peer's environment, unless it is there. Raises OSError or CalledProcessError where that cannot be."""
    wanted, mark = f"{package}=={VERSIONS[package]}", envs / package / ".installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    envs.mkdir(parents=True, exist_ok=True)
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    where = str(envs / package)
    if uv:
        steps = [
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, where],
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python(envs, package)), wanted],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", "--clear", where],
            [str(python(envs, package)), "-m", "pip", "install", "--quiet", wanted],
        ]
    for step in steps:
        subprocess.run(step, check=True, capture_output=True, text=True, env={"UV_SYSTEM_CERTS": "1", **os.environ})
    mark.write_text(wanted)


def default_envs() -> Path | None:
    """Return a folder inside this virtual environment, or None outside of one."""
    return Path(sys.prefix) / "peers" if sys.prefix != sys.base_prefix else None


# ---- one run ---------------------------------------------------------------------------------------------------------


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for *.zendesk.com that signs itself, and its key (P-256, as Zendesk's own front has)."""
    made, key = folder / "certificate.pem", folder / "key.pem"
    names = ["-subj", "/CN=zendesk.com", "-addext", "subjectAltName=DNS:*.zendesk.com"]
    how = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*how, *names, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True, text=True)
    return made, key


@contextmanager
def desk(folder: Path, sizes: dict[str, int], comments: int) -> Iterator[dict[str, str]]:
    """Run the server and give the environment in which a contender takes it for Zendesk."""
    made, key = certificate(folder)
    site = folder / "site"
    site.mkdir()
    shutil.copy(HERE / "_peers_site.py", site / "sitecustomize.py")
    command = [sys.executable, str(HERE / "_peers_desk.py"), "--certificate", str(made), "--key", str(key)]
    command += ["--comments", str(comments), *(f"{name}={size}" for name, size in sizes.items())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        environment = {k: v for k, v in _measure.environment().items() if "proxy" not in k.lower()}
        environment["PYTHONPATH"] = os.pathsep.join([str(site), str(_measure.ROOT)])
        trust = {name: str(made) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
        yield environment | trust | {"PEERS_PORT": port}
    finally:
        process.terminate()
        process.wait()


def once(name: str, account: str, environment: dict[str, str], envs: Path, *, sleep: str) -> Spent:
    """Run a contender to its end in a new folder. Raises RuntimeError with its last words where it fails."""
    who = CONTENDERS[name]
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as made:
        folder = Path(made)
        slept = folder / "slept.json"
        whole = environment | {"PEERS_SLEEP": sleep, "PEERS_SLEPT": str(slept), "HOME": made}
        if who.package:  # a peer does not see this checkout
            whole["PYTHONPATH"] = whole["PYTHONPATH"].split(os.pathsep)[0]
        command = who.command(Job(account, folder, whole, envs))
        with (folder / "out.jsonl").open("w") as out, (folder / "err").open("w+") as err:
            began = time.monotonic()
            process = subprocess.Popen(command, stdout=out, stderr=err, env=whole, cwd=folder)
            _, status, used = os.wait4(process.pid, 0)  # not subprocess's own wait: it throws away what was used
            wall = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                err.seek(0)
                raise RuntimeError(f"{name} ended with {process.returncode}: {err.read()[-3000:]}")
        if who.package:
            asked = json.loads(slept.read_text())["seconds"]
        else:
            asked = json.loads((folder / "out.jsonl").read_text().splitlines()[-1])["asked_seconds"]
        tickets, comments = who.found(folder)
    return Spent(
        wall,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2),
        len(set(tickets)),
        len({id for id, _ in comments}),
        digest(tickets, comments),
        asked,
    )


def median(runs: list[Spent], label: str) -> float:
    """Return the median of one figure."""
    return float(statistics.median(getattr(one, label) for one in runs))


# ---- the comparison --------------------------------------------------------------------------------------------------


def compare(args: argparse.Namespace, names: list[str], envs: Path) -> None:
    """Measure every contender, see that all brought the same, and print."""
    sizes = {FULL: args.tickets, FEW: args.few, EMPTY: 0}
    every = parts(args.tickets, args.comments)
    expected = {
        account: (
            size,
            size * args.comments,
            digest(
                (str(id) for id in range(1, size + 1)), (pair for part in every[:size] for pair in part.texts.items())
            ),
        )
        for account, size in sizes.items()
    }
    del every

    def checked(name: str, account: str, environment: dict[str, str], *, sleep: str = "skip") -> Spent:
        spent = once(name, account, environment, envs, sleep=sleep)
        print(f"{name} {account} {sleep}: {spent.cpu:.1f} CPU s, {spent.wall:.1f} s", file=sys.stderr, flush=True)
        if (spent.tickets, spent.comments, spent.digest) != expected[account]:
            raise SystemExit(
                f"{name} brought {spent.tickets} tickets and {spent.comments} comments of "
                f"{expected[account][:2]} of the account, or other texts"
            )
        return spent

    runs: dict[str, list[Spent]] = {name: [] for name in names}
    start: dict[str, list[Spent]] = {name: [] for name in names}
    shipped: dict[str, tuple[Spent, Spent]] = {}
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder:
        with desk(Path(folder), sizes, args.comments) as environment:
            for _ in range(args.repeat):
                for name in names:
                    runs[name].append(checked(name, FULL, environment))
                    start[name].append(checked(name, EMPTY, environment))
            for name in names:
                if args.few and median(runs[name], "asked_seconds") > 0:
                    shipped[name] = (checked(name, FEW, environment), checked(name, FEW, environment, sleep="keep"))
    show(args, runs, start, shipped)


def show(
    args: argparse.Namespace,
    runs: dict[str, list[Spent]],
    start: dict[str, list[Spent]],
    shipped: dict[str, tuple[Spent, Spent]],
) -> None:
    """Print the tables and the aims."""
    ours = {CONTENDERS[name].route: name for name in ("migrator", "migrator-ticket") if name in runs}

    def cpu(name: str) -> float:
        return median(runs[name], "cpu")

    def net(name: str) -> float:
        return cpu(name) - median(start[name], "cpu")

    def times(of: Callable[[str], float], name: str, route: str) -> str:
        return f"{of(name) / of(ours[route]):.1f}x" if route in ours else ""

    rows, nets = [], []
    for name in runs:
        who, one = CONTENDERS[name], runs[name][0]
        rows.append(
            [
                who.title,
                who.route,
                f"{one.tickets:,}",
                f"{one.comments:,}",
                f"{median(runs[name], 'wall'):.1f}",
                f"{cpu(name):.1f}",
                times(cpu, name, "events"),
                times(cpu, name, "ticket"),
                f"{median(runs[name], 'rss_mb'):,.0f}",
                f"{median(runs[name], 'asked_seconds'):,.0f}",
            ]
        )
        nets.append(
            [
                who.title,
                who.route,
                f"{median(start[name], 'cpu'):.1f}",
                f"{net(name):.1f}",
                times(net, name, "events"),
                times(net, name, "ticket"),
            ]
        )
    to = ["to ours by events", "to ours by ticket"]
    head = ["who", "comments by", "tickets", "comments", "wall s", "CPU s", *to, "memory MB", "pauses left out, s"]
    text = table(head, rows)
    text += "\n\n" + table(["who", "comments by", "CPU s of an empty account", "CPU s net of it", *to], nets)
    if shipped:
        pairs = [
            [
                CONTENDERS[name].title,
                CONTENDERS[name].route,
                f"{free.tickets:,}",
                f"{kept.wall:.1f}",
                f"{free.wall:.1f}",
                f"{kept.cpu:.1f}",
                f"{free.cpu:.1f}",
            ]
            for name, (free, kept) in shipped.items()
        ]
        head = ["who pauses", "comments by", "tickets", "wall s as shipped", "without pauses"]
        text += "\n\n" + table([*head, "CPU s as shipped", "without pauses"], pairs)
    aims = []
    for name in runs:
        if CONTENDERS[name].package and "migrator" in runs:
            ratio = cpu(name) / cpu("migrator")
            what = f"times the CPU of migrator: {CONTENDERS[name].title}, comments by {CONTENDERS[name].route}"
            aims.append(Aim(what, f"at least {AIM}", f"{ratio:.1f}", ratio >= AIM))
    uses = sorted({package for name in runs if (package := CONTENDERS[name].package)})
    results = {"runs": runs, "start": start, "shipped": shipped, "peers": {one: VERSIONS[one] for one in uses}}
    title = f"Extracting {args.tickets:,} tickets with {args.comments} comments each, over TLS"
    publish(args, title, text, aims, results)


def main() -> None:
    """Measure, or be a contender."""
    parser = _measure.parser(__doc__)
    parser.add_argument("--tickets", type=int, default=5000)
    parser.add_argument("--comments", type=int, default=5, help="comments a ticket")
    parser.add_argument(
        "--few", type=int, default=500, help="tickets of the runs that take their pauses; 0: no such run"
    )
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), help="these contenders alone")
    parser.add_argument("--envs", type=Path, default=default_envs(), help="where the peers' environments are kept")
    parser.add_argument("--account", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        extract(args.contender, args.account, args.folder)
        return
    if not args.envs:
        parser.error("outside a virtual environment --envs names a folder for the peers'")
    args.few = min(args.few, args.tickets)
    names = args.only or list(CONTENDERS)
    try:
        for package in sorted({package for name in names if (package := CONTENDERS[name].package)}):
            install(args.envs.resolve(), package)
    except (OSError, subprocess.CalledProcessError) as err:
        said = getattr(err, "stderr", "") or ""
        print(f"the peers cannot be installed: {err} {said[-500:]}", file=sys.stderr)
        raise SystemExit(CANNOT) from err
    compare(args, names, args.envs.resolve())


if __name__ == "__main__":
    main()
