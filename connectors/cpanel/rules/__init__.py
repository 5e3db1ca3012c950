"""Mail filters of cPanel, which are Exim's: read only, since migrator writes nothing into a cPanel account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.notebook import unwritten
from migrator.rules.rule import Kind, PassPolicy, Rule
from migrator.rules.verdicts import Translation

from .reading import read

__all__ = ["FILTERS", "POLICY", "TITLE", "carried", "listed", "read", "write"]

FILTERS = True
TITLE = "cPanel"
# A filter without ``finish`` lets those behind it act too (Exim's filter specification, section 2, read 2026-11-26).
POLICY = PassPolicy(order="position", visibility="current", changes="original", cascade="none")


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield the filters of an answer of ``Email::list_filters``, of a ``filter.yaml`` as JSON, or of a list."""
    held = document.get("data") or document.get("filter") or () if isinstance(document, dict) else document
    yield from (("filter", one) for one in held)


def carried(body: dict[str, Any]) -> Iterator[tuple[Translation, str]]:
    """Yield the filters of a staged record, translated, each with why it is left."""
    from migrator.connectors.cpanel.filters import carried as of_record  # which reads by this module

    return of_record(body)


def write(source: Rule) -> Translation:
    """Say that nothing is written."""
    return unwritten(
        source, "cpanel", "migrator reads cPanel accounts and writes none", click="Email Filters in cPanel"
    )
