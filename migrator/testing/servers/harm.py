"""What stands between us and a true server: it counts what comes by, and does the harm that a test ordered."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlsplit

from migrator.testing.counting import Counted

Harm = Literal["429", "500", "502", "503", "reset", "unanswered", "failed", "truncated", "delay", "within"]
TIMEOUT_SECONDS = 120.0


@dataclass
class Order(Counted):
    """Harm at the ``at``-th request from now (1 is the next), among those whose "METHOD /path" matches.

    ``429``, ``500``, ``502``, ``503``: answered so, and the server never saw it. ``reset``: the connection ends,
    nothing was done. ``unanswered``: done, and the connection ends before the answer. ``failed``: done, and answered
    with 500. ``truncated``: done, the answer cut in half. ``delay``: handed on ``seconds`` later. ``within``: cut off
    in the middle of the request (a ``Tunnel`` alone knows it).
    """

    how: Harm
    seconds: float = 0.0


@dataclass(frozen=True)
class Seen:
    """A request that came by; ``status`` is what was answered, 0 where nothing was."""

    method: str
    path: str
    status: int


@dataclass
class Between:
    """Listens on a port of its own, before the server at ``upstream``. Requests and commands have names, "POST /path".

    ``exchanges`` holds all that came by; ``orders`` the harm still to do; ``watchers`` are called with ``before`` and
    ``after`` and the name, in the connection's thread.
    """

    upstream: str
    exchanges: list[Seen] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    watchers: list[Callable[[str, str], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def _listen(self, usual_port: int, take: Callable[[socket.socket], None]) -> None:
        """Hand every connection to ``take``, one after another."""
        there = urlsplit(self.upstream)
        self._there = (there.hostname or "127.0.0.1", there.port or usual_port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.url = there._replace(netloc=f"127.0.0.1:{self.port}").geturl()

        def accept() -> None:
            while True:
                try:
                    connection, _ = self._listening.accept()
                except OSError:
                    return
                take(connection)

        threading.Thread(target=accept, daemon=True, name=type(self).__name__).start()

    def order(self, how: Harm, at: int = 1, matching: str = "", *, times: int = 1, seconds: float = 0.0) -> None:
        """Order harm; counting begins with the next request."""
        with self._lock:
            self.orders.append(Order(how, at, matching, times, seconds=seconds))

    def calm(self) -> None:
        """Forget what was ordered and what was seen."""
        with self._lock:
            self.orders.clear()
            self.exchanges.clear()
            self.watchers.clear()

    def stop(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _begins(self, name: str) -> Order | None:
        """Tell that a request begins; return the harm that strikes it."""
        with self._lock:
            order = next((one for one in [one for one in self.orders if one.strikes(name)]), None)
        self._tell("before", name)
        return order

    def _seen(self, method: str, path: str, status: int) -> None:
        with self._lock:
            self.exchanges.append(Seen(method, path, status))

    def _tell(self, moment: str, name: str) -> None:
        for watcher in list(self.watchers):
            watcher(moment, name)


def cut_hard(connection: socket.socket) -> None:
    """End a connection the hard way: the other side sees a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
