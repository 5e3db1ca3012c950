"""A Dovecot with IMAP and ManageSieve on ports of its own; what it holds is seen on its disk, and through doveadm."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from migrator.testing.servers.packages import need
from migrator.testing.servers.process import Process, free_port

PACKAGES = ("dovecot-imapd", "dovecot-sieve", "dovecot-managesieved")
MASTER, MASTER_PASSWORD, PASSWORD = "migrator", "mastersecret", "secret"
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap sieve
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_master_user_separator = *
mail_location = maildir:~/Maildir{layout}
mail_plugins = quota
first_valid_uid = 1
mail_max_userip_connections = 50
passdb {{
  driver = passwd-file
  master = yes
  args = {folder}/masters
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/home/%d/%n
}}
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = {separator}
{special}}}
protocol imap {{
  mail_plugins = quota imap_quota
  {capability}
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage={quota}
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_extensions = {extensions}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve}
  }}
}}
"""
Seen = Counter[tuple[str, str, tuple[str, ...], int]]  # folder, digest with bare line ends, flags, date received


@dataclass
class Dovecot:
    """A running server. ``users`` are addresses, each with the password ``secret``; the master user opens them all."""

    folder: Path
    users: Sequence[str]
    prefix: str = ""
    separator: str = "/"
    layout: str = ""  # ":LAYOUT=fs" allows a dot in a name
    quota: str = "500M"
    special: dict[str, str] = field(default_factory=dict)  # folder to what it is for: {"Sent": "\\Sent"}
    extensions: str = "+imap4flags"
    says: str = ""  # what it says it can, in place of all that it can: an old server
    imap: int = field(default_factory=free_port)
    sieve: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"imap://127.0.0.1:{self.imap}"

    def start(self) -> None:
        """Write its files and run it."""
        for name in ("run", "state", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.folder / "home", "mail", "mail")
        for above in (self.folder, *self.folder.parents):  # a temporary folder lets nobody through but its owner
            if not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o011)
        listed = "".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in self.users)
        for name, text in (("users", listed), ("masters", f"{MASTER}:{{PLAIN}}{MASTER_PASSWORD}\n")):
            (self.folder / name).write_text(text)
            shutil.chown(self.folder / name, "root", "dovecot")
            (self.folder / name).chmod(0o640)
        special = "".join(
            f'  mailbox "{name}" {{\n    special_use = {use}\n    auto = create\n  }}\n'
            for name, use in self.special.items()
        )
        values = {
            "folder": self.folder, "layout": self.layout, "prefix": self.prefix, "separator": self.separator,
            "quota": self.quota, "imap": self.imap, "sieve": self.sieve, "special": special,
            "extensions": self.extensions, "capability": f"imap_capability = {self.says}" if self.says else "",
        }  # fmt: skip
        (self.folder / "dovecot.conf").write_text(CONFIG.format(**values))
        self.process = Process(
            ["dovecot", "-F", "-c", self.folder / "dovecot.conf"],
            log=self.folder / "out",
            ready=self._ready,
            seconds=20,
        )

    def _ready(self) -> bool:
        for port in (self.imap, self.sieve):
            socket.create_connection(("127.0.0.1", port), 1).close()
        return True

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.stop()

    def reset(self) -> None:
        """Empty every mailbox."""
        self.doveadm("kick", *self.users, harmless=True)
        for user in self.users:
            shutil.rmtree(self.home(user), ignore_errors=True)

    def doveadm(self, *words: str, harmless: bool = False) -> str:
        """Run Dovecot's own tool and return what it prints."""
        command = ["doveadm", "-c", str(self.folder / "dovecot.conf"), *words]
        ran = subprocess.run(command, capture_output=True, check=False)
        if ran.returncode and not harmless:
            raise RuntimeError(f"{' '.join(command)}: {ran.stderr.decode(errors='replace')}")
        return ran.stdout.decode(errors="replace")

    # ---- on the disk ------------------------------------------------------------------------------------------------

    def home(self, user: str) -> Path:
        """Return a mailbox's place on the disk."""
        name, _, domain = user.partition("@")
        return self.folder / "home" / domain / name

    def files(self, user: str) -> dict[Path, str]:
        """Return the file of every message, and the folder it lies in as the disk names it (INBOX is empty)."""
        top = self.home(user) / "Maildir"
        return {
            file: file.parent.parent.relative_to(top).as_posix().removeprefix(".")
            for part in ("cur", "new")
            for file in top.glob(f"**/{part}/*")
            if file.is_file()
        }

    def seen(self, user: str) -> Seen:
        """Return what lies in a mailbox as a multiset, read from the files themselves.

        A NUL counts as 0x80: Dovecot 2.3 keeps it on the disk, and hands it over as that.
        """
        found: Seen = Counter()
        words: dict[str, list[str]] = {}
        for file, folder in self.files(user).items():
            said = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\0", b"\x80")
            digest = hashlib.sha256(said).hexdigest()
            if folder not in words:
                held = file.parent.parent / "dovecot-keywords"
                words[folder] = (
                    [line.split(" ", 1)[1] for line in held.read_text().splitlines()] if held.is_file() else []
                )
            letters = file.name.partition(":2,")[2]
            flags = [words[folder][ord(c) - 97] if c.islower() and words[folder] else c for c in letters]
            found[folder, digest, tuple(sorted(flags)), int(file.stat().st_mtime)] += 1
        return found


def start(folder: Path, *, users: Sequence[str] = ("ann@example.com",), **how: object) -> Dovecot:
    """Start a server in ``folder``. Raises Unavailable where it cannot run here."""
    need(apt=PACKAGES, programs=("dovecot", "doveadm"))
    folder.mkdir(parents=True, exist_ok=True)
    server = Dovecot(folder, users, **how)  # type: ignore[arg-type]
    server.start()
    return server
