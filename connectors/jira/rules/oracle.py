"""What a site itself says of a rule's conditions: the issues that its own search finds by them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from migrator.errors import RefusedError, VendorError
from migrator.http import Client

from . import names
from .jql import unordered
from .parts import BLOCK, PART, parts

PATH = "/rest/api/3/search/jql"
A_PAGE, MOST_PAGES = 5000, 10_000  # of ids alone a site gives up to 5,000 a page (its page of the search, 2026-11-27)
Native = Mapping[str, Any]


class _UnaskableError(ValueError):
    """A condition that no JQL says."""


def taken(client: Client, native: Native) -> set[str] | str:
    """Return the issues that a queue, a filter or an automation rule's conditions find, or why nobody says.

    What sets a rule off is not asked, but for the JQL of a scheduled one. Comparisons with a field become JQL, in which
    "not" leaves out what is empty, so that this is asked for besides. What must not hold is taken away.
    """
    project = str(native.get(names.PROJECT) or "")
    within = f"project = {_quoted(project)}" if project else ""
    try:
        if "jql" in native:
            return _found(client, _joined(within, str(native["jql"])))
        asked = _asked(native)
        if not asked:
            return "it has no conditions: it takes every issue"
        if not within and not all(held for _, held in asked):
            return "which project it is of is not staged: extract again"
        found = _found(client, _joined(within, *(jql for jql, held in asked if held)))
        for jql, held in asked:
            found -= set() if held else _found(client, _joined(within, jql))
    except _UnaskableError as err:
        return f"no JQL asks for this: {err}"
    except RefusedError as err:
        return f"its search does not ask this ({err.answer[:200] if err.answer else err})"
    return found


def _asked(native: Native) -> list[tuple[str, bool]]:
    """Return the conditions of a rule as JQL, each with whether it must hold."""
    found = parts(native.get("components") or ())
    conditions, _ = found[min(native.get(PART, 0), len(found) - 1)]
    trigger = native.get("trigger") or {}
    jql = (trigger.get("value") or {}).get("jql") if trigger.get("type") == names.SCHEDULED else None
    first = [(str(jql), True)] if jql else []
    return [*first, *((made, held) for one, held in conditions if (made := _condition(one)))]


def _condition(native: Native) -> str:
    kind, value = native.get("type"), native.get("value") or {}
    if kind == BLOCK:
        inner = [made for one in native.get("conditions") or () if (made := _condition(one))]
        return (" OR " if value.get("conditionMatchType") == "ANY" else " AND ").join(f"({one})" for one in inner)
    if kind == "jira.jql.condition":
        return unordered(value if isinstance(value, str) else str(value.get("jql", "")))[0]
    if kind == "jira.issue.condition" and isinstance(value, Mapping):
        return _comparison(value)
    raise _UnaskableError(str(kind))


def _comparison(value: Native) -> str:
    name, comparison = str((value.get("selectedField") or {}).get("value", "")), str(value.get("comparison"))
    field = f"cf[{name.removeprefix('customfield_')}]" if name.startswith("customfield_") else name
    if not (field.isidentifier() or field.startswith("cf[")):
        field = _quoted(field)
    if comparison in ("EMPTY", "NOT_EMPTY"):
        return f"{field} is {'not ' if comparison == 'NOT_EMPTY' else ''}EMPTY"
    listed = [_quoted(one) for one in _values(value.get("compareValue") or {})]
    if not listed:
        raise _UnaskableError(f"{name} {comparison}")
    among = f"({', '.join(listed)})"
    if comparison in ("EQUALS", "ONE_OF", "CONTAINS_ANY"):
        return f"{field} in {among}"
    if comparison == "CONTAINS_ALL":
        return " AND ".join(f"{field} = {one}" for one in listed)
    if comparison in ("NOT_EQUALS", "NOT_ONE_OF", "CONTAINS_NONE"):
        return f"({field} not in {among} OR {field} is EMPTY)"
    raise _UnaskableError(f"{name} {comparison}")


def _values(compared: Native) -> Sequence[str]:
    held = compared.get("value")
    if compared.get("multiValue") and isinstance(held, str) and held.startswith("["):
        held = json.loads(held)
    return [str(one) for one in (held if isinstance(held, list) else [held]) if one is not None]


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _joined(*asked: str) -> str:
    return " AND ".join(f"({one})" for each in asked if (one := unordered(each)[0]))


def _found(client: Client, jql: str) -> set[str]:
    """Return the ids of all pages. Raises RefusedError where the site has no such field or value."""
    found: set[str] = set()
    token: str | None = None
    for _ in range(MOST_PAGES):
        more = {"nextPageToken": token} if token else {}
        answer = client.ask(PATH, {"jql": jql, "maxResults": A_PAGE, "fields": ["id"], **more}).json()
        found |= {str(one["id"]) for one in answer.get("issues") or ()}
        token = answer.get("nextPageToken")
        if not token or answer.get("isLast"):
            return found
    raise VendorError("Jira's search finds no end of issues")
