"""Zendesk's rules read into ours: conditions, actions, SLA metrics, views. Nothing is skipped in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from migrator.rules import template
from migrator.rules.conditions import (
    SCALES,
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
    Opaque,
    Path,
    Ref,
    Same,
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
    Holiday,
    Hook,
    Kind,
    Mail,
    Recipient,
    Rule,
    SetField,
    SetTags,
    Shift,
    Shown,
    Target,
    Unread,
    View,
)

from . import names

Native = dict[str, Any]
EMPTY = ("", None, "__NULL__")
READ = {"id", "title", "description", "active", "position", "category_id", "conditions", "filter", "actions"}
TEXTS = "_texts"  # dynamic content that the rule names, put there by ``listed``; the API keeps it elsewhere
READ |= {TEXTS, "restriction", "policy_metrics", "metric_settings", "execution", "output"}


def text(value: object) -> str:
    """Return a value as the API would write it as text: numbers and booleans by their digits and words."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def number(value: object) -> int | float | None:
    """Return the number a value holds, or None."""
    try:
        found = float(text(value))
    except ValueError:
        return None
    return int(found) if found.is_integer() else found


def rule(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a trigger, automation, macro, view, SLA policy or schedule in our words."""
    if kind == "schedule":
        return _schedule(native)
    if kind == "form":
        return _form(native)
    asked = native.get("filter") if kind == "sla" else native.get("conditions")
    view, odd = _view(native) if kind == "view" else (None, [])
    targets, more = _targets(native.get("policy_metrics") or ())
    settings = native.get("metric_settings")
    extra = unknown(native, {*READ, *names.BOOKKEEPING})
    return Rule(
        vendor="zendesk",
        kind=kind,
        id=text(native.get("id", "")),
        name=native.get("title") or "",
        description=native.get("description") or "",
        active=native.get("active"),
        position=native.get("position"),
        category=text(native.get("category_id") or ""),
        when=when(asked or {}),
        do=actions(native.get("actions") or (), kind),
        targets=targets,
        view=view,
        audience=_audience(native.get("restriction") or {}),
        options=(("metric_settings", compact(settings)),) if settings else (),
        unknown=(*odd, *more, *extra),
        kept=kept(native, names.BOOKKEEPING),
        texts=tuple((name.removeprefix("dc."), _item(item)) for name, item in (native.get(TEXTS) or {}).items()),
    )


def _schedule(native: Mapping[str, Any]) -> Rule:
    days = [(one["name"], one["start_date"], one["end_date"]) for one in native.get("holidays") or ()]
    hours = [(one["start_time"], one["end_time"]) for one in native.get("intervals") or ()]
    return Rule(
        vendor="zendesk",
        kind="schedule",
        id=text(native.get("id", "")),
        name=native.get("name") or "",
        shifts=tuple(Shift(begins=begins, ends=ends) for begins, ends in sorted(hours)),
        holidays=tuple(Holiday(name=name, first=first, last=last) for name, first, last in days),
        options=(("time_zone", compact(native.get("time_zone"))),),
    )


NEEDED: Mapping[Any, Any] = {"ALL_STATUSES": "always", "NO_STATUSES": "never", "SOME_STATUSES": "some"}
SIDES: Mapping[str, Literal["agents", "customers"]] = {"agent_conditions": "agents", "end_user_conditions": "customers"}


def _form(native: Mapping[str, Any]) -> Rule:
    """Return which fields of a form depend on another; a condition with keys that nobody knows is named."""
    shown, odd = [], []
    for side, to in SIDES.items():
        for one in native.get(side) or ():
            if set(one) - {"parent_field_id", "parent_field_type", "value", "child_fields"}:
                odd.append((side, compact(dict(one))))
            for child in one.get("child_fields") or ():
                needed = child.get("required_on_statuses") or {}
                if (
                    (needed and needed.get("type") not in NEEDED)
                    or set(child) - {"id", "is_required", "required_on_statuses"}
                    or set(needed) - {"type", "statuses"}
                ):
                    odd.append((f"{side}.child_fields", compact(dict(child))))
                value = one.get("value")
                shown.append(
                    Shown(
                        to=to,
                        parent=Path(of="ticket", name=f"cf:{text(one.get('parent_field_id'))}"),
                        value=None if value is None else Lit(value=value if isinstance(value, bool) else text(value)),
                        child=Path(of="ticket", name=f"cf:{text(child.get('id'))}"),
                        required=bool(child.get("is_required")),
                        needed=NEEDED.get(needed.get("type"), ""),
                        statuses=tuple(map(text, needed.get("statuses") or ())),
                    )
                )
    name = native.get("name") or ""
    return Rule(vendor="zendesk", kind="form", name=name, shown=tuple(shown), unknown=tuple(odd))


def when(asked: Mapping[str, Any]) -> Condition:
    """Return ``{all, any}``: every one of the first and, where there are any, one of the second."""
    every = tuple(condition(one) for one in asked.get("all") or ())
    some = tuple(condition(one) for one in asked.get("any") or ())
    return All(of=(*every, AnyOf(of=some)) if some else every)


def condition(native: Mapping[str, Any]) -> Condition:
    """Return one condition; what is unknown becomes Opaque with the reason."""
    field = text(native.get("field", native.get("subject", "")))
    operator, value = text(native.get("operator", "is")), native.get("value")
    found: Condition | None = None
    if set(native) <= {"field", "subject", "operator", "value"}:
        found = _special(field, operator, value) or _field(field, operator, value)
    if found is None:
        return Opaque(text=compact(dict(native)), why="a condition of Zendesk that is not known here")
    return found


def _special(field: str, operator: str, value: Any) -> Condition | None:
    if operator in ("is", "is_not") and field == "update_type" and value in ("Create", "Change"):
        return Event(kinds=("created" if value == "Create" else "updated",), negated=operator == "is_not")
    if field == "comment_is_public" and operator in ("is", "is_not"):
        if value == "not_relevant":
            return Event(kinds=("commented",), negated=operator == "is_not")
        known: dict[str, bool | str] = {"true": True, "false": False, "requester_can_see_comment": "requester_sees"}
        seen = known.get(text(value))
        if seen is None:
            return None
        # Without a comment neither holds: "is not public" asks for a private one.
        return Is(path=path("comment.public"), values=(Lit(value=seen),), negated=operator == "is_not")
    if field == "current_tags" and operator in ("includes", "not_includes"):
        return Tags(tags=tuple(text(value or "").split()), negated=operator == "not_includes")
    if field in names.WORDS and operator in ("includes", "not_includes", "is", "is_not"):
        words = operator.endswith("includes")
        missing = operator in ("not_includes", "is_not")
        needles = tuple(text(value).split()) if words else (text(value),)
        mode = "word" if words else "phrase"
        return Text.model_validate(
            {"path": path(names.WORDS[field]), "mode": mode, "needles": needles, "negated": missing, "null": missing}
        )
    if field in names.HOURS:
        return _hours(field, operator, value)
    if field in ("within_schedule", "in_business_hours") and operator in ("is", "is_not"):
        own = field == "in_business_hours"
        inside = (text(value) != "false" if own else True) is (operator == "is")
        return Hours(schedule="" if own else text(value), inside=inside)
    return None


def _hours(field: str, operator: str, value: Any) -> Condition | None:
    bare = operator.removesuffix("_business_hours")
    op = {"is": "eq", **names.ORDERS}.get(bare)
    hours = number(value)
    if op is None or hours is None:
        return None
    clock = "calendar" if bare == operator else "business"
    return Elapsed.model_validate({"anchor": names.HOURS[field], "op": op, "hours": hours, "clock": clock})


def _field(field: str, operator: str, value: Any) -> Condition | None:
    """Return a condition over a field: set, compared, changed, or looked into."""
    at, refers = place(field)
    if at is None:
        return None
    if operator in names.CHANGES:
        before, after, negated = names.CHANGES[operator]
        if not (before or after) and value not in EMPTY:
            return None  # "changed" asks for no value
        one = value_of(at, refers, field, value) if before or after else None
        values = () if one is None else (one,)  # none: from or to nothing at all
        return Changed(
            path=at,
            before=values if before else None,
            after=values if after else None,
            negated=negated,
        )
    if operator in ("present", "not_present"):
        return Is(path=at, values=(), negated=operator == "present", null=operator == "not_present")
    if operator in ("is", "is_not", "includes", "not_includes"):
        return _is(at, refers, field, operator in ("is_not", "not_includes"), value)
    if operator in names.ORDERS:
        return _compare(at, names.ORDERS[operator], value)
    if operator in ("within_previous_n_days", "within_next_n_days") and (days := number(value)) is not None:
        way = "field" if "previous" in operator else "until_field"
        return Elapsed(anchor=f"{way}:{at}", op="le", hours=days * 24)
    bare, negated = operator.removeprefix("not_"), operator.startswith("not_")
    if bare in ("includes_words", "includes_string"):
        words = bare == "includes_words"
        needles = tuple(text(value).split()) if words else (text(value),)
        mode = "word" if words else "substring"
        return Text.model_validate({"path": at, "mode": mode, "needles": needles, "negated": negated, "null": negated})
    return None


def place(field: str) -> tuple[Path | None, str]:
    """Return the path of a field and what its values refer to."""
    if field == "ticket_type_id":
        return path("ticket.type"), "type"
    if field in names.FIELDS:
        at, refers = names.FIELDS[field]
        return path(at), refers
    for prefix, of in (
        ("custom_fields_", "ticket"),
        ("ticket_fields_", "ticket"),
        ("requester.custom_fields.", "requester"),
        ("organization.custom_fields.", "organization"),
    ):
        if field.startswith(prefix):
            return Path.model_validate({"of": of, "name": f"cf:{field.removeprefix(prefix)}"}), ""
    return None, ""


def _is(at: Path, refers: str, field: str, negated: bool, value: Any) -> Condition:
    given = value if isinstance(value, list) else [value]
    people = {"requester_id": "ticket.requester", "assignee_id": "ticket.assignee"}
    if len(given) == 1 and refers == "user" and given[0] in people:
        return Same(path=at, other=path(people[given[0]]), negated=negated, null=negated)
    values = [value_of(at, refers, field, one) for one in given]
    missing = None in values
    # "is not" takes in tickets without a value; "is not nothing" is the one that does not.
    return Is(path=at, values=tuple(v for v in values if v is not None), negated=negated, null=missing is not negated)


def value_of(at: Path, refers: str, field: str, value: Any) -> Value | None:
    """Return a value; None where there is none."""
    if value in EMPTY or (refers == "type" and text(value) == "0"):
        return None
    word = text(value)
    if word in ("current_user", "current_groups"):
        return Actor.model_validate({"who": "current_user" if word == "current_user" else "current_user_groups"})
    if refers == "type" and word in names.TYPES:
        return Lit(value=str(names.TYPES[word]))
    if refers == "channel":
        return Lit(value=names.CHANNELS[word]) if word in names.CHANNELS else Ref(kind="channel", id=word)
    if refers == "role":
        return Lit(value=word) if word in ("agent", "end_user", "admin") else Ref(kind="role", id=word)
    return Ref(kind=refers, id=word) if refers else Lit(value=value if isinstance(value, bool) else word)


def _compare(at: Path, op: str, value: Any) -> Condition | None:
    scale = at.name if at.name in SCALES and at.of == "ticket" else ""
    if scale and value not in SCALES[scale]:
        return None
    found = number(value)
    held = Lit(value=found if found is not None and not scale else text(value))
    low = bool(scale) and None in SCALES[scale] and op in ("lt", "le")
    return Compare.model_validate({"path": at, "op": op, "value": held, "scale": scale, "null": low})


def templated(value: Any, *, html: bool = False) -> template.Template:
    """Return a text with Liquid placeholders as a tree."""
    return template.parse(text(value or ""), template.LIQUID, names.meaning, html=html)


def _item(native: Mapping[str, Any]) -> tuple[template.Template, ...]:
    """Return the texts of an item of dynamic content, the default language's first, of those that are in use."""
    first = native.get("default_locale_id")
    listed = [one for one in native.get("variants") or () if one.get("active") is not False]
    listed.sort(key=lambda one: not (one.get("default") or one.get("locale_id") == first))
    return tuple(templated(one.get("content")) for one in listed)


def actions(native: Iterable[Mapping[str, Any]], kind: Kind) -> tuple[Action, ...]:
    """Return the actions; a comment is public unless the same rule says otherwise."""
    listed = list(native)
    modes = [one.get("value") for one in listed if one.get("field") == "comment_mode_is_public"]
    public = text(modes[-1]) != "false" if modes else True
    return tuple(_action(one, public) for one in listed)


def _action(native: Mapping[str, Any], public: bool) -> Action:
    field, value = text(native.get("field", "")), native.get("value")
    found = _message(field, value, public) or _change(field, value)
    if found is None or not set(native) <= {"field", "value"}:
        why = "only Zendesk has it" if field in ONLY else "an action of Zendesk that is not known here"
        return Unread(name=field, text=compact({k: v for k, v in native.items() if k != "field"}), why=why)
    return found


# Known, and with no counterpart anywhere.
ONLY: tuple[str, ...] = ("side_conversation", "side_conversation_ticket", "side_conversation_slack", "tweet_requester")
ONLY += ("notification_sms_user", "notification_sms_group", "notification_messaging_csat", "notification_zis")
ONLY += ("add_skills", "set_skills", "remove_skills", "share_ticket")


def _message(field: str, value: Any, public: bool) -> Action | None:
    parts = value if isinstance(value, list) else [value]
    if field in ("notification_user", "notification_group") and len(parts) == 3:
        who = text(parts[0])
        if field == "notification_group":
            to: tuple[Recipient, ...] = (Recipient(who="group", id=who),)
        else:
            to = tuple(Recipient(who=one) for one in names.RECIPIENTS.get(who, ()))
        to = to or (Recipient(who="user", id=who),)
        return Mail(to=to, subject=templated(parts[1]), body=templated(parts[2]))
    if field in ("notification_webhook", "notification_target") and len(parts) in (1, 2):
        target = f"{field.removeprefix('notification_')}:{text(parts[0])}"
        options = (("parts", compact(parts[1])),) if len(parts) == 2 and not isinstance(parts[1], str) else ()
        body = templated(parts[1]) if len(parts) == 2 and not options else None
        return Hook(target=target, body=body, options=options)
    if field in ("reply_public", "reply_internal"):
        return Comment(public=field == "reply_public", body=templated(value))
    if field in ("comment_value", "comment_value_html"):
        # Since 2018 a macro's plain text may come as [channel, text].
        return Comment(public=public, body=templated(parts[-1], html=field.endswith("html")))
    return None


def _change(field: str, value: Any) -> Action | None:
    if field in ("current_tags", "remove_tags", "set_tags"):
        how = {"current_tags": "add", "remove_tags": "remove", "set_tags": "replace"}[field]
        return SetTags.model_validate({"how": how, "tags": tuple(text(value or "").split())})
    if field in ("follower", "cc"):
        who = value_of(path("ticket.ccs"), "user", field, value)
        return Follow.model_validate({"how": field, "who": who}) if who is not None else None
    if field == "comment_mode_is_public":
        return SetField(path=path("comment.public"), value=Lit(value=text(value) != "false"))
    at, refers = place("schedule_id" if field == "set_schedule" else field)
    if at is None:
        return None
    if isinstance(value, list):
        days = number(value[1]) if len(value) == 2 and value[0] == "days_from_now" else None
        return SetField(path=at, value=Days(days=days)) if days is not None else None
    return SetField(path=at, value=value_of(at, refers, field, value))


def _targets(native: Iterable[Mapping[str, Any]]) -> tuple[tuple[Target, ...], list[tuple[str, str]]]:
    targets, unknown = [], []
    for one in native:
        metric, minutes, seconds = one.get("metric"), one.get("target"), one.get("target_in_seconds")
        odd = set(one) - {"priority", "metric", "target", "target_in_seconds", "business_hours"}
        if metric not in names.METRICS or odd or not isinstance(seconds if seconds is not None else minutes, int):
            unknown.append(("policy_metrics", compact(dict(one))))
            continue
        length = seconds if seconds is not None else int(minutes or 0) * 60
        if seconds is not None and minutes != -(-seconds // 60):  # the two say different things
            unknown.append(("policy_metrics.target", compact(minutes)))
        made = {"metric": names.METRICS[metric], "priority": one.get("priority") or "", "seconds": length}
        targets.append(Target.model_validate({**made, "business": bool(one.get("business_hours"))}))
    return tuple(targets), unknown


def _audience(native: Mapping[str, Any]) -> tuple[Ref, ...]:
    ids = native.get("ids") or ([native["id"]] if native.get("id") else [])
    return tuple(Ref(kind=text(native.get("type", "")).lower(), id=text(one)) for one in ids)


def _view(native: Mapping[str, Any]) -> tuple[View, list[tuple[str, str]]]:
    look: Mapping[str, Any] = native.get("execution") or native.get("output") or {}

    def column(one: Any) -> str:
        id = text(one.get("id", "") if isinstance(one, Mapping) else one)
        return names.COLUMNS.get(id, id)

    columns = tuple(column(one) for one in look.get("columns") or ())
    known = {"columns", "fields", "custom_fields", "group", "sort", "group_by", "group_order", "sort_by", "sort_order"}
    unknown = [(f"execution.{key}", compact(look[key])) for key in look if key not in known]
    for again in ("fields", "custom_fields"):  # the same columns once more, and those among them that are custom fields
        odd = [one for one in map(column, look.get(again) or ()) if one not in columns]
        unknown += [(f"execution.{again}", compact(odd))] if odd else []
    made = View(
        columns=columns,
        group_by=column(look.get("group_by") or ""),
        group_order=look.get("group_order") or "",
        sort_by=column(look.get("sort_by") or ""),
        sort_order=look.get("sort_order") or "",
    )
    return made, unknown
