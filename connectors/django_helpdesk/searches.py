"""Saved searches: what they ask for, taken out of the text django-helpdesk keeps them in, and put back into one.

The text is JSON in base64 (``helpdesk/query.py`` of 2.6.1, read 2026-11-26); older versions pickled it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from migrator.errors import RefusedError

from .shape import Native

STATUSES: Mapping[int, str] = {1: "open", 2: "reopened", 3: "solved", 4: "closed", 5: "duplicate"}
PRIORITIES: Mapping[int, str] = {1: "urgent", 2: "high", 3: "normal", 4: "low", 5: "lowest"}
LISTS = {"queue__id__in": "_queues", "assigned_to__id__in": "_assignees"}
WORDS: Mapping[str, tuple[str, Mapping[int, str]]] = {
    "status__in": ("_statuses", STATUSES),
    "priority__in": ("_priorities", PRIORITIES),
}
DATES = {"created__gte": "_from", "created__lte": "_to"}
NOBODY = "assigned_to__id__isnull"
KNOWN = {"filtering", "filtering_null", "sorting", "sortreverse", "search_string"}


def record(row: Native) -> Native:
    """Return a saved search's record; ``_left`` where it cannot be read, or asks for more than has a place."""
    held = {name: row[name] for name in ("id", "title", "shared", "user")}
    try:
        return {**held, **_parts(_decoded(str(row.get("query") or "")))}
    except (ValueError, KeyError, TypeError):
        return {**held, "_left": True}


def _decoded(text: str) -> Native:
    text = text[2:-1] if text.startswith("b'") else text
    found = json.loads(base64.b64decode(text, validate=True).decode())
    if not isinstance(found, dict):
        raise TypeError("not a query")
    return found


def _parts(query: Native) -> Native:
    """Return what a query asks for. Raises KeyError where it asks for what is not known here."""
    if any(held for name, held in query.items() if name not in KNOWN):
        raise KeyError("a part of the query")
    found: Native = {
        "_words": query.get("search_string") or None,
        "_sort": query.get("sorting") or None,
        "_descending": query.get("sortreverse") in (True, "on", "true", "1"),
    }
    for name, held in (query.get("filtering") or {}).items():
        if name in LISTS:
            found[LISTS[name]] = [str(int(one)) for one in held]
        elif name in WORDS:
            label, words = WORDS[name]
            found[label] = [words[int(one)] for one in held]
        else:
            found[DATES[name]] = str(held)[:10]
    for name, wanted in (query.get("filtering_null") or {}).items():
        if name != NOBODY and wanted:
            raise KeyError(name)
        found["_unassigned"] = bool(wanted)
    return found


def query(held: Native) -> str:
    """Return the text of a query that asks for what a record says. Raises RefusedError for what cannot be asked."""
    filtering: Native = {name: [int(one) for one in held[label]] for name, label in LISTS.items() if held.get(label)}
    for name, (label, words) in WORDS.items():
        numbers = {word: number for number, word in words.items()}
        asked = held.get(label) or []
        if unknown := [one for one in asked if one not in numbers]:
            raise RefusedError(
                f"saved search '{held.get('title')}': django-helpdesk cannot ask for {', '.join(unknown)}"
            )
        if asked:
            filtering[name] = [numbers[one] for one in asked]
    filtering |= {name: held[label] for name, label in DATES.items() if held.get(label)}
    whole: dict[str, Any] = {
        "filtering": filtering,
        "filtering_null": {NOBODY: True} if held.get("_unassigned") else {},
        "sorting": held.get("_sort") or "created",
        "sortreverse": "on" if held.get("_descending") else None,
        "search_string": held.get("_words") or "",
    }
    return base64.b64encode(json.dumps(whole).encode()).decode()
