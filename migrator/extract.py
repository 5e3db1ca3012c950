"""The first long run: records into the stage through dlt, whole, page and cursor durable together; then the bytes.

Measured (vendor facts, libraries.md, 2026-11-22): one Arrow table a page, bodies split off unparsed and merged on their
id, costs a 67th of the CPU of dlt's default; only short runs are durable: one takes a ``CHUNK``, again and again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from migrator.blobs import stops, waits
from migrator.compile import canonical_sql, name
from migrator.connector import Raw, Source
from migrator.errors import (
    ForbiddenError,
    MigratorError,
    StoppedError,
    TruncatedError,
    disk_trouble,
)
from migrator.kinds import Kinds
from migrator.mapping import Mapping as VendorMapping
from migrator.mapping import Variant
from migrator.snapshot import Landing, Resource, Rows, Snapshot
from migrator.stage import Stage
from migrator.vault import Vault
from migrator.workspace import Workspace

log = logging.getLogger(__name__)

WHOLE = "__whole"  # beside a stream's table: which lists were read whole, {parent: ids}, as of which change of it
PIECE = 10_000  # ids of a list in one row; a longer one lies in several, and its own row says in how many


@dataclass(frozen=True)
class Chunk:
    """What one run takes before it becomes durable: so many pages and as long as ``seconds``, whichever is more, but
    no more than ``most_seconds`` or ``most_bytes``. What a death may cost is read again."""

    pages: int = 20
    seconds: float = 3.0  # a run costs 0.15 to 0.25 CPU s of its own
    most_seconds: float = 60.0  # at Zendesk's ten exports a minute pages alone would take two minutes
    most_bytes: int = 2**26  # of bodies; they lie in memory and on the disk meanwhile
    eager: bool = False  # also before the quota keeps the next page waiting

    def full(self, pages: int, seconds: float, size: int) -> bool:
        """Tell whether so much is enough."""
        enough = pages >= self.pages and seconds >= self.seconds
        return enough or seconds >= self.most_seconds or size >= self.most_bytes


CHUNK = Chunk()
Progress = Callable[[str, int], None]  # (stream, records so far this run)


@dataclass(frozen=True)
class Extracted:
    """What one extract brought: rows by stream, what the vendor counts, and the answers to optional streams refused."""

    rows: Mapping[str, int]
    counted: Mapping[str, int]
    bytes_failed: int = 0
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mended: int = 0  # answers of this run with something in them that is no text


class Arrivals:
    """What an extract under way has brought to a durable end, for those who use the stage meanwhile.

    ``turn`` is held while rows arrive: who holds it sees every kind as of one moment. ``done``: streams that are at
    their end; ``until``: of a stream in order of time, up to when it is. ``news`` is set whenever something arrived,
    which has happened so many ``times``.
    """

    def __init__(self) -> None:
        self.turn, self.news = threading.RLock(), threading.Event()
        self.done: frozenset[str] = frozenset()
        self.until: Mapping[str, str] = {}
        self.times = 0

    def reached(self, states: Mapping[str, Mapping[str, Any]], current: int) -> None:
        """Note how far the streams are in this round."""
        ours = {stream: state for stream, state in states.items() if state.get("round") == current}
        self.done = frozenset(stream for stream, state in ours.items() if state.get("done"))
        self.until = {stream: str(state["until"]) for stream, state in states.items() if state.get("until")}
        self.times += 1
        self.news.set()


def extract(
    source: Source,
    workspace: Workspace,
    *,
    dataset: str = "raw",
    streams: Iterable[str] | None = None,
    progress: Progress = lambda stream, records: None,
    chunk: Chunk = CHUNK,
    view: Collection[str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    expects: Callable[[Mapping[str, int]], None] = lambda records: None,
    arrivals: Arrivals | None = None,
    anew: bool = False,
) -> Extracted:
    """Bring the streams into ``dataset``. A killed extract goes on from its last durable page when called again.

    ``anew``: into a dataset that the caller has emptied, and after a death from the beginning.

    ``view``: the streams whose listed records are looked at one by one (all of them that the manifest says so).
    ``expects`` is told, before the reading, how many records the vendor counts beyond those that are here.
    Raises TruncatedError where the vendor itself counts more records than arrived.
    """
    wanted = list(streams) if streams is not None else source.streams()
    arrivals = arrivals or Arrivals()
    workspace.folder.mkdir(parents=True, exist_ok=True)
    # The stage is held to the end: opening and closing it again costs 40 ms of CPU.
    with Stage(workspace.stage) as stage, _landing(workspace, stage, dataset, anew=anew) as landing:
        with _ours_told():
            with arrivals.turn:
                landing.resume()
            counted = _counted(source, wanted)
            if counted:
                expects({stream: count - stage.count(dataset, stream) for stream, count in counted.items()})
            _round(landing, source, stage, dataset, wanted, chunk, view, progress, arrivals, workspace.vault)
            short = _short(stage, dataset, counted)
            if short and (lag := max(_lag(source, stream) for stream in short)):
                # What changed a moment ago is counted but not handed over yet: ask once more when it is.
                sleep(lag + 1)
                _round(landing, source, stage, dataset, list(short), chunk, view, progress, arrivals, workspace.vault)
                short = _short(stage, dataset, counted)
        if short:
            lines = ", ".join(f"{stream}: {rows} of {count}" for stream, (rows, count) in short.items())
            raise TruncatedError(f"{source.vendor} counts more records than it handed over ({lines}); extract again")
        own, there = [s for s in wanted if not _into(source, s)], stage.tables_of(dataset)
        for stream in own:
            if stream not in there:
                stage.raw(dataset, stream)  # of a stream without records too
        counts = stage.counts(dataset)
        rows = {stream: counts[stream] for stream in own}
        states = landing.states()
    refused = {s: str(said["refused"]) for s, said in states.items() if s in wanted and said.get("refused")}
    client = getattr(source, "client", None)
    return Extracted(rows, counted, refused=refused, mended=client.mended if client else 0)


def _landing(workspace: Workspace, stage: Stage, dataset: str, *, anew: bool) -> AbstractContextManager[Landing]:
    if anew:
        return nullcontext(Snapshot(stage, dataset))
    from migrator.landing import durable

    return durable(workspace, stage, dataset)


@contextmanager
def _ours_told() -> Iterator[None]:
    """Let our own errors out from under dlt's, and a full disk by its name."""
    try:
        yield
    except MigratorError:
        raise
    except Exception as err:
        cause = _cause(err)
        if cause is not None:
            raise cause from err
        trouble = disk_trouble(err)
        if trouble is not None:
            raise trouble from err
        raise


