"""Zammad's rules read into ours: triggers, jobs, macros, overviews, SLAs, with the engine's answers for missing values.

The engine is lib/selector/sql.rb: NOT means "not all of them", and SQL's three values reach through it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from migrator.rules import template
from migrator.rules.conditions import (
    Actor,
    All,
    Changed,
    Compare,
    Condition,
    Days,
    Elapsed,
    Event,
    Hours,
    Is,
    Lit,
    Not,
    Opaque,
    Path,
    Ref,
    Tags,
    Text,
    Value,
    path,
)
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.natives import compact, kept, unknown
from migrator.rules.rule import (
    Action,
    Comment,
    Follow,
    Hook,
    Kind,
    Mail,
    Recipient,
    Rule,
    SetField,
    SetTags,
    Shift,
    Target,
    Unread,
    Verb,
    View,
)
from migrator.rules.sql import word_of

from . import forms, names

Native = dict[str, Any]
OPTIONS: tuple[str, ...] = (
    "activator",
    "execution_condition_mode",
    "timeplan",
    "disable_notification",
    "object",
    "localization",
)
OPTIONS += ("timezone", "ux_flow_next_up", "group_ids", "calendar_id", "out_of_office", "organization_shared", "prio")
READ = {"name", "condition", "perform", "active", "note", "order", "view", "group_by", "group_direction", "role"}
READ |= {"role_ids", "user_ids", *names.METRICS}
NAMED = re.compile(r"<(\w+):(.*)>\Z", re.DOTALL)


def listed(value: Any) -> list[Any]:
    """Return a value as the engine wraps it: one is a list of one."""
    return value if isinstance(value, list) else [value]


def rule(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a trigger, job, macro, overview, SLA or calendar in our words."""
    if kind == "schedule":
        return _calendar(native)
    if kind == "form":
        return forms.read(native)
    asked = native.get("condition") or {}
    usual = [key for key in OPTIONS if key in native and native[key] == names.DEFAULTS.get(key, "")]
    options = [(key, compact(native[key])) for key in OPTIONS if key in native and key not in usual]
    shape = (("condition_format", '"expert"'),) if "conditions" in asked else ()  # how it is written, not what it asks
    known = {*READ, *OPTIONS, *names.BOOKKEEPING}
    return Rule(
        vendor="zammad",
        kind=kind,
        name=native.get("name") or "",
        description=native.get("note") or "",
        active=native.get("active"),
        when=when(asked),
        do=tuple(action(key, value) for key, value in (native.get("perform") or {}).items()),
        targets=_targets(native),
        view=_view(native) if kind == "view" else None,
        audience=_audience(native),
        options=tuple(options),
        unknown=unknown(native, known),
        kept=(*kept(native, names.BOOKKEEPING), *kept(native, usual), *shape),
    )


def _calendar(native: Mapping[str, Any]) -> Rule:
    """Return the working hours of a week; what ends at 23:59 ends with the day (app/models/calendar.rb).

    Days off are records of their own.
    """
    hours = native.get("business_hours") or {}
    shifts = []
    for at, day in enumerate(names.DAYS):
        held = hours.get(day) or {}
        for begins, ends in sorted(held.get("timeframes") or ()) if held.get("active") else ():
            until = 1440 if ends in ("23:59", "24:00") else _minute(ends)
            shifts.append(Shift(begins=at * 1440 + _minute(begins), ends=at * 1440 + until))
    return Rule(
        vendor="zammad",
        kind="schedule",
        name=native.get("name") or "",
        shifts=tuple(shifts),
    )


def _minute(clock: str) -> int:
    hour, _, minute = str(clock).partition(":")
    return int(hour) * 60 + int(minute)


def when(asked: Mapping[str, Any]) -> Condition:
    """Return either format: the hash of attributes, all of which must hold, or the tree of blocks."""
    if "conditions" in asked:
        return _block(asked)
    return All(of=tuple(condition({"name": name, **one}) for name, one in asked.items()))


def _block(native: Mapping[str, Any]) -> Condition:
    if "conditions" not in native:
        return condition(native)
    operator = native.get("operator")
    if operator == "NOT":
        return AnyOf(of=tuple(_false(one) for one in native["conditions"]))
    if operator not in ("AND", "OR"):
        return Opaque(text=compact(dict(native)), why="a block of conditions that is not known here")
    of = tuple(_block(one) for one in native["conditions"])
    return AnyOf(of=of) if operator == "OR" else All(of=of)


