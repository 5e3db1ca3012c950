"""What an administrator of Zendesk sets up beside rules: brands, roles, statuses, texts, addresses, working hours.

From the official specification (openapi.yaml; schedules: vendor-facts, customizations 1.1 and 2.1); facts.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from .answers import Refused, address, invalid, listing, not_found, payload, reply, route

Check = Callable[[Sandbox, Native, Native | None], None]
WEEK_MINUTES = 7 * 1440
CATEGORIES = ("new", "open", "pending", "hold", "solved")
RESERVED = ("agent", "administrator", "admin", "billing admin", "light agent")
LABEL = 48  # characters of a status
PLACEHOLDER = re.compile(r"[^\w]+")


def _needed(given: Native, *names: str) -> None:
    for name in names:
        if not str(given.get(name) or "").strip():
            raise invalid(**{name: (f"{name.capitalize()}: cannot be blank", "BlankValue")})


def _once(box: Sandbox, stream: str, given: Native, existing: Native | None, *names: str) -> None:
    for name in names:
        word = str(given.get(name) or "").casefold()
        others = (one for one in box.store[stream].values() if one is not existing and one["id"] != given.get("id"))
        if word and any(str(one.get(name) or "").casefold() == word for one in others):
            raise invalid(**{name: (f"{name.capitalize()}: {given[name]} is already being used", "DuplicateValue")})


def _brand(box: Sandbox, given: Native, existing: Native | None) -> None:
    _needed(given, "name", "subdomain")
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{1,61})?[a-z0-9]", str(given["subdomain"])):
        raise invalid(subdomain=("Subdomain: is invalid", "InvalidValue"))
    _once(box, "brands", given, existing, "subdomain")
    given.setdefault("brand_url", f"https://{given['subdomain']}.zendesk.sandbox")


def _role(box: Sandbox, given: Native, existing: Native | None) -> None:
    _needed(given, "name")
    if str(given["name"]).strip().casefold() in RESERVED:
        raise invalid(name=(f"Name: {given['name']} is reserved", "InvalidValue"))
    _once(box, "custom_roles", given, existing, "name")


def _status(box: Sandbox, given: Native, existing: Native | None) -> None:
    _needed(given, "status_category", "agent_label")
    if given["status_category"] not in CATEGORIES or (existing is None and given["status_category"] == "new"):
        raise invalid(status_category=("Status category: is not included in the list", "InvalidValue"))
    if existing is not None and existing["status_category"] != given["status_category"]:
        raise invalid(status_category=("Status category: cannot be changed", "InvalidValue"))
    for name in ("agent_label", "end_user_label"):
        if len(str(given.get(name) or "")) > LABEL:
            raise invalid(**{name: (f"{name}: is too long (maximum is {LABEL} characters)", "ValueTooLong")})
    _once(box, "custom_statuses", given, existing, "agent_label")
    given["end_user_label"] = given.get("end_user_label") or given["agent_label"]
    given |= {f"raw_{name}": given.get(name) for name in ("agent_label", "end_user_label", "description")}


def _item(box: Sandbox, given: Native, existing: Native | None) -> None:
    _needed(given, "name", "default_locale_id")
    _once(box, "dynamic_content_items", given, existing, "name")
    variants = given.get("variants") or []
    locales = [one.get("locale_id") for one in variants]
    if not all(isinstance(one, int) for one in locales) or len(set(locales)) < len(locales):
        raise invalid(variants=("Variants: one for each locale", "InvalidValue"))
    first = [one for one in variants if one.get("default")]
    if len(first) != 1 or first[0]["locale_id"] != given["default_locale_id"]:
        raise invalid(variants=("Variants: must include a default variant", "BlankValue"))
    for one in variants:
        _needed(one, "content")
        one.setdefault("id", box.next_id())
        one |= {"active": one.get("active", True), "outdated": False, "updated_at": box.now()}
        one.setdefault("created_at", box.now())
    if existing is None:
        word = PLACEHOLDER.sub("_", str(given["name"]).strip().lower()).strip("_")
        given["placeholder"] = f"{{{{dc.{word}}}}}"
    given["outdated"] = False


def _address(box: Sandbox, given: Native, existing: Native | None) -> None:
    _needed(given, "email")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(given["email"])):
        raise invalid(email=("Email: is invalid", "InvalidFormat"))
    if existing is not None and existing["email"] != given["email"]:
        raise invalid(email=("Email: cannot be changed", "InvalidValue"))
    _once(box, "recipient_addresses", given, existing, "email")
    if given.get("brand_id") is not None and given["brand_id"] not in box.store["brands"]:
        raise invalid(brand_id=("Brand: is invalid", "InvalidValue"))
    if not given.get("brand_id"):
        given["brand_id"] = next((one["id"] for one in box.store["brands"].values() if one.get("default")), None)
    given["name"] = given.get("name") or str(given["email"]).split("@")[0]
    if existing is None:  # a person proves that mail to it is passed on
        given |= dict.fromkeys(("forwarding_status", "spf_status", "cname_status"), "unknown")


def _schedule(box: Sandbox, given: Native, existing: Native | None) -> None:
    _needed(given, "name", "time_zone")
    if existing is None:  # hours come by a call of their own
        days = ({"start_time": day * 1440 + 540, "end_time": day * 1440 + 1020} for day in range(1, 6))
        given |= {"intervals": list(days), "holidays": []}


# stream to (path, the word for one, what is taken, the check, what is never taken away)
STREAMS: dict[str, tuple[str, str, tuple[str, ...], Check]] = {
    "brands": ("brands", "brand", ("name", "subdomain", "active", "signature_template", "host_mapping"), _brand),
    "custom_roles": ("custom_roles", "custom_role", ("name", "description", "configuration"), _role),
    "custom_statuses": (
        "custom_statuses",
        "custom_status",
        ("status_category", "agent_label", "end_user_label", "description", "end_user_description", "active"),
        _status,
    ),
    "dynamic_content_items": (
        "dynamic_content/items",
        "item",
        ("name", "default_locale_id", "variants"),
        _item,
    ),
    "recipient_addresses": (
        "recipient_addresses",
        "recipient_address",
        ("email", "name", "brand_id", "default"),
        _address,
    ),
    "schedules": ("business_hours/schedules", "schedule", ("name", "time_zone"), _schedule),
}
FIXED: dict[str, Native] = {
    "brands": {"active": True, "default": False, "has_help_center": False, "is_deleted": False, "logo": None},
    "custom_roles": {"role_type": 0, "team_member_count": 0, "description": "", "configuration": {}},
    "custom_statuses": {"active": True, "default": False, "description": "", "end_user_description": ""},
    "recipient_addresses": {"default": False},
}
LISTED = {"dynamic_content_items": "items"}
WHOLE = ("custom_roles", "custom_statuses", "schedules")  # answered in one piece


def _one(box: Sandbox, stream: str, key: int) -> Native:
    if key not in box.store[stream]:
        raise not_found()
    return box.store[stream][key]


def _shown(record: Native) -> Native:
    return {key: value for key, value in record.items() if key != "holidays"}


def _written(box: Sandbox, request: Request, stream: str, existing: Native | None = None) -> Native:
    path, word, taken, check = STREAMS[stream]
    given = payload(request, word)
    if not isinstance(given, dict):
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": "The record must be an object"}})
    record: Native = dict(existing) if existing else dict(FIXED.get(stream, {}))
    record.update({key: given[key] for key in taken if key in given})
    check(box, record, existing)
    if existing is None:
        number = box.next_id()
        record |= {"id": number, "url": address(request, f"{path}/{number}.json"), "created_at": box.now()}
    record["updated_at"] = box.now()
    box.store[stream][record["id"]] = record
    return record


def _register(stream: str) -> None:
    path, word, _, _ = STREAMS[stream]

    if stream != "brands":  # whose reading the other lists register

        @route("GET", path)
        def many(box: Sandbox, request: Request) -> Response:
            rows = [_shown(row) for row in box.store[stream].values()]
            if stream in WHOLE:
                return reply({stream: rows, "url": request.url})
            return listing(box, request, LISTED.get(stream, stream), rows)

        @route("GET", f"{path}/<int:key>")
        def one(box: Sandbox, request: Request, key: int) -> Response:
            return reply({word: _shown(_one(box, stream, key))})

    @route("POST", path, admin=True)
    def create(box: Sandbox, request: Request) -> Response:
        return reply({word: _shown(_written(box, request, stream))}, 201)

    @route("PUT", f"{path}/<int:key>", admin=True)
    def change(box: Sandbox, request: Request, key: int) -> Response:
        return reply({word: _shown(_written(box, request, stream, _one(box, stream, key)))})

    if stream == "custom_statuses":
        return  # nothing takes one away

    @route("DELETE", f"{path}/<int:key>", admin=True)
    def delete(box: Sandbox, request: Request, key: int) -> Response:
        if _one(box, stream, key).get("default"):
            raise invalid(base=("The default one cannot be deleted", "InvalidValue"))
        del box.store[stream][key]
        return Response(b"", 204)


for _stream in STREAMS:
    _register(_stream)


@route("PUT", "business_hours/schedules/<int:key>/workweek", admin=True)
def workweek(box: Sandbox, request: Request, key: int) -> Response:
    """Set the hours of a week, in minutes since Sunday; they may not overlap."""
    schedule = _one(box, "schedules", key)
    given = payload(request, "workweek").get("intervals")
    if not isinstance(given, list):
        raise invalid(intervals=("Intervals: must be a list", "InvalidValue"))
    at = -1
    for one in sorted(given, key=lambda one: one.get("start_time", 0)):
        begins, ends = one.get("start_time"), one.get("end_time")
        if not (isinstance(begins, int) and isinstance(ends, int) and at <= begins < ends <= WEEK_MINUTES):
            raise invalid(intervals=("Intervals: overlap, or are not within a week", "InvalidValue"))
        at = ends
    schedule |= {"intervals": given, "updated_at": box.now()}
    return reply({"workweek": {"intervals": given}})


@route("GET", "business_hours/schedules/<int:key>/holidays")
def holidays(box: Sandbox, request: Request, key: int) -> Response:
    """List the days off of a schedule."""
    return reply({"holidays": _one(box, "schedules", key).get("holidays") or []})


@route("POST", "business_hours/schedules/<int:key>/holidays", admin=True)
def holiday(box: Sandbox, request: Request, key: int) -> Response:
    """Add days off, within two years of today."""
    given = payload(request, "holiday")
    _needed(given, "name", "start_date", "end_date")
    try:
        first, last = (date.fromisoformat(given[side]) for side in ("start_date", "end_date"))
    except ValueError:
        raise invalid(start_date=("Start date: is not a date", "InvalidValue")) from None
    today = box.clock.now().date()
    if last < first or abs((first - today).days) > 731 or abs((last - today).days) > 731:
        raise invalid(start_date=("Start date: must be within two years", "InvalidValue"))
    record = {"id": box.next_id(), "name": given["name"], "start_date": given["start_date"]}
    record["end_date"] = given["end_date"]
    schedule = _one(box, "schedules", key)
    schedule["holidays"] = [*(schedule.get("holidays") or []), record]
    return reply({"holiday": record}, 201)


@route("DELETE", "business_hours/schedules/<int:key>/holidays/<int:day>", admin=True)
def no_holiday(box: Sandbox, request: Request, key: int, day: int) -> Response:
    """Take days off away."""
    schedule = _one(box, "schedules", key)
    left: list[Any] = [one for one in schedule.get("holidays") or [] if one["id"] != day]
    if len(left) == len(schedule.get("holidays") or []):
        raise not_found()
    schedule["holidays"] = left
    return Response(b"", 204)
