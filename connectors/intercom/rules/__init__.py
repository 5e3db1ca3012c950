"""Intercom's dialect of rules: macros, office hours, and workflows as its export gives them, one by one; the steps of these
are for people to read."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from migrator.rules.conditions import All, Condition, Event, Is, Lit, Opaque, Ref, path
from migrator.rules.natives import compact, kept, unknown
from migrator.rules.notebook import unwritten
from migrator.rules.rule import Action, Comment, Holiday, Kind, PassPolicy, Rule, Shift, Unread
from migrator.rules.template import Part, Said, Template, Var
from migrator.rules.verdicts import Translation

__all__ = ["POLICY", "TITLE", "listed", "read", "write"]

TITLE = "Intercom"
POLICY = PassPolicy(order="none", visibility="current", changes="original", cascade="none")
READ = (
    "id",
    "title",
    "description",
    "state",
    "trigger_type",
    "target_channels",
    "targeting",
    "snapshot",
    "embedded_rules",
)
BOOKKEEPING = ("created_at", "updated_at")
CHANNELS = {
    "chat": "chat",
    "email": "email",
    "whatsapp": "whatsapp",
    "sms": "sms",
    "facebook": "facebook",
    "phone": "phone_inbound",
}
DAY, WEEK = 1440, 10080  # minutes
PLACEHOLDERS = {  # a key of a macro's text to ours
    "user.name": "requester.name",
    "user.first_name": "requester.first_name",
    "user.email": "requester.email",
    "teammate.name": "actor.name",
    "teammate.first_name": "actor.first_name",
    "conversation.id": "ticket.number",
    "company.name": "organization.name",
}
_TAG = re.compile(r"(<attribute\b[^>]*?/?>)(?:\s*</attribute>)?")
_GIVEN = re.compile(r'(\w+)="([^"]*)"')
GRAPH = "a graph of Intercom's, whose form its specification leaves open: for a person to read"


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, workflow) of one export (``workflow``), or of a list of them."""
    for one in document if isinstance(document, list) else [document]:
        if isinstance(one, dict) and isinstance(one.get("workflow"), dict):
            yield "trigger", one["workflow"]
        elif isinstance(one, dict) and "trigger_type" in one:
            yield "trigger", one
        elif isinstance(one, dict) and one.get("type") in ("macro", "office_hours_schedule"):
            yield ("macro" if one["type"] == "macro" else "schedule"), one
        elif isinstance(one, dict) and isinstance(one.get("data"), list):
            yield from listed(one["data"])


def read(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a macro, office hours, or a workflow: when it starts and on which channels; its steps as they stand."""
    if kind == "macro":
        return _macro(native)
    if kind == "schedule":
        return _hours(native)
    known = {*READ, "preferred_devices", "attributes", *BOOKKEEPING}
    options = [(key, compact(native[key])) for key in ("preferred_devices", "attributes") if native.get(key)]
    return Rule(
        vendor="intercom",
        kind=kind,
        id=str(native.get("id", "")),
        name=str(native.get("title") or ""),
        description=str(native.get("description") or ""),
        active=None if "state" not in native else native["state"] == "live",
        when=All(of=tuple(_asked(native))),
        do=tuple(_steps(native)),
        options=tuple(options),
        unknown=unknown(native, known),
        kept=kept(native, BOOKKEEPING),
    )


def _asked(native: Mapping[str, Any]) -> Iterator[Condition]:
    trigger = str(native.get("trigger_type", ""))
    yield Event(kinds=({"inbound_conversation": "created"}.get(trigger, trigger),))
    channels = [str(one) for one in native.get("target_channels") or ()]
    if channels:
        yield Is(path=path("ticket.channel"), values=tuple(Lit(value=CHANNELS.get(one, one)) for one in channels))
    if native.get("targeting"):
        yield Opaque(text=compact(native["targeting"]), why=GRAPH)


def _steps(native: Mapping[str, Any]) -> Iterator[Action]:
    for key in ("snapshot", "embedded_rules"):
        if native.get(key) or key == "snapshot":
            yield Unread(name=key, text=compact(native.get(key)), why=GRAPH, hidden=True)


def _macro(native: Mapping[str, Any]) -> Rule:
    teams = native.get("visible_to_team_ids") or [] if native.get("visible_to") == "specific_teams" else []
    on = native.get("available_on")
    beside = ("body_text", "visible_to", "visible_to_team_ids")  # the same text in another form; whose it is
    known = ("type", "id", "name", "body", "available_on", *beside, *BOOKKEEPING)
    return Rule(
        vendor="intercom",
        kind="macro",
        id=str(native.get("id", "")),
        name=str(native.get("name") or ""),
        do=(Comment(public=True, body=_text(str(native.get("body") or ""))),),
        audience=tuple(Ref(kind="group", id=str(team)) for team in teams),
        options=(("available_on", compact(on)),) if on and set(on) != {"inbox", "messenger"} else (),
        unknown=unknown(native, known),
        kept=kept(native, (*BOOKKEEPING, *beside)),
    )


def _text(body: str) -> Template:
    """Return a macro's text: ``<attribute key="user.name" default="there"/>`` is a placeholder with a fallback."""
    parts: list[Part] = []
    for piece in filter(None, _TAG.split(body)):
        if not piece.startswith("<attribute"):
            parts.append(Said(text=piece))
            continue
        given = {key: html.unescape(value) for key, value in _GIVEN.findall(piece)}
        name = given.get("key", "")
        filters = (f' default: "{given["default"]}"',) if "default" in given else ()
        parts.append(Var(meaning=PLACEHOLDERS.get(name, ""), name=name, filters=filters))
    return Template(parts=tuple(parts), html=True)


def _hours(native: Mapping[str, Any]) -> Rule:
    """Return office hours; Intercom's week begins on Monday, ours on Sunday."""
    shifts = [
        Shift(begins=(one["start_minute"] + DAY) % WEEK, ends=(one["start_minute"] + DAY) % WEEK + _length(one))
        for one in native.get("time_intervals") or ()
    ]
    if native.get("twenty_four_seven"):
        shifts = [Shift(begins=0, ends=WEEK)]
    days, odd = [], []
    for one in native.get("_exceptions") or ():
        if one.get("exception_type") == "closed" and not one.get("recurring_annually"):
            date = str(one["exception_date"])
            days.append(Holiday(name=str(one.get("name") or ""), first=date, last=date))
        else:
            odd.append(("exception", compact(one)))
    known = ("type", "id", "name", "time_zone_name", "time_intervals", "twenty_four_seven", "_exceptions", *BOOKKEEPING)
    return Rule(
        vendor="intercom",
        kind="schedule",
        id=str(native.get("id", "")),
        name=str(native.get("name") or ""),
        shifts=tuple(sorted(shifts, key=lambda shift: shift.begins)),
        holidays=tuple(days),
        options=(("time_zone", compact(native.get("time_zone_name"))), *odd),
        unknown=unknown(native, known),
        kept=kept(native, BOOKKEEPING),
    )


def _length(interval: Mapping[str, Any]) -> int:
    return int(interval["end_minute"]) - int(interval["start_minute"])


def write(source: Rule) -> Translation:
    """Say that nothing is written: Intercom's API takes no workflows."""
    what = {"macro": "macros", "schedule": "office hours from here"}.get(source.kind, "workflows")
    why = f"Intercom's API takes no {what}: to be made by hand"
    return unwritten(source, "intercom", why, click="Automation, Workflows" if what == "workflows" else "Settings")
