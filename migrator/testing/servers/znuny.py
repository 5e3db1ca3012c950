"""A private Znuny 6.5 (Debian's ``otrs2``): own folder, own PostgreSQL database, mail queued and never sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from migrator.testing.servers.postgresql import Cluster, run
from migrator.testing.servers.process import Process, free_port
from migrator.testing.servers.znuny_package import unpacked

DATABASE, PRISTINE = "znuny", "znuny_pristine"
USER, PASSWORD = "migrator", "migrator-pass"  # the agent migrator signs in as
ROUTE = "/otrs/nph-genericinterface.pl/Webservice/migrator"
# Starman keeps one worker for each connection that is kept alive: more of them than a client has workers.
WORKERS = 10
CONFIGURATION = """
    $Self->{{CheckMXRecord}} = 0; $Self->{{'LogModule'}} = 'Kernel::System::Log::File';
    $Self->{{'LogModule::LogFile'}} = '{folder}/znuny.log'; $Self->{{FQDN}} = '127.0.0.1:{port}';
    $Self->{{HttpType}} = 'http'; $Self->{{SystemID}} = '10';
    $Self->{{SendmailModule}} = 'Kernel::System::Email::DoNotSendEmail';
"""
# What an administrator does once: the web service, and an agent with rights on every group.
FURNISH = r"""
use strict; use warnings; use lib '{home}', '{home}/Kernel/cpan-lib', '{home}/Custom';
use Kernel::System::ObjectManager;
local $Kernel::OM = Kernel::System::ObjectManager->new('Kernel::System::Log' => {{LogPrefix => 'test'}});
my $Text = ${{ $Kernel::OM->Get('Kernel::System::Main')->FileRead(Location => '{service}') }};
$Kernel::OM->Get('Kernel::System::GenericInterface::Webservice')->WebserviceAdd(
    Name => 'migrator', ValidID => 1, UserID => 1,
    Config => $Kernel::OM->Get('Kernel::System::YAML')->Load(Data => $Text)) or die 'web service';
my $ID = $Kernel::OM->Get('Kernel::System::User')->UserAdd(
    UserFirstname => 'Mig', UserLastname => 'Rator', UserLogin => '{user}', UserPw => '{password}',
    UserEmail => 'migrator@desk.test', ValidID => 1, ChangeUserID => 1) or die 'agent';
my $Groups = $Kernel::OM->Get('Kernel::System::Group');
my %All = $Groups->GroupList();
$Groups->PermissionGroupUserAdd(GID => $_, UID => $ID, UserID => 1, Permission => {{rw => 1}}) for keys %All;
"""


@dataclass
class Znuny:
    """A running instance. ``home`` is the folder with Znuny's files; its database is ``database`` in ``cluster``."""

    folder: Path
    port: int
    cluster: Cluster
    process: Process
    database: str = DATABASE
    secrets: dict[str, str] = field(default_factory=lambda: {"password": PASSWORD, "database_password": "znuny"})

    @property
    def url(self) -> str:
        """Return the address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """Return what an account needs to be told to be opened with every channel."""
        place = f"host=127.0.0.1 port={self.cluster.port} dbname={self.database} user=znuny"
        return {"user": USER, "home": str(self.home), "database": place}

    @property
    def home(self) -> Path:
        """Return the folder with Znuny's files."""
        return self.folder / "home"

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the server's own database; what is changed is kept."""
        return self.cluster.ask(sql, values, database=self.database)

    def count(self, table: str, where: str = "1 = 1", *values: Any) -> int:
        """Return the number of rows of a table."""
        return int(self.rows(f"SELECT count(*) FROM {table} WHERE {where}", *values)[0][0])

    def forget(self) -> None:
        """Clear the cache: what was changed in the database by hand is served from now on."""
        for cached in (self.home / "var/tmp").glob("CacheFileStorable"):
            shutil.rmtree(cached, ignore_errors=True)

    def reset(self) -> None:
        """Bring the database back to how it was right after the start (or at ``keep``); the server runs on."""
        self._copy(PRISTINE, self.database)
        self.forget()

    def keep(self) -> None:
        """Make what the database holds now what ``reset`` goes back to."""
        self._copy(self.database, PRISTINE)

    def _copy(self, old: str, new: str) -> None:
        leave = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{old}'"
        self.cluster.sql(
            f"DROP DATABASE IF EXISTS {new} WITH (FORCE)",
            leave,
            f"CREATE DATABASE {new} TEMPLATE {old} OWNER znuny STRATEGY file_copy",
        )

    def perl(self, script: str) -> str:
        """Run a script with Znuny's own modules and return what it printed."""
        return run(["perl", *_libraries(self.home), "-e", script], folder=self.home)

    def stop(self) -> None:
        """Stop the server and its database; the folder stays."""
        self.process.stop()
        self.cluster.stop()


