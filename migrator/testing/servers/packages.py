"""Debian packages a server needs: installed where that is allowed, else said to be missing."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

INSTALL_SECONDS = 900


class Unavailable(Exception):
    """The server cannot run here; the message says why. A test becomes a skip."""


def need(apt: Sequence[str] = (), *, programs: Sequence[str] = ()) -> None:
    """See to it that the Debian packages ``apt`` are installed, and that ``programs`` are found.

    Installs what is missing as root, unless ``MIGRATOR_NO_APT`` is set. Raises Unavailable with the reason.
    """
    if missing := _missing(apt):
        _may_install(missing)
        # Two workers of pytest want the same packages at the same time.
        with (Path(tempfile.gettempdir()) / "migrator-apt.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if missing := _missing(apt):
                _install(missing)
    for program in programs:
        if shutil.which(program) is None:
            raise Unavailable(f"the program {program} is not installed")


def _missing(packages: Sequence[str]) -> list[str]:
    if not packages:
        return []
    if shutil.which("dpkg-query") is None:
        raise Unavailable(f"needs the Debian packages {', '.join(packages)}; this is not Debian")
    asked = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *packages]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in said.splitlines() if line.endswith(" installed")}
    return [package for package in packages if package not in installed]


def _may_install(missing: Sequence[str]) -> None:
    names = " ".join(missing)
    if os.environ.get("MIGRATOR_NO_APT"):
        raise Unavailable(f"needs `apt-get install {names}`, and MIGRATOR_NO_APT is set")
    if os.geteuid() != 0:
        raise Unavailable(f"needs `apt-get install {names}`, which only root may do")


def _install(missing: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
    said = ""
    for command in (["apt-get", "install", *options], ["apt-get", "update", "-q"], ["apt-get", "install", *options]):
        whole = [*command, *missing] if command[1] == "install" else command
        try:
            ran = subprocess.run(
                whole, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as err:
            raise Unavailable(f"`{' '.join(whole)}` took more than {INSTALL_SECONDS} s") from err
        said = (ran.stdout + ran.stderr)[-600:]
        if ran.returncode == 0 and not _missing(missing):
            return
    raise Unavailable(f"`apt-get install {' '.join(missing)}` failed: {said}")
