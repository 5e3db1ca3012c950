"""Zammad's selector: which tickets hold conditions, in SQL's three values over rows (lib/selector/sql.rb, 2024-12).

A ticket is taken where one of its rows is true: it has a row for each tag where ``contains one`` asks for tags, and one
for each article where an attribute of articles is asked for. Written from that source, and from nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import API, Refusal, answer, routes

Truth = bool | None  # None: unknown, as a comparison with NULL is
OPERATORS = (
    *("after (absolute)", "after (relative)", "before (absolute)", "before (relative)", "contains", "contains all"),
    *("contains all not", "contains not", "contains one", "contains one not", "does not match regex", "ends with"),
    *("ends with one of", "from (relative)", "has changed", "is", "is any of", "is in working time", "is none of"),
    *("is not", "is not in working time", "is set", "matches regex", "not set", "starts with", "starts with one of"),
    *("till (relative)", "today", "within last (relative)", "within next (relative)"),
)
NO_VALUE = ("has changed", "is any of", "is none of", "is set", "not set", "today")
PEOPLE = re.compile(r"(created_by|updated_by|owner|customer|user)_id")
UNITS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2629746, "year": 31556952}
Row = tuple[Native, str | None, Native | None]  # ticket, one of its tags, one of its articles


class InvalidConditionError(Exception):
    """A condition the selector finds wrong: it then says that there is nothing to ask."""


def matching(box: Sandbox, condition: Native, tickets: list[Native], *, preview: bool) -> list[Native] | None:
    """Return the tickets that hold a condition; None where it is wrong. ``preview``: working hours may be asked for."""
    block = _tree(condition)
    names = [str(one.get("name")) for one in _leaves(block)]
    by_tag = any(one.get("name") == "ticket.tags" and _one_tag(one) for one in _leaves(block))
    by_article = any(name.startswith("article.") and name != "article.action" for name in names)
    if not preview and any("in working time" in str(one.get("operator")) for one in _leaves(block)):
        raise Refusal("Please enable execution_time feature to use it", 500)
    try:
        return [one for one in tickets if any(_holds(box, block, row) for row in _rows(box, one, by_tag, by_article))]
    except InvalidConditionError:
        return None


def _tree(condition: Native) -> Native:
    if "conditions" in condition:
        return condition
    return {"operator": "AND", "conditions": [{"name": name, **one} for name, one in condition.items()]}


def _leaves(block: Native) -> Iterator[Native]:
    if "conditions" not in block:
        yield block
        return
    for one in block["conditions"]:
        yield from _leaves(one)


def _one_tag(one: Native) -> bool:
    several = len(_tags(one)) > 1
    return one.get("operator") == "contains one" or (one.get("operator") == "contains all" and not several)


def _tags(one: Native) -> list[str]:
    return [tag.strip() for tag in str(one.get("value") or "").split(",")]


def _rows(box: Sandbox, ticket: Native, by_tag: bool, by_article: bool) -> Iterator[Row]:
    tags: list[str | None] = list(box.state["tags_of"].get(ticket["id"], ())) or [None]
    ids = box.state["articles_of"].get(ticket["id"], ())
    articles: list[Native | None] = [box.store["ticket_articles"][id] for id in ids]
    yield from product([ticket], tags if by_tag else [None], articles if by_article else [None])


def _holds(box: Sandbox, block: Native, row: Row) -> Truth:
    if "conditions" not in block:
        return _leaf(box, block, row)
    parts = [_holds(box, one, row) for one in block["conditions"]]
    if not parts:
        return True
    if block.get("operator") == "OR":
        return True if True in parts else None if None in parts else False
    every = False if False in parts else None if None in parts else True
    return every if block.get("operator") != "NOT" or every is None else not every


def _leaf(box: Sandbox, one: Native, row: Row) -> Truth:
    name, operator = str(one.get("name") or ""), str(one.get("operator") or "")
    if not name or operator not in OPERATORS:
        raise Refusal("Invalid condition, operator is invalid", 500)
    blank = "value" not in one or one["value"] == [] or (operator.startswith("contains") and not one["value"])
    if operator not in NO_VALUE and blank and one.get("pre_condition") in (None, "", "specific"):
        raise InvalidConditionError
    if name in ("ticket.action", "article.action"):  # there is no event
        return operator != "is"
    if operator == "has changed":
        return False
    if "in working time" in operator:
        return True
    if name == "ticket.tags":
        return _of_tags(box, one, row)
    return _compared(box, one, name, operator, _value(box, name, row))


def _of_tags(box: Sandbox, one: Native, row: Row) -> Truth:
    ticket, tag, _ = row
    held, wanted = set(box.state["tags_of"].get(ticket["id"], ())), _tags(one)
    if _one_tag(one):
        return None if tag is None else tag in wanted
    if str(one["operator"]).startswith("contains all"):
        return (len(held & set(wanted)) == len(wanted)) is (one["operator"] == "contains all")
    return not held & set(wanted)  # contains one not


def _value(box: Sandbox, name: str, row: Row) -> Any:
    table, _, column = name.partition(".")
    ticket, _, article = row
    if table == "ticket":
        return ticket.get(column)
    if table == "article":
        return (article or {}).get(column)
    stream = {"customer": "users", "owner": "users", "organization": "organizations"}.get(table)
    if stream is None:
        raise Refusal(f"invalid selector {table}, {column}", 500)
    return (box.store[stream].get(ticket.get(f"{table}_id")) or {}).get(column)


def _compared(box: Sandbox, one: Native, name: str, operator: str, held: Any) -> Truth:
    value = one.get("value")
    some = [_text(each) for each in (value if isinstance(value, list) else [value])]
    if operator in ("is", "is not"):
        return _among(box, one, name, operator == "is", held, some)
    if operator in ("is set", "not set"):
        return (held not in (None, "", [])) is (operator == "is set")
    if operator in ("contains all", "contains one", "contains all not", "contains one not"):
        inside = [word in (held or ()) for word in some]
        found = all(inside) if "all" in operator else any(inside)
        return found is not operator.endswith("not")
    if held is None:
        return True if operator == "contains not" else None
    return _texts(operator, _text(held), some) if operator in TEXTS else _times(box, one, operator, str(held))


def _among(box: Sandbox, one: Native, name: str, yes: bool, held: Any, some: list[str]) -> Truth:
    before = one.get("pre_condition")
    if before == "not_set":
        none = [None, 1] if PEOPLE.match(name.partition(".")[2]) else [None]
        return (held in none) is yes
    if before in ("current_user.id", "current_user.organization_id"):
        me = rules.me(box)
        some = [_text(me["id"] if before == "current_user.id" else me["organization_id"])]
    if held is None:
        return ("" in some) is yes if ("" in some) or not yes else None
    return (_text(held) in some) is yes


TEXTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda held, word: word.lower() in held.lower(),
    "contains not": lambda held, word: word.lower() not in held.lower(),
    "starts with": lambda held, word: held.lower().startswith(word.lower()),
    "starts with one of": lambda held, word: held.lower().startswith(word.lower()),
    "ends with": lambda held, word: held.lower().endswith(word.lower()),
    "ends with one of": lambda held, word: held.lower().endswith(word.lower()),
    "matches regex": lambda held, word: re.search(word, held, re.IGNORECASE) is not None,
    "does not match regex": lambda held, word: re.search(word, held, re.IGNORECASE) is None,
    "is any of": lambda held, word: held == word,
    "is none of": lambda held, word: held != word,
}


def _texts(operator: str, held: str, some: list[str]) -> bool:
    whole = all if operator == "is none of" else any
    return whole(TEXTS[operator](held, word) for word in some)


def _times(box: Sandbox, one: Native, operator: str, held: str) -> bool:
    at, now = datetime.fromisoformat(held), box.clock.now()
    if operator == "today":
        return at.date() == now.date()
    if operator.endswith("(absolute)"):
        other = datetime.fromisoformat(str(one["value"]))
        return at <= other if operator.startswith("before") else at >= other
    span = timedelta(seconds=int(one["value"]) * UNITS[str(one["range"])])
    return {
        "before (relative)": at <= now - span,
        "from (relative)": at >= now - span,
        "till (relative)": at <= now + span,
        "after (relative)": at >= now + span,
        "within last (relative)": now - span <= at <= now,
        "within next (relative)": now <= at <= now + span,
    }[operator]


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@routes("POST", f"{API}/tickets/selector")
def preview(box: Sandbox, request: Request) -> Response:
    """Answer how many tickets of the whole account hold a condition, and six of them."""
    rules.admin(box)
    condition = rules.given(request).get("condition") or {}
    every = sorted(box.store["tickets"].values(), key=lambda one: one["created_at"], reverse=True)
    found = matching(box, condition, every, preview=True) or []
    ids = [one["id"] for one in found[:6]]
    return answer({"object_ids": ids, "object_count": len(found), "assets": {}})
