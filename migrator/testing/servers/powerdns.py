"""A true PowerDNS authoritative server (Debian's 4.7) with its HTTP API, over SQLite."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from migrator.testing.servers.packages import need
from migrator.testing.servers.process import Process, free_port

PACKAGES = ("pdns-server", "pdns-backend-sqlite3")
SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
KEY = "labkey"


@dataclass
class PowerDNS:
    """A running server: DNS at ``port``, the API at ``url``; ``database`` is its SQLite file."""

    folder: Path
    port: int
    api: int
    process: Process

    @property
    def url(self) -> str:
        """Return the API's address."""
        return f"http://127.0.0.1:{self.api}"

    @property
    def address(self) -> str:
        """Return where it answers questions."""
        return f"127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """Return its database."""
        return self.folder / "pdns.sqlite3"

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Return rows of the server's own database."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection, connection:
            return list(connection.execute(sql, values))

    def counted(self) -> dict[str, int]:
        """Return how many zones and records its database has."""
        return {table: int(str(self.rows(f"SELECT count(*) FROM {table}")[0][0])) for table in ("domains", "records")}

    def reset(self) -> None:
        """Take every zone away: the server remembers nothing of its database (see `start`)."""
        for zone in ("comments", "records", "domainmetadata", "cryptokeys", "domains"):
            self.rows(f"DELETE FROM {zone}")

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()


def start(folder: Path, *, body_mb: int = 2) -> PowerDNS:
    """Start a server without zones in the folder. ``body_mb``: the largest call its API takes. Raises Unavailable."""
    need(PACKAGES, programs=["pdns_server"])
    port, api = free_port(), free_port()
    database = folder / "pdns.sqlite3"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(SCHEMA.read_text(encoding="utf-8"))
    settings = {
        "launch": "gsqlite3",
        "gsqlite3-database": database,
        "gsqlite3-pragma-foreign-keys": "yes",
        "local-address": "127.0.0.1",
        "local-port": port,
        "api": "yes",
        "api-key": KEY,
        "webserver": "yes",
        "webserver-address": "127.0.0.1",
        "webserver-port": api,
        "webserver-allow-from": "127.0.0.1",
        "webserver-max-bodysize": body_mb,
        "socket-dir": folder,
        "allow-axfr-ips": "127.0.0.1",
        "primary": "yes",
        "cache-ttl": 0,
        "query-cache-ttl": 0,
        "negquery-cache-ttl": 0,
        "zone-cache-refresh-interval": 0,
        "max-tcp-connections": 200,
        "max-tcp-connections-per-client": 0,
        "version-string": "anonymous",
        "security-poll-suffix": "",
    }
    (folder / "pdns.conf").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    program = shutil.which("pdns_server") or "pdns_server"
    command = [program, f"--config-dir={folder}", "--guardian=no", "--daemon=no", "--disable-syslog", "--write-pid=no"]
    process = Process(command, log=folder / "log", ready=lambda: _answers(api))
    return PowerDNS(folder, port, api, process)


def _answers(api: int) -> bool:
    address = f"http://127.0.0.1:{api}/api/v1/servers/localhost"
    try:
        with urlopen(Request(address, headers={"X-API-Key": KEY}), timeout=5) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False
