"""Nothing is lost in silence: every leaf of every staged record is mapped, dropped with a reason, or listed here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from migrator.compile import covers, json_step, quoted
from migrator.mapping import Mapping, Variant
from migrator.stage import Stage

EMPTY = "('null', '[]', '{}', '\"\"')"


@dataclass(frozen=True)
class Uncovered:
    """A leaf the mapping says nothing of: in how many records it holds something, and what, for example."""

    stream: str
    kind: str
    path: str
    count: int
    example: str


@dataclass(frozen=True)
class Dropped:
    """A path left behind on purpose: in how many records it held something, and why it stays."""

    stream: str
    kind: str
    path: str
    count: int
    because: str


@dataclass(frozen=True)
class Coverage:
    """The whole account of leaves: ``mapped`` paths, those dropped on purpose, and those nobody spoke of."""

    mapped: int
    uncovered: list[Uncovered]
    dropped: list[Dropped]


def covered(mapping: Mapping, variant: Variant) -> dict[str, str | None]:
    """Return the paths a stream's rows of this variant are covered by: mapped (None) or dropped (the reason)."""
    paths: dict[str, str | None] = {}

    def take(one: Variant) -> None:
        prefix = f"{one.each}." if one.each else ""
        for verb in one.fields.values():
            if verb.rule:
                paths[""] = None  # what a dialect does not know it names in the rule itself
            for path in (*verb.reads, *verb.rank):
                if path.startswith("^."):
                    paths[path[2:]] = None
                elif path == "@value":
                    paths[one.each or ""] = None
                elif not path.startswith("@"):
                    paths[f"{prefix}{path}.{verb.each}" if verb.each else prefix + path] = None
        for path in one.where:
            paths.setdefault(path, None)
        for _, path in one.id_parts():
            if not path.startswith(("@", "^")):
                paths.setdefault(prefix + path, None)
        for path, reason in (*mapping.ignored.get(one.stream, {}).items(), *one.drop.items()):
            paths.setdefault(prefix + path, reason)

    take(variant)
    if not variant.each:
        # Other kinds read the same rows too: a message's attachments, a ticket's first message.
        for variants in mapping.kinds.values():
            for other in variants:
                if other.stream == variant.stream and other is not variant and (other.each or not other.where):
                    take(other)
    return paths


Steps = tuple[str, ...]  # the keys that lead to a leaf; lists on the way are passed through
UNNAMED = ("", "*")  # keys no JSON path of DuckDB can name


def _leaves(structure: Any, steps: Steps = ()) -> Iterator[Steps]:
    """Yield the keys that lead to every leaf of DuckDB's structure of documents."""
    while isinstance(structure, list):
        structure = structure[0] if structure else "NULL"
    if isinstance(structure, dict) and structure:
        for key, below in structure.items():
            yield from _leaves(below, (*steps, key))
    else:
        yield steps


def _shown(steps: Steps) -> str:
    """Return a path as people write it, keys with dots and the like in quotation marks."""
    if not steps:
        return "(whole record)"
    return ".".join(
        step if step and not set(step) & set('."*') else json.dumps(step, ensure_ascii=False) for step in steps
    )


def _owner(steps: Steps, paths: dict[Steps, str | None]) -> Steps | None:
    """Return the covering path that is the path itself or the nearest above it."""
    return next((steps[:size] for size in range(len(steps), -1, -1) if steps[:size] in paths), None)


def measure(stage: Stage, mapping: Mapping, *, raw: str = "raw") -> Coverage:
    """Return what the mapping leaves out of the staged records, and what it drops on purpose."""
    uncovered: list[Uncovered] = []
    dropped: list[Dropped] = []
    mapped = 0
    for stream in mapping.streams():
        relation = stage.raw(raw, stream)
        mains = [
            (kind, variant)
            for kind, variants in mapping.kinds.items()
            for variant in variants
            if variant.stream == stream and not variant.each
        ]
        mains = [m for m in mains if m[1].where] or mains[:1]
        seen = []
        for kind, variant in mains:
            where = covers(variant)
            seen.append(where)
            paths = covered(mapping, variant)
            structure = _structure(stage, relation, where)
            if structure is not None:
                mapped += _sort_leaves(stage, relation, where, kind, stream, structure, paths, uncovered, dropped)
        rest = " AND ".join(f"NOT ({where})" for where in seen) or "TRUE"
        count, example = stage.rows(f"SELECT count(*), min(id) FROM {relation} WHERE {rest}")[0]
        because = mapping.ignored.get(stream, {}).get("@id")
        if count and because:
            dropped.append(Dropped(stream, "(no kind)", "(whole record)", int(count), because))
        elif count:
            uncovered.append(Uncovered(stream, "(no kind)", "(whole record)", int(count), f"id {example}"))
    return Coverage(mapped, uncovered, dropped)


