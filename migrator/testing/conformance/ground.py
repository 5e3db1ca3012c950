"""Where a law is tried: an empty account, played by a sandbox or held by a true server behind a proxy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from migrator.delivery import Deliverer
from migrator.migration import Account
from migrator.project import side
from migrator.registry import Connector
from migrator.testing.sandbox import Clock, Sandbox, mount
from migrator.testing.servers.proxy import Proxy
from migrator.testing.servers.tunnel import Tunnel

SECRET = "MIGRATOR_CONFORMANCE"
LONGEST_PAUSE_SECONDS = 0.05  # a true server needs no rest after an ordered fault


class Ground(Protocol):
    """An empty account for a law to try a connector on, and what the laws need of it beside the connector's way in."""

    @property
    def clock(self) -> Clock:
        """Return the clock by which it sleeps."""
        ...

    def open(self, *, token: str | None = None) -> Deliverer:
        """Return the account through the connector; ``token`` in place of every secret."""
        ...

    def fill(self, fill: Callable[[Any], object]) -> None:
        """Let ``fill`` put records into it: it is given the sandbox, or the server."""
        ...

    def held(self, streams: Sequence[str]) -> dict[str, int]:
        """Return how many records it holds by its own account: of streams, or of the server's tables."""
        ...

    def ids(self, stream: str) -> set[str]:
        """Return the ids a stream must bring, where it can tell without the connector."""
        ...

    def methods(self) -> list[str]:
        """Return the method of every request so far, in order."""
        ...

    def fault(self, how: Any, *, at: int = 1, matching: str = "") -> None:
        """Order a fault at the ``at``-th request from now among those that match."""
        ...

    def calm(self) -> None:
        """Forget faults and watchers."""
        ...

    def watch(self, watcher: Callable[[str, str], None]) -> None:
        """Call ``watcher("before" or "after", "METHOD /path")`` around each request."""
        ...


@dataclass
class SandboxGround:
    """A sandbox in process; ``channels``: the ways to write that are chosen beside the vendor's API."""

    connector: Connector
    box: Sandbox
    channels: tuple[str, ...] = ()

    @property
    def clock(self) -> Clock:
        """Return the sandbox's clock, which is wound by whoever sleeps."""
        return self.box.clock

    def open(self, *, token: str | None = None) -> Deliverer:
        """Return the account that the sandbox plays."""
        module = self.connector.sandbox
        os.environ[SECRET] = token if token is not None else module.TOKEN
        account = Account(
            vendor=self.connector.vendor,
            url=self.box.base_url,
            settings={"user": getattr(module, "EMAIL", "nobody"), **getattr(module, "SETTINGS", {})},
            secrets=dict.fromkeys(self.connector.manifest.secrets, f"env:{SECRET}"),
            workers=1,
            channels=self.channels,
        )
        clock = self.box.clock
        return side(account, None, "conformance").open(
            session=mount(self.box), sleep=clock.sleep, monotonic=clock.monotonic
        )

    def fill(self, fill: Callable[[Any], object]) -> None:
        """Let ``fill`` put records into the sandbox."""
        fill(self.box)

    def held(self, streams: Sequence[str]) -> dict[str, int]:
        """Return how many records of each stream that is read the sandbox holds."""
        return {stream: len(held) for stream, held in self.box.store.items() if held and stream in streams}

    def ids(self, stream: str) -> set[str]:
        """Return the ids of a stream's records in the sandbox."""
        return {str(id) for id in self.box.store.get(stream, {})}

    def methods(self) -> list[str]:
        """Return the method of every request so far."""
        return [exchange.method for exchange in self.box.exchanges]

    def fault(self, how: Any, *, at: int = 1, matching: str = "") -> None:
        """Order a fault."""
        self.box.fault(how, at=at, matching=matching)

    def calm(self) -> None:
        """Forget faults and watchers."""
        self.box.faults.clear()
        self.box.watchers.clear()

    def watch(self, watcher: Callable[[str, str], None]) -> None:
        """Call ``watcher`` around each request, in the caller's thread: what it raises ends the caller."""
        self.box.watchers.append(watcher)


class HastyClock(Clock):
    """The machine's clock, for which nobody sleeps long: what waits for a vendor need not wait for an ordered fault."""

    def __init__(self) -> None:
        super().__init__(real=True)

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass, at most a twentieth of one."""
        time.sleep(min(seconds, LONGEST_PAUSE_SECONDS))


@dataclass
class Straight:
    """The way to what has no calls that a proxy could see or harm: what is encrypted, or a folder."""

    url: str
    exchanges: list[Any] = field(default_factory=list)
    orders: list[Any] = field(default_factory=list)
    watchers: list[Any] = field(default_factory=list)

    def order(self, how: str, at: int = 1, matching: str = "") -> None:
        """Raise AssertionError: a suite with such a way orders no harm (``harms=()``)."""
        raise AssertionError(f"{self.url}: nobody can order {how} here")


@dataclass
class ServerGround:
    """An account at a true server, seen through ``proxy``.

    ``account``: how it is opened (vendor, settings, options, channels); ``secrets``: their values. ``counted`` looks
    into the server's own database: table to number of rows. ``listed``: stream to the ids it must bring, likewise.
    ``server``: what ``fill`` is given.
    """

    proxy: Proxy | Tunnel | Straight
    account: Account
    secrets: Mapping[str, str]
    counted: Callable[[], dict[str, int]]
    server: Any = None
    listed: Callable[[str], set[str]] = lambda stream: set()
    clock: Clock = field(default_factory=HastyClock)

    def open(self, *, token: str | None = None) -> Deliverer:
        """Return the account, behind the proxy."""
        named = {}
        for name, value in self.secrets.items():
            variable = f"{SECRET}_{name.upper()}"
            os.environ[variable] = token if token is not None else value
            named[name] = f"env:{variable}"
        account = self.account.model_copy(update={"url": self.proxy.url, "secrets": named})
        return side(account, None, "conformance").open(sleep=self.clock.sleep, monotonic=self.clock.monotonic)

    def fill(self, fill: Callable[[Any], object]) -> None:
        """Let ``fill`` put records into the server."""
        fill(self.server)

    def held(self, streams: Sequence[str]) -> dict[str, int]:
        """Return the numbers of rows in the server's database."""
        return self.counted()

    def ids(self, stream: str) -> set[str]:
        """Return the ids the server's database has for a stream."""
        return self.listed(stream)

    def methods(self) -> list[str]:
        """Return the method of every request so far."""
        return [seen.method for seen in self.proxy.exchanges]

    def fault(self, how: Any, *, at: int = 1, matching: str = "") -> None:
        """Order harm at the proxy."""
        self.proxy.order(how, at, matching)

    def calm(self) -> None:
        """Forget what was ordered, and watchers."""
        self.proxy.orders.clear()
        self.proxy.watchers.clear()

    def watch(self, watcher: Callable[[str, str], None]) -> None:
        """Call ``watcher`` around each request, in the proxy's thread."""
        self.proxy.watchers.append(watcher)
