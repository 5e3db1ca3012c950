"""Reading trees of files: folder after folder in the order of their names, links as links, bytes where they changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from migrator.connector import Cursor, Finding, Native, Page, Raw
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, AccessError, InputError, RefusedError, VendorError
from migrator.wires import Wires

from . import streaming
from .names import PART, folder_of, path_of, raw, record_id, shown

if TYPE_CHECKING:
    from .wire import Entry, Login, Server, Wire

log = logging.getLogger(__name__)

T = TypeVar("T")
PAGE = 500  # entries a page
LOOKED_BYTES = 2**12  # of what a shell says of itself


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
        signed_in = Finding(f"sign in at {self.server.host}", True, f"{number} entries in {self.root.decode() or '.'}")
        return [signed_in, *self._shell()]

    def _shell(self) -> list[Finding]:
        """Say whether small files come by streams of tar."""
        wanted = self.options.get("shell", "")
        if wanted not in ("", "yes", "no"):
            return [Finding("options.shell", False, f"'{wanted}' is neither yes nor no")]
        if self.tar:
            return [
                Finding("shell", True, "small files are read by one stream of tar for many (`shell: no` forbids it)")
            ]
        said = (
            "not used (`shell: no`)" if wanted == "no" else "none with a tar we know: small files one by one, by SFTP"
        )
        return [Finding("shell", wanted != "yes", said)]

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
        for path, entry in self._walk(self._listed(""), "", raw(after).split(b"/") if after else []):
            records.append(self._record(path, entry))
            if len(records) == PAGE:
                yield Page(records, {"after": path}, False)
                records, after = [], path
        yield Page(records, {"after": after}, True)

    def _walk(self, entries: Sequence[Entry], folder: str, after: list[bytes]) -> Iterator[tuple[str, Entry]]:
        """Yield what lies in a folder with these entries and comes after a path, each folder before what lies in it.

        A folder that was made on the way, and not yet as its record says, is none.
        """
        for entry in entries:
            if after and entry.name < after[0]:
                continue
            path = f"{folder}/{shown(entry.name)}" if folder else shown(entry.name)
            if path in self.left_out or raw(path).endswith(PART):
                continue
            here = bool(after) and entry.name == after[0]
            inner = self._listed(path) if entry.type == "folder" else []
            if not here and not any(one.name == PART for one in inner):
                yield path, entry
            yield from self._walk(inner, path, after[1:] if here else [])

    def _listed(self, folder: str) -> list[Entry]:
        return self.again(lambda wire: wire.listed(self.at(folder)))

    def _record(self, path: str, entry: Entry) -> Raw:
        above = folder_of(path)
        body: Native = {
            **({"folder": above} if above else {}),
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

    # ---- many small files -------------------------------------------------------------------------------------------

    @cached_property
    def tar(self) -> str:
        """Return the command that streams files; empty where there is no shell, none of its use, or none wanted."""
        if self.options.get("shell", "") == "no":
            return ""

        def look(wire: Wire) -> str:
            home = wire.home()
            with wire.running(streaming.LOOK) as shell:
                said = b""
                while len(said) < LOOKED_BYTES and (piece := shell.read(LOOKED_BYTES)):
                    said += piece
            return streaming.command(said, home)

        try:
            return self.again(look)
        except RefusedError:
            return ""

    def blobs(self, urls: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the bytes of files: many small ones by a stream of tar where there is a shell, the others by SFTP."""
        small = [one for one in map(self._asked, urls) if one.fits]
        came: set[str] = set()
        if len(small) >= streaming.FEW:
            for batch in streaming.batches(small):
                for one, body in self._streamed(batch).items():
                    came.add(one.url)
                    yield one.url, iter([body])
        for url in urls:
            if url not in came:
                yield url, self.blob(url)

    def _asked(self, url: str) -> streaming.Asked:
        path, _, version = url.rpartition("?")
        size, _, mtime = version.partition(".")
        return streaming.Asked(url, self.at(path), int(size), int(mtime))

    def _streamed(self, batch: list[streaming.Asked]) -> dict[streaming.Asked, bytes]:
        """Return what a stream brought. A shell that answers with nothing of it is not asked again."""
        command = self.tar
        if not command:
            return {}

        def ask(wire: Wire) -> dict[streaming.Asked, bytes]:
            with wire.running(command, streaming.names(batch)) as tar:
                came = streaming.believed(tar.read, batch)
                sure = tar.ended() == 0 and streaming.sure(command)
            return came if sure else {one: body for one, body in came.items() if self._unchanged(wire, one)}

        try:
            found = self.again(ask)
        except RefusedError as err:
            log.warning("no stream of files", extra={"why": str(err)})
            found = {}
        if not found:
            self.tar = ""
        return found

    @staticmethod
    def _unchanged(wire: Wire, one: streaming.Asked) -> bool:
        """Tell whether a file is as it was listed still: what became shorter may have been filled up with zeros."""
        try:
            now = wire.stat(one.path)
        except (AbsentError, RefusedError):
            return False
        return (now.type, now.size, now.mtime) == ("file", one.size, one.mtime)
