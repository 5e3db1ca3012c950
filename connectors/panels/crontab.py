"""The lines of a crontab: jobs, and the settings above them that count for those below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

Native = dict[str, Any]


def jobs(lines: Iterable[str]) -> Iterator[Native]:
    """Yield the jobs, each with its place as ``id``, ``mail_to`` (who gets what it prints) and other ``variables``."""
    mail_to, number, others = "", 0, dict[str, str]()
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if found := re.match(r"([A-Za-z_]\w*)\s*=\s*(.*)", line):
            if found[1] == "MAILTO":
                mail_to = found[2].strip("\"'")
            else:
                others = {**others, found[1]: found[2].strip("\"'")}
            continue
        words = line.split(None, 1 if line.startswith("@") else 5)
        if len(words) in (2, 6):
            number += 1
            made: Native = {"id": f"{number:05}", "schedule": " ".join(words[:-1]), "command": words[-1]}
            yield made | {"mail_to": mail_to or None} | ({"variables": others} if others else {})
