"""What is written to Znuny: a ticket with its first article, further articles, and what only its own Perl can add."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrator.connector import Child, Native, Unit, Written
from migrator.errors import RefusedError, UnknownOutcomeError

from . import catalogue, jobs, records
from .database import File, Said

if TYPE_CHECKING:
    from .connection import Connection

PENDING_DAYS = 7  # until Znuny reminds of a ticket that waits
HALF_DONE_SECONDS = 3.0  # a ticket without an article may be one that is still being made
REMEMBERED = ("Ticket", "Article", "DynamicFieldValue", "TicketOverview")  # types of Znuny's cache
NO_ANSWER = "auto remove"  # the kind of automatic answer that no queue has by default; Znuny's own default would reply
CLOSED = ("closed",)
KIND = re.compile(r"\w+/\w")  # what Znuny takes for a type of file
PICTURE = re.compile(r"src\s*=\s*[\"']?\s*data:", re.IGNORECASE)  # Znuny makes a file of it, and changes the text
EMPTY = "="  # base64 of nothing that is not an empty text: Znuny refuses a file without content


KNOWN_BY = {
    "custom_field": "SELECT id FROM dynamic_field WHERE name = %s",
    "group": "SELECT id FROM queue WHERE name = %s",
    "organization": "SELECT customer_id AS id FROM customer_company WHERE customer_id = %s",
    "contact": "SELECT login AS id FROM customer_user WHERE login = %s",
    "agent": "SELECT id FROM users WHERE login = %s",
    "sla": "SELECT id FROM sla WHERE name = %s",
}


# ---- tickets and articles --------------------------------------------------------------------------------------------


def ticket(desk: Connection, unit: Unit) -> Written:
    """Create a ticket with its first article, and date both where the database is open."""
    payload = _plain(unit)
    first = _first(unit)
    body = {
        "Ticket": _ticket_fields(desk, payload),
        "Article": _article_fields(desk, first.payload if first else {}, payload.get("Title")),
        "DynamicField": _dynamic(desk, payload, unit.key, _message_key(unit, first)),
    }
    files = _files(unit, first)
    if files:
        body["Attachment"] = [_attached(file) for file in files]
    answer = desk.interface.write("POST", "/Ticket", body)
    try:
        id, made = int(answer["TicketID"]), int(answer["ArticleID"])
    except (KeyError, TypeError, ValueError) as err:
        raise UnknownOutcomeError("POST /Ticket: answered without the number of what was made") from err
    return _dated(desk, unit, id, made)


def _dated(desk: Connection, unit: Unit, id: int, made: int) -> Written:
    """Date a new ticket and name what was made."""
    first = _first(unit)
    files = _files(unit, first)
    payload = _plain(unit)
    if desk.database:
        if assigned := _assigned(payload):
            desk.database.assign(id, assigned)
        said = _said(desk, made, first.payload, files) if first else None
        title = str(payload.get("Title") or "")
        desk.database.date_ticket(id, title, payload.get("Created"), payload.get("Changed"), said)
    children = {(first.kind, first.id): str(made)} if first else {}
    children |= _file_ids(desk, id, made, files)
    return Written(str(id), None, children)


def article(desk: Connection, unit: Unit) -> Written:
    """Add an article, and date it where the database is open."""
    id = int(unit.refs["ticket"])
    files = _files(unit, None)
    moved = desk.database.moved(id) if desk.database else {}
    body: Native = {
        "Article": _article_fields(desk, _plain(unit), None),
        "DynamicField": [{"Name": records.MESSAGE, "Value": unit.key}],
    }
    if files:
        body["Attachment"] = [_attached(file) for file in files]
    answer = desk.interface.write("PUT", f"/Ticket/{id}", body)
    try:
        made = int(answer["ArticleID"])
    except (KeyError, TypeError, ValueError) as err:
        raise UnknownOutcomeError(f"PUT /Ticket/{id}: answered without the number of what was made") from err
    return _article_dated(desk, unit, id, made, moved)


def _article_dated(desk: Connection, unit: Unit, id: int, made: int, moved: Mapping[str, Any]) -> Written:
    files = _files(unit, None)
    if desk.database:
        desk.database.date_article(id, _said(desk, made, _plain(unit), files), moved)
    return Written(str(made), None, _file_ids(desk, id, made, files))


def changed(desk: Connection, unit: Unit) -> Written:
    """Change the places of a ticket that the payload names."""
    payload = dict(unit.payload)
    fields = _ticket_fields(desk, payload, whole=False)
    body: Native = {"Ticket": fields} if fields else {}
    if dynamic := _dynamic(desk, payload, None, None):
        body["DynamicField"] = dynamic
    if body:
        desk.interface.write("PUT", f"/Ticket/{unit.there}", body)
    if desk.database and (assigned := _assigned(payload)):
        desk.database.assign(int(unit.there), assigned)
    return Written(unit.there)


def _assigned(payload: Native) -> dict[str, int | None]:
    """Return the service and the SLA that a payload speaks of, by the columns that hold them."""
    columns = {"ServiceID": "service_id", "SLAID": "sla_id"}
    return {
        column: int(payload[name]) if payload[name] not in (None, "") else None
        for name, column in columns.items()
        if name in payload
    }


def deleted(desk: Connection, unit: Unit) -> Written:
    """Take a ticket away, with all that hangs on it; or a job."""
    if desk.console is None:
        raise RefusedError("Znuny deletes tickets by its own Perl only: the channel console")
    if unit.kind == "automation":
        jobs.taken_away(desk, unit)
        return Written(unit.there)
    if desk.rows("SELECT id FROM ticket WHERE id = %s", [int(unit.there)]):
        desk.console.ask("delete_ticket", id=int(unit.there))
    return Written(unit.there)


def _ticket_fields(desk: Connection, payload: Native, *, whole: bool = True) -> Native:
    """Return the web service's Ticket: of a new one whole, of a change what the payload names."""
    fields = {name: payload[name] for name in ("Title", "State", "Priority") if payload.get(name) is not None}
    if desk.database and whole and fields["Title"] == "0":
        fields["Title"] = "-"  # Perl takes "0" for nothing; the database gets it right
    requester = payload.get("Requester")
    if requester is not None:
        fields["CustomerUser"] = _address(desk, str(requester))
    if payload.get("Organization") is not None:
        fields["CustomerID"] = str(payload["Organization"])
    owner = payload.get("Assignee")
    if owner is not None or (whole or "Assignee" in payload):
        fields["OwnerID"] = int(str(owner or records.ROOT).removeprefix(records.AGENT))
    if payload.get("QueueID") is not None:
        fields["QueueID"] = int(payload["QueueID"])
    elif whole:
        fields["Queue"] = desk.options.get("queue", "Raw")
    state = str(fields.get("State") or "")
    if whole:
        fields["Lock"] = "lock" if owner is not None and not state.startswith(CLOSED) else "unlock"
    if state.startswith("pending"):
        fields["PendingTime"] = {"Diff": int(desk.options.get("pending_days", PENDING_DAYS)) * 24 * 60}
    return fields


