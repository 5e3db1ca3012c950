"""OpenSRS's messages: signed as the guide's own example, read in order, and refused where they are made to harm."""

from __future__ import annotations

import hashlib

import pytest

from migrator.connectors.opensrs.records import group, records_of, told
from migrator.connectors.opensrs.xcp import DEEPEST, MOST_BYTES, Signed, envelope, opened, signature
from migrator.errors import RefusedError, VendorError
from tests.support.dns_accounts import ZONES, sets

AROUND = "<OPS_envelope><body><data_block>{}</data_block></body></OPS_envelope>"


def test_the_guides_own_signature_is_what_we_make() -> None:
    # domains.opensrs.guide, troubleshooting: so one tells that one's MD5 is OpenSRS's.
    assert hashlib.md5(b"ConnecttoOpenSRSviaSSL").hexdigest() == "e787cc1d1951dfec4827cede7b1a0933"
    content, key = envelope({"action": "GET", "attributes": {"domain": "a.example"}}), "k" * 112
    inner = hashlib.md5(content + key.encode()).hexdigest()
    assert signature(content, key) == hashlib.md5((inner + key).encode()).hexdigest()
    assert signature(content + b"\0", key) != signature(content, key)
    assert key not in repr(Signed("me", key))


@pytest.mark.parametrize("text", ["<&>\"'", "]]>", "grün 日本語 👩", "", "line\nline", "&#10;", "<!ENTITY x>"])
def test_what_is_written_is_read(text: str) -> None:
    block = {"attributes": {"records": {"TXT": [{"text": text, 'k"<': "1"}]}, "none": [], "empty": {}}}
    assert opened(envelope(block)) == block


def test_lists_come_in_the_order_of_their_numbers() -> None:
    block = {"all": [str(number) for number in range(12)]}
    shuffled = envelope(block).decode()
    first, _, rest = shuffled.partition('<item key="2">')
    moved, _, rest = rest.partition("</item>")
    shuffled = first + rest.replace("</dt_array>", f'<item key="2">{moved}</item></dt_array>')
    assert opened(shuffled.encode()) == block


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + AROUND.format("<dt_assoc/>").encode(),
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + AROUND.format("&a;").encode(),
        b"<!DOCTYPE x SYSTEM 'ops.dtd'>" + AROUND.format("<dt_assoc><item key='a'>&b;</item></dt_assoc>").encode(),
        AROUND.format("<dt_assoc><item key='a'>" * DEEPEST).encode(),
        AROUND.format("<dt_array><item key='x'>a</item></dt_array>").encode(),
        AROUND.format("no block").encode(),
        envelope({"a": "b"})[:-20],
        b"<html>sign in</html>",
        b"",
        b" " * (MOST_BYTES + 1),
    ],
    ids=["bomb", "file", "unknown entity", "deep", "no number", "no block", "cut", "page", "empty", "large"],
)
def test_what_is_made_to_harm_is_refused(content: bytes) -> None:
    with pytest.raises(VendorError):
        opened(content)


def test_what_xml_cannot_carry_is_refused_before_it_is_sent() -> None:
    with pytest.raises(RefusedError, match="XML cannot carry"):
        envelope({"text": "a\0b"})


@pytest.mark.parametrize("one", [one for one in sets(ZONES[0]) if one.type != "CAA"], ids=lambda one: one.id)
def test_a_record_set_goes_there_and_back(one) -> None:  # type: ignore[no-untyped-def]
    [((type, name), some)] = group(one.zone, {one.type: records_of(one)}).items()
    assert told(one.zone, type, name, some).values == one.values
    assert (type, name) == (one.type, one.name)
