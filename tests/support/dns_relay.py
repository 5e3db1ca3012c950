"""A relay before a name server that counts dynamic updates and does harm at one of them."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

UPDATE = 5  # the opcode


@dataclass
class Relay:
    """Listens on one port by UDP and TCP and hands everything to ``upstream``, a port of this machine.

    ``harm``: {number of the update: "reset" (nothing is done) or "unanswered" (done, and the connection ends)}.
    ``watch`` is called with "before" or "after" and the update's number.
    """

    upstream: int
    harm: dict[int, str] = field(default_factory=dict)
    watch: Callable[[str, int], None] = lambda when, number: None
    updates: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._tcp.getsockname()[1])
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        for target in (self._accept, self._datagrams):
            threading.Thread(target=target, daemon=True, name="relay").start()

    @property
    def address(self) -> str:
        """Return where it listens."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._tcp, self._udp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _datagrams(self) -> None:
        while True:
            try:
                question, whom = self._udp.recvfrom(65535)
            except OSError:
                return
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there, contextlib.suppress(OSError):
                there.settimeout(10)
                there.sendto(question, ("127.0.0.1", self.upstream))
                self._udp.sendto(there.recv(65535), whom)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True, name="relay").start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            client.settimeout(60)
            message = _message(client)
            if (message[4] >> 3) & 15 != UPDATE:
                self._pass(client, message)
                return
            with self._lock:
                self.updates += 1
                number = self.updates
            how = self.harm.get(number)
            self.watch("before", number)
            if how == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            with socket.create_connection(("127.0.0.1", self.upstream), 10) as there:
                there.sendall(message)
                answer = _message(there)
            self.watch("after", number)
            if how != "unanswered":
                client.sendall(answer)

    def _pass(self, client: socket.socket, message: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self.upstream), 10) as there:
            there.sendall(message)
            there.settimeout(2)
            while came := there.recv(65536):
                client.sendall(came)


def _message(connection: socket.socket) -> bytes:
    """Return one message with its length before it."""
    whole = b""
    while len(whole) < 2 or len(whole) < 2 + int.from_bytes(whole[:2], "big"):
        came = connection.recv(65536)
        if not came:
            raise EOFError
        whole += came
    return whole
