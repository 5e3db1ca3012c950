"""Our rules written as Zendesk's. A leaf or an action that has no word there is named, never dropped."""

from __future__ import annotations

import json
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
    Leaf,
    Lit,
    Opaque,
    Path,
    Ref,
    Same,
    Tags,
    Text,
    Value,
)
from migrator.rules.conditions import (
    Any as AnyOf,
)
from migrator.rules.normal_forms import TooLargeError, dnf, sets
from migrator.rules.notebook import Notebook
from migrator.rules.placeholders import translated
from migrator.rules.rule import Action, Comment, Follow, Hook, Mail, Rule, SetField, SetTags, Unread
from migrator.rules.verdicts import Translation

from . import names
from .reading import NEEDED, SIDES

Native = dict[str, Any]
CLICK = "Admin Center › Objects and rules › Business rules"  # noqa: RUF001
OPERATORS = {ours: theirs for theirs, ours in names.ORDERS.items()} | {"eq": "is"}
CHANGES = {shape: operator for operator, shape in names.CHANGES.items()}
RECIPIENTS: dict[tuple[str, ...], str] = {ours: theirs for theirs, ours in names.RECIPIENTS.items()}
METRICS = {ours: theirs for theirs, ours in names.METRICS.items()}
WORDS = {ours: theirs for theirs, ours in names.WORDS.items()}
NEEDED_WORDS = {ours: theirs for theirs, ours in NEEDED.items()}
TYPES = {ours: theirs for theirs, ours in names.TYPES.items()}


def rule(source: Rule) -> Translation:
    """Return the rule as Zendesk's API takes it; a rule of Zendesk's own comes back as it was."""
    book = Notebook(source, "zendesk", click=CLICK)
    if source.kind == "schedule":
        hours = [{"start_time": one.begins, "end_time": one.ends} for one in source.shifts]
        return book.done({"intervals": hours})
    if source.kind == "form":
        return book.done(_form(book, source))
    own = source.vendor == "zendesk"
    body: Native = {"title": source.name}
    for key, value in (
        ("id", source.id if own else ""),
        ("description", source.description),
        ("active", source.active),
        ("position", source.position),
        ("category_id", source.category if own else ""),
    ):
        if value not in ("", None):
            body[key] = value
    made = [actions(book, at, action) for at, action in enumerate(source.do)]
    if source.do or source.kind not in ("view", "sla"):
        body["actions"] = [each for some in made for each in some]
    if source.targets:
        body["policy_metrics"] = [_target(one) for one in source.targets]
    if source.view:
        body["execution"] = _view(source)
    if source.audience:
        kinds = {one.kind for one in source.audience}
        body["restriction"] = {"type": min(kinds).capitalize(), "ids": [one.id for one in source.audience]}
    for key, value in (*source.options, *source.kept) if own else ():
        body[key] = json.loads(value)
    for key, value in source.unknown if own else ():
        if "." not in key and key != "policy_metrics":
            body[key] = json.loads(value)
    if not own:
        for key, value in source.options:
            book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    key = "filter" if source.kind == "sla" else "conditions"
    if source.kind == "macro":
        return book.done(body)
    shapes = [_sides(source.when)] if own else shaped(book, source.when)
    written = [{**body, key: {"all": leaves(book, every), "any": leaves(book, some)}} for every, some in shapes]
    return book.done(*written)


def _form(book: Notebook, source: Rule) -> Native:
    """Return both lists of a form's conditions, each parent's value once."""
    made: Native = {side: [] for side in SIDES}
    for one in source.shown:
        if not (one.parent.custom and one.child.custom):
            what = f"{one.child} where {one.parent} is {getattr(one.value, 'value', 'anything')}"
            book.add("when", what, "approximated", "depends on a built-in field: it shows always")
    for side, to in SIDES.items():
        places: dict[tuple[str, str], Native] = {}
        for one in source.shown:
            if one.to != to or not (one.parent.custom and one.child.custom):
                continue
            value = getattr(one.value, "value", None)
            held = places.setdefault(
                (one.parent.custom, repr(value)),
                {"parent_field_id": one.parent.custom, "value": value, "child_fields": []},
            )
            child: Native = {"id": one.child.custom, "is_required": one.required}
            if one.needed:
                statuses = {"statuses": list(one.statuses)} if one.statuses else {}
                child["required_on_statuses"] = {"type": NEEDED_WORDS[one.needed], **statuses}
            held["child_fields"].append(child)
        made[side] = list(places.values())
    return made


