"""Invented updates as a table that conditions are asked of, in a stage of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from migrator.stage import Stage
from tests.support.rule_engines import ANCHORS, Update

PATHS = ("status", "priority", "type", "group", "assignee", "requester", "subject")
COLUMNS = {f"ticket.{name}": "VARCHAR" for name in PATHS}
COLUMNS |= {f"before.ticket.{name}": "VARCHAR" for name in ("status", "priority", "assignee")}
COLUMNS |= {"tags": "VARCHAR[]", "changed": "VARCHAR[]", "event": "VARCHAR[]", "actor.id": "VARCHAR"}
COLUMNS |= {"comment.public": "VARCHAR"} | {f"hours.{anchor}": "DOUBLE" for anchor in ANCHORS}


def table(stage: Stage, updates: Sequence[Update]) -> list[str]:
    """Make the table ``ticket`` of these updates and return its columns."""
    defined = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    stage.run(f"CREATE TABLE ticket (id INTEGER, {defined})")
    places = ", ".join("?" * (len(COLUMNS) + 1))
    for at, one in enumerate(updates):
        stage.run(f"INSERT INTO ticket VALUES ({places})", at, *row(one))
    return list(COLUMNS)


def row(one: Update) -> list[Any]:
    """Return an update's values in the order of the columns."""
    events = [one["event"], *(["commented"] if one["comment"] else [])]
    before = [one["before"].get(name, one[name]) for name in ("status", "priority", "assignee")]
    changed = [f"ticket.{name}" for name in one["before"]]
    public = None if one["comment"] is None else str(one["comment"]["public"]).lower()
    facts = [*(one[name] for name in PATHS), *before, one["tags"], changed, events, one["actor"], public]
    return [*facts, *(one["hours"][anchor] for anchor in ANCHORS)]