def _false(native: Mapping[str, Any]) -> Condition:
    """Return where a block or condition is FALSE in SQL, which is not where it is NULL: NOT(a AND b) holds there."""
    if "conditions" in native:
        operator, parts = native.get("operator"), native["conditions"]
        if operator == "NOT":  # false where all of them hold
            return All(of=tuple(_block(one) for one in parts))
        of = tuple(_false(one) for one in parts)
        return All(of=of) if operator == "OR" else AnyOf(of=of)
    name, operator = str(native.get("name")), native.get("operator")
    if name == "ticket.tags" and operator == "contains one":
        # A row a tag: NOT over it means "has some other tag".
        return Opaque(text=compact(dict(native)), why="NOT over 'contains one' means: has some other tag")
    part = condition(native)
    listing_empty = operator == "is" and "value" in native and "" in listed(native["value"])
    never_null = operator in ("is not", "contains not", "has changed", *names.TAGS) or listing_empty
    never_null = never_null or native.get("pre_condition") == "not_set" or isinstance(part, Event | Hours)
    if never_null or name.startswith("article."):
        return Not(of=part)
    return All(of=(Not(of=part), _there(part)))


def _there(part: Condition) -> Condition:
    if isinstance(part, Elapsed):
        return Elapsed(anchor=part.anchor, op="ge", hours=-1e9)
    at = getattr(part, "path", None)
    return Is(path=at, values=(), negated=True) if at is not None else All()


def condition(native: Mapping[str, Any]) -> Condition:
    """Return one condition of either format."""
    name, operator = str(native.get("name", "")), str(native.get("operator", ""))
    odd = set(native) - {"name", "operator", "value", "pre_condition", "range", "value_completion"}
    found = None if odd else _event(name, operator, native) or _relative(name, operator, native)
    found = found or (None if odd else _plain(name, operator, native))
    if found is None:
        raw = {key: value for key, value in native.items() if key != "name"}
        why = "a condition of Zammad that is not known here"
        if operator == "is" and "value" not in native and "pre_condition" not in native:
            why = "invalid: without a value Zammad matches nothing"
        return Opaque(text=compact({"name": name, **raw}), why=why)
    return found


def _event(name: str, operator: str, native: Mapping[str, Any]) -> Condition | None:
    value = native.get("value")
    if name == "ticket.action" and operator in ("is", "is not"):
        word = {"create": "created", "update": "updated"}.get(str(value), str(value))
        return Event(kinds=(word,), negated=operator == "is not")
    if name == "article.action" and operator in ("is", "is not") and value == "create":
        return Event(kinds=("commented",), negated=operator == "is not")
    if name == "execution_time.calendar_id" and operator in ("is in working time", "is not in working time"):
        named = _inner(value)
        return Hours(schedule="" if named == "default" else named, inside=operator == "is in working time")
    if operator == "has changed" and name.startswith("ticket."):
        return Changed(path=place(name))
    if operator in names.TAGS and name == "ticket.tags":
        need, negated = names.TAGS[operator]
        tags = tuple(tag.strip() for tag in str(value or "").split(","))
        return Tags.model_validate({"tags": tags, "need": need, "negated": negated})
    return None


def _relative(name: str, operator: str, native: Mapping[str, Any]) -> Condition | None:
    if operator not in (*names.RELATIVE, "within last (relative)", "within next (relative)"):
        return None
    try:
        hours = round(float(native["value"]) * names.RANGES[str(native["range"])], 4)
    except (KeyError, ValueError, TypeError):
        return None
    anchor = anchored(name)
    if operator.startswith("within"):
        last = operator == "within last (relative)"
        low, high = (0.0, hours) if last else (-hours, 0.0)
        return All(of=(Elapsed(anchor=anchor, op="ge", hours=low), Elapsed(anchor=anchor, op="le", hours=high)))
    op, ahead = names.RELATIVE[operator]
    return Elapsed.model_validate({"anchor": anchor, "op": op, "hours": -hours if ahead else hours})


def anchored(name: str) -> str:
    """Return the anchor of a date attribute: ``ticket.since_pending`` is the helper that remembers it."""
    if name.startswith("ticket.since_"):
        word = name.removeprefix("ticket.since_")
        return word if word == "assigned" else f"status:{word}"
    return names.ANCHORS.get(name, f"field:{place(name)}")


