"""A disk that is full or read-only: a clear error with exit code 7, nothing lost, and the same command goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.errors import WorkspaceError, disk_trouble
from migrator.sandboxes import serving
from migrator.testing.sandbox import Clock
from tests.support.desks import steps, tiny_desk

COMMANDS = (
    (["extract"], "full"),
    (["plan"], "read-only"),
    (["load", "--plan"], "full"),
    (["verify"], "read-only"),
    (["delta"], "full"),
    (["undo"], "full"),
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a small file system of its own; skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def full(folder: Path) -> Path:
    """Leave not a byte free; return the file to remove."""
    ballast = folder / "ballast"
    free = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
    return ballast


def migrator(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "migrator.cli", *words, "-w", str(workspace)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)


def test_every_command_says_so_and_goes_on_afterwards(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk(Clock(real=True))
    workspace = small_disk / "desk"
    with serving(old) as there, serving(new) as here:
        run = steps(workspace, old, new, monkeypatch, source={"url": there}, destination={"url": here})
        for words, how in COMMANDS:
            more = [run.saved_plan()["digest"]] if words[-1] == "--plan" else []
            ballast = full(small_disk) if how == "full" else None
            if not ballast:
                subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
            refused = migrator(workspace, *words, *more)
            if ballast:
                ballast.unlink()
            else:
                subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
            assert refused.returncode == 7, (words, refused.stdout, refused.stderr)
            assert refused.stderr.splitlines()[-1].startswith("error: "), refused.stderr
            assert "Traceback" not in refused.stderr
            done = migrator(workspace, *words, *more)
            assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert len(new.store["tickets"]) == 2


def test_a_full_disk_is_told_from_any_other_failure(tmp_path: Path) -> None:
    found = disk_trouble(OSError(28, "No space left on device"))
    assert isinstance(found, WorkspaceError)
    assert disk_trouble(ValueError("a value")) is None
    assert disk_trouble(FileNotFoundError(2, "No such file")) is None
