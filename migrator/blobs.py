"""The bytes of records, fetched into the content-addressed store: durable before they are noted, each content once."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from migrator.compile import name
from migrator.connector import Bundling, Joined, Source
from migrator.disk import names_kept
from migrator.errors import StoppedError, VendorError, WorkspaceError
from migrator.kinds import Kinds
from migrator.stage import Stage
from migrator.vault import MOST_BYTES
from migrator.workspace import Workspace

log = logging.getLogger(__name__)

NOTES = 50  # of bytes that came, in one commit
AT_ONCE = 20_000  # records whose addresses are in memory
BUNDLE = 200  # records whose bytes are asked for in one call, where the source can
HELD_BYTES = 2**20  # of one record, kept in memory until it is known whether the store has them
Fetched = tuple[str, str | None, int | None, str | None]  # id, digest, bytes, what went wrong
Progress = Callable[[str, int], None]  # (stream, records so far this run)


def stops(source: Any) -> bool:
    """Hold while the run is paused; tell whether a person wants it to end."""
    client = getattr(source, "client", None)
    return bool(client and client.pacer.cancelled())


def waits(source: Any) -> bool:
    """Tell whether the source's quota keeps the next call waiting."""
    client = getattr(source, "client", None)
    return client is not None and not client.pacer.fits()


def with_bytes(kinds: Kinds) -> list[str]:
    """Return the kinds whose records have bytes."""
    return [k for k, kind in kinds.kinds.items() if any(field.type == "blob" for field in kind.fields.values())]


def begin_download(stage: Stage, dataset: str) -> None:
    """Make sure of the table that notes which bytes were asked for, and what came."""
    stage.schema("blobs")
    stage.run(
        f"CREATE TABLE IF NOT EXISTS blobs.{name(dataset)} (id VARCHAR PRIMARY KEY, digest VARCHAR, size BIGINT, "
        "problem VARCHAR, url VARCHAR)"
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
        begin_download(stage, dataset)
        for kind_name in with_bytes(kinds):
            for label, field in kinds.kinds[kind_name].fields.items():
                if field.type != "blob":
                    continue
                relation = f"{canonical}.{name(kind_name)}"
                same = " AND b.url IS NOT DISTINCT FROM a.url" if field.versioned else ""
                missing = (
                    f"SELECT id, url FROM {relation} a WHERE url IS NOT NULL AND NOT EXISTS "
                    f"(SELECT 1 FROM blobs.{name(dataset)} b WHERE b.id = a.id AND b.digest IS NOT NULL{same})"
                )
                before = 0
                for todo in _pages(stage, missing):
                    giver = source.part(kind_name) if isinstance(source, Joined) else source
                    urls = dict(todo)
                    hands = min(workers, getattr(giver, "workers", workers))
                    with ThreadPoolExecutor(hands) as pool, _noting(stage, dataset, giver) as note:
                        came = _fetched(giver, workspace, todo, pool, secret=field.secret)
                        for at, found in enumerate(came, before + 1):
                            note((*found, urls[found[0]]))
                            failed += found[1] is None
                            progress(f"{kind_name} bytes", at)
                    before += len(todo)
                stage.run(
                    f"UPDATE {relation} SET {name(label)} = b.digest FROM blobs.{name(dataset)} b "
                    f"WHERE b.id = {relation}.id AND b.digest IS NOT NULL"
                )
    return failed


def _pages(stage: Stage, missing: str) -> Iterator[list[tuple[str, str]]]:
    """Yield the records whose bytes are not here, so many that they fit in memory; one that failed, once."""
    after = ""
    while rows := stage.rows(
        f"SELECT id, url FROM ({missing}) WHERE (length(id), id) > (length(?), ?) ORDER BY length(id), id LIMIT ?",
        after,
        after,
        AT_ONCE,
    ):
        yield rows
        after = rows[-1][0]


@contextmanager
def _noting(stage: Stage, dataset: str, source: Source) -> Iterator[Callable[[tuple[Any, ...]], None]]:
    """Give what notes which bytes came, some at a time: a note is a commit. Those of the last second a death forgets,
    and their bytes are fetched again; nothing stays unnoted while the quota keeps the next."""
    notes: list[tuple[Any, ...]] = []
    noted = time.monotonic()

    def write() -> None:
        nonlocal noted
        stage.replace(f"blobs.{name(dataset)}", notes)
        notes.clear()
        noted = time.monotonic()

    def note(found: tuple[Any, ...]) -> None:
        notes.append(found)
        if len(notes) >= NOTES or time.monotonic() - noted >= 1 or waits(source):
            write()

    try:
        yield note
    finally:
        write()


def _fetched(
    source: Source, workspace: Workspace, todo: list[tuple[str, str]], pool: ThreadPoolExecutor, *, secret: bool
) -> Iterator[Fetched]:
    """Yield what came of each record's bytes: fetched one by one, or many in a call where the source can."""
    if secret:
        yield from pool.map(lambda row: _fetch_secret(source, workspace, row), todo)
        return
    if not isinstance(source, Bundling):
        yield from pool.map(lambda row: _fetch(source, workspace, row), todo)
        return
    parts = [todo[at : at + BUNDLE] for at in range(0, len(todo), BUNDLE)]
    for part in pool.map(lambda rows: _fetch_many(source, workspace, rows), parts):
        yield from part


def _fetch_many(source: Bundling, workspace: Workspace, rows: list[tuple[str, str]]) -> list[Fetched]:
    """Fetch the bytes of many records in one call; what is left out is asked for by itself, for the answer."""
    if stops(source):
        raise StoppedError(f"{rows[0][0]}: stopped before its bytes were fetched")
    workspace.blobs.mkdir(parents=True, exist_ok=True)
    came: dict[str, tuple[str, int]] = {}
    parts: dict[str, str] = {}  # digest to the file that is not yet durable
    try:
        try:
            for url, chunks in source.blobs([url for _, url in rows]):
                came[url] = _kept(workspace, chunks, parts)
        except VendorError as err:
            log.warning("asked for one by one", extra={"why": str(err)})
        _make_durable(workspace, parts.values())
        for digest, part in parts.items():
            home = workspace.blob(digest)
            home.parent.mkdir(exist_ok=True)
            Path(part).replace(home)
        if parts:
            _make_durable(workspace, ())
    except OSError as err:
        raise WorkspaceError(f"attachments cannot be stored: {err}") from err
    one = cast(Source, source)
    return [(id, *came[url], None) if url in came else _fetch(one, workspace, (id, url)) for id, url in rows]


def _make_durable(workspace: Workspace, files: Iterable[str]) -> None:
    """Let the disk have these files, and names given before: all at once where the system can, else one by one.

    100 small files on ext4, 2026-11-26: 0.03 s at once (syncfs), 0.4 s one by one.
    """
    sync = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if sys.platform == "linux" else None
    if sync is None:
        for file in files:
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())
        return
    folder = os.open(workspace.blobs, os.O_RDONLY)
    try:
        if sync(folder) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(folder)


