"""Rules in the destination's words: translated before anything else is decided about them, and the names in them found.

``plan.translated`` has a line for each record that will be written: a rule may become several there. ``plan.finding``
has the verdicts that are not "exact", which the losses and the report are made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from migrator.compile import name
from migrator.kinds import Kind, Kinds
from migrator.manifest import Manifest
from migrator.mapping import Mapping as VendorMapping
from migrator.mapping import Spoken
from migrator.rules.dialect import Dialect, find
from migrator.rules.records import parsed, translated
from migrator.rules.references import REFERS, bare, marks, named
from migrator.rules.rule import Hook, Rule, Unread
from migrator.rules.verdicts import Finding, Translation
from migrator.rules.words import action_words
from migrator.stage import Stage

TRANSLATED = "kind VARCHAR, id VARCHAR, part BIGINT, native VARCHAR, does VARCHAR, why VARCHAR"
FINDING = (
    "kind VARCHAR, id VARCHAR, verdict VARCHAR, place VARCHAR, what VARCHAR, note VARCHAR, click VARCHAR, waits BOOLEAN"
)
FEW = 3  # reasons that are named
NAMED = re.compile(r"<\w+:(⟪[^⟪⟫]*⟫)>")  # decision 0024: a writer may put what is an id there into <kind:…>
OPEN = re.compile(r"\"<(\w+):([^<>\"]*)>\"")  # the same without a mark: a record nobody makes
Named = Callable[[str, str], str | None]  # (kind a rule names, id) to its name at the destination


def spoken(mapping: VendorMapping, kind_name: str) -> Spoken | None:
    """Return the dialect in which a kind's rules stand at the vendor."""
    verbs = [verb for variant in mapping.kinds.get(kind_name, ()) for verb in variant.fields.values()]
    return next((verb.rule for verb in verbs if verb.rule), None)


def begin(stage: Stage) -> None:
    """Make the tables."""
    stage.run(f"CREATE TABLE plan.translated ({TRANSLATED})")
    stage.run(f"CREATE TABLE plan.finding ({FINDING})")


@dataclass
class Translator:
    """Translates the rules of one plan."""

    stage: Stage
    kinds: Kinds
    manifest: Manifest
    mapping: VendorMapping
    _arriving: dict[str, set[str]] = field(default_factory=dict)

    def translate(self, kind_name: str, kind: Kind) -> None:
        """Put the rules of a kind into the destination's words."""
        label, write, way = kind.rule, self.manifest.write(kind_name), spoken(self.mapping, kind_name)
        if label is None or write is None or write.create is None or way is None:
            return
        self._arriving = {}
        title = name(kind.label or "id")
        rows = self.stage.rows(
            f"SELECT id, {title}, {name(label)} FROM canonical.{name(kind_name)} WHERE {name(label)} IS NOT NULL"
        )
        lines: list[list[Any]] = []
        found: list[list[Any]] = []
        for id, called, text in rows:
            rule = parsed(text, name=called or "")
            made = translate(find(way.dialect), way.dialect, self._without_webhooks(rule))
            natives = [NAMED.sub(r"\1", json.dumps(native, ensure_ascii=False)) for native in made.native]
            does, why = self._carried(kind_name, rule, way) or self._judged(
                made, natives, exact=kind.fields[label].exact
            )
            parts = natives if not does else [None]
            lines += [[kind_name, id, part, native, does, why] for part, native in enumerate(parts)]
            found += [
                [kind_name, id, one.verdict, one.place, one.what, one.note, one.click, made.waits]
                for one in made.findings
                if one.verdict != "exact"
            ]
        self.stage.insert("plan.translated", lines)
        self.stage.insert("plan.finding", found)

    def _carried(self, kind_name: str, rule: Rule, way: Spoken) -> tuple[str, str] | None:
        """Leave a rule that arrives as a record of another kind, in its vendor's own words (decision 0026)."""
        own = getattr(find(way.dialect), "CARRIED_AS", {}).get(kind_name)
        if rule.vendor != way.dialect or own is None:
            return None
        return "skip", f"it arrives as a {own.replace('_', ' ')}, in the vendor's own words"

    def _added(self) -> set[str]:
        """Return the statuses of the destination's own that tickets are moved into, by the mapping and the overlay."""
        verbs = [variant.fields.get("status") for variant in self.mapping.kinds.get("ticket", ())]
        return {str(native) for verb in verbs if verb and verb.values is not None for native in verb.back().values()}

    def _judged(self, made: Translation, natives: Sequence[str], *, exact: bool) -> tuple[str, str]:
        """Return what else is done with a rule that is not written, and why; empty where it is."""
        title = self.manifest.title
        if made.obsolete:
            return "skip", f"dead at the source already: it {made.obsolete}"
        if any(isinstance(action, Unread) for action in made.rule.do):
            unread = next(action for action in made.rule.do if isinstance(action, Unread))
            return "manual", f"an action that only a person can carry over: {action_words(unread)[:200]}"
        if made.verdict in ("untranslatable", "unreadable"):
            return "manual", f"{title} cannot say it: {_reasons(made.findings, made.verdict)}"
        if exact and made.waits:
            why = _reasons([one for one in made.findings if one.place.startswith("when")], "approximated")
            return "manual", f"a person decides: when it acts is only nearly the same, and it cannot be undone ({why})"
        if not natives:
            return "skip", "it never acts, or has nothing that could be written"
        whole = "".join(natives)
        lost = [f"{kind.replace('_', ' ')} {id}" for kind, id in marks(whole) if not self._arrives(kind, id)]
        there = self._added() if OPEN.search(whole) else set()
        missing = [(kind, id) for kind, id in dict.fromkeys(OPEN.findall(whole)) if kind != "status" or id not in there]
        lost += [f"{kind.replace('_', ' ')} {id}" for kind, id in missing]
        if lost:
            more = f" and {len(lost) - FEW} more" if len(lost) > FEW else ""
            return "manual", f"it names what is not written: {', '.join(lost[:FEW])}{more}"
        return "", ""

    def _without_webhooks(self, rule: Rule) -> Rule:
        """Return the rule with the address of a webhook in it, where the destination keeps no webhooks of their own."""
        write = self.manifest.write("webhook") if "webhook" in self.kinds.kinds else None
        if (write and write.create) or not any(isinstance(action, Hook) for action in rule.do):
            return rule
        done = []
        for action in rule.do:
            if isinstance(action, Hook) and (found := marks(action.target)):
                row = self.stage.rows("SELECT endpoint, method FROM canonical.webhook WHERE id = ?", found[0][1])
                if row and row[0][0]:
                    action = action.model_copy(update={"target": row[0][0], "method": row[0][1] or action.method})
            done.append(action)
        return rule.model_copy(update={"do": tuple(done)})

    def _arrives(self, kind: str, id: str) -> bool:
        """Say whether a record that a rule names will be at the destination."""
        if kind == "custom_field":
            return field_id(self.stage, id) in self._at_home("custom_field")
        return any(id in self._at_home(to, seat=kind == to) for to in REFERS.get(kind, ()))

    def _at_home(self, kind: str, *, seat: bool = False) -> set[str]:
        key = f"{kind} {seat}"
        if key not in self._arriving:
            strict = " AND as_kind = kind" if seat else ""
            there = "('create', 'keep', 'update', 'merge', 'stand_in')"
            sql = f"SELECT id FROM plan.decided WHERE kind = ? AND action IN {there}{strict}"
            self._arriving[key] = {row[0] for row in self.stage.rows(sql, kind)}
        return self._arriving[key]


