"""Amazon Route 53 as moto plays it: not Amazon's own software, but written by others, with stored zones and checks."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from migrator.testing.servers.packages import Unavailable
from migrator.testing.servers.process import Process, free_port


@dataclass
class Moto:
    """A running server at ``url``."""

    url: str
    process: Process

    def reset(self) -> None:
        """Forget everything."""
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST"), timeout=10).close()

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()


def start(folder: Path) -> Moto:
    """Start the server. Raises Unavailable where moto is not installed."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask_cors") is None:
        raise Unavailable("needs the Python package moto[server]")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return Moto(url, Process(command, log=folder / "log", ready=lambda: _answers(url)))


def _answers(url: str) -> bool:
    with urlopen(f"{url}/moto-api/data.json", timeout=5) as answer:
        return bool(answer.status == 200)
