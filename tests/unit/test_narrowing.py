"""A custom field becomes narrower only where every value of it is the same afterwards; whatever else is asked stays."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator import registry
from migrator.errors import InputError
from migrator.narrowing import Narrow, Narrowed, narrow
from migrator.stage import Stage
from tests.unit import tiny

ZENDESK = registry.connector("zendesk")
OPTIONS = ["Sail", "Motor", "it's"]
MAP = tiny.kind(custom={"type": "map"})
READ = tiny.variant(custom={"path": "custom", "keyed": {"style": "object", "applies_to": "ticket"}})
NUMBERS = [
    "0",
    "7",
    "-7",
    "007",
    "-0",
    "+1",
    "1.5",
    "1.50",
    "5.0",
    "1e3",
    "1_000",
    " 1",
    "9" * 17,
    "9" * 40,
    "0.1",
    "NaN",
]
DAYS = ["2024-02-29", "2023-02-29", "2024-2-9", "2024-01-01T00:00:00Z", "0001-01-01", "9999-12-31"]
TEXTS = st.sampled_from([*NUMBERS, *DAYS, "", "many"]) | tiny.texts
CHOICES = st.lists(st.sampled_from([*OPTIONS, "gone"]), min_size=1, max_size=2)


def staged(stage: Stage, was: str, values: list[Any], *, rule: str | None = None, again: bool = False) -> None:
    """Lay down one field, the tickets that have a value in it (and one in another field), and perhaps a rule."""
    stage.schema("canonical", *([] if again else ["narrow"]), fresh=True)
    for kind in ("custom_field", "ticket", "trigger"):
        columns = stage.columns(ZENDESK.kinds.kinds[kind])
        stage.run(f'CREATE TABLE canonical."{kind}" (id VARCHAR, variant VARCHAR, {columns})')
    fields = [("31", "Which", was), ("32", "Other", "text")]
    for id, title, of in fields:
        stage.run(
            "INSERT INTO canonical.custom_field (id, key, applies_to, title, type, options) VALUES (?, ?, ?, ?, ?, ?)",
            id, id, "ticket", title, of, OPTIONS,
        )  # fmt: skip
    for at, value in enumerate(values):
        held = json.dumps({"31": value, "32": "007"}, ensure_ascii=False, separators=(",", ":"))
        stage.run("INSERT INTO canonical.ticket (id, custom) VALUES (?, ?)", str(at), held)
    if rule:
        stage.run("INSERT INTO canonical.trigger (id, rule) VALUES ('1', ?)", rule)


def wished(stage: Stage, becomes: str, *, known: frozenset[str] = frozenset(), whole: bool = True) -> Narrowed:
    wish = Narrow.model_validate({"field": "Which", "type": becomes})
    (one,) = narrow(stage, ZENDESK.kinds, ZENDESK.mapping, [wish], known, whole=whole)
    return one


def held(stage: Stage) -> list[Any]:
    return [json.loads(text) for (text,) in stage.rows("SELECT custom FROM canonical.ticket ORDER BY length(id), id")]


def same(becomes: str, value: Any, *, was: str = "text") -> bool:
    """Say whether a value is told by the narrower type as it was written: Python's own reading."""
    if becomes == "dropdown":
        return len(value) == 1 and value[0] in OPTIONS
    if becomes == "date":
        try:
            return date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False
    if not re.fullmatch(r"-?[0-9]+([.][0-9]+)?", value, re.ASCII):
        return False
    if becomes == "integer":
        whole = value.removesuffix(".0") if was == "decimal" else value
        return (
            (was == "decimal") is value.endswith(".0")
            and "." not in whole
            and len(whole.lstrip("-")) <= 18
            and str(int(whole)) == whole
        )
    return (
        len(value.lstrip("-").partition(".")[0]) <= 15 and value != "-0" and repr(float(value)) in (value, f"{value}.0")
    )


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("text", "integer"),
        ("textarea", "decimal"),
        ("regexp", "date"),
        ("multiselect", "dropdown"),
        ("decimal", "integer"),
    ],
)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_is_made_narrower_comes_back_as_it_was_and_nothing_else_is_touched(
    stage: Stage, was: str, becomes: str, data: st.DataObject
) -> None:
    kind = CHOICES if becomes == "dropdown" else TEXTS.filter(bool)
    kind = st.sampled_from(["0.0", "-0.0", "7.0", "-12.0", "0.5", "1e+20", "inf"]) if was == "decimal" else kind
    fitting = kind.filter(lambda value: same(becomes, value, was=was))
    values = data.draw(st.lists(kind, max_size=4) | st.lists(fitting, min_size=1, max_size=4))
    staged(stage, was, values)
    before = held(stage)
    one = wished(stage, becomes)
    unfit = [value for value in values if not same(becomes, value, was=was)]
    assert (one.values, one.unfit) == (len(values), len(unfit))
    assert bool(one.why) is (not values or bool(unfit))
    after = held(stage)
    if one.why:
        assert after == before
        assert stage.one("SELECT type FROM canonical.custom_field WHERE id = '31'") == was
        return
    assert stage.one("SELECT type FROM canonical.custom_field WHERE id = '31'") == becomes
    assert [line["32"] for line in after] == ["007"] * len(values)
    tiny.put_fields(
        stage,
        [["31", "ticket", "31", becomes, OPTIONS, OPTIONS], ["32", "ticket", "32", "text", None, None]],
    )
    back = tiny.back(stage, MAP, READ, tiny.write(custom={}), [{"custom": json.dumps(line)} for line in after])
    assert [json.loads(record["custom"]) for record in back] == after
    for old, new in zip(values, (line["31"] for line in after), strict=True):
        assert new == (old[0] if becomes == "dropdown" else old) or float(new) == float(old)


