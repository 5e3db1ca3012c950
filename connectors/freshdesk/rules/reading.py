"""Freshdesk's rules read into ours: automations of the three kinds, and SLA policies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import SecretStr

from migrator.rules import template
from migrator.rules.conditions import (
    Actor,
    All,
    Changed,
    Condition,
    Elapsed,
    Event,
    Is,
    Lit,
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
from migrator.rules.references import is_mark
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
)

from . import names, sections

Native = dict[str, Any]
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
READ = {"id", "rule_type", "name", "active", "position", "description", "conditions", "operator", "performer"}
READ |= {"events", "actions", "applicable_to", "sla_target"}
OPTIONS = ("outdated", "is_default", "escalation", "private")


def rule(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return an automation, a scenario, an SLA policy or working hours in our words."""
    if kind == "schedule":
        return _hours(native)
    if kind == "form":
        return sections.rule(native)
    targets, more, switched = _targets(native.get("sla_target") or {})
    known = {*READ, *OPTIONS, *names.BOOKKEEPING}
    return Rule(
        vendor="freshdesk",
        kind=kind,
        id=str(native.get("id", "")),
        name=native.get("name") or "",
        description=native.get("description") or "",
        active=native.get("active"),
        position=native.get("position"),
        when=_applies(native.get("applicable_to") or {}) if kind == "sla" else when(native),
        do=tuple(action(one) for one in native.get("actions") or ()),
        targets=targets,
        options=(*((key, compact(native[key])) for key in OPTIONS if key in native), *switched),
        unknown=(*more, *unknown(native, known)),
        kept=kept(native, names.BOOKKEEPING),
    )


def _hours(native: Mapping[str, Any]) -> Rule:
    shifts = []
    for at, day in enumerate(DAYS):
        if held := (native.get("working_hours") or native.get("business_hours") or {}).get(day):
            begins, ends = (at * 1440 + _minute(held[side]) for side in ("start_time", "end_time"))
            shifts.append(Shift(begins=begins, ends=ends if ends > begins else ends + 1440))
    zone = ("time_zone", compact(native.get("time_zone")))
    return Rule(
        vendor="freshdesk", kind="schedule", name=native.get("name") or "", shifts=tuple(shifts), options=(zone,)
    )


def _minute(text: str) -> int:
    """Return the minute of the day of ``8:00 am``."""
    at = datetime.strptime(str(text).strip().upper(), "%I:%M %p")
    return at.hour * 60 + at.minute


def when(native: Mapping[str, Any]) -> Condition:
    """Return event, performer, events and the one or two sets of conditions, all of which must hold."""
    parts: list[Condition] = []
    if native.get("rule_type") in (names.CREATION, names.UPDATE):
        created = native["rule_type"] == names.CREATION
        parts.append(Event(kinds=("created" if created else "updated",)))
    if (performer := native.get("performer")) is not None:
        parts.append(_performer(performer))
    if events := native.get("events"):
        parts.append(AnyOf(of=tuple(event(one) for one in events)))
    sets = [_set(one) for one in native.get("conditions") or ()]
    joined = str(native.get("operator") or "AND").upper()
    if len(sets) > 1 and "OR" in joined.split():
        sets = [AnyOf(of=tuple(sets))]
    return All(of=(*parts, *sets))


def _performer(native: Mapping[str, Any]) -> Condition:
    if native == names.ASSIGNED_AGENT:
        return Is(path=path("ticket.assignee"), values=(Actor(who="current_user"),))
    roles = names.PERFORMERS.get(native.get("type"), ()) if set(native) == {"type"} else ()  # type: ignore[arg-type]
    if not roles:
        return Opaque(text=compact({"performer": native}), why="a performer of Freshdesk that is not known here")
    return Is(path=path("actor.role"), values=tuple(Lit(value=role) for role in roles))


def event(native: Mapping[str, Any]) -> Condition:
    """Return one event: a change from and to, or a message; ``--`` is whatever."""
    name = native.get("field_name")
    if name in names.EVENTS and set(native) <= {"field_name", "value"}:
        word = native.get("value")
        return Event(kinds=(names.EVENTS[name] + (f"_{word}" if word and word != "--" else ""),))
    at = place("ticket", str(name))
    if at is None or not set(native) <= {"field_name", "from", "to"}:
        return Opaque(text=compact(dict(native)), why="an event of Freshdesk that is not known here")
    before, after = (
        None if native.get(side, "--") == "--" else tuple(v for v in [_value(at, native[side])] if v is not None)
        for side in ("from", "to")
    )
    return Changed(path=at, before=before, after=after)


