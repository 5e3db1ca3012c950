"""Records that are changed: by the API, or by a fixture made of the row as it stands, with the changed places in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrator.connector import Outcome, Unit, Written
from migrator.errors import RefusedError

from . import searches
from .shape import HELD, Native, People

if TYPE_CHECKING:
    from .fixtures import Writer
    from .host import Row
    from .rest import Writer as Caller

MODELS = {
    "ticket": "ticket",
    "group": "queue",
    "canned_response": "presetreply",
    "article": "kbitem",
    "saved_search": "savedsearch",
}
PLAIN = ("title", "priority", "due_date", "assigned_to")


def _ticket(payload: Native, people: People, queue: str) -> Native:
    """Return the columns of a ticket that a payload changes."""
    fields = {name: payload[name] for name in PLAIN if name in payload}
    if "_state" in payload:
        state = payload["_state"] if payload["_state"] is not None else 1
        fields |= {"status": HELD[0] if state == "hold" else state, "on_hold": state == "hold"}
    if "queue" in payload:
        fields["queue"] = payload["queue"] if payload["queue"] is not None else int(queue)
    if payload.get("_requester") is not None:
        email = people.address_of(str(payload["_requester"]))
        if not email:
            raise RefusedError(f"user {payload['_requester']} has no address to be asked by")
        fields["submitter_email"] = email
    return fields


def called(caller: Caller, unit: Unit) -> Outcome:
    """Change a ticket by the API. It tells nobody and notes no follow-up; the server's cost is that of all tickets."""
    fields = _ticket(unit.payload, caller.people, caller.queue)
    custom = {f"custom_{name}": value for name, value in (unit.payload.get("_custom") or {}).items()}
    caller.client.write("PATCH", f"/tickets/{unit.there}/", json={**fields, **custom})
    return Written(unit.there)


def loaded(writer: Writer, units: Sequence[Unit]) -> list[Outcome]:
    """Change records, all of one kind, by one ``loaddata``: whatever a payload does not name stays as it is."""
    kind = units[0].kind
    model = f"helpdesk.{MODELS[kind]}"
    there = writer.host.raw(model, [unit.there for unit in units])
    rows: list[Row] = []
    outcomes: list[Outcome] = []
    for unit in units:
        held = there.get(unit.there)
        if held is None:
            outcomes.append(RefusedError(f"{kind} {unit.there} is no longer there", status=404))
            continue
        fields = _ticket(unit.payload, writer.people, writer.queue) if kind == "ticket" else OTHERS[kind](unit, held)
        if kind == "ticket":
            fields |= {"modified": unit.payload["modified"]} if unit.payload.get("modified") else {}
            rows += _values(writer, unit)
        rows.append({"model": model, "pk": int(unit.there), "fields": {**held, **fields}})
        outcomes.append(Written(unit.there))
    if rows:
        writer.host.load(rows)
    return outcomes


def _values(writer: Writer, unit: Unit) -> list[Row]:
    """Return the rows of a ticket's custom values that are changed; a value that is taken away becomes empty."""
    changed = unit.payload.get("_custom") or {}
    fields = {name: writer.field_number(name) for name in changed}
    there = {one["field"]: one["id"] for one in writer.snapshot.rows("ticketcustomfieldvalue", int(unit.there))}
    rows = []
    for name, value in changed.items():
        number = there.get(fields[name]) or writer.one("ticketcustomfieldvalue")
        held = {"ticket": int(unit.there), "field": fields[name], "value": "" if value is None else str(value)}
        rows.append({"model": "helpdesk.ticketcustomfieldvalue", "pk": number, "fields": held})
    return rows


def _same_names(unit: Unit, held: Native) -> Native:
    return {name: value for name, value in unit.payload.items() if name in held}


def _queues(unit: Unit, held: Native) -> Native:
    fields = _same_names(unit, held)
    if "queues" in fields:
        fields["queues"] = [int(one) for one in fields["queues"] or []]
    return fields


def _search(unit: Unit, held: Native) -> Native:
    was = searches.record({"id": unit.there, **held})
    fields = {name: unit.payload[name] for name in ("title", "shared", "user") if unit.payload.get(name) is not None}
    return {**fields, "query": searches.query({**was, **unit.payload})}


OTHERS: Mapping[str, Callable[[Unit, Native], dict[str, Any]]] = {
    "group": _same_names,
    "canned_response": _queues,
    "article": _same_names,
    "saved_search": _search,
}
