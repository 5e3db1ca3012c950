"""JQL, the part that rules ask with: fields, ``=``, ``!=``, ``in``, ``not in``, ``is EMPTY``, ``~``, AND, OR, NOT.

``!=``, ``not in`` and ``!~`` do not find what is empty, and NOT before a clause is the same as these (Jira's reference
of JQL operators, read 2026-11-27): so NOT is carried to the clauses, where it turns their operators.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from migrator.rules.conditions import All, Condition
from migrator.rules.conditions import Any as AnyOf

TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<sign>!=|!~|>=|<=|[=~<>(),])|(?P<word>[^\s=!~<>(),"']+))"""
)
TURNED = {"=": "!=", "in": "not in", "~": "!~", "is": "is not", "<": ">=", ">": "<="}
TURNED |= {other: one for one, other in TURNED.items()}
_ORDER = re.compile(r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\border\s+by\b""", re.IGNORECASE)
Asked = Callable[[str, str, Sequence[str]], Condition | None]  # (field, operator, values) to a condition


class UnknownError(ValueError):
    """The text holds what is not known here."""


def unordered(text: str) -> tuple[str, str]:
    """Return what a text of JQL asks, and what stands behind its ORDER BY; a quoted one is none."""
    found = next((one for one in _ORDER.finditer(text) if one["text"] is None), None)
    return (text.strip(), "") if found is None else (text[: found.start()].strip(), text[found.end() :].strip())


def parse(text: str, asked: Asked) -> Condition:
    """Return the condition a text of JQL states; an ORDER BY behind it is nothing. Raises UnknownError."""
    tokens, at = list[tuple[str, str]](), 0
    text, _ = unordered(text)
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise UnknownError(text[at:])
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    reader = _Reader(tokens, asked)
    made = reader.some()
    if reader.at < len(tokens):
        raise UnknownError(tokens[reader.at][1])
    return made


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]], asked: Asked) -> None:
        self.tokens, self.asked, self.at = tokens, asked, 0

    def word(self) -> str:
        """Return the next word or sign, in lower case, without taking it."""
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        return text.lower() if kind != "text" else ""

    def take(self) -> str:
        if self.at >= len(self.tokens):
            raise UnknownError("it ends too early")
        kind, text = self.tokens[self.at]
        self.at += 1
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "text" else text

    def some(self, *, turned: bool = False) -> Condition:
        parts = [self.every(turned=turned)]
        while self.word() in ("or", "||"):
            self.take()
            parts.append(self.every(turned=turned))
        return _joined(parts, every=turned)

    def every(self, *, turned: bool) -> Condition:
        parts = [self.one(turned=turned)]
        while self.word() in ("and", "&&"):
            self.take()
            parts.append(self.one(turned=turned))
        return _joined(parts, every=not turned)

    def one(self, *, turned: bool) -> Condition:
        if self.word() in ("not", "!"):
            self.take()
            return self.one(turned=not turned)
        if self.word() == "(":
            self.take()
            made = self.some(turned=turned)
            if self.take() != ")":
                raise UnknownError("a bracket is not closed")
            return made
        return self.clause(turned=turned)

    def clause(self, *, turned: bool) -> Condition:
        field, operator = self.take(), self.take().lower()
        if operator == "not":
            operator = f"not {self.take().lower()}"
        if operator == "is" and self.word() == "not":
            self.take()
            operator = "is not"
        operator = TURNED.get(operator, f"not {operator}") if turned else operator
        made = self.asked(field, operator, self.values(operator))
        if made is None:
            raise UnknownError(f"{field} {operator}")
        return made

    def values(self, operator: str) -> list[str]:
        if operator not in ("in", "not in"):
            return [self.value()]
        if self.take() != "(":
            raise UnknownError("a list is wanted")
        found = [self.value()]
        while self.word() == ",":
            self.take()
            found.append(self.value())
        if self.take() != ")":
            raise UnknownError("a list is not closed")
        return found

    def value(self) -> str:
        taken = self.take()
        if self.word() == "(":  # a function, such as currentUser()
            raise UnknownError(f"{taken}()")
        return taken


def _joined(parts: Sequence[Condition], *, every: bool) -> Condition:
    return parts[0] if len(parts) == 1 else All(of=tuple(parts)) if every else AnyOf(of=tuple(parts))
