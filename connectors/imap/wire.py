"""One connection to an IMAP server, signed in to one mailbox. The only module that imports imapclient.

Bytes stream both ways: a large message is fetched in pieces and sent from its file, whatever its size.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError
from imapclient.util import to_bytes

from migrator.errors import AccessError, InputError, RefusedError, RetryError, UnknownOutcomeError

from .names import Namespace

CONNECT_SECONDS, ANSWER_SECONDS = 20, 300
PIECE_BYTES = 2**20  # of a message that is fetched, or sent, in pieces
WINDOW = 50_000  # numbers searched at once: a longer line is more than Python's imaplib reads
UNSYNCED_BYTES = 2**16  # sent without waiting for the server's consent: what it refuses was sent in vain
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LATER = re.compile(r"\[(UNAVAILABLE|INUSE|SERVERBUG|LIMIT)\]", re.I)  # RFC 5530: the same may go another time
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Server:
    """Where a server listens. ``plain``: a person allows the password to go unencrypted."""

    host: str
    port: int
    tls: bool
    plain: bool = False

    @classmethod
    def at(cls, url: str, *, plain: bool = False) -> Server:
        """Return the server of ``imaps://host[:port]`` or ``imap://host[:port]``. Raises InputError for another."""
        parts = urlsplit(url)
        if parts.scheme not in ("imap", "imaps") or not parts.hostname:
            raise InputError(f"'{url}' is not the address of a mail server", remedy="write imaps://mail.example.com")
        tls = parts.scheme == "imaps"
        return cls(parts.hostname, parts.port or (993 if tls else 143), tls, plain)


@dataclass(frozen=True)
class Login:
    """Who signs in; ``address`` is what both sides know the mailbox by."""

    address: str
    user: str
    password: str


@dataclass(frozen=True)
class Selected:
    """A folder that is open: its validity, the next number, and the latest change (0 where the server counts none)."""

    validity: int
    next: int
    modseq: int
    messages: int
    keywords: bool  # any keyword may be set


@dataclass(frozen=True)
class Letter:
    """A message to append."""

    flags: tuple[str, ...]
    at: datetime | None
    size: int
    file: Path


