"""One subscription at Plesk, signed in to and read: sites, mail, databases and FTP accounts as records."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any
from xml.etree.ElementTree import Element

from migrator.connector import Native
from migrator.errors import AccessError, ForbiddenError, InputError
from migrator.zones.account import ZoneAccount

from . import records
from .api import ABSENT, FORBIDDEN, Api
from .packets import Operation, Result, el, operation, plain
from .tasks import Tasks

A_PACKET = 40  # questions


class Subscription(ZoneAccount):
    """What the subscription holds."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._known: dict[str, str] = {}  # sites by name to their numbers, as they were seen last

    @cached_property
    def api(self) -> Api:
        """Return the way in: by secret key where one is given, else by user and password."""
        key, password = self._optional("key"), self._optional("password")
        if key:
            return Api(self.client, {"KEY": key}, {"X-API-Key": key})
        if not password:
            raise InputError("plesk needs the secret 'key', or 'password' with the setting 'user'")
        user = self.given("user")
        sign = {"HTTP_AUTH_LOGIN": user, "HTTP_AUTH_PASSWD": password}
        return Api(self.client, sign, {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()})

    def _optional(self, name: str) -> str:
        try:
            return self.given(name)
        except InputError:
            return ""

    @cached_property
    def main(self) -> str:
        """Return the subscription's name, which is its first domain."""
        return self.given("subscription").strip().lower().rstrip(".")

    @cached_property
    def webspace(self) -> str:
        """Return the subscription's number."""
        return str(self._main().findtext("id"))

    @property
    def tasks(self) -> Tasks:
        """Return the scheduled tasks, which only the command line knows."""
        return Tasks(self.api, self.main)

    # ---- asking -----------------------------------------------------------------------------------------------------

    def ask(self, asked: Operation) -> list[Result]:
        """Return the results of one question; what is not there is left out. Raises ForbiddenError, RefusedError."""
        return self._sound(self.api.read(asked)[0], asked)

    def _sound(self, results: Iterable[Result], asked: Operation) -> list[Result]:
        sound, what = [], f"{asked[0]}/{asked[1].tag}"
        for result in results:
            if result.ok:
                sound.append(result)
            elif result.code == FORBIDDEN:
                raise ForbiddenError(f"{what}: {result.said} ({result.code})", answer=result.said)
            elif result.code != ABSENT:
                raise result.refusal(what)
        return sound

    def _main(self) -> Element:
        return self._nodes()[0]

    def _nodes(self) -> list[Element]:
        """Return the subscription's own site and the others, in the words of the answer."""
        dataset = el("dataset", el("gen_info"), el("hosting"))
        asked = [
            operation("webspace", "get", el("filter", el("name", self.main)), dataset),
            operation("site", "get", el("filter", el("parent-name", self.main)), dataset),
        ]
        own, others = (self._sound(some, one) for some, one in zip(self.api.read(*asked), asked, strict=True))
        if not own:
            raise AccessError(f"plesk: there is no subscription '{self.main}' that this user may see")
        return [one.node for one in (*own, *others)]

    def sites(self) -> list[Native]:
        """Return the subscription's sites with what their mail preferences say; the first is its own."""
        nodes = self._nodes()
        hosted = any(node.find("data/hosting/vrt_hst") is not None for node in nodes)
        versions = self.versions if hosted else {}
        found: dict[str, Native] = {}
        for node in nodes:
            if node.findtext("id") and node.find("data") is not None:
                one = records.site(node, main=self.main, versions=versions)
                found.setdefault(str(one["id"]), one)
        self._prefer(found)
        self._known = {one["name"]: str(one["id"]) for one in found.values()}
        return list(found.values())

    def _prefer(self, sites: dict[str, Native]) -> None:
        """Put into each site what its mail preferences mean."""
        asked = operation("mail", "get_prefs", el("filter", *(el("site-id", id) for id in sites)))
        for result in self.ask(asked):
            one, told = sites.get(str(result.node.findtext("site-id"))), result.node.find("prefs")
            if one is not None and told is not None:
                one["told"]["prefs"] = plain(told)
                one |= records.preferences(one["told"]["prefs"])

    @cached_property
    def versions(self) -> dict[str, str]:
        """Return the PHP handlers that are switched on, with their versions; none where the user may not ask."""
        try:
            found = self.ask(operation("php-handler", "get", el("filter")))
        except ForbiddenError:
            return {}
        on = (one.node for one in found if one.node.findtext("handler-status") != "disabled")
        return {str(node.findtext("id")): str(node.findtext("version") or "") for node in on}

    def aliases(self) -> list[Native]:
        """Return the aliases of the subscription's sites."""
        found, sites = [], self.sites()
        for some in _some(sites):
            asked = operation("site-alias", "get", el("filter", *(el("site-id", one["id"]) for one in some)))
            for result in self.ask(asked):
                told = plain(result.node.find("info") or result.node)
                if told.get("name"):
                    name = str(told.get("ascii-name") or told["name"]).lower()
                    id, site = result.node.findtext("id"), str(told.get("site-id"))
                    found.append({"id": id, "name": name, "site": site, "told": told})
        return found

    def mail_accounts(self) -> list[Native]:
        """Return the mail accounts of every site. Which site an answer is about is told by its place alone."""
        found = []
        for some in _some(self.sites()):
            asked = [records.get_info(str(one["id"])) for one in some]
            for one, question, results in zip(some, asked, self.api.read(*asked), strict=True):
                for result in self._sound(results, question):
                    node = result.node.find("mailname")
                    if node is not None:
                        found.append(records.mailname(node, str(one["id"]), one["name"]))
        return found

    def mail_account(self, address: str, site_id: str = "") -> Native | None:
        """Return one mail account, None where there is none."""
        name, _, domain = address.lower().rpartition("@")
        site_id = site_id or self.site_of(domain)
        found = self.ask(records.get_info(site_id, name)) if site_id else []
        nodes = (result.node.find("mailname") for result in found)
        made = (records.mailname(node, site_id, domain) for node in nodes if node is not None)
        return next((one for one in made if one["address"] == address.lower()), None)

    def site_of(self, domain: str) -> str:
        """Return the number of the site with this name, empty where there is none."""
        if domain not in self._known:
            self.sites()
        return self._known.get(domain, "")

    def databases(self) -> list[Native]:
        """Return the subscription's databases."""
        asked = operation("database", "get-db", el("filter", el("webspace-id", self.webspace)))
        told = (plain(result.node) for result in self.ask(asked))
        return [_without(one) for one in told if one.get("name")]

    def database_users(self) -> list[Native]:
        """Return the users of each database, under their logins."""
        databases = self.databases()
        found = []
        for some in _some(databases):
            asked = [operation("database", "get-db-users", el("filter", el("db-id", one["id"]))) for one in some]
            for one, question, results in zip(some, asked, self.api.read(*asked), strict=True):
                for result in self._sound(results, question):
                    told = _without(plain(result.node))
                    if told.get("login"):
                        own = {"number": told["id"], "id": told["login"], "db-id": one["id"], "database": one["name"]}
                        found.append({**told, **own})
        return found

    def ftp_users(self) -> list[Native]:
        """Return the additional FTP accounts, under their logins."""
        asked = operation("ftp-user", "get", el("filter", el("webspace-id", self.webspace)))
        found = []
        for result in self.ask(asked):
            told = _without(plain(result.node))
            if told.get("name"):
                quota = str(told.get("quota") or "-1")
                own = {
                    "number": told["id"],
                    "id": told["name"],
                    "folder": str(told.get("home") or "").strip("/") or ".",
                }
                found.append({**told, **own, "quota": quota if quota not in ("-1", "0") else None})
        return found


def _without(told: Native) -> Native:
    """Return a record without the words about the question."""
    return {key: value for key, value in told.items() if key not in ("status", "filter-id", "password")}


def _some(found: Sequence[Native]) -> Iterator[Sequence[Native]]:
    for at in range(0, len(found), A_PACKET):
        yield found[at : at + A_PACKET]
