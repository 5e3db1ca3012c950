"""What a suite is told about the connector it holds to the laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from migrator import registry
from migrator.registry import Connector
from migrator.testing.conformance.ground import Ground, SandboxGround
from migrator.testing.sandbox import Sandbox


@dataclass(frozen=True)
class Suite:
    """What to hold to the laws. ``create`` makes an empty sandbox, or ``ground`` an empty account at a true server (one
    at a time: it may be the same one, emptied). ``fill`` puts records into it for a source's checks (the connector's
    own ``demo.fill`` if it has one; it is given the sandbox, or the server). ``records``: made-up records of each kind;
    ``step``: every so many calls get a fault (1 is all of them). ``channels``: ways to write beside the vendor's API.
    ``made`` puts canonical records into the stage in place of the made-up ones, where records must fit each other.
    ``harms``: the faults to order; a proxy before a server knows those of ``servers.harm.Harm``. ``blob``: the bytes
    of made-up records that have some, where the vendor takes only such of its own form.
    """

    vendor: str
    create: Callable[[], Sandbox] | None = None
    fill: Callable[[Any], object] | None = None
    records: int = 8
    step: int = 3
    ground: Callable[[], Ground] | None = None
    channels: tuple[str, ...] = ()
    made: Callable[[Any, Any, Any], None] | None = None
    blob: bytes = b"attachment bytes \x00\xff\n"
    harms: tuple[str, ...] = ("429", "500", "503", "reset", "unanswered", "timeout", "truncated", "garbled")

    @property
    def connector(self) -> Connector:
        """Return the connector under test."""
        return registry.connector(self.vendor).through(self.channels)

    def empty(self) -> Ground:
        """Return a new, empty account without quotas."""
        if self.ground:
            return self.ground()
        box = self.create() if self.create else self.connector.sandbox.create(limits=False)
        return SandboxGround(self.connector, box, self.channels)

    @property
    def fills(self) -> bool:
        """Tell whether there is something to read."""
        return self.fill is not None or (self.connector.folder / "demo.py").is_file()

    def filled(self) -> Ground:
        """Return an account with records for a source's checks."""
        ground = self.empty()
        ground.fill(self.fill or self.connector.part("demo").fill)
        return ground
