"""Writes archives, for tests and trials: what a header is to say, it says, true or not."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from . import packings

AT = 1_600_000_000
Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, body: bytes = b"", **more: object) -> Entry:
    """Return an entry of an archive, as it is said there: whatever ``more`` says (type, linkname, size) is believed."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode, info.uname = len(body), AT, 0o644, "somebody"
    for key, value in more.items():
        setattr(info, key, value)
    return info, body


def tar(some: Iterable[Entry]) -> bytes:
    """Return a tar; an entry whose header says another size than its bytes have is written as it says."""
    out = io.BytesIO()
    for info, body in some:
        out.write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
        out.write(body + bytes(-len(body) % 512))
    out.write(bytes(1024))
    return out.getvalue()


def packed(made: bytes, by: str) -> bytes:
    """Return something packed by ``gzip``, by ``zstd`` (two frames, one to be skipped before each, as pzstd does), or
    as it is.
    """
    if by == "gzip":
        return gzip.compress(made, 6, mtime=0)
    if by != "zstd":
        return made
    zstd, half, skip = packings.zstd(), len(made) // 2, packings.SKIPPED[0] + (4).to_bytes(4, "little") + b"size"
    options = {zstd.CompressionParameter.checksum_flag: 1}  # as the program zstd has it
    return b"".join(skip + zstd.compress(part, options=options) for part in (made[:half], made[half:]))


def write(path: Path, some: Iterable[Entry], *, by: str = "gzip") -> Path:
    """Write an archive."""
    path.write_bytes(packed(tar(some), by))
    return path
