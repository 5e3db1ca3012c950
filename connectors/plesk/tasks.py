"""Scheduled tasks, which only Plesk's command line knows: the gateway of its REST API calls it, for administrators."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from migrator.connector import Native
from migrator.errors import UnknownOutcomeError, VendorError

from .api import Api

CHANNEL = "command_line"
UTILITY = "scheduler"


@dataclass(frozen=True)
class Tasks:
    """The tasks of one subscription."""

    api: Api
    main: str

    def listed(self) -> Iterable[Native]:
        """Return the tasks that run a command; others (a fetched address, a PHP script) have a type that says so."""
        printed = self.api.command(UTILITY, "--list", "-subscription", self.main, "-json", asks=True)
        try:
            found = json.loads(printed or "[]")
            return [{**one, "id": str(one["id"]), "active": _switch(one.get("active", True))} for one in found]
        except (ValueError, KeyError, TypeError) as err:
            raise VendorError(f"{UTILITY} --list printed what is no list of tasks ({err})") from err

    def find(self, told: Native, known: set[str]) -> str:
        """Return the newest task with this time and command that is not among the known ones, else nothing."""
        same = [
            one["id"]
            for one in self.listed()
            if one["id"] not in known
            and all(str(one.get(part)) == str(told.get(part)) for part in ("schedule", "command"))
        ]
        return max(same, key=lambda id: (len(id), id), default="")

    def add(self, told: Native) -> str:
        """Make a task and return its number, which only a list tells."""
        known = {one["id"] for one in self.listed()}
        self.api.command(UTILITY, "--create", "-subscription", self.main, "-type", "exec", *self._options(told))
        made = self.find(told, known)
        if not made:
            raise UnknownOutcomeError(f"{UTILITY} --create: the task is not in the list")
        return made

    def change(self, id: str, told: Native) -> None:
        """Change what is told of a task."""
        self.api.command(UTILITY, "--update", id, "-subscription", self.main, *self._options(told))

    def remove(self, id: str) -> None:
        """Take a task away; one that is gone already is no fault."""
        if any(one["id"] == id for one in self.listed()):
            self.api.command(UTILITY, "--delete", id, "-subscription", self.main)

    @staticmethod
    def _options(told: Native) -> list[str]:
        said: list[str] = []
        for part in ("schedule", "command"):
            if told.get(part) is not None:
                said += [f"-{part}", str(told[part])]
        if "active" in told:
            said += ["-active", "true" if told["active"] == "on" else "false"]
        return said


def _switch(value: object) -> str:
    return "on" if str(value).lower() in ("true", "1", "yes") else "off"
