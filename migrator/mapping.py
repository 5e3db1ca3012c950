"""A vendor's mapping file, typed: native records to canonical ones and back, in a closed set of two-way verbs.

The file says what things *mean*; how to talk to the vendor is the manifest's. ``compile`` turns it into SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from pydantic import Field as Option
from pydantic import field_validator, model_validator

from migrator import documents
from migrator.documents import Document, Flag, did_you_mean
from migrator.errors import InputError
from migrator.kinds import Kind, Kinds

Scalar = str | int | float | bool


def word(value: Scalar) -> str:
    """Return a value as it stands in JSON text: ``true``, not Python's ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Keyed(Document):
    """How custom values are stored: a list of ``{id, value}`` or an object; keyed by the field's id or its own key.

    ``choice``: whether an option is stored by its ``label`` or by the option's ``key``. ``typed``: numbers and booleans
    are JSON numbers and booleans (else text).
    """

    style: Literal["list", "object"]
    applies_to: str
    by: Literal["id", "key"] = "key"
    choice: Literal["label", "key"] = "label"


class Preface(Document):
    """The line that keeps what a vendor resets: the name of the person in the field ``by``, and the time ``at``."""

    by: str
    at: str


class Spoken(Document):
    """A rule: which vendor's dialect reads it and writes it, as which kind of rule (``rules.rule.Kind``)."""

    dialect: str
    kind: str


class Verb(Document):
    """How one canonical field is read and written. A bare string is ``path``.

    ``path``: dotted, from the record; ``^.x`` from the record around an ``each``; ``@parent`` the record it was listed
    under; ``@id`` the staged id. ``paths``: the first that holds anything. ``values``: native to canonical; ``write``
    adds canonical to native where the way back is another; what is in neither is nothing, is kept (``otherwise: keep``)
    or is what ``otherwise`` says. ``none``: native values that say nothing. ``constant``: always this; when writing,
    only records with this value fit the variant. ``each``: a leaf of every element of a list. ``split``: one text, cut
    at this. ``prefix``: stands before a synthetic id. ``keyed``: custom values. ``else_key``: where the record has
    none, migrator's own key is written. ``preface``: the original author, date and id stand before the text, and are
    taken off when it is read back. ``text``: plain text at the vendor, HTML with us. ``rank``: the place among the
    records of one owner, by these fields, counted from ``start``. ``not_empty``: a boolean, true where the path holds
    anything. ``rule``: the whole record, read and written as a rule. ``unix``: a timestamp is told in seconds since
    1970. ``one``: a list with us, a single value at the vendor: the first. ``hook``: a named function of the connector.
    """

    path: str | None = None
    paths: tuple[str, ...] = ()
    values: dict[Scalar, Scalar] | None = None
    write: dict[Scalar, Scalar] = {}
    otherwise: Scalar = "none"
    none: tuple[str, ...] = ()
    constant: Scalar | None = None
    each: str | None = None
    split: str | None = None
    keyed: Keyed | None = None
    else_key: Flag = False
    preface: Preface | None = None
    prefix: str = ""
    text: Flag = False
    rank: tuple[str, ...] = ()
    start: int = 1
    not_empty: Flag = False
    invert: Flag = False
    rule: Spoken | None = None
    unix: Flag = False
    one: Flag = False
    hook: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _says_where(self) -> Verb:
        if not (self.path or self.paths or self.rank or self.rule or self.constant is not None):
            raise ValueError("a field needs a path, paths, rank, rule or constant")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """Return every path this verb reads."""
        return self.paths or ((self.path,) if self.path else ())

    def back(self) -> dict[str, Scalar]:
        """Return canonical to native: the values turned round, the first native one winning, then ``write``."""
        turned: dict[str, Scalar] = {}
        for native, canonical in (self.values or {}).items():
            turned.setdefault(word(canonical), native)
        return {**turned, **{word(canonical): native for canonical, native in self.write.items()}}


class Variant(Document):
    """One way a kind appears at a vendor: the stream it is read from, the rows that count, its id and its fields.

    ``where``/``unless``: native values that rows must (not) have. ``each``: one record for every element of this list.
    ``drop``: paths left behind, each with the reason; a path covers everything below it. ``write_only``: another way of
    writing records that a variant above reads.
    """

    name: str
    stream: str = Option(alias="from")
    where: dict[str, tuple[Scalar, ...]] = {}
    unless: dict[str, tuple[Scalar, ...]] = {}
    each: str | None = None
    id: str = "@id"
    fields: dict[str, Verb]
    drop: dict[str, str] = {}
    write_only: Flag = False

    @field_validator("id")
    @classmethod
    def _id_ends_in_a_path(cls, value: str) -> str:
        if "{" in value and re.sub(r"[^{}]*\{[^{}]+\}", "", value):
            raise ValueError("every part of an id is text and then {path}; nothing stands after the last one")
        return value

    @property
    def prefix(self) -> str:
        """Return the text that stands before the vendor's own id; empty where an id has several parts."""
        parts = self.id_parts()
        return "".join(text for text, _ in parts) if len(parts) == 1 else ""

    def constants(self) -> dict[str, Scalar]:
        """Return the fields that are the same for every record of this variant."""
        return {name: verb.constant for name, verb in self.fields.items() if verb.constant is not None}

    def id_parts(self) -> list[tuple[str, str]]:
        """Return the id's parts as (text, path): ``x:{@id}`` is [("x:", "@id")]; a bare path is one part."""
        if "{" not in self.id:
            return [("", self.id)]
        return re.findall(r"([^{}]*)\{([^{}]+)\}", self.id)


