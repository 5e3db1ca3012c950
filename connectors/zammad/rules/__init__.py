"""Zammad's dialect of rules: triggers, jobs, macros, overviews, SLAs and core workflows, read and written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.rule import Kind

from .account import provided, settled
from .names import CLOCK, LOOKED_UP, NAMES_ORDER, NUMBERED, ONE_FORM, POLICY, TITLE
from .oracle import standing, taken
from .reading import rule as read
from .writing import rule as write

__all__ = [
    "CLOCK",
    "LOOKED_UP",
    "NAMES_ORDER",
    "NUMBERED",
    "ONE_FORM",
    "POLICY",
    "TITLE",
    "listed",
    "provided",
    "read",
    "settled",
    "standing",
    "taken",
    "write",
]

LISTS: dict[str, Kind] = {
    "triggers": "trigger",
    "jobs": "timed",
    "macros": "macro",
    "overviews": "view",
    "slas": "sla",
}


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, rule) of several API answers put into one object, or of a bare list, whose kinds are told apart."""
    if isinstance(document, list):
        for one in document:
            yield _kind(one), one
        return
    for key, kind in LISTS.items():
        yield from ((kind, one) for one in document.get(key) or [])


def _kind(one: dict[str, Any]) -> Kind:
    if "view" in one:
        return "view"
    if "timeplan" in one:
        return "timed"
    if "perform" not in one:
        return "sla"
    return "trigger" if "condition" in one else "macro"
