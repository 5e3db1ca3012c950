"""HubSpot's workflows read into our words: when a ticket is enrolled, which branches it takes, what is done to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from migrator.rules.conditions import (
    All,
    Changed,
    Compare,
    Condition,
    Is,
    Lit,
    Not,
    Opaque,
    Path,
    Ref,
    Text,
    Value,
    path,
)
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.natives import compact, kept
from migrator.rules.rule import Action, Hook, Kind, Rule, SetField, Unread

from . import names
from .graph import WAY, choices, walk

Native = Mapping[str, Any]
READ = {"name", "description", "isEnabled", "flowType", "type", "objectTypeId", "enrollmentCriteria", "actions", WAY}
READ |= {"startActionId"}
ODD = "a condition of HubSpot that is not known here"


def rule(native: Native, kind: Kind) -> Rule:
    """Return a workflow, or the way through it that is named, in our words."""
    enrolls = native.get("enrollmentCriteria") or {}
    way = native.get(WAY) or []
    done, loose = walk(native, way)
    asked = [enrolled(enrolls)]
    if str(native.get("objectTypeId", names.TICKETS)) != names.TICKETS:
        asked.append(Opaque(text=compact(native["objectTypeId"]), why="a workflow that is not about tickets"))
    if loose is not None:
        asked.append(Opaque(text=compact(dict(loose)), why="too many branches to be told apart"))
    asked += branches(native, way)
    told = ("LIST_BRANCH",)
    options = [("enrolls when its criteria become true", "true")] if enrolls.get("type") == "LIST_BASED" else []
    options += [] if enrolls.get("shouldReEnroll") else [("enrolls a ticket once", "true")]
    extra = [(key, compact(native[key])) for key in native if key not in {*READ, *names.BOOKKEEPING} and native[key]]
    return Rule(
        vendor="hubspot",
        kind=kind,
        id=str(native.get("id", "")),
        name=f"{native.get('name') or ''}{' › ' + _way_name(native, way) if way else ''}",  # noqa: RUF001
        description=str(native.get("description") or ""),
        active=native.get("isEnabled"),
        when=All(of=tuple(asked)),
        do=tuple(action(one) for one in done if one.get("type") not in told),
        options=tuple(options),
        unknown=tuple(extra),
        kept=kept(native, names.BOOKKEEPING),
    )


def branches(flow: Native, way: list[list[Any]]) -> list[Condition]:
    """Return what the branches on a way ask: the one that is taken, and none before it."""
    by_id = {str(one.get("actionId")): one for one in flow.get("actions") or ()}
    found: list[Condition] = []
    for id, at in way:
        for place, one in enumerate(choices(by_id[str(id)])[: at + 1]):
            if one.get("filterBranch") is not None:
                asked = branch(one["filterBranch"])
                found.append(asked if place == at else Not(of=asked))
    return found


def _way_name(flow: Native, way: list[list[Any]]) -> str:
    by_id = {str(one.get("actionId")): one for one in flow.get("actions") or ()}
    taken = [(by_id[str(id)], choices(by_id[str(id)])[at]) for id, at in way]
    return ", ".join(
        str(one.get("branchName") or action.get("defaultBranchName") or "otherwise") for action, one in taken
    )


def enrolled(native: Native) -> Condition:
    """Return when a ticket comes into the workflow."""
    if native.get("type") == "LIST_BASED":
        return branch(native.get("listFilterBranch") or {})
    if native.get("type") == "EVENT_BASED":
        some = AnyOf(of=tuple(branch(one) for one in native.get("eventFilterBranches") or ()))
        more = [branch(one) for one in native.get("listMembershipFilterBranches") or ()]
        refined = native.get("refinementCriteria")
        return All(of=(some, *more, *([branch(refined)] if refined else [])))
    why = "put in by hand" if native.get("type") == "MANUAL" else "a way of enrolling that is not known here"
    return Opaque(text=compact(dict(native)), why=why)


def branch(native: Native) -> Condition:
    """Return a branch of filters: AND, OR, NOT_ALL, NOT_ANY; what happened; anything else as it stands."""
    word = native.get("filterBranchType")
    odd = set(native) - {"filterBranchType", "filterBranchOperator", "filterBranches", "filters"}
    if word == "UNIFIED_EVENTS":
        return _event(native)
    if odd or word not in ("AND", "OR", "NOT_ALL", "NOT_ANY"):
        return Opaque(text=compact(dict(native)), why=ODD)
    of = (
        *(condition(one) for one in native.get("filters") or ()),
        *(branch(one) for one in native.get("filterBranches") or ()),
    )
    joined: Condition = AnyOf(of=of) if word in ("OR", "NOT_ANY") else All(of=of)
    return Not(of=joined) if word.startswith("NOT") else joined


def _event(native: Native) -> Condition:
    """Return that a property got a value (hs_name and hs_value of the event say which), or the event as it stands."""
    given = {one.get("property"): one.get("operation") or {} for one in native.get("filters") or ()}
    plain = set(given) <= {"hs_name", "hs_value"} and native.get("operator") == "HAS_COMPLETED"
    name = (given.get("hs_name") or {}).get("values") or [(given.get("hs_name") or {}).get("value")]
    if not plain or len(name) != 1 or not name[0] or native.get("filterBranches"):
        return Opaque(text=compact(dict(native)), why="an event of HubSpot that is not known here")
    at = place(str(name[0]))
    asked = given.get("hs_value")
    if asked is None or asked.get("operator") == "IS_KNOWN":
        return Changed(path=at)
    if asked.get("operator") not in ("IS_ANY_OF", "IS_EQUAL_TO"):
        return Opaque(text=compact(dict(native)), why="an event of HubSpot that is not known here")
    return Changed(path=at, after=tuple(value(at, one) for one in asked.get("values") or [asked.get("value")]))


def condition(native: Native) -> Condition:
    """Return one filter; ``includeObjectsWithNoValueSet`` is what it answers where there is no value."""
    if native.get("filterType") == "CONSTANT":
        return All() if native.get("shouldAccept") else AnyOf()
    asked = native.get("operation")
    found = None
    if native.get("filterType") == "PROPERTY" and isinstance(asked, Mapping):
        found = _property(place(str(native.get("property"))), asked)
    return found or Opaque(text=compact(dict(native)), why=ODD)


def _property(at: Path, asked: Native) -> Condition | None:
    operator, null = str(asked.get("operator")), bool(asked.get("includeObjectsWithNoValueSet"))
    if set(asked) - {"operator", "includeObjectsWithNoValueSet", "values", "value", "operationType"}:
        return None
    if operator in ("IS_KNOWN", "IS_UNKNOWN"):
        return Is(path=at, values=(), negated=operator == "IS_KNOWN", null=operator == "IS_UNKNOWN")
    values = asked.get("values") if isinstance(asked.get("values"), list) else [asked.get("value")]
    assert values is not None
    if operator in names.AMONG:
        held = tuple(value(at, one) for one in values if one is not None)
        return Is(path=at, values=held, negated=names.AMONG[operator], null=null)
    if operator in names.TEXTS:
        mode, negated = names.TEXTS[operator]
        needles = tuple(map(str, values))
        return Text.model_validate({"path": at, "mode": mode, "needles": needles, "negated": negated, "null": null})
    if operator in names.ORDERS and asked.get("operationType") == "NUMBER" and isinstance(values[0], int | float):
        return Compare.model_validate(
            {"path": at, "op": names.ORDERS[operator], "value": Lit(value=values[0]), "null": null}
        )
    return None


def place(name: str) -> Path:
    """Return the path of a property."""
    return path(names.PROPERTIES[name]) if name in names.PROPERTIES else Path(of="ticket", name=f"cf:{name}")


def value(at: Path, held: object) -> Value:
    """Return a value in our words; a stage, a pipeline or an owner of the account's own by its id."""
    word, ours = str(held), str(at)
    tables = {"ticket.status": names.STAGES, "ticket.priority": names.PRIORITIES, "ticket.channel": names.CHANNELS}
    found = tables.get(ours, {}).get(word)
    if found is None and ours in names.REFERS:
        return Ref(kind=names.REFERS[ours], id=word)
    return Lit(value=found or (held if isinstance(held, bool) else word))


