"""How well a rule was translated: a verdict on every node, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from migrator.rules.rule import Hook, Mail, Rule, SetField, Verb

NEEDED = "needed:"  # begins the ids of records that nobody had and rules need at the destination
Verdict = Literal["exact", "equivalent", "approximated", "untranslatable", "unreadable", "obsolete"]
WORST: tuple[Verdict, ...] = ("exact", "equivalent", "approximated", "untranslatable", "unreadable")
MEANINGS: dict[Verdict, str] = {
    "exact": "acts on the same tickets and does the same",
    "equivalent": "the same, given what the note says",
    "approximated": "differs as the note says; made switched off, a person decides",
    "untranslatable": "has no counterpart; to be rebuilt or dropped by a person",
    "unreadable": "the vendor does not hand it over in a form that can be read",
    "obsolete": "was dead already at the source; not made unless asked for",
}

MAIL_MEANINGS: dict[Verdict, str] = MEANINGS | {  # of mail filters, which nobody can make switched off in a script
    "exact": "acts on the same mail and does the same",
    "approximated": "would differ as the note says; left to a person",
    "untranslatable": "does not arrive; to be made again or dropped by a person",
    "unreadable": "asks for what nobody else can, or has otherwise; to be made again by a person",
}


@dataclass(frozen=True)
class Finding:
    """The verdict on one node. ``place``: when or do and its number. ``click``: where to do it by hand."""

    place: str
    what: str
    verdict: Verdict
    note: str = ""
    click: str = ""


@dataclass(frozen=True)
class Need:
    """Something the destination must have before the rule works: a field, a state, a rule that fills a field."""

    kind: str
    name: str
    because: str
    native: dict[str, Any] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Translation:
    """A rule in another vendor's words: what would be written there, and what is to be said about it.

    ``native`` is empty where there is nothing to write; for an untranslatable rule it is only a draft.
    ``moved``: {path: {canonical value or None: what it becomes}} where the destination has fewer words.
    """

    rule: Rule
    vendor: str
    native: tuple[dict[str, Any], ...]
    findings: tuple[Finding, ...]
    needs: tuple[Need, ...] = ()
    moved: dict[str, dict[str | None, str | None]] = field(default_factory=dict)
    obsolete: str = ""

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all nodes."""
        return worst(finding.verdict for finding in self.findings)

    @property
    def waits(self) -> bool:
        """Say whether a person must tick it: its condition is approximated, and what it does cannot be taken back."""
        loose = any(one.verdict == "approximated" and one.place.startswith("when") for one in self.findings)
        return loose and any(map(_final, self.rule.do))


def _final(action: object) -> bool:
    """Say whether an action cannot be taken back: mail, a call to another system, closing, deleting."""
    if isinstance(action, SetField) and str(action.path) == "ticket.status":
        return getattr(action.value, "value", None) == "closed"
    return isinstance(action, Mail | Hook) or (isinstance(action, Verb) and action.word in ("delete", "spam"))


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts; of none, exact."""
    return max(verdicts, key=WORST.index, default="exact")
