"""Chatwoot's dialect of rules: automation rules, read and written; macros of others written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.rule import Kind

from .names import POLICY, TITLE
from .reading import rule as read
from .writing import rule as write

__all__ = ["POLICY", "TITLE", "listed", "read", "write"]


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, rule) of a bare list of automation rules, or of the API's answer, where they are the ``payload``."""
    for one in document if isinstance(document, list) else document.get("payload") or []:
        yield "macro" if "visibility" in one else "trigger", one