class Mapping(Document):
    """A vendor's file: kind by kind, the variants it appears in. ``unread``: what the vendor has and we do not read."""

    vendor: str
    canonical: str = "help_desk"
    kinds: dict[str, tuple[Variant, ...]]
    ignored: dict[str, dict[str, str]] = {}  # stream to path to reason, for every variant of it

    @model_validator(mode="before")
    @classmethod
    def _one_variant(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("kinds"), dict):
            kinds = {
                kind: [{"name": kind, **variants}] if isinstance(variants, dict) else variants
                for kind, variants in value["kinds"].items()
            }
            value = {**value, "kinds": kinds}
        return value

    def variant(self, kind: str, name: str) -> Variant:
        """Return one variant of a kind. Raises KeyError where there is none of this name."""
        found = next((variant for variant in self.kinds[kind] if variant.name == name), None)
        if found is None:
            raise KeyError(f"{kind} has no variant '{name}'")
        return found

    def read(self, kind: str) -> tuple[Variant, ...]:
        """Return the variants a kind is read in."""
        return tuple(variant for variant in self.kinds.get(kind, ()) if not variant.write_only)

    def streams(self) -> list[str]:
        """Return the streams the kinds are read from, each once."""
        return list(dict.fromkeys(variant.stream for variants in self.kinds.values() for variant in variants))


def check(mapping: Mapping, kinds: Kinds, file: str) -> None:
    """Raise InputError where the mapping names a kind or field that does not exist, or leaves out a required one."""
    for name, variants in mapping.kinds.items():
        if name not in kinds.kinds:
            raise InputError(f"'{name}' is not a kind{did_you_mean(name, kinds.kinds)}", file=file)
        fields = kinds.kinds[name].fields
        for variant in variants:
            for field in variant.fields:
                if field not in fields:
                    raise InputError(f"'{name}' has no field '{field}'{did_you_mean(field, fields)}", file=file)
            for field, spec in fields.items():
                if spec.required and field not in variant.fields:
                    raise InputError(f"{name}, variant '{variant.name}': '{field}' is required", file=file)
                verb = variant.fields.get(field)
                if spec.secret and verb and not _plain(verb):
                    what = f"{name}, variant '{variant.name}': '{field}' is a secret, which stays as it is"
                    raise InputError(what, file=file, remedy="a path is all that can be said of it")


def _plain(verb: Verb) -> bool:
    return not verb.model_fields_set - {"path", "paths"} and not any(path.startswith("@") for path in verb.reads)


def secret_paths(kind: Kind, variant: Variant) -> list[str]:
    """Return the paths, from the staged record, of the texts that a variant reads into secret fields."""
    found = []
    for label, verb in variant.fields.items():
        if kind.fields[label].secret and kind.fields[label].type == "text":
            for path in verb.reads:
                around, within = path.startswith("^."), f"{variant.each}." if variant.each else ""
                found.append(path.removeprefix("^.") if around else within + path)
    return found


def written_secrets(kind: Kind, variant: Variant) -> list[str]:
    """Return the paths, in what is written, of the texts of secret fields."""
    texts = {label for label, spec in kind.fields.items() if spec.secret and spec.type == "text"}
    verbs = (verb for label, verb in variant.fields.items() if label in texts)
    return [verb.path for verb in verbs if verb.path and not verb.path.startswith("^")]


def overlay(
    mapping: Mapping,
    changes: dict[str, dict[str, dict[str, object]]],
    file: str,
    line: Callable[[Iterable[Any]], int | None] = lambda where: None,
) -> Mapping:
    """Return the mapping with the customer's choices: ``{kind: {field: {verb: …}}}``; maps merge, the rest is replaced.

    ``line`` finds the line of a place in ``changes``. Raises InputError where they name what does not exist.
    """
    kinds = dict(mapping.kinds)
    for kind, fields in changes.items():
        if kind not in kinds:
            raise InputError(
                f"the overlay names the kind '{kind}'{did_you_mean(kind, kinds)}", file=file, line=line([kind])
            )
        variants = []
        for variant in kinds[kind]:
            mine = dict(variant.fields)
            for field, change in fields.items():
                if field not in mine:
                    if not any(field in v.fields for v in kinds[kind]):
                        what = f"the overlay names {kind}.{field}{did_you_mean(field, mine)}"
                        raise InputError(what, file=file, line=line([kind, field]))
                    continue
                was = mine[field].model_dump(exclude_defaults=True)
                for key, value in change.items():
                    was[key] = (
                        {**was[key], **value} if isinstance(value, dict) and isinstance(was.get(key), dict) else value
                    )
                mine[field] = documents.check(was, Verb, file, lambda where, at=(kind, field): line([*at, *where]))  # type: ignore[misc]
            variants.append(variant.model_copy(update={"fields": mine}))
        kinds[kind] = tuple(variants)
    return mapping.model_copy(update={"kinds": kinds})