def translate(to: Dialect, vendor: str, rule: Rule) -> Translation:
    """Return the translation into a dialect; of a rule of the same vendor's, what nobody knows is left behind: it may
    be of the old account."""
    foreign = [one for one in rule.options if one[0] in getattr(to, "OF_ACCOUNT", ())]
    if rule.vendor != vendor or not (rule.unknown or foreign):
        return translated(to, rule)
    kept = tuple(one for one in rule.options if one not in foreign)
    made = translated(to, rule.model_copy(update={"unknown": (), "options": kept}))
    whys = dict.fromkeys(rule.unknown, "nobody knows this key; it is not carried over")
    whys |= dict.fromkeys(foreign, "names people of the old account; set it by hand")
    lost = tuple(Finding("rule", f"{key}: {value}", "approximated", why) for (key, value), why in whys.items())
    return replace(made, findings=made.findings + lost)


def _reasons(findings: Sequence[Finding], verdict: str) -> str:
    said = [f"{one.what[:120]}: {one.note}".removesuffix(": ") for one in findings if one.verdict == verdict]
    some = list(dict.fromkeys(said))
    return "; ".join(some[:FEW]) + (f" and {len(some) - FEW} more" if len(some) > FEW else "")


def field_id(stage: Stage, id: str, fields: str = "canonical.custom_field") -> str | None:
    """Return the record of the custom field that a rule names as ``ticket:<name>``."""
    of, _, key = id.partition(":")
    found: str | None = stage.one(f"SELECT min(id) FROM {fields} WHERE applies_to = ? AND key = ?", of, key)
    return found


def field_ids(stage: Stage) -> dict[str, str]:
    """Return what rules name custom fields by, to their records."""
    if "custom_field" not in stage.tables_of("canonical"):
        return {}
    return dict(stage.rows("SELECT applies_to || ':' || key, id FROM canonical.custom_field WHERE key IS NOT NULL"))


def there(kind: str, id: str, fields: Mapping[str, str], known: Callable[[str, str], Any]) -> str | None:
    """Return a record's name at the destination; ``known(kind, id)`` is its identity, None where it was not written."""
    if kind == "custom_field":
        one = known("custom_field", fields.get(id, ""))
        return (one.key or str(one.destination)) if one else None
    for to in REFERS.get(kind, ()):
        one = known(to, id)
        if one and (kind != to or one.as_kind in ("", to)):
            return str(one.destination)
    return None


def same(expected: str | None, found: str | None, name_of: Named) -> bool:
    """Say whether a rule that was predicted in our names is the one that was found in theirs."""
    if expected is None or found is None:
        return expected == found
    return named(expected, lambda kind, id: name_of(kind, id) or f"(not written: {kind} {id})") == bare(found)
