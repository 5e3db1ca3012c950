"""What administrators set up at Zammad: triggers, jobs, macros, overviews, SLAs, calendars, webhooks, text modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_html as markup
from . import sandbox_rules as rules
from . import sandbox_workflows as workflows
from .sandbox_rules import API, Refusal, answer, routes
from .sandbox_tickets import ARTICLE, TICKET

COMMON: Native = {"name": None, "note": "", "active": True}
MODELS: dict[str, Native] = {
    "triggers": {**COMMON, "condition": {}, "perform": {}, "disable_notification": True, "activator": "action",
                 "execution_condition_mode": "selective", "localization": None, "timezone": None},
    "jobs": {**COMMON, "timeplan": {}, "object": "Ticket", "condition": {}, "perform": {},
             "disable_notification": True, "localization": None, "timezone": None},
    "macros": {**COMMON, "perform": {}, "ux_flow_next_up": "none", "group_ids": []},
    "overviews": {"name": None, "active": True, "link": "", "prio": 1000, "condition": {}, "order": {},
                  "group_by": None, "group_direction": None, "view": {}, "role_ids": [], "user_ids": [],
                  "out_of_office": False, "organization_shared": False},
    "slas": {"name": None, "condition": {}, "calendar_id": None, "first_response_time": None, "response_time": None,
             "update_time": None, "solution_time": None},
    "calendars": {"name": None, "timezone": "Europe/Berlin", "business_hours": {}, "public_holidays": {},
                  "default": False, "ical_url": None},
    "webhooks": {**COMMON, "endpoint": None, "signature_token": "", "ssl_verify": True},
    "signatures": {**COMMON, "body": ""},
    "email_addresses": {**COMMON, "email": None, "channel_id": None, "preferences": {}},
    "text_modules": {**COMMON, "keywords": "", "content": "", "user_id": None, "foreign_id": None, "group_ids": []},
    "core_workflows": workflows.WORKFLOW,
}  # fmt: skip
# validators/validations/verify_perform_rules_validator.rb (2026)
WANTED = {
    "article.note": ("body", "subject", "internal"),
    "notification.email": ("body", "recipient", "subject"),
    "notification.webhook": ("webhook_id",),
}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TABLES = {"ticket.state_id": "ticket_states", "ticket.priority_id": "ticket_priorities", "ticket.group_id": "groups"}
OTHERS = ("customer", "owner", "organization", "created_by", "updated_by", "execution_time")
BY_WORD = (
    *("ticket.tags", "ticket.action", "article.action", "ticket.mention_user_ids", "ticket.id", "ticket.number"),
    *("ticket.out_of_office_replacement_id", "ticket.created_at", "ticket.updated_at"),
)


def furnish(box: Sandbox) -> None:
    """Put in the calendar every Zammad has."""
    days = {day: {"active": day not in ("sat", "sun"), "timeframes": [["09:00", "17:00"]]} for day in DAYS}
    named = {"name": "Germany/Berlin", "business_hours": days, "default": True}
    rules.made(box, "calendars", {**MODELS["calendars"], **named})


def _values(box: Sandbox, model: str, request: Request, but: int | None) -> Native:
    values = rules.cleaned(box, rules.given(request), [*MODELS[model], *rules.KEPT_BY_VENDOR])
    if "name" in values or but is None:
        name = str(values.get("name") or "").strip()
        if not name:
            raise Refusal("Name can't be blank")
        if any(one["name"].lower() == name.lower() and one["id"] != but for one in box.store[model].values()):
            raise Refusal("Name has already been taken")
    if "content" in values:
        values["content"] = markup.note(values["content"])
    if "note" in values:
        if model == "triggers" and len(str(values["note"] or "")) > 250:
            raise Refusal("Note is too long (maximum is 250 characters)")
        values["note"] = markup.note(values["note"])
    for key, check in CHECKS.items():
        if key in values:
            check(box, values[key])
    _whole(box, model, values, but)
    rules.cut(values, {"name": 100 if model == "core_workflows" else 250})
    return values


def _whole(box: Sandbox, model: str, values: Native, but: int | None) -> None:
    """Refuse what a model as a whole does not allow. Raises the vendor's refusal."""
    if model == "calendars" and (but is None or "business_hours" in values):
        _hours(box, values.get("business_hours") or {})
    if model == "webhooks" and (but is None or "endpoint" in values):
        address = urlsplit(str(values.get("endpoint") or ""))
        if address.scheme not in ("http", "https"):
            raise Refusal("Invalid endpoint (no http/https)!")
        if not address.hostname:
            raise Refusal("Invalid endpoint (no hostname)!")
    if model == "core_workflows":
        workflows.checked(values)
    if model == "triggers" and values.get("activator") not in (None, "action", "time"):
        raise Refusal("Activator is not included in the list")
    if model == "slas" and values.get("calendar_id") not in (None, *box.store["calendars"]):
        raise Refusal(f"Couldn't find Calendar with 'id'={values['calendar_id']}", 404)
    for key, stream in (("role_ids", "roles"), ("user_ids", "users"), ("group_ids", "groups")):
        for id in values.get(key) or ():
            rules.one(box, stream, id, stream)


