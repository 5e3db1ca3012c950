"""What DirectAdmin's words mean, whether its API says them or a backup: pointers, responders, rights, PHP."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from migrator.connectors.panels import forwarders
from migrator.zones.records import RecordSet

Native = dict[str, Any]
HOURS = {"morning": 6, "afternoon": 12, "evening": 18}  # when a vacation begins or ends on its day (facts.yaml)
UNITS = {"m": 1 / 60, "h": 1, "d": 24}  # of the least time between two answers, in hours
RIGHTS = {
    "alter_priv": "ALTER", "alter_routine_priv": "ALTER ROUTINE", "create_priv": "CREATE",
    "create_routine_priv": "CREATE ROUTINE", "create_tmp_table_priv": "CREATE TEMPORARY TABLES",
    "create_view_priv": "CREATE VIEW", "delete_priv": "DELETE", "drop_priv": "DROP", "event_priv": "EVENT",
    "execute_priv": "EXECUTE", "index_priv": "INDEX", "insert_priv": "INSERT", "lock_tables_priv": "LOCK TABLES",
    "references_priv": "REFERENCES", "select_priv": "SELECT", "show_view_priv": "SHOW VIEW",
    "trigger_priv": "TRIGGER", "update_priv": "UPDATE",
}  # fmt: skip


def values(text: str) -> dict[str, str]:
    """Return the values of a line such as ``path=/x&type=custom``, decoded."""
    return dict(parse_qsl(text, keep_blank_values=True))


def pointer_type(told: Any) -> str:
    """Return ``alias`` or ``pointer`` (which redirects), however it is told."""
    if isinstance(told, Mapping):
        return str(told.get("type") or "alias")
    text = str(told)
    return values(text).get("type", "alias") if "=" in text else text or "alias"


def pointed(pointer: str, to: str) -> Native:
    """Return the redirect that a pointer is which is no alias."""
    return {"id": f"{pointer}/", "host": pointer, "path": "/", "to": f"http://{to}/", "wildcard": True}


def forwarder(address: str, targets: Iterable[str], *, user: str, main: str, boxes: Iterable[str]) -> Native:
    """Return a forwarder's record; a mailbox of the same name gets a copy, as DirectAdmin's Exim has it."""
    domain = address.rpartition("@")[2]
    made = forwarders.alias(address, domain, [qualified(one, domain, user=user, main=main) for one in targets])
    return made | ({"keep_copy": True} if address in set(boxes) else {})


def qualified(target: str, domain: str, *, user: str, main: str) -> str:
    """Return a target as an address: a bare name is of the same domain, the account's own login its own mailbox."""
    if not re.fullmatch(r"[\w.+-]+", target):
        return target
    return f"{user}@{main}" if target == user else f"{target}@{domain}"


def catch_all(domain: str, told: str, *, user: str, main: str) -> Native:
    """Return where the mail to a domain's unknown addresses goes."""
    return forwarders.catch_all(domain, qualified(told.strip(), domain, user=user, main=main))


def moment(told: Mapping[str, Any], which: str) -> int | None:
    """Return when a vacation starts or ends (``which``), in seconds since 1970; None where that is not told."""
    try:
        year, month, day = (int(told[f"{which}{part}"]) for part in ("year", "month", "day"))
        hour = HOURS.get(str(told.get(f"{which}time", "")), 0)
        return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def hours(told: Any) -> int | None:
    """Return the least hours between two answers, of ``2d``, ``1h`` or ``30m``; less than one counts as one."""
    found = re.fullmatch(r"\s*(\d{1,6})\s*([mhd])\w*\s*", str(told or ""))
    return max(1, round(int(found[1]) * UNITS[found[2]])) if found and int(found[1]) else None


def rights(told: Mapping[str, Any]) -> list[str]:
    """Return what a user may do in a database; all there is, as one word."""
    found = [word for key, word in RIGHTS.items() if str(told.get(key, "")).upper() in ("Y", "YES", "ON")]
    named = ["ALL PRIVILEGES"] if len(found) == len(RIGHTS) else found
    return named + (["GRANT OPTION"] if str(told.get("grant_priv", "")).upper() == "Y" else [])


def php_version(selected: Any, releases: str) -> str | None:
    """Return the version behind the number of a choice, by ``releases``: ``1=8.3 2=7.4``."""
    return dict(one.partition("=")[::2] for one in releases.replace(",", " ").split()).get(str(selected or "1"))


def marked(sets: Iterable[RecordSet]) -> list[RecordSet]:
    """Return a zone's sets; checks of certificates are marked as the panel's own."""
    return [
        replace(one, beside={**(one.beside or {}), "generated": True})
        if one.name.startswith("_acme-challenge.")
        else one
        for one in sets
    ]
