"""A rule as the field of a record: read by its vendor's dialect, marked, kept as JSON; and written by another's.

What a record has fields of its own for (its name, whether it is on, its place) is not in that text, nor is bookkeeping.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from migrator.rules.conditions import All, Opaque, leaves
from migrator.rules.dialect import Dialect, find
from migrator.rules.notebook import unwritten
from migrator.rules.references import marked
from migrator.rules.rule import Kind, Rule, Unread
from migrator.rules.verdicts import Finding, Translation
from migrator.rules.words import leaf_words

BESIDE = ("id", "name", "description", "active", "position", "category", "kept", "holidays")
Native = dict[str, Any]


def read(vendor: str, kind: str, body: str) -> str:
    """Return the text of the rule that a native record holds."""
    dialect = find(vendor)
    found = native_rule(dialect, vendor, json.loads(body), cast("Kind", kind))
    own = getattr(dialect, "ITS_OWN", ())
    found = found.model_copy(update={"options": tuple(one for one in found.options if one[0] not in own)})
    prefix = getattr(dialect, "FIELD_PREFIX", "")
    held = marked(found.model_dump(mode="json", exclude=set(BESIDE)), lambda name: prefix + name)
    return json.dumps(held, ensure_ascii=False, sort_keys=True)


def parsed(text: str, **beside: Any) -> Rule:
    """Return the rule of a text, with what stands beside it: ``name``, ``active`` …"""
    return Rule.model_validate({"name": "", **json.loads(text), **beside})


def native_rule(of: Dialect, vendor: str, native: Native, kind: Kind) -> Rule:
    """Return a rule; what has not the shape of one becomes an unreadable one, and the others go on."""
    try:
        return of.read(native, kind)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as err:
        text = json.dumps(native, ensure_ascii=False, default=str)
        label = native.get("title") or native.get("name") or native.get("Description")
        broken = Opaque(text=text, why=f"not the shape of a rule: {type(err).__name__}")
        return Rule(vendor=vendor, kind=kind, name=str(label or ""), when=All(of=(broken,)))


def translated(to: Dialect, rule: Rule, write: Callable[[Rule], Translation] | None = None) -> Translation:
    """Return the translation; a rule of which a condition could not be read is unreadable.

    ``write``: in place of the dialect's own, which writes for an account that has all it wishes for.
    """
    if rule.kind == "filter" and not getattr(to, "FILTERS", False):
        return unwritten(rule, to.TITLE, "it filters mail, and the rules there are about tickets")
    made = (write or to.write)(rule)
    lost = [leaf for leaf in leaves(rule.when) if isinstance(leaf, Opaque)]
    notes = tuple(Finding("when", leaf_words(leaf), "unreadable", leaf.why) for leaf in lost)
    hidden = [(at, one) for at, one in enumerate(rule.do) if isinstance(one, Unread) and one.hidden]
    notes += tuple(Finding(f"do {at + 1}", one.name, "unreadable", one.why) for at, one in hidden)
    return replace(made, findings=made.findings + notes) if notes else made
