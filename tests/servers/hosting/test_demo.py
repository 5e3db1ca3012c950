"""The demo of a hosting account says what is missing where its servers cannot run."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.accounts import silent, silent_load
from migrator.demo import run_hosting
from migrator.errors import InputError


def test_without_debian_the_demo_says_which_packages_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="dovecot-imapd"):
        run_hosting(tmp_path / "w", reading=silent, loading=silent_load, say=lambda text: None)
