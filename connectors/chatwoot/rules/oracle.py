"""What an account itself says of a rule's conditions: the conversations that its own filter finds by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrator.errors import RefusedError, RetryError, VendorError
from migrator.http import Client

PATH = "/conversations/filter"
MOST_PAGES, MOST_PASSES = 100_000, 5
KEPT = ("attribute_key", "filter_operator", "values", "query_operator", "custom_attribute_type")


def taken(client: Client, native: Mapping[str, Any]) -> set[str] | str:
    """Return the conversations that hold a saved filter's or an automation rule's conditions, or why nobody says.

    The filter changes nothing; what sets a rule off is not asked. It knows no message and no contact (filter_keys.yml;
    filter_helper.rb, handle_nil_filter; read 2026-11-27), and pasted together wrongly the query fails as the rule does.
    """
    query = native.get("query")
    asked = query.get("payload") if isinstance(query, Mapping) else native.get("conditions")
    if not isinstance(asked, list) or not asked:
        return "it has no conditions: it takes every conversation"
    payload = [{key: one[key] for key in KEPT if key in one} for one in asked if isinstance(one, Mapping)]
    if payload[-1].get("query_operator"):
        return "after its last condition stands AND or OR, so that no query comes of it"
    try:
        return _found(client, payload)
    except RefusedError as err:
        return f"its filter does not ask this ({err.answer[:200] if err.answer else err})"
    except RetryError as err:
        return f"its filter fails at it, or is out of order: {err}"


def _found(client: Client, payload: list[dict[str, Any]]) -> set[str] | str:
    """Return the ids of all pages; they have no fixed order, so they are read again until all that are counted came."""
    found: set[str] = set()
    for _ in range(MOST_PASSES):
        most = 0
        for page in range(1, MOST_PAGES):
            answer = client.ask(f"{PATH}?page={page}", {"payload": payload}).json()
            listed = answer.get("data", answer)  # the official file and the source differ in how deep it lies
            most = max(most, int((listed.get("meta") or {}).get("all_count") or 0))
            if not listed.get("payload"):
                break
            found |= {str(one["id"]) for one in listed["payload"]}
        else:
            raise VendorError("Chatwoot's filter finds no end of conversations")
        if len(found) >= most:
            return found
    return "its list of conversations shows others each time"