def _hours(box: Sandbox, hours: Native) -> None:
    held = {day: one["timeframes"] for day, one in hours.items() if one.get("active") and one.get("timeframes")}
    if not held:
        raise Refusal("No configured business hours found!")
    for begins, ends in (frame for frames in held.values() for frame in frames):
        if not all(re.fullmatch(r"\d\d:\d\d", one) for one in (begins, ends)) or begins >= ends:
            raise Refusal("invalid time")


def _listed(condition: Any) -> Iterator[Native]:
    """Yield each condition of either format."""
    if not isinstance(condition, dict):
        raise Refusal("Invalid ticket selector conditions")
    if "conditions" in condition:
        if condition.get("operator") not in ("AND", "OR", "NOT"):
            raise Refusal("Invalid ticket selector conditions")
        for one in condition["conditions"]:
            yield from _listed(one)
    elif "operator" in condition and "name" in condition:
        yield condition
    else:
        yield from ({"name": name, **one} for name, one in condition.items())


def _condition(box: Sandbox, condition: Any) -> None:
    """Refuse what the selector cannot ask: attributes that are no columns, ids that are no numbers."""
    for one in _listed(condition):
        name = str(one["name"])
        table, _, column = name.partition(".")
        columns = {"ticket": {*TICKET, *box.state["columns"]["Ticket"]}, "article": set(ARTICLE)}
        if name not in BY_WORD and table not in OTHERS and column not in columns.get(table, ()):
            raise Refusal("Invalid ticket selector conditions")
        if not one.get("operator"):
            raise Refusal("Invalid ticket selector conditions")
        if name in TABLES and one.get("pre_condition") in (None, "specific"):
            value = one.get("value")
            some: list[Any] = value if isinstance(value, list) else [value]
            if not all(str(each).isdecimal() or each in ("", None) for each in some):
                raise Refusal("Invalid ticket selector conditions")


def _perform(box: Sandbox, perform: Any) -> None:
    """Refuse actions without what they need, and a waiting state without its date."""
    for key, does in (perform or {}).items():
        for inner in WANTED.get(key, ()):
            if does and not str(does.get(inner) or "").strip():
                raise Refusal(f"The required 'value' value for {key}, {inner} is missing!")
        if does.get("pre_condition") == "specific" and not does.get("value"):
            raise Refusal(f"The required 'value' value for {key}, value is missing!")
    state = (perform or {}).get("ticket.state_id", {}).get("value")
    if str(state).isdecimal() and int(state) in box.store["ticket_states"]:
        kind = str(box.store["ticket_states"][int(state)]["state_type"])
        if kind.startswith("pending") and not perform.get("ticket.pending_time", {}).get("value"):
            raise Refusal('The "Pending till" attribute is required for the selected state action.')


CHECKS: dict[str, Callable[[Sandbox, Any], None]] = {"condition": _condition, "perform": _perform}


def _serve(model: str) -> None:
    @routes("GET", f"{API}/{model}")
    def every(box: Sandbox, request: Request) -> Response:
        rules.admin(box)
        seen = [one for one in box.store[model].values() if one.get("changeable", True)]
        return rules.listed(box, request, seen, lambda _, one: dict(one), default=500)

    @routes("POST", f"{API}/{model}")
    def create(box: Sandbox, request: Request) -> Response:
        rules.admin(box)
        record = rules.made(box, model, {**MODELS[model], **_values(box, model, request, None)})
        return answer(_default(box, model, record), 201)

    @routes("GET", f"{API}/{model}/<int:id>")
    def show(box: Sandbox, request: Request, id: int) -> Response:
        rules.admin(box)
        return answer(rules.one(box, model, id, model))

    @routes("PUT", f"{API}/{model}/<int:id>")
    def update(box: Sandbox, request: Request, id: int) -> Response:
        rules.admin(box)
        record = rules.one(box, model, id, model)
        return answer(_default(box, model, rules.changed(box, record, _values(box, model, request, id))))

    @routes("DELETE", f"{API}/{model}/<int:id>")
    def delete(box: Sandbox, request: Request, id: int) -> Response:
        rules.admin(box)
        if not rules.one(box, model, id, model).get("changeable", True):
            raise Refusal(f"Couldn't find CoreWorkflow with 'id'={id}", 404)
        if model == "webhooks" and any(_calls(one, id) for one in box.store["triggers"].values()):
            raise Refusal("Can't delete, object has references.")
        del box.store[model][id]
        return answer({})


def _calls(trigger: Native, webhook: int) -> bool:
    return str(trigger["perform"].get("notification.webhook", {}).get("webhook_id")) == str(webhook)


def _default(box: Sandbox, model: str, record: Native) -> Native:
    """Keep one default calendar: of several the last one that was said to be (Calendar.sync_default)."""
    if model == "slas" and record["calendar_id"] is None:
        record["calendar_id"] = next(id for id, one in box.store["calendars"].items() if one["default"])
    if model == "calendars" and record["default"]:
        for one in box.store["calendars"].values():
            one["default"] = one is record
    return record


for _model in MODELS:
    _serve(_model)


@routes("GET", f"{API}/settings")
def settings(box: Sandbox, request: Request) -> Response:
    """List the settings the sandbox knows: whether Zammad is in import mode."""
    rules.admin(box)
    on = {"value": rules.importing(box)}
    return answer([{"id": 1, "name": "import_mode", "state_current": on, "state_initial": {"value": False}}])
