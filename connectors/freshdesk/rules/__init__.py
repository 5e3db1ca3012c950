"""Freshdesk's dialect of rules: automations of three kinds, scenarios and SLA policies, read and written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from migrator.rules.rule import Kind, Rule
from migrator.rules.verdicts import Translation

from .account import TEXTS_AS, provided
from .names import (
    ADDED_STATUSES,
    CLOCK,
    EVERYBODYS,
    FIELD_PREFIX,
    ITS_OWN,
    NUMBERED,
    OF_ACCOUNT,
    ONE_FORM,
    POLICY,
    TIMED,
    TITLE,
)
from .reading import rule as read
from .writing import rule as write

__all__ = [
    "ADDED_STATUSES",
    "CLOCK",
    "EVERYBODYS",
    "FIELD_PREFIX",
    "ITS_OWN",
    "NUMBERED",
    "OF_ACCOUNT",
    "ONE_FORM",
    "POLICY",
    "TEXTS_AS",
    "TITLE",
    "listed",
    "provided",
    "read",
    "write",
    "write_with",
]


def write_with(statuses: Collection[str]) -> Callable[[Rule], Translation]:
    """Return ``write`` for an account that has only these of the added statuses."""
    return partial(write, apart=frozenset(statuses))


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, rule) of a bare list, or of several put into one object: automations, scenarios, SLA policies."""
    if isinstance(document, dict):
        document = [one for some in document.values() if isinstance(some, list) for one in some]
    for one in document:
        kind: Kind = "sla" if "sla_target" in one else "timed" if one.get("rule_type") == TIMED else "trigger"
        yield "macro" if "rule_type" not in one and kind == "trigger" else kind, one
