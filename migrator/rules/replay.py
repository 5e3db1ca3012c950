"""Whole rule sets over what happened to tickets, each under its own vendor's way of running rules: what ends otherwise?

A history is what people did, update by update; what rules did in it is left out and played again, once by the source's
rules and once by their translations. What runs by the clock is played by
``clock``; here are the rules that wait for updates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from migrator.rules.conditions import Days
from migrator.rules.meaning import Moment, holds
from migrator.rules.rule import (
    Action,
    ClockPolicy,
    Comment,
    Follow,
    Hook,
    Mail,
    PassPolicy,
    Rule,
    SetField,
    SetTags,
    Unread,
    Verb,
)

MOST_PASSES = 25  # of rules that set one another off without end
EXAMPLES = 5
Values = dict[str, str | None]


@dataclass(frozen=True)
class Update:
    """What one person did at once. ``public``: whether the comment is (None: there is none). ``fired``: ids of rules.

    ``at``: when, in hours since 1970.
    """

    actor: str | None
    changes: Mapping[str, str | None] = field(default_factory=dict)
    tags_added: frozenset[str] = frozenset()
    tags_removed: frozenset[str] = frozenset()
    public: bool | None = None
    text: str | None = None
    fired: frozenset[str] = frozenset()
    at: float | None = None


@dataclass(frozen=True)
class History:
    """A ticket's life: what it was at first (empty where it is made by the first update), and what was done to it."""

    ticket: str
    updates: tuple[Update, ...]
    values: Mapping[str, str | None] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    from_start: bool = True

    @property
    def paths(self) -> frozenset[str]:
        """Return the paths of which it tells."""
        return frozenset(self.values) | frozenset(key for one in self.updates for key in one.changes)


@dataclass
class Side:
    """One vendor's rule set. ``of``: whose translation each is (empty: a helper); ``here``: {path: {value: here}}."""

    rules: tuple[Rule, ...]
    policy: PassPolicy
    of: tuple[str, ...]
    here: Mapping[str, Mapping[str | None, str | None]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)  # a path of the source to what it is with this vendor
    timed: tuple[Rule, ...] = ()  # those that run by the clock, and whose translation each is
    timed_of: tuple[str, ...] = ()
    clock: ClockPolicy | None = None

    def key(self, key: str) -> str:
        """Return the path that a path of the source is with this vendor."""
        return self.names.get(key, key)

    def ordered(self) -> list[int]:
        """Return the places of the rules in the order in which the vendor runs them."""
        places = range(len(self.rules))
        if self.policy.order == "name":
            return sorted(places, key=lambda at: self.rules[at].name.lower())
        if self.policy.order == "position":  # of the same place, as they are listed; without a place, last
            return sorted(places, key=lambda at: (self.rules[at].position is None, self.rules[at].position or 0))
        return list(places)

    def image(self, key: str, value: str | None) -> str | None:
        """Return what a value of the source is with this vendor."""
        table = self.here.get(key, {})
        return table.get(value, value)


@dataclass
class Run:
    """What a rule set made of one ticket: where it ended, which rules acted at which update, whom they wrote to."""

    values: Values
    tags: set[str]
    fired: list[list[str]] = field(default_factory=list)  # for each update, rules in the order in which they acted
    sent: Counter[str] = field(default_factory=Counter)  # (rule, kind of message) joined, to how many
    endless: bool = False
    now: float = 0.0  # in hours since 1970, where the clock is played
    hours: Mapping[str, float | None] = field(default_factory=dict)  # as Moment has them
    moments: list[tuple[float, str]] = field(default_factory=list)  # when which rule by the clock acted
    dates: dict[str, float] = field(default_factory=dict)  # what rules set to a moment: {path: hours since 1970}


def run(side: Side, history: History) -> Run:
    """Return what the rule set makes of a ticket's life."""
    made = beginning(side, history)
    for at in range(len(history.updates)):
        played(side, made, history, at)
    return made


