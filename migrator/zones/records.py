"""A DNS record set in one normal form: names absolute and in lower case, texts joined, values in order, one TTL.

Two texts of the same record are equal in it, whichever server, panel or file wrote them. What dnspython does not know
(a vendor's ALIAS) stays as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

import dns.exception
import dns.ipv4
import dns.ipv6
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.txtbase
import dns.zone

from migrator.connector import Native
from migrator.errors import RefusedError, VendorError

STRING_BYTES = 255  # of one string of a TXT (RFC 1035 3.3)
MOST_TTL = 2**31 - 1  # RFC 2181 8
Told = tuple[str, str | None]  # a value's normal form; a TXT's own text where its strings are cut in a way of their own
APEX = ("SOA", "NS")  # at the top of a zone they are the name servers' own
SIGNING = ("RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "TYPE65534", "ZONEMD")
IDNA = dns.name.IDNA_2008_Practical
# A name and an MX as nearly all are, in their normal form but for case and the last dot: dnspython would say the same,
# and takes most of the CPU of a large zone for it (20,000 sets, 2026-11-27: 16 of 27 s).
PLAIN_NAME = re.compile(r"(?:\*\.)?(?:[A-Za-z0-9_-]{1,63}\.)+[A-Za-z0-9_-]{1,63}\.?")
PLAIN_NAME_MOST = 250
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
PLAIN_ADDRESS = re.compile(rf"(?:{_BYTE}\.){{3}}{_BYTE}")
PLAIN_TEXT = re.compile(r'"[ !#-\[\]-~]{0,255}"')  # a TXT of one string without escapes, in its normal form
PLAIN_MX = re.compile(r"(0|[1-9][0-9]{0,3}) (\S+)")


@dataclass(frozen=True)
class RecordSet:
    """The records of one name and type. ``values``: normal forms, sorted, each once. ``pieces``: texts of those TXT
    records whose strings are not cut the usual way, as they are cut. ``beside``: what else the vendor says of it.
    ``apart``: tells it from others of the same name and type, where the vendor has several.
    """

    zone: str
    name: str
    type: str
    ttl: int
    values: tuple[str, ...]
    pieces: tuple[str, ...] = ()
    beside: Native | None = None
    apart: str = ""

    @cached_property
    def id(self) -> str:
        """Return the name it has in every account: blanks are escaped in names."""
        return set_id(self.zone, self.name, self.type) + (f"|{self.apart}" if self.apart else "")

    def body(self) -> Native:
        """Return it as every connector stages it; what is none is left out."""
        told: Native = {"id": self.id, "zone": self.zone, "name": self.name, "type": self.type, "ttl": self.ttl}
        told["values"] = list(self.values)
        if self.pieces:
            told["pieces"] = list(self.pieces)
        if self.type in APEX and self.name == self.zone:
            told["provided"] = True
        if self.type in SIGNING:
            told["signing"] = True
        return {**told, **self.beside} if self.beside else told

    def texts(self) -> list[str]:
        """Return the values as zone files, PowerDNS and most APIs have them: TXT in strings of at most 255 bytes."""
        if not self.pieces and self.type not in ("TXT", "SPF"):
            return list(self.values)
        cut = {normal(self.type, piece)[0]: piece for piece in self.pieces}
        return [cut.get(value) or sent(self.type, value) for value in self.values]


def set_id(zone: str, name: str, type: str) -> str:
    """Return the id of a record set. Addresses come first in their order: BIND refuses an MX to a host without one."""
    return f"{zone} {type} {name}"


def parts(id: str) -> tuple[str, str, str]:
    """Return zone, name and type of a record set's id."""
    zone, type, name = id.split(" ")
    return zone, name, type


def absolute(text: str, zone: str = ".") -> str:
    """Return a name in its normal form; a relative one (``@``, ``www``) is of ``zone``. IDN becomes punycode.

    Raises VendorError for what is no name.
    """
    if (text[-1:] == "." or zone == ".") and (plain := _plain_name(text)):
        return plain
    return _absolute(text, zone)


def _plain_name(text: str) -> str | None:
    """Return a plain name's normal form, None for one that needs a closer look."""
    if len(text) > PLAIN_NAME_MOST or not PLAIN_NAME.fullmatch(text):
        return None
    return text.lower() if text[-1] == "." else text.lower() + "."


