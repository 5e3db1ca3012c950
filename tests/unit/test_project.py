"""migration.yaml holds the names of secrets and never a secret; what it names exists, or the line is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keyring
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keyring.backend import KeyringBackend

from migrator import registry
from migrator.credentials import secret
from migrator.errors import AccessError, InputError
from migrator.manifest import Channel
from migrator.project import Project, open_project
from migrator.starter import starter
from migrator.workspace import Workspace

SECRET = "hunter2-Geheim"


def written(folder: Path, **changes: Any) -> Path:
    whole: dict[str, Any] = {
        "name": "move",
        "source": {
            "vendor": "zendesk",
            "settings": {"account": "old", "user": "u@example.com"},
            "secrets": {"token": "env:T_OLD"},
        },
        "destination": {"vendor": "freshdesk", "settings": {"account": "new"}, "secrets": {"token": "env:T_NEW"}},
    }
    for side, change in changes.items():
        whole[side] = {**whole[side], **change} if isinstance(whole.get(side), dict) else change
    folder.mkdir(exist_ok=True)
    (folder / "migration.yaml").write_text(json.dumps(whole, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder


def project(folder: Path, **changes: Any) -> Project:
    return open_project(written(folder, **changes))


class Ring(KeyringBackend):
    """A keyring of one entry."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        return SECRET if (service, username) == ("migrator", "a/b") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Nothing is set here."""

    def delete_password(self, service: str, username: str) -> None:
        """Nothing is set here."""


@settings(suppress_health_check=list(HealthCheck))
@given(
    literal=st.sampled_from([SECRET, "env", "env:", "ENV:X", "keyring:", "vault:x", "", " env:X", "$TOKEN", "${env:X}"])
    | st.text(min_size=1, max_size=9)
)
def test_a_literal_secret_is_refused_with_its_line_and_not_repeated(tmp_path: Path, literal: str) -> None:
    literal = "x" + literal if literal.startswith(("env:", "keyring:")) and not literal.endswith(":") else literal
    literal = literal.encode("utf-8", "replace").decode()
    folder = written(tmp_path / "w", source={"secrets": {"token": literal}})
    with pytest.raises(InputError) as caught:
        open_project(folder)
    lines = (folder / "migration.yaml").read_text(encoding="utf-8").split("\n")
    assert caught.value.line == next(at for at, line in enumerate(lines, 1) if '"token"' in line)
    assert "write env:VARIABLE or keyring:SERVICE/USER; never the secret itself" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("held", [12345, ["hunter2-Geheim"], {"a": "hunter2-Geheim"}, True, None])
def test_a_secret_of_another_type_is_refused_and_not_repeated(tmp_path: Path, held: Any) -> None:
    with pytest.raises(InputError) as caught:
        project(tmp_path, source={"secrets": {"token": held}})
    assert "hunter2" not in str(caught.value)
    assert "12345" not in str(caught.value)


def test_a_secret_among_the_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no setting 'token'") as caught:
        project(tmp_path, destination={"settings": {"account": "new", "token": SECRET}, "secrets": {}})
    assert SECRET not in str(caught.value)


def test_a_missing_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("T_OLD", raising=False)
    with pytest.raises(AccessError, match="zendesk's token: the environment variable T_OLD is not set"):
        project(tmp_path).source.open()


def test_a_variable_that_is_empty_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T_OLD", "")
    with pytest.raises(AccessError, match="T_OLD"):
        project(tmp_path).source.open()


