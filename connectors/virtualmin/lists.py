"""Lists of one account: what the programs tell of everything its owner has."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import tzinfo
from functools import cached_property

from migrator.connector import Native, Raw
from migrator.connectors.panels.times import time_zone
from migrator.errors import RefusedError

from . import records
from .api import ALIASES, DATABASES, REDIRECTS, USERS, Listed
from .dns import Zones

FEW = 8  # logins that are asked for one by one


class Lists(Zones):
    """The account of one owner of one Virtualmin, as far as it is read."""

    @cached_property
    def home(self) -> str:
        """Return the account's home, below which its files lie."""
        return self.own.one("home_directory")

    @cached_property
    def web(self) -> list[str]:
        """Return the features that are switched on for a site; the first says whether there is one."""
        return self.options.get("web", "").split() or ["web"]

    @cached_property
    def zone(self) -> tzinfo:
        """Return the time zone of the server, whose days autoresponders begin and end with."""
        return time_zone("virtualmin", self.options)

    def read(self, stream: str, ids: Collection[str] = ()) -> list[Raw]:
        """Return a stream in the order of its ids: whole, or of logins a few at least, where only these are wanted."""
        near = stream == "users" and 0 < len(ids) <= FEW
        bodies = [one for id in ids for one in self._near(id)] if near else getattr(self, f"_{stream}")()
        found = [Raw(str(body["id"]), json.dumps(body, ensure_ascii=False, sort_keys=True).encode()) for body in bodies]
        return sorted(found, key=lambda raw: (len(raw.id), raw.id))

    def _domains(self) -> list[Native]:
        return [{"id": one.name, **records.domain(one, self.home, web=self.web[0])} for one in self.virtual_servers()]

    def _users(self, *of: str) -> list[Native]:
        return [{"id": one["address"], **one} for one in map(self._user, self.listed_users(*of))]

    def _near(self, address: str) -> list[Native]:
        name, domain = records.login(address, self.server)
        try:
            return self._users(domain, name)
        except RefusedError as err:
            if "does not exist" in str(err):  # its virtual server
                return []
            raise

    def _user(self, one: Listed) -> Native:
        return records.user(one, self.home, self.zone)

    def listed_users(self, domain: str = "", name: str = "") -> list[Listed]:
        """Return the logins of the account, of one virtual server, or one of them."""
        whose = ("domain", domain) if domain else ("domain-user", self.own.one("username"))
        only = [("user", name)] if name else []
        return self.api.listed(USERS, whose, ("simple-aliases", ""), *only)

    def _aliases(self) -> list[Native]:
        listed = self.api.listed(ALIASES, ("user", self.own.one("username")))
        others = {one["name"]: one["of"] for one in self._domains() if one.get("of")}
        return records.aliases(listed, self._users(), others)

    def _databases(self) -> Iterator[Native]:
        for server in self.virtual_servers():
            if {"mysql", "postgres"} & set(server.one("features").split()):
                listed = self.api.listed(DATABASES, ("domain", server.name))
                yield from (records.database(one, server.name) for one in listed)

    def _redirects(self) -> Iterator[Native]:
        for server in self._domains():
            if server["site"]:
                listed = self.api.listed(REDIRECTS, ("domain", server["name"]))
                yield from filter(None, (records.redirect(one, server["name"]) for one in listed))
