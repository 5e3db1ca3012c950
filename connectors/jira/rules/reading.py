"""Jira's automation rules read into our words: what sets them off, their conditions, JQL, what they do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from migrator.rules import template
from migrator.rules.conditions import (
    All,
    Changed,
    Condition,
    Event,
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
from migrator.rules.natives import compact, kept
from migrator.rules.rule import (
    Action,
    Comment,
    Hook,
    Kind,
    Mail,
    Recipient,
    Rule,
    SetField,
    SetTags,
    Unread,
    Verb,
    View,
)

from . import names
from .jql import UnknownError, parse, unordered
from .parts import BLOCK, PART, parts

Native = Mapping[str, Any]
Fields = Mapping[str, str]  # what JQL calls a custom field, in small letters, to the field
READ = {"name", "state", "description", "trigger", "components", PART}
OPTIONS = (
    "canOtherRuleTrigger",
    "projects",
    "ruleScopeARIs",
    "ruleScope",
    "labels",
    "tags",
    "notifyOnError",
    "writeAccessType",
)
ODD = "a condition of Jira that is not known here"


def rule(native: Native, kind: Kind) -> Rule:
    """Return a rule, or the part of it that is named, in our words."""
    found = parts(native.get("components") or ())
    asked, does = found[min(native.get(PART, 0), len(found) - 1)]
    known, fields = {*READ, *OPTIONS, *names.BOOKKEEPING}, native.get(names.CALLED) or {}
    state = native.get("state")
    place = f" ({native[PART] + 1})" if PART in native else ""
    return Rule(
        vendor="jira",
        kind=kind,
        id=str(native.get("uuid") or native.get("id") or ""),
        name=f"{native.get('name') or ''}{place}",
        description=str(native.get("description") or ""),
        active=None if state is None else state == "ENABLED",
        when=All(
            of=(*trigger(native.get("trigger") or {}, fields), *(_held(one, held, fields) for one, held in asked))
        ),
        do=tuple(action(one) for one in does),
        options=tuple((key, compact(native[key])) for key in OPTIONS if native.get(key)),
        unknown=tuple((key, compact(native[key])) for key in native if key not in known and native[key]),
        kept=kept(native, names.BOOKKEEPING),
    )


def _held(component: Native, held: bool, fields: Fields) -> Condition:
    asked = block(component, fields) if component.get("type") == BLOCK else condition(component, fields)
    return asked if held else Not(of=asked)


_PROJECT = re.compile(r'^\s*project\s*=\s*("[^"]*"|[\w-]+)\s*(?:AND\b\s*|$)', re.IGNORECASE)


def listing(native: Native) -> Rule:
    """Return a queue or a filter: its JQL, and how the list looks. The project it is of is the one that is moved."""
    jql, order = unordered(str(native.get("jql") or ""))
    of = _PROJECT.match(jql)
    asked = (jql[of.end() :] if of else jql).strip()
    by = order.split(",")[0].split()
    options = [("sorted by", compact(order))] if "," in order else []
    known = {"id", "name", "description", "jql", "fields", *names.OF_LISTS}
    return Rule(
        vendor="jira",
        kind="view",
        id=str(native.get("id", "")),
        name=str(native.get("name") or ""),
        description=str(native.get("description") or ""),
        when=_jql(asked, native.get(names.CALLED) or {}) if asked else All(),
        view=View(
            columns=tuple(names.COLUMNS.get(one, one) for one in native.get("fields") or ()),
            sort_by=names.COLUMNS.get(by[0].lower(), by[0]) if by else "",
            sort_order=("desc" if by[-1].lower() == "desc" else "asc") if by else "",
        ),
        options=(*options, *((("project", compact(of[1])),) if of else ())),
        unknown=tuple((key, compact(native[key])) for key in native if key not in known and native[key]),
        kept=kept(native, names.OF_LISTS),
    )


def trigger(native: Native, fields: Fields) -> list[Condition]:
    """Return what sets a rule off, as conditions."""
    kind, value = str(native.get("type", "")), native.get("value") or {}
    if kind in names.EVENTS:
        return [Event(kinds=(names.EVENTS[kind],))]
    if kind == names.TRANSITIONED:
        sides = [
            tuple(_named("status", one) for one in value.get(side) or ()) or None for side in ("fromStatus", "toStatus")
        ]
        return [Changed(path=path("ticket.status"), before=sides[0], after=sides[1])]
    if kind == names.ASSIGNED:
        return [Changed(path=path("ticket.assignee"))]
    if kind == names.CHANGED and value.get("changeType", "ANY_CHANGE") == "ANY_CHANGE":
        some = [str(one.get("value", "") if isinstance(one, Mapping) else one) for one in value.get("fields") or ()]
        return [AnyOf(of=tuple(Changed(path=field(one)) for one in some))]
    if kind == names.SCHEDULED:
        jql = value.get("jql") or ""
        return [_jql(jql, fields)] if jql else []
    if kind == names.MANUAL:
        return []
    return [Opaque(text=compact(dict(native)), why="a trigger of Jira that is not known here")]


def block(native: Native, fields: Fields) -> Condition:
    """Return what an if or an else-if asks; an else asks nothing."""
    asked = tuple(condition(one, fields) for one in native.get("conditions") or ())
    whole = (native.get("value") or {}).get("conditionMatchType", "ALL") != "ANY" or not asked
    return All(of=asked) if whole else AnyOf(of=asked)


def condition(native: Native, fields: Fields) -> Condition:
    """Return one condition; what is unknown becomes Opaque with the reason."""
    kind, value = native.get("type"), native.get("value") or {}
    found: Condition | None = None
    if kind == "jira.jql.condition":
        return _jql(value if isinstance(value, str) else str(value.get("jql", "")), fields)
    if kind == "jira.issue.condition" and isinstance(value, Mapping):
        name = str((value.get("selectedField") or {}).get("value", ""))
        compared = value.get("compareValue") or {}
        found = _field(name, str(value.get("comparison")), _values(compared), by_id=compared.get("type") == "ID")
    return found or Opaque(text=compact(dict(native)), why=ODD)


def _values(compared: Native) -> list[str]:
    held = compared.get("value")
    if compared.get("multiValue") and isinstance(held, str) and held.startswith("["):
        try:
            held = json.loads(held)
        except ValueError:
            return [held]
    return [str(one) for one in (held if isinstance(held, list) else [held]) if one is not None]


def _field(name: str, comparison: str, values: Sequence[str], *, by_id: bool) -> Condition | None:
    if name == names.LABELS and comparison in ("CONTAINS_ANY", "CONTAINS_ALL", "CONTAINS_NONE", "ONE_OF", "NOT_ONE_OF"):
        made = {"tags": tuple(values), "need": "all" if comparison == "CONTAINS_ALL" else "one"}
        return Tags.model_validate({**made, "negated": comparison in ("CONTAINS_NONE", "NOT_ONE_OF")})
    at = field(name)
    if comparison in ("EMPTY", "NOT_EMPTY"):
        return Is(path=at, values=(), negated=comparison == "NOT_EMPTY", null=comparison == "EMPTY")
    if comparison not in names.COMPARISONS:
        return None
    negated = names.COMPARISONS[comparison]
    held = tuple(value_of(at, one, by_id=by_id) for one in values)
    return Is(path=at, values=held, negated=negated, null=negated)  # that "not" takes in what is empty is assumed


def _jql(text: str, fields: Fields) -> Condition:
    try:
        return parse(text, lambda name, operator, values: _clause(fields.get(name.lower(), name), operator, values))
    except UnknownError as err:
        return Opaque(text=text, why=f"JQL that is not known here: {err}")


def _clause(name: str, operator: str, values: Sequence[str]) -> Condition | None:
    name = name.lower() if name.lower() in (*names.FIELDS, names.LABELS) else name
    negated = operator in ("!=", "not in", "!~", "is not")
    if operator in ("is", "is not") and [one.lower() for one in values] in (["empty"], ["null"]):
        if name == names.LABELS:
            return Tags(tags=(), negated=not negated)
        return Is(path=field(name), values=(), negated=negated, null=not negated)
    if name == names.LABELS and operator in ("=", "!=", "in", "not in"):
        found = Tags(tags=tuple(values), negated=negated)
        return All(of=(found, Tags(tags=()))) if negated else found  # of no labels, neither is true
    if operator in ("=", "!=", "in", "not in"):
        at = field(name)
        return Is(path=at, values=tuple(value_of(at, one, by_id=False) for one in values), negated=negated)
    words = values[0].split()
    if operator in ("~", "!~") and words and all(map(str.isalnum, words)):  # all of them, in any order
        return Text(path=field(name), mode="word", needles=tuple(words), need="all", negated=negated)
    return None


def field(name: str) -> Path:
    """Return the path of a field, which JQL may call ``cf[10100]``."""
    name = re.sub(r"^cf\[(\d+)\]$", r"customfield_\1", name)
    return path(names.FIELDS[name]) if name in names.FIELDS else Path(of="ticket", name=f"cf:{name}")


def value_of(at: Path, word: str, *, by_id: bool) -> Value:
    """Return a value in our words: by its name where that is known; else as what it refers to."""
    tables = {"ticket.status": names.STATUSES, "ticket.priority": names.PRIORITIES, "ticket.type": names.TYPES}
    found = None if by_id else tables.get(str(at), {}).get(word.lower())
    if found is None and str(at) in names.REFERS:
        return Ref(kind=names.REFERS[str(at)], id=word)
    return Lit(value=found or word)


def _named(name: str, native: Any) -> Value:
    given = native if isinstance(native, Mapping) else {"value": native}
    return value_of(field(name), str(given.get("value", "")), by_id=given.get("type") == "ID")


def templated(value: object) -> template.Template:
    """Return a text with smart values as a tree."""
    return template.parse(str(value or ""), template.BRACES, lambda name: names.PLACEHOLDERS.get(name, ""))


def action(native: Native) -> Action:
    """Return one action; what Jira alone has, or nobody knows, as it stands, secrets apart."""
    kind, value = str(native.get("type", "")), native.get("value") or {}
    found = _action(kind, value) if isinstance(value, Mapping) else None
    if found is not None and not native.get("children"):
        return found
    why = (
        "a branch over other issues"
        if native.get("component") == "BRANCH"
        else "an action of Jira that is not known here"
    )
    return Unread(name=kind, text=compact(dict(native)), why=why)


def _action(kind: str, value: Native) -> Action | None:
    if kind == "jira.issue.transition" and isinstance(value.get("destinationStatus"), Mapping):
        return SetField(path=path("ticket.status"), value=_named("status", value["destinationStatus"]))
    if kind == "jira.issue.assign" and isinstance(value.get("assignee"), Mapping):
        return SetField(path=path("ticket.assignee"), value=_named("assignee", value["assignee"]))
    if kind == "jira.issue.edit" and len(value.get("operations") or ()) == 1:
        return _edit(value["operations"][0])
    if kind == "jira.issue.comment" and "comment" in value:
        return Comment(public=bool(value.get("publicComment", True)), body=templated(value["comment"]))
    if kind == "jira.issue.outgoing.email":
        return _mail(value)
    if kind == "jira.issue.outgoing.webhook":
        return _hook(value)
    return Verb(word="delete") if kind == "jira.issue.delete" else None


def _edit(native: Native) -> Action | None:
    name, how, held = str((native.get("field") or {}).get("value", "")), native.get("type"), native.get("value")
    if name == names.LABELS and how in ("ADD", "REMOVE", "SET"):
        tags = [str(one) for one in (held if isinstance(held, list) else [held])]
        word = {"ADD": "add", "REMOVE": "remove", "SET": "replace"}[str(how)]
        return SetTags.model_validate({"how": word, "tags": tuple(tags)})
    if how != "SET" or isinstance(held, list):
        return None
    return SetField(path=field(name), value=None if held in (None, "") else _named(name, held))


def _mail(value: Native) -> Action:
    known = {
        "issue.reporter": "requester",
        "reporter": "requester",
        "issue.assignee": "assignee",
        "assignee": "assignee",
    }
    to = []
    for one in value.get("to") or ():
        word = str(one.get("value", "")) if isinstance(one, Mapping) else str(one)
        bare = word.strip("{} ").removesuffix(".emailAddress")
        to.append(Recipient(who=known[bare]) if bare in known else Recipient(who="user", id=word))
    return Mail(to=tuple(to), subject=templated(value.get("subject")), body=templated(value.get("body")))


def _hook(value: Native) -> Action:
    """Return a call; the values of all its headers are kept as secrets, whatever Jira says of them."""
    headers = tuple((str(one.get("name")), SecretStr(str(one.get("value")))) for one in value.get("headers") or ())
    taken = ("url", "method", "headers", "customBody")
    options = tuple((key, compact(value[key])) for key in sorted(value) if key not in taken)
    body = templated(value["customBody"]) if value.get("customBody") else None
    method = str(value.get("method") or "POST")
    return Hook(target=str(value.get("url", "")), method=method, headers=headers, body=body, options=options)