def _address(desk: Connection, requester: str) -> str:
    """Return what names a customer to the web service: the login, or the bare address of an agent who asks."""
    if not requester.startswith(records.AGENT):
        return requester
    return desk.sender(requester).rpartition("<")[2].rstrip(">")


def _article_fields(desk: Connection, payload: Native, title: Any) -> Native:
    """Return the web service's Article. Nobody is told of it, and nothing answers it."""
    author = payload.get("Author")
    fields = {
        "Subject": title if title not in (None, "0") else "(no subject)",
        "Body": "<p>0</p>" if payload.get("Html") == "0" else payload.get("Html") or "<p>(no message)</p>",
        "ContentType": "text/html; charset=utf-8",
        "IsVisibleForCustomer": int(payload.get("IsVisibleForCustomer", 0)),
        "SenderType": _sender_type(author),
        "CommunicationChannel": "Internal",
        "HistoryType": "AddNote",
        "HistoryComment": "%%migrator",
        "AutoResponseType": NO_ANSWER,
        "NoAgentNotify": 1,
    }
    if author is not None and not desk.database:  # the database writes it later, and checks no address
        fields["From"] = desk.sender(str(author))
    return fields


def _sender_type(author: Any) -> str:
    if author is None:
        return "system"
    return "agent" if str(author).startswith(records.AGENT) else "customer"


def _dynamic(desk: Connection, payload: Native, key: str | None, message: str | None) -> list[Native]:
    found = [
        {"Name": name, "Value": records.write_value(value, desk.field_types.get(name, "Text"))}
        for name, value in (payload.get("Dynamic") or {}).items()
        if value is not None and name not in records.OWN
    ]
    for name, value in ((records.TAGS, payload.get(records.TAGS)), (records.KEY, key), (records.MESSAGE, message)):
        if value:
            found.append({"Name": name, "Value": value})
    return found


def _said(desk: Connection, made: int, payload: Native, files: Sequence[Child]) -> Said:
    author = payload.get("Author")
    agent = str(author).removeprefix(records.AGENT) if _sender_type(author) == "agent" else records.ROOT
    sender = desk.sender(str(author)) if author is not None else ""
    named = tuple(File(_name(file), str(file.payload.get("ContentType") or "")[:450]) for file in files)
    html = str(payload.get("Html") or "")
    return Said(made, payload.get("CreateTime"), int(agent), sender, html if PICTURE.search(html) else None, named)


