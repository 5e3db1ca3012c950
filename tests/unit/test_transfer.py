"""What is read of a transfer at once is what dnspython reads of it, and what is odd is left to dnspython."""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.zones.records import Told, of_rdata
from migrator.zones.transfer import Answer, plainly, read

pytestmark = pytest.mark.unit

ORIGIN = "x.example."
QUERY = dns.message.make_query(ORIGIN, "AXFR")
LABELS = st.one_of(
    st.text("abcXYZ019-_", min_size=1, max_size=63),
    st.sampled_from(["*", "0/25", "a\\.b", "\\000", "\\255", "a b"]),
)
NAMES = st.lists(LABELS, max_size=3).map(lambda some: ".".join([*(one.replace(" ", "\\032") for one in some), ORIGIN]))
STRINGS = st.lists(st.binary(max_size=255), min_size=1, max_size=3)
VALUES = st.one_of(
    st.ip_addresses(v=4).map(lambda one: ("A", str(one))),
    st.ip_addresses(v=6).map(lambda one: ("AAAA", str(one))),
    st.sampled_from(["::", "::1", "::ffff:192.0.2.1", "::192.0.2.1", "1::", "1:0:0:2::"]).map(lambda t: ("AAAA", t)),
    st.tuples(st.sampled_from(["CNAME", "NS", "PTR", "DNAME"]), NAMES),
    st.tuples(st.integers(0, 65535), NAMES).map(lambda t: ("MX", f"{t[0]} {t[1]}")),
    STRINGS.map(lambda some: ("TXT", " ".join('"' + "".join(f"\\{b:03d}" for b in one) + '"' for one in some))),
    NAMES.map(lambda name: ("SRV", f"1 2 443 {name}")),
    NAMES.map(lambda name: ("SOA", f"{name} {name} 1 2 3 4 5")),
    st.just(("CAA", '0 issue "ca.example"')),
    st.just(("TYPE65400", "\\# 3 0a0b0c")),
)
RECORDS = st.tuples(NAMES, st.integers(0, 2**31 - 1), VALUES)


def answered(records: list[tuple[str, int, tuple[str, str]]]) -> dns.message.Message:
    message = dns.message.make_response(QUERY)
    for name, ttl, (type, text) in records:
        message.answer.append(dns.rrset.from_text(name, ttl, "IN", type, text))
    return message


def by_dnspython(wire: bytes) -> list[Answer]:
    message = dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True)

    def told(rdata: dns.rdata.Rdata) -> Told:
        return of_rdata(rdata)

    return [
        (one.name.canonicalize().to_text(), dns.rdatatype.to_text(one.rdtype), one.ttl, told(rdata))
        for one in message.answer
        for rdata in one
    ]


@given(st.lists(RECORDS, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_a_message_is_read_as_dnspython_reads_it(records: list[tuple[str, int, tuple[str, str]]]) -> None:
    wire = answered(records).to_wire()
    assert read(wire, QUERY, ORIGIN, first=False) == by_dnspython(wire)


@given(st.lists(RECORDS, min_size=1, max_size=4), st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_read_at_once_of_a_damaged_message_dnspython_reads_the_same(
    records: list[tuple[str, int, tuple[str, str]]], data: st.DataObject
) -> None:
    wire = bytearray(answered(records).to_wire())
    for _ in range(data.draw(st.integers(1, 3))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.sampled_from([0, 1, 12, 16, 63, 64, 192, 255]))
    cut = bytes(wire[: data.draw(st.integers(len(wire) - 3, len(wire)))])
    plain = plainly(cut, QUERY.id, ORIGIN)
    if plain is not None:
        assert plain == by_dnspython(cut)


def test_ordinary_records_are_read_at_once() -> None:
    lines = [("www", ("A", "192.0.2.1")), ("www", ("AAAA", "2001:db8::1")), ("a.B", ("CNAME", "h.Example.net."))]
    lines += [
        ("@", ("MX", "10 Mail.x.example.")),
        ("@", ("TXT", '"v=spf1 -all"')),
        ("_s", ("SRV", "1 2 3 www.x.example.")),
    ]
    wire = answered([(ORIGIN if n == "@" else f"{n}.{ORIGIN}", 60, value) for n, value in lines]).to_wire()
    assert plainly(wire, QUERY.id, ORIGIN) == by_dnspython(wire)
    assert ("a.b.x.example.", "CNAME", 60, ("h.example.net.", None)) in by_dnspython(wire)


@pytest.mark.parametrize("code", ["REFUSED", "SERVFAIL", "NOTAUTH"])
def test_a_refusal_is_no_message_without_records(code: str) -> None:
    message = answered([])
    message.set_rcode(dns.rcode.from_text(code))
    with pytest.raises(dns.exception.DNSException):
        read(message.to_wire(), QUERY, ORIGIN, first=True)


def test_an_answer_to_another_question_is_none() -> None:
    message = answered([(ORIGIN, 60, ("A", "192.0.2.1"))])
    message.id = QUERY.id ^ 1
    with pytest.raises(dns.exception.DNSException):
        read(message.to_wire(), QUERY, ORIGIN, first=True)


def test_pointers_that_lead_in_a_circle_are_for_dnspython_to_refuse() -> None:
    wire = bytearray(answered([(ORIGIN, 60, ("A", "192.0.2.1"))]).to_wire())
    at = wire.index(b"\xc0\x0c")
    wire[at : at + 2] = bytes([0xC0, at])
    assert plainly(bytes(wire), QUERY.id, ORIGIN) is None
    with pytest.raises(dns.exception.DNSException):
        read(bytes(wire), QUERY, ORIGIN, first=True)
