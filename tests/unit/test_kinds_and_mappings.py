"""Kinds, mappings and manifests: the files of the project agree, and what does not is named with a suggestion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import documents, registry
from migrator.errors import InputError
from migrator.kinds import Kinds
from migrator.manifest import Manifest
from migrator.mapping import Mapping, Variant, Verb, check, overlay

VENDORS = sorted(registry.vendors())
ROOT = Path(__file__).resolve().parents[2]


def every(vendor: str) -> list[tuple[str, Any, str, Verb]]:
    """(kind, variant, field, verb) of a vendor's mapping."""
    mapping = registry.connector(vendor).mapping
    return [
        (k, variant, f, verb)
        for k, variants in mapping.kinds.items()
        for variant in variants
        for f, verb in variant.fields.items()
    ]


@pytest.mark.parametrize("file", sorted((ROOT / "mappings" / "canonical").glob("*.yaml")), ids=lambda f: f.name)
def test_every_canonical_file_is_read(file: Path) -> None:
    kinds = documents.read(file, Kinds)
    assert set(kinds.in_order()) == set(kinds.kinds)


@pytest.mark.parametrize("file", sorted((ROOT / "mappings" / "vendors").glob("*.yaml")), ids=lambda f: f.name)
def test_every_mapping_file_belongs_to_a_connector_and_agrees_with_its_kinds(file: Path) -> None:
    mapping = documents.read(file, Mapping)
    assert mapping.vendor == file.stem
    assert mapping.vendor in VENDORS
    check(mapping, registry.kinds(mapping.canonical), str(file))


@pytest.mark.parametrize("vendor", VENDORS)
def test_manifest_and_mapping_of_a_vendor_agree(vendor: str) -> None:
    connector = registry.connector(vendor)
    assert connector.manifest.vendor == connector.mapping.vendor == vendor
    assert connector.manifest.canonical == connector.mapping.canonical
    assert set(connector.mapping.streams()) <= set(connector.manifest.streams)
    rules = connector.manifest.quota.rules  # none: a server of the customer's own
    assert not rules or connector.manifest.quota.default_plan in rules[0].per_minute


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_rule_of_a_quota_has_every_plan_and_a_source_with_a_date(vendor: str) -> None:
    rules = registry.connector(vendor).manifest.quota.rules
    assert len({frozenset(rule.per_minute) for rule in rules}) <= 1
    assert all(rule.source and rule.date for rule in rules)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_field_of_a_written_kind_is_declared_and_every_never_has_a_reason(vendor: str) -> None:
    connector = registry.connector(vendor)
    for write in connector.manifest.writes:
        if not (write.create or write.embedded):
            continue
        mapped = {f for k, v, f, _ in every(vendor) if k == write.kind and write.variant in (None, v.name)}
        private = {f for f, spec in connector.kinds.kinds[write.kind].fields.items() if spec.private}
        assert not {f for f, keep in write.fields.items() if keep.write != "never"} - mapped
        assert all(keep.because for keep in write.fields.values() if keep.write == "never")
        assert (
            not (mapped - private - set(write.fields))
            - {"applies_to"}
            - {f for k, v, f, verb in every(vendor) if verb.constant is not None or verb.rank}
        )


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_value_of_a_map_that_is_read_can_be_written_again(vendor: str) -> None:
    for kind, _, field, verb in every(vendor):
        means = {str(v).lower() for v in (verb.values or {}).values()}
        assert means <= {k.lower() for k in verb.back()}, (kind, field)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendors_words_agree_with_the_words_of_the_other_vendors(vendor: str) -> None:
    """A word only one vendor uses is a word that the others cannot be asked for."""
    for field in ("status", "priority"):
        mine = {
            str(v)
            for k, _, f, verb in every(vendor)
            if (k, f) == ("ticket", field)
            for v in (verb.values or {}).values()
        }
        written = {
            str(w)
            for other in VENDORS
            for k, _, f, verb in every(other)
            if (k, f) == ("ticket", field)
            for w in verb.back()
        }
        assert mine <= written


# ---- order ----------------------------------------------------------------------------------------------------------


