"""Addresses that change on the way, and text in which they are put right: IPs, paths, names of databases, host names.

What is read may be hostile: one pass over bytes, patterns that cannot run away, no depth and no size without a limit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import model_validator

from migrator.documents import Document

DEEPEST = 12  # serialised text within serialised text
FAR = 4096  # bytes in which the end of a broken serialised text is looked for
APPLIED = ""
BINARY = "the file is not text"
BROKEN = "within serialised text whose length is wrong already"
QUOTED = "within serialised text in a quoted string (a dump): load the dump, then rewrite in the database"
OWN = "beside an object that serialises itself, and tells its own length"
DEEP = "within serialised text that is too deep"
TOO_LONG = "the file is too large to be rewritten"


class Change(Document):
    """One address that changes. ``what`` decides where it ends: ``/home/a`` is not the beginning of ``/home/ab``.

    ``host``: whatever the case, and not a part of a longer name. ``name``: of a database or a user, as a whole word.
    """

    what: Literal["ip", "path", "name", "host"]
    old: str
    new: str

    @model_validator(mode="after")
    def _says_something(self) -> Change:
        for value in (self.old, self.new):
            if not value or not value.isascii() or not value.isprintable() or " " in value:
                raise ValueError("old and new are words of ASCII without blanks")
        if self.what == "path" and not (self.old.startswith("/") and self.new.startswith("/")):
            raise ValueError("a path begins with /")
        if self.what == "path" and (self.old.endswith("/") or self.new.endswith("/")):
            raise ValueError("a path ends without /")
        return self


AROUND = {  # what may stand neither before nor after
    "ip": (r"(?<![\w.])", r"(?!\w|\.\w)"),
    "ip6": (r"(?<=ip6:)|(?<![\w.])(?<![\da-fA-F]:)", r"(?!\w|:[\w:])"),
    "path": (r"(?<![\w.~-])", r"(?![\w~-]|\.\w)"),
    "name": (r"(?<![\w$-])", r"(?![\w$-])"),
    "host": (r"(?<![\w-])(?<![\w-]\.)", r"(?![\w-]|\.[\w-])"),
}
LOOKS_AHEAD, LOOKS_BACK = 2, 4  # bytes, of every pattern
CUSTOM = re.compile(rb'C:\d{1,4}:"[\w\\]{1,200}":\d{1,9}:\{')
SERIALISED = re.compile(rb's:(\d{1,9}):(\\?)"')


@dataclass
class Rewritten:
    """What became of a text. ``found``: (number of the change, why it was left; empty: applied) to (times, first line).

    Lines are counted from 1.
    """

    text: bytes
    found: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)


class Addresses:
    """The changes as one pattern: what was put in is not looked at again, so that two may change places."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = list(changes)
        self._new: list[bytes] = []
        self._of: list[int] = []
        some = []
        spelled = [
            (old, new, number, change.what)
            for number, change in enumerate(self.changes)
            for old, new in _spellings(change)
        ]
        for old, new, number, what in sorted(spelled, key=lambda one: -len(one[0])):
            before, after = AROUND["ip6" if what == "ip" and ":" in old else what]
            body = f"(?i:{re.escape(old)})" if what == "host" else re.escape(old)
            if "\\/" in old:
                before = r"(?<![\w.~\\-])"
            some.append(f"(?:{before})({body}){after}")
            self._new.append(new.encode())
            self._of.append(number)
        self._pattern = re.compile("|".join(some).encode()) if some else None
        self.longest = max((len(old) for old, *_ in spelled), default=0)

    def rewrite(self, text: bytes) -> Rewritten:
        """Return a text with every address in it put right; serialised text keeps telling its own lengths."""
        done = Rewritten(text)
        if self._pattern is None or not self._pattern.search(text):
            return done
        if CUSTOM.search(text):
            return self.left(text, OWN)
        notes: list[tuple[int, str, int]] = []
        done.text = self._put_right(text, notes, 0, 0)
        self._note(done, text, notes)
        return done

    def left(self, text: bytes, why: str, *, begin: int = 0, end: int | None = None) -> Rewritten:
        """Return what begins between two places of a text that stays as it is."""
        done, notes = Rewritten(text), list[tuple[int, str, int]]()
        self._stays(text, notes, 0, why)
        notes = [note for note in notes if begin <= note[2] and (end is None or note[2] < end)]
        self._note(done, text, notes)
        return done

    @staticmethod
    def _note(done: Rewritten, text: bytes, notes: list[tuple[int, str, int]]) -> None:
        counts: Counter[tuple[int, str]] = Counter()
        first: dict[tuple[int, str], int] = {}
        for number, why, at in notes:
            counts[number, why] += 1
            first.setdefault((number, why), at)
        for key, times in counts.items():
            done.found[key] = (times, text.count(b"\n", 0, first[key]) + 1)

    def _put_right(self, text: bytes, notes: list[tuple[int, str, int]], at: int, depth: int) -> bytes:
        """Return the text put right; ``at`` is where it stands in the whole."""
        out: list[bytes] = []
        here = 0
        for begin, end, inner, outer, why in _serialised(text):
            if not (self._pattern and self._pattern.search(text, begin, end)):
                continue
            self._plain(text, here, begin, out, notes, at)
            here = end
            if why or depth == DEEPEST:
                out.append(self._stays(text[begin:end], notes, at + begin, why or DEEP))
                continue
            said = self._put_right(text[inner:outer], notes, at + inner, depth + 1)
            out.append(b's:%d:"%b";' % (len(said), said))
        self._plain(text, here, len(text), out, notes, at)
        return b"".join(out)

    def _plain(
        self, text: bytes, begin: int, end: int, out: list[bytes], notes: list[tuple[int, str, int]], at: int
    ) -> None:
        """Add a part of a text, put right, to ``out``; what stands around the part is looked at too."""
        assert self._pattern is not None
        here = begin
        for found in self._pattern.finditer(text, begin, end + LOOKS_AHEAD):
            which = (found.lastindex or 1) - 1
            if found.end(which + 1) > end:
                break
            out += [text[here : found.start(which + 1)], self._new[which]]
            here = found.end(which + 1)
            notes.append((self._of[which], APPLIED, at + found.start(which + 1)))
        out.append(text[here:end])

    def _stays(self, text: bytes, notes: list[tuple[int, str, int]], at: int, why: str) -> bytes:
        for found in self._pattern.finditer(text) if self._pattern else ():
            which = (found.lastindex or 1) - 1
            notes.append((self._of[which], why, at + found.start(which + 1)))
        return text


def _spellings(change: Change) -> list[tuple[str, str]]:
    """Return how an address is spelled: a path also the way PHP writes it into JSON."""
    found = [(change.old, change.new)]
    if change.what == "path":
        found.append((change.old.replace("/", "\\/"), change.new.replace("/", "\\/")))
    return found


def _serialised(text: bytes) -> Iterator[tuple[int, int, int, int, str]]:
    """Yield PHP's serialised texts at the top level: where each begins and ends, its inner text, and what is wrong."""
    at = 0
    while token := SERIALISED.search(text, at):
        begin, inner = token.start(), token.end()
        outer = inner + int(token[1])
        if not token[2] and text[outer : outer + 2] == b'";':
            yield begin, outer + 2, inner, outer, ""
            at = outer + 2
            continue
        closing = b'\\";' if token[2] else b'";'
        end = text.find(closing, inner, inner + FAR)
        at = inner if end < 0 else end + len(closing)
        if end >= 0:
            yield begin, at, inner, end, QUOTED if token[2] else BROKEN


def is_text(beginning: bytes) -> bool:
    """Tell whether a file is text, by its beginning."""
    return b"\0" not in beginning
