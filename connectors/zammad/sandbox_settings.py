"""What administrators set up at Zammad, as far as the sandbox keeps it: triggers, jobs, text modules and their like."""

from __future__ import annotations

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_html as markup
from . import sandbox_rules as rules
from .sandbox_rules import API, Refusal, answer, routes

COMMON: Native = {"name": None, "note": "", "active": True}
MODELS: dict[str, Native] = {
    "triggers": {**COMMON, "condition": {}, "perform": {}, "disable_notification": True, "activator": "action",
                 "execution_condition_mode": "selective"},
    "jobs": {**COMMON, "timeplan": {}, "object": "Ticket", "condition": {}, "perform": {},
             "disable_notification": True},
    "macros": {**COMMON, "perform": {}, "ux_flow_next_up": "none", "group_ids": []},
    "overviews": {**COMMON, "link": "", "prio": 1000, "condition": {}, "order": {}, "group_by": None, "view": {},
                  "role_ids": [], "user_ids": [], "out_of_office": False, "organization_shared": False},
    "slas": {"name": None, "condition": {}, "calendar_id": None, "first_response_time": None, "response_time": None,
             "update_time": None, "solution_time": None},
    "calendars": {"name": None, "timezone": "Europe/Berlin", "business_hours": {}, "public_holidays": {},
                  "default": False, "ical_url": None},
    "webhooks": {**COMMON, "endpoint": None, "signature_token": "", "ssl_verify": True},
    "text_modules": {**COMMON, "keywords": "", "content": "", "user_id": None, "foreign_id": None, "group_ids": []},
}  # fmt: skip


def _values(box: Sandbox, model: str, request: Request, but: int | None) -> Native:
    values = rules.cleaned(box, rules.given(request), [*MODELS[model], *rules.KEPT_BY_VENDOR])
    if "name" in values or but is None:
        if not str(values.get("name") or "").strip():
            raise Refusal("Name can't be blank")
        if any(one["name"] == values["name"] and one["id"] != but for one in box.store[model].values()):
            raise Refusal("Name has already been taken")
    if "content" in values:
        values["content"] = markup.note(values["content"])
    rules.cut(values, {"name": 250})
    return values


def _serve(model: str) -> None:
    @routes("GET", f"{API}/{model}")
    def every(box: Sandbox, request: Request) -> Response:
        rules.admin(box)
        return rules.listed(box, request, box.store[model].values(), lambda _, one: dict(one), default=500)

    @routes("POST", f"{API}/{model}")
    def create(box: Sandbox, request: Request) -> Response:
        rules.admin(box)
        return answer(rules.made(box, model, {**MODELS[model], **_values(box, model, request, None)}), 201)

    @routes("GET", f"{API}/{model}/<int:id>")
    def show(box: Sandbox, request: Request, id: int) -> Response:
        rules.admin(box)
        return answer(rules.one(box, model, id, model))

    @routes("PUT", f"{API}/{model}/<int:id>")
    def update(box: Sandbox, request: Request, id: int) -> Response:
        rules.admin(box)
        record = rules.one(box, model, id, model)
        return answer(rules.changed(box, record, _values(box, model, request, id)))

    @routes("DELETE", f"{API}/{model}/<int:id>")
    def delete(box: Sandbox, request: Request, id: int) -> Response:
        rules.admin(box)
        rules.one(box, model, id, model)
        del box.store[model][id]
        return answer({})


for _model in MODELS:
    _serve(_model)


@routes("GET", f"{API}/settings")
def settings(box: Sandbox, request: Request) -> Response:
    """List the settings the sandbox knows: whether Zammad is in import mode."""
    rules.admin(box)
    on = {"value": rules.importing(box)}
    return answer([{"id": 1, "name": "import_mode", "state_current": on, "state_initial": {"value": False}}])
