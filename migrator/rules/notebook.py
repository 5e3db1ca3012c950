"""What a writer notes while it translates: a verdict for each node, what the destination needs, which values merge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any as Anything

from migrator.rules.conditions import Is, Leaf, Lit, Value
from migrator.rules.normal_forms import simple
from migrator.rules.rule import Rule, SetField, SetTags
from migrator.rules.verdicts import Finding, Need, Translation, Verdict
from migrator.rules.words import action_words, leaf_words

Table = Mapping[str | None, str | None]  # a canonical value, or None for none, to what it becomes


class Notebook:
    """The findings about one rule."""

    def __init__(self, rule: Rule, vendor: str, *, click: str = "") -> None:
        self.rule, self.vendor, self.click = rule, vendor, click
        self.findings: list[Finding] = []
        self.needs: dict[tuple[str, str], Need] = {}
        self.moved: dict[str, dict[str | None, str | None]] = {}
        for key, value in rule.unknown if rule.vendor != vendor else ():
            self.add("rule", f"{key}: {value}", "approximated", "nobody knows this key; it is not translated")
        for key, value in rule.options if rule.kind == "form" and rule.vendor != vendor else ():
            self.add(
                "rule", f"{key}: {value}", "approximated", "only which fields show, and are needed, is carried over"
            )

    def add(self, place: str, what: str, verdict: Verdict, note: str = "", click: str = "") -> None:
        """Note a verdict; what cannot be translated says where to click."""
        hand = verdict in ("untranslatable", "approximated")
        self.findings.append(Finding(place, what, verdict, note, click or (self.click if hand else "")))

    def leaf(self, leaf: Leaf, verdict: Verdict, note: str = "", *, click: str = "") -> None:
        """Note a verdict on a condition."""
        self.add("when", leaf_words(leaf), verdict, note, click)

    def action(self, at: int, verdict: Verdict, note: str = "", *, click: str = "") -> None:
        """Note a verdict on an action."""
        self.add(f"do {at + 1}", action_words(self.rule.do[at]), verdict, note, click)

    def need(self, kind: str, name: str, because: str, native: dict[str, Anything] | None = None) -> None:
        """Note what the destination must have."""
        self.needs.setdefault((kind, name), Need(kind, name, because, native))

    def image(self, leaf: Is, table: Table, words: str) -> tuple[Is, Verdict, str]:
        """Return the leaf over the values after the move, with its verdict.

        Exactly the tickets the leaf took must be those that have a value of its image; where values merge, more are.
        """
        self.moved[str(leaf.path)] = dict(table)
        foreign = [v for v in leaf.values if not (isinstance(v, Lit) and v.value in table)]
        listed = {v.value for v in leaf.values if isinstance(v, Lit)}
        taken = {value for value in table if (leaf.null if value is None else (value in listed) is not leaf.negated)}
        image = {table[value] for value in taken}
        more = [value for value in table if table[value] in image and value not in taken]
        values: list[Value] = [Lit(value=word) for word in dict.fromkeys(table.values()) if word in image and word]
        made = Is(path=leaf.path, values=tuple(values), null=None in image)
        if foreign:
            return leaf, "untranslatable", f"which {words} is {', '.join(map(_shown, foreign))} there?"
        if more:
            named = ", ".join(value or f"no {words}" for value in more)
            return made, "approximated", f"{named} cannot be told apart there and would match too"
        same = all(was == becomes for was, becomes in table.items())
        changes = ", ".join(
            f"{was or f'no {words}'} is “{becomes}”" for was, becomes in table.items() if was != becomes
        )
        return made, "exact" if same else "equivalent", "" if same else f"given that {changes}"

    def unset(self, path: str, value: str | None, table: Table) -> tuple[str | None, Verdict, str]:
        """Return what a value that a rule sets becomes, with its verdict."""
        if value not in table:
            return value, "untranslatable", f"nothing there is '{value}'"
        becomes = table[value]
        return (
            becomes,
            "exact" if becomes == value else "equivalent",
            "" if becomes == value else f"as {becomes or 'none'}",
        )

    def split(self, number: int) -> None:
        """Note that a condition becomes several rules: where two of them hold, both act."""
        if number < 2:
            return
        harmless = all(isinstance(action, SetField | SetTags) for action in self.rule.do)
        acts = "both do the same, which comes to one" if harmless else "both act"
        note = f"becomes {number} rules, one for each alternative; where two of them hold, {acts}"
        self.add("when", "the whole condition", "equivalent" if harmless else "approximated", note)

    def done(self, *native: dict[str, Anything]) -> Translation:
        """Return the translation."""
        return Translation(
            self.rule,
            self.vendor,
            native,
            tuple(self.findings),
            tuple(self.needs.values()),
            self.moved,
            obsolete(self.rule),
        )


def unwritten(source: Rule, vendor: str, why: str, *, click: str = "") -> Translation:
    """Return what is said of any rule where the destination's rules are read only: nothing is written."""
    book = Notebook(source, vendor, click=click)
    book.add("rule", source.name or "(no name)", "untranslatable", why)
    return book.done()


def _shown(value: Value) -> str:
    return str(getattr(value, "id", getattr(value, "value", value)))


def obsolete(rule: Rule) -> str:
    """Return why a rule is dead at its source already, or the empty text."""
    if rule.active is False:
        return "switched off at the source"
    if rule.kind in ("trigger", "timed", "macro") and not rule.do:
        return "does nothing"
    condition = simple(rule.when)
    return "can never hold" if getattr(condition, "type", "") == "any" and not condition.of else ""  # type: ignore[union-attr]
