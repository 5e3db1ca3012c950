"""Conditions written as Chatwoot's flat list, which SQL reads as an OR of ANDs; every tree is brought into one.

Where a value is missing, ``not_equal_to`` of a built-in attribute does not match; of a custom one it does, and tears an
AND apart: there ``is_present`` follows it, which closes the OR that it brings. Newer versions put it into parentheses;
in others the query fails with anything behind it: by itself it stands last, in an AND the rule is called approximated.
"""

from __future__ import annotations

import json
from typing import Any

from migrator.rules.conditions import (
    Actor,
    All,
    Changed,
    Condition,
    Elapsed,
    Event,
    Is,
    Leaf,
    Lit,
    Opaque,
    Path,
    Ref,
    Tags,
    Text,
    Value,
    leaves,
)
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.natives import field_name
from migrator.rules.normal_forms import TooLargeError, assume, dnf, given_event, simple
from migrator.rules.notebook import Notebook
from migrator.rules.verdicts import Verdict

from . import names

Native = dict[str, Any]
HOURS = 24


class Conditions:
    """Writes the conditions of one rule, and values wherever they stand."""

    def __init__(self, book: Notebook, *, own: bool) -> None:
        self.book, self.own = book, own
        self.noted: set[tuple[Leaf, str]] = set()

    def _note(self, leaf: Leaf, verdict: Verdict, note: str = "") -> None:
        if (leaf, note) not in self.noted:
            self.noted.add((leaf, note))
            self.book.leaf(leaf, verdict, note)

    def shapes(self, when: Condition) -> list[Native]:
        """Return one rule for new conversations, one for changed ones: those of the two that can hold."""
        made = []
        for leaf in leaves(simple(when)):
            if isinstance(leaf, Event) and leaf.kinds in (("created",), ("updated",)):
                self._note(leaf, "exact")
        for event in ("created", "updated"):
            left = given_event(when, event)
            if left == AnyOf():
                continue
            messages = any(isinstance(each, Event) or of_message(each) for each in leaves(left))
            if event == "updated" and messages:
                made.append(self._shape("message_created", left))
                left = assume(left, without_message)
                if left == AnyOf():
                    continue
                note = "a message and a change are two events there; with both, a rule acts twice"
                self.book.add("when", "with or without a message", "approximated", note)
            named, left = self._status_event(left) if event == "updated" else ("", left)
            made.append(self._shape(named or names.EVENT_NAMES[event], left))
        if len(made) > 1:
            self.book.add("when", "new and changed tickets", "equivalent", "two rules, one for each")
        if not made:
            self.book.add("when", "never", "exact", "nothing to write: it can never hold")
        return made

    def _status_event(self, left: Condition) -> tuple[str, Condition]:
        """Return the event of a change to one status, where the condition asks for one, and what else it asks."""
        plain = simple(left)
        parts = plain.of if isinstance(plain, All) else (plain,)
        for at, leaf in enumerate(parts):
            if isinstance(leaf, Changed) and str(leaf.path) == "ticket.status" and not leaf.negated:
                after = {getattr(one, "value", None) for one in leaf.after or ()}
                become = {names.STATUS_TABLE.get(word) for word in after if isinstance(word, str)}
                event = names.STATUS_EVENT_NAMES.get(str(*become)) if len(become) == 1 else None
                if event and leaf.before is None:
                    whole = after == {word for word, to in names.STATUS_TABLE.items() if {to} == become}
                    note = "" if whole else "what is one status there is no change there, or one more"
                    self._note(leaf, "equivalent" if whole else "approximated", note)
                    return event, All(of=(*parts[:at], *parts[at + 1 :]))
        return "", left

    def _shape(self, event: str, left: Condition) -> Native:
        return {"event_name": event, "conditions": self.flat(left, event)}

    def flat(self, when: Condition, event: str) -> list[Native]:
        """Return the condition as the flat list, every leaf's verdict noted."""
        tree = assume(self._spelled(assume(when, lambda leaf: None), event), lambda leaf: None)
        try:
            groups = dnf(tree)
        except TooLargeError as err:
            self.book.add("when", "the whole condition", "untranslatable", f"too large as a flat list: {err}")
            return []
        if groups == ((),):
            groups = ()
        groups = tuple(map(_together, groups))
        groups = tuple(one for one in groups if not any(set(other) < set(one) for other in groups))  # enough by itself
        if any(sum(map(_tears, group)) > 1 for group in groups):
            note = "what two custom attributes are not cannot be asked at once"
            self.book.add("when", "the whole condition", "untranslatable", note)
        last = _by_itself(groups)
        groups = tuple(group for group in groups if last is None or group not in ((last,), (_missing(last),)))
        if any(map(_tears, (leaf for group in groups for leaf in group))):
            note = "older versions fail at what a custom attribute is not, beside other conditions: try it"
            self.book.add("when", "the whole condition", "approximated", note)
        for group in groups:
            if sum(isinstance(leaf, Tags) and not leaf.negated and bool(leaf.tags) for leaf in group) > 1:
                self.book.add("when", "two tags at once", "approximated", "versions differ in how they join labels")
        made = self.listed(groups)
        if last is not None and (native := self._native(last)):
            made = [*made[:-1], *({**one, "query_operator": "OR"} for one in made[-1:])]
            made.append({**native, "query_operator": None})
        return made

    def listed(self, groups: tuple[tuple[Leaf, ...], ...]) -> list[Native]:
        """Return groups of leaves as one list, joined by AND inside a group and by OR between them."""
        made: list[Native] = []
        for group in groups:
            torn = [leaf for leaf in group if _tears(leaf)]
            for leaf in (*(one for one in group if not _tears(one)), *torn):
                native = self._native(leaf)
                if native is not None:
                    made.append({**native, "query_operator": "AND"})
                    if _tears(leaf):  # closes the OR that it brings
                        made.append({**native, "filter_operator": "is_present", "values": [], "query_operator": "AND"})
            if made:
                made[-1]["query_operator"] = "OR"
        if made:
            made[-1]["query_operator"] = None
        return made

    def _spelled(self, node: Condition, event: str) -> Condition:
        """Return the tree with leaves that Chatwoot has: what a missing value means becomes a leaf of its own."""
        if isinstance(node, All | AnyOf):
            return type(node)(of=tuple(self._spelled(part, event) for part in node.of))
        leaf: Any = node
        if isinstance(leaf, Event) and leaf.kinds == ("commented",):
            self._note(leaf, "equivalent" if not leaf.negated else "untranslatable", "a message comes in")
            return All() if event != "conversation_updated" and not leaf.negated else AnyOf()
        made, verdict, note = self._adapted(leaf) if isinstance(leaf, Is) else self._checked(leaf)
        if event == "view":
            made, verdict, note = self._in_view(leaf, made, verdict, note)
        self._note(leaf, verdict, note)
        if verdict == "untranslatable" or not isinstance(made, Is) or not made.values:
            return made if verdict != "untranslatable" else All()
        if made.null and (made.path.custom or names.PATHS.get(str(made.path)) in names.PRESENCE):
            missing = Is(path=made.path, values=(), null=True)
            return AnyOf(of=(made.model_copy(update={"null": False}), missing))
        return made

    def _in_view(self, leaf: Leaf, made: Leaf, verdict: Verdict, note: str) -> tuple[Leaf, Verdict, str]:
        """Return a leaf with its verdict as a saved filter has it, which asks less than a rule, and days besides."""
        if isinstance(leaf, Is) and any(isinstance(one, Actor) for one in leaf.values):
            return leaf, "untranslatable", "the tab “Mine” of the conversations shows each agent his own"
        if isinstance(leaf, Elapsed) and leaf.anchor == "created" and leaf.op in ("gt", "ge") and leaf.hours >= HOURS:
            return leaf, "approximated", "whole days are counted there"
        at = getattr(made, "path", None)
        if verdict != "untranslatable" and at is not None:
            if (at.custom and at.of != "ticket") or (not at.custom and self.key(at) not in names.FILTERED):
                return leaf, "untranslatable", "a saved filter cannot ask this"
        return made, verdict, note

    def _adapted(self, leaf: Is) -> tuple[Is, Verdict, str]:
        ours, key = str(leaf.path), self.key(leaf.path)
        if key is None or any(isinstance(one, Actor) for one in leaf.values):
            return leaf, "untranslatable", f"Chatwoot cannot ask this of {leaf.path.name.replace('_', ' ')}"
        if ours == "ticket.status":
            made, verdict, note = self.book.image(leaf, names.STATUS_TABLE, "status")
            return made.model_copy(update={"null": False}), verdict, note
        present = leaf.path.custom or key in names.PRESENCE
        if not leaf.values:
            return leaf, "exact" if present else "untranslatable", "" if present else "it cannot be asked to be empty"
        if ours == "comment.public":
            seen = [getattr(one, "value", None) for one in leaf.values]
            values = tuple(Lit(value=one if isinstance(one, bool) else True) for one in seen)
            return (
                leaf.model_copy(update={"values": values}),
                "equivalent",
                "asks whether the message is a private note",
            )
        if leaf.null and not present:
            return leaf, "untranslatable", "what is empty cannot be asked for together with a value"
        if any(self.value(leaf.path, one) is None for one in leaf.values):
            return leaf, "untranslatable", "there is no such value there"
        custom = bool(leaf.path.custom)
        return leaf, "equivalent" if custom else "exact", "given the attribute is there" if custom else ""

    def _checked(self, leaf: Leaf) -> tuple[Leaf, Verdict, str]:
        if isinstance(leaf, Tags):
            many = leaf.need == "all" and len(leaf.tags) > 1
            return leaf, "untranslatable" if many else "exact", "labels are asked for one by one" if many else ""
        if isinstance(leaf, Text):
            known = any(shape == (leaf.mode, leaf.negated) for shape in names.TEXTS.values())
            words = leaf.mode in ("word", "phrase")
            if self.key(leaf.path) is None or not (known or words) or leaf.null or len(leaf.needles) != 1:
                return leaf, "untranslatable", "Chatwoot cannot ask this of a text"
            made = leaf.model_copy(update={"mode": "substring"}) if words else leaf
            return made, "approximated" if words else "exact", "finds the letters anywhere" if words else ""
        if isinstance(leaf, Changed):
            ends = leaf.before and leaf.after and not leaf.negated and self.key(leaf.path)
            note = "is not joined with the other conditions by the same rules" if ends else "wants both ends named"
            return leaf, "approximated" if ends else "untranslatable", f"a change there {note}"
        why = {"elapsed": "Chatwoot has no rules that run by the clock", "same": "Chatwoot cannot compare two people"}
        return leaf, "untranslatable", why.get(leaf.type, "Chatwoot has no such condition")

    def key(self, at: Path) -> str | None:
        """Return the attribute_key of a path, or None."""
        if at.name.startswith("attribute:"):
            return at.name.removeprefix("attribute:")
        if at.custom:
            if at.of not in names.MODEL_NAMES:
                return None
            name = at.custom if self.own else field_name(at.custom)
            if not self.own:
                self.book.need("custom attribute", name, f"it holds the custom field {at.custom}")
            return name
        return names.PATHS.get(str(at))

    def labels(self, tags: tuple[str, ...]) -> list[str]:
        """Return the labels that tags became."""
        return list(tags) if self.own else list(dict.fromkeys(map(names.label, tags)))

    def value(self, at: Path, value: Value) -> Any:
        """Return a value as Chatwoot has it."""
        if isinstance(value, Ref):
            refers = names.REFERS.get(str(at))
            if refers is None:
                return value.id if self.own else None
            return value.id.removeprefix(names.AGENT) if self.own else f"<{refers}:{value.id}>"
        if isinstance(value, Actor):
            return "self" if str(at) == "ticket.assignee" and value.who == "current_user" else None
        held = getattr(value, "value", None)
        if str(at) == "ticket.status":
            return names.STATUS_NAMES.get(str(held))
        if str(at) == "ticket.priority":
            return names.PRIORITY_NAMES.get(str(held))
        return (not held) if str(at) == "comment.public" else held

    def _native(self, leaf: Leaf) -> Native | None:
        if isinstance(leaf, Opaque):
            return json.loads(leaf.text)  # type: ignore[no-any-return]
        if isinstance(leaf, Tags):
            word = "equal_to" if leaf.tags else "is_present"
            operator = {"equal_to": "not_equal_to", "is_present": "is_not_present"}[word] if leaf.negated else word
            return {"attribute_key": "labels", "filter_operator": operator, "values": self.labels(leaf.tags)}
        if isinstance(leaf, Elapsed):
            days = str(int(leaf.hours // HOURS))
            return {"attribute_key": "created_at", "filter_operator": "days_before", "values": [days]}
        if not isinstance(leaf, Is | Text | Changed):
            return None
        key = self.key(leaf.path)
        base: Native = {"attribute_key": key}
        if leaf.path.custom:
            base["custom_attribute_type"] = names.MODEL_NAMES[leaf.path.of]
        if isinstance(leaf, Changed):
            ends = {
                side: [self.value(leaf.path, one) for one in some or ()]
                for side, some in (("from", leaf.before), ("to", leaf.after))
            }
            return {**base, "filter_operator": "attribute_changed", "values": ends}
        if isinstance(leaf, Text):
            operator = next(word for word, shape in names.TEXTS.items() if shape == (leaf.mode, leaf.negated))
            return {**base, "filter_operator": operator, "values": list(leaf.needles)}
        if not leaf.values:
            return {**base, "filter_operator": "is_not_present" if leaf.null else "is_present", "values": []}
        values = [self.value(leaf.path, one) for one in leaf.values]
        return {**base, "filter_operator": "not_equal_to" if leaf.negated else "equal_to", "values": values}

    def own_shape(self, when: Condition) -> Native:
        """Return what Chatwoot's own reader made the condition from."""
        parts = when.of if isinstance(when, All) else ()
        native: Native = {}
        made: list[Native] = []
        for part in parts:
            if isinstance(part, Event):
                native["event_name"] = names.EVENT_NAMES.get(part.kinds[0], part.kinds[0])
            elif isinstance(part, Changed):
                (status,) = (getattr(one, "value", "") for one in part.after or ())
                native["event_name"] = names.STATUS_EVENT_NAMES[str(status)]
            elif isinstance(part, AnyOf):
                brought: Path | None = None  # whose OR a custom attribute's not_equal_to has brought already
                for group in part.of:
                    listed: list[Any] = list(getattr(group, "of", ()))
                    if brought is not None and listed and listed[0] == Is(path=brought, values=(), null=True):
                        listed = listed[1:]
                        made[-1]["query_operator"] = "AND" if listed else None
                    elif made:
                        made[-1]["query_operator"] = "OR"
                    brought = None
                    for leaf in listed:
                        made.append({**(self._native(leaf) or {}), "query_operator": "AND"})
                        self._note(leaf, "exact")
                        brought = leaf.path if _tears(leaf) else None
        if made:
            made[-1]["query_operator"] = None
        return {**native, "conditions": made}


def of_message(leaf: Leaf) -> bool:
    """Say whether a condition asks about the message that came in."""
    at = getattr(leaf, "path", None)
    return at is not None and at.of == "comment"


def without_message(leaf: Leaf) -> bool | None:
    """Say what a condition answers where no message came in; None where it asks for something else."""
    if isinstance(leaf, Event):
        return leaf.negated
    return bool(getattr(leaf, "null", False)) if of_message(leaf) else None


def _together(group: tuple[Leaf, ...]) -> tuple[Leaf, ...]:
    """Return a group in which what one attribute is not is asked once: whatever follows the OR it brings is lost."""
    made: dict[object, Leaf] = {}
    for leaf in group:
        key = str(leaf.path) if isinstance(leaf, Is) and _tears(leaf) else leaf
        before = made.get(key)
        if isinstance(leaf, Is) and isinstance(before, Is) and key != leaf:
            leaf = before.model_copy(update={"values": tuple(dict.fromkeys((*before.values, *leaf.values)))})
        made[key] = leaf
    return tuple(made.values())


def _tears(leaf: Leaf) -> bool:
    """Say whether the engine brings an OR with this condition."""
    return isinstance(leaf, Is) and leaf.negated and bool(leaf.values) and bool(leaf.path.custom)


def _missing(leaf: Leaf) -> Leaf:
    """Return the question whether what a condition asks for is missing."""
    assert isinstance(leaf, Is)
    return Is(path=leaf.path, values=(), null=True)


def _by_itself(groups: tuple[tuple[Leaf, ...], ...]) -> Leaf | None:
    """Return what a custom attribute is not, if that or its lack is enough by itself; such a one stands last."""
    alone = [group[0] for group in groups if len(group) == 1 and _tears(group[0])]
    return next((leaf for leaf in alone if (_missing(leaf),) in groups), None)