# ---- what travels with them ------------------------------------------------------------------------------------------


def _plain(unit: Unit) -> Native:
    return {name: value for name, value in unit.payload.items() if value is not None}


def _first(unit: Unit) -> Child | None:
    return next((child for child in unit.children if child.kind == "message"), None)


def _files(unit: Unit, first: Child | None) -> list[Child]:
    """Return the files of a ticket's first article, or of an article that is written by itself."""
    owner = first.id if first else None
    return [child for child in unit.children if child.kind == "attachment" and child.owner == owner]


def _message_key(unit: Unit, first: Child | None) -> str | None:
    return f"{unit.key.split(':', 1)[0]}:message:{first.id}" if first else None


def _name(file: Child) -> str:
    return str(file.payload.get("Filename") or "file")


def _attached(file: Child) -> Native:
    assert file.blob is not None
    kind = str(file.payload.get("ContentType") or "")
    held = file.blob.read_bytes()
    name = _name(file)
    return {
        "Filename": name if name.strip(" .") else "file",
        "ContentType": kind if KIND.match(kind) else "application/octet-stream",
        "Content": base64.b64encode(held).decode() or EMPTY,
    }


def _file_ids(desk: Connection, id: int, made: int, files: Sequence[Child]) -> dict[tuple[str, str], str]:
    """Return the files' ids: Znuny numbers them by name. Raises RefusedError where one is missing."""
    if not files:
        return {}
    if desk.sees:
        sql = "SELECT id, filename FROM article_data_mime_attachment WHERE article_id = %s ORDER BY filename, id"
        held = [int(row["id"]) for row in desk.rows(sql, [made]) or ()]
        ours = sorted(held)[-len(files) :]  # what Znuny itself makes of the text is stored before
        numbers = [str(held.index(one) + 1) for one in ours]
    else:
        names = _listed_names(desk, id, made)
        numbers = [names.pop(_cleaned(_name(file)), "") for file in files]
    if len(numbers) < len(files):
        raise RefusedError(
            f"article {made} of ticket {id} is there, and {len(files) - len(numbers)} of its files are not"
        )
    return {(file.kind, file.id): f"{made}:{number}" for file, number in zip(files, numbers, strict=True)}


def _listed_names(desk: Connection, id: int, made: int) -> dict[str, str]:
    """Return names of an article's files to their numbers, by the web service."""
    for whole in desk.interface.tickets([id], AllArticles=1, Attachments=1, GetAttachmentContents=0):
        for one in whole.get("Article") or ():
            if int(one["ArticleID"]) == made:
                return {str(file["Filename"]): str(file["FileID"]) for file in one.get("Attachment") or ()}
    return {}


def _cleaned(name: str) -> str:
    """Return a file's name as Znuny keeps it (``FilenameCleanUp``, type Local, read in 6.5.1)."""
    return name.strip().lstrip(".").replace("\r", "").replace("\n", "")


# ---- what the web service cannot add ---------------------------------------------------------------------------------


def added(desk: Connection, unit: Unit) -> Written:
    """Add a queue, a company, a customer, an agent or a dynamic field by Znuny's own Perl."""
    if desk.console is None:
        raise RefusedError(f"{unit.kind}: only Znuny's own Perl adds one: the channel console")
    if unit.kind == "automation":
        return jobs.added(desk, unit)
    deed, words = _deed(desk, unit)
    made = desk.console.ask(deed, **words)
    if deed == "linked":
        return _linked(desk, unit) or Written(records.link(_plain(unit))["id"])
    made = words.get("id") if deed == "company" else words["login"] if deed == "customer" else made
    return Written(_id(unit, str(made)), words.get("name") if deed == "field" else None)


def _linked(desk: Connection, unit: Unit) -> Written | None:
    """Return the link as it stands: between equals Znuny keeps one, in the direction that came first."""
    payload = _plain(unit)
    one, other = str(payload["source_key"]), str(payload["target_key"])
    found = desk.rows(records.LINKED, [payload["type"], one, other, other, one])
    return Written(records.link(found[0])["id"]) if found else None


