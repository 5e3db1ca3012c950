"""Marks every test by the folder it lies in, ``unit`` where it lies in none: ``pytest -m sandbox``."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
MARKERS = {
    "conformance": "sandbox",
    "packaging": "packaging",
    "recorded": "recorded",
    "sandbox": "sandbox",
    "servers": "servers",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(MARKERS.get(item.path.relative_to(HERE).parts[0], "unit"))
