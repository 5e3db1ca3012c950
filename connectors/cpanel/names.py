"""What cPanel's words mean, whether UAPI says them or an archive: quotas, PHP, addresses, generated names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from migrator.zones.records import RecordSet

Native = dict[str, Any]
MIB = 2**20
# Names cPanel adds to each zone for itself, all with the server's own address (service subdomains).
SERVICES = ("cpanel", "webmail", "webdisk", "whm", "cpcontacts", "cpcalendars", "autoconfig", "autodiscover")
CHECKS = ("_acme-challenge", "_cpanel-dcv-test-record")


def quota_bytes(told: Any, *, unit: int = MIB) -> int | None:
    """Return a quota in bytes; None where there is none (0, unlimited)."""
    try:
        size = float(told)
    except (TypeError, ValueError):
        return None
    return int(size * unit) or None


def php_version(told: Any) -> str | None:
    """Return ``8.3`` of ``ea-php83`` or ``alt-php8.3``."""
    found = re.search(r"php(\d)\.?(\d+)", str(told or ""))
    return f"{found[1]}.{found[2]}" if found else None


def below_home(path: str, home: str) -> str:
    """Return a path below the account's home; one that lies elsewhere stays whole."""
    return path[len(home) :].strip("/") if home and path.startswith(home.rstrip("/") + "/") else path


def parent(name: str, domains: Iterable[str]) -> str | None:
    """Return the domain a sub domain is of: the longest that it ends in."""
    return max((one for one in domains if name.endswith("." + one)), key=len, default=None)


def alias(address: str, domain: str, told: Sequence[str]) -> Native:
    """Return a forwarder's record: addresses, and what is none (a program, a file, a refusal) as cPanel writes it."""
    addresses, other, copy = [], [], False
    for one in told:
        if one.lower() == address:
            copy = True  # its own mailbox
        elif re.fullmatch(r"[^\s|/:\"']+(@[^\s|/:\"']+)?", one):
            addresses.append(one)
        else:
            other.append(one)
    made: Native = {"id": address, "address": address, "domain": domain, "destinations": addresses}
    return made | ({"other": ", ".join(other)} if other else {}) | ({"keep_copy": True} if copy else {})


def split_targets(text: str) -> list[str]:
    """Return what a line of a forwarder names; a comma within quotes is none."""
    found = re.findall(r'\s*((?:"(?:[^"\\]|\\.)*"|:\w+:[^,]*|[^",])+)', text)
    return [
        one.strip().strip('"').replace('\\"', '"') if one.strip().startswith('"') else one.strip()
        for one in found
        if one.strip()
    ]


def catch_all(domain: str, told: str) -> Native:
    """Return where the mail to a domain's unknown addresses goes, as the default address says it."""
    made: Native = {"id": domain, "domain": domain, "told": told}
    word = told.strip().strip('"')
    if found := re.match(r":(fail|blackhole):\s*(.*)", word, re.S):
        made["action"] = "reject" if found[1] == "fail" else "discard"
        if found[2]:
            made["answer"] = re.sub(r"^(?:smtp;|!)\s*", "", found[2])
    elif word.startswith("|"):
        made |= {"action": "deliver", "program": word}
    else:
        made |= {"action": "deliver", "destination": word}
    return made


def marked(sets: Iterable[RecordSet]) -> list[RecordSet]:
    """Return a zone's sets, those that cPanel made for itself marked as generated."""
    listed = list(sets)
    own = {one.type: one.values for one in listed if one.name == one.zone}
    return [
        replace(one, beside={**(one.beside or {}), "generated": True}) if _generated(one, own) else one
        for one in listed
    ]


def _generated(one: RecordSet, own: Mapping[str, tuple[str, ...]]) -> bool:
    label = one.name.removesuffix("." + one.zone)
    if label.split(".")[0] in CHECKS and one.type in ("TXT", "CNAME"):
        return True
    if label.removeprefix("www.") not in SERVICES:
        return False
    return (one.type in ("A", "AAAA") and one.values == own.get(one.type)) or (
        one.type == "CNAME" and one.values == (one.zone,)
    )