def _sides(when: Condition) -> tuple[tuple[Leaf, ...], tuple[Leaf, ...]]:
    """Return Zendesk's two lists out of the tree its own reader made."""
    parts = when.of if isinstance(when, All) else (when,)
    some = [part for part in parts if isinstance(part, AnyOf)]
    every = tuple(part for part in parts if not isinstance(part, AnyOf))
    return every, (some[0].of if some else ())  # type: ignore[return-value]


def shaped(book: Notebook, when: Condition) -> list[tuple[tuple[Leaf, ...], tuple[Leaf, ...]]]:
    """Return the (all, any) lists that together mean the condition: one pair where it fits, else one an alternative."""
    found = sets(when)
    if found is not None:
        every = [leaf for whole, leaves in found if whole for leaf in leaves]
        some = [leaves for whole, leaves in found if not whole]
        if len(some) <= 1:
            return [(tuple(every), some[0] if some else ())]
    try:
        alternatives = dnf(when)
    except TooLargeError as err:
        book.add("when", "the whole condition", "untranslatable", f"too large once brought into all and any: {err}")
        return [((), ())]
    book.split(len(alternatives))
    return [(alternative, ()) for alternative in alternatives]


def leaves(book: Notebook, listed: tuple[Leaf, ...]) -> list[Native]:
    """Return the conditions of one list, each with its verdict noted."""
    made = []
    for leaf in listed:
        native = condition(leaf, sla=book.rule.kind == "sla")
        if native is None:
            book.leaf(leaf, "untranslatable", "Zendesk has no such condition")
        else:
            book.leaf(leaf, "exact")
            made.append(native)
    return made


def condition(leaf: Leaf, *, sla: bool = False) -> Native | None:
    """Return one condition, or None where Zendesk has no word for it."""
    if isinstance(leaf, Opaque):
        try:
            native = json.loads(leaf.text)
        except ValueError:
            return None
        return native if isinstance(native, dict) and "field" in native else None
    if isinstance(leaf, Event):
        return _event(leaf)
    if isinstance(leaf, Tags):
        if not leaf.tags or (leaf.need == "all" and len(leaf.tags) > 1) or any(" " in tag for tag in leaf.tags):
            return None
        return _made("current_tags", "not_includes" if leaf.negated else "includes", " ".join(leaf.tags))
    if isinstance(leaf, Text):
        return _text(leaf)
    if isinstance(leaf, Elapsed):
        return _elapsed(leaf)
    if isinstance(leaf, Hours):
        own = leaf.schedule
        return _made(
            "within_schedule" if own else "in_business_hours", "is" if leaf.inside else "is_not", own or "true"
        )
    if isinstance(leaf, Same):
        return _same(leaf)
    at = field(leaf.path, sla=sla)
    if at is None:
        return None
    if isinstance(leaf, Changed):
        shape = (leaf.before is not None, leaf.after is not None, leaf.negated)
        values = (leaf.before if leaf.before is not None else leaf.after) or ()
        if shape not in CHANGES or len(values) > 1:
            return None
        return _made(at, CHANGES[shape], _value(leaf.path, values[0]) if values else None)
    if isinstance(leaf, Compare):
        return _made(at, OPERATORS[leaf.op], leaf.value.value)
    return _is(at, leaf)


def _made(at: str, operator: str, value: Any) -> Native:
    return {"field": at, "operator": operator, "value": value}


