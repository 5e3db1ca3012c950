"""Freshdesk's search: a small language over an index that lags behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_fields as fields
from . import sandbox_people as people
from . import sandbox_rules as rules
from .sandbox_rules import API, routes

Test = Callable[[Native], bool]

SEARCHED = {
    "tickets": {
        "agent_id": "responder_id",
        "group_id": "group_id",
        "priority": "priority",
        "status": "status",
        "tag": "tags",
        "type": "type",
        "due_by": "due_by",
        "fr_due_by": "fr_due_by",
        "created_at": "created_at",
        "updated_at": "updated_at",
    },
    "contacts": {name: name for name in ("active", "company_id", "twitter_id", "email", "phone", "mobile")}
    | {"tag": "tags", "language": "language", "time_zone": "time_zone"}
    | {"created_at": "created_at", "updated_at": "updated_at"},
    "companies": {"domain": "domains", "created_at": "created_at", "updated_at": "updated_at"},
}
DATES = ("due_by", "fr_due_by", "created_at", "updated_at")
CUSTOM = ("custom_text", "custom_number", "custom_checkbox", "custom_dropdown", "custom_date")
TOKEN = re.compile(r"\s*(?:(\()|(\))|(AND|OR)\b|(\w+)\s*:\s*([<>]?)\s*('(?:[^'\\]|\\.)*'|[^\s()]+))")


def _bad(message: str) -> rules.Refusal:
    return rules.invalid(rules.error("query", message))


class _Parser:
    """Reads ``(a:1 OR b:'x') AND c:null`` into a test of records."""

    def __init__(self, box: Sandbox, stream: str, query: str) -> None:
        self.names = SEARCHED[stream]
        kinds = {"tickets": "ticket_fields", "contacts": "contact_fields", "companies": "company_fields"}[stream]
        self.custom = {n for n, f in fields.custom(box, kinds).items() if f["type"] in CUSTOM}
        self.dates = {n for n in self.custom if fields.custom(box, kinds)[n]["type"] == "custom_date"}
        self.tokens: list[re.Match[str]] = []
        at = 0
        while at < len(query.rstrip()):
            found = TOKEN.match(query, at)
            if not found:
                raise _bad("Given query is invalid")
            self.tokens.append(found)
            at = found.end()

    def parse(self) -> Test:
        """Return the test of the whole query."""
        test = self._either()
        if self.tokens:
            raise _bad("Given query is invalid")
        return test

    def _next(self, word: str) -> bool:
        if self.tokens and word in (self.tokens[0][1], self.tokens[0][2], self.tokens[0][3]):
            self.tokens.pop(0)
            return True
        return False

    def _either(self) -> Test:
        tests = [self._both()]
        while self._next("OR"):
            tests.append(self._both())
        return lambda record: any(test(record) for test in tests)

    def _both(self) -> Test:
        tests = [self._term()]
        while self._next("AND"):
            tests.append(self._term())
        return lambda record: all(test(record) for test in tests)

    def _term(self) -> Test:
        if self._next("("):
            test = self._either()
            if not self._next(")"):
                raise _bad("Given query is invalid")
            return test
        if not self.tokens or not self.tokens[0][4]:
            raise _bad("Given query is invalid")
        token = self.tokens.pop(0)
        name, relation, raw = token[4], token[5], token[6]
        if name not in self.names and name not in self.custom:
            raise rules.invalid(rules.unexpected(name))
        return self._compare(name, relation, raw)

    def _compare(self, name: str, relation: str, raw: str) -> Test:
        wanted: Any = raw[1:-1].replace("\\'", "'") if raw.startswith("'") else raw
        dated = name in DATES or name in self.dates
        if not raw.startswith("'"):
            wanted = {"null": None, "true": True, "false": False}.get(raw, int(raw) if _whole(raw) else raw)

        def test(record: Native) -> bool:
            if name in self.custom:
                value = record["custom_fields"].get(name)
            else:
                value = record.get(self.names[name])
            if isinstance(value, list):
                return not value if wanted is None else str(wanted).lower() in (str(v).lower() for v in value)
            if wanted is None or value is None:
                return value is None and wanted is None
            if dated:
                value = str(value)[:10]
            if relation:
                if isinstance(value, str) != isinstance(wanted, str):
                    return False
                return bool(value >= wanted if relation == ">" else value <= wanted)
            if isinstance(value, str):
                return value.lower() == str(wanted).lower()
            return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)

        return test


def _whole(raw: str) -> bool:
    return re.fullmatch(r"-?\d+", raw) is not None


def _known(box: Sandbox, stream: str) -> list[Native]:
    """Return the records as the index knows them: as they were ``find_lag_seconds`` ago."""
    until, known = box.clock.monotonic() - box.state["find_lag_seconds"], []
    for versions in box.state["index"].get(stream, {}).values():
        seen = [n for n, (at, _) in enumerate(versions) if at <= until]
        if seen:
            del versions[: seen[-1]]
            record = versions[0][1]
            if record is not None and not any(record.get(state) for state in ("archived", "deleted", "spam")):
                known.append(record)
    return known


def _register(stream: str) -> None:
    @routes("GET", f"{API}/search/{stream}")
    def search(box: Sandbox, request: Request) -> Response:
        given = rules.query(request, "query", "page")
        page, _ = rules.paging(given, max_page=10)
        query = given.get("query", "")
        if len(query) < 2 or not (query.startswith('"') and query.endswith('"')):
            raise _bad("Query should be a valid string enclosed between double quotes")
        if len(query) > 514:
            raise _bad("Query can have a maximum of 512 characters")
        test = _Parser(box, stream, query[1:-1]).parse()
        found = [record for record in _known(box, stream) if test(record)]
        falling = stream == "tickets"
        found.sort(key=lambda record: (record["created_at"], record["id"]), reverse=falling)
        shown = [_shown(stream, record) for record in found[(page - 1) * 30 : page * 30]]
        return rules.answer({"results": shown, "total": len(found)})


def _shown(stream: str, record: Native) -> Native:
    if stream == "contacts":
        return people.contact_listed(record)
    return {name: value for name, value in record.items() if name not in ("attachments", "requester", "stats")}


for _stream in SEARCHED:
    _register(_stream)
