"""Our rules in the shapes Freshdesk's have: for new tickets, for changes (who, what), and by the hour."""

from __future__ import annotations

import json
from typing import Any

from migrator.rules.conditions import (
    Actor,
    All,
    Changed,
    Condition,
    Event,
    Is,
    Leaf,
    Lit,
    Opaque,
    Path,
    Ref,
    leaves,
)
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.normal_forms import TooLargeError, assume, dnf, given_event, sets, simple
from migrator.rules.rule import Rule, SetField

from . import names
from .conditions import Conditions

Native = dict[str, Any]
MOST = 2  # sets of conditions in a rule
ACTING = (Actor(who="current_user"),)


def shapes(writes: Conditions, when: Condition) -> list[Native]:
    """Return the rules that together mean the condition: by time, or for new tickets and for changed ones."""
    book = writes.book
    if book.rule.kind == "timed":
        book.add("rule", "once an hour", "equivalent", "hourly; only tickets updated in the last 30 days")
        if assume(when, lambda leaf: None) == AnyOf():
            book.add("when", "never", "exact", "nothing to write: it can never hold")
            return []
        return [{"rule_type": names.TIMED, **_sets(writes, one)} for one in alternatives(writes, when)]
    made = []
    for event, kind in (("created", names.CREATION), ("updated", names.UPDATE)):
        left = given(when, event)
        if isinstance(left, AnyOf) and not left.of:
            continue
        writes.only = event
        for one in alternatives(writes, left):
            shape = _update(writes, one) if kind == names.UPDATE else _sets(writes, one)
            made.append({"rule_type": kind, **shape})
    for leaf in leaves(simple(when)):
        note = _of_new(leaf)
        if note and made and writes.only == "created":
            writes.note(leaf, "equivalent", note)
        if isinstance(leaf, Event) and leaf.kinds in (("created",), ("updated",)):
            book.leaf(leaf, "exact")
    if not made:
        book.add("when", "never", "exact", "nothing to write: it can never hold")
    if len({one["rule_type"] for one in made}) > 1:
        book.add("when", "new and changed tickets", "equivalent", "rules of their own for each")
    return made


def given(condition: Condition, event: str) -> Condition:
    """Return what is left of a condition, given that a ticket was created or updated.

    There all tickets are public, and a new one has its first message, which is public too.
    """

    def known(leaf: Leaf) -> bool | None:
        if event != "created":
            return None
        if isinstance(leaf, Event) and leaf.kinds == ("commented",):
            return not leaf.negated
        if isinstance(leaf, Is) and _of_new(leaf):
            public = any(getattr(one, "value", None) in ("public", True, "requester_sees") for one in leaf.values)
            return public is not leaf.negated
        return None

    return assume(given_event(condition, event), known)


def _of_new(leaf: Leaf) -> str:
    """Return why a condition is decided for a new ticket, whichever it is; empty where it is not."""
    if isinstance(leaf, Event) and leaf.kinds == ("commented",):
        return "a new ticket has its first message"
    at = str(getattr(leaf, "path", ""))
    if not isinstance(leaf, Is) or not leaf.values:
        return ""
    notes = {"ticket.privacy": "tickets there are all public", "comment.public": "the first message is public there"}
    return notes.get(at, "")


def alternatives(writes: Conditions, when: Condition) -> list[Condition]:
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
    writes.book.split(len(groups))
    return [All(of=group) for group in groups]


def _happens(leaf: Leaf) -> bool:
    """Say whether an update rule holds a leaf as its event, of which it has one."""
    if isinstance(leaf, Is):
        return str(leaf.path) == "comment.public"
    return isinstance(leaf, Changed | Event) and not leaf.negated


def _update(writes: Conditions, left: Condition) -> Native:
    """Return an update rule: who, what happened, and the conditions on the ticket as it is.

    Of several events one is enough there: the first is the rule's, of the others helper fields tell.
    """
    rest: list[Condition] = []
    events: list[Native] = []
    performer: Native | None = None
    parts = left.of if isinstance(left, All) else (left,)
    for part in sorted(parts, key=lambda one: isinstance(one, Changed)):  # of messages no field tells
        found = _event(writes, part) if isinstance(part, Changed | Event | Is) else None
        if found is None or ("type" in found and performer) or (events and isinstance(part, Changed)):
            rest.append(part)
        elif "type" in found:
            performer = found
            writes.note(part, "equivalent", "as the performer")  # type: ignore[arg-type]
        else:
            events.append(found)
    if len(events) > 1:
        writes.book.add("when", "several messages at once", "untranslatable", "of several events one is enough there")
    for part in (one for one in parts if isinstance(one, Changed) and one not in rest):
        _told(writes, part)
    writes.heard = any("both" in one or one["field_name"] == "note_type" for one in events)
    native: Native = {"performer": performer or {"type": 3}, **_sets(writes, All(of=tuple(rest)))}
    if not events:
        events = [names.UPDATED]
        note = "not set off where only tags, the subject or a free text change"
        settled = settles(writes.book.rule)
        note = f"{note}: but there it has set already what it sets" if settled else note
        writes.book.add("when", "any update", "equivalent" if settled else "approximated", note)
    elif len(events) == 1 and "both" in events[0]:
        events = [{"field_name": "reply_sent"}, {"field_name": "note_type", "value": events[0]["both"]}]
    return native | {"events": events}


