"""Reading mailboxes: which there are, their folders, messages (what changed, where the server tells) and filters."""

from __future__ import annotations

import email
import email.header
import email.policy
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from migrator.connector import Cursor, Finding, Native, Page, Raw
from migrator.delivery import Deliverer
from migrator.errors import AccessError, InputError, MigratorError, RefusedError, VendorError
from migrator.wires import Wires

from .names import Namespace, Place, folder_id, folder_of, mailbox_id, place_of

if TYPE_CHECKING:
    from .sieve import Scripts
    from .wire import Login, Server, Wire

T = TypeVar("T")
BATCH_BYTES = 2**22  # of small messages fetched in one command
SMALL_BYTES = 2**20  # what is larger comes in pieces
SIEVE_PORT = 4190
SYSTEM = ("seen", "answered", "flagged", "deleted", "draft")
USES = ("all", "archive", "drafts", "flagged", "important", "junk", "sent", "trash")  # RFC 6154, RFC 8457
UNDER_HERE = "\u0000"


class Reader(Deliverer):
    """Mailboxes at one server, read: one of its own login, or many through a master user or a list of passwords."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._wires: Wires[Wire] = Wires(self._signed_in, self.client)
        self._spaces: dict[str, Namespace] = {}

    # ---- signing in -------------------------------------------------------------------------------------------------

    @cached_property
    def server(self) -> Server:
        """Return where the server listens."""
        from .wire import Server

        return Server.at(self.client.base_url, plain=self.options.get("tls") == "none")

    @cached_property
    def logins(self) -> dict[str, Login]:
        """Return who signs in to each mailbox, by its address. Raises InputError where that is not said."""
        from .wire import Login

        listed = self.given("mailboxes").replace(",", " ").split()
        master, separator = self.options.get("master"), self.options.get("master_separator", "*")
        several = self.options.get("passwords") == "each"
        secret = self.given("password")
        passwords: dict[str, str] = {}
        if several:
            try:
                passwords = {str(user): str(word) for user, word in json.loads(secret).items()}
            except (ValueError, AttributeError):
                raise InputError(
                    "imap: the secret 'password' is not a JSON object of logins and passwords",
                    remedy='write {"ann@example.com": "..."} in one line, or leave out `passwords: each`',
                ) from None
        found: dict[str, Login] = {}
        for one in listed:
            user, _, address = one.partition("=")
            if several and user not in passwords:
                raise InputError(f"imap: the secret 'password' holds none for {user}")
            name = f"{user}{separator}{master}" if master else user
            found[address or user] = Login(address or user, name, passwords.get(user, secret))
        return found

    def _signed_in(self, address: str) -> Wire:
        from .wire import Wire

        if address not in self.logins:
            raise RefusedError(f"the mailbox {address} is not among those of this account")
        return Wire(self.server, self.logins[address])

    def wire(self, address: str) -> AbstractContextManager[Wire]:
        """Give a connection to a mailbox; a sound one is kept for the next who asks."""
        return self._wires.lent(address)

    def again(self, address: str, ask: Callable[[Wire], T]) -> T:
        """Ask a mailbox something that changes nothing, over a new connection where one breaks."""
        return self._wires.again(address, ask)

    def scripts(self, address: str) -> Scripts:
        """Return a connection to a mailbox's filters."""
        from .sieve import Scripts
        from .wire import Server

        at = self.options.get("sieve", "")
        host, _, port = at.rpartition(":") if ":" in at else (at, "", "")
        server = Server(host or self.server.host, int(port or SIEVE_PORT), False, self.server.plain)
        return Scripts(server, self.logins[address])

    def space(self, address: str) -> Namespace:
        """Return where a mailbox's own folders are."""
        if address not in self._spaces:
            self._spaces[address] = self.again(address, lambda wire: wire.namespace())
        return self._spaces[address]

    # ---- streams ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield a stream's pages."""
        if stream == "messages":
            yield from self._messages(start or {}, parents)
            return
        read = {"mailboxes": self._mailbox, "folders": self._folders, "scripts": self._scripts}[stream]
        yield Page([record for address in self.logins for record in read(address)], {}, done=True)

    def count(self, stream: str) -> int | None:
        """Return nothing: each folder is held against the server's own list of its numbers."""
        return None

    def _mailbox(self, address: str) -> list[Raw]:
        quota = self.again(address, lambda wire: wire.quota())
        body = {"address": address, "used": quota and quota[0], "quota": (quota and quota[1]) or None}
        return [_raw(mailbox_id(address), body)]

    def _folders(self, address: str) -> list[Raw]:
        space = self.space(address)

        def ask(wire: Wire) -> list[Raw]:
            others, subscribed, found = wire.shared(), wire.subscribed(), []
            for attributes, native in wire.folders():
                if not attributes & {"\\noselect", "\\nonexistent"} and not native.startswith(others or (UNDER_HERE,)):
                    found.append(self._folder(wire, space, native, attributes, native in subscribed))
            return found

        return self.again(address, ask)

    def _folder(self, wire: Wire, space: Namespace, native: str, attributes: set[str], subscribed: bool) -> Raw:
        address, name = wire.login.address, space.name(native)
        status = wire.status(native)
        use = next((use for use in USES if f"\\{use}" in attributes), None)
        changed = f"{status['uidvalidity']}.{status['uidnext']}.{status['messages']}."
        changed += str(status.get("highestmodseq") or datetime.now(UTC).isoformat())  # nothing tells: always read
        body = {
            "mailbox": mailbox_id(address),
            "address": address,
            "name": name,
            "special_use": use,
            "subscribed": subscribed,
            "messages": status["messages"],
            "native": native,
            "uidvalidity": status["uidvalidity"],
        }
        return _raw(folder_id(address, name), body, changed)

    def _scripts(self, address: str) -> list[Raw]:
        if self.options.get("sieve") == "none":
            return []
        with self.scripts(address) as scripts:
            return [self._script(address, *found) for found in scripts.all()]

    @staticmethod
    def _script(address: str, name: str, text: str, active: bool) -> Raw:
        body = {
            "mailbox": mailbox_id(address), "address": address, "name": name, "script": text,
            "requires": requires(text), "active": active,
        }  # fmt: skip
        return _raw(f"{mailbox_id(address)}/{name}", body)

    # ---- messages ---------------------------------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """Return how many messages are asked for at once."""
        return self.manifest.streams["messages"].paging.size

    def _messages(self, start: Cursor, parents: Callable[[str], Iterable[str]]) -> Iterator[Page]:
        """Yield the messages of each folder that changed, rising by number.

        The cursor is ``{"marks": {folder: [validity, latest change]}, "after": [length, folder] done in this round,
        "at": where within a folder, "done"}``; the marks are handed to the next round, which asks for changes only.
        """
        at: dict[str, Any] = {"goes_on": True, "marks": dict(start.get("marks", {})), "done": False}
        if not start.get("done"):
            at |= {"after": start.get("after"), "at": start.get("at")}
        after = tuple(at.get("after") or ())
        due = [id for id in parents("folders") if not after or (len(id), id) > after]
        for folder in due:
            for records, within, whole in self._folder_pages(folder, at["marks"].get(folder), at.get("at")):
                at["at"] = within
                if whole is not None:
                    at |= {"after": [len(folder), folder], "at": None}
                    at["marks"] = {**at["marks"], folder: [within["validity"], within["modseq"]]}
                ended = whole is not None and folder == due[-1]
                at["done"] = ended
                lists = {"messages": {folder: whole}} if whole is not None else {}
                yield Page(records, dict(at), done=ended, whole=lists)
        if not due:
            yield Page([], at | {"done": True}, done=True)

    def _folder_pages(
        self, folder: str, mark: list[int] | None, within: dict[str, Any] | None
    ) -> Iterator[tuple[list[Raw], dict[str, Any], Iterator[str] | None]]:
        """Yield (records, where it goes on, and at the end all ids) of one folder."""
        address, name = folder_of(folder)
        native = self.space(address).native(name)
        here, numbers = self.again(address, lambda wire: (wire.select(native, anew=True), wire.numbers()))
        if mark and mark[0] != here.validity:
            raise VendorError(
                f"{folder}: its messages have new numbers (UIDVALIDITY {here.validity}, it was {mark[0]}), so those "
                "moved already cannot be told from new ones; begin a new workspace"
            )
        if not (within and within.get("folder") == folder and within.get("validity") == here.validity):
            since = mark[1] if mark and here.modseq else 0
            within = {"folder": folder, "validity": here.validity, "uid": 0, "since": since, "modseq": here.modseq}
        wanted = numbers
        if since := within["since"]:
            wanted = self.again(address, lambda wire: (wire.select(native, anew=True), wire.numbers(since))[1])
        wanted = [uid for uid in wanted if uid > within["uid"]]
        gone: set[int] = set()
        page = self.page
        for at in range(0, len(wanted), page):
            some = wanted[at : at + page]
            found = self._rows(folder, some)
            gone.update(set(some) - {place_of(record.id).uid for record in found})
            within = {**within, "uid": some[-1]}
            if at + page < len(wanted):
                yield found, within, None
            else:
                break
        else:
            found = []
        yield found, within, (Place(folder, here.validity, uid).id for uid in numbers if uid not in gone)

    def _rows(self, folder: str, uids: Sequence[int]) -> list[Raw]:
        """Return messages of a folder as records; what is gone is left out."""
        address, name = folder_of(folder)
        native = self.space(address).native(name)

        def ask(wire: Wire) -> list[Raw]:
            here = wire.select(native, upto=max(uids))
            found = wire.rows(uids)
            return [_message(Place(folder, here.validity, uid), address, found[uid]) for uid in uids if uid in found]

        return self.again(address, ask)

    # ---- bytes ------------------------------------------------------------------------------------------------------

    def blobs(self, urls: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the bytes of messages, many small ones in a command, a large one in pieces."""
        groups: dict[tuple[str, int], list[tuple[int, int, str]]] = {}
        for url in urls:
            id, _, size = url.rpartition("?")
            place = place_of(id)
            groups.setdefault((place.folder, place.validity), []).append((place.uid, int(size), url))
        for (folder, validity), wanted in groups.items():
            large = [(uid, url) for uid, size, url in wanted if size > SMALL_BYTES]
            for batch in _batches([one for one in wanted if one[1] <= SMALL_BYTES]):
                named = {uid: url for uid, _, url in batch}
                for uid, body in self._small(folder, validity, sorted(named)):
                    yield named[uid], iter([body])
            for _, url in large:
                yield url, self.blob(url)

    def _small(self, folder: str, validity: int, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        address, name = folder_of(folder)
        native = self.space(address).native(name)

        def ask(wire: Wire) -> list[tuple[int, bytes]]:
            if wire.select(native, upto=max(uids)).validity != validity:
                return []
            return list(wire.bodies(uids))

        return self.again(address, ask)

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield one message's bytes. Raises RefusedError where it is gone, RetryError where they end early."""
        place = place_of(url.rpartition("?")[0])
        address, name = folder_of(place.folder)
        came = False
        with self.wire(address) as wire:
            here = wire.select(self.space(address).native(name), upto=place.uid)
            if here.validity == place.validity:
                for piece in wire.pieces(place.uid):
                    came = True
                    yield piece
        if not came:
            raise RefusedError(f"{place.id} was taken out of its folder since it was listed")

    # ---- single records ---------------------------------------------------------------------------------------------

    def peek(self, kind: str, variant: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind and these records as they stand now; what is gone is left out."""
        ids = list(dict.fromkeys(there for there, _ in targets))
        if kind == "mail_message":
            return "messages", self._peeked(ids)
        read = {"mailbox": self._mailbox, "mail_folder": self._folders, "mail_filter": self._scripts}[kind]
        addresses = {folder_of(id)[0] for id in ids} & set(self.logins)
        stream = self.mapping.variant(kind, variant).stream
        return stream, [record for address in sorted(addresses) for record in read(address) if record.id in set(ids)]

    def _peeked(self, ids: Sequence[str]) -> list[Raw]:
        found: list[Raw] = []
        folders: dict[tuple[str, int], list[int]] = {}
        for id in ids:
            place = place_of(id)
            folders.setdefault((place.folder, place.validity), []).append(place.uid)
        for (folder, validity), uids in folders.items():
            try:
                for at in range(0, len(uids), self.page):
                    some = self._rows(folder, uids[at : at + self.page])
                    found += [record for record in some if place_of(record.id).validity == validity]
            except RefusedError:
                continue  # the folder is gone
        return found

    # ---- whether it works -------------------------------------------------------------------------------------------

    def check(self) -> list[Finding]:
        """Sign in to every mailbox, and to its filters."""
        findings = []
        try:
            addresses = list(self.logins)
        except (InputError, AccessError) as err:
            return [Finding("credentials", False, str(err))]
        for address in addresses:
            try:
                findings.append(Finding(f"mailbox {address}", True, self.again(address, _described)))
                if self.options.get("sieve") != "none":
                    with self.scripts(address) as scripts:
                        findings.append(Finding(f"filters of {address}", True, ", ".join(scripts.extensions())[:200]))
            except MigratorError as err:
                findings.append(Finding(f"mailbox {address}", False, str(err)))
        return findings

    def time(self) -> datetime:
        """Return the time by our clock: IMAP does not tell the server's."""
        return self.client.now()


def _described(wire: Wire) -> str:
    quota, useful = wire.quota(), ("CONDSTORE", "LITERAL+", "MULTIAPPEND", "UIDPLUS")
    room = f"{quota[0] // 1024:,} of {quota[1] // 1024:,} KB used" if quota and quota[1] else "no quota told"
    lacks = [word for word in useful if not wire.has(word)]
    return room + (f"; lacks {', '.join(lacks)}" if lacks else "")


def _raw(id: str, body: Native, changed: str | None = None) -> Raw:
    whole = {"id": id, **body} | ({"changed": changed} if changed else {})
    return Raw(id, json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace"), changed)


def _message(place: Place, address: str, row: dict[bytes, Any]) -> Raw:
    said = [flag.decode("utf-8", "replace") for flag in row[b"FLAGS"]]
    system = {flag[1:].lower() for flag in said if flag.startswith("\\")}
    head = next((value for key, value in row.items() if key.startswith(b"BODY[HEADER")), b"") or b""
    at: datetime | None = row.get(b"INTERNALDATE")
    size = int(row[b"RFC822.SIZE"])
    modseq = row.get(b"MODSEQ")
    changed = str(modseq[0]) if modseq else None
    body = {
        "folder": place.folder,
        "flags": sorted(system & set(SYSTEM)),
        "keywords": sorted(flag for flag in said if not flag.startswith("\\")),
        "internaldate": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None,
        "size": size,
        "message_id": head_field(head, "message-id"),
        "subject": head_field(head, "subject"),
        "url": f"{place.id}?{size}",
    }
    whole = _raw(place.id, body, changed)
    return Raw(whole.id, whole.body, changed, place.folder)


def head_field(head: bytes, name: str) -> str | None:
    """Return a field of a head for people to read: its beginning, without what no text may hold."""
    found = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*((?:.*(?:\r?\n[ \t].*)*))", head)
    if not found:
        return None
    text = re.sub(r"\s*\r?\n\s*", " ", found[1].decode("utf-8", "replace"))
    if "=?" in text:
        try:
            text = str(email.header.make_header(email.header.decode_header(text)))
        except (ValueError, LookupError, UnicodeError, email.errors.HeaderParseError):
            pass
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "\ufffd", text.strip())[:200] or None


def _batches(wanted: list[tuple[int, int, str]]) -> Iterator[list[tuple[int, int, str]]]:
    batch: list[tuple[int, int, str]] = []
    size = 0
    for one in wanted:
        if batch and (size + one[1] > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one[1]
    if batch:
        yield batch


def requires(text: str) -> list[str]:
    """Return the extensions a Sieve script asks for: its ``require`` lines, which come first."""
    found: set[str] = set()
    bare = re.sub(r"(?s)/\*.*?\*/", " ", re.sub(r"(?m)^\s*#.*$", "", text))
    for listed in re.findall(r"(?is)\brequire\s*(\[.*?\]|\"[^\"]*\")\s*;", bare):
        found.update(re.findall(r'"([^"]*)"', listed))
    return sorted(found)
