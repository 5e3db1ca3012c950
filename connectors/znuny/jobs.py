"""Jobs of the GenericAgent: read from its table, added, switched and taken away by Znuny's own module.

A job is known by its name only. States and priorities stand in it by their names here, and by their numbers there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from migrator.connector import Native, Unit, Written
from migrator.errors import RefusedError

from . import records
from .rules.names import LISTS, SETS

if TYPE_CHECKING:
    from .connection import Connection

ROWS = "SELECT job_name, job_key, job_value FROM generic_agent_jobs"
TABLES = {"state": "SELECT id, name FROM ticket_state", "priority": "SELECT id, name FROM ticket_priority"}
# Keys that hold a list (GenericAgent.pm, new); what is asked of a dynamic field by a choice of values too.
LISTED = re.compile(
    r"(StateIDs|StateTypeIDs|QueueIDs|PriorityIDs|OwnerIDs|LockIDs|TypeIDs|ResponsibleIDs|ServiceIDs|SLAIDs"
    r"|ScheduleDays|ScheduleMinutes|ScheduleHours|EventValues)"
)
NUMBERS = {key: word for key, word, _ in LISTS.values()} | {SETS[path]: word for path, (_, word, _) in LISTS.items()}
NAMED = re.compile(r"<(\w+):([^<>]*)>")
Tables = Mapping[str, Mapping[str, str]]  # state or priority to {number: name}


def id_of(name: str) -> str:
    """Return the id under which a job is known: its name, without the sign that parts a rule's parts."""
    return quote(name, safe=" ").replace("~", "%7E")


def tables(desk: Connection) -> Tables:
    """Return the desk's states and priorities."""
    return {word: {str(row["id"]): row["name"] for row in desk.rows(sql) or ()} for word, sql in TABLES.items()}


def listed(desk: Connection) -> list[Native]:
    """Return every job, with names in the place of numbers of states and priorities."""
    found: dict[str, Native] = {}
    for row in desk.rows(ROWS) or ():
        job = found.setdefault(row["job_name"], {"id": id_of(row["job_name"]), "Name": row["job_name"]})
        key, held = row["job_key"], row["job_value"]
        if LISTED.fullmatch(key):
            job.setdefault(key, []).append(held)
        elif key in job:  # a choice of values, of a dynamic field
            job[key] = [*(job[key] if isinstance(job[key], list) else [job[key]]), held]
        else:
            job[key] = held
    known = tables(desk) if found else {}
    return [_told({"Valid": "1", **job}, known) for _, job in sorted(found.items())]


def _told(job: Native, known: Tables) -> Native:
    """Return a job in the words of the dialect: without when it ran, which is no part of it."""

    def named(word: str, held: str) -> str:
        if word == "user":
            return records.AGENT + held
        return f"<{word}:{known[word][held]}>" if held in known.get(word, {}) else held

    told = {key: held for key, held in job.items() if not key.startswith("ScheduleLastRun")}
    for key, word in NUMBERS.items():
        held = told.get(key)
        if isinstance(held, list):
            told[key] = [named(word, str(one)) for one in held]
        elif held:
            told[key] = named(word, str(held))
    return told


def missing(desk: Connection, payload: Native) -> str | None:
    """Return which states and priorities a job names that the desk lacks; None where it has them all."""
    known = {word: set(table.values()) for word, table in tables(desk).items()}
    lacking = [f"no {word} '{name}'" for word, name in _names(payload) if name not in known.get(word, set())]
    return ", ".join(lacking) + ": add it and plan again" if lacking else None


def _names(payload: Native) -> Iterable[tuple[str, str]]:
    whole = (str(one) for held in payload.values() for one in (held if isinstance(held, list) else [held]))
    return list(dict.fromkeys((found[1], found[2]) for text in whole if (found := NAMED.fullmatch(text))))


def _words(desk: Connection, payload: Native) -> Native:
    """Return what JobAdd takes: every value as text, with numbers; off, whoever says otherwise."""
    known = {word: {name: number for number, name in table.items()} for word, table in tables(desk).items()}

    def numbered(key: str, held: Any) -> str:
        text = str(held)
        if NUMBERS.get(key) == "user":
            return text.removeprefix(records.AGENT)
        found = NAMED.fullmatch(text) if key in NUMBERS else None
        if found is None:
            return text
        if found[2] not in known.get(found[1], {}):
            raise RefusedError(f"there is no {found[1]} '{found[2]}'")
        return known[found[1]][found[2]]

    data = {
        key: [numbered(key, one) for one in held] if isinstance(held, list) else numbered(key, held)
        for key, held in payload.items()
        if key not in ("Name", "id") and held is not None
    }
    return data | {"Valid": "0"}


def added(desk: Connection, unit: Unit) -> Written:
    """Add a job, switched off. Raises RefusedError where Znuny keeps less of it than it was given: then none of it."""
    assert desk.console is not None
    name = str(unit.payload["Name"])
    desk.console.ask("job", name=name, data=_words(desk, unit.payload))
    return Written(id_of(name))


def found(desk: Connection, unit: Unit) -> Written | None:
    """Return the job that a call in doubt made: the one of its name that says the same."""
    name = str(unit.payload["Name"])
    wanted = {key: held for key, held in _words(desk, unit.payload).items() if held not in ("", [])}
    held: Native = {}
    for row in desk.rows(f"{ROWS} WHERE job_name = %s", [name]) or ():
        key, value = row["job_key"], row["job_value"]
        if isinstance(wanted.get(key), list):
            held.setdefault(key, []).append(value)
        else:
            held[key] = value
    same = bool(held) and all(_plain(held.get(key)) == _plain(value) for key, value in wanted.items())
    return Written(id_of(name)) if same else None


def _plain(held: Any) -> Any:
    return sorted(held) if isinstance(held, list) else held


def switched_on(desk: Connection, unit: Unit) -> None:
    """Let a job run from now on."""
    assert desk.console is not None
    desk.console.ask("job_valid", name=unquote(unit.there), valid=True)


def taken_away(desk: Connection, unit: Unit) -> None:
    """Take a job away; one that is gone already harms nobody."""
    assert desk.console is not None
    desk.console.ask("job_gone", name=unquote(unit.there))
