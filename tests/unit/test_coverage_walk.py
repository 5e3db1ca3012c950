"""Nothing is lost in silence: another walk over the same documents finds no leaf that coverage does not speak of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.coverage import measure
from migrator.mapping import Mapping
from migrator.stage import Stage

MAPPING = Mapping.model_validate(
    {
        "vendor": "v",
        "kinds": {
            "thing": {
                "from": "things",
                "where": {"sort": ["thing", 1, True]},
                "id": "id",
                "fields": {
                    "a": "m",
                    "b": "deep.m",
                    "c": {"path": "list", "each": "m"},
                    "d": {"paths": ["p", "q.r"]},
                    "e": {"constant": 1},
                },
                "drop": {"d": "why d", "deep.d": "why deep.d", "list.d": "why list.d", "deep.d.m": "below another"},
            },
            "part": {
                "from": "things",
                "each": "parts",
                "id": "{^.id}:{n}",
                "fields": {"n": "n", "t": "^.t"},
                "drop": {"d": "why part.d"},
            },
        },
        "ignored": {"things": {"ignored": "why ignored"}},
    }
)
MAPPED = {"id", "sort", "m", "deep.m", "list.m", "p", "q.r", "parts.n", "t"}
DROPPED = {"d", "deep.d", "list.d", "deep.d.m", "parts.d", "ignored", "parts.ignored"}

keys = st.sampled_from(
    [
        "m", "d", "deep", "list", "parts", "n", "x", "y", "p", "q", "r", "ignored", "t", "", "a.b", "m.d", ".", "a\"b",
        "a'b", "ä", "日本", "*", "[*]", "$", "\\", "👍", "M", " ", "'; DROP TABLE x;--", "#", "@id", "e\u0301",
    ]
)  # fmt: skip
plain = st.sampled_from([None, "", [], {}, 0, 1, -1.5, False, True, "x", "null", "[]", "a.b", "é\u2028", "'"])
documents = st.recursive(
    plain, lambda below: st.lists(below, max_size=3) | st.dictionaries(keys, below, max_size=4), max_leaves=12
)
records = st.lists(st.dictionaries(keys, documents, max_size=7), min_size=1, max_size=4)


def leaves(node: Any, steps: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place that holds something; lists are passed through."""
    if isinstance(node, dict):
        for key, below in node.items():
            yield from leaves(below, (*steps, key))
    elif isinstance(node, list):
        for below in node:
            yield from leaves(below, steps)
    elif node not in (None, "") or node is False or node == 0:
        yield steps


def fate(steps: tuple[str, ...]) -> str:
    """What the mapping says of a place: mapped, dropped or nothing."""
    for size in range(len(steps), 0, -1):
        if any("." in step for step in steps[:size]):
            continue
        path = ".".join(steps[:size])
        if path in MAPPED:
            return "mapped"
        if path in DROPPED:
            return "dropped"
    return "nothing"


def shown(steps: tuple[str, ...]) -> str:
    return ".".join(
        step if step and not set(step) & set('."*') else json.dumps(step, ensure_ascii=False) for step in steps
    )


def above(steps: tuple[str, ...]) -> set[str]:
    return {shown(steps[:size]) for size in range(len(steps) + 1)} | {"(whole record)"}


@settings(max_examples=25)
@given(bodies=records)
def test_every_leaf_that_holds_anything_is_mapped_dropped_or_listed(stage: Stage, bodies: list[dict[str, Any]]) -> None:
    stage.run("DROP SCHEMA IF EXISTS walked CASCADE")
    bodies = [{**body, "id": str(at), "sort": "thing"} for at, body in enumerate(bodies)]
    stage.put("walked", "things", [(str(at), None, None, json.dumps(body)) for at, body in enumerate(bodies)])
    found = measure(stage, MAPPING, raw="walked")
    listed = {line.path: line.count for line in found.uncovered}
    named = {line.path for line in found.dropped}
    counts: Counter[tuple[str, ...]] = Counter()
    for body in bodies:
        counts.update(set(leaves(body)))
    for steps, count in counts.items():
        said = fate(steps)
        if said == "nothing":
            # A key that holds now a value, now a record or a list of both, is spoken of where that begins.
            spoken = above(steps) & set(listed)
            assert spoken, steps
            assert max(listed[path] for path in spoken) >= count
        elif said == "dropped":
            assert above(steps) & (named | set(listed)), steps


@given(values=st.lists(plain, min_size=1, max_size=8))
def test_records_are_counted_where_they_hold_something(stage: Stage, values: list[Any]) -> None:
    stage.run("DROP SCHEMA IF EXISTS walked CASCADE")
    rows = [
        (str(at), None, None, json.dumps({"sort": 1, "d": value, "x": {"y": [{"z": None}, {"z": value}]}}))
        for at, value in enumerate(values)
    ]
    stage.put("walked", "things", rows)
    found = measure(stage, MAPPING, raw="walked")
    holds = sum(value not in (None, "", [], {}) or value is False for value in values)
    assert {(line.path, line.count) for line in found.uncovered} == ({("x.y.z", holds)} if holds else set())
    assert {(line.path, line.count, line.because) for line in found.dropped} == (
        {("d", holds, "why d")} if holds else set()
    )


def test_records_of_no_kind_are_listed_whole(stage: Stage) -> None:
    stage.run("DROP SCHEMA IF EXISTS walked CASCADE")
    stage.put(
        "walked",
        "things",
        [("1", None, None, '{"sort": "thing"}'), ("2", None, None, '{"sort": "other"}'), ("3", None, None, "{}")],
    )
    found = measure(stage, MAPPING, raw="walked")
    assert [(line.kind, line.path, line.count) for line in found.uncovered] == [("(no kind)", "(whole record)", 2)]