def _set(native: Mapping[str, Any]) -> Condition:
    of = tuple(condition(one) for one in native.get("properties") or ())
    odd = set(native) - {"name", "match_type", "properties"}
    if odd or native.get("match_type", "all") not in ("all", "any"):
        return Opaque(text=compact(dict(native)), why="a set of conditions that is not known here")
    return AnyOf(of=of) if native.get("match_type") == "any" else All(of=of)


def condition(native: Mapping[str, Any]) -> Condition:
    """Return one condition of a set; what is unknown becomes Opaque with the reason."""
    found = None
    if set(native) <= {"resource_type", "field_name", "operator", "value", "custom_status_id"}:
        kind, name = str(native.get("resource_type", "ticket")), str(native.get("field_name"))
        if (status := native.get("custom_status_id")) is not None or name == names.CUSTOM_HOURS:
            name = f"{name}:{status}"
        found = _condition(kind, name, str(native.get("operator")), native.get("value"))
    return found or Opaque(text=compact(dict(native)), why="a condition of Freshdesk that is not known here")


def _condition(kind: str, name: str, operator: str, value: Any) -> Condition | None:
    if kind == "ticket" and name.startswith(f"{names.CUSTOM_HOURS}:") and operator in names.ORDERS:
        status = names.STATUSES.get(name.partition(":")[2], name.partition(":")[2])
        made = {"anchor": f"status:{status}", "op": names.ORDERS[operator], "hours": float(value)}
        return Elapsed.model_validate(made)
    if kind == "ticket" and name in names.HOURS and operator in names.ORDERS:
        made = {"anchor": names.HOURS[name], "op": names.ORDERS[operator], "hours": float(value)}
        return Elapsed.model_validate(made)
    listed = value if isinstance(value, list) else [value]
    if kind == "ticket" and name == "tag_names" and operator in ("in", "not_in", "and"):
        need: Literal["one", "all"] = "all" if operator == "and" else "one"
        return Tags(tags=tuple(map(str, listed)), need=need, negated=operator == "not_in")
    at = place(kind, name)
    if at is None:
        return None
    if operator in ("in", "not_in", "is", "is_not"):
        negated = operator in ("not_in", "is_not")
        values = [_value(at, one) for one in listed]
        known = tuple(one for one in values if one is not None)
        return Is(path=at, values=known, negated=negated, null=(None in values) is not negated)
    if operator in names.TEXTS:
        mode, negated = names.TEXTS[operator]
        made = {"path": at, "mode": mode, "needles": tuple(map(str, listed)), "negated": negated}
        return Text.model_validate(made)
    return None


def place(kind: str, name: str) -> Path | None:
    """Return the path of a field."""
    ours = names.FIELDS.get((kind, name))
    if ours:
        return path(ours)
    if is_mark(name):
        return Path.model_validate(
            {"of": {"contact": "requester", "company": "organization"}.get(kind, kind), "name": f"cf:{name}"}
        )
    if kind == "ticket" and name in names.HELPER_PATHS:
        return path(names.HELPER_PATHS[name])
    of = {"ticket": "ticket", "contact": "requester", "company": "organization"}.get(kind)
    return (
        Path.model_validate({"of": of, "name": f"cf:{name.removeprefix('cf_')}"})
        if of and name.startswith("cf_")
        else None
    )


def _value(at: Path, value: Any) -> Value | None:
    if value in ("", None):
        return None
    word, ours = str(value), str(at)
    tables = {"ticket.status": names.STATUSES, "ticket.priority": names.PRIORITIES, "ticket.channel": names.CHANNELS}
    tables["ticket.type"] = names.TYPES
    if ours in tables:
        found = tables[ours].get(word)
        return Lit(value=found) if found else Ref(kind=at.name, id=word)
    refers = names.REFERS.get(ours)
    inner = word.removeprefix(f"<{refers}:").removesuffix(">") if word.startswith(f"<{refers}:") else word
    return Ref(kind=refers, id=inner) if refers else Lit(value=value if isinstance(value, bool) else word)


