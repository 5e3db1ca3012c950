"""Many small files from true servers: by a stream of tar where there is a shell, whole and right in any case."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.connector import Bundling
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, RefusedError
from migrator.testing.servers import openssh
from migrator.testing.servers.openssh import OpenSSH
from tests.servers.sftp.trees import AT, account, awkward, put, seen, steps

pytestmark = pytest.mark.servers

# What answers to `tar` at a server, and whether its streams are used. A shell needs the true one for --version only.
STARTS = 'case "$1" in --version) exec /usr/bin/tar --version;; esac; '
TARS = {
    "gnu": "", "bsdtar": 'exec bsdtar "$@"', "busybox": 'exec busybox tar "$@"',
    "noisy": 'echo "Welcome!"; exec /usr/bin/tar "$@"',
    "liar": STARTS + 'cat >/dev/null; /usr/bin/tar -P -cf - /etc/passwd',
    "endless": STARTS + 'exec cat /dev/zero',
    "cut": STARTS + '/usr/bin/tar "$@" | head -c 703000; exit 1',
    "none": 'exit 127',
}  # fmt: skip
USED = ("gnu", "bsdtar", "cut")  # in the end: what answers nothing of use is not asked again


def opened(server: OpenSSH, tree: Path, folder: Path, **options: str) -> Deliverer:
    return steps(folder, account(server, tree, **options), account(server, tree)).source()


def fetched(source: Deliverer) -> dict[str, bytes]:
    """Return the bytes of every file of the tree, by path."""
    assert isinstance(source, Bundling)
    return {url.rpartition("?")[0]: b"".join(pieces) for url, pieces in source.blobs(listed(source))}


def listed(source: Deliverer) -> list[str]:
    """Return the addresses of every file's bytes."""
    records = [record for page in source.pages("files", None, lambda stream: []) for record in page.records]
    return [str(url) for record in records if (url := json.loads(record.body).get("url"))]


@pytest.fixture(scope="module", params=TARS)
def shell(request: pytest.FixtureRequest, running: Callable[..., Any], server_folder: Path) -> tuple[OpenSSH, str]:
    """Return a server whose shell finds this tar first."""
    which = str(request.param)
    if which in ("bsdtar", "busybox") and shutil.which(which) is None:
        pytest.skip(f"needs {which}")
    programs = server_folder / f"tar-{which}"
    programs.mkdir()
    if TARS[which]:
        (programs / "tar").write_text(f"#!/bin/sh\n{TARS[which]}\n", encoding="utf-8")
        (programs / "tar").chmod(0o755)
    return running(openssh.start, f"openssh-{which}", more=f"SetEnv PATH={programs}:/usr/bin:/bin\n"), which


def test_every_file_comes_whole_whatever_tar_there_is(shell: tuple[OpenSSH, str], old: Path, tmp_path: Path) -> None:
    server, which = shell
    awkward(old)
    (old / "sparse.img").unlink()  # large, and by SFTP in any case
    for number in range(9):
        put(old, f"many/{number}.txt", b"%d" % number * number)
    source = opened(server, old, tmp_path / "w")
    assert source.tar or which in ("busybox", "noisy", "none")  # type: ignore[attr-defined]
    found = fetched(source)
    assert found == fetched(opened(server, old, tmp_path / "plain", shell="no"))
    assert len(found) == sum(1 for about in seen(old).values() if about[0] == "file")
    assert bool(source.tar) is (which in USED)  # type: ignore[attr-defined]


def test_a_file_that_changed_since_it_was_listed_or_while_tar_read_is_not_taken_from_the_stream(
    running: Callable[..., Any], old: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tar").write_text(
        f'#!/bin/sh\n{STARTS}/usr/bin/tar "$@"; printf x > "{old}/2"; exit 1\n', encoding="utf-8"
    )  # as GNU tar ends where a file became shorter, whose missing bytes it gives as zeros
    (tmp_path / "bin/tar").chmod(0o755)
    server = running(openssh.start, "openssh-changes", more=f"SetEnv PATH={tmp_path}/bin:/usr/bin:/bin\n")
    for number in range(9):
        put(old, f"{number}", b"listed")
    source = opened(server, old, tmp_path / "w")
    assert isinstance(source, Bundling)
    urls = listed(source)
    put(old, "3", b"longer than listed")
    put(old, "4", b"later!", at=AT + 5)
    (old / "5").unlink()
    came: dict[str, bytes] = {}

    def fetch() -> None:
        for url, pieces in source.blobs(urls):
            came[url.rpartition("?")[0]] = b"".join(pieces)

    with pytest.raises((AbsentError, RefusedError)):  # which the engine then asks for by itself, for the answer
        fetch()
    assert came == {str(number): b"listed" for number in (0, 1, 6, 7, 8)}


def test_check_says_whether_there_is_a_shell(running: Callable[..., Any], server: OpenSSH, tmp_path: Path) -> None:
    closed = running(openssh.start, "openssh-closed", more="ForceCommand internal-sftp\n")
    said = {
        (where, shell): opened(at, tmp_path, tmp_path / where / shell, shell=shell).check()[-1].ok
        for where, at in (("open", server), ("closed", closed))
        for shell in ("yes", "no", "perhaps")
    }
    assert [one for one, ok in said.items() if not ok] == [
        ("open", "perhaps"),
        ("closed", "yes"),
        ("closed", "perhaps"),
    ]
