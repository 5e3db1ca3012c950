"""Drop-downs whose options are paths, made dependent fields where the destination has such, of one level each.

Works on the canonical records before they are planned, so that plan, prediction and digest are of what will be written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from migrator.kinds import Kinds
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.narrowing import at_destination, named_by_rules
from migrator.stage import Stage

HELD = "narrow.tree"
BETWEEN = "::"  # parts the levels of an option
LEAST = 2  # levels
FEW = 4  # of a field, that a report shows


def nest(
    stage: Stage, kinds: Kinds, manifest: Manifest, mapping: Mapping, known: Collection[str], *, whole: bool
) -> list[dict[str, Any]]:
    """Give fields of which every option is a path their levels, and the upper levels as options; return what each
    becomes, for a report: ``{title, levels, choices, tops: [(first level, what is below it)]}``.

    A field that a rule names stays as it is: rules ask for the whole path. So does one that is at the destination
    (``known``: written earlier) and was not nested then; ``whole``: all records are there, so that it can be decided.
    """
    of = dict(_levels(manifest, mapping))
    if not of or "custom_field" not in stage.tables_of("canonical"):
        return []
    stage.schema("narrow")
    stage.run(f"CREATE TABLE IF NOT EXISTS {HELD} (id VARCHAR)")
    earlier = {row[0] for row in stage.rows(f"SELECT id FROM {HELD}")}
    rows = stage.rows(
        "SELECT id, applies_to, key, title, options, option_keys FROM canonical.custom_field WHERE type = 'dropdown' "
        "AND levels IS NULL AND NOT COALESCE(system, FALSE) ORDER BY length(id), id"
    )
    done = []
    for id, applies_to, key, title, options, keys in rows:
        paths = tree(options or (), of.get(applies_to, 0))
        fresh = whole and id not in known and not at_destination(stage, applies_to, title)
        if not paths or not (id in earlier or (fresh and not named_by_rules(stage, kinds, f"{applies_to}:{key}"))):
            continue
        own = dict(zip(options, keys or options, strict=False))
        depth = max(len(path.split(BETWEEN)) for path in paths)
        stage.run(
            "UPDATE canonical.custom_field SET options = ?, option_keys = ?, levels = ? WHERE id = ?",
            paths, [own.get(path, path) for path in paths], depth, id,
        )  # fmt: skip
        done.append((id, _told(title, depth, options)))
    stage.run(f"DELETE FROM {HELD}")
    stage.insert(HELD, [[id] for id, _ in done])
    return [told for _, told in done]


def _told(title: str, levels: int, options: Sequence[str]) -> dict[str, Any]:
    """Return what a report shows of a field: the first few of its first levels, each with the first few below it."""
    tops: dict[str, list[str]] = {}
    for option in options:
        first, _, below = option.partition(BETWEEN)
        tops.setdefault(first, []).append(below.replace(BETWEEN, " → "))
    shown = [{"first": first, "below": below[:FEW], "more": max(0, len(below) - FEW)} for first, below in tops.items()]
    told = {"title": title, "levels": levels, "choices": len(options), "tops": shown[:FEW]}
    return {**told, "more": max(0, len(shown) - FEW)}


def tree(options: Sequence[str], most: int) -> list[str]:
    """Return the options with every upper level before what is part of it; none where one is no path of 2 to ``most``
    levels, or two are the same."""
    parts = [option.split(BETWEEN) for option in options]
    if any(not LEAST <= len(path) <= most or any(part != part.strip() or not part for part in path) for path in parts):
        return []
    branch: dict[tuple[str, ...], None] = {}
    for path in parts:
        branch |= {tuple(path[:depth]): None for depth in range(1, len(path) + 1)}
    leaves = {tuple(path) for path in parts}
    uppers = {one[:depth] for one in leaves for depth in range(1, len(one))}
    if (
        len(leaves) < len(parts)
        or leaves & uppers
        or len({BETWEEN.join(one).casefold() for one in branch}) < len(branch)
    ):
        return []
    return [BETWEEN.join(one) for one in _below(list(branch), ())]


def _below(branch: list[tuple[str, ...]], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for one in branch:
        if one[:-1] == above:
            yield one
            yield from _below(branch, one)


def _levels(manifest: Manifest, mapping: Mapping) -> Iterator[tuple[str, int]]:
    """Yield what custom fields the destination nests, and how many levels deep."""
    for write in manifest.writes:
        keep = write.fields.get("levels") if write.kind == "custom_field" else None
        if keep and keep.write != "never" and keep.most and write.create:
            for variant in mapping.kinds["custom_field"]:
                if variant.name == write.variant:
                    yield str(variant.constants()["applies_to"]), int(keep.most)
