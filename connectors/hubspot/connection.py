"""A HubSpot, opened: files are handed out by an address that is signed for some minutes (Files v3)."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.delivery import Deliverer
from migrator.errors import RefusedError


class Connection(Deliverer):
    """One account."""

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield a file's bytes; its address is signed only now, for it does not last. Raises RefusedError."""
        signed = self.client.read(url).json().get("url")
        if not signed:
            raise RefusedError(f"file {url}: HubSpot signs no address for it")
        return super().blob(signed)
