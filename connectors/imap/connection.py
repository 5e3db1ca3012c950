"""Writing mailboxes: messages many in a command, their own dates and flags with them; folders, and filters."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator.connector import Native, Outcome, Raw, Unit, Written
from migrator.errors import RefusedError, RetryError, UnknownOutcomeError, VendorError
from migrator.wires import TRIES

from .names import INBOX, Place, folder_id, folder_of, mailbox_id, place_of
from .reading import SYSTEM, Reader, requires

if TYPE_CHECKING:
    from .wire import Letter, Wire

log = logging.getLogger(__name__)

RECENT = 10_000
APPEND_BYTES = 2**22  # of messages in one command; a larger message goes by itself
SPELLED = {flag: f"\\{flag.title()}" for flag in SYSTEM}


class _Turns:
    """Messages are appended side by side; who looks which of them are there does so while nobody appends, or one that
    another worker is told of a moment later would be taken for the one in doubt."""

    def __init__(self) -> None:
        self._free, self._inside = threading.Condition(), 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Append."""
        with self._free:
            self._inside += 1
        try:
            yield
        finally:
            with self._free:
                self._inside -= 1
                self._free.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Look."""
        with self._free:
            self._free.wait_for(lambda: self._inside == 0)
            yield


class Connection(Reader):
    """Mailboxes at one server that are written too."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._room: dict[str, int | None] = {}  # bytes left in a mailbox, None where there is no limit
        self._marks: dict[str, str] = {}  # of folders, as they stood when this run first looked
        self._lock, self._turns = threading.Lock(), _Turns()
        self._recent: deque[str] = deque(maxlen=RECENT)  # ids that are ours, and may not be in the ledger yet

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out units of one kind and action; each has its own outcome."""
        kind, action = units[0].kind, units[0].action
        if kind == "mail_message":
            if action == "create":
                return self._appended(units)
            return self._deleted_messages(units) if action == "delete" else [self._flagged(units[0])]
        write: Callable[[Unit, str], Written] = {"mail_folder": self._folder_written, "mail_filter": self._filter}[kind]
        return [write(units[0], action)]

    # ---- messages ---------------------------------------------------------------------------------------------------

    def marks(self, units: Sequence[Unit]) -> list[str]:
        """Return "validity.next number" of each message's folder, from before this run wrote there."""
        if units[0].kind != "mail_message":
            return [""] * len(units)
        for folder in {_folder(unit) for unit in units} - set(self._marks):
            address, name = folder_of(folder)
            native = self.space(address).native(name)
            status = self.again(address, lambda wire, native=native: wire.status(native))  # type: ignore[misc]
            with self._lock:
                self._marks.setdefault(folder, f"{status['uidvalidity']}.{status['uidnext']}")
        return [self._marks[_folder(unit)] for unit in units]

    def _appended(self, units: Sequence[Unit]) -> list[Outcome]:
        found: dict[int, Outcome] = {}
        for folder, batch in _batches(units):
            try:
                outcomes = self._batch(folder, [unit for _, unit in batch])
            except UnknownOutcomeError as err:
                log.warning("looked up", extra={"folder": folder, "why": str(err)})
                outcomes = [None] * len(batch)
            except RetryError:
                if not found:
                    raise
                break  # what is left was not sent; the next call will say the same, or not
            for (index, _), outcome in zip(batch, outcomes, strict=True):
                found[index] = outcome
        return [found.get(index) for index in range(len(units))]

    def _batch(self, folder: str, units: Sequence[Unit]) -> list[Outcome]:
        """Append messages to one folder; where the server refuses them together, one by one."""
        address, _ = folder_of(folder)
        letters = [self._letter(unit) for unit in units]
        if (refused := self._too_much(address, sum(letter.size for letter in letters))) is not None:
            return [refused] if len(units) == 1 else self._singly(folder, units)
        for attempt in range(1, TRIES + 1):
            try:
                with self.wire(address) as wire:
                    if len(units) > 1 and not wire.has("MULTIAPPEND"):
                        return self._singly(folder, units)
                    return self._sent(wire, folder, units, letters)
            except RefusedError as err:
                self._forget_room(address)
                if len(units) == 1:
                    return [RefusedError(f"{_named(units[0])}: {err}", status=err.status, answer=err.answer)]
                return self._singly(folder, units)
            except RetryError as err:  # nothing was done
                if attempt == TRIES:
                    raise
                self.client.sleep(err.after or 0.5 * 2**attempt)
        raise AssertionError("unreachable")

    def _singly(self, folder: str, units: Sequence[Unit]) -> list[Outcome]:
        found: list[Outcome] = []
        for unit in units:
            try:
                found += self._batch(folder, [unit])
            except UnknownOutcomeError as err:
                log.warning("looked up", extra={"unit": unit.id, "why": str(err)})
                found.append(None)
        return found

    def _sent(self, wire: Wire, folder: str, units: Sequence[Unit], letters: Sequence[Letter]) -> list[Outcome]:
        address, name = folder_of(folder)
        native = self.space(address).native(name)
        with self._turns.shared():
            numbers = wire.append(native, letters)
            self._recent += [Place(folder, validity, uid).id for validity, uid in numbers or ()]
        with self._lock:
            left = self._room.get(address)
            if left is not None:
                self._room[address] = left - sum(letter.size for letter in letters)
        if numbers is None:  # the server does not tell: it is looked up like a call in doubt
            return [None] * len(units)
        return [Written(Place(folder, validity, uid).id) for validity, uid in numbers]

    def _letter(self, unit: Unit) -> Letter:
        from .wire import Letter

        if unit.blob is None:
            raise VendorError(f"{_named(unit)}: a message without its bytes")
        flags = [SPELLED[flag] for flag in unit.payload.get("flags") or () if flag in SPELLED]
        words = [word for word in unit.payload.get("keywords") or () if _is_atom(word)]
        at = unit.payload.get("internaldate")
        return Letter((*flags, *words), datetime.fromisoformat(at) if at else None, unit.blob.stat().st_size, unit.blob)

    def _too_much(self, address: str, size: int) -> RefusedError | None:
        """Return the refusal of what does not fit into a mailbox, before a byte of it is sent."""
        with self._lock:
            left = self._room.get(address)
            known = address in self._room
        if not known or (left is not None and size > left):
            quota = self.again(address, lambda wire: wire.quota())
            left = quota[1] - quota[0] if quota and quota[1] else None
            with self._lock:
                self._room[address] = left
        if left is None or size <= left:
            return None
        return RefusedError(
            f"the mailbox {address} is full: {max(left, 0) // 1024} KB left, and {-(-size // 1024)} KB to come; "
            "raise its quota, then `migrator retry --same`",
            answer="by its quota; nothing was sent",
        )

    def _forget_room(self, address: str) -> None:
        with self._lock:
            self._room.pop(address, None)

    def _flagged(self, unit: Unit) -> Written:
        place = place_of(unit.there)
        address, name = folder_of(place.folder)
        with self.wire(address) as wire:
            here = wire.select(self.space(address).native(name), write=True, upto=place.uid)
            row = wire.rows([place.uid], heads=False).get(place.uid) if here.validity == place.validity else None
            if row is None:
                raise RefusedError(f"{unit.there} is no longer there", status=404)
            held = [flag.decode("utf-8", "replace") for flag in row[b"FLAGS"] if flag.lower() != b"\\recent"]
            system = [flag for flag in held if flag.startswith("\\")]
            words = [flag for flag in held if not flag.startswith("\\")]
            if "flags" in unit.payload:
                system = [SPELLED[flag] for flag in unit.payload["flags"] or () if flag in SPELLED]
            if "keywords" in unit.payload:
                words = [word for word in unit.payload["keywords"] or () if _is_atom(word)]
            wire.put_flags(place.uid, [*system, *words])
        return Written(unit.there)

    def _deleted_messages(self, units: Sequence[Unit]) -> list[Outcome]:
        folders: dict[tuple[str, int], list[int]] = {}
        for unit in units:
            place = place_of(unit.there)
            folders.setdefault((place.folder, place.validity), []).append(place.uid)
        for (folder, validity), uids in folders.items():
            address, name = folder_of(folder)
            with self.wire(address) as wire:
                try:
                    here = wire.select(self.space(address).native(name), write=True, anew=True)
                except RefusedError:
                    continue  # gone with its folder
                if here.validity == validity:
                    wire.expunge(uids)
        return [Written(unit.there) for unit in units]

    # ---- folders ----------------------------------------------------------------------------------------------------

    def _folder_written(self, unit: Unit, action: str) -> Written:
        if action == "create":
            address, name = self._address(str(unit.payload["mailbox"])), str(unit.payload["name"])
        else:
            address, name = folder_of(unit.there)
        native = self.space(address).native(name)
        with self.wire(address) as wire:
            if action == "delete":
                self._folder_deleted(wire, native, name)
                return Written(unit.there)
            with wire.writing(f"CREATE {native}"):
                if action == "create":
                    self._created(wire, native)
                if unit.payload.get("subscribed") is True:
                    wire.client.subscribe_folder(native)
                elif unit.payload.get("subscribed") is False and action == "update":
                    wire.client.unsubscribe_folder(native)
        return Written(folder_id(address, name))

    @staticmethod
    def _created(wire: Wire, native: str) -> None:
        try:
            with wire.writing(f"CREATE {native}"):
                wire.client.create_folder(native)
        except RefusedError as err:
            # One that came into being with a folder below it is ours; one with messages is somebody's.
            if "EXISTS" not in err.answer.upper() or wire.status(native)["messages"]:
                raise

    @staticmethod
    def _folder_deleted(wire: Wire, native: str, name: str) -> None:
        if name == INBOX:
            raise RefusedError("INBOX cannot be deleted")
        try:
            messages = wire.status(native)["messages"]
        except RefusedError:
            return  # gone already
        if messages:
            raise RefusedError(f"the folder {name} holds {messages} messages that are not migrator's; it stays")
        if wire.folder == native:
            wire.select(INBOX)
        with wire.writing(f"DELETE {native}"):
            wire.client.unsubscribe_folder(native)
            wire.client.delete_folder(native)

    def _address(self, mailbox: str) -> str:
        return next((address for address in self.logins if mailbox_id(address) == mailbox), mailbox)

    # ---- filters ----------------------------------------------------------------------------------------------------

    def _filter(self, unit: Unit, action: str) -> Written:
        if action == "create":
            address, name = self._address(str(unit.payload["mailbox"])), str(unit.payload["name"])
        else:
            address, name = folder_of(unit.there)
        with self.scripts(address) as scripts:
            there = {name: (text, active) for name, text, active in scripts.all()}
            if action == "delete":
                if name in there:
                    if there[name][1]:
                        scripts.activate("")
                    scripts.delete(name)
                return Written(unit.there)
            if action == "create" and name in there and there[name][0] != unit.payload["script"]:
                raise RefusedError(
                    f"{address} has another filter of the name {name} already; rename or delete that one"
                )
            runs = next((other for other, (_, active) in there.items() if active and other != name), None)
            if unit.payload.get("active") and runs:
                raise RefusedError(f"{address} runs the filter {runs} already, and only one can run")
            if "script" in unit.payload:
                scripts.put(name, str(unit.payload["script"]))
            if unit.payload.get("active"):
                scripts.activate(name)
            elif unit.payload.get("active") is False and there.get(name, ("", False))[1]:
                scripts.activate("")
        return Written(f"{mailbox_id(address)}/{name}")

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Return what the server's own compiler has against a filter (CHECKSCRIPT), None where it takes it."""
        address = str(payload.get("address"))
        with self.scripts(address if address in self.logins else next(iter(self.logins))) as scripts:
            said = scripts.complaint(str(payload["script"]))
            if said is None:
                return None
            lacks = sorted(set(requires(str(payload["script"]))) - set(scripts.extensions()))
        return said + (f" (the server lacks {', '.join(lacks)})" if lacks else "")

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made: messages above the mark with their bytes and date, as many as there are."""
        found: list[Written | None] = [None] * len(units)
        folders: dict[str, list[int]] = {}
        for index, unit in enumerate(units):
            if unit.action != "create":
                found[index] = self._stands(unit)
            elif unit.kind == "mail_message":
                folders.setdefault(_folder(unit), []).append(index)
            elif unit.kind == "mail_folder":
                address = self._address(str(unit.payload["mailbox"]))
                id = folder_id(address, str(unit.payload["name"]))
                there = any(record.id == id for record in self._folders(address))
                found[index] = self._folder_written(unit, "create") if there else None
            else:
                found[index] = self._filter_found(unit)
        for folder, places in folders.items():
            with self._turns.alone():
                ours = known | set(self._recent)
                self._find_messages(folder, [(index, units[index]) for index in places], ours, found)
                self._recent += [one.id for index in places if (one := found[index])]
        return found

    def _filter_found(self, unit: Unit) -> Written | None:
        with self.scripts(self._address(str(unit.payload["mailbox"]))) as scripts:
            held = scripts.text(str(unit.payload["name"]))
        return self._filter(unit, "create") if held == unit.payload["script"] else None  # what belongs to it is done

    def _find_messages(
        self, folder: str, wanted: list[tuple[int, Unit]], known: set[str], found: list[Written | None]
    ) -> None:
        address, name = folder_of(folder)
        native = self.space(address).native(name)
        marks = [int(unit.mark.partition(".")[0]) for _, unit in wanted if unit.mark]
        above = min((int(unit.mark.partition(".")[2]) for _, unit in wanted if unit.mark), default=1)
        here, uids = self.again(address, lambda wire: (wire.select(native, anew=True), wire.numbers(from_uid=above)))
        if not marks or any(validity != here.validity for validity in marks):
            raise VendorError(f"{folder} was made anew while messages were written: nothing tells which are there")
        uids = [uid for uid in uids if Place(folder, here.validity, uid).id not in known]
        sizes = {unit.blob.stat().st_size for _, unit in wanted if unit.blob}
        natives = [json.loads(record.body) for record in self._rows_of(folder, uids)]
        digests = self._digests([native for native in natives if native["size"] in sizes])
        free = [(native, digests[native["id"]]) for native in natives if native["id"] in digests]
        for flags_too in (True, False):  # of equal messages each takes its like first
            for index, unit in wanted:
                like = next((one for one in free if found[index] is None and _is(unit, *one, flags_too)), None)
                if like:
                    free.remove(like)
                    found[index] = Written(str(like[0]["id"]))

    def _rows_of(self, folder: str, uids: list[int]) -> Iterator[Raw]:
        for at in range(0, len(uids), 500):
            yield from self._rows(folder, uids[at : at + 500])

    def _digests(self, natives: list[Native]) -> dict[str, str]:
        found: dict[str, str] = {}
        for url, chunks in self.blobs([native["url"] for native in natives]):
            digest = hashlib.sha256()
            for chunk in chunks:
                digest.update(chunk)
            found[url.rpartition("?")[0]] = digest.hexdigest()
        return found


def _is(unit: Unit, native: Native, digest: str, flags_too: bool) -> bool:
    """Tell whether a message there is what a unit would have made; the file's name is the digest of its bytes."""
    same = Path(unit.blob or "").name == digest and native["internaldate"] == unit.payload.get("internaldate")
    same = same and place_of(native["id"]).uid >= int(unit.mark.partition(".")[2] or 1)
    held = (sorted(native["flags"]), sorted(native["keywords"]))
    wanted = (sorted(unit.payload.get("flags") or ()), sorted(unit.payload.get("keywords") or ()))
    return same and (not flags_too or held == wanted)


def _folder(unit: Unit) -> str:
    return str(unit.payload["folder"])


def _named(unit: Unit) -> str:
    return f"message {unit.id}"


def _is_atom(word: str) -> bool:
    return word.isascii() and word.isprintable() and not set(word) & set('(){ %*"\\]')


def _batches(units: Sequence[Unit]) -> Iterator[tuple[str, list[tuple[int, Unit]]]]:
    """Yield (folder, its units with their places) in runs that fit one command."""
    folders: dict[str, list[tuple[int, Unit]]] = {}
    for index, unit in enumerate(units):
        folders.setdefault(_folder(unit), []).append((index, unit))
    for folder, some in folders.items():
        batch: list[tuple[int, Unit]] = []
        size = 0
        for index, unit in some:
            more = unit.blob.stat().st_size if unit.blob else 0
            if batch and size + more > APPEND_BYTES:
                yield folder, batch
                batch, size = [], 0
            batch.append((index, unit))
            size += more
        yield folder, batch
