"""Connections that are not HTTP, kept for the next who asks: for connectors that speak to a server themselves."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

from migrator.errors import MigratorError, RetryError, VendorError
from migrator.http import Client

TRIES = 4  # of what changes nothing and whose connection broke


class Wire(Protocol):
    """One connection. ``broken``: nothing more is to be asked of it."""

    broken: bool

    def close(self) -> None:
        """End it."""


W = TypeVar("W", bound=Wire)
T = TypeVar("T")


class Wires(Generic[W]):
    """The connections of one account, by whom they are signed in for. ``make(whom)`` opens one more.

    They end with whoever holds this.
    """

    def __init__(self, make: Callable[[str], W], client: Client) -> None:
        self._make, self._client = make, client
        self._idle: dict[str, SimpleQueue[W]] = {}
        weakref.finalize(self, _ended, self._idle)

    @contextmanager
    def lent(self, whom: str) -> Iterator[W]:
        """Give a connection; a sound one is kept for the next who asks."""
        idle = self._idle.setdefault(whom, SimpleQueue())
        try:
            found = idle.get_nowait()
        except Empty:
            found = self._make(whom)
        try:
            yield found
        except MigratorError:
            raise
        except BaseException:
            found.broken = True  # in the middle of an answer
            raise
        finally:
            if found.broken:
                found.close()
            else:
                idle.put(found)

    def again(self, whom: str, ask: Callable[[W], T]) -> T:
        """Ask something that changes nothing, over a new connection where one breaks.

        Raises RetryError once the run is stopped, VendorError after so many tries.
        """
        for attempt in range(1, TRIES + 1):
            if self._client.pacer.cancelled():
                raise RetryError(f"{whom}: stopped")
            try:
                with self.lent(whom) as wire:
                    return ask(wire)
            except RetryError as err:
                if attempt == TRIES:
                    raise VendorError(f"{err}; tried {TRIES} times") from err
                self._client.sleep(err.after or 0.5 * 2**attempt)
        raise AssertionError("unreachable")


def _ended(kept: dict[str, SimpleQueue[W]]) -> None:
    """End the connections that were kept, with whom they were kept for."""
    for idle in kept.values():
        while not idle.empty():
            idle.get().close()
