"""Znuny's answers and rows made into native records: one document a record, what was left elsewhere put into it."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any

from migrator.connector import Native
from migrator.documents import foreign

KEY, TAGS, MESSAGE = "MigratorKey", "MigratorTags", "MigratorMessage"  # dynamic fields of our own
OWN = (KEY, TAGS, MESSAGE)
NO_ADDRESS = "no-address.invalid"  # stands after the @ where a person has no address: Znuny wants one
NO_NAME = "-"  # Znuny wants a first name
PASSING = ("Age", "UntilTime", "EscalationTime", "EscalationResponseTime", "EscalationSolutionTime",
           "EscalationUpdateTime", "UnlockTimeout")  # of a moment, not of the ticket  # fmt: skip
AGENT = "agent:"
ROOT = "1"  # root@localhost, who owns what nobody owns
HTML_BODY = re.compile(r"file-[12](\.html)?")

AGENTS = """SELECT u.id, u.login, u.title, u.first_name, u.last_name, u.valid_id, u.create_time, u.change_time,
    (SELECT min(p.preferences_value) FROM user_preferences p WHERE p.user_id = u.id AND p.preferences_key = 'UserEmail')
    AS email FROM users u WHERE u.id <> 1 ORDER BY u.id"""
CONTACTS = """SELECT c.login, c.email, c.customer_id, c.title, c.first_name, c.last_name, c.phone, c.fax, c.mobile,
    c.street, c.zip, c.city, c.country, c.comments, c.valid_id, c.create_time, c.change_time, o.customer_id AS company
    FROM customer_user c LEFT JOIN customer_company o ON o.customer_id = c.customer_id ORDER BY c.id"""
STRANGERS = """SELECT DISTINCT t.customer_user_id AS login FROM ticket t WHERE t.customer_user_id <> ''
    AND NOT EXISTS (SELECT 1 FROM customer_user c WHERE c.login = t.customer_user_id) ORDER BY 1"""
COMPANIES = """SELECT customer_id, name, street, zip, city, country, url, comments, valid_id, create_time, change_time
    FROM customer_company ORDER BY customer_id"""
QUEUES = """SELECT id, name, comments, valid_id, create_time, change_time FROM queue ORDER BY id"""
FIELDS = """SELECT id, name, label, field_order, field_type, object_type, internal_field, config, valid_id, create_time,
    change_time FROM dynamic_field WHERE object_type = 'Ticket' OR name = 'MigratorMessage' ORDER BY id"""
SERVICES = """SELECT id, name, comments, valid_id, create_time, change_time FROM service ORDER BY name"""
CUSTOMERS = """SELECT service_id, customer_user_login AS login FROM service_customer_user
    ORDER BY service_id, customer_user_login"""
SLAS = """SELECT id, name, comments, calendar_name, first_response_time, first_response_notify, update_time,
    update_notify, solution_time, solution_notify, valid_id, create_time, change_time FROM sla ORDER BY id"""
SLA_SERVICES = "SELECT sla_id, service_id FROM service_sla ORDER BY sla_id, service_id"
EVERYONE = "<DEFAULT>"  # stands for the customers who are given no service of their own
HISTORY = """SELECT h.id, h.ticket_id, h.name, t.name AS type, h.article_id, h.create_by, h.create_time
    FROM ticket_history h JOIN ticket_history_type t ON t.id = h.history_type_id
    WHERE h.ticket_id IN ({}) ORDER BY h.create_time, h.id"""
LINKS = """SELECT r.source_key, r.target_key, t.name AS type FROM link_relation r
    JOIN link_type t ON t.id = r.type_id JOIN link_state s ON s.id = r.state_id
    JOIN link_object o ON o.id = r.source_object_id JOIN link_object p ON p.id = r.target_object_id
    WHERE o.name = 'Ticket' AND p.name = 'Ticket' AND s.name = 'Valid' ORDER BY r.source_key, r.target_key, t.name"""
LINKED = LINKS.replace(
    "ORDER BY", "AND t.name = %s AND (r.source_key, r.target_key) IN ((%s, %s), (%s, %s)) ORDER BY"
)  # in either direction


@dataclass
class People:
    """Who is who: agents' addresses and numbers, customers' addresses and logins, and how a From names them."""

    agents: dict[str, str] = field(default_factory=dict)  # address to id
    contacts: dict[str, str] = field(default_factory=dict)  # address to login
    senders: dict[str, str] = field(default_factory=dict)  # id, as a reference has it, to "Name" <address>

    @classmethod
    def known(cls, agents: Iterable[Native], contacts: Iterable[Native]) -> People:
        """Return the people of these records."""
        found = cls()
        for one in agents:
            found.add_agent(one)
        for one in contacts:
            found.add_contact(one)
        return found

    def add_agent(self, record: Native) -> None:
        """Add an agent's record."""
        id = f"{AGENT}{record['id']}"
        self.senders[id] = sender(record["name"], record.get("email"))
        if record.get("email"):
            self.agents.setdefault(record["email"].lower(), id)

    def add_contact(self, record: Native) -> None:
        """Add a customer's record."""
        login = record["login"]
        self.senders[login] = sender(record["name"], record.get("address") or record.get("email"))
        for address in (record.get("address"), record.get("email"), login):
            if address:
                self.contacts.setdefault(address.lower(), login)

    def requester(self, login: str) -> str | None:
        """Return whose ticket it is: a customer, or the agent whose bare address stands in the customer's place."""
        if not login:
            return None
        return login if login in self.senders else self.agents.get(login.lower(), login)

    def author(self, article: Native, ticket: Native, myself: str) -> str | None:
        """Return who wrote an article: its maker, or its sender where the maker is the agent we sign in as."""
        kind, maker = article.get("SenderType"), str(article.get("CreateBy") or "")
        address = parseaddr(str(article.get("From") or ""))[1].lower()
        if kind == "agent":
            if maker not in ("", ROOT, myself):
                return AGENT + maker
            found = self.agents.get(address) or self.contacts.get(address)
            return found or (AGENT + maker if maker == myself else None)
        if kind == "customer":
            if found := self.contacts.get(address) or self.agents.get(address):
                return found
            return self.requester(str(ticket.get("CustomerUserID") or "")) if not address else None
        return None


