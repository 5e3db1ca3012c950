"""Streams of tar with many small files: only what comes as it was listed is believed, whatever a server sends."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.connectors.sftp import streaming
from migrator.connectors.sftp.streaming import Asked, batches, believed, command, names

AT = 1_600_000_000
ODD = [
    b"plain",
    b"-rf",
    b"--help",
    b"line\nbreak",
    b"caf\xe9",
    b"a\\tb",
    b"*",
    b"@list",
    b"-C",
    b"l" * 200,
    b"d/e f",
    b"#x",
]


def asked(path: bytes, size: int = 3) -> Asked:
    return Asked(f"{path!r}?{size}.{AT}", path, size, AT)


def entry(
    name: str, body: bytes = b"abc", *, type: bytes = tarfile.REGTYPE, at: int = AT, link: str = "", size: int = -1
) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime, info.linkname = type, len(body) if size < 0 else size, at, link
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + body + bytes(-len(body) % 512)


def reading(stream: bytes) -> Callable[[int], bytes]:
    return io.BytesIO(stream).read


END = bytes(1024)
WANTED = [asked(b"a"), asked(b"b"), asked(b"c")]
HOSTILE = {
    "another file": entry("/etc/passwd") + entry("../a") + entry("z"),
    "a link of its name": entry("./a", b"", type=tarfile.SYMTYPE, link="/etc/passwd"),
    "a second name": entry("./a", b"", type=tarfile.LNKTYPE, link="./b"),
    "a folder of its name": entry("./a", b"", type=tarfile.DIRTYPE),
    "holes": entry("./a", type=tarfile.GNUTYPE_SPARSE),
    "another size": entry("./a", b"abcd"),
    "another date": entry("./a", at=AT + 1),
    "no tar": b"Welcome to acme.example!\n" * 100,
    "nothing": b"",
    "a size without end": entry("./a", size=2**40),
    "a huge head": entry("x", bytes(2**20), type=tarfile.XHDTYPE),
    "heads of heads": entry("x", b"9 path=y\n", type=tarfile.XHDTYPE) * 5000,
}


@pytest.mark.parametrize("stream", HOSTILE.values(), ids=list(HOSTILE))
def test_what_was_not_listed_so_is_not_believed(stream: bytes) -> None:
    assert believed(reading(stream + END), WANTED) == {}
    assert believed(reading(entry("./b") + stream + END), WANTED) == {WANTED[1]: b"abc"}, "what came before it counts"


def test_the_first_of_two_entries_of_a_name_counts() -> None:
    assert believed(reading(entry("./a", b"abc") + entry("./a", b"xyz") + END), WANTED) == {WANTED[0]: b"abc"}


@given(cut=st.integers(0, 4 * 1024))
def test_a_stream_that_is_cut_off_gives_whole_files_only(cut: int) -> None:
    stream = b"".join(entry(f"./{name}") for name in "abc") + END
    found = believed(reading(stream[:cut]), WANTED)
    assert list(found.values()) == [b"abc"] * len(found)
    assert len(found) == min(3, max(0, (cut - 515) // 1024 + 1 if cut >= 515 else 0))


@pytest.mark.parametrize(
    "piece", [b"\x00", entry("./other"), entry("x", b"9 path=y\n", type=tarfile.XHDTYPE), b"noise"]
)
def test_an_endless_stream_is_left_before_it_fills_the_memory(piece: bytes) -> None:
    given_, endless = 0, itertools.cycle([piece * (4096 // len(piece) + 1)])

    def read(size: int) -> bytes:
        nonlocal given_
        found = next(endless)[:size]
        given_ += len(found)
        return found

    assert believed(read, WANTED) == {}
    assert given_ <= sum(one.room for one in WANTED) + streaming.ROOM_BYTES


@given(sizes=st.lists(st.integers(0, streaming.SMALL_BYTES), max_size=60))
def test_every_file_is_in_one_batch_and_no_batch_is_large(sizes: list[int]) -> None:
    files = [asked(b"%d" % number, size) for number, size in enumerate(sizes)]
    made = list(batches(files))
    assert [one for batch in made for one in batch] == files
    assert all(sum(one.room for one in batch) <= streaming.BATCH_BYTES for batch in made)


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_names_of_any_bytes_come_as_they_are_by_each_tar(tmp_path: Path, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    top = os.fsencode(tmp_path)
    for number, path in enumerate(ODD):
        where = top + b"/" + path
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "wb") as file:
            file.write(b"%03d" % number)
        os.utime(where, (AT, AT))
    os.symlink(b"plain", top + b"/link")
    for paths in (ODD, [top + b"/" + path for path in ODD]):
        wanted = [asked(path) for path in paths]
        found = believed(
            reading(answered(program, [*wanted, asked(b"link"), asked(b"gone"), asked(b"d")], tmp_path)), wanted
        )
        assert [found.get(one) for one in wanted] == [b"%03d" % number for number in range(len(ODD))]


def answered(program: str, wanted: Sequence[Asked], folder: Path) -> bytes:
    version = subprocess.run([program, "--version"], capture_output=True, check=True).stdout
    line = command(b"/home/acme\n" + version, b"/home/acme").replace(" tar ", f" {program} ")
    done = subprocess.run(line.split(), input=names(wanted), cwd=folder, capture_output=True, check=False)
    assert done.returncode != 0, "a file that is gone shows"
    return done.stdout


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"/\ntar (GNU tar) 1.34\n",  # the shell sees another tree than SFTP
        b"Welcome!\n/home/acme\ntar (GNU tar) 1.34\n",
        b"/home/acme\ntar (busybox) 1.35.0\n",
        b"/home/acme\nsh: tar: not found\n",
        b"This account is currently not available.\n",
    ],
)
def test_a_shell_that_is_not_understood_is_not_used(said: bytes) -> None:
    assert command(said, b"/home/acme") == ""
