"""The endpoints of fields: ticket fields, read and by administrators; contact and company fields."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_fields as fields
from . import sandbox_rules as rules
from .sandbox_rules import API, Body, Check, routes

TICKET_TYPES = (
    "custom_text",
    "custom_paragraph",
    "custom_checkbox",
    "custom_number",
    "custom_decimal",
    "custom_date",
    "custom_dropdown",
    "nested_field",
)
PERSON_TYPES = (
    "custom_text",
    "custom_paragraph",
    "custom_checkbox",
    "custom_number",
    "custom_dropdown",
    "custom_phone_number",
    "custom_url",
    "custom_date",
)


def slug(label: str) -> str:
    """Return a label as a part of a name: ASCII letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def _free_name(box: Sandbox, stream: str, label: str) -> str:
    taken = box.state["field_names"].setdefault(stream, set()) | {f["name"] for f in box.store[stream].values()}
    taken |= set(fields.custom(box, stream))
    name = f"cf_{slug(label)}" if stream == "ticket_fields" else slug(label)
    if name in taken and stream != "ticket_fields":
        name = f"custom_{name}"
    if name in taken or name in ("", "cf_"):
        name = f"{name}{rules.fresh_id(box) % 1_000_000}"
    box.state["field_names"][stream].add(name)
    return name


def _label(box: Sandbox, stream: str, but: int | None = None) -> Check:
    def check(name: str, value: Any, body: Body) -> Any:
        kept = rules.text()(name, value, body)
        for field in box.store[stream].values():
            if name == "label" and isinstance(kept, str) and field["id"] != but:
                if field["label"].casefold() == kept.casefold():
                    raise rules.duplicate("label")
        return kept

    return check


def _anything(_: str, value: Any, __: Body) -> Any:
    return value


FLAGS = (
    "customers_can_edit",
    "displayed_to_customers",
    "required_for_closure",
    "required_for_agents",
    "required_for_customers",
)
PERSON_FLAGS = (
    "editable_in_signup",
    "required_for_agents",
    "agents_can_edit",
    "displayed_for_agents",
    "quick_add_for_agent",
    "unique",
    "customers_can_edit",
    "required_for_customers",
    "displayed_for_customers",
)


def _checks(box: Sandbox, stream: str, but: int | None = None) -> dict[str, Check]:
    types, flags = (TICKET_TYPES, FLAGS) if stream == "ticket_fields" else (PERSON_TYPES, PERSON_FLAGS)
    checks: dict[str, Check] = {"label": _label(box, stream, but), "label_for_customers": rules.text()}
    checks |= {"type": rules.among(types), "position": rules.integer, "choices": _anything}
    checks |= dict.fromkeys(flags, rules.boolean)
    if stream == "company_fields":
        for absent in ("label_for_customers", "editable_in_signup", *PERSON_FLAGS[-3:]):
            checks.pop(absent, None)
    if stream == "ticket_fields":
        checks |= {"dependent_fields": _anything, "section_mappings": _mappings(box)}
    if but is not None:
        del checks["type"]
    return checks


def _grow(box: Sandbox, parent: int, choices: Any) -> list[Native]:
    """Return choices as the admin endpoints show them, with ids."""
    grown = []
    for position, choice in enumerate(choices or [], 1):
        id = choice.get("id") or rules.fresh_id(box)
        inner = _grow(box, id, choice.get("choices"))
        grown.append(
            {"id": id, "position": position, "value": choice["value"], "parent_choice_id": parent, "choices": inner}
        )
    return grown


def _short(choices: list[Native]) -> list[Any]:
    """Return choices as ``/ticket_fields`` shows them: texts, or {text: choices below}."""
    return [{c["value"]: _short(c["choices"])} if c["choices"] else c["value"] for c in choices]


def choices(box: Sandbox, field: Native) -> list[Native]:
    """Return the choices of a ticket field with their ids, of all levels the first."""
    held: list[Native] = _long(box, field).get("choices") or []
    return held


def _mappings(box: Sandbox) -> Check:
    """Return the check of ``section_mappings``: sections that are there, of one field."""

    def check(name: str, value: Any, body: Body) -> Any:
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            return body.wrong_type(name, value, "Array of key/value pairs")
        held = [box.store["sections"].get(one.get("section_id")) for one in value]
        if None in held or len({one["parent_ticket_field_id"] for one in held if one}) > 1:
            body.wrong(name, "It should be sections of one ticket field")
        return [{"section_id": one.get("section_id"), "position": one.get("position") or 1} for one in value]

    return check


def _with_sections(box: Sandbox, field: Native, *, included: bool) -> Native:
    """Return a ticket field as the admin endpoints show it, with its sections where they are asked for."""
    held = [one for one in box.store["sections"].values() if one["parent_ticket_field_id"] == field["id"]]
    more: Native = {"has_section": True} if held else {}
    if held and included:
        more["sections"] = fields.sections_of(box, field["id"])
    return _long(box, field) | more


def _included(request: Request) -> bool:
    return rules.query(request, "include", "page", "per_page").get("include") == "section"