def _round(
    landing: Landing,
    source: Source,
    stage: Stage,
    dataset: str,
    wanted: list[str],
    chunk: Chunk,
    view: Collection[str] | None,
    progress: Progress,
    arrivals: Arrivals,
    vault: Vault,
) -> None:
    """Bring every stream to its end: the rest of a round that was cut off, or, where that was finished, a new one."""
    begun = landing.states()
    rounds = {stream: int(begun.get(stream, {}).get("round", 0)) for stream in wanted}
    current = max(rounds.values())
    if min(rounds.values()) == current and all(begun.get(stream, {}).get("done") for stream in wanted):
        current += 1
    current = max(1, current)
    arrivals.reached(begun, current)  # what a round that was cut off has brought is here
    restart = {stream for stream in wanted if rounds[stream] != current}
    follows = {s for s in wanted if _goes_on(begun.get(_parent(source, s) or "", {}))}
    _empty(stage, dataset, [s for s in restart - follows if begun.get(s) and not _goes_on(begun[s])])
    seen: dict[str, int] = {}
    for rank in _ranks(source, wanted):
        due = _due(stage, dataset, source, rank)
        while True:
            if stops(source):
                raise StoppedError("stopped between two pages")
            states = landing.states()
            open_streams = [s for s in rank if s in restart or not states.get(s, {}).get("done")]
            if not open_streams:
                break

            def staged(stream: str) -> dict[str, str | None]:
                return _staged(stage, dataset, stream)

            resources = [
                _resource(
                    landing, source, stream, due.get(stream, {}), staged, current, chunk, seen, progress, view, vault
                )
                for stream in open_streams
            ]
            landing.bring(resources)
            with arrivals.turn:
                landing.settle()
                arrivals.reached(landing.states(), current)
            restart -= set(open_streams)
    with arrivals.turn:
        _tidy(stage, dataset, source, wanted)


