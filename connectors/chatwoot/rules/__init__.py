"""Chatwoot's dialect of rules: automation rules, macros, saved filters, SLA policies, read and written; hours, read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.rule import Kind

from .names import ITS_OWN, NUMBERED, POLICY, SET_OFF_APART, TITLE
from .oracle import taken
from .policies import provided
from .reading import rule as read
from .writing import rule as write

__all__ = ["ITS_OWN", "NUMBERED", "POLICY", "SET_OFF_APART", "TITLE", "listed", "provided", "read", "taken", "write"]


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, rule) of a bare list, or of the API's answer, where they are the ``payload``."""
    for one in document if isinstance(document, list) else document.get("payload") or []:
        kind: Kind = "view" if "query" in one else "sla" if "only_during_business_hours" in one else "trigger"
        yield "macro" if "visibility" in one else kind, one
