"""Zammad's object attributes: a field is planned first, and its column is there after the migration."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import API, Refusal, answer, routes

OBJECTS = ("User", "Ticket", "Organization", "Group", "TicketArticle")
TYPES = (
    "input user_autocompletion checkbox select multiselect tree_select multi_tree_select datetime date tag richtext "
    "textarea integer autocompletion_ajax autocompletion_ajax_external_data_source boolean user_permission active"
).split()
STREAMS = {"Ticket": "tickets", "User": "users", "Organization": "organizations"}
RESERVED = (
    "destroy true false integer select drop create alter index table varchar blob date datetime timestamp url icon "
    "initials avatar permission validate subscribe unsubscribe translate search _type _doc _id id"
).split()
TEXTS = ("input", "select", "tree_select", "richtext", "textarea")
BUILT_IN: tuple[tuple[str, str, str, str, bool], ...] = (  # object, name, display, type, may be edited
    ("Ticket", "title", "Title", "input", False),
    ("Ticket", "customer_id", "Customer", "user_autocompletion", False),
    ("Ticket", "type", "Type", "select", True),
    ("Ticket", "group_id", "Group", "select", False),
    ("Ticket", "owner_id", "Owner", "select", False),
    ("Ticket", "state_id", "State", "select", False),
    ("Ticket", "pending_time", "Pending till", "datetime", False),
    ("Ticket", "priority_id", "Priority", "select", False),
    ("Ticket", "tags", "Tags", "tag", False),
    ("TicketArticle", "body", "Text", "richtext", False),
    ("User", "login", "Login", "input", False),
    ("User", "firstname", "Firstname", "input", False),
    ("User", "lastname", "Lastname", "input", False),
    ("User", "email", "Email", "input", False),
    ("User", "phone", "Phone", "input", False),
    ("User", "note", "Note", "richtext", False),
    ("User", "active", "Active", "active", False),
    ("Organization", "name", "Name", "input", False),
    ("Organization", "domain", "Domain", "input", False),
    ("Organization", "note", "Note", "richtext", False),
    ("Group", "name", "Name", "input", False),
)


def furnish(box: Sandbox) -> None:
    """Put in the attributes every Zammad has."""
    for object, name, display, kind, editable in BUILT_IN:
        option: Native = {"null": True, "options": {}, "relation": ""}
        if name == "type":
            option["options"] = {word: word for word in ("Incident", "Problem", "Request for Change")}
        record = _new(box, object, name, {"display": display, "data_type": kind, "data_option": option, "position": 10})
        record |= {"editable": editable, "to_create": False, "to_migrate": False, "active": name != "type"}


def _new(box: Sandbox, object: str, name: str, sent: Native) -> Native:
    planned = {"to_create": True, "to_migrate": True, "to_delete": False, "to_config": False}
    values = {key: sent.get(key) for key in ("display", "data_type", "data_option", "position")}
    values |= {"active": sent.get("active", True), "screens": sent.get("screens") or {}, "data_option_new": {}}
    return rules.made(
        box, "object_manager_attributes", {"object": object, "name": name, "editable": True, **values, **planned}
    )


def _view(record: Native) -> Native:
    return {**record, "deletable": record["editable"]}


def _checked(box: Sandbox, sent: Native) -> tuple[str, str]:
    """Return object and name. Raises the refusals of ObjectManager::Attribute (check_name, validations)."""
    object, name = str(sent.get("object") or ""), str(sent.get("name") or "").lower()
    if object not in OBJECTS:
        raise Refusal(f"No such object {object}")
    if not name:
        raise Refusal("Name can't be blank")
    if re.fullmatch(r".+?_(id|ids)", name):
        raise Refusal("Name can't get used because *_id and *_ids are not allowed")
    if not re.fullmatch(r"[a-z0-9_]+", name) or not re.search(r"[a-z]", name):
        raise Refusal("Name Only lowercase letters, numbers, and underscores are allowed")
    if name in RESERVED:
        raise Refusal(f"Name {name} is a reserved word! (1)")
    if len(name) > 63:
        raise Refusal("PG::NameTooLong: identifier is too long")
    return object, name


def _settled(kind: str, option: Native) -> Native:
    """Return the options with the defaults the controller puts in. Raises the model's refusals."""
    option = dict(option)
    option.setdefault("default", "" if kind in ("input", "select", "tree_select") else None)
    option.setdefault("null", True)
    if not isinstance(option.get("options"), (dict, list)):
        option["options"] = {}
    option.setdefault("relation", "")
    if kind in ("select", "multiselect", "tree_select", "multi_tree_select"):
        option.setdefault("nulloption", True)
        option.setdefault("maxlength", 255)
    if kind == "input":
        if option.get("type") not in ("text", "password", "tel", "fax", "email", "url"):
            raise Refusal("Data option must have one of text/password/tel/fax/email/url for :type")
    if kind in ("input", "textarea", "richtext") and not str(option.get("maxlength", "")).isdecimal():
        raise Refusal("Data option must have integer for :maxlength")
    if kind == "integer" and not all(re.fullmatch(r"-?\d+", str(option.get(k, ""))) for k in ("min", "max")):
        raise Refusal("Data option must have integer for :min")
    if kind == "date" and option.get("diff") is None:
        raise Refusal("Data option must have integer value for :diff (in days)")
    if kind == "datetime" and any(option.get(key) is None for key in ("future", "past", "diff")):
        raise Refusal("Data option must have boolean value for :future")
    return option


