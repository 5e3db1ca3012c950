"""An account's working hours, for rules that count them: its first schedule, in the time of its place."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from migrator.rules.clock import Calendar

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
    read, place = rule(held[0], "schedule"), _zone(str(held[0].get("time_zone") or ""))
    return Calendar(read.shifts, read.holidays, place) if place and read.shifts else None


def _zone(name: str) -> ZoneInfo | None:
    """Return the zone that Zendesk calls so: Rails' names are cities'. None where none, or several, are called so."""
    known = available_timezones()
    city = name.replace(" ", "_")
    found = {one for one in known if one.rpartition("/")[2] == city and one.partition("/")[0] in REGIONS}
    exact = ZONES.get(name) or (name if name in known else None) or (found.pop() if len(found) == 1 else None)
    return ZoneInfo(exact) if exact else None


REGIONS = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Pacific", "Indian")
