"""Fetching many small files from a true OpenSSH: by streams of tar, by SFTP one by one, by a plain loop of paramiko.

The server runs on this machine, so that a round trip costs next to nothing; over a distance the streams gain more.
The first two contenders are `migrator extract` with 4 workers: the tree is listed, every file's bytes are durable in
the content-addressed store. The loop walks the tree with `listdir_attr` and keeps nothing: it only counts the bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import stat
import tempfile
from pathlib import Path
from typing import Any

from _measure import Aim, median, parser, publish, run, table, timed

WORKERS, FLAT_MB = 4, 400


def fill(tree: Path, files: int) -> int:
    """Make files of 0 to 8 KB, a hundred to a folder, no two the same; return the bytes."""
    invent, total = random.Random(7), 0
    for number in range(files):
        folder = tree / f"folder {number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        body = b"%d\n" % number + invent.randbytes(invent.randrange(0, 8_000))
        total += (folder / f"{number}.txt").write_bytes(body)
    return total


def loop(host: str, key: str, user: str, root: str) -> dict[str, Any]:
    """Read every file, as a plain script does."""
    import paramiko

    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # our own server, on this machine
    name, _, port = host.partition(":")
    client.connect(name, int(port), user, key_filename=key, allow_agent=False, look_for_keys=False)
    sftp, folders, rows, size = client.open_sftp(), [root], 0, 0
    while folders:
        folder = folders.pop()
        for entry in sftp.listdir_attr(folder):
            path = f"{folder}/{entry.filename}"
            if stat.S_ISDIR(entry.st_mode or 0):
                folders.append(path)
                continue
            with sftp.open(path, "rb") as file:
                size += len(file.read())
            rows += 1
    client.close()
    return {"rows": rows, "bytes": size}


def ours(given: argparse.Namespace, folder: Path, shell: str) -> dict[str, Any]:
    """Extract the tree with its bytes."""
    from migrator.project import open_project
    from migrator.stage import Stage
    from migrator.steps import Steps

    options = {"key_file": given.key, "host_key": given.fingerprint, "root": given.root, "shell": shell}
    side = {"vendor": "sftp", "settings": {"host": given.host, "user": given.user}, "options": options}
    folder.mkdir()
    written = {"name": "files", "source": side | {"workers": WORKERS}, "destination": side}
    (folder / "migration.yaml").write_text(json.dumps(written), encoding="utf-8")
    steps = Steps(open_project(folder))
    steps.extract()
    with Stage(steps.project.workspace.stage) as stage:
        rows = stage.rows("SELECT count(*), sum(b.size) FROM blobs.raw b WHERE b.digest IS NOT NULL")
    return {"rows": rows[0][0], "bytes": int(rows[0][1] or 0)}


def main(args: argparse.Namespace) -> None:
    """Measure and print."""
    from migrator.testing.servers import openssh

    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="migrator-bench-", dir=memory) as made:
        server = openssh.start(Path(made) / "server")
        try:
            tree = Path(made) / "tree"
            size = fill(tree, args.files)
            where = ["--host", server.host, "--key", str(server.key), "--user", server.user, "--root", str(tree)]
            where += ["--fingerprint", server.fingerprint]
            runs: dict[str, list[Any]] = {"loop": [], "no": [], "yes": []}
            for _ in range(args.repeat):
                for who, some in runs.items():
                    some.append(run(__file__, who, *where))
                    if (some[-1].rows, some[-1].said["bytes"]) != (args.files, size):
                        raise RuntimeError(f"{who} brought {some[-1].rows} files, {some[-1].said['bytes']} bytes")
        finally:
            server.stop()
    show(args, runs)


def show(args: argparse.Namespace, runs: dict[str, list[Any]]) -> None:
    """Print the table and the aims."""
    names = {"loop": "plain loop of paramiko, keeps nothing", "no": "migrator, SFTP", "yes": "migrator, streams of tar"}
    found = {who: median(some) for who, some in runs.items()}
    lines = [
        [names[who], f"{one.seconds:.1f}", f"{one.work_cpu:.1f}", f"{max(each.rss_mb for each in runs[who]):.0f}"]
        for who, one in found.items()
    ]
    ratio = found["yes"].seconds / found["no"].seconds
    peak = max(one.rss_mb for one in runs["yes"])
    aims = [
        Aim("wall time of streams against SFTP", "0.5 times", f"{ratio:.2f} times", ratio <= 0.5),
        Aim("peak memory of streams", f"under {FLAT_MB} MB", f"{peak:.0f} MB", peak < FLAT_MB),
    ]
    head = [f"{args.files:,} files of 0 to 8 KB", "wall s", "CPU s", "peak MB"]
    publish(args, "Small files from OpenSSH", table(head, lines), aims, {"runs": runs, "ratio": ratio})


if __name__ == "__main__":
    known = parser(__doc__)
    known.add_argument("--files", type=int, default=5_000)
    for name in ("--host", "--key", "--user", "--root", "--fingerprint"):
        known.add_argument(name, help=argparse.SUPPRESS)
    args = known.parse_args()
    if args.contender == "loop":
        timed(lambda: loop(args.host, args.key, args.user, args.root))
    elif args.contender:
        with tempfile.TemporaryDirectory(prefix="migrator-bench-") as place:
            timed(lambda: ours(args, Path(place) / "w", args.contender))
    else:
        main(args)