def settles(rule: Rule) -> bool:
    """Say whether a rule leaves every ticket so that acting again changes nothing, until an update is noticed.

    It sets plain values that are noticed, and asks of a ticket, new or not, for such values only.
    """
    return all(
        isinstance(one, SetField) and _noticed(one.path) and isinstance(one.value, Lit | Ref | None) for one in rule.do
    ) and all(
        isinstance(leaf, Is)
        and (_noticed(leaf.path) or str(leaf.path) == "ticket.channel")  # which never changes
        and not any(isinstance(one, Actor) for one in leaf.values)
        for leaf in leaves(simple(rule.when))
    )


def _noticed(at: Path) -> bool:
    """Say whether a change of a field sets update rules off; custom fields that rules ask for are dropdowns."""
    return at.of == "ticket" and (bool(at.custom) or at.name in names.NOTICED)


def _event(writes: Conditions, leaf: Leaf) -> Native | None:
    """Return what an update rule says beside its sets: an event, ``both`` kinds of message, or a performer."""
    if isinstance(leaf, Is) and str(leaf.path) == "actor.role" and not leaf.negated:
        roles = tuple(sorted(str(getattr(one, "value", "")) for one in leaf.values))
        code = next((code for code, known in names.PERFORMERS.items() if tuple(sorted(known)) == roles), None)
        if code is not None:
            return {"type": code}
    if isinstance(leaf, Is) and str(leaf.path) == "ticket.requester" and leaf.values == ACTING:
        return {"type": 1 if leaf.negated else 2}
    if isinstance(leaf, Is) and str(leaf.path) == "ticket.assignee" and leaf.values == ACTING and not leaf.negated:
        return None if leaf.null else dict(names.ASSIGNED_AGENT)
    if isinstance(leaf, Is) and str(leaf.path) == "comment.public" and not leaf.null:
        public = getattr(leaf.values[0], "value", None) in (True, "requester_sees") if leaf.values else None
        if public is not None and len(leaf.values) == 1:
            writes.note(leaf, "equivalent", "a reply, or a note of that kind, comes in")
            private = {"field_name": "note_type", "value": "private"}
            return {"both": "public"} if public is not leaf.negated else private
    if isinstance(leaf, Event) and leaf.kinds == ("commented",) and not leaf.negated:
        writes.note(leaf, "equivalent", "a reply or a note comes in")
        return {"both": "--"}
    if isinstance(leaf, Changed) and not leaf.negated:
        return writes.change(leaf)[0]
    return None


def _told(writes: Conditions, leaf: Changed) -> None:
    """Note how well a change is an event."""
    _, verdict, note = writes.change(leaf)
    writes.note(leaf, verdict, note)


def _sets(writes: Conditions, when: Condition) -> Native:
    """Return one or two sets of conditions; deeper trees do not fit."""
    flat = assume(when, lambda leaf: None)
    found = sets(flat)
    if found is None or len(found) > MOST:
        writes.book.add("when", "the whole condition", "untranslatable", "more than two sets of conditions")
        for leaf in leaves(flat):
            writes.leaf(leaf)
        return {"conditions": []}
    made: list[Native] = []
    for at, (every, some) in enumerate(found, 1):
        natives = [native for leaf in some if (native := writes.leaf(leaf))]
        match = "all" if every else "any"
        if natives:
            made.append({"name": f"condition_set_{at}", "match_type": match, "properties": natives})
    return {"conditions": made, **({"operator": "AND"} if len(made) > 1 else {})}


def own_shape(writes: Conditions, when: Condition) -> Native:
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
        elif isinstance(part, Is) and part.values == ACTING:
            native |= {"performer": dict(names.ASSIGNED_AGENT)}
        elif isinstance(part, AnyOf) and part.of and all(isinstance(one, Changed | Event) for one in part.of):
            native["events"] = [_own_event(writes, one) for one in part.of]
        elif isinstance(part, AnyOf) and part.of and all(isinstance(one, All | AnyOf) for one in part.of):
            found, native["operator"] = list(part.of), "OR"
        else:
            found.append(part)
    listed = [
        {
            "name": f"condition_set_{at}",
            "match_type": "any" if isinstance(one, AnyOf) else "all",
            "properties": [writes.leaf(leaf) for leaf in getattr(one, "of", ())],
        }
        for at, one in enumerate(found, 1)
    ]
    if len(listed) > 1:
        native.setdefault("operator", "AND")
    return {"rule_type": kind, **native, **({"conditions": listed} if listed else {})}


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