def _event(leaf: Event) -> Native | None:
    operator = "is_not" if leaf.negated else "is"
    if leaf.kinds == ("commented",):
        return _made("comment_is_public", operator, "not_relevant")
    word = {"created": "Create", "updated": "Change"}.get(",".join(leaf.kinds))
    return None if word is None else _made("update_type", operator, word)


def field(at: Path, *, sla: bool = False) -> str | None:
    """Return Zendesk's field of a path, or None."""
    if at.custom and at.of in ("ticket", "requester", "organization"):
        prefix = "ticket_fields_" if sla else "custom_fields_"
        return prefix + at.custom if at.of == "ticket" else f"{at.of}.custom_fields.{at.custom}"
    return "comment_is_public" if str(at) == "comment.public" else names.PATHS.get(str(at))


def _is(at: str, leaf: Is) -> Native | None:
    operators = ("is", "is_not")
    if not leaf.values:
        if leaf.negated is leaf.null:
            return None
        if leaf.path.custom and leaf.path.of != "ticket":
            return _made(at, "not_present" if leaf.null else "present", None)
        return _made(at, operators[leaf.negated], "")
    empty = leaf.null is not leaf.negated  # the value "nothing" is on the list
    if at == "comment_is_public":
        seen = {True: "true", False: "false", "requester_sees": "requester_can_see_comment"}
        (value,) = leaf.values
        return _made(at, operators[leaf.negated], seen[getattr(value, "value", None)])
    values = [_value(leaf.path, value) for value in leaf.values] + ([""] if empty else [])
    if len(values) > 1:
        return _made(at, "not_includes" if leaf.negated else "includes", values)
    return _made(at, operators[leaf.negated], values[0])


def _value(at: Path, value: Value) -> Any:
    if isinstance(value, Actor):
        return {"current_user": "current_user", "current_user_groups": "current_groups"}.get(value.who, value.who)
    if isinstance(value, Ref):
        return value.id
    if isinstance(value, Days):
        return ["days_from_now", value.days]
    if at.name == "channel":
        return names.CODES.get(str(value.value), value.value)
    return value.value


def _same(leaf: Same) -> Native | None:
    at, other = field(leaf.path), field(leaf.other)
    known = at is not None and other in ("requester_id", "assignee_id") and leaf.null is leaf.negated
    return _made(str(at), "is_not" if leaf.negated else "is", other) if known else None


def _text(leaf: Text) -> Native | None:
    if leaf.negated is not leaf.null or (leaf.need == "all" and len(leaf.needles) > 1):
        return None
    at = WORDS.get(str(leaf.path))
    if at and leaf.mode in ("word", "phrase"):
        operator = {"word": "includes", "phrase": "is"}[leaf.mode]
        operator = operator if not leaf.negated else {"includes": "not_includes", "is": "is_not"}[operator]
        if leaf.mode == "phrase" and len(leaf.needles) > 1:
            return None
        return _made(at, operator, " ".join(leaf.needles))
    at = field(leaf.path)
    if not at or not leaf.path.custom or leaf.mode not in ("word", "substring"):
        return None
    operator = "includes_words" if leaf.mode == "word" else "includes_string"
    if leaf.mode == "substring" and len(leaf.needles) > 1:
        return None
    return _made(at, f"not_{operator}" if leaf.negated else operator, " ".join(leaf.needles))


def _elapsed(leaf: Elapsed) -> Native | None:
    for way, operator in (("field:", "within_previous_n_days"), ("until_field:", "within_next_n_days")):
        if leaf.anchor.startswith(way) and leaf.op == "le" and leaf.hours % 24 == 0:
            of, _, name = leaf.anchor.removeprefix(way).partition(".")
            at = field(Path.model_validate({"of": of, "name": name}))
            return _made(at, operator, int(leaf.hours / 24)) if at else None
    at = names.ANCHORS.get(leaf.anchor)
    if (
        at is None
        or leaf.op not in ("eq", "lt", "gt", "le", "ge")
        or leaf.hours < 0
        or not float(leaf.hours).is_integer()
    ):
        return None
    suffix = "_business_hours" if leaf.clock == "business" else ""
    return _made(at, OPERATORS[leaf.op] + suffix, str(int(leaf.hours)))


