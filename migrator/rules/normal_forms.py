"""Condition trees in the shapes that vendors can hold: negation at the leaves, an OR of ANDs, scales as lists."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from migrator.rules.conditions import (
    FLIPPED,
    SCALES,
    All,
    Any,
    Changed,
    Compare,
    Condition,
    Elapsed,
    Event,
    Hours,
    Is,
    Leaf,
    Lit,
    Not,
    Tags,
)

MOST = 64  # leaves of an OR of ANDs before it counts as too large to be read by a person


class TooLargeError(ValueError):
    """The OR of ANDs would have more than MOST leaves."""


def opposite(leaf: Leaf) -> Leaf:
    """Return the leaf that is true exactly where this one is false, missing values included."""
    if isinstance(leaf, Compare | Elapsed):
        return leaf.model_copy(update={"op": FLIPPED[leaf.op], "null": not leaf.null})
    if isinstance(leaf, Hours):
        return leaf.model_copy(update={"inside": not leaf.inside})
    changes: dict[str, bool] = {"negated": not leaf.negated}
    if "null" in type(leaf).model_fields:
        changes["null"] = not leaf.null  # type: ignore[union-attr]
    return leaf.model_copy(update=changes)


def nnf(condition: Condition, *, negate: bool = False) -> Condition:
    """Return the same condition without Not: it is pushed down into the leaves."""
    if isinstance(condition, Not):
        return nnf(condition.of, negate=not negate)
    if isinstance(condition, All | Any):
        of = tuple(nnf(part, negate=negate) for part in condition.of)
        return All(of=of) if isinstance(condition, All) is not negate else Any(of=of)
    return opposite(condition) if negate else condition


def unscaled(leaf: Leaf) -> Leaf:
    """Return a comparison on a scale as the list of the places it takes in; any other leaf as it is."""
    if not (isinstance(leaf, Compare) and leaf.scale):
        return leaf
    scale = SCALES[leaf.scale]
    if leaf.value.value not in scale:
        return leaf
    at = scale.index(str(leaf.value.value))
    within = {"lt": scale[:at], "le": scale[: at + 1], "gt": scale[at + 1 :], "ge": scale[at:]}[leaf.op]
    return Is(path=leaf.path, values=tuple(Lit(value=word) for word in within if word is not None), null=leaf.null)


def simple(condition: Condition) -> Condition:
    """Return the same condition in NNF, flattened, scales as lists; one part needs no All or Any around it."""
    return _flat(nnf(condition))


def _flat(condition: Condition) -> Condition:
    if not isinstance(condition, All | Any):
        assert not isinstance(condition, Not)
        leaf = unscaled(condition)
        if isinstance(leaf, Tags) and len(leaf.tags) == 1 and leaf.need == "all":
            leaf = leaf.model_copy(update={"need": "one"})
        return leaf
    kind = type(condition)
    parts: list[Condition] = []
    for part in map(_flat, condition.of):
        more = part.of if isinstance(part, kind) else (part,)
        parts += [each for each in more if each not in parts]
    return parts[0] if len(parts) == 1 else kind(of=tuple(parts))


def dnf(condition: Condition) -> tuple[tuple[Leaf, ...], ...]:
    """Return the same condition as an OR of ANDs of leaves. Raises TooLargeError."""
    found = _dnf(simple(condition))
    if sum(len(part) for part in found) > MOST:
        raise TooLargeError(f"{sum(len(part) for part in found)} leaves")
    return found


def _dnf(condition: Condition) -> tuple[tuple[Leaf, ...], ...]:
    if isinstance(condition, Any):
        return tuple(dict.fromkeys(each for part in condition.of for each in _dnf(part)))
    if isinstance(condition, All):
        parts = [_dnf(part) for part in condition.of]
        size = 1
        for part in parts:
            size *= len(part)
        if size > MOST:
            raise TooLargeError(f"{size} alternatives")
        joined = (tuple(dict.fromkeys(leaf for part in choice for leaf in part)) for choice in product(*parts))
        return tuple(dict.fromkeys(joined))
    assert not isinstance(condition, Not)
    return ((condition,),)


def sets(condition: Condition) -> tuple[tuple[bool, tuple[Leaf, ...]], ...] | None:
    """Return the condition as at most two flat sets, both to hold: (all of them?, leaves); None if it is deeper."""
    flat = simple(condition)
    if not isinstance(flat, All | Any):
        return ((True, (flat,)),)  # type: ignore[return-value]
    if isinstance(flat, Any):
        return ((False, flat.of),) if not any(isinstance(p, All | Any) for p in flat.of) else None  # type: ignore[return-value]
    deep = [part for part in flat.of if isinstance(part, All | Any)]
    straight = tuple(part for part in flat.of if not isinstance(part, All | Any))
    if not deep:
        return ((True, straight),)  # type: ignore[return-value]
    if len(deep) > 2 or (len(deep) == 2 and straight) or any(isinstance(p, All | Any) for one in deep for p in one.of):
        return None
    first = ((True, straight),) if straight else ()
    return (*first, *((False, one.of) for one in deep))


def created_only(condition: Condition) -> bool:
    """Say whether the condition can hold only when a ticket is created."""
    flat = simple(condition)
    parts = flat.of if isinstance(flat, All) else (flat,)
    return any(
        isinstance(part, Event) and part.kinds == (("updated",) if part.negated else ("created",)) for part in parts
    )


def assume(condition: Condition, known: Callable[[Leaf], bool | None]) -> Condition:
    """Return the condition given what is known of some leaves: All(()) where it always holds, Any(()) where never."""
    flat = simple(condition)
    if isinstance(flat, All | Any):
        parts = [assume(part, known) for part in flat.of]
        gone, ends = (All(), Any()) if isinstance(flat, All) else (Any(), All())
        if ends in parts:
            return ends
        return simple(type(flat)(of=tuple(part for part in parts if part != gone)))
    assert not isinstance(flat, Not)
    answer = known(flat)
    if isinstance(flat, Is) and not flat.values and flat.negated is flat.null:
        answer = flat.null  # asks whether there is a value or none, or whether there is none and one
    return flat if answer is None else All() if answer else Any()


def given_event(condition: Condition, event: str) -> Condition:
    """Return what is left of a condition, given that a ticket was created (nothing has changed then) or updated."""

    def known(leaf: Leaf) -> bool | None:
        if isinstance(leaf, Event) and leaf.kinds in (("created",), ("updated",)):
            return (leaf.kinds == (event,)) is not leaf.negated
        if isinstance(leaf, Changed) and event == "created":
            return leaf.negated
        return None

    return assume(condition, known)
