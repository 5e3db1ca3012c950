"""How each provider of octoDNS wants a TXT, and tells it: octoDNS has one convention, and its providers several.

Within octoDNS a text is plain, with ``\\;`` for a semicolon. What providers do with quotes, backslashes and bytes that
are no ASCII differs, and a copy from one to the other spoils them in silence (vendor facts, hosting 4b; facts.yaml).
So the engine's own form is put into what each provider takes, and taken out of what each tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from migrator.zones.records import RecordSet, quoted, strings


@dataclass(frozen=True)
class Dialect:
    """``told``: bytes of a text as the provider tells it. ``value``: a text as the provider takes it, where it takes
    ``record.values``; ``chunk``: one in quotes, where it takes ``record.chunked_values``. ``tried``: seen at a true
    server, and not only in octoDNS's documents. ``swallows``: octoDNS itself loses quotes when it reads such a text.
    """

    told: Callable[[str], bytes]
    value: Callable[[bytes], str]
    chunk: Callable[[str], str]
    tried: bool = False
    swallows: bool = False


def _plain(text: str) -> bytes:
    return text.replace("\\;", ";").encode()


def _to_plain(said: bytes) -> str:
    return said.decode("utf-8").replace(";", "\\;")


def _in_a_file(said: bytes) -> str:
    """Return a plain text for a file that octoDNS reads again: of one in quotes it takes the quotes off."""
    plain = _to_plain(said)
    return f'"{plain}"' if plain.startswith('"') else plain


def _inner(text: str) -> bytes:
    return b"".join(strings(f'"{text}"'))


def _to_inner(said: bytes) -> str:
    return quoted(said)[1:-1]


def to_decimal(text: str) -> str:
    """Return a text with octal escapes, as Route 53 has them, with those of a zone file."""
    return re.sub(r"\\(\\|[0-3][0-7]{2})", lambda at: at[0] if at[1] == "\\" else f"\\{int(at[1], 8):03d}", text)


def _octal_inner(text: str) -> bytes:
    return _inner(to_decimal(text))


def _to_octal(text: str) -> str:
    return re.sub(r"\\(\\|[0-9]{3})", lambda at: at[0] if at[1] == "\\" else f"\\{int(at[1]):03o}", text)


def _same(text: str) -> str:
    return text


CONTRACT = Dialect(_plain, _to_plain, _same, swallows=True)  # what octoDNS's documents ask of every provider
TRANSFER = Dialect(_plain, _to_plain, _same, tried=True, swallows=True)
DIALECTS = {
    "octodns_powerdns": Dialect(_inner, _to_inner, _same, tried=True),
    "octodns_route53": Dialect(_octal_inner, _to_inner, _to_octal, tried=True),
    "octodns_bind": TRANSFER,
    "octodns": Dialect(_plain, _in_a_file, _same, tried=True),  # YamlProvider
}


def of(package: str) -> Dialect:
    """Return the dialect of a package of providers."""
    return DIALECTS.get(package, CONTRACT)


def complaint(dialect: Dialect, one: RecordSet) -> str | None:
    """Tell why the texts of a set cannot go through a provider, None where they can."""
    for value in one.values:
        said = b"".join(strings(value))
        if not dialect.tried and (re.search(rb'["\\]', said) or not said.isascii() or not said.decode().isprintable()):
            return "its quotes, backslashes or special letters were never tried with this provider of octoDNS"
        try:
            plain = said.decode("utf-8")
        except UnicodeDecodeError:
            if dialect.swallows or dialect.value is _in_a_file:
                return "it holds bytes that are no UTF-8, which octoDNS cannot read again"
            continue
        if not plain and dialect.value is _in_a_file:
            return "octoDNS takes an empty text out of its files for none"
        swallowed = '" "' in plain or (plain.startswith('"') and dialect.value is not _in_a_file)
        if swallowed and (dialect.swallows or dialect.value is _in_a_file):
            return "octoDNS takes quotes out of such a text when it reads it again"
    return None
