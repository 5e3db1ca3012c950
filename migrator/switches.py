"""The vendor's own automations and mail: off while we write, and put back as they were, also after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import cast

from migrator.connector import Destination, Switched
from migrator.ledger import Ledger


@contextmanager
def quiet(destination: Destination, ledger: Ledger, at: datetime) -> Iterator[None]:
    """Let nothing fire at the vendor inside the ``with``; does nothing for a vendor with no such switch.

    How things were is durable before anything is switched off: the next run puts back what a killed one left off.
    """
    if not isinstance(destination, Switched):
        yield
        return
    was = ledger.switched()
    if was is None:
        was = destination.switches()
        ledger.switching(was, at.isoformat())
    destination.quiet()
    try:
        yield
    finally:
        put_back(destination, ledger)


def put_back(destination: Destination, ledger: Ledger) -> bool:
    """Put back what a run left switched off; return whether there was anything."""
    was = ledger.switched()
    if was is None:
        return False
    cast(Switched, destination).restore(was)
    ledger.switched_back()
    return True