def _long(box: Sandbox, field: Native) -> Native:
    """Return a ticket field as the admin endpoints show it."""
    shown = {name: value for name, value in field.items() if name not in ("choices", "nested_ticket_fields")}
    if field["id"] in box.state["choices"]:
        shown["choices"] = box.state["choices"][field["id"]]
    elif isinstance(field.get("choices"), list):
        shown["choices"] = _grow(
            box, field["id"], [{"value": value} for value in fields.choice_names(field["choices"])]
        )
        box.state["choices"][field["id"]] = shown["choices"]
    elif field["name"] == "status":
        shown["choices"] = [{"id": int(id), "value": two[0], "label": two[1]} for id, two in field["choices"].items()]
    elif "choices" in field:
        shown["choices"] = [{"id": id, "value": value} for value, id in field["choices"].items()]
    if "nested_ticket_fields" in field:
        names = ("id", "name", "label", "level", "ticket_field_id", "created_at", "updated_at")
        shown["dependent_fields"] = [
            {name: level[name] for name in names} | {"label_for_customers": level["label_in_portal"]}
            for level in field["nested_ticket_fields"]
        ]
    return shown | {"archived": False}


@routes("GET", f"{API}/ticket_fields")
def ticket_fields(box: Sandbox, request: Request) -> Response:
    """List the ticket fields, all at once, in their order."""
    given = rules.query(request, "type", "page", "per_page")
    found = sorted(box.store["ticket_fields"].values(), key=lambda field: (field["position"], field["id"]))
    shown = []
    for field in found:
        if given.get("type") in (None, field["type"]):
            people = {"group": "groups", "agent": "agents", "product": "products"}.get(field["name"])
            if people and field["default"] and "choices" not in field:
                records = box.store[people].values()
                field = field | {"choices": {(r.get("contact") or r)["name"]: r["id"] for r in records}}
            shown.append({name: value for name, value in field.items() if name != "section_mappings"})
    return rules.answer(shown)


@routes("GET", f"{API}/admin/ticket_fields")
def admin_ticket_fields(box: Sandbox, request: Request) -> Response:
    """List the ticket fields, without their choices."""
    rules.need_admin(box)
    included = _included(request)
    found = sorted(box.store["ticket_fields"].values(), key=lambda field: (field["position"], field["id"]))
    shown = [_with_sections(box, field, included=included) for field in found]
    return rules.answer([{k: v for k, v in field.items() if k != "choices"} for field in shown])


@routes("GET", f"{API}/admin/ticket_fields/<int:id>")
def admin_ticket_field(box: Sandbox, request: Request, id: int) -> Response:
    """View a ticket field with its choices."""
    rules.need_admin(box)
    return rules.answer(_with_sections(box, rules.one(box, "ticket_fields", id), included=_included(request)))


@routes("POST", f"{API}/admin/ticket_fields")
def create_ticket_field(box: Sandbox, request: Request) -> Response:
    """Create a custom ticket field; a dependent one is answered in an envelope, as documented."""
    rules.need_admin(box)
    body = Body(request)
    checks = _checks(box, "ticket_fields")
    body.only(checks)
    body.need("label", "label_for_customers", "type")
    kept = body.check(checks)
    _need_choices(body, kept)
    body.settle()
    field: Native = {
        "id": rules.fresh_id(box),
        "name": _free_name(box, "ticket_fields", kept["label"]),
        "label": kept["label"],
        "description": "",
        "position": kept.get("position") or 1,
        "required_for_closure": False,
        "required_for_agents": False,
        "type": kept["type"],
        "default": False,
        "customers_can_edit": False,
        "customers_can_filter": False,
        "label_for_customers": kept["label_for_customers"],
        "required_for_customers": False,
        "displayed_to_customers": False,
        "created_at": box.now(),
        "updated_at": box.now(),
    } | {flag: kept[flag] for flag in FLAGS if kept.get(flag) is not None}
    for other in box.store["ticket_fields"].values():
        if other["position"] >= field["position"]:
            other["position"] += 1
    if "choices" in kept:
        box.state["choices"][field["id"]] = _grow(box, field["id"], kept["choices"])
        field["choices"] = _short(box.state["choices"][field["id"]])
    if kept.get("section_mappings"):
        field["section_mappings"] = kept["section_mappings"]
    if kept["type"] == "nested_field":
        field["nested_ticket_fields"] = []
        for level in kept.get("dependent_fields") or []:
            field["nested_ticket_fields"].append(
                {
                    "description": "",
                    "id": rules.fresh_id(box),
                    "label": level["label"],
                    "label_in_portal": level.get("label_for_customers", level["label"]),
                    "level": level["level"],
                    "name": _free_name(box, "ticket_fields", level["label"]),
                    "ticket_field_id": field["id"],
                    "created_at": box.now(),
                    "updated_at": box.now(),
                }
            )
    box.store["ticket_fields"][field["id"]] = field
    shown = _long(box, field)
    where = f"{request.host_url}api/v2/admin/ticket_fields/{field['id']}"
    return rules.answer({"ticket_field": shown} if kept["type"] == "nested_field" else shown, 201, Location=where)


