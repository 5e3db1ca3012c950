"""Groups of people: read and written beside queues, which are where tickets belong.

A queue's people are those of the group that has the queue's name; every other group is one of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from migrator.connector import Native
from migrator.errors import AbsentError, RefusedError
from migrator.http import Client

PEOPLE = "people:"  # begins the id of a group that has no queue
BUILT_IN = ("root", "RT_System", "Nobody")
MOST = 100


def where(*tests: tuple[str, str, object]) -> str:
    """Return a search by all of these fields, as lists other than that of tickets take it."""
    return json.dumps([{"field": field, "operator": operator, "value": value} for field, operator, value in tests])


class Teams:
    """The groups of people of one Request Tracker; ``number`` finds a user's number by name."""

    def __init__(self, client: Client, number: Callable[[str], str]) -> None:
        self.client, self._number = client, number

    def read(self, native: Native) -> Native | None:
        """Return a group with its people by number, and the queue of its name; None where it is none of people."""
        if native.get("Domain") != "UserDefined":
            return None
        queue = self._named("/queues", ("Name", "=", native["Name"]))
        native["_of"] = "queue" if queue else "people"
        native["_group"] = queue or f"{PEOPLE}{native['id']}"
        built_in = {self._number(name) for name in BUILT_IN}
        native["_people"] = [{"user": who} for who in self._people(str(native["id"])) if who not in built_in]
        native["Members"] = sorted(native.get("Members") or [], key=lambda one: str(one["id"]))
        return native

    def _people(self, team: str) -> list[str]:
        """Return the users of a group, those of the groups within it too."""
        found: list[int] = []
        params = {"recursively": 1, "groups": 0, "users": 1, "per_page": MOST, "page": 1}
        while True:
            items = self.client.read(f"/group/{team}/members", params).json()["items"]
            found += [int(one["id"]) for one in items]
            if len(items) < MOST:
                return [str(one) for one in sorted(set(found))]
            params["page"] += 1

    def _named(self, path: str, *tests: tuple[str, str, object]) -> str | None:
        params = {"query": where(*tests), "fields": "id", "find_disabled_rows": 1}
        items = self.client.read(path, params).json()["items"]
        return str(items[0]["id"]) if items else None

    def called(self, name: str) -> str | None:
        """Return the number of the group of people with this name."""
        return self._named("/groups", ("Domain", "=", "UserDefined"), ("Name", "=", name))

    def of(self, group: str) -> tuple[str | None, str]:
        """Return the number of the group of people that ``group`` stands for (a queue's number, or people:N) and its
        name; None for a queue without one.
        """
        if group.startswith(PEOPLE):
            return group.removeprefix(PEOPLE), ""
        try:
            name = str(self.client.read(f"/queue/{group}").json()["Name"])
        except AbsentError as err:
            raise RefusedError(f"queue {group} is no longer there", status=404) from err
        return self.called(name), name

    def holds(self, group: str, who: str) -> bool:
        """Tell whether somebody belongs to a group."""
        team, _ = self.of(group)
        return bool(team) and who in self._people(str(team))

    def join(self, group: str, who: str) -> None:
        """Add somebody to a group; that of a queue is made where there is none. Raises RefusedError."""
        team, name = self.of(group)
        if team is None:
            made: Any = self.client.write("POST", "/group", json={"Name": name, "Description": f"People of {name}"})
            team = made.headers.get("Location", "").rsplit("/", 1)[-1]
        said = self.client.write("PUT", f"/group/{team}/members", json=[who]).text
        if who not in self._people(team):
            raise RefusedError(f"group {team}: user {who} did not become a member", status=200, answer=said[:4000])

    def leave(self, group: str, who: str) -> None:
        """Take somebody out of a group."""
        team, _ = self.of(group)
        if team:
            self.client.write("DELETE", f"/group/{team}/member/{who}")
