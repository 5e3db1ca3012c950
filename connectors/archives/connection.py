"""An archive as a source: small files read once, tree and messages streamed, bytes fetched where they lie.

A panel's own connector says how it packs (``layout``) and what its small files say (``described``).
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from migrator.connector import Cursor, Finding, Native, Page, Raw
from migrator.connectors.imap.names import folder_id, mailbox_id
from migrator.connectors.imap.reading import head_field
from migrator.connectors.sftp.names import folder_of, record_id, shown
from migrator.errors import AbsentError, InputError, MigratorError, RefusedError, VendorError
from migrator.zones.account import ZoneAccount
from migrator.zones.records import RecordSet

from .dumps import harmless
from .maildir import Kept, folder_name, keywords, login, subscribed, wire
from .members import Above, Member, Shape, content, members
from .unpacked import Bounds, Marks, Unpacked

PAGE = 500
SMALL_BYTES, SMALL_TOTAL_BYTES = 2**24, 2**28  # of one small file, and of all of them
HEAD_BYTES = 2**16
IMPLIED_MODE = "0755"  # of folders that an archive implies: what tar makes of them with the usual umask


@dataclass(frozen=True)
class Layout:
    """Where a panel's archive has what.

    ``small``: files that are read whole, by their path. ``dumps``: a database's, its name in the group ``name``.
    ``place`` and ``folder``: a message, and a mailbox's folder (``Kept.at``). ``below_home``: a path below the
    account's home, None for what is no part of its tree. ``mail``: what the paths of mailboxes begin with.
    ``named``: names that stand in paths (group 1), such as those of lists.
    """

    shape: Shape
    small: re.Pattern[str]
    dumps: re.Pattern[str]
    place: re.Pattern[bytes]
    folder: re.Pattern[bytes]
    below_home: Callable[[str], str | None]
    mail: bytes
    named: re.Pattern[str] | None = None


@dataclass
class Found:
    """What one look at an archive finds: texts of small files and targets of links by path, dumps by database,
    folders by login ("" is the account's own), names.
    """

    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    dumps: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    named: set[str] = field(default_factory=set)


class Described(Protocol):
    """What an account's small files say, in records of each stream; a stream's method has its name."""

    user: str
    main: str

    def mailboxes(self) -> Iterator[Native]:
        """Yield mailboxes; ``main`` is the account's own, whose login is ""."""

    def zones(self) -> list[str]:
        """Return the names of zones."""

    def zone(self, zone: str) -> list[RecordSet]:
        """Return a zone's record sets."""

    def text(self, name: str) -> str:
        """Return the bytes behind an address ``text/NAME``."""


Account = TypeVar("Account", bound=Described)


class ArchiveConnection(ZoneAccount, Generic[Account]):
    """One archive."""

    layout: ClassVar[Layout]

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._marks = Marks()

    @abstractmethod
    def described(self, found: Found) -> Account:
        """Return the account that was found."""

    @cached_property
    def path(self) -> Path:
        """Return the archive."""
        return Path(self.given("archive")).expanduser()

    @cached_property
    def _bounds(self) -> Bounds:
        try:
            usual = Bounds()
            return Bounds(
                int(self.options.get("most_bytes", usual.most_bytes)),
                int(self.options.get("most_ratio", usual.most_ratio)),
            )
        except ValueError as err:
            raise InputError(f"{self.vendor}: options.most_bytes and options.most_ratio are whole numbers") from err

    @contextmanager
    def _opened(self) -> Iterator[Unpacked]:
        opened = Unpacked(self.path, self._bounds, self._marks)
        try:
            yield opened
        finally:
            opened.close()

    def _members(self, archive: Unpacked) -> Iterator[Member]:
        return members(archive, self.layout.shape)

    @cached_property
    def stamp(self) -> str:
        """Return what tells this archive from another: places in it mean nothing in the next one."""
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as file:
                head = file.read(2**16)
                file.seek(max(0, size - 2**16))
                told = hashlib.blake2b(head + file.read() + str(size).encode(), digest_size=6)
        except OSError as err:
            raise InputError(f"the archive {self.path} cannot be read: {err.strerror}") from err
        return told.hexdigest()

    # ---- one look at everything -------------------------------------------------------------------------------------

    @cached_property
    def account(self) -> Account:
        """Return what the small files say."""
        return self.described(self.found)

    @cached_property
    def found(self) -> Found:
        """Return what lies in the archive: one pass over it."""
        found = Found()
        total = 0
        with self._opened() as archive:
            for one in self._members(archive):
                if one.why:
                    continue
                path = shown(one.path)
                if one.type == "file" and self.layout.small.fullmatch(path):
                    total += one.size
                    if one.size > SMALL_BYTES or total > SMALL_TOTAL_BYTES:
                        raise VendorError(f"{self.path.name}: {path} is {one.size} bytes long, which no such file is")
                    found.files[path] = b"".join(content(archive, one.span)).decode("utf-8", "replace")
                else:
                    self._note(one, path, found)
        return found

    def _note(self, one: Member, path: str, found: Found) -> None:
        if one.type == "link" and self.layout.small.fullmatch(path):
            found.links[path] = shown(one.link)
        elif one.type == "file" and (dump := self.layout.dumps.fullmatch(path)):
            found.dumps[dump["name"]] = self._url("dump", one)
        elif self.layout.named and (name := self.layout.named.match(path)):
            found.named.add(name[1])
        elif box := self.layout.folder.fullmatch(one.path + b"/" * (one.type == "folder")):
            if one.type == "folder" and (box["folder"] or box["domain"] or path.endswith(("/cur", "/new"))):
                found.boxes[login(box)].add(folder_name(box["folder"]))
            return
        if one.type == "file" and (kept := Kept.at(one.path, self.layout.place)):
            found.boxes[kept.login].add(kept.folder)
        if one.type == "same":
            self._doubled.add(one.link)

    @cached_property
    def _doubled(self) -> set[bytes]:
        return set()  # files that have another name in the archive

    @cached_property
    def _keywords(self) -> dict[tuple[str, str], str]:
        return dict(self._beside("dovecot-keywords"))

    def _beside(self, name: str) -> Iterator[tuple[tuple[str, str], str]]:
        for path, text in self.found.files.items():
            if path.endswith("/" + name):
                found = self.layout.folder.fullmatch(path.removesuffix(name).encode("utf-8", "surrogateescape"))
                if found:
                    yield (login(found), folder_name(found["folder"])), text

    def _url(self, what: str, one: Member) -> str:
        return f"{what}/{self.stamp}/{one.span}"

    # ---- streams ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield a stream; the tree and the messages in pages, after so many of them that were handed over before."""
        if stream not in ("files", "messages"):
            yield from super().pages(stream, start, parents, view=view)
            return
        after, number, records = int((start or {}).get("after", 0)), 0, list[Raw]()
        with self._opened() as archive:
            rows = self._tree(archive, after) if stream == "files" else self._messages(archive, after)
            for number, record in rows:
                records.append(record)
                if len(records) == PAGE:
                    yield Page(records, {"after": number}, False)
                    records = []
        yield Page(records, {"after": max(number, after)}, True)

    def bodies(self, stream: str) -> Iterable[Native]:
        """Return the records of a stream that the small files tell; folders have messages beside."""
        told: Iterable[Native] = self.folders() if stream == "folders" else getattr(self.account, stream)()
        return told

    def zones(self) -> Iterable[Native]:
        """Return the zones."""
        return [{"id": zone, "name": zone} for zone in self.account.zones()]

    def held(self, zone: str) -> Iterable[RecordSet]:
        """Return a zone's record sets. Raises AbsentError where there is none."""
        if zone not in self.account.zones():
            raise AbsentError(f"the archive has no zone {zone}", status=404)
        return self.account.zone(zone)

    def folders(self) -> Iterator[Native]:
        """Yield the folders of mailboxes, those without a message too."""
        shows = {who: text for (who, _), text in self._beside("subscriptions")}
        for box in self.account.mailboxes():
            who = "" if box["main"] else box["address"]
            shown_ = subscribed(shows, who)
            for name in sorted({"INBOX"} | self.found.boxes.get(who, set())):
                yield {
                    "id": folder_id(box["address"], name), "mailbox": mailbox_id(box["address"]),
                    "address": box["address"], "name": name, "subscribed": name in shown_ or name == "INBOX",
                }  # fmt: skip

    def _tree(self, archive: Unpacked, after: int) -> Iterator[tuple[int, Raw]]:
        """Yield the entries of the home, everything anywhere that no honest archive holds, then folders it implies."""
        bodies: dict[bytes, Member] = {}
        wanted = self._doubled if self.found else set[bytes]()
        above, number = Above(), 0
        for number, one in enumerate(self._members(archive), start=1):
            if one.path in wanted and one.type == "file" and not one.why:
                bodies[one.path] = one
            below = None if one.why else self.layout.below_home(shown(one.path))
            if below:
                above.note(below, written=one.type != "other")
            if number > after and (below or one.why or one.type == "other"):
                yield number, self._entry(one, below or shown(one.path), number, bodies)
        for place, path in enumerate(above.implied(), start=number + 1):
            if place > after:
                body: Native = {"path": path, "type": "folder", "mode": IMPLIED_MODE, **_within(path)}
                yield place, Raw(record_id(path, folder=True), _json(body))

    def _entry(self, one: Member, path: str, number: int, bodies: dict[bytes, Member]) -> Raw:
        body: Native = {
            "path": path, "type": one.type, "mode": f"{one.mode:04o}",
            "modified": datetime.fromtimestamp(one.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }  # fmt: skip
        same = bodies.get(one.link) if one.type == "same" else None
        why = one.why or (
            "it is another name of a file that is not in the archive" if one.type == "same" and not same else ""
        )
        if why:
            body |= {"type": "refused", "path": f"{path} ({why})"}
            return Raw(f"refused/{number:09}/{path}"[:500], _json(body), body["modified"])
        body |= _within(path)
        if one.type == "link":
            body["link"] = shown(one.link)
        elif one.type in ("file", "same"):
            body |= {"type": "file", "size": (same or one).size, "url": self._url("file", same or one)}
        return Raw(record_id(path, folder=one.type == "folder"), _json(body), body["modified"])

    def _messages(self, archive: Unpacked, after: int) -> Iterator[tuple[int, Raw]]:
        known = {"" if box["main"] else box["address"]: box["address"] for box in self.account.mailboxes()}
        for number, one in enumerate(self._members(archive), start=1):
            if number <= after or one.why or one.type != "file":
                continue
            kept = Kept.at(one.path, self.layout.place)
            if kept:
                yield number, self._message(archive, one, kept, known.get(kept.login, kept.login))
            elif one.path.startswith(self.layout.mail) and b"/storage/" in one.path:
                yield number, self._packed(one, number)

    def _message(self, archive: Unpacked, one: Member, kept: Kept, address: str) -> Raw:
        folder = folder_id(address, kept.folder)
        head, size, why = b"", 0, ""
        try:
            for piece in wire(content(archive, one.span)):
                size += len(piece)
                head += piece[: HEAD_BYTES - len(head)]
        except VendorError as err:
            why = str(err)
        head = head.partition(b"\r\n\r\n")[0]
        at = datetime.fromtimestamp(one.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body: Native = {
            "folder": folder, "flags": list(kept.flags), "internaldate": at, "size": size,
            "keywords": keywords(self._keywords.get((kept.login, kept.folder), ""), kept.letters),
            "message_id": head_field(head, "message-id"), "subject": head_field(head, "subject"),
            "url": self._url("mail", one),
        }  # fmt: skip
        if why:
            body["why"] = why
        return Raw(f"{folder};{kept.file}", _json(body))

    def _packed(self, one: Member, number: int) -> Raw:
        """Return the place of a file that holds many messages: they are moved by IMAP."""
        why = "messages in Dovecot's own format (mdbox): move them by IMAP, with the connector imap"
        return Raw(f"mdbox/{number:09}", _json({"subject": shown(one.path), "why": why}))

    def count(self, stream: str) -> int | None:
        """Return nothing: an archive counts nothing."""
        return None

    # ---- bytes ------------------------------------------------------------------------------------------------------

    def blobs(self, urls: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the bytes of many, in the order in which they lie in the archive: it is unpacked once for them all."""
        with self._opened() as archive:
            for url in sorted(urls, key=_place):
                if self._of(url)[0] != "dump":  # one that is refused is asked for by itself, for the answer
                    yield url, self._bytes(archive, url)

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield one's bytes. Raises RefusedError for an address of another archive."""
        with self._opened() as archive:
            yield from self._bytes(archive, url)

    def _of(self, url: str) -> tuple[str, str, str]:
        what, _, rest = url.partition("/")
        stamp, _, span = rest.partition("/")
        return what, stamp, span

    def _bytes(self, archive: Unpacked, url: str) -> Iterator[bytes]:
        what, stamp, span = self._of(url)
        if what == "text":
            yield self.account.text(f"{stamp}/{span}" if span else stamp).encode()
            return
        if stamp != self.stamp:
            raise RefusedError(f"{self.path.name} is not the archive that was extracted; extract again")
        pieces = content(archive, span)
        yield from wire(pieces) if what == "mail" else harmless(pieces) if what == "dump" else pieces

    def check(self) -> list[Finding]:
        """Look through the archive once."""
        try:
            account = self.account
        except MigratorError as err:
            return [Finding("archive", False, str(err))]
        boxes, dumps = len(self.found.boxes), len(self.found.dumps)
        said = f"{account.user}, {account.main}: {boxes} mailboxes on the disk, {dumps} dumps"
        return [Finding("archive", True, said)]

    def time(self) -> datetime:
        """Return the time: an archive tells none."""
        return self.client.now()


def size_of(url: str) -> int:
    """Return how long the bytes behind an address are."""
    return int(url.rpartition(">")[2].rpartition("/")[2].partition(";")[0].partition(".")[2])


def _place(url: str) -> tuple[int, ...]:
    """Return where bytes begin: in the archive, and in the one within it."""
    begins = [part.partition(".")[0] for part in url.rpartition("/")[2].split(">")]
    return tuple(int(one) for one in begins if one.isdecimal())


def _within(path: str) -> Native:
    """Return what says in which folder an entry lies."""
    above = folder_of(path)
    return {"folder": above} if above else {}


def _json(body: Native) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
