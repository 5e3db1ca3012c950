"""The first long run: records into the stage through dlt, whole, page and cursor durable together; then the bytes.

Measured (vendor facts, libraries.md, 2026-11-22): one Arrow table a page, bodies split off unparsed and merged on their
id, costs a 67th of the CPU of dlt's default; only short runs are durable: one takes ``CHUNK`` pages, again and again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrator.compile import canonical_sql, name
from migrator.connector import Page, Source
from migrator.errors import MigratorError, TruncatedError, VendorError, WorkspaceError
from migrator.kinds import Kinds
from migrator.mapping import Mapping as VendorMapping
from migrator.project import Workspace
from migrator.stage import Stage

log = logging.getLogger(__name__)

CHUNK = 20  # pages a run; a run costs about 0.3 s of its own
Progress = Callable[[str, int], None]  # (stream, records so far this run)


@dataclass(frozen=True)
class Extracted:
    """What one extract brought: rows by stream, and streams whose vendor counts more than it handed over."""

    rows: Mapping[str, int]
    counted: Mapping[str, int]
    bytes_failed: int = 0


def extract(
    source: Source,
    workspace: Workspace,
    *,
    dataset: str = "raw",
    streams: Iterable[str] | None = None,
    progress: Progress = lambda stream, records: None,
    chunk: int = CHUNK,
    view: Collection[str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Extracted:
    """Bring the streams into ``dataset``. A killed extract goes on from its last durable page when called again.

    ``view``: the streams whose listed records are looked at one by one (all of them that the manifest says so).
    Raises TruncatedError where the vendor itself counts more records than arrived.
    """
    wanted = list(streams) if streams is not None else source.streams()
    dlt = _dlt(workspace)
    pipeline = dlt.pipeline(
        pipeline_name=dataset,
        pipelines_dir=str(workspace.folder / ".dlt"),
        destination=dlt.destinations.duckdb(str(workspace.stage)),
        dataset_name=dataset,
    )
    try:
        pipeline.sync_destination()
        if pipeline.has_pending_data:
            pipeline.load(loader_file_format="parquet")
        counted = _counted(source, wanted)
        _round(pipeline, dlt, source, workspace, dataset, wanted, chunk, view, progress)
        short = _short(workspace, dataset, counted)
        if short and (lag := max(_lag(source, stream) for stream in short)):
            # What changed a moment ago is counted but not handed over yet: ask once more when it is.
            sleep(lag + 1)
            _round(pipeline, dlt, source, workspace, dataset, list(short), chunk, view, progress)
            short = _short(workspace, dataset, counted)
    except MigratorError:
        raise
    except Exception as err:
        cause = _cause(err)
        if cause is not None:
            raise cause from err
        if isinstance(err, OSError) or "No space left" in str(err):
            raise WorkspaceError(f"the workspace cannot be written: {err}") from err
        raise
    if short:
        lines = ", ".join(f"{stream}: {rows} of {count}" for stream, (rows, count) in short.items())
        raise TruncatedError(f"{source.vendor} counts more records than it handed over ({lines}); extract again")
    with Stage(workspace.stage) as stage:
        rows = {s: int(stage.one(f"SELECT count(*) FROM {stage.raw(dataset, s)}")) for s in wanted}
    return Extracted(rows, counted)


def _round(
    pipeline: Any,
    dlt: Any,
    source: Source,
    workspace: Workspace,
    dataset: str,
    wanted: list[str],
    chunk: int,
    view: Collection[str] | None,
    progress: Progress,
) -> None:
    """Bring every stream to its end: the rest of a round that was cut off, or, where that was finished, a new one."""
    begun = _states(pipeline)
    rounds = {stream: int(begun.get(stream, {}).get("round", 0)) for stream in wanted}
    current = max(rounds.values())
    if min(rounds.values()) == current and all(begun.get(stream, {}).get("done") for stream in wanted):
        current += 1
    current = max(1, current)
    restart = {stream for stream in wanted if rounds[stream] != current}
    _empty(workspace, dataset, [s for s in restart if begun.get(s) and not _goes_on(begun[s])])
    seen: dict[str, int] = {}
    for rank in _ranks(source, wanted):
        parents = _parents(workspace, dataset, source, rank)
        while True:
            states = _states(pipeline)
            open_streams = [s for s in rank if s in restart or not states.get(s, {}).get("done")]
            if not open_streams:
                break
            resources = [
                _resource(dlt, source, stream, parents, current, seen, progress, view).add_limit(chunk)
                for stream in open_streams
            ]
            pipeline.run(resources, loader_file_format="parquet")
            restart -= set(open_streams)


def _dlt(workspace: Workspace) -> Any:
    """Import dlt, silent and at home in the workspace."""
    workspace.folder.mkdir(parents=True, exist_ok=True)
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
    os.environ["DLT_DATA_DIR"] = str(workspace.folder / ".dlt")
    import dlt

    return dlt


def _states(pipeline: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for source in pipeline.state.get("sources", {}).values():
        found.update(source.get("resources", {}))
    return found


def _goes_on(state: Mapping[str, Any]) -> bool:
    """Tell whether a stream's cursor brings what changed since, so that its rows stay."""
    params = (state.get("cursor") or {}).get("params") or {}
    return "cursor" in params or "start_time" in params


