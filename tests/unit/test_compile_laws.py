"""The law of every verb: what it can hold comes back as it was, and whatever a record says stays data."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from migrator.compile import canonical_sql, checked, problems_sql, quoted
from migrator.manifest import Write
from migrator.mapping import Variant
from migrator.native import native_sql
from migrator.stage import Stage
from tests.unit.tiny import HOSTILE, back, kind, natives, put_fields, read, texts, variant, write

many = partial(st.lists, min_size=1, max_size=25)
lists = st.lists(texts, min_size=1, max_size=4)
moments = st.datetimes(datetime(1, 1, 2), datetime(9998, 12, 30))
few = settings(max_examples=3)  # of each parameter
seconds = moments.map(lambda at: at.replace(microsecond=0))


def law(stage: Stage, type: Any, verb: Any, values: list[Any], *, keep: Any = "always") -> None:
    """Hold one field to it: written, then read back, each value is what it was."""
    records = [{"x": value} for value in values]
    assert back(stage, kind(x=type), variant(x=verb), write(x=keep), records) == records


# ---- scalars, by path ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["x", "a.b", "a.b.c", "select", "a b", "ä.ö", "x'y", "drop table x", "--", "a-b"])
@few
@given(values=many(texts))
def test_text_comes_back_from_any_path(stage: Stage, path: str, values: list[str]) -> None:
    law(stage, "text", path, values)


@given(values=many(texts))
def test_html_is_carried_letter_by_letter(stage: Stage, values: list[str]) -> None:
    law(stage, "html", "x", values)


@given(values=many(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_integers_come_back(stage: Stage, values: list[int]) -> None:
    law(stage, "integer", "x", values)


@given(values=many(st.none() | st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_come_back_to_the_last_bit(stage: Stage, values: list[float]) -> None:
    law(stage, "number", "x", values)


@given(values=many(st.none() | st.booleans()), inverted=st.booleans())
def test_booleans_come_back_straight_and_inverted(stage: Stage, values: list[bool], inverted: bool) -> None:
    law(stage, "boolean", {"path": "x", "invert": inverted}, values)


@given(values=many(st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31))))
def test_dates_come_back(stage: Stage, values: list[date]) -> None:
    law(stage, "date", "x", values)


@given(values=many(st.none() | seconds))
def test_timestamps_of_whole_seconds_come_back(stage: Stage, values: list[datetime]) -> None:
    law(stage, "timestamp", "x", values)


@given(values=many(st.none() | seconds.filter(lambda at: at != datetime(1970, 1, 1))))
def test_seconds_since_1970_come_back(stage: Stage, values: list[datetime]) -> None:
    law(stage, "timestamp", {"path": "x", "unix": True}, values)


def test_seconds_of_a_time_that_never_was_say_nothing(stage: Stage) -> None:
    told = [{"x": 0}, {"x": "soon"}, {"x": 1e40}, {"x": 1704182400.25}]
    found = read(stage, kind(x="timestamp"), variant(x={"path": "x", "unix": True}), told)
    assert [row["x"] for row in found] == [None, None, None, datetime(2024, 1, 2, 8, 0, 0, 250000)]


@given(values=many(moments))
def test_a_fraction_of_a_second_is_cut_never_rounded(stage: Stage, values: list[datetime]) -> None:
    found = back(stage, kind(x="timestamp"), variant(x="x"), write(x="always"), [{"x": value} for value in values])
    assert [row["x"] for row in found] == [value.replace(microsecond=0) for value in values]


@given(
    values=many(st.tuples(moments.filter(lambda at: at.year > 1), st.integers(-14 * 60, 14 * 60))),
    digits=st.integers(0, 9),
)
def test_a_timestamp_is_read_as_the_moment_its_offset_means(
    stage: Stage, values: list[tuple[datetime, int]], digits: int
) -> None:
    bodies, meant = [], []
    for at, minutes in values:
        zone = timezone(timedelta(minutes=minutes))
        text = f"{at.microsecond:06d}000"[:digits]
        kept = at.replace(microsecond=int(text[:6].ljust(6, "0") or 0))
        sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
        bodies.append(
            {
                "x": f"{kept:%Y-%m-%dT%H:%M:%S}".rjust(19, "0")
                + (f".{text}" if text else "")
                + f"{sign}{hours:02d}:{rest:02d}"
            }
        )
        meant.append(kept.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None))
    assert [row["x"] for row in read(stage, kind(x="timestamp"), variant(x="x"), bodies)] == meant


@given(values=many(st.none() | texts | st.integers() | st.booleans()))
def test_what_cannot_be_read_is_named_as_a_problem_and_nothing_else_is(stage: Stage, values: list[Any]) -> None:
    spec, verbs = kind(x="timestamp"), variant(x="x")
    found = read(stage, spec, verbs, [{"x": value} for value in values])
    problems = problems_sql(spec, verbs, "bodies")
    assert problems is not None
    named = {row[0] for row in stage.rows(problems)}
    says = {str(at) for at, value in enumerate(values) if value not in (None, "")}
    assert named == {id for id in says if found[int(id)]["x"] is None}


# ---- lists ----------------------------------------------------------------------------------------------------------


@given(values=many(st.none() | lists))
def test_lists_come_back_in_order(stage: Stage, values: list[list[str]]) -> None:
    law(stage, "list", "x", values)


@given(values=many(lists))
def test_unordered_lists_come_back_as_sets(stage: Stage, values: list[list[str]]) -> None:
    spec, records = kind(x={"type": "list", "unordered": True}), [{"x": value} for value in values]
    found = back(stage, spec, variant(x="x"), write(x="always"), records)
    assert [row["x"] for row in found] == [sorted(set(value), key=lambda s: s.encode()) for value in values]


@pytest.mark.parametrize("each", ["name", "a b", "x'y", "'; DROP TABLE x;--", 'quo"te', "back\\slash"])
@few
@given(values=many(lists))
def test_a_leaf_of_each_element_comes_back(stage: Stage, each: str, values: list[list[str]]) -> None:
    law(stage, "list", {"path": "x", "each": each}, values)


@pytest.mark.parametrize("cut", [" ", ",", "; ", "'", "||", "\\", "."])
@few
@given(values=many(lists))
def test_a_list_kept_as_one_text_comes_back(stage: Stage, cut: str, values: list[list[str]]) -> None:
    whole = [kept for value in values if (kept := [s for s in value if not set(s) & set(cut)])]
    law(stage, "list", {"path": "x", "split": cut}, whole)


# ---- value maps -----------------------------------------------------------------------------------------------------

words = (
    st.sampled_from(["open", "new", "pending", "closed", "on hold", "O'Brien", "ä", "'; DROP TABLE x;--", "", "none?"])
    | texts
)
natives_ = st.integers(-5, 99) | texts | st.booleans()


def word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@st.composite
def value_maps(draw: Any) -> dict[str, Any]:
    """A map as mappings have them: not injective, of few or of many values, with and without words for the way back."""
    size = draw(st.sampled_from([1, 3, 8, 9, 20]))
    keys = draw(st.lists(natives_, min_size=1, max_size=size, unique_by=word))
    means = draw(st.lists(words.filter(bool), min_size=1, max_size=4))
    values = {key: draw(st.sampled_from(means)) for key in keys}
    more = draw(st.lists(words.filter(bool), max_size=2, unique=True))
    return {
        "values": values,
        "write": {canonical: draw(st.sampled_from(keys)) for canonical in more},
        "otherwise": draw(st.sampled_from(["none", "keep", "other'wise"])),
    }


def _read_value(how: dict[str, Any], native: Any) -> str | None:
    known = {word(k): word(v) for k, v in how["values"].items()}
    other = {"none": None, "keep": None if native is None else word(native)}.get(how["otherwise"], how["otherwise"])
    return (known.get(word(native), other) if native is not None else other) or None


def _write_value(how: dict[str, Any], canonical: str | None) -> Any:
    turned: dict[str, Any] = {}
    for native, means in how["values"].items():
        turned.setdefault(word(means), native)
    turned |= {word(means): native for means, native in how["write"].items()}
    return turned.get(canonical or "", canonical if how["otherwise"] == "keep" else None)


@given(how=value_maps(), more=st.lists(words | st.none(), max_size=5))
def test_value_maps_do_what_they_say_in_both_directions(
    stage: Stage, how: dict[str, Any], more: list[str | None]
) -> None:
    spec, verbs, keep = kind(x="text"), variant(x={"path": "x", **how}), write(x="always")
    raw: list[Any] = [*how["values"], None, "nobody knows"]
    found = read(stage, spec, verbs, [{"x": value} for value in raw])
    assert [row["x"] for row in found] == [_read_value(how, value) for value in raw]
    canonical = [w or None for w in [*map(word, how["values"].values()), *how["write"], *more]]
    records = [{"x": value} for value in canonical]
    sent = natives(stage, spec, verbs, keep, records)
    assert [body.get("x") for body in sent] == [_write_value(how, value) for value in canonical]
    again = back(stage, spec, verbs, keep, records)
    assert [row["x"] for row in again] == [_read_value(how, _write_value(how, value)) for value in canonical]
    lawful = [
        value
        for value in canonical
        if value and value not in how["write"] and value in map(word, how["values"].values())
    ]
    assert all(row["x"] == value for row, value in zip(again, canonical, strict=True) if value in lawful)


def test_yes_and_no_of_a_vendor_are_words_like_any_other(stage: Stage) -> None:
    spec, verbs = kind(x="text"), variant(x={"path": "x", "values": {True: "private", False: "public"}})
    assert read(stage, spec, verbs, [{"x": True}, {"x": False}, {"x": None}]) == [
        {"x": "private"},
        {"x": "public"},
        {"x": None},
    ]
    law(stage, "text", {"path": "x", "values": {True: "private", False: "public"}}, ["private", "public", None])


def test_a_boolean_of_ours_is_written_by_the_words_of_write(stage: Stage) -> None:
    verbs = variant(x={"path": "x", "values": {"a": True}, "otherwise": False, "write": {True: "yes", False: "no"}})
    sent = natives(stage, kind(x="boolean"), verbs, write(x="always"), [{"x": True}, {"x": False}])
    assert [body.get("x") for body in sent] == ["yes", "no"]


@given(values=many(texts | st.none()), none=st.lists(texts, max_size=3))
def test_native_words_for_nothing_are_read_as_nothing(stage: Stage, values: list[Any], none: list[str]) -> None:
    found = read(
        stage, kind(x="text"), variant(x={"path": "x", "none": none}), [{"x": value} for value in [*values, *none]]
    )
    assert [row["x"] for row in found] == [None if value in none else value for value in [*values, *none]]


@given(values=many(texts))
def test_words_for_nothing_do_not_harm_the_others(stage: Stage, values: list[str]) -> None:
    law(stage, "text", {"path": "x", "none": ["-1"]}, [value for value in values if value != "-1"])


# ---- several paths, constants, the rest ------------------------------------------------------------------------------


@given(values=many(st.lists(st.none() | st.just("") | texts, min_size=3, max_size=3)))
def test_the_first_path_that_holds_anything_is_read(stage: Stage, values: list[list[str | None]]) -> None:
    verbs = variant(x={"paths": ["a.one", "b", "c"], "path": "b"})
    found = read(stage, kind(x="text"), verbs, [{"a": {"one": a}, "b": b, "c": c} for a, b, c in values])
    assert [row["x"] for row in found] == [next((one for one in some if one), None) for some in values]
    records = [{"x": value} for some in values if (value := next((one for one in some if one), None))]
    assert back(stage, kind(x="text"), verbs, write(x="always"), records) == records


@pytest.mark.parametrize("constant", ["ticket", 3, True, *HOSTILE[:8]])
def test_a_constant_is_the_same_for_every_record_and_never_written(stage: Stage, constant: Any) -> None:
    verbs = variant(x={"constant": constant}, y="y")
    assert read(stage, kind(x="text", y="text"), verbs, [{"x": "else"}, {}]) == [{"x": word(constant), "y": None}] * 2
    assert natives(
        stage, kind(x="text", y="text"), verbs, write(x="always", y="always"), [{"x": word(constant), "y": "b"}]
    ) == [{"id": "0", "y": "b"}]


@given(values=many(st.booleans()))
def test_whether_anything_is_there_comes_back(stage: Stage, values: list[bool]) -> None:
    law(stage, "boolean", {"path": "x", "not_empty": True}, values)


@pytest.mark.parametrize(
    ("held", "means"),
    [(None, False), ("", False), ([], False), ({}, False), ("2026-01-01", True), (0, True), (["a"], True)],
)
def test_whether_anything_is_there_is_read(stage: Stage, held: Any, means: bool) -> None:
    assert (
        bool(read(stage, kind(x="boolean"), variant(x={"path": "x", "not_empty": True}), [{"x": held}])[0]["x"])
        is means
    )


@given(values=many(texts))
def test_migrators_own_key_is_written_where_a_record_has_none(stage: Stage, values: list[str]) -> None:
    verb = {"path": "x", "else_key": True}
    law(stage, "text", verb, values)
    sent = natives(stage, kind(x="text"), variant(x=verb), write(x="always"), [{"x": None}, {"x": "own"}])
    assert [body["x"] for body in sent] == ["old:thing:0", "own"]


@given(values=many(texts))
def test_text_at_the_vendor_is_html_with_us_and_text_again_when_written(stage: Stage, values: list[str]) -> None:
    spec, verbs = kind(x="html"), variant(x={"path": "x", "text": True})
    found = read(stage, spec, verbs, [{"x": value} for value in values])
    assert not any("<" in (row["x"] or "").replace("<br>", "") for row in found)
    assert back(stage, spec, verbs, write(x="always"), found) == found


def test_markup_written_to_a_vendor_of_plain_text_leaves_its_words(stage: Stage) -> None:
    sent = natives(
        stage,
        kind(x="html"),
        variant(x={"path": "x", "text": True}),
        write(x="always"),
        [{"x": "<p>a &amp; b<br/>c &lt;d&gt;</p>"}],
    )
    assert sent[0]["x"].strip() == "a & b\nc <d>"


@given(
    values=many(texts | st.sampled_from(["<p>⟦own⟧</p>x", "<div><p>⟦a, b⟧</p></div>", "\n<p>x</p>"])),
    labels=st.lists(texts | st.none(), min_size=1, max_size=3),
    at=st.none() | seconds.filter(lambda at: at.year > 999),
)
def test_a_preface_stands_above_the_text_and_is_taken_off_again(
    stage: Stage, values: list[str], labels: list[str | None], at: datetime | None
) -> None:
    stage.table("labels", "id VARCHAR, label VARCHAR")
    stage.insert("labels", [[str(number), label] for number, label in enumerate(labels)])
    spec = kind(author={"type": "ref", "to": ["thing"]}, at="timestamp", x="html")
    verbs = variant(author="author", at="at", x={"path": "x", "preface": {"by": "author", "at": "at"}})
    keep = write(author="always", at="always", x="always")
    records = [{"author": str(number % (len(labels) + 1)), "at": at, "x": value} for number, value in enumerate(values)]
    sent = natives(stage, spec, verbs, keep, records)
    assert all(
        body["x"].startswith("<p>⟦") and body["x"].endswith(record["x"])
        for body, record in zip(sent, records, strict=True)
    )
    assert back(stage, spec, verbs, keep, records) == records


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=5), start=st.integers(1, 3), seed=st.randoms())
def test_the_place_among_the_records_of_one_owner_is_counted_by_time_then_id(
    stage: Stage, sizes: list[int], start: int, seed: Any
) -> None:
    spec = kind(owner={"type": "ref", "to": ["thing"], "owner": True}, order="integer")
    verbs = variant(owner="owner", order={"rank": ["at", "n"], "start": start})
    bodies = [
        {"owner": f"o{owner}", "at": f"2026-01-01T00:00:{at // 2:02d}Z", "n": at}
        for owner, size in enumerate(sizes)
        for at in range(size)
    ]
    meant = [{"owner": body["owner"], "order": body["n"] + start} for body in bodies]
    pairs = list(zip(bodies, meant, strict=True))
    seed.shuffle(pairs)
    assert read(stage, spec, verbs, [body for body, _ in pairs]) == [row for _, row in pairs]


@given(values=many(texts))
def test_records_in_a_list_of_the_record_around_them_know_it(stage: Stage, values: list[str]) -> None:
    inner = Variant.model_validate(
        {"name": "inner", "from": "things", "each": "parts", "id": "{^.id}:{name}",
         "fields": {"around": {"path": "^.id", "prefix": "around:"}, "name": "name", "top": "^.title"}}
    )  # fmt: skip
    spec = kind(around={"type": "ref", "to": ["thing"]}, name="text", top="text")
    found = read(stage, spec, inner, [{"title": "t", "parts": [{"name": value}, {"name": "b"}]} for value in values])
    names = sorted([(f"around:{at}", name) for at, value in enumerate(values) for name in (value, "b")])
    assert sorted((row["around"], row["name"]) for row in found) == names
    assert {row["top"] for row in found} == {"t"}


# ---- custom values --------------------------------------------------------------------------------------------------

OPTIONS, KEYS = ["Gold", "Sil'ver", "Bronze ü", "true"], ["gold_1", "sil'ver_2", "b", "4"]
TYPES = (
    "text",
    "textarea",
    "regexp",
    "lookup",
    "card",
    "integer",
    "decimal",
    "date",
    "checkbox",
    "dropdown",
    "multiselect",
)


def custom_values(type: str) -> st.SearchStrategy[Any]:
    """Canonical custom values: text, or a list of text."""
    return {
        "integer": st.integers(-(2**62), 2**62).map(str),
        "decimal": st.integers(-(10**9), 10**9).map(lambda n: str(n / 100)),
        "date": st.dates().map(str),
        "checkbox": st.just("true"),
        "dropdown": st.sampled_from(OPTIONS),
        "multiselect": st.lists(st.sampled_from(OPTIONS), min_size=1, unique=True),
    }.get(type, texts)


custom_maps = st.fixed_dictionaries({}, optional={f"f{at}": custom_values(type) for at, type in enumerate(TYPES)})


def _native_value(type: str, value: Any, choice: str) -> Any:
    if choice == "key" and type in ("dropdown", "multiselect"):
        keys = dict(zip(OPTIONS, KEYS, strict=True))
        return [keys[one] for one in value] if isinstance(value, list) else keys[value]
    return {"integer": int, "decimal": float, "checkbox": lambda v: v == "true"}.get(type, lambda v: v)(value)


@pytest.mark.parametrize("style", ["list", "object"])
@pytest.mark.parametrize("by", ["id", "key"])
@pytest.mark.parametrize("choice", ["label", "key"])
@few
@given(values=many(custom_maps))
def test_custom_values_of_every_type_are_read_as_they_are_stored(
    stage: Stage, style: str, by: str, choice: str, values: list[dict[str, Any]]
) -> None:
    put_fields(stage, [[f"f{at}", "thing", f"key'{at}", type, OPTIONS, KEYS] for at, type in enumerate(TYPES)], "there")
    label = {f"f{at}": f"f{at}" if by == "id" else f"key'{at}" for at in range(len(TYPES))}
    bodies = []
    for held in values:
        pairs = {label[f]: _native_value(TYPES[int(f[1:])], value, choice) for f, value in held.items()}
        bodies.append({"c": pairs if style == "object" else [{"id": k, "value": v} for k, v in pairs.items()]})
    spec = kind(c={"type": "map", "keyed_by": "custom_field"})
    verbs = variant(c={"path": "c", "keyed": {"style": style, "applies_to": "thing", "by": by, "choice": choice}})
    found = read(stage, spec, verbs, bodies, fields="there")
    assert [json.loads(row["c"] or "{}") for row in found] == values


@pytest.mark.parametrize("style", ["list", "object"])
@few
@given(values=many(custom_maps))
def test_custom_values_of_every_type_come_back(stage: Stage, style: str, values: list[dict[str, Any]]) -> None:
    put_fields(stage, [[f"f{at}", "thing", f"f{at}", type, OPTIONS, OPTIONS] for at, type in enumerate(TYPES)])
    spec = kind(c={"type": "map", "keyed_by": "custom_field"})
    verbs = variant(c={"path": "c", "keyed": {"style": style, "applies_to": "thing"}})
    found = back(stage, spec, verbs, write(c="always"), [{"c": json.dumps(held) if held else None} for held in values])
    assert [json.loads(row["c"] or "{}") for row in found] == values


@pytest.mark.parametrize(
    "held", [None, [], {}, "abc", 3, True, [1], ["a"], [None], [{"id": "f0"}], {"f0": None}, [[]], "{", '["x"]', "[1"]
)
@pytest.mark.parametrize("style", ["list", "object"])
def test_one_record_with_senseless_custom_values_does_not_stop_the_others(stage: Stage, style: str, held: Any) -> None:
    put_fields(stage, [["f0", "thing", "f0", "text", None, None]], "there")
    good = {"f0": "x"} if style == "object" else [{"id": "f0", "value": "x"}]
    verbs = variant(c={"path": "c", "keyed": {"style": style, "applies_to": "thing"}})
    found = read(
        stage, kind(c={"type": "map", "keyed_by": "custom_field"}), verbs, [{"c": held}, {"c": good}], fields="there"
    )
    assert json.loads(found[1]["c"]) == {"f0": "x"}


def test_a_custom_field_named_twice_in_one_record_does_not_stop_the_others(stage: Stage) -> None:
    put_fields(stage, [["f0", "thing", "f0", "text", None, None]], "there")
    verbs = variant(c={"path": "c", "keyed": {"style": "list", "applies_to": "thing"}})
    bodies = [{"c": [{"id": "f0", "value": "x"}, {"id": "f0", "value": "y"}]}, {"c": [{"id": "f0", "value": "z"}]}]
    found = read(stage, kind(c={"type": "map", "keyed_by": "custom_field"}), verbs, bodies, fields="there")
    assert json.loads(found[0]["c"])["f0"] in ("x", "y")
    assert json.loads(found[1]["c"]) == {"f0": "z"}


@pytest.mark.parametrize("text", ["1.5", "-0.5", "2.999"])
def test_a_broken_number_in_a_whole_number_is_not_rounded_in_silence(stage: Stage, text: str) -> None:
    put_fields(stage, [["f0", "thing", "f0", "integer", None, None]], "there")
    verbs = variant(n="n", c={"path": "c", "keyed": {"style": "object", "applies_to": "thing"}})
    spec = kind(n="integer", c={"type": "map", "keyed_by": "custom_field"})
    found = read(stage, spec, verbs, [{"n": text, "c": {"f0": text}}], fields="there")[0]
    assert json.loads(found["c"]) == {"f0": text}
    assert found["n"] is None  # and problems_sql names it


# ---- results are data ------------------------------------------------------------------------------------------------


def statements(verbs: Variant, spec: Any, keep: Write) -> list[str]:
    made = [
        canonical_sql(spec, (verbs,), lambda _: "bodies", "predicted.fields"),
        canonical_sql(spec, (verbs,), lambda _: "made", "predicted.fields", given=True),
        native_sql(spec, verbs, keep, rows="records", vendor="o'ld", kind_name="th'ing", fields="predicted.fields"),
    ]
    return [sql for sql in [*made, problems_sql(spec, verbs, "bodies")] if sql]


VERBS: list[dict[str, Any]] = [
    {"path": "{}"},
    {"path": "a.{}"},
    {"path": "a", "paths": ["{}", "b"]},
    {"path": "a", "values": {"{}": "{}"}, "write": {"{}": "{}"}, "otherwise": "{}"},
    {"path": "a", "values": {**{str(n): "y" for n in range(9)}, "{}": "{}"}},
    {"path": "a", "none": ["{}"]},
    {"constant": "{}"},
    {"path": "a", "prefix": "{}"},
    {"path": "a", "each": "{}"},
    {"path": "a", "split": "{}"},
    {"path": "a", "keyed": {"style": "list", "applies_to": "{}"}},
    {"rank": ["{}"]},
    {"path": "a", "keyed": {"style": "object", "applies_to": "{}"}},
    {"path": "a", "not_empty": True},
    {"path": "^.{}"},
]
TYPE_OF = {
    "each": "list",
    "split": "list",
    "keyed": "map",
    "rank": "integer",
    "not_empty": "boolean",
    "prefix": {"type": "ref", "to": ["thing"]},
}


def _filled(part: Any, text: str) -> Any:
    if isinstance(part, dict):
        return {_filled(k, text): _filled(v, text) for k, v in part.items()}
    return (
        [_filled(one, text) for one in part]
        if isinstance(part, list)
        else part.replace("{}", text)
        if isinstance(part, str)
        else part
    )


@pytest.mark.parametrize("verb", VERBS, ids=str)
def test_a_hostile_mapping_compiles_to_one_select_over_the_same_tables(verb: dict[str, Any]) -> None:
    type = next((of for key, of in TYPE_OF.items() if key in verb), "text")
    spec = kind(x=type)

    def tables(text: str) -> list[Any]:
        filled = _filled(verb, text)
        found = []
        for sql in statements(variant(x=filled), spec, write(x={"default": text, "one_of": [text]})):
            trees = sqlglot.parse(sql, dialect="duckdb")
            assert len(trees) == 1
            assert isinstance(trees[0], exp.Query)
            names = sorted(table.sql() for table in trees[0].find_all(exp.Table))
            calls = sorted(
                {
                    call.sql_name() if not isinstance(call, exp.Anonymous) else call.name.lower()
                    for call in trees[0].find_all(exp.Func)
                }
            )
            found.append((names, calls))
        return found

    plain = tables("plain")
    evil = [
        "'; DROP TABLE x;--",
        "x'), (SELECT count(*) FROM secrets), ('",
        "\"]'), read_text('/etc/passwd') --",
        "' UNION SELECT 1 --",
        '" || x || "',
    ]
    for text in [*evil, "".join(text for text in HOSTILE if not set(text) & set(".@{}")), "{0}", "%s", "$$"]:
        assert tables(text) == plain, text


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "DROP TABLE x",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE x",
        "UPDATE x SET a = 1",
        "COPY x TO 'y'",
        "ATTACH 'x'",
    ],
)
def test_only_one_select_passes(sql: str) -> None:
    with pytest.raises(ValueError, match="one SELECT"):
        checked(sql)


@given(text=texts)
def test_a_text_survives_being_a_literal_of_the_statement(stage: Stage, text: str) -> None:
    assert stage.one(checked(f"SELECT {quoted(text)} AS x")) == text


@given(held=many(texts))
def test_hostile_values_leave_every_table_as_it_was(stage: Stage, held: list[str]) -> None:
    stage.table("x", "a VARCHAR")
    stage.insert("x", [["kept"]])
    put_fields(stage, [[text, text, text, "dropdown", [text], [text]] for text in sorted(set(held))])
    spec = kind(a="text", l="list", c={"type": "map", "keyed_by": "custom_field"})
    verbs = variant(a="a", l="l", c={"path": "c", "keyed": {"style": "object", "applies_to": held[0]}})
    records = [{"a": text, "l": [text], "c": json.dumps({held[0]: held[0]})} for text in held]
    found = back(stage, spec, verbs, write(a="always", l="always", c="always"), records)
    assert [(row["a"], row["l"], json.loads(row["c"])) for row in found] == [
        (text, [text], {held[0]: held[0]}) for text in held
    ]
    assert stage.rows("SELECT a FROM x") == [("kept",)]
