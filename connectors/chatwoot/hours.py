"""Working hours of inboxes: written into the inbox they are of, or into the one that tickets come into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from migrator.connector import Native, Unit, Written
from migrator.errors import RefusedError
from migrator.http import Client

from .rules.hours import OF_ITS_OWN
from .writing import INBOX, set_up

NAME = "Migrator"  # of the inbox that connector.yaml sets up
FULL = "set them by hand: Settings, Inboxes, the inbox, Business Hours"


@dataclass
class Hours:
    """Those of one account. ``given``: the hours that the inbox of all tickets is to have; it has one week only."""

    client: Client
    given: list[Native] = field(default_factory=list)

    def _inboxes(self) -> list[Native]:
        return list(self.client.read("/inboxes").json().get("payload") or [])

    def complaint(self, payload: Native) -> str | None:
        """Return why hours are left to a person: of those that are no inbox's, one schedule has a place."""
        if payload.get(OF_ITS_OWN):
            return None
        if self.given and self.given[0] != payload:
            return f"tickets come into one inbox, which has the hours of another schedule; {FULL}"
        self.given = [payload]
        there = (one for one in self._inboxes() if one.get("name") == NAME and one.get("working_hours_enabled"))
        if any(not _same(one, payload) for one in there):
            return f"the inbox {NAME} keeps hours already; {FULL}"
        return None

    def written(self, unit: Unit) -> Written:
        """Give an inbox its hours. Raises RefusedError where it has others: they are somebody's."""
        inbox = self._inbox(unit)
        if _same(inbox, unit.payload):
            return Written(str(inbox["id"]))
        if inbox.get("working_hours_enabled"):
            raise RefusedError(f"inbox {inbox['id']} keeps hours already; {FULL}")
        self.client.write("PATCH", f"/inboxes/{inbox['id']}", json=body(unit.payload))
        held = self.client.read(f"/inboxes/{inbox['id']}").json()
        if not _same(held, unit.payload):  # a refusal of the model is answered 200 here (inboxes_controller.rb, update)
            raise RefusedError(f"inbox {inbox['id']}: Chatwoot keeps other hours than it was given", status=200)
        return Written(str(inbox["id"]))

    def found(self, unit: Unit) -> Written | None:
        """Return the inbox that has these hours, None where it has not."""
        inbox = self._inbox(unit)
        return Written(str(inbox["id"])) if _same(inbox, unit.payload) else None

    def switched_off(self, unit: Unit) -> Written:
        """Let an inbox keep no hours."""
        self.client.write("PATCH", f"/inboxes/{unit.there}", json={"working_hours_enabled": False})
        return Written(unit.there)

    def _inbox(self, unit: Unit) -> Native:
        name = unit.payload.get(OF_ITS_OWN)
        there = [
            one for one in self._inboxes() if (one.get("name") == name if name else one["id"] == set_up(unit, INBOX))
        ]
        if not there:
            raise RefusedError(f"schedule {unit.id}: there is no inbox “{name or NAME}” for its hours; {FULL}")
        return there[0]


def body(payload: Native) -> dict[str, Any]:
    """Return what the inbox is sent."""
    days = [{**day, "open_all_day": bool(day.get("open_all_day"))} for day in payload["working_hours"]]
    return {"working_hours_enabled": True, "timezone": payload["timezone"], "working_hours": days}


def _same(inbox: Native, payload: Native) -> bool:
    """Say whether an inbox keeps these hours; what Chatwoot fills in for days without hours does not count."""
    held = {day.get("day_of_week"): day for day in inbox.get("working_hours") or ()}
    wanted = payload["working_hours"]
    same = all(held.get(day["day_of_week"], {}).get(key) == value for day in wanted for key, value in day.items())
    return same and bool(inbox.get("working_hours_enabled")) and inbox.get("timezone") == payload["timezone"]
