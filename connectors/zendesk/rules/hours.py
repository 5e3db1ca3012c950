"""An account's working hours, for rules that count them: its first schedule, in the time of its place."""

from __future__ import annotations

from typing import Any

from migrator.rules.clock import Calendar, zone

from .reading import rule


def calendar(document: Any) -> Calendar | None:
    """Return the hours of the first of ``schedules``, which holds for tickets that no rule gave another."""
    held = document.get("schedules") if isinstance(document, dict) else None
    if not held or not isinstance(held[0], dict):
        return None
    read, place = rule(held[0], "schedule"), zone(str(held[0].get("time_zone") or ""))
    return Calendar(read.shifts, read.holidays, place) if place and read.shifts else None
