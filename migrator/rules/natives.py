"""What every dialect shares: lines of JSON, keys that go home, names of fields made for others."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from migrator.rules.conditions import Is, Lit, Ref
from migrator.rules.references import is_mark

Lines = tuple[tuple[str, str], ...]  # (key, JSON)


def compact(value: object) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def kept(native: Mapping[str, Any], keys: Collection[str]) -> Lines:
    """Return those keys of a rule that it has."""
    return tuple((key, compact(native[key])) for key in keys if key in native)


def unknown(native: Mapping[str, Any], known: Collection[str]) -> Lines:
    """Return the keys of a rule that nobody reads."""
    return tuple((key, compact(native[key])) for key in native if key not in known)


def field_name(custom: str) -> str:
    """Return the name of the field that holds another vendor's custom field: letters, digits, underscores.

    The mark of a field stays as it is: the field's own name will stand in its place.
    """
    if is_mark(custom):
        return custom
    return "cf_" + "".join(char if char.isascii() and char.isalnum() else "_" for char in custom.lower()).strip("_")


def remembered(leaf: Is) -> tuple[Lit, ...]:
    """Return the values of a leaf as the words in which a field remembers them."""
    return tuple(Lit(value=one.id if isinstance(one, Ref) else str(getattr(one, "value", ""))) for one in leaf.values)
