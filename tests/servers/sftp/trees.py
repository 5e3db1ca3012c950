"""Trees of files, made and looked at on the disk itself, and the migrations between them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from migrator.steps import Steps
from migrator.testing.servers.openssh import OpenSSH
from tests.support.workspaces import again as again
from tests.support.workspaces import steps as steps

AT = 1_600_000_000
LATIN = b"caf\xe9 100%.txt"  # no UTF-8, and a percent sign


def put(tree: Path, path: str | bytes, body: bytes = b"", *, mode: int = 0o644, at: int = AT) -> bytes:
    """Write a file, with the folders above it."""
    name = os.fsencode(tree) + b"/" + os.fsencode(path)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as file:
        file.write(body)
    os.chmod(name, mode)
    os.utime(name, (at, at))
    return name


def awkward(tree: Path) -> None:
    """Fill a tree with one of everything that goes wrong."""
    put(tree, "public_html/index.php", b"<?php echo 'hi';\n", mode=0o640)
    put(tree, "public_html/empty")
    put(tree, "public_html/a b/c d.txt", b"blanks")
    put(tree, "public_html/\u65e5\u672c\u8a9e/\U0001f600.txt", b"smile")
    put(tree, b"public_html/" + LATIN, b"latin")
    put(tree, "public_html/line\nbreak", b"\r\n")
    put(tree, "public_html/-rf", b"not an option")
    put(tree, "public_html/%2e%2e", b"not the way up")
    put(tree, "bin/run.sh", b"#!/bin/sh\n", mode=0o4755)
    put(tree, "old.txt", b"before 1970 there was nothing", at=1)
    put(tree, "big.bin", os.urandom(700_001))
    (tree / "empty folder/deep").mkdir(parents=True)
    os.symlink("public_html", tree / "www")
    os.symlink("/nowhere/at/all", tree / "broken")
    os.symlink("../..", tree / "public_html/up")
    os.symlink(b"public_html/" + LATIN, os.fsencode(tree) + b"/to " + LATIN)
    with (tree / "sparse.img").open("wb") as file:
        file.seek(30_000_000)
        file.write(b"end")
        file.truncate(40_000_000)
    os.utime(tree / "sparse.img", (AT, AT))
    os.chmod(tree / "empty folder", 0o700)


def seen(tree: Path) -> dict[bytes, tuple[Any, ...]]:
    """Return what lies in a tree, by path: what it is, permissions, date, content. Folders without their dates."""
    found: dict[bytes, tuple[Any, ...]] = {}
    top = os.fsencode(tree)
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = folder + b"/" + name
            about = os.lstat(path)
            key = path[len(top) + 1 :]
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[key] = ("folder", about.st_mode & 0o7777)
            else:
                with open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                found[key] = ("file", about.st_mode & 0o7777, int(about.st_mtime), digest)
    return found


def account(server: OpenSSH, tree: Path, **options: str) -> dict[str, Any]:
    """Return a side of migration.yaml."""
    known = {"key_file": str(server.key), "host_key": server.fingerprint, "root": str(tree), **options}
    settings = {"host": server.host, "user": server.user}
    return {"vendor": "sftp", "settings": settings, "workers": 2, "options": known}


def move(run: Steps) -> Any:
    """Extract, plan and load; return the plan."""
    run.extract()
    plan = run.plan()
    loaded = run.load(plan.digest)
    assert loaded.finished, loaded
    return plan
