"""Freshdesk's dialect of rules: automations of three kinds and SLA policies, read and written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.rule import Kind

from .names import POLICY, TIMED, TITLE
from .reading import rule as read
from .writing import rule as write

__all__ = ["POLICY", "TITLE", "listed", "read", "write"]


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, rule) of a bare list of rules, or of ``automations`` and ``sla_policies`` put into one object."""
    if isinstance(document, dict):
        document = [one for some in document.values() if isinstance(some, list) for one in some]
    for one in document:
        kind: Kind = "sla" if "sla_target" in one else "timed" if one.get("rule_type") == TIMED else "trigger"
        yield kind, one
