"""The fields of tickets, contacts and companies: the default ones, and which values fit."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import Body, Check

# name, label, description, label for customers; required for agents, for customers, customers can edit, displayed
TICKET_FIELDS: list[tuple[str, str, str, str, bool, bool, bool, bool]] = [
    ("requester", "Search a requester", "Ticket requester", "Requester", True, True, True, True),
    ("subject", "Subject", "Ticket subject", "Subject", True, True, True, True),
    ("ticket_type", "Type", "Ticket type", "Type", False, False, False, False),
    ("source", "Source", "Ticket source", "Source", False, False, False, False),
    ("status", "Status", "Ticket status", "Status", True, False, False, True),
    ("priority", "Priority", "Ticket priority", "Priority", True, False, False, False),
    ("group", "Group", "Ticket group", "Group", False, False, False, False),
    ("agent", "Agent", "Agent", "Assigned to", False, False, False, True),
    ("product", "Product", "Select the product, the ticket belongs to.", "Product", False, False, True, True),
    ("company", "Company", "Ticket company", "Company", False, False, True, True),
    ("description", "Description", "Ticket description", "Description", True, True, True, True),
]
CHOICES: dict[str, Any] = {
    "ticket_type": ["Question", "Incident", "Problem", "Feature Request", "Refund"],
    "source": {
        "Email": 1,
        "Portal": 2,
        "Phone": 3,
        "Forum": 4,
        "Twitter": 5,
        "Facebook": 6,
        "Chat": 7,
        "Chat - Internal Task": 14,
        "MobiHelp": 8,
        "Feedback Widget": 9,
        "Outbound Email": 10,
        "Ecommerce": 11,
        "Bot": 12,
        "Whatsapp": 13,
    },
    "status": {
        "2": ["Open", "Being Processed"],
        "3": ["Pending", "Awaiting your Reply"],
        "4": ["Resolved", "This ticket has been Resolved"],
        "5": ["Closed", "This ticket has been Closed"],
    },
    "priority": {"Low": 1, "Medium": 2, "High": 3, "Urgent": 4},
}
CONTACT_FIELDS = [
    ("name", "Full name"),
    ("job_title", "Title"),
    ("email", "Email"),
    ("phone", "Work phone"),
    ("mobile", "Mobile phone"),
    ("twitter_id", "Twitter"),
    ("company_name", "Company"),
    ("address", "Address"),
    ("time_zone", "Time zone"),
    ("language", "Language"),
    ("tag_names", "Tags"),
    ("description", "About"),
    ("unique_external_id", "Unique external ID"),
]
COMPANY_FIELDS = [
    ("name", "Company Name"),
    ("description", "Description"),
    ("note", "Notes"),
    ("domains", "Domains for this company"),
    ("health_score", "Health score"),
    ("account_tier", "Account tier"),
    ("renewal_date", "Renewal date"),
    ("industry", "Industry"),
]
COMPANY_CHOICES = {
    "health_score": ["At risk", "Doing okay", "Happy"],
    "account_tier": ["Basic", "Premium", "Enterprise"],
    "industry": ["Automotive", "Media", "Banks", "Insurance", "Aerospace and Defense", "Marine", "IT Services"],
}


def start(box: Sandbox) -> None:
    """Give a new account its default fields."""
    now = box.now()
    for position, (name, label, about, public, agents, customers, edit, shown) in enumerate(TICKET_FIELDS, 1):
        field: Native = {
            "id": box.next_id(),
            "name": name,
            "label": label,
            "description": about,
            "position": position,
            "required_for_closure": False,
            "required_for_agents": agents,
            "type": f"default_{name}",
            "default": True,
            "customers_can_edit": edit,
            "customers_can_filter": False,
            "label_for_customers": public,
            "required_for_customers": customers,
            "displayed_to_customers": shown,
            "created_at": now,
            "updated_at": now,
        }
        if name in CHOICES:
            field["choices"] = CHOICES[name].copy()
        if name == "requester":
            field |= {"portal_cc": False, "portal_cc_to": "company"}
        box.store["ticket_fields"][field["id"]] = field
    for stream, fields in (("contact_fields", CONTACT_FIELDS), ("company_fields", COMPANY_FIELDS)):
        for position, (name, label) in enumerate(fields, 1):
            field = person_field(box, stream, name, label, position) | {"default": True, "type": f"default_{name}"}
            field["required_for_agents"] = name == "name"
            if stream == "company_fields" and name in COMPANY_CHOICES:
                field["choices"] = COMPANY_CHOICES[name]
            box.store[stream][field["id"]] = field


def person_field(box: Sandbox, stream: str, name: str, label: str, position: int) -> Native:
    """Return a new field of contacts or companies."""
    field: Native = {
        "id": rules.fresh_id(box),
        "name": name,
        "label": label,
        "position": position,
        "required_for_agents": False,
        "type": "custom_text",
        "default": False,
        "created_at": box.now(),
        "updated_at": box.now(),
    }
    if stream == "contact_fields":
        field |= {
            "editable_in_signup": name in ("name", "email"),
            "customers_can_edit": False,
            "label_for_customers": label,
            "required_for_customers": name == "name",
            "displayed_for_customers": False,
        }
    return field


def named(box: Sandbox, name: str) -> Native:
    """Return the ticket field of that name."""
    return next(field for field in box.store["ticket_fields"].values() if field["name"] == name)


def custom(box: Sandbox, stream: str) -> dict[str, Native]:
    """Return the custom fields by name; the lower levels of a dependent field are fields of their own."""
    found: dict[str, Native] = {}
    for field in box.store[stream].values():
        if not field["default"]:
            found[field["name"]] = field
            for level in field.get("nested_ticket_fields", ()):
                found[level["name"]] = level | {"type": "level", "of": field}
    return found


def blank(box: Sandbox, stream: str) -> Native:
    """Return the custom fields of a record nobody filled: null, but false for a checkbox."""
    fields = custom(box, stream)
    return {name: False if field["type"] == "custom_checkbox" else None for name, field in fields.items()}


def values(box: Sandbox, stream: str) -> Check:
    """Return the check of ``custom_fields``."""
    checks: dict[str, Check] = {
        "custom_text": rules.text(),
        "custom_paragraph": rules.text(None),
        "custom_checkbox": rules.boolean,
        "custom_number": rules.integer,
        "custom_decimal": rules.decimal,
        "custom_date": rules.day,
        "custom_phone_number": rules.text(),
        "custom_url": rules.text(),
    }

    def check(_: str, given: Any, body: Body) -> Any:
        if not isinstance(given, dict):
            return body.wrong_type("custom_fields", given, "key/value pair")
        fields = custom(box, stream)
        if unknown := sorted(set(given) - set(fields)):
            raise rules.invalid(*(rules.unexpected(name) for name in unknown))
        kept: Native = {}
        for name, value in given.items():
            field = fields[name]
            if value is None or (body.loose and value == ""):
                kept[name] = None
            elif field["type"] in ("custom_dropdown", "nested_field"):
                kept[name] = rules.among(choice_names(field["choices"]))(name, value, body)
            elif field["type"] == "level":
                kept[name] = rules.among(_below(field, fields, given))(name, value, body)
            else:
                kept[name] = checks[field["type"]](name, value, body)
        return kept

    return check


def choice_names(choices: Any) -> list[str]:
    """Return the texts of choices: texts, {text: choices below}, or {id, label, value, position}."""
    names: list[str] = []
    for choice in choices:
        if isinstance(choice, dict):
            names += [choice["value"]] if {"value", "position"} <= set(choice) else list(choice)
        else:
            names.append(choice)
    return names


def _below(level: Native, fields: dict[str, Native], given: Native) -> list[str]:
    """Return the choices of a lower level, under the values given for the levels above it."""
    choices = level["of"]["choices"]
    above = [level["of"]["name"]] + [
        other["name"] for other in level["of"]["nested_ticket_fields"] if other["level"] < level["level"]
    ]
    for name in above:
        choices = next((c[given.get(name)] for c in choices if isinstance(c, dict) and given.get(name) in c), [])
    return choice_names(choices)


def need(box: Sandbox, stream: str, body: Body, filled: Native, *, closing: bool = False) -> None:
    """Note each custom field that agents must fill, on creation or before closing, and that is empty."""
    for name, field in custom(box, stream).items():
        wanted = field.get("required_for_closure") if closing else field.get("required_for_agents")
        if wanted and filled.get(name) in (None, ""):
            body.wrong(name, "Mandatory attribute missing", "missing_field")


def with_fields(box: Sandbox, section: Native) -> Native:
    """Return a section with the fields that say they are part of it, in their order."""
    placed = [
        (mapping["position"], field["id"])
        for field in box.store["ticket_fields"].values()
        for mapping in field.get("section_mappings") or ()
        if mapping["section_id"] == section["id"]
    ]
    return {**section, "ticket_field_ids": [id for _, id in sorted(placed)], "is_fsm": False}


def sections_of(box: Sandbox, id: int) -> list[Native]:
    """Return the sections that hang on a field."""
    held = [one for one in box.store["sections"].values() if one["parent_ticket_field_id"] == id]
    return [with_fields(box, one) for one in sorted(held, key=lambda one: one["id"])]
