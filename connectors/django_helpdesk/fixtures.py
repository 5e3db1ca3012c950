"""The channel ``fixtures``: what ``dumpdata`` tells made into records, and records into what ``loaddata`` takes."""

from __future__ import annotations

import re
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from migrator.connector import Unit, Written
from migrator.errors import RefusedError, VendorError

from . import searches
from .host import Host, Row
from .shape import Native, People, address, agent, custom_field, moment, person, thread, value
from .snapshot import Snapshot

BLOCK = 1_000_000  # numbers set aside at once for rows nobody asks for by number
HIGHEST = 2**31 - 1  # of a row's number (AutoField)
OWNERS = {
    "ticketcustomfieldvalue": "ticket",
    "ticketcc": "ticket",
    "followup": "ticket",
    "followupattachment": "followup",
}


# ---- reading ---------------------------------------------------------------------------------------------------------


def take(host: Host) -> tuple[Snapshot, People]:
    """Read everything; return it, and who is who. Rows come in any order of models, so they are joined afterwards."""
    snapshot, people = Snapshot(), People()
    for model, number, fields in host.dump():
        snapshot.row(model, number, fields.get(OWNERS.get(model, "")), fields)
    for user in snapshot.rows("user"):
        if user["is_staff"]:
            people.add_staff(str(user["id"]), user.get("email"))
            snapshot.add("users", [agent(str(user["id"]), user)])
        else:
            people.add(user)
    snapshot.add("queues", snapshot.rows("queue"))
    customs: dict[int, Native] = {one["id"]: one for one in snapshot.rows("customfield")}
    snapshot.add("custom_fields", [custom_field(one) for one in customs.values()])
    snapshot.add("preset_replies", snapshot.rows("presetreply"))
    categories = {one["id"]: one["title"] for one in snapshot.rows("kbcategory")}
    articles = ({**one, "_category": categories.get(one["category"])} for one in snapshot.rows("kbitem"))
    snapshot.add("kb_items", articles, "last_updated")
    found = ({**one, "user": str(one["user"])} for one in snapshot.rows("savedsearch"))
    snapshot.add("saved_searches", map(searches.record, found))
    for ticket in snapshot.rows("ticket"):
        _ticket(snapshot, people, customs, ticket)
    snapshot.add("people", [person(who, user) for who, user in people.others.items()])
    return snapshot, people


def _ticket(snapshot: Snapshot, people: People, fields: Mapping[int, Native], ticket: Native) -> None:
    custom = {
        fields[one["field"]]["name"]: value(fields[one["field"]]["data_type"], one["value"])
        for one in snapshot.rows("ticketcustomfieldvalue", ticket["id"])
    }
    copies = [
        people.by_number(one["user"]) if one.get("user") else people.by_address(one.get("email"))
        for one in snapshot.rows("ticketcc", ticket["id"])
    ]
    followups = [
        {**one, "followupattachment_set": list(snapshot.rows("followupattachment", one["id"]))}
        for one in snapshot.rows("followup", ticket["id"])
    ]
    native, shown, files = thread(ticket, followups, people)
    snapshot.add("tickets", [{**native, "_custom": custom, "_ccs": [who for who in copies if who]}], "modified")
    snapshot.add("followups", shown, "date", "ticket")
    snapshot.add("attachments", files, parent="followup")
    for who in [native["_requester"], *copies]:
        if who and not who.isdecimal() and who not in people.others:
            people.others[who] = {}


# ---- writing ---------------------------------------------------------------------------------------------------------


