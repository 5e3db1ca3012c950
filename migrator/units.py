"""The plan's rows made into units: what belongs to one call gathered, and every reference resolved to its new name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from migrator.connector import AS_IS, Child, Unit, at_path
from migrator.decide import LEVEL, MOST_LEVELS, WRITES
from migrator.errors import RefusedError, WorkspaceError
from migrator.kinds import Field, Kinds
from migrator.ledger import Ledger
from migrator.manifest import Manifest
from migrator.mapping import Mapping, Verb, written_secrets
from migrator.rules.dialect import find
from migrator.rules.references import in_place
from migrator.stage import Stage
from migrator.translate import field_ids, there
from migrator.workspace import Workspace

MOST_NAMED = 50_000  # ids kept in memory: the ledger knows the others
COLUMNS = "kind, id, as_kind, variant, action, target, unit, lane, owner, blob, stamp, CAST(payload AS VARCHAR)"


class Row(NamedTuple):
    """One record of the plan that is written. A tuple: it is made of a row of the stage as it comes."""

    kind: str
    id: str
    as_kind: str
    variant: str
    action: str
    target: str | None
    unit: str
    lane: str
    owner: str | None
    blob: str | None
    stamp: str | None
    text: str | None

    @property
    def payload(self) -> dict[str, Any]:
        """Return the payload as planned, anew each time."""
        return json.loads(self.text) if self.text else {}


@dataclass(frozen=True)
class _Recipe:
    """How units of one kind, variant and action are built, worked out once: declarations are read, not the record.

    ``path``: of the call. ``own_id``: where a payload holds our id. ``owner``: the field that names the owner, and the
    kinds that it may be of. ``verbs``: the fields in which something is resolved.
    """

    path: str
    own_id: str
    owner: tuple[str, tuple[str, ...]] | None
    verbs: tuple[tuple[str, Field, Verb], ...]
    versioned: bool


@dataclass
class Builder:
    """Builds the units of one plan. ``source``: the vendor the records come from, which begins migrator's own keys."""

    stage: Stage
    ledger: Ledger
    workspace: Workspace
    kinds: Kinds
    manifest: Manifest
    mapping: Mapping
    source: str
    planned: str = "plan.planned"  # or where a plan's rows were set apart
    _keys: dict[str, str] = field(default_factory=dict)
    _secret: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # paths of secrets, by kind and variant
    _fields: dict[str, str] = field(default_factory=dict)  # custom fields as rules name them, to their records
    _recipes: dict[tuple[str, str, str], _Recipe] = field(default_factory=dict)
    _named: dict[tuple[tuple[str, ...], str], str] = field(default_factory=dict)  # ids there, of what is referred to

    def levels(self, root: str, actions: Sequence[str]) -> list[int]:
        """Return the levels that the records of a kind are written in, each after those that they name."""
        wanted = ", ".join("?" for _ in actions)
        rows = self.stage.rows(
            f"SELECT DISTINCT place // {LEVEL} % {MOST_LEVELS} FROM {self.planned} "
            f"WHERE action IN ({wanted}) AND as_kind = ?",
            *actions,
            root,
        )
        return sorted({0, *(int(level) for (level,) in rows)})

    def lanes(
        self, members: Sequence[str], actions: Sequence[str], level: int | None = None
    ) -> Iterator[list[list[Row]]]:
        """Yield lanes: lists of units in order, each unit a list of rows, its own record first.

        ``level``: only the lanes that begin with a record of that level.
        """
        marks, wanted = ", ".join("?" for _ in members), ", ".join("?" for _ in actions)
        low = "" if level is None else ", min(place) OVER (PARTITION BY lane) AS low"
        at = "" if level is None else f"WHERE low // {LEVEL} % {MOST_LEVELS} = {level} "
        self._know_fields(members)
        rows = self._rows(
            self.stage.stream(
                f"SELECT {COLUMNS} FROM (SELECT *, min(place) OVER (PARTITION BY unit) AS first{low} "
                f"FROM {self.planned} WHERE action IN ({wanted}) AND as_kind IN ({marks})) {at}"
                "ORDER BY lane, first, length(unit), unit, place, length(id), id",
                *actions,
                *members,
            )
        )
        for _, lane in groupby(rows, key=lambda row: row.lane):
            yield [list(unit) for _, unit in groupby(lane, key=lambda row: row.unit)]

    def units(self, names: Sequence[str]) -> Iterator[list[Row]]:
        """Yield the rows of units by their names, in that order. Workers may ask side by side."""
        self._know_fields(self.kinds.kinds)
        rows = self._rows(
            self.stage.stream(
                f"SELECT {COLUMNS} FROM {self.planned} WHERE action IN {WRITES} AND unit IN (SELECT unnest(?)) "
                "ORDER BY unit, place, length(id), id",
                list(names),
            )
        )
        found = {unit: list(some) for unit, some in groupby(rows, key=lambda row: row.unit)}
        yield from (found[unit] for unit in names if unit in found)

    def _know_fields(self, members: Iterable[str]) -> None:
        if not self._fields and any(self.kinds.kinds[kind].rule for kind in members):
            self._fields = field_ids(self.stage)

    @staticmethod
    def _rows(rows: Any) -> Iterator[Row]:
        return map(Row._make, rows)

    def _recipe(self, row: Row) -> _Recipe:
        key = row.as_kind, row.variant, row.action
        if found := self._recipes.get(key):
            return found
        kind, variant = self.kinds.kinds[row.as_kind], self.mapping.variant(row.as_kind, row.variant)
        write = self.manifest.write(row.as_kind, row.variant)
        call = getattr(write, row.action) if write else None
        verbs = []
        for label, spec in kind.fields.items():
            verb = variant.fields.get(label)
            named = verb is not None and spec.to and verb.path and not verb.path.startswith("^")
            if verb is not None and (verb.keyed or verb.rule or named):
                verbs.append((label, spec, verb))
        return self._recipes.setdefault(
            key,
            _Recipe(
                path=call.path if call else "",
                own_id="" if variant.id.startswith(("@", "^")) or "{" in variant.id else variant.id,
                owner=(kind.owner, kind.fields[kind.owner].to) if kind.owner in variant.fields else None,
                verbs=tuple(verbs),
                versioned=any(spec.versioned for spec in kind.fields.values()),
            ),
        )

    def build(self, rows: Sequence[Row], sent_at: str = "", mark: str = "", *, sealed: bool = False) -> Unit:
        """Return the unit with every reference resolved and, unless it is for people, every secret opened.

        Raises RefusedError where a reference was not written; AccessError, WorkspaceError where no key opens a secret.
        """
        unit = self._built(rows, sent_at, mark)
        if not sealed:
            for row, payload in zip(rows, (unit.payload, *(child.payload for child in unit.children)), strict=False):
                if paths := self.secret_paths(row):
                    self.workspace.vault.opened_in(payload, paths)
        return unit

    def secret_paths(self, row: Row) -> list[str]:
        """Return the paths of the secrets in what is written of a record."""
        of = row.as_kind, row.variant
        if of not in self._secret:
            kind, variants = self.kinds.kinds[row.as_kind], self.mapping.kinds.get(row.as_kind, ())
            self._secret[of] = next((written_secrets(kind, v) for v in variants if v.name == row.variant), [])
        return self._secret[of]

    def secrets(self, rows: Iterable[Row]) -> list[str]:
        """Return the secrets of these records as they are, to be taken out of what is kept or shown."""
        found: list[str] = []
        for row in rows:
            if paths := self.secret_paths(row):
                payload = row.payload
                found += self.workspace.vault.opened_in(payload.get(AS_IS, payload), paths)
        return found

    def _built(self, rows: Sequence[Row], sent_at: str, mark: str) -> Unit:
        main = rows[0]
        recipe = self._recipe(main)
        refs: dict[str, str] = {}
        payload = self._resolved(main, refs, within=recipe.path)
        inside = {(row.kind, row.id) for row in rows[1:]}  # numbers of two kinds may be the same
        children = []
        for row in rows[1:] if main.action == "create" else ():
            blob = self._bytes(row)
            own = self.kinds.kinds[row.as_kind].owner
            above = self.kinds.kinds[row.as_kind].fields[own].to if own else ()
            owner = row.owner if any((kind, row.owner) in inside for kind in above) else None
            payload_of = self._resolved(row, {}, inside=main)
            children.append(Child(row.kind, row.id, row.variant, payload_of, blob, owner))
        key = f"{self.source}:{main.as_kind}:{main.id}"
        there = self._there(main) if main.action != "create" else ""
        return Unit(
            main.as_kind, main.id, main.variant, payload, refs, key, self._own_keys(), tuple(children), sent_at,
            main.action, there, main.stamp, self._own_bytes(main, payload), mark,
        )  # fmt: skip

    def _own_bytes(self, main: Row, payload: dict[str, Any]) -> Path | None:
        """Return the file with a record's own bytes; of an update, where they may have changed, or are put back."""
        versioned = self._recipe(main).versioned
        if main.action == "update" and versioned and AS_IS in main.payload:
            digest = payload.get("blob")
            if digest is None:
                return None
            held = self.workspace.blob(str(digest))
            if not held.is_file():
                raise RefusedError(f"{main.kind} {main.id}: what it held before is not in the workspace")
            return held
        return self._bytes(main) if main.action == "create" or (main.action == "update" and versioned) else None

    def _bytes(self, row: Row) -> Path | None:
        secret = any(spec.secret for spec in self.kinds.kinds[row.as_kind].fields.values() if spec.type == "blob")
        if row.blob and secret and self.workspace.sealed_blob(row.blob).is_file():
            return self.workspace.vault.file(self.workspace.sealed_blob(row.blob))
        blob = self.workspace.blob(row.blob) if row.blob else None
        if blob and not blob.is_file():
            raise WorkspaceError(f"the bytes {row.blob} of {row.kind} {row.id} are not in the workspace; extract again")
        return blob

    def _there(self, row: Row) -> str:
        found = self.ledger.find(row.kind, row.id)
        return found.destination if found else row.target or ""

    def _own_keys(self) -> dict[str, str]:
        if len(self._keys) < len(self.manifest.setup):  # some of them are written after units that need others
            for own in self.manifest.setup:
                found = self.ledger.find(own.kind, own.id)
                if found:
                    self._keys[own.id] = found.key or found.destination
        return self._keys

    def _resolved(
        self, row: Row, refs: dict[str, str], *, within: str = "", inside: Row | None = None
    ) -> dict[str, Any]:
        recipe, payload = self._recipe(row), row.payload
        if AS_IS in payload:
            return payload[AS_IS]  # type: ignore[no-any-return]
        if recipe.own_id:
            _take(payload, recipe.own_id)
        if recipe.owner and row.owner and inside is None and recipe.owner[1]:
            label, kinds = recipe.owner
            refs[label] = self._destination(kinds, row.owner, row, label)
        for label, spec, verb in recipe.verbs:
            if verb.keyed:
                self._rekey(payload, verb)
            elif verb.rule:
                numbers = bool(getattr(find(verb.rule.dialect), "NUMBERED", False))
                payload = in_place(payload, partial(self._named_in_rule, row), numbers=numbers)
            else:
                self._refer(payload, refs, within, row, label, spec, verb)
        return payload

    def _refer(
        self, payload: dict[str, Any], refs: dict[str, str], within: str, row: Row, label: str, spec: Field, verb: Verb
    ) -> None:
        """Put the destination's ids in the place of ours in one field."""
        path = verb.path or ""
        key = label if path == "@value" else path
        if f"{{{label}}}" in within:
            _take(payload, key)
            return
        held = at_path(payload, key)
        if isinstance(held, list):
            _put(payload, key, [_number(self._destination(spec.to, str(one), row, label)) for one in held])
        elif held is not None and not path.startswith("@parent"):
            there = self._destination(spec.to, str(held), row, label)
            refs[label] = there
            _put(payload, key, _number(there))

    def _named_in_rule(self, row: Row, kind: str, id: str) -> str:
        found = there(kind, id, self._fields, self.ledger.find)
        if found is None:
            raise RefusedError(f"{row.kind} {row.id}: it names {kind} {id}, which was not written; see the quarantine")
        return found

    def _destination(self, kinds: tuple[str, ...], source: str, row: Row, label: str) -> str:
        if held := self._named.get((kinds, source)):
            return held
        for kind_name in dict.fromkeys(k for to in kinds for k in self.standing(to)):
            found = self.ledger.find(kind_name, source)
            if found:
                if len(self._named) >= MOST_NAMED:
                    self._named.clear()
                return self._named.setdefault((kinds, source), found.destination)
        raise RefusedError(
            f"{row.kind} {row.id}: its {label} ({source}) was not written; see the quarantine, then retry"
        )

    def standing(self, kind_name: str) -> list[str]:
        """Return the kinds whose records may be written as ``kind_name``: itself, and those that stand in as it."""
        return [kind_name, *(other for other, kind in self.kinds.kinds.items() if kind.stands_in == kind_name)]

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


def shown(unit: Unit) -> dict[str, Any]:
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
