"""Invented conditions of Zendesk's rules: each leaf of a list alone, and some drawn together."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

Native = dict[str, Any]
Listed = tuple[str, tuple[str, ...], tuple[Any, ...]]  # a field, its operators, its values


def drawn(listed: Sequence[Listed], number: int, *, seed: int) -> list[Native]:
    """Return every leaf as a condition of its own, and ``number`` conditions of several."""
    dice = random.Random(seed)
    leaves: list[Native] = [
        {"field": field, "operator": operator, "value": value}
        for field, operators, values in listed
        for operator in operators
        for value in values
    ]
    return [{"all": [leaf], "any": []} for leaf in leaves] + [
        {"all": dice.sample(leaves, dice.choice((1, 2, 3))), "any": dice.sample(leaves, dice.choice((0, 0, 2)))}
        for _ in range(number)
    ]