def beginning(side: Side, history: History) -> Run:
    """Return a ticket before its first update."""
    values = {side.key(key): side.image(key, value) for key, value in history.values.items()}
    for key in {str(one.path) for rule in side.rules for one in rule.do if isinstance(one, SetField)}:
        of, _, past = key.partition(".before:")
        if past and history.values:  # a field that remembers is moved with what is remembered
            values[key] = values.get(f"{of}.{past}")
    return Run(dict(values), set(history.tags))


def played(side: Side, made: Run, history: History, at: int) -> None:
    """Play one update, and the rules that wait for it."""
    made.fired.append([])
    _update(side, made, history.updates[at], "created" if at == 0 and history.from_start else "updated")


def _update(side: Side, made: Run, update: Update, event: str) -> None:
    before: Values = {}
    for key, value in update.changes.items():
        _put(made, before, side.key(key), side.image(key, value))
    made.tags |= update.tags_added
    made.tags -= update.tags_removed
    if event == "created":
        before = {}  # a new ticket has changed nothing
    Pass(side, made, update, event, dict(before), before).go(0)


def _put(made: Run, before: Values, key: str, value: str | None) -> bool:
    """Set a value and note what it was; say whether it is another."""
    was = made.values.get(key)
    made.values[key] = value
    if was != value:
        before.setdefault(key, was)
    return was != value


@dataclass
class Pass:
    """The rules run over one update; ``original``: what the update changed, ``so_far``: and what rules did since."""

    side: Side
    made: Run
    update: Update
    event: str
    original: Values
    so_far: Values

    def moment(self) -> Moment:
        """Return the ticket as the next rule sees it."""
        cumulative = self.side.policy.changes == "cumulative"
        before = {key: was for key, was in self.so_far.items() if self.made.values.get(key) != was}
        update, values = self.update, dict(self.made.values)
        values["comment.public"] = None if update.public is None else str(update.public).lower()
        values["comment.body"] = update.text
        requester = values.get("ticket.requester")
        if update.actor is not None and requester is not None:
            values["actor.role"] = "end_user" if update.actor == requester else "agent"
        events = {self.event} | ({"ticket_update"} if update.public is not None or self.original else set())
        if update.public is not None:
            events |= {"commented", *(("replied",) if update.public else ("noted", "noted_private"))}
        changed = before if cumulative else self.original
        return Moment(
            values, frozenset(self.made.tags), changed, frozenset(events), update.actor, hours=self.made.hours
        )

    def go(self, depth: int) -> None:
        """Run the rules as the vendor does."""
        policy, rules, order = self.side.policy, self.side.rules, self.side.ordered()
        if policy.visibility == "snapshot":
            moment = self.moment()
            due = [at for at in order if holds(rules[at].when, moment)]
            for at in due[:1] if policy.match == "first" else due:
                self.act(at, depth)
            return
        done: set[int] = set()
        waiting = list(order)
        while waiting:
            at = waiting.pop(0)
            if not holds(rules[at].when, self.moment()):
                continue
            done.add(at)
            self.act(at, depth)
            if policy.match == "first":
                return
            if policy.restart or policy.cascade == "once_each":  # from the top, each once an update
                waiting = [one for one in order if one not in done]

    def act(self, at: int, depth: int) -> bool | None:
        """Do what a rule does; where changes of rules set rules off again, a pass of their own follows.

        Return whether the comment that it writes is public, None where it writes none.
        """
        rule, name = self.side.rules[at], self.side.of[at]
        if name:
            self.made.fired[-1].append(name)
        moment, mine = self.moment(), dict[str, str | None]()
        said: bool | None = None
        for action in rule.do:
            said = self._one(action, moment, mine, name) or said
        for key, was in mine.items():
            self.so_far.setdefault(key, was)
        if self.side.policy.cascade == "recursive" and (mine or said is not None):
            if depth >= MOST_PASSES:
                self.made.endless = True
                return said
            again = Update(actor=None, public=said)
            Pass(self.side, self.made, again, "updated", mine, dict(mine)).go(depth + 1)
        return said

    def _one(self, action: Action, moment: Moment, mine: Values, name: str) -> bool | None:
        """Do one action; return whether the comment that it writes is public, None where it writes none."""
        if isinstance(action, SetField):
            value = action.value
            if isinstance(value, Days):
                held: str | None = f"in {value.days:g} days"
                self.made.dates[str(action.path)] = self.made.now + value.days * 24
            else:
                held = None if value is None else moment.resolved(value)
            if str(action.path) != "comment.public":
                _put(self.made, mine, str(action.path), held)
        elif isinstance(action, SetTags):
            if action.how == "replace":
                self.made.tags.clear()
            add = action.how != "remove"
            (self.made.tags.update if add else self.made.tags.difference_update)(action.tags)
        elif isinstance(action, Comment | Mail | Hook | Follow | Verb | Unread):
            self.made.sent[f"{name}: {action.type}"] += 1
            return action.public if isinstance(action, Comment) else None
        return None


