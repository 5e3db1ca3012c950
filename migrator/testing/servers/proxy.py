"""A small proxy between us and a true server, which understands just enough HTTP to count requests and do harm."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from dataclasses import dataclass, field

from migrator.testing.servers.harm import TIMEOUT_SECONDS, Between, cut_hard

MOST_HEAD_BYTES = 1 << 16


@dataclass
class _Message:
    """One HTTP message as its bytes: ``head`` with its blank line, ``body`` as framed on the wire."""

    head: bytes
    body: bytes
    closes: bool = False  # the connection ends with it

    @property
    def status(self) -> int:
        """Return the status of an answer."""
        return int(self.head.split(b" ", 2)[1])


@dataclass
class _Wire:
    """A connection, and the bytes that came early."""

    socket: socket.socket
    held: bytes = b""

    def more(self) -> bool:
        """Read on; False at the end."""
        came = self.socket.recv(1 << 16)
        self.held += came
        return bool(came)

    def take(self, size: int) -> bytes:
        """Return exactly so many bytes, fewer at the end."""
        parts, got = [self.held[:size]], min(size, len(self.held))
        self.held = self.held[size:]
        while got < size and (came := self.socket.recv(min(1 << 20, size - got))):
            parts.append(came)
            got += len(came)
        return b"".join(parts)

    def line(self) -> bytes:
        """Return a line with its end."""
        while b"\n" not in self.held and self.more():
            pass
        line, end, self.held = self.held.partition(b"\n")
        return line + end

    def head(self) -> bytes:
        """Return the head of a message with its blank line, nothing at the end."""
        while b"\r\n\r\n" not in self.held:
            if len(self.held) > MOST_HEAD_BYTES or not self.more():
                return b""
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"


@dataclass
class Proxy(Between):
    """Listens on a port of its own and hands everything on to ``upstream`` (``http://127.0.0.1:4711``)."""

    _open: set[socket.socket] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        self._listen(80, self._take)

    def stop(self) -> None:
        """Close every connection and listen no more."""
        super().stop()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    # ---- connections ------------------------------------------------------------------------------------------------

    def _take(self, connection: socket.socket) -> None:
        threading.Thread(target=self._serve, args=(connection,), daemon=True, name="proxy").start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = _Wire(connection)
            while (request := _request(client)) and self._exchange(client, request):
                pass
        except OSError:
            pass  # one of the two went away: so does the other
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _exchange(self, client: _Wire, request: _Message) -> bool:
        """Carry one request to the server and its answer back; False where the connection is to end."""
        method, path = request.head.decode("latin-1").split(" ", 2)[:2]
        name = f"{method} {path.partition('?')[0]}"
        order = self._begins(name)
        how = order.how if order else ""
        status, goes_on, answer = int(how) if how.isdigit() else 0, False, None
        if order and how == "delay":
            time.sleep(order.seconds)
        try:
            if how != "reset" and not how.isdigit():
                answer = self._forward(method, request)
                status = {"failed": 500, "unanswered": 0}.get(how, answer.status)
        finally:
            self._seen(method, path, status)  # whoever has the answer may ask at once what was seen
        if answer is not None:
            goes_on = _give(client, answer, how)
        elif how == "reset":
            cut_hard(client.socket)
        else:
            _answer(client, status)
        self._tell("after", name)
        return goes_on

    def _forward(self, method: str, request: _Message) -> _Message:
        """Hand on over a connection of its own: one that was kept may be closed at the other end, which looks the same
        as a server that fell while it worked, and then nobody could say whether to send it again."""
        with socket.create_connection(self._there, TIMEOUT_SECONDS) as upstream:
            upstream.sendall(request.head + request.body)
            answer = _response(_Wire(upstream), method)
        if answer is None:
            raise ConnectionError(f"{self.upstream} did not answer")
        return answer


# ---- messages --------------------------------------------------------------------------------------------------------


def _header(head: bytes, name: str) -> str | None:
    found = re.search(rb"\r\n" + name.encode() + rb":[ \t]*([^\r\n]*)", head, re.IGNORECASE)
    return found[1].decode("latin-1").strip() if found else None


def _body(wire: _Wire, head: bytes) -> bytes:
    if "chunked" in (_header(head, "Transfer-Encoding") or "").lower():
        parts = []
        while True:
            parts.append(wire.line())
            size = int(parts[-1].split(b";")[0] or b"0", 16) if parts[-1].strip() else 0
            parts.append(wire.take(size + 2))
            if size == 0:
                return b"".join(parts)
    return wire.take(int(_header(head, "Content-Length") or 0))


def _request(wire: _Wire) -> _Message | None:
    head = wire.head()
    if not head:
        return None
    if "100-continue" in (_header(head, "Expect") or "").lower():
        wire.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return _Message(head, _body(wire, head))


def _response(wire: _Wire, method: str) -> _Message | None:
    head = wire.head()
    while head.startswith(b"HTTP/1.1 100"):
        head = wire.head()
    if not head:
        return None
    status = int(head.split(b" ", 2)[1])
    framed = _header(head, "Content-Length") is not None or _header(head, "Transfer-Encoding") is not None
    says = (_header(head, "Connection") or "").lower()
    closes = says == "close" or (head.startswith(b"HTTP/1.0") and says != "keep-alive")
    if method == "HEAD" or status in (204, 304):
        return _Message(head, b"", closes)
    if framed:
        return _Message(head, _body(wire, head), closes)
    while wire.more():
        pass
    return _Message(head, wire.take(len(wire.held)), True)


def _answer(client: _Wire, status: int) -> None:
    """Answer in the server's place; the connection ends with it."""
    retry = "Retry-After: 0\r\n" if status in (429, 503) else ""
    body = b'{"message":"ordered by the test"}'
    head = f"HTTP/1.1 {status} Ordered\r\nContent-Type: application/json\r\n{retry}Content-Length: {len(body)}\r\n"
    client.socket.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)


def _give(client: _Wire, answer: _Message, how: str) -> bool:
    """Give the answer back, harmed as ordered; tell whether the connection goes on."""
    if how == "failed":
        _answer(client, 500)
    elif how == "unanswered":
        cut_hard(client.socket)
    elif how == "truncated":
        client.socket.sendall(answer.head + answer.body[: len(answer.body) // 2])
    else:
        client.socket.sendall(answer.head + answer.body)
        return not answer.closes
    return False
