"""The laws of reading, as far as an archive has them: nobody signs in, nothing is written, no call can fail."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from migrator.connectors.archives import connection
from migrator.connectors.cpanel_archive import made_up
from migrator.errors import InputError, MigratorError
from tests.support import archive_sources

opened, read_all = (
    partial(archive_sources.opened, "cpanel_archive"),
    partial(archive_sources.read_all, "cpanel_archive"),
)


def test_pages_of_any_size_and_a_kill_after_any_of_them_bring_every_record_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [b"Subject: %d\n\nbody\n" % number for number in range(20)]
    more = [made_up.entry(f"{made_up.ROOT}/homedir/f{number}", b"x") for number in range(15)]
    archive = made_up.write(tmp_path / "a.tar.gz", [*made_up.entries(messages), *more])
    whole = read_all(tmp_path, archive)
    assert len(whole["messages"]) == 20
    assert len(whole["files"]) > 15
    monkeypatch.setattr(connection, "PAGE", 4)
    assert read_all(tmp_path, archive, cut=lambda stream: True) == whole
    assert all(len({record.id for record in records}) == len(records) for records in whole.values())


def test_check_tells_a_good_archive_from_none(tmp_path: Path) -> None:
    archive = made_up.write(tmp_path / "a.tar.gz", made_up.entries())
    assert [finding.ok for finding in opened(tmp_path, archive).check()] == [True]
    (tmp_path / "other").write_bytes(b"PK\x03\x04" + bytes(1000))
    for path in (tmp_path / "other", tmp_path / "absent"):
        assert [finding.ok for finding in opened(tmp_path, path).check()] == [False]
        with pytest.raises(MigratorError) as caught:
            list(opened(tmp_path, path).pages("files", None, lambda _: []))
        assert isinstance(caught.value, InputError)
