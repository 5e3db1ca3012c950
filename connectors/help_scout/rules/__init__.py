"""Help Scout's dialect of rules: workflows, of which the API tells that they are there and not what they do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from migrator.rules.conditions import All, Opaque
from migrator.rules.natives import kept, unknown
from migrator.rules.notebook import unwritten
from migrator.rules.rule import Kind, PassPolicy, Rule
from migrator.rules.verdicts import Translation

__all__ = ["POLICY", "TITLE", "listed", "read", "write"]

TITLE = "Help Scout"
# In their order; an automatic workflow acts once on a conversation (docs.helpscout.com/article/1399).
POLICY = PassPolicy(order="position", visibility="current", changes="original", cascade="none")
READ = ("id", "name", "status", "order", "type")
BOOKKEEPING = ("createdAt", "modifiedAt", "_links")
HIDDEN = "Help Scout's API lists workflows without their conditions and actions"


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, workflow) of what ``GET /v2/workflows`` answers, or of a bare list."""
    some = document if isinstance(document, list) else (document.get("_embedded") or document).get("workflows") or []
    for one in some:
        yield ("macro" if one.get("type") == "manual" else "trigger"), one


def read(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a workflow by its name and place; what it asks and does is not handed out."""
    return Rule(
        vendor="help_scout",
        kind=kind,
        id=str(native.get("id", "")),
        name=str(native.get("name") or ""),
        active=None if "status" not in native else native["status"] == "active",
        position=native.get("order"),
        when=All(of=(Opaque(text=json.dumps(str(native.get("type", ""))), why=HIDDEN),)),
        unknown=unknown(native, (*READ, *BOOKKEEPING)),
        kept=kept(native, BOOKKEEPING),
    )


def write(source: Rule) -> Translation:
    """Say that nothing is written: workflows are made by hand."""
    why = "workflows there cannot be written through the API: to be made by hand"
    return unwritten(source, "help_scout", why, click="Manage, Workflows")
