"""What an account of Freshdesk must have before rules of others work there: statuses, fields, rules that fill them."""

from __future__ import annotations

import re
from typing import Any

from migrator.rules.conditions import Changed, Is, Path
from migrator.rules.natives import remembered
from migrator.rules.notebook import Notebook

from . import names

Native = dict[str, Any]


def native_leaf(kind: str, name: str, operator: str, value: Any) -> Native:
    """Return one condition of a set."""
    return {"resource_type": kind, "field_name": name, "operator": operator, "value": value}


def automation(kind: int, name: str, asked: list[Native], field: str, value: Any, **more: Any) -> Native:
    """Return an automation that sets one field and comes first."""
    sets = [{"name": "condition_set_1", "match_type": "all", "properties": asked}] if asked else []
    does = [{"field_name": field, "value": value}]
    head = {"rule_type": kind, "name": name, "active": False, "position": 0}
    return {**head, **more, "conditions": sets, "actions": does}


def added(book: Notebook, word: str) -> None:
    """Note a status that is not there from the beginning, and the rules that keep it as the source's does."""
    name, without = names.ADDED_STATUSES[word]
    because = f"a status of its own, apart from {without}; move tickets into it: overlay.freshdesk.ticket.status"
    book.need("status", name, because)
    if word != "new":
        return
    new = names.STATUS_CODES["new"]
    came = native_leaf("ticket", "source", "in", [names.CHANNEL_CODES[one] for one in names.OPENED["end_user"]])
    asked = [native_leaf("ticket", "status", "in", [2]), came]
    native = automation(names.CREATION, "New tickets are new", asked, "status", new)
    book.need("automation", native["name"], "comes first: tickets that customers open are new, not open", native)
    given = {"performer": {"type": 3}, "events": [{"field_name": "responder_id", "from": "--", "to": "--"}]}
    asked = [native_leaf("ticket", "status", "in", [new])]
    native = automation(names.UPDATE, "New becomes open", asked, "status", 2, **given)
    book.need("automation", native["name"], "comes first: whoever is given a new ticket opens it", native)


def came_by(book: Notebook, leaf: Is) -> Is:
    """Return a question for channels that are unknown there as one for the field that remembers the old word."""
    for word, code in names.CHANNEL_CODES.items():
        asked = [native_leaf("ticket", "source", "in", [code])]
        native = automation(names.CREATION, f"Came by {word}", asked, "cf_came_by", word)
        book.need("automation", native["name"], "fills cf_came_by; comes first", native)
    return leaf.model_copy(update={"path": Path(of="ticket", name="came_by"), "values": remembered(leaf)})


def acted_by(book: Notebook) -> None:
    """Note the field that says whether the ticket's agent acted: an update rule asks that of one agent, not of all
    but him."""
    book.need("ticket field", names.ACTED_BY, "a dropdown that says whether the ticket's agent made the last change")
    for at, (word, performer) in enumerate(
        ((names.SOMEBODY_ELSE, {"type": 3}), (names.THE_AGENT, names.ASSIGNED_AGENT)), -1
    ):
        more = {"performer": dict(performer), "events": [names.UPDATED], "position": at}
        native = automation(names.UPDATE, f"Acted by {word}", [], names.ACTED_BY, word, **more)
        book.need("automation", native["name"], f"fills {names.ACTED_BY}; comes first, in this order", native)


def changed(book: Notebook, leaf: Changed, event: Native) -> str:
    """Return the field that says whether a change was among those of the last update."""
    sides = (("from", leaf.before), ("to", leaf.after))
    told = [f"{side} {getattr(some[0], 'value', '')}" for side, some in sides if some]
    title = " ".join(("Changed", leaf.path.name, *told))
    name = f"cf_{re.sub(r'[^a-z0-9]+', '_', title.lower()).strip('_')}"
    book.need("ticket field", name, f"a dropdown, yes or no: {title.lower()} with the last change")
    for at, (word, what) in enumerate(((names.NO, names.UPDATED), (names.YES, event)), -1):
        more = {"performer": {"type": 3}, "events": [what], "position": at}
        native = automation(names.UPDATE, f"{title}: {word}", [], name, word, **more)
        book.need("automation", native["name"], f"fills {name}; comes first, in this order", native)
    return name