def place(name: str) -> Path:
    """Return the path of an attribute; one that is not Zammad's own is a custom field."""
    ours = names.ATTRIBUTES.get(name) or names.HELPER_PATHS.get(name)
    if ours:
        return path(ours)
    if found := names.REMEMBERED.fullmatch(name):
        return Path(of="ticket", name=found[1])
    table, _, attribute = name.partition(".")
    of = {"customer": "requester", "owner": "assignee", "article": "comment"}.get(table, table)
    if attribute in ("status_before", "priority_before", "type_before"):
        return Path(of="ticket", name=f"before:{attribute.removesuffix('_before')}")
    return Path.model_validate({"of": of, "name": f"cf:{attribute.removeprefix('cf_')}"})


def _plain(name: str, operator: str, native: Mapping[str, Any]) -> Condition | None:
    if name.partition(".")[0] not in ("ticket", "article", "customer", "organization", "owner"):
        return None
    at, value = place(name), native.get("value")
    if operator in ("is", "is not"):
        return _is(at, operator == "is not", native)
    if operator in ("is any of", "is none of"):
        values = [_value(at, one) for one in listed(value)]
        known = tuple(one for one in values if one is not None)
        return Is(path=at, values=known, negated=operator == "is none of")  # missing: no match either way
    if operator in ("is set", "not set"):
        return Is(path=at, values=(), negated=operator == "is set", null=operator == "not set")
    if operator in names.TEXTS:
        mode, negated, null = names.TEXTS[operator]
        needles = tuple(str(one) for one in listed(value))
        words = [word_of(needle) for needle in needles] if mode == "regex" else []
        if words and None not in words:
            mode, needles = "phrase" if " " in str(words[0]) else "word", tuple(map(str, words))
        made = {"path": at, "mode": mode, "needles": needles, "negated": negated}
        return Text.model_validate({**made, "null": null and at.of != "comment"})
    if operator in ("before (absolute)", "after (absolute)"):
        op = "le" if operator.startswith("before") else "ge"
        return Compare.model_validate({"path": at, "op": op, "value": Lit(value=str(value))})
    return None


def _is(at: Path, negated: bool, native: Mapping[str, Any]) -> Condition | None:
    # Of an update without an article every question about the article is answered no.
    article = at.of == "comment"
    before = native.get("pre_condition")
    if before == "not_set":
        return Is(path=at, values=(), negated=negated, null=not negated)
    if before in ("current_user.id", "current_user.organization_id"):
        who = "current_user" if before == "current_user.id" else "current_user_organization"
        return Is(path=at, values=(Actor.model_validate({"who": who}),), negated=negated, null=negated and not article)
    if "value" not in native or before not in (None, "", "specific"):
        return None
    values = [_value(at, one) for one in listed(native["value"])]
    missing = None in values
    known = tuple(one for one in values if one is not None)
    if at.name == "public" and article:
        if not {str(getattr(one, "value", "")).lower() for one in known} <= {"true", "false"}:
            return None
        known = tuple(Lit(value=str(getattr(one, "value", "")).lower() != "true") for one in known)
    return Is(path=at, values=known, negated=negated, null=(missing is not negated) and not article)


def _inner(value: Any) -> str:
    found = NAMED.match(str(value))
    return found.group(2) if found else str(value)


def _value(at: Path, value: Any) -> Value | None:
    """Return a value; ids are references, and ``<state:open>`` names one."""
    if value in ("", None):
        return None
    refers, _ = names.REFERS.get(str(at).replace("before:", ""), ("", ""))
    found = NAMED.match(str(value))
    if not refers:
        return Lit(value=value if isinstance(value, bool) else str(value))
    if found is None:
        return Ref(kind=refers, id=str(value))
    kind, name = found.groups()
    words = {"state": names.STATES, "priority": names.PRIORITIES, "article_type": names.CHANNELS}
    words["article_sender"] = names.SENDERS
    if name in words.get(kind, {}):
        return Lit(value=words[kind][name])
    return Ref(kind=kind if kind == "state_category" else refers, id=name)


