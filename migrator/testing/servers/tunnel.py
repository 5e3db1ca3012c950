"""A tunnel between us and a mail server, which understands just enough IMAP to count commands and do harm.

It is to IMAP what the proxy is to HTTP, and is ordered the same way: a command has a name such as "POST /append", its
method by what it does (GET reads, POST makes, PUT changes, DELETE takes away).
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from dataclasses import dataclass, field

from migrator.testing.servers.harm import TIMEOUT_SECONDS, Between, cut_hard

METHODS = {
    "APPEND": "POST", "CREATE": "POST", "SUBSCRIBE": "PUT", "UNSUBSCRIBE": "PUT", "STORE": "PUT", "DELETE": "DELETE",
    "EXPUNGE": "DELETE", "RENAME": "PUT", "COPY": "POST", "MOVE": "POST", "SETQUOTA": "PUT",
}  # fmt: skip
LITERAL = re.compile(rb"\{(\d+)\+?\}\r?\n$")


@dataclass
class _Way:
    """One connection through the tunnel. ``cuts``: tags whose answer is not to arrive, and how it is cut."""

    client: socket.socket
    server: socket.socket
    cuts: dict[bytes, str] = field(default_factory=dict)
    names: dict[bytes, str] = field(default_factory=dict)

    def end(self, *, hard: bool = False) -> None:
        """End both sides; ``hard``: the client sees a reset."""
        with contextlib.suppress(OSError):
            if hard:
                cut_hard(self.client)
        for one in (self.server, self.client):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            if hard:
                one.close()

    def close(self) -> None:
        """Give back both sockets; nobody carries anything over them any more."""
        for one in (self.server, self.client):
            one.close()


@dataclass
class Tunnel(Between):
    """Hands everything on to ``upstream`` (``imap://127.0.0.1:4711``).

    The harm is ``reset`` (nothing was done), ``unanswered`` (done, and the connection ends before the answer),
    ``within`` (the connection ends after ``cut_bytes`` bytes of the command), ``truncated`` (done, the answer cut in
    half), ``delay``.
    """

    cut_bytes: int = 200
    _open: dict[threading.Thread, _Way] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._listen(143, self._take)

    def stop(self) -> None:
        """Close every connection and listen no more."""
        super().stop()
        for carrying, way in list(self._open.items()):
            way.end()
            carrying.join(TIMEOUT_SECONDS)

    # ---- connections ------------------------------------------------------------------------------------------------

    def _take(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._there, TIMEOUT_SECONDS)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(TIMEOUT_SECONDS)
        way = _Way(client, server)
        carrying = threading.Thread(target=self._carry, args=(way,), daemon=True, name="tunnel")
        self._open[carrying] = way
        carrying.start()

    def _carry(self, way: _Way) -> None:
        """Carry both ways until either side ends."""
        answering = threading.Thread(target=self._answer, args=(way,), daemon=True, name="tunnel")
        answering.start()
        self._ask(way)
        way.end()
        answering.join()
        way.close()
        self._open.pop(threading.current_thread(), None)

    def _ask(self, way: _Way) -> None:
        """Carry commands to the server, line by line, literals as they come."""
        with contextlib.suppress(OSError, ValueError), way.client.makefile("rb") as lines:
            left: int | None = None  # bytes of this command that still go through; None: all of them
            fresh = True
            while line := lines.readline():
                if fresh:
                    left = self._begun(way, line)
                    if left == 0:
                        way.end(hard=True)
                        return
                found = LITERAL.search(line)
                fresh = found is None
                pieces = [line]
                todo = int(found[1]) if found else 0
                while pieces or todo:
                    piece = pieces.pop() if pieces else lines.read(min(todo, 1 << 16))
                    todo -= 0 if piece is line else len(piece)
                    if not piece:
                        return
                    way.server.sendall(piece[:left])
                    left = None if left is None else max(0, left - len(piece))
                    if left == 0:
                        time.sleep(0.01)  # let the server have read what it was given
                        way.end(hard=True)
                        return
        way.end()

    def _begun(self, way: _Way, line: bytes) -> int | None:
        """Note a command; return how many bytes of it go through, None for all."""
        words = line.upper().split(None, 3)
        if len(words) < 2:
            return None
        tag = line.split(None, 1)[0]
        verb = words[2] if words[1] == b"UID" and len(words) > 2 else words[1]
        word = verb.decode("ascii", "replace")
        name = f"{METHODS.get(word, 'GET')} /{word.lower()}"
        way.names[tag] = name
        order = self._begins(name)
        if order is None:
            return None
        if order.how == "delay":
            time.sleep(order.seconds)
        if order.how in ("unanswered", "truncated"):
            way.cuts[tag] = order.how
        return {"reset": 0, "within": max(1, self.cut_bytes)}.get(str(order.how))

    def _answer(self, way: _Way) -> None:
        """Carry answers back, and end the connection where an answer is not to arrive."""
        with contextlib.suppress(OSError, ValueError), way.server.makefile("rb") as lines:
            while line := lines.readline():
                tag = line.split(None, 1)[0] if line.strip() else b""
                how = way.cuts.get(tag)
                if how:
                    if how == "truncated":
                        way.client.sendall(line[: len(line) // 2])
                    self._done(way, tag, 0)
                    way.end(hard=True)
                    return
                if way.cuts and line.startswith(b"* ") and "truncated" in way.cuts.values():
                    way.client.sendall(line[: len(line) // 2])
                    way.end(hard=True)
                    return
                way.client.sendall(line)
                found = LITERAL.search(line)
                todo = int(found[1]) if found else 0
                while todo and (piece := lines.read(min(todo, 1 << 16))):
                    way.client.sendall(piece)
                    todo -= len(piece)
                if tag in way.names:
                    self._done(way, tag, 200 if line[len(tag) :].strip().upper().startswith(b"OK") else 400)
        way.end()

    def _done(self, way: _Way, tag: bytes, status: int) -> None:
        name = way.names.pop(tag, "")
        method, _, path = name.partition(" ")
        self._seen(method, path, status)
        self._tell("after", name)