def follows(kinds: Kinds) -> None:
    order = kinds.in_order()
    for name, kind in kinds.kinds.items():
        wanted = {to for _, field in kind.references() for to in field.to} | {
            f.keyed_by for f in kind.fields.values() if f.keyed_by
        }
        for to in wanted - {name}:
            assert order.index(to) < order.index(name)


def test_the_order_of_a_help_desk_respects_its_references() -> None:
    follows(registry.kinds("help_desk"))


@given(st.data())
def test_the_order_respects_whatever_refers_to_whatever(data: st.DataObject) -> None:
    names = [f"k{n}" for n in range(data.draw(st.integers(1, 7)))]
    shuffled = data.draw(st.permutations(names))
    kinds: dict[str, Any] = {}
    for name in shuffled:
        earlier = [other for other in names if int(other[1:]) < int(name[1:])]
        to = data.draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        fields: dict[str, Any] = {"a": "text", **({"r": {"type": "ref", "to": [*to, name]}} if to else {})}
        kinds[name] = {"fields": fields, "match": ["a"]}
    parsed = Kinds.model_validate({"title": "t", "kinds": kinds})
    assert sorted(parsed.in_order()) == sorted(names)
    follows(parsed)


def test_a_circle_of_references_is_refused() -> None:
    def ref(to: str) -> dict[str, object]:
        return {"fields": {"r": {"type": "ref", "to": [to]}}}

    with pytest.raises(InputError, match="circle: "):
        Kinds.model_validate({"title": "t", "kinds": {"a": ref("b"), "b": ref("a")}}).in_order()


def test_the_order_is_the_same_in_every_process() -> None:
    """A plan is signed in one process and loaded in another: sets of text are ordered anew in each."""
    script = (
        "from migrator.kinds import Kinds\n"
        "ks = {f'k{n}': {'fields': {'a': 'text'}} for n in range(9)}\n"
        "ks = {'first': {'fields': {f'r{n}': {'type': 'ref', 'to': [f'k{n}']} for n in range(9)}}, **ks}\n"
        "print(Kinds.model_validate({'title': 't', 'kinds': ks}).in_order())"
    )

    def order(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout

    assert order("1") == order("2")


# ---- what does not agree --------------------------------------------------------------------------------------------


def desk() -> Kinds:
    return registry.kinds("help_desk")


@pytest.mark.parametrize(
    ("kinds", "says"),
    [
        ({"tickt": {"from": "t", "fields": {"subject": "s"}}}, "'tickt' is not a kind; did you mean 'ticket'"),
        (
            {"ticket": {"from": "t", "fields": {"subjct": "s", "requester": "r"}}},
            "'ticket' has no field 'subjct'; did you mean 'subject'",
        ),
        ({"ticket": {"from": "t", "fields": {"subject": "s"}}}, "ticket, variant 'ticket': 'requester' is required"),
    ],
)
def test_a_mapping_that_names_what_does_not_exist_is_refused_with_file_and_suggestion(kinds: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        check(Mapping.model_validate({"vendor": "v", "kinds": kinds}), desk(), "v.yaml")
    assert str(caught.value).startswith("v.yaml: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"streams": {"tikets": {"path": "/t"}}}, "the mapping reads the stream 'tickets'; did you mean 'tikets'"),
        ({"writes": [{"kind": "tickt"}]}, "'tickt' is not a kind; did you mean 'ticket'"),
        (
            {"writes": [{"kind": "ticket", "fields": {"subjct": "always"}}]},
            "'ticket' has no field 'subjct'; did you mean 'subject'",
        ),
        (
            {"writes": [{"kind": "ticket", "variant": "tickets"}]},
            "ticket has no variant 'tickets'; did you mean 'ticket'",
        ),
    ],
)
def test_a_manifest_that_names_what_does_not_exist_is_refused_with_file_and_suggestion(change: Any, says: str) -> None:
    mapping = Mapping.model_validate(
        {"vendor": "v", "kinds": {"ticket": {"from": "tickets", "fields": {"requester": "r"}}}}
    )
    whole = {
        "vendor": "v",
        "title": "V",
        "base_url": "https://v",
        "auth": {},
        "check": {"path": "/me"},
        "quota": {"default_plan": "p", "rules": [{"name": "a", "per_minute": {"p": 1}}]},
        "streams": {"tickets": {"path": "/t"}},
        **change,
    }
    with pytest.raises(InputError) as caught:
        registry._agree(Manifest.model_validate(whole), mapping, desk(), "connector.yaml")
    assert str(caught.value).startswith("connector.yaml: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "kinds",
    [
        {"a": {"fields": {"r": {"type": "ref"}}}},
        {"a": {"fields": {"r": {"type": "text", "to": ["a"]}}}},
        {"a": {"fields": {"r": {"type": "ref", "to": ["b"]}}}},
        {"a": {"fields": {"m": {"type": "map", "keyed_by": "b"}}}},
        {"a": {"fields": {"x": "txt"}}},
        {"a": {"fields": {"x": "text"}, "match": ["y"]}},
        {"a": {"fields": {"x": "text"}, "stands_in": "b"}},
    ],
)
def test_kinds_that_name_what_does_not_exist_are_refused(tmp_path: Path, kinds: Any) -> None:
    file = tmp_path / "k.yaml"
    file.write_text(f"title: t\nkinds: {kinds}")
    with pytest.raises(InputError, match=r"k.yaml:\d+: "):
        documents.read(file, Kinds)


def test_a_verb_that_says_nothing_of_where_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a path"):
        Verb.model_validate({"values": {"a": "b"}})


def test_an_unknown_vendor_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match="no connector for 'freshdesc'; did you mean 'freshdesk'"):
        registry.connector("freshdesc")


