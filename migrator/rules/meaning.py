"""Whether a condition holds at one moment of a ticket's life, in plain Python: what ``sql`` asks of a whole table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from migrator.rules.conditions import (
    SCALES,
    Actor,
    All,
    Any,
    Changed,
    Compare,
    Condition,
    Elapsed,
    Event,
    Is,
    Leaf,
    Not,
    Path,
    Same,
    Tags,
    Text,
    Value,
)
from migrator.rules.sql import plain_value, word_pattern

BUSINESS = "business "  # stands before an anchor whose hours are working hours
ORDERS = {"lt": -1, "le": -1, "gt": 1, "ge": 1}


@dataclass(frozen=True)
class Moment:
    """A ticket as a rule sees it. ``values``: {path: text or None}; ``before``: of what changed, what it was.

    ``events``: created or updated; commented, replied, noted … ``hours``: {anchor, or BUSINESS and
    anchor: hours since, None for never}.
    """

    values: Mapping[str, str | None]
    tags: frozenset[str] = frozenset()
    before: Mapping[str, str | None] = field(default_factory=dict)
    events: frozenset[str] = frozenset()
    actor: str | None = None
    hours: Mapping[str, float | None] = field(default_factory=dict)

    def value(self, at: Path) -> str | None:
        """Return what a path holds; ``before:`` is what it was before this update, unless a helper field remembers."""
        key = str(at)
        if at.name.startswith("before:") and key not in self.values:
            now = f"{at.of}.{at.name.removeprefix('before:')}"
            return self.before.get(now, self.values.get(now))
        return self.values.get(key)

    def resolved(self, value: Value) -> str | None:
        """Return a value as text; of a person, who that is now."""
        if not isinstance(value, Actor):
            return plain_value(value)
        people = {"current_user": self.actor, "requester": self.values.get("ticket.requester")}
        return people.get(value.who, self.values.get("ticket.assignee") if value.who == "assignee" else None)


def holds(condition: Condition, moment: Moment) -> bool:
    """Say whether the condition holds. Raises LookupError for a leaf that ``answered`` denies."""
    if isinstance(condition, All):
        return all(holds(part, moment) for part in condition.of)
    if isinstance(condition, Any):
        return any(holds(part, moment) for part in condition.of)
    if isinstance(condition, Not):
        return not holds(condition.of, moment)
    return _leaf(condition, moment)


def answered(leaf: Leaf, paths: frozenset[str], anchors: frozenset[str] = frozenset()) -> bool:
    """Say whether moments that hold these paths, and the hours since these anchors, can answer a leaf."""
    if isinstance(leaf, Elapsed):
        return (BUSINESS if leaf.clock == "business" else "") + leaf.anchor in anchors
    if isinstance(leaf, Tags | Event):
        return True
    if isinstance(leaf, Same):
        return {str(leaf.path), str(leaf.other)} <= paths
    if not isinstance(leaf, Is | Text | Compare | Changed):
        return False  # hours, schedules and what nobody could read
    values = [*(leaf.values if isinstance(leaf, Is) else ())]
    known = not any(isinstance(one, Actor) and one.who.startswith("current_user_") for one in values)
    return known and str(leaf.path).replace("before:", "") in paths


def _leaf(leaf: Leaf, moment: Moment) -> bool:
    if isinstance(leaf, Is):
        held = moment.value(leaf.path)
        return leaf.null if held is None else (held in map(moment.resolved, leaf.values)) is not leaf.negated
    if isinstance(leaf, Tags):
        wanted = set(leaf.tags)
        found = bool(moment.tags) if not wanted else wanted <= moment.tags
        return (found if leaf.need == "all" or not wanted else bool(wanted & moment.tags)) is not leaf.negated
    if isinstance(leaf, Event):
        return bool(moment.events & set(leaf.kinds)) is not leaf.negated
    if isinstance(leaf, Changed):
        return _changed(leaf, moment) is not leaf.negated
    if isinstance(leaf, Text):
        return _text(leaf, moment)
    if isinstance(leaf, Compare):
        return _compare(leaf, moment)
    if isinstance(leaf, Same):
        one, other = moment.value(leaf.path), moment.value(leaf.other)
        return leaf.null if one is None or other is None else (one == other) is not leaf.negated
    if isinstance(leaf, Elapsed) and (key := _clock(leaf)) in moment.hours:
        hours = moment.hours[key]
        if hours is None:
            return leaf.null
        whole = float(int(hours)) if leaf.op in ("eq", "ne") else hours
        return _ordered(whole, leaf.hours, leaf.op)
    raise LookupError(f"a ticket's history does not tell of {leaf.type}")


def _clock(leaf: Elapsed) -> str:
    return f"{BUSINESS}{leaf.anchor}" if leaf.clock == "business" else leaf.anchor


def _changed(leaf: Changed, moment: Moment) -> bool:
    key = str(leaf.path)
    if key not in moment.before:
        return False
    sides = ((leaf.before, moment.before[key]), (leaf.after, moment.values.get(key)))
    # No values: from or to nothing at all.
    return all(some is None or held in ([moment.resolved(one) for one in some] or [None]) for some, held in sides)


def _text(leaf: Text, moment: Moment) -> bool:
    held = moment.value(leaf.path)
    if held is None:
        return leaf.null
    found = [_needle(leaf.mode, needle, held) for needle in leaf.needles]
    return (all(found) if leaf.need == "all" else any(found)) is not leaf.negated


def _needle(mode: str, needle: str, held: str) -> bool:
    if mode in ("word", "phrase", "regex"):
        try:
            return re.search(needle if mode == "regex" else word_pattern(needle), held, re.IGNORECASE) is not None
        except re.error:  # a pattern of another engine
            return False
    low, held = needle.lower(), held.lower()
    tests = {"substring": low in held, "starts": held.startswith(low), "ends": held.endswith(low), "equal": held == low}
    return tests[mode]


def _compare(leaf: Compare, moment: Moment) -> bool:
    held, wanted = moment.value(leaf.path), leaf.value.value
    if leaf.scale:
        scale = SCALES[leaf.scale]
        if held not in scale or (held is None and None not in scale):
            return leaf.null
        return leaf.null if held is None else _ordered(scale.index(held), scale.index(str(wanted)), leaf.op)
    if held is None:
        return leaf.null
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        try:
            return _ordered(float(held), float(wanted), leaf.op)
        except ValueError:
            return leaf.null
    return _ordered(held, str(wanted), leaf.op)


def _ordered(held: float | str, wanted: float | str, op: str) -> bool:
    if op in ("eq", "ne"):
        return (held == wanted) is (op == "eq")
    if held == wanted:
        return op in ("le", "ge")
    return (held < wanted) is (ORDERS[op] < 0)  # type: ignore[operator]
