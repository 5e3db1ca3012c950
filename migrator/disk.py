"""What is on the disk for good: a name in its folder, and a secret in a file of its own."""

from __future__ import annotations

import os
from pathlib import Path


def names_kept(*folders: Path) -> None:
    """Let the disk have the names of files in folders, which are written by themselves. Raises OSError."""
    if os.name != "posix":
        return
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def secret_kept(file: Path, secret: bytes) -> None:
    """Write a secret into a new file that only its owner may read, durably. Raises OSError, also where it exists."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(secret)
        out.flush()
        os.fsync(out.fileno())
    names_kept(file.parent)
