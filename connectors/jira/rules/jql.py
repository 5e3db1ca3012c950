"""JQL, the part that rules ask with: fields, ``=``, ``!=``, ``in``, ``not in``, ``is EMPTY``, ``~``, AND, OR, NOT.

``!=``, ``not in`` and ``!~`` do not find what is empty (Jira's reference of JQL operators).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from migrator.rules.conditions import All, Condition, Not
from migrator.rules.conditions import Any as AnyOf

TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<sign>!=|!~|>=|<=|[=~<>(),])|(?P<word>[^\s=!~<>(),"']+))"""
)
Asked = Callable[[str, str, Sequence[str]], Condition | None]  # (field, operator, values) to a condition


class UnknownError(ValueError):
    """The text holds what is not known here."""


def parse(text: str, asked: Asked) -> Condition:
    """Return the condition a text of JQL states; an ORDER BY behind it is nothing. Raises UnknownError."""
    tokens, at = list[tuple[str, str]](), 0
    text = re.split(r"\border\s+by\b", text, flags=re.IGNORECASE)[0].rstrip()
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

    def some(self) -> Condition:
        parts = [self.every()]
        while self.word() in ("or", "||"):
            self.take()
            parts.append(self.every())
        return parts[0] if len(parts) == 1 else AnyOf(of=tuple(parts))

    def every(self) -> Condition:
        parts = [self.one()]
        while self.word() in ("and", "&&"):
            self.take()
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else All(of=tuple(parts))

    def one(self) -> Condition:
        if self.word() in ("not", "!"):
            self.take()
            return Not(of=self.one())
        if self.word() == "(":
            self.take()
            made = self.some()
            if self.take() != ")":
                raise UnknownError("a bracket is not closed")
            return made
        return self.clause()

    def clause(self) -> Condition:
        field, operator = self.take(), self.take().lower()
        if operator == "not":
            operator = f"not {self.take().lower()}"
        if operator == "is" and self.word() == "not":
            self.take()
            operator = "is not"
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
