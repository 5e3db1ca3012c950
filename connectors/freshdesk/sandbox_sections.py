"""The endpoints of sections: fields of the ticket form that show only for some choices of a dropdown."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_field_admin import choices
from .sandbox_fields import sections_of, with_fields
from .sandbox_rules import API, Body, routes

PARENTS = ("custom_dropdown", "default_ticket_type")


def _section(box: Sandbox, id: int, section: int) -> Native:
    found = rules.one(box, "sections", section)
    if found["parent_ticket_field_id"] != rules.one(box, "ticket_fields", id)["id"]:
        raise rules.missing()
    return found


def _kept(box: Sandbox, field: Native, body: Body, but: int | None = None) -> Native:
    """Return label and choices. A label is one section's, and so is a choice (assumed)."""
    body.only(("label", "choice_ids"))
    others = [one for one in sections_of(box, field["id"]) if one["id"] != but]
    known = {one["id"] for one in choices(box, field)}
    taken = {id for one in others for id in one["choice_ids"]}

    def choice_ids(name: str, value: Any, body: Body) -> Any:
        if not isinstance(value, list) or not all(isinstance(one, int) for one in value):
            return body.wrong_type(name, value, "Array of numbers")
        if not value or set(value) - known or set(value) & taken:
            body.wrong(name, "It should be a choice of the field that no other section has")
        return value

    kept = body.check({"label": rules.text(), "choice_ids": choice_ids})
    if any(one["label"].casefold() == str(kept.get("label")).casefold() for one in others):
        raise rules.duplicate("label")
    body.settle()
    return kept


@routes("GET", f"{API}/admin/ticket_fields/<int:id>/sections")
def sections(box: Sandbox, request: Request, id: int) -> Response:
    """List the sections of a field."""
    rules.need_admin(box)
    return rules.answer({"sections": sections_of(box, rules.one(box, "ticket_fields", id)["id"])})


@routes("POST", f"{API}/admin/ticket_fields/<int:id>/sections")
def create_section(box: Sandbox, request: Request, id: int) -> Response:
    """Create a section, without fields as yet; the answer has all sections of the field, as documented."""
    rules.need_admin(box)
    field = rules.one(box, "ticket_fields", id)
    body = Body(request)
    if field["type"] not in PARENTS or field.get("section_mappings"):
        body.wrong("parent_ticket_field_id", "It should be a dropdown that is in no section itself")
    body.need("label", "choice_ids")
    kept = _kept(box, field, body)
    section = {"id": rules.fresh_id(box), **kept, "parent_ticket_field_id": id}
    box.store["sections"][section["id"]] = section
    return rules.answer({"sections": sections_of(box, id)}, 201)


@routes("GET", f"{API}/admin/ticket_fields/<int:id>/sections/<int:section>")
def view_section(box: Sandbox, request: Request, id: int, section: int) -> Response:
    """View one section."""
    rules.need_admin(box)
    return rules.answer({"section": with_fields(box, _section(box, id, section))})


@routes("PUT", f"{API}/admin/ticket_fields/<int:id>/sections/<int:section>")
def update_section(box: Sandbox, request: Request, id: int, section: int) -> Response:
    """Change label and choices of a section."""
    rules.need_admin(box)
    found = _section(box, id, section)
    found |= _kept(box, rules.one(box, "ticket_fields", id), Body(request), section)
    return rules.answer({"section": with_fields(box, found)})


@routes("DELETE", f"{API}/admin/ticket_fields/<int:id>/sections/<int:section>")
def delete_section(box: Sandbox, request: Request, id: int, section: int) -> Response:
    """Delete a section; its fields stay, and show always."""
    rules.need_admin(box)
    del box.store["sections"][_section(box, id, section)["id"]]
    for field in box.store["ticket_fields"].values():
        held = [one for one in field.get("section_mappings") or () if one["section_id"] != section]
        field.pop("section_mappings", None)
        if held:
            field["section_mappings"] = held
    return rules.empty()
