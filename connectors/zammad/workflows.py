"""Core workflows with names in the place of ids, and back: fields of the account, what their options are called, roles.

The application compares texts: what is sent is text throughout (app/models/core_workflow/condition/backend.rb, 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from migrator.connector import Native

from .rules.numbers import SAYS, Tables, named

FORM = "ticket"  # the one form all workflows of tickets make up: an id that no record has
OF = {"ticket": "Ticket", "customer": "User", "user": "User", "organization": "Organization"}
APPLIES = {"Ticket": "ticket", "User": "contact", "Organization": "organization"}
RECORDS = {  # attribute to what its values name
    "ticket.group_id": "group",
    "ticket.owner_id": "user",
    "ticket.customer_id": "user",
    "ticket.organization_id": "organization",
    "customer.organization_id": "organization",
}
CHOICES = ("set_fixed_to", "add_option", "remove_option", "select")  # actions whose value is an option, or several
SCREENS = ("create_middle", "edit")
SIDES = {"agents": ("ticket.agent", "-all-"), "customers": ("ticket.customer", "-all-")}
Attributes = Mapping[str, Mapping[str, Native]]  # object to {name: a field of the account's own}
Each = Callable[[Any], Any]


def told(native: Native, tables: Tables, own: Attributes) -> Native:
    """Return a workflow as the account holds it with marks, names and labels in the place of its own names."""

    def attribute(key: str) -> tuple[str, Each]:
        table, _, name = key.partition(".")
        field = own.get(OF.get(table, ""), {}).get(name)
        if field is not None:
            mark = f"⟪custom_field:{APPLIES[OF[table]]}:{name}⟫"
            return f"{table}.{mark}", _called(field)
        return key, lambda value: _spoken(key, value, tables)

    return _over(native, attribute)


def sent(body: Native, own: Attributes) -> Native:
    """Return a workflow as it is sent: options by the keys that the account's own fields have for them, all as text."""

    def attribute(key: str) -> tuple[str, Each]:
        table, _, name = key.partition(".")
        field = own.get(OF.get(table, ""), {}).get(name)
        keys = {str(one["name"]): str(one["value"]) for one in (field or {}).get("_options") or ()}
        return key, lambda value: keys.get(_text(value), _text(value))

    return _over(body, attribute)


def form(workflows: Iterable[Native], own: Attributes) -> Native | None:
    """Return the one form of an account: the workflows in use, in their order, and which fields are hidden at first."""
    used = [one for one in workflows if one.get("active")]
    if not used:
        return None
    used.sort(key=lambda one: (int(one.get("priority") or 0), int(one["id"])))
    fields = own.get("Ticket") or {}
    hidden = {
        side: [f"ticket.⟪custom_field:ticket:{name}⟫" for name, field in fields.items() if _hidden(field, rights)]
        for side, rights in SIDES.items()
    }
    ids = [field["id"] for field in fields.values()]
    return {"id": FORM, "name": "Ticket", "fields": ids, "workflows": used, "hidden": hidden}


def _over(native: Native, attribute: Callable[[str], tuple[str, Each]]) -> Native:
    made = {**native}
    for side in ("condition_saved", "condition_selected"):
        if isinstance(native.get(side), dict):
            made[side] = dict(_condition(key, one, attribute) for key, one in native[side].items())
    if isinstance(native.get("perform"), dict):
        made["perform"] = dict(_action(key, does, attribute) for key, does in native["perform"].items())
    return made


def _condition(key: str, one: Any, attribute: Callable[[str], tuple[str, Each]]) -> tuple[str, Any]:
    name, each = attribute(key)
    return name, {**one, "value": _each(one["value"], each)} if isinstance(one, dict) and "value" in one else one


def _action(key: str, does: Any, attribute: Callable[[str], tuple[str, Each]]) -> tuple[str, Any]:
    name, each = attribute(key)
    if not isinstance(does, dict):
        return name, does
    return name, {word: _each(value, each) if word in CHOICES else value for word, value in does.items()}


def _each(value: Any, each: Each) -> Any:
    return [each(one) for one in value] if isinstance(value, list) else each(value)


def _called(field: Native) -> Each:
    """Return what puts the labels of a field's options in the place of their keys; of a yes or no, the truth."""
    labels = {str(one["value"]): str(one["name"]) for one in field.get("_options") or ()}
    if field.get("data_type") == "boolean":
        return lambda value: {"true": True, "false": False}.get(str(value).lower(), value)
    return lambda value: labels.get(str(value), value)


def _spoken(key: str, value: Any, tables: Tables) -> Any:
    if key in RECORDS or key.startswith("session.group_ids"):
        return f"⟪{RECORDS.get(key, 'group')}:{value}⟫" if str(value).isdecimal() else value
    kind = "role" if key.endswith(".role_ids") else SAYS.get(key)
    return named(kind, value, tables) if kind else value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _hidden(field: Native, rights: Sequence[str]) -> bool:
    """Tell whether a field is on neither screen for people with these rights, unless a workflow shows it."""
    screens = [(field.get("screens") or {}).get(screen) or {} for screen in SCREENS]
    said = [screen[right] for screen in screens for right in rights if isinstance(screen.get(right), dict)]
    return bool(said) and all(one.get("shown") is False for one in said)
