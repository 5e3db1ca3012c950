"""Writing trees of files: whole or not at all, with permissions and dates, over nothing that is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from migrator.connector import Native, Outcome, Unit, Written
from migrator.errors import AbsentError, RefusedError, VendorError

from .names import PART, path_of, raw, record_id
from .reading import Reader

if TYPE_CHECKING:
    from .wire import Wire

LOOKS = 10  # for a folder to be empty, while others empty it
PAUSE_SECONDS = 0.2
PIECE_BYTES = 2**20


class Connection(Reader):
    """One tree of files that is written too."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._making = Lock()  # a folder gets its mark before its own record takes that away

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out one unit."""
        unit = units[0]
        with self.wire() as wire:
            if unit.action == "delete":
                return [self._removed(wire, unit)]
            if unit.action == "update":
                return [self._changed(wire, unit)]
            return [self._made(wire, unit)]

    def _made(self, wire: Wire, unit: Unit) -> Written:
        path, there = str(unit.payload["path"]), self.at(str(unit.payload["path"]))
        self._folders_above(wire, path)
        if unit.variant == "folder":
            with self._making:
                if not wire.folder(there):
                    self._taken_out(wire, there + b"/" + PART)
            self._dress(wire, there, unit.payload)
            return Written(record_id(path, folder=True))
        try:
            wire.stat(there)
        except AbsentError:
            pass
        else:
            raise RefusedError(f"{path} is there already, and was not when the load was planned; plan again")
        if unit.variant == "link":
            wire.link(raw(str(unit.payload["link"])), there)
        else:
            self._put(wire, unit, there, over=False)
        return Written(record_id(path, folder=False))

    def _folders_above(self, wire: Wire, path: str) -> None:
        """Make the folders a path lies in, each with a mark: their own records say later what they are like."""
        above = path.rpartition("/")[0]
        if not above:
            return
        try:
            entry = wire.stat(self.at(above))
        except AbsentError:
            self._folders_above(wire, above)
            with self._making:
                if wire.folder(self.at(above)):
                    wire.touch(self.at(above) + b"/" + PART)
            return
        if entry.type == "link":
            raise RefusedError(f"{above} is a link at the destination: {path} would land elsewhere")

    @staticmethod
    def _taken_out(wire: Wire, there: bytes) -> bool:
        """Take a file away; tell whether there was one."""
        with suppress(AbsentError):
            wire.remove(there, folder=False)
            return True
        return False

    def _swept(self, wire: Wire, there: bytes) -> bool:
        """Take out of a folder what a killed run left in it, where it holds nothing else; tell whether that is so."""
        names = [one.name for one in wire.listed(there)]
        if not all(name.endswith(PART) for name in names):
            return False
        for name in names:
            self._taken_out(wire, there + b"/" + name)
        return True

    def _unmade(self, wire: Wire, path: str) -> None:
        """Take away again the folders that were made on the way to a path and hold nothing else."""
        above = path.rpartition("/")[0]
        if not above:
            return
        there = self.at(above)
        try:
            wire.stat(there)
        except AbsentError:
            self._unmade(wire, above)
            return
        with suppress(AbsentError, RefusedError):
            wire.stat(there + b"/" + PART)
            with self._making:
                if self._swept(wire, there):
                    wire.remove(there, folder=True)
            self._unmade(wire, above)

    def _put(self, wire: Wire, unit: Unit, there: bytes, *, over: bool) -> None:
        if unit.blob is None:
            raise VendorError(f"{unit.kind} {unit.id}: its bytes are not in the plan")
        mode, mtime = _mode(unit.payload), _mtime(unit.payload)
        if over and (mode is None or mtime is None):
            held = wire.stat(there)
            mode, mtime = held.mode if mode is None else mode, held.mtime if mtime is None else mtime
        wire.put(there, unit.blob, mode=0o644 if mode is None else mode, mtime=mtime, over=over)

    @staticmethod
    def _dress(wire: Wire, there: bytes, payload: Native) -> None:
        wire.dress(there, mode=_mode(payload), mtime=_mtime(payload))

    def _changed(self, wire: Wire, unit: Unit) -> Written:
        there = self.at(path_of(unit.there))
        if unit.variant == "link" and "link" in unit.payload:
            wire.remove(there, folder=False)
            wire.link(raw(str(unit.payload["link"])), there)
        elif unit.blob is not None and {"url", "blob"} & set(unit.payload):
            self._put(wire, unit, there, over=True)
        else:
            self._dress(wire, there, unit.payload)
        return Written(unit.there)

    def _removed(self, wire: Wire, unit: Unit) -> Written:
        there, folder = self.at(path_of(unit.there)), unit.variant == "folder"
        for look in range(LOOKS):
            try:
                wire.remove(there, folder=folder)
                break
            except AbsentError:
                break  # gone already
            except RefusedError:
                if not folder or look == LOOKS - 1:
                    raise
                if not self._swept(wire, there):
                    self.client.sleep(PAUSE_SECONDS)  # another worker may be emptying it
        self._unmade(wire, path_of(unit.there))
        return Written(unit.there)

    def before(self, unit: Unit) -> Native:
        """Return what an entry holds before it is changed. Raises RefusedError where it was changed, or is gone."""
        _, found = self.peek(unit.kind, unit.variant, [(unit.there, None)])
        if not found:
            raise RefusedError(f"{path_of(unit.there)} is no longer there", status=404)
        if unit.stamp is not None and found[0].updated_at != unit.stamp:
            raise RefusedError(f"{path_of(unit.there)} was changed at the destination since the plan looked at it")
        held: Native = json.loads(found[0].body)
        places: Native = {place: held[place] for place in ("mode", "modified", "link") if place in unit.payload}
        if "url" in unit.payload:
            places |= {"mode": held["mode"], "modified": held["modified"]}
            places["blob"] = self._digest(path_of(unit.there), int(held["size"]))
        return places

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made: an entry of the name, with the very bytes, or the same target."""
        return [self._found(unit) for unit in units]

    def _found(self, unit: Unit) -> Written | None:
        path = path_of(unit.there) if unit.there else str(unit.payload["path"])
        there = unit.there or record_id(path, folder=unit.variant == "folder")
        try:
            entry = self.seen(path)
        except AbsentError:
            if unit.action == "delete":
                return Written(there)
            with self.wire() as wire:  # the call may have come as far as the folders on its way
                self._unmade(wire, path)
            return None
        if unit.action == "delete":
            return None
        if entry.type != unit.variant:
            return None
        mode, mtime = _mode(unit.payload), _mtime(unit.payload)
        if (mode is not None and entry.mode != mode) or (mtime is not None and entry.mtime != mtime):
            return None  # done again: nothing of it is doubled
        if unit.variant == "link":
            wanted = raw(str(unit.payload["link"])) if "link" in unit.payload else None
            same = wanted is None or self.again(lambda wire: wire.target(self.at(path))) == wanted
        else:
            held = unit.blob
            same = held is None or (held.stat().st_size == entry.size and self._digest(path, entry.size) == held.name)
        return Written(there) if same else None

    def _digest(self, path: str, size: int) -> str:
        def read(wire: Wire) -> str:
            digest = hashlib.sha256()
            for piece in wire.pieces(self.at(path), size):
                digest.update(piece)
            return digest.hexdigest()

        return self.again(read)


def _mode(payload: Native) -> int | None:
    return int(str(payload["mode"]), 8) & 0o7777 if payload.get("mode") else None


def _mtime(payload: Native) -> int | None:
    held = payload.get("modified")
    return int(datetime.fromisoformat(str(held)).timestamp()) if held else None