def _empty(workspace: Workspace, dataset: str, streams: list[str]) -> None:
    if not streams:
        return
    with Stage(workspace.stage) as stage:
        for stream in streams:
            stage.run(f"DELETE FROM {stage.raw(dataset, stream)}")


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


def _parents(workspace: Workspace, dataset: str, source: Source, rank: list[str]) -> dict[str, list[str]]:
    needed = {parent for stream in rank if (parent := _parent(source, stream))}
    if not needed:
        return {}
    with Stage(workspace.stage) as stage:
        return {
            parent: [
                row[0] for row in stage.rows(f"SELECT id FROM {stage.raw(dataset, parent)} ORDER BY length(id), id")
            ]
            for parent in needed
        }


def _resource(
    dlt: Any,
    source: Source,
    stream: str,
    parents: Mapping[str, list[str]],
    current: int,
    seen: dict[str, int],
    progress: Progress,
    view: Collection[str] | None,
) -> Any:
    """Return dlt's resource of one stream: Arrow tables of (id, parent, updated_at, body), the cursor in its state."""
    columns = {
        "id": {"data_type": "text", "nullable": False, "primary_key": True},
        "parent": {"data_type": "text"},
        "updated_at": {"data_type": "text"},
        "body": {"data_type": "json"},
    }

    def pages() -> Iterator[Any]:
        state = dlt.current.resource_state(stream)
        if state.get("round") != current:
            state["round"], state["done"] = current, False
            if not _goes_on(state):
                state["cursor"] = None
        how = {} if view is None or stream in view else {"view": False}
        for page in source.pages(stream, state.get("cursor"), lambda parent: parents.get(parent, []), **how):
            # Before the yield: what follows it does not run when the chunk ends there.
            state["cursor"], state["done"] = page.cursor, page.done
            seen[stream] = seen.get(stream, 0) + len(page.records)
            progress(stream, seen[stream])
            yield arrow(page)

    return dlt.resource(
        pages,
        name=stream,
        columns=columns,
        primary_key="id",
        write_disposition="merge",
        schema_contract={"tables": "evolve", "columns": "freeze", "data_type": "freeze"},
    )


def arrow(page: Page) -> Any:
    """Return a page as an Arrow table, bodies as text."""
    import pyarrow as pa

    return pa.table(
        {
            "id": pa.array([record.id for record in page.records], pa.string()),
            "parent": pa.array([record.parent for record in page.records], pa.string()),
            "updated_at": pa.array([record.updated_at for record in page.records], pa.string()),
            "body": pa.array([record.body for record in page.records], pa.binary()).cast(pa.string()),
        }
    )


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