@lru_cache(4096)
def _absolute(text: str, zone: str) -> str:
    try:
        origin = None if zone == "." else dns.name.from_text(zone)
        if text == "@":
            return (origin or dns.name.root).canonicalize().to_text()
        return dns.name.from_text(text, origin or dns.name.root, idna_codec=IDNA).canonicalize().to_text()
    except (dns.exception.DNSException, UnicodeError) as err:
        raise VendorError(f"{text[:80]!r} is not a DNS name: {err}") from err


@lru_cache(256)
def known(type: str) -> bool:
    """Tell whether the type is one of the protocol; ALIAS, LUA and the like are a vendor's own."""
    try:
        dns.rdatatype.from_text(type)
    except (dns.rdatatype.UnknownRdatatype, ValueError):
        return False
    return True


def parsed(type: str, text: str, zone: str = ".") -> dns.rdata.Rdata:
    """Return one value as dnspython has it. Raises RefusedError for what is none of this type."""
    try:
        if type in ("TXT", "SPF"):
            return text_rdata(type, strings(text))
        origin = dns.name.from_text(zone)
        return dns.rdata.from_text(dns.rdataclass.IN, type, text, origin, relativize=False, idna_codec=IDNA)
    except (dns.exception.DNSException, ValueError) as err:
        raise RefusedError(f"{text[:120]!r} is not the value of a record {type}: {err}") from err


def text_rdata(type: str, some: Sequence[bytes]) -> dns.rdata.Rdata:
    """Return a TXT of these strings; longer ones are cut."""
    return dns.rdata.from_text(dns.rdataclass.IN, type, '""').replace(strings=tuple(_cut(some)))


def _cut(some: Sequence[bytes]) -> list[bytes]:
    return [one[at : at + STRING_BYTES] for one in some for at in range(0, max(1, len(one)), STRING_BYTES)] or [b""]


def of_strings(some: Sequence[bytes]) -> Told:
    """Return the normal form of a TXT, and its own text where its strings are cut in a way of their own."""
    if len(some) == 1 and len(some[0]) <= STRING_BYTES:
        return quoted(some[0]), None
    whole = b"".join(some)
    joined = quoted(whole)
    return joined, None if list(some) == _cut([whole]) else " ".join(quoted(one) for one in some)


def strings(text: str) -> list[bytes]:
    """Return the strings of a TXT in master file form, quoted or not, whatever their length."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|((?:[^\s"\\]|\\.)+)', text, re.DOTALL)
    return [_unescaped(quoted or bare) for quoted, bare in found]


def _unescaped(text: str) -> bytes:
    def one(found: re.Match[str]) -> str:
        said = found[1]
        return chr(int(said)) if said.isdecimal() and len(said) == 3 and int(said) < 256 else said

    # By way of latin-1: \195\169 are two bytes, as are the two of an é that stands there itself.
    plain = text.encode().decode("latin-1")
    return re.sub(r"\\([0-9]{3}|.)", one, plain, flags=re.DOTALL).encode("latin-1")


def quoted(said: bytes) -> str:
    """Return bytes as one quoted string, pure ASCII."""
    if said.isascii() and (plain := said.decode()).isprintable() and '"' not in plain and "\\" not in plain:
        return f'"{plain}"'
    shown = []
    for byte in said:
        if byte in b'"\\':
            shown.append("\\" + chr(byte))
        else:
            shown.append(chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03d}")
    return '"' + "".join(shown) + '"'


def normal(type: str, text: str, zone: str = ".") -> Told:
    """Return one value's normal form, and a TXT's own text where its strings are cut in a way of their own."""
    if not known(type):
        return (absolute(text, zone) if type in ("ALIAS", "ANAME") else text), None
    if type == "TXT":
        if PLAIN_TEXT.fullmatch(text):
            return text, None
        return of_strings(_cut(strings(text)))
    if plain := _plain_value(type, text, zone):
        return plain, None
    return of_rdata(parsed(type, text, zone))


def _plain_value(type: str, text: str, zone: str) -> str | None:
    """Return the normal form of a value of the commonest types as nearly all are written, None for any other."""
    try:
        if type == "A":
            if PLAIN_ADDRESS.fullmatch(text):
                return text
            return dns.ipv4.canonicalize(text)
        if type == "AAAA":
            return dns.ipv6.canonicalize(text)
    except (dns.exception.DNSException, UnicodeError):
        return None  # dnspython says what is wrong with it
    if text[-1:] == "." or zone == ".":
        if type in ("CNAME", "NS", "PTR"):
            return _plain_name(text)
        if type == "MX" and (said := PLAIN_MX.fullmatch(text)) and (exchange := _plain_name(said[2])):
            return f"{said[1]} {exchange}"
    return None


def of_rdata(rdata: dns.rdata.Rdata) -> Told:
    """Return the normal form of one value, and a TXT's own text where its strings are cut in a way of their own."""
    if isinstance(rdata, dns.rdtypes.txtbase.TXTBase):
        return of_strings(rdata.strings)
    named = {
        slot: value.canonicalize()
        for slot in _slots(cast("Any", type(rdata)))
        if isinstance(value := getattr(rdata, slot, None), dns.name.Name)
        and any(label != label.lower() for label in value.labels)
    }
    rdata = rdata.replace(**named) if named else rdata
    return rdata.to_text(), None


