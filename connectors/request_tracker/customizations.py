"""Templates, scrips, rights and saved searches: RT's own modules read and write them, its API serves none of them."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from migrator.connector import Native, Outcome, Raw, Unit, Written
from migrator.errors import RefusedError, UnknownOutcomeError

from .rules.reading import scrip

HERE = Path(__file__).parent
STREAMS = {
    "template": "templates", "script": "scrips", "role_right": "rights", "saved_query": "searches",
    "trigger": "scrips", "view": "searches",
}  # fmt: skip
# Of a rule of another desk's: what it rests on besides, and what the database names by itself.
BESIDE = ("Disabled", "SortOrder", "Helpers", "Statuses", "Template", "id")
NAMES = {"Condition": "ScripCondition", "Action": "ScripAction"}
# What makes two records of a stream the same.
SAME: dict[str, tuple[str, ...]] = {
    "templates": ("Scope", "Name"),
    "scrips": (
        "Description", "Condition", "Action", "Template", "Scopes", "CustomIsApplicableCode", "CustomPrepareCode",
        "CustomCommitCode",
    ),
    "rights": ("Holder", "Right", "Scope"),
    "searches": ("Scope", "Name"),
}  # fmt: skip


class Customizations:
    """Those of one Request Tracker. ``run`` hands RT's import command a file of Perl and returns what it said."""

    def __init__(self, run: Callable[[str], str]) -> None:
        self._run = run
        self._dumped: dict[str, list[Native]] = {}
        self._switching: list[Native] = []  # scrips as they stand while one after another is switched

    def read(self, stream: str) -> list[Raw]:
        """Return a stream whole. One run of the command brings all four; each of them is handed over once."""
        if stream not in self._dumped:
            self._dumped = self.dump()
        return [_raw(row) for row in self._dumped.pop(stream)]

    def switched(self, id: str, *, on: bool) -> None:
        """Note how a scrip stands that was switched in the database: ``seen`` need not run the command for it."""
        self._switching = self._switching or self.dump()["scrips"]
        for row in self._switching:
            if str(row["id"]) == id:
                row["Disabled"] = "0" if on else "1"

    def seen(self, stream: str) -> list[Raw]:
        """Return a stream as it stands now."""
        if stream == "scrips" and self._switching:
            return [_raw(row) for row in self._switching]
        return self.read(stream)

    def dump(self) -> dict[str, list[Native]]:
        """Return the rows of all four streams as they stand now. Raises RefusedError."""
        said = self._run((HERE / "dump.pl").read_text(encoding="utf-8"))
        found: dict[str, list[Native]] = {stream: [] for stream in SAME}
        for stream, text in re.findall(r"^migrator-row: (\w+) (\{.*\})$", said, re.MULTILINE):
            row = json.loads(text)
            if stream == "scrips":
                row["_digest"] = _digest(stream, row)
            found[stream].append(row)
        if not found["scrips"]:
            raise RefusedError("the import command did not tell which scrips there are", answer=said[-1000:])
        return found

    def carry_out(self, units: Sequence[Unit], bodies: Sequence[Native]) -> list[Outcome]:
        """Make, take away or switch these, one after another in one run; a refusal is its record's alone."""
        self._dumped, self._switching = {}, []
        rows = [
            {**_row(unit, body), "stream": STREAMS[unit.kind], "act": unit.action, "id": unit.there}
            for unit, body in zip(units, bodies, strict=True)
        ]
        script = (HERE / "change.pl").read_text(encoding="utf-8")
        packed = b64encode(json.dumps(rows).encode()).decode("ascii")
        try:
            said = self._run(script.replace("'MIGRATOR_ROWS'", f"'{packed}'"))
        except RefusedError as err:
            if isinstance(err.__cause__, OSError):
                raise  # the command is not there: it did nothing
            raise UnknownOutcomeError(f"the import command did not end well: {err}") from err
        outcomes: list[Outcome] = [None] * len(units)
        for text in re.findall(r"^migrator-done: (\[.*\])$", said, re.MULTILINE):
            at, id, why = json.loads(text)
            unit = units[at]
            refused = RefusedError(f"{unit.kind} {unit.id}: Request Tracker refused it: {why}", status=422, answer=why)
            outcomes[at] = Written(str(id)) if id else refused
        if all(one is None for one in outcomes):
            raise UnknownOutcomeError(f"the import command did not tell what became of it: {said[-400:]}")
        return outcomes

    @staticmethod
    def find(unit: Unit, body: Native, known: Iterable[str], held: Mapping[str, list[Native]]) -> Written | None:
        """Return the record that a call in doubt made, among those ``held`` (of ``dump``)."""
        stream = STREAMS[unit.kind]

        def told(row: Native) -> object:
            return _digest(stream, row) if unit.kind != "trigger" else _scrip(row)

        wanted = told(body)
        for row in held[stream]:
            if str(row["id"]) not in known and told(row) == wanted:
                return Written(str(row["id"]))
        return None


def _raw(row: Native) -> Raw:
    return Raw(str(row["id"]), json.dumps(row, ensure_ascii=False, sort_keys=True).encode())


def _row(unit: Unit, body: Native) -> Native:
    """Return a payload as change.pl takes it."""
    if unit.kind == "view":
        return {key: value for key, value in body.items() if key != "Statuses"}
    if unit.kind != "trigger" or not body:
        return body
    named = {name: body.get(theirs) for name, theirs in NAMES.items()}
    beside = [name for name in ("Queues", "Statuses", "SortOrder", "Disabled") if name in body]
    return {key: value for key, value in {**body, **named}.items() if key not in beside} | {
        "Scopes": ["everything"],
        "Rule": True,
    }


def _scrip(row: Native) -> Native:
    """Return what a rule's scrip does: of a payload, or of a row of dump.pl."""
    told = scrip(row) if "Condition" in row else row
    if told.get("To"):
        told = {**told, "ScripAction": ""}
    return {
        key: value.replace("\r\n", "\n").strip() if isinstance(value, str) else value
        for key, value in told.items()
        if key not in BESIDE
    }


def _digest(stream: str, row: Native) -> str:
    def plain(value: Any) -> Any:
        return sorted(value) if isinstance(value, list) else str(value or "").replace("\r\n", "\n").strip()

    held = json.dumps([plain(row.get(name)) for name in SAME[stream]], ensure_ascii=False)
    return hashlib.sha256(held.encode()).hexdigest()
