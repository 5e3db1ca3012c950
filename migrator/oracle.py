"""What the source's vendor itself says of its rules' conditions, held against our reading of them. Changes nothing.

Our model of a rule was written from documents; the account's own answer is better than any document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from migrator.compile import name
from migrator.customizations import tickets
from migrator.http import Client
from migrator.mapping import Spoken
from migrator.registry import Connector, dialect, dialects
from migrator.rules.conditions import Actor, All, Changed, Condition, Days, Elapsed, Event, Is, Leaf, Ref, leaves
from migrator.rules.records import labelled, parsed, read
from migrator.rules.references import bare
from migrator.rules.replay import History, Side, Update, run
from migrator.rules.rule import Comment, Rule, SetField
from migrator.rules.sql import matching
from migrator.rules.words import leaf_words
from migrator.stage import Stage
from migrator.translate import option_labels, spoken

KINDS = ("view", "trigger", "automation")
VALUES = ("status", "priority", "type", "group", "assignee")  # of a staged ticket, that a macro may set
FEW = 5  # tickets that are named
Taken = Callable[[Client, dict[str, Any]], set[str] | str]


@dataclass(frozen=True)
class Asked:
    """What came of a rule. ``missed``: tickets only the vendor takes; ``extra``: only we; ``why`` it was not asked.
    ``left``: conditions that only an event answers, which were left out on both sides.

    Of a macro ``missed`` are the values that a ticket gets otherwise by the vendor's word.
    """

    kind: str
    name: str
    both: int = 0
    missed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    why: str = ""
    left: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Say whether the vendor takes the tickets that we say it takes."""
        return not (self.missed or self.extra)


def asked(
    stage: Stage, source: Connector, client: Client, *, progress: Callable[[str, int, int], None] = lambda *_: None
) -> list[Asked] | None:
    """Ask the vendor about each staged rule. None where it has no such question.

    Tickets that came after the extract are in no stage and do not count; those that changed since it may differ.
    """
    found: list[Asked] = []
    rules = [(kind, native, rule, way) for kind in KINDS for native, rule, way in _staged(stage, source, kind)]
    for at, (kind, native, rule, way) in enumerate(rules, 1):
        taken: Taken | None = getattr(dialect(way.dialect), "taken", None)
        if taken is None:
            return None
        if getattr(dialect(way.dialect), "SET_OFF_APART", False):
            rule = rule.model_copy(update={"when": standing(rule.when)})
        native, rule, left = _standing(stage, way, native, rule)
        found.append(replace(_one(stage, client, kind, native, rule, taken), left=left))
        progress(kind, at, len(rules))
    macros = [one for one in _staged(stage, source, "macro") if hasattr(dialect(one[2].dialect), "applied")]
    found += [_macro(stage, client, native, rule, way.dialect) for native, rule, way in macros]
    return found if found else None


def _standing(
    stage: Stage, way: Spoken, native: dict[str, Any], rule: Rule
) -> tuple[dict[str, Any], Rule, tuple[str, ...]]:
    """Return a rule without the conditions that only an event answers, where its dialect can tell them apart."""
    part = getattr(dialect(way.dialect), "standing", None)
    native, left = part(native) if part else (native, ())
    if not left:
        return native, rule, ()
    text = read(way.dialect, way.kind, json.dumps(native))
    return native, parsed(bare(labelled(text, option_labels(stage))), name=rule.name), tuple(left)


def _staged(stage: Stage, source: Connector, kind_name: str) -> list[tuple[dict[str, Any], Rule, Spoken]]:
    """Return a kind's rules: as the vendor has them, in our words, and whose words they were."""
    way = spoken(source.mapping, kind_name)
    variants = source.mapping.kinds.get(kind_name, ())
    if way is None or kind_name not in stage.tables_of("canonical"):
        return []
    kind = source.kinds.kinds[kind_name]
    made, labels = [], option_labels(stage)
    ids = {(one.stream, one.id.removesuffix("{id}") if one.id.endswith("{id}") else "") for one in variants}
    for stream, prefix in sorted(ids):
        if stream not in stage.tables_of("raw"):
            continue
        rows = stage.rows(
            f"SELECT CAST(r.body AS VARCHAR), c.{name(kind.label or 'id')}, c.{name(kind.rule or 'rule')} "
            f"FROM raw.{name(stream)} r JOIN canonical.{name(kind_name)} c ON c.id = ? || r.id "
            f"WHERE c.{name(kind.rule or 'rule')} IS NOT NULL ORDER BY length(c.id), c.id",
            prefix,
        )
        made += [
            (json.loads(body), parsed(bare(labelled(text, labels)), name=label or ""), way)
            for body, label, text in rows
        ]
    return made


def standing(when: Condition) -> Condition:
    """Return what a rule asks of a ticket as it stands, without the events that set the rule off."""
    parts = when.of if isinstance(when, All) else (when,)
    return All(of=tuple(one for one in parts if not leaves(one) or not all(map(_event, leaves(one)))))


def _event(leaf: Leaf) -> bool:
    return isinstance(leaf, Event | Changed)