def action(native: Native) -> Action:
    """Return one action; what HubSpot alone has, or nobody knows, as it stands."""
    if native.get("type") == "WEBHOOK":
        settings = [(key, compact(native[key])) for key in ("authSettings",) if native.get(key)]
        params = [one for one in native.get("queryParams") or () if isinstance(one, Mapping)]
        secrets = tuple((str(one.get("name")), SecretStr(str(one.get("value")))) for one in params)
        method, url = str(native.get("method") or "POST"), str(native.get("webhookUrl", ""))
        return Hook(target=url, method=method, headers=secrets, options=tuple(settings))
    fields = native.get("fields") or {}
    id = str(native.get("actionTypeId", ""))
    if native.get("type") == "SINGLE_CONNECTION" and id == names.SET_PROPERTY:
        given = fields.get("value") or {}
        if (
            set(fields) == {"property_name", "value"}
            and set(given) <= {"staticValue", "type"}
            and "staticValue" in given
        ):
            at = place(str(fields["property_name"]))
            return SetField(path=at, value=value(at, given["staticValue"]) if given["staticValue"] != "" else None)
    if native.get("type") == "CUSTOM_CODE":
        return Unread(name="custom code", text=compact(dict(native)), why="code of the account's own")
    why = names.ACTIONS.get(id, "an action of HubSpot that is not known here")
    if id == names.DELAY:
        why = "waits; what comes after it is done later"
    return Unread(name=f"action {id or native.get('type')}", text=compact(dict(native)), why=why)