@routes("GET", f"{API}/object_manager_attributes")
def attributes(box: Sandbox, request: Request) -> Response:
    """List all attributes, in one answer."""
    rules.admin(box)
    held = box.store["object_manager_attributes"].values()
    return answer(
        [_view(record) for record in sorted(held, key=lambda record: (record["position"] or 0, record["name"]))]
    )


@routes("POST", f"{API}/object_manager_attributes")
def create_attribute(box: Sandbox, request: Request) -> Response:
    """Plan a new attribute."""
    rules.admin(box)
    sent = rules.given(request)
    object, name = _checked(box, sent)
    if any((r["object"], r["name"]) == (object, name) for r in box.store["object_manager_attributes"].values()):
        raise Refusal("Attribute already exists.")
    kind = str(sent.get("data_type"))
    if kind not in TYPES:
        raise Refusal(f"Data type {kind} is not a valid data type")
    sent["data_option"] = _settled(kind, sent.get("data_option") or {})
    return answer(_view(_new(box, object, name, {**sent, "position": 1550})), 201)


@routes("GET", f"{API}/object_manager_attributes/<int:id>")
def attribute(box: Sandbox, request: Request, id: int) -> Response:
    """Show an attribute."""
    return answer(_view(rules.one(box, "object_manager_attributes", id, "ObjectManager::Attribute")))


@routes("DELETE", f"{API}/object_manager_attributes/<int:id>")
def delete_attribute(box: Sandbox, request: Request, id: int) -> Response:
    """Plan that an attribute goes; one that is only planned is gone at once."""
    rules.admin(box)
    record = rules.one(box, "object_manager_attributes", id, "ObjectManager::Attribute")
    if not record["editable"]:
        raise Refusal(f"{record['object']}.{record['name']} can't be removed!")
    if record["to_create"]:
        del box.store["object_manager_attributes"][id]
    else:
        record["to_delete"] = True
    return answer({})


@routes("POST", f"{API}/object_manager_attributes_execute_migrations")
def migrate(box: Sandbox, request: Request) -> Response:
    """Make and drop the columns that are planned."""
    rules.admin(box)
    for record in list(box.store["object_manager_attributes"].values()):
        object, name = record["object"], record["name"]
        columns, blank = box.state["columns"].setdefault(object, {}), box.state["blank"].setdefault(object, {})
        stream = STREAMS.get(object, "")
        if record["to_delete"]:
            del box.store["object_manager_attributes"][record["id"]]
            columns.pop(name, None)
            blank.pop(name, None)
            for row in box.store[stream].values():
                row.pop(name, None)
        elif record["to_create"]:
            column(box, record)
            record |= {"to_create": False, "to_migrate": False}
    return answer({})


def column(box: Sandbox, attribute: Native) -> None:
    """Give an object's records the column of an attribute."""
    object, name = attribute["object"], attribute["name"]
    several = attribute["data_type"] in ("multiselect", "multi_tree_select")
    box.state["columns"].setdefault(object, {})[name] = int(attribute["data_option"].get("maxlength") or 0) or 10**7
    box.state["blank"].setdefault(object, {})[name] = [] if several else _default(attribute)
    for row in box.store[STREAMS.get(object, "")].values():
        row.setdefault(name, box.state["blank"][object][name])


def _default(record: Native) -> Any:
    # A text's column has no default of its own; the others have the attribute's (migration_execute).
    return None if record["data_type"] in TEXTS else record["data_option"].get("default")