def sender(name: str, address: str | None) -> str:
    """Return a person the way a mail's From has it."""
    quoted = re.sub(r"[\x00-\x1f\"\\<>]", " ", name).strip()
    return f'"{quoted}" <{address}>' if address else f'"{quoted}"'


def split_name(name: str) -> tuple[str, str]:
    """Return a name as first and last name, so that ``full_name`` gives it back."""
    first, _, last = name.partition(" ")
    whole = first in ("", "0", NO_NAME) or last.strip() in ("", "0")  # Perl takes "0" for nothing
    return (NO_NAME, name) if whole else (first, last)


def full_name(row: Mapping[str, Any]) -> str:
    """Return the first and the last name of a row as one."""
    first, last = row.get("first_name") or "", row.get("last_name") or ""
    return last if first == NO_NAME else f"{first} {last}" if last else first


def agent(row: Native) -> Native:
    """Return an agent's record. An address that is the login too is stored as the login only (6.5.1, UserAdd)."""
    login = row.get("login") or ""
    return {**row, "name": full_name(row), "email": row.get("email") or (login if "@" in login else None)}


def contact(row: Native) -> Native:
    """Return a customer's record; ``email`` is gone where it was made up, ``address`` is what stands in a From."""
    made_up = (row.get("email") or "").endswith("@" + NO_ADDRESS)
    return {**row, "name": full_name(row), "email": None if made_up else row.get("email"), "address": row.get("email")}


def stranger(login: str) -> Native:
    """Return a record for somebody only a ticket names, by an address."""
    return {"login": login, "name": login, "email": login if "@" in login else None, "only_named": True}


def dynamic_field(row: Native) -> Native:
    """Return a dynamic field's record: its settings are YAML in one column."""
    try:
        settings = foreign(row.get("config") or "")
    except ValueError:
        settings = None
    possible = settings.get("PossibleValues") if isinstance(settings, dict) else None
    record = {name: value for name, value in row.items() if name != "config"}
    if isinstance(possible, dict):
        pairs = sorted(
            ((str(key), str(label)) for key, label in possible.items() if str(key)), key=lambda pair: pair[1]
        )
        record["options"] = [{"key": key, "label": label} for key, label in pairs]
    return record


def services(rows: Iterable[Native], customers: Iterable[Native]) -> list[Native]:
    """Return services' records; ``everyone`` is 1 where customers without a service of their own may use it."""
    given = {one["service_id"] for one in customers if one["login"] == EVERYONE}
    return [{**row, "everyone": "1" if row["id"] in given else "0"} for row in rows]


def service_customers(rows: Iterable[Native]) -> list[Native]:
    """Return who may use which service: each known by the two."""
    return [{**row, "id": f"{row['service_id']}-{row['login']}"} for row in rows if row["login"] != EVERYONE]


def slas(rows: Iterable[Native], of: Iterable[Native]) -> list[Native]:
    """Return SLAs' records with the services they may be agreed on for."""
    held: dict[str, list[str]] = {}
    for one in of:
        held.setdefault(one["sla_id"], []).append(one["service_id"])
    return [{**row, "services": held.get(row["id"], [])} for row in rows]


