"""The laws of reading, as far as a backup has them: nobody signs in, nothing is written, no call can fail."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from migrator.connectors.archives import connection, written
from migrator.connectors.directadmin_archive import made_up
from migrator.errors import InputError, VendorError
from tests.support import archive_sources

opened, read_all = (
    partial(archive_sources.opened, "directadmin_archive"),
    partial(archive_sources.read_all, "directadmin_archive"),
)


@pytest.mark.parametrize("by", ["gzip", "zstd"])
def test_pages_of_any_size_and_a_kill_after_any_of_them_bring_every_record_once(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [b"Subject: %d\n\nbody\n" % number for number in range(12)]
    archive = written.write(tmp_path / "a", made_up.entries(messages, inner=by), by=by)
    whole = read_all(tmp_path, archive)
    assert len(whole["messages"]) == 13
    assert len(whole["files"]) == 10
    monkeypatch.setattr(connection, "PAGE", 3)
    assert read_all(tmp_path, archive, cut=lambda stream: stream in ("files", "messages")) == whole
    assert all(len({record.id for record in records}) == len(records) for records in whole.values())
    source = opened(tmp_path, archive)
    urls = [url for record in [*whole["files"], *whole["messages"]] if (url := json.loads(record.body).get("url"))]
    many = {url: b"".join(pieces) for url, pieces in source.blobs(urls[::-1])}
    assert many == {url: b"".join(source.blob(url)) for url in urls}


def test_check_tells_a_good_backup_from_none(tmp_path: Path) -> None:
    archive = written.write(tmp_path / "a", made_up.entries())
    assert [finding.ok for finding in opened(tmp_path, archive).check()] == [True]
    (tmp_path / "other").write_bytes(b"PK\x03\x04" + bytes(1000))
    for path in (tmp_path / "other", tmp_path / "absent"):
        assert [finding.ok for finding in opened(tmp_path, path).check()] == [False]
        with pytest.raises(InputError):
            list(opened(tmp_path, path).pages("files", None, lambda _: []))


def test_what_is_no_user_of_directadmin_is_said_so(tmp_path: Path) -> None:
    archive = written.write(tmp_path / "a", [written.entry("backup/user.conf", b"usertype=user\n")])
    with pytest.raises(VendorError, match=r"backup/user\.conf"):
        list(opened(tmp_path, archive).pages("domains", None, lambda _: []))
