"""Request Tracker's dialect of rules: scrips, read from initialdata and written for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.rule import Kind

from .agreements import files
from .names import ITS_OWN, POLICY, TITLE
from .reading import rule as read
from .writing import rule as write

__all__ = ["CARRIED_AS", "ITS_OWN", "POLICY", "TITLE", "files", "listed", "read", "write"]
CARRIED_AS = {"trigger": "script", "view": "saved_query"}  # decision 0026: to another Request Tracker in its own words


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, scrip) of a bare list, or of ``Scrips`` as initialdata names them."""
    for one in document if isinstance(document, list) else document.get("Scrips") or []:
        yield "trigger", one