def _need_choices(body: Body, kept: Native) -> None:
    if kept.get("type") in ("custom_dropdown", "nested_field"):
        if not kept.get("choices"):
            body.wrong("choices", "Mandatory attribute missing", "missing_field")
        elif not all(isinstance(choice, dict) and isinstance(choice.get("value"), str) for choice in kept["choices"]):
            body.wrong_type("choices", kept["choices"], "Array of key/value pairs")
    elif kept.get("choices"):
        body.errors.append(rules.unexpected("choices"))


@routes("PUT", f"{API}/admin/ticket_fields/<int:id>")
def update_ticket_field(box: Sandbox, request: Request, id: int) -> Response:
    """Change a ticket field; of choices, those not named stay."""
    rules.need_admin(box)
    field = rules.one(box, "ticket_fields", id)
    body = Body(request)
    checks = _checks(box, "ticket_fields", but=id)
    body.only(checks)
    kept = body.check(checks)
    body.settle()
    field |= {name: kept[name] for name in kept if name in (*FLAGS, "label", "label_for_customers", "position")}
    if "section_mappings" in kept:  # the list takes the place of what was there (assumed)
        field["section_mappings"] = kept["section_mappings"]
    for choice in kept.get("choices") or []:
        _change(box, field, choice)
    field["updated_at"] = box.now()
    return rules.answer(_long(box, field))


def _change(box: Sandbox, field: Native, choice: Native) -> None:
    if field["name"] == "status":  # the shape of a new status is assumed
        id = str(choice.get("id") or max(map(int, field["choices"])) + 1)
        field["choices"][id] = [choice["value"], choice.get("label") or choice["value"]]
        return
    _long(box, field)
    kept = box.state["choices"].get(field["id"], [])
    kept = [old for old in kept if not (choice.get("deleted") and old["id"] == choice.get("id"))]
    if not choice.get("deleted"):
        old = next((old for old in kept if old["id"] == choice.get("id")), None)
        if old:
            old["value"] = choice.get("value", old["value"])
        else:
            kept = kept + _grow(box, field["id"], [choice])
    for position, old in enumerate(kept, 1):
        old["position"] = position
    box.state["choices"][field["id"]] = kept
    field["choices"] = _short(kept)


@routes("DELETE", f"{API}/admin/ticket_fields/<int:id>")
def delete_ticket_field(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a custom ticket field; default ones stay."""
    rules.need_admin(box)
    if rules.one(box, "ticket_fields", id)["default"]:
        raise rules.denied()
    del box.store["ticket_fields"][id]
    return rules.empty()


def _register(stream: str) -> None:
    @routes("GET", f"{API}/{stream}")
    def list_fields(box: Sandbox, request: Request) -> Response:
        rules.query(request, "page", "per_page")
        return rules.answer(sorted(box.store[stream].values(), key=lambda field: (field["position"], field["id"])))

    @routes("GET", f"{API}/{stream}/<int:id>")
    def field(box: Sandbox, request: Request, id: int) -> Response:
        rules.need_admin(box)
        return rules.answer(rules.one(box, stream, id))

    @routes("POST", f"{API}/{stream}")
    def create(box: Sandbox, request: Request) -> Response:
        rules.need_admin(box)
        body, checks = Body(request), _checks(box, stream)
        body.only(checks)
        body.need("label", "type", *(["label_for_customers"] if stream == "contact_fields" else []))
        kept = body.check(checks)
        _need_choices(body, kept)
        body.settle()
        name = _free_name(box, stream, kept["label"])
        field = fields.person_field(box, stream, name, kept["label"], 1) | kept
        if "choices" in kept:
            field["choices"] = [
                {"id": rules.fresh_id(box), "label": c["value"], "value": c["value"], "position": n}
                for n, c in enumerate(kept["choices"], 1)
            ]
            box.state["choices"][field["id"]] = field["choices"]
        return rules.created(box, request, stream, field, field)

    @routes("PUT", f"{API}/{stream}/<int:id>")
    def update(box: Sandbox, request: Request, id: int) -> Response:
        rules.need_admin(box)
        field = rules.one(box, stream, id)
        body, checks = Body(request), _checks(box, stream, but=id)
        body.only(checks)
        kept = body.check(checks)
        body.settle()
        for choice in kept.pop("choices", None) or []:
            olds = [old for old in field.get("choices", []) if old["id"] != choice.get("id")]
            id_ = choice.get("id") or rules.fresh_id(box)
            new = {"id": id_, "label": choice.get("value"), "value": choice.get("value"), "position": len(olds) + 1}
            field["choices"] = olds if choice.get("deleted") else [*olds, new]
        field |= kept | {"updated_at": box.now()}
        return rules.answer(field)

    @routes("DELETE", f"{API}/{stream}/<int:id>")
    def delete(box: Sandbox, request: Request, id: int) -> Response:
        rules.need_admin(box)
        if rules.one(box, stream, id)["default"]:
            raise rules.denied()
        del box.store[stream][id]
        return rules.empty()


_register("contact_fields")
_register("company_fields")
