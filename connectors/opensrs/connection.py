"""One reseller's account at OpenSRS: registered domains, their zones, and the mail hosted for them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from migrator.connector import Finding, Native, Outcome, Raw, Unit, Written
from migrator.delivery import Deliverer
from migrator.errors import AbsentError, ForbiddenError, InputError, MigratorError, RefusedError, TruncatedError
from migrator.zones.account import Change, ZoneAccount
from migrator.zones.records import RecordSet, absolute, from_body

from .mail import Hosted
from .records import group, records_of, told
from .xcp import Registrar, Signed, envelope

DNS = ("zone", "record_set")
SINCE, UNTIL = "1990-01-01", "2199-12-31"  # domains are listed by the day they expire: between these, all of them
OWN_HOSTS = "opensrs.net"


class Connection(ZoneAccount):
    """One account."""

    @cached_property
    def registrar(self) -> Registrar:
        """Return the XML API. Raises ForbiddenError where the account gives no key: there are no domains to read."""
        return Registrar(self.client, Signed(self._part("user"), self._part("key")))

    @cached_property
    def mail(self) -> Hosted:
        """Return the mail API, which is another server; one that plays OpenSRS plays both. Raises ForbiddenError."""
        user, password = self._part("mail_user"), self._part("mail_password")
        base = self.options.get("mail_url") or self.client.base_url
        if not self.options.get("mail_url") and OWN_HOSTS in base:
            base = f"https://admin.{self.options.get('cluster', 'a')}.hostedemail.com"
        size, base = self.manifest.streams["mailboxes"].paging.size, base.rstrip("/").removesuffix("/api")
        return Hosted(replace(self.client, base_url=base), user, password, size=size)

    def _part(self, name: str) -> str:
        try:
            return self.given(name)
        except InputError as err:
            raise ForbiddenError(f"{err}; without it this part of the account is not read") from err

    # ---- reading ----------------------------------------------------------------------------------------------------

    def bodies(self, stream: str) -> Iterable[Native]:
        """Return a stream that is no zone's."""
        return (self._domain(name) for name in self._names()) if stream == "domains" else self.mail.read(stream)

    def _names(self) -> Iterator[str]:
        """Yield the account's domains. Where no page is named, OpenSRS answers the second: pages begin at 0."""
        page, size, came = 0, self.manifest.streams["domains"].paging.size, set[str]()
        while True:
            asked = {"exp_from": SINCE, "exp_to": UNTIL, "limit": size, "page": page}
            answer = self.registrar.ask("GET_DOMAINS_BY_EXPIREDATE", asked)
            listed = answer.get("exp_domains") or []
            fresh = [str(one["name"]).lower() for one in listed if str(one["name"]).lower() not in came]
            came.update(fresh)
            yield from fresh
            page += 1
            if str(answer.get("remainder")) != "1" or not listed:
                break
        total = int(answer.get("total") or 0)
        if len(came) < total:
            raise TruncatedError(f"OpenSRS counts {total} domains and told {len(came)}; extract again")

    def _domain(self, name: str) -> Native:
        info = self.registrar.ask("GET", {"domain": name, "type": "all_info"})
        status = self.registrar.ask("GET", {"domain": name, "type": "status"})
        servers = [str(one.get("name") or "").lower().rstrip(".") for one in info.get("nameserver_list") or []]
        expires = str(info.get("expiredate") or "")[:10]
        contacts = info.get("contact_set") or {}
        return {
            "id": name, "name": name, "expires": f"{expires}T00:00:00Z" if expires else None,
            "auto_renew": str(info.get("auto_renew")) == "1", "locked": str(status.get("lock_state")) == "1",
            "name_servers": sorted(server for server in servers if server),
            "contacts": sorted(_person(role, one) for role, one in contacts.items()),
        }  # fmt: skip

    def zones(self) -> Iterable[Native]:
        """Return the zones of the account's domains: OpenSRS lists none, it is asked for each."""
        for name in self._names():
            try:
                self._held_records(name)
            except AbsentError:
                continue
            yield {"id": absolute(name), "name": absolute(name)}

    def _held_records(self, zone: str) -> dict[str, list[Native]]:
        answer = self.registrar.ask("GET_DNS_ZONE", {"domain": zone.rstrip(".")})
        found = answer.get("records") or {}
        return found if isinstance(found, dict) else {}

    def held(self, zone: str) -> Iterable[RecordSet]:
        """Return a zone's record sets."""
        return [told(zone, type, name, some) for (type, name), some in group(zone, self._held_records(zone)).items()]

    def check(self) -> list[Finding]:
        """Try each part that the account gives credentials for."""
        tries: tuple[tuple[str, Callable[[], object]], ...] = (
            ("domains", lambda: next(iter(self._names()), "")),
            ("mail", lambda: self.mail.domains()),
        )
        found, parts = [], 0
        for what, attempt in tries:
            try:
                attempt()
                found.append(Finding(what, True, self.client.base_url))
                parts += 1
            except ForbiddenError as err:
                found.append(Finding(what, parts > 0 or what == "domains", f"left out: {err}"))
            except MigratorError as err:
                found.append(Finding(what, False, str(err)))
        return found

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there as they stand now."""
        if kind in DNS:
            return super().peek(kind, variant_name, targets)
        stream = self.mapping.variant(kind, variant_name).stream
        bodies = (self._now(stream, id) for id in dict.fromkeys(there for there, _ in targets))
        return stream, [Raw(str(body["id"]), _json(body)) for body in bodies if body]

    def _now(self, stream: str, id: str) -> Native | None:
        """Return one record as it stands, None where it is gone."""
        try:
            return self._domain(id) if stream == "domains" else self.mail.one(stream, id)
        except AbsentError:
            return None

    def look(self, unit: Unit) -> Native | None:
        """Return a record as it stands, None where it is gone."""
        return super().look(unit) if unit.kind in DNS else Deliverer.look(self, unit)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Say what stands against a record: its domain has to be in the account already, which a person sees to."""
        if kind == "record_set":
            return _unspeakable(payload)
        if kind == "mailbox":
            domain = str(payload["address"]).rpartition("@")[2].lower()
            return None if domain in self.mail.domains() else f"no mail domain {domain} there; open it, then plan again"
        if kind == "alias":
            return None if payload.get("destinations") else "it leads to no address"
        name = str(payload["name"]).rstrip(".").lower()
        if name in self._known_names:
            return None
        return f"{name} is not in this account: a person transfers or registers it, then plan again"

    @cached_property
    def _known_names(self) -> frozenset[str]:
        return frozenset(self._names())

    def opens(self, kind: str) -> bool:
        """Tell whether logins of a kind have a password that can be set."""
        return kind == "mailbox"

    def set_password(self, kind: str, there: str, password: str) -> None:
        """Set a mailbox's password."""
        self.mail.set_password(there, password)

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out units of one kind and action."""
        if units[0].kind in DNS:
            return super().write(units)
        return [self._done(unit) for unit in units]

    def _done(self, unit: Unit) -> Written:
        with self._writing:
            if unit.kind != "registered_domain":
                return Written(self.mail.write(unit))
            name = unit.there or str(unit.payload["name"])
            self._set(name, unit.payload)
            return Written(name)

    def _set(self, name: str, payload: Native) -> None:
        """Bring a domain to this state. Each call says how it shall be: made again it does no harm."""
        if payload.get("name_servers"):
            asked = {"domain": name, "op_type": "assign", "assign_ns": list(payload["name_servers"])}
            self.registrar.write("ADVANCED_UPDATE_NAMESERVERS", asked)
        if payload.get("auto_renew") is not None:
            on = bool(payload["auto_renew"])
            how = {"domain": name, "affect_domains": 0, "data": "expire_action", "auto_renew": on, "let_expire": False}
            self.registrar.write("MODIFY", how)
        if payload.get("locked") is not None:
            lock = {"domain": name, "affect_domains": 0, "data": "status", "lock_state": bool(payload["locked"])}
            self.registrar.write("MODIFY", lock)

    def change(self, zone: str, changes: Sequence[Change]) -> None:
        """Write a zone whole, the changed sets in it: OpenSRS takes no single record. All or nothing."""
        domain = zone.rstrip(".")
        sets = group(zone, self._held_records(zone))
        for was, becomes in changes:
            one = becomes or was
            assert one is not None
            sets.pop((one.type, one.name), None)
            if becomes:
                sets[becomes.type, becomes.name] = records_of(becomes)
        records: dict[str, list[Native]] = defaultdict(list)
        for (type, _), some in sorted(sets.items()):
            records[type] += some
        self.registrar.write("SET_DNS_ZONE", {"domain": domain, "records": dict(records)})

    def open_zone(self, payload: Native) -> None:
        """Switch OpenSRS's DNS on for a domain, without records."""
        self.registrar.write("CREATE_DNS_ZONE", {"domain": str(payload["name"]).rstrip("."), "records": {}})

    def close_zone(self, zone: str) -> None:
        """Switch it off."""
        try:
            self.registrar.write("DELETE_DNS_ZONE", {"domain": zone.rstrip(".")})
        except AbsentError:
            pass

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made: each says how the record shall be, so what is so was carried out."""
        if units[0].kind in DNS:
            return super().find(units, known)
        stream = self.mapping.variant(units[0].kind, units[0].variant).stream
        found: list[Written | None] = []
        for unit in units:
            id = unit.there or str(unit.payload["name"] if stream == "domains" else self.mail.id_of(unit))
            now = self._now(stream, id)
            if unit.action == "delete":
                found.append(Written(id) if now is None else None)
                continue
            so = now is not None and all(_same(now.get(key), value) for key, value in unit.payload.items())
            found.append(Written(id) if so else None)
        return found


def _unspeakable(payload: Native) -> str | None:
    """Return why a record set cannot be said in XML."""
    try:
        envelope({"records": records_of(from_body(payload))})
    except RefusedError as err:
        return str(err)
    return None


def _same(there: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return sorted(map(str, there or ())) == sorted(map(str, wanted))
    return bool(there == wanted or (not there and not wanted))


def _person(role: str, told: Native) -> str:
    name = " ".join(str(told.get(key) or "") for key in ("first_name", "last_name")).strip()
    return f"{role}: {name or told.get('org_name') or ''}, {told.get('email') or ''}"


def _json(body: Native) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
