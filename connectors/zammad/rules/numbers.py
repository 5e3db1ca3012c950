"""What rules say by name and Zammad keeps by number: states, priorities, kinds of articles, roles, calendars."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .names import AROUND_THE_CLOCK

Native = dict[str, Any]
NAMED = re.compile(r"<(\w+):([^<>]*)>\Z")
# The numbers are the same in every Zammad (db/seeds/ticket_article_types.rb, ticket_article_senders.rb).
ARTICLE_TYPES = {
    1: "email", 2: "sms", 3: "chat", 4: "fax", 5: "phone", 6: "twitter status", 7: "twitter direct-message",
    8: "facebook feed post", 9: "facebook feed comment", 10: "note", 11: "web", 12: "telegram personal-message",
    13: "facebook direct-message", 14: "whatsapp message",
}  # fmt: skip
SENDERS = {1: "Agent", 2: "Customer", 3: "System"}
FIXED: dict[str, Mapping[int, str]] = {"article_type": ARTICLE_TYPES, "article_sender": SENDERS}
SAYS = {  # attribute to what its values name
    "ticket.state_id": "state",
    "ticket.status_before": "state",
    "ticket.priority_id": "priority",
    "ticket.priority_before": "priority",
    "ticket.create_article_type_id": "article_type",
    "article.type_id": "article_type",
    "article.sender_id": "article_sender",
}
Tables = Callable[[str], Mapping[int, str]]  # kind to {id: name}
LISTS = {"state": "/ticket_states", "priority": "/ticket_priorities", "role": "/roles", "calendar": "/calendars"}
DEFAULT = "default"  # how the calendar is called that holds where none is named; its name here


def named_tables(kind: str, read: Callable[[str], Any]) -> dict[int, str]:
    """Return the names of what rules name without a record of its own, by id; ``read``: a list of the account's."""
    path = LISTS.get(kind)
    if path is None:
        return {}
    default = kind == "calendar"
    return {int(one["id"]): DEFAULT if default and one.get("default") else str(one["name"]) for one in read(path)}


def in_ids(node: Any, tables: Tables) -> Any:
    """Return JSON with ids in the place of names. Raises KeyError with kind and name of one that is not there."""
    if isinstance(node, dict):
        return {key: in_ids(value, tables) for key, value in node.items()}
    if isinstance(node, list):
        return [in_ids(value, tables) for value in node]
    found = NAMED.match(node) if isinstance(node, str) else None
    if found is None:
        return node
    kind, name = found.groups()
    for id, called in tables(kind).items():
        if called == name:
            return id if kind in ("role", "calendar") else str(id)
    raise KeyError(kind, name)


def names_in(node: Any) -> Iterator[tuple[str, str]]:
    """Yield every (kind, name) that stands in JSON for an id."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from names_in(one)
    elif isinstance(node, str) and (found := NAMED.match(node)):
        yield found[1], found[2]


def in_words(native: Native, tables: Tables) -> Native:
    """Return a rule as the account holds it with names in the place of ids, and marks where its records are named."""
    told = {**native}
    if isinstance(told.get("condition"), dict):
        told["condition"] = _condition(told["condition"], tables)
    if isinstance(told.get("perform"), dict):
        told["perform"] = {
            key: _spoken(key, one, tables) if isinstance(one, dict) else one for key, one in told["perform"].items()
        }
    if "role_ids" in told:
        told["role_ids"] = [named("role", one, tables) for one in told["role_ids"] or ()]
    if told.get("group_ids"):
        told["group_ids"] = [f"⟪group:{one}⟫" for one in told["group_ids"]]
    if told.get("calendar_id") is not None:
        told["calendar_id"] = _calendar(told["calendar_id"], tables)
    return told


def _condition(node: Native, tables: Tables) -> Native:
    if "conditions" in node:
        return {**node, "conditions": [_condition(one, tables) for one in node["conditions"]]}
    if "operator" in node and "name" in node:
        return _spoken(str(node["name"]), node, tables)
    return {key: _spoken(key, one, tables) if isinstance(one, dict) else one for key, one in node.items()}


def _spoken(name: str, one: Native, tables: Tables) -> Native:
    if "value" not in one:
        return one
    if name == "execution_time.calendar_id":
        found = _calendar(one["value"], tables)
        return {**one, "value": found.strip("⟪⟫").partition(":")[2] if found.startswith("⟪") else found}
    kind, value = SAYS.get(name), one["value"]
    if kind is None:
        return one
    if isinstance(value, list):
        return {**one, "value": [named(kind, each, tables) for each in value]}
    return {**one, "value": named(kind, value, tables)}


def named(kind: str, id: Any, tables: Tables) -> Any:
    """Return ``<kind:name>`` for an id that is known, anything else as it is."""
    called = tables(kind).get(int(id)) if str(id).isdecimal() else None
    return id if called is None else f"<{kind}:{called}>"


def _calendar(id: Any, tables: Tables) -> str:
    """Return a calendar: the default one and the one that is added by what they are, any other as a record."""
    called = tables("calendar").get(int(id)) if str(id).isdecimal() else None
    return f"<calendar:{called}>" if called in (DEFAULT, AROUND_THE_CLOCK) else f"⟪schedule:{id}⟫"
