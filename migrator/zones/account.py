"""An account that holds zones, played over the manifest: pages, looking up, writing by zone, and reading on the wire.

What is written through an API is read back from port 53 where the option ``servers`` names the authoritative servers:
what they serve counts, and what no wire can show (comments, switched-off records, a vendor's ALIAS) is the API's.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

from migrator.connector import Cursor, Native, Outcome, Page, Raw, Unit, Written
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, ForbiddenError, RefusedError, RetryError, UnknownOutcomeError
from migrator.manifest import Stream
from migrator.zones.records import RecordSet, from_body, known, parts, set_id
from migrator.zones.wire import Server

PAGE = 2000  # record sets
FEW = 8  # sets that are looked at one by one before their zone is read whole
SERIAL_LOOKS = 30  # a second apart: until every server has the zone as the first one has it
ENCODER = msgspec.json.Encoder(order="sorted")
Change = tuple[RecordSet | None, RecordSet | None]  # what it was, what it shall be


class ZoneAccount(Deliverer):
    """One account with zones, and perhaps more. A vendor's own says how they are listed, read and written."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._writing = threading.Lock()  # two calls for one zone would wait for each other at the server
        self._begun: tuple[str, list[Raw]] = ("", [])  # the zone whose pages are handed over, as it was read
        self._looked: dict[str, int] = {}  # at sets of a zone, one by one, since it was changed here
        self._lately: dict[str, dict[str, RecordSet]] = {}  # zones of which so many were looked at, read whole

    # ---- a vendor's own ---------------------------------------------------------------------------------------------

    def zones(self) -> Iterable[Native]:
        """Return the zones, each a record with ``id`` and ``name``, the normal form of its name."""
        raise NotImplementedError

    def held(self, zone: str) -> Iterable[RecordSet]:
        """Return the record sets of a zone as the account tells them. Raises AbsentError where there is none."""
        raise NotImplementedError

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Carry changes out in one call, all or nothing. Raises RefusedError and the rest as ``write`` does."""
        raise NotImplementedError

    def open_zone(self, payload: Native) -> None:
        """Make a zone."""
        raise RefusedError(f"{self.vendor} makes no zones")

    def close_zone(self, zone: str) -> None:
        """Take a zone away with all that is in it. One that is gone already is no fault."""
        raise RefusedError(f"{self.vendor} removes no zones")

    def bodies(self, stream: str) -> Iterable[Native]:
        """Return what a stream that is no zone's holds, whole: a body each, with its ``id``."""
        raise NotImplementedError

    def others(self, stream: str) -> Iterable[Raw]:
        """Return the records of a stream that is no zone's."""
        return [Raw(str(body["id"]), _json(body, "replace")) for body in self.bodies(stream)]

    # ---- reading ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield record sets a zone after another, all else at once; the cursor is the zone, and how far into it."""
        if stream != "record_sets":
            yield Page(list(self._listed() if stream == "zones" else self.others(stream)), {"done": True}, True)
            return
        at = start or {}
        after = tuple(at.get("after", ()))
        names = [zone for zone in parents("zones") if not after or (len(zone), zone) >= after]
        if not names:
            yield Page([], at, True)
        for number, zone in enumerate(names):
            last = number == len(names) - 1
            # A zone that was read in part goes on only as it was read then; after a crash it begins anew.
            goes_on = (len(zone), zone) == after and self._begun[0] == zone
            skip = int(at.get("in", 0)) if goes_on else 0
            records = self._begun[1] if goes_on else self._records(zone)
            self._begun = (zone, records)
            if skip and skip >= len(records) and not last:
                continue  # its last page was handed over, and the reading ended there
            for begin in range(skip, max(len(records), skip + 1), PAGE):
                some = records[begin : begin + PAGE]
                yield Page(
                    some, {"after": [len(zone), zone], "in": begin + PAGE}, last and begin + PAGE >= len(records)
                )
        self._begun = ("", [])

    def _listed(self) -> Iterator[Raw]:
        for zone in self.zones():
            yield Raw(zone["id"], _json(zone), zone.get("changed"))

    def _records(self, zone: str) -> list[Raw]:
        found = [Raw(one.id, _json(one.body()), None, zone) for one in self.seen(zone)]
        return sorted(found, key=lambda record: record.id)

    def count(self, stream: str) -> int | None:
        """Return nothing: what counts is what is served."""
        return None

    def child(self, spec: Stream, parent: str) -> list[Raw]:
        """Return the record sets of one zone."""
        return self._records(parent)

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there as they stand now, by the account's own word."""
        stream = self.mapping.variant(kind, variant_name).stream
        ids = {there for there, _ in targets}
        if stream == "zones":
            return stream, [Raw(zone["id"], _json(zone)) for zone in self.zones() if zone["id"] in ids]
        return stream, [Raw(one.id, _json(one.body()), None, one.zone) for one in self.named(ids).values()]

    def named(self, ids: Iterable[str]) -> dict[str, RecordSet]:
        """Return the record sets with these ids that are there, by the account's own word."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for id in ids:
            wanted[parts(id)[0]].add(id)
        found: dict[str, RecordSet] = {}
        for zone, some in wanted.items():
            try:
                found |= {one.id: one for one in self.held(zone) if one.id in some}
            except AbsentError:
                continue
        return found

    def look(self, unit: Unit) -> Native | None:
        """Return a record as it stands, None where it is gone; of a zone with many to look at, all are read at once."""
        if unit.kind == "zone":
            return super().look(unit)
        zone = parts(unit.there)[0]
        self._looked[zone] = self._looked.get(zone, 0) + 1
        if self._looked[zone] <= FEW:
            found = self.named([unit.there]).get(unit.there)
        else:
            if zone not in self._lately:
                self._lately[zone] = {one.id: one for one in self.held(zone)}
            found = self._lately[zone].get(unit.there)
        return found.body() if found else None

    # ---- the wire ---------------------------------------------------------------------------------------------------

    @cached_property
    def servers(self) -> list[Server]:
        """Return the authoritative servers the option ``servers`` names."""
        return [Server.read(one) for one in self.options.get("servers", "").replace(",", " ").split()]

    def seen(self, zone: str) -> Iterator[RecordSet]:
        """Yield a zone's record sets as its servers serve them; as the account tells them where none are named."""
        told = {one.id: one for one in self.held(zone)}
        if not self.servers:
            yield from told.values()
            return
        self._settled(zone)
        served = [self._served(server, zone, told) for server in self.servers]
        for id in dict.fromkeys([*told, *(id for one in served for id in one)]):
            own = told.get(id)
            if own and not (own.values and known(own.type)):
                yield own
                continue
            yield self._agreed(id, own, [one.get(id) for one in served])

    def _settled(self, zone: str) -> None:
        """Wait until every server has the zone in the same version, as long as that may take."""
        for _ in range(SERIAL_LOOKS):
            if len({server.serial(zone) for server in self.servers}) == 1:
                return
            self.client.sleep(1.0)

    def _served(self, server: Server, zone: str, told: dict[str, RecordSet]) -> dict[str, RecordSet]:
        """Return what one server serves: transferred, or where that is refused asked for by name and type."""
        try:
            return {one.id: one for one in server.transferred(zone)}
        except AbsentError:
            return {}
        except ForbiddenError:
            found = {}
            for one in told.values():
                if not known(one.type):
                    continue
                try:
                    answered = server.asked(zone, one.name, one.type)
                except AbsentError:
                    continue
                if answered:
                    found[one.id] = answered
            return found

    def _agreed(self, id: str, own: RecordSet | None, served: list[RecordSet | None]) -> RecordSet:
        """Return what all servers serve; where they do not agree, what each says, which equals no prediction."""
        first = served[0]
        beside = own.beside if own else None
        if first and len(served) == 1:
            return replace(first, beside=beside) if beside else first
        same = all(one and first and (one.values, one.ttl) == (first.values, first.ttl) for one in served)
        if first and same:
            return replace(first, beside=beside)
        zone, name, type = parts(id)
        said = tuple(
            f"({server.name} serves {one.ttl} {' / '.join(one.values)})"
            if one
            else f"({server.name} does not serve it)"
            for server, one in zip(self.servers, served, strict=True)
        )
        ttl = own.ttl if own else next(one.ttl for one in served if one)
        return RecordSet(zone, name, type, ttl, said, beside=beside)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def time(self) -> datetime:
        """Return the time: no answer of a name server tells it."""
        return datetime.now(UTC)

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out units of one kind and action; those of one zone share a call."""
        if units[0].kind == "zone":
            return [self._zone(unit) for unit in units]
        by_zone: dict[str, list[int]] = defaultdict(list)
        for index, unit in enumerate(units):
            by_zone[_zone_of(unit)].append(index)
        outcomes: list[Outcome] = [None] * len(units)
        for zone, places in by_zone.items():
            try:
                self._sets(zone, [units[place] for place in places])
            except (RefusedError, UnknownOutcomeError, RetryError) as err:
                if len(by_zone) == 1:
                    raise
                for place, outcome in zip(
                    places, self._singled_out(zone, [units[p] for p in places], err), strict=True
                ):
                    outcomes[place] = outcome
                continue
            for place in places:
                outcomes[place] = Written(_id_of(units[place]))
        return outcomes

    def _singled_out(self, zone: str, units: list[Unit], err: Exception) -> list[Outcome]:
        """Return what becomes of a zone's units after a call with those of other zones: halved until it is known."""
        if not isinstance(err, RefusedError):
            return [None] * len(units)  # looked up
        if len(units) == 1:
            return [err]
        found: list[Outcome] = []
        for some in (units[: len(units) // 2], units[len(units) // 2 :]):
            try:
                self._sets(zone, some)
                found += [Written(_id_of(unit)) for unit in some]
            except (RefusedError, UnknownOutcomeError, RetryError) as again:
                found += self._singled_out(zone, some, again)
        return found

    def _zone(self, unit: Unit) -> Outcome:
        with self._writing:
            if unit.action == "delete":
                self.close_zone(unit.there)
                return Written(unit.there)
            self.open_zone(unit.payload)
            return Written(str(unit.payload["name"]))

    def _sets(self, zone: str, units: Sequence[Unit]) -> None:
        self._looked.pop(zone, None)
        self._lately.pop(zone, None)
        with self._writing:
            if units[0].action == "create":
                self.change(zone, [(None, from_body(unit.payload)) for unit in units])
                return
            there = self.named([unit.there for unit in units])
            changes: list[Change] = []
            for unit in units:
                was = there.get(unit.there)
                if was is None:
                    if unit.action == "delete":
                        continue  # gone already
                    raise RefusedError(f"{unit.kind} {unit.there} is no longer there", status=404)
                changes.append((was, _changed(was, unit.payload) if unit.action == "update" else None))
            if changes:
                self.change(zone, changes)

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made, by the account's own word; a zone is read once."""
        if units[0].kind == "zone":
            there = {zone["id"] for zone in self.zones()}
            if units[0].action == "delete":
                return [None if unit.there in there else Written(unit.there) for unit in units]
            return [Written(n) if (n := str(unit.payload["name"])) in there else None for unit in units]
        held = self.named([_id_of(unit) for unit in units])
        return [Written(_id_of(unit)) if _stands(unit, held.get(_id_of(unit))) else None for unit in units]


def _stands(unit: Unit, there: RecordSet | None) -> bool:
    """Tell whether a unit was carried out, by what is there."""
    if unit.action == "delete":
        return there is None
    if there is None:
        return False
    wanted = from_body(unit.payload) if unit.action == "create" else _changed(there, unit.payload)
    return (there.values, there.ttl) == (wanted.values, wanted.ttl)


def _changed(was: RecordSet, payload: Native) -> RecordSet:
    """Return a record set with the places changed that a payload names; new values are cut the usual way."""
    kept = {**was.body(), **payload}
    if "values" in payload and "pieces" not in payload:
        kept.pop("pieces", None)
    return from_body({**kept, "zone": was.zone})


def _id_of(unit: Unit) -> str:
    if unit.there:
        return unit.there
    return set_id(str(unit.payload["zone"]), str(unit.payload["name"]), str(unit.payload["type"]))


def _zone_of(unit: Unit) -> str:
    return parts(unit.there)[0] if unit.there else str(unit.payload["zone"])


def _json(record: Native, errors: str = "strict") -> bytes:
    try:
        return ENCODER.encode(record)
    except UnicodeEncodeError:  # half a character, as a text may hold that no one decoded
        return json.dumps(record, ensure_ascii=False, sort_keys=True).encode(errors=errors)
