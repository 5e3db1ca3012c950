"""A place on the memory disk for servers, and the skip where one cannot run; their fixtures lie in their folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.servers import Unavailable

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Return a folder for this session's servers, gone afterwards."""
    memory = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="migrator-servers-", dir=memory))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def running(server_folder: Path) -> Iterator[Callable[..., Any]]:
    """Return ``running(start, name, **options)``: starts a server in a folder of that name, or skips the test."""
    started: list[Any] = []

    def run(start: Callable[..., Any], name: str, **options: Any) -> Any:
        folder = server_folder / name
        folder.mkdir(parents=True)
        try:
            server = start(folder, **options)
        except Unavailable as why:
            pytest.skip(str(why))
        started.append(server)
        return server

    yield run
    for server in reversed(started):
        server.stop()
