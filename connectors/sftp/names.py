"""Names of files as text: bytes that are no UTF-8, and what would break a line, stand as percent and two digits."""

from __future__ import annotations

import re

DEEPEST = 9999
PART = b".migrator-part"  # ends the name of a file until it is whole; lies in a folder until its record is written
ENTRY, FOLDER = "entry", "folder"
ODD = re.compile(rb"[\x00-\x1f\x7f%]")


def shown(path: bytes) -> str:
    """Return a path as text; ``raw`` is the way back."""
    escaped = ODD.sub(lambda found: b"%%%02X" % found[0][0], path)
    text = escaped.decode("utf-8", "surrogateescape")
    return re.sub("[\ud800-\udfff]", lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)


def raw(text: str) -> bytes:
    """Return the bytes of a path."""
    return re.sub(rb"%([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), text.encode("utf-8"))


def record_id(path: str, *, folder: bool) -> str:
    """Return the id of an entry.

    Ids are in the order of writing: folders after what lies in them, or that would move their dates, and deep ones
    first. Missing folders above an entry are made on the way, and marked until their own record is written.
    """
    return f"{FOLDER}-{DEEPEST - path.count('/'):04}/{path}" if folder else f"{ENTRY}/{path}"


def folder_of(path: str) -> str | None:
    """Return the id of the folder an entry lies in; None for what lies at the top."""
    above = path.rpartition("/")[0]
    return record_id(above, folder=True) if above else None


def path_of(id: str) -> str:
    """Return the path an id names."""
    return id.partition("/")[2]
