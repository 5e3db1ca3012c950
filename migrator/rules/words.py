"""Rules in plain words, for a person who knows neither vendor's JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any as Anything

from migrator.rules.conditions import (
    Actor,
    All,
    Any,
    Changed,
    Condition,
    Days,
    Elapsed,
    Is,
    Leaf,
    Not,
    Path,
    Ref,
    Tags,
    Text,
    Value,
)
from migrator.rules.references import MARK
from migrator.rules.rule import (
    Comment,
    Follow,
    Hook,
    Mail,
    Recipient,
    Rule,
    SetField,
    SetTags,
    Unread,
    Verb,
)
from migrator.rules.template import Block, Part, Said, Template

ORDERS = {"lt": "less than", "le": "at most", "gt": "more than", "ge": "at least", "eq": "exactly", "ne": "not exactly"}
EVENTS = {"created": "the ticket is created", "updated": "the ticket is updated", "commented": "a comment comes in"}
PEOPLE = {
    "current_user": "whoever is acting",
    "current_user_groups": "a group of whoever is acting",
    "current_user_organization": "the organization of whoever is acting",
    "requester": "the requester",
    "assignee": "the assignee",
}
MODES = {
    "word": "has the word",
    "phrase": "has the phrase",
    "substring": "contains",
    "starts": "starts with",
    "ends": "ends with",
    "equal": "is the text",
    "regex": "matches the pattern",
}

VERBS = {  # what mail filters do
    "keep": "keep it",
    "discard": "throw it away",
    "stop": "do nothing more",
    "fileinto": "put it into the folder {}",
    "copyinto": "put a copy into the folder {}",
    "redirect": "send it on to {}",
    "copyto": "send a copy to {}",
    "reject": "refuse it, saying “{}”",
    "addflag": "mark it {}",
    "setflag": "mark it {} and nothing else",
    "removeflag": "take the mark {} away",
}
MAIL_PARTS = {"address": "addresses in", "localpart": "names before the @ in", "domain": "domains in"}


def _or(parts: list[str], word: str = "or") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}" if parts else "nothing"


def path_words(path: Path) -> str:
    """Return a path as one says it."""
    if path.name.startswith("before:"):
        return f"{path.name.removeprefix('before:')} before this update"
    if path.of == "message":
        part, _, of = path.name.partition(":")
        if path.name == "header:subject":
            return "the mail's subject"
        return f"the mail's {MAIL_PARTS.get(part, part)}{f' {of}' if of else ''}"
    name = f"the custom field {path.custom}" if path.custom else path.name.replace("_", " ")
    return name if path.of == "ticket" else f"{path.of}'s {name}"


def value_words(value: Value | None) -> str:
    """Return a value as one says it."""
    if value is None:
        return "nothing"
    if isinstance(value, Actor):
        return PEOPLE[value.who]
    if isinstance(value, Ref):
        return f"{value.kind.replace('_', ' ')} {value.id}"
    if isinstance(value, Days):
        return f"{value.days:g} days later"
    return str(value.value).lower() if isinstance(value.value, bool) else str(value.value)


def _is(leaf: Is) -> str:
    what = path_words(leaf.path)
    if not leaf.values:  # nothing is among none: negated means anything that there is
        there, missing = leaf.negated, leaf.null
        how = "anything" if there and missing else "not empty" if there else "empty" if missing else "impossible"
        return f"{what} is {how}"
    if str(leaf.path) == "comment.public" and len(leaf.values) == 1:
        seen = {"True": "public", "False": "private", "requester_sees": "one the requester sees"}
        value = str(getattr(leaf.values[0], "value", ""))
        none = " or there is none" if leaf.null else ""
        return f"the comment is {'not ' if leaf.negated else ''}{seen.get(value, value)}{none}"
    also = " or empty" if leaf.null and not leaf.negated else ", nor empty" if leaf.negated and not leaf.null else ""
    return f"{what} is {'not ' if leaf.negated else ''}{_or(list(map(value_words, leaf.values)))}{also}"


def _changed(leaf: Changed) -> str:
    did = "does not change" if leaf.negated else "changes"
    before = "" if leaf.before is None else f" from {_or(list(map(value_words, leaf.before)))}"
    after = "" if leaf.after is None else f" to {_or(list(map(value_words, leaf.after)))}"
    return f"{path_words(leaf.path)} {did}{before}{after}"


def _text(leaf: Text) -> str:
    needles = _or([f"“{needle}”" for needle in leaf.needles], "and" if leaf.need == "all" else "or")
    also = " (or is empty)" if leaf.null else ""
    return f"{'not: ' if leaf.negated else ''}{path_words(leaf.path)} {MODES[leaf.mode]} {needles}{also}"


def _tags(leaf: Tags) -> str:
    if not leaf.tags:
        return "has no tag" if leaf.negated else "has a tag"
    verb = "does not have" if leaf.negated else "has"
    which, word = ("all of the tags", "and") if leaf.need == "all" else ("the tag", "or")
    return f"{verb} {which} {_or(list(leaf.tags), word)}"


def _elapsed(leaf: Elapsed) -> str:
    since = leaf.anchor.removeprefix("status:").replace("_", " ")
    verb = "it became" if leaf.anchor.startswith("status:") else "it was" if since.endswith("ed") else "its"
    clock = " working" if leaf.clock == "business" else ""
    return f"{ORDERS[leaf.op]} {leaf.hours:g}{clock} hours since {verb} {since}{' (or never)' if leaf.null else ''}"


SAY: dict[str, Callable[[Anything], str]] = {
    "is": _is,
    "changed": _changed,
    "text": _text,
    "tags": _tags,
    "elapsed": _elapsed,
    "compare": lambda leaf: (
        f"{path_words(leaf.path)} is {ORDERS[leaf.op]} {value_words(leaf.value)}" + (" or empty" if leaf.null else "")
    ),
    "event": lambda leaf: ("not: " if leaf.negated else "") + _or([EVENTS.get(kind, kind) for kind in leaf.kinds]),
    "same": lambda leaf: (
        f"{path_words(leaf.path)} is {'not ' if leaf.negated else ''}the {path_words(leaf.other)}"
        + (
            " (or there is none)"
            if leaf.null and not leaf.negated
            else ", and there is one"
            if leaf.negated and not leaf.null
            else ""
        )
    ),
    "hours": lambda leaf: (
        f"it is {'inside' if leaf.inside else 'outside'} the working hours"
        + (f" of {leaf.schedule}" if leaf.schedule else "")
    ),
    "opaque": lambda leaf: f"{'not: ' if leaf.negated else ''}{leaf.text} ({leaf.why})",
}


def leaf_words(leaf: Leaf) -> str:
    """Return one condition in plain words."""
    return SAY[leaf.type](leaf)


def condition_lines(condition: Condition, depth: int = 0) -> list[tuple[int, str]]:
    """Return a condition as lines with their depth."""
    if isinstance(condition, Not):
        return [(depth, "not:"), *condition_lines(condition.of, depth + 1)]
    if not isinstance(condition, All | Any):
        return [(depth, leaf_words(condition))]
    if not condition.of:
        return [] if isinstance(condition, All) else [(depth, "never")]
    if len(condition.of) == 1:
        return condition_lines(condition.of[0], depth)
    head = "all of these:" if isinstance(condition, All) else "one of these:"
    return [(depth, head), *(line for part in condition.of for line in condition_lines(part, depth + 1))]


def template_words(template: Template | None) -> str:
    """Return a text with its placeholders named."""
    if template is None:
        return ""
    return "".join(_part_words(part, template.html) for part in template.parts)


def _part_words(part: Part, html: bool) -> str:
    if isinstance(part, Said):
        return part.text.replace("<br>\n", "\n") if html else part.text
    if isinstance(part, Block):
        return part.written + "".join(_part_words(each, html) for each in part.parts) + part.end
    kept = MARK.search(part.meaning) if part.meaning.startswith("dynamic_content:") else None  # named as it is called
    return f"«{'|'.join((kept[0] if kept else part.meaning or part.name, *part.filters))}»"


def recipient_words(to: Recipient) -> str:
    """Return who gets a mail."""
    return f"{to.who.replace('_', ' ')}{f' {to.id}' if to.id else ''}"


def action_words(action: Anything) -> str:
    """Return one action in plain words."""
    if isinstance(action, SetField):
        return (
            f"set {path_words(action.path)} to {value_words(action.value)}"
            if action.value
            else f"empty {path_words(action.path)}"
        )
    if isinstance(action, SetTags):
        how = "replace all tags by" if action.how == "replace" else f"{action.how} the tags"
        return f"{how} {_or(list(action.tags), 'and')}"
    if isinstance(action, Comment):
        how = "reply to the requester" if action.public else "write an internal note"
        return f"{how}: “{template_words(action.body)}”"
    if isinstance(action, Mail):
        to = _or([recipient_words(one) for one in action.to], "and")
        return f"mail {to}: “{template_words(action.subject)}” — “{template_words(action.body)}”"
    if isinstance(action, Hook):
        secret = f", {len(action.headers)} headers (enter again)" if action.headers else ""
        return f"call {action.target} ({action.method}{secret}): {template_words(action.body)}"
    if isinstance(action, Follow):
        return f"add {value_words(action.who)} as {action.how}"
    if isinstance(action, Verb) and action.word in VERBS:
        return VERBS[action.word].format(_or(list(action.values), "and"))
    if isinstance(action, Verb):
        return " ".join((action.word.replace("_", " "), *action.values))
    assert isinstance(action, Unread)
    return f"{action.name}: {action.text} ({action.why})"


def _clock(minute: int) -> str:
    """Return a minute of the week as a day and a time."""
    days = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday after")
    return f"{days[min(minute // 1440, 7)]} {minute % 1440 // 60:02}:{minute % 60:02}"


def rule_lines(rule: Rule) -> list[tuple[int, str]]:
    """Return a whole rule as lines with their depth: when it acts, what it does, promises, columns."""
    when = condition_lines(rule.when, 1)
    lines = [(0, "When"), *when] if when else [(0, "Always")] if rule.kind not in ("macro", "schedule") else []
    lines += [(1, f"{_clock(one.begins)} to {_clock(one.ends)}") for one in rule.shifts]
    for day in rule.holidays:
        lines.append((1, f"off: {day.name}, {day.first}{f' to {day.last}' if day.last != day.first else ''}"))
    if rule.do:
        lines += [(0, "Do"), *((1, action_words(action)) for action in rule.do)]
    for target in rule.targets:
        hours = "working hours" if target.business else "hours"
        priority = f" for {target.priority} priority" if target.priority else ""
        lines.append((1, f"{target.metric.replace('_', ' ')} within {target.seconds / 3600:g} {hours}{priority}"))
    if rule.view:
        lines.append((0, f"Columns: {', '.join(rule.view.columns) or 'none'}"))
        if rule.view.group_by:
            lines.append((0, f"Grouped by {rule.view.group_by} {rule.view.group_order}".rstrip()))
        if rule.view.sort_by:
            lines.append((0, f"Sorted by {rule.view.sort_by} {rule.view.sort_order}".rstrip()))
    if rule.position is not None and rule.kind not in ("trigger", "filter"):
        lines.append((0, f"Place {rule.position} in the list"))
    if rule.description:
        lines.append((0, f"Described as “{rule.description}”"))
    if rule.audience:
        lines.append((0, f"For {_or([value_words(one) for one in rule.audience])}"))
    return lines
