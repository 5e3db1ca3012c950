"""Commands of DirectAdmin's legacy API, asked for JSON; what an older one answers url-encoded is read too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from migrator.errors import AccessError, ForbiddenError, RefusedError, VendorError
from migrator.http import Client

# What DirectAdmin says where a package lacks a feature, or a key may not use a command (facts.yaml).
NOT_HERE = re.compile(r"permission|not (?:allowed|enabled|available)|cannot execute|disabled|denied", re.I)


def call(client: Client, command: str, **params: Any) -> Any:
    """Return what a command answers.

    Raises ForbiddenError where the account or the key may not ask it, RefusedError for any other refusal.
    """
    response = client.read(f"/{command}", {**params, "json": "yes"})
    return answered(command, response.text)


def answered(command: str, text: str) -> Any:
    """Return the value of an answer: JSON, or the older url-encoded form, with ``list[]`` as a list."""
    told = text.strip()
    if told.startswith("<"):
        raise AccessError(f"{command}: a page in place of an answer: is this DirectAdmin, and is the login key right?")
    if told[:1] in ("{", "["):
        try:
            found = json.loads(told)
        except ValueError as err:
            raise VendorError(f"{command}: the answer is no whole JSON") from err
    else:
        pairs = parse_qsl(told, keep_blank_values=True)
        if told and "=" not in told:
            raise VendorError(f"{command}: the answer is neither JSON nor url-encoded: is this DirectAdmin?")
        found = [value for key, value in pairs if key == "list[]"] or dict(pairs)
    if isinstance(found, dict) and str(found.get("error") or "0") != "0":
        _refused(command, found)
    return found


def _refused(command: str, told: Mapping[str, Any]) -> NoReturn:
    parts = [str(told[key]) for key in ("text", "error", "details", "result") if told.get(key)]
    said = re.sub(r"<[^>]*>", " ", "; ".join(part for part in parts if part != "1")) or "no reason given"
    if NOT_HERE.search(said):
        raise ForbiddenError(f"{command}: {said}", answer=said[:4000])
    raise RefusedError(f"{command}: {said}", status=200, answer=said[:4000])


def listed(found: Any) -> list[str]:
    """Return a list, however it came: as one, or as an object with numbers or ``list`` for keys."""
    if isinstance(found, dict):
        found = found.get("list", [value for key, value in found.items() if str(key).isdecimal()])
    return [str(one) for one in found or ()]


def named(found: Any) -> dict[str, Any]:
    """Return what is told by name; an empty list stands for nothing."""
    return {str(key): value for key, value in found.items() if key != "error"} if isinstance(found, dict) else {}


def told(value: Any) -> dict[str, Any]:
    """Return what is told of one: an object, or the same url-encoded within the answer."""
    if isinstance(value, dict):
        return value
    return dict(parse_qsl(str(value or ""), keep_blank_values=True))
