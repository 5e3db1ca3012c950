"""Every rule of the corpus and of recorded traffic is read whole, comes home unchanged, has its verdict everywhere."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from migrator import registry
from migrator.rules.conditions import Opaque, leaves
from migrator.rules.verdicts import MEANINGS
from tests.support.rule_corpus import WRITTEN, Native, recorded, rules

pytestmark = pytest.mark.recorded
VENDORS = sorted(registry.dialects())
EVERY = [(vendor, *one) for vendor in VENDORS for one in (*rules(vendor), *recorded(vendor))]
NAMED = [pytest.param(vendor, kind, native, id=f"{vendor}-{place}") for vendor, place, kind, native in EVERY]

# Rules whose own vendor refuses them: no value, so that they match nothing.
INVALID = {"Test Job1 (case 2, value missing)"}
# What an answer repeats, derives or formats, and what nobody has to send back.
DERIVED = {"value_completion"}


def told(value: Any) -> Any:
    """Return JSON with what the API itself takes for the same made the same: 1 and "1", null and nothing, [x] and x."""
    if isinstance(value, dict):
        parts = {key: told(each) for key, each in value.items() if key not in DERIVED}
        return {key: each for key, each in parts.items() if each is not None} or None
    if isinstance(value, list):
        listed = [each for each in map(told, value) if each is not None]
        return (listed[0] if len(listed) == 1 else listed) or None
    if isinstance(value, bool):
        return str(value).lower()
    return None if value in ("", None, "__NULL__") else str(value)


def alike(vendor: str, kind: str, native: Native) -> Any:
    """Return a rule in the form in which it is compared."""
    made = json.loads(json.dumps(native))
    if vendor == "zendesk" and kind == "view":
        look = made["execution"]
        for again in ("fields", "group", "sort", "custom_fields"):  # the columns and orders once more, with titles
            look.pop(again, None)
        look["columns"] = [one["id"] if isinstance(one, dict) else one for one in look["columns"]]
    for one in made.get("policy_metrics") or ():
        one.setdefault("target_in_seconds", one["target"] * 60)
    for one in (made.get("sla_target") or {}).values():
        one.setdefault("business_hours", False)
    for one in (made.get("filter") or {}).get("all") or ():
        if one["field"] == "ticket_type_id":  # an older name of the same field
            one |= {"field": "type", "value": {"2": "incident"}[one["value"]]}
    for one in (made.get("condition") or {}).values():
        if one.get("operator") == "has changed":  # the engine looks at nothing else then
            one.pop("pre_condition", None)
    return told(made)


@pytest.mark.parametrize(("vendor", "kind", "native"), NAMED)
def test_a_rule_is_read_with_no_condition_or_action_unknown(vendor: str, kind: Any, native: Native) -> None:
    rule = registry.dialect(vendor).read(native, kind)
    strange = [leaf for leaf in leaves(rule.when) if isinstance(leaf, Opaque)]
    assert not strange or rule.name in INVALID
    assert not [one for one in rule.do if "not known here" in getattr(one, "why", "")]


@pytest.mark.parametrize(("vendor", "kind", "native"), NAMED)
def test_a_rule_comes_home_to_its_own_vendor_unchanged(vendor: str, kind: Any, native: Native) -> None:
    dialect = registry.dialect(vendor)
    made = dialect.write(dialect.read(native, kind))
    assert made.verdict == "exact"
    assert [alike(vendor, kind, one) for one in made.native] == [alike(vendor, kind, native)]


@pytest.mark.parametrize("to", WRITTEN)
@pytest.mark.parametrize(("vendor", "kind", "native"), NAMED)
def test_every_rule_has_a_verdict_with_a_reason_for_every_destination(
    vendor: str, kind: Any, native: Native, to: str
) -> None:
    made = registry.dialect(to).write(registry.dialect(vendor).read(native, kind))
    assert made.verdict in MEANINGS
    for one in made.findings:
        assert one.verdict in ("exact", "equivalent") or one.note, one
    assert made.verdict != "exact" or len(made.native) == 1


def shares(to: str, kinds: tuple[str, ...]) -> Counter[str]:
    """Return how many of Zendesk's published rules have which verdict."""
    source, destination = registry.dialect("zendesk"), registry.dialect(to)
    listed = [(kind, native) for _, kind, native in rules("zendesk") if kind in kinds]
    return Counter(destination.write(source.read(native, kind)).verdict for kind, native in listed)  # type: ignore[arg-type]


@pytest.mark.skipif(not rules("zendesk"), reason="vendor data is absent")
def test_the_share_that_is_carried_to_zammad_does_not_fall() -> None:
    found = shares("zammad", ("trigger", "timed", "macro", "view", "sla"))
    assert found["exact"] + found["equivalent"] >= 64  # nine of ten: the goal
    assert found.total() == 71


@pytest.mark.skipif(not rules("zendesk"), reason="vendor data is absent")
def test_the_share_that_is_carried_to_freshdesk_where_it_can_be_written_does_not_fall() -> None:
    found = shares("freshdesk", ("trigger", "timed", "sla"))
    assert found["exact"] + found["equivalent"] >= 30
    assert found["untranslatable"] <= 5
    assert found.total() == 40
    by_hand = shares("freshdesk", ("macro", "view"))  # there is no call to write scenarios or views
    assert by_hand["untranslatable"] == by_hand.total() == 31


@pytest.mark.skipif(not rules("zendesk"), reason="vendor data is absent")
def test_the_share_that_is_carried_to_chatwoot_does_not_fall() -> None:
    found = shares("chatwoot", ("trigger", "timed", "macro", "view", "sla"))
    assert found["exact"] + found["equivalent"] >= 16
    assert found["approximated"] >= 23
    assert found.total() == 71


@pytest.mark.skipif(not rules("zendesk"), reason="vendor data is absent")
def test_every_published_trigger_can_be_a_scrip() -> None:
    found = shares("request_tracker", ("trigger",))
    assert found["exact"] + found["equivalent"] == found.total() == 22
