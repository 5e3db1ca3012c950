"""When name servers may be switched: a calendar reckoned from the TTLs that caches have been given, and nothing else.

A cache keeps an answer as long as the TTL it came with, whatever is changed afterwards. So the old TTLs run out first,
the DS before the signatures change, and the old servers answer until the parent's NS records have run out everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from html import escape
from typing import Any

from migrator.errors import InputError
from migrator.stage import Stage

PARENT_TTL = 172_800  # two days: what most registries give (com, net, org, read 2026-11-22); assumed where nobody says
LOW_TTL = 300
ROUNDS = 2  # TTLs of the MX without a late arrival, after which the tail is over
CAUSES = ("lowered TTLs", "DS", "certificate", "registrar lock")


@dataclass(frozen=True)
class Facts:
    """What decides about one zone; everything in seconds. ``ds_ttl``: the parent has a DS, so the zone is signed.

    ``longest_ttl``: of any record set, and of answers that there is none (the lower of the SOA's TTL and its minimum);
    ``assumed``: the names of those figures that nobody told.
    """

    zone: str
    longest_ttl: int
    mx_ttl: int
    ns_ttl: int
    parent_ns_ttl: int = PARENT_TTL
    ds_ttl: int | None = None
    certificate_seconds: int = 0
    locked_until: datetime | None = None
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One line of the calendar; ``until`` where it lasts."""

    at: datetime
    what: str
    why: str
    until: datetime | None = None


@dataclass(frozen=True)
class Calendar:
    """The steps of one zone in order of time. ``because``: what decides the earliest ``switch``."""

    zone: str
    switch: datetime
    because: str
    old_until: datetime
    tail_until: datetime
    steps: tuple[Step, ...]
    facts: Facts = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def calendar(facts: Facts, now: datetime, *, low_ttl: int = LOW_TTL, rounds: int = ROUNDS) -> Calendar:
    """Return the calendar of a zone whose TTLs are lowered ``now``.

    ``low_ttl``: what they are lowered to; ``rounds``: how many of it the tail waits for a late arrival.
    """
    if low_ttl < 1 or rounds < 1:
        raise InputError("TTLs are lowered to a second at least, and a tail waits one round at least")

    def after(seconds: int) -> datetime:
        return now + timedelta(seconds=seconds)

    old_gone = after(max(facts.longest_ttl, facts.ns_ttl, facts.mx_ttl))
    ready = [old_gone, after(facts.ds_ttl or 0), after(facts.certificate_seconds), facts.locked_until or now]
    switch = max(ready)
    old_until = switch + timedelta(seconds=max(facts.parent_ns_ttl, min(low_ttl, facts.ns_ttl)))
    quiet = old_until + timedelta(seconds=low_ttl)
    tail_until = old_until + timedelta(seconds=low_ttl * rounds)
    steps = [
        Step(now, f"lower every TTL, and the SOA's minimum, to {low_ttl} s at the old name servers",
             f"caches keep what they have for up to {_span(facts.longest_ttl)}", old_gone),
        Step(switch, "switch: new name servers at the registry", f"not earlier, for the {CAUSES[ready.index(switch)]}"),
        Step(switch, "keep the old name servers answering, with the new addresses",
             f"caches keep the parent's NS for {_span(facts.parent_ns_ttl)}, and nobody can lower that", old_until),
        Step(switch, "tail sync: keep pulling late mail from the old servers",
             f"until {rounds} TTLs passed after the last cache without an arrival", tail_until),
        Step(quiet, "raise the TTLs again", "no cache holds an old answer any more"),
    ]  # fmt: skip
    if facts.ds_ttl is not None:
        why = "a resolver that holds it refuses answers signed by other keys, or by none"
        steps.append(Step(now, "take the DS out of the parent", why, after(facts.ds_ttl)))
        steps.append(Step(quiet, "sign at the new servers and put the new DS into the parent", "the old keys are gone"))
    if facts.certificate_seconds:
        why = "it must be valid on the new server when the first visitor comes"
        steps.append(Step(now, "order the certificate (DNS challenge)", why, after(facts.certificate_seconds)))
    if facts.locked_until and facts.locked_until > now:
        steps.append(Step(now, "registrar lock", "a registrar transfers nothing before its end", facts.locked_until))
    order = sorted(steps, key=lambda step: (step.at, step.until or step.at))
    because = CAUSES[ready.index(switch)]
    return Calendar(facts.zone, switch, because, old_until, tail_until, tuple(order), facts)


def facts_of(stage: Stage, *, certificate_seconds: int = 0, locked_until: datetime | None = None) -> list[Facts]:
    """Return the facts of every zone that is extracted. Raises InputError where there is none.

    What the parent says is assumed; ``asked`` puts in what its servers say.
    """
    if "record_set" not in stage.tables_of("canonical"):
        raise InputError("no zone is extracted yet", remedy="run `migrator extract` and `migrator plan` first")
    rows = stage.rows(
        "SELECT zone, max(ttl) FILTER (type NOT IN ('SOA', 'NS', 'RRSIG')), max(ttl) FILTER (type = 'MX'), "
        "max(ttl) FILTER (type = 'NS' AND name = zone), max(ttl) FILTER (type = 'SOA'), "
        "max(\"values\"[1]) FILTER (type = 'SOA'), bool_or(type = 'DNSKEY') "
        "FROM canonical.record_set GROUP BY zone ORDER BY zone"
    )
    found = []
    for zone, longest, mx, ns, soa_ttl, soa, signed in rows:
        minimum = int(str(soa).split()[-1]) if soa else 0
        negative = min(int(soa_ttl or 0), minimum)  # RFC 2308 5
        assumed = ("parent_ns_ttl", *(("ds_ttl",) if signed else ()))
        found.append(
            Facts(
                str(zone),
                max(int(longest or 0), negative),
                int(mx or 0),
                int(ns or 0),
                ds_ttl=86_400 if signed else None,
                certificate_seconds=certificate_seconds,
                locked_until=locked_until,
                assumed=assumed,
            )
        )
    if not found:
        raise InputError("no zone is among the records", remedy="run `migrator extract` and `migrator plan` first")
    return found


def told(facts: Facts, ns_ttl: int | None, ds_ttl: int | None) -> Facts:
    """Return the facts with what the parent's server says; None where it says that there is no such record."""
    return replace(facts, parent_ns_ttl=PARENT_TTL if ns_ttl is None else ns_ttl, ds_ttl=ds_ttl, assumed=())


def as_text(calendars: Sequence[Calendar]) -> str:
    """Return the calendars for a terminal."""
    lines = []
    for one in calendars:
        lines.append(f"{one.zone}  switch not before {_moment(one.switch)} ({one.because})")
        for step in one.steps:
            until = f" to {_moment(step.until)}" if step.until else ""
            lines.append(f"  {_moment(step.at)}{until}  {step.what}: {step.why}")
        if one.facts.assumed:
            lines.append(f"  assumed, for nobody said so: {', '.join(one.facts.assumed)} (ask with --parent)")
    return "\n".join(lines)


def as_html(calendars: Sequence[Calendar]) -> str:
    """Return a page with a picture of each calendar; it asks nobody for anything."""
    parts = [f"<h2>{escape(one.zone)}</h2>\n{picture(one)}\n<pre>{escape(as_text([one]))}</pre>" for one in calendars]
    style = (
        "body{font:15px system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}pre{white-space:pre-wrap}"
    )
    head = f"<meta charset=utf-8><title>Cut-over</title><style>{style}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body><h1>Cut-over</h1>\n{''.join(parts)}</body></html>\n"


def picture(one: Calendar) -> str:
    """Return the calendar as an SVG: a bar for what lasts, a mark for what is done at once, a line at the switch."""
    begin, end = one.steps[0].at, max(step.until or step.at for step in one.steps)
    whole = max(1.0, (end - begin).total_seconds())

    def x(moment: datetime) -> float:
        return 20 + 860 * (moment - begin).total_seconds() / whole

    rows = []
    for row, step in enumerate(one.steps):
        y = 40 + row * 34
        width = max(4.0, x(step.until or step.at) - x(step.at))
        left = min(x(step.at), 500)
        rows.append(f'<rect x="{x(step.at):.1f}" y="{y}" width="{width:.1f}" height="10" rx="3" fill="#4477aa"/>')
        rows.append(f'<text x="{left:.1f}" y="{y - 4}" font-size="12">{escape(step.what)}</text>')
    height, at = 50 + len(one.steps) * 34, x(one.switch)
    line = f'<line x1="{at:.1f}" x2="{at:.1f}" y1="18" y2="{height - 10}" stroke="#cc3311" stroke-dasharray="4 3"/>'
    label = f'<text x="{min(at, 700):.1f}" y="14" font-size="12" fill="#cc3311">switch {_moment(one.switch)}</text>'
    size = f'viewBox="0 0 900 {height}" width="100%" font-family="sans-serif"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{line}{label}{"".join(rows)}</svg>'


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")


def _span(seconds: int) -> str:
    """Return seconds the way people say them."""
    for size, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g} {word}"
    return f"{seconds} seconds"