class Writer:
    """Writes batches of one kind by one ``loaddata``, which is one transaction, with numbers of our choice.

    A ticket keeps its number where that is free. What has no number to keep is numbered downwards from the top of a
    block above everything that is there: whatever the desk itself makes meanwhile is numbered above it, so that nothing
    is ever overwritten.
    """

    def __init__(self, host: Host, snapshot: Snapshot, people: People, queue: str) -> None:
        self.host, self.snapshot, self.people, self.queue = host, snapshot, people, queue
        self._lock = threading.Lock()
        self._next: dict[str, tuple[int, int]] = {}  # model to (next number, end of the block)
        self._taken = {int(one["id"]) for one in snapshot.natives("tickets")}
        self._names = {str(one["name"]) for one in snapshot.natives("custom_fields")}
        self._slugs = {str(one["slug"]) for one in snapshot.natives("queues")}
        self._fields = {str(one["name"]): one for one in snapshot.rows("customfield")}
        self._categories = {one["title"]: one["id"] for one in snapshot.rows("kbcategory")}

    def write(self, units: Sequence[Unit]) -> list[Written]:
        """Carry out one ``loaddata`` with these units, all of one kind."""
        rows: list[Row] = []
        make = getattr(self, f"_{units[0].kind}")
        written = [make(unit, rows) for unit in units]
        try:
            self.host.load(rows)
        except RefusedError:
            self._taken -= {int(one.id) for one in written} if units[0].kind == "ticket" else set()
            raise
        return written

    def avoid(self, tickets: Iterable[int]) -> None:
        """Leave numbers alone that the desk gave to tickets meanwhile: ``loaddata`` would write over them."""
        with self._lock:
            self._taken.update(tickets)

    def _numbers(self, model: str, count: int) -> list[int]:
        """Return so many free numbers of a model, rising."""
        with self._lock:
            number, end = self._next.get(model, (0, 0))
            if number - count <= end:
                end = self.snapshot.highest(model) if model not in self._next else self._next[model][1] + BLOCK
                number = end + BLOCK
                if number > HIGHEST:
                    raise VendorError(f"django-helpdesk has no numbers left for {model}")
            self._next[model] = (number - count, end)
            return list(range(number - count + 1, number + 1))

    def one(self, model: str) -> int:
        """Return a free number of a model."""
        return self._numbers(model, 1)[0]

    def field_number(self, name: str) -> int:
        """Return the number of a custom field by its name."""
        return int(self._fields[name]["id"])

    def _free_word(self, wanted: str, taken: set[str], *, most: int) -> str:
        """Return a slug of this text that nobody has, and take it."""
        plain = re.sub(r"[^a-z0-9_]+", "_", wanted.lower()).strip("_")[: most - 8] or "x"
        with self._lock:
            slug = next(name for n in range(1, HIGHEST) if (name := plain if n == 1 else f"{plain}_{n}") not in taken)
            taken.add(slug)
        return slug

    # ---- the kinds --------------------------------------------------------------------------------------------------

    def _custom_field(self, unit: Unit, rows: list[Row]) -> Written:
        held, number = unit.payload, self.one("customfield")
        name = self._free_word(str(held.get("name") or held["label"]), self._names, most=50)
        kind = str(held["data_type"])
        fields = {
            "name": name, "label": held["label"], "help_text": held.get("help_text") or "", "data_type": kind,
            "list_values": "\n".join(held.get("_options") or []) if kind == "list" else None, "required": False,
            "ordering": held.get("ordering"), "staff_only": False, "empty_selection_list": kind == "list",
        }  # fmt: skip
        rows.append(_row("helpdesk.customfield", number, fields))
        self._fields[name] = {"id": number, **fields}
        return Written(name, name)

    def _contact(self, unit: Unit, rows: list[Row]) -> Written:
        who = address(unit.payload.get("email"), unit.key)
        number = self._user(unit, who, rows, staff=False)
        self.people.others[who] = {"id": number}
        return Written(who)

    def _agent(self, unit: Unit, rows: list[Row]) -> Written:
        who = address(unit.payload.get("email"), unit.key)
        number = self._user(unit, who, rows, staff=True)
        self.people.add_staff(str(number), who)
        return Written(str(number))

    def _user(self, unit: Unit, who: str, rows: list[Row], *, staff: bool) -> int:
        held, number = unit.payload, self.one("user")
        name = str(held.get("name") or held.get("_name") or who)
        first, _, last = name.rpartition(" ")
        fields = {
            "username": who[:150], "email": held.get("email") or "", "first_name": first, "last_name": last,
            "is_staff": staff, "is_superuser": False, "is_active": held.get("is_active", True) is not False,
            "password": f"!{uuid.uuid4().hex}",  # nobody can sign in with it: a new one is asked for by mail
            **({"date_joined": held["date_joined"]} if held.get("date_joined") else {}),
        }  # fmt: skip
        rows.append(_row(self.host.user_model, number, fields))
        return number

    def _group(self, unit: Unit, rows: list[Row]) -> Written:
        number, title = self.one("queue"), str(unit.payload["title"])
        slug = self._free_word(title, self._slugs, most=50)
        rows.append(_row("helpdesk.queue", number, {"title": title, "slug": slug}))
        return Written(str(number))

    def _canned_response(self, unit: Unit, rows: list[Row]) -> Written:
        held, number = unit.payload, self.one("presetreply")
        fields = {"name": held["name"], "body": held["body"], "queues": [int(q) for q in held.get("queues") or []]}
        rows.append(_row("helpdesk.presetreply", number, fields))
        return Written(str(number))

    def _article(self, unit: Unit, rows: list[Row]) -> Written:
        held, number = unit.payload, self.one("kbitem")
        title = str(held["_category"])
        with self._lock:
            fresh = title not in self._categories
            if fresh:
                self._categories[title] = 0
        if fresh:
            self._categories[title] = self.one("kbcategory")
        slug = self._free_word(title, set(), most=50)
        fields = {"name": title, "title": title, "slug": slug, "description": title, "public": False}
        if fresh or self._categories[title] > self.snapshot.highest("kbcategory"):  # the same row again harms nobody
            rows.append(_row("helpdesk.kbcategory", self._categories[title], fields))
        mine = {
            "category": self._categories[title], "title": held["title"], "question": held["question"],
            "answer": held["answer"], "order": held.get("order"), "enabled": bool(held.get("enabled")),
            "last_updated": held.get("last_updated") or moment("1970-01-01T00:00:00Z"), "voted_by": [],
            "downvoted_by": [],
        }  # fmt: skip
        rows.append(_row("helpdesk.kbitem", number, mine))
        return Written(str(number))

    def _saved_search(self, unit: Unit, rows: list[Row]) -> Written:
        held, number = unit.payload, self.one("savedsearch")
        user = held.get("user")
        if user is None and not self.people.staff:
            raise RefusedError(f"{unit.kind} {unit.id}: there is nobody it could belong to")
        owner = int(user) if user is not None else min(map(int, self.people.staff))
        fields = {"title": held["title"], "shared": bool(held.get("shared")), "query": searches.query(held)}
        rows.append(_row("helpdesk.savedsearch", number, {"user": owner, **fields}))
        return Written(str(number))

    def _ticket(self, unit: Unit, rows: list[Row]) -> Written:
        held = unit.payload
        number = self._ticket_number(unit.id)
        state, who = held.get("_state", 1), str(held["_requester"])
        opening = next((c for c in unit.children if c.kind == "message" and c.variant == "opening"), None)
        fields = {
            "title": held["title"], "queue": held.get("queue") or int(self.queue), "created": held.get("created"),
            "modified": held.get("modified") or held.get("created"), "submitter_email": self.people.address_of(who),
            "assigned_to": held.get("assigned_to"), "status": 1 if state == "hold" else state,
            "on_hold": state == "hold", "description": opening.payload.get("comment") if opening else "",
            "priority": held.get("priority", 3), "due_date": held.get("due_date"), "secret_key": str(uuid.uuid4()),
        }  # fmt: skip
        if fields["created"] is None:
            raise RefusedError(f"{unit.kind} {unit.id}: without a date it cannot be put in by loaddata")
        if not fields["submitter_email"]:
            raise RefusedError(f"{unit.kind} {unit.id}: user {who} has no address to be asked by")
        rows.append(_row("helpdesk.ticket", number, fields))
        custom = {name: held for name, held in (held.get("_custom") or {}).items() if held is not None}
        for at, (name, one) in zip(self._numbers("ticketcustomfieldvalue", len(custom)), custom.items(), strict=True):
            more = {"ticket": number, "field": self._fields[name]["id"], "value": str(one)}
            rows.append(_row("helpdesk.ticketcustomfieldvalue", at, more))
        copies = list(dict.fromkeys(str(one) for one in held.get("_ccs") or []))
        for at, one in zip(self._numbers("ticketcc", len(copies)), copies, strict=True):
            person_ = {"user": int(one)} if one.isdecimal() else {"email": one}
            rows.append(_row("helpdesk.ticketcc", at, {"ticket": number, "can_view": True, **person_}))
        messages = [child for child in unit.children if child.kind == "message"]
        children: dict[tuple[str, str], str] = {}
        for at, child in zip(self._numbers("followup", len(messages)), messages, strict=True):
            self._followup(child.payload, number, at, rows, fallback=fields["created"], first=child is opening)
            children["message", child.id] = str(at)
            children |= self._files(unit, child.id, at, rows)
        return Written(str(number), None, children)

    def _ticket_number(self, source: str) -> int:
        wanted = int(source) if source.isdecimal() else 0
        with self._lock:
            if 0 < wanted <= HIGHEST and wanted not in self._taken:
                self._taken.add(wanted)
                return wanted
        return self.one("ticket")

    def _message(self, unit: Unit, rows: list[Row]) -> Written:
        number, held = self.one("followup"), unit.payload
        self._followup(held, int(unit.refs["ticket"]), number, rows, fallback=unit.sent_at, first=False)
        return Written(str(number), None, self._files(unit, None, number, rows))

    def _followup(
        self, held: Native, ticket: int, number: int, rows: list[Row], *, fallback: str | None, first: bool
    ) -> None:
        author = held.get("_author")
        fields = {
            "ticket": ticket, "date": held.get("date") or fallback, "title": "Ticket Opened" if first else "Comment",
            "comment": held.get("comment"), "public": first or bool(held.get("public")),
            "user": self.people.number(str(author)) if author is not None else None,
        }  # fmt: skip
        rows.append(_row("helpdesk.followup", number, fields))

    def _files(self, unit: Unit, owner: str | None, followup: int, rows: list[Row]) -> dict[tuple[str, str], str]:
        files = [child for child in unit.children if child.kind == "attachment" and child.owner == owner]
        found: dict[tuple[str, str], str] = {}
        for at, child in zip(self._numbers("followupattachment", len(files)), files, strict=True):
            held = child.payload
            fields = {
                "followup": followup, "file": self.host.store(child, unit.key), "filename": held["filename"],
                "mime_type": held.get("mime_type") or "application/octet-stream",
                "size": child.blob.stat().st_size if child.blob else 0,
            }  # fmt: skip
            rows.append(_row("helpdesk.followupattachment", at, fields))
            found["attachment", child.id] = str(at)
        return found


