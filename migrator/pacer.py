"""When the next call may go: the declared quota, the vendor's headers, and its own word when it has had enough."""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Literal

from migrator.errors import HeldError, StoppedError

WINDOW_SECONDS = 60.0
# A vendor counts a call when it arrives, at the latest when it answers. Of a slow answer we take the rest for work done
# after counting: so the quota is used to 60/61 at worst.
LATE_SECONDS = 1.0
LONGEST_ASKED_SECONDS = 3600.0  # nobody's quota is longer than an hour; a vendor that says more is not believed
SLICE_SECONDS = 1.0  # of sleep, so that a run can be stopped while it waits
LOOK_SECONDS = 0.02  # until the next look where an answer on its way decides
MOST_LOOK_SECONDS = 2.0  # to wait for the answer of a call that goes ahead
RESERVE = (
    0.01  # of the account, left free while others call: they must find room, or we never learn that they want some
)
MOST_CAUTION = 4.0
CALM_SECONDS = 300.0
MOST_LEARNED = 1000
FOREIGN_SECONDS = 120.0  # for so long after others called we expect them again
RECENT = 8  # answers by which the calls of others are judged


class Spent:
    """What one call took of one limit; ``rank`` is how much of the window was ours with it, ``ever`` of all time."""

    __slots__ = ("answered", "cost", "counted", "ever", "rank", "sent")

    def __init__(self, sent: float, cost: int, rank: int, ever: int) -> None:
        self.sent, self.counted, self.cost, self.rank, self.ever = sent, sent, cost, rank, ever
        self.answered = False


