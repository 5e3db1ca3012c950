"""An account's working hours, for rules that count them, each schedule in the time of its place; the first holds."""

from __future__ import annotations

from typing import Any

from migrator.rules.clock import Calendar, zone

from .reading import rule


def calendar(document: Any) -> Calendar | None:
    """Return the hours of the first of ``schedules``, which holds for tickets that no rule gave another."""
    held = document.get("schedules") if isinstance(document, dict) else None
    found = _one(held[0]) if held else None
    return found[1] if found else None


def calendars(document: Any) -> dict[str, Calendar]:
    """Return the hours of all ``schedules`` by their names, the first first; none where the first cannot be read."""
    held = document.get("schedules") if isinstance(document, dict) else None
    found = [_one(one) for one in held or ()]
    return dict(one for one in found if one) if found and found[0] else {}


def _one(native: Any) -> tuple[str, Calendar] | None:
    if not isinstance(native, dict):
        return None
    read, place = rule(native, "schedule"), zone(str(native.get("time_zone") or ""))
    return (read.name, Calendar(read.shifts, read.holidays, place)) if place and read.shifts else None
