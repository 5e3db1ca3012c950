"""One account made of several: each part has a connector of its own, and each kind is read and written by one part.

To the engine it is an account like any other. Streams are named ``<part>_<stream>``, so that two parts may have streams
of one name; a job is named ``<part>:<job>``. Calls, pace, secrets and connections stay the part's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from threading import BoundedSemaphore

from migrator.connector import (
    Cursor,
    Finding,
    Marking,
    Native,
    Outcome,
    Page,
    Promise,
    Raw,
    Switched,
    Trying,
    Unit,
    Written,
)
from migrator.delivery import Deliverer
from migrator.http import Client
from migrator.manifest import Auth, Call, Jobs, Manifest, Quota, QuotaRule, Stream, Write
from migrator.mapping import Mapping as VendorMapping
from migrator.mapping import Variant

PLAN = "own"  # the one plan of the whole: each part's limits stand in it as that part's plan has them
NAME = "[a-z][a-z0-9]{0,19}"


@dataclass(frozen=True)
class Part:
    """What one part brings: its connector's files, the plan it is billed by, and the kinds it is asked for alone.

    ``kinds``: empty means all that it has.
    """

    name: str
    manifest: Manifest
    mapping: VendorMapping
    plan: str
    per_minute: int | None = None
    kinds: tuple[str, ...] = ()

    def reads(self, kind: str) -> bool:
        """Tell whether the part has records of the kind."""
        return kind in self.mapping.kinds and self._asked(kind)

    def makes(self, kind: str) -> bool:
        """Tell whether the part can write the kind, or finds it there."""
        write = self.manifest.write(kind)
        if write is None or not self.reads(kind):
            return False
        return not (write.skip or write.manual or write.left)

    def tells(self, kind: str) -> bool:
        """Tell whether the part says anything of writing the kind, if only why a person does it."""
        return self.manifest.write(kind) is not None and self._asked(kind)

    def _asked(self, kind: str) -> bool:
        return not self.kinds or kind in self.kinds

    def stream(self, own: str) -> str:
        """Return the whole's name of one of the part's streams."""
        return f"{self.name}_{own}"


def routes(parts: Sequence[Part], *, writing: bool) -> dict[str, str]:
    """Return each kind's part: the first that has it; of those that are written, the first that can write it."""
    named = dict.fromkeys(kind for part in parts for kind in (*part.mapping.kinds, *_told(part.manifest)))
    found = {}
    for kind in named:
        ranks = (Part.makes, Part.tells, Part.reads) if writing else (Part.reads,)
        part = next((part for has in ranks for part in parts if has(part, kind)), None)
        if part:
            found[kind] = part.name
    return found


def _told(manifest: Manifest) -> list[str]:
    return [write.kind for write in manifest.writes]


def whole_manifest(parts: Sequence[Part], to: Mapping[str, str]) -> Manifest:
    """Return one manifest of all parts, in which each kind is as its part declares it. Calls say whose they are."""
    jobs = [part.manifest.jobs for part in parts if part.manifest.jobs]
    return Manifest(
        vendor="+".join(dict.fromkeys(part.manifest.vendor for part in parts)),
        title=" + ".join(dict.fromkeys(part.manifest.title for part in parts)),
        canonical=parts[0].manifest.canonical,
        base_url=", ".join(f"{part.name}: {part.manifest.base_url}" for part in parts),
        auth=Auth(),
        check=parts[0].manifest.check,
        quota=Quota(default_plan=PLAN, rules=tuple(rule for part in parts for rule in _limits(part))),
        jobs=min(jobs, key=_patience) if jobs else None,
        streams={
            part.stream(own): _stream(part, spec) for part in parts for own, spec in part.manifest.streams.items()
        },
        writes=tuple(_write(p, write) for p in parts for write in p.manifest.writes if to.get(write.kind) == p.name),
        setup=tuple(own for part in parts for own in part.manifest.setup if to.get(own.kind) == part.name),
        unread={f"{part.name}: {what}": why for part in parts for what, why in part.manifest.unread.items()},
    )


