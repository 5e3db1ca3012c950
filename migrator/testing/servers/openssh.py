"""An OpenSSH server with SFTP, on a port of its own, that lets in one key; what it holds is seen on its disk."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from migrator.testing.servers.packages import need
from migrator.testing.servers.process import Process, free_port

PACKAGES = ("openssh-server", "openssh-sftp-server", "openssh-client")
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/hostkey
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
MaxStartups 100
Subsystem sftp internal-sftp
"""


@dataclass
class OpenSSH:
    """A running server. ``key``: the file of the key it lets in; ``fingerprint``: of its own.

    ``more``: lines of sshd_config.
    """

    folder: Path
    more: str = ""
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def host(self) -> str:
        """Return where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def user(self) -> str:
        """Return the login: whoever runs the server."""
        return pwd.getpwuid(os.getuid()).pw_name

    @property
    def key(self) -> Path:
        """Return the file of the key that is let in."""
        return self.folder / "id"

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the server's key, as ssh-keygen tells it."""
        said = subprocess.run(
            ["ssh-keygen", "-l", "-f", f"{self.folder / 'hostkey'}.pub"], capture_output=True, text=True, check=True
        )
        return said.stdout.split()[1]

    def start(self) -> None:
        """Make its keys and run it."""
        for name in ("hostkey", "id"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(command, check=True, capture_output=True)
        (self.folder / "authorized_keys").write_bytes((self.folder / "id.pub").read_bytes())
        (self.folder / "sshd_config").write_text(CONFIG.format(port=self.port, folder=self.folder) + self.more)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self.process = Process(command, log=self.folder / "log", ready=self._ready, seconds=20)

    def _ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1) as found:
            return found.recv(4) == b"SSH-"

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.stop()


def start(folder: Path, *, more: str = "") -> OpenSSH:
    """Start a server in ``folder``, ``more``: lines of sshd_config. Raises Unavailable where it cannot run here."""
    need(apt=PACKAGES, programs=("/usr/sbin/sshd", "ssh-keygen"))
    folder.mkdir(parents=True, exist_ok=True)
    server = OpenSSH(folder, more)
    server.start()
    return server