def start(folder: Path, *, service: Path, port: int | None = None, workers: int = WORKERS) -> Znuny:
    """Start a new instance in ``folder`` with the web service of the file ``service``.

    Raises Unavailable where Znuny or PostgreSQL are not and may not be installed.
    """
    root, port = unpacked(), port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster()
    try:
        home = _files(root, folder, port, cluster)
        _database(home, cluster)
        console = ["perl", str(home / "bin/otrs.Console.pl"), "Maint::Config::Rebuild", "--allow-root"]
        run(console, folder=home)
        words = {"home": home, "service": service, "user": USER, "password": PASSWORD}
        run(["perl", *_libraries(home), "-e", FURNISH.format(**words)], folder=home)
        options = ["--listen", f"127.0.0.1:{port}", "--workers", str(workers), "--max-requests", "100000"]
        process = Process(
            ["starman", *options, "--preload-app", str(home / "bin/cgi-bin/app.psgi")],
            log=folder / "server.log",
            folder=home,
            ready=lambda: _answers(f"http://127.0.0.1:{port}"),
            seconds=120,
        )
    except BaseException:
        cluster.stop()
        raise
    server = Znuny(folder, port, cluster, process)
    server.keep()
    return server


def _libraries(home: Path) -> list[str]:
    return ["-I", str(home), "-I", str(home / "Kernel/cpan-lib"), "-I", str(home / "Custom")]


def _files(root: Path, folder: Path, port: int, cluster: Cluster) -> Path:
    """Lay out Znuny's files as the package would, with everything that is written below ``folder``."""
    home = folder / "home"
    subprocess.run(["cp", "-a", str(root / "usr/share/otrs"), str(home)], check=True)
    for name in ("var", "Kernel/Config/Backups", "Kernel/Config/Files", "Kernel/Config/GenericAgent.pm"):
        at = home / name
        if at.is_symlink() or at.is_file():
            at.unlink()
        elif at.is_dir():
            shutil.rmtree(at)
    (home / "Kernel/Config.pm").unlink(missing_ok=True)
    subprocess.run(["cp", "-a", str(root / "var/lib/otrs"), str(home / "var")], check=True)
    for name in ("spool", "run"):
        at = home / "var" / name
        if at.is_symlink():
            at.unlink()
        at.mkdir(exist_ok=True)
    for name in ("Backups", "Files"):
        (home / "Kernel/Config" / name).symlink_to(home / "var/Config" / name)
    text = (home / "Kernel/Config.pm.dist").read_text(encoding="utf-8")
    address = f"DBI:Pg:dbname={DATABASE};host=127.0.0.1;port={cluster.port};"
    text = text.replace("if (-f '/etc/otrs/database.pm')", "if (0)")
    text = re.sub(r"(?m)^( *\$Self->\{DatabaseDSN\} = )\"\$dsn.*$", lambda found: f"{found[1]}'{address}';", text)
    for old, new in (
        ("$dbserver || '127.0.0.1'", "'127.0.0.1'"),
        ("$dbname || 'otrs'", f"'{DATABASE}'"),
        ("$dbuser || 'otrs'", "'znuny'"),
        ("$dbpass || 'some-pass'", "'znuny'"),
        ("'/usr/share/otrs'", f"'{home}'"),
    ):
        text = text.replace(old, new)
    text = text.replace("    # $DIBI$", CONFIGURATION.format(folder=folder, port=port), 1)
    (home / "Kernel/Config.pm").write_text(text, encoding="utf-8")
    return home


def _database(home: Path, cluster: Cluster) -> None:
    cluster.sql(
        "CREATE ROLE znuny LOGIN PASSWORD 'znuny'",
        f"CREATE DATABASE {DATABASE} OWNER znuny ENCODING 'UTF8' TEMPLATE template0",
    )
    for name in ("schema", "initial_insert", "schema-post"):
        cluster.file(
            home / f"scripts/database/{name}.postgresql.sql", database=DATABASE, user="znuny", password="znuny"
        )


def _answers(url: str) -> bool:
    body = json.dumps({"UserLogin": USER, "Password": PASSWORD}).encode()
    asked = Request(url + ROUTE + "/Session", data=body, headers={"Content-Type": "application/json"})
    try:
        with urlopen(asked, timeout=60) as answer:
            return "SessionID" in json.loads(answer.read())
    except HTTPError:
        return False
