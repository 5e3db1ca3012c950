"""Reading trees of files: folder after folder in the order of their names, links as links, bytes where they changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from migrator.connector import Cursor, Finding, Native, Page, Raw
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, AccessError, InputError, RefusedError, VendorError
from migrator.wires import Wires

from .names import path_of, raw, record_id, shown

if TYPE_CHECKING:
    from .wire import Entry, Login, Server, Wire

T = TypeVar("T")
PAGE = 500  # entries a page


class Reader(Deliverer):
    """One tree of files at one server, read. Paths are below ``options.root`` (the login's own folder)."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._wires: Wires[Wire] = Wires(self._signed_in, self.client)

    # ---- signing in -------------------------------------------------------------------------------------------------

    @cached_property
    def server(self) -> Server:
        """Return where the server listens."""
        try:
            from .wire import Server
        except ModuleNotFoundError as err:
            raise InputError("the connector sftp needs paramiko; `pip install 'migrator[files]'`") from err
        return Server.at(self.client.base_url, self.options.get("host_key", ""))

    @cached_property
    def login(self) -> Login:
        """Return who signs in."""
        from .wire import Login

        key_file = self.options.get("key_file", "")
        wanted = not key_file or self.options.get("key_secret") == "yes"
        return Login(self.given("user"), key_file, self.given("password") if wanted else None)

    def _signed_in(self, whom: str) -> Wire:
        from .wire import Wire

        return Wire(self.server, self.login)

    def wire(self) -> AbstractContextManager[Wire]:
        """Give a connection; a sound one is kept for the next who asks."""
        return self._wires.lent(self.server.host)

    def again(self, ask: Callable[[Wire], T]) -> T:
        """Ask something that changes nothing, over a new connection where one breaks."""
        return self._wires.again(self.server.host, ask)

    def check(self) -> list[Finding]:
        """Sign in, and list the root."""
        try:
            number = len(self.again(lambda wire: wire.listed(self.at(""))))
        except (AccessError, RefusedError, VendorError) as err:
            return [Finding(f"sign in at {self.server.host}", False, str(err))]
        return [Finding(f"sign in at {self.server.host}", True, f"{number} entries in {self.root.decode() or '.'}")]

    def time(self) -> datetime:
        """Return the time: SFTP tells none."""
        return datetime.now(UTC)

    # ---- the tree ---------------------------------------------------------------------------------------------------

    @cached_property
    def root(self) -> bytes:
        """Return the folder that paths are below; empty is the login's own."""
        return self.options.get("root", "").rstrip("/").encode()

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Return the paths that are not read, nor anything below them."""
        return tuple(one.strip("/") for one in self.options.get("leave_out", "").replace(",", " ").split())

    def at(self, path: str) -> bytes:
        """Return where a path of ours lies at the server."""
        return b"/".join(part for part in (self.root, raw(path)) if part) or b"."

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield the tree, a folder's entries after it; the cursor is the last path handed over."""
        after = str((start or {}).get("after", ""))
        records: list[Raw] = []
        for path, entry in self._walk("", raw(after).split(b"/") if after else []):
            records.append(self._record(path, entry))
            if len(records) == PAGE:
                yield Page(records, {"after": path}, False)
                records, after = [], path
        yield Page(records, {"after": after}, True)

    def _walk(self, folder: str, after: list[bytes]) -> Iterator[tuple[str, Entry]]:
        """Yield what lies below a folder and comes after a path, each folder before what lies in it."""
        for entry in self.again(lambda wire: wire.listed(self.at(folder))):
            if after and entry.name < after[0]:
                continue
            path = f"{folder}/{shown(entry.name)}" if folder else shown(entry.name)
            if path in self.left_out or raw(path).endswith(b".migrator-part"):
                continue
            here = bool(after) and entry.name == after[0]
            if not here:
                yield path, entry
            if entry.type == "folder":
                yield from self._walk(path, after[1:] if here else [])

    def _record(self, path: str, entry: Entry) -> Raw:
        body: Native = {
            "path": path,
            "type": entry.type,
            "mode": f"{entry.mode:04o}",
            "modified": datetime.fromtimestamp(entry.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if entry.type == "link":
            body["link"] = shown(self.again(lambda wire: wire.target(self.at(path))))
        elif entry.type == "file":
            body |= {"size": entry.size, "url": f"{path}?{entry.size}.{entry.mtime}"}
        text = json.dumps(body, ensure_ascii=False, sort_keys=True)
        return Raw(record_id(path, folder=entry.type == "folder"), text.encode(), body["modified"])

    def count(self, stream: str) -> int | None:
        """Return nothing: a folder is listed whole, or not at all."""
        return None

    def peek(self, kind: str, variant: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return these entries as they stand now; what is gone is left out."""
        found = []
        for id in dict.fromkeys(there for there, _ in targets):
            try:
                found.append(self._record(path_of(id), self.seen(path_of(id))))
            except AbsentError:
                continue
        return "files", found

    def seen(self, path: str) -> Entry:
        """Return what lies at a path now. Raises AbsentError."""
        return self.again(lambda wire: wire.stat(self.at(path)))

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield a file's bytes. Raises RetryError where they are not as many as were listed."""
        path, _, version = url.rpartition("?")
        size, came = int(version.partition(".")[0]), 0
        with self.wire() as wire:
            for piece in wire.pieces(self.at(path), size):
                came += len(piece)
                yield piece
        if came != size:
            raise RefusedError(f"{path} changed while it was read: {came} bytes where {size} were listed")

    def blobs(self, urls: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the bytes of files, one after another."""
        for url in urls:
            yield url, self.blob(url)
