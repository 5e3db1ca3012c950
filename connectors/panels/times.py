"""The time zone of a panel's server, in which it keeps dates that name none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from migrator.errors import InputError


def time_zone(vendor: str, options: Mapping[str, str]) -> tzinfo:
    """Return the zone that ``options.timezone`` names, UTC without it. Raises InputError where there is none of it."""
    told = options.get("timezone", "")
    try:
        return ZoneInfo(told) if told else UTC
    except (ZoneInfoNotFoundError, ValueError) as err:
        raise InputError(f"{vendor}: there is no time zone '{told}'") from err
