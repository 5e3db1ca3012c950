"""The workspace: a folder with everything one migration knows, its plan and results in files of JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from migrator.credentials import secret
from migrator.errors import InputError, WorkspaceError
from migrator.ledger import Ledger
from migrator.vault import Vault


def now() -> str:
    """Return the time, for the history of runs."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Workspace:
    """A folder with everything one migration knows. ``key``: where the key to its secrets is, if that is named."""

    folder: Path
    key: str | None = None

    @cached_property
    def vault(self) -> Vault:
        """Return what seals the customer's secrets, and opens them."""
        return Vault(self.folder, self.key, secret)

    @property
    def file(self) -> Path:
        """Return ``migration.yaml``."""
        return self.folder / "migration.yaml"

    @property
    def stage(self) -> Path:
        """Return the staging file."""
        return self.folder / "stage.duckdb"

    @property
    def ledger(self) -> Path:
        """Return the ledger."""
        return self.folder / "ledger.sqlite"

    @property
    def blobs(self) -> Path:
        """Return the folder of attachments' bytes, named by digest."""
        return self.folder / "blobs"

    @property
    def plan(self) -> Path:
        """Return the plan's summary."""
        return self.folder / "plan.json"

    def blob(self, digest: str) -> Path:
        """Return where the bytes with this sha256 lie."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise InputError(f"'{digest[:80]}' is not a digest")
        return self.blobs / digest[:2] / digest

    def sealed_blob(self, digest: str) -> Path:
        """Return where the bytes with this sha256 lie sealed: beside those that are not, which others may have too."""
        return self.blob(digest).with_suffix(".sealed")

    def write(self, file: str, data: Any) -> None:
        """Write a file of JSON, whole or not at all. Raises WorkspaceError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f"{file}.part"
            part.write_text(json.dumps(data, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
            part.replace(self.folder / file)
        except OSError as err:
            raise WorkspaceError(f"{file} cannot be written: {err}") from err

    def note(self, digest: str, command: str, what: str) -> None:
        """Add a line to the history of runs."""
        with Ledger(self.ledger) as ledger:
            ledger.note(digest, command, now(), what)

    def saved_plan(self) -> dict[str, Any]:
        """Return the plan's summary. Raises InputError where there is none."""
        if not self.plan.is_file():
            raise InputError("there is no plan yet", remedy="run `migrator plan` first")
        return json.loads(self.plan.read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def need_stage(self) -> None:
        """Raise InputError where nothing was extracted."""
        if not self.stage.is_file():
            raise InputError("nothing is extracted yet", remedy="run `migrator extract` first")