def _goes_on(state: Mapping[str, Any]) -> bool:
    """Tell whether a stream's cursor brings what changed since, so that its rows stay."""
    cursor = state.get("cursor") or {}
    params = cursor.get("params") or {}
    return bool(cursor.get("goes_on")) or "cursor" in params or "start_time" in params


def _empty(stage: Stage, dataset: str, streams: list[str]) -> None:
    there = stage.tables_of(dataset)
    for table in (each for stream in streams for each in (stream, stream + WHOLE) if each in there):
        stage.run(f"DELETE FROM {stage.raw(dataset, table)}")


def _ranks(source: Source, wanted: list[str]) -> list[list[str]]:
    """Return the streams in groups, each after its parents."""
    parent = {stream: _parent(source, stream) for stream in wanted}

    def depth(stream: str | None) -> int:
        return 0 if stream is None or stream not in parent else 1 + depth(parent[stream])

    depths = {stream: depth(stream) for stream in wanted}
    return [[s for s in wanted if depths[s] == d] for d in sorted(set(depths.values()))]


def _parent(source: Source, stream: str) -> str | None:
    manifest = getattr(source, "manifest", None)
    return manifest.streams[stream].parent if manifest else None


def _into(source: Source, stream: str) -> str | None:
    manifest = getattr(source, "manifest", None)
    return manifest.streams[stream].into if manifest else None


def _staged(stage: Stage, dataset: str, stream: str) -> dict[str, str | None]:
    """Return the staged records of a stream: {id: date of change}, in order."""
    if stream not in stage.tables_of(dataset):
        return {}
    return dict(stage.rows(f"SELECT id, updated_at FROM {stage.raw(dataset, stream)} ORDER BY length(id), id"))


def _due(stage: Stage, dataset: str, source: Source, rank: list[str]) -> dict[str, dict[str, str | None]]:
    """Return each stream's parents, {id: date of change}, that are new or changed since its list was read."""
    due: dict[str, dict[str, str | None]] = {}
    for stream in rank:
        parent = _parent(source, stream)
        if not parent:
            continue
        read = stream + WHOLE in stage.tables_of(dataset)
        relation = stage.raw(dataset, parent)
        unread = (
            f" WHERE NOT EXISTS (SELECT 1 FROM {stage.raw(dataset, stream + WHOLE)} w WHERE w.id = p.id "
            "AND w.updated_at IS NOT DISTINCT FROM p.updated_at)"
        )
        due[stream] = dict(
            stage.rows(f"SELECT id, updated_at FROM {relation} p{unread if read else ''} ORDER BY length(id), id")
        )
    return due


def _marks(lists: Mapping[str, Iterable[str]], changed: Mapping[str, str | None]) -> Iterator[list[Raw]]:
    """Yield rows that say what lists hold: a short one's ids in its own row; of a long one the pieces, each a row
    beneath it, and then their number in its own. What is left of a list that was longer lies beyond that number."""
    short: list[Raw] = []
    for id, held in lists.items():
        ids, number = iter(held), 0
        piece = list(islice(ids, PIECE))
        if len(piece) < PIECE:
            short.append(Raw(id, json.dumps(piece).encode(), changed.get(id)))
            continue
        while piece:
            yield [Raw(f"{id}\n{number}", json.dumps(piece).encode(), parent=id)]
            piece, number = list(islice(ids, PIECE)), number + 1
        yield [Raw(id, str(number).encode(), changed.get(id))]
    if short:
        yield short


