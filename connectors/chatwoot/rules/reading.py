"""Chatwoot's automation rules, macros, saved filters, SLA policies and the hours of its inboxes read into ours.

The list of conditions is pasted into SQL without parentheses: AND binds before OR, and a custom attribute's
``not_equal_to`` brings its own OR with it, which tears the AND around it apart. Both are read as they act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from migrator.rules import template
from migrator.rules.conditions import (
    Actor,
    All,
    Changed,
    Condition,
    Event,
    Is,
    Leaf,
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
    Hook,
    Kind,
    Mail,
    Metric,
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

from . import names

Native = dict[str, Any]
READ: dict[str, set[str]] = {
    "trigger": {"name", "description", "event_name", "conditions", "actions", "active"},
    "macro": {"name", "actions"},
    "view": {"name", "query"},
    "sla": {"name", "description", *names.THRESHOLDS.values(), "only_during_business_hours"},
}
READ["timed"] = READ["trigger"]
EVERYBODY = "global"
ENDS = ("open", "close")
VERBS: tuple[str, ...] = (
    "send_email_transcript",
    "mute_conversation",
    "snooze_conversation",
    "resolve_conversation",
    "open_conversation",
    "pending_conversation",
    "remove_assigned_team",
    "assign_best_agent",
    "send_attachments",
)
DAY = 24 * 60


def rule(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return an automation rule, a macro, a saved filter, an SLA policy or an inbox's hours in our words."""
    if kind == "schedule":
        return _hours(native)
    known = {*READ[kind], *names.BOOKKEEPING, *names.BESIDE}
    query = native.get("query") or {} if kind == "view" else {}
    asked = {"conditions": query.get("payload")} if kind == "view" else native
    more = {key: value for key, value in query.items() if key != "payload"}
    return Rule(
        vendor="chatwoot",
        kind=kind,
        name=native.get("name") or "",
        description=native.get("description") or "",
        active=native.get("active"),
        when=Event(kinds=("sla applied",)) if kind == "sla" else when(asked),
        do=tuple(action(one) for one in native.get("actions") or ()),
        targets=_targets(native),
        view=View() if kind == "view" else None,
        options=(("visibility", compact(seen)),) if (seen := native.get("visibility", EVERYBODY)) != EVERYBODY else (),
        unknown=(*unknown(native, known), *unknown(more, ())),
        kept=kept(native, (*names.BOOKKEEPING, *names.BESIDE)),
    )


def _targets(native: Mapping[str, Any]) -> tuple[Target, ...]:
    business = bool(native.get("only_during_business_hours"))
    made = []
    for metric, key in names.THRESHOLDS.items():
        if native.get(key):
            made.append(Target(metric=cast("Metric", metric), priority="", seconds=int(native[key]), business=business))
    return tuple(made)


def _hours(native: Mapping[str, Any]) -> Rule:
    """Return the working hours of an inbox; days are counted from Sunday, as ours are."""
    shifts = []
    for day in native.get("working_hours") or ():
        begins, ends = (int(day.get(f"{end}_hour") or 0) * 60 + int(day.get(f"{end}_minutes") or 0) for end in ENDS)
        if day.get("open_all_day"):
            begins, ends = 0, DAY
        if not day.get("closed_all_day") and ends > begins:
            at = int(day["day_of_week"]) * DAY
            shifts.append(Shift(begins=at + begins, ends=at + ends))
    zone = ("time_zone", compact(native.get("timezone")))
    ordered = tuple(sorted(shifts, key=lambda shift: shift.begins))
    return Rule(vendor="chatwoot", kind="schedule", name=native.get("name") or "", shifts=ordered, options=(zone,))


def when(native: Mapping[str, Any]) -> Condition:
    """Return event and conditions: an OR of ANDs, as SQL reads a flat list."""
    name = native.get("event_name")
    event: tuple[Condition, ...] = (Event(kinds=(names.EVENTS.get(name, name),)),) if name else ()
    if status := names.STATUS_EVENTS.get(str(name)):
        event = (Event(kinds=("updated",)), Changed(path=path("ticket.status"), after=(Lit(value=status),)))
    groups: list[list[Condition]] = [[]]
    for one in native.get("conditions") or ():
        first, *more = condition(one)
        groups[-1].append(first)
        for each in more:  # the OR that a condition brings with it
            groups.append([each])
        if str(one.get("query_operator") or "").upper() == "OR":
            groups.append([])
    some = AnyOf(of=tuple(All(of=tuple(group)) for group in groups))
    return All(of=(*event, some))


def condition(native: Mapping[str, Any]) -> Sequence[Condition]:
    """Return one condition; two, to be joined by OR, where the engine makes two of it."""
    odd = set(native) - {"attribute_key", "filter_operator", "values", "query_operator", "custom_attribute_type"}
    joins = str(native.get("query_operator") or "").upper() in ("", "AND", "OR")
    at = place(str(native.get("attribute_key")), native.get("custom_attribute_type"))
    found = (
        _condition(at, str(native.get("filter_operator")), native.get("values")) if at and joins and not odd else None
    )
    if found is None:
        return (Opaque(text=compact(dict(native)), why="a condition of Chatwoot that is not known here"),)
    if isinstance(found, Is) and found.negated and found.values and at and at.custom:
        return (found, Is(path=at, values=(), null=True))
    return (found,)


