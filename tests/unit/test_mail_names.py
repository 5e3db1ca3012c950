"""Names of folders and messages keep their meaning, whatever stands in them and between their levels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.connectors.imap.names import Namespace, Place, folder_id, folder_of, mailbox_id, place_of
from migrator.connectors.imap.reading import requires
from migrator.connectors.imap.wire import appended

pytestmark = pytest.mark.unit
LEVEL = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\uff0f\uff0e\uff3c\uff3f"), min_size=1
)
NAMES = st.lists(LEVEL.filter(lambda level: level.upper() != "INBOX"), min_size=1, max_size=4).map("/".join)
SPACES = st.builds(Namespace, st.sampled_from(["", "INBOX.", "Mail/"]), st.sampled_from(["/", ".", "\\", "^"]))


@given(SPACES, NAMES)
def test_a_name_written_to_any_server_comes_back_as_it_was(space: Namespace, name: str) -> None:
    assert space.name(space.native(name)) == name


@given(SPACES, NAMES)
def test_a_name_has_as_many_levels_there_as_here(space: Namespace, name: str) -> None:
    native = space.native(name).removeprefix(space.prefix)
    assert native.count(space.separator) == name.count("/")


def test_inbox_is_one_in_any_case_and_under_any_prefix() -> None:
    space = Namespace("INBOX.", ".")
    assert space.name("Inbox") == "INBOX"
    assert space.native("INBOX") == "INBOX"
    assert space.name(space.native("INBOX/below")) == "INBOX/below"
    assert Namespace("", "/").name("inbox/Below") == "INBOX/Below"


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1), NAMES, st.integers(1, 2**32), st.integers(1, 2**32)
)
def test_an_id_tells_mailbox_folder_and_number_again(address: str, name: str, validity: int, uid: int) -> None:
    folder = folder_id(address, name)
    assert folder_of(folder) == (address, name)
    assert "/" not in mailbox_id(address)
    place = Place(folder, validity, uid)
    assert place_of(place.id) == place


@given(st.lists(st.integers(1, 2**32), min_size=2, max_size=2, unique=True))
def test_ids_of_one_folder_sort_by_number(pair: list[int]) -> None:
    low, high = sorted(pair)
    assert Place("a/INBOX", 7, low).id < Place("a/INBOX", 7, high).id


@pytest.mark.parametrize(
    ("said", "wanted", "found"),
    [
        ("[APPENDUID 7 5] done", 1, [(7, 5)]),
        ("[APPENDUID 7 5:7] done", 3, [(7, 5), (7, 6), (7, 7)]),
        ("[APPENDUID 7 5,9:10] done", 3, [(7, 5), (7, 9), (7, 10)]),
        ("[APPENDUID 7 5:7] done", 2, None),  # not one for each: looked up instead
        ("[APPENDUID 7 1:4294967295] done", 2, None),
        ("Append completed.", 1, None),
    ],
)
def test_the_numbers_of_appended_messages_are_read_or_left_alone(
    said: str, wanted: int, found: list[tuple[int, int]] | None
) -> None:
    assert appended(said, wanted) == found


def test_what_a_script_requires_is_read_without_its_comments() -> None:
    text = '# require "vacation";\n/* require ["x"]; */\nrequire ["fileinto", "imap4flags"];\nrequire "copy";\nkeep;'
    assert requires(text) == ["copy", "fileinto", "imap4flags"]
