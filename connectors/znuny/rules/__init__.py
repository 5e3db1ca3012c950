"""Znuny's dialect of rules: jobs of the GenericAgent, which run by the clock and ask with an AND of lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.rule import Kind

from .names import POLICY, TITLE
from .reading import rule as read
from .writing import rule as write

__all__ = ["POLICY", "TITLE", "listed", "read", "write"]


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, job) of a bare list, or of ``Jobs``; a job is what ``JobGet`` of the GenericAgent returns."""
    for one in document if isinstance(document, list) else document.get("Jobs") or []:
        yield "timed", one
