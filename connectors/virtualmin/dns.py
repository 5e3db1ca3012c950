"""Zones of virtual servers: record sets read by ``get-dns`` and put in place by ``modify-dns``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from migrator.connector import Native
from migrator.errors import AbsentError, RefusedError
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import APEX, RecordSet, plain_text, quoted, record_set

from .api import DOMAINS, RECORDS, Api, Listed

TEXTS = ("TXT", "SPF")
PIECE = 80  # letters of a long text that Virtualmin puts into one string (split_long_txt_record, feature-dns.pl)
STRING = 255  # letters from which on a text is long to it
TTL = 38400  # seconds, where neither a record nor its zone tells one


class Zones(ZoneAccount):
    """The zones of one account's virtual servers."""

    @cached_property
    def api(self) -> Api:
        """Return the server's programs."""
        return Api(self.client)

    @property
    def server(self) -> str:
        """Return the name of the account's own virtual server."""
        return self.given("server").lower().rstrip(".")

    @cached_property
    def own(self) -> Listed:
        """Return the account's own virtual server. Raises AbsentError where there is none."""
        found = self.api.listed(DOMAINS, ("domain", self.server))
        if not found:
            raise AbsentError(f"list-domains: there is no virtual server {self.server}; make it first", status=404)
        return found[0]

    def virtual_servers(self) -> list[Listed]:
        """Return every virtual server of the account: it, what is under it, and their other names."""
        return self.api.listed(DOMAINS, ("user", self.own.one("username")))

    @cached_property
    def _ours(self) -> set[str]:
        return {one.name for one in self.virtual_servers()}

    def run(self, program: str, *params: tuple[str, str]) -> str:
        """Carry a program out on a virtual server of the account. Raises RefusedError for one of others.

        The administrator may do everything everywhere: whose a name is has to be looked at here.
        """
        [domain] = [value for name, value in params if name == "domain"]
        if program != "create-domain" and domain not in self._ours:
            self._ours.update(one.name for one in self.virtual_servers())
            if domain not in self._ours:
                raise RefusedError(f"{program}: {domain or '(none)'} is no virtual server of this account")
        return self.api.run(program, *params)

    def zones(self) -> Iterable[Native]:
        """Return the zones: of virtual servers with the feature dns, unless their records lie in another's."""
        for one in self.virtual_servers():
            if "dns" in one.one("features").split() and not one.one("parent_dns_virtual_server"):
                yield {"id": f"{one.name}.", "name": f"{one.name}."}

    def held(self, zone: str) -> Iterator[RecordSet]:
        """Yield the record sets of a zone."""
        try:
            told = self.api.listed(RECORDS, ("domain", zone.rstrip(".")))
        except RefusedError as err:
            if re.search(r"does not (exist|have DNS)", str(err)):
                raise AbsentError(str(err), status=404) from err
            raise
        yield from gathered(zone, told)

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Put record sets in place: what has their name and type goes first, in the same call.

        ``modify-dns`` says success whatever became of it: the zone is read again.
        """
        params: list[tuple[str, str]] = []
        for was, becomes in changes:
            one = becomes or was
            assert one is not None
            if becomes and (why := unsayable(one)):
                raise RefusedError(f"modify-dns: {one.name} {one.type}: {why}")
            params.append(("remove-record", f"{one.name} {one.type}"))
        for _, becomes in changes:
            if becomes:
                params += [("add-record-with-ttl", line) for line in lines(becomes)]
        said = self.run("modify-dns", ("domain", zone.rstrip(".")), *params)
        there = {one.id: (one.values, one.ttl) for one in self.held(zone)}
        for was, becomes in changes:
            wanted = (becomes.values, becomes.ttl) if becomes else None
            id = (becomes or was).id  # type: ignore[union-attr]
            if there.get(id) != wanted:
                raise RefusedError(f"modify-dns: {id} is not as it was asked for", status=200, answer=said[:4000])

    def open_zone(self, payload: Native) -> None:
        """Switch DNS on for a virtual server, and take out the records that Virtualmin's template put in."""
        name = str(payload["name"]).rstrip(".")
        self.run("enable-feature", ("domain", name), ("dns", ""))
        if all(one["id"] != f"{name}." for one in self.zones()):
            self.run("disable-feature", ("domain", name), ("dns", ""))
            raise RefusedError(
                f"enable-feature: Virtualmin keeps the records of {name} in the zone of a domain above it"
            )
        self.emptied(f"{name}.")

    def emptied(self, zone: str) -> None:
        """Take out of a zone what is not its name servers' own."""
        rest = [one for one in self.held(zone) if not (one.name == zone and one.type in APEX)]
        if rest:
            self.change(zone, [(one, None) for one in rest])

    def close_zone(self, zone: str) -> None:
        """Switch DNS off for a virtual server."""
        if any(one["id"] == zone for one in self.zones()):
            self.run("disable-feature", ("domain", zone.rstrip(".")), ("dns", ""))


def gathered(zone: str, told: Sequence[Listed]) -> Iterator[RecordSet]:
    """Yield the record sets that ``get-dns`` tells, a record after another."""
    usual = next((one.all("value")[-1] for one in told if one.one("type") == "SOA" and one.all("value")), "")
    found: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for one in told:
        ttl = one.one("ttl") or usual
        seconds = int(ttl) if ttl.isdecimal() else TTL
        found[one.name.lower(), one.one("type").upper()].append((seconds, _value(one)))
    for (name, type), records in found.items():
        yield record_set(zone, name, type, min(ttl for ttl, _ in records), [value for _, value in records])


def _value(one: Listed) -> str:
    if one.one("type").upper() in TEXTS:
        return quoted("".join(one.all("value")).encode())
    return " ".join(one.all("value"))


def lines(one: RecordSet) -> list[str]:
    """Return a record set as ``modify-dns`` takes it: name, type, TTL and value, a record each."""
    texts = one.type in TEXTS
    return [f"{one.name} {one.type} {one.ttl} {plain_text(value) if texts else value}" for value in one.values]


def unsayable(one: RecordSet) -> str | None:
    """Return why Virtualmin cannot take a record set, None where it can."""
    if one.ttl < 1:
        return "Virtualmin takes no TTL of 0"
    for value in one.values if one.type in TEXTS else ():
        text = plain_text(value)
        if re.search(r"[^ -~]|[\"\\]", text):
            return (
                "Virtualmin writes a text as it stands: one with quotes, backslashes or other than ASCII ends its zone"
            )
        if not text or text != " ".join(text.split()):
            return "Virtualmin splits a text at blanks: several together, or at its ends, become one or none"
        if len(text) > STRING and " " in text[PIECE::PIECE]:
            return "Virtualmin cuts a long text every 80 letters, and tells no blank after a cut"
    return None
