"""What is wrong in one of our YAML files is said with file, line and remedy; nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict

from migrator import documents
from migrator.errors import InputError
from migrator.migration import Migration
from migrator.project import open_project

GOOD = """\
name: move
source:
  vendor: zendesk
  settings: {account: a, user: u@example.com}
  secrets: {token: env:A}
destination:
  vendor: freshdesk
  settings: {account: b}
  secrets: {token: env:B}
policies: {preface: true}
thresholds: {manual: 0.5}
"""


def refused(folder: Path, text: str | bytes) -> InputError:
    file = folder / "migration.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        open_project(folder)
    assert str(file) in str(caught.value)
    return caught.value


def test_the_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "migration.yaml").write_text(GOOD)
    assert open_project(tmp_path).migration.source.vendor == "zendesk"


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
        ("name: move", "name: move\nname: again", 2, "duplicate key"),
        ("  vendor: zendesk", "\tvendor: zendesk", 3, "tab|token"),
        ("name: move", "name: [move", None, "expected|sequence"),
        (
            "  secrets: {token: env:B}",
            "  secrets: {token: env:B}\n  workrs: 3",
            10,
            "'workrs' is not a key here; did you mean 'workers'",
        ),
        ("policies:", "polices:", 10, "'polices' is not a key here; did you mean 'policies'"),
        ("source:", "sorce:", 2, "'sorce' is not a key here; did you mean 'source'"),
        ("  vendor: zendesk", "  vendr: zendesk", 3, "'vendr' is not a key here; did you mean 'vendor'"),
        ("  vendor: zendesk\n", "", 2, "'source.vendor' is missing"),
        ("name: move\n", "", 1, "'name' is missing"),
        ("name: move", "name: [1, 2]", 1, "valid string"),
        ("name: move", "name: 5", 1, "valid string"),
        ("preface: true", "preface: yes", 10, "boolean"),
        ("preface: true", "preface: on", 10, "boolean"),
        ("preface: true", 'preface: "true"', 10, "boolean"),
        ("preface: true", "preface: 1", 10, "boolean"),
        ("preface: true", "people_without_seat: perhaps", 10, "stand_in"),
        ("  vendor: freshdesk", "  vendor: freshdesk\n  share: 1.5", 8, "less than or equal to 1"),
        ("  vendor: freshdesk", "  vendor: freshdesk\n  workers: 0", 8, "greater than or equal to 1"),
        ("manual: 0.5", "manual: much", 11, "number"),
        ("source:", "? [a, b]\n: 1\nsource:", None, "keys should be strings"),
        (GOOD, "", 1, "mapping of keys"),
        (GOOD, "- a\n- b\n", 1, "mapping of keys"),
        (GOOD, "just text", 1, "mapping of keys"),
        (GOOD, GOOD + "---\nname: second\n", 12, "single document|document"),
        ("name: move", "name: *nobody", 1, "an alias; write it out"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, was: str, becomes: str, line: int | None, says: str
) -> None:
    assert was in GOOD
    error = refused(tmp_path, GOOD.replace(was, becomes, 1))
    if line is not None:
        assert error.line == line
        assert f"migration.yaml:{line}: " in str(error)
    assert any(part in str(error) for part in says.split("|"))


def test_bytes_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    assert "utf-8" in str(refused(tmp_path, GOOD.encode() + b"# caf\xe9\n"))


def test_a_control_character_is_refused(tmp_path: Path) -> None:
    assert "special characters are not allowed" in str(refused(tmp_path, GOOD.replace("move", "mo\x07ve")))


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "migration.yaml").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        open_project(tmp_path)


def test_a_missing_file_is_refused_with_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"migration.yaml: no such file; `migrator init` writes one"):
        open_project(tmp_path)


def test_a_document_that_contains_itself_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, GOOD + "overlay: &o {a: *o}\n")


def test_anchors_that_blow_up_are_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    refused(tmp_path, bomb + GOOD)


@given(text=st.text(st.sampled_from("ab:{}[]-#&*!|>'\"%@`,? \n\t\\0x.~"), max_size=25) | st.text(max_size=15))
def test_whatever_stands_in_a_file_the_answer_is_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError):
        documents.read(file, Migration)


class Anything(documents.Document):
    """A document of any keys."""

    model_config = ConfigDict(extra="allow")


WORDS = ["yes", "true", "1_0", "0o7", "0x1f", "1e3", ".inf", "~", "''", "2024-01-02", "2024-01-02T03:04:05Z", "é"]
MARKS = [
    "a: ",
    "b: ",
    "- ",
    "\n",
    "  ",
    "x # y",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "|\n",
    "&a ",
    "*a",
    '"k":',
    "!!str ",
    "<<: ",
]
PARTS = st.sampled_from([*WORDS, *MARKS, "---\n"])


def said(file: Path) -> Any:
    """Return what a file says, its places asked for; the error's words where it is faulty."""
    try:
        return documents.parse(documents.tree(file), Anything, str(file))
    except InputError as err:
        return str(err)


@settings(max_examples=150)
@given(text=st.lists(PARTS, max_size=10).map("".join))
def test_a_file_says_the_same_whether_or_not_the_places_of_its_parts_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "said.yaml"
    file.write_text(text)
    told = said(file)
    if isinstance(told, str):
        with pytest.raises(InputError) as caught:
            documents.read(file, Anything)
        assert str(caught.value) == told
    else:
        assert repr(documents.read(file, Anything)) == repr(told)
