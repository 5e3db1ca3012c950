"""What an account itself says of a rule's conditions: the tickets in the preview of a view that asks the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrator.errors import RefusedError, VendorError
from migrator.http import Client

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
