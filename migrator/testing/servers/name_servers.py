"""True BIND and Knot servers (Debian's) that take dynamic updates signed with a TSIG key."""

from __future__ import annotations

import base64
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from migrator.testing.servers.packages import need
from migrator.testing.servers.process import Process, free_port

KEY = "hmac-sha256:migrator:" + base64.b64encode(b"0123456789abcdef" * 2).decode()
ZONE = """$ORIGIN {zone}
@ 3600 IN SOA ns1.new.example. hostmaster.new.example. 1 3600 900 1209600 300
@ 3600 IN NS ns1.new.example.
@ 3600 IN NS ns2.new.example.
"""


@dataclass
class NameServer:
    """A running server at ``port`` with ``zones``, each empty but for its apex."""

    folder: Path
    port: int
    zones: Sequence[str]
    process: Process

    @property
    def address(self) -> str:
        """Return where it answers."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()


def bind(folder: Path, *, zones: Sequence[str], transfers: str = "key migrator", names: str = "ignore") -> NameServer:
    """Start a BIND in the folder. ``transfers``: whom it lets transfer; ``names``: what it does with host names that
    are none (BIND's own default is ``fail``). Raises Unavailable."""
    need(["bind9"], programs=["named"])
    port, (_, _, secret) = free_port(), KEY.split(":")
    lines = [
        f'options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};',
        f'pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key"; managed-keys-directory "{folder}";',
        f"recursion no; notify no; dnssec-validation no; check-names primary {names};",
        f"allow-transfer {{ {transfers}; }}; minimal-responses yes; }};",
        f'key migrator {{ algorithm hmac-sha256; secret "{secret}"; }};',
        "controls { };",
    ]
    for zone in zones:
        file = _zone(folder, zone)
        lines.append(f'zone "{zone}" {{ type primary; file "{file}"; allow-update {{ key migrator; }}; }};')
    (folder / "named.conf").write_text("\n".join(lines) + "\n")
    _owned(folder, "bind")
    command = [shutil.which("named") or "named", "-u", "bind", "-g", "-n", "1", "-c", str(folder / "named.conf")]
    return NameServer(folder, port, zones, Process(command, log=_log(folder), ready=lambda: _open(port)))


def knot(folder: Path, *, zones: Sequence[str]) -> NameServer:
    """Start a Knot in the folder. Raises Unavailable."""
    need(["knot"], programs=["knotd"])
    port, (_, _, secret) = free_port(), KEY.split(":")
    text = f"""server:
    rundir: "{folder}"
    user: knot:knot
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
log:
  - target: stderr
    any: warning
key:
  - id: migrator
    algorithm: hmac-sha256
    secret: "{secret}"
acl:
  - id: lo
    address: 127.0.0.1
    key: migrator
    action: [transfer, update]
zone:
"""
    for zone in zones:
        file = _zone(folder, zone)
        text += f'  - domain: "{zone}"\n    storage: "{folder}"\n    file: "{file.name}"\n    acl: lo\n'
    (folder / "knot.conf").write_text(text)
    _owned(folder, "knot")
    command = [shutil.which("knotd") or "knotd", "-c", str(folder / "knot.conf")]
    return NameServer(folder, port, zones, Process(command, log=_log(folder), ready=lambda: _open(port)))


def _zone(folder: Path, zone: str) -> Path:
    file = folder / f"{zone.rstrip('.').replace('/', '_')}.zone"
    file.write_text(ZONE.format(zone=zone))
    return file


def _owned(folder: Path, user: str) -> None:
    """Give the folder to the server's own user, and let that one reach it."""
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, user, user)
    folder.parent.chmod(0o755)


def _log(folder: Path) -> Path:
    return folder / "log"


def _open(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True