def event(row: Native) -> Native:
    """Return one line of a ticket's history, in the web service's words."""
    maker = str(row["create_by"])
    return {
        "id": row["id"],
        "TicketID": row["ticket_id"],
        "ArticleID": row.get("article_id"),
        "Name": row["name"],
        "HistoryType": row["type"],
        "CreateBy": maker,
        "CreateTime": row["create_time"],
        "Author": None if maker == ROOT else AGENT + maker,
    }


def told_events(ticket: Native) -> list[Native]:
    """Return a ticket's history as the web service tells it: it numbers no line, so each is known by its place."""
    id = ticket["TicketID"]
    return [
        event(
            {
                "id": f"{id}-{place}",
                "ticket_id": id,
                "article_id": line.get("ArticleID") or None,
                "name": line.get("Name"),
                "type": line.get("HistoryType"),
                "create_by": line.get("CreateBy"),
                "create_time": line.get("CreateTime"),
            }
        )
        for place, line in enumerate(ticket.get("History") or (), 1)
    ]


def link(row: Native) -> Native:
    """Return a link's record; it is known by what it links."""
    return {**row, "id": f"{row['source_key']}-{row['target_key']}-{row['type']}"}


def ticket_record(ticket: Native, people: People, types: Mapping[str, str], companies: set[str] | None) -> Native:
    """Return a ticket's record: without its articles, dynamic fields by name, and who it is about."""
    left = {name: value for name, value in ticket.items() if name not in ("Article", "DynamicField", *PASSING)}
    held = {one["Name"]: one.get("Value") for one in ticket.get("DynamicField") or ()}
    dynamic = {
        name: read_value(value, types.get(name, "Text"))
        for name, value in held.items()
        if value not in (None, "", []) and name not in OWN
    }
    company = str(ticket.get("CustomerID") or "")
    return {
        **left,
        "Dynamic": dynamic,
        TAGS: held.get(TAGS),
        "Assignee": None if str(ticket.get("OwnerID")) in ("None", ROOT) else f"{AGENT}{ticket['OwnerID']}",
        "Requester": people.requester(str(ticket.get("CustomerUserID") or "")),
        "Organization": company if company and (companies is None or company in companies) else None,
    }


def read_value(value: Any, type: str) -> Any:
    """Return a dynamic field's value as JSON has it."""
    if type == "Checkbox":
        return str(value) == "1"
    if type == "Date":
        return str(value)[:10]
    return value


def write_value(value: Any, type: str) -> Any:
    """Return a value the way the web service takes it."""
    if type == "Checkbox" or isinstance(value, bool):
        return "1" if value in (True, "true", "1") else "0"
    if type == "Date":
        return f"{str(value)[:10]} 00:00:00"
    return [str(one) for one in value] if isinstance(value, list) else str(value)


def article_record(article: Native, ticket: Native, people: People, myself: str, body: Native | None = None) -> Native:
    """Return an article's record; ``body``: the file with its HTML, where it came apart."""
    id = article["ArticleID"]
    files = []
    for file in article.get("Attachment") or ():
        if is_body(file):
            body = file if file.get("Content") else body
            continue
        kept = {name: value for name, value in file.items() if name != "Content"}
        kept["FilesizeRaw"] = int(file.get("FilesizeRaw") or 0)
        files.append({**kept, "url": f"znuny:{ticket['TicketID']}/{id}/{file['FileID']}"})
    left = {name: value for name, value in article.items() if name not in ("Attachment", "DynamicField")}
    return {
        **left,
        "Html": _decoded(body) if body else as_html(str(article.get("Body") or "")),
        "Author": people.author(article, ticket, myself),
        "Attachment": files,
    }


def is_body(file: Native) -> bool:
    """Tell whether a file of an article is the article's own HTML."""
    named = HTML_BODY.fullmatch(str(file.get("Filename") or ""))
    kind = str(file.get("ContentType") or "").lower().startswith("text/html")
    return bool(named) and kind and file.get("Disposition") == "inline"


def _decoded(body: Native) -> str:
    """Return the text of a file with HTML, in the characters it says it is in."""
    named = re.search(r"charset=[\"']?([\w.-]+)", str(body.get("ContentType") or ""), re.IGNORECASE)
    try:
        held = base64.b64decode(str(body.get("Content") or ""))
        return held.decode(named[1] if named else "utf-8", errors="replace")
    except (binascii.Error, LookupError):
        return ""


def as_html(text: str) -> str:
    """Return a plain text as HTML."""
    return html.escape(text.strip("\n"), quote=False).replace("\n", "<br>") if text.strip() else ""
