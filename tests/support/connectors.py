"""Importing a vendor's modules from a checkout, also before ``migrator.connectors`` is installed."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def connector(name: str) -> types.ModuleType:
    """Return the module ``migrator.connectors.<name>``, such as ``zendesk.sandbox``."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    try:
        importlib.import_module("migrator.connectors")
    except ModuleNotFoundError:
        package = types.ModuleType("migrator.connectors")
        package.__path__ = [str(ROOT / "connectors")]
        sys.modules["migrator.connectors"] = package
    return importlib.import_module(f"migrator.connectors.{name}")
