"""Trees of files between true SFTP servers, looked at on the disk."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from pathlib import Path

import pytest

from migrator.connector import Unit
from migrator.errors import AccessError
from migrator.ledger import Ledger
from migrator.testing.servers import until
from migrator.testing.servers.openssh import OpenSSH
from tests.servers.sftp.trees import AT, LATIN, account, again, awkward, move, put, seen, steps

pytestmark = pytest.mark.servers
SPAWN = multiprocessing.get_context("forkserver")


def test_everything_arrives_as_it_was_and_as_predicted(server: OpenSSH, old: Path, new: Path, tmp_path: Path) -> None:
    awkward(old)
    run = steps(tmp_path / "w", account(server, old), account(server, new))
    plan = move(run)
    assert seen(new) == seen(old)
    assert {(loss.field, loss.how) for loss in plan.losses} <= {("mode", "dropped"), ("modified_at", "dropped")}
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    assert (new / "sparse.img").stat().st_blocks * 512 < 2_000_000, "zeros are not written"
    assert int((new / "empty folder/deep").stat().st_mtime) == int((old / "empty folder/deep").stat().st_mtime)


def test_folders_that_a_call_made_before_it_was_cut_off_go_when_it_is_looked_up(
    server: OpenSSH, old: Path, new: Path, tmp_path: Path
) -> None:
    put(new, "made/way/.migrator-part", b"")
    put(new, "made/.migrator-part", b"")
    put(new, "ours/.migrator-part", b"")
    put(new, "ours/letter.txt", b"of a person")
    destination = steps(tmp_path / "w", account(server, old), account(server, new)).destination()
    for path in ("made/way/missing/a.txt", "ours/missing/a.txt"):
        assert destination.find([Unit("file", "1", "file", {"path": path}, {}, "", {})], set()) == [None]
    assert set(seen(new)) == {b"ours", b"ours/.migrator-part", b"ours/letter.txt"}


def test_what_is_no_file_is_named_and_left(
    server: OpenSSH, old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(old / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        with monkeypatch.context() as patch:
            patch.chdir(old)  # the name of a socket is a short one
            listening.bind("sock")
        plan = move(steps(tmp_path / "w", account(server, old), account(server, new)))
    assert [(line.action, line.count) for line in plan.dispositions] == [("manual", 2)]
    assert seen(new) == {}


def test_what_is_there_already_is_not_written_over(server: OpenSSH, old: Path, new: Path, tmp_path: Path) -> None:
    put(old, "index.html", b"theirs")
    put(new, "index.html", b"ours", at=AT + 5)
    before = seen(new)
    run = steps(tmp_path / "w", account(server, old), account(server, new))
    plan = move(run)
    assert seen(new) == before
    assert [(line.action, line.count) for line in plan.dispositions] == [("keep", 1)]


def test_what_comes_after_the_plan_is_not_written_over_either(
    server: OpenSSH, old: Path, new: Path, tmp_path: Path
) -> None:
    put(old, "a", b"theirs")
    put(old, "b", b"theirs")
    run = steps(tmp_path / "w", account(server, old), account(server, new))
    run.extract()
    plan = run.plan()
    put(new, "a", b"ours")
    assert run.load(plan.digest).quarantined == 1
    assert (new / "a").read_bytes() == b"ours"
    assert (new / "b").read_bytes() == b"theirs"


def test_a_delta_brings_what_changed_and_undo_takes_everything_back(
    server: OpenSSH, old: Path, new: Path, tmp_path: Path
) -> None:
    awkward(old)
    put(new, "mine", b"stays")
    run = steps(tmp_path / "w", account(server, old), account(server, new), policies={"deleted": "delete"})
    move(run)
    was = seen(new)
    assert move(run).units == 0
    put(old, "public_html/index.php", b"<?php echo 'bye';\n", mode=0o600, at=AT + 60)
    put(old, "public_html/new/one.txt", b"new")
    os.chmod(old / "bin/run.sh", 0o755)
    (old / "public_html/empty").unlink()
    (old / "www").unlink()
    os.symlink("public_html/new", old / "www")
    move(run)
    assert seen(new) == {**seen(old), b"mine": was[b"mine"]}
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    undo = run.undo()
    run.load(undo.digest)
    assert list(seen(new)) == [b"mine"]


def test_what_the_last_load_changed_is_changed_back(server: OpenSSH, old: Path, new: Path, tmp_path: Path) -> None:
    put(old, "a", b"first")
    run = steps(tmp_path / "w", account(server, old), account(server, new))
    move(run)
    first = seen(new)
    put(old, "a", b"second", at=AT + 60)
    put(old, "b", b"new")
    move(run)
    assert seen(new) == seen(old)
    undo = run.undo(last=True)
    run.load(undo.digest)
    assert seen(new) == first


@pytest.mark.parametrize("change", ["content", "mode", "link", "gone"])
def test_a_change_by_hand_is_found(server: OpenSSH, old: Path, new: Path, tmp_path: Path, change: str) -> None:
    awkward(old)
    run = steps(tmp_path / "w", account(server, old), account(server, new))
    move(run)
    if change == "content":
        put(new, "public_html/index.php", b"<?php echo 'ha';\n", mode=0o640)
    elif change == "mode":
        os.chmod(new / "public_html/index.php", 0o666)
    elif change == "link":
        (new / "www").unlink()
        os.symlink("elsewhere", new / "www")
    else:
        os.remove(os.fsencode(new) + b"/public_html/" + LATIN)
    verified, differences = run.verify()
    assert not verified.proven
    assert len({difference["id"] for difference in differences}) == 1 or verified.discrepancies == 1


def loaded(folder: str) -> None:
    run = again(Path(folder))
    run.load(run.saved_plan()["digest"])


@pytest.mark.parametrize(("after", "back"), [(1, False), (7, True), (40, False)])
def test_a_load_that_is_killed_goes_on_and_doubles_nothing_or_is_taken_back_whole(
    server: OpenSSH, old: Path, new: Path, tmp_path: Path, after: int, back: bool
) -> None:
    for number in range(60):
        put(old, f"{number % 7}/deep/{number}.txt", b"x" * number * 1000)
    run = steps(tmp_path / "w", account(server, old), account(server, new))
    run.extract()
    plan = run.plan()
    child = SPAWN.Process(target=loaded, args=(str(tmp_path / "w"),))
    child.start()
    until(lambda: sum(1 for _ in new.rglob("*.txt")) >= after, seconds=60, what=f"{after} files written")
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    if back:
        assert [path for path in new.rglob("*") if path.is_dir()], "folders are made on the way"
        run = again(tmp_path / "w")
        assert run.load(run.undo().digest).finished
        assert seen(new) == {}, "and go with what lay in them"
        return
    finished = again(tmp_path / "w").load(plan.digest)
    assert finished.finished
    assert seen(new) == seen(old), "no half of a file, none twice"
    with Ledger(tmp_path / "w/ledger.sqlite") as ledger:
        assert not ledger.in_doubt(plan.digest)


def test_a_server_nobody_vouched_for_is_not_talked_to(server: OpenSSH, old: Path, new: Path, tmp_path: Path) -> None:
    wrong = account(server, old, host_key="SHA256:" + "A" * 43)
    run = steps(tmp_path / "w", wrong, account(server, new))
    with pytest.raises(AccessError, match=r"shows the key SHA256:.*host_key"):
        run.extract()


def test_nothing_is_written_through_a_link(server: OpenSSH, old: Path, new: Path, tmp_path: Path) -> None:
    put(old, "www/index.html", b"page")
    (tmp_path / "elsewhere").mkdir()
    run = steps(tmp_path / "w", account(server, old), account(server, new))
    run.extract()
    plan = run.plan()
    os.symlink(tmp_path / "elsewhere", new / "www")
    assert run.load(plan.digest).quarantined > 0
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_lies_in_a_folder_that_is_not_written_is_not_written_either(
    server: OpenSSH, old: Path, new: Path, tmp_path: Path
) -> None:
    put(old, "docs/deep/page.html", b"page")
    put(old, "docs2/page.html", b"page")
    put(new, "docs", b"a file of this name")
    plan = move(steps(tmp_path / "w", account(server, old), account(server, new)))
    assert {(line.action, line.count) for line in plan.dispositions} == {("create", 2), ("manual", 1), ("manual", 2)}
    assert set(seen(new)) == {b"docs", b"docs2", b"docs2/page.html"}
