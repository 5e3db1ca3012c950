"""The protocols every connector fulfils, and the values that pass between a connector and the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Native = dict[str, Any]
Cursor = dict[str, Any]  # a connector's own place in a stream; JSON


def at_path(native: Any, path: str) -> Any:
    """Return what lies at a dotted path, or None."""
    for step in path.split("."):
        native = native.get(step) if isinstance(native, dict) else None
    return native


@dataclass(frozen=True)
class Raw:
    """One native record, its body whole and as it came."""

    id: str
    body: bytes
    updated_at: str | None = None
    parent: str | None = None


@dataclass(frozen=True)
class Page:
    """Some records and the place from which the stream goes on; ``done`` when this was the last."""

    records: list[Raw]
    cursor: Cursor
    done: bool


@dataclass(frozen=True)
class Finding:
    """One line of ``migrator check``."""

    what: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Child:
    """A record that travels inside a unit's call. ``blob``: the file with its bytes."""

    kind: str
    id: str
    variant: str
    payload: Native
    blob: Path | None = None


@dataclass(frozen=True)
class Unit:
    """What one call writes: a record, its payload with every reference resolved, and the children that travel with it.

    ``refs``: destination ids of the record's references by canonical field. ``key``: migrator's own key for the record.
    ``keys``: the destination's own names of custom fields, by our id.
    """

    kind: str
    id: str
    variant: str
    payload: Native
    refs: Mapping[str, str]
    key: str
    keys: Mapping[str, str]
    children: tuple[Child, ...] = ()
    sent_at: str = ""


@dataclass(frozen=True)
class Written:
    """What the vendor made of a unit: the new id, its own key, and the ids of the children, in their order."""

    id: str
    key: str | None = None
    children: dict[tuple[str, str], str] = field(default_factory=dict)


class Source(Protocol):
    """Reads one account."""

    vendor: str

    def streams(self) -> list[str]:
        """Return the streams, parents before children."""
        ...

    def pages(self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]]) -> Iterator[Page]:
        """Yield the stream from ``start`` on; ``parents(stream)`` gives the ids of a stream staged before, in order."""
        ...

    def count(self, stream: str) -> int | None:
        """Return how many records the vendor itself counts, where it does."""
        ...

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield the bytes of an attachment."""
        ...

    def check(self) -> list[Finding]:
        """Try the credentials and the rights; one finding each."""
        ...


class Destination(Source, Protocol):
    """Writes one account, and reads it as a source does: that is how it is verified."""

    def create(self, unit: Unit) -> Written:
        """Carry out one unit. Raises RefusedError, UnknownOutcomeError, AccessError."""
        ...

    def find(self, unit: Unit, known: set[str]) -> Written | None:
        """Return what a call in doubt made, or None if it was not carried out; ``known`` ids are accounted for."""
        ...
