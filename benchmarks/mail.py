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
from pathlib import Path
from typing import Any

from _measure import Aim, median, parser, publish, run, table, timed

SOURCE, FETCHED = "source@example.com", 100
RATIO, FLAT_MB = 1.3, 400


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


def loop(old: int, new: int, user: str) -> dict[str, Any]:
    """Copy every message, as a plain script does."""
    from imapclient import IMAPClient

    source, destination = (IMAPClient("127.0.0.1", port=port, ssl=False) for port in (old, new))
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


def ours(old: int, new: int, user: str, folder: Path, *, verify: bool) -> dict[str, Any]:
    """Extract, plan and load; with ``verify`` read everything back too."""
    from migrator.project import open_project
    from migrator.steps import Steps

    os.environ["BENCHMARK_MAIL"] = "secret"
    sides = {
        side: {
            "vendor": "imap", "url": f"imap://127.0.0.1:{port}", "secrets": {"password": "env:BENCHMARK_MAIL"},
            "settings": {"mailboxes": f"{login}={SOURCE}"}, "options": {"sieve": "none"},
        }
        for side, port, login in (("source", old, SOURCE), ("destination", new, user))
    }  # fmt: skip
    folder.mkdir()
    (folder / "migration.yaml").write_text(json.dumps({"name": "mail", **sides}))
    steps, spent, began = Steps(open_project(folder)), {}, time.monotonic()

    def took(step: str) -> None:
        nonlocal began
        spent[step], began = time.monotonic() - began, time.monotonic()

    steps.extract()
    took("extract")
    plan = steps.plan()
    took("plan")
    loaded = steps.load(plan.digest, accept_losses=True)
    took("load")
    if verify:
        verified, differences = steps.verify()
        took("verify")
        if not verified.proven:
            raise RuntimeError(f"not as predicted: {differences[:3]}")
    return {"rows": loaded.written, "steps": spent}


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
            runs: dict[str, list[Any]] = {"migrator": []} if args.alone else {"loop": [], "migrator": []}
            for n in range(args.repeat):
                for who in runs:
                    user = f"{who}{n}@example.com"
                    verify = ["--verify"] if n == args.repeat - 1 else []
                    runs[who].append(
                        run(__file__, who, "--ports", str(old.imap), str(new.imap), "--user", user, *verify)
                    )
                    there = len(new.files(user))
                    if there != args.messages + bool(args.large_mb):
                        raise RuntimeError(f"{who} brought {there} messages")
                    shutil.rmtree(new.home(user))
        finally:
            old.stop()
            new.stop()
    show(args, runs)


def show(args: argparse.Namespace, runs: dict[str, list[Any]]) -> None:
    """Print the table and the aims."""
    plain, mine = None if args.alone else median(runs["loop"]), runs["migrator"]
    moved = median([one for one in mine if "verify" not in one.said["steps"]] or mine)
    seconds = sum(took for step, took in moved.said["steps"].items() if step != "verify")
    checked = mine[-1].said["steps"]["verify"]
    peak = max(one.rss_mb for one in mine)
    steps = ", ".join(f"{step} {took:.1f}" for step, took in moved.said["steps"].items())
    lines = [
        ["migrator", f"{seconds:.1f}", f"{moved.work_cpu:.1f}", f"{peak:.0f}", steps],
        ["migrator, verify", f"{checked:.1f}", "", "", "every byte read back"],
    ]
    aims = [Aim("peak memory", f"under {FLAT_MB} MB", f"{peak:.0f} MB", peak < FLAT_MB)]
    ratio = seconds / plain.seconds if plain else None
    if plain and ratio:
        said = ["plain loop of IMAPClient", f"{plain.seconds:.1f}", f"{plain.work_cpu:.1f}", f"{plain.rss_mb:.0f}", ""]
        lines.insert(0, said)
        aims.insert(0, Aim("wall time against the loop", f"{RATIO} times", f"{ratio:.2f} times", ratio <= RATIO))
    head = [f"{args.messages:,} messages, one of {args.large_mb} MB", "wall s", "CPU s", "peak MB", "steps, s"]
    publish(args, "Mail, Dovecot to Dovecot", table(head, lines), aims, {"runs": runs, "ratio": ratio})


if __name__ == "__main__":
    known = parser(__doc__)
    known.add_argument("--messages", type=int, default=20_000)
    known.add_argument("--large-mb", type=int, default=150, help="size of one message more; 0: none")
    known.add_argument("--alone", action="store_true", help="migrator only: what a very large folder takes of memory")
    known.add_argument("--ports", type=int, nargs=2, help=argparse.SUPPRESS)
    known.add_argument("--user", help=argparse.SUPPRESS)
    known.add_argument("--verify", action="store_true", help=argparse.SUPPRESS)
    given = known.parse_args()
    if given.contender == "loop":
        timed(lambda: loop(*given.ports, given.user))
    elif given.contender:
        with tempfile.TemporaryDirectory(prefix="migrator-bench-") as place:
            timed(lambda: ours(*given.ports, given.user, Path(place) / "w", verify=given.verify))
    else:
        main(given)