def place(key: str, model: Any) -> Path | None:
    """Return the path of an attribute; a custom one says whose it is, or leaves it to Chatwoot."""
    if model not in (None, "", *names.MODELS):
        return None
    if key == "labels":
        return path("ticket.labels")
    if key in names.ATTRIBUTES and not model:
        return path(names.ATTRIBUTES[key])
    if not model:
        return Path(of="ticket", name=f"attribute:{key}")
    return Path.model_validate({"of": names.MODELS[model], "name": f"cf:{key}"})


def _condition(at: Path, operator: str, values: Any) -> Leaf | None:
    if operator == "attribute_changed":
        if not isinstance(values, Mapping) or set(values) != {"from", "to"}:
            return None
        before, after = (_values(at, values[side]) for side in ("from", "to"))
        return Changed(path=at, before=before, after=after)
    listed = values or []
    if not isinstance(listed, list):
        return None
    if operator in ("is_present", "is_not_present"):
        there = operator == "is_present"
        if listed:
            return None
        if at.name == "labels":
            return Tags(tags=(), negated=not there)
        return Is(path=at, values=(), negated=there, null=not there)
    if at.name == "labels" and operator in ("equal_to", "not_equal_to"):
        return Tags(tags=tuple(map(str, listed)), negated=operator == "not_equal_to")
    if operator in ("equal_to", "not_equal_to"):
        return Is(path=at, values=_values(at, listed), negated=operator == "not_equal_to")
    if operator in names.TEXTS:
        mode, negated = names.TEXTS[operator]
        made = {"path": at, "mode": mode, "needles": tuple(map(str, listed)), "negated": negated}
        return Text.model_validate(made)
    return None


OTHERS: dict[str, Value] = {"self": Actor(who="current_user")}


def _values(at: Path, listed: Any) -> tuple[Value, ...]:
    return tuple(_value(at, one) for one in listed)


def _value(at: Path, value: Any) -> Value:
    ours, word = str(at), str(value)
    if ours == "ticket.status":
        return Lit(value=names.STATUSES[word]) if word in names.STATUSES else Ref(kind="status", id=word)
    if ours == "ticket.priority":
        return Lit(value=names.PRIORITIES[word]) if word in names.PRIORITIES else Ref(kind="priority", id=word)
    if ours == "comment.public" and isinstance(value, bool):
        return Lit(value=not value)
    refers = names.REFERS.get(ours)
    if refers:
        inner = word.removeprefix(f"<{refers}:").removesuffix(">") if word.startswith(f"<{refers}:") else word
        if refers == "agent":
            if inner in OTHERS:
                return OTHERS[inner]
            inner = inner if is_mark(inner) else names.AGENT + inner.removeprefix(names.AGENT)
        return Ref(kind=names.KINDS.get(refers, refers), id=inner)
    return Lit(value=value if isinstance(value, bool) else word)


def templated(value: Any) -> template.Template:
    """Return a text with Liquid placeholders as a tree."""
    return template.parse(str(value or ""), template.LIQUID, lambda name: names.MEANINGS.get(name, ""))


def action(native: Mapping[str, Any]) -> Action:
    """Return one action."""
    name, listed = str(native.get("action_name")), native.get("action_params") or []
    known = set(native) <= {"action_name", "action_params"} and isinstance(listed, list)
    found = _action(name, listed) if known else None
    why = "an action of Chatwoot that is not known here"
    return found or Unread(name=name, text=compact({k: v for k, v in native.items() if k != "action_name"}), why=why)


def _action(name: str, listed: list[Any]) -> Action | None:
    if name in ("add_label", "remove_label"):
        return SetTags(how="add" if name == "add_label" else "remove", tags=tuple(map(str, listed)))
    if name in VERBS and all(isinstance(one, str | int) for one in listed):
        return Verb(word=name, values=tuple(map(str, listed)))
    if len(listed) != 1:
        return None
    (one,) = listed
    if name == "send_email_to_team" and isinstance(one, Mapping) and set(one) == {"message", "team_ids"}:
        to = tuple(Recipient(who="group", id=str(team)) for team in one["team_ids"])
        return Mail(to=to, subject=templated(""), body=templated(one["message"]))
    if name in ("send_message", "add_private_note"):
        return Comment(public=name == "send_message", body=templated(one))
    if name == "send_webhook_event":
        return Hook(target=str(one))
    fields = {"assign_team": "ticket.group", "assign_agent": "ticket.assignee", "change_status": "ticket.status"}
    fields |= {"change_priority": "ticket.priority", "add_sla": "ticket.sla_policy", "send_attachment": "ticket.files"}
    if name not in fields:
        return None
    at = path(fields[name])
    return SetField(path=at, value=None if one in ("nil", None) else _value(at, one))
