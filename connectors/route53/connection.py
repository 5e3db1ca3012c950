"""Hosted zones at Route 53: XML, record sets as they are, change batches that are carried out whole or not at all."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from migrator.connector import Finding, Native
from migrator.errors import AbsentError, MigratorError, RefusedError, RetryError, UnknownOutcomeError, VendorError
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import RecordSet, absolute, record_set

from .signature import Signature

SPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
LATER = ("Throttling", "PriorRequestNotComplete", "ServiceUnavailable")  # answered 400, and nothing was done
TRIES = 6
POLICIES = ("SetIdentifier", "Weight", "Region", "Failover", "MultiValueAnswer", "HealthCheckId")


class Connection(ZoneAccount):
    """One AWS account."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.client.auth = Signature(self.given("access_key"), lambda: self.given("secret_key"), now=self.client.now)
        self._ids: dict[str, str] = {}  # of hosted zones, by name

    def zones(self) -> Iterable[Native]:
        """Return the public hosted zones."""
        found, query = [], {"maxitems": "100"}
        while True:
            answer = self._xml("/hostedzone", query)
            for zone in answer.iterfind("HostedZones/HostedZone"):
                if zone.findtext("Config/PrivateZone") == "true":
                    continue
                name = absolute(_decimal(_said(zone, "Name")))
                self._ids[name] = _said(zone, "Id").rsplit("/", 1)[-1]
                told: Native = {"id": name, "name": name}
                if comment := zone.findtext("Config/Comment"):
                    told["comment"] = comment
                found.append(told)
            if answer.findtext("IsTruncated") != "true":
                return found
            query["marker"] = _said(answer, "NextMarker")

    def _xml(self, path: str, query: dict[str, str]) -> ElementTree.Element:
        return _parsed(self.client.read(path, query).content)

    def _address(self, zone: str) -> str:
        if zone not in self._ids:
            self.zones()
        if zone not in self._ids:
            raise AbsentError(f"there is no hosted zone {zone}", status=404)
        return f"/hostedzone/{self._ids[zone]}"

    def held(self, zone: str) -> Iterator[RecordSet]:
        """Yield a zone's record sets."""
        path, query = f"{self._address(zone)}/rrset", {"maxitems": "300"}
        while True:
            answer = self._xml(path, query)
            for rrset in answer.iterfind("ResourceRecordSets/ResourceRecordSet"):
                yield _told(zone, rrset)
            if answer.findtext("IsTruncated") != "true":
                return
            query = {"maxitems": "300", "name": _said(answer, "NextRecordName")}
            for parameter, element in (("type", "NextRecordType"), ("identifier", "NextRecordIdentifier")):
                if following := answer.findtext(element):
                    query[parameter] = following

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Carry changes out in one batch: what was must be there exactly as it was, and what is new must not."""
        steps = []
        for was, becomes in changes:
            steps += [f"<Change><Action>DELETE</Action>{set_of(was)}</Change>"] if was else []
            steps += [f"<Change><Action>CREATE</Action>{set_of(becomes)}</Change>"] if becomes else []
        inner = f"<ChangeBatch><Changes>{''.join(steps)}</Changes></ChangeBatch>"
        self._posted(f"{self._address(zone)}/rrset/", "ChangeResourceRecordSetsRequest", inner)

    def _posted(self, path: str, root: str, inner: str) -> ElementTree.Element:
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{SPACE}">{inner}</{root}>'.encode()
        for attempt in range(1, TRIES + 1):
            try:
                answer = self.client.write("POST", path, data=body, headers={"Content-Type": "text/xml"})
                return _parsed(answer.content)
            except VendorError as err:
                said = getattr(err, "answer", "")
                if not any(f"<Code>{word}</Code>" in said for word in LATER):
                    raise
                if attempt == TRIES:
                    raise RetryError(f"POST {path}: {said[:200]}; tried {attempt} times") from err
                self.client.sleep(0.5 * 2**attempt)
        raise AssertionError("unreachable")

    def open_zone(self, payload: Native) -> None:
        """Make a hosted zone; the caller's reference is another one each time, as AWS wants it."""
        name = str(payload["name"])
        if name in {zone["id"] for zone in self.zones()}:
            raise RefusedError(f"there is a hosted zone {name} already", status=409)  # AWS would make a second one
        reference = f"migrator {name} {time.time_ns()}"
        inner = f"<Name>{escape(name)}</Name><CallerReference>{escape(reference)}</CallerReference>"
        answer = self._posted("/hostedzone", "CreateHostedZoneRequest", inner)
        try:
            self._ids[name] = _said(answer, "HostedZone/Id").rsplit("/", 1)[-1]
        except VendorError as err:
            raise UnknownOutcomeError(f"POST /hostedzone: {err}") from err

    def close_zone(self, zone: str) -> None:
        """Take a hosted zone away; Route 53 removes only an empty one."""
        try:
            self.client.write("DELETE", self._address(zone))
        except AbsentError:
            pass
        self._ids.pop(zone, None)

    def check(self) -> list[Finding]:
        """Count the zones: an answer in XML."""
        try:
            return [Finding("credentials", True, f"{len(list(self.zones()))} hosted zones")]
        except MigratorError as err:
            return [Finding("credentials", False, str(err))]


