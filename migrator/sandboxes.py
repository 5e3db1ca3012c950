"""Sandboxes served on this machine: for people who try things, for the demo, for tests over a real socket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from migrator import registry
from migrator.testing.sandbox import Sandbox, serve


@contextmanager
def serving(box: Sandbox, *, port: int = 0) -> Iterator[str]:
    """Serve a sandbox, and the foreign host its attachments lie on, on loopback; yield the sandbox's address."""
    with ExitStack() as stack:
        foreign = list(box.state.get("hosts", {}).values())
        if foreign:
            box.state["content_base"] = stack.enter_context(serve(foreign[0]))
        address = stack.enter_context(serve(box, port=port))
        box.state["served_at"] = address
        yield address


def serve_forever(vendor: str, port: int, *, demo_data: bool, say: Callable[[str], None]) -> None:
    """Serve a vendor's sandbox until interrupted."""
    from migrator.testing.sandbox import Clock

    connector = registry.connector(vendor)
    module: Any = connector.sandbox
    box = module.create(clock=Clock(real=True))
    with serving(box, port=port) as address:
        if demo_data:  # after serving: attachments lie at the address that is served
            connector.part("demo").fill(box)
        elif hasattr(module, "furnish"):
            module.furnish(box)
        user = f", user {module.EMAIL}" if hasattr(module, "EMAIL") else ""
        say(f"{connector.manifest.title} sandbox at {address}{user}, token {module.TOKEN}; end it with Ctrl-C")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            say("ended")
