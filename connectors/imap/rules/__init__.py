"""Mail filters in Sieve (RFC 5228), as Pigeonhole, Cyrus and most servers run them: a script is a list of rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.rule import Kind, PassPolicy

from .reading import listed as _listed
from .reading import read
from .writing import write

__all__ = ["FILTERS", "POLICY", "TITLE", "listed", "read", "write"]

FILTERS = True
TITLE = "Sieve"
# Commands act one after another on a message that none of them changes (RFC 5228 2.10).
POLICY = PassPolicy(order="position", visibility="current", changes="original", cascade="none")


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield the rules of ``{"scripts": [{"name": …, "script": …}]}``, script by script."""
    for script in document["scripts"]:
        yield from (("filter", one) for one in _listed(str(script.get("name") or ""), str(script["script"])))