def _tidy(stage: Stage, dataset: str, source: Source, wanted: list[str]) -> None:
    """Take out records that a list read whole no longer holds, and those whose parent is gone."""
    tables = stage.tables_of(dataset)
    for stream in wanted:
        parent = _parent(source, stream)
        if parent and {stream, stream + WHOLE, parent} <= tables:
            rows, whole, parents = (stage.raw(dataset, s) for s in (stream, stream + WHOLE, parent))
            stage.run(f"DELETE FROM {rows} WHERE parent NOT IN (SELECT id FROM {parents})")
            current = f"{whole} w JOIN {parents} p ON p.id = w.id AND w.updated_at IS NOT DISTINCT FROM p.updated_at"
            short = f"{current} AND w.body LIKE '[%'"
            stage.run(
                f"DELETE FROM {rows} WHERE parent IN (SELECT w.id FROM {short}) AND (parent, id) NOT IN "
                f"(SELECT (w.id, unnest(from_json(w.body, '[\"VARCHAR\"]'))) FROM {short})"
            )
            long = stage.rows(f"SELECT w.id, CAST(w.body AS INTEGER) FROM {current} AND w.body NOT LIKE '[%'")
            for id, pieces in long:
                _tidy_long(stage, rows, whole, id, pieces)


def _tidy_long(stage: Stage, rows: str, whole: str, parent: str, pieces: int) -> None:
    """Take out the records of one parent that its long list no longer holds; a piece at a time is in memory."""
    stage.run("CREATE OR REPLACE TEMP TABLE held (id VARCHAR)")
    for number in range(pieces):
        ids = f"SELECT unnest(from_json(body, '[\"VARCHAR\"]')) FROM {whole} WHERE id = ?"
        stage.run(f"INSERT INTO held {ids}", f"{parent}\n{number}")
    stage.run(f"DELETE FROM {rows} WHERE parent = ? AND id NOT IN (SELECT id FROM held)", parent)
    stage.run("DROP TABLE held")


def _resource(
    landing: Landing,
    source: Source,
    stream: str,
    due: dict[str, str | None],
    staged: Callable[[str], dict[str, str | None]],
    current: int,
    chunk: Chunk,
    seen: dict[str, int],
    progress: Progress,
    view: Collection[str] | None,
    vault: Vault,
) -> Resource:
    """Return a ``chunk`` of one stream, with the cursor in its state. What came along for other streams goes into their
    tables, durable together with the rest."""
    manifest = getattr(source, "manifest", None)
    spec = manifest.streams[stream] if manifest else None
    parent = spec.parent if spec else None

    table = (spec.into if spec else None) or stream

    def ids(of: str) -> dict[str, str | None]:
        return due if of == parent else staged(of)

    def pages() -> Iterator[Rows]:
        state = landing.state(stream)
        if state.get("round") != current:
            state["round"], state["done"], state["refused"] = current, False, None
            if not _goes_on(state):
                state["cursor"] = None
        how = {} if view is None or stream in view else {"view": False}
        try:
            began, size = time.monotonic(), 0
            for number, page in enumerate(source.pages(stream, state.get("cursor"), ids, **how), 1):
                for other, records in page.also.items():
                    if records:
                        yield other, _sealed(vault, source, other, records)
                here = {record.id: record.updated_at for record in page.records}
                for other, lists in page.whole.items():
                    for marks in _marks(lists, ChainMap(here, due)):
                        yield other + WHOLE, marks
                state["cursor"], state["done"] = page.cursor, page.done
                state["until"] = page.until or state.get("until")
                seen[stream] = seen.get(stream, 0) + len(page.records)
                progress(stream, seen[stream])
                yield table, _sealed(vault, source, stream, page.records)
                size += sum(len(record.body) for record in page.records)
                full = chunk.full(number, time.monotonic() - began, size) or (chunk.eager and waits(source))
                if full or stops(source):
                    return
        except StoppedError:
            return  # the pages that came are kept: the next round of this run finds out that there is to be none
        except ForbiddenError as err:
            if not (spec and spec.optional):
                raise
            log.warning("stream refused", extra={"stream": stream, "answer": err.answer})
            state["refused"], state["done"] = err.answer or str(err), True
            yield table, []

    return Resource(stream, table, pages)


