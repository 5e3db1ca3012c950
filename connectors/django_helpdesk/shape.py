"""One shape for what the API and dumpdata give: the vendor's own fields, and notes (``_x``) on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Native = dict[str, Any]

NOWHERE = "no-address.invalid"  # RFC 2606: nobody's; a person without an address has one here, so that tickets name him
HELD = (1, 2)  # open, reopened: only there does on_hold say anything
# What is taken of each model. Passwords, mailboxes' secrets and tickets' secret keys are never read into anything.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "user": (
        "username", "first_name", "last_name", "email", "is_staff", "is_superuser", "is_active", "date_joined",
    ),
    "queue": (
        "title", "slug", "locale", "email_address", "allow_public_submission", "allow_email_submission",
        "escalate_days", "new_ticket_cc", "updated_ticket_cc", "enable_notifications_on_email_events", "default_owner",
        "dedicated_time",
    ),
    "customfield": (
        "name", "label", "help_text", "data_type", "max_length", "decimal_places", "empty_selection_list",
        "list_values", "ordering", "required", "staff_only",
    ),
    "ticketcustomfieldvalue": ("ticket", "field", "value"),
    "ticketcc": ("ticket", "user", "email"),
    "ticket": (
        "title", "queue", "created", "modified", "submitter_email", "assigned_to", "status", "on_hold", "description",
        "resolution", "priority", "due_date", "last_escalation", "kbitem", "merged_to",
    ),
    "followup": (
        "ticket", "date", "title", "comment", "public", "user", "new_status", "message_id", "time_spent",
        "email_recipients",
    ),
    "followupattachment": ("followup", "file", "filename", "mime_type", "size"),
    "presetreply": ("queues", "name", "body"),
    "kbcategory": ("name", "title", "slug", "description", "queue", "public"),
    "kbitem": (
        "category", "title", "question", "answer", "votes", "recommendations", "last_updated", "team", "order",
        "enabled", "voted_by", "downvoted_by",
    ),
    "savedsearch": ("user", "title", "shared", "query"),
}  # fmt: skip


def moment(text: str | None) -> str | None:
    """Return a date in one length, so that texts sort as dates do."""
    if not text:
        return None
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def address(email: str | None, key: str) -> str:
    """Return the address that stands for a person: the own one, or one under ``no-address.invalid`` by ``key``."""
    if email:
        return email.strip().lower()
    plain = "".join(sign if sign.isalnum() and sign.isascii() else "." for sign in key)
    return f"{plain.strip('.').lower()[:64].strip('.')}@{NOWHERE}"


def made_up(email: str) -> bool:
    """Tell whether an address is one of ours that reaches nobody."""
    return email.endswith(f"@{NOWHERE}")


@dataclass
class People:
    """Who is who: ``staff`` (number to address, where it is known) are agents; others are known by their address."""

    staff: dict[str, str | None] = field(default_factory=dict)
    others: dict[str, Native] = field(default_factory=dict)  # address to {number, name, ...}
    _by_address: dict[str, str] = field(default_factory=dict)  # of staff
    _numbers: dict[str, str] = field(default_factory=dict)  # of others

    def add_staff(self, number: str, email: str | None) -> None:
        """Note somebody who can answer."""
        self.staff[number] = email.lower() if email else None
        if email:
            self._by_address.setdefault(email.lower(), number)

    def add(self, user: Native) -> None:
        """Note somebody who can sign in and not answer."""
        name = user["username"]
        who = (user.get("email") or (name if "@" in name else f"user:{name}")).lower()
        self.others.setdefault(who, user)
        self._numbers[str(user["id"])] = who

    def by_address(self, email: str | None) -> str | None:
        """Return the id of whoever has the address."""
        return self._by_address.get(email.lower(), email.lower()) if email else None

    def by_number(self, number: Any) -> str | None:
        """Return the id of the user with a number."""
        if number is None:
            return None
        return self._numbers.get(str(number), str(number))

    def number(self, id: str) -> int | None:
        """Return the user number of a person, None where he cannot sign in."""
        if id.isdecimal():
            return int(id)
        return self.others[id]["id"] if id in self.others and "id" in self.others[id] else None

    def address_of(self, id: str) -> str | None:
        """Return the address of a person, None for staff whose address nobody told."""
        return self.staff.get(id) if id.isdecimal() else id


def person(who: str, user: Native) -> Native:
    """Return the native record of somebody who asks."""
    name = " ".join(part for part in (user.get("first_name"), user.get("last_name")) if part)
    email = None if made_up(who) or who.startswith("user:") else who
    more: Native = {label: user[label] for label in ("is_active", "date_joined") if label in user}
    return {"id": who, "name": name or who, "email": email, **more}


def agent(number: str, user: Native) -> Native:
    """Return the native record of somebody who answers."""
    name = " ".join(part for part in (user.get("first_name"), user.get("last_name")) if part)
    return {**user, "id": number, "_name": name or user["username"]}


def custom_field(fields: Native) -> Native:
    """Return the native record of a custom field as dumpdata gives it."""
    options = [line.strip() for line in (fields.get("list_values") or "").splitlines() if line.strip()]
    return {**fields, "id": fields["name"], "_options": options if fields["data_type"] == "list" else []}


def value(data_type: str, held: str | None) -> Any:
    """Return a custom value as the API would give it: the database holds texts only."""
    if data_type == "boolean":
        return None if held in (None, "") else held == "True"
    return held or None


def thread(ticket: Native, followups: Iterable[Native], people: People) -> tuple[Native, list[Native], list[Native]]:
    """Return a ticket, its follow-ups and their files, with notes.

    ``followups`` have their files under ``followupattachment_set``. The follow-up that repeats the description is the
    opening one; a description without such a follow-up becomes one. One that says nothing and has no file is history,
    and is left out.
    """
    requester = people.by_address(ticket.get("submitter_email"))
    ordered = sorted(followups, key=lambda one: (moment(one["date"]) or "", int(one["id"])))
    said = _plain(ticket.get("description"))
    opening = next((one["id"] for one in ordered if said and _plain(one.get("comment")) == said), None)
    dates = [moment(one["date"]) for one in ordered]
    created = moment(ticket.get("created")) or next(iter(dates), None)
    files: list[Native] = []
    shown: list[Native] = []
    if said and opening is None:
        made = {"id": f"description:{ticket['id']}", "comment": ticket["description"], "public": True, "user": None}
        shown.append({**made, "ticket": ticket["id"], "date": created, "_kind": "opening", "_author": requester})
    for one in ordered:
        held = one.get("followupattachment_set") or []
        if not (_plain(one.get("comment")) or held):
            continue
        files += [{**file, "followup": one["id"]} for file in held]
        first = one["id"] == opening
        author = people.by_number(one.get("user"))
        if author is None and (first or one.get("message_id")):  # came by mail, or by the form that all may fill in
            author = requester
        notes = {"_kind": "opening" if first else "message", "_author": author}
        rest = {label: held for label, held in one.items() if label != "followupattachment_set"}
        shown.append({**rest, "ticket": ticket["id"], "date": moment(one["date"]), **notes})
    status = ticket.get("status")
    native = {
        **ticket,
        "_state": "hold" if ticket.get("on_hold") and status in HELD else status,
        "_requester": requester,
        "created": created,
        "modified": moment(ticket.get("modified")) or max((at for at in dates if at), default=created),
    }
    return native, shown, files


def _plain(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").strip()
