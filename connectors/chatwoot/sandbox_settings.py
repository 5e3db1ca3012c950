"""Chatwoot's settings: inboxes, labels, custom attributes, canned responses."""

from __future__ import annotations

import re

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import API, Params, routes

LABEL = re.compile(r"[^\W_]+[\w-]+")
KEY = re.compile(r"[\w.\-]+")
TYPES = ("text", "number", "currency", "percent", "link", "date", "list", "checkbox")
MODELS = ("conversation_attribute", "contact_attribute")
STANDARD = {
    "conversation_attribute": (
        "status priority assignee_id inbox_id team_id display_id campaign_id labels browser_language country_code "
        "referer created_at last_activity_at"
    ).split(),
    "contact_attribute": (
        "name email phone_number identifier country_code city company_name created_at last_activity_at referer blocked"
    ).split(),
}
CHANNELS = {"api": "Channel::Api", "web_widget": "Channel::WebWidget", "email": "Channel::Email"}


# ---- inboxes ---------------------------------------------------------------------------------------------------------


@routes("GET", f"{API}/inboxes")
def inboxes(box: Sandbox, request: Request) -> Response:
    """List the inboxes."""
    return rules.answer({"payload": list(box.store["inboxes"].values())})


def _day(day: int) -> Native:
    """Return a day of a new inbox's week: Monday to Friday from nine to five, which nothing asks for until it is on."""
    closed = day in (0, 6)
    hours = dict.fromkeys(("open_hour", "open_minutes", "close_hour", "close_minutes")) if closed else {}
    hours = hours or {"open_hour": 9, "open_minutes": 0, "close_hour": 17, "close_minutes": 0}
    return {"day_of_week": day, "closed_all_day": closed, **hours, "open_all_day": False}


@routes("POST", f"{API}/inboxes")
def create_inbox(box: Sandbox, request: Request) -> Response:
    """Make an inbox; its channel decides who can speak in it."""
    rules.need_admin(box)
    params = Params(request)
    errors: dict[str, str] = {}
    name = rules.text(errors, "name", params.get("name")) or ""
    channel = params.map("channel").get("type")
    if channel not in CHANNELS:
        raise rules.refused("invalid channel type")
    if not name:
        errors["name"] = "can't be blank"
    if errors:
        raise rules.invalid(errors)
    id = rules.fresh(box, "inboxes")
    box.store["inboxes"][id] = {
        "id": id,
        "avatar_url": "",
        "channel_id": id,
        "name": name,
        "channel_type": CHANNELS[channel],
        "greeting_enabled": params.flag("greeting_enabled"),
        "greeting_message": params.get("greeting_message"),
        "working_hours_enabled": params.flag("working_hours_enabled"),
        "enable_email_collect": "enable_email_collect" not in params or params.flag("enable_email_collect"),
        "csat_survey_enabled": params.flag("csat_survey_enabled"),
        "enable_auto_assignment": "enable_auto_assignment" not in params or params.flag("enable_auto_assignment"),
        "lock_to_single_conversation": params.flag("lock_to_single_conversation"),
        "allow_messages_after_resolved": True,
        "timezone": "UTC",
        "out_of_office_message": None,
        "working_hours": [_day(day) for day in range(7)],
    }
    return rules.answer(box.store["inboxes"][id])


@routes("GET", f"{API}/inboxes/<int:id>")
def inbox(box: Sandbox, request: Request, id: int) -> Response:
    """Show an inbox."""
    return rules.answer(rules.one(box, "inboxes", id))


HOURS = ("open_hour", "open_minutes", "close_hour", "close_minutes")


def _hours(day: Native, sent: Native) -> Native:
    """Return a day with what was sent; refused in silence where the model does not take it (working_hour.rb)."""
    made = {**day, **{name: sent[name] for name in (*HOURS, "closed_all_day", "open_all_day") if name in sent}}
    if made["open_all_day"] and made["closed_all_day"]:
        return day
    if made["open_all_day"]:
        made |= dict(zip(HOURS, (0, 0, 23, 59), strict=True))
    if not made["closed_all_day"]:
        held = [made[name] for name in HOURS]
        if any(not isinstance(one, int) for one in held) or not (0 <= held[0] < 24 and 0 <= held[2] < 24):
            return day
        if not all(0 <= one < 60 for one in (held[1], held[3])) or held[:2] >= held[2:]:
            return day
    return made


