"""The graph of a workflow's actions as the ways through it: on each, what its branches asked and what it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WAY = "_way"  # which branches are taken: [[action, branch], …], put there by ``listed``
MOST = 64  # ways; a workflow with more is read as one that nobody can follow
LONGEST = 200  # actions on a way

Native = Mapping[str, Any]
Way = list[list[Any]]


def ways(flow: Native) -> Iterator[Way]:
    """Yield every way through a workflow's branches; an empty one where it has none, or too many."""
    found: list[Way] = []
    waiting: list[Way] = [[]]
    while waiting:
        way = waiting.pop(0)
        _, open_at = walk(flow, way)
        if open_at is None:
            found.append(way)
        else:
            waiting += [[*way, [open_at["actionId"], at]] for at in range(len(choices(open_at)))]
        if len(found) + len(waiting) > MOST:
            yield []
            return
    yield from found


def choices(action: Native) -> list[Native]:
    """Return the branches of an action, the default last: {filterBranch or None, connection}."""
    made: list[Native] = list(action.get("listBranches") or ())
    return [*made, {"filterBranch": None, "connection": action.get("defaultBranch")}]


def walk(flow: Native, way: Way) -> tuple[list[Native], Native | None]:
    """Return the actions on a way, branches among them, and the branch at which it is not told how to go on."""
    by_id = {str(one.get("actionId")): one for one in flow.get("actions") or () if isinstance(one, Mapping)}
    at = str(flow.get("startActionId") or next(iter(by_id), ""))
    taken = {str(action): branch for action, branch in way}
    done: list[Native] = []
    while at in by_id and len(done) < LONGEST and by_id[at] not in done:
        action = by_id[at]
        done.append(action)
        if action.get("type") == "LIST_BRANCH":
            if at not in taken:
                return done, action
            action = choices(action)[taken[at]]
        at = str((action.get("connection") or {}).get("nextActionId") or "")
    return done, None
