"""When the next call may go: the declared quota, the vendor's headers, and its own word when it has had enough."""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class Limit:
    """So many calls in any 60 seconds, over the endpoints that match."""

    name: str
    per_minute: int
    matching: str = ""
    calls: deque[float] = field(default_factory=deque)

    def free_at(self, now: float) -> float:
        """Return when the next call fits."""
        while self.calls and self.calls[0] <= now - 60:
            self.calls.popleft()
        if len(self.calls) < self.per_minute:
            return now
        return self.calls[len(self.calls) - self.per_minute] + 60


@dataclass
class Pacer:
    """Shared by an account's workers; ``share`` leaves the rest of the quota to the customer's other integrations."""

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
    waiting_for: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def acquire(self, name: str) -> None:
        """Wait until the call ``"METHOD /path"`` may go, and count it."""
        while True:
            with self._lock:
                now = self.monotonic()
                mine = [limit for limit in self.limits if re.search(limit.matching, name)]
                at, why = max(
                    [(limit.free_at(now), f"quota '{limit.name}'") for limit in mine]
                    + [(self.held_until, "the vendor's pause")]
                )
                if at <= now:
                    for limit in mine:
                        limit.calls.append(now)
                    self.waiting_for = ""
                    return
                self.waited_seconds += at - now
                self.waiting_for = f"{why}, {at - now:.0f} s"
            self.sleep(at - now)

    def observe(self, headers: Mapping[str, str], name: str = "") -> None:
        """Follow what the vendor says of its limits: of the account (the first limit), or of the endpoint called."""
        total = _number(headers.get(self.total_header)) if self.total_header else None
        if total:
            with self._lock:
                meant = [limit for limit in self.limits if re.search(limit.matching, name)]
                if meant:
                    meant[-1 if self.by_endpoint else 0].per_minute = max(1, int(total * self.share))

    def retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Return the seconds the vendor asks us to wait."""
        return _number(headers.get(self.retry_header))

    def hold(self, seconds: float) -> None:
        """Let nobody call for so long."""
        with self._lock:
            self.held_until = max(self.held_until, self.monotonic() + seconds)


def _number(text: str | None) -> float | None:
    """Return a vendor's number; None for what is none, is endless or below nothing."""
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
