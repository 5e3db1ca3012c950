"""A status of the account's own is no record at Freshdesk but a choice of the field Status, which numbers it; a
signature is a part of its agent, and an address of a public domain takes a mailbox of the customer's own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from migrator.connector import Outcome, Promise, Unit, Written
from migrator.delivery import Deliverer
from migrator.errors import RefusedError, UnknownOutcomeError
from migrator.stage import html_form

from . import sections
from .dependent import BETWEEN, levels, parted

# Whose addresses the vendor takes with a server and a password only (developers.freshdesk.com/api, Create an Email
# Mailbox and Changelog of November 2021; whole domains are not listed).
PUBLIC = ("gmail", "googlemail", "hotmail", "outlook", "yahoo", "aol")


class Connection(Deliverer):
    """One account; the manifest plays all but the statuses and the sections of the ticket form."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._alone = threading.Lock()
        self._dependent: list[tuple[str, ...]] | None = None

    def dependent(self) -> list[tuple[str, ...]]:
        """Return the names of each dependent field and its lower levels, from the top."""
        with self._alone:
            if self._dependent is None:
                self._dependent = levels(self.client.read("/ticket_fields").json())
            return self._dependent

    def learn(self, fields: Sequence[dict[str, Any]]) -> None:
        """Note the ticket fields that were listed, so that nobody asks for them again."""
        with self._alone:
            self._dependent = levels(fields)

    def write(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Carry out one call, and look at the field Status before a status is added to it."""
        if units[0].kind == "status" and units[0].action == "create":
            return [self._add(unit) for unit in units]
        if units[0].kind == "form_condition":
            make = sections.delete if units[0].action == "delete" else sections.make
            return [make(self.client, unit) for unit in units]
        done = super().write([self._parted(unit) for unit in units])
        if units[0].kind == "custom_field":
            with self._alone:
                self._dependent = None  # there may be one more
        return done

    def before(self, unit: Unit) -> dict[str, Any]:
        """Return what a record that is about to change holds in those places, level by level."""
        return super().before(self._parted(unit))

    def _parted(self, unit: Unit) -> Unit:
        """Return a ticket with each level of a dependent field in a field of its own."""
        held = unit.payload.get("custom_fields") if unit.kind == "ticket" else None
        if not isinstance(held, dict) or not (unit.action == "update" or any(BETWEEN in str(v) for v in held.values())):
            return unit
        return replace(unit, payload={**unit.payload, "custom_fields": parted(held, self.dependent())})

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made; a status by its number and name, a section by its label and choices."""
        if units and units[0].kind == "form_condition":
            return [self._section(unit, known) for unit in units]
        if units and units[0].kind == "signature":
            return [self._signature(unit) for unit in units]
        units = [self._parted(unit) for unit in units]
        others = [unit for unit in units if not (unit.kind == "status" and unit.action == "create")]
        found = iter(super().find(others, known) if others else ())
        choices: dict[str, Any] = self._field()["choices"] if len(others) < len(units) else {}
        return [next(found) if unit in others else _held(choices, unit) for unit in units]

    def complaint(self, kind: str, payload: dict[str, Any]) -> str | None:
        """Return why an address is for a person to set up; asked while planning."""
        domain = str(payload.get("support_email") or "").rpartition("@")[2]
        if kind != "email_address" or domain.partition(".")[0] not in PUBLIC:
            return None
        return f"an address of {domain} needs its own server and password: set it up by hand (Admin, Email)"

    def _signature(self, unit: Unit) -> Written | None:
        """Return the agent whose signature a call in doubt set, where it did."""
        agent = unit.refs["agent"]
        held = self.client.read(f"/agents/{agent}").json()
        same = html_form(str(held.get("signature") or "")) == html_form(str(unit.payload.get("signature") or ""))
        return Written(f"signature:{agent}") if same else None

    def _section(self, unit: Unit, known: set[str]) -> Written | None:
        if unit.action == "create":
            return sections.find(self.client, unit, known)
        held = {str(one["id"]) for one in sections.listed(self.client)}
        return Written(unit.there) if unit.there not in held else None

    def _add(self, unit: Unit) -> Written:
        """Add one choice. Raises RefusedError where it has another number than tickets are moved into."""
        _, call = self._declared(unit)
        field = self._field()
        code, name = str(unit.payload["code"]), str(unit.payload["name"])
        if (labels := field["choices"].get(code)) is not None:  # added by somebody since it was planned
            if _held(field["choices"], unit) is None:
                raise RefusedError(f"the status {code} of Freshdesk is {labels[0]}, and not {name}", status=409)
            return Written(code)
        choice = {"value": name, "label": unit.payload.get("customer_name") or name}
        response = self.client.write(call.method, f"{call.path}/{field['id']}", json={"choices": [choice]})
        try:
            made = [str(one["id"]) for one in response.json()["choices"] if one["value"] == name]
        except (ValueError, KeyError, TypeError) as err:
            raise UnknownOutcomeError(f"{call.path}: {response.status_code}, with an unreadable answer") from err
        if code not in made:
            given = f"the number {made[-1]}" if made else "no number"
            why = (
                f"the status {name} was given {given} at Freshdesk, and not {code}: change the overlay, then plan again"
            )
            raise RefusedError(why, status=409)
        return Written(code)

    def _field(self) -> dict[str, Any]:
        fields: list[dict[str, Any]] = self.client.read("/ticket_fields").json()
        found = next((one for one in fields if one.get("name") == "status"), None)
        if found is None or not isinstance(found.get("choices"), dict):
            raise RefusedError("Freshdesk shows no choices of the field Status", status=404)
        return found


def _held(choices: dict[str, Any], unit: Unit) -> Written | None:
    """Return the choice that has a status' number and is called like it."""
    code, name = str(unit.payload["code"]), str(unit.payload["name"]).casefold()
    return Written(code) if name in [str(one).casefold() for one in choices.get(code) or ()] else None
