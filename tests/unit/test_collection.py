"""While a run lasts garbage is looked for rarely, and afterwards as before."""

from __future__ import annotations

import gc
import threading

import pytest

from migrator.control import COLLECTED, seldom_collected

pytestmark = pytest.mark.unit


def test_runs_side_by_side_leave_collection_as_it_was() -> None:
    usual = gc.get_threshold()
    inside, over = threading.Event(), threading.Event()

    def another() -> None:
        with seldom_collected():
            inside.set()
            over.wait(10)

    other = threading.Thread(target=another)
    with pytest.raises(ValueError, match="cut off"), seldom_collected():  # noqa: PT012
        other.start()
        assert inside.wait(10)
        raise ValueError("cut off")
    assert gc.get_threshold() == COLLECTED  # the other goes on
    over.set()
    other.join()
    assert gc.get_threshold() == usual
