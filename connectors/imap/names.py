"""What things are called: ids of folders and messages, and folder names whatever a server puts between their levels."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

INBOX = "INBOX"
LOOK_ALIKES = {"/": "\uff0f", ".": "\uff0e", "\\": "\uff3c"}  # stand for a separator within one level of a name
OTHER_LOOK_ALIKE = "\uff3f"


@dataclass(frozen=True)
class Namespace:
    """Where a mailbox keeps its own folders: what their names begin with, and what stands between their levels."""

    prefix: str = ""
    separator: str = "/"

    def name(self, native: str) -> str:
        """Return a server's name as ours: without the prefix, ``/`` between the levels."""
        if native.upper() == INBOX:
            return INBOX
        held = native.removeprefix(self.prefix)
        if not self.separator:
            return held.replace("/", LOOK_ALIKES["/"])
        look_alike = LOOK_ALIKES.get(self.separator, OTHER_LOOK_ALIKE)
        levels = [level.replace("/", LOOK_ALIKES["/"]) for level in held.split(self.separator)]
        if self.separator != "/":
            levels = [level.replace(look_alike, self.separator) for level in levels]
        if levels[0].upper() == INBOX:
            levels[0] = INBOX
        return "/".join(levels)

    def native(self, name: str) -> str:
        """Return our name as the server's own."""
        if name == INBOX:
            return INBOX
        if not self.separator:
            return self.prefix + name
        look_alike = LOOK_ALIKES.get(self.separator, OTHER_LOOK_ALIKE)
        levels = name.split("/")
        if self.separator != "/":
            levels = [level.replace(self.separator, look_alike) for level in levels]
        return self.prefix + self.separator.join(levels)


def mailbox_id(address: str) -> str:
    """Return a mailbox's id: its address, without what separates the parts of longer ids."""
    return quote(address, safe="@+=!#$&'*^`{|}~ ,:()[]<>\"\\?")


def folder_id(address: str, name: str) -> str:
    """Return a folder's id: ``ann@example.com/Archive/2024``."""
    return f"{mailbox_id(address)}/{name.replace('%', '%25').replace(';', '%3B')}"


def folder_of(id: str) -> tuple[str, str]:
    """Return the address and the name of a folder's id."""
    address, _, name = id.partition("/")
    return unquote(address), name.replace("%3B", ";").replace("%25", "%")


@dataclass(frozen=True, order=True)
class Place:
    """Where a message lies: its folder's id, the folder's validity and the message's number there."""

    folder: str
    validity: int
    uid: int

    @property
    def id(self) -> str:
        """Return the message's id; ids of one folder sort by number."""
        return f"{self.folder};{self.validity}.{self.uid:010d}"


def place_of(id: str) -> Place:
    """Return where the message with this id lies. Raises ValueError for what is no such id."""
    folder, found, numbers = id.rpartition(";")
    validity, dot, uid = numbers.partition(".")
    if not (found and dot):
        raise ValueError(f"'{id[:80]}' is not a message's id")
    return Place(folder, int(validity), int(uid))
