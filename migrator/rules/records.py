"""A rule as the field of a record: read by its vendor's dialect, marked, kept as JSON; and written by another's.

What a record has fields of its own for (its name, whether it is on, its place) is not in that text, nor is bookkeeping.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from migrator.rules.conditions import All, Opaque, leaves
from migrator.rules.dialect import Dialect, find
from migrator.rules.notebook import Notebook, unwritten
from migrator.rules.references import bare, marked, marks, named
from migrator.rules.rule import Kind, Rule, Unread
from migrator.rules.verdicts import Finding, Translation
from migrator.rules.words import leaf_words

BESIDE = ("id", "name", "description", "active", "position", "category", "kept", "holidays")
Native = dict[str, Any]
Write = Callable[[Rule], Translation]
Labels = Mapping[str, Mapping[str, str]]  # field as rules name it to {option: its other name}
Named = Callable[[str, str], str | None]  # (kind a rule names, id) to its name at the destination


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


def translate(to: Dialect, vendor: str, rule: Rule, write: Write | None = None) -> Translation:
    """Return the translation into a dialect; of a rule of the same vendor's, what nobody knows is left behind: it may
    be of the old account."""
    if rule.part and rule.vendor != vendor:
        book = Notebook(rule.model_copy(update={"options": (), "unknown": ()}), vendor)
        book.add("rule", rule.name, "equivalent", "what is in use of it is in the conditions of the form as a whole")
        return book.done()
    foreign = [one for one in rule.options if one[0] in getattr(to, "OF_ACCOUNT", ())]
    if rule.vendor != vendor or not (rule.unknown or foreign):
        return translated(to, rule, write)
    kept = tuple(one for one in rule.options if one not in foreign)
    made = translated(to, rule.model_copy(update={"unknown": (), "options": kept}), write)
    whys = dict.fromkeys(rule.unknown, "nobody knows this key; it is not carried over")
    whys |= dict.fromkeys(foreign, "names people of the old account; set it by hand")
    lost = tuple(Finding("rule", f"{key}: {value}", "approximated", why) for (key, value), why in whys.items())
    return replace(made, findings=made.findings + lost)


def labelled(text: str, labels: Labels) -> str:
    """Return a rule's text with the options of custom fields by other names: by what they are called, as tickets have
    them there, or by what a vendor knows them by."""
    if not any(f"custom_field:{field}⟫" in text for field in labels):
        return text

    def named(node: Any) -> Any:
        if isinstance(node, list):
            return [named(one) for one in node]
        if not isinstance(node, dict):
            return node
        at = node.get("path") or node.get("parent")
        found = marks(str(at.get("name"))) if isinstance(at, dict) else []
        called = labels.get(found[0][1], {}) if found else {}
        done = {key: named(value) for key, value in node.items()}
        for one in (*(done.get("values") or ()), done.get("value")) if called else ():
            if isinstance(one, dict) and one.get("type") == "literal":
                one["value"] = called.get(str(one["value"]), one["value"])
        return done

    return json.dumps(named(json.loads(text)), ensure_ascii=False, sort_keys=True)


def same(expected: str | None, found: str | None, name_of: Named) -> bool:
    """Say whether a rule that was predicted in our names is the one that was found in theirs."""
    if expected is None or found is None:
        return expected == found
    wanted = named(expected, lambda kind, id: name_of(kind, id) or f"(not written: {kind} {id})")
    return _acts(wanted) == _acts(bare(found))


def _acts(text: str) -> dict[str, Any]:
    """Return a rule without what is kept elsewhere and was read beside it: those records are compared by themselves."""
    held: dict[str, Any] = json.loads(text)
    held.pop("texts", None)
    return held
