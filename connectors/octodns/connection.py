"""Zones through a provider of octoDNS: read whole, changed in one plan of octoDNS's own after a look at what is there.

octoDNS's providers keep what they have read (Route 53's does), so each reading and each change has a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

from migrator.connector import Finding, Native
from migrator.errors import AbsentError, InputError, MigratorError, RefusedError, RetryError
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import RecordSet, absolute, from_body

from . import answers, providers, sets, texts

TRIES = 4
T = TypeVar("T")
REWRITES = "ZoneFileProvider"  # writes only what a plan changes, over the whole file: the connector zone_file is better
NOT_EXISTING = ("ZoneFileSourceNotFound",)


class Connection(ZoneAccount):
    """One account behind one provider of octoDNS."""

    @cached_property
    def _class(self) -> type[Any]:
        return providers.found(self.given("provider"))

    @cached_property
    def _arguments(self) -> tuple[dict[str, Any], list[str]]:
        return providers.arguments(self._setting("arguments"), self.manifest.secrets, self.given)

    @cached_property
    def _dialect(self) -> texts.Dialect:
        return texts.of(self._class.__module__.partition(".")[0])

    def _setting(self, name: str) -> str:
        try:
            return self.given(name)
        except InputError:
            return ""

    def _provider(self) -> Any:
        """Return a provider that has read nothing yet."""
        try:
            return self._class("migrator", **self._arguments[0])
        except MigratorError:
            raise
        except Exception as err:  # a provider judges its arguments by any exception it likes
            said = answers.hidden(f"{type(err).__name__}: {err}", self._arguments[1])
            raise InputError(f"octodns: {self._class.__name__} does not take these arguments: {said}") from None

    @cached_property
    def _writes(self) -> bool:
        from octodns.provider.base import BaseProvider

        return issubclass(self._class, BaseProvider) and self._class.__name__ != REWRITES

    # ---- reading ----------------------------------------------------------------------------------------------------

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        """Ask what changes nothing, again where that may help. Raises what a provider's exception amounts to."""
        for attempt in range(1, TRIES + 1):
            try:
                return ask()
            except MigratorError:
                raise
            except Exception as err:  # providers are of many hands, and so are their exceptions
                judged = answers.judged_reading(err, what, self._arguments[1])
                if not isinstance(judged, RetryError) or attempt == TRIES or self.client.pacer.cancelled():
                    raise judged from None
            self.client.sleep(2.0**attempt)
        raise AssertionError("unreachable")

    def _populated(self, zone: str) -> tuple[Any, bool]:
        """Return the zone as octoDNS has it, and whether it is there."""

        def ask() -> tuple[Any, bool]:
            provider, made = self._provider(), sets.zone_of(zone)
            try:
                exists = provider.populate(made, target=self._writes, lenient=True)
            except Exception as err:
                if type(err).__name__ in NOT_EXISTING:
                    return made, False
                raise
            return made, bool(exists or made.records)

        return self._asked(f"reading {zone}", ask)

    def zones(self) -> Iterable[Native]:
        """Return the zones that are named, else those the provider lists."""
        named = self._setting("zones").replace(",", " ").split()
        if named:
            wanted = [absolute(one) for one in named]
            there = [zone for zone in wanted if self._populated(zone)[1]]
        else:
            listed = getattr(self._provider(), "list_zones", None)
            if listed is None:
                raise InputError(f"octodns: {self._class.__name__} lists no zones", remedy="name them: settings.zones")
            there = [absolute(str(one)) for one in self._asked("listing zones", lambda: list(listed()))]
        return [{"id": zone, "name": zone} for zone in there]

    def held(self, zone: str) -> Iterator[RecordSet]:
        """Yield a zone's record sets. Raises AbsentError where it is not there."""
        made, there = self._populated(zone)
        if not there:
            raise AbsentError(f"there is no zone {zone}", status=404)
        for record in made.records:
            yield sets.to_set(zone, record, self._dialect)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Say what the provider, or octoDNS itself, would not take, or would spoil."""
        if not self._writes:
            return f"{self._class.__name__} only reads"
        if kind != "record_set":
            return None
        one = from_body(payload)
        if one.type not in self._supported:
            return f"{self._class.__name__} knows no {one.type}"
        return texts.complaint(self._dialect, one) if one.type == "TXT" else sets.spoiled(one, self._dialect)

    @cached_property
    def _supported(self) -> frozenset[str]:
        return frozenset(self._provider().SUPPORTS)

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Carry changes out in one plan. What stands already is left out of it; what came up since is not written over.

        A provider may need many calls for one plan and none of them undoes another, so the zone is read before each
        attempt: nothing is written twice, also when a part was refused or no answer came.
        """
        for attempt in range(1, TRIES + 1):
            made, there = self._populated(zone)
            if not there:
                raise AbsentError(f"there is no zone {zone}", status=404)
            plan = self._planned(zone, made, changes)
            if plan is None:
                return
            try:
                self._provider().apply(plan)
                return
            except MigratorError:
                raise
            except Exception as err:
                judged = answers.judged_writing(err, f"changing {zone}", self._arguments[1])
                if not isinstance(judged, RetryError) or attempt == TRIES or self.client.pacer.cancelled():
                    raise judged from None
            self.client.sleep(2.0**attempt)

    def _planned(self, zone: str, made: Any, changes: Sequence[Change]) -> Any:
        """Return octoDNS's plan of what is to be done yet, None where all of it stands."""
        from octodns.provider.plan import Plan
        from octodns.record.change import Create, Delete, Update

        existing, told = sets.zone_of(zone), {}
        for record in made.records:
            one = sets.to_set(zone, record, self._dialect)
            kept = sets.to_record(existing, one, self._dialect) if one.type == "TXT" else record
            existing.add_record(kept, lenient=True)
            told[one.id] = (one, kept)
        todo: list[Any] = []
        for was, becomes in changes:
            wanted = becomes or was
            assert wanted is not None
            here, record = told.get(wanted.id, (None, None))
            if _equal(here, becomes):
                continue
            if not _equal(here, was):
                raise RefusedError(f"{wanted.name} {wanted.type} is no longer what it was when the plan was made")
            new = sets.to_record(existing, becomes, self._dialect) if becomes else None
            todo.append(Delete(record) if new is None else Create(new) if here is None else Update(record, new))
        if not todo:
            return None
        desired = existing.copy()
        for change in todo:
            if change.existing is not None:
                desired.remove_record(change.existing)
            if change.new is not None:
                desired.add_record(change.new, lenient=True)
        return Plan(existing, desired, todo, True)

    def open_zone(self, payload: Native) -> None:
        """Let the provider make a zone: octoDNS does so where a plan is for one that is not there."""
        from octodns.provider.plan import Plan

        zone = str(payload["name"])
        if self._populated(zone)[1]:
            raise RefusedError(f"the zone {zone} is there already", status=409)
        empty = sets.zone_of(zone)
        failed: MigratorError | None = None
        try:
            self._provider().apply(Plan(empty, empty, [], False))
        except Exception as err:  # Route 53's makes the zone, and then sends an empty batch that is refused
            failed = answers.judged_writing(err, f"making {zone}", self._arguments[1])
        if not self._populated(zone)[1]:
            raise failed or RefusedError(f"{self._class.__name__} makes no zone; make {zone} by hand, then retry")

    def check(self) -> list[Finding]:
        """Look whether the provider can be opened and its zones read."""
        try:
            zones = [zone["id"] for zone in self.zones()]
            name = self._class.__name__
            findings = [Finding("credentials", True, f"{name}: {len(zones)} zones")]
            if not self._writes:
                findings.append(Finding("to write", True, f"{name} only reads: it can be a source"))
            if not self.servers:
                said = "octoDNS leaves out record types its provider does not know; options.servers shows them"
                findings.append(Finding("to see everything", True, said))
            return findings
        except MigratorError as err:
            return [Finding("credentials", False, str(err))]


def _equal(here: RecordSet | None, other: RecordSet | None) -> bool:
    if here is None or other is None:
        return here is other
    return (here.values, here.ttl) == (other.values, other.ttl)
