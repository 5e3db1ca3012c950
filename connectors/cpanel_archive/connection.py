"""An archive of cPanel: where it has what. The archive itself is read by ``archives``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from migrator.connector import Native
from migrator.connectors.archives.connection import ArchiveConnection, Found, Layout
from migrator.connectors.archives.members import Shape
from migrator.connectors.cpanel.filters import Spelling

from .account import SMALL, Account

NOT_FILES = ("homedir/mail", "homedir/etc", "homedir/.autorespond")  # records of their own
PLACE = re.compile(
    rb"homedir/mail/(?:(?P<domain>[^./][^/]*)/(?P<user>[^/]+)/)?(?:\.(?P<folder>[^/]+)/)?(?P<where>cur|new)/(?P<file>[^/]+)",
    re.DOTALL,
)
FOLDER = re.compile(
    rb"homedir/mail/(?:(?P<domain>[^./][^/]*)/(?P<user>[^/]+)(?:/|$))?(?:\.(?P<folder>[^/]+)/?)?(?:(?:cur|new|tmp)/?)?",
    re.DOTALL,
)


def below_home(path: str) -> str | None:
    """Return a path below the account's home."""
    if not path.startswith("homedir/") or any(path == part or path.startswith(part + "/") for part in NOT_FILES):
        return None
    return path.removeprefix("homedir/")


LAYOUT = Layout(
    Shape(nested={b"homedir.tar": b"homedir/"}),
    SMALL,
    re.compile(r"mysql/(?P<name>[^/]+)\.sql"),
    PLACE,
    FOLDER,
    below_home,
    b"homedir/mail/",
    re.compile(r"mm/([^/]+)/"),
)


class Connection(ArchiveConnection[Account]):
    """One archive."""

    layout = LAYOUT

    def described(self, found: Found) -> Account:
        """Return the account that was found."""
        return Account(found.files, found.dumps, found.boxes, found.named)

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self.options.get("sieve_prefix", ""), self.options.get("sieve_separator", "/"))

    def _filtered(self) -> Iterator[tuple[str, list[Native], bool]]:
        return self.account.filtered(self._spelling, answers=self.options.get("responders") == "sieve")

    def bodies(self, stream: str) -> Iterable[Native]:
        """Return the records of a stream; filters are told in the new server's spelling."""
        if stream == "filters":
            return [one for _, made, _ in self._filtered() for one in made]
        if stream == "autoresponders":
            said = {address for address, _, answers in self._filtered() if answers}
            told = self.account.autoresponders()
            return [one | ({"said": True} if one["address"] in said else {}) for one in told]
        return super().bodies(stream)
