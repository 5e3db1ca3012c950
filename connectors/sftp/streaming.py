"""Many small files by one stream of tar: how it is asked for, and what of the answer is believed.

The names go to its standard input, a NUL after each, never into a command line. Whatever does not come as it was
listed (a link by now, another size or date, holes, a second name of the same file) is left to SFTP.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

SMALL_BYTES = 2**20  # what is larger comes by SFTP, whose many pieces on the way are as fast
BATCH_BYTES = 2**23  # of a stream, which is in memory until it was judged
BATCH_NAMES_BYTES = 2**17
FEW = 4  # files that are asked for one by one: a stream costs as much as some of them
ROOM_BYTES = 2**14  # that tar may add at the end: a whole record
BLOCK = 512

LOOK = "pwd -P; tar --version"
# --format=gnu, gnutar: names as they are, no holes. --hard-dereference: a second name of a file has its bytes too.
GNU = "env LC_ALL=C TAR_OPTIONS= tar --format=gnu --no-recursion --hard-dereference --no-unquote -P --null -T - -cf -"
BSD = "env LC_ALL=C tar --format gnutar --no-recursion -P --null -T - -cf -"


@dataclass(frozen=True)
class Asked:
    """A file as it was listed. ``name``: as tar hears it and says it again; it begins with ``/`` or ``./``."""

    url: str
    path: bytes
    size: int
    mtime: int

    @property
    def name(self) -> bytes:
        """Return the path in a form that is no option, whatever it begins with."""
        return self.path if self.path.startswith(b"/") else b"./" + self.path

    @property
    def fits(self) -> bool:
        """Tell whether it is a file for a stream."""
        return self.size <= SMALL_BYTES and b"\x00" not in self.path

    @property
    def room(self) -> int:
        """Return how many bytes an honest tar makes of it at most: a head, the name, where it is long, the content."""
        return 3 * BLOCK + _blocks(len(self.name) + 1) + _blocks(self.size)


def command(answer: bytes, home: bytes) -> str:
    """Return the command that streams files, by the answer to ``LOOK``; empty where there is none we know.

    ``home``: where SFTP begins. A shell that begins elsewhere sees another tree, or the same by other names.
    """
    begins, _, rest = answer.partition(b"\n")
    if begins != home:
        return ""
    if re.match(rb"tar \(GNU tar\) ", rest):
        return GNU
    return BSD if re.match(rb"bsdtar ", rest) else ""


def sure(command: str) -> bool:
    """Tell whether its exit status says that a file changed while it was read: GNU tar fills up what became shorter."""
    return command == GNU


def batches(asked: Iterable[Asked]) -> Iterator[list[Asked]]:
    """Yield the files of a stream each."""
    batch: list[Asked] = []
    room = names = 0
    for one in asked:
        if batch and (room + one.room > BATCH_BYTES or names + len(one.name) > BATCH_NAMES_BYTES):
            yield batch
            batch, room, names = [], 0, 0
        batch.append(one)
        room, names = room + one.room, names + len(one.name)
    if batch:
        yield batch


def names(asked: Sequence[Asked]) -> bytes:
    """Return what tar reads."""
    return b"".join(one.name + b"\x00" for one in asked)


def believed(read: Callable[[int], bytes], asked: Sequence[Asked]) -> dict[Asked, bytes]:
    """Return what came of the files that were asked for, as long as they were, with their dates.

    ``read`` gives some bytes of the stream, none at its end. No more is read than honest answers take, so that neither
    an endless stream nor a header that lies takes more memory; what stands behind damage is not read.
    """
    stream = _Bounded(read, sum(one.room for one in asked) + ROOM_BYTES)
    wanted = {one.name: one for one in asked}
    found: dict[Asked, bytes] = {}
    try:
        with tarfile.open(fileobj=cast(Any, stream), mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
            for info in tar:
                one = wanted.get(info.name.encode("utf-8", "surrogateescape"))
                if one is None or not _as_listed(info, one):
                    continue
                held = tar.extractfile(info)
                body = held.read() if held else b""
                if len(body) == one.size:
                    found[wanted.pop(one.name)] = body
    except (tarfile.TarError, EOFError, OverflowError, ValueError, RecursionError):
        return found
    stream.drained()
    return found


def _as_listed(info: tarfile.TarInfo, one: Asked) -> bool:
    plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and getattr(info, "sparse", None) is None
    return plain and info.size == one.size and int(info.mtime) == one.mtime


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


class _Bounded:
    """A stream that ends after so many bytes. Raises EOFError for whoever reads on behind its end: tarfile would skip
    2**40 bytes there by asking for them, ten thousand at a time.
    """

    def __init__(self, read: Callable[[int], bytes], room: int) -> None:
        self._read, self._room, self._over = read, room, False

    def read(self, size: int) -> bytes:
        """Return some bytes."""
        if self._over:
            raise EOFError
        found = self._read(min(size, self._room)) if self._room > 0 else b""
        self._room -= len(found)
        self._over = not found
        return found

    def drained(self) -> None:
        """Read to the end, so that whoever writes can say how it went."""
        while not self._over:
            self.read(2**15)
