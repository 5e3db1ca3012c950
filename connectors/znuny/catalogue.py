"""What is written to Znuny many at once: services, who may use them, lines of tickets' histories; and SLAs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from migrator.connector import Native, Outcome, Unit, Written
from migrator.errors import RefusedError

from . import records
from .database import Line

if TYPE_CHECKING:
    from .connection import Connection

KINDS = ("service", "service_access", "event")
PARTED = "::"  # stands between the name of a service and what it is part of


def written(desk: Connection, units: Sequence[Unit]) -> list[Outcome]:
    """Write these units, all of one kind; one that is refused does not keep the others."""
    kind = units[0].kind
    if kind == "event":
        if desk.database is None:
            raise RefusedError("event: only the database takes one: the channel sql")
        return [Written(id) for id in desk.database.add_lines([_line(unit) for unit in units])]
    if desk.console is None:
        raise RefusedError(f"{kind}: only Znuny's own Perl adds one: the channel console")
    outcomes: dict[str, Outcome] = {}
    for unit in sorted(units, key=_depth):
        try:
            outcomes[unit.id] = _service(desk, unit) if kind == "service" else _service_customer(desk, unit)
        except RefusedError as err:
            outcomes[unit.id] = err
    return [outcomes[unit.id] for unit in units]


def _depth(unit: Unit) -> int:
    """Return how deep a service lies: what it is part of comes first."""
    return str(unit.payload.get("name")).count(PARTED)


def _service(desk: Connection, unit: Unit) -> Written:
    assert desk.console is not None
    words = {"comment": unit.payload.get("comments") or "", "valid": int(unit.payload.get("valid_id") or 1)}
    everyone = str(unit.payload.get("everyone")) == "1"
    return Written(str(desk.console.ask("service", name=str(unit.payload["name"]), everyone=everyone, **words)))


def _service_customer(desk: Connection, unit: Unit) -> Written:
    assert desk.console is not None
    service, login = int(unit.refs["service"]), str(unit.payload["login"])
    desk.console.ask("customer_of", service=service, login=login)
    return Written(f"{service}-{login}")


def sla_words(payload: Native) -> Native:
    """Return what makes an SLA."""
    times = {
        f"{name}_{what}": int(payload.get(f"{name}_{what}") or 0)
        for name in ("first_response", "update", "solution")
        for what in ("time", "notify")
    }
    return {
        "name": payload["name"],
        "comment": payload.get("comments") or "",
        "services": [int(one) for one in payload.get("services") or ()],
        "valid": int(payload.get("valid_id") or 1),
        **times,
    }


def _line(unit: Unit) -> Line:
    author = unit.payload.get("Author")
    return Line(
        int(unit.refs["ticket"]),
        str(unit.payload.get("HistoryType") or "Misc"),
        str(unit.payload.get("Name") or ""),
        int(str(author if author is not None else records.ROOT).removeprefix(records.AGENT)),
        unit.payload.get("CreateTime"),
    )


# ---- doubt -----------------------------------------------------------------------------------------------------------


def found(desk: Connection, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
    """Look up what a call in doubt made of these units; lines that say the same are told apart by ``known``."""
    kind = units[0].kind
    if kind == "event":
        assert desk.database is not None
        taken, there = set(known), []
        for unit in units:
            id = next((id for id in desk.database.lines(_line(unit)) if id not in taken), None)
            taken |= {id} if id else set()
            there.append(Written(id) if id else None)
        return there
    stream = "services" if kind == "service" else "service_customers"
    ids = {_name(one): str(one["id"]) for one in desk.listed(stream)}
    wanted = [_name(unit.payload) if kind == "service" else _given(unit) for unit in units]
    return [Written(ids[name]) if name in ids else None for name in wanted]


def _name(native: Native) -> Any:
    return native.get("id") if "login" in native else str(native.get("name")).strip()


def _given(unit: Unit) -> str:
    return f"{int(unit.refs['service'])}-{unit.payload['login']}"
