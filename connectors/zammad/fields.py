"""A customer's own fields at Zammad: the name that becomes a column, and the body that adds the field."""

from __future__ import annotations

import re
import unicodedata

from migrator.connector import Native, Unit
from migrator.rules.verdicts import NEEDED

from .rules.names import LONGEST

KEY = "migrator_key"  # the name of our own field; its id in the manifest's setup is migrator-key
COLUMN_MAX = 50  # characters of a field's name: it becomes a column
SCREENS = {
    "Ticket": {"create_middle": "ticket.agent", "edit": "ticket.agent"},
    "User": {"create": "ticket.agent", "edit": "ticket.agent", "view": "ticket.agent"},
    "Organization": {"create": "ticket.agent", "edit": "ticket.agent", "view": "ticket.agent"},
}


def attribute(unit: Unit, payload: Native) -> Native:
    """Return the body that adds a field: its name is made from its title and its id, and is the same each time."""
    kind, object = str(payload["data_type"]), str(payload["object"])
    named = [one for one in payload.pop("_options", None) or () if "name" in one]
    options = {str(one.get("value") or one["name"]): str(one["name"]) for one in named}
    screens = {screen: {right: {"shown": True, "required": False}} for screen, right in SCREENS[object].items()}
    common: Native = {"default": None, "null": True}
    details: dict[str, Native] = {
        "input": {"type": "text", "maxlength": 500, "default": ""},
        "textarea": {"maxlength": 20000, "rows": 4, "default": ""},
        "boolean": {"options": {"true": "yes", "false": "no"}},
        "date": {"diff": 0, "future": True, "past": True},
        "select": {"options": options, "nulloption": True, "maxlength": 255, "default": ""},
        "multiselect": {"options": options, "nulloption": True, "maxlength": 255},
    }
    name = KEY if unit.id == "migrator-key" else column(str(payload["display"]), unit.id)
    if unit.id.startswith(NEEDED):
        name = unit.id.removeprefix(NEEDED)  # as rules know it
        if name.startswith("since_"):
            kind, details["datetime"] = "datetime", {"diff": 0, "future": True, "past": True}
        elif name.startswith("comments_"):
            details["textarea"]["maxlength"] = LONGEST
    option = {**common, **details[kind], **(payload.pop("data_option", None) or {})}
    more = {"name": name, "position": 1550, "active": True, "data_option": option, "screens": screens}
    return {**payload, "object": object, "data_type": kind, **more}


def column(title: str, id: str) -> str:
    """Return a name a column may have: small Latin letters, digits and ``_``, beginning with a letter."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    word = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:COLUMN_MAX]
    last = re.sub(r"[^a-z0-9]+", "_", id.lower()).strip("_") or "0"
    return f"f_{word}_{last}"[:62] if word else f"f_{last}"[:62]
