"""A private Request Tracker 5 (Debian's): own database and configuration, nothing in /etc touched, no mail."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from migrator.testing.servers.packages import need
from migrator.testing.servers.postgresql import Cluster
from migrator.testing.servers.process import Process, free_port

PACKAGES = ("request-tracker5", "rt5-standalone")
DRIVERS = {"sqlite": "rt5-db-sqlite", "postgresql": "rt5-db-postgresql"}
SERVER = "/usr/share/request-tracker5/libexec/rt-server"
PASSWORD = "rt-root-pass"
DATABASE_PASSWORD = "rt-database-pass"
CONFIGURATION = """\
Set($rtname, 'rt.test'); Set($Organization, 'rt.test'); Set($WebDomain, '127.0.0.1'); Set($WebPort, {port});
{database} Set($WebPath, '');
Set($LogToSyslog, undef); Set($LogToSTDERR, 'warning');
Set($MailCommand, 'sendmailpipe'); Set($SendmailPath, '{folder}/mailsink');
Set($MasonDataDir, '{folder}/mason'); Set($MasonSessionDir, '{folder}/session'); Set($Timezone, 'UTC');
Set($BcryptCost, 4); Set($MaxAttachmentSize, 64*1024*1024);
Set(@InitialdataFormatHandlers, 'perl', 'RT::Initialdata::JSON');
1;
"""
SQLITE = """\
Set($DatabaseType, 'SQLite'); Set($DatabaseName, '{folder}/rtdb'); Set($DatabaseHost, ''); Set($DatabaseUser, '');
Set($DatabasePassword, '');"""
POSTGRESQL = """\
Set($DatabaseType, 'Pg'); Set($DatabaseName, 'rt'); Set($DatabaseHost, '127.0.0.1'); Set($DatabasePort, {port});
Set($DatabaseUser, 'rt'); Set($DatabasePassword, '{password}');"""
# One token a user: every call tries the tokens of its user one after another, with bcrypt (measured 2026-11-22).
TOKENS = """\
use lib '/usr/share/request-tracker5/lib'; use RT; RT->LoadConfig; RT->Init;
for (@ARGV) { my $u = RT::User->new(RT->SystemUser); $u->Load($_);
  my (undef, undef, $t) = RT::AuthToken->new(RT->SystemUser)->Create(Owner => $u->Id, Description => 'test');
  print "$_ $t\\n" }
