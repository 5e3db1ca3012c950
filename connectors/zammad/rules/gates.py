"""With which values of others a field shows, and where it is hidden then: the one is turned into the other.

A field shows where one of its gates is open: the other field has one of these values, and shows itself. A workflow
hides it where all parts of one condition hold, so that each way in which all gates are shut is one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Gates: TypeAlias = dict[str, dict[Any, None]]  # field it depends on to the values, in their order
Alternatives: TypeAlias = frozenset[tuple[str, frozenset[Any]]]  # each of these fields has none of its values
MOST = 12  # ways in which one field is hidden


class TooDeepError(Exception):
    """So many fields depend on each other that a person had better look at them."""


def hidden(child: str, gates: Mapping[str, Gates], above: tuple[str, ...] = ()) -> list[Alternatives]:
    """Return every way in which a field is hidden; none where it depends on nothing. Raises TooDeepError.

    A field that depends on itself by a circle is taken to be hidden by the other fields only.
    """
    if child not in gates:
        return []
    ways: list[Alternatives] = [frozenset()]
    for parent, values in gates[child].items():
        shut: list[Alternatives] = [frozenset({(parent, frozenset(values))})]
        if parent not in above and parent != child:
            shut += hidden(parent, gates, (*above, child))
        ways = least([_both(one, other) for one in ways for other in shut])
        if len(ways) > MOST:
            raise TooDeepError
    return ways


def opened(child: str, gates: Mapping[str, Gates], above: tuple[str, ...] = ()) -> list[Alternatives]:
    """Return every way in which a field shows: each of these fields has one of its values. Raises TooDeepError."""
    if child not in gates:
        return [frozenset()]
    ways: list[Alternatives] = []
    for parent, values in gates[child].items():
        over = [frozenset()] if parent in above or parent == child else opened(parent, gates, (*above, child))
        ways += [way for one in over if (way := narrowed(one, parent, values)) is not None]
        if len(ways) > MOST:
            raise TooDeepError
    kept: list[Alternatives] = []
    for way in dict.fromkeys(ways):
        if not any(_implies(way, other) for other in kept):
            kept = [other for other in kept if not _implies(other, way)] + [way]
    return kept


def narrowed(way: Alternatives, parent: str, values: Iterable[Any]) -> Alternatives | None:
    """Return a way in which a field besides has one of these values; None where it cannot."""
    held = dict(way)
    held[parent] = held[parent] & frozenset(values) if parent in held else frozenset(values)
    return frozenset(held.items()) if held[parent] else None


def least(ways: Iterable[Alternatives]) -> list[Alternatives]:
    """Return the ways without those that say less than another of them does already."""
    kept: list[Alternatives] = []
    for way in dict.fromkeys(ways):
        if any(_within(way, other) for other in kept):
            continue
        kept = [other for other in kept if not _within(other, way)] + [way]
    return kept


def unfolded(way: Alternatives) -> Gates:
    """Return the gates that are shut in a way."""
    return {parent: dict.fromkeys(sorted(values, key=str)) for parent, values in sorted(way, key=lambda one: one[0])}


def _both(one: Alternatives, other: Alternatives) -> Alternatives:
    joined: dict[str, frozenset[Any]] = dict(one)
    for parent, values in other:
        joined[parent] = joined.get(parent, frozenset()) | values
    return frozenset(joined.items())


def _implies(way: Alternatives, other: Alternatives) -> bool:
    """Say whether a field that shows in one way shows in the other too."""
    held = dict(way)
    return all(parent in held and held[parent] <= values for parent, values in other)


def _within(way: Alternatives, other: Alternatives) -> bool:
    """Say whether a field that is hidden in one way is hidden in the other too."""
    asked = dict(way)
    return all(values <= asked.get(parent, frozenset()) for parent, values in other)