def _row(model: str, number: int, fields: Native) -> Row:
    return {"model": model, "pk": number, "fields": fields}


# ---- doubt -----------------------------------------------------------------------------------------------------------


def find(snapshot: Snapshot, units: Sequence[Unit], known: set[str], match: Mapping[str, str]) -> list[Written | None]:
    """Return what calls in doubt made, as a fresh reading shows it: whole, or nothing of it."""
    kind = units[0].kind
    if kind == "ticket":
        return _find_tickets(snapshot, units)
    streams = {
        "custom_field": "custom_fields", "contact": "people", "agent": "users", "group": "queues",
        "canned_response": "preset_replies", "article": "kb_items", "message": "followups",
        "saved_search": "saved_searches",
    }  # fmt: skip
    there: dict[tuple[str, ...], list[Native]] = defaultdict(list)
    for native in snapshot.natives(streams[kind]):
        if str(native["id"]) not in known:
            there[_key(native, match, 0)].append(native)
    found: list[Written | None] = []
    for unit in units:
        payload = unit.payload
        if kind == "contact":
            payload = {**payload, "email": address(payload.get("email"), unit.key)}
        alike = there.get(_key(payload, match, 1))
        if alike:
            native = alike.pop(0)
            children = _children(snapshot, unit, native) if kind == "message" else {}
            key = str(native["name"]) if kind == "custom_field" else None
            found.append(Written(str(native["id"]), key, children))
        else:
            found.append(None)
    return found


