"""A server behind a proxy, for the conformance suite: each check finds it empty, and no harm ordered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from migrator.testing.servers import Proxy


class Server(Protocol):
    """What stands behind a proxy."""

    @property
    def url(self) -> str: ...

    def reset(self) -> None: ...


S = TypeVar("S", bound=Server)


class Behind(Generic[S]):
    """Holds the server of this check; the suite asks for it from outside of any fixture."""

    server: S
    proxy: Proxy

    @contextmanager
    def proxied(self, server: S) -> Iterator[None]:
        """Put a proxy before the server, as long as the ``with`` lasts."""
        with Proxy(server.url) as self.proxy:
            self.server = server
            yield

    def empty(self) -> tuple[S, Proxy]:
        """Return both, the server empty and the proxy calm."""
        self.server.reset()
        self.proxy.calm()
        return self.server, self.proxy