def _cause(err: BaseException | None) -> MigratorError | None:
    """Return our own error from under dlt's."""
    while err is not None:
        if isinstance(err, MigratorError):
            return err
        err = err.__cause__ or err.__context__
    return None


def _counted(source: Source, streams: list[str]) -> dict[str, int]:
    """Return what the vendor itself counts, taken before the reading begins."""
    return {stream: count for stream in streams if (count := source.count(stream)) is not None}


def _short(stage: Stage, dataset: str, counted: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return (rows, vendor's count) of the streams that brought fewer than the vendor counted."""
    rows = {stream: stage.count(dataset, stream) for stream in counted}
    return {stream: (rows[stream], count) for stream, count in counted.items() if rows[stream] < count}


def _sealed(vault: Vault, source: Source, stream: str, records: list[Raw]) -> list[Raw]:
    """Return records with their secrets sealed: nothing of them touches a disk before."""
    manifest = getattr(source, "manifest", None)
    paths = manifest.streams[stream].sealed if manifest else ()
    if not paths:
        return records
    return [dataclasses.replace(record, body=vault.sealed(record.body, paths)) for record in records]


def _lag(source: Source, stream: str) -> int:
    manifest = getattr(source, "manifest", None)
    return int(manifest.streams[stream].lag_seconds) if manifest else 0


def _relation(relations: Mapping[str, str], variant: Variant) -> str:
    return relations[variant.stream]


def canonicalize(
    stage: Stage, kinds: Kinds, mapping: VendorMapping, *, raw: str, into: str, only: Collection[str] | None = None
) -> None:
    """Read the staged bodies of ``raw`` into the canonical tables of ``into``, and note what could not be read.

    ``only`` these kinds, where not all are wanted.
    """
    from migrator.compile import problems_sql

    stage.schema(into, fresh=True)
    stage.run(f"CREATE TABLE {into}.problem (kind VARCHAR, id VARCHAR, field VARCHAR, raw VARCHAR)")
    filled = stage.filled(raw)
    for kind_name in kinds.in_order():
        if only is not None and kind_name not in only:
            continue
        kind, variants = kinds.kinds[kind_name], mapping.read(kind_name)
        relation = f"{into}.{name(kind_name)}"
        # Half the time of a small account went to reading what has no rows.
        variants = tuple(variant for variant in variants if variant.stream in filled)
        if not variants:
            stage.run(f"CREATE TABLE {relation} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
            continue
        relations = {variant.stream: stage.raw(raw, variant.stream) for variant in variants}
        sql = canonical_sql(kind, variants, partial(_relation, relations), f"{into}.custom_field")
        stage.run(f"CREATE TABLE {relation} AS SELECT * FROM ({sql}) WHERE id IS NOT NULL")
        if stage.one(f"SELECT count(*) <> count(DISTINCT id) FROM {relation}"):
            # The same record twice in one list: the first by value stays, so that a plan is the same each time.
            stage.run(f"CREATE OR REPLACE TABLE {relation} AS SELECT DISTINCT ON (id) * FROM {relation} ORDER BY ALL")
        for variant in variants:
            problems = problems_sql(kind, variant, relations[variant.stream])
            if problems:
                stage.run(f"INSERT INTO {into}.problem SELECT ?, id, field, raw FROM ({problems})", kind_name)
        for label, field in kind.fields.items():
            if field.type == "blob" and raw in stage.tables_of("blobs"):
                stage.run(
                    f"UPDATE {relation} SET {name(label)} = b.digest FROM blobs.{name(raw)} b "
                    f"WHERE b.id = {relation}.id AND b.digest IS NOT NULL"
                )
