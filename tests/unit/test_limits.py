"""What a destination keeps of a value, as declared: the prediction is what a few lines of Python say."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.stage import Stage
from tests.unit.tiny import back, kind, natives, put_fields, texts, variant, write

names = st.text(st.sampled_from("aBc \t\n/\\.üß👍…x"), min_size=1, max_size=12) | texts
many = partial(st.lists, min_size=1, max_size=20)
BLANKS = " \t\n\r\f"
SPACES = "".join(chr(c) for c in range(0x3001) if unicodedata.category(chr(c)) == "Zs")  # what DuckDB's trim takes off


def limited(value: str | None, keep: dict[str, Any]) -> str | None:
    """Cut a text the way a vendor does."""
    if value is not None and keep.get("trim"):
        value = value.strip(BLANKS) or None
    if value is not None and keep.get("last_part"):
        value = re.sub(r"^.*[/\\]", "", value, flags=re.DOTALL) or None
    for taken, given_ in keep.get("replaces", {}).items():
        value = value.replace(taken, given_) if value is not None else None
    if value is not None and keep.get("lower"):
        value = "".join(c.lower() if len(c.lower()) == 1 else c for c in value)
    if value is not None and keep.get("max"):
        value = value[: keep["max"]]
        value = value.rstrip(BLANKS) if keep.get("trim") else value
    if value is not None and keep.get("max_bytes"):
        value = value.encode()[: keep["max_bytes"]].decode(errors="ignore")
    if value is not None and keep.get("one_of") and value not in keep["one_of"]:
        value = None
    value = keep.get("default") if value is None else value
    return value or None


keeps = st.fixed_dictionaries(
    {},
    optional={
        "max": st.integers(1, 10),
        "max_bytes": st.integers(1, 12),
        "replaces": st.dictionaries(st.sampled_from("aßx/"), st.sampled_from(["", "_", "--"]), max_size=1),
        "trim": st.booleans(),
        "lower": st.booleans(),
        "last_part": st.booleans(),
        "default": st.sampled_from(["(none)", "O'Brien", "$.a"]),
        "one_of": st.lists(names, min_size=1, max_size=3, unique=True),
    },
)


@given(values=many(names | st.none()), keep=keeps, html=st.booleans())
def test_a_text_is_cut_as_declared(stage: Stage, values: list[str | None], keep: dict[str, Any], html: bool) -> None:
    if keep.get("one_of"):
        values = [*values, *keep["one_of"]]
    found = back(
        stage, kind(x="html" if html else "text"), variant(x="x"), write(x=keep), [{"x": value} for value in values]
    )
    assert [row["x"] for row in found] == [limited(value, keep) for value in values]


@given(
    values=many(st.lists(names, min_size=1, max_size=6) | st.none()),
    most=st.none() | st.integers(1, 4),
    each=st.none() | st.integers(1, 5),
)
@pytest.mark.parametrize("unordered", [True, False])
def test_a_list_is_cut_as_declared(
    stage: Stage, unordered: bool, values: list[list[str] | None], most: int | None, each: int | None
) -> None:
    keep = {**({"max": most} if most else {}), **({"max_item": each} if each else {})}

    def cut(value: list[str] | None) -> list[str] | None:
        some = (value or [])[:most]
        if each:
            some = list(dict.fromkeys(one.strip(SPACES)[:each].strip(SPACES) for one in some))
        some = [one for one in some if one]
        return (sorted(set(some), key=lambda s: s.encode()) if unordered else some) or None

    spec = kind(x={"type": "list", "unordered": unordered})
    found = back(stage, spec, variant(x="x"), write(x=keep), [{"x": value} for value in values])
    assert [row["x"] for row in found] == [cut(value) for value in values]


@given(values=many(names), most=st.integers(1, 8))
def test_a_custom_value_is_cut_by_the_type_of_its_field(stage: Stage, values: list[str], most: int) -> None:
    put_fields(stage, [["t", "thing", "t", "text", None, None], ["a", "thing", "a", "textarea", None, None]])
    spec = kind(c={"type": "map", "keyed_by": "custom_field"})
    verbs = variant(c={"path": "c", "keyed": {"style": "object", "applies_to": "thing"}})
    found = back(
        stage, spec, verbs, write(c={"type_max": {"text": most}}), [{"c": json.dumps({"t": v, "a": v})} for v in values]
    )
    cut = [value.strip(SPACES)[:most].strip(SPACES) for value in values]
    assert [json.loads(row["c"]) for row in found] == [
        ({"a": v, "t": c} if c else {"a": v}) for v, c in zip(values, cut, strict=True)
    ]


@given(values=many(st.tuples(names, st.sampled_from(["dropdown", "text", None]))))
def test_a_value_is_written_only_with_those_it_needs(stage: Stage, values: list[tuple[str, str | None]]) -> None:
    keep = write(x={"only_with": {"type": ["dropdown", "O'Brien"]}}, type="always")
    records = [{"x": value, "type": type} for value, type in values]
    found = back(stage, kind(x="text", type="text"), variant(x="x", type="type"), keep, records)
    assert [row["x"] for row in found] == [value if type == "dropdown" else None for value, type in values]


@given(values=many(st.tuples(st.none() | st.sampled_from(["1", "2", "9"]), names)))
def test_what_follows_is_the_field_of_the_record_referred_to(
    stage: Stage, values: list[tuple[str | None, str]]
) -> None:
    stage.schema("predicted")
    stage.table("predicted.person", "id VARCHAR, company VARCHAR")
    stage.insert("predicted.person", [["1", "one"], ["2", None]])
    spec = kind(who={"type": "ref", "to": ["person"]}, x="text")
    keep = write(who="always", x={"write": "never", "follows": ["who", "company"]})
    found = back(stage, spec, variant(who="who", x="x"), keep, [{"who": who, "x": value} for who, value in values])
    assert [row["x"] for row in found] == ["one" if who == "1" else None for who, _ in values]


@given(values=many(st.tuples(st.none() | st.sampled_from(["1", "2", "9"]), st.none() | st.sampled_from("ab"))))
def test_a_reference_is_written_where_another_record_says_the_same(
    stage: Stage, values: list[tuple[str | None, str | None]]
) -> None:
    stage.schema("predicted")
    stage.table("predicted.case", "id VARCHAR, asks VARCHAR")
    stage.insert("predicted.case", [["1", "a"], ["2", None]])
    spec = kind(of={"type": "ref", "to": ["case"]}, x={"type": "ref", "to": ["person"]})
    keep = write(of="always", x={"same_as": ["of", "asks"]})
    found = back(stage, spec, variant(of="of", x="x"), keep, [{"of": of, "x": value} for of, value in values])
    assert [row["x"] for row in found] == ["a" if (of, value) == ("1", "a") else None for of, value in values]


@given(values=many(names))
def test_a_text_that_is_not_like_what_the_vendor_takes_is_not_sent(stage: Stage, values: list[str]) -> None:
    found = back(stage, kind(x="text"), variant(x="x"), write(x={"matches": "[a-c]+"}), [{"x": v} for v in values])
    assert [row["x"] for row in found] == [v if re.fullmatch("[a-c]+", v) else None for v in values]


@given(values=many(st.tuples(st.none() | names, st.none() | names)))
def test_a_default_may_be_another_field_of_the_record(
    stage: Stage, values: list[tuple[str | None, str | None]]
) -> None:
    keep = write(x={"default_field": "y"}, y="always")
    found = back(stage, kind(x="text", y="text"), variant(x="x", y="y"), keep, [{"x": x, "y": y} for x, y in values])
    assert [row["x"] for row in found] == [x or y for x, y in values]


@pytest.mark.parametrize("keep", ["never", None])
@given(values=many(names))
def test_what_is_never_written_or_not_declared_is_not_there(stage: Stage, keep: str | None, values: list[str]) -> None:
    declared = write(**({"x": keep} if keep else {}), y="always")
    found = back(
        stage, kind(x="text", y="text"), variant(x="x", y="y"), declared, [{"x": value, "y": value} for value in values]
    )
    assert [(row["x"], row["y"]) for row in found] == [(None, value) for value in values]


@given(
    values=many(st.integers(0, 6)),
    allowed=st.lists(st.integers(0, 6), min_size=1, unique=True),
    default=st.integers(0, 6),
)
def test_native_values_outside_those_taken_become_the_default(
    stage: Stage, values: list[int], allowed: list[int], default: int
) -> None:
    verbs = variant(x={"path": "x", "values": {n: f"w{n}" for n in range(7)}})
    found = back(
        stage,
        kind(x="text"),
        verbs,
        write(x={"one_of": allowed, "default": default}),
        [{"x": f"w{value}"} for value in values],
    )
    assert [row["x"] for row in found] == [f"w{value if value in allowed else default}" for value in values]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("ada", "Ada"),
        ("ADA", "Ada"),
        ("élan", "Élan"),
        ("Ada", "Ada"),
        ("aDa", "aDa"),
        ("ada b", "ada b"),
        ("x1", "x1"),
    ],
)
def test_a_word_in_one_case_gets_a_capital_first_letter(stage: Stage, name: str, kept: str) -> None:
    (row,) = back(stage, kind(x="text"), variant(x="x"), write(x={"capital": True}), [{"x": name}])
    assert row["x"] == kept


@pytest.mark.parametrize(
    "picture",
    [
        '<img src="https://a.example/b.png?x=1&amp;y=2" alt="a">',
        "<img alt='a' src='http://a.example/b.png'/>",
        "<IMG width=1 SRC=//a.example/b.png>",
        '<img\nclass="x" src=" ftp://a.example/b.png">',
    ],
)
def test_a_picture_from_elsewhere_becomes_a_link_to_it(stage: Stage, picture: str) -> None:
    body = f"<p>before {picture} after</p>"
    (row,) = back(stage, kind(x="html"), variant(x="x"), write(x={"pictures": "link"}), [{"x": body}])
    address = re.search(r"(?:\w+:)?//[^\"'\s>]+", picture)
    assert address
    assert row["x"] == f'<p>before <a href="{address[0]}">{address[0]}</a> after</p>'


@pytest.mark.parametrize(
    "body", ['<img src="cid:1@x">', '<img src="/own.png">', "<imgx src=https://a.example>", "a < b"]
)
def test_other_pictures_stay_as_they_are(stage: Stage, body: str) -> None:
    (row,) = back(stage, kind(x="html"), variant(x="x"), write(x={"pictures": "link"}), [{"x": body}])
    assert row["x"] == body


def test_a_reference_is_written_only_where_a_membership_says_so(stage: Stage) -> None:
    stage.schema("canonical")
    stage.table("canonical.membership", 'id VARCHAR, agent VARCHAR, "group" VARCHAR')
    stage.insert("canonical.membership", [["1", "ann", "one"], ["2", "bob", "two"]])
    spec = kind(agent={"type": "ref", "to": ["thing"]}, group={"type": "ref", "to": ["thing"]})
    keep = write(agent={"member_of": ["membership", "agent", "group"]}, group="always")
    records = [{"agent": a, "group": g} for a, g in (("ann", "one"), ("ann", "two"), ("bob", None), ("bob", "two"))]
    found = back(stage, spec, variant(agent="agent", group="group"), keep, records)
    assert [row["agent"] for row in found] == ["ann", None, None, "bob"]


def test_a_reference_is_written_only_where_the_record_it_names_agrees(stage: Stage) -> None:
    stage.schema("predicted", fresh=True)
    stage.table("predicted.status", "id VARCHAR, category VARCHAR")
    stage.insert("predicted.status", [["h", "hold"], ["o", "open"], ["s", "solved"]])
    spec = kind(own={"type": "ref", "to": ["status"]}, status="text")
    fits = {"theirs": "category", "own": "status", "counts_as": {"closed": "solved"}}
    keep = write(own={"fits": fits}, status={"default": "open"})
    given = [
        ("h", "hold"),
        ("h", "open"),
        ("s", "closed"),
        ("s", "solved"),
        ("o", None),
        ("gone", "open"),
        (None, "open"),
    ]
    records = [{"own": own, "status": status} for own, status in given]
    found = back(stage, spec, variant(own="own", status="status"), keep, records)
    assert [row["own"] for row in found] == ["h", None, "s", "s", "o", None, None]


@pytest.mark.parametrize("many", ["refs", "list"])
def test_of_a_list_where_the_vendor_has_one_value_the_first_is_kept(stage: Stage, many: str) -> None:
    more = {"to": ["thing"]} if many == "refs" else {}
    spec, verbs = kind(x={"type": many, **more}), variant(x={"path": "x", "one": True})
    assert natives(stage, spec, verbs, write(x={}), [{"x": ["a", "b"]}])[0]["x"] == "a"
    found = back(stage, spec, verbs, write(x={}), [{"x": ["a", "b"]}, {"x": ["c"]}, {"x": None}])
    assert [row["x"] for row in found] == [["a"], ["c"], None]
