"""Addresses are put right whole and only whole; serialised text keeps telling its lengths; hostile text is cheap."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.addresses import APPLIED, BROKEN, DEEP, OWN, QUOTED, Addresses, Change
from migrator.rewrite import _in_pieces

CHANGES = [
    Change(what="ip", old="192.0.2.10", new="198.51.100.200"),
    Change(what="ip", old="2001:db8::1", new="2001:db8:ffff::2"),
    Change(what="path", old="/home/acme", new="/srv/www/a"),
    Change(what="name", old="acme_wp", new="wp"),
    Change(what="host", old="s7.old.example", new="mail.new.example"),
    Change(what="host", old="mail.new.example", new="s7.old.example"),  # the two change places
]
ALL = Addresses(CHANGES)
WORDS = st.sampled_from(
    [
        "192.0.2.10",
        "http://192.0.2.10/x",
        "/home/acme/public_html",
        "acme_wp",
        "S7.Old.example",
        "\u00fc\u20ac",
        '";',
        "s:3:",
        "x",
    ]
)


def serialised(value: Any) -> bytes:
    """Return PHP's own form of a value."""
    if isinstance(value, bool):
        return b"b:%d;" % value
    if isinstance(value, int):
        return b"i:%d;" % value
    if isinstance(value, bytes):
        return b's:%d:"%b";' % (len(value), value)
    pairs = b"".join(serialised(key) + serialised(held) for key, held in value.items())
    return b"a:%d:{%b}" % (len(value), pairs)


def put_right(value: Any, *, deeper: int = 0) -> Any:
    """Return a value with the addresses in each of its texts put right, one by one."""
    if isinstance(value, dict):
        return {put_right(key): put_right(held) for key, held in value.items()}
    return ALL.rewrite(value).text if isinstance(value, bytes) else value


VALUES = st.recursive(
    st.one_of(st.integers(0, 99), st.booleans(), st.lists(WORDS, max_size=4).map(lambda some: " ".join(some).encode())),
    lambda inner: st.one_of(
        st.dictionaries(st.one_of(st.integers(0, 9), WORDS.map(str.encode)), inner, max_size=3),
        inner.filter(lambda one: isinstance(one, dict)).map(serialised),  # serialised text in serialised text
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_serialised_text_put_right_is_the_text_put_right_and_serialised(value: Any) -> None:
    whole = ALL.rewrite(serialised(value))
    if any(why for _, why in whole.found):  # a text that looks serialised and is not: it stays as it was
        return
    assert whole.text == serialised(put_right(value))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("A 192.0.2.10", "A 198.51.100.200"),
        ("192.0.2.100 192.0.2.10.1 1192.0.2.10 1.192.0.2.10", None),
        ("v=spf1 ip4:192.0.2.10/32 ip6:2001:db8::1", "v=spf1 ip4:198.51.100.200/32 ip6:2001:db8:ffff::2"),
        ("ip4:192.0.2.10 -all", "ip4:198.51.100.200 -all"),
        ("2001:db8::10 2001:db8::1:2 fe80:2001:db8::1", None),
        ("http://192.0.2.10:8080/, at 192.0.2.10.", "http://198.51.100.200:8080/, at 198.51.100.200."),
        ("/home/acme /home/acme/x '/home/acme'. /home/acme.", "/srv/www/a /srv/www/a/x '/srv/www/a'. /srv/www/a."),
        ("/home/acme2 /home/acme-old /home/acme.bak /mnt/home/acme ~/home/acme", None),
        (r'{"p":"\/home\/acme\/x"}', r'{"p":"\/srv\/www\/a\/x"}'),
        ("`acme_wp`.t 'acme_wp'", "`wp`.t 'wp'"),
        ("acme_wp2 my_acme_wp acme_wp-x $acme_wp", None),
        ("S7.OLD.example mail.new.example", "mail.new.example s7.old.example"),
        ("www.s7.old.example s7.old.example.org as7.old.example s7.old.example-x", None),
        ("10 s7.old.example.", "10 mail.new.example."),
        ("*/5 * * * * php /home/acme/cron.php >/dev/null", "*/5 * * * * php /srv/www/a/cron.php >/dev/null"),
    ],
)  # fmt: skip
def test_an_address_is_found_whole_and_only_whole(was: str, becomes: str | None) -> None:
    done = ALL.rewrite(was.encode())
    assert done.text.decode() == (was if becomes is None else becomes)
    assert bool(done.found) == (becomes is not None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b's:99:"/home/acme";', BROKEN),
        (b"INSERT INTO o VALUES ('a:1:{i:0;s:10:\\\"/home/acme\\\";}');", QUOTED),
        (b'C:11:"ArrayObject":26:{x:i:0;a:0:{};m:a:0:{}} s:10:"/home/acme";', OWN),
    ],
)
def test_what_cannot_be_changed_without_breaking_it_stays_and_is_told(text: bytes, why: str) -> None:
    done = ALL.rewrite(text)
    assert done.text == text
    assert {reason for _, reason in done.found} == {why}


def test_serialised_text_that_is_too_deep_stays() -> None:
    text = b"/home/acme"
    for _ in range(40):
        text = serialised(text)
    done = ALL.rewrite(text)
    assert done.text == text
    assert {reason for _, reason in done.found} == {DEEP}


def test_the_register_tells_how_often_and_from_which_line() -> None:
    done = ALL.rewrite(b"\n\n/home/acme\n\n/home/acme 192.0.2.10\n")
    assert done.found == {(2, APPLIED): (2, 3), (0, APPLIED): (1, 5)}


@pytest.mark.parametrize(
    "hostile",
    [
        b's:999999999:"' * 40_000, b's:1:"' * 200_000, b's:0:"";' * 100_000,
        b"/home/acm" * 100_000, b"192.0.2." * 100_000, b"C:1:" * 100_000,
    ],
)  # fmt: skip
def test_hostile_text_costs_no_more_than_its_length(hostile: bytes) -> None:
    began = time.process_time()
    ALL.rewrite(hostile + b' /home/acme s:10:"/home/acme";')
    assert time.process_time() - began < 3


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([b"192.0.2.10", b" ", b"\n", b"1", b"/home/acme", b".", b"x" * 7]), max_size=60),
    st.integers(1, 40),
)
def test_a_file_looked_at_in_pieces_tells_what_the_whole_does(some: list[bytes], size: int) -> None:
    text = b"".join(some)

    class Pieces(io.BytesIO):
        """Hands over a little at a time."""

        def read(self, _: int | None = -1) -> bytes:
            return super().read(size)

    file = Pieces(text)
    assert _in_pieces(ALL, file, file.read(), "why") == ALL.left(text, "why").found


@pytest.mark.parametrize("wrong", [{"old": ""}, {"new": "a b"}, {"old": "home"}, {"old": "/home/"}, {"new": "\n/x"}])
def test_a_change_that_makes_no_sense_is_an_error(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"words of ASCII|a path"):
        Change(**{"what": "path", "old": "/home/a", "new": "/home/b", **wrong})