def runs(side: Side, histories: Sequence[History]) -> list[Run]:
    """Return what the rule set makes of each ticket."""
    return [run(side, history) for history in histories]


def replayed(
    histories: Sequence[History],
    source: Side,
    destination: Side,
    keys: Sequence[str],
    *,
    play: Callable[[Side, Sequence[History]], list[Run]] = runs,
) -> dict[str, object]:
    """Return where tickets end otherwise, which rules act on one side only, and which of the recorded acts were met.

    ``play``: ``clock.lives`` where rules by the clock are among them.
    """
    rules, whose = (*source.rules, *source.timed), (*source.of, *source.timed_of)
    carried = {*destination.of, *destination.timed_of}
    acts: dict[str, Counter[str]] = {name: Counter() for name in dict.fromkeys(whose)}
    ids = {rule.id: of for rule, of in zip(rules, whose, strict=True) if rule.id}
    differ, examples, endless, messages = 0, list[dict[str, object]](), 0, Counter[str]()
    for history, one, other in zip(histories, play(source, histories), play(destination, histories), strict=True):
        endless += other.endless and not one.endless
        fields = _differences(source, destination, one, other, keys)
        for at, update in enumerate(history.updates):
            here, there = Counter(one.fired[at]), Counter(other.fired[at])
            for name in acts:
                both = min(here[name], there[name])
                acts[name].update(both=both, missed=here[name] - both, extra=there[name] - both)
                recorded = name in {ids.get(id) for id in update.fired}
                acts[name].update(recorded=recorded, reproduced=recorded and here[name] > 0)
        messages.update(one.sent - other.sent)
        messages.update({f"{key} (too many)": count for key, count in (other.sent - one.sent).items()})
        differ += bool(fields)
        if fields and len(examples) < EXAMPLES:
            examples.append(
                {"ticket": history.ticket, "fields": fields, "source": one.fired, "destination": other.fired}
            )
    return {
        "tickets": len(histories),
        "updates": sum(len(history.updates) for history in histories),
        "differ": differ,
        "endless": endless,
        "examples": examples,
        "messages": dict(messages),
        "rules": [
            {"name": name, "carried": name in carried, **{key: found[key] for key in COUNTED}}
            for name, found in acts.items()
        ],
    }


COUNTED = ("both", "missed", "extra", "recorded", "reproduced")


def _differences(source: Side, destination: Side, one: Run, other: Run, keys: Sequence[str]) -> list[dict[str, object]]:
    """Return the values in which a ticket ends otherwise, the source's told in the destination's words."""
    found: list[dict[str, object]] = []
    for key in keys:
        expected, held = destination.image(key, one.values.get(key)), other.values.get(destination.key(key))
        if expected != held:
            found.append({"field": key, "source": expected, "destination": held})
    if one.tags != other.tags:
        said = [", ".join(sorted(tags)) or None for tags in (one.tags, other.tags)]
        found.append({"field": "tags", "source": said[0], "destination": said[1]})
    return found
