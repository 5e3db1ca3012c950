"""Promises and working hours written as Zammad's: SLAs, one a priority, and calendars."""

from __future__ import annotations

from typing import Any

from migrator.rules.conditions import All, Condition, Is, Lit, path
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Target
from migrator.rules.verdicts import Translation

from . import names
from .conditions import Conditions

Native = dict[str, Any]


def calendar(book: Notebook) -> Translation:
    """Return working hours; a time that ends with the day is written 23:59, which Zammad takes for it."""
    source = book.rule
    frames: dict[str, list[list[str]]] = {day: [] for day in names.DAYS}
    for shift in source.shifts:
        begins, whole = shift.begins, 7 * 1440
        while begins < shift.ends:  # a shift over midnight is one of each day
            day = begins // 1440
            until = min(shift.ends, (day + 1) * 1440)
            ends = "23:59" if until == (day + 1) * 1440 else _clock(until)
            frames[names.DAYS[begins % whole // 1440]].append([_clock(begins), ends])
            begins = until
    hours = {day: {"active": bool(times), "timeframes": sorted(times)} for day, times in frames.items()}
    if not source.shifts:
        book.add("rule", "no working hours", "untranslatable", "Zammad takes no calendar without any")
    return book.done({"name": source.name, "business_hours": hours})


def _clock(minutes: int) -> str:
    return f"{minutes % 1440 // 60:02d}:{minutes % 60:02d}"


def ordered(book: Notebook) -> str:
    """Return the name; where rules run in an order, it stands in the name."""
    source = book.rule
    if source.kind not in ("trigger", "timed", "sla") or source.position is None:
        return source.name
    book.add("rule", f"position {source.position}", "equivalent", "Zammad runs rules in the order of their names")
    return f"{source.position:03d} {source.name}"


def slas(book: Notebook, writes: Conditions) -> Translation:
    """Return one SLA a priority, since Zammad's have one time each; their conditions exclude each other."""
    source = book.rule
    if source.description:
        book.add("rule", f"the description “{source.description}”", "equivalent", "an SLA has none there")
    for key, value in source.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    name = ordered(book)
    priorities = list(dict.fromkeys(target.priority for target in source.targets))
    made: list[Native] = []
    for priority in priorities:
        times: Native = {}
        for target in source.targets:
            if target.priority == priority:
                times |= _time(book, writes, target)
        if not times:
            continue
        when: Condition = source.when
        if priority:
            asked = Is(path=path("ticket.priority"), values=(Lit(value=priority),))
            when = All(of=(source.when, asked))
        clocks = {target.business for target in source.targets if target.priority == priority}
        if len(clocks) > 1:
            note = "an SLA has one calendar for all its times: working hours"
            book.add("targets", f"clocks of {priority or 'all'}", "approximated", note)
        business = any(target.business for target in source.targets if target.priority == priority)
        calendar = "default" if business else names.AROUND_THE_CLOCK
        book.need("calendar", calendar, "the hours in which an SLA's time runs")
        calendars = {"calendar_id": f"<calendar:{calendar}>"}
        made.append({"name": f"{name} {priority}".strip(), "condition": writes.whole(when), **times, **calendars})
    if len(made) > 1:
        book.add("rule", "a time for each priority", "equivalent", f"{len(made)} SLAs, one for each priority")
    return book.done(*made)


def _time(book: Notebook, writes: Conditions, target: Target) -> Native:
    what = f"{target.metric.replace('_', ' ')} in {target.seconds // 60} minutes for {target.priority or 'all'}"
    key = names.METRIC_NAMES.get(target.metric)
    if target.metric in names.CLOCKS:
        return _whole(book, writes, target, what)
    if target.metric in ("periodic_update", "pausable_update"):
        book.add("targets", what, "approximated", "Zammad's update time starts with every message of the customer")
        return {"update_time": -(-target.seconds // 60)}
    if key is None:
        book.add("targets", what, "untranslatable", "Zammad does not measure this time")
        return {}
    whole = "" if target.seconds % 60 == 0 else "in whole minutes; "
    book.add("targets", what, "equivalent", f"{whole}where a state ignores escalation, this clock stops too")
    return {key: -(-target.seconds // 60)}


def _whole(book: Notebook, writes: Conditions, target: Target, what: str) -> Native:
    """Return a time of a whole ticket as the solution time, and note what that rests on.

    States that ignore escalation stop the clock (lib/escalation/ticket_biz_break.rb); of what was closed once nothing
    is counted, until a trigger forgets that (lib/escalation.rb; attribute_updates.rb takes every column).
    """
    clocks = {one.metric for one in book.rule.targets if one.metric in names.CLOCKS}
    if target.metric != min(clocks, key=list(names.CLOCKS).index):
        book.add("targets", what, "untranslatable", "there is one clock for a whole ticket, and it is taken")
        return {}
    for word in ("pending", "hold", "solved"):  # of the others Zammad's own switches are right
        counted = "counts" if word in names.CLOCKS[target.metric] else "ignores escalation"
        because = "a switch of the state, “ignore escalation” (Manage, Objects, Ticket, state)"
        book.need("state switch", f"{names.STATE_NAMES[word]}: {counted}", because)
    states = [writes.value(path("ticket.status"), Lit(value=word)) for word in names.UNSOLVED]
    asked: list[Native] = [{"name": "ticket.state_id", "operator": "has changed", "value": ""}]
    asked.append({"name": "ticket.state_id", "operator": "is", "value": states})
    native: Native = {"name": "000 reopened", "perform": {"ticket.close_at": {"value": ""}}, "active": False}
    native["condition"] = {"operator": "AND", "conditions": asked}
    because = "a reopened ticket has its time again; reports then tell when a ticket was solved last, not first"
    book.need("trigger", str(native["name"]), because, native)
    book.add(
        "targets", what, "equivalent", "as the solution time, given the states' switches and the trigger 000 reopened"
    )
    return {"solution_time": -(-target.seconds // 60)}
