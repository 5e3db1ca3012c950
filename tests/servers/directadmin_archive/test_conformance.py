"""The laws of reading, as far as a backup has them: nobody signs in, nothing is written, no call can fail."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from migrator.connector import Raw
from migrator.connectors.archives import connection, written
from migrator.connectors.directadmin_archive import made_up
from migrator.errors import InputError, VendorError
from migrator.project import open_project


def opened(folder: Path, archive: Path) -> Any:
    sides = {"source": {"vendor": "directadmin_archive", "settings": {"archive": str(archive)}}}
    sides["destination"] = {"vendor": "zone_file", "settings": {"folder": str(folder)}}
    (folder / "migration.yaml").write_text(json.dumps({"name": "test", **sides}), encoding="utf-8")
    return open_project(folder).source.open()


def read_all(folder: Path, archive: Path, *, cut: bool = False) -> dict[str, list[Raw]]:
    """Return every record; ``cut``: after each page of the archive's own a new process goes on from its cursor."""
    source = opened(folder, archive)
    found: dict[str, list[Raw]] = {}

    def parents(stream: str) -> Iterable[str]:
        return sorted((record.id for record in found[stream]), key=lambda id: (len(id), id))  # as extract hands them

    for stream in source.streams():
        found[stream], cursor, done = [], None, False
        while not done:
            for page in source.pages(stream, cursor, parents):
                found[stream] += page.records
                cursor, done = page.cursor, page.done
                if cut and not done and stream in ("files", "messages"):
                    source = opened(folder, archive)
                    break
    return found


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
    assert read_all(tmp_path, archive, cut=True) == whole
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
