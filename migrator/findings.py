"""Findings: what a report has to say, decided from the data alone and before anything is drawn.

The balance, the losses grouped and compared, the lists cut to what a page can carry. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator import wording

Data = Mapping[str, Any]  # the document a report is made of; tests/test_report.py declares its whole shape

STAGES = ("planned", "loading", "loaded", "verified")
DISPOSITIONS = {  # in the order of the bars: what arrives, what waits, what needs a person, what stays
    "created": "written as a new record",
    "updated": "written into a record that was there",
    "kept": "already there, left as it is",
    "merged": "joined with another record",
    "pending": "not written yet",
    "manual": "a person has to do it",
    "quarantined": "refused by the destination",
    "skipped": "stays behind on purpose",
}
ARRIVED = ("created", "updated", "kept", "merged")
HOW = {
    "dropped": "the destination has no place for it",
    "truncated": "cut to the length the destination takes",
    "merged": "several values become one",
    "reset": "the destination sets its own value",
    "unresolved": "it names something that does not arrive",
    "untranslated": "it has no counterpart",
}
ACTIONS = {
    "skipped": "Stay behind",
    "merged": "Joined with another record",
    "manual": "Left to a person",
    "kept": "Already there",
}
ROWS = 200  # rows a list shows; more would make a page nobody reads, and nobody can send
HAIR = 0.7  # percent: the least width of a bar's segment, so that 6 of 100,000 can be seen


@dataclass(frozen=True)
class Capped:
    """The rows a list shows, and how many more there are."""

    rows: Sequence[Any]
    more: int = 0


@dataclass(frozen=True)
class Segment:
    """A part of a stacked bar; ``x`` and ``width`` are percentages, as SVG wants them."""

    name: str
    count: int
    x: str
    width: str


@dataclass(frozen=True)
class Balance:
    """One kind's account. ``gap``: records unaccounted for; ``holds`` is false too if the vendor counts others."""

    kind: str
    vendor_count: int | None
    source: int
    parts: tuple[int, ...]
    accounted: int
    holds: bool
    gap: int


def balance(data: Data) -> list[Balance]:
    """Return each kind's account. A row holds only if its own numbers agree, whatever its ``ok`` claims."""
    given = {row["kind"]: row for row in data.get("balance") or []}
    kinds: dict[str, Data] = {kind["kind"]: kind for kind in data.get("kinds") or []}
    rows = []
    for name in [*kinds, *(name for name in given if name not in kinds)]:
        parts = tuple(count_of(kinds.get(name, {}), part) for part in used(list(kinds.values())))
        row = given.get(name, {})
        source = int(row.get("source", count_of(kinds.get(name, {}), "source")))
        accounted = int(row.get("accounted", sum(parts)))
        vendor: int | None = row.get("vendor_count")
        agrees = source == accounted and (name not in kinds or sum(parts) == accounted)
        holds = bool(row.get("ok", True)) and agrees
        gap = 0 if holds else max(abs(source - accounted), abs(sum(parts) - source), abs((vendor or source) - source))
        rows.append(Balance(name, vendor, source, parts, accounted, holds, gap))
    return rows


def sums(data: Data) -> tuple[int, int, int, int, int]:
    """Return the records in all, arrived, waiting, needing a person and skipped.

    In a plan nothing is written yet: what waits there is what will arrive.
    """
    kinds: list[Data] = data.get("kinds") or []
    of = {name: sum(count_of(kind, name) for kind in kinds) for name in DISPOSITIONS}
    arrived, waiting = sum(of[name] for name in ARRIVED), of["pending"]
    if data["stage"] == "planned":
        arrived, waiting = arrived + waiting, 0
    return (
        sum(count_of(kind, "source") for kind in kinds),
        arrived,
        waiting,
        of["manual"] + of["quarantined"],
        of["skipped"],
    )


def stacked(parts: Iterable[tuple[str, int]]) -> list[Segment]:
    """Return the segments of a bar as wide as a whole; the smallest is still a hair wide."""
    counts = [(name, count) for name, count in parts if count > 0]
    total = sum(count for _, count in counts)
    widths = [max(HAIR, 100 * count / total) for _, count in counts]
    segments, x = [], 0.0
    for (name, count), width in zip(counts, widths, strict=True):
        width *= 100 / sum(widths)
        segments.append(Segment(name, count, f"{x:.2f}%", f"{width:.2f}%"))
        x += width
    return segments


def _bar(count: float, most: float) -> str:
    return f"{max(HAIR, 100 * count / most) if count and most else 0:.2f}%"


def losses(data: Data) -> dict[str, Any]:
    """Return the losses by how and by kind, the largest first, each with up to three examples compared."""
    rows: list[Data] = data.get("losses") or []
    by_how = sum_by_how(rows)
    most = max(by_how.values(), default=0)
    order = {kind["kind"]: at for at, kind in enumerate(data.get("kinds") or [])}
    shown = capped(descending(rows))
    groups: dict[str, list[dict[str, Any]]] = {}
    for loss in sorted(shown.rows, key=lambda loss: order.get(loss["kind"], len(order))):
        examples = [_example(one) for one in (loss.get("examples") or [])[:3]]
        width = _bar(int(loss["count"]), int(loss["of"]))
        groups.setdefault(loss["kind"], []).append({**loss, "examples": examples, "width": width})
    return {
        "count": sum(by_how.values()),
        "ways": len(rows),
        "by_how": [(how, HOW.get(how, ""), count, _bar(count, most)) for how, count in by_how.most_common()],
        "groups": groups,
        "more": shown.more,
    }


