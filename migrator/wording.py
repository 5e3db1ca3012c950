"""Wording: a vendor's values made safe to look at, and numbers, shares, times and kinds as a person reads them."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # categories a reader cannot see, or that turn the text around them
_JOINERS = "\u200c\u200d"  # needed inside Persian words and composed emoji, and harmless
_PICTURES = {0x09: "⇥ ", 0x0A: "↵ "}
_PLURALS = {"satisfaction": "satisfaction ratings", "person": "people", "settings": "settings"}
_WORD = 24  # characters; a longer run of letters is not a word, and is cut anywhere
_COMMON = 8  # characters two values must share at one end before only their difference is marked


@dataclass(frozen=True)
class Sample:
    """One side of a comparison: ``changed`` and what both sides share around it; ``note`` says what one cannot see."""

    before: str = ""
    changed: str = ""
    after: str = ""
    note: str = ""


def visible(text: str) -> str:
    """Return the text with control, bidi, zero-width and surrogate characters replaced by marks one can see."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _mark(char) for char in text)


def _mark(char: str) -> str:
    code = ord(char)
    if code in _PICTURES:
        return _PICTURES[code]
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    if char in _JOINERS or not (noncharacter or unicodedata.category(char) in _HIDDEN):
        return char
    return f"[U+{code:04X}]"


def clipped(value: object, limit: int) -> str:
    """Return at most ``limit`` visible characters of the value, its end replaced by an ellipsis."""
    text = plain(value)
    shown = visible(text[:limit])
    return shown if len(text) <= limit and len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def plain(value: object) -> str:
    """Return the value as text: text as it is, nothing as the empty text, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def compared(was: object, becomes: object, *, limit: int = 180) -> tuple[Sample, Sample]:
    """Return both sides so that their difference shows, however long they are and however alike they look."""
    left, right = plain(was), plain(becomes)
    if left != right and _looks(left) == _looks(right):
        left, right = (text.encode("unicode_escape").decode("ascii") for text in (left, right))
    start, end = _shared(left, right)
    return _side(was, left, start, end, limit), _side(becomes, right, start, end, limit)


def _looks(text: str) -> str:
    return unicodedata.normalize("NFKC", text[:2000]) + str(len(text) > 2000 and text[2000:])


def _shared(left: str, right: str) -> tuple[int, int]:
    """Return how many characters both share at the start and at the end, in whole words; (0, 0) if too few."""
    if left == right:
        return 0, 0
    start = _alike(left, right)
    start -= _back(start, lambda by: _inside_word(left, start - by) or _inside_word(right, start - by))
    end = _alike(left[start:][::-1], right[start:][::-1])
    end -= _back(end, lambda by: any(_inside_word(text, len(text) - end + by) for text in (left, right)))
    return (start, end) if start + end >= _COMMON else (0, 0)


def _alike(left: str, right: str) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(left), len(right)))


def _back(at: int, inside: Callable[[int], bool]) -> int:
    """Return how far the nearest edge of a word lies back, 0 if the word is too long to be one."""
    return next((by for by in range(min(at, _WORD) + 1) if not inside(by)), 0)


def _inside_word(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    return (text[at - 1].isalnum() and text[at].isalnum()) or bool(unicodedata.combining(text[at]))


def _side(value: object, text: str, start: int, end: int, limit: int) -> Sample:
    if value is None or text == "":
        return Sample(note="nothing" if value is None else "empty")
    before, changed, after = text[:start], text[start : len(text) - end], text[len(text) - end :]
    wing = limit // 4
    shown = (
        clipped(before, wing) if len(before) <= wing else "…" + visible(_whole_words(before[-wing:]))[-wing:],
        _middle(changed, limit),
        clipped(after, wing),
    )
    short = max(len(before) - wing, len(changed) - limit, len(after) - wing) > 0
    return Sample(*shown, note=f"{number(len(text))} characters" if short else "")


def _whole_words(text: str) -> str:
    """Return the text from its first whole word on, unless that word is long."""
    space = text.find(" ")
    return text[space + 1 :] if 0 <= space < 16 else text


def _middle(text: str, limit: int) -> str:
    """Return the text with its middle left out, and with spaces at its ends made visible."""
    if len(text) > limit:
        tail = limit // 4
        return visible(text[: limit - tail])[: limit - tail] + " … " + visible(text[-tail:])[-tail:]
    inner = text.strip(" ")
    lead = len(text) - len(text.lstrip(" "))
    ends = "␣" * lead + inner + "␣" * (len(text) - lead - len(inner)) if inner else "␣" * len(text)
    return clipped(ends, limit)


def number(value: Any) -> str:
    """Return a count with thousands separators."""
    return f"{int(value):,}"


def share(count: int, of: int) -> str:
    """Return a percentage that never rounds something to nothing, nor almost all to all."""
    if of <= 0:
        return ""
    percent = 100 * count / of
    if 0 < percent < 0.1:
        return "under 0.1%"
    if 99.9 < percent < 100:
        return "over 99.9%"
    return f"{percent:.1f}%".replace(".0%", "%")


def duration(minutes: float) -> str:
    """Return a length of time rounded to what a person plans with."""
    if not math.isfinite(minutes):
        return "an unknown time"
    whole = round(minutes)
    if whole < 1:
        return "under a minute" if minutes > 0 else "no time"
    if whole < 60:
        return f"{whole} min"
    if whole < 48 * 60:
        return f"{whole // 60} h {whole % 60} min".replace(" 0 min", "")
    return f"{whole // 1440} days {whole % 1440 // 60} h".replace(" 0 h", "")


def about(minutes: float) -> str:
    """Return a length of time as an estimate."""
    text = duration(minutes)
    return f"about {text}" if text[0].isdigit() else text


def moment(iso: object) -> str:
    """Return an ISO time as a date and a time of day; what cannot be read is returned as it is."""
    try:
        at = datetime.fromisoformat(str(iso))
    except ValueError:
        return clipped(iso, 40)
    zone = (at.tzname() or "").replace("UTC+00:00", "UTC")
    return f"{at.day} {at:%B %Y}, {at:%H:%M} {zone}".rstrip()


def kinds(kind: str) -> str:
    """Return the readable plural of a kind's name: ``custom_field`` is "custom fields"."""
    if kind in _PLURALS:
        return _PLURALS[kind]
    name = clipped(kind, 60).replace("_", " ")
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return name + "es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def counted(count: int, kind: str) -> str:
    """Return a number and its kind: "1 ticket", "2 tickets"."""
    if count != 1:
        return f"{number(count)} {kinds(kind)}"
    return "1 satisfaction rating" if kind == "satisfaction" else f"1 {clipped(kind, 60).replace('_', ' ')}"


def listed(words: Iterable[str]) -> str:
    """Return the words as a sentence lists them: "a, b and c"."""
    *front, last = words
    return f"{', '.join(front)} and {last}" if front else last


def either(count: int, one: str, many: str) -> str:
    """Return the form that goes with the number."""
    return one if count == 1 else many