def _key(native: Native, match: Mapping[str, str], side: int) -> tuple[str, ...]:
    return tuple(str(native.get(pair[side]) or "").replace("\r\n", "\n").strip() for pair in match.items())


def _find_tickets(snapshot: Snapshot, units: Sequence[Unit]) -> list[Written | None]:
    """Look tickets up by migrator's own key in its custom field; what came with one has rising numbers."""
    keys = {unit.key: unit for unit in units}
    named = next((unit.keys.get("migrator-key", "") for unit in units), "")
    found: dict[str, Written] = {}
    for native in snapshot.natives("tickets"):
        key = (native.get("_custom") or {}).get(named)
        if key not in keys:
            continue
        unit, children = keys[key], {}
        messages = [child for child in unit.children if child.kind == "message"]
        followups = list(snapshot.rows("followup", int(native["id"])))
        for child, held in zip(messages, followups, strict=False):
            children["message", child.id] = str(held["id"])
            children |= _files_of(snapshot, unit, child.id, held["id"])
        found[key] = Written(str(native["id"]), None, children)
    return [found.get(unit.key) for unit in units]


def _children(snapshot: Snapshot, unit: Unit, native: Native) -> dict[tuple[str, str], str]:
    return _files_of(snapshot, unit, None, int(native["id"]))


def _files_of(snapshot: Snapshot, unit: Unit, owner: str | None, followup: int) -> dict[tuple[str, str], str]:
    files = [child for child in unit.children if child.kind == "attachment" and child.owner == owner]
    held = snapshot.rows("followupattachment", followup)
    return {("attachment", child.id): str(one["id"]) for child, one in zip(files, held, strict=False)}
