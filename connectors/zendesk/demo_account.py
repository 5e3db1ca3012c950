"""The demo account without its tickets: fields, groups, agents, organizations, contacts, forms and a brand."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from migrator.testing.sandbox import Native

from . import demo_texts as texts
from .sandbox import EMAIL

START = datetime(2024, 10, 1, 8, 0, tzinfo=UTC)
STREAMS = (
    "users organizations groups group_memberships organization_memberships ticket_fields user_fields "
    "organization_fields ticket_forms brands tickets ticket_comments satisfaction_ratings"
).split()
SYSTEM_OPTIONS = {
    "status": ("new", "open", "pending", "hold", "solved", "closed"),
    "tickettype": ("question", "incident", "problem", "task"),
    "priority": ("low", "normal", "high", "urgent"),
}
CUSTOM_FIELDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("tagger", "Product", ("Kettle", "Toaster", "Hardware::Printer", "Größe XL")),
    ("multiselect", "Affected modules", ("Login", "Billing", "Reports")),
    ("text", "Order number", ()),
    ("textarea", "Steps to reproduce", ()),
    ("integer", "Seats", ()),
    ("decimal", "Refund amount", ()),
    ("date", "Purchase date", ()),
    ("checkbox", "VIP", ()),
    ("regexp", "Serial number", (r"\ASN-\d{6}\z",)),
)
PEOPLE_FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("text", ()), ("textarea", ()), ("integer", ()), ("decimal", ()), ("date", ()), ("checkbox", ()),
    ("regexp", (r"\AAB-\d+\z",)), ("dropdown", ("Gold", "Silver", "Bronze")),
)  # fmt: skip


def text(moment: datetime) -> str:
    """Return a moment as Zendesk writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Account:
    """Holds the records made so far, by stream, and the dice that make them the same for the same seed."""

    def __init__(self, seed_number: int, base_url: str) -> None:
        self.dice, self.base, self.last = random.Random(seed_number), base_url, 26_155_588_908_179
        self.streams: dict[str, list[Native]] = {stream: [] for stream in STREAMS}
        self.members: dict[int, list[int]] = defaultdict(list)  # group to agents
        self._fields()
        self._groups_and_agents()
        self._organizations()
        self._contacts()
        self._forms()

    def new_id(self) -> int:
        """Return the next id, of the size real ones have."""
        self.last += 128 * self.dice.randint(1, 900)
        return self.last

    def add(self, stream: str, made: datetime, body: Native) -> Native:
        """Add a record with its id, address and times, and return it."""
        number = self.new_id()
        stamp = text(made)
        url = f"{self.base}/api/v2/{stream}/{number}.json"
        record = {"url": url, "id": number, **body, "created_at": stamp, "updated_at": stamp}
        self.streams[stream].append(record)
        return record

    def _fields(self) -> None:
        for place, (kind, title) in enumerate(
            (("subject", "Subject"), ("description", "Description"), ("status", "Status"), ("tickettype", "Type"),
             ("priority", "Priority"), ("group", "Group"), ("assignee", "Assignee"))
        ):  # fmt: skip
            extra: Native = {}
            if kind in SYSTEM_OPTIONS:
                options = [{"name": word.capitalize(), "value": word} for word in SYSTEM_OPTIONS[kind]]
                extra = {"system_field_options": options}
                if kind == "tickettype":
                    extra["sub_type_id"] = 0
            self._ticket_field(kind, title, place, removable=False, **extra)
        for place, (kind, title, values) in enumerate(CUSTOM_FIELDS, 7):
            more: Native = {}
            if kind in ("tagger", "multiselect"):
                more = {"custom_field_options": [self._option(name, f"{place}_{name}") for name in values]}
            if kind == "regexp":
                more = {"regexp_for_validation": values[0]}
            self._ticket_field(kind, title, place, tag="is_vip" if kind == "checkbox" else None, **more)
        self._ticket_field("text", "Old reference (not used)", 30, active=False)
        for stream, key in (("user_fields", "contact"), ("organization_fields", "account")):
            for place, (kind, values) in enumerate(PEOPLE_FIELDS):
                title = f"{key.capitalize()} {kind}"
                field: Native = {
                    "type": kind, "key": f"{key}_{kind}", "title": title, "description": "", "raw_title": title,
                    "raw_description": "", "position": place, "active": True, "system": False,
                    "regexp_for_validation": values[0] if kind == "regexp" else None,
                }  # fmt: skip
                if kind == "dropdown":
                    field["custom_field_options"] = [self._option(name, name.lower()) for name in values]
                self.add(stream, START, field)

    def _ticket_field(self, kind: str, title: str, place: int, **extra: Any) -> None:
        field: Native = {
            "type": kind, "title": title, "raw_title": title, "description": f"Ticket {title.lower()}",
            "raw_description": f"Ticket {title.lower()}", "position": place, "active": True, "required": False,
            "collapsed_for_agents": False, "regexp_for_validation": None, "title_in_portal": title,
            "raw_title_in_portal": title, "visible_in_portal": place < 10, "editable_in_portal": place < 10,
            "required_in_portal": place < 2, "tag": None, "removable": True, "key": None, "agent_description": None,
        }  # fmt: skip
        self.add("ticket_fields", START, {**field, **extra})

    def _option(self, name: str, value: str) -> Native:
        tag = "".join(letter if letter.isalnum() else "_" for letter in value.lower())
        return {"id": self.new_id(), "name": name, "raw_name": name, "value": tag, "default": False}

    def _groups_and_agents(self) -> None:
        for place, name in enumerate(texts.GROUPS):
            group = {"is_public": place != 2, "name": name, "description": "" if place else "The first line"}
            self.add("groups", START, {**group, "default": place == 0, "deleted": False})
        groups = self.streams["groups"]
        for place, (name, role) in enumerate(texts.AGENTS):
            gone = name.startswith("Permanently")
            email = EMAIL if place == 0 else None if gone else f"agent{place}@desk.example"
            user = self._user(name, role, email, START + timedelta(hours=place), "en")
            user.update(default_group_id=None if gone else groups[place % 4]["id"])
            if name == "Perry Gone":
                user["suspended"] = True
            if gone:
                user.update(active=False, permanently_deleted=True, role="end-user")
                continue
            for extra in {place % 4, 0, self.dice.randrange(4)}:
                default = groups[extra]["id"] == user["default_group_id"]
                member = {"user_id": user["id"], "group_id": groups[extra]["id"], "default": default}
                self.add("group_memberships", START + timedelta(hours=place), member)
                self.members[groups[extra]["id"]].append(user["id"])

    def _user(self, name: str, role: str, email: str | None, made: datetime, language: str) -> Native:
        locale, locale_id = texts.LOCALES[language]
        staff = role != "end-user"
        return self.add("users", made, {
            "name": name, "email": email, "time_zone": "Berlin", "iana_time_zone": "Europe/Berlin", "phone": None,
            "shared_phone_number": None, "photo": None, "locale_id": locale_id, "locale": locale,
            "organization_id": None, "role": role, "verified": staff, "external_id": None, "tags": [], "alias": None,
            "active": True, "shared": False, "shared_agent": False, "last_login_at": text(made) if staff else None,
            "two_factor_auth_enabled": False, "signature": None, "details": None, "notes": None,
            "role_type": {"admin": 4, "agent": 0}.get(role), "custom_role_id": None, "moderator": staff,
            "ticket_restriction": None if staff else "requested", "only_private_comments": False,
            "restricted_agent": not staff, "suspended": False, "default_group_id": None, "report_csv": role == "admin",
            "user_fields": {field["key"]: False if field["type"] == "checkbox" else None
                            for field in self.streams["user_fields"]},
        })  # fmt: skip

    def _custom_people(self, stream: str, place: int) -> Native:
        values: dict[str, Any] = {
            "text": f"text {place}", "textarea": f"first line\nsecond line {place}", "integer": place * 7,
            "decimal": place + 0.25, "checkbox": place % 3 == 0, "date": "2025-02-28T00:00:00+00:00",
            "regexp": f"AB-{1000 + place}", "dropdown": ("gold", "silver", "bronze")[place % 3],
        }  # fmt: skip
        fields = self.streams[stream]
        return {field["key"]: values[field["type"]] if (place + at) % 4 else None for at, field in enumerate(fields)}

    def _organizations(self) -> None:
        for place, name in enumerate(texts.ORGANIZATIONS):
            body = {"name": name, "shared_tickets": place == 1, "shared_comments": False}
            body |= {
                "external_id": f"crm-{place:03d}" if place % 2 else None,
                "details": "" if place % 3 else "Key account",
            }
            body |= {"domain_names": [f"org{place}.example"] if place % 4 else [], "notes": "Pays late\nbut pays"}
            body |= {"group_id": self.streams["groups"][1]["id"] if place == 2 else None, "tags": ["gold"][: place % 2]}
            custom = {"organization_fields": self._custom_people("organization_fields", place), "deleted_at": None}
            self.add("organizations", START + timedelta(minutes=place), {**body, **custom})

    def _contacts(self) -> None:
        languages = list(texts.FIRST)
        for place in range(150):
            language = languages[0] if place % 2 else languages[place // 2 % len(languages)]
            name = f"{self.dice.choice(texts.FIRST[language])} {self.dice.choice(texts.LAST[language])}"
            made = START + timedelta(days=place * 4)
            email = None if place % 15 == 4 else f"contact{place}@org{place % 12}.example"
            user = self._user(name, "end-user", email, made, language)
            organization = self.streams["organizations"][place % 12] if place % 5 else None
            user["verified"] = place % 3 == 0
            user["phone"] = f"+49 30 {place:06d}" if place % 4 == 0 or email is None else None
            user["external_id"] = f"customer-{place}" if place % 7 == 0 else None
            user["notes"] = "Prefers the phone" if place % 11 == 0 else None
            user["user_fields"] = self._custom_people("user_fields", place)
            user["suspended"] = place in (20, 21, 77)
            if place in (30, 31):
                user["active"] = False
            if place == 33:
                user.update(name="Permanently Deleted User", email=None, active=False, permanently_deleted=True)
                organization = None
            if organization:
                user["organization_id"] = organization["id"]
                member = {"user_id": user["id"], "organization_id": organization["id"], "default": True}
                member |= {"organization_name": organization["name"], "view_tickets": place % 9 == 0}
                self.add("organization_memberships", made, member)

    def _forms(self) -> None:
        fields = [field["id"] for field in self.streams["ticket_fields"] if field["active"]]
        for place, (name, kept) in enumerate(
            (("Default Ticket Form", fields), ("Returns", [*fields[:2], *fields[-4:]]))
        ):
            form: Native = {
                "name": name,
                "raw_name": name,
                "display_name": name,
                "raw_display_name": name,
                "position": place + 1,
            }
            form |= {"end_user_visible": True, "ticket_field_ids": kept, "active": True, "default": place == 0}
            form |= {
                "in_all_brands": True,
                "restricted_brand_ids": [],
                "end_user_conditions": [],
                "agent_conditions": [],
            }
            self.add("ticket_forms", START, form)
        brand: Native = {
            "name": "Demo Desk",
            "brand_url": self.base,
            "subdomain": "demo",
            "host_mapping": None,
            "default": True,
        }
        brand |= {"has_help_center": False, "help_center_state": "disabled", "active": True, "is_deleted": False}
        brand |= {"ticket_form_ids": [form["id"] for form in self.streams["ticket_forms"]], "logo": None}
        self.add("brands", START, {**brand, "signature_template": "{{agent.signature}}"})