def _short(workspace: Workspace, dataset: str, counted: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return (rows, vendor's count) of the streams that brought fewer than the vendor counted."""
    if not counted:
        return {}
    with Stage(workspace.stage) as stage:
        rows = {s: int(stage.one(f"SELECT count(*) FROM {stage.raw(dataset, s)}")) for s in counted}
    return {stream: (rows[stream], count) for stream, count in counted.items() if rows[stream] < count}


def _lag(source: Source, stream: str) -> int:
    manifest = getattr(source, "manifest", None)
    return int(manifest.streams[stream].lag_seconds) if manifest else 0


def canonicalize(stage: Stage, kinds: Kinds, mapping: VendorMapping, *, raw: str, into: str) -> None:
    """Read the staged bodies of ``raw`` into the canonical tables of ``into``, and note what could not be read."""
    from migrator.compile import problems_sql

    stage.schema(into, fresh=True)
    stage.run(f"CREATE TABLE {into}.problem (kind VARCHAR, id VARCHAR, field VARCHAR, raw VARCHAR)")
    for kind_name in kinds.in_order():
        kind, variants = kinds.kinds[kind_name], mapping.kinds.get(kind_name, ())
        relation = f"{into}.{name(kind_name)}"
        if not variants:
            stage.run(f"CREATE TABLE {relation} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
            continue
        relations = {variant.stream: stage.raw(raw, variant.stream) for variant in variants}
        sql = canonical_sql(kind, variants, lambda v, r=relations: r[v.stream], f"{into}.custom_field")  # type: ignore[misc]
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


def download(
    source: Source,
    workspace: Workspace,
    kinds: Kinds,
    *,
    canonical: str,
    dataset: str,
    workers: int = 4,
    progress: Progress = lambda stream, records: None,
) -> int:
    """Fetch the bytes of every record that has some into the blob store, named by sha256; return how many failed.

    Bytes that cannot be had are noted with the vendor's answer and do not stop the rest.
    """
    failed = 0
    with Stage(workspace.stage) as stage:
        stage.schema("blobs")
        stage.run(
            f"CREATE TABLE IF NOT EXISTS blobs.{name(dataset)} (id VARCHAR PRIMARY KEY, digest VARCHAR, size BIGINT, "
            "problem VARCHAR)"
        )
        for kind_name, kind in kinds.kinds.items():
            for label, field in kind.fields.items():
                if field.type != "blob":
                    continue
                relation = f"{canonical}.{name(kind_name)}"
                todo = stage.rows(
                    f"SELECT id, url FROM {relation} a WHERE url IS NOT NULL AND NOT EXISTS "
                    f"(SELECT 1 FROM blobs.{name(dataset)} b WHERE b.id = a.id AND b.digest IS NOT NULL) "
                    "ORDER BY length(id), id"
                )
                with ThreadPoolExecutor(workers) as pool:
                    for at, found in enumerate(pool.map(lambda row: _fetch(source, workspace, row), todo), 1):
                        stage.run(f"INSERT OR REPLACE INTO blobs.{name(dataset)} VALUES (?, ?, ?, ?)", *found)
                        failed += found[1] is None
                        progress(f"{kind_name} bytes", at)
                stage.run(
                    f"UPDATE {relation} SET {name(label)} = b.digest FROM blobs.{name(dataset)} b "
                    f"WHERE b.id = {relation}.id AND b.digest IS NOT NULL"
                )
    return failed


def _fetch(
    source: Source, workspace: Workspace, row: tuple[str, str]
) -> tuple[str, str | None, int | None, str | None]:
    id, url = row
    workspace.blobs.mkdir(parents=True, exist_ok=True)
    for attempt in (1, 2):
        handle, part = tempfile.mkstemp(dir=workspace.blobs, prefix="part-")
        digest, size = hashlib.sha256(), 0
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in source.blob(url):
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                file.flush()
                os.fsync(file.fileno())
            home = workspace.blob(digest.hexdigest())
            home.parent.mkdir(exist_ok=True)
            Path(part).replace(home)
            return id, digest.hexdigest(), size, None
        except VendorError as err:
            Path(part).unlink(missing_ok=True)
            if attempt == 2:
                return id, None, None, str(err)
        except OSError as err:
            Path(part).unlink(missing_ok=True)
            raise WorkspaceError(f"attachments cannot be stored: {err}") from err
    raise AssertionError("unreachable")
