"""An archive into true servers: its zone on the wire, its messages on Dovecot's disk, its tree over SFTP."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.connectors.cpanel_archive import made_up
from migrator.steps import Steps
from migrator.testing.servers import dovecot, openssh, powerdns
from tests.servers.dns.conftest import at
from tests.servers.imap import moves
from tests.servers.sftp import trees
from tests.support.dns_zones import of_text, transferred

pytestmark = pytest.mark.servers
Running = Callable[..., Any]
USERS = ("acme@acme.example", "ann@acme.example", "bob@acme.example")


def source(archive: Path) -> dict[str, Any]:
    return {"vendor": "cpanel_archive", "settings": {"archive": str(archive)}, "workers": 2}


def moved(run: Steps) -> Any:
    plan = moves.move(run)
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    return plan


def test_the_zone_is_served_as_the_old_panel_served_it(running: Running, tmp_path: Path) -> None:
    server = running(powerdns.start, "powerdns-of-an-archive")
    account, secrets = at(server, servers=server.address)
    there = account.model_dump(exclude_defaults=True) | {"url": account.url}
    os.environ["CPANEL_TEST_DNS"] = next(iter(secrets.values()))
    there["secrets"] = dict.fromkeys(secrets, "env:CPANEL_TEST_DNS")
    archive = made_up.write(tmp_path / "a.tar.gz", made_up.entries())
    plan = moved(moves.steps(tmp_path / "w", source(archive), there))
    wanted = of_text(made_up.ZONE.replace("cpanel IN A 192.0.2.10\n", ""), "acme.example.")
    assert transferred(server.address, zone="acme.example.") == wanted
    reasons = {line.reason for line in plan.dispositions if line.kind == "alias"}
    assert reasons == {"PowerDNS has no place for a alias"}


def test_every_odd_message_of_the_archive_arrives_as_it_was(running: Running, tmp_path: Path) -> None:
    server = running(dovecot.start, "dovecot-of-an-archive", users=USERS)
    messages = moves.odd_messages()
    some = made_up.entries([*messages, *messages[:3]])  # the same twice
    archive = made_up.write(
        tmp_path / "a.tar.gz", [*some, *made_up.entries(messages[:2], box="homedir/mail", flags="F")]
    )
    run = moves.steps(tmp_path / "w", source(archive), moves.account(server))
    moved(run)
    wanted: Counter[tuple[str, tuple[str, ...], int]] = Counter()
    for number, body in enumerate([*messages, *messages[:3]]):
        stored = body.replace(b"\r\n", b"\n").replace(b"\x00", b"\x80")
        flags = ("$Forwarded", "S") if number % 3 == 0 and number % 4 != 3 else ("S",)
        wanted[hashlib.sha256(stored).hexdigest(), flags, made_up.AT + number % 60] += 1
    found = moves.plain(server, "ann@acme.example")
    assert found == wanted
    assert moves.plain(server, "acme@acme.example").total() == 2
    home = server.home("ann@acme.example")
    assert b"fileinto" in (home / "sieve" / "cpanel.sieve").read_bytes()
    with moves.signed_in(server, "ann@acme.example") as client:
        assert {"Archive/2024", "Entwürfe", "Empty"} <= {name for _, _, name in client.list_folders()}


def test_the_tree_is_the_one_that_was_packed_and_undo_leaves_none_of_it(running: Running, tmp_path: Path) -> None:
    server = running(openssh.start, "openssh-of-an-archive")
    tree, new = tmp_path / made_up.ROOT / "homedir", tmp_path / "new"
    tree.mkdir(parents=True)
    new.mkdir()
    trees.awkward(tree)
    archive = tmp_path / "a.tar.gz"
    parts = [one for one in made_up.entries() if not one[0].name.startswith(f"{made_up.ROOT}/homedir/public_html")]
    for info, body in parts:
        path = tmp_path / info.name
        if info.isreg():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    os.mkfifo(tree / "pipe")
    os.link(tree / "public_html/index.php", tree / "same.php")
    names = [b"./" + os.fsencode(path.relative_to(tmp_path)) for path in (tmp_path / made_up.ROOT).rglob("*")]
    implied = [f"./{made_up.ROOT}/homedir/{folder}".encode() for folder in ("bin", "empty folder", "public_html/a b")]
    assert set(implied) < set(names)
    told = b"\0".join(sorted(set(names) - set(implied)))
    command = ["tar", "--sparse", "--no-recursion", "--no-unquote", "--null", "-T", "-", "-czf", archive]
    subprocess.run(command, input=told, cwd=tmp_path, check=True)
    (tree / "empty folder").chmod(0o755)  # what nobody tells of a folder that is only implied
    (tree / "pipe").unlink()
    run = moves.steps(tmp_path / "w", source(archive), trees.account(server, new))
    plan = moved(run)
    held = {
        path: seen
        for path, seen in trees.seen(tree).items()
        if path.split(b"/")[0] not in (b"mail", b"etc", b".autorespond")
    }
    assert trees.seen(new) == held
    left = [line.reason for line in plan.dispositions if line.kind == "file" and line.action == "manual"]
    assert left == ["SFTP takes no such file"]  # the pipe
    run.load(run.undo().digest)
    assert trees.seen(new) == {}