@lru_cache
def _slots(of: Any) -> tuple[str, ...]:
    """Return the parts of a kind of rdata."""
    return tuple(slot for one in of.__mro__ for slot in getattr(one, "__slots__", ()))


def sent(type: str, value: str) -> str:
    """Return a normal form as it is sent: a long text in strings."""
    if type not in ("TXT", "SPF") or PLAIN_TEXT.fullmatch(value):
        return value
    return " ".join(quoted(one) for one in _cut(strings(value)))


def plain_text(value: str) -> str:
    """Return what a TXT says, without quotes and escapes; bytes that are no UTF-8 as escapes."""
    return b"".join(strings(value)).decode("utf-8", "backslashreplace")


def of_plain_text(said: str) -> str:
    """Return the normal form of a TXT that a vendor tells without quotes and escapes."""
    return quoted(said.encode("utf-8", "surrogateescape"))


def record_set(
    zone: str, name: str, type: str, ttl: Any, texts: Iterable[str], beside: Native | None = None
) -> RecordSet:
    """Return a record set of values in master file form; names in values are absolute, with or without a dot at their
    end, as APIs have them. A value that cannot be read stays as it came. Raises VendorError for what is no name.
    """
    told = [_readable(type, text) for text in texts]
    return of_told(absolute(zone), absolute(name, zone), type, ttl, told, beside)


def _readable(type: str, text: str) -> Told:
    try:
        return normal(type, text)
    except RefusedError:
        return text, None


def of_rdatas(zone: str, name: dns.name.Name, type: str, ttl: int, rdatas: Iterable[dns.rdata.Rdata]) -> RecordSet:
    """Return a record set that came over the wire, or out of a file."""
    return of_told(zone, name.canonicalize().to_text(), type, ttl, [of_rdata(rdata) for rdata in rdatas])


def of_zone_text(zone: str, text: str) -> Iterator[RecordSet]:
    """Yield the record sets of a master file. Raises VendorError for what is none."""
    try:
        # $INCLUDE would read any file of this machine.
        parsed = dns.zone.from_text(text, zone, relativize=False, check_origin=False, allow_include=False)
    except (dns.exception.DNSException, UnicodeError, ValueError) as err:
        raise VendorError(f"the zone {zone}: {err}") from err
    for name, rdataset in parsed.iterate_rdatasets():
        yield of_rdatas(zone, name, dns.rdatatype.to_text(rdataset.rdtype), rdataset.ttl, rdataset)


def of_told(zone: str, name: str, type: str, ttl: Any, told: Sequence[Told], beside: Native | None = None) -> RecordSet:
    """Return a record set of names and values that are in their normal form already, in any order."""
    if len(told) == 1:
        [(value, piece)] = told
        return RecordSet(zone, name, type, min(int(ttl or 0), MOST_TTL), (value,), (piece,) if piece else (), beside)
    values = tuple(sorted({value for value, _ in told}))
    pieces = tuple(sorted({piece for _, piece in told if piece}))
    return RecordSet(zone, name, type, min(int(ttl or 0), MOST_TTL), values, pieces, beside)


def from_body(body: Native) -> RecordSet:
    """Return the record set of a payload, or of a staged body."""
    own = ("id", "zone", "name", "type", "ttl", "values", "pieces", "provided", "signing")
    beside = {key: value for key, value in body.items() if key not in own}
    return RecordSet(
        str(body["zone"]),
        str(body["name"]),
        str(body["type"]),
        int(body.get("ttl") or 0),
        tuple(sorted(map(str, body.get("values") or ()))),
        tuple(map(str, body.get("pieces") or ())),
        beside,
    )
