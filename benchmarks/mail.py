"""Moving a mailbox from one Dovecot to another: migrator against a plain loop of IMAPClient.

Both servers run on this machine. The loop fetches a hundred messages at a time and appends them one by one, with flags
and dates; it keeps no note, so a loop that is cut off begins anew, and proves nothing. migrator extracts, plans and
loads: every byte is durable before it is sent, every command is noted before and after it. Reading back (`verify`) is
measured beside.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _measure import Aim, median, parser, publish, run, table, timed

SOURCE, FETCHED = "source@example.com", 100
RATIO, FLAT_MB, MOST_MB = 1.3, 400, 512
STEPS = ("extract", "plan", "load", "verify")


def fill(home: Path, messages: int, large_mb: int) -> None:
    """Put made-up messages into a Maildir: 1 to 8 KB each, and one large one."""
    invent = random.Random(7)
    folder = home / "Maildir" / "cur"
    for part in ("cur", "new", "tmp"):
        (home / "Maildir" / part).mkdir(parents=True, exist_ok=True)
    sizes = [invent.randrange(1_000, 8_000) for _ in range(messages)] + ([large_mb << 20] if large_mb else [])
    for number, size in enumerate(sizes):
        head = f"Message-ID: <{number // 2}@example.com>\r\nSubject: message {number}\r\nFrom: ann@example.com\r\n\r\n"
        line = f"{invent.random()} made-up words of no meaning at all\r\n"
        file = folder / f"{1_600_000_000 + number}.M{number}P1.host:2,{'S' if number % 3 else ''}"
        file.write_bytes(head.encode() + line.encode() * (size // len(line)))
        os.utime(file, (1_600_000_000 + number, 1_600_000_000 + number))
    for path in [home.parent, home, *home.rglob("*")]:
        shutil.chown(path, "mail", "mail")


def loop(ports: Sequence[int], user: str) -> dict[str, Any]:
    """Copy every message, as a plain script does."""
    from imapclient import IMAPClient

    source, destination = (IMAPClient("127.0.0.1", port=port, ssl=False) for port in ports)
    source.normalise_times = False
    source.login(SOURCE, "secret")
    destination.login(user, "secret")
    source.select_folder("INBOX", readonly=True)
    uids = source.search()
    for at in range(0, len(uids), FETCHED):
        found = source.fetch(uids[at : at + FETCHED], ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"])
        for uid in uids[at : at + FETCHED]:
            one = found[uid]
            flags = [flag for flag in one[b"FLAGS"] if flag != b"\\Recent"]
            destination.append("INBOX", one[b"BODY[]"], flags, one[b"INTERNALDATE"])
    source.logout()
    destination.logout()
    return {"rows": len(uids)}


def job(ports: Sequence[int], user: str, folder: Path) -> Any:
    """Return the steps of a job between the two servers, which is written down where it is not yet."""
    from migrator.project import open_project
    from migrator.steps import Steps

    os.environ["BENCHMARK_MAIL"] = "secret"
    sides = {
        side: {
            "vendor": "imap", "url": f"imap://127.0.0.1:{port}", "secrets": {"password": "env:BENCHMARK_MAIL"},
            "settings": {"mailboxes": f"{login}={SOURCE}"}, "options": {"sieve": "none"},
        }
        for side, port, login in zip(("source", "destination"), ports, (SOURCE, user), strict=True)
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "migration.yaml").write_text(json.dumps({"name": "mail", **sides}))
    return Steps(open_project(folder))


def ours(steps: Any, wanted: Sequence[str]) -> dict[str, Any]:
    """Take steps of a job one after another in this process. Raises RuntimeError where the proof fails."""
    spent, rows = {}, 0
    for step in wanted:
        began = time.monotonic()
        if step == "extract":
            steps.extract()
        elif step == "plan":
            steps.plan()
        elif step == "load":
            rows = steps.load(steps.saved_plan()["digest"], accept_losses=True).written
        else:
            verified, differences = steps.verify()
            if not verified.proven:
                raise RuntimeError(f"not as predicted: {differences[:3]}")
        spent[step] = time.monotonic() - began
    return {"rows": rows, "steps": spent}


def main(args: argparse.Namespace) -> None:
    """Measure and print."""
    from migrator.testing.servers import dovecot

    users = [f"{who}{n}@example.com" for who in ("loop", "migrator") for n in range(args.repeat)]
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="migrator-bench-", dir=memory) as made:
        Path(made).chmod(0o755)
        old = dovecot.start(Path(made) / "old", users=[SOURCE], quota="20G")
        new = dovecot.start(Path(made) / "new", users=users, quota="20G")
        try:
            fill(old.home(SOURCE), args.messages, args.large_mb)
            (apart if args.alone else side_by_side)(args, old, new)
        finally:
            old.stop()
            new.stop()


def side_by_side(args: argparse.Namespace, old: Any, new: Any) -> None:
    """Copy the mailbox by the loop and by migrator, a process each."""
    runs: dict[str, list[Any]] = {"loop": [], "migrator": []}
    for n in range(args.repeat):
        for who in runs:
            user, steps = f"{who}{n}@example.com", STEPS if n == args.repeat - 1 else STEPS[:-1]
            with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder:
                given = ["--ports", str(old.imap), str(new.imap), "--user", user, "--job", folder, "--steps", *steps]
                runs[who].append(run(__file__, who, *given))
            there = len(new.files(user))
            if there != args.messages + bool(args.large_mb):
                raise RuntimeError(f"{who} brought {there} messages")
            shutil.rmtree(new.home(user))
    show(args, runs)


def apart(args: argparse.Namespace, old: Any, new: Any) -> None:
    """Copy the mailbox by migrator, each step a process of its own, as each command is."""
    runs = {}
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder:
        for step in STEPS:
            given = ["--ports", str(old.imap), str(new.imap), "--user", "migrator0@example.com"]
            runs[step] = run(__file__, "migrator", *given, "--job", folder, "--steps", step)
    lines = [[step, f"{one.seconds:.1f}", f"{one.cpu:.1f}", f"{one.rss_mb:.0f}"] for step, one in runs.items()]
    peak = max(one.rss_mb for one in runs.values())
    head = [f"{args.messages:,} messages, one of {args.large_mb} MB", "wall s", "CPU s", "peak MB"]
    aims = [Aim("peak memory", f"under {MOST_MB} MB", f"{peak:.0f} MB", peak < MOST_MB)]
    publish(args, "Mail, each step a process", table(head, lines), aims, {"runs": runs})


def show(args: argparse.Namespace, runs: dict[str, list[Any]]) -> None:
    """Print the table and the aims."""
    plain, mine = median(runs["loop"]), runs["migrator"]
    moved = median([one for one in mine if "verify" not in one.said["steps"]] or mine)
    seconds = sum(took for step, took in moved.said["steps"].items() if step != "verify")
    checked = mine[-1].said["steps"]["verify"]
    peak = max(one.rss_mb for one in mine)
    steps = ", ".join(f"{step} {took:.1f}" for step, took in moved.said["steps"].items())
    ratio = seconds / plain.seconds
    lines = [
        ["plain loop of IMAPClient", f"{plain.seconds:.1f}", f"{plain.work_cpu:.1f}", f"{plain.rss_mb:.0f}", ""],
        ["migrator", f"{seconds:.1f}", f"{moved.work_cpu:.1f}", f"{peak:.0f}", steps],
        ["migrator, verify", f"{checked:.1f}", "", "", "every byte read back"],
    ]
    aims = [
        Aim("wall time against the loop", f"{RATIO} times", f"{ratio:.2f} times", ratio <= RATIO),
        Aim("peak memory", f"under {FLAT_MB} MB", f"{peak:.0f} MB", peak < FLAT_MB),
    ]
    head = [f"{args.messages:,} messages, one of {args.large_mb} MB", "wall s", "CPU s", "peak MB", "steps, s"]
    publish(args, "Mail, Dovecot to Dovecot", table(head, lines), aims, {"runs": runs, "ratio": ratio})


if __name__ == "__main__":
    known = parser(__doc__)
    known.add_argument("--messages", type=int, default=20_000)
    known.add_argument("--large-mb", type=int, default=150, help="size of one message more; 0: none")
    known.add_argument(
        "--alone", action="store_true", help="migrator only, each step a process: what a large folder takes of memory"
    )
    known.add_argument("--ports", type=int, nargs=2, help=argparse.SUPPRESS)
    known.add_argument("--user", help=argparse.SUPPRESS)
    known.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    known.add_argument("--steps", nargs="+", help=argparse.SUPPRESS)
    given = known.parse_args()
    if given.contender == "loop":
        timed(lambda: loop(given.ports, given.user))
    elif given.contender:
        steps = job(given.ports, given.user, given.job / "w")
        timed(lambda: ours(steps, given.steps))
    else:
        main(given)
