"""Zones at Cloudflare: single records gathered into sets, and changed in batches that are carried out whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from migrator.connector import Native
from migrator.errors import AbsentError, RefusedError, UnknownOutcomeError
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import RecordSet, absolute, of_plain_text, parsed, quoted, record_set, set_id

AUTOMATIC = 1  # a TTL Cloudflare chooses; it serves 300
AUTOMATIC_SECONDS = 300
PAGE = 100
# The API wants these in parts: rdata's names for the API's (official specification of 2023-08).
PARTS: dict[str, dict[str, str]] = {
    "CAA": {"flags": "flags", "tag": "tag", "value": "value"},
    "CERT": {"certificate_type": "type", "key_tag": "key_tag", "algorithm": "algorithm"},
    "DS": {"key_tag": "key_tag", "algorithm": "algorithm", "digest_type": "digest_type"},
    "HTTPS": {"priority": "priority", "target": "target"},
    "SVCB": {"priority": "priority", "target": "target"},
    "NAPTR": {
        "order": "order", "preference": "preference", "flags": "flags", "service": "service", "regexp": "regex",
        "replacement": "replacement",
    },
    "SMIMEA": {"usage": "usage", "selector": "selector", "mtype": "matching_type"},
    "TLSA": {"usage": "usage", "selector": "selector", "mtype": "matching_type"},
    "SRV": {"priority": "priority", "weight": "weight", "port": "port", "target": "target"},
    "SSHFP": {"algorithm": "algorithm", "fp_type": "type"},
    "URI": {"weight": "weight", "target": "content"},
}  # fmt: skip
LAST = {"CERT": "certificate", "DS": "digest", "SMIMEA": "certificate", "TLSA": "certificate", "SSHFP": "fingerprint"}


class Connection(ZoneAccount):
    """One account."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._ids: dict[str, str] = {}  # of zones, by name
        self._record_ids: dict[str, list[str]] = {}  # ids of the records of a set, as they were when last read

    def zones(self) -> Iterable[Native]:
        """Return the zones."""
        found = []
        for zone in self._all("/zones", per_page=50):
            name = absolute(zone["name"])
            self._ids[name] = zone["id"]
            found.append({"id": name, "name": name, "status": zone.get("status")})
        return found

    def _all(self, path: str, *, per_page: int = PAGE) -> Iterator[Native]:
        page = 1
        while True:
            answer = self.client.read(path, {"page": page, "per_page": per_page}).json()
            yield from answer["result"]
            if page >= int((answer.get("result_info") or {}).get("total_pages") or 1):
                return
            page += 1

    def _address(self, zone: str) -> str:
        if zone not in self._ids:
            list(self.zones())
        if zone not in self._ids:
            raise AbsentError(f"there is no zone {zone}", status=404)
        return f"/zones/{self._ids[zone]}"

    def held(self, zone: str) -> Iterator[RecordSet]:
        """Yield a zone's record sets."""
        gathered: dict[str, list[Native]] = defaultdict(list)
        for record in self._all(f"{self._address(zone)}/dns_records"):
            gathered[set_id(zone, absolute(record["name"]), record["type"])].append(record)
        for id, records in gathered.items():
            self._record_ids[id] = [record["id"] for record in records]
            yield _told(zone, records)

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Carry changes out in one batch: what was is deleted, what shall be is made."""
        gone = [{"id": id} for was, _ in changes if was for id in self._record_ids.get(was.id, ())]
        made = [record for _, becomes in changes if becomes for record in records_of(becomes)]
        # Deletes come first (developers.cloudflare.com, Batch record changes, read 2026-11-22).
        self._posted(f"{self._address(zone)}/dns_records/batch", {"deletes": gone, "posts": made})

    def _posted(self, path: str, body: Native) -> Native:
        try:
            answer: Native = self.client.write("POST", path, json=body).json()
        except ValueError as err:
            raise UnknownOutcomeError(f"POST {path}: an unreadable answer") from err
        if answer.get("success") is False:  # whatever the status says
            said = "; ".join(str(error.get("message")) for error in answer.get("errors") or ())
            raise RefusedError(f"POST {path}: {said or 'refused'}", status=200, answer=str(answer)[:4000])
        return answer

    def open_zone(self, payload: Native) -> None:
        """Make a zone; records that Cloudflare guesses are not wanted."""
        body: Native = {"name": payload["name"].rstrip("."), "type": "full", "jump_start": False}
        if account := self.options.get("account_id"):
            body["account"] = {"id": account}
        self._ids[payload["name"]] = self._posted("/zones", body)["result"]["id"]

    def close_zone(self, zone: str) -> None:
        """Take a zone away."""
        try:
            self.client.write("DELETE", self._address(zone))
        except AbsentError:
            pass
        self._ids.pop(zone, None)


def _told(zone: str, records: list[Native]) -> RecordSet:
    ttls = sorted({AUTOMATIC_SECONDS if r["ttl"] == AUTOMATIC else int(r["ttl"]) for r in records})
    beside: dict[str, Any] = {}
    if notes := list(dict.fromkeys(r["comment"] for r in records if r.get("comment"))):
        beside["comment"] = "\n".join(notes)
    if any(r.get("proxied") for r in records):
        beside["proxied"] = True
    if any(r["ttl"] == AUTOMATIC for r in records):
        beside["automatic_ttl"] = True
    if tags := sorted({tag for r in records for tag in r.get("tags") or ()}):
        beside["tags"] = tags
    if len(ttls) > 1:
        beside["ttls"] = ttls
    first = records[0]
    texts = [_text(record) for record in records]
    return record_set(zone, absolute(first["name"]), first["type"], ttls[0], texts, beside or None)


def _text(record: Native) -> str:
    """Return a record's value in master file form: names without a dot at their end are absolute here."""
    type, content, data = record["type"], str(record.get("content") or ""), record.get("data") or {}
    if type == "TXT":
        return content if len(content) > 1 and content[0] == content[-1] == '"' else of_plain_text(content)
    if type in ("CNAME", "NS", "PTR"):
        return _dotted(content)
    if type == "MX":
        return f"{record.get('priority', 0)} {_dotted(content)}"
    if type in PARTS and data:
        return _of_parts(type, data, record)
    if type == "SRV":
        *numbers, target = content.split()
        return " ".join([str(record.get("priority", 0)), *numbers[-2:], _dotted(target)])
    return content


