"""Plesk's objects and our records: what stands where, both ways. Nothing here talks to anybody."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from migrator.connector import Native
from migrator.errors import RefusedError
from migrator.zones.records import RecordSet, absolute, plain_text, quoted, record_set, strings

from .packets import Operation, el, operation, plain

VHOSTS = "/var/www/vhosts/"
HANDLER = re.compile(r"plesk-php(\d)(\d+)-")  # the ids of the handlers that Plesk itself brings


def password() -> str:
    """Return a password that nobody knows or will: the login is shut until its owner sets one of his own."""
    return f"{secrets.token_urlsafe(24)}-aA1"


# ---- sites -----------------------------------------------------------------------------------------------------------


def site(node: Element, *, main: str, versions: Mapping[str, str]) -> Native:
    """Return a site's record from an answer of ``webspace/get`` or ``site/get``.

    ``main``: the subscription's name; ``versions``: PHP handlers to their versions.
    """
    told = plain(node.find("data") or el("data"))
    general, hosting = told.get("gen_info") or {}, told.get("hosting") or {}
    name = str(general.get("ascii-name") or general.get("name") or "").lower()
    physical = hosting.get("vrt_hst") if isinstance(hosting, dict) else None
    parent = str(general.get("parent-site-id") or "0")
    made: Native = {
        "id": node.findtext("id"), "name": name, "hosted": general.get("htype") == "vrt_hst",
        "sort": "main" if name == main else "subdomain" if parent not in ("", "0") else "site",
    }  # fmt: skip
    if made["sort"] == "subdomain":
        made["parent"] = parent
    if isinstance(physical, dict):
        made["root"] = below(str(physical.get("www_root") or ""), main)
        handler = str(physical.get("php_handler_id") or "")
        if physical.get("php") == "true" and handler:
            made["php_version"] = versions.get(handler) or _version(handler)
        physical.pop("ftp_password", None)
    return {**made, "told": {"gen_info": general, "hosting": hosting}}


def _version(handler: str) -> str | None:
    found = HANDLER.match(handler)
    return f"{found[1]}.{found[2]}" if found else None


def below(path: str, main: str) -> str:
    """Return a path below the subscription's own folder."""
    return path.removeprefix(f"{VHOSTS}{main}").strip("/")


def preferences(told: Native) -> Native:
    """Return what a site's mail preferences mean."""
    unknown = told.get("nonexistent-user")
    way, to = next(iter(unknown.items()), ("", "")) if isinstance(unknown, dict) else ("", "")
    made: Native = {"mail": "off" if told.get("mailservice") == "false" else "on"}
    return made | ({"catch": way} if way else {}) | ({"catch_to": to} if way == "forward" else {})


# ---- mail ------------------------------------------------------------------------------------------------------------


def mailname(node: Element, site_id: str, domain: str) -> Native:
    """Return a mail account's record: a mailbox, a forwarder and an autoresponder may all be in it."""
    told = plain(node)
    told.pop("password", None)
    box, on, away = (_part(told.get(part)) for part in ("mailbox", "forwarding", "autoresponder"))
    quota = str(box.get("quota") or "-1")
    to, names = listed(on.get("address")), listed(told.get("alias"))
    address = f"{str(told.get('name') or '').lower()}@{domain}"
    made: Native = {
        "id": address, "address": address, "site": site_id,
        "name": told.get("name"), "box": box.get("enabled") == "true",
        "quota": quota if quota not in ("-1", "0") else None, "forwards": on.get("enabled") != "false" and bool(to),
        "to": [one.lower() for one in to], "answers": away.get("enabled") == "true",
        "subject": away.get("subject"), "text": away.get("text"), "html": away.get("content_type") == "text/html",
        "names": [f"{one.lower()}@{domain}" for one in names],
    }  # fmt: skip
    ends = str(away.get("end_date") or "")[:10]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", ends) and not ends.startswith("0000"):
        made["end"] = f"{ends}T00:00:00Z"
    return {key: value for key, value in made.items() if value is not None} | {"told": told}


