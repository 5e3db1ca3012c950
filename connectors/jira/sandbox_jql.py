"""Jira's search: JQL carried out over the sandbox's issues, written from Jira's reference of JQL (facts.yaml).

Where a field is empty only EMPTY finds the issue, whether a clause says "not" itself or NOT stands somewhere before it.
What the site does not know (a field, a value, a function) is a refusal, not an empty list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from migrator.testing.sandbox import Native

Test = Callable[[Native], bool]
SPLIT = re.compile(r'"((?:\\.|[^"\\])*)"|\'((?:\\.|[^\'\\])*)\'|(>=|<=|!=|!~|[()=<>~,])|([^\s()=<>~,!"\']+|!)')
NEGATIVE = {"!=": "=", "NOT IN": "IN", "!~": "~", "IS NOT": "IS"}
NAMED = {"status": "status", "priority": "priority", "issuetype": "issuetype", "type": "issuetype"}
PEOPLE = ("assignee", "reporter", "creator")
DATES = ("created", "updated", "duedate", "due")
TEXTS = ("summary", "description")
ALWAYS = {  # values that a site has whether or not an issue has them
    "status": ("Waiting for support", "Waiting for customer", "Pending", "Resolved", "Closed"),
    "priority": ("Highest", "High", "Medium", "Low", "Lowest"),
    "issuetype": ("[System] Incident", "[System] Service request", "[System] Problem", "[System] Change", "Task"),
}
UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


class JqlError(Exception):
    """The site refuses the query, and says why."""


@dataclass
class Query:
    """One query over the issues of a site."""

    issues: list[Native]
    fields: list[Native]
    me: str
    now: datetime
    tokens: list[tuple[str, str]] = field(default_factory=list)  # ("quoted" or "bare", text)

    def found(self, jql: str) -> list[Native]:
        """Return the issues that a query finds. Raises JqlError."""
        rest = SPLIT.sub("", jql).strip()
        if rest:
            raise JqlError(f"Error in the JQL Query: The character '{rest[0]}' is a reserved JQL character.")
        for one in SPLIT.finditer(jql):
            quoted = one[1] if one[1] is not None else one[2]
            made = ("quoted", re.sub(r"\\(.)", r"\1", quoted)) if quoted is not None else ("bare", one[3] or one[4])
            self.tokens.append(made)
        at = next((at for at in range(len(self.tokens)) if self._are(at, "ORDER", "BY")), len(self.tokens))
        del self.tokens[at:]
        if not self.tokens:
            raise JqlError("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
        test = self._either(no=False)
        if self.tokens:
            raise JqlError(f"Error in the JQL Query: Expecting operator but got '{self.tokens[0][1]}'.")
        return [one for one in self.issues if test(one)]

    # ---- grammar ----------------------------------------------------------------------------------------------------

    def _are(self, at: int, *words: str) -> bool:
        here = self.tokens[at : at + len(words)]
        return [text.upper() for kind, text in here if kind == "bare"] == list(words)

    def _skip(self, *words: str) -> bool:
        if not self._are(0, *words):
            return False
        del self.tokens[: len(words)]
        return True

    def _next(self) -> tuple[str, str]:
        if not self.tokens:
            raise JqlError("Error in the JQL Query: The query ends too early.")
        return self.tokens.pop(0)

    def _either(self, *, no: bool) -> Test:
        tests = [self._both(no=no)]
        while self._skip("OR"):
            tests.append(self._both(no=no))
        return (
            (lambda issue: all(one(issue) for one in tests)) if no else lambda issue: any(one(issue) for one in tests)
        )

    def _both(self, *, no: bool) -> Test:
        tests = [self._single(no=no)]
        while self._skip("AND"):
            tests.append(self._single(no=no))
        return (
            (lambda issue: any(one(issue) for one in tests)) if no else lambda issue: all(one(issue) for one in tests)
        )

    def _single(self, *, no: bool) -> Test:
        if self._skip("NOT") or self._skip("!"):
            return self._single(no=not no)
        if self._skip("("):
            inner = self._either(no=no)
            if not self._skip(")"):
                raise JqlError("Error in the JQL Query: Expecting ')'.")
            return inner
        return self._clause(no=no)

    def _clause(self, *, no: bool) -> Test:
        _, named = self._next()
        operator = self._next()[1].upper()
        if operator in ("NOT", "IS") and self.tokens and self.tokens[0][1].upper() in ("IN", "NOT"):
            operator = f"{operator} {self._next()[1].upper()}"
        values = self._operands(listed=operator in ("IN", "NOT IN"))
        if operator in NEGATIVE:
            operator, no = NEGATIVE[operator], not no
        if operator == "IS" or values == [None]:
            return lambda issue: bool(self._held(issue, named)) == no
        wanted = [str(one) for one in values]
        test = self._test(named, operator, wanted)

        def answers(issue: Native) -> bool:
            held = self._held(issue, named)
            return bool(held) and any(test(one) for one in held) != no

        return answers

    def _operands(self, *, listed: bool) -> list[str | None]:
        if not listed:
            return [self._operand()]
        if not self._skip("("):
            raise JqlError("Error in the JQL Query: Expecting '('.")
        found = [self._operand()]
        while self._skip(","):
            found.append(self._operand())
        if not self._skip(")"):
            raise JqlError("Error in the JQL Query: Expecting ')'.")
        return found

    def _operand(self) -> str | None:
        kind, text = self._next()
        if kind == "bare" and self._skip("(", ")"):
            if text.lower() != "currentuser":
                raise JqlError(f"Unable to find JQL function '{text}()'.")
            return self.me
        return None if kind == "bare" and text.upper() in ("EMPTY", "NULL") else text

    # ---- meaning ----------------------------------------------------------------------------------------------------

    def _own(self, named: str) -> str | None:
        own = [one for one in self.fields if one.get("custom")]
        low = named.lower()
        called = [one["id"] for one in own if low in map(str.lower, (one["id"], *one.get("clauseNames", ())))]
        return str(called[0]) if called else None

    def _held(self, issue: Native, named: str) -> list[Any]:
        """Return what an issue has in a field: a list of what it may be called by."""
        low, held = named.lower(), issue["fields"]
        if low in ("key", "issuekey", "id"):
            return [(issue["key"], issue["id"])]
        if low == "labels":
            return [(one,) for one in held.get("labels") or ()]
        if low in ("project", *NAMED, *PEOPLE):
            one = held.get(NAMED.get(low, low))
            return [_called(one)] if one else []
        if low in (*TEXTS, *DATES):
            value = held.get("duedate" if low == "due" else low)
            return [(_plain(value),)] if value else []
        id = self._own(named)
        if id is None:
            raise JqlError(f"Field '{named}' does not exist or you do not have permission to view it.")
        value = held.get(id)
        listed = value if isinstance(value, list) else [value]
        return [_called(one) if isinstance(one, dict) else (str(one),) for one in listed if one not in (None, "")]

    def _test(self, named: str, operator: str, wanted: list[str]) -> Callable[[tuple[str, ...]], bool]:
        low = named.lower()
        if low in NAMED:
            self._known(NAMED[low], wanted)
        elif low not in ("key", "issuekey", "id", "labels", "project", *PEOPLE, *TEXTS, *DATES):
            self._held({"key": "", "id": "", "fields": {}}, named)  # refused where nobody knows it
        if operator == "~":
            if low in NAMED or low in PEOPLE:
                raise JqlError(f"The operator '~' is not supported by the '{named}' field.")
            return lambda held: all(_word(one, held[0]) for one in wanted[0].split())
        if operator in ("<", "<=", ">", ">="):
            return self._compared(operator, wanted[0])
        if operator not in ("=", "IN"):
            raise JqlError(f"Error in the JQL Query: '{operator}' is no operator.")
        if low in TEXTS:
            raise JqlError(f"The operator '=' is not supported by the '{named}' field.")
        among = {one.lower() for one in wanted}
        exact = set(wanted)
        return (
            (lambda held: held[0] in exact) if low == "labels" else lambda held: bool(among & {*map(str.lower, held)})
        )

    def _known(self, named: str, wanted: list[str]) -> None:
        there = {
            word for issue in self.issues if issue["fields"].get(named) for word in _called(issue["fields"][named])
        }
        known = {one.lower() for one in (*there, *ALWAYS[named])}
        for word in wanted:
            if word.lower() not in known:
                raise JqlError(f"The value '{word}' does not exist for the field '{named}'.")

    def _compared(self, operator: str, wanted: str) -> Callable[[tuple[str, ...]], bool]:
        ago = re.fullmatch(r"(-?\d+)([mhdw])", wanted)
        try:
            limit = self.now + timedelta(seconds=int(ago[1]) * UNITS[ago[2]]) if ago else _moment(wanted)
        except ValueError as err:
            raise JqlError(f"Date value '{wanted}' is invalid.") from err
        signs: dict[str, Callable[[datetime], bool]] = {
            "<": lambda one: one < limit,
            "<=": lambda one: one <= limit,
            ">": lambda one: one > limit,
            ">=": lambda one: one >= limit,
        }
        return lambda held: signs[operator](_moment(held[0]))


def _moment(text: str) -> datetime:
    made = datetime.fromisoformat(text.replace("/", "-"))
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def _called(one: Native) -> tuple[str, ...]:
    keys = ("accountId", "emailAddress", "displayName", "id", "key", "name", "value")
    return tuple(str(one[key]) for key in keys if one.get(key))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join([str(value.get("text", "")), *map(_plain, value.get("content") or ())])
    return str(value)


def _word(wanted: str, text: str) -> bool:
    words = re.findall(r"\w+", text.lower())
    low = wanted.lower()
    return any(one.startswith(low[:-1]) if low.endswith("*") else one == low for one in words)
