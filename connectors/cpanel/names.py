"""What cPanel's words mean, whether UAPI says them or an archive: quotas, PHP, generated names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
