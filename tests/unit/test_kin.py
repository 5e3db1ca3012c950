"""Records that name others of their own kind: each after what it names, circles opened and nothing else."""

from __future__ import annotations

import json
import os
from graphlib import TopologicalSorter

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from migrator.compile import name
from migrator.kin import Edge, order
from migrator.kinds import Kinds
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.plan import Planner
from migrator.stage import Stage

WIDE = os.environ.get("MIGRATOR_TESTS") == "wide"
EXAMPLES, PLANS = (500, 300) if WIDE else (60, 8)
few = st.sampled_from([str(number) for number in range(12)])
edges = st.sets(st.tuples(few, few), max_size=30)


def reached(edges: set[Edge], one: str) -> set[str]:
    """Return what a record names, and what that names."""
    seen: set[str] = set()
    todo = [one]
    while todo:
        here = todo.pop()
        more = {b for a, b in edges if a == here} - seen
        seen |= more
        todo += more
    return seen


@settings(max_examples=EXAMPLES)
@given(edges)
def test_each_is_above_what_it_names_and_only_what_closes_a_circle_is_cut(edges: set[Edge]) -> None:
    found = order(edges)
    assert set(found.levels) == {one for edge in edges for one in edge}
    for one, other in edges - found.cut:
        assert found.levels[one] > found.levels[other]
    for one, other in found.cut:
        assert one in reached(edges, other) | {other}
    graph: dict[str, set[str]] = {}
    for one, other in edges - found.cut:
        graph.setdefault(one, set()).add(other)
    list(TopologicalSorter(graph).static_order())  # raises where a circle is left


@settings(max_examples=EXAMPLES)
@given(edges)
def test_levels_are_as_few_as_the_longest_chain_asks_for(edges: set[Edge]) -> None:
    found = order(edges)
    kept = edges - found.cut
    for one, level in found.levels.items():
        below = [found.levels[other] for of, other in kept if of == one]
        assert level == 1 + max(below, default=-1)


KINDS = Kinds.model_validate(
    {
        "title": "Trees",
        "kinds": {
            "folder": {
                "label": "name",
                "match": ["name"],
                "fields": {
                    "name": {"required": True},
                    "above": {"type": "ref", "to": ["folder"]},
                    "near": {"type": "refs", "to": ["folder"]},
                },
            },
            "page": {"fields": {"folder": {"type": "ref", "to": ["folder"], "required": True}}},
        },
    }
)
"""Folders within folders, and pages in them."""
MAPPING = Mapping.model_validate(
    {
        "vendor": "tree",
        "canonical": "trees",
        "kinds": {
            "folder": {
                "from": "folders",
                "id": "@id",
                "fields": {"name": "name", "above": "above", "near": {"path": "near"}},
            },
            "page": {"from": "pages", "id": "@id", "fields": {"folder": "folder"}},
        },
    }
)


def manifest(**above: object) -> Manifest:
    fields = {"name": "create", "above": {"write": "create", **above}, "near": "create"}
    writes = [
        {"kind": "folder", "create": {"path": "/folders"}, "tried": True, "fields": fields},
        {"kind": "page", "create": {"path": "/pages"}, "fields": {"folder": "create"}},
    ]
    return Manifest.model_validate(
        {
            "vendor": "tree", "title": "Tree", "canonical": "trees", "base_url": "https://tree.example", "auth": {},
            "check": {"path": "/"}, "quota": {"default_plan": "own", "rules": []},
            "streams": {"folders": {"path": "/folders"}, "pages": {"path": "/pages"}}, "writes": writes,
        }
    )  # fmt: skip


ids = [str(number) for number in range(8)]
some = st.sets(st.sampled_from(ids), max_size=2)
folder = st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([*ids, "gone", None]), some)
folders = st.lists(folder, min_size=1, max_size=8)


def planned(stage: Stage, account: list[tuple[str, str | None, set[str]]], manifest: Manifest, bad: set[str]) -> None:
    stage.schema("canonical", "native", fresh=True)
    for kind_name, kind in KINDS.kinds.items():
        stage.run(f"CREATE TABLE canonical.{name(kind_name)} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
    rows = [[str(at), "folder", label, above, sorted(near)] for at, (label, above, near) in enumerate(account)]
    stage.insert("canonical.folder", rows)
    stage.insert("canonical.page", [[f"p{at}", "page", str(at)] for at in range(len(account))])
    refused = lambda kind, payload: "not here" if payload.get("name") in bad else None  # noqa: E731
    plan = Planner(stage, KINDS, manifest, MAPPING, "old", complaint=refused).make()
    assert not plan.unaccounted


@settings(max_examples=PLANS, phases=(Phase.explicit, Phase.generate))
@given(account=folders, bad=st.sets(st.sampled_from("ab"), max_size=1), bound=st.booleans())
def test_a_plan_of_trees_writes_nothing_before_what_it_names(
    account: list[tuple[str, str | None, set[str]]], bad: set[str], bound: bool
) -> None:
    with Stage(":memory:") as stage:
        planned(stage, account, manifest(bound=bound), bad)
        rows = stage.rows(
            "SELECT p.id, p.action, p.target, p.place, CAST(p.payload AS VARCHAR), r.above FROM plan.planned p "
            "LEFT JOIN predicted.folder r ON r.id = p.id WHERE p.kind = 'folder'"
        )
        pages = dict(stage.rows("SELECT id, action FROM plan.planned WHERE kind = 'page'"))
    places = {id: place for id, action, _, place, _, _ in rows if action == "create"}
    into = {id: target for id, action, target, _, _, _ in rows if action == "merge"}
    assert len(rows) == len(account)
    assert set(into.values()) <= set(places), "what is merged is merged into what arrives"
    for id, action, _, place, payload, above in rows:
        wanted = account[int(id)][1]
        assert (pages[f"p{id}"] == "create") == (action in ("create", "merge"))
        if action != "create":
            assert (payload is None, bound or account[int(id)][0] in bad) == (True, True) or action == "merge"
            continue
        told = json.loads(payload)
        assert told.get("above") == above, "it is predicted as it is written"
        for named in (told["above"], *(told.get("near") or ())) if told.get("above") else told.get("near") or ():
            assert places[into.get(named, named)] < place
        if bound and wanted is not None:
            assert above == wanted, "or it is not written"
