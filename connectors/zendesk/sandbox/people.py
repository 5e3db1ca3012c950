"""Writing users, organizations, groups, memberships, fields and forms, with what Zendesk refuses and what it drops."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from .answers import Refused, address, id_list, invalid, payload, reply, route, too_many_values
from .jobs import start
from .reads import SINGULAR, get

MAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")

# what a POST or PUT may set, with the value a new record has (recorded, zenpy-betamax); everything else is dropped
DEFAULTS: dict[str, Native] = {
    "users": {
        "name": None, "email": None, "time_zone": "America/New_York", "phone": None, "shared_phone_number": None,
        "locale_id": 1, "locale": "en-US", "organization_id": None, "role": "end-user", "verified": False,
        "external_id": None, "tags": [], "alias": None, "signature": None, "details": None, "notes": None,
        "custom_role_id": None, "moderator": False, "ticket_restriction": "requested", "only_private_comments": False,
        "suspended": False, "default_group_id": None, "user_fields": {},
    },
    "organizations": {
        "name": None, "shared_tickets": False, "shared_comments": False, "external_id": None, "domain_names": [],
        "details": None, "notes": None, "group_id": None, "tags": [], "organization_fields": {},
    },
    "groups": {"is_public": True, "name": None, "description": "", "default": False},
    "group_memberships": {"user_id": None, "group_id": None, "default": False},
    "organization_memberships": {"user_id": None, "organization_id": None, "default": False},
    "ticket_fields": {
        "type": "text", "title": None, "raw_title": None, "description": None, "raw_description": None,
        "position": 9999, "active": True, "required": False, "collapsed_for_agents": False,
        "regexp_for_validation": None, "title_in_portal": None, "raw_title_in_portal": None,
        "visible_in_portal": False, "editable_in_portal": False, "required_in_portal": False, "tag": None,
        "agent_description": None, "custom_field_options": None,
    },
    "user_fields": {
        "type": "text", "key": None, "title": None, "description": "", "raw_title": None, "raw_description": None,
        "position": 9999, "active": True, "regexp_for_validation": None, "tag": None, "custom_field_options": None,
    },
    "ticket_forms": {
        "name": None, "raw_name": None, "display_name": None, "raw_display_name": None, "end_user_visible": False,
        "position": 9999, "ticket_field_ids": [], "active": True, "default": False, "in_all_brands": True,
        "restricted_brand_ids": [], "end_user_conditions": [], "agent_conditions": [],
    },
}  # fmt: skip
DEFAULTS["organization_fields"] = DEFAULTS["user_fields"]

FIXED: dict[str, Native] = {
    "users": {
        "iana_time_zone": "America/New_York", "photo": None, "active": True, "shared": False, "shared_agent": False,
        "last_login_at": None, "two_factor_auth_enabled": False, "role_type": None, "restricted_agent": True,
        "report_csv": False,
    },
    "groups": {"deleted": False},
    "ticket_fields": {"removable": True, "key": None},
    "user_fields": {"system": False},
    "organization_fields": {"system": False},
    "organization_memberships": {"view_tickets": False},
}  # fmt: skip

CUSTOM_TYPES = frozenset(
    "text textarea checkbox date integer decimal regexp partialcreditcard multiselect tagger lookup dropdown".split()
)
COPIES = {"title": ("raw_title", "title_in_portal", "raw_title_in_portal"), "description": ("raw_description",)}
COPIES["name"] = ("raw_name", "display_name", "raw_display_name")


def write(box: Sandbox, request: Request, stream: str, given: Any, existing: Native | None = None) -> Native:
    """Create or change a record: known keys are kept, unknown ones dropped. Refuses with 422."""
    if not isinstance(given, dict):
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": "The record must be an object"}})
    known = DEFAULTS[stream]
    changes = {name: value for name, value in given.items() if name in known}
    record: Native = dict(existing) if existing else {**known, **FIXED.get(stream, {})}
    record.update(changes)
    if stream in CHECKS:
        CHECKS[stream](box, record, changes, existing)
    for name, copies in COPIES.items():
        for copy in copies:
            if copy in known and copy not in changes and (name in changes or record.get(copy) is None):
                record[copy] = record.get(name)
    if record.get("custom_field_options", 0) is None:
        del record["custom_field_options"]
    for option in record.get("custom_field_options", []):
        option.setdefault("id", box.next_id())
        option.setdefault("raw_name", option.get("name"))
    now = box.now()
    if existing is None:
        number = box.next_id()
        kind = "user_fields" if stream == "user_fields" else stream
        record = {"url": address(request, f"{kind}/{number}.json"), "id": number, **record, "created_at": now}
        box.state["arrived"][stream, number] = box.clock.now().timestamp()
    record["updated_at"] = now
    box.store[stream][record["id"]] = record
    return record


def _blank(record: Native, name: str, label: str | None = None) -> None:
    if not str(record.get(name) or "").strip():
        label = label or name.replace("_", " ").capitalize()
        raise invalid(**{name: (f"{label}: cannot be blank", "BlankValue")})


def _known(box: Sandbox, record: Native, field: str, stream: str) -> None:
    value = record.get(field)
    if value is not None and value not in box.store[stream]:
        name = field.removesuffix("_id")
        raise invalid(**{name: (f"{name.capitalize()}: is invalid", "InvalidValue")})


def _unique(box: Sandbox, record: Native, stream: str, field: str, text: str) -> None:
    value = record.get(field)
    if value in (None, ""):
        return
    for other in box.store[stream].values():
        same = str(other.get(field) or "").lower() == str(value).lower()
        if same and other["id"] != record.get("id") and other.get("active", True):
            raise invalid(**{field: (text.format(value), "DuplicateValue")})


def _choices(box: Sandbox, record: Native, stream: str, field: str) -> None:
    """Drop custom values without a field and refuse a choice that the field does not have."""
    fields = {row["key"]: row for row in box.store[stream].values() if row.get("active", True)}
    kept = {key: value for key, value in (record.get(field) or {}).items() if key in fields}
    for key, value in kept.items():
        options = {option["value"] for option in fields[key].get("custom_field_options", [])}
        chosen = value if isinstance(value, list) else [value]  # of a multiselect, several
        if value is not None and options and not options >= set(chosen):
            raise invalid(**{key: (f"{fields[key]['title']}: {value} is not a valid option", "InvalidValue")})
    record[field] = {**dict.fromkeys(fields), **kept}


def _check_user(box: Sandbox, record: Native, changes: Native, existing: Native | None) -> None:
    if not str(record.get("name") or "").strip():
        raise invalid(name=("Name: is too short (minimum one character)", "ValueTooShort"))
    if record.get("email") and not MAIL.match(str(record["email"])):
        raise invalid(email=(f"Email: {record['email']} is not properly formatted", "InvalidFormat"))
    if record["role"] not in ("end-user", "agent", "admin"):
        raise invalid(role=("Role: is invalid", "InvalidValue"))
    _unique(box, record, "users", "email", "Email: {} is already being used by another user")
    _unique(box, record, "users", "external_id", "External: {} has already been taken")
    _known(box, record, "organization_id", "organizations")
    _choices(box, record, "user_fields", "user_fields")
    record["tags"] = tag_list(record.get("tags"))
    if record.get("email"):
        record["email"] = record["email"].lower()
    if record["role"] != "end-user":
        record.update(restricted_agent=False, moderator=True, role_type=4 if record["role"] == "admin" else 0)
    if changes.get("custom_role_id") is not None:
        if changes["custom_role_id"] not in box.store["custom_roles"] or record["role"] != "agent":
            raise invalid(custom_role_id=("Custom role: is invalid", "InvalidValue"))


def _check_organization(box: Sandbox, record: Native, changes: Native, existing: Native | None) -> None:
    _blank(record, "name")
    _unique(box, record, "organizations", "name", "Name: {} has already been taken")
    _unique(box, record, "organizations", "external_id", "External: {} has already been taken")
    _known(box, record, "group_id", "groups")
    _choices(box, record, "organization_fields", "organization_fields")
    record["tags"] = tag_list(record.get("tags"))


def _check_membership(box: Sandbox, record: Native, changes: Native, existing: Native | None) -> None:
    parent = "group_id" if "group_id" in record else "organization_id"
    stream = "groups" if parent == "group_id" else "organizations"
    for field, where in (("user_id", "users"), (parent, stream)):
        if record.get(field) is None or record[field] not in box.store[where]:
            raise invalid(**{field.removesuffix("_id"): (f"{field}: cannot be blank", "BlankValue")})
    if parent == "group_id" and box.store["users"][record["user_id"]].get("role") == "end-user":
        raise invalid(user=("User: must be an agent", "InvalidValue"))
    memberships = box.store["group_memberships" if parent == "group_id" else "organization_memberships"]
    for other in memberships.values():
        if other["user_id"] == record["user_id"] and other.get(parent) == record[parent]:
            raise invalid(user_id=("User: has already been taken", "DuplicateValue"))
    if parent == "organization_id":
        record["organization_name"] = box.store["organizations"][record[parent]]["name"]


def _check_field(box: Sandbox, record: Native, changes: Native, existing: Native | None) -> None:
    _blank(record, "title")
    if existing:
        record["type"] = existing["type"]  # recorded: another type is ignored without a word
    elif record["type"] not in CUSTOM_TYPES:
        raise invalid(type=(f"Type: {record['type']} is not a custom field type", "InvalidValue"))
    if "system" in record and existing is None:
        _blank(record, "key")
    if record["type"] in ("tagger", "multiselect", "dropdown") and not record.get("custom_field_options"):
        raise invalid(custom_field_options=("Options: cannot be blank", "BlankValue"))
    if record["type"] == "regexp" and not record.get("regexp_for_validation"):
        raise invalid(regexp_for_validation=("Regexp for validation: cannot be blank", "BlankValue"))
    record["description"] = record.get("description") if record.get("description") is not None else record["title"]


def _check_key(box: Sandbox, record: Native, changes: Native, existing: Native | None, stream: str) -> None:
    _check_field(box, record, changes, existing)
    _unique(box, record, stream, "key", "Key: {} has already been taken")


def _check_form(box: Sandbox, record: Native, changes: Native, existing: Native | None) -> None:
    _blank(record, "name")
    unknown = [field for field in record["ticket_field_ids"] if field not in box.store["ticket_fields"]]
    if unknown:
        raise invalid(ticket_field_ids=(f"Ticket fields: {unknown[0]} is invalid", "InvalidValue"))


Check = Callable[[Sandbox, Native, Native, Native | None], None]
CHECKS: dict[str, Check] = {
    "users": _check_user,
    "organizations": _check_organization,
    "groups": lambda box, record, changes, existing: _blank(record, "name"),
    "group_memberships": _check_membership,
    "organization_memberships": _check_membership,
    "ticket_fields": _check_field,
    "user_fields": lambda box, record, changes, existing: _check_key(box, record, changes, existing, "user_fields"),
    "organization_fields": lambda box, record, changes, existing: _check_key(
        box, record, changes, existing, "organization_fields"
    ),
    "ticket_forms": _check_form,
}
ADMIN_ONLY = frozenset({"ticket_fields", "user_fields", "organization_fields", "ticket_forms", "groups"})


def tag_list(tags: Any) -> list[str]:
    """Return tags as Zendesk keeps them: lower case, no spaces within, each once, in order of name."""
    words = tags.split() if isinstance(tags, str) else [word for tag in tags or [] for word in str(tag).split()]
    return sorted({word.lower() for word in words})


def _register(stream: str) -> None:
    singular = SINGULAR[stream]
    admin = stream in ADMIN_ONLY

    @route("POST", stream, admin=admin)
    def create(box: Sandbox, request: Request) -> Response:
        record = write(box, request, stream, payload(request, singular))
        return reply({singular: record}, 201, Location=record["url"])

    @route("PUT", f"{stream}/<int:key>", admin=admin)
    def change(box: Sandbox, request: Request, key: int) -> Response:
        existing = get(box, stream, key)
        return reply({singular: write(box, request, stream, payload(request, singular), existing)})

    @route("DELETE", f"{stream}/<int:key>", admin=admin)
    def delete(box: Sandbox, request: Request, key: int) -> Response:
        record = get(box, stream, key)
        if stream == "users":
            box.store[stream][key] = record | {"active": False, "updated_at": box.now()}
            return reply({"user": box.store[stream][key]})
        box.store[stream].pop(key)
        return Response(status=204)


for _stream in DEFAULTS:
    _register(_stream)


def match_user(box: Sandbox, given: Native) -> Native | None:
    """Return the user that create_or_update means: by ``external_id``, then by ``email``."""
    for field in ("external_id", "email"):
        wanted = str(given.get(field) or "").lower()
        for user in box.store["users"].values() if wanted else ():
            if str(user.get(field) or "").lower() == wanted and user.get("active", True):
                return user
    return None


@route("POST", "users/create_or_update")
def create_or_update_user(box: Sandbox, request: Request) -> Response:
    """Create a user (201) or change the one with the same external_id or e-mail (200)."""
    given = payload(request, "user")
    existing = match_user(box, given)
    record = write(box, request, "users", given, existing)
    return reply({"user": record}, 200 if existing else 201, Location=record["url"])


def _batch(given: Any, text: str) -> list[Native]:
    if not isinstance(given, list):
        raise Refused(400, {"error": {"title": "Invalid attribute", "message": "The records must be an array"}})
    if len(given) > 100:
        refusal = too_many_values(text)
        refusal.body.pop("max_count")
        raise refusal
    return given


def _register_batch(path: str, stream: str, kind: str, *, upsert: bool = False) -> None:
    @route("POST", path)
    def create_many(box: Sandbox, request: Request) -> Response:
        noun = stream.rstrip("s")
        given = _batch(payload(request, stream), f"Maximum 100 {noun}s may be created per call")

        def work(item: Native) -> Native:
            existing = match_user(box, item) if upsert else None
            record = write(box, request, stream, item, existing)
            return {"id": record["id"], "status": "Updated" if existing else "Created"}

        return start(box, request, kind, given, work)


_register_batch("users/create_many", "users", "Bulk Create User")
_register_batch("users/create_or_update_many", "users", "Bulk Create or Update User", upsert=True)
_register_batch("organizations/create_many", "organizations", "Bulk Create Organization")
_register_batch("group_memberships/create_many", "group_memberships", "Bulk Create Group Membership")
_register_batch(
    "organization_memberships/create_many", "organization_memberships", "Bulk Create Organization Membership"
)


@route("PUT", "users/update_many")
def update_users(box: Sandbox, request: Request) -> Response:
    """Queue changes of up to 100 users, each with its id."""
    given = _batch(payload(request, "users"), "Maximum 100 users may be updated per call")

    def work(item: Native) -> Native:
        record = write(box, request, "users", item, get(box, "users", item.get("id")))
        return {"id": record["id"], "status": "Updated", "action": "update", "success": True}

    return start(box, request, "Bulk Update User", given, work)


@route("DELETE", "users/destroy_many")
def destroy_users(box: Sandbox, request: Request) -> Response:
    """Queue the deletion of up to 100 users."""
    ids: Iterable[Native] = [{"id": int(value)} for value in id_list(request)]

    def work(item: Native) -> Native:
        record = get(box, "users", item["id"])
        box.store["users"][item["id"]] = record | {"active": False, "updated_at": box.now()}
        return {"id": item["id"], "status": "Deleted", "action": "delete", "success": True}

    return start(box, request, "Bulk Delete User", list(ids), work)
