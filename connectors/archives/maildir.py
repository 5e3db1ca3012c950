"""Messages as a Maildir keeps them, as they would come over the wire: line ends, flags, folders, dates."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from migrator.connectors.imap.names import Namespace
from migrator.errors import VendorError

GZIP = b"\x1f\x8b\x08"
FLAGS = {"S": "seen", "R": "answered", "F": "flagged", "D": "draft", "T": "deleted"}
MOST_BYTES = 2**29  # of one message
LEVELS = Namespace("", ".")


@dataclass(frozen=True)
class Kept:
    """Where a message lies: the mailbox ("" is the account's own), its folder, the file's name and its flags."""

    login: str
    folder: str
    file: str
    flags: tuple[str, ...]
    letters: str  # of keywords, which the folder's own list names

    @classmethod
    def at(cls, path: bytes, place: re.Pattern[bytes]) -> Kept | None:
        """Return where the message with this path lies, None for what is no message.

        ``place``: where a panel keeps them, with groups ``domain``, ``user``, ``folder`` and ``file``.
        """
        found = place.fullmatch(path)
        if not found:
            return None
        file = found["file"].decode("utf-8", "replace")
        base, _, info = file.partition(":2,")
        flags = tuple(FLAGS[letter] for letter in info.partition(",")[0] if letter in FLAGS)
        letters = "".join(sorted(letter for letter in info if letter.islower()))
        return cls(login(found), folder_name(found["folder"]), base, tuple(sorted(set(flags))), letters)


def login(found: re.Match[bytes]) -> str:
    """Return the address a path belongs to; empty for the account's own mailbox."""
    if found["domain"] is None:
        return ""
    return f"{found['user'].decode('utf-8', 'replace')}@{found['domain'].decode('utf-8', 'replace')}".lower()


def folder_name(native: bytes | None) -> str:
    """Return a Maildir folder's name as ours: ``/`` between levels, modified UTF-7 decoded (RFC 3501 5.1.3)."""
    if not native:
        return "INBOX"
    return LEVELS.name(decoded(native.decode("utf-8", "replace").removeprefix("INBOX.")))


def decoded(name: str) -> str:
    """Return a name in modified UTF-7 as text; one that is none stays as it is."""

    def one(found: re.Match[str]) -> str:
        if not found[1]:
            return "&"
        coded = found[1].replace(",", "/")
        return base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True).decode("utf-16-be")

    try:
        return re.sub(r"&([A-Za-z0-9+,]*)-", one, name)
    except (binascii.Error, UnicodeError):
        return name


def keywords(text: str, letters: str) -> list[str]:
    """Return the words behind letters, by the folder's ``dovecot-keywords``: ``0 $Forwarded``."""
    named: dict[str, str] = {}
    for line in text.splitlines():
        number, _, word = line.partition(" ")
        if number.isdecimal() and int(number) < 26 and word:
            named[chr(ord("a") + int(number))] = word.strip()
    return sorted(named[letter] for letter in letters if letter in named)


def wire(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a stored message's bytes as IMAP sends them: unpacked where it was packed, every line ending in CR LF."""
    last = b""
    for piece in _plain(pieces):
        piece = piece.replace(b"\x00", b"\x80")  # as Dovecot itself sends it: a literal may hold no NUL (facts.yaml)
        fixed = re.sub(rb"(?<!\r)\n", b"\r\n", piece)
        if last == b"\r" and piece.startswith(b"\n"):
            fixed = fixed[1:]  # its CR came before
        last = piece[-1:] or last
        yield fixed


def _plain(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield bytes as they are, those of a gzip unpacked (Dovecot's zlib plugin keeps messages so)."""
    state, total, head, rest_of = None, 0, b"", iter(pieces)
    while len(head) < len(GZIP) and (piece := next(rest_of, b"")):
        head += piece
    if head.startswith(GZIP):
        state = zlib.decompressobj(31)
    for piece in chain([head], rest_of):
        if state is None:
            yield piece
            continue
        rest = piece
        while rest and not state.eof:
            try:
                some = state.decompress(rest, 2**18)
            except zlib.error as err:
                raise VendorError(f"a packed message is damaged: {err}") from err
            total += len(some)
            if total > MOST_BYTES:
                raise VendorError(f"a packed message is longer than {MOST_BYTES} bytes")
            if some:
                yield some
            rest = state.unconsumed_tail
    if state is not None and not state.eof:
        raise VendorError("a packed message ends in the middle")


def subscribed(lists: Mapping[str, str], login: str) -> set[str]:
    """Return the folders a mailbox shows, by its ``subscriptions``: one a line, in version 2 levels apart by tabs."""
    found = set()
    for line in lists.get(login, "").splitlines():
        if line and not line.startswith("V\t"):
            found.add(folder_name(line.replace("\t", ".").encode()) if line != "INBOX" else "INBOX")
    return found
