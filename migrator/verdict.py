"""The verdict: whether a customer may dare it, in one sentence, in the points behind it and in four figures. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from migrator import findings, wording
from migrator.findings import Data


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


def verdict(data: Data) -> Verdict:
    """Return the plain-language answer; its tone is that of its worst point."""
    points = tuple(
        point
        for point in (
            _proof_point(data),
            _balance_point(data),
            _waiting_point(data),
            _person_point(data),
            _reason_point(data),
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
    total, arrived, waiting, person, skipped = findings.sums(data)
    if not total:
        return "There is nothing to move: the source holds no records."
    planned = data["stage"] == "planned"
    verb = "arrive" if planned else "have arrived"
    first = f"All {wording.number(total)} records {verb}" if arrived == total > 1 else ""
    clauses = [first or f"{wording.number(arrived)} of {wording.number(total)} records {verb}"]
    if waiting:
        clauses.append(f"{wording.number(waiting)} {_is(waiting)} still to be written")
    if skipped:
        stay = f"{wording.number(skipped)} {wording.either(skipped, 'stays', 'stay')} behind"
        clauses.append(stay if "skipped" in dict(findings.unexplained(data)) else f"{stay} for a stated reason")
    clauses.append(
        f"{wording.number(person)} {wording.either(person, 'needs', 'need')} a person"
        if person
        else "none needs a person"
    )
    gap = sum(row.gap for row in findings.balance(data))
    if gap:
        clauses.append(f"{wording.number(gap)} {_is(gap)} unaccounted for")
    else:
        holds = all(row.holds for row in findings.balance(data))
        clauses.append("nothing is unaccounted for" if holds else "the balance does not hold")
    return "; ".join(clauses) + "."


def _proof_point(data: Data) -> Point | None:
    proof = findings.verification(data)
    if proof is None:
        return None if data["stage"] == "planned" else Point("note", "What arrived has not been read back yet.")
    if proof["clean"]:
        return Point("good", f"Every one of {proof['records']} records was read back and equals the prediction.")
    return Point("bad", f"Reading back found {proof['problem']}.")


def _balance_point(data: Data) -> Point:
    broken = [row for row in findings.balance(data) if not row.holds]
    if not broken:
        return Point("good", "Every record of the source is accounted for, kind by kind.")
    return Point("bad", f"The balance does not hold for {wording.listed(wording.kinds(row.kind) for row in broken)}.")


def _waiting_point(data: Data) -> Point | None:
    waiting = findings.sums(data)[2]
    if not waiting or data["stage"] == "loading":
        return None
    return Point("attention", f"{wording.number(waiting)} planned {_records(waiting)} {_is(waiting)} not written.")


def _person_point(data: Data) -> Point | None:
    todo: list[Data] = data.get("todo") or []
    kinds: list[Data] = data.get("kinds") or []
    manual, refused = (sum(findings.count_of(kind, name) for kind in kinds) for name in ("manual", "quarantined"))
    parts = [f"{wording.number(manual)} {_records(manual)} to move by hand"] if manual else []
    if refused:
        title = wording.clipped(data["destination"]["title"], 60)
        parts.append(f"{wording.number(refused)} {_records(refused)} that {title} refused")
    if todo:
        parts.append(f"{wording.number(len(todo))} {wording.either(len(todo), 'task', 'tasks')} on the checklist")
    return Point("attention", f"Left to a person: {wording.listed(parts)}.") if parts else None


def _reason_point(data: Data) -> Point | None:
    parts = [f"{wording.number(count)} {action}" for action, count in findings.unexplained(data)]
    return Point("attention", f"Without a reason on record: {wording.listed(parts)}.") if parts else None


def _loss_point(data: Data) -> Point:
    losses = data.get("losses") or []
    if not losses:
        return Point("good", "No value is lost or changed.")
    by_how = findings.sum_by_how(losses)
    count = sum(by_how.values())
    parts = wording.listed(
        f"{wording.number(number)} {wording.clipped(how, 30)}" for how, number in by_how.most_common()
    )
    return Point(
        "note",
        f"{wording.number(count)} {wording.either(count, 'value differs', 'values differ')} on arrival: {parts}.",
    )


def _coverage_point(data: Data) -> Point | None:
    coverage = data.get("coverage") or {}
    paths, raw = len(coverage.get("uncovered") or []), len(coverage.get("unreadable") or [])
    parts = (
        [f"{wording.number(paths)} {wording.either(paths, 'field', 'fields')} of the source no mapping reads"]
        if paths
        else []
    )
    if raw:
        parts.append(f"{wording.number(raw)} {wording.either(raw, 'value', 'values')} that could not be read")
    return Point("attention", f"To decide before it counts as whole: {' and '.join(parts)}.") if parts else None


def _time_point(data: Data) -> Point | None:
    hours, calls = float(data.get("hours") or 0), sum(int(row["calls"]) for row in data.get("calls") or [])
    if not hours and not calls:
        return None
    many = f"{wording.number(calls)} {wording.either(calls, 'call', 'calls')}"
    text = f"It takes {wording.about(hours * 60)} and {many}"
    bottleneck = data.get("bottleneck")
    return Point(
        "note", f"{text}; the rule “{wording.clipped(bottleneck, 80)}” sets the pace." if bottleneck else f"{text}."
    )


def figures(data: Data) -> list[tuple[str, str, str]]:
    """Return the four numbers below the verdict: (value, what it is, of what)."""
    total, arrived, _, person, _ = findings.sums(data)
    losses = data.get("losses") or []
    count = sum(int(loss["count"]) for loss in losses)
    calls = sum(int(row["calls"]) for row in data.get("calls") or [])
    verb = "arrive" if data["stage"] == "planned" else "have arrived"
    ways = (
        f"in {wording.number(len(losses))} {wording.either(len(losses), 'way', 'ways')}, each with its reason"
        if losses
        else "none"
    )
    return [
        (
            wording.share(arrived, total) or "none",
            f"of the records {verb}",
            f"{wording.number(arrived)} of {wording.number(total)}",
        ),
        (wording.number(count), wording.either(count, "value differs", "values differ"), ways),
        (
            wording.number(person),
            wording.either(person, "record needs a person", "records need a person"),
            "by hand, or after a refusal",
        ),
        (
            wording.duration(float(data.get("hours") or 0) * 60).replace("under a minute", "< 1 min"),
            "at the vendors' pace",
            f"{wording.number(calls)} {wording.either(calls, 'call', 'calls')}",
        ),
    ]


def _records(count: int) -> str:
    return wording.either(count, "record", "records")


def _is(count: int) -> str:
    return wording.either(count, "is", "are")
