"""What `migrator check` tries at a panel, one attempt after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from migrator.connector import Finding
from migrator.errors import MigratorError

Attempt = tuple[str, Callable[[], Any]]


def findings(attempts: Iterable[Attempt], *, ends: Callable[[str], bool]) -> list[Finding]:
    """Return what came of each attempt; after one that failed and ``ends`` all, nothing more is tried."""
    found: list[Finding] = []
    for what, attempt in attempts:
        try:
            attempt()
            found.append(Finding(what, True))
        except MigratorError as err:
            found.append(Finding(what, False, str(err)))
            if ends(what):
                break
    return found
