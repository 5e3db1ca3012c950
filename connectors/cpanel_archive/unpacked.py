"""The bytes of an archive, compressed or not, read at any place without being unpacked to disk; within bounds."""

from __future__ import annotations

import io
import threading
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from migrator.errors import InputError, VendorError

GZIP, TAR_AT, TAR = b"\x1f\x8b", 257, b"ustar"
PIECE_BYTES = 2**18
SPAN_BYTES = 2**23  # between two places from which unpacking can begin anew; each takes 40 kB of memory
KEPT_BYTES = 1024  # of what was read last, for a step back
ASKED_BYTES = 2**24  # at most in one read: a header that says it is longer is none of an honest archive
SLACK_BYTES = 2**28  # so much may come out before the ratio counts


@dataclass(frozen=True)
class Bounds:
    """How much may come out of an archive: in all, and for each byte of it."""

    most_bytes: int = 2**40
    most_ratio: int = 200


@dataclass
class Marks:
    """Places from which unpacking can begin: (place in what comes out, in the file, the state there)."""

    found: list[tuple[int, int, object]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, out: int, at: int, state: object) -> None:
        """Keep a place, unless there is one near."""
        with self.lock:
            if not self.found or out >= self.found[-1][0] + SPAN_BYTES:
                self.found.append((out, at, state))

    def before(self, place: int) -> tuple[int, int, object] | None:
        """Return the last place that is not behind this one."""
        with self.lock:
            return max((one for one in self.found if one[0] <= place), key=lambda one: one[0], default=None)


class Unpacked(io.RawIOBase):
    """What comes out of an archive, as a file that is only read. Raises VendorError beyond bounds, or if damaged."""

    def __init__(self, path: Path, bounds: Bounds, marks: Marks) -> None:
        super().__init__()
        self.path, self.bounds, self.marks = path, bounds, marks
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as err:
            raise InputError(f"the archive {path} cannot be read: {err.strerror}") from err
        head = self._file.read(TAR_AT + len(TAR))
        self.packed = head.startswith(GZIP)
        if not self.packed and head[TAR_AT:] != TAR:
            self._file.close()
            raise InputError(f"{path} is neither a tar nor a tar.gz", remedy="join the parts of one that was split")
        self._pos = 0
        self._begin(0, 0, zlib.decompressobj(31))

    def _begin(self, out: int, at: int, state: object) -> None:
        self._file.seek(at)
        self._state, self._rest, self._chunk, self._base = state, b"", b"", out

    def close(self) -> None:
        """Close the archive."""
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
        if not self.packed:
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
        end, mark = self._base + len(self._chunk), self.marks.before(place)
        if place < self._base or (mark and mark[0] > end):
            self._begin(*(mark[0], mark[1], mark[2].copy()) if mark else (0, 0, zlib.decompressobj(31)))  # type: ignore[attr-defined]

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
        state = self._state
        try:
            while True:
                if not self._rest:
                    out = self._base + len(self._chunk)
                    read = self._file.tell()
                    if out > SLACK_BYTES and out > read * self.bounds.most_ratio:
                        raise VendorError(
                            f"{self.path.name}: {out} bytes came out of {read}, which no account packs to"
                        )
                    if not state.eof:  # type: ignore[attr-defined]
                        self.marks.note(out, read, state.copy())  # type: ignore[attr-defined]
                    self._rest = self._file.read(2**16)
                    if not self._rest:
                        if state.eof:  # type: ignore[attr-defined]
                            return b""
                        raise VendorError(f"{self.path.name} ends in the middle: it was cut off")
                if state.eof:  # type: ignore[attr-defined]
                    if not self._rest.strip(b"\0"):  # filled up to a block
                        self._rest = b""
                        continue
                    self._state = state = zlib.decompressobj(31)
                found: bytes = state.decompress(self._rest, PIECE_BYTES)  # type: ignore[attr-defined]
                self._rest = state.unused_data if state.eof else state.unconsumed_tail  # type: ignore[attr-defined]
                if found:
                    return found
        except zlib.error as err:
            raise VendorError(f"{self.path.name} is damaged near byte {self._file.tell()}: {err}") from err
