"""A job in the words of one account: what its states and priorities are called, by the mapping and the overlay."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from . import names

Native = dict[str, Any]
Words = Mapping[str, Mapping[str | None, Any]]  # field of a ticket to {ours, None for none: theirs}
WORD = re.compile(r"<(state|priority):([^<>]*)>")
FIELD = {"state": "status", "priority": "priority"}


def settled(native: Native, words: Words) -> tuple[Native, str]:
    """Return another vendor's rule as a job with the names that states and priorities have in the account.

    And why it cannot be said in them: where priorities are merged, a condition would take in others too. (Statuses
    that are merged were judged when the rule was written, decision 0041.)
    """
    lost: list[str] = []

    def named(text: str) -> str:
        found = WORD.fullmatch(text)
        ours = names.WORDS[found[1]].get(found[2]) if found else None
        return (
            text
            if found is None or ours is None
            else f"<{found[1]}:{words.get(FIELD[found[1]], {}).get(ours, found[2])}>"
        )

    told = json.loads(json.dumps(native))
    asked = {names.WORDS["priority"].get(text[10:-1]) for text in told.get(names.LISTS["ticket.priority"][0], ())}
    table = words.get("priority", {})
    becomes = {table.get(ours) for ours in asked if ours}
    more = [ours for ours, theirs in table.items() if ours and theirs in becomes and ours not in asked]
    if asked - {None} and more:
        lost.append(f"{' and '.join(sorted(more))} would match too: they are the same priority there")
    for key, held in told.items():
        if isinstance(held, list):
            told[key] = list(dict.fromkeys(named(str(one)) for one in held))
        elif isinstance(held, str):
            told[key] = named(held)
    return told, lost[0] if lost else ""
