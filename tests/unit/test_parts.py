"""An account made of several: each kind belongs to one part, and nothing of a part is said of another."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from migrator.errors import InputError
from migrator.project import Project, open_project

PARTS = {
    "dns": {"vendor": "zone_file", "settings": {"folder": "zones"}},
    "mail": {"vendor": "imap", "settings": {"host": "mail.example", "mailboxes": "ann@example.com"}},
    "files": {"vendor": "sftp", "settings": {"host": "files.example", "user": "acme"}},
}


def project(folder: Path, parts: dict[str, Any] | None = None, **beside: Any) -> Project:
    side = {"parts": PARTS if parts is None else parts, **beside}
    (folder / "migration.yaml").write_text(json.dumps({"name": "m", "source": side, "destination": {"parts": PARTS}}))
    return open_project(folder)


def test_each_kind_belongs_to_the_first_part_that_has_it(tmp_path: Path) -> None:
    twice = {"old": PARTS["files"], **PARTS}
    found = project(tmp_path, twice)
    assert found.source.to["file"] == "old"
    assert (found.destination.to["file"], found.destination.to["record_set"]) == ("files", "dns")


def test_a_part_with_kinds_is_asked_for_these_alone(tmp_path: Path) -> None:
    found = project(tmp_path, {**PARTS, "mail": {**PARTS["mail"], "kinds": ["mailbox"]}})
    assert {kind for kind, part in found.source.to.items() if part == "mail"} == {"mailbox"}
    assert "mail_message" not in found.source.mapping.kinds


def test_a_destination_prefers_the_part_that_writes_to_one_that_leaves_the_kind_to_a_person(tmp_path: Path) -> None:
    found = project(tmp_path).destination
    assert found.to["alias"] == "mail"  # nobody writes it, and mail says why
    assert found.connector.manifest.write("alias").manual  # type: ignore[union-attr]


def test_streams_are_their_parts_and_name_their_parents(tmp_path: Path) -> None:
    manifest = project(tmp_path).source.connector.manifest
    assert manifest.streams["mail_messages"].parent == "mail_folders"
    assert manifest.streams["dns_record_sets"].parent == "dns_zones"
    finds = [write.find.stream for write in manifest.writes if write.find and write.find.stream]
    assert finds
    assert set(finds) <= set(manifest.streams)


def test_limits_of_a_part_cover_its_own_calls_alone(tmp_path: Path) -> None:
    cloud = {"vendor": "cloudflare", "secrets": {"token": "env:T"}, "per_minute": 77}
    quota = project(tmp_path, {"cloud": cloud, **PARTS}).source.connector.manifest.quota
    rules = [rule for rule in quota.rules if rule.name.startswith("cloud")]
    assert rules
    for rule in rules:
        assert not re.search(rule.matching, "POST /zones/{zone}/dns_records/batch (dns)")
    assert any(re.search(rule.matching, "POST /zones/{zone}/dns_records/batch (cloud)") for rule in rules)
    assert {rule.per_minute["own"] for rule in rules if "77" in str(rule.per_minute)} == {77}


@pytest.mark.parametrize(
    ("parts", "beside", "said"),
    [
        ({"no_t": PARTS["dns"]}, {}, "no_t"),
        (PARTS, {"vendor": "imap"}, "nothing beside"),
        ({"deep": {"parts": PARTS}}, {}, "no parts themselves"),
        ({"x": {"vendor": "zendesk"}, **PARTS}, {}, "one trade"),
        ({"x": {"vendor": "imapp"}}, {}, "did you mean 'imap'"),
        ({"x": {**PARTS["mail"], "kinds": ["mail_folders"]}}, {}, "did you mean 'mail_folder'"),
        ({"x": {**PARTS["mail"], "secrets": {"password": "geheim"}}}, {}, "not a name"),
        ({"x": {**PARTS["mail"], "settings": {"hots": "x"}}}, {}, "did you mean 'host'"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_so(
    tmp_path: Path, parts: dict[str, Any], beside: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as told:
        project(tmp_path, parts, **beside)
    assert said in str(told.value) + str(told.value.remedy)
    assert "geheim" not in str(told.value)


def test_the_whole_waits_as_long_as_nobody_who_waits_at_a_part_may_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T", "token")
    cloud = {"vendor": "cloudflare", "secrets": {"token": "env:T"}}
    now = [0.0]
    side = project(tmp_path, {"one": cloud, "other": cloud, "mail": PARTS["mail"]}).source
    whole = side.open(monotonic=lambda: now[0])
    one, other, _, _ = (account.client.pacer for account in whole.accounts())
    one.hold(40)
    other.hold(25)
    assert whole.waits_seconds() == 0  # nobody wants to go
    with closing(one.waits("GET /zones")) as first, closing(other.waits("GET /zones")) as second:
        next(first)
        assert whole.waits_seconds() == 40
        next(second)
        assert whole.waits_seconds() == 25
        now[0] = 30
        assert whole.waits_seconds() == 0  # who waits at the other may go, and the load is not kept
    assert (one.waiting_until, other.waiting_until) == (None, None)
