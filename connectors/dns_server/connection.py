"""Zones of a server on port 53: transferred whole, changed by dynamic updates that say what must be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from migrator.connector import Finding, Native
from migrator.errors import AccessError, InputError, MigratorError
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import RecordSet, absolute, parts
from migrator.zones.wire import Key, Server


class Connection(ZoneAccount):
    """One server. It is written where it is read: what it serves is the account's own word."""

    @cached_property
    def server(self) -> Server:
        """Return the server, with the key where one is given."""
        return Server.read(self.given("server"), self._key)

    @cached_property
    def _key(self) -> Key | None:
        try:
            text = self.given("key")
        except InputError:
            return None
        return Key.read(text)

    @cached_property
    def servers(self) -> list[Server]:
        """Return the servers the option names, each asked with the key."""
        return [Server.read(one.name, self._key) for one in super().servers]

    def zones(self) -> Iterable[Native]:
        """Return the zones that are named. Raises AccessError where one is not served."""
        for one in self.given("zones").replace(",", " ").split():
            zone = absolute(one)
            if self.server.serial(zone) is None:
                raise AccessError(f"{self.server.name} does not serve the zone {zone}")
            signed = self.server.asked(zone, zone, "DNSKEY") is not None
            yield {"id": zone, "name": zone, "dnssec": signed}

    def held(self, zone: str) -> Iterator[RecordSet]:
        """Yield the zone's record sets."""
        return self.server.transferred(zone)

    def named(self, ids: Iterable[str]) -> dict[str, RecordSet]:
        """Return record sets by their ids; of a few, each is asked for."""
        wanted = list(ids)
        if len(wanted) > 64:
            return super().named(wanted)
        asked = [self.server.asked(*parts(id)) for id in wanted]
        return {one.id: one for one in asked if one}

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Carry changes out in one update."""
        self.server.updated(zone, changes)

    def check(self) -> list[Finding]:
        """Look whether the zones are served, and whether they may be transferred."""
        findings = []
        try:
            zones = [zone["id"] for zone in self.zones()]
            findings.append(Finding("credentials", True, f"{self.server.name} serves {len(zones)} zones"))
            for zone in zones:
                next(iter(self.held(zone)), None)
                findings.append(Finding(f"to transfer {zone}", True))
        except MigratorError as err:
            what = "to transfer zones" if findings else "credentials"
            findings.append(Finding(what, False, str(err)))
        return findings
