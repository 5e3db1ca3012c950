"""Archives that somebody made to do harm, cut off, damaged, or merely odd: none of it is followed, loaded or lost."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest

from migrator.connectors.archives import written
from migrator.connectors.archives.dumps import harmless
from migrator.connectors.archives.maildir import Kept, decoded, wire
from migrator.connectors.archives.members import Above, Member, Shape, content, members
from migrator.connectors.archives.unpacked import Bounds, Marks, Unpacked
from migrator.connectors.cpanel_archive import made_up
from migrator.connectors.cpanel_archive.connection import LAYOUT, PLACE
from migrator.errors import MigratorError, RefusedError, VendorError

R = made_up.ROOT
Entry = tuple[tarfile.TarInfo, bytes]


def read(path: Path, bounds: Bounds | None = None) -> list[Member]:
    with Unpacked(path, bounds or Bounds(), Marks()) as archive:
        return list(members(archive, LAYOUT.shape))


def bodies(path: Path) -> dict[bytes, bytes]:
    with Unpacked(path, Bounds(), Marks()) as archive:
        listed = [one for one in members(archive, LAYOUT.shape) if one.type == "file" and not one.why]
        return {one.path: b"".join(content(archive, one.span)) for one in reversed(listed)}


PACKED = ["gzip", "zstd", ""]
HOSTILE: dict[str, tuple[list[Entry], str]] = {
    "a name that climbs": ([made_up.entry(f"{R}/homedir/../../etc/cron.d/x", b"!")], "out of the archive"),
    "a name from the root": ([made_up.entry("/etc/passwd", b"!")], "root of the file system"),
    "another root": ([made_up.entry("other/homedir/x", b"!")], "outside of the account"),
    "a file below a link": (
        [
            made_up.entry(f"{R}/homedir/l", type=tarfile.SYMTYPE, linkname="/etc"),
            made_up.entry(f"{R}/homedir/l/passwd", b"!"),
        ],
        "below a link",
    ),
    "a hard link to elsewhere": (
        [made_up.entry(f"{R}/homedir/h", type=tarfile.LNKTYPE, linkname="/etc/shadow")],
        "another name",
    ),
    "a hard link that climbs": (
        [made_up.entry(f"{R}/homedir/h", type=tarfile.LNKTYPE, linkname=f"{R}/../etc/shadow")],
        "another name",
    ),
    "twice the same": ([made_up.entry(f"{R}/homedir/x", b"1"), made_up.entry(f"{R}/homedir/x", b"2")], "twice"),
    "a link, then a file of its name": (
        [
            made_up.entry(f"{R}/homedir/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            made_up.entry(f"{R}/homedir/x", b"2"),
        ],
        "twice",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("by", PACKED)
def test_what_no_honest_archive_holds_is_named_and_the_rest_is_read(case: str, by: str, tmp_path: Path) -> None:
    some, why = HOSTILE[case]
    good = made_up.entry(f"{R}/homedir/good", b"good")
    path = made_up.write(tmp_path / "a", [good, *some, made_up.entry(f"{R}/homedir/last", b"last")], by=by)
    found = read(path)
    assert len(found) == 2 + len(some)
    assert why in found[-2].why
    assert [one.why for one in (found[0], found[-1])] == ["", ""]


@pytest.mark.parametrize("case", sorted(set(HOSTILE) - {"another root"}))
def test_so_it_is_where_nothing_lies_in_one_folder_and_in_an_archive_within(case: str, tmp_path: Path) -> None:
    some, why = HOSTILE[case]
    shape = Shape(rooted=False, nested={b"home.tar": b"home/"})
    within = written.entry("home.tar", written.packed(written.tar(some), "gzip"))
    for entries in (some, [within]):
        path = written.write(tmp_path / "a", [*entries, written.entry("last", b"last")], by="zstd")
        with Unpacked(path, Bounds(), Marks()) as archive:
            found = list(members(archive, shape))
        assert len(found) == len(some) + 1
        assert why in found[-2].why
        assert found[-1].why == ""


@pytest.mark.parametrize("type", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_or_a_pipe_is_no_file(type: bytes, tmp_path: Path) -> None:
    path = made_up.write(tmp_path / "a", [made_up.entry(f"{R}/x"), made_up.entry(f"{R}/homedir/d", type=type)])
    assert [one.type for one in read(path)] == ["file", "other"]


@pytest.mark.parametrize("size", [2**62, 2**40, 2**33])
def test_a_header_that_says_it_is_longer_than_the_archive_is_no_loop_and_no_memory(size: int, tmp_path: Path) -> None:
    good = made_up.entry(f"{R}/homedir/x", b"x")
    for type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.REGTYPE):
        path = made_up.write(tmp_path / "a", [good, made_up.entry("long", size=size, type=type), good])
        with pytest.raises(VendorError):
            read(path)


@pytest.mark.parametrize("by", ["gzip", "zstd"])
def test_a_bomb_ends_at_the_ratio(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.connectors.archives.unpacked.SLACK_BYTES", 2**22)
    path = made_up.write(tmp_path / "a", [made_up.entry(f"{R}/homedir/zeros", bytes(2**25))], by=by)
    with pytest.raises(VendorError, match="no account packs to"):
        read(path)
    with pytest.raises(VendorError, match="most_bytes"):
        read(path, Bounds(most_bytes=2**21))


@pytest.mark.parametrize("by", PACKED)
def test_an_archive_that_is_cut_off_or_damaged_anywhere_is_never_taken_for_a_whole_one(by: str, tmp_path: Path) -> None:
    whole = made_up.write(tmp_path / "a", made_up.entries([b"Subject: x\n\nbody\n" * 50] * 9), by=by)
    text = whole.read_bytes()
    assert len(bodies(whole)) > 30
    for at in random.Random(1).sample(range(600, len(text) - 1100), 25):
        path = tmp_path / "b"
        path.write_bytes(text[:at])
        with pytest.raises(MigratorError):
            bodies(path)
        if by:  # a plain tar has no check of what lies in it
            path.write_bytes(text[:at] + bytes([text[at] ^ 0x55]) + text[at + 1 :])
            with pytest.raises(MigratorError):
                bodies(path)


@pytest.mark.parametrize("by", PACKED)
def test_bytes_are_found_again_in_any_order(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.connectors.archives.unpacked.SPAN_BYTES", 2**16)
    chance, marks = random.Random(2), Marks()
    given = {f"homedir/{n}".encode(): chance.randbytes(chance.randrange(90_000)) for n in range(40)}
    some = [made_up.entry(f"{R}/{path.decode()}", body) for path, body in given.items()]
    path = made_up.write(tmp_path / "a", some, by=by)
    with Unpacked(path, Bounds(), marks) as archive:
        listed = list(members(archive, LAYOUT.shape))
        assert not by or len(marks.found) > (10 if by == "gzip" else 0)
        for one in chance.sample(listed * 3, 60):
            assert b"".join(content(archive, one.span)) == given[one.path]
    for one in listed[::7]:  # each opened anew, and left off in the middle
        with Unpacked(path, Bounds(), marks) as archive:
            pieces = content(archive, one.span)
            assert given[one.path].startswith(next(pieces, b""))
    assert by != "zstd" or marks.parked


@pytest.mark.parametrize("outer", PACKED)
@pytest.mark.parametrize("inner", PACKED)
def test_a_packed_archive_within_is_read_where_it_lies(outer: str, inner: str, tmp_path: Path) -> None:
    chance = random.Random(3)
    given = {f"home/{n}".encode(): chance.randbytes(chance.randrange(300_000)) for n in range(6)}
    home = [written.entry("./", type=tarfile.DIRTYPE), written.entry("./../x", b"!")]
    home += [written.entry("." + path.decode().removeprefix("home"), body) for path, body in given.items()]
    some = [written.entry("backup/home.tar", written.packed(written.tar(home), inner)), written.entry("last", b"z")]
    path = written.write(tmp_path / "a", some, by=outer)
    with Unpacked(path, Bounds(), Marks()) as archive:
        listed = list(members(archive, Shape(rooted=False, nested={b"backup/home.tar": b"home/"})))
        assert [one.path for one in listed] == [b"./../x", *given, b"last"]
        assert "out of the archive" in listed[0].why
        for one in reversed(listed[1:-1]):
            assert b"".join(content(archive, one.span)) == given[one.path]
    cut = written.packed(written.tar(home), inner)[:-1500]
    for body in (cut, b"no tar at all" * 99):
        written.write(tmp_path / "b", [written.entry("backup/home.tar", body), written.entry("last")], by=outer)
        with pytest.raises(VendorError), Unpacked(tmp_path / "b", Bounds(), Marks()) as archive:
            list(members(archive, Shape(rooted=False, nested={b"backup/home.tar": b"home/"})))


def test_a_home_in_a_tar_of_its_own_is_read_as_if_it_lay_there(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        for name, body in (("./public_html/x", b"inside"), ("../../etc/x", b"!")):
            info, body = made_up.entry(name, body)
            tar.addfile(info, io.BytesIO(body))
    path = made_up.write(
        tmp_path / "a",
        [
            made_up.entry(f"{R}/version", b"4"),
            made_up.entry(f"{R}/homedir.tar", inner.getvalue()),
            made_up.entry(f"{R}/z", b"z"),
        ],
    )
    assert bodies(path) == {b"version": b"4", b"homedir/public_html/x": b"inside", b"z": b"z"}


def test_a_file_with_holes_has_its_zeros(tmp_path: Path) -> None:
    sparse = tmp_path / "s"
    with sparse.open("wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
        file.truncate(4_000_000)
    (tmp_path / R / "homedir").mkdir(parents=True)
    sparse.rename(tmp_path / R / "homedir" / "s")
    subprocess.run(["tar", "--sparse", "--format=gnu", "-czf", "a.tar.gz", R], cwd=tmp_path, check=True)
    assert bodies(tmp_path / "a.tar.gz")[b"homedir/s"] == (tmp_path / R / "homedir" / "s").read_bytes()


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 100])
def test_line_ends_are_those_of_the_wire_wherever_pieces_are_cut(cut: int) -> None:
    given = b"\nA: b\r\nC: d\n\r\n\n\rx\r\r\n\x00\xff\n"
    wanted = b"\r\nA: b\r\nC: d\r\n\r\n\r\n\rx\r\r\n\x80\xff\r\n"
    for text in (given, gzip.compress(given)):
        assert b"".join(wire(text[at : at + cut] for at in range(0, len(text), cut))) == wanted


def test_a_packed_message_that_is_cut_off_or_a_bomb_has_no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.connectors.archives.maildir.MOST_BYTES", 2**22)
    with pytest.raises(VendorError, match="ends in the middle"):
        list(wire([gzip.compress(b"x" * 1000)[:-9]]))
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(bomb.compress(bytes(2**20)) for _ in range(5)) + bomb.flush()
    with pytest.raises(VendorError, match="longer than"):
        for _ in wire([packed]):
            pass


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (
            b"homedir/mail/a.example/ann/cur/1.x:2,FSab",
            Kept("ann@a.example", "INBOX", "1.x", ("flagged", "seen"), "ab"),
        ),
        (b"homedir/mail/a.example/ann/.A.B/new/1.x", Kept("ann@a.example", "A/B", "1.x", (), "")),
        (b"homedir/mail/.INBOX.Sent/cur/1:2,", Kept("", "Sent", "1", (), "")),
        (b"homedir/mail/cur/1:2,ST", Kept("", "INBOX", "1", ("deleted", "seen"), "")),
        (b"homedir/mail/a.example/ann/tmp/1.x", None),
        (b"homedir/mail/a.example/ann/cur/a/b", None),
    ],
)
def test_a_path_says_whose_a_message_is(path: bytes, kept: Kept | None) -> None:
    assert Kept.at(path, PLACE) == kept


def test_names_in_modified_utf7_are_read_and_what_is_none_stays() -> None:
    names = ["Entw&APw-rfe", "a&-b", "&ZeVnLIqe-", "&ZeVnLIq-", "&nonsense"]
    assert [decoded(name) for name in names] == ["Entwürfe", "a&b", "日本語", "&ZeVnLIq-", "&nonsense"]


def cut_up(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 5, 31, 10_000])
def test_an_honest_dump_passes_wherever_its_pieces_are_cut(size: int) -> None:
    text = made_up.DUMP.encode()
    assert b"".join(harmless(cut_up(text, size))) == text


@pytest.mark.parametrize(
    "harm",
    [
        "GRANT ALL ON *.* TO 'x'@'%';",
        "/*!50000 GRANT ALL ON *.* TO x */;",
        "CREATE USER x;",
        "SET GLOBAL general_log=1;",
        "SET @a=1, GLOBAL general_log=1;",
        "INSERT INTO t SELECT 1 INTO OUTFILE '/srv/x';",
        "LOAD DATA INFILE 'x' INTO TABLE t;",
        "INSERT INTO t VALUES (LOAD_FILE('/etc/passwd'));",
        "USE mysql;",
        "\\! id",
        "system id",
        "source /etc/passwd",
        "CREATE TABLE t (a int) ENGINE=FEDERATED CONNECTION='x';",
        "CREATE TABLE t (a int) DATA DIRECTORY='/srv';",
        "DELIMITER $$\nGRANT ALL ON *.* TO x$$",
        "DROP DATABASE other;",
        "PREPARE s FROM 'x';",
        "DO sleep(9);",
        "GRANT ALL ON *.* TO x",
        "/*M!100100 DROP USER x */;",
        "/*M!999999\\- enable the sandbox mode *//*! GRANT x */;",
    ],
)
def test_a_dump_with_a_statement_that_none_has_is_refused_wherever_it_stands(harm: str) -> None:
    for text in (
        f"{made_up.DUMP}\n{harm}\n",
        f"{harm}\n{made_up.DUMP}",
        made_up.DUMP.replace("UNLOCK", f"{harm}\nUNLOCK"),
    ):
        for size in (1, 40, 10_000):
            with pytest.raises(RefusedError, match="line"):
                list(harmless(cut_up(text.encode(), size)))


def test_a_folder_is_implied_where_files_lie_in_it_and_nothing_else_has_its_name() -> None:
    above = Above()
    for path in ("a/b/c.txt", "a/b/d.txt", "held/x", "link/x", "e/pipe"):
        above.note(path, written=path != "e/pipe")
    for path in ("held", "link", "top.txt"):  # whatever the order
        above.note(path, written=True)
    assert above.implied() == ["a", "a/b"]
