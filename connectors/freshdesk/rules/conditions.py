"""Our conditions written as Freshdesk's, one at a time: what has no word there is asked of a helper field."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from migrator.rules.conditions import (
    Actor,
    Changed,
    Elapsed,
    Is,
    Leaf,
    Lit,
    Opaque,
    Path,
    Ref,
    Tags,
    Text,
    Value,
)
from migrator.rules.natives import field_name
from migrator.rules.notebook import Notebook
from migrator.rules.references import is_mark
from migrator.rules.verdicts import Verdict

from . import names
from .needs import acted_by, added, came_by, changed, native_leaf

Native = dict[str, Any]


class Conditions:
    """Writes the condition of one rule."""

    def __init__(self, book: Notebook, *, own: bool, apart: Collection[str] = names.ALL_ADDED) -> None:
        self.book, self.own, self.apart = book, own, apart
        self.noted: set[tuple[Leaf, str]] = set()

    only = ""  # what a rule is for: tickets that were created, or updated
    heard = False  # whether a message sets it off

    def note(self, leaf: Leaf, verdict: Verdict, note: str = "") -> None:
        """Note a verdict on a condition, once."""
        if (leaf, verdict) not in self.noted:
            self.noted.add((leaf, verdict))
            self.book.leaf(leaf, verdict, note)

    def leaf(self, leaf: Leaf) -> Native | None:
        """Return one condition with its verdict noted; None where Freshdesk has no word for it."""
        native, verdict, note = self._leaf(leaf)
        self.note(leaf, verdict if native is not None else "untranslatable", note)
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
        if isinstance(leaf, Changed) and self.only == "updated" and not self.own:
            return self._changed(leaf)
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

    def change(self, leaf: Changed) -> tuple[Native | None, Verdict, str]:
        """Return the event of a change; None where Freshdesk has none that is the same."""
        place = self.place(leaf.path)
        if place is None or place[0] != "ticket":
            return None, "untranslatable", "Freshdesk does not notice this change"
        native: Native = {"field_name": place[1]}
        worst: tuple[Verdict, str] = ("exact", "")
        for side, values in (("from", leaf.before), ("to", leaf.after)):
            if values is None:
                native[side] = "--"
                continue
            asked, verdict, note = self.adapted(Is(path=leaf.path, values=values))
            made = [self.value(leaf.path, one) for one in asked.values]
            if len(made) != 1 or made[0] is None or verdict in ("untranslatable", "approximated"):
                return native, verdict if verdict == "approximated" else "untranslatable", note or "one value only"
            native[side], worst = made[0], (verdict, note)
        return native, *worst

    def _changed(self, leaf: Changed) -> tuple[Native | None, Verdict, str]:
        """Ask a field that a rule fills which this change sets off: this rule's event is another, or none."""
        native, verdict, note = self.change(leaf)
        if native is None or verdict not in ("exact", "equivalent"):
            return None, "untranslatable", note
        values = [one.value for some in (leaf.before, leaf.after) for one in some or () if isinstance(one, Lit)]
        if len(values) != sum(some is not None for some in (leaf.before, leaf.after)) or leaf.path.custom:
            return None, "untranslatable", "Freshdesk cannot ask whether this changed beside something else"
        name = changed(self.book, leaf, native)
        answer = names.NO if leaf.negated else names.YES
        asked = native_leaf("ticket", name, "in", [answer])
        if self.heard:
            return asked, "approximated", "a message and a change that follows it are two updates there"
        return asked, "equivalent", f"given the helper field {name} and the automations that fill it"

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

    def _opened(self, leaf: Is) -> tuple[Native | None, Verdict, str]:
        """Ask who made a ticket by the channel it came through: rules for new tickets are not told who acted."""
        roles = {str(getattr(one, "value", "")) for one in leaf.values}
        taken = [word for role in sorted(roles & set(names.OPENED)) for word in names.OPENED[role]]
        if not roles or roles - set(names.OPENED):
            return None, "untranslatable", "Freshdesk knows agents and customers only"
        codes = [names.CHANNEL_CODES[word] for word in taken]
        note = "given that agents, and programs for them, open tickets by phone or outbound mail, and nobody else does"
        return native_leaf("ticket", "source", "not_in" if leaf.negated else "in", codes), "equivalent", note

    def _is(self, leaf: Is) -> tuple[Native | None, Verdict, str]:
        if str(leaf.path) == "actor.role" and self.only == "created" and not self.own:
            return self._opened(leaf)
        acting = str(leaf.path) == "ticket.assignee" and leaf.values == (Actor(who="current_user"),)
        if acting and self.only == "updated" and not self.own and leaf.null is leaf.negated:
            acted_by(self.book)
            answer = names.SOMEBODY_ELSE if leaf.negated else names.THE_AGENT
            note = f"given the helper field {names.ACTED_BY} and the automations that fill it"
            return native_leaf("ticket", names.ACTED_BY, "in", [answer]), "equivalent", note
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