def _example(one: Data) -> dict[str, Any]:
    sides = wording.compared(one["was"], one["becomes"])
    long = max(len(side.before + side.changed + side.after) for side in sides) > 40  # needs a line of its own
    return {"id": one["id"], "label": one["label"], "sides": sides, "long": long}


def sum_by_how(losses: Iterable[Data]) -> Counter[str]:
    """Return the number of values lost in each way."""
    by_how: Counter[str] = Counter()
    for loss in losses:
        by_how[loss["how"]] += int(loss["count"])
    return by_how


def reasons(data: Data) -> list[tuple[str, str, int, Capped]]:
    """Return (action, its heading, records, its reasons), in the order of ACTIONS."""
    given: list[Data] = data.get("reasons") or []
    actions = [*ACTIONS, *sorted({reason["action"] for reason in given} - set(ACTIONS))]
    found = [(action, [reason for reason in given if reason["action"] == action]) for action in actions]
    return [
        (action, ACTIONS.get(action, action), sum(int(row["count"]) for row in rows), capped(descending(rows)))
        for action, rows in found
        if rows
    ]


def unexplained(data: Data) -> list[tuple[str, int]]:
    """Return how many records that do not simply arrive carry no reason: (action, records)."""
    kinds: list[Data] = data.get("kinds") or []
    given: list[Data] = data.get("reasons") or []
    found = []
    for action in ("skipped", "merged", "manual"):
        records = sum(count_of(kind, action) for kind in kinds)
        explained = sum(int(row["count"]) for row in given if row["action"] == action)
        found.append((action, records - explained))
    return [(action, count) for action, count in found if count > 0]


def calls(data: Data) -> dict[str, Any]:
    """Return the calls by endpoint, most first, each with the width of its bar."""
    given = descending(data.get("calls") or [], "calls")
    shown, most = capped(given), max((int(row["calls"]) for row in given), default=0)
    rows = [(row["endpoint"], row["calls"], _bar(int(row["calls"]), most)) for row in shown.rows]
    return {"total": sum(int(row["calls"]) for row in given), "rows": rows, "more": shown.more}


def quota(data: Data) -> list[dict[str, Any]]:
    """Return the quota rules with the width of their bars; ``slowest`` marks the bottleneck."""
    rows = data.get("quota") or []
    most = max((float(row["minutes"]) for row in rows), default=0)
    slowest = data.get("bottleneck")
    return [{**row, "width": _bar(float(row["minutes"]), most), "slowest": row["name"] == slowest} for row in rows]


def verification(data: Data) -> dict[str, Any] | None:
    """Return the verification with its discrepancies compared; ``clean`` only if every single number says so."""
    proof = data.get("verification")
    if proof is None:
        return None
    rows = proof.get("discrepancies") or []
    records, equal, missing = int(proof["records"]), int(proof["equal"]), int(proof["missing"])
    count = max(int(proof.get("count") or 0), len(rows))
    parts = [f"{wording.number(count)} {wording.either(count, 'discrepancy', 'discrepancies')}"] if count else []
    if missing:
        parts.append(f"{wording.number(missing)} missing {wording.either(missing, 'record', 'records')}")
    differ = records - equal - missing
    unequal = f"{wording.number(equal)} of {wording.number(records)} records equal to the prediction"
    return {
        "at": proof["at"],
        "records": wording.number(records),
        "equal": wording.number(equal),
        "missing": wording.number(missing),
        "differ": wording.number(max(differ, 0)),
        "parts": stacked([("equal", equal), ("differ", differ), ("missing", missing)]),
        "count": count,
        "clean": not parts and records == equal and records > 0,
        "problem": " and ".join(parts) or unequal,
        "rows": [{**row, "sides": wording.compared(row["expected"], row["found"])} for row in rows[:ROWS]],
        "more": count - len(rows[:ROWS]),
    }


def capped(rows: Sequence[Any]) -> Capped:
    """Return as many rows as a list shows."""
    return Capped(rows[:ROWS], max(0, len(rows) - ROWS))


def descending(rows: Sequence[Data], by: str = "count") -> list[Data]:
    """Return the rows with the largest number first."""
    return sorted(rows, key=lambda row: -int(row[by]))


def count_of(kind: Data, name: str) -> int:
    """Return one number of a kind, 0 where it is not given."""
    return int(kind.get(name) or 0)


def used(kinds: Sequence[Data]) -> list[str]:
    """Return the dispositions that occur at all, in their order."""
    return [name for name in DISPOSITIONS if any(count_of(kind, name) for kind in kinds)]