def _patience(jobs: Jobs) -> int:
    return jobs.most


def _stream(part: Part, spec: Stream) -> Stream:
    named = {"parent": spec.parent and part.stream(spec.parent), "into": spec.into and part.stream(spec.into)}
    return spec.model_copy(update=named)


def _write(part: Part, write: Write) -> Write:
    calls: dict[str, Call | None] = {}
    for action in ("create", "completes", "update", "delete", "activate"):
        call: Call | None = getattr(write, action)
        calls[action] = call and call.model_copy(update={"path": f"{call.path} ({part.name})"})
    find = write.find
    if find and find.stream:
        find = find.model_copy(update={"stream": part.stream(find.stream)})
    return write.model_copy(update={**calls, "find": find})


def _limits(part: Part) -> Iterator[QuotaRule]:
    """Yield the part's limits, over its own calls alone."""
    for rule in part.manifest.quota.rules:
        granted = (None if rule.matching else part.per_minute) or rule.per_minute.get(part.plan, 0)
        matching = rf"^(?=.* \({part.name}\)$)(?=.*?(?:{rule.matching}))"
        yield rule.model_copy(
            update={"name": f"{part.name}: {rule.name}", "matching": matching, "per_minute": {PLAN: granted}}
        )


def whole_mapping(parts: Sequence[Part], to: Mapping[str, str]) -> VendorMapping:
    """Return one mapping of all parts, in which each kind is as its part means it."""
    kinds: dict[str, tuple[Variant, ...]] = {}
    for part in parts:
        for kind, variants in part.mapping.kinds.items():
            if to.get(kind) == part.name:
                named = (v.model_copy(update={"stream": part.stream(v.stream)}) for v in variants)
                kinds[kind] = tuple(named)
    ignored = {part.stream(own): why for part in parts for own, why in part.mapping.ignored.items()}
    return VendorMapping.model_construct(
        vendor="+".join(dict.fromkeys(part.mapping.vendor for part in parts)),
        canonical=parts[0].mapping.canonical,
        kinds=kinds,
        ignored=ignored,
    )


