"""Znuny's dialect of rules: jobs of the GenericAgent, which run by the clock and ask with an AND of lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from migrator.rules.rule import Kind, Rule
from migrator.rules.verdicts import Translation

from .account import settled
from .names import ADDED_STATUSES, CLOCK, LOOKED_UP, NAMES_ORDER, POLICY, TITLE
from .reading import rule as read
from .writing import rule as write

__all__ = [
    "ADDED_STATUSES",
    "CLOCK",
    "LOOKED_UP",
    "NAMES_ORDER",
    "POLICY",
    "TITLE",
    "listed",
    "read",
    "settled",
    "write",
    "write_with",
]  # fmt: skip


def write_with(statuses: Collection[str]) -> Callable[[Rule], Translation]:
    """Return ``write`` for an account that has only these of the added states."""
    return partial(write, apart=frozenset(statuses))


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, job) of a bare list, or of ``Jobs``; a job is what ``JobGet`` of the GenericAgent returns."""
    for one in document if isinstance(document, list) else document.get("Jobs") or []:
        yield "timed", one
