"""The normal form of DNS record sets: the same records are equal in it, and it says the same again when read."""

from __future__ import annotations

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import RefusedError, VendorError
from migrator.zones.records import (
    absolute,
    from_body,
    normal,
    of_plain_text,
    of_rdata,
    parsed,
    parts,
    plain_text,
    quoted,
    record_set,
    sent,
    strings,
    text_rdata,
)

pytestmark = pytest.mark.unit
BYTES = st.binary(max_size=700)


@given(BYTES)
def test_the_bytes_of_a_txt_survive_their_text(said: bytes) -> None:
    assert b"".join(strings(quoted(said))) == said


@given(st.lists(st.binary(max_size=255), min_size=1, max_size=5))
def test_a_txt_is_the_same_however_its_strings_are_cut_and_is_sent_cut_as_it_was(some: list[bytes]) -> None:
    joined, piece = of_rdata(text_rdata("TXT", some))
    assert joined == quoted(b"".join(some))
    again = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, piece or sent("TXT", joined))
    whole = b"".join(some)
    usual = [whole[at : at + 255] for at in range(0, max(1, len(whole)), 255)]
    assert list(again.strings) == (some if piece else usual)  # type: ignore[attr-defined]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_text_that_a_vendor_tells_plainly_comes_back_plainly(said: str) -> None:
    assert plain_text(of_plain_text(said)) == said


@pytest.mark.parametrize(
    ("type", "one", "other"),
    [
        ("AAAA", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("CNAME", "WWW.Example.COM.", "www.example.com."),
        ("MX", "010 Mail.Example.com.", "10 mail.example.com."),
        ("TXT", '"a" "b"', '"ab"'),
        ("TXT", "bare", '"bare"'),
        ("TXT", r'"\097"', '"a"'),
        ("SRV", "1 2 3 T.Example.", "1 2 3 t.example."),
        ("CAA", '0 issue "ca.example"', "0 issue ca.example"),
        ("HTTPS", "1 . alpn=h2", '1 . alpn="h2"'),
        ("DS", "1 8 2 ABCD" + "EF" * 30, "1 8 2 abcd" + "ef" * 30),
        ("TYPE65333", r"\# 2 00FF", r"\# 2 00ff"),
        ("ALIAS", "Target.Example", "target.example."),
    ],
)
def test_two_texts_of_the_same_record_have_one_form(type: str, one: str, other: str) -> None:
    assert normal(type, one)[0] == normal(type, other)[0]
    assert normal(type, normal(type, one)[0])[0] == normal(type, one)[0]


@pytest.mark.parametrize(
    ("text", "form"),
    [("@", "example.org."), ("www", "www.example.org."), ("München", "xn--mnchen-3ya.example.org."), ("A.b.", "a.b.")],
)
def test_a_name_is_absolute_and_in_lower_case(text: str, form: str) -> None:
    assert absolute(text, "example.org.") == form


@pytest.mark.parametrize("text", ["a..b.", "x" * 64 + ".example.", "." + "a." * 130])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(VendorError):
        absolute(text)


@pytest.mark.parametrize(("type", "text"), [("A", "1.2.3"), ("MX", "mail."), ("CAA", "x"), ("TLSA", "3 1 1 zz")])
def test_a_value_of_another_type_is_refused_and_stays_as_it_came_where_it_was_read(type: str, text: str) -> None:
    with pytest.raises(RefusedError):
        parsed(type, text)
    assert record_set("x.", "x.", type, 1, [text]).values == (text,)


def test_a_set_comes_back_out_of_its_body() -> None:
    one = record_set("x.example.", "a", "TXT", 300, ['"b" "c"', '"d"'], {"comment": "why"})
    assert from_body(one.body()) == one
    assert parts(one.id) == ("x.example.", "a.x.example.", "TXT")
    assert one.texts() == ['"b" "c"', '"d"']


@pytest.mark.parametrize(("name", "type"), [("x.example.", "SOA"), ("x.example.", "NS")])
def test_what_the_name_servers_have_of_their_own_is_marked(name: str, type: str) -> None:
    value = "ns. host. 1 2 3 4 5" if type == "SOA" else "ns."
    assert record_set("x.example.", name, type, 1, [value]).body()["provided"]
    assert "provided" not in record_set("x.example.", "sub", "NS", 1, ["ns."]).body()


LABEL = st.text("abXY09-_*\\@é", min_size=0, max_size=6)
NAMES = st.lists(LABEL, min_size=1, max_size=4).map(".".join).flatmap(lambda name: st.sampled_from([name, name + "."]))
ADDRESSES = st.one_of(st.ip_addresses(v=6).map(str), st.from_regex(r"[0-9A-Fa-f:.]{2,20}", fullmatch=True))
PREFERENCES = st.sampled_from(["0", "10", "010", "9999", "65535", "70000", "-1", ""])


@given(
    st.one_of(
        st.tuples(st.sampled_from(["CNAME", "NS", "PTR"]), NAMES),
        st.tuples(st.just("MX"), st.tuples(PREFERENCES, NAMES).map(" ".join)),
        st.tuples(st.just("AAAA"), ADDRESSES),
        st.tuples(st.just("A"), st.from_regex(r"[0-9.]{1,16}", fullmatch=True)),
    ),
    st.sampled_from([".", "Zone.Example."]),
)
def test_what_is_read_without_dnspython_is_what_dnspython_reads(value: tuple[str, str], zone: str) -> None:
    type, text = value

    def judge() -> str | None:
        try:
            return of_rdata(parsed(type, text, zone))[0]
        except RefusedError:
            return None

    try:
        found = normal(type, text, zone)[0]
    except RefusedError:
        found = None
    assert found == judge()


@given(NAMES, st.sampled_from([".", "zone.example."]))
def test_a_plain_name_is_what_dnspython_makes_of_it(name: str, zone: str) -> None:
    origin = None if zone == "." else dns.name.from_text(zone)
    try:
        made = dns.name.from_text(name, origin or dns.name.root, idna_codec=dns.name.IDNA_2008_Practical)
        wanted = made.canonicalize().to_text()
    except (dns.exception.DNSException, UnicodeError):
        wanted = None
    if name == "@":
        wanted = zone
    try:
        found = absolute(name, zone)
    except VendorError:
        found = None
    assert found == wanted
