"""Zones of a PowerDNS server: listed, read whole and changed by its API, a PATCH being all or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec

from migrator.connector import Native
from migrator.errors import AbsentError, InputError
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import RecordSet, absolute, normal, parsed, parts, record_set

ZONES = "/servers/localhost/zones"


class Connection(ZoneAccount):
    """One PowerDNS server."""

    def zones(self) -> Iterable[Native]:
        """Return the zones."""
        for zone in self.client.read(ZONES).json():
            name = absolute(zone["name"])
            yield {"id": name, "name": name, "kind": zone.get("kind"), "dnssec": bool(zone.get("dnssec"))}

    def held(self, zone: str) -> Iterator[RecordSet]:
        """Yield the record sets of a zone, with comments and what is switched off."""
        for rrset in msgspec.json.decode(self.client.read(_address(zone)).content)["rrsets"]:
            yield _told(zone, rrset)

    def named(self, ids: Iterable[str]) -> dict[str, RecordSet]:
        """Return record sets by their ids; of a few, the server is asked for these alone."""
        wanted = list(ids)
        if len(wanted) > 8:
            return super().named(wanted)
        found: dict[str, RecordSet] = {}
        for id in wanted:
            zone, name, type = parts(id)
            query = {"rrset_name": name, "rrset_type": type}
            try:
                rrsets = self.client.read(_address(zone), query).json()["rrsets"]
            except AbsentError:
                continue
            # A server that does not know the question tells everything.
            found |= {one.id: one for rrset in rrsets if (one := _told(zone, rrset)).id == id}
        return found

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Carry changes out in one PATCH."""
        rrsets = [_rrset(was, becomes) for was, becomes in changes]
        self.client.write("PATCH", _address(zone), json={"rrsets": rrsets})

    def open_zone(self, payload: Native) -> None:
        """Make a zone with the name servers the option ``name_servers`` names."""
        kind = self.options.get("kind", "Native")
        if kind not in ("Native", "Master", "Primary"):
            raise InputError(f"powerdns: options.kind is Native, Master or Primary, not {kind!r}")
        servers = [absolute(one) for one in self.options.get("name_servers", "").replace(",", " ").split()]
        body = {"name": payload["name"], "kind": kind, "nameservers": servers}
        self.client.write("POST", ZONES, json=body)

    def close_zone(self, zone: str) -> None:
        """Take a zone away."""
        try:
            self.client.write("DELETE", _address(zone))
        except AbsentError:
            pass


def _address(zone: str) -> str:
    # PowerDNS writes what has no place in an address as =2F (its docs/http-api/zone, read 2026-11-26).
    return f"{ZONES}/{quote(zone, safe='._-').replace('%', '=')}"


def _told(zone: str, rrset: Native) -> RecordSet:
    served = [record["content"] for record in rrset["records"] if not record.get("disabled")]
    off = [normal(rrset["type"], r["content"])[0] for r in rrset["records"] if r.get("disabled")]
    notes = [note["content"] for note in rrset.get("comments") or () if note.get("content")]
    beside: dict[str, Any] = {}
    if off:
        beside["disabled"] = sorted(off)
    if notes:
        beside["comment"] = "\n".join(notes)
    return record_set(zone, rrset["name"], rrset["type"], rrset["ttl"], served, beside or None)


def _worded(type: str, text: str) -> str:
    """Return a value as PowerDNS writes it itself: it refuses what is not in that form (422, 4.7.3, 2026-11-26)."""
    if type in ("SVCB", "HTTPS"):
        return re.sub(r'="([^"\\\s]*)"', r"=\1", text)
    if type == "CERT":
        rdata: Any = parsed(type, text)
        return f"{int(rdata.certificate_type)} {rdata.key_tag} {int(rdata.algorithm)} {text.split()[3]}"
    return text


def _rrset(was: RecordSet | None, becomes: RecordSet | None) -> Native:
    one = becomes or was
    assert one is not None
    if becomes is None:
        return {"name": one.name, "type": one.type, "ttl": one.ttl, "changetype": "DELETE", "records": []}
    beside = becomes.beside or {}
    records = [{"content": _worded(one.type, text), "disabled": False} for text in becomes.texts()]
    if beside.get("disabled"):
        off = replace(becomes, values=tuple(beside["disabled"]), pieces=())
        records += [{"content": _worded(one.type, text), "disabled": True} for text in off.texts()]
    told: Native = {"name": one.name, "type": one.type, "ttl": one.ttl, "changetype": "REPLACE", "records": records}
    if beside.get("comment") or (was and (was.beside or {}).get("comment")):
        notes = str(beside.get("comment") or "").split("\n")
        told["comments"] = [{"content": note, "account": ""} for note in notes if note]
    return told
