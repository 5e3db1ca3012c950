"""What an account itself says of a rule's conditions: the tickets in the preview of a view that asks the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrator.errors import AbsentError, RefusedError, VendorError
from migrator.http import Client
from migrator.rules.sql import plain_value

from .reading import place, value_of

PATH = "/api/v2/views/preview.json"
MOST_PAGES = 10_000


def taken(client: Client, native: Mapping[str, Any]) -> set[str] | str:
    """Return the ids of the tickets that hold a rule's conditions, or why the account does not say.

    A preview asks as agents' views do: what only an event can answer is refused, and what lies in the archive is in no
    view. It changes nothing. Five a minute are taken (OpenAPI file, ``PreviewViews``), so that it takes its time.
    """
    conditions = native.get("conditions") or {}
    asked = {side: conditions.get(side) or [] for side in ("all", "any")}
    body = {"view": {**asked, "output": {"columns": ["nice_id"]}}}
    found: set[str] = set()
    after = ""
    for _ in range(MOST_PAGES):
        more = f"&page[after]={after}" if after else ""
        try:
            answer = client.ask(f"{PATH}?page[size]=100{more}", body).json()
        except RefusedError as err:
            return f"it does not ask this in a view ({err.answer[:200] if err.answer else err})"
        found |= {str((row.get("ticket") or row)["id"]) for row in answer.get("rows") or ()}
        meta = answer.get("meta") or {}
        if not meta.get("has_more"):
            return found
        after = str(meta["after_cursor"])
    raise VendorError("the preview of a view has no end")


SHOWN = ("status", "priority", "type", "group_id", "assignee_id")


def applied(client: Client, native: Mapping[str, Any], ticket: str) -> dict[str, str | None] | str:
    """Return what a macro would make of a ticket, by our paths and ``tags``; or why the account does not say.

    It changes nothing (OpenAPI file, ``ShowTicketAfterChanges``). ``comment.public``: None where it writes none.
    """
    try:
        answer = client.read(f"/api/v2/tickets/{ticket}/macros/{native['id']}/apply.json").json()
    except (AbsentError, RefusedError) as err:
        return f"it does not show what the macro does ({err})"
    after = (answer.get("result") or {}).get("ticket") or {}
    found: dict[str, str | None] = {}
    for field in SHOWN:
        at, refers = place(field)
        if field in after and at is not None:
            value = value_of(at, refers, field, after[field])
            found[str(at)] = None if value is None else plain_value(value)
    if isinstance(after.get("tags"), list):
        found["tags"] = " ".join(sorted(after["tags"]))
    comment = after.get("comment") or {}
    found["comment.public"] = str(bool(comment.get("public"))).lower() if comment.get("body") else None
    return found
