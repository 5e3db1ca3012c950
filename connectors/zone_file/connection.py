"""Zones in files: parsed whole, and written whole in the place of the file before, at once or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import dns.exception
import dns.rdatatype
import dns.tokenizer
import dns.zone
import dns.zonefile

from migrator.connector import Finding, Native
from migrator.errors import AbsentError, InputError, MigratorError, RefusedError, VendorError, disk_trouble
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import APEX, RecordSet, absolute, of_rdatas, record_set

ENDINGS = (".zone", ".db", ".txt", ".tst")
SOA = "{server} hostmaster.{zone} {serial} 3600 900 1209600 300"
TTL = 3600  # of what migrator itself puts at the apex


class Connection(ZoneAccount):
    """One folder of zone files."""

    @property
    def folder(self) -> Path:
        """Return the folder. Raises InputError where there is none."""
        folder = Path(self.given("folder"))
        if not folder.is_dir():
            raise InputError(f"zone_file: {folder} is no folder", remedy="make it, or correct settings.folder")
        return folder

    def zones(self) -> Iterable[Native]:
        """Return the zones that have a file."""
        for zone, path in sorted(self._paths().items()):
            signed = any(one.type == "DNSKEY" for one in self._read(zone, path))
            yield {"id": zone, "name": zone, "dnssec": signed}

    def _paths(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for path in sorted(self.folder.iterdir()):
            if path.suffix in ENDINGS and path.is_file():
                zone = _zone_of(path)
                if zone in found:
                    raise InputError(f"zone_file: {found[zone].name} and {path.name} are both of {zone}")
                found[zone] = path
        return found

    def held(self, zone: str) -> Iterator[RecordSet]:
        """Yield the zone's record sets."""
        path = self._paths().get(zone)
        if path is None:
            raise AbsentError(f"there is no file of {zone}", status=404)
        return self._read(zone, path)

    def _read(self, zone: str, path: Path) -> Iterator[RecordSet]:
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            # $INCLUDE would read any file of this machine.
            parsed = dns.zone.from_text(text, zone, relativize=False, check_origin=False, allow_include=False)
        except (OSError, dns.exception.DNSException, UnicodeError) as err:
            raise VendorError(f"{path.name}: {err}") from err
        for name, rdataset in parsed.iterate_rdatasets():
            yield of_rdatas(zone, name, dns.rdatatype.to_text(rdataset.rdtype), rdataset.ttl, rdataset)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Carry changes out: the file is written anew."""
        there = {one.id: one for one in self.held(zone)}
        for was, becomes in changes:
            one = becomes or was
            assert one is not None
            there.pop(one.id, None)
            if becomes:
                there[becomes.id] = becomes
        path = self._paths()[zone]
        self._write(zone, path, there.values())

    def open_zone(self, payload: Native) -> None:
        """Make a zone's file, with the name servers the option ``name_servers`` names."""
        zone = str(payload["name"])
        if zone in self._paths():
            raise RefusedError(f"there is a file of {zone} already", status=409)
        servers = [absolute(one) for one in self.options.get("name_servers", "").replace(",", " ").split()]
        if not servers:
            raise InputError("a zone file needs name servers", remedy="add `options: {name_servers: …}`")
        made = [record_set(zone, zone, "NS", TTL, servers)]
        soa = SOA.format(server=servers[0], zone=zone.lstrip("."), serial=1)
        made.append(record_set(zone, zone, "SOA", TTL, [soa]))
        self._write(zone, self.folder / f"{zone.rstrip('.').replace('/', '%2F') or '@'}.zone", made)

    def close_zone(self, zone: str) -> None:
        """Remove a zone's file."""
        path = self._paths().get(zone)
        if path:
            path.unlink()

    def _write(self, zone: str, path: Path, sets: Iterable[RecordSet]) -> None:
        try:
            handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"$ORIGIN {zone}\n")
                for one in sorted(sets, key=lambda one: (one.name != zone, one.type not in APEX, one.id)):
                    for text in one.texts():
                        file.write(f"{one.name} {one.ttl} IN {one.type} {_anew(text) if one.type == 'SOA' else text}\n")
                file.flush()
                os.fsync(file.fileno())
            os.chmod(part, 0o644)
            Path(part).replace(path)
        except OSError as err:
            raise disk_trouble(err) or VendorError(f"{path.name} cannot be written: {err}") from err

    def check(self) -> list[Finding]:
        """Read every file."""
        try:
            zones = [zone["id"] for zone in self.zones()]
        except MigratorError as err:
            return [Finding("credentials", False, str(err))]
        return [Finding("credentials", True, f"{self.folder}: {len(zones)} zones")]


def _zone_of(path: Path) -> str:
    """Return the zone a file is of: what its first $ORIGIN says, else its name."""
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words = line.split(";")[0].split()
            if not words:
                continue
            if words[0].upper() == "$ORIGIN" and len(words) > 1 and words[1].endswith("."):
                return absolute(words[1])
            if not words[0].startswith("$"):
                break
    return absolute(path.stem.replace("%2F", "/"))


def _anew(soa: str) -> str:
    """Return an SOA with a serial that is higher than before."""
    server, person, serial, *rest = soa.split()
    return " ".join([server, person, str(max(int(serial) + 1, int(time.time())) % 2**32), *rest])
