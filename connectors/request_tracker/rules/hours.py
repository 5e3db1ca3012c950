"""Working hours and days off for Request Tracker's configuration (%ServiceBusinessHours), as Business::Hours has them.

Source: RT_Config.pm and lib/RT/SLA.pm of 5.0.3, Business/Hours.pm of Debian's libbusiness-hours-perl, read 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, timedelta
from itertools import pairwise
from typing import Any

from migrator.rules.clock import Calendar
from migrator.rules.rule import Holiday

Native = dict[str, Any]
HOURS_FILE = "migrator_hours.pm"
DEFAULT = "Default"
DAY = 24 * 60
NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
HOLIDAYS = "holidays"
MOST_DAYS = 3660  # of one holiday; more is no day off
REACH_WEEKS = 4  # Business::Hours looks 30 days ahead, and gives the moment -1 for what lies beyond
HEAD = """# Working hours and days off, drafted by migrator: look them over, put this file into RT_SiteConfig.d,
# restart. There can be one %ServiceBusinessHours only: where you have one, put these into it. "Default" holds for
# whatever names none: it is the first of the old desk's. The time zone is said with each level (Timezone).
use utf8;
"""


def described(calendars: Mapping[str, Calendar]) -> Native:
    """Return %ServiceBusinessHours: each calendar under its name, and the first once more as ``Default``."""
    made = {name: _week(calendar) for name, calendar in calendars.items()}
    first = next(iter(made.values()))
    return {DEFAULT: first, **made}


def _week(calendar: Calendar) -> Native:
    week: Native = {}
    for day, name in enumerate(NAMES):
        cut = ((max(one.begins, day * DAY), min(one.ends, (day + 1) * DAY)) for one in calendar.shifts)
        spans = _joined([(begins - day * DAY, ends - day * DAY) for begins, ends in cut if begins < ends])
        if not spans:
            continue
        week[str(day)] = {"Name": name, "Start": _clock(spans[0][0]), "End": _clock(spans[-1][1])}
        between = list(pairwise(spans))
        if between:
            breaks = [{"Start": _clock(one[1]), "End": _clock(other[0])} for one, other in between]
            week[str(day)]["Breaks"] = breaks
    off = sorted({day for one in calendar.holidays for day in days(one)})
    return {**week, HOLIDAYS: off} if off else week


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans of a day in their order, those that touch as one."""
    made: list[tuple[int, int]] = []
    for begins, ends in sorted(spans):
        if made and begins <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], ends))
        else:
            made.append((begins, ends))
    return made


def _clock(minutes: int) -> str:
    """Return a time of the day; midnight at its end is 00:00, which is read so where it is no later than the start."""
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def days(holiday: Holiday) -> list[str]:
    """Return each day of a holiday as a date of its year; none where it has no such dates."""
    try:
        first, last = date.fromisoformat(holiday.first[:10]), date.fromisoformat((holiday.last or holiday.first)[:10])
    except ValueError:
        return []
    if not 0 <= (last - first).days <= MOST_DAYS:
        return []
    return [(first + timedelta(days=at)).isoformat() for at in range((last - first).days + 1)]


def zone_name(calendar: Calendar) -> str:
    """Return the name of a calendar's time zone."""
    return "UTC" if calendar.zone is UTC else str(getattr(calendar.zone, "key", calendar.zone))


def reach(calendar: Calendar) -> int:
    """Return how many minutes surely lie within what Business::Hours looks ahead, days off aside."""
    return REACH_WEEKS * sum(one.ends - one.begins for one in calendar.shifts)