def templated(value: Any) -> template.Template:
    """Return a text with placeholders as a tree; Zammad's are HTML."""
    return template.parse(str(value or ""), template.HASHES, lambda name: names.MEANINGS.get(name, ""), html=True)


def action(key: str, native: Any) -> Action:
    """Return one entry of ``perform``."""
    found = _perform(key, native) if isinstance(native, Mapping) else None
    return found or Unread(name=key, text=compact(native), why="an action of Zammad that is not known here")


def _perform(key: str, native: Mapping[str, Any]) -> Action | None:
    rest = {name: value for name, value in native.items() if name not in ("value_completion",)}
    if key == "notification.email":
        to = tuple(_recipient(one) for one in listed(rest.pop("recipient", [])))
        subject, body = templated(rest.pop("subject", "")), templated(rest.pop("body", ""))
        return Mail(to=to, subject=subject, body=body, options=tuple((k, compact(v)) for k, v in sorted(rest.items())))
    if key == "notification.webhook" and set(rest) == {"webhook_id"}:
        return Hook(target=f"webhook:{_inner(rest['webhook_id'])}")
    if key == "article.note" and set(rest) <= {"subject", "body", "internal"}:
        titled = templated(rest["subject"]) if "subject" in rest else None
        public = str(rest.get("internal", "true")).lower() == "false"
        return Comment(public=public, subject=titled, body=templated(rest.get("body")))
    if key == "ticket.tags" and rest.get("operator") in ("add", "remove") and set(rest) == {"operator", "value"}:
        tags = tuple(tag.strip() for tag in str(rest["value"]).split(","))
        return SetTags(how=rest["operator"], tags=tags)
    if key == "ticket.action" and rest == {"value": "delete"}:
        return Verb(word="delete")
    return _assign(key, rest)


def _assign(key: str, rest: Mapping[str, Any]) -> Action | None:
    before = rest.get("pre_condition")
    at = place(key)
    if key == "ticket.subscribe":
        who = _value(path("ticket.followers"), rest.get("value"))
        actor = before == "current_user.id"
        found: Value | None = Actor(who="current_user") if actor else who
        return Follow(how="follower", who=found) if found is not None else None
    if not set(rest) <= {"value", "pre_condition", "operator", "range"} or not key.startswith("ticket."):
        return None
    if before == "current_user.id":
        return SetField(path=at, value=Actor(who="current_user"))
    if rest.get("operator") == "relative":
        hours = float(rest.get("value") or 0) * names.RANGES.get(str(rest.get("range")), 0.0)
        return SetField(path=_date(key), value=Days(days=round(hours / 24, 6)))
    if rest.get("operator") not in (None, "static") or before not in (None, "specific", "not_set"):
        return None
    return SetField(path=at, value=None if before == "not_set" else _value(at, rest.get("value")))


def _date(key: str) -> Path:
    return Path(of="ticket", name=key.removeprefix("ticket.")) if key in names.ANCHORS else place(key)


def _recipient(value: Any) -> Recipient:
    word = str(value)
    if word.startswith("userid_"):
        return Recipient(who="user", id=_inner(word.removeprefix("userid_")))
    return Recipient(who=names.RECIPIENTS.get(word, word))


def _targets(native: Mapping[str, Any]) -> tuple[Target, ...]:
    return tuple(
        Target.model_validate({"metric": ours, "priority": "", "seconds": int(native[key]) * 60, "business": True})
        for key, ours in names.METRICS.items()
        if native.get(key)
    )


def _audience(native: Mapping[str, Any]) -> tuple[Ref, ...]:
    some: Iterable[tuple[str, Any]] = (("role", "role"), ("role_id", "role_ids"), ("user", "user_ids"))
    return tuple(Ref(kind=kind, id=_inner(one)) for kind, key in some if native.get(key) for one in listed(native[key]))


def _view(native: Mapping[str, Any]) -> View:
    order, look = native.get("order") or {}, native.get("view") or {}
    column = names.COLUMNS.get
    return View(
        columns=tuple(column(one, one) for one in look.get("s") or ()),
        group_by=column(native.get("group_by") or "", native.get("group_by") or ""),
        group_order=(native.get("group_direction") or "").lower(),
        sort_by=column(order.get("by", ""), order.get("by", "")),
        sort_order=str(order.get("direction", "")).lower(),
        options=tuple((f"view.{key}", compact(look[key])) for key in look if key != "s"),
    )
