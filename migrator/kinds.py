"""The canonical records: which kinds there are, their fields, types and references, and the order of writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from pydantic import model_validator

from migrator.documents import Document, Flag
from migrator.errors import InputError

Type = Literal[
    "text", "html", "integer", "number", "boolean", "timestamp", "date", "list", "ref", "refs", "map", "blob", "rule"
]

COLUMN: Mapping[str, str] = {  # DuckDB's type for each of ours
    "text": "VARCHAR",
    "html": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "list": "VARCHAR[]",
    "ref": "VARCHAR",
    "refs": "VARCHAR[]",
    "map": "VARCHAR",  # a JSON object: custom field id to value, keys sorted
    "blob": "VARCHAR",  # a sha256 digest; the bytes lie in the blob store
    "rule": "VARCHAR",  # a rule in nobody's words, as JSON (rules.records)
}


class Skip(Document):
    """Records with a true ``when`` are not written: ``because`` is why, ``unless_referenced`` keeps the needed ones.

    ``unless_written``: only where the destination writes none of the kind, so that nobody is asked to make by hand what
    every account has. ``unless_there``: only where the destination has no record like it.
    """

    because: str
    unless_referenced: Flag = False
    unless_written: Flag = False
    unless_there: Flag = False


class Field(Document):
    """One field of a kind.

    ``to``: the kinds a reference may name. ``owner``: the record lives inside the one it names. ``unordered``: a list
    compared as a set. ``private``: kept in the stage for translation, never compared and never a loss. ``sequence``:
    the place of a record among those of its owner, which are written in this order. ``skip``: a boolean that keeps its
    record from being written. ``keyed_by``: the kind whose ids are the keys of a map. ``examples``: what a text that is
    not free looks like. ``among``: only such records may be referred to. ``names``: the kinds a rule may name,
    written before it. ``exact``: half a rule is worse than none: where its condition would only be nearly the same,
    and what it does cannot be taken back, the record is left to a person. ``switch``: it says whether the record
    acts; what is written is off, and switched on later (``activate``); ``rests``: where nothing is said, it is off.
    ``versioned``: bytes that change under the same id, fetched anew when their address does. ``rewrite``: addresses
    that change on the way are put right in it. ``given``: references that a record which is there already does not
    get: where it has others, that is said. ``secret``: a text, or bytes, that nobody is to see: sealed with the
    workspace's key from its staging to the call that writes it.
    """

    type: Type = "text"
    doc: str = ""
    required: Flag = False
    to: tuple[str, ...] = ()
    owner: Flag = False
    unordered: Flag = False
    private: Flag = False
    sequence: Flag = False
    skip: Skip | None = None
    keyed_by: str | None = None
    among: dict[str, str] = {}
    examples: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    exact: Flag = False
    switch: Flag = False
    rests: Flag = False
    versioned: Flag = False
    given: Flag = False
    rewrite: Flag = False
    secret: Flag = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _references_name_kinds(self) -> Field:
        if (self.type in ("ref", "refs")) != bool(self.to):
            raise ValueError("a ref (and only a ref) needs 'to', the kinds it may name")
        if self.secret and (self.type not in ("text", "blob") or self.rewrite or self.versioned):
            raise ValueError("only a text or bytes can be secret, and nothing is rewritten or followed in them")
        return self

    @property
    def column(self) -> str:
        """Return the DuckDB type."""
        return COLUMN[self.type]


class Kind(Document):
    """One kind of record. ``match``: fields that make a record the same as one at the destination, whatever the case.

    ``case_counts``: in these too. ``role``: fields that make it the same where it has them all, before ``match`` is
    asked (the folder for sent mail, whatever it is called). ``same``: fields in which a record that is there already
    must be equal; where it is not, a person decides. ``stands_in``: the kind a record is written as where the
    destination cannot take it (a person without a seat). ``label``: the field a person knows the record by. ``after``:
    kinds that are written before, though none of them is named. ``apart``: a text that another record must not have:
    ours gets another, and is never joined with that one. ``by_itself``: the vendor adds such records by itself (lines
    of a history): more of them are nobody's work. ``cutover``: live at once, so that only a plan of its own writes it.
    """

    doc: str = ""
    label: str | None = None
    match: tuple[str, ...] = ()
    case_counts: Flag = False
    role: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    stands_in: str | None = None
    after: tuple[str, ...] = ()
    apart: str | None = None
    by_itself: Flag = False
    cutover: Flag = False
    fields: dict[str, Field]

    @property
    def owner(self) -> str | None:
        """Return the field that names the record this one lives inside."""
        return next((name for name, field in self.fields.items() if field.owner), None)

    @property
    def owner_kind(self) -> str:
        """Return the kind of the record this one lives inside; empty where it lives by itself."""
        return self.fields[self.owner].to[0] if self.owner else ""

    @property
    def rule(self) -> str | None:
        """Return the field that holds a rule."""
        return next((name for name, field in self.fields.items() if field.type == "rule"), None)

    @property
    def switch(self) -> str | None:
        """Return the field that says whether a record acts."""
        return next((name for name, field in self.fields.items() if field.switch), None)

    @property
    def needs(self) -> set[str]:
        """Return the kinds that are written before this one."""
        named = {to for field in self.fields.values() for to in (*field.to, *field.names)}
        return named | {field.keyed_by for field in self.fields.values() if field.keyed_by} | set(self.after)

    def references(self) -> Iterator[tuple[str, Field]]:
        """Yield the fields that name other records."""
        return ((name, field) for name, field in self.fields.items() if field.to)


class Selecting(Document):
    """How records are usually selected: by ``kind``, whose date is the field ``since``; of the kinds ``people`` come
    those who are needed; ``spread``: the fields of which a sample shows as many values as it can.
    """

    kind: str
    since: str | None = None
    people: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()


class Kinds(Document):
    """A canonical file: the kinds of one field of work, such as help desks."""

    title: str
    selecting: Selecting | None = None
    kinds: dict[str, Kind]

    @model_validator(mode="after")
    def _whole(self) -> Kinds:
        if self.selecting:
            for target in {self.selecting.kind, *self.selecting.people} - set(self.kinds):
                raise ValueError(f"selecting names the kind '{target}', which does not exist")
            since = [self.selecting.since] if self.selecting.since else []
            for label in {*self.selecting.spread, *since} - set(self.kinds[self.selecting.kind].fields):
                raise ValueError(f"selecting names '{label}', which is not a field of {self.selecting.kind}")
        for name, kind in self.kinds.items():
            targets = kind.needs | ({kind.stands_in} if kind.stands_in else set())
            for target in targets - set(self.kinds):
                raise ValueError(f"{name} refers to the kind '{target}', which does not exist")
            if kind.owner and any(name in spec.to for label, spec in kind.references() if label != kind.owner):
                raise ValueError(f"{name} lives inside another record, and may not refer to its own kind")
            for match in (*kind.match, *kind.role, *kind.same, *([kind.apart] if kind.apart else [])):
                if match not in kind.fields:
                    raise ValueError(f"{name} is matched by '{match}', which is not a field of it")
        return self

    def in_order(self) -> list[str]:
        """Return the kinds so that each comes after all it refers to (references to itself aside)."""
        graph = {name: kind.needs for name, kind in self.kinds.items()}
        for name, kind in self.kinds.items():
            if kind.stands_in:
                graph[kind.stands_in].add(name)  # who stands in is known before the others of that kind are planned
        for name in graph:
            graph[name] -= {name}
        try:
            return list(
                TopologicalSorter({name: sorted(of) for name, of in graph.items()}).static_order()
            )  # the same every run
        except CycleError as err:
            raise InputError(f"kinds refer to each other in a circle: {' -> '.join(err.args[1])}") from err

    def roots(self) -> list[str]:
        """Return the kinds that live inside no other, each after all that it, and what lives inside it, refers to."""
        graph: dict[str, set[str]] = {}
        for name, kind in self.kinds.items():
            graph.setdefault(self.root(name), set()).update(map(self.root, kind.needs))
        place = {name: at for at, name in enumerate(self.in_order())}
        for name in graph:
            graph[name] -= {name}
        sorter = TopologicalSorter({name: sorted(needs) for name, needs in sorted(graph.items())})
        try:
            sorter.prepare()
        except CycleError:
            return sorted(graph, key=place.__getitem__)
        order: list[str] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready(), key=place.__getitem__)
            order += ready
            sorter.done(*ready)
        return order

    def root(self, name: str) -> str:
        """Return the kind at the top of the chain of owners."""
        owner = self.kinds[name].owner
        return self.root(self.kinds[name].fields[owner].to[0]) if owner else name
