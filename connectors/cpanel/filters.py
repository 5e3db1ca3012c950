"""Mail filters of cPanel (Exim's) as one Sieve script a mailbox; what Sieve cannot say alike is left, with the reason.

Each filter goes through the rules of nobody's vendor: read by ``rules/reading.py``, written by Sieve's dialect
(``connectors/imap/rules``), with a verdict on every node. Filters act one after another, so what stands behind one that
is left is left too: half a list may throw mail away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from migrator.connectors.imap.rules.writing import quoted, whole
from migrator.connectors.imap.rules.writing import write as as_sieve
from migrator.rules.conditions import Text, leaves
from migrator.rules.records import native_rule
from migrator.rules.records import translated as judged
from migrator.rules.rule import Rule, Unread, Verb
from migrator.rules.verdicts import Finding, Translation
from migrator.rules.words import leaf_words

from . import rules

Native = dict[str, Any]
__all__ = ["Spelling", "Translated", "carried", "quoted", "scripts", "translated"]
KEEPS = ("exact", "equivalent")  # of what is nearly the same, a person decides
REFUSED_LATE = "refuses mail that was put into a folder or sent on before, which Sieve does not allow"


@dataclass(frozen=True)
class Spelling:
    """How the new server spells folders in scripts: what stands before a name, and between its levels."""

    prefix: str = ""
    separator: str = "/"


@dataclass
class Translated:
    """One script, and the filters that are not in it, with the reasons."""

    script: str = ""
    requires: set[str] = field(default_factory=set)
    left: list[tuple[str, str]] = field(default_factory=list)  # (name, why)


def translated(
    filters: Iterable[Native],
    address: str,
    spelling: Spelling | None = None,
    answer: tuple[str, set[str]] | None = None,
) -> Translated:
    """Return the filters of a mailbox, in their order, as one script: as far as the first that Sieve cannot say.
    ``answer`` stands behind them.
    """
    found, blocks, alone = Translated(), list[tuple[str, str]](), True
    for one in filters:
        name = str(one.get("filtername") or "(without a name)")
        if found.left:
            found.left.append((name, f"stands behind {found.left[0][0]!r}, which is left"))
            continue
        made = translation(one, address, spelling)
        does = [getattr(action, "word", "") for action in made.rule.do]
        late = "reject" in does and (not alone or does[0] != "reject")
        why = _against(made) or (REFUSED_LATE if late else "")
        if why:
            found.left.append((name, why))
            continue
        blocks.append((name, made.native[0]["script"]))
        found.requires |= set(made.native[0]["requires"])
        alone = alone and bool({"stop", "reject"} & set(does))
    if answer:
        blocks.append(("autoresponder", answer[0]))
        found.requires |= answer[1]
    found.script = whole(blocks, found.requires)
    return found


def translation(one: Native, address: str, spelling: Spelling | None = None) -> Translation:
    """Return one filter as a block of Sieve, with a verdict on each node."""
    spelled = spelling or Spelling()

    def spell(folder: str) -> str:
        return spelled.prefix + spelled.separator.join(folder.split("/"))

    rule = native_rule(rules, "cpanel", {**one, "account": address}, "filter")
    do = tuple(more for action in rule.do for more in _ending(action))
    made = judged(rules, rule.model_copy(update={"do": do}), lambda source: as_sieve(source, spell))
    return replace(made, findings=tuple(_once(rule, made)) or made.findings)


def _once(rule: Rule, made: Translation) -> Iterator[Finding]:
    """Yield the findings, with what Exim does where a header stands there twice: it takes them for one text."""
    loose = {leaf_words(leaf) for leaf in leaves(rule.when) if isinstance(leaf, Text) and _one_text(leaf)}
    for one in made.findings:
        once = one.verdict == "exact" and one.what in loose
        yield replace(one, verdict="equivalent", note="given that a mail has this header once") if once else one


def _one_text(leaf: Text) -> bool:
    return leaf.path.name.startswith("header:") and leaf.mode != "substring"


def _ending(action: Any) -> tuple[Any, ...]:
    """Return an action with the end that Exim makes of it: after ``fail`` nothing more is done."""
    return (action, Verb(word="stop")) if getattr(action, "word", "") == "reject" else (action,)


def _against(made: Translation) -> str:
    """Return why a filter is left, in the readers' words first; empty where Sieve does the same."""
    worst = [one for one in made.findings if one.verdict not in KEEPS]
    if not worst and made.native:
        return ""
    unread = next((one.why for one in made.rule.do if isinstance(one, Unread)), "")
    said = [one.note for one in worst if one.verdict == "unreadable"]
    return said[0] if said else unread or (worst[0].note if worst else "does nothing")


def scripts(
    mailbox: str,
    address: str,
    shared: Sequence[Native],
    own: Sequence[Native],
    spelling: Spelling,
    answer: tuple[str, set[str]] | None = None,
) -> list[Native]:
    """Return the records of a mailbox's filters: one script of those that act (the whole account's first),
    one for each that is switched off, and one without a script for each that is left. ``answer``: what stands behind
    those that act, and what it needs.
    """
    listed = [*shared, *own]
    acting = [one for one in listed if on(one)]
    found = translated(acting, address, spelling, answer)
    told = {"vendor": "cpanel", "prefix": spelling.prefix, "separator": spelling.separator}
    base: Native = {"mailbox": mailbox, "address": address, "told": told}
    made: list[Native] = []
    said = len(acting) - len(found.left)  # what stands behind one that is left is left too
    if found.script:
        made.append({**base, "name": "cpanel", "script": found.script, "active": True, "filters": acting[:said]})
    for (name, why), one in zip(found.left, acting[said:], strict=True):
        made.append({**base, "name": f"{name}: {why}", "active": True, "filters": [one]})
    for one in listed:
        if not on(one):
            alone = translated([one], address, spelling)
            name = str(one.get("filtername") or "")
            why = f": {alone.left[0][1]}" if alone.left else ""
            made.append({**base, "name": f"{name}{why}", "active": False, "filters": [one]})
            if alone.script:
                made[-1]["script"] = alone.script
    for number, one in enumerate(made):
        one["id"] = f"{address}/{number:03}"
    return made


def carried(body: Native) -> Iterator[tuple[Translation, str]]:
    """Yield the filters of a record that ``scripts`` made, translated, each with why it is left (empty: it is not)."""
    spelling = Spelling(body["told"]["prefix"], body["told"]["separator"])
    for one in body["filters"]:
        name = str(one.get("filtername") or "")
        why = "" if body.get("script") else str(body["name"]).removeprefix(name or "(without a name)")
        yield translation(one, body["address"], spelling), why.removeprefix(": ")


def on(one: Native) -> bool:
    """Tell whether a filter is switched on."""
    return str(one.get("enabled", 1)) not in ("0", "", "False")
