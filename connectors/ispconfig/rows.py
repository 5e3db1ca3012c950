"""Rows of ISPConfig's tables and our records: what stands where, both ways. Nothing here talks to anybody."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from migrator.connector import Native

CRON = ("run_min", "run_hour", "run_mday", "run_month", "run_wday")
LOCKS = ("disableimap", "disablepop3", "disablesmtp")
WHEN = "%Y-%m-%d %H:%M:%S"
# In interface/web/sites/form/web_vhost_domain.tform.php each of these has to be there; the values are its defaults.
SITE: Mapping[str, Any] = {
    "ip_address": "*", "ipv6_address": "", "type": "vhost", "parent_domain_id": 0, "vhost_type": "name",
    "hd_quota": -1, "traffic_quota": -1, "cgi": "n", "ssi": "n", "suexec": "y", "errordocs": 1, "subdomain": "www",
    "ssl": "n", "perl": "n", "ruby": "n", "python": "n", "allow_override": "All", "http_port": 80, "https_port": 443,
    "pm_process_idle_timeout": 10, "pm_max_requests": 0, "traffic_quota_lock": "n", "stats_type": "awstats",
    "backup_interval": "none", "backup_copies": 1, "active": "y",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Where a kind's records are: the functions ``<call>_add`` and so on, the table, its key, what tells two apart."""

    call: str
    stream: str
    key: str
    named: tuple[str, ...]
    server: str


TABLES: Mapping[str, Table] = {
    "domain": Table("mail_domain", "mail_domain", "domain_id", ("domain",), "mail_server"),
    "mailbox": Table("mail_user", "mail_user", "mailuser_id", ("email",), "mail_server"),
    "alias": Table("mail_forward", "mail_forwarding", "forwarding_id", ("source", "type"), "mail_server"),
    "catch_all": Table("mail_catchall", "mail_forwarding", "forwarding_id", ("source", "type"), "mail_server"),
    "website": Table("sites_web_domain", "web_domain", "domain_id", ("domain",), "web_server"),
    "database": Table("sites_database", "web_database", "database_id", ("database_name",), "database_server"),
    "database_user": Table(
        "sites_database_user", "web_database_user", "database_user_id", ("database_user",), "database_server"
    ),
    "cron_job": Table("sites_cron", "cron", "id", (*CRON, "command"), "web_server"),
}
OF_STREAM: Mapping[str, Table] = {table.stream: table for table in reversed(list(TABLES.values()))}


def password() -> str:
    """Return a password that nobody knows or will: the login is shut until its owner sets one of his own."""
    return f"{secrets.token_urlsafe(24)}-aA1"


# ---- what is written -------------------------------------------------------------------------------------------------


def row(kind: str, told: Native, zone: tzinfo = UTC) -> Native:
    """Return the columns for those places of a record that are told: all of a new one, or what changes."""
    made: Native = {}
    for name, value in told.items():
        made |= _COLUMNS.get((kind, name), _same)(name, value, told, zone)
    return made


def _same(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    return {name: value}


def _nothing(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    return {}


def _hash(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    return {name: re.sub(r"^\{[^}]*\}", "", str(value)), "_ispconfig_pw_crypted": 1} if value else {}


def _locks(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    return dict.fromkeys(LOCKS, "y" if value else "n")


def _quota(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    return {name: str(value or 0)}


def _destinations(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    own = [told["source"]] if told.get("keep_copy") and told.get("source") else []
    return {"destination": ", ".join([*value, *own])}


def _caught(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    return {"source": f"@{value}"}


def _schedule(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    return dict(zip(CRON, str(value).split(), strict=True))


def _moment(name: str, value: Any, told: Native, zone: tzinfo) -> Native:
    at = datetime.fromisoformat(str(value)).astimezone(zone).strftime(WHEN) if value else ""
    return {f"autoresponder_{name}_date": at}


_COLUMNS: Mapping[tuple[str, str], Callable[[str, Any, Native, tzinfo], Native]] = {
    ("mailbox", "mail_domain"): _nothing,
    ("mailbox", "password"): _hash,
    ("mailbox", "suspended"): _locks,
    ("mailbox", "quota"): _quota,
    ("alias", "mail_domain"): _nothing,
    ("alias", "destinations"): _destinations,
    ("alias", "keep_copy"): _nothing,  # with the destinations
    ("catch_all", "mail_domain"): _nothing,
    ("catch_all", "of"): _caught,
    ("autoresponder", "start"): _moment,
    ("autoresponder", "end"): _moment,
    ("autoresponder", "mailuser_id"): _nothing,
    ("website", "mail_domain"): _nothing,
    ("database_user", "database_password"): _hash,
    ("cron_job", "schedule"): _schedule,
}


# ---- what is read ----------------------------------------------------------------------------------------------------


def record(stream: str, held: Native, domains: Mapping[str, str], zone: tzinfo = UTC) -> Native:
    """Return a row with what its columns mean beside them; ``domains``: a mail domain's name to its id."""
    meant = _MEANT.get(stream)
    return {**held, **meant(held, domains, zone)} if meant else dict(held)


def _of(address: str, domains: Mapping[str, str]) -> Native:
    id = domains.get(address.rpartition("@")[2])
    return {"mail_domain": id} if id else {}


def _mailbox(held: Native, domains: Mapping[str, str], zone: tzinfo) -> Native:
    made = _of(str(held["email"]), domains)
    made["suspended"] = all(held.get(lock) == "y" for lock in LOCKS[:2])
    made["answers"] = held.get("autoresponder") == "y"
    for name in ("start", "end"):
        told = str(held.get(f"autoresponder_{name}_date") or "")
        if told and not told.startswith("0000"):
            at = datetime.strptime(told, WHEN).replace(tzinfo=zone).astimezone(UTC)
            made[name] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return made


def _forward(held: Native, domains: Mapping[str, str], zone: tzinfo) -> Native:
    source = str(held["source"])
    made = {**_of(source, domains), "of": source.rpartition("@")[2]}
    to = [one for one in re.split(r"[,\s]+", str(held.get("destination") or "")) if one]
    return made | {"destinations": [one for one in to if one != source], "keep_copy": source in to}


def _site(held: Native, domains: Mapping[str, str], zone: tzinfo) -> Native:
    name = str(held["domain"])
    found = max((one for one in domains if name == one or name.endswith("." + one)), key=len, default="")
    return {"mail_domain": domains[found]} if found else {}


def _database(held: Native, domains: Mapping[str, str], zone: tzinfo) -> Native:
    return {"granted": str(held.get("database_user_id") or "0") != "0"}


def _cron(held: Native, domains: Mapping[str, str], zone: tzinfo) -> Native:
    return {"schedule": " ".join(str(held[part]).replace(" ", "") for part in CRON)}


_MEANT: Mapping[str, Callable[[Native, Mapping[str, str], tzinfo], Native]] = {
    "mail_user": _mailbox,
    "mail_forwarding": _forward,
    "web_domain": _site,
    "web_database": _database,
    "cron": _cron,
}