def _parsed(content: bytes) -> ElementTree.Element:
    """Return an answer without its namespace. Raises VendorError for what is no XML, or more than plain XML."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise VendorError("Route 53 answered with a document type, which no answer of its API has")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as err:
        raise VendorError(f"Route 53 answered with what is no XML ({err})") from err
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _said(element: ElementTree.Element, path: str) -> str:
    found = element.findtext(path)
    if not found:
        raise VendorError(f"Route 53 left {path} out of its answer")
    return found


def _decimal(text: str) -> str:
    """Return Route 53's octal escapes as DNS has them: ``\\052`` there is ``*``, in a zone file a double quote."""
    return re.sub(r"\\(\\|[0-3][0-7]{2})", lambda at: at[0] if at[1] == "\\" else _escaped(int(at[1], 8)), text)


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 0x21 <= byte < 0x7F and chr(byte) not in ".;@$()" else f"\\{byte:03d}"


def _octal(text: str) -> str:
    """Return a zone file's decimal escapes as Route 53 has them."""
    return re.sub(r"\\(\\|[0-9]{3})", lambda at: at[0] if at[1] == "\\" else f"\\{int(at[1]):03o}", text)


def _told(zone: str, rrset: ElementTree.Element) -> RecordSet:
    name, type = absolute(_decimal(_said(rrset, "Name"))), _said(rrset, "Type")
    values = [_value(type, one.text or "") for one in rrset.iterfind("ResourceRecords/ResourceRecord/Value")]
    rules = [f"{rule} {rrset.findtext(rule)}" for rule in POLICIES if rrset.findtext(rule)]
    rules += ["GeoLocation"] if rrset.find("GeoLocation") is not None else []
    target = rrset.findtext("AliasTarget/DNSName")
    rules += [f"alias of {target}"] if target else []
    beside = {"policy": "; ".join(rules)} if rules else None
    apart = re.sub(r"[^A-Za-z0-9_-]", "_", rrset.findtext("SetIdentifier") or "")
    return replace(record_set(zone, name, type, rrset.findtext("TTL") or 0, values, beside), apart=apart)


def _value(type: str, text: str) -> str:
    if type in ("TXT", "SPF"):
        return _quoted_octal(text)
    return _decimal(text)


def _quoted_octal(part: str) -> str:
    return re.sub(r"\\(\\|[0-3][0-7]{2})", lambda at: at[0] if at[1] == "\\" else f"\\{int(at[1], 8):03d}", part)


def set_of(one: RecordSet) -> str:
    """Return a record set as the API takes it."""
    values = "".join(f"<ResourceRecord><Value>{escape(_octal(text))}</Value></ResourceRecord>" for text in one.texts())
    return (
        f"<ResourceRecordSet><Name>{escape(_octal(one.name))}</Name><Type>{one.type}</Type><TTL>{one.ttl}</TTL>"
        f"<ResourceRecords>{values}</ResourceRecords></ResourceRecordSet>"
    )
