"""django-helpdesk as Source and Destination: its API, or the host project's fixtures where that channel is chosen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from migrator.connector import Cursor, Finding, Native, Outcome, Page, Promise, Raw, Unit, Written
from migrator.delivery import Deliverer
from migrator.errors import ForbiddenError, MigratorError, VendorError

from . import changes, fixtures, rest
from .host import Host
from .shape import People, address
from .snapshot import Snapshot

LOOKED_SECONDS = 5.0  # as long as a reading tells of all records that are about to change
PAGE = 1000  # records of a snapshot handed over at once
NOT_SHOWN = {"preset_replies", "kb_items", "saved_searches"}  # by the API


class Connection(Deliverer):
    """One desk. It is read whole, once for all streams: no list of the API can be asked for what changed."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._lock = threading.RLock()
        self._snapshot: Snapshot | None = None
        self._people = People()
        self._served: set[str] = set()
        self._tickets: int | None = None
        self._writing: rest.Writer | fixtures.Writer | None = None
        self._host: Host | None = None
        self._looked: tuple[float, Snapshot] | None = None
        self._at_hand: Snapshot | None = None

    @property
    def host(self) -> Host | None:
        """Return the host project's command, where the channel is chosen."""
        if "fixtures" in self.channels and self._host is None:
            model = self.options.get("user_model", "auth.user")
            self._host = Host(self.given("command"), self.given("media"), model)
        return self._host

    # ---- reading ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield the stream as the last reading shows it; what was handed over before is read anew."""
        if stream in NOT_SHOWN and not self.host:
            said = f"the API does not show {stream.replace('_', ' ')}; the channel `fixtures` does"
            raise ForbiddenError(said, answer=said)
        with self._lock:
            if self._snapshot is None or stream in self._served:
                self._read()
            self._served.add(stream)
            snapshot = self._snapshot
        assert snapshot is not None
        at = {} if not start or start.get("done") else start
        yield from snapshot.pages(stream, int(at.get("at", 0)), min(PAGE, self._size))

    @property
    def _size(self) -> int:
        return self.manifest.streams["tickets"].paging.size

    def _read(self) -> Snapshot:
        if self.host:
            self.client.read(self.manifest.check.path)  # the desk and the host belong together, and the token holds
            self._snapshot, self._people = fixtures.take(self.host)
        else:
            self._snapshot, self._people, self._tickets = rest.take(self.client, self.options, self._size)
        self._served = set()
        return self._snapshot

    def count(self, stream: str) -> int | None:
        """Return how many tickets the API counts; the other lists hold what is no record."""
        return self._tickets if stream == "tickets" else None

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield an attachment's bytes."""
        return self.host.bytes_of(url) if self.host else super().blob(url)

    def check(self) -> list[Finding]:
        """Try the token; and, with the channel, the host's command and its folder."""
        findings = super().check()
        if self.host:
            there = self.host.media.is_dir()
            findings.append(Finding("the folder of attachments", there, str(self.host.media)))
            try:
                next(self.host.dump(), None)
                findings.append(Finding("the host's command", True, self.host.command[-1]))
            except MigratorError as err:
                findings.append(Finding("the host's command", False, str(err)))
        return findings

    # ---- writing ----------------------------------------------------------------------------------------------------

    def _writer(self) -> rest.Writer | fixtures.Writer:
        with self._lock:
            if self._writing is None:
                if self.host:
                    snapshot, people = fixtures.take(self.host)
                    queues = {str(one["id"]): str(one["title"]) for one in snapshot.natives("queues")}
                    self._writing = fixtures.Writer(self.host, snapshot, people, self._queue(queues))
                else:
                    queues, users = rest.chooser(self.client)
                    people = People()
                    for number, name in users.items():
                        people.add_staff(number, self.options.get(name) or (name if "@" in name else None))
                    self._writing = rest.Writer(self.client, people, self._queue(queues))
            return self._writing

    def _queue(self, queues: dict[str, str]) -> str:
        """Return the queue of tickets that name none: the one of ``options.queue``, or the first that was made."""
        wished = self.options.get("queue")
        if wished and wished not in queues.values():
            raise VendorError(f"django-helpdesk has no queue '{wished}', which `options.queue` names")
        named = [number for number, title in queues.items() if title == wished] if wished else list(queues)
        return min(named, key=int, default="0")

    def write(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Carry out what is planned for these units, all of one kind, variant and action."""
        kind = units[0].kind
        if units[0].action == "update":
            writer = self._writer()
            if isinstance(writer, fixtures.Writer):
                return changes.loaded(writer, units)
            return [changes.called(writer, units[0])]
        if units[0].action != "create":
            return super().write(units)
        if kind == "contact" and not self.host:
            return [Written(address(unit.payload.get("email"), unit.key)) for unit in units]
        writer = self._writer()
        if isinstance(writer, fixtures.Writer):
            if kind == "ticket":
                writer.avoid(rest.latest(self.client))
            return list(writer.write(units))
        return [writer.ticket(units[0]) if kind == "ticket" else writer.message(units[0])]

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made."""
        unit = units[0]
        if unit.action != "create":
            return super().find(units, known)
        if unit.kind == "contact" and not self.host:
            return [Written(address(one.payload.get("email"), one.key)) for one in units]
        if not self.host:
            writer = self._writer()
            assert isinstance(writer, rest.Writer)
            return writer.find(units, known)
        with self._lock:
            self._writing = None  # what it knew of the desk is what is in doubt
            self.host.wait()
            snapshot, _ = fixtures.take(self.host)
        write, _ = self._declared(unit)
        return fixtures.find(snapshot, units, known, write.find.match if write.find else {})

    def before(self, unit: Unit) -> Native:
        """Return what a record that is about to change holds; one reading does for all units of a call."""
        with self._lock:
            if self._looked is None or self.client.pacer.monotonic() - self._looked[0] > LOOKED_SECONDS:
                self._looked = (self.client.pacer.monotonic(), self._read())
            self._at_hand = self._looked[1]
            try:
                return super().before(unit)
            finally:
                self._at_hand = None

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there (id, its owner's) as they stand now."""
        stream = self.mapping.variant(kind, variant_name).stream
        ids = {there for there, _ in targets}
        with self._lock:
            snapshot = self._read()
        return stream, [one for page in snapshot.pages(stream, 0, PAGE) for one in page.records if one.id in ids]

    def look(self, unit: Unit) -> Native | None:
        """Return the record as it stands now; no list of tickets costs more than one ticket does."""
        with self._lock:
            snapshot = self._at_hand or self._read()
        variant = self.mapping.variant(unit.kind, unit.variant)
        return next((one for one in snapshot.natives(variant.stream) if str(one["id"]) == unit.there), None)