def templated(value: Any) -> template.Template:
    """Return a text with placeholders as a tree; mails and notes are HTML."""
    return template.parse(str(value or ""), template.LIQUID, lambda name: names.MEANINGS.get(name, ""), html=True)


def action(native: Mapping[str, Any]) -> Action:
    """Return one action; what is unknown is kept as it is, secrets apart."""
    key = "name" if "name" in native else "field_name"  # a scenario's have the first
    name = str(native.get(key))
    rest = {each: value for each, value in native.items() if each != key}
    found = _action(name, rest)
    return found or Unread(name=name, text=compact(rest), why="an action of Freshdesk that is not known here")


def _action(name: str, rest: Native) -> Action | None:
    if name == "trigger_webhook":
        return _hook(rest)
    if name in ("add_tag", "remove_tag") and set(rest) == {"value"}:
        listed = rest["value"] if isinstance(rest["value"], list) else [rest["value"]]
        return SetTags(how="add" if name == "add_tag" else "remove", tags=tuple(map(str, listed)))
    if name == "add_comment" and set(rest) == {"value"}:
        return Comment(public=False, body=templated(rest["value"]))
    if name in ("delete_ticket", "mark_as_spam", "skip_notification") and not {k for k, v in rest.items() if v}:
        return Verb(word={"delete_ticket": "delete", "mark_as_spam": "spam"}.get(name, name))
    if name == "add_watcher" and set(rest) == {"value"}:
        return Follow(how="follower", who=_value(path("ticket.assignee"), rest["value"]) or Lit(value=""))
    if name.startswith("send_email_to_") and set(rest) <= {"email_to", "email_subject", "email_body"}:
        who = {"requester": "requester", "agent": "user", "group": "group"}.get(name.removeprefix("send_email_to_"))
        if who is None:
            return None
        id = str(rest.get("email_to", ""))
        known = {str(code): ours for ours, code in names.MAILED.items()}
        who, id = (known[id], "") if who == "user" and id in known else (who, id)
        to = Recipient(who=who, id=id)
        return Mail(to=(to,), subject=templated(rest.get("email_subject")), body=templated(rest.get("email_body")))
    at = place("ticket", name)
    if at is None or set(rest) != {"value"} or isinstance(rest["value"], list | dict):
        return None
    return SetField(path=at, value=_value(at, rest["value"]))


def _hook(rest: Native) -> Action:
    headers = {str(key): SecretStr(str(value)) for key, value in (rest.get("custom_headers") or {}).items()}
    content = rest.get("content")
    body = None if content is None else templated(content if isinstance(content, str) else compact(content))
    taken = ("url", "request_type", "custom_headers", "content")
    options = [(key, compact(value)) for key, value in sorted(rest.items()) if key not in taken]
    options += [("content", "json")] if content is not None and not isinstance(content, str) else []
    return Hook(
        target=str(rest.get("url", "")),
        method=str(rest.get("request_type", "")),
        headers=tuple(headers.items()),
        body=body,
        options=tuple(options),
    )


def _applies(native: Mapping[str, Any]) -> Condition:
    parts: list[Condition] = []
    for key, listed in native.items():
        if not listed and key in names.APPLIES:
            continue
        if key not in names.APPLIES or not isinstance(listed, list):
            parts.append(Opaque(text=compact({key: listed}), why="an SLA's filter that is not known here"))
            continue
        at = path(names.APPLIES[key])
        values = tuple(v for v in (_value(at, one) for one in listed) if v is not None)
        parts.append(Is(path=at, values=values))
    return All(of=tuple(parts))


def _targets(native: Mapping[str, Any]) -> tuple[tuple[Target, ...], list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the times, what nobody knows, and the switches that go home only."""
    targets, unknown, switched = [], [], []
    for key, times in native.items():
        priority = names.PRIORITIES.get(key.removeprefix("priority_"))
        business = bool(times.get("business_hours"))
        for name, seconds in times.items():
            if priority and name in names.METRICS and isinstance(seconds, int):
                made = {"metric": names.METRICS[name], "priority": priority, "seconds": seconds, "business": business}
                targets.append(Target.model_validate(made))
            elif name == "escalation_enabled":
                switched.append((f"{key}.{name}", compact(seconds)))
            elif name != "business_hours" and seconds is not None:
                unknown.append((f"sla_target.{key}.{name}", compact(seconds)))
    return tuple(targets), unknown, switched