@dataclass
class Limit:
    """So many credits (mostly calls) in a minute, over the endpoints that match.

    ``per_minute`` is our part, ``total`` the whole account's. ``sliding``: in any 60 seconds; ``fixed``: the vendor
    begins to count anew each minute, which we follow where its headers tell when, and take for sliding where they do
    not. ``costs``: "METHOD /path?query" as a regular expression to credits, the first that matches; else 1.
    """

    name: str
    per_minute: int
    matching: str = ""
    total: int | None = None
    window: Literal["sliding", "fixed"] = "sliding"
    costs: Mapping[str, int] = field(default_factory=dict)
    spent: deque[Spent] = field(default_factory=deque)
    used: int = 0  # credits of ours that the vendor may still count
    ever: int = 0
    foreign: int = 0  # credits that others took, as far as the vendor told; rather too many than too few
    foreign_until: float = -math.inf  # until when others surely have some in the window
    reserve: int = 0  # credits left alone for what others do before the next answer
    caution: float = 1.0  # how much more than that, since the vendor refused a call
    look: float = 0.0  # seconds the last answer took: for so long what it told is trusted
    told_at: float = -math.inf  # when the vendor last told what is left
    held_until: float = 0.0
    on_the_way: int = 0
    turn: tuple[float, float] | None = None  # a fixed window began between these moments, and does every minute
    _seen: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    _likely: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    _batch: list[tuple[float, int, int, int]] = field(default_factory=list)  # (answered, left, ours at least, at most)
    _last: tuple[float, float, int] | None = None  # (sent, answered, left)

    def __post_init__(self) -> None:
        self._matches = re.compile(self.matching).search if self.matching else None
        self._costs = [(re.compile(pattern).search, cost) for pattern, cost in self.costs.items()]
        self._learned: dict[str, int] = {}  # calls alike to what the vendor said such a one took
        self.in_credits = bool(self.costs)

    def covers(self, name: str) -> bool:
        """Tell whether the call counts here."""
        return self._matches is None or self._matches(name) is not None

    def cost(self, name: str) -> int:
        """Return the credits a call is expected to take."""
        if not self.in_credits:
            return 1
        learned = self._learned.get(re.sub(r"\d+", "0", name))
        return learned or next((cost for matches, cost in self._costs if matches(name)), 1)

    def free_at(self, now: float, cost: int = 1, ahead: int = 0) -> float:
        """Return when so many credits fit, after those of the workers who wait ``ahead``."""
        spent = self.spent
        if spent and spent[-1].sent > now:  # a clock that went back must not hold us for as long
            for one in spent:
                one.sent, one.counted = min(one.sent, now), min(one.counted, now)
        while spent and self._frees(spent[0]) <= now:
            self._forget(spent.popleft())
        if now < self.held_until:
            return self.held_until
        most = self.per_minute
        if self.total is not None and now < self.foreign_until:
            if now < self.told_at + WINDOW_SECONDS:
                most = min(most, self.total - self.foreign - self.reserve)
            if self.on_the_way and now > self.told_at + self.look and now < spent[-1].sent + MOST_LOOK_SECONDS:
                return now + LOOK_SECONDS  # one call goes ahead and hears how much others took meanwhile
        over = self.used + cost + ahead - most
        if over <= 0:
            return now
        if not self.used and most == self.per_minute:  # more than a whole minute's: alone it may go
            return now + LOOK_SECONDS if ahead else now
        at = now if self.used else self.told_at + WINDOW_SECONDS
        for one in spent:
            over -= one.cost
            at = max(at, self._frees(one))
            if over <= 0:
                break
        return min(at, now + WINDOW_SECONDS)

    def spend(self, now: float, cost: int) -> Spent:
        """Count a call that goes now."""
        self.used += cost
        self.ever += cost
        self.on_the_way += 1
        one = Spent(now, cost, self.used, self.ever)
        self.spent.append(one)
        return one

    def answered(self, one: Spent, now: float, left: int | None) -> None:
        """Note that an answer came, and what the vendor says is left (None: nothing, or there was no answer)."""
        if one.answered:
            return
        one.answered, one.counted = True, min(now, one.sent + LATE_SECONDS)
        self.on_the_way -= 1
        if left is not None and self.total is not None:
            self._others(one, now, left, self.total)

    def correct(self, one: Spent, name: str, cost: int) -> None:
        """Note what the vendor says a call took."""
        self.used += cost - one.cost
        self.ever += cost - one.cost
        one.rank += cost - one.cost
        one.ever += cost - one.cost
        one.cost = cost
        if len(self._learned) > MOST_LEARNED:
            self._learned.clear()
        self._learned[re.sub(r"\d+", "0", name)] = cost

    def left(self) -> bool:
        """Tell whether the vendor said last that some are left."""
        return self._last is not None and self._last[2] > 0

    def began(self, earliest: float, latest: float) -> None:
        """Note that a fixed window begins between two moments."""
        if self.turn:
            minutes = round((earliest - self.turn[0]) / WINDOW_SECONDS) * WINDOW_SECONDS
            both = max(earliest, self.turn[0] + minutes), min(latest, self.turn[1] + minutes)
            if both[0] <= both[1]:
                earliest, latest = both
        self.turn = earliest, latest

    def _others(self, one: Spent, now: float, left: int, total: int) -> None:
        """Reckon what others took. Calls side by side arrive in any order, so one answer alone is not exact."""
        last, self._last = self._last, (one.sent, now, left)
        if self.window == "fixed" and last and last[1] <= one.sent and left > last[2]:
            self.began(last[0], now)
        if self.caution > 1 and self.told_at > -math.inf:
            self.caution = max(1.0, self.caution * (1 - min(1.0, (now - self.told_at) / CALM_SECONDS)))
        self.told_at = now
        ours = one.rank
        self.look = min(MOST_LOOK_SECONDS, now - one.sent)
        for each in self.spent:  # what the vendor may have let go of already, or will before the next answer
            if each.sent + WINDOW_SECONDS > now + self.look:
                break
            ours -= each.cost
        self._batch = [each for each in self._batch if each[0] > one.sent]
        self._batch.append((now, left, ours, one.rank))
        surely = total - left - one.rank - (self.ever - one.ever)  # as if all we have sent had arrived before
        if not self.on_the_way:  # then the least that any of them was told counts them all
            left, ours = min(each[1] for each in self._batch), max(each[2] for each in self._batch)
            surely = total - left - max(each[3] for each in self._batch)
            self._seen.clear()
            self._likely.clear()
        self._seen.append(total - left - ours)
        self.foreign = max(0, max(self._seen))
        self._likely.append(total - left - one.rank)
        if surely > 0 or (len(self._likely) == RECENT and sorted(self._likely)[RECENT // 2] > 0):
            self.foreign_until = now + FOREIGN_SECONDS
        room = max(total * RESERVE, 2 * self.look * self.foreign / WINDOW_SECONDS)
        self.reserve = math.ceil(room * self.caution)

    def _frees(self, one: Spent) -> float:
        at = one.counted + WINDOW_SECONDS
        if self.turn and one.answered:
            earliest, latest = self.turn
            minutes = math.ceil((one.counted - earliest) / WINDOW_SECONDS) * WINDOW_SECONDS
            at = min(at, max(one.counted, latest + minutes))
        return at

    def _forget(self, one: Spent) -> None:
        self.used -= one.cost
        if not one.answered:
            one.answered = True
            self.on_the_way -= 1


@dataclass
class Call:
    """A call that went ("METHOD /path?query"), as ``Pacer.observe`` wants it back with the answer."""

    name: str
    took: list[tuple[Limit, Spent]]


@dataclass(eq=False)
class _Waiter:
    limits: list[tuple[Limit, int]]
    blocker: Limit | None = None
    at: float = 0.0


@dataclass
class Pacer:
    """Shared by an account's workers; ``share`` leaves the rest of the quota to the customer's other integrations.

    ``cancelled``: asked before each call and at least once a second of waiting; then ``acquire`` raises StoppedError.
    """

    limits: list[Limit]
    total_header: str | None = None
    remaining_header: str | None = None
    retry_header: str = "Retry-After"
    share: float = 1.0
    by_endpoint: bool = False
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    held_until: float = 0.0
    waited_seconds: float = 0.0
    used_header: str | None = None
    reset_header: str | None = None
    cancelled: Callable[[], bool] = lambda: False
    wall: Callable[[], float] = time.time
    _waiters: list[_Waiter] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _hasty: threading.local = field(default_factory=threading.local, repr=False)

    def __post_init__(self) -> None:
        if self.used_header and self.limits and not self.counts_credits:
            self.limits[0].in_credits = True  # what a header corrects

    @property
    def counts_credits(self) -> bool:
        """Tell whether a call's query decides what it costs."""
        return any(limit.in_credits for limit in self.limits)

    @property
    def waiting_until(self) -> float | None:
        """Return when a waiting worker goes on, by ``monotonic``; None where nobody waits."""
        return min((waiter.at for waiter in list(self._waiters)), default=None)

    def waits_seconds(self) -> float:
        """Return for how long yet nobody may go, 0 where somebody may."""
        return max(0.0, (self.waiting_until or 0.0) - self.monotonic())

    def fits(self, calls: int = 1) -> bool:
        """Tell whether so many calls may go now, as far as the limits go that every call counts in."""
        with self._lock:
            now = self.monotonic()
            whole = [limit for limit in self.limits if not limit.matching]
            return self.held_until <= now and all(limit.free_at(now, calls) <= now for limit in whole)

    @contextmanager
    def hasty(self) -> Iterator[None]:
        """Let this thread's next call go at once or not at all: ``acquire`` raises HeldError in place of a long wait.

        Those after it wait as ever, so that nothing which was begun is given up.
        """
        self._hasty.on = True
        try:
            yield
        finally:
            self._hasty.on = False

    @property
    def waiting_for(self) -> str:
        """Return what the workers wait for, such as "quota 'account', 12 s"; empty where nobody waits."""
        first = min(list(self._waiters), key=lambda waiter: waiter.at, default=None)
        if first is None:
            return ""
        why = f"quota '{first.blocker.name}'" if first.blocker else "the vendor's pause"
        return f"{why}, {max(0.0, first.at - self.monotonic()):.0f} s"

    def acquire(self, name: str, query: str = "") -> Call:
        """Wait until the call ``"METHOD /path"`` may go, and count it. Raises StoppedError once ``cancelled``.

        Raises HeldError for a ``hasty`` call that would have to wait.
        """
        waits = self.waits(name, query)
        while True:
            try:
                seconds = next(waits)
            except StopIteration as done:
                call: Call = done.value
                return call
            self.sleep(seconds)

    def waits(self, name: str, query: str = "") -> Generator[float, None, Call]:
        """Yield seconds to let pass, a second at most, until the call may go; return it.

        Who waits for the same limit goes in the order of coming; who does not use that limit passes by.
        """
        waiter: _Waiter | None = None
        mine = [limit for limit in self.limits if limit.covers(name)]
        whole = f"{name}?{query}" if query else name
        wanted = [(limit, limit.cost(whole)) for limit in mine]
        try:
            while True:
                if self.cancelled():
                    raise StoppedError(f"{name}: stopped before it was sent")
                with self._lock:
                    now = self.monotonic()
                    at, blocker = self._next(wanted, waiter, now)
                    if at <= now:
                        self._hasty.on = False
                        return Call(whole, [(limit, limit.spend(now, cost)) for limit, cost in wanted])
                    if at > now + SLICE_SECONDS and getattr(self._hasty, "on", False):
                        raise HeldError(f"{name}: kept by the quota for {at - now:.0f} s")
                    if waiter is None:
                        waiter = _Waiter(wanted)
                        self._waiters.append(waiter)
                    waiter.at, waiter.blocker = at, blocker
                    seconds = min(SLICE_SECONDS, at - now)
                    self.waited_seconds += seconds
                yield seconds
        finally:
            if waiter is not None:
                with self._lock:
                    self._waiters.remove(waiter)

    def pause(self, seconds: float, sleep: Callable[[float], None] | None = None) -> None:
        """Sleep in slices. Raises StoppedError once ``cancelled``."""
        while seconds > 0:
            if self.cancelled():
                raise StoppedError("stopped while waiting")
            (sleep or self.sleep)(min(SLICE_SECONDS, seconds))
            seconds -= SLICE_SECONDS

    def observe(self, headers: Mapping[str, str], name: str = "", call: Call | None = None) -> None:
        """Follow what the vendor says of its limits: of the account (the first limit), or of the endpoint called.

        ``call``: what ``acquire`` returned. It is given back even where no answer came, with no headers.
        """
        total, left, used, reset = (
            _number(headers.get(header)) if header else None
            for header in (self.total_header, self.remaining_header, self.used_header, self.reset_header)
        )
        with self._lock:
            now = self.monotonic()
            meant = [limit for limit, _ in call.took] if call else [one for one in self.limits if one.covers(name)]
            told = meant[-1 if self.by_endpoint else 0] if meant else None
            if told and total:
                told.total, told.per_minute = max(1, int(total)), max(1, int(total * self.share))
            for limit, one in call.took if call else ():
                if used and call and limit.in_credits and not one.answered:
                    limit.correct(one, call.name, int(used))
                limit.answered(one, now, int(left) if left is not None and limit is told else None)
                if limit is told and limit.window == "fixed" and reset is not None and reset <= WINDOW_SECONDS:
                    limit.began(one.sent + reset - 1, now + reset + 1)  # whole seconds, rounded up or down

    def retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Return the seconds the vendor asks us to wait, said as a number or as a date; an hour at most."""
        said = headers.get(self.retry_header)
        seconds = _number(said)
        if seconds is None and said:
            until = date(said)
            now = date(headers.get("Date", "")) or self.wall()  # by the vendor's clock, where it tells it
            seconds = until - now if until and until > now else None
        return min(seconds, LONGEST_ASKED_SECONDS) if seconds is not None else None

    def hold(self, seconds: float, call: Call | None = None) -> None:
        """Let nobody call for so long. After a refused ``call`` only its endpoint, where the account has some left."""
        with self._lock:
            until = self.monotonic() + min(seconds, LONGEST_ASKED_SECONDS)
            for limit, _ in call.took if call else ():
                limit.turn = None  # whatever we took for the window, the vendor sees it otherwise
                limit.caution = min(MOST_CAUTION, 2 * limit.caution)
            if call and len(call.took) > 1 and not self.by_endpoint and call.took[0][0].left():
                narrow = call.took[-1][0]
                narrow.held_until = max(narrow.held_until, until)
            else:
                self.held_until = max(self.held_until, until)

    def _next(self, wanted: list[tuple[Limit, int]], waiter: _Waiter | None, now: float) -> tuple[float, Limit | None]:
        """Return when the call may go, and what keeps it."""
        at, blocker = self.held_until, None
        for limit, cost in wanted:
            ahead = 0
            for earlier in self._waiters:
                if earlier is waiter:
                    break
                if earlier.blocker is limit:
                    ahead += next(theirs for each, theirs in earlier.limits if each is limit)
            free = limit.free_at(now, cost, ahead)
            if free > max(at, now):
                at, blocker = free, limit
        return at, blocker


def _number(text: str | None) -> float | None:
    """Return a vendor's number; None for what is none, is endless or below nothing."""
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def date(text: str) -> float | None:
    """Return an HTTP date as seconds since 1970; None for what is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
