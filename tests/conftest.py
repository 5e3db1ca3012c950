"""Marks every test by the folder it lies in, ``unit`` where it lies in none: ``pytest -m sandbox``."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDERS = ("sandbox", "recorded", "servers", "packaging")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        item.add_marker(folder if folder in FOLDERS else "unit")