def _untold(stage: Stage, when: Condition) -> Leaf | None:
    """Return a condition on a field or a status that no staged record is known by; None where there is none."""
    there = "custom_field" in stage.tables_of("canonical")
    rows = stage.rows("SELECT key FROM canonical.custom_field WHERE applies_to = 'ticket'") if there else []
    fields = {key for (key,) in rows}
    for leaf in leaves(when):
        at = getattr(leaf, "path", None)
        if at is not None and at.of == "ticket" and at.custom and at.custom not in fields:
            return leaf
        own = [one for one in leaf.values if isinstance(one, Ref)] if isinstance(leaf, Is) else []
        if str(at) == "ticket.status" and own:
            return leaf
    return None


def _one(stage: Stage, client: Client, kind: str, native: dict[str, Any], rule: Rule, taken: Taken) -> Asked:
    label = rule.name or "(no name)"
    timed = [leaf for leaf in leaves(rule.when) if isinstance(leaf, Elapsed)]
    if timed:
        return Asked(kind, label, why=f"it asks for a time, which goes on: {leaf_words(timed[0])}")
    given, columns = tickets(stage, [rule.when])
    question = matching("ticket", rule.when, columns)
    unseen = question.unseen[0][0] if question.unseen[0] else _untold(stage, rule.when)
    if unseen is not None:
        return Asked(kind, label, why=f"the staged tickets do not tell: {leaf_words(unseen)}")
    if other := _otherwise(stage, rule):
        return Asked(kind, label, why=f"tickets are staged with other words than the rule's: {other}")
    theirs = taken(client, native)
    if isinstance(theirs, str):
        return Asked(kind, label, why=theirs)
    rows = stage.rows(given + question.sql, *question.values)
    ours, known = {str(id) for id, holds in rows if holds}, {str(id) for id, _ in rows}
    missed, extra = theirs & known - ours, ours - theirs
    return Asked(kind, label, len(ours & theirs), _few(missed), _few(extra))


def _otherwise(stage: Stage, rule: Rule) -> str:
    """Return a condition on a custom field whose values stand in the stage in another form; empty where none does."""
    if "custom_field" not in stage.tables_of("canonical"):
        return ""
    types = dict(stage.rows("SELECT key, type FROM canonical.custom_field WHERE applies_to = 'ticket'"))
    for leaf in leaves(rule.when):
        at = getattr(leaf, "path", None)
        if at is not None and types.get(at.custom) in ("checkbox", "multiselect"):
            return leaf_words(leaf)
    return ""


def _macro(stage: Stage, client: Client, native: dict[str, Any], rule: Rule, way: str) -> Asked:
    """Hold what a macro would make of one ticket by the vendor's word against what it makes of it by our reading."""
    label, of = rule.name or "(no name)", dialect(way)
    there = {row[0] for row in stage.rows("SELECT column_name FROM (DESCRIBE canonical.ticket)")}
    some = [one for one in VALUES if one in there]
    live = "status NOT IN ('closed', 'solved') AND NOT COALESCE(deleted, FALSE)"
    shown = ", ".join(map(name, some))
    rows = stage.rows(f"SELECT id, tags, {shown} FROM canonical.ticket WHERE {live} ORDER BY length(id), id LIMIT 1")
    if not rows:
        return Asked("macro", label, why="no open ticket is staged on which it could be shown")
    ticket, tags, *held = rows[0]
    theirs = of.applied(client, native, str(ticket))  # type: ignore[attr-defined]
    if isinstance(theirs, str):
        return Asked("macro", label, why=theirs)
    values = {f"ticket.{one}": value for one, value in zip(some, held, strict=True)}
    played = History(str(ticket), (Update(None),), values, frozenset(tags or ()), from_start=False)
    made = run(Side((rule,), of.POLICY, ("",)), played)
    said = [str(one.public).lower() for one in rule.do if isinstance(one, Comment)]
    ours = {**made.values, "tags": " ".join(sorted(made.tags)), "comment.public": said[0] if said else None}
    # Who applies it is known to the vendor only.
    theirs = {key: value for key, value in theirs.items() if key in ours and key not in _of_the_moment(rule)}
    differ = tuple(f"{key} is {value or 'none'}" for key, value in theirs.items() if value != ours[key])
    return Asked("macro", label, 0 if differ else 1, differ)


def _of_the_moment(rule: Rule) -> set[str]:
    return {str(one.path) for one in rule.do if isinstance(one, SetField) and isinstance(one.value, Actor | Days)}


def _few(ids: set[str]) -> tuple[str, ...]:
    return tuple(sorted(ids, key=lambda id: (len(id), id)))


def summary(found: Sequence[Asked]) -> str:
    """Return the one line that says it all."""
    said = [one for one in found if not one.why]
    differ = sum(not one.agrees for one in said)
    part = sum(bool(one.left) for one in said)
    more = f"; of {part} only what does not depend on an event" if part else ""
    whole = f"{len(said)} of {len(found)} rules were asked"
    return f"{whole}; {len(said) - differ} are as we read them, {differ} are not{more}"


def able() -> list[str]:
    """Return the vendors that can be asked."""
    return [dialect(vendor).TITLE for vendor in dialects() if hasattr(dialect(vendor), "taken")]
