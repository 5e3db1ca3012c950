"""Our conditions written as Freshdesk's: what happened and who did it, one or two sets, one leaf at a time."""

from __future__ import annotations

import json
from collections.abc import Collection
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
from migrator.rules.normal_forms import TooLargeError, assume, dnf, given_event, sets, simple
from migrator.rules.notebook import Notebook
from migrator.rules.references import is_mark
from migrator.rules.verdicts import Verdict

from . import names
from .needs import added, came_by, native_leaf

Native = dict[str, Any]
# Set off by whatever else an update rule can notice: messages, ratings, status, priority, type, group, agent, due date
# and custom choices (Va::Observer::Constants; Va::Observer::Util#filter_event). Not by tags, the subject, a free text.
UPDATED = {"field_name": "ticket_action", "value": "update"}
MOST = 2  # sets of conditions in a rule


def given(condition: Condition, event: str) -> Condition:
    """Return what is left of a condition, given that a ticket was created or updated: there, all tickets are public."""

    def known(leaf: Leaf) -> bool | None:
        if isinstance(leaf, Is) and str(leaf.path) == "ticket.privacy" and event == "created":
            return (Lit(value="public") in leaf.values) is not leaf.negated
        return None

    return assume(given_event(condition, event), known)


class Conditions:
    """Writes the condition of one rule."""

    def __init__(self, book: Notebook, *, own: bool, apart: Collection[str] = names.ALL_ADDED) -> None:
        self.book, self.own, self.apart = book, own, apart
        self.noted: set[tuple[Leaf, str]] = set()

    def shapes(self, when: Condition) -> list[Native]:
        """Return the rules that together mean the condition: by time, or for new tickets and for changed ones."""
        if self.book.rule.kind == "timed":
            note = "hourly; only tickets updated in the last 30 days"
            self.book.add("rule", "once an hour", "equivalent", note)
            if assume(when, lambda leaf: None) == AnyOf():
                self.book.add("when", "never", "exact", "nothing to write: it can never hold")
                return []
            return [{"rule_type": names.TIMED, **self._sets(one)} for one in self.alternatives(when)]
        made = []
        for event, kind in (("created", names.CREATION), ("updated", names.UPDATE)):
            left = given(when, event)
            if isinstance(left, AnyOf) and not left.of:
                continue
            self.only = event
            for one in self.alternatives(left):
                shape = self._update(one) if kind == names.UPDATE else self._sets(one)
                made.append({"rule_type": kind, **shape})
        for leaf in leaves(simple(when)):
            if str(getattr(leaf, "path", "")) == "ticket.privacy" and made and self.only == "created":
                self._note(leaf, "equivalent", "tickets there are all public")
            if isinstance(leaf, Event) and leaf.kinds in (("created",), ("updated",)):
                self.book.leaf(leaf, "exact")
        if not made:
            self.book.add("when", "never", "exact", "nothing to write: it can never hold")
        if len({one["rule_type"] for one in made}) > 1:
            self.book.add("when", "new and changed tickets", "equivalent", "rules of their own for each")
        return made

    def alternatives(self, when: Condition) -> list[Condition]:
        """Return the condition, or what a rule each can hold: one event, and no more than two sets."""
        flat = assume(when, lambda leaf: None)
        parts = flat.of if isinstance(flat, All) else (flat,)
        events = any(_happens(leaf) for part in parts if isinstance(part, AnyOf) for leaf in leaves(part))
        found = sets(flat)
        if not events and found is not None and len(found) <= MOST:
            return [when]
        try:
            groups = dnf(flat)
        except TooLargeError:
            return [when]
        self.book.split(len(groups))
        return [All(of=group) for group in groups]

    only = ""

    def _note(self, leaf: Leaf, verdict: Verdict, note: str = "") -> None:
        if (leaf, verdict) not in self.noted:
            self.noted.add((leaf, verdict))
            self.book.leaf(leaf, verdict, note)

    def _update(self, left: Condition) -> Native:
        """Return an update rule: who, what happened, and the conditions on the ticket as it is."""
        parts = left.of if isinstance(left, All) else (left,)
        rest, events, performer = [], [], None
        for part in parts:
            found = self._event(part) if isinstance(part, Changed | Event | Is) else None
            if found is None:
                rest.append(part)
            elif "type" in found:
                performer = found
            else:
                events.append(found)
        if len(events) > 1:
            self.book.add("when", "several changes at once", "untranslatable", "of several events one is enough there")
        native: Native = {"performer": performer or {"type": 3}, **self._sets(All(of=tuple(rest)))}
        if not events:
            events = [UPDATED]
            note = "not set off where only tags, the subject or a free text change"
            self.book.add("when", "any update", "approximated", note)
        elif len(events) == 1 and "both" in events[0]:
            events = [{"field_name": "reply_sent"}, {"field_name": "note_type", "value": events[0]["both"]}]
        return native | {"events": events}

    def _event(self, leaf: Leaf) -> Native | None:
        """Return what an update rule says beside its sets: an event, ``both`` kinds of message, or a performer."""
        if isinstance(leaf, Is) and str(leaf.path) == "actor.role" and not leaf.negated:
            roles = tuple(sorted(str(getattr(one, "value", "")) for one in leaf.values))
            code = next((code for code, known in names.PERFORMERS.items() if tuple(sorted(known)) == roles), None)
            if code is not None:
                self._note(leaf, "equivalent", "as the performer")
                return {"type": code}
        actor = Actor(who="current_user")
        if isinstance(leaf, Is) and str(leaf.path) == "ticket.requester" and leaf.values == (actor,):
            self._note(leaf, "equivalent", "an agent acted" if leaf.negated else "the requester acted")
            return {"type": 1 if leaf.negated else 2}
        if isinstance(leaf, Is) and str(leaf.path) == "comment.public" and not leaf.null:
            public = getattr(leaf.values[0], "value", None) in (True, "requester_sees") if leaf.values else None
            if public is not None and len(leaf.values) == 1:
                self._note(leaf, "equivalent", "a reply, or a note of that kind, comes in")
                return (
                    {"both": "public"}
                    if public is not leaf.negated
                    else {"field_name": "note_type", "value": "private"}
                )
        if isinstance(leaf, Event) and leaf.kinds == ("commented",) and not leaf.negated:
            self._note(leaf, "equivalent", "a reply or a note comes in")
            return {"both": "--"}
        if isinstance(leaf, Changed) and not leaf.negated:
            return self._changed(leaf)
        return None

    def _changed(self, leaf: Changed) -> Native | None:
        place = self.place(leaf.path)
        if place is None or place[0] != "ticket":
            return None
        native: Native = {"field_name": place[1]}
        worst: tuple[Verdict, str] = ("exact", "")
        for side, values in (("from", leaf.before), ("to", leaf.after)):
            if values is None:
                native[side] = "--"
                continue
            asked, verdict, note = self.adapted(Is(path=leaf.path, values=values))
            made = [self.value(leaf.path, one) for one in asked.values]
            if len(made) != 1 or made[0] is None or verdict in ("untranslatable", "approximated"):
                self._note(leaf, verdict if verdict == "approximated" else "untranslatable", note or "one value only")
                return native
            native[side], worst = made[0], (verdict, note)
        self._note(leaf, *worst)
        return native

    def _sets(self, when: Condition) -> Native:
        """Return one or two sets of conditions; deeper trees do not fit."""
        flat = assume(when, lambda leaf: None)
        found = sets(flat)
        if found is None or len(found) > MOST:
            self.book.add("when", "the whole condition", "untranslatable", "more than two sets of conditions")
            for leaf in leaves(flat):
                self.leaf(leaf)
            return {"conditions": []}
        made: list[Native] = []
        for at, (every, some) in enumerate(found, 1):
            natives = [native for leaf in some if (native := self.leaf(leaf))]
            match = "all" if every else "any"
            if natives:
                made.append({"name": f"condition_set_{at}", "match_type": match, "properties": natives})
        return {"conditions": made, **({"operator": "AND"} if len(made) > 1 else {})}

    def leaf(self, leaf: Leaf) -> Native | None:
        """Return one condition with its verdict noted; None where Freshdesk has no word for it."""
        native, verdict, note = self._leaf(leaf)
        self._note(leaf, verdict if native is not None else "untranslatable", note)
        return native

    def _leaf(self, leaf: Leaf) -> tuple[Native | None, Verdict, str]:
        if isinstance(leaf, Is):
            return self._is(leaf)
        if isinstance(leaf, Tags):
            every = leaf.need == "all" and len(leaf.tags) > 1
            if not leaf.tags or (every and leaf.negated):
                return (
                    None,
                    "untranslatable",
                    "Freshdesk cannot ask whether there is any tag, nor that not all are there",
                )
            if self.timed:
                return None, "untranslatable", "time-triggered rules there do not know tags"
            operator = "and" if every else "not_in" if leaf.negated else "in"
            return native_leaf("ticket", "tag_names", operator, list(leaf.tags)), "exact", ""
        if isinstance(leaf, Text):
            return self._text(leaf)
        if isinstance(leaf, Elapsed):
            return self._elapsed(leaf)
        if isinstance(leaf, Opaque) and self.own:
            return json.loads(leaf.text), "exact", ""
        notes = {
            "changed": "Freshdesk cannot ask that something did not change",
            "event": "Freshdesk cannot ask that there was no message",
            "same": "Freshdesk cannot compare two people of a ticket",
            "hours": "Freshdesk asks for working hours in its own way only",
            "compare": "Freshdesk does not compare this",
        }
        return None, "untranslatable", notes.get(leaf.type, "Freshdesk has no such condition")

    def adapted(self, leaf: Is) -> tuple[Is, Verdict, str]:
        """Return the leaf over the values as they are after the move."""
        tables = {"ticket.status": names.status_table(self.apart), "ticket.priority": names.PRIORITY_TABLE}
        table = tables.get(str(leaf.path))
        if self.own or table is None:
            custom = not self.own and (bool(leaf.path.custom) or str(leaf.path) in names.HELPERS)
            return leaf, "equivalent" if custom else "exact", "given the field is filled there" if custom else ""
        made, verdict, note = self.book.image(leaf, table, leaf.path.name)
        words = {getattr(one, "value", "") for one in made.values}
        added_ones = [(ours, without) for ours, (_, without) in names.ADDED_STATUSES.items() if ours in self.apart]
        split = [ours for ours, without in added_ones if words & {ours, without}]
        if leaf.path.name == "status" and split and verdict in ("exact", "equivalent"):
            for word in split:
                added(self.book, word)
            shown = " and ".join(f"“{names.ADDED_STATUSES[word][0]}”" for word in split)
            return made, "equivalent", f"given the status {shown} is added there and tickets are moved into it"
        return made, verdict, note

    def place(self, at: Path) -> tuple[str, str] | None:
        """Return (resource_type, field_name) of a path, or None."""
        if at.custom:
            kind = {"ticket": "ticket", "requester": "contact", "organization": "company"}.get(at.of)
            if kind and is_mark(at.custom):
                return kind, at.custom
            name = f"cf_{at.custom}" if self.own else field_name(at.custom)
            if kind and not self.own:
                self.book.need(f"{kind} field", name, f"it holds the custom field {at.custom}")
            return (kind, name) if kind else None
        if str(at) in names.HELPERS and not self.own:
            name, holds = names.HELPERS[str(at)]
            self.book.need(
                "ticket field", name, f"a dropdown that says {holds}; filled when tickets are moved and made"
            )
            return "ticket", name
        return names.PATHS.get(str(at))

    @property
    def timed(self) -> bool:
        """Say whether the rule runs by the clock; the vendor's own are written as they were."""
        return self.book.rule.kind == "timed" and not self.own

    def value(self, at: Path, value: Value) -> Any:
        """Return a value as Freshdesk has it; a reference to a record is named in ``<kind:id>``."""
        if isinstance(value, Ref):
            if at.name in ("status", "priority", "channel", "type") and at.of == "ticket":
                return (int(value.id) if value.id.isdigit() else value.id) if self.own else None
            if is_mark(value.id):
                return value.id
            plain = self.own and value.id.isdigit()
            return int(value.id) if plain else f"<{value.kind}:{value.id}>"
        held = getattr(value, "value", None)
        tables: dict[str, Any] = {"ticket.status": names.STATUS_CODES, "ticket.priority": names.PRIORITY_CODES}
        tables |= {"ticket.channel": names.CHANNEL_CODES, "ticket.type": names.TYPE_NAMES}
        return tables[str(at)].get(held) if str(at) in tables else held

    def _is(self, leaf: Is) -> tuple[Native | None, Verdict, str]:
        if str(leaf.path) == "ticket.channel" and not self.own and self._unknown(leaf):
            leaf = came_by(self.book, leaf)
        place = self.place(leaf.path)
        if self.timed and place and (place[0] != "ticket" or place[1] in names.UNTIMED):
            return None, "untranslatable", "time-triggered rules there ask for the ticket only, not for texts or people"
        if place is None or any(isinstance(one, Actor) for one in leaf.values):
            return None, "untranslatable", "Freshdesk cannot ask this"
        made, verdict, note = self.adapted(leaf)
        values = [self.value(made.path, one) for one in made.values]
        if verdict == "untranslatable" or None in values:
            return None, "untranslatable", note or f"Freshdesk has no such {leaf.path.name}"
        if made.null is not made.negated:
            values.append("")
        if leaf.path.name == "language" or (leaf.path.name == "type" and None in values):
            verdict, note = "approximated", "languages are named otherwise there"
        return native_leaf(*place, "not_in" if made.negated else "in", values), verdict, note

    def _unknown(self, leaf: Is) -> bool:
        """Say whether a channel is asked for that Freshdesk has not."""
        return any(self.value(leaf.path, one) is None for one in leaf.values)

    def _text(self, leaf: Text) -> tuple[Native | None, Verdict, str]:
        place = self.place(leaf.path)
        operators = {shape: name for name, shape in names.TEXTS.items()}
        words = leaf.mode in ("word", "phrase")
        operator = operators.get(("substring" if words else leaf.mode, leaf.negated))
        many = leaf.need == "all" and len(leaf.needles) > 1
        always = str(leaf.path) in ("ticket.subject", "ticket.description")  # of which every ticket has one there
        if place is None or operator is None or (leaf.null and not always) or many:
            return None, "untranslatable", "Freshdesk cannot ask this of a text"
        if self.timed:
            return None, "untranslatable", "time-triggered rules there do not look into texts"
        note = "finds the letters anywhere, not the whole word" if words else ""
        return native_leaf(*place, operator, list(leaf.needles)), "approximated" if words else "exact", note

    def _elapsed(self, leaf: Elapsed) -> tuple[Native | None, Verdict, str]:
        name = names.ANCHORS.get(leaf.anchor)
        more: Native = {}
        word = leaf.anchor.removeprefix("status:")
        if leaf.anchor.startswith("status:") and (not name or self.own) and (word in self.apart or self.own):
            code = names.STATUS_CODES.get(word, int(word) if word.isdigit() else word)
            if not name:
                name, more = names.CUSTOM_HOURS, {"custom_status_id": code}
            if not self.own:
                added(self.book, word)
        operator = names.ORDER_NAMES.get(leaf.op)
        fits = leaf.hours >= 1 and float(leaf.hours).is_integer() and self.book.rule.kind == "timed"
        if name is None or operator is None or leaf.null or not fits:
            return None, "untranslatable", f"Freshdesk does not count the hours since {leaf.anchor}"
        if leaf.clock == "business":
            return None, "untranslatable", "Freshdesk counts hours of the clock here"
        verdict: Verdict = "exact" if self.own else "equivalent"
        note = "" if self.own else "checked once an hour"
        return {**native_leaf("ticket", name, operator, int(leaf.hours)), **more}, verdict, note

    def own_shape(self, when: Condition) -> Native:
        """Return what Freshdesk's own reader made the condition from."""
        kind, found = names.TIMED, list[Condition]()
        native: Native = {}
        for part in when.of if isinstance(when, All) else ():
            if isinstance(part, Event):
                kind = names.CREATION if part.kinds == ("created",) else names.UPDATE
            elif isinstance(part, Opaque) or (isinstance(part, Is) and str(part.path) == "actor.role"):
                roles = tuple(getattr(one, "value", "") for one in getattr(part, "values", ()))
                code = next((code for code, known in names.PERFORMERS.items() if known == roles), None)
                native |= json.loads(part.text) if isinstance(part, Opaque) else {"performer": {"type": code}}
            elif isinstance(part, AnyOf) and part.of and all(isinstance(one, Changed | Event) for one in part.of):
                native["events"] = [_own_event(self, one) for one in part.of]
            elif isinstance(part, AnyOf) and part.of and all(isinstance(one, All | AnyOf) for one in part.of):
                found, native["operator"] = list(part.of), "OR"
            else:
                found.append(part)
        listed = [
            {
                "name": f"condition_set_{at}",
                "match_type": "any" if isinstance(one, AnyOf) else "all",
                "properties": [self.leaf(leaf) for leaf in getattr(one, "of", ())],
            }
            for at, one in enumerate(found, 1)
        ]
        if len(listed) > 1:
            native.setdefault("operator", "AND")
        return {"rule_type": kind, **native, **({"conditions": listed} if listed else {})}


def _happens(leaf: Leaf) -> bool:
    """Say whether an update rule holds a leaf as its event, of which it has one."""
    if isinstance(leaf, Is):
        return str(leaf.path) == "comment.public"
    return isinstance(leaf, Changed | Event) and not leaf.negated


def _own_event(writes: Conditions, leaf: Any) -> Native:
    if isinstance(leaf, Event):
        word, _, value = leaf.kinds[0].partition("_")
        name = next(theirs for theirs, ours in names.EVENTS.items() if ours == word)
        return {"field_name": name, **({"value": value} if value else {})}
    assert isinstance(leaf, Changed)
    place = writes.place(leaf.path)
    native: Native = {"field_name": place[1] if place else ""}
    for side, values in (("from", leaf.before), ("to", leaf.after)):
        native[side] = "--" if values is None else writes.value(leaf.path, values[0]) if values else ""
    return native
