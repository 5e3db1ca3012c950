"""Staging an account's tickets: migrator, dlt's default REST source, and plain requests, from the same server.

The server (a process of its own, bodies in memory) answers like Zendesk's cursor export, 1,000 tickets of about 2 KB a
page. Each contender is a process of its own and leaves a DuckDB file with every ticket in it.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _measure
from _measure import ROOT, Aim, Run, median, publish, run, scaled, table, timed

EXPORT = "api/v2/incremental/tickets/cursor.json"
TITLES = {
    "migrator": "migrator (`migrator.extract.extract`, Zendesk connector)",
    "requests": "plain: requests, json, one INSERT a page, one commit for 20",
    "default": "dlt `rest_api` source, default settings",
}


def migrator(url: str, folder: Path) -> None:
    """Stage through the engine, as `migrator extract` does."""
    sys.path.insert(0, str(ROOT))
    import os

    import dlt  # noqa: F401  # imported before the clock starts, as the others import what they use
    import pyarrow  # noqa: F401

    from migrator.extract import extract
    from migrator.migration import Account
    from migrator.project import side
    from migrator.workspace import Workspace

    os.environ["BENCHMARK_TOKEN"] = "none"
    account = Account(vendor="zendesk", url=url, secrets={"token": "env:BENCHMARK_TOKEN"}, settings={"user": "nobody"})

    def work() -> dict[str, Any]:
        source = side(account, None, "benchmark").open()
        for limit in source.client.pacer.limits:
            limit.per_minute = 10**9  # what Zendesk allows would hide what we need
        brought = extract(source, Workspace(folder / "workspace"), streams=["tickets"])
        return {"rows": brought.rows["tickets"]}

    timed(work)


def requests_plainly(url: str, folder: Path) -> None:
    """Stage with requests, json and DuckDB alone: a session, one statement a page, one transaction for 20."""
    import duckdb
    import requests

    def work() -> dict[str, Any]:
        session = requests.Session()
        db = duckdb.connect(str(folder / "plain.duckdb"))
        db.execute("CREATE TABLE tickets (id VARCHAR, updated_at VARCHAR, body JSON)")
        params: dict[str, Any] = {"start_time": 1, "per_page": 1000}
        for at in itertools.count(1):
            answer = session.get(f"{url}/{EXPORT}", params=params, timeout=60)
            answer.raise_for_status()
            page = json.loads(answer.content)
            found = page["tickets"]
            if at % 20 == 1:  # as durable as migrator: a commit every 20 pages
                db.begin()
            db.execute(
                "INSERT INTO tickets SELECT unnest(?), unnest(?), unnest(?)",
                [
                    [str(one["id"]) for one in found],
                    [one["updated_at"] for one in found],
                    [json.dumps(one) for one in found],
                ],
            )
            if at % 20 == 0 or page["end_of_stream"]:
                db.commit()
            if page["end_of_stream"]:
                break
            params["cursor"] = page["after_cursor"]
        rows = db.execute("SELECT count(*) FROM tickets").fetchall()[0][0]
        db.close()
        return {"rows": rows}

    timed(work)


def default(url: str, folder: Path) -> None:
    """Stage with dlt's REST source and nothing set: typed columns, child tables, INSERT statements."""
    import os

    os.environ["DLT_DATA_DIR"] = str(folder / ".dlt")
    import dlt
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {"base_url": f"{url}/"},
            "resources": [
                {
                    "name": "tickets",
                    "endpoint": {
                        "path": EXPORT,
                        "params": {"start_time": 1, "per_page": 1000},
                        "data_selector": "tickets",
                        "paginator": {"type": "cursor", "cursor_path": "after_cursor", "cursor_param": "cursor"},
                    },
                }
            ],
        }
    )

    def work() -> dict[str, Any]:
        pipeline = dlt.pipeline(
            "default",
            destination=dlt.destinations.duckdb(str(folder / "default.duckdb")),
            dataset_name="raw",
            pipelines_dir=str(folder / "pipelines"),
        )
        pipeline.run(source)
        with pipeline.sql_client() as client:
            counted = client.execute_sql("SELECT count(*) FROM tickets") or []
        return {"rows": counted[0][0]}

    timed(work)


