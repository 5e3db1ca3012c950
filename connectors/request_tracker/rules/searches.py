"""Our conditions as TicketSQL, for saved searches and for rt-crontool. Every value is a quoted string.

What a search answers where a value is missing (lib/RT/Tickets.pm 5.0.3): a ticket always has status, queue, priority
and an owner (Nobody); one without a value in a custom field is found by "!=".
"""

from __future__ import annotations

import re
from typing import Any

from migrator.rules.conditions import Actor, All, Condition, Elapsed, Is, Leaf, Lit, Ref, Tags, Text, Value
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.natives import field_name
from migrator.rules.normal_forms import simple
from migrator.rules.notebook import Notebook
from migrator.rules.rule import View
from migrator.rules.verdicts import Verdict

from . import names

Native = dict[str, Any]
Made = tuple[str, Verdict, str]  # TicketSQL, verdict, note
UNKNOWN = "a search of Request Tracker does not ask for this"
COLUMN = re.compile(r"'CF\.", re.IGNORECASE)  # lib/RT/SQL.pm: such a string is a column
TIMES = {"created": "Created", "updated": "LastUpdated", "status:solved": "Resolved", "due": "Due"}
COLUMNS = {
    "number": ("__id__", "id"),
    "subject": ("__Subject__", "Subject"),
    "requester": ("__Requestors__", "Requestor"),
    "created": ("__CreatedRelative__", "Created"),
    "updated": ("__LastUpdatedRelative__", "LastUpdated"),
    "solved": ("__ResolvedRelative__", "Resolved"),
    "due": ("__DueRelative__", "Due"),
    "status": ("__Status__", "Status"),
    "priority": ("__Priority__", "Priority"),
    "group": ("__QueueName__", "Queue"),
    "assignee": ("__OwnerName__", "Owner"),
    "type": ("__CustomField.{Type}__", "CustomField.{Type}"),
    "tags": ("__CustomField.{Tags}__", "CustomField.{Tags}"),
}


