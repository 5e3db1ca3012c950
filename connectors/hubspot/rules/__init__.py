"""HubSpot's dialect of rules: workflows over tickets, read; a rule for each way through the branches of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.notebook import unwritten
from migrator.rules.rule import Kind, Rule
from migrator.rules.verdicts import Translation

from .graph import WAY, ways
from .names import POLICY, TITLE
from .reading import rule as read

__all__ = ["POLICY", "TITLE", "listed", "read", "write"]


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, workflow) of a list, of ``results`` or of one workflow; one of several ways comes once for each."""
    if isinstance(document, dict):
        document = document.get("results") or document.get("flows") or [document]
    for one in document:
        if not isinstance(one, dict) or not ("enrollmentCriteria" in one or "actions" in one):
            continue
        kind: Kind = "timed" if one.get("enrollmentSchedule") else "trigger"
        found = list(ways(one))
        for way in found:
            yield kind, {**one, WAY: way} if len(found) > 1 else one


def write(source: Rule) -> Translation:
    """Say that nothing is written."""
    return unwritten(source, "hubspot", "workflows are only read from there, so far", click="Automations, Workflows")
