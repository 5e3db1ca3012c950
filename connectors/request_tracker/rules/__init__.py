"""Request Tracker's dialect of rules: scrips, read from initialdata and written for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.rules.references import MARK
from migrator.rules.rule import Kind
from migrator.rules.verdicts import NEEDED, Need

from .agreements import files
from .names import ITS_OWN, POLICY, TITLE
from .reading import rule as read
from .writing import rule as write

__all__ = [
    "CARRIED_AS",
    "ITS_OWN",
    "POLICY",
    "TEXTS_AS",
    "TITLE",
    "files",
    "listed",
    "provided",
    "read",
    "write",
]
CARRIED_AS = {"trigger": "script", "view": "saved_query"}  # decision 0026: to another Request Tracker in its own words

TEXTS_AS = {"macro": "article"}
CATEGORY = "General"  # a class that every Request Tracker has, with a field for a text


def provided(need: Need) -> tuple[str, str, dict[str, Any]] | str:
    """Return the article that holds a macro's text, or why it cannot be made; what scrips need is in them (0042)."""
    if need.kind != "article" or need.native is None:
        return ""
    if MARK.search(need.native["body"]):
        return "its text names a field of the account's own: make the article by hand"
    return "article", f"{NEEDED}{need.name}", {"title": need.name, "category": CATEGORY, "body": need.native["body"]}


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, scrip) of a bare list, or of ``Scrips`` as initialdata names them."""
    for one in document if isinstance(document, list) else document.get("Scrips") or []:
        yield "trigger", one