def _deed(desk: Connection, unit: Unit) -> tuple[str, Native]:
    payload = _plain(unit)
    group = desk.options.get("group", "users")
    if unit.kind == "custom_field":
        options = [one["label"] for one in payload.get("options") or ()]
        name, kind = _field_name(unit), payload.get("field_type", "Text")
        label, of = str(payload["label"]), "Article" if payload.get("name") == records.MESSAGE else "Ticket"
        words = {"name": name, "label": label, "type": kind, "object": of}
        return "field", {**words, "options": options} if kind in ("Dropdown", "Multiselect") else words
    if unit.kind == "sla":
        return "sla", catalogue.sla_words(payload)
    if unit.kind == "ticket_link":
        return "linked", {"source": payload["source_key"], "target": payload["target_key"], "type": payload["type"]}
    if unit.kind == "group":
        return "queue", {"name": payload["name"], "comment": payload.get("comments", ""), "group": group}
    if unit.kind == "organization":
        return "company", {
            "id": payload["name"],
            "name": payload["name"],
            "comment": payload.get("comments", ""),
        }
    first, last = records.split_name(str(payload["name"]))
    login = _login(unit)
    person = {"login": login, "first_name": first, "last_name": last}
    person["email"] = payload.get("email") or f"{login}@{records.NO_ADDRESS}"
    if unit.kind == "agent":
        return "agent", {**person, "group": group}
    company = payload.get("company")
    return "customer", {
        **person,
        "customer_id": str(company) if company is not None else login[:150],
        "phone": payload.get("phone", ""),
        "comment": payload.get("comments", ""),
    }


def _field_name(unit: Unit) -> str:
    """Return a dynamic field's name: letters and digits only, and the same each time it is asked for."""
    if unit.payload.get("name") in records.OWN:
        return str(unit.payload["name"])
    said = re.sub(r"[^A-Za-z0-9]", "", str(unit.payload["label"]))[:60]
    return said + hashlib.sha256(unit.key.encode()).hexdigest()[:6]


def _login(unit: Unit) -> str:
    """Return a person's login: the address, or our key where there is none."""
    return str(unit.payload.get("email") or re.sub(r"[^\w.-]", "-", unit.key)).lower()[:200]


def _id(unit: Unit, made: str) -> str:
    return records.AGENT + made if unit.kind == "agent" else made


# ---- doubt -----------------------------------------------------------------------------------------------------------


def found(desk: Connection, unit: Unit) -> Written | None:
    """Return what a call in doubt made, completed where it was left half done; None where it made nothing."""
    if unit.kind == "ticket":
        return _found_ticket(desk, unit)
    if unit.kind == "message":
        return _found_article(desk, unit)
    if unit.kind == "ticket_link":
        return _linked(desk, unit)
    if unit.kind == "automation":
        return jobs.found(desk, unit)
    name = _field_name(unit) if unit.kind == "custom_field" else None
    known = name or (_login(unit) if unit.kind in ("contact", "agent") else unit.payload["name"])
    rows = desk.rows(KNOWN_BY[unit.kind], [known])
    return Written(_id(unit, rows[0]["id"]), name) if rows else None


def _found_ticket(desk: Connection, unit: Unit) -> Written | None:
    ids = desk.interface.search(**{f"DynamicField_{records.KEY}": {"Equals": unit.key}})
    if not ids:
        return None
    id, until = ids[0], time.monotonic() + HALF_DONE_SECONDS
    while True:
        there = desk.interface.tickets([id], AllArticles=1)
        articles = there[0].get("Article") or [] if there else []
        if articles or time.monotonic() > until:
            break
        desk.client.sleep(HALF_DONE_SECONDS / 3)
    if not there:
        return None
    wanted = _ticket_fields(desk, _plain(unit))
    if not articles:
        made = _first_article_again(desk, unit, id)
    else:
        made = int(articles[0]["ArticleID"])
    if str(there[0].get("OwnerID")) != str(wanted["OwnerID"]):  # the owner is set last
        desk.interface.write("PUT", f"/Ticket/{id}", {"Ticket": {"OwnerID": wanted["OwnerID"], "Lock": wanted["Lock"]}})
    return _dated(desk, unit, id, made)


def _first_article_again(desk: Connection, unit: Unit, id: int) -> int:
    """Write the first article of a ticket that was left without one, as a server does that dies in between."""
    payload, first = _plain(unit), _first(unit)
    body: Native = {"Article": _article_fields(desk, first.payload if first else {}, payload.get("Title"))}
    if message := _message_key(unit, first):
        body["DynamicField"] = [{"Name": records.MESSAGE, "Value": message}]
    if files := _files(unit, first):
        body["Attachment"] = [_attached(file) for file in files]
    return int(desk.interface.write("PUT", f"/Ticket/{id}", body)["ArticleID"])


def _found_article(desk: Connection, unit: Unit) -> Written | None:
    id = int(unit.refs["ticket"])
    for there in desk.interface.tickets([id], AllArticles=1):
        for one in there.get("Article") or ():
            own = {field["Name"]: field.get("Value") for field in one.get("DynamicField") or ()}
            if own.get(records.MESSAGE) == unit.key:
                moved = desk.database.moved(id) if desk.database else {}
                return _article_dated(desk, unit, id, int(one["ArticleID"]), moved)
    return None
