"""Where recorded vendor data lies; tests that need it skip with a message where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def folder() -> Path:
    """Return the folder of vendor data: MIGRATOR_VENDOR_DATA, else ``../shared/vendor-data`` beside the project."""
    return Path(os.environ.get("MIGRATOR_VENDOR_DATA") or ROOT.parent / "shared" / "vendor-data")


def vendor_file(name: str) -> Path:
    """Return a file or folder of vendor data, or skip the test that asks."""
    path = folder() / name
    if not path.exists():
        pytest.skip(f"vendor data is absent: {path} (set MIGRATOR_VENDOR_DATA)")
    return path
