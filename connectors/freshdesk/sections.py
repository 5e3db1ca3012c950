"""Sections of the ticket form: listed with the names of their fields and choices, made in a few calls that may be
made again (developers.freshdesk.com/api, Sections, 2026-11-27)."""

from __future__ import annotations

from typing import Any

from migrator.connector import Unit, Written
from migrator.errors import AbsentError, MigratorError, RefusedError, StoppedError, UnknownOutcomeError
from migrator.http import Client

Native = dict[str, Any]
FIELDS = "/admin/ticket_fields"
FORM = "agents"  # the one form all agents see: an id that no record has


def listed(client: Client) -> list[Native]:
    """Return every section, ``{id, label, parent, choices, fields}``: fields by their names, choices by their texts."""
    fields = client.read(FIELDS, {"include": "section"}).json()
    names = {one["id"]: one["name"] for one in fields}
    found: list[Native] = []
    for field in fields:
        if field.get("sections"):
            choices = _choices(client, field["id"])
            found += [_told(section, field["name"], choices, names) for section in field["sections"]]
    return found


def form(client: Client) -> Native | None:
    """Return the one form of an account that has sections: its custom fields, and which of them depend on others."""
    sections = listed(client)
    if not sections:
        return None
    own = [one["id"] for one in client.read("/ticket_fields").json() if not one.get("default")]
    held = [{key: value for key, value in one.items() if key not in ("id", "label")} for one in sections]
    return {"id": FORM, "name": "Ticket form", "fields": own, "sections": held}


def make(client: Client, unit: Unit) -> Written:
    """Make a section and put its fields into it. Raises RefusedError where a field or choice it names is not there."""
    parent, choices = _parent(client, unit)
    section = {"label": unit.payload["label"], "choice_ids": choices}
    response = client.write("POST", f"{FIELDS}/{parent}/sections", json=section)
    try:
        held = _matching(response.json()["sections"], section)
    except (ValueError, KeyError, TypeError) as err:
        raise UnknownOutcomeError(f"{FIELDS}/{parent}/sections: {response.status_code}, unreadable") from err
    if held is None:
        raise UnknownOutcomeError(f"{FIELDS}/{parent}/sections: the answer does not show the section")
    return _filled(client, unit, held)


def find(client: Client, unit: Unit, known: set[str]) -> Written | None:
    """Return the section that a call in doubt made, with its fields put into it."""
    parent, choices = _parent(client, unit)
    wanted = {"label": unit.payload["label"], "choice_ids": choices}
    held = _matching(client.read(f"{FIELDS}/{parent}/sections").json()["sections"], wanted)
    return None if held is None or str(held["id"]) in known else _filled(client, unit, held)


def delete(client: Client, unit: Unit) -> Written:
    """Delete a section; its fields stay."""
    for field in client.read(FIELDS, {"include": "section"}).json():
        if unit.there in [str(one["id"]) for one in field.get("sections") or ()]:
            try:
                client.write("DELETE", f"{FIELDS}/{field['id']}/sections/{unit.there}")
            except AbsentError:
                break
    return Written(unit.there)


def _filled(client: Client, unit: Unit, section: Native) -> Written:
    """Put the fields into a section. May be made again: where it fails, the section is looked up first."""
    try:
        _fill(client, unit, section)
    except (RefusedError, StoppedError):
        raise
    except MigratorError as err:
        raise UnknownOutcomeError(f"section {section['id']} was made and is not complete: {err}") from err
    return Written(str(section["id"]))


def _fill(client: Client, unit: Unit, section: Native) -> None:
    """Put the fields into a section, in their order, beside the sections they are in already."""
    ids = {one["name"]: one["id"] for one in client.read(FIELDS).json()}
    for position, name in enumerate(unit.payload.get("fields") or (), 1):
        if name not in ids:
            raise RefusedError(f"Freshdesk has no ticket field {name}", status=404)
        field = client.read(f"{FIELDS}/{ids[name]}").json()
        held = [one for one in field.get("section_mappings") or () if one["section_id"] != section["id"]]
        mappings = [*held, {"section_id": section["id"], "position": position}]
        client.write("PUT", f"{FIELDS}/{ids[name]}", json={"section_mappings": mappings})


def _parent(client: Client, unit: Unit) -> tuple[int, list[int]]:
    """Return the field a section hangs on, and its choices by their ids."""
    name = unit.payload["parent"]
    parent = next((one["id"] for one in client.read(FIELDS).json() if one["name"] == name), None)
    if parent is None:
        raise RefusedError(f"Freshdesk has no ticket field {name}", status=404)
    ids = {text: id for id, text in _choices(client, parent).items()}
    if missing := [one for one in unit.payload["choices"] if one not in ids]:
        raise RefusedError(f"the ticket field {name} of Freshdesk has no choice {missing[0]}", status=404)
    return parent, [ids[one] for one in unit.payload["choices"]]


def _choices(client: Client, field: int) -> dict[int, str]:
    """Return the choices of a dropdown, ``{id: text}``, in their order."""
    held = client.read(f"{FIELDS}/{field}").json().get("choices") or []
    return {one["id"]: str(one["value"]) for one in held}


def _told(section: Native, parent: str, choices: dict[int, str], names: dict[int, str]) -> Native:
    of = set(section.get("choice_ids") or ())
    return {
        "id": section["id"],
        "label": section["label"],
        "parent": parent,
        "choices": [text for id, text in choices.items() if id in of],
        "fields": [names[id] for id in section.get("ticket_field_ids") or () if id in names],
    }


def _matching(sections: list[Native], wanted: Native) -> Native | None:
    for one in sections:
        if one["label"] == wanted["label"] and set(one["choice_ids"]) == set(wanted["choice_ids"]):
            return one
    return None
