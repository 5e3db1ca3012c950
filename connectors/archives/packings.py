"""How archives are packed, each unpacked piece by piece: no more comes out at once than was asked for."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from migrator.errors import InputError


class Unpacker(Protocol):
    """The state of unpacking, as the standard library's ``bz2`` and ``compression.zstd`` have it."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most so many bytes; what is left of ``data`` is kept for the next call."""


class Gzip:
    """A gzip's state, which can be kept: unpacking begins anew from a copy."""

    def __init__(self, state: Any = None) -> None:
        self._state = state or zlib.decompressobj(31)
        self._tail = b""

    @property
    def eof(self) -> bool:
        """Tell whether its check was read."""
        return bool(self._state.eof)

    @property
    def needs_input(self) -> bool:
        """Tell whether nothing more comes out without more going in."""
        return not self._tail

    @property
    def unused_data(self) -> bytes:
        """Return what was given beyond its end."""
        return bytes(self._state.unused_data)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most so many bytes."""
        found: bytes = self._state.decompress(self._tail + data, max_length)
        self._tail = b"" if self._state.eof else self._state.unconsumed_tail
        return found

    def copy(self) -> Gzip:
        """Return the state as it is now."""
        return Gzip(self._state.copy())


class Packing(NamedTuple):
    """A way of packing: what it begins with, how it is unpacked, what says that it is damaged."""

    name: str
    magic: tuple[bytes, ...]
    unpacker: Callable[[], Any]  # an Unpacker; Any, for the three libraries say so each in their way
    damaged: Callable[[], type[Exception]]
    kept: bool  # its state can be copied, so that a place is found again without beginning anew


def zstd() -> Any:
    """Return the library. Raises InputError where it is missing."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd as found
        else:
            from backports import zstd as found
    except ImportError as err:
        raise InputError("an archive packed by zstd needs `pip install 'migrator[archives]'`") from err
    return found


# A zstd may begin with a frame to be skipped (RFC 8878, 3.1.2): pzstd writes one before each other.
SKIPPED = tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))
PACKINGS = (
    Packing("gzip", (b"\x1f\x8b",), Gzip, lambda: zlib.error, True),
    Packing(
        "zstd",
        (b"\x28\xb5\x2f\xfd", *SKIPPED),
        lambda: zstd().ZstdDecompressor(),
        lambda: zstd().ZstdError,
        False,
    ),
)


def of(head: bytes) -> Packing | None:
    """Return how something is packed that begins so; None where it is not."""
    return next((one for one in PACKINGS if head.startswith(one.magic)), None)