CONTENDERS = {"migrator": migrator, "requests": requests_plainly, "default": default}


@contextmanager
def desk(count: int, page: int) -> Iterator[str]:
    """Run the server and give its address."""
    command = [sys.executable, str(Path(__file__).with_name("_desk.py")), "--tickets", str(count), "--page", str(page)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


def once(contender: str, url: str, expected: int) -> Run:
    """Run a contender in a new folder and see that every ticket arrived."""
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder:
        measured = run(__file__, contender, "--url", url, "--folder", folder)
    if measured.rows != expected:
        raise RuntimeError(f"{contender} staged {measured.rows} of {expected} tickets")
    return measured


def line(title: str, one: Run, ours: Run) -> list[str]:
    """Return a contender's line of the table."""
    return [
        title,
        f"{one.rows / one.wall:,.0f}",
        f"{one.cpu:.1f}",
        f"{one.cpu / ours.cpu:.1f}x",
        f"{one.wall:.1f}",
        f"{one.wall / ours.wall:.2f}x",
        f"{one.rss_mb:,.0f}",
    ]


def main() -> None:
    """Measure every contender."""
    parser = _measure.parser(__doc__)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--page", type=int, default=1000)
    parser.add_argument(
        "--default-tickets",
        type=int,
        default=10_000,
        help="tickets for dlt's default, which needs 16 GB and 7 minutes for 100,000",
    )
    parser.add_argument("--url", help="an address to read from (contenders only)")
    args = parser.parse_args()
    if args.contender:
        CONTENDERS[args.contender](args.url, args.folder)
        return
    runs: dict[str, list[Run]] = {"migrator": [], "requests": [], "default": []}
    fewer = min(args.default_tickets, args.tickets)
    with desk(args.tickets, args.page) as url:
        for _ in range(args.repeat):
            for contender in ("migrator", "requests"):
                runs[contender].append(once(contender, url, args.tickets))
    with desk(fewer, args.page) as url:
        runs["default"].append(once("default", url, fewer))
    ours, plain, small = median(runs["migrator"]), median(runs["requests"]), median(runs["default"])
    big = scaled(small, args.tickets)
    lines = [line(TITLES["migrator"], ours, ours), line(TITLES["requests"], plain, ours)]
    if fewer < args.tickets:
        scale = [
            f"{fewer:,} tickets, one run",
            f"{small.rows / small.wall:,.0f}",
            f"{small.cpu:.1f}",
            "",
            f"{small.wall:.1f}",
            "",
            f"{small.rss_mb:,.0f}",
        ]
        title = f"{TITLES['default']}: time scaled by row from {fewer:,}, memory as there"
        lines += [line(title, big, ours), scale]
    else:
        lines.append(line(TITLES["default"], big, ours))
    head = ["contender", "rows/s", "CPU s", "CPU to ours", "wall s", "wall to ours", "peak MB"]
    aims = [
        Aim("CPU against dlt's default", ">= 20x less", f"{big.cpu / ours.cpu:.0f}x less", big.cpu >= 20 * ours.cpu),
        Aim("wall against plain requests", "no slower", f"{ours.wall / plain.wall:.2f}x", ours.wall <= plain.wall),
        Aim("peak memory", "< 1,000 MB", f"{ours.rss_mb:,.0f} MB", ours.rss_mb < 1000),
    ]
    title = f"Staging {args.tickets:,} tickets, {args.page:,} a page (median of {args.repeat}, whole processes)"
    publish(args, title, table(head, lines), aims, {"runs": runs, "default_scaled": big})


if __name__ == "__main__":
    main()