def _kept(workspace: Workspace, chunks: Iterator[bytes], parts: dict[str, str]) -> tuple[str, int]:
    """Write bytes to a file of their own unless the store has them; return their digest and size."""
    digest, size, file, part = hashlib.sha256(), 0, None, ""
    held: list[bytes] = []
    try:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            if file is None and size > HELD_BYTES:
                handle, part = tempfile.mkstemp(dir=workspace.blobs, prefix="part-")
                file = os.fdopen(handle, "wb")
                file.writelines(held)
                held = []
            if file is None:
                held.append(chunk)
            else:
                file.write(chunk)
        name_ = digest.hexdigest()
        if name_ in parts or workspace.blob(name_).is_file():
            return name_, size
        if file is None:
            handle, part = tempfile.mkstemp(dir=workspace.blobs, prefix="part-")
            file = os.fdopen(handle, "wb")
            file.writelines(held)
        parts[name_], part = part, ""
        return name_, size
    finally:
        if file is not None:
            file.close()
        if part:
            Path(part).unlink(missing_ok=True)


def _keep(part: Path, home: Path) -> None:
    """Give a durable file its name in the store, durably."""
    fresh = not home.parent.is_dir()
    home.parent.mkdir(exist_ok=True)
    part.replace(home)
    names_kept(*(home.parent, home.parent.parent)[: 1 + fresh])


def _fetch(source: Source, workspace: Workspace, row: tuple[str, str]) -> Fetched:
    id, url = row
    if stops(source):
        raise StoppedError(f"{id}: stopped before its bytes were fetched")
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
            _keep(Path(part), workspace.blob(digest.hexdigest()))
            return id, digest.hexdigest(), size, None
        except VendorError as err:
            Path(part).unlink(missing_ok=True)
            if attempt == 2:
                return id, None, None, str(err)
        except OSError as err:
            Path(part).unlink(missing_ok=True)
            raise WorkspaceError(f"attachments cannot be stored: {err}") from err
    raise AssertionError("unreachable")


def _fetch_secret(source: Source, workspace: Workspace, row: tuple[str, str]) -> Fetched:
    """Fetch bytes that nobody is to see: they are sealed before they touch the disk."""
    id, url = row
    if stops(source):
        raise StoppedError(f"{id}: stopped before its bytes were fetched")
    data = bytearray()
    try:
        for chunk in source.blob(url):
            data += chunk
            if len(data) > MOST_BYTES:
                return id, None, None, f"more than {MOST_BYTES:,} bytes: no key or certificate has so many"
    except VendorError as err:
        return id, None, None, str(err)
    digest = hashlib.sha256(data).hexdigest()
    try:
        workspace.blobs.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=workspace.blobs, prefix="part-")
        with os.fdopen(handle, "wb") as file:
            file.write(workspace.vault.seal_bytes(bytes(data)))
            file.flush()
            os.fsync(file.fileno())
        _keep(Path(part), workspace.sealed_blob(digest))
    except OSError as err:
        raise WorkspaceError(f"certificates cannot be stored: {err}") from err
    return id, digest, len(data), None


def keep(workspace: Workspace, data: bytes) -> str:
    """Put bytes of ours into the store, durable, and return their digest."""
    parts: dict[str, str] = {}
    try:
        workspace.blobs.mkdir(parents=True, exist_ok=True)
        digest, _ = _kept(workspace, iter([data]), parts)
        for part in parts.values():
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            _keep(Path(part), workspace.blob(digest))
    except OSError as err:
        raise WorkspaceError(f"rewritten files cannot be stored: {err}") from err
    return digest
