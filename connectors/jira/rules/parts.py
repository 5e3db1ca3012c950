"""A rule's list of components as parts: the conditions passed so far, and the actions done under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PART = "_part"  # which part of a rule is meant, put there by ``listed``
Native = Mapping[str, Any]
# What was asked (a component, and whether it held) and what is done.
Part = tuple[tuple[tuple[Native, bool], ...], tuple[Native, ...]]

CONTAINER = "jira.condition.container.block"
BLOCK = "jira.condition.if.block"


def parts(components: Sequence[Native]) -> list[Part]:
    """Return the parts of a rule; each action is in one. A rule without actions has one part without."""
    found = _parts(components, ())
    merged: dict[Any, list[Native]] = {}
    for asked, does in found:
        merged.setdefault(tuple((id(one), held) for one, held in asked), []).extend(does)
    first = {tuple((id(one), held) for one, held in asked): asked for asked, _ in reversed(found)}
    return [(first[key], tuple(does)) for key, does in merged.items()] or [((), ())]


def _parts(components: Sequence[Native], asked: tuple[tuple[Native, bool], ...]) -> list[Part]:
    found: list[Part] = []
    for one in components:
        if one.get("type") == CONTAINER:
            found += _blocks(one.get("children") or (), asked)
        elif one.get("component") == "CONDITION":
            asked = (*asked, (one, True))
        else:
            found.append((asked, (one,)))
    return found


def _blocks(blocks: Sequence[Native], asked: tuple[tuple[Native, bool], ...]) -> list[Part]:
    """Return the parts of if, else if and else: each block is reached where none before it held."""
    found: list[Part] = []
    for one in blocks:
        found += _parts(one.get("children") or (), (*asked, (one, True)))
        asked = (*asked, (one, False))
    return found
