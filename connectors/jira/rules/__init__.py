"""Jira's dialect of rules: queues, filters and automation rules, read; what stands behind
a condition is a rule with that condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.notebook import unwritten
from migrator.rules.rule import Kind, Rule
from migrator.rules.verdicts import Translation

from .names import MANUAL, POLICY, SCHEDULED, SET_OFF_APART, TITLE
from .oracle import taken
from .parts import PART, parts
from .reading import listing, rule

__all__ = ["POLICY", "SET_OFF_APART", "TITLE", "listed", "read", "taken", "write"]


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, rule) of an export (``rules``), a list, or one rule; one with conditions between comes in parts."""
    if isinstance(document, dict):
        document = document.get("rules") or document.get("values") or [document]
    for one in document:
        if isinstance(one, dict) and "jql" in one:
            yield "view", one
            continue
        one = one.get("rule", one) if isinstance(one, dict) else {}
        trigger = (one.get("trigger") or {}).get("type")
        if trigger is None:
            continue
        kind: Kind = "macro" if trigger == MANUAL else "timed" if trigger == SCHEDULED else "trigger"
        found = parts(one.get("components") or [])
        for at in range(len(found)):
            yield kind, {**one, PART: at} if len(found) > 1 else one


def read(native: dict[str, Any], kind: Kind) -> Rule:
    """Return a queue, a filter, or an automation rule (or the part of it that is named)."""
    return listing(native) if kind == "view" else rule(native, kind)


def write(source: Rule) -> Translation:
    """Say that nothing is written."""
    return unwritten(source, "jira", "automation rules are only read from there, so far", click="Automation")
