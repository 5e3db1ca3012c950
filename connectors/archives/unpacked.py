"""The bytes of an archive, packed or not, read at any place without being unpacked to disk; within bounds."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from migrator.errors import InputError, VendorError

from . import packings

TAR_AT, TAR = 257, b"ustar"
PIECE_BYTES = 2**18
PACKED_BYTES = 2**16  # read of what is packed at once
SPAN_BYTES = 2**23  # between two places from which unpacking can begin anew; each of a gzip takes 40 kB of memory
PARKED = 4  # states that cannot be copied and are kept where their reader left off
KEPT_BYTES = 1024  # of what was read last, for a step back
ASKED_BYTES = 2**24  # at most in one read: a header that says it is longer is none of an honest archive
SLACK_BYTES = 2**28  # so much may come out before the ratio counts


@dataclass(frozen=True)
class Bounds:
    """How much may come out of an archive: in all, and for each byte of it."""

    most_bytes: int = 2**40
    most_ratio: int = 200


@dataclass(frozen=True)
class Mark:
    """A place from which unpacking can begin: in what comes out, in the file, and the state there (None: a new one)."""

    out: int
    at: int
    state: Any = None
    rest: bytes = b""


@dataclass
class Marks:
    """Places from which unpacking can begin, of one archive and of those within it."""

    found: list[Mark] = field(default_factory=list)
    parked: list[Mark] = field(default_factory=list)
    within: dict[int, Marks] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, mark: Mark) -> None:
        """Keep a place, unless there is one near."""
        with self.lock:
            if not self.found or mark.out >= self.found[-1].out + SPAN_BYTES:
                self.found.append(mark)

    def park(self, mark: Mark) -> None:
        """Keep the state of a reader that leaves off; whoever goes on from there has it for himself."""
        with self.lock:
            self.parked = [*self.parked[-PARKED + 1 :], mark]

    def before(self, place: int, beyond: int) -> Mark | None:
        """Return the last place that is not behind this one, if it lies beyond another."""
        with self.lock:
            last = max(
                (one for one in [*self.found, *self.parked] if beyond < one.out <= place), key=_out, default=None
            )
            if last:
                self.parked = [one for one in self.parked if one is not last]
            return last

    def inner(self, at: int) -> Marks:
        """Return those of an archive that lies within."""
        with self.lock:
            return self.within.setdefault(at, Marks())


def _out(mark: Mark) -> int:
    return mark.out


class Unpacked(io.RawIOBase):
    """What comes out of an archive, as a file that is only read. Raises VendorError beyond bounds, or if damaged.

    ``within``: the archive that it lies in, where it begins there, and how long it is.
    """

    def __init__(
        self, path: Path, bounds: Bounds, marks: Marks, within: tuple[Unpacked, int, int] | None = None
    ) -> None:
        super().__init__()
        self.path, self.bounds, self.marks = path, bounds, marks
        self._inner: dict[int, Unpacked] = {}
        self._file: BinaryIO | _Part = _Part(*within) if within else _opened(path)
        head = self._file.read(TAR_AT + len(TAR))
        self._packing = packings.of(head)
        if not self._packing and head[TAR_AT:] != TAR:
            self._file.close()
            if within:
                raise VendorError(f"{path.name}: what lies at {within[1]} is no tar, though its name says so")
            raise InputError(f"{path} is neither a tar nor one packed", remedy="join the parts of one that was split")
        self._pos, self._base, self._chunk = 0, 0, b""
        self._state: Any = None
        try:
            self._begin(Mark(0, 0))
        except InputError:
            self._file.close()
            raise

    @property
    def packed(self) -> bool:
        """Tell whether it is packed."""
        return self._packing is not None

    def inner(self, at: int, size: int) -> Unpacked:
        """Return an archive that lies within this one; it is closed with it."""
        if at not in self._inner:
            self._inner[at] = Unpacked(self.path, self.bounds, self.marks.inner(at), (self, at, size))
        return self._inner[at]

    def _begin(self, mark: Mark) -> None:
        self._park()
        self._file.seek(mark.at)
        self._rest, self._chunk, self._base = mark.rest, b"", mark.out
        if self._packing:
            kept = mark.state.copy() if mark.state and self._packing.kept else mark.state
            self._state = kept or self._packing.unpacker()

    def _park(self) -> None:
        """Leave the state where another reader finds it, if it cannot be made again."""
        out = self._base + len(self._chunk)
        if self._packing and not self._packing.kept and out and self._state and not self._state.eof:
            self.marks.park(Mark(out, self._file.tell(), self._state, self._rest))
        self._state = None

    def close(self) -> None:
        """Close the archive."""
        if not self.closed:
            for one in self._inner.values():
                one.close()
            if not self._file.closed:
                self._park()
            self._file.close()
        super().close()

    def readable(self) -> bool:
        """Tell that it is read."""
        return True

    def seekable(self) -> bool:
        """Tell that any place can be read."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._pos

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; what lies between is unpacked on the way when it is read."""
        if whence != io.SEEK_SET:
            place += self._pos
            if whence == io.SEEK_END:
                raise VendorError("the end of an archive is not known before it is read")
        self._pos = place
        return place

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or fewer at the end."""
        if not 0 <= size <= ASKED_BYTES:
            raise VendorError(f"{self.path.name}: a header says that it is {size} bytes long")
        if not self._packing:
            self._file.seek(self._pos)
            found = self._file.read(size)
            self._pos += len(found)
            return found
        self._come_to(self._pos)
        parts, wanted = [], size
        while wanted and self._there(self._pos):
            at = self._pos - self._base
            part = self._chunk[at : at + wanted]
            parts.append(part)
            self._pos += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def _come_to(self, place: int) -> None:
        back = place < self._base
        mark = self.marks.before(place, -1 if back else self._base + len(self._chunk))
        if back or mark:
            self._begin(mark or Mark(0, 0))

    def _there(self, place: int) -> bool:
        """Unpack until a place is at hand; False at the end."""
        while place >= self._base + len(self._chunk):
            more = self._next()
            if not more:
                return False
            kept = self._chunk[-KEPT_BYTES:]
            self._base += len(self._chunk) - len(kept)
            self._chunk = kept + more
            if self._base > self.bounds.most_bytes:
                raise VendorError(
                    f"{self.path.name} holds more than {self.bounds.most_bytes} bytes (options.most_bytes)"
                )
        return True

    def _next(self) -> bytes:
        assert self._packing
        try:
            while True:
                if (self._state.eof or self._state.needs_input) and not self._rest and not self._more():
                    return b""
                if self._state.eof:
                    if not self._rest.strip(b"\0"):  # filled up to a block
                        self._rest = b""
                        continue
                    self._state = self._packing.unpacker()
                    self.marks.note(Mark(self._base + len(self._chunk), self._file.tell() - len(self._rest)))
                given, self._rest = self._rest, b""
                found: bytes = self._state.decompress(given, PIECE_BYTES)
                if self._state.eof:
                    self._rest = self._state.unused_data
                if found:
                    return found
        except self._packing.damaged() as err:
            raise VendorError(f"{self.path.name} is damaged near byte {self._file.tell()}: {err}") from err

    def _more(self) -> bool:
        """Read on in what is packed; False at its end. Raises VendorError where too much came out of what was read."""
        assert self._packing
        out, read = self._base + len(self._chunk), self._file.tell()
        if out > SLACK_BYTES and out > read * self.bounds.most_ratio:
            raise VendorError(f"{self.path.name}: {out} bytes came out of {read}, which no account packs to")
        if self._packing.kept and not self._state.eof:
            self.marks.note(Mark(out, read, self._state.copy()))
        self._rest = self._file.read(PACKED_BYTES)
        if not self._rest and not self._state.eof:
            raise VendorError(f"{self.path.name} ends in the middle: it was cut off")
        return bool(self._rest)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as err:
        raise InputError(f"the archive {path} cannot be read: {err.strerror}") from err


class _Part:
    """A file that lies within an archive."""

    def __init__(self, archive: Unpacked, at: int, size: int) -> None:
        self.archive, self.at, self.end, self._pos, self.closed = archive, at, at + size, at, False

    def tell(self) -> int:
        return self._pos - self.at

    def seek(self, place: int) -> int:
        self._pos = self.at + place
        return place

    def read(self, size: int) -> bytes:
        self.archive.seek(self._pos)
        found = self.archive.read(min(size, max(0, self.end - self._pos)))
        self._pos += len(found)
        return found

    def close(self) -> None:
        self.closed = True