def _structure(stage: Stage, relation: str, where: str) -> Any:
    """Return what all bodies are made of; None where there are none.

    Not json_group_structure: it holds 36 KB a record (DuckDB 2.0.0, tickets of 2 KB, measured 2026-11-22).
    """
    whole: Any = None
    for (text,) in stage.stream(f"SELECT DISTINCT json_structure(body) FROM {relation} WHERE {where}"):
        one = json.loads(text)
        whole = one if whole is None else _merged(whole, one)
    return whole


def _merged(one: Any, other: Any) -> Any:
    """Return the structure of two bodies together; where they differ in shape, anything may stand there."""
    if one == other or other == "NULL":
        return one
    if one == "NULL":
        return other
    if isinstance(one, dict) and isinstance(other, dict):
        both = dict(one)
        for label, inner in other.items():
            both[label] = _merged(both[label], inner) if label in both else inner
        return both
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0])] if one and other else one or other
    return "JSON"


def _sort_leaves(
    stage: Stage,
    relation: str,
    where: str,
    kind: str,
    stream: str,
    structure: Any,
    paths: dict[str, str | None],
    uncovered: list[Uncovered],
    dropped: list[Dropped],
) -> int:
    """Sort a stream's leaves into uncovered and dropped ones; return how many are mapped."""
    mapped = 0
    covering = {tuple(path.split(".")) if path else (): reason for path, reason in paths.items()}
    reasons: dict[Steps, str] = {}
    loose: list[Steps] = []
    for steps in _leaves(structure):
        owner = _owner(steps, covering)
        if owner is None:
            loose.append(steps)
        elif (reason := covering[owner]) is not None:
            reasons[owner] = reason
        else:
            mapped += 1
    for steps in [*reasons, *loose]:
        if set(steps) & set(UNNAMED):  # say so rather than count nothing
            count, example = stage.one(f"SELECT count(*) FROM {relation} WHERE {where}"), "?"
        else:
            held = f"({_held(structure, steps)})"
            # Not through sqlglot: it writes json_extract as ->, which DuckDB takes for a lambda inside list_filter.
            sql = (
                f"SELECT count(*) AS n, min(left(CAST(v AS VARCHAR), 200)) AS example FROM "
                f"(SELECT {held} AS v FROM {relation} WHERE {where}) WHERE v IS NOT NULL"
            )
            count, example = stage.rows(sql)[0]
        if not count:
            continue
        if steps in reasons:
            dropped.append(Dropped(stream, kind, _shown(steps), int(count), reasons[steps]))
        else:
            uncovered.append(Uncovered(stream, kind, _shown(steps), int(count), str(example)))
    return mapped


def _held(structure: Any, steps: Steps) -> str:
    """Return the expression of what lies at a path, NULL where that is nothing; through lists, the first with any."""
    wild, node = "$", structure
    listed = False
    for step in steps:
        while isinstance(node, list):
            node, wild, listed = node[0] if node else None, wild + "[*]", True
        wild += json_step(step)
        node = node.get(step) if isinstance(node, dict) else None
    value = f"json_extract(body, {quoted(wild)})"
    if listed:
        some = f"list_filter({value}, lambda x: x IS NOT NULL AND CAST(x AS VARCHAR) NOT IN {EMPTY})"
        return f"CASE WHEN len({some}) > 0 THEN {some}[1] END"
    return f"CASE WHEN CAST({value} AS VARCHAR) NOT IN {EMPTY} THEN {value} END"