def actions(book: Notebook, at: int, action: Action) -> list[Native]:
    """Return one action with its verdict noted; none where Zendesk has no word for it."""
    own = book.rule.vendor == "zendesk"
    native = _action(book, at, action, own)
    if native is None:
        book.action(at, "untranslatable", "Zendesk has no such action")
        return []
    book.action(at, "exact")
    return [native]


def _action(book: Notebook, at: int, action: Action, own: bool) -> Native | None:
    if isinstance(action, SetField):
        return _set(action)
    if isinstance(action, SetTags):
        key = {"add": "current_tags", "remove": "remove_tags", "replace": "set_tags"}[action.how]
        return {"field": key, "value": " ".join(action.tags)}
    if isinstance(action, Follow):
        return {"field": action.how, "value": _value(Path(of="ticket", name="ccs"), action.who)}
    if isinstance(action, Unread):
        return {"field": action.name, **json.loads(action.text)} if own else None
    text = Writer(book, at, own)
    if isinstance(action, Comment):
        if book.rule.kind == "macro":
            return {"field": "comment_value_html" if action.body.html else "comment_value", "value": text(action.body)}
        return {"field": "reply_public" if action.public else "reply_internal", "value": text(action.body)}
    if isinstance(action, Mail):
        return _mail(action, text)
    if isinstance(action, Hook) and (own or not action.headers):
        kind, _, id = action.target.partition(":")
        if kind not in ("webhook", "target"):
            book.need("webhook", action.target, "a webhook is made once and rules refer to it")
            kind, id = "webhook", f"<webhook:{action.target}>"
        held = [json.loads(value) for key, value in action.options if key == "parts"]
        more = held or ([text(action.body)] if action.body else [])
        return {"field": f"notification_{kind}", "value": [id, *more]}
    return None


def _set(action: SetField) -> Native | None:
    if str(action.path) == "comment.public":
        public = isinstance(action.value, Lit) and action.value.value is True
        return {"field": "comment_mode_is_public", "value": "true" if public else "false"}
    at = "set_schedule" if str(action.path) == "ticket.schedule" else field(action.path)
    return at and {"field": at, "value": "" if action.value is None else _value(action.path, action.value)}  # type: ignore[return-value]


def _mail(action: Mail, text: Writer) -> Native | None:
    parts = [text(action.subject), text(action.body)]
    who = tuple(one.who for one in action.to)
    if who == ("group",):
        return {"field": "notification_group", "value": [action.to[0].id, *parts]}
    to = action.to[0].id if who == ("user",) else RECIPIENTS.get(who)
    return {"field": "notification_user", "value": [to, *parts]} if to and not action.options else None


class Writer:
    """Writes texts for one action, noting placeholders that have no counterpart."""

    def __init__(self, book: Notebook, at: int, own: bool) -> None:
        self.book, self.at, self.own = book, at, own

    def __call__(self, body: template.Template) -> str:
        """Return the text in Zendesk's placeholders."""
        if self.own:
            return template.write(body, template.LIQUID)
        return translated(self.book, self.at, body, placeholder, liquid=True)


def placeholder(meaning: str) -> str | None:
    """Return Zendesk's placeholder for a meaning, or None."""
    name = names.MEANINGS.get(meaning)
    return None if name is None else "{{" + name + "}}"


def _target(one: Any) -> Native:
    native: Native = {"metric": METRICS[one.metric], "business_hours": one.business, "target": -(-one.seconds // 60)}
    return native | {"priority": one.priority, "target_in_seconds": one.seconds}


def _view(source: Rule) -> Native:
    view = source.view
    assert view is not None

    def column(name: str) -> str:
        return names.COLUMN_NAMES.get(name, name)

    return {
        "columns": [{"id": column(name)} for name in view.columns],
        "group_by": column(view.group_by),
        "group_order": view.group_order,
        "sort_by": column(view.sort_by),
        "sort_order": view.sort_order,
    }
