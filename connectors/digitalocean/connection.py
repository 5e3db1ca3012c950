"""Zones at DigitalOcean: single records gathered into sets; a set is brought to what it shall be record by record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from migrator.connector import Native
from migrator.errors import AbsentError, RefusedError, UnknownOutcomeError
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import RecordSet, absolute, normal, of_plain_text, parsed, plain_text, record_set, set_id

DOMAINS = "/v2/domains"
PAGE = 200
NAMES = ("CNAME", "NS")


class Connection(ZoneAccount):
    """One account."""

    def zones(self) -> Iterable[Native]:
        """Return the zones."""
        for domain in self._all(DOMAINS, "domains"):
            name = absolute(domain["name"])
            yield {"id": name, "name": name, "ttl": domain.get("ttl")}

    def _all(self, path: str, key: str) -> Iterator[Native]:
        page = 1
        while True:
            answer = self.client.read(path, {"page": page, "per_page": PAGE}).json()
            yield from answer[key]
            if not ((answer.get("links") or {}).get("pages") or {}).get("next"):
                return
            page += 1

    def _gathered(self, zone: str) -> dict[str, list[Native]]:
        gathered: dict[str, list[Native]] = defaultdict(list)
        for record in self._all(_address(zone), "domain_records"):
            if record["type"] != "SOA":  # shown without its parts, and the vendor's own
                gathered[set_id(zone, absolute(record["name"], zone), record["type"])].append(record)
        return gathered

    def held(self, zone: str) -> Iterator[RecordSet]:
        """Yield a zone's record sets."""
        for records in self._gathered(zone).values():
            yield _told(zone, records)

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Bring sets to what they shall be; what is so already is left alone. A set that is refused is put back."""
        there = self._gathered(zone)
        for was, becomes in changes:
            one = becomes or was
            assert one is not None
            self._brought(zone, there.get(one.id, []), becomes)

    def _brought(self, zone: str, records: list[Native], becomes: RecordSet | None) -> None:
        wanted = {body["_value"]: body for body in records_of(becomes)} if becomes else {}
        made: list[str] = []
        surplus = []
        for record in records:
            value = normal(record["type"], _text(zone, record))[0]
            body = wanted.pop(value, None)
            if body is None:
                surplus.append(record)
            elif body["ttl"] != record["ttl"]:
                self.client.write("PUT", f"{_address(zone)}/{record['id']}", json=_sent(body))
        try:
            for body in wanted.values():
                answer = self.client.write("POST", _address(zone), json=_sent(body))
                made.append(str(answer.json()["domain_record"]["id"]))
        except RefusedError:
            for id in made:
                self.client.write("DELETE", f"{_address(zone)}/{id}")
            raise
        except (ValueError, KeyError) as err:
            raise UnknownOutcomeError(f"POST {_address(zone)}: an unreadable answer") from err
        for record in surplus:
            try:
                self.client.write("DELETE", f"{_address(zone)}/{record['id']}")
            except AbsentError:
                continue

    def open_zone(self, payload: Native) -> None:
        """Make a zone."""
        self.client.write("POST", DOMAINS, json={"name": payload["name"].rstrip(".")})

    def close_zone(self, zone: str) -> None:
        """Take a zone away."""
        try:
            self.client.write("DELETE", f"{DOMAINS}/{zone.rstrip('.')}")
        except AbsentError:
            pass


def _address(zone: str) -> str:
    return f"{DOMAINS}/{zone.rstrip('.')}/records"


def _told(zone: str, records: list[Native]) -> RecordSet:
    ttls = sorted({int(record["ttl"] or 0) for record in records})
    first = records[0]
    beside = {"ttls": ttls} if len(ttls) > 1 else None
    texts = [_text(zone, record) for record in records]
    return record_set(zone, absolute(first["name"], zone), first["type"], ttls[0], texts, beside)


def _text(zone: str, record: Native) -> str:
    """Return a record's value in master file form: a name is absolute without a dot at its end, or ``@``."""
    type, data = record["type"], str(record.get("data") or "")
    name = zone if data == "@" else data if data.endswith(".") else data + "."
    if type == "TXT":
        return of_plain_text(data)
    if type in NAMES:
        return name
    if type == "MX":
        return f"{record['priority']} {name}"
    if type == "SRV":
        return f"{record['priority']} {record['weight']} {record['port']} {name}"
    if type == "CAA":
        return f'{record["flags"]} {record["tag"]} "{data}"'
    return data


def records_of(one: RecordSet) -> list[Native]:
    """Return the records of a set, as the API takes them; ``_value`` is ours, to know them by."""
    made = []
    name = "@" if one.name == one.zone else one.name.removesuffix("." + one.zone)
    for value in one.values:
        record: Native = {"_value": value, "type": one.type, "name": name, "ttl": one.ttl}
        rdata: Any = parsed(one.type, value)
        if one.type == "TXT":
            record["data"] = plain_text(value)
        elif one.type == "MX":
            record |= {"priority": rdata.preference, "data": rdata.exchange.to_text()}
        elif one.type == "SRV":
            record |= {"priority": rdata.priority, "weight": rdata.weight, "port": rdata.port}
            record["data"] = rdata.target.to_text()
        elif one.type == "CAA":
            record |= {"flags": rdata.flags, "tag": rdata.tag.decode(), "data": rdata.value.decode()}
        else:
            record["data"] = value
        made.append(record)
    return made


def _sent(body: Native) -> Native:
    return {key: value for key, value in body.items() if key != "_value"}
