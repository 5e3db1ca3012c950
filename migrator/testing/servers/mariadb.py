"""A MariaDB server in a folder of its own, on 127.0.0.1 only; what it holds is asked with its own client."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from migrator.testing.servers.packages import need
from migrator.testing.servers.process import Process, free_port

PACKAGES = ("mariadb-server", "mariadb-client")
# Nothing here outlives a test, so nothing needs to be on disk when it is answered.
HASTE = (
    "--innodb-buffer-pool-size=24M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0",
    "--innodb-use-native-aio=0",    "--skip-name-resolve", "--performance-schema=off", "--key-buffer-size=1M",
)  # fmt: skip
PASSWORD = "root's own"


@dataclass
class MariaDB:
    """A running server, whose login ``root`` may do anything."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def host(self) -> str:
        """Return where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        """Return the password of root."""
        return PASSWORD

    def start(self) -> None:
        """Make its tables, and run it."""
        data = self.folder / "data"
        who = ["--user=mysql"] if os.getuid() == 0 else []
        if os.getuid() == 0:
            person = pwd.getpwnam("mysql")
            os.chown(self.folder, person.pw_uid, person.pw_gid)
        command = ["mariadb-install-db", "--no-defaults", *who, f"--datadir={data}", "--skip-test-db", "--force"]
        command += [
            "--auth-root-authentication-method=normal",
            "--innodb-log-file-size=8M",
            "--innodb-use-native-aio=0",
        ]
        with (self.folder / "install.log").open("wb") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        command = [
            "mariadbd", "--no-defaults", *who, f"--datadir={data}", f"--socket={self.folder}/s",
            f"--pid-file={self.folder}/pid", "--bind-address=127.0.0.1", f"--port={self.port}", *HASTE,
        ]  # fmt: skip
        self.process = Process(command, log=self.folder / "log", ready=self._ready, seconds=60)
        self.sql(f'SET PASSWORD FOR root@localhost = PASSWORD("{PASSWORD}")', secret="")
        self.sql(f'CREATE OR REPLACE USER root@127.0.0.1 IDENTIFIED BY "{PASSWORD}"')
        self.sql("GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION")

    def _ready(self) -> bool:
        asked = ["mariadb-admin", "--no-defaults", f"--socket={self.folder}/s", "-uroot", "ping"]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0

    def sql(self, text: str, *, database: str = "", user: str = "root", secret: str = PASSWORD) -> list[list[str]]:
        """Carry out statements with the server's own client, over its socket; return rows. Raises RuntimeError."""
        command = [
            "mariadb",
            "--no-defaults",
            f"--socket={self.folder}/s",
            f"-u{user}",
            "-N",
            "-B",
            "--default-character-set=utf8mb4",
        ]
        ran = subprocess.run(
            [*command, database] if database else command, input=text.encode(), capture_output=True, check=False,
            env={**os.environ, "MYSQL_PWD": secret},
        )  # fmt: skip
        if ran.returncode:
            raise RuntimeError(ran.stderr.decode("utf-8", "replace"))
        return [line.split("\t") for line in ran.stdout.decode("utf-8", "replace").splitlines()]

    def databases(self) -> list[str]:
        """Return the databases that are no part of the server."""
        mine = {"information_schema", "performance_schema", "mysql", "sys"}
        return [row[0] for row in self.sql("SHOW DATABASES") if row[0] not in mine]

    def users(self) -> list[str]:
        """Return the users that are no part of the server."""
        staff = "'root', 'mysql', 'mariadb.sys', ''"
        asked = f"SELECT CONCAT(User, '@', Host) FROM mysql.user WHERE User NOT IN ({staff}) ORDER BY 1"
        return [row[0] for row in self.sql(asked)]

    def reset(self) -> None:
        """Take everything away."""
        for name in self.databases():
            self.sql(f"DROP DATABASE `{name.replace('`', '``')}`")
        for who in self.users():
            user, _, host = who.rpartition("@")
            self.sql("DROP USER '{}'@'{}'".format(user.replace("'", "''"), host))

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.stop()
        shutil.rmtree(self.folder / "data", ignore_errors=True)


def start(folder: Path) -> MariaDB:
    """Start a server in ``folder``. Raises Unavailable where it cannot run here."""
    need(apt=PACKAGES, programs=("mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump"))
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder.parent, 0o755)
    server = MariaDB(folder)
    server.start()
    return server