class Wire:
    """A signed-in connection. Raises AccessError, RetryError (out of reach) when it is made."""

    def __init__(self, server: Server, login: Login) -> None:
        self.login, self.folder, self.writable = login, "", False
        self.selected: Selected | None = None
        self.broken = False
        try:
            self.client = IMAPClient(
                server.host,
                server.port,
                ssl=server.tls,
                ssl_context=ssl.create_default_context() if server.tls else None,
                timeout=SocketTimeout(CONNECT_SECONDS, ANSWER_SECONDS),
            )
        except (OSError, imaplib.IMAP4.error) as err:
            raise RetryError(f"{server.host}:{server.port}: {type(err).__name__}: {_said(err)}") from err
        try:
            self._sign_in(server, login)
        except BaseException:
            self.close()
            raise

    def _sign_in(self, server: Server, login: Login) -> None:
        self.client.normalise_times = False
        try:
            if not server.tls:
                self._encrypt(server)
            self.client.login(login.user, login.password)
            listed = self.client.capabilities()
        except LoginError as err:
            if isinstance(err.__context__, (IMAPClientAbortError, OSError)) or LATER.search(_said(err)):
                raise RetryError(f"{server.host}:{server.port}: LOGIN: {_said(err)}") from err
            why = f"{server.host}: {login.address} may not sign in ({_said(err)}); check the secrets"
            raise AccessError(why) from err
        except (OSError, imaplib.IMAP4.error) as err:
            raise RetryError(f"{server.host}:{server.port}: {type(err).__name__}: {_said(err)}") from err
        self.capabilities = {word.decode("ascii", "replace").upper() for word in listed}

    def _encrypt(self, server: Server) -> None:
        if self.client.has_capability("STARTTLS"):
            self.client.starttls(ssl.create_default_context())
        elif not (server.plain or server.host in LOOPBACK):
            raise AccessError(
                f"{server.host} offers no encryption; `options: {{tls: none}}` would send passwords plain"
            )

    def close(self) -> None:
        """End the connection, without a word: a broken one may not answer."""
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self.client.shutdown()

    def has(self, capability: str) -> bool:
        """Tell whether the server says that it can."""
        return capability in self.capabilities

    @contextlib.contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Turn what a reading command ends with into our errors: RefusedError, RetryError."""
        try:
            yield
        except (IMAPClientAbortError, OSError) as err:
            self.broken = True
            raise RetryError(f"{what}: {type(err).__name__}: {_said(err)}") from err
        except IMAPClientError as err:
            raise self.refusal(what, _said(err)) from err

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Turn what a writing command ends with into our errors: UnknownOutcomeError where no answer came."""
        try:
            yield
        except (IMAPClientAbortError, OSError) as err:
            self.broken = True
            raise UnknownOutcomeError(f"{what}: {type(err).__name__}, the answer never came") from err
        except IMAPClientError as err:
            raise self.refusal(what, _said(err)) from err

    def refusal(self, what: str, said: str) -> RefusedError | RetryError:
        """Return the error for an answer NO or BAD."""
        if LATER.search(said):
            return RetryError(f"{what}: {said}", after=5.0)
        return RefusedError(f"{what}: refused", answer=said[:4000])

    # ---- folders ----------------------------------------------------------------------------------------------------

    def namespace(self) -> Namespace:
        """Return where the mailbox's own folders are."""
        with self.asking("NAMESPACE"):
            if self.has("NAMESPACE"):
                personal = self.client.namespace().personal
                if personal:
                    prefix, separator = personal[0]
                    return Namespace(prefix, separator or "")
            listed = self.client.list_folders("", "")
            return Namespace("", (listed[0][1] or b"").decode() if listed else "/")

    def shared(self) -> tuple[str, ...]:
        """Return what the names of others' folders begin with."""
        if not self.has("NAMESPACE"):
            return ()
        with self.asking("NAMESPACE"):
            found = self.client.namespace()
        return tuple(prefix for part in (found.other, found.shared) for prefix, _ in part or () if prefix)

    def folders(self) -> list[tuple[set[str], str]]:
        """Return (attributes, name) of every folder, in the server's order."""
        with self.asking("LIST"):
            found = self.client.list_folders()
        return [({flag.decode("ascii", "replace").lower() for flag in flags}, str(name)) for flags, _, name in found]

    def subscribed(self) -> set[str]:
        """Return the names of the folders that are subscribed to."""
        with self.asking("LSUB"):
            return {str(name) for _, _, name in self.client.list_sub_folders()}

    def status(self, folder: str) -> dict[str, int]:
        """Return messages, uidnext, uidvalidity and highestmodseq of a folder."""
        what = ["MESSAGES", "UIDNEXT", "UIDVALIDITY"] + (["HIGHESTMODSEQ"] if self.has("CONDSTORE") else [])
        with self.asking(f"STATUS {folder}"):
            found = self.client.folder_status(folder, what)
        return {key.decode().lower(): int(value) for key, value in found.items()}

    def quota(self) -> tuple[int, int] | None:
        """Return (bytes used, bytes allowed) of the mailbox; None where the server sets or tells no limit."""
        if not self.has("QUOTA"):
            return None
        with self.asking("GETQUOTAROOT"):
            _, quotas = self.client.get_quota_root("INBOX")
        storage = [q for q in quotas if q.resource.upper() == "STORAGE"]
        return (int(storage[0].usage) * 1024, int(storage[0].limit) * 1024) if storage else None

    def select(self, folder: str, *, write: bool = False, anew: bool = False, upto: int = 0) -> Selected:
        """Open a folder, unless it is open already (since before ``upto`` was a number of it: then it is opened anew).

        Raises RefusedError where it is not there.
        """
        held = self.selected
        if held and self.folder == folder and not anew and (self.writable or not write) and upto < (held.next or 1):
            return held
        self.folder, self.selected = "", None
        with self.asking(f"SELECT {folder}"):
            if self.has("CONDSTORE") and not self.has("IMAP4REV2"):
                with contextlib.suppress(IMAPClientError):
                    self.client.enable("CONDSTORE")
            said = self.client.select_folder(folder, readonly=not write)
        modseq = said.get(b"HIGHESTMODSEQ")
        self.selected = Selected(
            int(said[b"UIDVALIDITY"]),
            int(said.get(b"UIDNEXT") or 0),
            int(modseq[0] if isinstance(modseq, list) else modseq or 0),
            int(said.get(b"EXISTS", 0)),
            b"\\*" in said.get(b"PERMANENTFLAGS", ()),
        )
        self.folder, self.writable = folder, write
        return self.selected

    # ---- messages ---------------------------------------------------------------------------------------------------

    def numbers(self, since: int = 0, *, from_uid: int = 1) -> list[int]:
        """Return the numbers in the open folder, rising; ``since``: only of what changed after this count."""
        assert self.selected
        found: list[int] = []
        ahead = self.selected.next
        parts = [f"{low}:{min(low + WINDOW, ahead) - 1}" for low in range(from_uid, ahead, WINDOW)]
        for part in parts if ahead else [f"{from_uid}:*"]:
            criteria = ["UID", part, *(["MODSEQ", str(since + 1)] if since else [])]
            with self.asking("SEARCH"):
                found += self.client.search(criteria)
        return sorted({number for number in found if number >= from_uid})  # 9:* holds the last one, whatever it is

    def rows(self, uids: Sequence[int], *, heads: bool = True) -> dict[int, dict[bytes, Any]]:
        """Return flags, date and size of messages of the open folder, and the beginning of their heads."""
        assert self.selected
        wanted = ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]
        wanted += ["BODY.PEEK[HEADER.FIELDS (MESSAGE-ID SUBJECT)]"] if heads else []
        wanted += ["MODSEQ"] if self.selected.modseq else []
        with self.asking(f"FETCH in {self.folder}"):
            return self.client.fetch(list(uids), wanted)  # type: ignore[no-any-return]

    def bodies(self, uids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield small messages of the open folder, whole."""
        with self.asking(f"FETCH in {self.folder}"):
            found = self.client.fetch(list(uids), ["BODY.PEEK[]"])
        for uid in uids:
            body = found.pop(uid, {}).get(b"BODY[]")
            if body is not None:
                yield uid, body

    def pieces(self, uid: int) -> Iterator[bytes]:
        """Yield a large message of the open folder, piece by piece; nothing where it is gone."""
        at = 0
        while True:
            with self.asking(f"FETCH in {self.folder}"):
                found = self.client.fetch([uid], [f"BODY.PEEK[]<{at}.{PIECE_BYTES}>"])
            piece = found.get(uid, {}).get(b"BODY[]<%d>" % at)
            if piece is None:
                if at:
                    raise RetryError(f"a message of {self.folder} ended after {at} bytes")
                return
            if piece:
                yield piece
            at += len(piece)
            if len(piece) < PIECE_BYTES:
                return

    def append(self, folder: str, letters: Sequence[Letter]) -> list[tuple[int, int]] | None:
        """Append messages in one command; return (validity, number) of each, None where the server does not tell.

        More than one needs MULTIAPPEND: then all of them are there afterwards, or none (RFC 3502).
        Raises RefusedError with the server's answer, UnknownOutcomeError where none came.
        """
        what = f"APPEND to {folder}"
        imap: Any = self.client._imap  # imapclient has every message in memory: the command is put together here
        unsynced = self.has("LITERAL+") and sum(letter.size for letter in letters) <= UNSYNCED_BYTES
        with self.writing(what):
            tag = imap._new_tag()
            imap.send(to_bytes(tag) + b" APPEND " + self.client._normalise_folder(folder))
            for letter in letters:
                imap.send(b" " + _head(letter) + (b"{%d+}\r\n" if unsynced else b"{%d}\r\n") % letter.size)
                if not unsynced and not self._goes_on(imap, tag):
                    break
                _send(imap, letter)
            else:
                imap.send(b"\r\n")
            typ, said = imap._command_complete("APPEND", tag)
            text = b" ".join(part for part in said if part).decode("utf-8", "replace")
            if typ != "OK":
                raise self.refusal(what, text)
        return appended(text, len(letters))

    @staticmethod
    def _goes_on(imap: Any, tag: Any) -> bool:
        """Wait until the server wants the literal; False where it has answered the command instead."""
        while imap._get_response():
            if imap.tagged_commands[tag]:
                return False
        return True

    def put_flags(self, uid: int, flags: Sequence[str]) -> None:
        """Let a message of the open folder have exactly these flags."""
        with self.writing(f"STORE in {self.folder}"):
            self.client.set_flags([uid], [flag.encode() for flag in flags], silent=True)

    def expunge(self, uids: Sequence[int]) -> None:
        """Take messages out of the open folder, and no others. Raises RefusedError where that cannot be."""
        with self.writing(f"EXPUNGE in {self.folder}"):
            if not self.has("UIDPLUS"):
                others = set(self.client.search(["DELETED"])) - set(uids)
                if others:
                    answer = f"{len(others)} others are marked as deleted, and the server lacks UIDPLUS"
                    raise RefusedError(f"EXPUNGE in {self.folder}: not tried", answer=answer)
            self.client.add_flags(list(uids), [b"\\Deleted"], silent=True)
            if self.has("UIDPLUS"):
                self.client.uid_expunge(list(uids))
            else:
                self.client.expunge()


def appended(text: str, wanted: int) -> list[tuple[int, int]] | None:
    """Return (validity, number) of appended messages from ``[APPENDUID 38505 3955:3957]``; None without one."""
    found = re.search(r"\[APPENDUID (\d+) ([\d:,]+)\]", text, re.I)
    if not found:
        return None
    numbers: list[int] = []
    for part in found[2].split(","):
        low, _, high = part.partition(":")
        numbers += range(int(low), int(high or low) + 1) if int(high or low) - int(low) < wanted else []
    return [(int(found[1]), number) for number in numbers] if len(numbers) == wanted else None


def moment(at: datetime) -> str:
    """Return a date as IMAP writes it, in UTC; the names of months do not follow the machine's language."""
    at = at.astimezone(UTC)
    return f"{at.day:02d}-{MONTHS[at.month - 1]}-{at.year:04d} {at:%H:%M:%S} +0000"


def _head(letter: Letter) -> bytes:
    date = f' "{moment(letter.at)}"' if letter.at else ""
    return f"({' '.join(letter.flags)}){date} ".encode()


def _send(imap: Any, letter: Letter) -> None:
    left = letter.size
    with letter.file.open("rb") as file:
        while left and (piece := file.read(min(PIECE_BYTES, left))):
            imap.send(piece)
            left -= len(piece)
    if left:
        raise OSError(f"{letter.file.name} is shorter than it was")


def _said(err: BaseException) -> str:
    return re.sub(r"\s+", " ", " ".join(str(part) for part in err.args) or type(err).__name__)[:600]
