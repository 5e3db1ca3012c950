"""Znuny's Debian package (``otrs2``, component non-free): its dependencies installed, itself only unpacked.

Installing it would fail without a database of its own, and block every later run of apt (measured 2026-11-22).
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from migrator.testing.servers.packages import Unavailable, need

PACKAGE = "otrs2"
# The last two are used and not declared (measured 2026-11-22, and in an empty Debian 12 on 2026-11-26).
PACKAGES = ("starman", "libplack-perl", "libdbd-pg-perl", "librest-client-perl", "libcgi-emulate-psgi-perl")
SOURCES = Path("/etc/apt/sources.list.d")
OWN_SOURCE = SOURCES / "migrator-tests-non-free.sources"
SECONDS = 900


def unpacked() -> Path:
    """Return the folder with the package's files, fetched and unpacked once for this machine. Raises Unavailable."""
    need(PACKAGES)
    home = Path(tempfile.gettempdir()) / "migrator-znuny"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = home / "root"
        if not root.is_dir():
            _fetch(home)
            package = next(home.glob(f"{PACKAGE}_*.deb"))
            part = home / "part"
            _run(["dpkg-deb", "-x", str(package), str(part)])
            part.rename(root)
    return root


def _fetch(home: Path) -> None:
    if os.environ.get("MIGRATOR_NO_APT"):
        raise Unavailable(f"needs the Debian package {PACKAGE} (non-free), and MIGRATOR_NO_APT is set")
    if os.geteuid() != 0:
        raise Unavailable(f"needs the Debian package {PACKAGE} (non-free), which only root may install")
    with (Path(tempfile.gettempdir()) / "migrator-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _known():
            OWN_SOURCE.write_text(_non_free())
            _run(["apt-get", "update", "-q"])
        _run(["apt-get", "download", PACKAGE], folder=home)
        package = next(home.glob(f"{PACKAGE}_*.deb"))
        depends = _run(["dpkg-deb", "-f", str(package), "Depends"]).strip()
        _run(["apt-get", "satisfy", "-y", "-q", "--no-install-recommends", depends])


def _known() -> bool:
    return f"Package: {PACKAGE}" in _run(["apt-cache", "show", PACKAGE], must=False)


def _non_free() -> str:
    """Return a source for contrib and non-free that takes addresses and keys from the machine's own."""
    for stanza in _stanzas():
        if "main" in stanza.get("components", "").split() and "debian-security" not in stanza.get("uris", ""):
            kept = "".join(
                f"{name.title()}: {stanza[name]}\n" for name in stanza if name not in ("components", "types")
            )
            return f"Types: deb\nComponents: contrib non-free\n{kept}"
    raise Unavailable("found no Debian source with the component main to take the address from")


def _stanzas() -> Iterator[dict[str, str]]:
    """Yield the machine's sources in either notation, with lower-case names."""
    for file in sorted(SOURCES.glob("*.sources")):
        for text in re.split(r"\n\s*\n", file.read_text(encoding="utf-8")):
            lines = [line for line in text.splitlines() if not line.startswith("#")]
            fields = (line.partition(":") for line in lines if ":" in line and not line.startswith(" "))
            stanza = {name.strip().lower(): value.strip() for name, _, value in fields}
            if "deb" in stanza.get("types", "").split():
                yield stanza
    for file in [SOURCES.parent / "sources.list", *sorted(SOURCES.glob("*.list"))]:
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            if found := re.match(r"deb\s+(?:\[.*?\]\s+)?(\S+)\s+(\S+)\s+(.+)", line):
                yield {"uris": found[1], "suites": found[2], "components": found[3]}


def _run(command: list[str], *, folder: Path | None = None, must: bool = True) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if command[0] == "apt-get":
        command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *command[1:]]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if ran.returncode and must:
        raise Unavailable(f"`{' '.join(command)[:200]}` failed: {(ran.stdout + ran.stderr)[-600:]}")
    return ran.stdout
