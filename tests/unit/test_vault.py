"""What is sealed says its scheme and nothing else, is always the same, and is opened by the workspace's key alone."""

from __future__ import annotations

import html
import json
import re
import shutil
import stat
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.errors import AccessError, InputError, WorkspaceError
from migrator.seals import SCHEMES, of_schemes, scheme, shown, shown_in
from migrator.stage import Stage
from migrator.vault import HIDDEN, Vault, hidden, keys_folder
from migrator.workspace import Workspace

HASH = "{SHA512-CRYPT}$6$salt$" + "h" * 86
NEXT = "$A$005$" + "n" * 63
KEY = "5a" * 64
TEXTS = st.text(max_size=200)
FEW = settings(max_examples=40, deadline=None)


def vault(folder: Path, key: str = KEY, where: str = "env:KEY") -> Vault:
    return Vault(folder, where, lambda place, what: key)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return vault(tmp_path_factory.mktemp("w"))


@FEW
@given(TEXTS)
def test_what_is_sealed_opens_as_it_was_and_sealing_it_again_changes_nothing(one: Vault, text: str) -> None:
    sealed = one.seal(text)
    assert one.open(sealed) == text
    assert one.seal(sealed) == one.seal(text) == sealed
    assert text not in sealed or len(text) < 20


@FEW
@given(TEXTS, TEXTS)
def test_two_secrets_are_the_same_when_their_sealed_texts_are(one: Vault, this: str, that: str) -> None:
    assert (one.seal(this) == one.seal(that)) == (this == that)


def test_a_text_that_only_looks_sealed_is_a_secret_like_any_other(one: Vault) -> None:
    forged = "⟦sealed SHA512-CRYPT 0badc0de QUJD⟧"
    sealed = one.seal(forged)
    assert sealed != forged
    assert one.open(sealed) == forged
    with pytest.raises(WorkspaceError, match="0badc0de"):
        one.open(forged)


def test_a_scheme_that_was_changed_is_found_out(one: Vault) -> None:
    sealed = one.seal(HASH)
    assert sealed.startswith("⟦sealed SHA512-CRYPT ")
    with pytest.raises(WorkspaceError):
        one.open(sealed.replace("SHA512-CRYPT", "MD5-CRYPT"))


def test_what_stands_under_a_telling_key_is_sealed_though_nobody_named_it(one: Vault) -> None:
    body = json.dumps({"hash": HASH, "name": "Ann", "database_password_sha2": NEXT, "of": [{"apiKey": NEXT}]})
    told = json.loads(one.sealed(body.encode(), ["hash"]))
    assert told == {"hash": one.seal(HASH), "name": "Ann", "database_password_sha2": one.seal(NEXT),
                    "of": [{"apiKey": one.seal(NEXT)}]}  # fmt: skip


def test_people_see_scheme_and_mark(one: Vault) -> None:
    sealed = one.seal(HASH)
    told = shown_in({"was": [f"from {sealed}"]})["was"][0]
    assert re.fullmatch(r"from ⟦sealed SHA512-CRYPT [0-9a-f]{8}⟧", told)
    assert shown("nothing") == "nothing"


@pytest.mark.parametrize(
    ("secret", "called"),
    [
        ("geheim", "UNKNOWN"), ("{sha512-crypt}$6$s$h", "SHA512-CRYPT"), ("{CRYPT}$6$s$h", "SHA512-CRYPT"),
        ("{SHA512-CRYPT}none", "UNKNOWN"), ("{ssha.b64}x", "SSHA"),
        ("{hunter2}", "UNKNOWN"), ("$2y$10$x", "BLF-CRYPT"), ("$2b$10$x", "BCRYPT"), ("*" + "0F" * 20, "MYSQL-NATIVE"),
        ("*short", "UNKNOWN"), ("-----BEGIN PRIVATE KEY-----", "PEM"), ("", ""),
    ],
)  # fmt: skip
def test_a_scheme_is_told_only_where_it_is_one_that_is_known(secret: str, called: str) -> None:
    assert scheme(secret) == called