def _of_parts(type: str, data: Native, record: Native) -> str:
    """Return a value told in parts in master file form: the ``content`` beside them is for people."""

    def text(part: str) -> str:
        return quoted(str(data[part]).encode())

    if type == "CAA":
        return f"{data['flags']} {data['tag']} {text('value')}"
    if type == "NAPTR":
        words = f"{text('flags')} {text('service')} {text('regex')}"
        return f"{data['order']} {data['preference']} {words} {_dotted(data['replacement'])}"
    if type == "URI":
        return f"{record.get('priority', 0)} {data['weight']} {text('content')}"
    if type in ("HTTPS", "SVCB"):
        return f"{data['priority']} {_dotted(data['target'])} {data.get('value') or ''}".rstrip()
    if type == "SRV":
        return f"{data['priority']} {data['weight']} {data['port']} {_dotted(data['target'])}"
    return " ".join(str(data[part]) for part in (*PARTS[type].values(), LAST[type]))


def _dotted(name: str) -> str:
    return name if name.endswith(".") else name + "."


def records_of(one: RecordSet) -> list[Native]:
    """Return the records of a set, as the API takes them."""
    beside = one.beside or {}
    made = []
    for text in one.texts():
        record: Native = {"type": one.type, "name": one.name.rstrip("."), "ttl": one.ttl}
        rdata: Any = parsed(one.type, text)
        if one.type in PARTS:
            record["data"] = _in_parts(one.type, rdata)
            if one.type == "URI":
                record["priority"] = rdata.priority
        elif one.type == "MX":
            record |= {"priority": rdata.preference, "content": rdata.exchange.to_text().rstrip(".") or "."}
        else:
            record["content"] = text.rstrip(".") if one.type in ("CNAME", "NS", "PTR") else text
        if beside.get("comment"):
            record["comment"] = beside["comment"]
        if beside.get("proxied") and one.type in ("A", "AAAA", "CNAME"):
            record |= {"proxied": True, "ttl": AUTOMATIC}  # a proxied record has no TTL of its own
        made.append(record)
    return made


def _in_parts(type: str, rdata: Any) -> Native:
    data: Native = {}
    for ours, theirs in PARTS[type].items():
        value = getattr(rdata, ours)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        elif isinstance(value, int):
            value = int(value)
        elif hasattr(value, "to_text"):
            value = value.to_text()
            value = value.rstrip(".") if type == "SRV" and value != "." else value
        data[theirs] = value
    words = rdata.to_text().split()
    if type in LAST:
        data[LAST[type]] = "".join(words[3 if type != "SSHFP" else 2 :])
    if type in ("HTTPS", "SVCB"):
        data["value"] = " ".join(words[2:])
    return data