@routes("PATCH", f"{API}/inboxes/<int:id>")
def update_inbox(box: Sandbox, request: Request, id: int) -> Response:
    """Change an inbox, and the days of its week that are named."""
    rules.need_admin(box)
    record, params = rules.one(box, "inboxes", id), Params(request)
    record |= {name: params.flag(name) for name in ("working_hours_enabled", "greeting_enabled") if name in params}
    record |= {name: params.get(name) for name in ("name", "timezone", "out_of_office_message") if name in params}
    sent = {one.get("day_of_week"): one for one in params.get("working_hours") or () if isinstance(one, dict)}
    days = record.get("working_hours") or [_day(day) for day in range(7)]
    record["working_hours"] = [_hours(one, sent.get(one["day_of_week"], {})) for one in days]
    return rules.answer(record)


@routes("DELETE", f"{API}/inboxes/<int:id>")
def delete_inbox(box: Sandbox, request: Request, id: int) -> Response:
    """Delete an inbox, with its conversations."""
    rules.need_admin(box)
    rules.one(box, "inboxes", id)
    del box.store["inboxes"][id]
    for number in [n for n, c in box.store["conversations"].items() if c["inbox_id"] == id]:
        del box.store["conversations"][number]
    return rules.answer({"message": "Your inbox deletion request will be processed in some time."})


# ---- labels ----------------------------------------------------------------------------------------------------------


@routes("GET", f"{API}/labels")
def labels(box: Sandbox, request: Request) -> Response:
    """List the labels that the sidebar knows."""
    return rules.answer({"payload": list(box.store["labels"].values())})


def _label(box: Sandbox, params: Params, own: int | None) -> Native:
    errors: dict[str, str] = {}
    title = (rules.text(errors, "title", params.get("title")) or "").lower()
    if not title:
        errors["title"] = "must not be blank"
    elif not LABEL.fullmatch(title):
        errors["title"] = "is invalid"
    rules.unique(errors, box, "labels", "title", title, own)
    if errors:
        raise rules.invalid(errors)
    return {
        "title": title,
        "description": params.get("description"),
        "color": params.get("color") or "#1f93ff",
        "show_on_sidebar": params.flag("show_on_sidebar"),
    }


@routes("POST", f"{API}/labels")
def create_label(box: Sandbox, request: Request) -> Response:
    """Make a label."""
    rules.need_admin(box)
    record = _label(box, Params(request, "label"), None)
    id = rules.fresh(box, "labels")
    box.store["labels"][id] = {"id": id, **record}
    return rules.answer(box.store["labels"][id])