def test_a_delta_that_breaks_the_proof_leaves_the_field_and_names_what_does_not_fit(stage: Stage) -> None:
    staged(stage, "multiselect", [["Sail"], ["Motor"]])
    assert wished(stage, "dropdown").why == ""
    staged(stage, "multiselect", [["Sail"], ["Motor"], ["Sail", "Motor"]], again=True)
    one = wished(stage, "dropdown", known=frozenset({"31"}))
    assert (one.why, one.unfit, one.examples) == ("", 1, (("2", '["Sail","Motor"]'),))
    assert stage.one("SELECT type FROM canonical.custom_field WHERE id = '31'") == "dropdown"
    assert [line["31"] for line in held(stage)] == ["Sail", "Motor", ["Sail", "Motor"]]
    tiny.put_fields(stage, [["31", "ticket", "31", "dropdown", OPTIONS, OPTIONS]])
    written = tiny.natives(stage, MAP, READ, tiny.write(custom={}), [{"custom": json.dumps(held(stage)[-1])}])
    assert written[0].get("custom") is None or "31" not in written[0]["custom"]  # dropped: it is no choice


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"known": frozenset({"31"})}, "at the destination already"),
        ({"whole": False}, "not all records are here"),
    ],
)
def test_without_a_proof_of_its_own_a_field_stays(stage: Stage, more: dict[str, Any], why: str) -> None:
    staged(stage, "text", ["1"])
    assert why in wished(stage, "integer", **more).why
    assert stage.one("SELECT type FROM canonical.custom_field WHERE id = '31'") == "text"


def test_a_wave_makes_a_field_what_the_plan_that_was_read_made_of_it(stage: Stage) -> None:
    staged(stage, "text", ["1"])
    wished(stage, "integer")
    staged(stage, "text", ["1", "many"], again=True)
    assert wished(stage, "integer", whole=False).why == ""


def test_a_field_that_rules_name_stays(stage: Stage) -> None:
    staged(stage, "text", ["1"], rule='{"when": {"path": {"custom": "⟪custom_field:ticket:31⟫"}}}')
    assert "rules name it" in wished(stage, "integer").why


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"field": "Wich", "type": "integer"}, "did you mean 'Which'"),
        ({"field": "Which", "type": "dropdown"}, "is of the type text, and cannot be made a dropdown"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_by_name(stage: Stage, wish: dict[str, Any], says: str) -> None:
    staged(stage, "text", ["1"])
    with pytest.raises(InputError, match=says):
        narrow(stage, ZENDESK.kinds, ZENDESK.mapping, [Narrow.model_validate(wish)], set(), whole=True)
