"""Nothing is skipped in silence: changing any leaf of a rule changes what is read, and so back for what is written.

The ignore list is explicit: bookkeeping, and what an answer repeats of itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from migrator import registry
from migrator.rules.rule import Rule
from migrator.rules.words import rule_lines
from tests.support.rule_corpus import WRITTEN, Native, recorded, rules

VENDORS = sorted(registry.dialects())
# By vendor: paths that say nothing about what a rule does, with the reason.
IGNORED = {
    "zendesk": (
        r"^(_source|url|created_at|updated_at|raw_title|default|watchable)$",  # bookkeeping; goes home as it is
        r"^execution\.(group|sort)(\.|$)",  # group_by and sort_by once more, with their titles
        r"^execution\.(columns|fields|custom_fields)\.\d+\.(title|filterable|sortable)$",  # follow from the column
    ),
    "zammad": (
        r"^(_source|_expected|id|link|created_at|updated_at)$",
        r"value_completion$",  # the editor's own
        r"^condition\..*\.(pre_condition|value)$",  # of "has changed" only; see `ignored`
        r"^perform\..*\.value$",  # beside the pre_condition current_user.id only
    ),
    "freshdesk": (r"^(_source|_unit|created_at|updated_at)$", r"^conditions\.\d\.name$"),  # numbers the sets
    "chatwoot": (r"^(_source|_expected|id|created_on|account_id)$",),
    "request_tracker": (r"^_source$",),
}


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every leaf."""
    if isinstance(value, dict | list) and value:
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(each, (*at, key))
    else:
        yield at


def held(value: Any, at: tuple[Any, ...]) -> Any:
    """Return what is at a place."""
    for key in at:
        value = value[key]
    return value


def changed(native: Native, at: tuple[Any, ...]) -> Native:
    """Return the rule with another value at one place."""
    made: Native = json.loads(json.dumps(native))
    place = held(made, at[:-1])
    was = place[at[-1]]
    if isinstance(was, bool):
        place[at[-1]] = not was
    elif isinstance(was, int | float):
        place[at[-1]] = was + 1
    elif isinstance(was, str):
        place[at[-1]] = was + "~"
    else:
        place[at[-1]] = "~"
    return made


def read(vendor: str, native: Native, kind: str) -> Any:
    """Return what is read of a rule, bookkeeping apart; or why it cannot be read at all."""
    try:
        rule = registry.dialect(vendor).read(native, kind)  # type: ignore[arg-type]
    except Exception as err:  # a vendor never sends such a thing; it is not skipped in silence either
        return repr(err)
    return shown(rule)


def shown(rule: Rule) -> Any:
    """Return a rule without bookkeeping, secrets in clear, so that a change of one is seen."""
    data = rule.model_dump(exclude={"kept"})
    for action, one in zip(rule.do, data["do"], strict=True):
        if one["type"] == "hook":
            one["headers"] = [(key, value.get_secret_value()) for key, value in action.headers]  # type: ignore[union-attr]
    return data


def ignored(vendor: str, native: Native, at: tuple[Any, ...]) -> bool:
    """Say whether a leaf is on the ignore list."""
    path = ".".join(map(str, at))
    if not any(re.search(pattern, path) for pattern in IGNORED.get(vendor, ())):
        return False
    if vendor == "zammad" and path.startswith(("condition.", "perform.")) and not path.endswith("completion"):
        beside = held(native, at[:-1])
        if at[-1] == "pre_condition":
            return bool(beside["operator"] == "has changed")
        asks_no_value = ("current_user.id", "current_user.organization_id", "not_set")
        return beside.get("operator") == "has changed" or beside.get("pre_condition") in asks_no_value
    return True


EVERY = [
    pytest.param(vendor, kind, native, id=f"{vendor}-{place}")
    for vendor in VENDORS
    for place, kind, native in (*rules(vendor), *recorded(vendor))
]


@pytest.mark.recorded
@pytest.mark.parametrize(("vendor", "kind", "native"), EVERY)
def test_changing_any_leaf_of_a_rule_changes_what_is_read(vendor: str, kind: str, native: Native) -> None:
    was = read(vendor, native, kind)
    unread = [
        at
        for at in paths(native)
        if at and not ignored(vendor, native, at) and read(vendor, changed(native, at), kind) == was
    ]
    assert unread == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_changing_any_leaf_of_an_invented_rule_changes_what_is_read(vendor: str) -> None:
    source = registry.dialect("zendesk")
    demo = __import__(f"{registry.dialects()['zendesk']}.demo", fromlist=["export"])
    for kind, native in source.listed(demo.export()):
        for made in registry.dialect(vendor).write(source.read(native, kind)).native:
            was = read(vendor, made, kind)
            unread = [
                at
                for at in paths(made)
                if at and not ignored(vendor, made, at) and read(vendor, changed(made, at), kind) == was
            ]
            assert unread == [], native["title"]


def mutants(data: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the dumped rule with one leaf changed at a time, and where."""
    for at in paths(data):
        if at and at[-1] not in ("type", "vendor", "kind") and "kept" not in at:
            yield at, changed(data, at)


# What a writer of another vendor's rule says with a verdict, and what only the old desk had a use for.
UNWRITTEN = (
    r"^id$",
    r"^category$",
    r"^part$",  # whether anybody else writes it at all is decided before a writer is asked
    r"^unknown\.",
    r"\.(lead|trail)$",  # blanks inside braces
    r"\.(html|word)$",  # follow from where a text stands, and from the block's opening tag
)


@pytest.mark.parametrize("vendor", WRITTEN)
def test_changing_any_leaf_of_our_rule_changes_what_is_written_or_said(vendor: str) -> None:
    source, to = registry.dialect("zendesk"), registry.dialect(vendor)
    demo = __import__(f"{registry.dialects()['zendesk']}.demo", fromlist=["export"])
    tried, silent = 0, []
    for kind, native in source.listed(demo.export()):
        rule = source.read(native, kind)
        was = said(to.write(rule))
        for at, data in mutants(json.loads(rule.model_dump_json())):
            path = ".".join(map(str, at))
            if any(re.search(pattern, path) for pattern in UNWRITTEN):
                continue
            try:
                other = Rule.model_validate(data)
            except ValueError:
                continue  # not a rule any more
            if at[-1] == "name" and "parts" in at and held(data, at[:-1]).get("meaning"):
                continue  # what a placeholder means is written, whatever its name was
            tried += 1
            if said(to.write(other)) == was:
                silent.append((native["title"], path))
    assert silent == []
    assert tried > 250


def said(made: Any) -> Any:
    """Return everything a translation tells."""
    whole = (
        (made.rule.name, rule_lines(made.rule)) if made.verdict == "untranslatable" else ()
    )  # then the report shows the old rule
    return (made.native, made.findings, made.needs, made.obsolete, made.moved, whole)
