"""Calls of Virtualmin's remote API: a program and its parameters, answered with HTTP 200 whether it did it or not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.errors import AccessError, ForbiddenError, RefusedError, UnknownOutcomeError, VendorError
from migrator.http import Client

PATH = "/virtual-server/remote.cgi"
ADDRESS, HOST = r"[^\s@]*@[^\s@]+", r"[\w.-]+"
# A program that refuses its parameters prints what is wrong, an empty line and how it is used: nothing was done.
USAGE = re.compile(r"^(usage: [\w-]+\.pl|virtualmin [\w-]+)\s", re.M)
Params = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """What a program lists: ``like`` is what a name looks like, ``keys`` are told of every record."""

    program: str
    like: str
    keys: tuple[str, ...]


DOMAINS = Listing("list-domains", HOST, ("id", "type", "username", "features"))
USERS = Listing("list-users", r"\S+", ("domain", "unix_username", "disabled"))
ALIASES = Listing("list-aliases", ADDRESS, ("to",))
DATABASES = Listing("list-databases", r"[\w-]+", ("type", "tables"))
REDIRECTS = Listing("list-redirects", r"/\S*", ("destination", "type"))
RECORDS = Listing("get-dns", r"\S+\.", ("type", "class"))


@dataclass(frozen=True)
class Listed:
    """One record of a list: its name, and values by key, each key several times where it is told so."""

    name: str
    values: Mapping[str, list[str]]

    def one(self, key: str) -> str:
        """Return the value of a key; an empty text where it is not told."""
        return next(iter(self.values.get(key) or ()), "")

    def all(self, key: str) -> list[str]:
        """Return every value of a key."""
        return list(self.values.get(key) or ())


class Api:
    """The programs of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def listed(self, what: Listing, *params: tuple[str, str]) -> list[Listed]:
        """Return what a program lists. Raises ForbiddenError, RefusedError, VendorError."""
        question = [("program", what.program), ("json", "1"), ("multiline", ""), *params]
        told = _told(what.program, self._client.read(PATH, question))  # type: ignore[arg-type]
        _judge(what.program, told)
        items = told.get("data")
        if not isinstance(items, list):
            raise VendorError(f"{what.program}: no list in the answer")
        found = [_record(what, item) for item in items]
        return [one for one in found if one is not None]

    def run(self, program: str, *params: tuple[str, str]) -> str:
        """Carry a program out and return what it printed. Raises RefusedError with its answer, UnknownOutcomeError."""
        for name, value in params:
            # Older servers pass values through a shell, where an escaped line break is none (facts.yaml).
            if re.search(r"[\r\n\0]", value):
                raise RefusedError(f"{program}: a line break in --{name}, which Virtualmin takes in no value")
        body = [("program", program), ("json", "1"), *params]
        told = _told(program, self._client.write("POST", PATH, data=body), wrote=True)
        _judge(program, told)
        return str(told.get("output") or "")


def _told(program: str, response: Any, *, wrote: bool = False) -> dict[str, Any]:
    text = response.text.strip()
    if text.startswith("ERROR:"):
        raise ForbiddenError(f"{program}: {text[6:300].strip()}; only the master administrator may use the remote API")
    if re.match(r"<(!doctype|html)", text, re.I):
        raise AccessError(f"{program}: a page in place of an answer; set session=0 in Webmin's miniserv.conf")
    try:
        answer = response.json()
        if str(answer["status"]) in ("success", "failure", "error"):
            return dict(answer)
    except (ValueError, KeyError, TypeError) as err:
        if not wrote:
            raise VendorError(f"{program}: no answer of Virtualmin's remote.cgi; check the account's address") from err
    raise UnknownOutcomeError(f"{program}: an unreadable answer")


def _judge(program: str, told: Mapping[str, Any]) -> None:
    if told["status"] == "success":
        return
    whole = str(told.get("full_error") or told.get("error") or "")
    said = re.sub(r"<[^>]*>", "", str(told.get("error") or whole)).strip()[:500] or str(told["status"])
    raise RefusedError(f"{program}: {said}", status=422 if USAGE.search(whole) else 200, answer=whole[:4000])


def _record(what: Listing, item: Any) -> Listed | None:
    """Return one record of a list, None for a line that is none: what programs complain of stands among the names.

    Raises VendorError where such a line stands within a record, whose rest it would take.
    """
    values = item.get("values") if isinstance(item, dict) else None
    if not isinstance(values, dict) or not values:
        return None
    name = str(item.get("name") or "")
    if not all(values.get(key) for key in what.keys) or not re.fullmatch(what.like, name):
        raise VendorError(f"{what.program}: something else stands within the record {name[:80]!r}; ask again")
    return Listed(name, {key: [str(one) for one in held] for key, held in values.items()})
