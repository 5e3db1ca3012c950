"""What an archive says it holds, entry by entry; what no honest archive holds is named and never followed.

Nothing of it is unpacked: an entry is a name, what it is, and where its bytes lie.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from migrator.errors import VendorError

from .unpacked import Unpacked

MOST_MEMBERS = 20_000_000
LAST_SECOND = 253_402_300_799  # of the year 9999
PIECE_BYTES = 2**18
Pieces = tuple[tuple[int, int], ...]  # of a file with holes: (place in the file, bytes)


@dataclass(frozen=True)
class Shape:
    """How a panel packs. ``rooted``: everything lies in one folder. ``nested``: archives within it, by their path, with
    what stands before the paths of what they hold.
    """

    rooted: bool = True
    nested: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """One entry. ``path``: below the archive's root. ``why``: what is wrong with it; then nothing else of it counts.

    ``within``: where the archive lies that it is in, as ``offset.size>``; empty for the outer one.
    """

    path: bytes
    type: str  # file, folder, link, same (another name of ``link``) or other
    mode: int
    mtime: int
    size: int
    at: int
    link: bytes = b""
    pieces: Pieces = ()
    why: str = ""
    within: str = ""

    @property
    def span(self) -> str:
        """Return where its bytes lie, as a text: ``offset.size``, and the pieces of a file with holes."""
        pieces = (f"{place}.{size}" for place, size in self.pieces)
        return self.within + ";".join([f"{self.at}.{self.size}", *pieces])


def members(archive: Unpacked, shape: Shape) -> Iterator[Member]:
    """Yield the entries in their order, from the first on."""
    seen: set[int] = set()
    links: set[bytes] = set()
    for one in _entries(archive, shape):
        yield _judged(one, seen, links)
    _to_the_end(archive)


def _to_the_end(archive: Unpacked) -> None:
    while archive.read(PIECE_BYTES):
        pass  # the check of what was packed stands at the end


def _root(archive: Unpacked) -> bytes:
    """Return the folder everything lies in: what the first name that has one begins with."""
    for number, info in enumerate(_infos(archive)):
        parts = [part for part in _bytes(info.name).split(b"/") if part != b"."]
        if len(parts) > 1 or (info.isdir() and parts != [b""]):
            return parts[0]
        if number > 100:
            break
    raise VendorError(f"{archive.path.name}: no folder in it that could be an account's")


def _entries(archive: Unpacked, shape: Shape) -> Iterator[Member]:
    root = _root(archive) if shape.rooted else b""
    for info in _infos(archive):
        one = _member(info, root)
        before = shape.nested.get(one.path)
        if before is None or one.type != "file" or one.why:
            yield one
            continue
        inner = archive.inner(one.at, one.size)
        inner.seek(0)
        for within in _infos(inner):
            found = _member(within, b"", before)
            if found.path != before:  # the folder that was packed
                yield replace(found, within=f"{one.at}.{one.size}>")
        _to_the_end(inner)


def _infos(archive: Unpacked) -> Iterator[tarfile.TarInfo]:
    """Yield the headers of a tar, however many there are."""
    last = -1
    archive.seek(0)
    try:
        with tarfile.open(fileobj=archive, mode="r:", errors="surrogateescape", encoding="utf-8") as tar:
            for number in range(MOST_MEMBERS):
                info = tar.next()
                if info is None:
                    return _ended(archive, tar.offset)
                tar.members = []  # type: ignore[attr-defined]  # or it keeps them all
                if info.size < 0 or info.offset_data <= last:
                    raise VendorError(f"{archive.path.name}: the entry {number} says it is {info.size} bytes long")
                last = info.offset_data
                yield info
    except (tarfile.TarError, EOFError, OverflowError, ValueError, RecursionError) as err:
        raise VendorError(f"{archive.path.name} is no whole tar: {type(err).__name__}: {err}") from err
    raise VendorError(f"{archive.path.name} has more than {MOST_MEMBERS} entries")


def _ended(archive: Unpacked, at: int) -> None:
    """Look for the block of zeros that ends a tar: one that was cut off between two entries has none."""
    archive.seek(at)
    if archive.read(512) != bytes(512):
        raise VendorError(f"{archive.path.name} ends without the mark of its end: it was cut off")


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _member(info: tarfile.TarInfo, root: bytes, before: bytes = b"") -> Member:
    name = _bytes(info.name)
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    why = ""
    if name.startswith(b"/"):
        why = "its name begins at the root of the file system"
    elif b".." in parts:
        why = "its name leads out of the archive"
    elif b"\x00" in name:
        why = "its name holds a NUL"
    elif root and parts and parts[0] != root:
        why = "it lies outside of the account's folder"
    type, link = _type(info), _bytes(info.linkname)
    if type == "same":
        inside = [part for part in link.split(b"/") if part not in (b"", b".")]
        if link.startswith(b"/") or b".." in inside or (root and inside[:1] != [root]):
            why = why or "it is another name of a file outside of the account's folder"
        link = before + b"/".join(inside[1:] if root else inside)
    path = name if why else before + b"/".join(parts[1:] if root else parts)
    pieces: Pieces = tuple((int(place), int(size)) for place, size in getattr(info, "sparse", None) or ())
    if pieces and any(place < 0 or size < 0 or place + size > info.size for place, size in pieces):
        why = why or "its holes reach beyond its end"
    mtime = int(min(max(info.mtime, 0), LAST_SECOND))
    return Member(path, type, info.mode & 0o7777, mtime, info.size, info.offset_data, link, pieces, why)


def _type(info: tarfile.TarInfo) -> str:
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    if info.issym():
        return "link"
    return "same" if info.islnk() else "other"


def _judged(one: Member, seen: set[int], links: set[bytes]) -> Member:
    if one.why:
        return one
    parts = one.path.split(b"/")
    above = (b"/".join(parts[:upto]) for upto in range(1, len(parts)))
    if links and any(folder in links for folder in above):
        return replace(one, why="it lies below a link: whoever unpacks it writes elsewhere")
    mark = int.from_bytes(hashlib.blake2b(one.path, digest_size=8).digest(), "big")
    if one.type == "link":
        links.add(one.path)
    if mark in seen and one.type != "folder":
        return replace(one, why="it is there twice: which one counts is not known")
    seen.add(mark)
    return one


class Above:
    """The folders that entries lie in, of which an archive need not hold all: whoever unpacks it makes them."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._above: set[str] = set()

    def note(self, path: str, *, written: bool) -> None:
        """Note an entry; what is not ``written`` needs no folder."""
        self._held.add(hash(path))
        if written and (folder := path.rpartition("/")[0]) not in self._above:
            while folder and folder not in self._above:
                self._above.add(folder)
                folder = folder.rpartition("/")[0]

    def implied(self) -> list[str]:
        """Return those that are no entries themselves, in the order of their names."""
        return sorted(folder for folder in self._above if hash(folder) not in self._held)


def content(archive: Unpacked, span: str) -> Iterator[bytes]:
    """Yield the bytes that lie at a ``span``; holes are zeros."""
    outer, _, span = span.rpartition(">")
    if outer:
        begin, length = (int(number) for number in outer.split("."))
        archive = archive.inner(begin, length)
    (at, size), *pieces = [tuple(int(number) for number in part.split(".")) for part in span.split(";")]
    place = 0
    for begin, length in pieces or [(0, size)]:
        while place < begin:
            zeros = min(PIECE_BYTES, begin - place)
            yield bytes(zeros)
            place += zeros
        yield from _read(archive, at, length)
        at, place = at + length, place + length
    while place < size:
        zeros = min(PIECE_BYTES, size - place)
        yield bytes(zeros)
        place += zeros


def _read(archive: Unpacked, at: int, length: int) -> Iterator[bytes]:
    archive.seek(at)
    while length:
        piece = archive.read(min(PIECE_BYTES, length))
        if not piece:
            raise VendorError(f"{archive.path.name} ends in the middle of a file")
        length -= len(piece)
        yield piece
