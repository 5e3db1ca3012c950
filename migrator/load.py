"""The second long run: carries out exactly one approved plan. Decides nothing; a crash anywhere leaves nothing doubled.

Units of one lane (a ticket, then its notes) go in order; lanes go side by side. Before its call a unit is noted as
``sent``, after it as ``done``; whatever is still ``sent`` when a load begins is looked up before anything else is
written.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from migrator.connector import Child, Destination, Unit, Written, at_path
from migrator.errors import (
    AccessError,
    MigratorError,
    PlanError,
    RefusedError,
    RetryError,
    UnknownOutcomeError,
    WorkspaceError,
)
from migrator.kinds import Kinds
from migrator.ledger import Identity, Ledger
from migrator.manifest import Manifest
from migrator.mapping import Mapping, Verb
from migrator.plan import digest
from migrator.project import Workspace
from migrator.stage import Stage

log = logging.getLogger(__name__)

TRIES = 3  # times a unit that turns out not to have been carried out is sent again within one run
Progress = Callable[[str, int, int], None]  # (kind, units done, units in all)


@dataclass(frozen=True)
class Loaded:
    """What a load did: units written, put aside, and settled after an earlier crash; what was there already."""

    written: int
    quarantined: int
    settled: int
    before: int

    @property
    def finished(self) -> bool:
        """Tell whether every unit of the plan is written."""
        return self.quarantined == 0


@dataclass(frozen=True)
class _Row:
    kind: str
    id: str
    as_kind: str
    variant: str
    unit: str
    lane: str
    owner: str | None
    blob: str | None
    payload: dict[str, Any]


@dataclass
class Loader:
    """Carries a plan out. ``now`` and ``sleep`` are arguments, so that tests never wait."""

    stage: Stage
    ledger: Ledger
    workspace: Workspace
    kinds: Kinds
    manifest: Manifest
    mapping: Mapping
    destination: Destination
    source: str
    workers: int = 4
    progress: Progress = lambda kind, done, total: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = lambda seconds: None
    _stop: threading.Event = field(default_factory=threading.Event)

    def load(self, named: str, files: dict[str, str]) -> Loaded:
        """Load the plan with the digest ``named`` (12 characters or more are enough).

        Raises PlanError if another plan lies in the workspace; AccessError or VendorError end a run that can go on.
        """
        actual = digest(self.stage, self.kinds, files)
        if len(named) < 12 or not actual.startswith(named):
            raise PlanError(
                f"the plan in the workspace is {actual[:12]}, not {named[:12] or 'named'}; read its report, then "
                f"`migrator load --plan {actual[:12]}`"
            )
        self.plan = actual
        self._keys: dict[str, str] = {}
        self._know_kept()
        before = sum(state == "done" for state in self.ledger.states(actual).values())
        settled = self._settle_all()
        written = quarantined = 0
        for kind_name in [k for k in self.kinds.in_order() if self.kinds.root(k) == k]:
            done, aside = self._phase(kind_name)
            written, quarantined = written + done, quarantined + aside
            self._know_merged()
        aside = len(self.ledger.quarantined(actual))
        return Loaded(written, aside, settled, before)

    def settle(self, digest_: str) -> int:
        """Look up what an earlier load of the plan in the stage left in doubt, before that plan is replaced."""
        self.plan, self._keys = digest_, {}
        return self._settle_all()

    def stop(self) -> None:
        """Let units under way finish and begin no other."""
        self._stop.set()

    # ---- what is known ----------------------------------------------------------------------------------------------

    def _know_kept(self) -> None:
        rows = self.stage.rows(
            "SELECT kind, id, as_kind, target FROM plan.planned WHERE action = 'keep' AND target IS NOT NULL"
        )
        keyed = {spec.keyed_by for kind in self.kinds.kinds.values() for spec in kind.fields.values() if spec.keyed_by}
        known = []
        for kind_name, id, as_kind, target in rows:
            key = None
            if as_kind in keyed:
                key = self.stage.one(f'SELECT key FROM found."{as_kind}" WHERE id = ?', target)
            known.append(Identity(kind_name, id, target, key, "kept", as_kind))
        self.ledger.know(known)

    def _know_merged(self) -> None:
        known = []
        for kind_name, id, target in self.stage.rows(
            "SELECT p.kind, p.id, p.target FROM plan.planned p WHERE p.action = 'merge' AND p.target IS NOT NULL"
        ):
            there = next((i for k in self._as(kind_name) if (i := self.ledger.find(k, target))), None)
            if there and not self.ledger.find(kind_name, id):
                known.append(Identity(kind_name, id, there.destination, there.key, "merged", there.as_kind))
        self.ledger.know(known)

    def _as(self, kind_name: str) -> list[str]:
        """Return the kinds whose records may be written as ``kind_name``: itself, and those that stand in as it."""
        return [kind_name, *(other for other, kind in self.kinds.kinds.items() if kind.stands_in == kind_name)]

    # ---- carrying out -----------------------------------------------------------------------------------------------

    def _phase(self, root: str) -> tuple[int, int]:
        """Carry out every lane that begins with a record of the kind ``root``."""
        members = [k for k in self.kinds.in_order() if self.kinds.root(k) == root]
        states = self.ledger.states(self.plan)
        marks = ", ".join("?" for _ in members)
        total = self.stage.one(
            f"SELECT count(DISTINCT unit) FROM plan.planned WHERE action = 'create' AND as_kind IN ({marks})", *members
        )
        if not total:
            return 0, 0
        done = quarantined = 0
        counted = sum(1 for unit, state in states.items() if state == "done" and unit.split(":")[0] in members)
        self.progress(root, counted, int(total))
        with ThreadPoolExecutor(self.workers) as pool:
            under_way: set[Future[tuple[int, int]]] = set()
            try:
                for lane in self._lanes(members):
                    open_units = [rows for rows in lane if states.get(rows[0].unit) not in ("done", "quarantined")]
                    if not open_units or self._stop.is_set():
                        continue
                    under_way.add(pool.submit(self._lane, open_units))
                    while len(under_way) >= self.workers * 4:
                        finished, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                        done, quarantined = self._count(finished, done, quarantined, root, counted, int(total))
                while under_way:
                    finished, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    done, quarantined = self._count(finished, done, quarantined, root, counted, int(total))
            except BaseException:
                self._stop.set()
                for future in under_way:
                    future.cancel()
                raise
        if self._stop.is_set():
            raise MigratorError("stopped before the end; `migrator load` with the same plan goes on from here")
        return done, quarantined

    def _count(
        self, finished: set[Future[tuple[int, int]]], done: int, quarantined: int, root: str, counted: int, total: int
    ) -> tuple[int, int]:
        for future in finished:
            some, aside = future.result()
            done, quarantined = done + some, quarantined + aside
        self.progress(root, counted + done + quarantined, total)
        return done, quarantined

    def _lanes(self, members: list[str]) -> Iterator[list[list[_Row]]]:
        """Yield lanes: lists of units in order, each unit a list of rows, its own record first."""
        marks = ", ".join("?" for _ in members)
        rows = (
            _Row(*(*columns, json.loads(payload)))
            for *columns, payload in self.stage.stream(
                "SELECT kind, id, as_kind, variant, unit, lane, owner, blob, CAST(payload AS VARCHAR) FROM (SELECT *, "
                "min(place) OVER (PARTITION BY unit) AS first FROM plan.planned WHERE action = 'create' AND "
                f"as_kind IN ({marks})) ORDER BY lane, first, unit, place, length(id), id",
                *members,
            )
        )
        for _, lane in groupby(rows, key=lambda row: row.lane):
            yield [list(unit) for _, unit in groupby(lane, key=lambda row: row.unit)]

    def _lane(self, units: list[list[_Row]]) -> tuple[int, int]:
        done = quarantined = 0
        for rows in units:
            if self._stop.is_set():
                break
            if self._unit(rows):
                done += 1
            else:
                quarantined += 1
        return done, quarantined

    def _unit(self, rows: list[_Row]) -> bool:
        """Carry out one unit; False where it was put aside. Raises what ends the run."""
        main = rows[0]
        try:
            unit = self._built(rows)
        except RefusedError as err:
            self.ledger.quarantine(self.plan, main.unit, main.kind, self._at(), str(err), main.payload)
            return False
        for attempt in range(1, TRIES + 1):
            unit = replace(unit, sent_at=self._at())
            self.ledger.sent(self.plan, main.unit, main.kind, unit.sent_at, _shown(unit))
            try:
                written = self.destination.create(unit)
            except RefusedError as err:
                answer = f"{err} {err.answer}".strip()
                self.ledger.quarantine(self.plan, main.unit, main.kind, self._at(), answer, _shown(unit))
                log.warning("quarantined", extra={"unit": main.unit, "status": err.status})
                return False
            except UnknownOutcomeError as err:
                found = self._look_up(unit)
                if found is None:
                    self.ledger.unsent(self.plan, main.unit)
                    if attempt == TRIES:
                        raise UnknownOutcomeError(
                            f"{main.unit}: {err}; sent {TRIES} times and never carried out"
                        ) from err
                    continue
                written = found
            except (RetryError, AccessError):
                self.ledger.unsent(self.plan, main.unit)
                raise
            self._done(rows, written)
            return True
        raise AssertionError("unreachable")

    def _done(self, rows: list[_Row], written: Written) -> None:
        main = rows[0]
        identities = [Identity(main.kind, main.id, written.id, written.key, as_kind=main.as_kind)]
        identities += [Identity(kind, id, destination) for (kind, id), destination in written.children.items()]
        self.ledger.done(self.plan, main.unit, self._at(), identities)

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def _settle_all(self) -> int:
        """Look up every unit an earlier run left in doubt."""
        doubtful = {unit: sent_at for unit, sent_at, _ in self.ledger.in_doubt(self.plan)}
        if not doubtful:
            return 0
        settled = 0
        for rows in self._units(list(doubtful)):
            unit = replace(self._built(rows), sent_at=doubtful[rows[0].unit])
            written = self._look_up(unit)
            if written is None:
                self.ledger.unsent(self.plan, rows[0].unit)
            else:
                self._done(rows, written)
            settled += 1
        return settled

    def _units(self, names: list[str]) -> Iterator[list[_Row]]:
        for unit in names:
            rows = self.stage.rows(
                "SELECT kind, id, as_kind, variant, unit, lane, owner, blob, CAST(payload AS VARCHAR) "
                "FROM plan.planned "
                "WHERE action = 'create' AND unit = ? ORDER BY place, length(id), id",
                unit,
            )
            if rows:
                yield [_Row(*(*columns, json.loads(payload))) for *columns, payload in rows]

    def _look_up(self, unit: Unit) -> Written | None:
        """Find what a call in doubt made, waiting out a list that shows new records late."""
        write = self.manifest.write(unit.kind, unit.variant)
        lag = write.find.lag_seconds if write and write.find else 0
        known = {id for kind in self._as(unit.kind) for id in self.ledger.known_ids(kind)}
        found = self.destination.find(unit, known)
        if found is None and lag:
            self.sleep(lag)
            found = self.destination.find(unit, known)
        return found

    # ---- building ---------------------------------------------------------------------------------------------------

    def _built(self, rows: list[_Row]) -> Unit:
        """Return the unit with every reference resolved. Raises RefusedError where one was not written."""
        main = rows[0]
        write = self.manifest.write(main.as_kind, main.variant)
        path = write.create.path if write and write.create else ""
        refs: dict[str, str] = {}
        payload = self._resolved(main, refs, within=path)
        children = []
        for row in rows[1:]:
            blob = self.workspace.blob(row.blob) if row.blob else None
            if blob and not blob.is_file():
                raise WorkspaceError(
                    f"the bytes {row.blob} of {row.kind} {row.id} are not in the workspace; extract again"
                )
            children.append(Child(row.kind, row.id, row.variant, self._resolved(row, {}, inside=main), blob))
        key = f"{self.source}:{main.as_kind}:{main.id}"
        return Unit(main.as_kind, main.id, main.variant, payload, refs, key, self._own_keys(), tuple(children))

    def _own_keys(self) -> dict[str, str]:
        if not self._keys:
            for own in self.manifest.setup:
                found = self.ledger.find(own.kind, own.id)
                if found:
                    self._keys[own.id] = found.key or found.destination
        return self._keys

    def _resolved(
        self, row: _Row, refs: dict[str, str], *, within: str = "", inside: _Row | None = None
    ) -> dict[str, Any]:
        kind = self.kinds.kinds[row.as_kind]
        variant = next(v for v in self.mapping.kinds[row.as_kind] if v.name == row.variant)
        payload = json.loads(json.dumps(row.payload))
        if not variant.id.startswith(("@", "^")) and "{" not in variant.id:
            _take(payload, variant.id)
        for label, spec in kind.fields.items():
            verb = variant.fields.get(label)
            if verb is None:
                continue
            if spec.to and label == kind.owner and row.owner and inside is None:
                refs[label] = self._destination(spec.to, row.owner, row, label)
            if verb.keyed:
                self._rekey(payload, verb)
            elif spec.to and verb.path and not verb.path.startswith("^"):
                key = label if verb.path == "@value" else verb.path
                if f"{{{label}}}" in within:
                    _take(payload, key)
                    continue
                held = at_path(payload, key)
                if isinstance(held, list):
                    _put(payload, key, [_number(self._destination(spec.to, str(one), row, label)) for one in held])
                elif held is not None and not verb.path.startswith("@parent"):
                    there = self._destination(spec.to, str(held), row, label)
                    refs[label] = there
                    _put(payload, key, _number(there))
        return payload  # type: ignore[no-any-return]

    def _destination(self, kinds: tuple[str, ...], source: str, row: _Row, label: str) -> str:
        for kind_name in dict.fromkeys(k for to in kinds for k in self._as(to)):
            found = self.ledger.find(kind_name, source)
            if found:
                return found.destination
        raise RefusedError(
            f"{row.kind} {row.id}: its {label} ({source}) was not written; see the quarantine, then retry"
        )

    def _rekey(self, payload: dict[str, Any], verb: Verb) -> None:
        """Name custom values the way the destination does."""
        held = at_path(payload, verb.path or "")
        keyed = verb.keyed
        assert keyed is not None
        if isinstance(held, dict):
            named = {}
            for source, value in held.items():
                there = self.ledger.find("custom_field", source)
                if there:
                    named[there.key or there.destination if keyed.by == "key" else there.destination] = value
            _put(payload, verb.path or "", named)
        elif isinstance(held, list):
            listed = []
            for one in held:
                there = self.ledger.find("custom_field", str(one["id"]))
                if there:
                    listed.append({"id": _number(there.destination), "value": one["value"]})
            _put(payload, verb.path or "", listed)

    def _at(self) -> str:
        return self.now().isoformat()


def _shown(unit: Unit) -> dict[str, Any]:
    """Return what a person sees of a unit in the quarantine."""
    return {"payload": unit.payload, "with": [{"kind": c.kind, "id": c.id, **c.payload} for c in unit.children]}


def _number(id: str) -> int | str:
    return int(id) if id.isdecimal() and (id == "0" or not id.startswith("0")) else id


def _put(payload: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    node = payload
    for step in way:
        node = node[step]
    node[last] = value


def _take(payload: dict[str, Any], path: str) -> None:
    above, _, last = path.rpartition(".")
    node = at_path(payload, above) if above else payload
    if isinstance(node, dict):
        node.pop(last, None)
