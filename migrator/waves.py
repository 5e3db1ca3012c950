"""Which records have arrived whole while an extract is under way: a wave takes these, and leaves the rest to the next.

A record at the top (a ticket) is whole when each list of what lives inside it (its messages) was read to its end as of
its last change, and the bytes that its files name are here, or cannot be had. Everything it may refer to comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from migrator import kin
from migrator.blobs import with_bytes
from migrator.compile import name, quoted
from migrator.connector import Source
from migrator.extract import WHOLE, Arrivals, canonicalize
from migrator.kinds import Kinds
from migrator.manifest import Manifest
from migrator.mapping import Mapping
from migrator.stage import Stage

WAITS = "not read whole yet: it comes with a later wave"
ASIDE = "refused in an earlier wave: it is tried again with the last one"
WAITING = "waves.waiting"
HERE = "here"  # the schema in which files and what holds them are looked at between waves


@dataclass
class Wave:
    """What the next wave may take. ``last``: the extract is at its end, so nothing waits any more."""

    arrivals: Arrivals
    source: Source
    manifest: Manifest
    mapping: Mapping
    kinds: Kinds
    last: bool = False
    aside: list[tuple[str, str]] = field(default_factory=list)  # (kind, id) of what earlier waves were refused
    _seen: int = -1

    @property
    def ready(self) -> bool:
        """Tell whether all has arrived that a ticket may refer to."""
        grow = {stream for stream, lists in self._tops() for stream in (stream, *lists)}
        grow |= {stream for stream, spec in self.manifest.streams.items() if spec.into in grow}
        return all(stream in self.arrivals.done for stream in self.source.streams() if stream not in grow)

    def listed(self, stage: Stage) -> tuple[int, int]:
        """Return how many records at the top have all their lists, and how many there are."""
        found = [0, 0]
        for stream, lists in self._tops():
            if stream in stage.tables_of("raw"):
                test, rows = self._whole(stage, lists), stage.raw("raw", stream)
                whole, listed = stage.rows(f"SELECT count(*) FILTER ({test}), count(*) FROM {rows} p")[0]
                found = [found[0] + whole, found[1] + listed]
        return found[0], found[1]

    def here(self, stage: Stage) -> int:
        """Return how many of them have their bytes too. Reads what holds files anew where something has arrived."""
        files = with_bytes(self.kinds)
        if self._seen != self.arrivals.times:
            self._seen = self.arrivals.times
            canonicalize(stage, self.kinds, self.mapping, raw="raw", into=HERE, only=self._chain(files))
        waits = ["SELECT NULL AS id", *(ids for _, ids in self._waiting(stage, HERE))]
        return self.listed(stage)[1] - int(stage.one(f"SELECT count(DISTINCT id) FROM ({' UNION ALL '.join(waits)})"))

    def _chain(self, kinds: Iterable[str]) -> set[str]:
        """Return the kinds and those they live inside, up to the top, which is left out."""
        found: set[str] = set()
        for kind_name in kinds:
            while self.kinds.kinds[kind_name].owner:
                found.add(kind_name)
                kind_name = self.kinds.kinds[kind_name].owner_kind
        return found

    def wait(self, stage: Stage) -> str | None:
        """Make the relation of the records that a plan made now must leave out; None where it need leave out none."""
        stage.schema("waves", fresh=True)
        stage.run(f"CREATE TABLE {WAITING} (kind VARCHAR, id VARCHAR, reason VARCHAR)")
        if self.last:
            return None
        for kind_name, ids in self._waiting(stage, "canonical"):
            stage.run(f"INSERT INTO {WAITING} SELECT DISTINCT {quoted(kind_name)}, id, ? FROM ({ids})", WAITS)
        stage.insert(WAITING, [[kind, id, ASIDE] for kind, id in self.aside])
        self._with_those_they_name(stage)
        return WAITING

    def _with_those_they_name(self, stage: Stage) -> None:
        """Let what names a record of its own kind (an incident its problem) wait as long as that one."""
        for kind_name, kind in self.kinds.kinds.items():
            relation = f"canonical.{name(kind_name)}"
            own = kin.of_own(self.kinds, kind_name)
            if kind.owner or not own or kind_name not in stage.tables_of("canonical"):
                continue
            waits = f"SELECT id FROM {WAITING} WHERE kind = {quoted(kind_name)}"
            here = f"SELECT id FROM {relation} WHERE id NOT IN ({waits})"
            edges = " UNION ALL ".join(kin.edges_of(label, self.kinds, kind_name, relation) for label in own)
            ids = f"SELECT DISTINCT id FROM ({edges}) WHERE other NOT IN ({here}) AND id NOT IN ({waits})"
            while stage.one(f"SELECT count(*) FROM ({ids})"):
                stage.run(f"INSERT INTO {WAITING} SELECT {quoted(kind_name)}, id, ? FROM ({ids})", WAITS)

    def _waiting(self, stage: Stage, schema: str) -> Iterator[tuple[str, str]]:
        """Yield (kind at the top, ids) of what is not whole, its files looked for in ``schema``."""
        yield from self._unread(stage)
        yield from self._without_bytes(schema)

    def _tops(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each stream that is read with lists of its own, and those lists."""
        read = self.source.streams()
        for stream in read:
            specs = self.manifest.streams
            lists = [s for s in read if specs[s].parent == stream and not specs[s].into]
            if lists:
                yield stream, lists

    def _whole(self, stage: Stage, lists: Iterable[str]) -> str:
        """Return the SQL test for a row ``p`` of a stream whose lists are all here, as of its last change."""
        tables, tests = stage.tables_of("raw"), ["TRUE"]
        for each in lists:
            if each in self.arrivals.done:
                continue
            some = []
            if each + WHOLE in tables:
                marks = stage.raw("raw", each + WHOLE)
                same = "w.updated_at IS NOT DISTINCT FROM p.updated_at"
                some.append(f"EXISTS (SELECT 1 FROM {marks} w WHERE w.id = p.id AND {same})")
            if each in self.arrivals.until:
                moment = quoted(self.arrivals.until[each])
                some.append(
                    f"COALESCE(TRY_CAST(p.updated_at AS TIMESTAMPTZ) < TRY_CAST({moment} AS TIMESTAMPTZ), FALSE)"
                )
            tests.append(f"({' OR '.join(some) or 'FALSE'})")
        return " AND ".join(tests)

    def _unread(self, stage: Stage) -> Iterator[tuple[str, str]]:
        """Yield (kind, ids) of what is at the top and not whole."""
        tops = dict(self._tops())
        for kind_name, variants in self.mapping.kinds.items():
            if self.kinds.kinds[kind_name].owner:
                continue
            for variant in variants:
                if variant.stream in tops:
                    rows = f"SELECT p.id FROM {stage.raw('raw', variant.stream)} p"
                    ids = f"{rows} WHERE NOT ({self._whole(stage, tops[variant.stream])})"
                    yield kind_name, f"SELECT {quoted(variant.prefix)} || id AS id FROM ({ids})"

    def _without_bytes(self, schema: str) -> Iterator[tuple[str, str]]:
        """Yield (kind at the top, ids) of what holds a file, in a schema, whose bytes were not asked for yet."""
        for kind_name in with_bytes(self.kinds):
            kind, relation = self.kinds.kinds[kind_name], f"{schema}.{name(kind_name)}"
            tried = "SELECT 1 FROM blobs.raw b WHERE b.id = a.id"
            wanted = f"FROM {relation} a WHERE a.url IS NOT NULL AND NOT EXISTS ({tried})"
            ids = f"SELECT {name(kind.owner or 'id')} AS id {wanted}"
            while kind.owner and (above := self.kinds.kinds[kind.owner_kind]).owner:
                ids = f"SELECT {name(above.owner)} AS id FROM {schema}.{name(kind.owner_kind)} WHERE id IN ({ids})"
                kind = above
            yield kind.owner_kind or kind_name, ids