"""


@dataclass
class RequestTracker:
    """A running instance. ``environment`` makes RT's own commands (``rt-setup-database``, ...) speak of this one."""

    folder: Path
    port: int
    token: str
    process: Process
    environment: dict[str, str] = field(default_factory=dict)
    cluster: Cluster | None = None  # where the database is PostgreSQL's

    @property
    def url(self) -> str:
        """Return the address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """Return the SQLite file."""
        return self.folder / "rtdb"

    @property
    def address(self) -> str:
        """Return the database's address as the channel ``sql`` takes it; PostgreSQL's asks for DATABASE_PASSWORD."""
        return f"postgresql://rt@127.0.0.1:{self.cluster.port}/rt" if self.cluster else f"sqlite:{self.database}"

    @property
    def setup_command(self) -> str:
        """Return the command that inserts a file, its last word, into this instance."""
        environment = [f"{name}={value}" for name, value in self.environment.items()]
        return shlex.join(["env", *environment, "rt-setup-database", *_SETUP, "--action", "insert", "--datafile"])

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the server's own database; what is changed is kept."""
        if self.cluster:
            return self.cluster.ask(sql.replace("?", "%s"), values, database="rt")
        with closing(sqlite3.connect(self.database, timeout=30)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def count(self, table: str, where: str = "1 = 1", *values: Any) -> int:
        """Return the number of rows of a table."""
        return int(self.rows(f"SELECT count(*) FROM {table} WHERE {where}", *values)[0][0])

    def initialdata(self, document: dict[str, Any]) -> None:
        """Insert queues, fields, rights and so on through RT's own command."""
        at = self.folder / "insert.json"
        at.write_text(json.dumps(document), encoding="utf-8")
        _run(self.environment, "rt-setup-database", *_SETUP, "--action", "insert", "--datafile", str(at))

    def reset(self) -> None:
        """Bring the database back to how it was right after the start (SQLite only); the server runs on."""
        with (
            closing(sqlite3.connect(self.folder / "rtdb.new")) as pristine,
            closing(sqlite3.connect(self.database, timeout=30)) as live,
        ):
            pristine.backup(live)

    def keep(self) -> None:
        """Make what the database holds now what ``reset`` goes back to (SQLite only)."""
        with (
            closing(sqlite3.connect(self.database, timeout=30)) as live,
            closing(sqlite3.connect(self.folder / "rtdb.new")) as pristine,
        ):
            live.backup(pristine)

    def stop(self) -> None:
        """Stop the server and its PostgreSQL; the folder stays."""
        self.process.stop()
        if self.cluster:
            self.cluster.stop()


_SETUP = ("--skip-create", "--dba", "", "--force")


def start(
    folder: Path, *, port: int | None = None, workers: int = 4, scrips: bool = True, database: str = "sqlite"
) -> RequestTracker:
    """Start a new instance in ``folder``, in about 8 s; ``scrips=False``: no automation answers tickets.

    ``database``: sqlite, or postgresql (a cluster of its own). Raises Unavailable where RT is not and may not be
    installed.
    """
    need([*PACKAGES, DRIVERS[database]])
    port = port or free_port()
    cluster = Cluster() if database == "postgresql" else None
    try:
        environment, token = _furnished(folder, port, cluster)
        options = ["--host", "127.0.0.1", "--port", str(port), "--max-workers", str(workers)]
        process = Process(
            [SERVER, *options, "--max-reqs-per-child", "100000"],
            log=folder / "server.log",
            environment=environment,
            ready=lambda: _answers(f"http://127.0.0.1:{port}/REST/2.0/rt", token),
        )
    except BaseException:
        if cluster:
            cluster.stop()
        raise
    server = RequestTracker(folder, port, token, process, environment, cluster)
    if not scrips:
        server.rows("UPDATE Scrips SET Disabled = 1")
    if cluster is None:
        server.keep()
    return server


def _furnished(folder: Path, port: int, cluster: Cluster | None) -> tuple[dict[str, str], str]:
    """Write the configuration, make the database; return the environment of RT's commands and a token."""
    for name in ("mason", "session", "conf.d"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sink = folder / "mailsink"
    sink.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    sink.chmod(0o755)
    if cluster:
        cluster.sql(
            f"CREATE ROLE rt LOGIN PASSWORD '{DATABASE_PASSWORD}'",
            "CREATE DATABASE rt OWNER rt ENCODING 'UTF8' TEMPLATE template0",
        )
        database = POSTGRESQL.format(port=cluster.port, password=DATABASE_PASSWORD)
    else:
        database = SQLITE.format(folder=folder)
    configuration, password, tokens = folder / "RT_SiteConfig.pm", folder / "rootpw", folder / "tokens.pl"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, database=database))
    password.write_text(PASSWORD)
    tokens.write_text(TOKENS)
    environment = {"RT_SITE_CONFIG": str(configuration), "RT_SITE_CONFIG_DIR": str(folder / "conf.d")}
    _run(environment, "rt-setup-database", *_SETUP, "--action", "init", "--root-password-file", str(password))
    return environment, _run(environment, "perl", str(tokens), "root").split()[-1]


def _answers(url: str, token: str) -> bool:
    try:
        with urlopen(Request(url, headers={"Authorization": f"token {token}"}), timeout=10) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False


def _run(environment: dict[str, str], *command: str) -> str:
    ran = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"{command[0]} ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-2000:]}")
    return ran.stdout
