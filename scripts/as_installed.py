"""Runs a tool on the packages laid out as they are when installed, so that ``migrator.connectors.<vendor>`` is found.

A checkout keeps the connectors beside the package and extends ``__path__`` when it runs; mypy and import-linter do not
run it. The tree is made of links and kept, for the tools' caches.

    python scripts/as_installed.py mypy -p migrator
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / "build" / "as_installed"


def link(folder: Path, names: dict[str, Path]) -> None:
    """Make the folder hold these links and no other. Two runs at once do each other no harm."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_symlink() and old.name not in names:
            old.unlink(missing_ok=True)
    for name, path in names.items():
        with suppress(FileExistsError):
            (folder / name).symlink_to(path)


def parts(folder: Path) -> dict[str, Path]:
    """Return what the folder holds of ours, by name."""
    return {path.name: path for path in folder.iterdir() if not path.name.startswith((".", "__pycache__"))}


def main(command: list[str]) -> int:
    """Run the command in the tree and return its exit code; the paths it prints are those of the checkout."""
    engine = parts(ROOT / "migrator")
    connectors = parts(engine.pop("connectors"))
    link(TREE / "migrator", engine)
    link(TREE / "migrator" / "connectors", connectors | parts(ROOT / "connectors"))
    beside = Path(sys.executable).parent  # the tools of this environment, activated or not
    tool = beside / command[0] if (beside / command[0]).is_file() else command[0]
    env = os.environ | {"MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}
    run = subprocess.run(
        [tool, *command[1:]], cwd=TREE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    vendors = "|".join(re.escape(path.name) for path in (ROOT / "connectors").iterdir())
    print(re.sub(rf"\bmigrator/connectors/(?={vendors})", "connectors/", run.stdout), end="")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