# ---- the customer's overlay -----------------------------------------------------------------------------------------

scalars = st.integers(50, 60) | st.sampled_from(["vip", "O'Brien", "on hold"])


@given(
    values=st.dictionaries(scalars, st.sampled_from(["open", "hold", "closed"]), max_size=3),
    write=st.dictionaries(st.sampled_from(["new", "vip"]), st.integers(2, 9)),
)
def test_an_overlay_adds_to_the_values_and_leaves_everything_else(
    values: dict[Any, str], write: dict[str, int]
) -> None:
    mapping = registry.connector("freshdesk").mapping
    changed = overlay(mapping, {"ticket": {"status": {"values": values, "write": write}}}, "m.yaml")
    was, now = mapping.kinds["ticket"][0].fields["status"], changed.kinds["ticket"][0].fields["status"]
    assert now.values == {**(was.values or {}), **values}
    assert now.write == {**was.write, **write}
    assert now.path == was.path
    rest = {"ticket": {"status"}}
    for kind, variants in mapping.kinds.items():
        for mine, theirs in zip(variants, changed.kinds[kind], strict=True):
            assert all(theirs.fields[f] == verb for f, verb in mine.fields.items() if f not in rest.get(kind, ()))


def test_an_overlay_never_changes_the_mapping_of_the_next_migration() -> None:
    before = registry.connector("freshdesk").mapping.model_dump_json()
    overlay(registry.connector("freshdesk").mapping, {"ticket": {"status": {"values": {77: "open"}}}}, "m.yaml")
    assert registry.connector("freshdesk").mapping.model_dump_json() == before


def test_an_overlay_reaches_every_variant_that_has_the_field() -> None:
    mapping = registry.connector("freshdesk").mapping
    changed = overlay(mapping, {"custom_field": {"type": {"values": {"custom_new": "text"}}}}, "m.yaml")
    assert all(
        (variant.fields["type"].values or {})["custom_new"] == "text" for variant in changed.kinds["custom_field"]
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tickt": {"status": {}}}, "the overlay names the kind 'tickt'; did you mean 'ticket'"),
        ({"ticket": {"statuss": {}}}, "the overlay names ticket.statuss; did you mean 'status'"),
        ({"ticket": {"status": {"valus": {6: "hold"}}}}, "'valus' is not a key here; did you mean 'values'"),
        ({"ticket": {"status": {"values": ["hold"]}}}, "values"),
        ({"ticket": {"status": {"path": None}}}, "needs a path"),
    ],
)
def test_an_overlay_that_names_what_does_not_exist_is_refused(changes: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        overlay(registry.connector("freshdesk").mapping, changes, "m.yaml")
    assert str(caught.value).startswith("m.yaml")
    assert says in str(caught.value)


def test_an_id_with_text_after_its_last_path_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing stands after the last one"):
        Variant.model_validate({"name": "x", "from": "xs", "id": "a{@id}b", "fields": {}})
