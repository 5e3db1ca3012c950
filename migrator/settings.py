"""What an administrator has set up beside rules, and what becomes of it: a part of the customization report."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.compile import name
from migrator.kinds import Kinds
from migrator.rules.clock import Calendar, zone
from migrator.rules.records import parsed
from migrator.rules.references import bare
from migrator.rules.rule import Holiday
from migrator.stage import Stage

KINDS = {
    "brand": "Brands",
    "email_address": "E-mail addresses",
    "signature": "Signatures",
    "group": "Groups",
    "role": "Roles",
    "status": "Statuses",
    "custom_field": "Fields",
    "ticket_form": "Forms",
    "form_condition": "Fields that depend on others",
    "schedule": "Working hours",
    "holiday": "Days off",
    "dynamic_content": "Texts in several languages",
    "canned_response": "Canned responses",
    "webhook": "Webhooks",
}
MANUAL_MINUTES = 10  # what a person spends on one that is made by hand, roughly (an estimate; the report says so)
FEW = 6  # names that are shown
FATES = {  # action of a plan to (what the report calls it, how it is to be taken)
    "create": ("made", "exact"),
    "update": ("changed", "exact"),
    "merge": ("there already", "exact"),
    "keep": ("there already", "exact"),
    "stand_in": ("stands in", "equivalent"),
    "skip": ("left", "obsolete"),
    "manual": ("by hand", "approximated"),
}


ORDER = ("manual", "create", "update", "merge", "keep", "stand_in", "skip")  # what asks for a person comes first


@dataclass(frozen=True)
class Fate:
    """What a plan does with some records of one kind, for one reason."""

    action: str
    word: str
    badge: str
    reason: str
    count: int
    names: tuple[str, ...]  # the first few


@dataclass(frozen=True)
class Settings:
    """The records of one kind."""

    title: str
    total: int
    fates: tuple[Fate, ...]
    told: tuple[tuple[str, str], ...] = ()  # (what of them is not quite the same, why)

    @property
    def minutes(self) -> int:
        """Return what is left for a person, in minutes."""
        return MANUAL_MINUTES * sum(fate.count for fate in self.fates if fate.action == "manual")


def planned(stage: Stage, kinds: Kinds) -> list[Settings]:
    """Return what the plan does with what is set up, kind by kind; nothing where there is no plan."""
    if "planned" not in stage.tables_of("plan"):
        return []
    here, found = stage.tables_of("canonical"), []
    for kind_name, title in KINDS.items():
        if kind_name not in kinds.kinds or kind_name not in here:
            continue
        kind = kinds.kinds[kind_name]
        called = f"c.{name(kind.label or 'id')}"
        if kind.owner and kind.owner_kind in here and (kind.rule or not kind.label):
            owner = kinds.kinds[kind.owner_kind]
            relation = f"canonical.{name(kind.owner_kind)} o"
            of = f"(SELECT min(o.{name(owner.label or 'id')}) FROM {relation} WHERE o.id = c.{name(kind.owner)})"
            called = f"COALESCE({called}, {of})" if kind.label else of
        rows = stage.rows(
            f"SELECT p.action, p.reason, count(*), list({called} ORDER BY length(c.id), c.id)[:{FEW}] "
            f"FROM canonical.{name(kind_name)} c JOIN plan.planned p ON p.kind = ? AND p.id = c.id "
            "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
            kind_name,
        )
        fates = tuple(
            Fate(action, word, badge, reason or "", count, tuple(str(one or "") for one in names))
            for action, reason, count, names in rows
            for word, badge in (FATES.get(action, (action, "equivalent")),)
        )
        fates = tuple(sorted(fates, key=lambda fate: ORDER.index(fate.action) if fate.action in ORDER else -1))
        if fates:
            told = _told(stage, kind_name) if kind.rule and (kind.owner or not kind.switch) else ()
            found.append(Settings(title, sum(fate.count for fate in fates), fates, told))
    return sorted(found, key=lambda one: not (one.minutes or one.told))  # what asks for a person comes first


def _told(stage: Stage, kind_name: str) -> tuple[tuple[str, str], ...]:
    """Return what of a kind's rules that are written is only nearly the same."""
    rows = stage.rows(
        "SELECT DISTINCT f.what, f.note FROM plan.finding f JOIN plan.planned p ON p.kind = f.kind AND p.id = f.id "
        "WHERE f.kind = ? AND f.verdict = 'approximated' AND p.action IN ('create', 'update') ORDER BY ALL",
        kind_name,
    )
    return tuple((str(what), str(note or "")) for what, note in rows)


def calendars(stage: Stage) -> dict[str, Calendar]:
    """Return the staged working hours by their names, with their days off; those that hold by default first.

    None where these cannot be read: which hold for what names none would be a guess.
    """
    if "schedule" not in stage.tables_of("canonical"):
        return {}
    there = {row[0] for row in stage.rows("SELECT column_name FROM (DESCRIBE canonical.schedule)")}
    first = 'COALESCE("default", FALSE) DESC, ' if "default" in there else ""
    off: dict[str, list[Holiday]] = {}
    if "holiday" in stage.tables_of("canonical"):
        sql = (
            "SELECT schedule, name, CAST(first AS VARCHAR), CAST(last AS VARCHAR) FROM canonical.holiday ORDER BY first"
        )
        for schedule, called, begins, ends in stage.rows(sql):
            off.setdefault(schedule, []).append(Holiday(name=called or "", first=begins, last=ends or begins))
    found: dict[str, Calendar] = {}
    sql = f"SELECT id, name, time_zone, hours FROM canonical.schedule ORDER BY {first}length(id), id"
    for at, (id, called, place, hours) in enumerate(stage.rows(sql)):
        where, read = zone(place or ""), parsed(bare(hours), name=called or "") if hours else None
        if where is not None and read is not None and read.shifts:
            found.setdefault(called or id, Calendar(read.shifts, tuple(off.get(id, ())), where))
        elif at == 0:
            return {}
    return found
