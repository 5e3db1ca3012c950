"""Plesk's packets are trees, and its answers are read as if a stranger had sent them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import RefusedError, VendorError
from migrator.zones.records import RecordSet
from tests.support.connectors import connector

packets = connector("plesk.packets")
records = connector("plesk.records")
el, operation = packets.el, packets.operation
ASKED = [operation("mail", "get_info"), operation("mail", "get_prefs"), operation("dns", "add_rec")]
FIT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t<&>\"']]>"))


def answer(inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><packet version="1.6.9.1">{inner}</packet>'.encode()


def result(status: str = "ok", more: str = "") -> str:
    return f"<result><status>{status}</status>{more}</result>"


@given(FIT)
def test_a_text_goes_through_a_packet_as_it_is(text: str) -> None:
    [[sent]] = packets.read(packets.packet([operation("mail", "update", el("text", text))]))
    assert (sent.findtext("text") or "") == text


@pytest.mark.parametrize("bad", ["a\0b", "\x0b", "\ud83d", "\uffff"])
def test_a_character_that_xml_has_no_way_for_is_refused_before_it_is_sent(bad: str) -> None:
    with pytest.raises(RefusedError, match=r"U\+"):
        el("text", bad)


def test_operations_of_one_operator_share_it_and_keep_their_order() -> None:
    sent = packets.read(packets.packet(ASKED))
    assert [(one.tag, [inner.tag for inner in one]) for one in sent] == [
        ("mail", ["get_info", "get_prefs"]),
        ("dns", ["add_rec"]),
    ]


def test_each_object_has_a_status_of_its_own() -> None:
    refused = result("error", "<errcode>1007</errcode><errtext>there already</errtext>")
    root = packets.read(answer(f"<mail><get_info>{result()}{refused}</get_info><get_prefs/></mail>"))
    found = packets.answers(root, ASKED)
    assert [[one.ok for one in some] for some in found] == [[True, False], []]
    assert "there already (1007)" in str(found[0][1].refusal("mail"))


def test_results_of_an_update_lie_one_level_further_down() -> None:
    asked = [operation("mail", "update", el("set"))]
    root = packets.read(answer(f"<mail><update><set>{result()}</set></update></mail>"))
    assert [one.ok for one in packets.answers(root, asked)[0]] == [True]


def test_an_answer_to_something_else_is_none() -> None:
    root = packets.read(answer(f"<mail><remove>{result()}</remove></mail>"))
    with pytest.raises(ValueError, match="in place of mail/get_info"):
        packets.answers(root, ASKED)


@pytest.mark.parametrize("at", range(0, 90, 7))
def test_an_answer_cut_off_anywhere_is_none(at: int) -> None:
    whole = answer(f"<mail><get_info>{result()}</get_info></mail>")
    assert len(whole) > 90
    with pytest.raises(ValueError, match="no XML"):
        packets.read(whole[:at])


@pytest.mark.parametrize(
    "hostile",
    [
        b'<!DOCTYPE packet [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><packet>&b;</packet>',
        b'<!DOCTYPE packet SYSTEM "http://127.0.0.1:1/x.dtd"><packet/>',
        b'<!DOCTYPE packet [<!ENTITY x SYSTEM "file:///etc/hostname">]><packet>&x;</packet>',
    ],
)
def test_an_answer_that_brings_a_document_type_is_refused(hostile: bytes) -> None:
    with pytest.raises(VendorError, match="document type"):
        packets.read(hostile)


def test_a_page_of_html_in_place_of_a_packet_is_none() -> None:
    with pytest.raises(ValueError, match="in place of"):
        packets.read(b"<html><body>Log in</body></html>")


VALUES = [
    ("A", ("192.0.2.1", "192.0.2.2")),
    ("AAAA", ("2001:db8::1",)),
    ("MX", ("0 mx.x.example.", "10 mx2.else.example.")),
    ("SRV", ("10 60 5060 sip.x.example.",)),
    ("CAA", ('0 issue "letsencrypt.org; account=1"', '128 iodef "mailto:a@x.example"')),
    ("CNAME", ("else.example.",)),
    ("NS", ("ns1.else.example.",)),
    ("DS", ("60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118",)),
    ("TXT", ('"v=spf1 \\"a\\"; \\\\ \\195\\169 -all"', '"' + "k" * 400 + '"')),
]


@pytest.mark.parametrize("host", ["x.example.", "a.b.x.example.", "*.x.example."])
@pytest.mark.parametrize(("type", "values"), VALUES)
def test_a_record_set_is_told_record_by_record_and_reads_back(type: str, values: tuple[str, ...], host: str) -> None:
    one = RecordSet("x.example.", host, type, 0, tuple(sorted(values)))
    rows = [records.record("x.example.", one, value) for value in one.values]
    told = [{**row, "host": ".".join(part for part in (row["host"], "x.example.") if part)} for row in rows]
    [back] = records.gathered("x.example.", told)
    assert (back.name, back.type, back.values) == (one.name, one.type, one.values)


def test_a_text_that_is_no_utf_8_is_refused_and_not_told_otherwise() -> None:
    one = RecordSet("x.example.", "x.example.", "TXT", 0, ('"\\255"',))
    with pytest.raises(RefusedError, match="no UTF-8"):
        records.record("x.example.", one, one.values[0])


ACCOUNT = """<mailname><id>3</id><name>Eve</name><mailbox><enabled>true</enabled><quota>{quota}</quota></mailbox>
{more}<password><value>secret-of-eve</value></password></mailname>"""


def account(more: str = "", quota: str = "-1") -> dict[str, Any]:
    text = ACCOUNT.format(more=more, quota=quota)
    made: dict[str, Any] = records.mailname(packets.fromstring(text), "7", "x.example")
    return made


def test_an_account_is_known_by_its_address_and_tells_no_password() -> None:
    held = account(quota="1024")
    assert held["address"] == "eve@x.example"
    assert held["quota"] == "1024"
    assert "secret-of-eve" not in str(held)
    assert "quota" not in account()


@pytest.mark.parametrize(
    ("more", "forwards"),
    [
        ("", False),
        ("<forwarding><enabled>false</enabled><address>a@b.example</address></forwarding>", False),
        ("<forwarding><enabled>true</enabled></forwarding>", False),
        ("<forwarding><enabled>true</enabled><address>A@b.example</address></forwarding>", True),
        ("<forwarding><address>a@b.example</address></forwarding>", True),  # so a client of 2026 was answered
    ],
)
def test_an_account_forwards_where_it_is_switched_on_and_goes_somewhere(more: str, forwards: bool) -> None:
    assert account(more)["forwards"] is forwards


def test_a_hash_goes_without_our_name_of_its_scheme_and_none_becomes_a_password_nobody_knows() -> None:
    told = packets.plain(records.secret("{SHA512-CRYPT}$6$s$h"))
    assert told == {"value": "$6$s$h", "type": "crypt"}
    made = {records.secret(None).findtext("value") for _ in range(20)}
    assert len(made) == 20
    assert records.secret(None).findtext("type") == "plain"