def _part(value: Any) -> Native:
    """Return a part of an account as a record, whether it is empty or comes twice."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, dict) else {}


def listed(value: Any) -> list[str]:
    """Return what may stand once, several times or not at all as a list."""
    return [str(one) for one in value if one] if isinstance(value, list) else [str(value)] if value else []


def further_names(accounts: Sequence[Native]) -> Iterator[Native]:
    """Yield the further names of mail accounts, each a record."""
    for one in accounts:
        for name in one["names"]:
            yield {"id": name, "address": name, "site": one["site"], "to": [one["address"]]}


def about(site_id: str, *names: str) -> Element:
    """Return the filter that names mail accounts of a site."""
    return el("filter", el("site-id", site_id), *(el("name", name) for name in names))


def get_info(site_id: str, *names: str) -> Operation:
    """Return the question for mail accounts: all of a site where none is named."""
    asked = (el(part) for part in ("mailbox", "forwarding", "aliases", "autoresponder"))
    return operation("mail", "get_info", about(site_id, *names), *asked)


def mailbox(quota: Any, *, on: bool = True) -> Element:
    """Return a mailbox's settings; no quota is -1."""
    return el("mailbox", el("enabled", on), el("quota", int(quota) if quota else -1) if on else None)


def forwarding(to: Sequence[str], *, on: bool = True) -> Element:
    """Return a forwarder's settings."""
    return el("forwarding", el("enabled", on), *(el("address", one) for one in to))


def autoresponder(told: Native, *, on: bool = True) -> Element:
    """Return an autoresponder's settings."""
    if not on:
        return el("autoresponder", el("enabled", False))
    ends = str(told.get("end") or "")[:10]
    return el(
        "autoresponder", el("enabled", True), el("subject", told.get("subject") or ""),
        el("content_type", "text/html" if told.get("html") else "text/plain"), el("charset", "UTF-8"),
        el("text", told.get("text") or ""), el("end_date", ends) if ends else None,
    )  # fmt: skip


def secret(hashed: Any) -> Element:
    """Return a login's password: a hash where there is one, else one that nobody knows."""
    bare = re.sub(r"^\{[^}]*\}", "", str(hashed or ""))
    return el("password", el("value", bare or password()), el("type", "crypt" if bare else "plain"))


def mail(site_id: str, account: str, *settings: Element, way: str = "create") -> Operation:
    """Return the creation of a mail account, or with ``way`` the change of one (``set``)."""
    told = el("filter", el("site-id", site_id), el("mailname", el("name", account), *settings))
    return operation("mail", "create", told) if way == "create" else operation("mail", "update", el(way, told))


# ---- zones -----------------------------------------------------------------------------------------------------------

WORDS_BEFORE = {"MX": 1, "SRV": 3, "CAA": 2}  # of a record's data: what stands in <opt>


def gathered(zone: str, rows: Sequence[Native]) -> list[RecordSet]:
    """Return a zone's records, which come one by one, as record sets. No record tells a TTL of its own."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        type = str(row["type"]).upper()
        found.setdefault((absolute(str(row["host"]) or "@", zone), type), []).append(data(row))
    return [record_set(zone, name, type, 0, texts) for (name, type), texts in found.items()]


def data(row: Native) -> str:
    """Return a record's data in master file form."""
    type, value, opt = str(row["type"]).upper(), str(row.get("value") or ""), str(row.get("opt") or "").strip()
    if type in ("TXT", "SPF"):
        return quoted(value.encode())
    if type == "CAA":
        value = quoted(value.strip('"').encode())
    elif type in ("MX", "SRV", "CNAME", "NS", "PTR"):
        value = f"{value.rstrip('.')}."
    return f"{opt} {value}".strip() if type in WORDS_BEFORE else value


def record(zone: str, one: RecordSet, value: str) -> Native:
    """Return one value of a record set as Plesk takes it. Raises RefusedError for a text that is no UTF-8."""
    host = "" if one.name == zone else one.name.removesuffix(f".{zone}")
    opt = ""
    if one.type in ("TXT", "SPF"):
        said = plain_text(value)
        if said.encode() != b"".join(strings(value)):
            raise RefusedError(f"{one.name} {one.type}: bytes that are no UTF-8 cannot be told to Plesk")
        value = said
    elif one.type in WORDS_BEFORE:
        words = value.split(" ", WORDS_BEFORE[one.type])
        opt, value = " ".join(words[:-1]), words[-1]
        value = plain_text(value) if one.type == "CAA" else value
    return {"type": one.type, "host": host, "value": value, "opt": opt}


def add_record(site_id: str, row: Native) -> Operation:
    """Return the creation of one DNS record."""
    opt = el("opt", row["opt"]) if row["opt"] else None
    parts = (el(part, row[part]) for part in ("type", "host", "value"))
    return operation("dns", "add_rec", el("site-id", site_id), *parts, opt)