def quoted(text: str) -> str:
    """Return a TicketSQL string that holds exactly this text (lib/RT/SQL.pm: a backslash escapes)."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def query(book: Notebook, when: Condition) -> str:
    """Return a condition as TicketSQL, with a verdict noted on each of its leaves."""
    return _node(book, simple(when)) or "id > '0'"


def _node(book: Notebook, node: Condition) -> str:
    if isinstance(node, All | AnyOf):
        parts = [part for part in (_node(book, one) for one in node.of) if part]
        word, none = (" AND ", "") if isinstance(node, All) else (" OR ", "id = '0'")
        return f"( {word.join(parts)} )" if len(parts) > 1 else parts[0] if parts else none
    leaf: Leaf = node  # type: ignore[assignment]
    made, verdict, note = _leaf(book, leaf)
    if COLUMN.search(made):
        verdict, note = "untranslatable", "a value that begins with CF. is taken for a field there"
    book.leaf(leaf, verdict, note)
    return made if verdict != "untranslatable" else "id = '0'"


def _leaf(book: Notebook, leaf: Leaf) -> Made:
    if isinstance(leaf, Is):
        return _is(book, leaf)
    if isinstance(leaf, Elapsed):
        return _elapsed(leaf)
    if isinstance(leaf, Tags):
        return _tags(book, leaf)
    if isinstance(leaf, Text):
        return _text(leaf)
    return "", "untranslatable", UNKNOWN


def _is(book: Notebook, leaf: Is) -> Made:
    ours = str(leaf.path)
    tables = {"ticket.status": names.STATUS_TABLE, "ticket.priority": names.PRIORITY_TABLE}
    verdict: Verdict = "exact"
    note = ""
    if ours in tables:
        leaf, verdict, note = book.image(leaf, tables[ours], ours.partition(".")[2])
        if verdict == "untranslatable":
            return "", verdict, note
        if ours == "ticket.status":
            return _listed("Status", _words(leaf, names.WRITTEN_STATUSES)), *_added(book, leaf, verdict, note)
        numbers = {word: str(number) for word, number in names.PRIORITIES.items()}
        return _listed("Priority", _words(leaf, numbers)), verdict, note
    fields = {"ticket.group": ("Queue", "group"), "ticket.requester": ("Requestor.id", "user")}
    fields["ticket.assignee"] = ("Owner", "user")
    if ours in fields:
        field, kind = fields[ours]
        listed = [_id(one, kind) for one in leaf.values]
        return (_people(field, [one for one in listed if one], leaf), verdict, note) if None not in listed else _none()
    if leaf.path.of == "ticket" and (leaf.path.custom or leaf.path.name == "type"):
        name = field_name(leaf.path.custom) if leaf.path.custom else "Type"
        book.need("custom field", name, f"it holds {ours}")
        listed = [str(one.value) if isinstance(one, Lit) else None for one in leaf.values]
        texts = [one for one in listed if one is not None]
        return (
            (_field(name, texts, leaf), "equivalent", "given the field is filled there")
            if len(texts) == len(listed)
            else _none()
        )
    return _none()


def _none() -> Made:
    return "", "untranslatable", UNKNOWN


def _added(book: Notebook, leaf: Is, verdict: Verdict, note: str) -> tuple[Verdict, str]:
    """Note the statuses that are added, where a condition tells them from those they would be without."""
    words = {getattr(one, "value", "") for one in leaf.values}
    added = [ours for ours, (_, without) in names.ADDED_STATUSES.items() if len(words & {ours, without}) == 1]
    for ours in added:
        name, without = names.ADDED_STATUSES[ours]
        because = f"a status of the lifecycle, apart from {names.STATUS_NAMES[without]}; move tickets into it: "
        book.need("status", name, f"{because}overlay.request_tracker.ticket.status")
    said = " and ".join(f"the status “{names.ADDED_STATUSES[ours][0]}” is added there" for ours in added)
    return (
        ("equivalent", f"given {said} and tickets are moved into it")
        if said and verdict == "exact"
        else (verdict, note)
    )


def _words(leaf: Is, table: dict[str, Any]) -> list[str]:
    return [str(table[str(one.value)]) for one in leaf.values if isinstance(one, Lit)]


def _listed(field: str, some: list[str]) -> str:
    parts = [f"{field} = {quoted(one)}" for one in some]
    return f"( {' OR '.join(parts)} )" if len(parts) > 1 else parts[0] if parts else "id = '0'"


def _id(one: Value | None, kind: str) -> str | None:
    if isinstance(one, Actor):
        return "__CurrentUser__" if one.who == "current_user" else None
    return f"<{'queue' if kind == 'group' else 'user'}:{one.id}>" if isinstance(one, Ref) else None


def _people(field: str, some: list[str], leaf: Is) -> str:
    """Return a question for queue, owner or requester: nobody owns a ticket without an owner."""
    nobody = "Owner {} 'Nobody'" if field == "Owner" else ""
    if not some:
        return nobody.format("=" if leaf.null else "!=") if nobody else "id > '0'"
    if leaf.negated:
        parts = [f"{field} != {quoted(one)}" for one in some]
        parts += [nobody.format("!=")] if nobody and not leaf.null else []
        return f"( {' AND '.join(parts)} )" if len(parts) > 1 else parts[0]
    either = _listed(field, some)
    return f"( {either} OR {nobody.format('=')} )" if nobody and leaf.null else either


def _field(name: str, some: list[str], leaf: Is) -> str:
    at = f"CF.{{{name}}}"
    if not some:
        return f"{at} {'IS NULL' if leaf.null else 'IS NOT NULL'}"
    if leaf.negated:
        parts = [f"{at} != {quoted(one)}" for one in some] + ([] if leaf.null else [f"{at} IS NOT NULL"])
        return f"( {' AND '.join(parts)} )" if len(parts) > 1 else parts[0]
    either = _listed(at, some)
    return f"( {either} OR {at} IS NULL )" if leaf.null else either


def _tags(book: Notebook, leaf: Tags) -> Made:
    book.need("custom field", "Tags", "a field of many values that holds the tags")
    note = "given the field Tags"
    if not leaf.tags:
        return f"CF.{{Tags}} {'IS NULL' if leaf.negated else 'IS NOT NULL'}", "equivalent", note
    parts = [f"CF.{{Tags}} {'!=' if leaf.negated else '='} {quoted(tag)}" for tag in leaf.tags]
    word = " AND " if (leaf.need == "all") is not leaf.negated else " OR "
    return (f"( {word.join(parts)} )" if len(parts) > 1 else parts[0]), "equivalent", note


def _text(leaf: Text) -> Made:
    if str(leaf.path) != "ticket.subject" or leaf.mode in ("regex", "equal") or leaf.null is not leaf.negated:
        return _none()
    if any(sign in needle for needle in leaf.needles for sign in "%_\\"):
        return "", "untranslatable", "% and _ stand for any signs in a search there"
    words = {"substring": "LIKE", "word": "LIKE", "phrase": "LIKE", "starts": "STARTSWITH", "ends": "ENDSWITH"}
    word = f"NOT {words[leaf.mode]}" if leaf.negated else words[leaf.mode]
    if leaf.negated and words[leaf.mode] != "LIKE":
        return _none()
    parts = [f"Subject {word} {quoted(needle)}" for needle in leaf.needles]
    joined = (" AND " if (leaf.need == "all") is not leaf.negated else " OR ").join(parts)
    verdict: Verdict = "approximated" if leaf.mode in ("word", "phrase") else "exact"
    return (
        (f"( {joined} )" if len(parts) > 1 else joined),
        verdict,
        "within longer words too" if verdict != "exact" else "",
    )


def _elapsed(leaf: Elapsed) -> Made:
    """Return a time as TicketSQL. A date that was never set is neither before nor after."""
    field = TIMES.get(leaf.anchor)
    hours = int(leaf.hours)
    if field is None or leaf.clock != "calendar" or leaf.null or leaf.op == "ne" or hours != leaf.hours or hours < 0:
        return "", "untranslatable", "a search knows when a ticket was made, changed, resolved and due, in whole hours"
    if field == "Due" and leaf.op != "gt":
        return _none()
    after, before = f"{field} > '{{}} hours ago'", f"{field} < '{{}} hours ago'"
    there = [f"{field} > '1970-01-02'"] if field in ("Resolved", "Due") else []
    if leaf.op == "eq":
        parts = [before.format(hours), after.format(hours + 1)]
    else:
        parts = [(before if leaf.op in ("gt", "ge") else after).format(hours)]
        parts += there if leaf.op in ("gt", "ge") else []
    return (f"( {' AND '.join(parts)} )" if len(parts) > 1 else parts[0]), "exact", ""


def look(book: Notebook, view: View) -> Native:
    """Return how a list looks: its columns, and what it is sorted by. It is not grouped: groups come in order."""

    def known(name: str, what: str) -> str:
        if name in COLUMNS:
            return name
        if name:
            book.add("view", f"{what} {name}", "approximated", "no such column there; left out")
        return ""

    shown = [each for one in view.columns if (each := known(one, "the column"))]
    cells = ["'<a href=\"__WebPath__/Ticket/Display.html?id=__id__\">__id__</a>/TITLE:#'"]
    cells += [f"'{COLUMNS[one][0]}'" for one in shown if one != "number"]
    sorts = [
        (known(view.group_by, "grouped by"), view.group_order),
        (known(view.sort_by, "sorted by"), view.sort_order),
    ]
    orders = [(COLUMNS[one][1], way.upper() or "ASC") for one, way in sorts if one]
    if view.group_by in COLUMNS:
        book.add("view", f"grouped by {view.group_by}", "equivalent", "sorted by it first: lists are not grouped there")
    return {
        "Format": ",\n".join(cells),
        "OrderBy": "|".join(by for by, _ in orders) or "id",
        "Order": "|".join(way for _, way in orders) or "ASC",
    }
