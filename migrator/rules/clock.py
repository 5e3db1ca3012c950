"""Rule sets that also run by the clock, played through time: what people did, and every run in which a rule may act.

All tickets are played side by side, since a vendor takes only so many of them in one run. The clock ticks as far as the
histories reach, and no further: what would have happened after the last update of all is nobody's knowledge.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from migrator.rules.conditions import SCALES, Elapsed, leaves
from migrator.rules.meaning import BUSINESS, Moment, holds
from migrator.rules.replay import History, Pass, Run, Side, Update, beginning, played
from migrator.rules.rule import ClockPolicy, Holiday, PassPolicy, Shift

# Names of zones as Ruby on Rails has them, and so several vendors, where they are not a city's of the zone database.
ZONES = {
    "Eastern Time (US & Canada)": "America/New_York",
    "Central Time (US & Canada)": "America/Chicago",
    "Mountain Time (US & Canada)": "America/Denver",
    "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Atlantic Time (Canada)": "America/Halifax",
    "Edinburgh": "Europe/London",
    "Bern": "Europe/Zurich",
    "Mumbai": "Asia/Kolkata",
    "New Delhi": "Asia/Kolkata",
    "Beijing": "Asia/Shanghai",
    "Osaka": "Asia/Tokyo",
    "Canberra": "Australia/Sydney",
    "Wellington": "Pacific/Auckland",
}
REGIONS = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
ANCHORS = frozenset({"created", "updated", "assigned", "requester_updated", "assignee_updated"}) | {
    f"status:{word}" for word in SCALES["status"]
}
MOST_ACTS = 200  # of rules by the clock on one ticket: then they go on without end
FOREVER_DAYS = 800  # where working hours are looked for no further


@dataclass(frozen=True)
class Calendar:
    """Working hours, in the time of a place. ``shifts``: minutes since Sunday midnight."""

    shifts: tuple[Shift, ...]
    holidays: tuple[Holiday, ...] = ()
    zone: tzinfo = UTC

    def spans(self, since: float) -> Iterable[tuple[float, float]]:
        """Yield working time as (begins, ends) from the day of ``since`` on, in hours since 1970."""
        day = datetime.fromtimestamp(since * 3600, self.zone).date()
        for _ in range(FOREVER_DAYS):
            weekday = (day.weekday() + 1) % 7  # from Sunday
            if not any(one.first <= day.isoformat() <= one.last for one in self.holidays):
                for shift in self.shifts:
                    begins, ends = max(shift.begins, weekday * 1440), min(shift.ends, (weekday + 1) * 1440)
                    if begins < ends:
                        yield self._hour(day, begins - weekday * 1440), self._hour(day, ends - weekday * 1440)
            day += timedelta(days=1)

    def _hour(self, day: date, minutes: int) -> float:
        midnight = datetime(day.year, day.month, day.day)
        return (midnight + timedelta(minutes=minutes)).replace(tzinfo=self.zone).timestamp() / 3600

    def between(self, since: float, until: float) -> float:
        """Return the working hours between two moments."""
        total = 0.0
        for begins, ends in self.spans(since):
            if begins >= until:
                break
            total += max(0.0, min(ends, until) - max(begins, since))
        return total

    def after(self, since: float, hours: float) -> float | None:
        """Return the moment by which so many working hours have passed; None where that is too far."""
        for begins, ends in self.spans(since):
            length = max(0.0, ends - max(begins, since))
            if length >= hours and ends > since:
                return max(begins, since) + hours
            hours -= length
        return None


def zone(name: str) -> ZoneInfo | None:
    """Return the time zone of a name: the zone database's, or a city's; None where none, or several, are called so."""
    known = available_timezones()
    city = name.replace(" ", "_")
    found = {one for one in known if one.rpartition("/")[2] == city and one.partition("/")[0] in REGIONS}
    exact = ZONES.get(name) or (name if name in known else found.pop() if len(found) == 1 else None)
    return ZoneInfo(exact) if exact else None


@dataclass
class _Life:
    """A ticket on its way. ``since``: when each anchor was; ``acts``: how often rules by the clock acted on it."""

    history: History
    made: Run
    since: dict[str, float] = field(default_factory=dict)
    acts: int = 0


def folded(history: History) -> History:
    """Return the history without updates in which people did nothing: what rules did in them is played anew.

    That they acted is kept with the update before.
    """
    kept: list[Update] = []
    for one in history.updates:
        idle = not (one.changes or one.tags_added or one.tags_removed or one.public is not None)
        if kept and idle and one.fired:
            kept[-1] = replace(kept[-1], fired=kept[-1].fired | one.fired)
        else:
            kept.append(one)
    return replace(history, updates=tuple(kept))


def told(calendar: Calendar | None) -> frozenset[str]:
    """Return since when hours are known, as ``meaning.answered`` takes them."""
    return ANCHORS | (frozenset(f"{BUSINESS}{anchor}" for anchor in ANCHORS) if calendar else frozenset())


def lives(side: Side, histories: Sequence[History], *, until: float, calendar: Calendar | None = None) -> list[Run]:
    """Return what the rule set makes of all tickets; each update needs its moment, in hours since 1970."""
    return _World(side, histories, until, calendar).run()


class _World:
    """All tickets, and the runs that are due: {number of the run: {ticket: places of the rules that may act on it}}."""

    def __init__(self, side: Side, histories: Sequence[History], until: float, calendar: Calendar | None) -> None:
        self.side, self.calendar = side, calendar
        self.clock = side.clock or ClockPolicy(order="none")
        self.every = self.clock.minutes / 60
        self.last = math.floor(until / self.every)
        # A rule by the clock by itself: what it changes sets off no other of them.
        alone = PassPolicy(order=self.clock.order, visibility="current", changes="original", cascade="none")
        self.timed = Side(side.timed, alone, side.timed_of)
        self.order = self.timed.ordered()
        self.all = frozenset(range(len(side.timed)))
        asked = [(at, leaf) for at, rule in enumerate((*side.timed, *side.rules)) for leaf in leaves(rule.when)]
        self.asked = [leaf for _, leaf in asked if isinstance(leaf, Elapsed)]
        self.turns = [(at, leaf) for at, leaf in asked if at in self.all and isinstance(leaf, Elapsed)]
        self.lives = [_Life(one, beginning(side, one)) for one in histories]
        self.due: defaultdict[int, dict[int, frozenset[int]]] = defaultdict(dict)
        self.runs: list[int] = []

    def run(self) -> list[Run]:
        happened = sorted(
            (one.at or 0.0, ticket, at)
            for ticket, life in enumerate(self.lives)
            for at, one in enumerate(life.history.updates)
        )
        for moment, ticket, at in happened:
            self.tick(before=moment)
            self.update(ticket, at, moment)
        self.tick(before=math.inf)
        return [life.made for life in self.lives]

    # ---- what people do ---------------------------------------------------------------------------------------------

    def update(self, ticket: int, at: int, now: float) -> None:
        """Play an update and the rules that wait for it."""
        life = self.lives[ticket]
        was = dict(life.made.values)
        one = life.history.updates[at]
        if at == 0:
            life.since["created"] = now
        life.made.now, life.made.hours = now, self.hours(life, now)
        played(self.side, life.made, life.history, at)
        requester, assignee = (life.made.values.get(f"ticket.{who}") for who in ("requester", "assignee"))
        for who, anchor in ((requester, "requester_updated"), (assignee, "assignee_updated")):
            if one.actor is not None and one.actor == who:
                life.since[anchor] = now
        self.note(ticket, was, now, math.ceil(now / self.every), first=at == 0)

    def note(self, ticket: int, was: dict[str, str | None], now: float, least: int, *, first: bool = False) -> None:
        """Remember since when a ticket is what it is, and in which runs, from ``least`` on, it has to be looked at."""
        life = self.lives[ticket]
        values = life.made.values
        life.since["updated"] = now
        status, assignee = self.side.key("ticket.status"), self.side.key("ticket.assignee")
        if first or values.get(status) != was.get(status):
            life.since[f"status:{values.get(status)}"] = now
        if values.get(assignee) is not None and (first or values.get(assignee) != was.get(assignee)):
            life.since["assigned"] = now
        life.since |= {f"field:{path}": moment for path, moment in life.made.dates.items()}
        self.look(ticket, least, self.all)
        for at, leaf in self.turns:
            for run in self._turns(life, leaf):
                if run > least:
                    self.look(ticket, run, frozenset((at,)))

    def _turns(self, life: _Life, leaf: Elapsed) -> Iterable[int]:
        """Yield the runs at which the answer to a condition over time may turn."""
        since = life.since.get(leaf.anchor)
        for hours in (leaf.hours, leaf.hours + 1) if since is not None else ():
            start = self._start(since or 0.0)
            if leaf.clock == "business" and self.calendar is not None:
                moment = self.calendar.after(start, hours)
            else:
                moment = start + hours
            if moment is not None:
                run = math.ceil(round(moment / self.every, 6))
                yield from (run, run + 1)

    # ---- the clock --------------------------------------------------------------------------------------------------

    def look(self, ticket: int, run: int, rules: frozenset[int]) -> None:
        """Have a ticket looked at in a run, by these rules."""
        if run <= self.last:
            if run not in self.due:
                heapq.heappush(self.runs, run)
            self.due[run][ticket] = self.due[run].get(ticket, frozenset()) | rules

    def tick(self, *, before: float) -> None:
        """Make every run that is due before a moment."""
        while self.runs and self.runs[0] * self.every < before:
            run = heapq.heappop(self.runs)
            self.go(run, dict(sorted(self.due.pop(run).items())))

    def go(self, run: int, tickets: dict[int, frozenset[int]]) -> None:
        """Let each rule act on the tickets it takes, as many as the vendor allows in one run."""
        now = run * self.every
        seen: dict[int, Moment | None] = {}  # each ticket as it is now; None where it is passed over
        for at in self.order:
            taken = 0
            for ticket, rules in tickets.items():
                if at not in rules:
                    continue
                if ticket not in seen:
                    seen[ticket] = self._seen(self.lives[ticket], now)
                moment = seen[ticket]
                if moment is None or not holds(self.timed.rules[at].when, moment):
                    continue
                if self.clock.most is not None and taken >= self.clock.most:
                    self.look(ticket, run + 1, frozenset((at,)))
                    continue
                taken += 1
                self.act(at, ticket, run)
                tickets[ticket] = self.all  # what it changed, the rules after it see
                del seen[ticket]

    def _passed_over(self, life: _Life, now: float) -> bool:
        """Say whether the vendor does not look at a ticket at all, or no longer."""
        if not life.since or life.acts >= (self.clock.acts or MOST_ACTS):
            life.made.endless |= bool(life.since) and self.clock.acts is None
            return True
        days = self.clock.within_days
        stale = days is not None and now - life.since["updated"] > days * 24
        return stale or life.made.values.get(self.side.key("ticket.status")) in self.clock.skips

    def _seen(self, life: _Life, now: float) -> Moment | None:
        if self._passed_over(life, now):
            return None
        life.made.now, life.made.hours = now, self.hours(life, now)
        return Pass(self.timed, life.made, Update(None), "ticked", {}, {}).moment()

    def act(self, at: int, ticket: int, run: int) -> None:
        """Let a rule act on a ticket, and what waits for updates act on what it changed."""
        life = self.lives[ticket]
        was, tags = dict(life.made.values), set(life.made.tags)
        alone = Pass(self.timed, life.made, Update(None), "ticked", {}, {})
        said = alone.act(at, 0)
        life.acts += 1
        life.made.moments.append((run * self.every, self.timed.of[at]))
        changed = bool(alone.so_far) or tags != life.made.tags or said is not None
        if changed and self.clock.sets_off:
            set_off = Update(None, public=said)
            Pass(self.side, life.made, set_off, "updated", dict(alone.so_far), dict(alone.so_far)).go(0)
        if changed:
            self.note(ticket, was, run * self.every, run + 1)
        self.look(ticket, run + 1, frozenset((at,)))

    # ---- hours ------------------------------------------------------------------------------------------------------

    def _start(self, since: float) -> float:
        """Return when the count begins: where the vendor counts its own runs, with the first that sees it."""
        return math.ceil(round(since / self.every, 6)) * self.every if self.clock.whole else since

    def hours(self, life: _Life, now: float) -> dict[str, float | None]:
        """Return the hours since each anchor that rules ask for; None for what never happened."""
        found: dict[str, float | None] = {}
        for leaf in self.asked:
            since = life.since.get(leaf.anchor)
            business = leaf.clock == "business"
            key = f"{BUSINESS}{leaf.anchor}" if business else leaf.anchor
            if key in found:
                continue
            if since is None:
                found[key] = None
            elif business and self.calendar is not None:
                hours = self.calendar.between(self._start(since), now)
                found[key] = float(math.floor(round(hours, 6))) if self.clock.whole else hours
            else:
                found[key] = max(0.0, round(now - self._start(since), 6)) if self.clock.whole else now - since
        return found
