"""The protocols every connector fulfils, and the values that pass between a connector and the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from migrator.errors import RefusedError

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
    """Some records and the place from which the stream goes on; ``done`` when this was the last.

    ``also``: records of other streams that came in the same answers. ``whole``: the lists this page holds whole, with
    the ids in them, taken once: {stream: {parent: ids}}. Such a list is not read again until its parent has changed.
    ``until``: of a stream in order of time, the moment (as its parents tell theirs) up to which all was handed over.
    """

    records: list[Raw]
    cursor: Cursor
    done: bool
    also: Mapping[str, list[Raw]] = field(default_factory=dict)
    whole: Mapping[str, Mapping[str, Iterable[str]]] = field(default_factory=dict)
    until: str | None = None


@dataclass(frozen=True)
class Finding:
    """One line of ``migrator check``."""

    what: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Child:
    """A record that travels inside a unit's call. ``blob``: the file with its bytes; ``owner``: the child it is of."""

    kind: str
    id: str
    variant: str
    payload: Native
    blob: Path | None = None
    owner: str | None = None


@dataclass(frozen=True)
class Unit:
    """One record to write: its payload with every reference resolved, and the children that travel with it.

    ``action``: create, update or delete; the last two name the record that is ``there``. ``refs``: destination ids of
    the record's references by canonical field. ``key``: migrator's own key for the record. ``keys``: the destination's
    own names of custom fields, by our id. ``stamp``: when the record was last changed there, as the plan saw it.
    ``blob``: the file with the record's own bytes. ``mark``: what the destination itself noted before the call.
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
    action: str = "create"
    there: str = ""
    stamp: str | None = None
    blob: Path | None = None
    mark: str = ""

    def slim(self) -> Unit:
        """Return the unit without what was sent already."""
        return replace(
            self, payload={}, blob=None, children=tuple(replace(c, payload={}, blob=None) for c in self.children)
        )


AS_IS = "(as is)"  # a payload under this key is in the destination's own words already
PLACE = "place:"  # begins the id of a record the vendor names to nobody: its owner's id, and its place there, from 1


def place(owner: str, number: int) -> str:
    """Return the id of a record that is known by its place: ``place:<owner's id>:<number>``."""
    return f"{PLACE}{owner}:{number}"


@dataclass(frozen=True)
class Written:
    """What the vendor made of a unit: the new id, its own key, and the ids of the children, in their order.

    ``before``: what stood in the changed places of an updated record.
    """

    id: str
    key: str | None = None
    children: dict[tuple[str, str], str] = field(default_factory=dict)
    before: Native | None = None


@dataclass(frozen=True)
class Promise:
    """The vendor took a call and will carry it out: ``job`` is the name to ask by."""

    job: str


Outcome = Written | RefusedError | None  # None: nobody knows, look it up


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

    def most(self, kind: str, variant: str, action: str = "create") -> int:
        """Return how many such units one call may carry."""
        ...

    def time(self) -> datetime:
        """Return the time by the vendor's clock, or the nearest to it that can be known."""
        ...

    def write(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Carry out one call with these units.

        Raises RefusedError for the whole; UnknownOutcomeError where it may have been carried out; RetryError,
        AccessError or StoppedError where nothing of it was.
        """
        ...

    def outcomes(self, jobs: Mapping[str, Sequence[Unit]]) -> dict[str, list[Outcome] | None]:
        """Return what became of promised units; None for a job under way, no entry for one nobody remembers."""
        ...

    def jobs_open(self) -> bool:
        """Tell whether the account has jobs under way: what is looked up now may still come."""
        ...

    def before(self, unit: Unit) -> Native:
        """Return what a record that is about to change holds in those places.

        Raises RefusedError where it is gone, or was changed by somebody since the plan looked at it.
        """
        ...

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Return what calls in doubt made, None for what was not carried out; ``known`` ids are accounted for."""
        ...


@runtime_checkable
class Marking(Protocol):
    """A destination that tells what a call in doubt made by how things stood before it (a folder's next number)."""

    def marks(self, units: Sequence[Unit]) -> list[str]:
        """Return each unit's mark, which is durable before the call and stands in the unit that ``find`` is given."""
        ...


@runtime_checkable
class Trying(Protocol):
    """A destination that can tell beforehand whether it would take a record."""

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Return what it has against a payload, whose references are still the source's; None where it takes it."""
        ...


@runtime_checkable
class Opening(Protocol):
    """A destination that sets the password of a login, for the link by which its owner chooses one."""

    def opens(self, kind: str) -> bool:
        """Tell whether logins of a kind have a password that can be set."""
        ...

    def set_password(self, kind: str, there: str, password: str) -> None:
        """Set a login's password. Raises RefusedError where it is not taken: nothing was done. Keeps it nowhere."""
        ...


@runtime_checkable
class Bundling(Protocol):
    """A source that hands over the bytes of many records in one call."""

    def blobs(self, urls: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield (address, its bytes), each read to its end before the next; what cannot be had is left out."""
        ...


@runtime_checkable
class Joined(Protocol):
    """An account that may be made of several."""

    def part(self, kind: str) -> Source:
        """Return the account that holds the kind, and the bytes of its records."""
        ...


@runtime_checkable
class Switched(Protocol):
    """A destination whose automations and mail would act on what we write, and can be switched off meanwhile."""

    def switches(self) -> Native:
        """Return how they stand now; JSON, whatever ``restore`` needs."""
        ...

    def quiet(self) -> None:
        """Switch them off. May be called when they are off already."""
        ...

    def restore(self, was: Native) -> None:
        """Set them to what ``switches`` returned. May be called again after a crash."""
        ...
