"""What an account itself says of a rule's conditions: the tickets that its selector takes. Nothing is changed.

The preview of conditions (``POST /tickets/selector``) tells how many tickets of the whole account hold them, and six of
them; the search by conditions (``POST /tickets/search``) tells every one that the token's owner may read (zammad/zammad
app/controllers/selectors_controller.rb, app/models/concerns/can_search.rb, 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from migrator.errors import RefusedError, VendorError
from migrator.http import Client

from .numbers import FIXED, Tables, in_ids, named_tables

Native = dict[str, Any]
PREVIEW, SEARCH = "/tickets/selector", "/tickets/search"
SIZE = 200  # records a page, the most (paginate_with, 2026)
MOST_PAGES = 100_000
OF_EVENTS = ("ticket.action", "execution_time.")  # and everything about the article that set a rule off


def standing(native: Mapping[str, Any]) -> tuple[Native, list[str]]:
    """Return a rule without those conditions that only an event answers, and what they ask.

    Only such of them are left out as must all hold: under OR and NOT they decide with the others.
    """
    asked = native.get("condition") or {}
    if "conditions" not in asked:
        left = [f"{name} {one.get('operator')}" for name, one in asked.items() if _of_event(name, one)]
        rest: Native = {name: one for name, one in asked.items() if not _of_event(name, one)}
    elif asked.get("operator") == "AND":
        some = [one for one in asked["conditions"] if "name" in one and _of_event(str(one["name"]), one)]
        left = [f"{one['name']} {one.get('operator')}" for one in some]
        rest = {**asked, "conditions": [one for one in asked["conditions"] if one not in some]}
    else:
        left, rest = [], asked
    return {**native, "condition": rest}, left


def _of_event(name: str, one: Mapping[str, Any]) -> bool:
    return name.startswith((*OF_EVENTS, "article.")) or one.get("operator") in ("has changed", "has reached")


def taken(client: Client, native: Mapping[str, Any]) -> set[str] | str:
    """Return the ids of the tickets that hold a rule's conditions, or why the account does not say.

    A condition that Zammad finds wrong takes no ticket in the preview, and every ticket in the search, which is
    therefore believed only as far as the preview's count.
    """
    try:
        condition = in_ids(native.get("condition") or {}, _tables(client))
    except KeyError as err:
        kind, name = err.args
        return f"there is no {kind} '{name}' there any more"
    try:
        preview = client.ask(PREVIEW, {"condition": condition}).json()
        count = int(preview.get("object_count", preview.get("ticket_count")))
        few = {str(id) for id in preview.get("object_ids", preview.get("ticket_ids")) or ()}
        if count <= len(few):
            return few
        found = _searched(client, condition)
    except RefusedError as err:
        return f"it does not ask this of all tickets ({err.answer[:200] if err.answer else err})"
    if len(found) > count:
        return f"its preview speaks of {count} tickets, its search of {len(found)}"
    return found


def _searched(client: Client, condition: Native) -> set[str]:
    found: set[str] = set()
    for page in range(1, MOST_PAGES):
        at = f"{SEARCH}?expand=true&per_page={SIZE}&page={page}&sort_by=id&order_by=asc"
        listed = client.ask(at, {"condition": condition}).json()
        more = {str(one["id"]) for one in listed} - found
        found |= more
        if len(listed) < SIZE or not more:
            return found
    raise VendorError("the search for a rule's tickets has no end")


def _tables(client: Client) -> Tables:
    """Return the names behind numbers, each list read once."""
    read = cache(lambda path: client.read(path).json())

    def table(kind: str) -> Mapping[int, str]:
        return FIXED[kind] if kind in FIXED else named_tables(kind, read)

    return table
