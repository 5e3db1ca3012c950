"""Automations are off while a load writes, and as they were afterwards, whatever happens in between."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from migrator.connector import Destination
from migrator.ledger import Ledger
from migrator.switches import put_back, quiet

AT = datetime(2026, 11, 26, tzinfo=UTC)


class Desk:
    """A vendor with two automations."""

    def __init__(self) -> None:
        self.on = {"mail": True, "reopen": False}

    def switches(self) -> dict[str, Any]:
        return dict(self.on)

    def quiet(self) -> None:
        self.on = dict.fromkeys(self.on, False)

    def restore(self, was: dict[str, Any]) -> None:
        self.on = dict(was)


def opened(desk: object) -> Destination:
    return cast(Destination, desk)


def test_they_are_off_within_and_as_they_were_after(tmp_path: Path) -> None:
    desk = Desk()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with quiet(opened(desk), ledger, AT):
            assert not any(desk.on.values())
            assert ledger.switched() == {"mail": True, "reopen": False}
        assert desk.on == {"mail": True, "reopen": False}
        assert ledger.switched() is None


def test_an_error_within_puts_them_back_too(tmp_path: Path) -> None:
    desk = Desk()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(ValueError, match="no"), quiet(opened(desk), ledger, AT):
            raise ValueError("no")
        assert desk.on["mail"]


@pytest.mark.parametrize("reached", ["noted", "off"])
def test_what_a_killed_run_left_off_is_put_back_as_it_was_before_that_run(tmp_path: Path, reached: str) -> None:
    desk = Desk()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.switching(desk.switches(), AT.isoformat())
        if reached == "off":
            desk.quiet()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with quiet(opened(desk), ledger, AT):
            assert not any(desk.on.values())
        assert desk.on == {"mail": True, "reopen": False}


def test_the_next_command_that_opens_the_destination_puts_them_back_once(tmp_path: Path) -> None:
    desk = Desk()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.switching(desk.switches(), AT.isoformat())
        desk.quiet()
        assert put_back(opened(desk), ledger)
        assert desk.on["mail"]
        assert not put_back(opened(desk), ledger)


def test_a_vendor_without_switches_is_left_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger, quiet(opened(object()), ledger, AT):
        assert ledger.switched() is None
