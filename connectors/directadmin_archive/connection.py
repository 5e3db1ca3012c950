"""A backup of DirectAdmin: where it has what. The archive itself is read by ``archives``."""

from __future__ import annotations

import re

from migrator.connectors.archives.connection import ArchiveConnection, Found, Layout
from migrator.connectors.archives.members import Shape

from .account import SMALL, Account

# imap/DOMAIN/USER/Maildir, in older backups backup/DOMAIN/email/data/imap/USER/Maildir; the account's own in its home.
BOX = rb"(?:(?:imap|backup)/(?P<domain>[^/]+)/(?:email/data/imap/)?(?P<user>[^/]+)/Maildir|home/Maildir)"
PLACE = re.compile(BOX + rb"/(?:\.(?P<folder>[^/]+)/)?(?P<where>cur|new)/(?P<file>[^/]+)", re.DOTALL)
FOLDER = re.compile(BOX + rb"(?:/|$)(?:\.(?P<folder>[^/]+)/?)?(?:(?:cur|new|tmp)/?)?", re.DOTALL)
HOME = "home/"  # where what the packed home holds is told to lie


def below_home(path: str) -> str | None:
    """Return a path below the account's home: the domains lie beside what the packed home holds."""
    if path == "domains" or path.startswith("domains/"):
        return path
    below = path.removeprefix(HOME)
    return None if below == path or below == "Maildir" or below.startswith("Maildir/") else below or None


LAYOUT = Layout(
    Shape(rooted=False, nested={f"backup/home.tar{end}".encode(): HOME.encode() for end in ("", ".gz", ".zst")}),
    SMALL,
    re.compile(r"backup/(?P<name>[^/]+)\.sql"),
    PLACE,
    FOLDER,
    below_home,
    b"imap/",
)


class Connection(ArchiveConnection[Account]):
    """One backup."""

    layout = LAYOUT

    def described(self, found: Found) -> Account:
        """Return the account that was found."""
        return Account(found, php=self.options.get("php", ""))
