"""The conformance suite on a true SFTP server: what is written reads back as predicted. Faults are in test_trees."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.compile import name
from migrator.kinds import Kinds
from migrator.migration import Account
from migrator.stage import Stage
from migrator.testing.conformance import Check, ServerGround, Straight, Suite, checks
from migrator.testing.servers.openssh import OpenSSH
from migrator.workspace import Workspace
from tests.servers.sftp.trees import awkward, seen

pytestmark = pytest.mark.servers
NAMES = (
    "plain.txt",
    "a b/\u65e5\u672c\u8a9e",
    "-rf",
    "100%25.txt",
    "caf%E9",
    'it\'s "quoted"',
    "'; DROP TABLE x; --",
    "\U0001f600",
)
AT = "2020-09-13 12:26:40"


class Grounds:
    """Hands out an empty tree."""

    server: OpenSSH
    tree: Path

    @classmethod
    def empty(cls) -> ServerGround:
        cls.tree = Path(tempfile.mkdtemp(dir=cls.server.folder))
        options = {"key_file": str(cls.server.key), "host_key": cls.server.fingerprint, "root": str(cls.tree)}
        settings = {"host": cls.server.host, "user": cls.server.user}
        account = Account(vendor="sftp", settings=settings, options=options, workers=2)
        return ServerGround(Straight(f"sftp://{cls.server.host}"), account, {}, cls.counted, cls.tree)

    @classmethod
    def counted(cls) -> dict[str, int]:
        return {"entries": len(seen(cls.tree))}


def made(stage: Stage, kinds: Kinds, workspace: Workspace) -> None:
    """Fill the stage's ``canonical`` schema: files, links and folders with awkward names."""
    stage.schema("canonical", "blobs", fresh=True)
    rows: list[dict[str, Any]] = []
    for number, path in enumerate(NAMES):
        rows.append(
            {"type": "file", "path": path, "mode": f"{0o600 + number:04o}", "modified_at": AT, "url": f"{path}?24.1"}
        )
        rows.append({"type": "link", "path": f"links/{number}", "link": f"../{path}"})
        rows.append(
            {"type": "folder", "path": f"folder {number}/{path.replace('/', '_')}", "mode": "0750", "modified_at": AT}
        )
    for kind_name, kind in kinds.kinds.items():
        stage.run(f"CREATE TABLE canonical.{name(kind_name)} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
        some = rows if kind_name == "file" else []
        stage.insert(
            f"canonical.{name(kind_name)}",
            [[f"{n:03}", one["type"], *(one.get(column) for column in kind.fields)] for n, one in enumerate(some)],
        )


@pytest.fixture(autouse=True, scope="module")
def at(server: OpenSSH) -> Iterator[None]:
    Grounds.server = server
    yield
    for tree in server.folder.glob("tmp*"):
        shutil.rmtree(tree)


SUITE = Suite("sftp", ground=Grounds.empty, fill=awkward, made=made, harms=())
# What is encrypted has no calls for a proxy to harm, and the account names no secret that could be a stranger's.
CHECKS = [check for check in checks(SUITE) if str(check) != "strangers are refused"]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
