"""An account's working hours, for rules that count them: its first schedule, in the time of its place."""

from __future__ import annotations

from typing import Any

from migrator.rules.clock import Calendar, zone

from .reading import rule

# Rails' names of zones that are no part of a name in the zone database; the others are a city's.
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


def calendar(document: Any) -> Calendar | None:
    """Return the hours of the first of ``schedules``, which holds for tickets that no rule gave another."""
    held = document.get("schedules") if isinstance(document, dict) else None
    if not held or not isinstance(held[0], dict):
        return None
    named = str(held[0].get("time_zone") or "")
    read, place = rule(held[0], "schedule"), zone(ZONES.get(named, named))
    return Calendar(read.shifts, read.holidays, place) if place and read.shifts else None
