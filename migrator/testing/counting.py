"""Which of many requests harm strikes: the same for a sandbox and for what stands before a true server."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass
class Counted:
    """Strikes the ``at``-th request from now (1 is the next) and ``times`` in all, among those whose name matches."""

    how: str
    at: int = 1
    matching: str = ""
    times: int = 1
    seen: int = 0

    def strikes(self, name: str) -> bool:
        """Count a request and tell whether it is the one."""
        if not re.search(self.matching, name):
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times