@routes("DELETE", f"{API}/labels/<int:id>")
def delete_label(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a label."""
    rules.need_admin(box)
    rules.one(box, "labels", id)
    del box.store["labels"][id]
    return Response(status=200)


# ---- custom attributes -----------------------------------------------------------------------------------------------


@routes("GET", f"{API}/custom_attribute_definitions")
def custom_attributes(box: Sandbox, request: Request) -> Response:
    """List the definitions, of one model where one is named."""
    model = request.args.get("attribute_model")
    model = MODELS[int(model)] if model in ("0", "1") else model
    return rules.answer(
        [one for one in box.store["custom_attributes"].values() if model in (None, "", one["attribute_model"])]
    )


def _enum(errors: dict[str, str], name: str, value: object, words: tuple[str, ...], default: str) -> str:
    if value is None:
        return default
    if str(value).isdigit() and int(str(value)) < len(words):
        return words[int(str(value))]
    if value not in words:
        errors[name] = "is not a valid value"
    return str(value)


@routes("POST", f"{API}/custom_attribute_definitions")
def create_custom_attribute(box: Sandbox, request: Request) -> Response:
    """Define an attribute of conversations or contacts."""
    rules.need_admin(box)
    params = Params(request, "custom_attribute_definition")
    errors: dict[str, str] = {}
    title = (rules.text(errors, "attribute_display_name", params.get("attribute_display_name")) or "").strip()
    key = (rules.text(errors, "attribute_key", params.get("attribute_key")) or "").strip()
    model = _enum(errors, "attribute_model", params.get("attribute_model"), MODELS, MODELS[0])
    if not title:
        errors["attribute_display_name"] = "can't be blank"
    if not KEY.fullmatch(key):
        errors["attribute_key"] = "only allows letters, numbers, underscores, hyphens and dots"
    if key in STANDARD.get(model, ()):
        errors["attribute_key"] = "The provided key is not allowed as it might conflict with default attributes."
    same = [one for one in box.store["custom_attributes"].values() if one["attribute_model"] == model]
    if any(one["attribute_key"] == key for one in same):
        errors["attribute_key"] = "has already been taken"
    kind = _enum(errors, "attribute_display_type", params.get("attribute_display_type"), TYPES, "text")
    described = rules.text(errors, "attribute_description", params.get("attribute_description"), rules.MOST_OF_A_TEXT)
    if errors:
        raise rules.invalid(errors)
    id = rules.fresh(box, "custom_attributes")
    box.store["custom_attributes"][id] = {
        "id": id,
        "attribute_display_name": title,
        "attribute_display_type": kind,
        "attribute_description": described,
        "attribute_key": key,
        "regex_pattern": params.get("regex_pattern"),
        "regex_cue": params.get("regex_cue"),
        "attribute_values": list(params.get("attribute_values") or []),
        "attribute_model": model,
        "default_value": None,
        "created_at": rules.iso(box),
        "updated_at": rules.iso(box),
    }
    return rules.answer(box.store["custom_attributes"][id])


@routes("GET", f"{API}/custom_attribute_definitions/<int:id>")
def custom_attribute(box: Sandbox, request: Request, id: int) -> Response:
    """Show a definition."""
    return rules.answer(rules.one(box, "custom_attributes", id))


@routes("DELETE", f"{API}/custom_attribute_definitions/<int:id>")
def delete_custom_attribute(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a definition; the values stay where they are."""
    rules.need_admin(box)
    rules.one(box, "custom_attributes", id)
    del box.store["custom_attributes"][id]
    return Response(status=204)


# ---- canned responses ------------------------------------------------------------------------------------------------


@routes("GET", f"{API}/canned_responses")
def canned_responses(box: Sandbox, request: Request) -> Response:
    """List the canned responses."""
    wanted = request.args.get("search", "").lower()
    found = box.store["canned_responses"].values()
    return rules.answer([one for one in found if wanted in f"{one['short_code']} {one['content']}".lower()])


@routes("POST", f"{API}/canned_responses")
def create_canned_response(box: Sandbox, request: Request) -> Response:
    """Make a canned response."""
    params = Params(request, "canned_response")
    errors: dict[str, str] = {}
    code = rules.text(errors, "short_code", params.get("short_code")) or ""
    content = rules.text(errors, "content", params.get("content"), rules.MOST_OF_A_TEXT) or ""
    for name, value in (("content", content), ("short_code", code)):
        if not value.strip():
            errors[name] = "can't be blank"
    rules.unique(errors, box, "canned_responses", "short_code", code)
    if errors:
        raise rules.invalid(errors)
    id = rules.fresh(box, "canned_responses")
    box.store["canned_responses"][id] = {
        "id": id,
        "account_id": rules.ACCOUNT,
        "short_code": code,
        "content": content,
        "created_at": rules.iso(box),
        "updated_at": rules.iso(box),
    }
    return rules.answer(box.store["canned_responses"][id])


@routes("PATCH", f"{API}/canned_responses/<int:id>")
@routes("PUT", f"{API}/canned_responses/<int:id>")
def update_canned_response(box: Sandbox, request: Request, id: int) -> Response:
    """Change a canned response."""
    record, params = rules.one(box, "canned_responses", id), Params(request, "canned_response")
    record |= {name: params.get(name) for name in ("short_code", "content") if name in params}
    record["updated_at"] = rules.iso(box)
    return rules.answer(record)


@routes("DELETE", f"{API}/canned_responses/<int:id>")
def delete_canned_response(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a canned response."""
    rules.one(box, "canned_responses", id)
    del box.store["canned_responses"][id]
    return Response(status=200)
