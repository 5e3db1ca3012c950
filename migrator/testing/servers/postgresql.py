"""A private PostgreSQL cluster (Debian's): in a folder of its own, on 127.0.0.1 only, gone when it is stopped."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migrator.testing.servers.packages import Unavailable, need
from migrator.testing.servers.process import Process, free_port

BINARIES = Path("/usr/lib/postgresql")
# Nothing here outlives a test, so nothing needs to be on disk when it is answered.
HASTE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")
WHO = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


class Cluster:
    """A running cluster: its superuser ``postgres`` needs no password, everybody else does. Raises Unavailable."""

    def __init__(self) -> None:
        need(["postgresql"])
        versions = sorted(BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if not versions:
            raise Unavailable(f"there is no PostgreSQL below {BINARIES}")
        self.binaries, self.port = versions[-1].parent, free_port()
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="migrator-pg-", dir=memory if memory.is_dir() else None))
        self.folder.chmod(0o755)
        data = self.folder / "data"
        data.mkdir()
        if os.geteuid() == 0:  # the server refuses to run as root
            person = pwd.getpwnam("postgres")
            os.chown(data, person.pw_uid, person.pw_gid)
        self._run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C.UTF-8", "-N", "-D", str(data))
        (data / "pg_hba.conf").write_text(WHO)
        options = [word for setting in HASTE for word in ("-c", setting)]
        listen = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        self._process = Process(
            self._command("postgres", "-D", str(data), *listen, *options),
            log=self.folder / "server.log",
            ready=lambda: self._ready(),
            seconds=60,
        )

    def _command(self, program: str, *words: str) -> list[str]:
        command = [str(self.binaries / program), *words]
        return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command

    def _run(self, program: str, *words: str) -> None:
        run(self._command(program, *words), folder=self.folder)

    def _ready(self) -> bool:
        asked = [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def sql(self, *statements: str, database: str = "postgres") -> None:
        """Carry out statements as the superuser, each by itself."""
        for statement in statements:
            run([*self._psql(database, "postgres"), "-c", statement])

    def file(self, path: Path, *, database: str, user: str, password: str) -> None:
        """Carry out a file of statements."""
        run([*self._psql(database, user), "-o", os.devnull, "-f", str(path)], environment={"PGPASSWORD": password})

    def ask(self, sql: str, values: Sequence[Any], *, database: str) -> list[tuple[Any, ...]]:
        """Ask a database as the superuser, with ``%s`` for the values; what is changed is kept."""
        import psycopg

        where = f"host=127.0.0.1 port={self.port} dbname={database} user=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            asked = connection.execute(sql, values or None)
            return asked.fetchall() if asked.description else []

    def _psql(self, database: str, user: str) -> list[str]:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", database]
        return [str(self.binaries / "psql"), "-q", "-X", "-v", "ON_ERROR_STOP=1", *where]

    def stop(self) -> None:
        """Stop the cluster and take its folder away."""
        self._process.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)


def run(
    command: Sequence[str], *, folder: Path | None = None, environment: dict[str, str] | None = None, seconds: int = 120
) -> str:
    """Run a command to its end and return what it said. Raises RuntimeError with the end of it where it fails."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-2000:]}")
    return ran.stdout
