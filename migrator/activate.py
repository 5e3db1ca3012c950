"""Switching on what was written off: rules act only after the move is verified, and a person says so.

What this migration wrote, and acted at the source, is switched on in the order of its kinds, and looked at afterwards.
Each is noted when it is on; a run that was killed goes on from there, and asking twice harms nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from migrator.compile import name, quoted
from migrator.connector import Unit, at_path
from migrator.delivery import Deliverer
from migrator.errors import RefusedError, UnknownOutcomeError
from migrator.kinds import Kinds
from migrator.ledger import Ledger
from migrator.manifest import Manifest
from migrator.mapping import Mapping, Verb
from migrator.rules.verdicts import NEEDED
from migrator.stage import Stage

TRIES = 3  # of a call that was not answered


@dataclass(frozen=True)
class Due:
    """A record to switch on: the kind it is there, our id, its variant, its id there and its name."""

    as_kind: str
    kind: str
    id: str
    variant: str
    there: str
    label: str


@dataclass(frozen=True)
class Activated:
    """What came of it: how many are on now, how many were before, and who refused, with the answer."""

    on: int
    before: int
    refused: list[tuple[Due, str]]


def due(stage: Stage, ledger: Ledger, kinds: Kinds, manifest: Manifest, *, again: bool = False) -> list[Due]:
    """Return what waits to be switched on, in order; ``again``: also what is on already.

    What had no switch at the source (an SLA policy of Zendesk's) acted there, unless its switch ``rests``.
    """
    stage.table("plan.written", "kind VARCHAR, id VARCHAR, there VARCHAR")
    stage.insert(
        "plan.written", [[k, id, there] for k, id, there, _, how, _ in ledger.identities() if how == "created"]
    )
    done = set() if again else set(ledger.activated())
    found: list[Due] = []
    for kind_name in kinds.in_order():
        kind = kinds.kinds[kind_name]
        able = [write for write in manifest.writes if write.kind == kind_name and write.activate]
        if not kind.switch or not able or kind_name not in stage.tables_of("canonical"):
            continue
        acts = str(not kind.fields[kind.switch].rests).upper()  # where nothing is said
        variants = ", ".join(quoted(write.variant) for write in able if write.variant)
        ours = f"AND p.variant IN ({variants}) " if variants else ""
        order = next((f"c.{name(label)}" for label, spec in kind.fields.items() if spec.sequence), "length(c.id)")
        label = name(kind.label or "id")
        rows = stage.rows(
            f"SELECT p.as_kind, p.kind, p.id, p.variant, w.there, COALESCE(c.{label}, p.id) FROM plan.planned p "
            "JOIN plan.written w ON w.kind = p.kind AND w.id = p.id "
            f"LEFT JOIN canonical.{name(kind_name)} c ON c.id = split_part(p.id, '~', 1) "  # parts of a rule: ~2, ~3
            f"WHERE p.as_kind = {quoted(kind_name)} AND p.action IN ('create', 'keep', 'update') "
            f"AND (c.id IS NOT NULL OR starts_with(p.id, {quoted(NEEDED)})) "  # what rules need acts before them
            f"AND COALESCE(c.{name(kind.switch)}, {acts}) {ours}ORDER BY {order} NULLS FIRST, length(p.id), p.id"
        )
        found += [
            Due(as_kind, of, id, variant, there, str(label or ""))
            for as_kind, of, id, variant, there, label in rows
            if (of, id) not in done
        ]
    return found


@dataclass
class Activator:
    """Switches on what is due."""

    destination: Deliverer
    ledger: Ledger
    kinds: Kinds
    mapping: Mapping
    plan: str
    now: Callable[[], str]
    progress: Callable[[str, int, int], None] = lambda kind, done, total: None

    def run(self, records: list[Due]) -> Activated:
        """Switch on the records; a refusal is reported and the rest goes on."""
        refused: list[tuple[Due, str]] = []
        for at, record in enumerate(records, 1):
            try:
                self._one(record)
            except RefusedError as err:
                refused.append((record, str(err)))
            self.progress(record.as_kind, at, len(records))
        return Activated(len(records) - len(refused), len(self.ledger.activated()), refused)

    def _one(self, record: Due) -> None:
        switch = self.kinds.kinds[record.as_kind].switch or ""
        unit = Unit(record.as_kind, record.id, record.variant, {}, {}, "", {}, action="update", there=record.there)
        verb = self.mapping.variant(record.as_kind, record.variant).fields[switch]
        for attempt in range(1, TRIES + 1):
            try:
                self.destination.activate(unit, switch)
                break
            except UnknownOutcomeError:
                if attempt == TRIES:
                    raise
        held = self.destination.look(unit)
        if held is None or str(at_path(held, verb.path or switch)) != str(on(verb)):
            raise RefusedError(f"{record.as_kind} {record.there}: it is still switched off, though nothing was refused")
        self.ledger.activate(record.kind, record.id, self.plan, self.now())


def on(verb: Verb) -> object:
    """Return the vendor's word for a record that is on."""
    return verb.back().get("true", True) if verb.values is not None else True


def off(verb: Verb) -> object:
    """Return the vendor's word for a record that is off."""
    return verb.back().get("false", False) if verb.values is not None else False