@pytest.mark.parametrize(
    "held", [SECRET + "\n", "\t" + SECRET, SECRET + "\r\nX-Other: 1", f"{SECRET} ", f"{SECRET}é", f"{SECRET}\u2026"]
)
def test_a_secret_no_header_can_carry_is_refused_by_its_name_not_shown(
    monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setenv("T_OLD", held)
    with pytest.raises(AccessError, match="T_OLD") as caught:
        secret("env:T_OLD", "zendesk's token")
    assert SECRET not in str(caught.value)


def test_the_keyring_is_asked_by_service_and_user() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        assert secret("keyring:migrator/a/b", "zendesk's token") == SECRET
        with pytest.raises(
            AccessError, match="the keyring holds nothing for migrator/nobody; `keyring set migrator nobody`"
        ):
            secret("keyring:migrator/nobody", "zendesk's token")
    finally:
        keyring.set_keyring(before)


def test_nothing_of_an_open_account_shows_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T_OLD", SECRET)
    found = project(tmp_path)
    opened = found.source.open()
    shown = [
        repr(thing) + str(thing)
        for thing in (found, found.source, found.migration, opened, opened.client, opened.client.auth)
    ]
    assert not any(SECRET in text for text in shown)


@pytest.mark.parametrize(
    ("changes", "says", "at"),
    [
        (
            {"destination": {"plan": "enterprize"}},
            "freshdesk has no plan 'enterprize'; did you mean 'enterprise'",
            '"plan"',
        ),
        (
            {"destination": {"vendor": "freshdesc"}},
            "no connector for 'freshdesc'; did you mean 'freshdesk'",
            '"freshdesc"',
        ),
        (
            {"source": {"settings": {"acount": "x"}}},
            "zendesk has no setting 'acount'; did you mean 'account'",
            '"acount"',
        ),
        ({"source": {"secrets": {"tokn": "env:X"}}}, "zendesk has no secret 'tokn'; did you mean 'token'", '"tokn"'),
        (
            {"overlay": {"freshdesc": {}}},
            "the overlay names the vendor 'freshdesc'; did you mean 'freshdesk'",
            '"freshdesc"',
        ),
    ],
)
def test_what_does_not_exist_is_named_with_its_line_and_a_suggestion(
    tmp_path: Path, changes: dict[str, Any], says: str, at: str
) -> None:
    folder = written(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        open_project(folder)
    assert says in str(caught.value)
    lines = (folder / "migration.yaml").read_text().split("\n")
    assert caught.value.line == next(number for number, line in enumerate(lines, 1) if at in line)


@pytest.mark.parametrize(
    ("side", "part", "name"),
    [("source", "settings", "account"), ("source", "secrets", "token"), ("destination", "settings", "account")],
)
def test_what_is_missing_is_named_with_how_to_add_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, part: str, name: str
) -> None:
    monkeypatch.setenv("T_OLD", "x")
    monkeypatch.setenv("T_NEW", "x")
    with pytest.raises(
        InputError, match=rf"migration.yaml: \w+ needs the {part[:-1]} '{name}'; add `{part}: {{{name}: "
    ):
        getattr(project(tmp_path, **{side: {part: {}}}), side).open()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/api/v2"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/api/v2"),
        ("http://x/api/v2/", "http://x/api/v2"),
        (None, "https://new.freshdesk.com/api/v2"),
    ],
)
def test_an_address_of_ones_own_takes_the_place_of_the_vendors(tmp_path: Path, url: str | None, address: str) -> None:
    assert project(tmp_path, destination={"url": url}).destination.base_url() == address


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "0" * 65])
def test_bytes_are_found_by_digest_and_by_nothing_else(digest: str) -> None:
    with pytest.raises(InputError, match="not a digest"):
        Workspace(Path("w")).blob(digest)


@pytest.mark.parametrize("source", sorted(registry.vendors()))
@pytest.mark.parametrize("destination", sorted(registry.vendors()))
def test_the_file_that_init_writes_can_be_opened(tmp_path: Path, source: str, destination: str) -> None:
    (tmp_path / "migration.yaml").write_text(starter("move", source, destination), encoding="utf-8")
    if registry.connector(source).kinds != registry.connector(destination).kinds:
        with pytest.raises(InputError, match="choose two vendors of one trade"):
            open_project(tmp_path)
        return
    assert open_project(tmp_path).destination.account.vendor == destination


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = (
        "name: x\nsource: {vendor: zendesk, url: 'https://me:hidden@desk.example'}\ndestination: {vendor: freshdesk}\n"
    )
    (tmp_path / "migration.yaml").write_text(text)
    with pytest.raises(InputError, match="holds no user or password") as caught:
        open_project(tmp_path)
    assert "hidden" not in str(caught.value)


def test_a_channel_that_the_vendor_has_not_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"migration.yaml:\d+: freshdesk has no channel 'sql'; it has its API only"):
        project(tmp_path / "w", destination={"channels": ["sql"]})


def test_a_channels_writes_stand_in_for_those_of_the_same_kind_and_variant() -> None:
    freshdesk = registry.connector("freshdesk").manifest
    message = next(write for write in freshdesk.writes if write.kind == "message")
    kept = {label: keep.model_copy(update={"write": "always", "loss": None}) for label, keep in message.fields.items()}
    sql = Channel(doc="dates too", secrets={"dsn": "an address"}, writes=(message.model_copy(update={"fields": kept}),))
    manifest = freshdesk.model_copy(update={"channels": {"sql": sql}})
    through = manifest.through(["sql"])
    assert manifest.through([]).writes == freshdesk.writes
    assert through.write("message", message.variant) == sql.writes[0]
    assert [w for w in through.writes if w.kind != "message"] == [w for w in freshdesk.writes if w.kind != "message"]
    assert set(through.secrets) == {*freshdesk.secrets, "dsn"}
