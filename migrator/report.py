"""The report: what a migration moves, loses and proves, as one HTML file to sign and as a summary for the terminal.

Pure: the same data gives the same page. Every value may come from a hostile vendor; ``_environment`` is what holds it off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from migrator import wording

if TYPE_CHECKING:
    from jinja2 import Environment
    from rich.console import Console

Data = Mapping[str, Any]  # the document ``project`` gathers; its shape is declared in docs and in tests/test_report.py

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
TEXT = 600  # characters any value may take on the page, whatever else clips it


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
    """One kind's account. ``gap``: records that are unaccounted for; ``holds`` is false too if the vendor counts others."""

    kind: str
    vendor_count: int | None
    source: int
    parts: tuple[int, ...]
    accounted: int
    holds: bool
    gap: int


@dataclass(frozen=True)
class Point:
    """A sentence of the verdict. ``tone``: good, note, attention or bad."""

    tone: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """The answer in one sentence, and what stands behind it."""

    tone: str
    headline: str
    points: tuple[Point, ...]


def html(data: Mapping[str, Any]) -> str:
    """Return the report as one HTML file that asks no one for anything and shows whatever a vendor wrote as mere text."""
    return _environment().get_template("report.html.j2").render(_page(data))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        """Stand between every expression of the template and the page; what a macro made is done already."""
        return value if isinstance(value, Markup) else wording.clipped(value, TEXT)

    # Always, not by file name: select_autoescape would not know the ending .j2.
    environment = Environment(
        loader=PackageLoader("migrator", "templates"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for word in (wording.number, wording.share, wording.duration, wording.moment, wording.kinds, wording.counted):
        environment.filters[word.__name__] = word
    environment.filters["clip"] = wording.clipped
    environment.filters["first_upper"] = lambda text: text[:1].upper() + text[1:]
    return environment


def _page(data: Data) -> dict[str, Any]:
    """Return what the template shows, counted, grouped, sorted and capped."""
    kinds: list[Data] = data.get("kinds") or []
    coverage: Data = data.get("coverage") or {}
    used = _used(kinds)
    return {
        "name": data["name"],
        "source": data["source"],
        "destination": data["destination"],
        "created_at": data["created_at"],
        "digest": data["digest"],
        "stage": data["stage"],
        "stages": STAGES,
        "verdict": verdict(data),
        "figures": _figures(data),
        "meanings": {name: DISPOSITIONS[name] for name in used},
        "kinds": [(kind, stacked([(name, _count(kind, name)) for name in used])) for kind in kinds],
        "balance": balance(data),
        "used": used,
        "losses": _losses(data),
        "todo": _capped(data.get("todo") or []),
        "reasons": _reasons(data),
        "calls": _calls(data),
        "quota": _quota(data),
        "minutes": float(data.get("hours") or 0) * 60,
        "bottleneck": data.get("bottleneck") or "",
        "verification": _verification(data),
        "quarantine": _capped(data.get("quarantine") or []),
        "mapped": coverage.get("mapped", 0),
        "uncovered": _capped(_descending(coverage.get("uncovered") or [])),
        "dropped": _capped(_descending(coverage.get("dropped") or [])),
        "unreadable": _capped(_descending(coverage.get("unreadable") or [])),
        "runs": _capped(data.get("runs") or []),
    }


# --- the verdict -----------------------------------------------------------------------------------------------------


def verdict(data: Data) -> Verdict:
    """Return the plain-language answer; its tone is that of its worst point."""
    points = tuple(
        point
        for point in (
            _proof_point(data),
            _balance_point(data),
            _person_point(data),
            _loss_point(data),
            _coverage_point(data),
            _time_point(data),
        )
        if point
    )
    tones = {point.tone for point in points}
    tone = next((tone for tone in ("bad", "attention") if tone in tones), "good")
    return Verdict(tone, _headline(data), points)


def _headline(data: Data) -> str:
    total, arrived, waiting, person, skipped = _sums(data)
    if not total:
        return "There is nothing to move: the source holds no records."
    planned = data["stage"] == "planned"
    verb = "arrive" if planned else "have arrived"
    first = f"All {wording.number(total)} records {verb}" if arrived == total > 1 else ""
    clauses = [first or f"{wording.number(arrived)} of {wording.number(total)} records {verb}"]
    if waiting:
        clauses.append(f"{wording.number(waiting)} {_is(waiting)} still to be written")
    if skipped:
        clauses.append(f"{wording.number(skipped)} {_s(skipped, 'stays', 'stay')} behind for a stated reason")
    clauses.append(f"{wording.number(person)} {_s(person, 'needs', 'need')} a person" if person else "none needs a person")
    gap = sum(row.gap for row in balance(data))
    if gap:
        clauses.append(f"{wording.number(gap)} {_is(gap)} unaccounted for")
    else:
        holds = all(row.holds for row in balance(data))
        clauses.append("nothing is unaccounted for" if holds else "the balance does not hold")
    return "; ".join(clauses) + "."


def _sums(data: Data) -> tuple[int, int, int, int, int]:
    """Return the records in all, arrived, waiting, needing a person and skipped.

    In a plan nothing is written yet: what waits there is what will arrive.
    """
    kinds: list[Data] = data.get("kinds") or []
    of = {name: sum(_count(kind, name) for kind in kinds) for name in DISPOSITIONS}
    arrived, waiting = sum(of[name] for name in ARRIVED), of["pending"]
    if data["stage"] == "planned":
        arrived, waiting = arrived + waiting, 0
    return sum(_count(kind, "source") for kind in kinds), arrived, waiting, of["manual"] + of["quarantined"], of["skipped"]


def _proof_point(data: Data) -> Point | None:
    proof = _verification(data)
    if proof is None:
        return None if data["stage"] == "planned" else Point("note", "What arrived has not been read back yet.")
    if proof["clean"]:
        return Point("good", f"Every one of {proof['records']} records was read back and equals the prediction.")
    return Point("bad", f"Reading back found {proof['problem']}.")


def _balance_point(data: Data) -> Point:
    broken = [row for row in balance(data) if not row.holds]
    if not broken:
        return Point("good", "Every record of the source is accounted for, kind by kind.")
    return Point("bad", f"The balance does not hold for {_listed(wording.kinds(row.kind) for row in broken)}.")


def _person_point(data: Data) -> Point | None:
    todo, person = data.get("todo") or [], _sums(data)[3]
    if not todo and not person:
        return None
    parts = [f"{wording.number(person)} {_s(person, 'record', 'records')} to be moved by hand"] if person else []
    if todo:
        parts.append(f"{wording.number(len(todo))} {_s(len(todo), 'task', 'tasks')} on the checklist")
    return Point("attention", f"Left to a person: {' and '.join(parts)}.")


def _loss_point(data: Data) -> Point:
    losses = data.get("losses") or []
    if not losses:
        return Point("good", "No value is lost or changed.")
    by_how = _by_how(losses)
    count = sum(by_how.values())
    parts = _listed(f"{wording.number(number)} {wording.clipped(how, 30)}" for how, number in by_how.most_common())
    return Point("note", f"{wording.number(count)} {_s(count, 'value differs', 'values differ')} on arrival: {parts}.")


def _coverage_point(data: Data) -> Point | None:
    coverage = data.get("coverage") or {}
    paths, raw = len(coverage.get("uncovered") or []), len(coverage.get("unreadable") or [])
    parts = [f"{wording.number(paths)} {_s(paths, 'field', 'fields')} of the source no mapping reads"] if paths else []
    if raw:
        parts.append(f"{wording.number(raw)} {_s(raw, 'value', 'values')} that could not be read")
    return Point("attention", f"To decide before it counts as whole: {' and '.join(parts)}.") if parts else None


def _time_point(data: Data) -> Point | None:
    hours, calls = float(data.get("hours") or 0), sum(int(row["calls"]) for row in data.get("calls") or [])
    if not hours and not calls:
        return None
    text = f"It takes about {wording.duration(hours * 60)} and {wording.number(calls)} {_s(calls, 'call', 'calls')}"
    bottleneck = data.get("bottleneck")
    return Point("note", f"{text}; {wording.clipped(bottleneck, 80)} sets the pace." if bottleneck else f"{text}.")


# --- the sections ----------------------------------------------------------------------------------------------------


def balance(data: Data) -> list[Balance]:
    """Return each kind's account. A row holds only if its own numbers agree, whatever its ``ok`` claims."""
    given = {row["kind"]: row for row in data.get("balance") or []}
    kinds: dict[str, Data] = {kind["kind"]: kind for kind in data.get("kinds") or []}
    rows = []
    for name in [*kinds, *(name for name in given if name not in kinds)]:
        parts = tuple(_count(kinds.get(name, {}), part) for part in _used(list(kinds.values())))
        row = given.get(name, {})
        source = int(row.get("source", _count(kinds.get(name, {}), "source")))
        accounted = int(row.get("accounted", sum(parts)))
        vendor: int | None = row.get("vendor_count")
        agrees = source == accounted and (name not in kinds or sum(parts) == accounted)
        holds = bool(row.get("ok", True)) and agrees
        gap = 0 if holds else max(abs(source - accounted), abs(sum(parts) - source), abs((vendor or source) - source))
        rows.append(Balance(name, vendor, source, parts, accounted, holds, gap))
    return rows


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


def _figures(data: Data) -> list[tuple[str, str, str]]:
    """Return the four numbers below the verdict: (value, what it is, of what)."""
    total, arrived, _, person, _ = _sums(data)
    losses = data.get("losses") or []
    count = sum(int(loss["count"]) for loss in losses)
    verb = "arrive" if data["stage"] == "planned" else "have arrived"
    ways = f"in {wording.number(len(losses))} {_s(len(losses), 'way', 'ways')}, each with its reason" if losses else "none"
    return [
        (wording.share(arrived, total) or "–", f"of the records {verb}", f"{wording.number(arrived)} of {wording.number(total)}"),
        (wording.number(count), _s(count, "value differs", "values differ"), ways),
        (wording.number(person), _s(person, "record needs a person", "records need a person"), "by hand, or after a refusal"),
        (
            wording.duration(float(data.get("hours") or 0) * 60),
            "at the vendors' pace",
            f"{wording.number(sum(int(row['calls']) for row in data.get('calls') or []))} calls",
        ),
    ]


def _losses(data: Data) -> dict[str, Any]:
    """Return the losses by how and by kind, the largest first, each with up to three examples compared."""
    losses: list[Data] = data.get("losses") or []
    by_how = _by_how(losses)
    most = max(by_how.values(), default=0)
    order = {kind["kind"]: at for at, kind in enumerate(data.get("kinds") or [])}
    capped = _capped(sorted(losses, key=lambda loss: (order.get(loss["kind"], len(order)), -int(loss["count"]))))
    groups: dict[str, list[dict[str, Any]]] = {}
    for loss in capped.rows:
        examples = [
            {"id": one["id"], "label": one["label"], "sides": wording.compared(one["was"], one["becomes"])}
            for one in (loss.get("examples") or [])[:3]
        ]
        width = _bar(int(loss["count"]), int(loss["of"]))
        groups.setdefault(loss["kind"], []).append({**loss, "examples": examples, "width": width})
    return {
        "count": sum(by_how.values()),
        "ways": len(losses),
        "by_how": [(how, HOW.get(how, ""), count, _bar(count, most)) for how, count in by_how.most_common()],
        "groups": groups,
        "more": capped.more,
    }


def _by_how(losses: Iterable[Data]) -> Counter[str]:
    by_how: Counter[str] = Counter()
    for loss in losses:
        by_how[loss["how"]] += int(loss["count"])
    return by_how


def _reasons(data: Data) -> list[tuple[str, str, int, Capped]]:
    """Return (action, its heading, records, its reasons), in the order of ACTIONS."""
    reasons: list[Data] = data.get("reasons") or []
    actions = [*ACTIONS, *sorted({reason["action"] for reason in reasons} - set(ACTIONS))]
    found = [(action, [reason for reason in reasons if reason["action"] == action]) for action in actions]
    return [
        (action, ACTIONS.get(action, action), sum(int(row["count"]) for row in rows), _capped(_descending(rows)))
        for action, rows in found
        if rows
    ]


def _calls(data: Data) -> dict[str, Any]:
    calls = _descending(data.get("calls") or [], "calls")
    capped, most = _capped(calls), max((int(row["calls"]) for row in calls), default=0)
    rows = [(row["endpoint"], row["calls"], _bar(int(row["calls"]), most)) for row in capped.rows]
    return {"total": sum(int(row["calls"]) for row in calls), "rows": rows, "more": capped.more}


def _quota(data: Data) -> list[dict[str, Any]]:
    rows = data.get("quota") or []
    most = max((float(row["minutes"]) for row in rows), default=0)
    slowest = data.get("bottleneck")
    return [{**row, "width": _bar(float(row["minutes"]), most), "slowest": row["name"] == slowest} for row in rows]


def _verification(data: Data) -> dict[str, Any] | None:
    """Return the verification with its discrepancies compared; ``clean`` only if every single number says so."""
    proof = data.get("verification")
    if proof is None:
        return None
    rows = proof.get("discrepancies") or []
    records, equal, missing = int(proof["records"]), int(proof["equal"]), int(proof["missing"])
    count = max(int(proof.get("count") or 0), len(rows))
    parts = [f"{wording.number(count)} {_s(count, 'discrepancy', 'discrepancies')}"] if count else []
    if missing:
        parts.append(f"{wording.number(missing)} missing {_s(missing, 'record', 'records')}")
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


def _capped(rows: Sequence[Any]) -> Capped:
    return Capped(rows[:ROWS], max(0, len(rows) - ROWS))


def _descending(rows: Sequence[Data], by: str = "count") -> list[Data]:
    return sorted(rows, key=lambda row: -int(row[by]))


def _count(kind: Data, name: str) -> int:
    return int(kind.get(name) or 0)


def _used(kinds: Sequence[Data]) -> list[str]:
    return [name for name in DISPOSITIONS if any(_count(kind, name) for kind in kinds)]


def _listed(words: Iterable[str]) -> str:
    *front, last = words
    return f"{', '.join(front)} and {last}" if front else last


def _s(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _is(count: int) -> str:
    return _s(count, "is", "are")
