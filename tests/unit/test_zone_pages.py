"""A zone of many pages is handed over as it was read, once, however often the reading is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.migration import Account
from migrator.project import side
from migrator.zones.account import PAGE, ZoneAccount
from migrator.zones.records import RecordSet

pytestmark = pytest.mark.unit

ZONES = {"a.example.": 2 * PAGE + 1, "b.example.": 0, "bb.example.": 3, "cc.example.": PAGE}


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    opened = side(Account(vendor="zone_file", settings={"folder": str(tmp_path)}), None, "test").open()
    read: list[str] = []

    class Counted(type(opened)):  # type: ignore[misc]
        """An account that notes how often each zone is read."""

        def held(self, zone: str) -> Iterator[RecordSet]:
            read.append(zone)
            return (RecordSet(zone, f"h{n:05}.{zone}", "A", 60, ("192.0.2.1",)) for n in range(ZONES[zone]))

    opened.__class__ = Counted
    opened.read = read
    return opened


def a_page_at_a_time(account: ZoneAccount, *, anew: int = 0) -> tuple[list[str], int]:
    """Return the ids that came, and how many pages; after every page the reading begins again from its cursor.

    ``anew``: after so many pages the account is another process's, which remembers nothing.
    """
    ids: list[str] = []
    cursor, pages, done = None, 0, False
    while not done:
        page = next(account.pages("record_sets", cursor, lambda stream: list(ZONES)))
        ids += [record.id for record in page.records]
        cursor, done, pages = page.cursor, page.done, pages + 1
        if pages == anew:
            account._begun = ("", [])
        assert pages < 50, "the reading comes to no end"
    return ids, pages


def test_each_zone_is_read_once_though_every_page_ends_the_reading(account: Any) -> None:
    ids, _ = a_page_at_a_time(account)
    assert len(ids) == len(set(ids)) == sum(ZONES.values())
    assert account.read == list(ZONES)


@pytest.mark.parametrize("anew", [1, 2, 3, 4, 5])
def test_after_a_crash_a_zone_begins_anew_and_nothing_is_left_out(account: Any, anew: int) -> None:
    ids, _ = a_page_at_a_time(account, anew=anew)
    assert len(set(ids)) == sum(ZONES.values())


def test_without_zones_the_reading_ends(account: Any) -> None:
    (page,) = account.pages("record_sets", None, lambda stream: [])
    assert page.done
    assert page.records == []