class Composite(Deliverer):
    """The whole account, opened: asks the part that a stream or a kind belongs to. Never calls anybody by itself."""

    def __init__(
        self,
        manifest: Manifest,
        mapping: VendorMapping,
        client: Client,
        *,
        parts: Mapping[str, Deliverer],
        to: Mapping[str, str],
    ) -> None:
        super().__init__(manifest, mapping, client, workers=max(part.workers for part in parts.values()))
        self.parts, self.to = parts, to
        self._room = {name: BoundedSemaphore(part.workers) for name, part in parts.items()}

    def accounts(self) -> list[Deliverer]:
        """Return the parts, and the whole, whose client is waited with."""
        return [*self.parts.values(), self]

    def part(self, kind: str) -> Deliverer:
        """Return the part a kind belongs to."""
        return self.parts[self.to[kind]]

    def _owner(self, stream: str) -> tuple[str, str]:
        """Return a stream's part, and the part's own name of it."""
        part, _, own = stream.partition("_")
        return part, own

    # ---- reading ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield the pages of the part's stream."""
        name, own = self._owner(stream)
        how = {} if view else {"view": False}
        for page in self.parts[name].pages(own, start, lambda of: parents(f"{name}_{of}"), **how):
            also = {f"{name}_{other}": records for other, records in page.also.items()}
            whole = {f"{name}_{other}": lists for other, lists in page.whole.items()}
            yield replace(page, also=also, whole=whole)

    def count(self, stream: str) -> int | None:
        """Return how many records the part's vendor counts."""
        name, own = self._owner(stream)
        return self.parts[name].count(own)

    def blob(self, url: str) -> Iterator[bytes]:
        """Bytes are asked of the part of their kind, never of the whole."""
        raise NotImplementedError("ask the part: part(kind).blob(url)")

    def check(self) -> list[Finding]:
        """Try each part, and say which kinds it is asked for."""
        found = []
        for name, part in self.parts.items():
            for finding in part.check():
                found.append(replace(finding, what=f"{name}: {finding.what}"))
            asked = [kind for kind, of in self.to.items() if of == name]
            found.append(Finding(f"{name}: asked for", True, ", ".join(asked) or "nothing"))
        return sorted(found, key=lambda finding: finding.ok)  # what a person has to see stands first

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream and the records there as they stand now."""
        own, records = self.part(kind).peek(kind, variant_name, targets)
        return f"{self.to[kind]}_{own}", records

    def look(self, unit: Unit) -> Native | None:
        """Return the record as it stands now."""
        return self.part(unit.kind).look(unit)

    def time(self) -> datetime:
        """Return the earliest of the parts' clocks: what is looked up since then is in none of them too late."""
        return min(part.time() for part in self.parts.values())

    # ---- writing ----------------------------------------------------------------------------------------------------

    def _at(self, kind: str) -> AbstractContextManager[object]:
        """Let no more workers at a part than its account is given."""
        return self._room[self.to[kind]]

    def most(self, kind: str, variant: str, action: str = "create") -> int:
        """Return how many such units one call may carry."""
        return self.part(kind).most(kind, variant, action)

    def write(self, units: Sequence[Unit]) -> list[Outcome] | Promise:
        """Carry out one call, whose units are of one kind."""
        kind = units[0].kind
        with self._at(kind):
            answer = self.part(kind).write(units)
        return Promise(f"{self.to[kind]}:{answer.job}") if isinstance(answer, Promise) else answer

    def outcomes(self, jobs: Mapping[str, Sequence[Unit]]) -> dict[str, list[Outcome] | None]:
        """Return what became of promised units."""
        found: dict[str, list[Outcome] | None] = {}
        for name, part in self.parts.items():
            own = {job.removeprefix(f"{name}:"): units for job, units in jobs.items() if job.startswith(f"{name}:")}
            if own:
                found |= {f"{name}:{job}": outcome for job, outcome in part.outcomes(own).items()}
        return found

    def jobs_open(self) -> bool:
        """Tell whether any part has jobs under way."""
        return any(part.jobs_open() for part in self.parts.values())

    def before(self, unit: Unit) -> Native:
        """Return what a record that is about to change holds in those places."""
        with self._at(unit.kind):
            return self.part(unit.kind).before(unit)

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made; the units are of one kind."""
        return self.part(units[0].kind).find(units, known)

    def activate(self, unit: Unit, switch: str) -> None:
        """Switch a record on."""
        self.part(unit.kind).activate(unit, switch)

    # ---- what only some connectors can ------------------------------------------------------------------------------

    def marks(self, units: Sequence[Unit]) -> list[str]:
        """Return each unit's mark; empty where the part takes none."""
        part = self.part(units[0].kind)
        return part.marks(units) if isinstance(part, Marking) else [""] * len(units)

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Return what the part has against a payload, where it can tell."""
        part = self.part(kind)
        return part.complaint(kind, payload) if isinstance(part, Trying) else None

    def switches(self) -> Native:
        """Return how the switches of those parts stand that have some."""
        return {name: part.switches() for name, part in self.parts.items() if isinstance(part, Switched)}

    def quiet(self) -> None:
        """Switch them off."""
        for part in self.parts.values():
            if isinstance(part, Switched):
                part.quiet()

    def restore(self, was: Native) -> None:
        """Set them to what ``switches`` returned."""
        for name, part in self.parts.items():
            if isinstance(part, Switched) and name in was:
                part.restore(was[name])


def is_name(text: str) -> bool:
    """Tell whether a part may be called so: what stands before the first ``_`` of a stream is its part."""
    return re.fullmatch(NAME, text) is not None
