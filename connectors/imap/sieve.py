"""Sieve scripts of one mailbox by ManageSieve (RFC 5804). ``rules/reading.py`` parses them."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from sievelib.managesieve import Client, Error

from migrator.errors import AccessError, RefusedError, RetryError, UnknownOutcomeError

from .wire import LOOPBACK, Login, Server

T = TypeVar("T")
_SIGNING_IN = threading.Lock()  # which warnings are shown is one setting of the process: two threads would mix it up
Client.read_timeout = 60  # 5: a server that compiles a long script took longer


class Scripts:
    """A signed-in connection; a context manager that ends it. Raises AccessError, RetryError when it is made."""

    def __init__(self, server: Server, login: Login) -> None:
        self._client: Any = Client(server.host, server.port)
        tls = not (server.plain or server.host in LOOPBACK)
        try:
            with _SIGNING_IN, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # says that it is unencrypted, which a person allowed
                signed_in = self._client.connect(
                    login.user, login.password, starttls=tls, ssl=server.tls, authmech="PLAIN"
                )
        except (Error, OSError) as err:
            self._close()
            raise RetryError(f"ManageSieve at {server.host}:{server.port}: {err}") from err
        if not signed_in:
            self._close()
            raise AccessError(f"ManageSieve at {server.host}: {login.address} may not sign in; check the secrets")

    def __enter__(self) -> Scripts:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Error, OSError):
            self._client.logout()
        self._close()

    def _close(self) -> None:
        if self._client.sock is not None:
            self._client.sock.close()

    def extensions(self) -> list[str]:
        """Return what scripts may require."""
        return sorted(self._client.get_sieve_capabilities() or [])

    def all(self) -> list[tuple[str, str, bool]]:
        """Return (name, text, whether it runs) of every script; lines end as ``\\n``, the last one without."""
        listed = self._asking("LISTSCRIPTS", self._client.listscripts)
        if listed is None:
            raise RetryError(f"LISTSCRIPTS: {self._said()}")
        active, others = listed
        names = [*([active] if active else []), *(name for name in others if name)]
        return [(name, self.text(name) or "", name == active) for name in sorted(names)]

    def text(self, name: str) -> str | None:
        """Return a script's text, None where there is none of this name."""
        try:
            found: str | None = self._asking("GETSCRIPT", lambda: self._client.getscript(name))
        except IndexError:  # sievelib 1.6.0 stumbles over an empty script
            return ""
        return found

    def put(self, name: str, text: str) -> None:
        """Write a script. Raises RefusedError with what the server's compiler says."""
        self._changed("PUTSCRIPT", lambda: self._client.putscript(name, wire_text(text)))

    def activate(self, name: str) -> None:
        """Let this script run, and no other; an empty name: none."""
        self._changed("SETACTIVE", lambda: self._client.setactive(name))

    def delete(self, name: str) -> None:
        """Delete a script that does not run."""
        self._changed("DELETESCRIPT", lambda: self._client.deletescript(name))

    def complaint(self, text: str) -> str | None:
        """Return what the server's compiler has against a text, None where it takes it (CHECKSCRIPT)."""
        try:
            taken = self._asking("CHECKSCRIPT", lambda: self._client.checkscript(wire_text(text)))
        except NotImplementedError:
            return None  # an old server: PUTSCRIPT will say
        return None if taken else self._said()

    def _asking(self, what: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (Error, OSError) as err:
            raise RetryError(f"{what}: {err}") from err

    def _changed(self, what: str, change: Callable[[], bool]) -> None:
        try:
            done = change()
        except (Error, OSError) as err:
            raise UnknownOutcomeError(f"{what}: {err}, the answer never came") from err
        if not done:
            raise RefusedError(f"{what}: refused", answer=self._said())

    def _said(self) -> str:
        return bytes(self._client.errmsg or b"").decode("utf-8", "replace").strip()[:4000] or "no reason given"


def wire_text(text: str) -> str:
    """Return a script as it goes over the wire."""
    return "".join(line + "\r\n" for line in text.split("\n"))
