"""Working hours written as an inbox's week: one span a day, in a time zone that has a name of the zone database."""

from __future__ import annotations

import json
from typing import Any

from migrator.rules.clock import zone
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Rule
from migrator.rules.verdicts import Translation

Native = dict[str, Any]
DAY = 24 * 60
OF_ITS_OWN = "_inbox"  # the inbox of Chatwoot's own hours; of anybody else's: the one that tickets come into
ZONES = ("time_zone", "timezone")  # options that readers keep it in
NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def week(source: Rule, book: Notebook) -> Translation:
    """Return the hours of an inbox; days with a break have none there."""
    told = {key: json.loads(held) for key, held in source.options}
    own = "UTC" if source.vendor == "chatwoot" else None  # a new inbox's
    named = next((str(told[key]) for key in ZONES if told.get(key)), own)
    place = zone(named) if named else None
    if place is None:
        book.add("rule", source.name, "untranslatable", f"which time zone is “{named or 'none'}” there?")
        return book.done()
    if source.vendor != "chatwoot":
        book.add("rule", source.name, "equivalent", "as the hours of the inbox that tickets come into")
    days = [_day(source, day, book) for day in range(7)]
    whose = {OF_ITS_OWN: source.name} if source.vendor == "chatwoot" else {}
    return book.done({"timezone": place.key, "working_hours": days, **whose})


def _day(source: Rule, day: int, book: Notebook) -> Native:
    spans = [
        (max(one.begins - day * DAY, 0), min(one.ends - day * DAY, DAY))
        for one in source.shifts
        if one.begins < (day + 1) * DAY and one.ends > day * DAY
    ]
    made: Native = {"day_of_week": day, "closed_all_day": not spans, "open_all_day": spans == [(0, DAY)]}
    if not spans or made["open_all_day"]:
        return made
    begins, ends = min(one for one, _ in spans), max(other for _, other in spans)
    if sum(other - one for one, other in spans) < ends - begins:
        note = "an inbox is open once a day: the break counts as open"
        book.add("rule", f"the hours of {NAMES[day]}", "approximated", note)
    if ends == DAY:  # 24:00 is no hour there
        ends -= 1
        book.add("rule", f"the hours of {NAMES[day]}", "equivalent", "until 23:59, which there is midnight")
    told = {"open": begins, "close": ends}
    return made | {f"{word}_hour": at // 60 for word, at in told.items()} | {
        f"{word}_minutes": at % 60 for word, at in told.items()
    }  # fmt: skip
