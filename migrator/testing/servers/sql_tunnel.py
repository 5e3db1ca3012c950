"""A tunnel before a server of MySQL's protocol: it counts statements and does harm, as the one for mail does."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from migrator.testing.servers.tunnel import Tunnel, _Way

QUERY = 3  # COM_QUERY (dev.mysql.com, Client/Server Protocol)
ERROR = 0xFF
HEAD_BYTES = 4  # length in three bytes, then the packet's number: 0 begins a command
METHODS = {
    "CREATE": "POST", "INSERT": "POST", "REPLACE": "POST", "GRANT": "POST", "UPDATE": "PUT", "ALTER": "PUT",
    "COMMIT": "PUT", "DROP": "DELETE", "REVOKE": "DELETE", "TRUNCATE": "DELETE", "KILL": "DELETE",
}  # fmt: skip
TAG = b""  # one command is under way on a connection


@dataclass
class SqlTunnel(Tunnel):
    """A statement's name is ``POST /create``: what it does, and its first word."""

    def _ask(self, way: _Way) -> None:
        with contextlib.suppress(OSError, ValueError), way.client.makefile("rb") as packets:
            while len(head := packets.read(HEAD_BYTES)) == HEAD_BYTES:
                body = packets.read(int.from_bytes(head[:3], "little"))
                left = self._begun(way, b"%b %b" % (b"tag", _word(body))) if not head[3] else None
                if left is not None:
                    way.server.sendall((head + body)[:left])
                    time.sleep(0.01)  # let the server have read what it was given
                    way.end(hard=True)
                    return
                way.server.sendall(head + body)
        way.end()

    def _begun(self, way: _Way, line: bytes) -> int | None:
        word = line.split()[1].decode("ascii", "replace")
        name = f"{METHODS.get(word, 'GET')} /{word.lower()}"
        way.names[TAG] = name
        order = self._begins(name)
        if order and order.how in ("unanswered", "truncated"):
            way.cuts[TAG] = order.how
        return {"reset": 0, "within": max(1, self.cut_bytes)}.get(str(order.how)) if order else None

    def _answer(self, way: _Way) -> None:
        with contextlib.suppress(OSError, ValueError):
            while piece := way.server.recv(1 << 16):
                how = way.cuts.pop(TAG, "")
                if how == "truncated":
                    way.client.sendall(piece[: len(piece) // 2])
                if how:
                    self._done(way, TAG, 0)
                    way.end(hard=True)
                    return
                way.client.sendall(piece)
                if TAG in way.names:
                    self._done(way, TAG, 400 if piece[HEAD_BYTES : HEAD_BYTES + 1] == bytes([ERROR]) else 200)
        way.end()


def _word(body: bytes) -> bytes:
    """Return the first word of a statement; of any other command, that it is one."""
    words = body[1:].split(None, 1) if body[:1] == bytes([QUERY]) else []
    return words[0].upper() if words and words[0].isalpha() else b"COMMAND"
