"""A zone transfer (RFC 5936), message by message: what is plain is read here at once, anything else by dnspython.

dnspython makes objects of every name and value, 80 µs of CPU a record, and a zone is nearly all addresses, names and
texts. A message with anything odd in it (a compression that goes astray, a strange name, another section) is
dnspython's as a whole, so that what is a fault is so in one place.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterator

import dns.exception
import dns.flags
import dns.ipv6
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.xfr

from migrator.zones.records import Told, of_rdata, of_strings

Answer = tuple[str, str, int, Told]  # name and type as record sets have them, TTL, one value
HEAD, COUNTED, FIXED = struct.Struct("!6H"), struct.Struct("!H"), struct.Struct("!HHIH")
PLAIN_LABEL = re.compile(rb"[A-Za-z0-9_*/-]+")
MOST_NAME = 254  # characters, the last dot included: the root's byte fewer than the 255 of RFC 1035
MOST_JUMPS = 16  # from one pointer to the next within a name
A, NS, CNAME, SOA, PTR, MX, TXT, AAAA = 1, 2, 5, 6, 12, 15, 16, 28
OURS = (41, 250)  # OPT and TSIG belong to a message, not to a zone
IN = dns.rdataclass.IN


class _Odd(Exception):
    """Something in a message is for dnspython."""


def received(address: str, port: int, zone: str, *, seconds: float, lifetime: float) -> Iterator[Answer]:
    """Yield the records of an unsigned transfer, the SOA at its beginning and not again at its end.

    ``seconds`` may pass without a byte, ``lifetime`` in all. Raises OSError, EOFError and what dnspython raises for an
    answer that is none: TransferError where the server refuses.
    """
    query = dns.message.make_query(zone, dns.rdatatype.AXFR)
    origin, question = query.question[0].name.canonicalize().to_text(), query.to_wire()
    deadline = time.monotonic() + lifetime
    soa: Told | None = None
    with socket.create_connection((address, port), seconds) as connection:
        connection.sendall(len(question).to_bytes(2, "big") + question)
        while True:
            (size,) = COUNTED.unpack(_exactly(connection, 2, seconds, deadline))
            answers = read(_exactly(connection, size, seconds, deadline), query, origin, first=soa is None)
            if soa is None and not answers:
                raise _broken("an answer without records")
            for place, (name, type, ttl, told) in enumerate(answers):
                if soa is None:
                    if (name, type) != (origin, "SOA"):
                        raise _broken("the first record is not the zone's SOA")
                    soa = told
                elif name == origin and type == "SOA":
                    if told != soa:
                        raise _broken("another SOA within the transfer")
                    if place != len(answers) - 1:
                        raise _broken("records after the last SOA")
                    return
                yield name, type, ttl, told


def _broken(why: str) -> dns.exception.DNSException:
    return dns.exception.FormError(why)  # type: ignore[no-untyped-call]


def _exactly(connection: socket.socket, size: int, seconds: float, deadline: float) -> bytes:
    """Return so many bytes. Raises TimeoutError, EOFError."""
    came = bytearray()
    while len(came) < size:
        left = min(seconds, deadline - time.monotonic())
        if left <= 0:
            raise TimeoutError("the transfer takes too long")
        connection.settimeout(left)
        some = connection.recv(size - len(came))
        if not some:
            raise EOFError("the connection was closed")
        came += some
    return bytes(came)


def read(wire: bytes, query: dns.message.Message, origin: str, *, first: bool) -> list[Answer]:
    """Return the records of one message of an answer to ``query``. Raises dns.exception.DNSException, BadResponse."""
    plain = plainly(wire, query.id, origin)
    if plain is not None:
        return plain
    message = dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True)
    if not query.is_response(message, xfr_continuation=not first):
        raise dns.query.BadResponse
    if message.rcode():
        raise dns.xfr.TransferError(message.rcode())  # type: ignore[no-untyped-call]
    return [
        (one.name.canonicalize().to_text(), dns.rdatatype.to_text(one.rdtype), one.ttl, of_rdata(rdata))
        for one in message.answer
        for rdata in one
    ]


def plainly(wire: bytes, id: int, origin: str) -> list[Answer] | None:
    """Return the records of a message in which all is plain, None for one that dnspython shall read."""
    try:
        given, flags, questions, count, *others = HEAD.unpack_from(wire)
        # A plain answer: to this question, carried out, whole, and with no section behind the records.
        said = flags & (dns.flags.QR | 0x7800 | dns.flags.TC | 0x000F)
        if given != id or said != dns.flags.QR or questions != 1 or any(others):
            return None
        known: dict[int, str] = {}
        name, at = _name(wire, 12, known)
        if name != origin or wire[at : at + 4] != b"\x00\xfc\x00\x01":  # AXFR IN
            return None
        at += 4
        answers: list[Answer] = []
        types: dict[int, str] = {}
        for _ in range(count):
            name, at = _name(wire, at, known)
            type, of, ttl, size = FIXED.unpack_from(wire, at)
            at += FIXED.size
            end = at + size
            if of != IN or ttl >= 2**31 or type in OURS or end > len(wire):
                return None
            if type not in types:
                types[type] = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(type))
            answers.append((name, types[type], ttl, _value(wire, type, at, end, known)))
            at = end
        return answers if answers and at == len(wire) else None
    except (_Odd, IndexError, struct.error):
        return None


def _value(wire: bytes, type: int, at: int, end: int, known: dict[int, str]) -> Told:
    """Return one value in its normal form. Raises _Odd, and dnspython's errors for what is none."""
    if type == A and end - at == 4:
        return socket.inet_ntoa(wire[at:end]), None
    if type == AAAA and end - at == 16:
        return dns.ipv6.inet_ntoa(wire[at:end]), None
    if type in (CNAME, NS, PTR, MX):
        begin = at + 2 if type == MX else at
        name, behind = _name(wire, begin, known)
        if behind != end:
            raise _Odd
        return (f"{COUNTED.unpack_from(wire, at)[0]} {name}" if type == MX else name), None
    if type == TXT:
        strings = []
        while at < end:
            behind = at + 1 + wire[at]
            strings.append(wire[at + 1 : behind])
            at = behind
        if at != end or not strings:
            raise _Odd
        return of_strings(strings)
    if type in (A, AAAA):
        raise _Odd
    try:
        return of_rdata(dns.rdata.from_wire(IN, dns.rdatatype.RdataType.make(type), wire, at, end - at))
    except (dns.exception.DNSException, ValueError) as err:
        raise _Odd from err


def _name(wire: bytes, at: int, known: dict[int, str], jumps: int = 0) -> tuple[str, int]:
    """Return the name at a place, in its normal form, and where it ends; ``known``: names by their places."""
    if (length := wire[at]) >= 0xC0:  # as most names begin that stand there again
        to = (length & 0x3F) << 8 | wire[at + 1]
        if to in known:
            return known[to], at + 2
    labels: list[bytes] = []
    here = at
    while 0 < (length := wire[here]) < 0x40:
        label = wire[here + 1 : here + 1 + length]
        if not PLAIN_LABEL.fullmatch(label):
            raise _Odd
        labels.append(label)
        here += 1 + length
    above = ""
    if length >= 0xC0:
        to = (length & 0x3F) << 8 | wire[here + 1]
        if to >= at or jumps == MOST_JUMPS:
            raise _Odd
        above = known.get(to) or _name(wire, to, known, jumps + 1)[0]
        here += 1
    elif length:
        raise _Odd
    text = (b".".join(labels).decode().lower() + "." if labels else "") + (above if above != "." else "") or "."
    if len(text) > MOST_NAME:
        raise _Odd
    known[at] = text
    return text, here + 1