@pytest.mark.parametrize("taken", [["SHA512-CRYPT"], ["MYSQL-NATIVE"], ["MD5-CRYPT", "BLF-CRYPT", "SHA256-CRYPT"]])
def test_a_plan_takes_sealed_and_open_secrets_of_the_same_schemes(one: Vault, taken: list[str]) -> None:
    """In the stage as in Python, over every scheme and some that are none."""
    bare = ["$6$s$h", "$5$s$h", "$1$s$h", "$2y$1$h", "$2a$1$h", "$y$j$h", "*" + "AB" * 20, "*AB", "geheim", "$6$"]
    wanted = of_schemes(taken)
    with Stage(":memory:") as stage:
        for text in [*bare, *(f"{{CRYPT}}{one}" for one in bare)]:
            fits = scheme(text) in taken
            for form in (text, one.seal(text)):
                assert bool(re.fullmatch(wanted, form)) == fits, form
                assert stage.one("SELECT regexp_full_match(?, ?)", form, wanted) == fits, form
    assert set(taken) <= set(SCHEMES)


def test_a_key_is_made_on_first_need_for_its_owner_alone_and_never_in_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    assert not workspace.folder.exists()  # nothing is made before there is something to seal
    sealed = workspace.vault.seal(HASH)
    note = json.loads((workspace.folder / "key.json").read_text(encoding="utf-8"))
    file = keys_folder() / note["key"]
    assert note["in"] == f"file:{file}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = file.read_text(encoding="ascii").strip()
    assert not any(key.encode() in each.read_bytes() for each in workspace.folder.rglob("*") if each.is_file())
    assert Workspace(tmp_path / "w").vault.open(sealed) == HASH


def test_a_workspace_without_its_key_says_where_it_should_be_and_makes_no_other(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    sealed = workspace.vault.seal(HASH)
    called = json.loads((workspace.folder / "key.json").read_text(encoding="utf-8"))["key"]
    file = keys_folder() / called
    moved = Path(shutil.move(file, tmp_path / "elsewhere"))
    for attempt in (workspace.folder, workspace.folder):
        with pytest.raises(AccessError, match=rf"{called}.*{re.escape(str(file))}.*key: file:PATH"):
            Workspace(attempt).vault.seal("another")
    assert not file.exists()
    assert Workspace(workspace.folder, f"file:{moved}").vault.open(sealed) == HASH
    with pytest.raises(AccessError, match=f"{called}.*env:KEY"):
        vault(workspace.folder).open(sealed)
    assert vault(workspace.folder, moved.read_text(encoding="ascii").strip()).open(sealed) == HASH


def test_a_key_lies_in_the_workspace_only_where_migration_yaml_says_so(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w", "file:own.key")
    sealed = workspace.vault.seal(HASH)
    assert (workspace.folder / "own.key").is_file()
    assert Workspace(workspace.folder, "file:own.key").vault.open(sealed) == HASH


def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        vault(tmp_path, "hunter2").seal(HASH)
    assert "hunter2" not in str(told.value)


@FEW
@given(st.text('abcXYZ019./$+=<&"ü', min_size=40, max_size=60), st.integers(0, 30), st.integers(0, 2))
def test_a_secret_is_taken_out_of_what_is_said_however_it_is_written_and_cut(secret: str, cut: int, shift: int) -> None:
    data = secret.encode()
    ways = [
        secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), json.dumps(secret).replace("/", "\\/"),
        html.escape(secret), quote(secret), quote(secret, safe=""), quote_plus(secret),
        b64encode(b"x" * shift + data).decode(), urlsafe_b64encode(b"x" * shift + data).decode(),
    ]  # fmt: skip
    for way in ways:
        told = hidden(f"refused: {way[cut:]}", ["", secret])
        assert told.startswith("refused: "), told
        assert len(told.replace(HIDDEN, "")) < len("refused: ") + 12, (way, told)


def test_nothing_else_is_taken_out_of_what_is_said() -> None:
    said = "mail_user_add: {SHA512-CRYPT} is not taken for ann@acme.example"
    assert hidden(said, [HASH.removeprefix("{SHA512-CRYPT}"), "", "x" * 40]) == said
    assert hidden("pin 1234 refused", ["1234"]) == f"pin {HIDDEN} refused"


def test_bytes_are_sealed_and_read_as_a_file_that_is_not_in_the_workspace(one: Vault, tmp_path: Path) -> None:
    (tmp_path / "x.sealed").write_bytes(one.seal_bytes(b"-----BEGIN PRIVATE KEY-----"))
    assert b"PRIVATE" not in (tmp_path / "x.sealed").read_bytes()
    assert one.file(tmp_path / "x.sealed").read_bytes() == b"-----BEGIN PRIVATE KEY-----"
    assert one.file(tmp_path / "x.sealed") == one.file(tmp_path / "x.sealed")
    (tmp_path / "y.sealed").write_bytes(b"-----BEGIN PRIVATE KEY-----")
    with pytest.raises(WorkspaceError, match=r"y\.sealed"):
        one.bytes_of(tmp_path / "y.sealed")
