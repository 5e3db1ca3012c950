"""DNS records as OpenSRS has them (lists by type, no TTL) and record sets in our normal form."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from migrator.connector import Native
from migrator.errors import RefusedError
from migrator.zones.records import RecordSet, absolute, of_plain_text, parsed, plain_text, record_set

TYPES = ("A", "AAAA", "CNAME", "MX", "SRV", "TXT")


def group(zone: str, records: dict[str, list[Native]]) -> dict[tuple[str, str], list[Native]]:
    """Return a zone's records by type and name."""
    found: dict[tuple[str, str], list[Native]] = defaultdict(list)
    for type, some in records.items():
        for record in some or ():
            label = str(record.get("subdomain") or "@")
            found[type.upper(), absolute(label, zone)].append(record)
    return dict(found)


def told(zone: str, type: str, name: str, records: list[Native]) -> RecordSet:
    """Return the record set of some records. OpenSRS tells no TTL: the set's says nothing."""
    return record_set(zone, name, type, 0, [_text(type, record) for record in records])


def _text(type: str, record: Native) -> str:
    """Return a record's value in master file form; host names are whole, with or without a dot at their end."""
    host = str(record.get("hostname") or "").rstrip(".") + "."
    if type == "A":
        return str(record.get("ip_address") or "")
    if type == "AAAA":
        return str(record.get("ipv6_address") or "")
    if type == "TXT":
        return of_plain_text(str(record.get("text") or ""))
    if type == "MX":
        return f"{record.get('priority')} {host}"
    if type == "SRV":
        return f"{record.get('priority')} {record.get('weight')} {record.get('port')} {host}"
    return host


def records_of(one: RecordSet) -> list[Native]:
    """Return a set's records as the API takes them. Raises RefusedError for a type that it does not know."""
    if one.type not in TYPES:
        raise RefusedError(f"OpenSRS has no records {one.type}")
    label = "" if one.name == one.zone else one.name.removesuffix("." + one.zone)
    made: list[Native] = []
    for value in one.values:
        rdata: Any = parsed(one.type, value)
        record: Native = {"subdomain": label}
        if one.type == "A":
            record["ip_address"] = rdata.address
        elif one.type == "AAAA":
            record["ipv6_address"] = rdata.address
        elif one.type == "TXT":
            record["text"] = plain_text(value)
            if of_plain_text(record["text"]) != value:
                raise RefusedError(f"{value[:80]} has bytes that are no UTF-8, which OpenSRS's API cannot carry")
        elif one.type == "MX":
            record |= {"priority": rdata.preference, "hostname": _host(rdata.exchange)}
        elif one.type == "SRV":
            record |= {"priority": rdata.priority, "weight": rdata.weight, "port": rdata.port}
            record["hostname"] = _host(rdata.target)
        else:
            record["hostname"] = _host(rdata.target)
        made.append(record)
    return made


def _host(name: Any) -> str:
    return str(name.to_text(omit_final_dot=True))
