"""One account at Virtualmin: a virtual server of its own, others under it, and what they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from migrator.connector import Finding, Native, Outcome, Raw, Unit, Written
from migrator.connectors.panels.attempts import Attempt, findings
from migrator.delivery import Deliverer
from migrator.errors import InputError, RefusedError
from migrator.zones.records import from_body

from . import records
from .api import ALIASES, DOMAINS
from .dns import unsayable
from .lists import Lists

ZONED = ("zone", "record_set")
OTHER = "alias"  # the variant of what is another name of a domain
Params = list[tuple[str, str]]


class Connection(Lists):
    """The account of one owner of one Virtualmin."""

    def time(self) -> datetime:
        """Return the time by the server's clock."""
        return Deliverer.time(self)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def others(self, stream: str) -> list[Raw]:
        """Return a list, whole: no program has pages."""
        return self._sealed(stream, self.read(stream))

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there as they stand now."""
        if kind in ZONED:
            return super().peek(kind, variant_name, targets)
        variant = self.mapping.variant(kind, variant_name)
        ids = {there.removeprefix(variant.prefix) for there, _ in targets}
        held = [one for one in self.read(variant.stream, ids) if one.id in ids]
        return variant.stream, self._sealed(variant.stream, held)

    def look(self, unit: Unit) -> Native | None:
        """Return a record as it stands, None where it is gone."""
        return super().look(unit) if unit.kind in ZONED else Deliverer.look(self, unit)

    def check(self) -> list[Finding]:
        """Sign in, find the account's own virtual server, and look whether quotas are kept."""
        tries: list[Attempt] = [
            ("credentials", self._signed_in),
            (f"virtual server {self.server}", self._top),
            ("quotas", self._quotas),
        ]
        return findings(tries, ends=lambda what: True)

    def _signed_in(self) -> None:
        with suppress(RefusedError):  # there is no such virtual server: that is the next question
            self.api.listed(DOMAINS, ("domain", self.server))

    def _top(self) -> None:
        if self.own.one("type") != "Top-level server":
            raise InputError(f"virtualmin: {self.server} is under another virtual server: name the one on top")

    def _quotas(self) -> None:
        if not self.own.values.get("server_block_quota"):
            raise InputError("virtualmin: the server keeps no quotas of homes; mailboxes would arrive without")

    # ---- writing ----------------------------------------------------------------------------------------------------

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Return what Virtualmin has against a record, by what its programs do with its parameters."""
        if kind == "domain" and "type" not in payload and not payload.get("of"):
            return "it is another name of a domain, and nothing says of which"
        if kind == "record_set":
            return unsayable(from_body(payload))
        if kind == "autoresponder":
            if records.HEADERS.match(str(payload.get("body") or "")):
                return "Virtualmin would take the first line of the text for a setting"
            for name in ("start", "end"):
                if payload.get(name) and not records.day(payload[name], self.zone):
                    return f"Virtualmin keeps whole days, and its {name} is within one (option timezone)"
        return None

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out units of one kind and action: a program makes one record, but of record sets many."""
        unit = units[0]
        if unit.kind in ZONED:
            return super().write(units)
        way = getattr(self, f"_{unit.action}_{unit.kind}")
        if unit.action != "create":
            there = unit.there.removeprefix(self.mapping.variant(unit.kind, unit.variant).prefix)
            way(replace(unit, there=there))
            return [Written(unit.there)]
        try:
            id = way(unit)
        except RefusedError as err:
            made = None if err.status in (0, 422) else self._made(unit, set())
            if made is None:
                raise
            return [made]  # it complained, and did it
        return [Written(self._named(unit, id))]

    def _create_domain(self, unit: Unit) -> str:
        told = unit.payload
        name = str(told["name"])
        params: Params = [("domain", name), ("mail", "")] if told.get("mail") == "y" else [("domain", name)]
        if unit.variant == OTHER:
            of = str(told["of"])
            params += [("web", "")] if self._shared_web and any(one["site"] for one in self._named_so(of)) else []
            self.run("create-domain", *params, ("alias", of), ("dir", ""), ("no-email", ""))
            return name
        self.run("create-domain", *params, ("parent", self.server), ("dir", ""), ("no-email", ""))
        self._emptied(name)
        return name

    @property
    def _shared_web(self) -> bool:
        """Tell whether a site is the feature that other names of a domain may have too."""
        return "web" in self.web

    def _named_so(self, name: str) -> list[Native]:
        return [one for one in self._domains() if one["name"] == name]

    def _other_names(self, domain: str, *, web: bool) -> list[str]:
        """Return the other names of a domain that answer as its site, or do not."""
        others = (one for one in self._domains() if one["type"] == "Alias" and one.get("of") == domain)
        return [one["name"] for one in others if one["web"] == web]

    def _emptied(self, domain: str) -> None:
        """Take out of a new virtual server the aliases of its template: they would stand in the way of ours."""
        for one in self.api.listed(ALIASES, ("domain", domain)):
            self.run("delete-alias", *_named(one.name))

    def _delete_domain(self, unit: Unit) -> None:
        """Take a virtual server away, unless it holds something: Virtualmin takes all of it along unasked."""
        servers = {one.name: one for one in self.virtual_servers()}
        found = servers.get(unit.there)
        if found is None:
            return
        if found.one("type") == "Top-level server":
            raise RefusedError(f"delete-domain: {unit.there} is the account's own: its Unix user and home would go too")
        held = [f"{len(users)} logins"] if (users := self.listed_users(unit.there)) else []
        held += [
            one.name for one in servers.values() if unit.there in (one.one("real_domain"), one.one("parent_domain"))
        ]
        held += [one["name"] for one in self._databases() if one["domain"] == unit.there]
        if held:
            raise RefusedError(f"delete-domain: {unit.there} holds what others made, and all would go: {held[:3]}")
        said = self.run("delete-domain", ("domain", unit.there))
        if "skip : protected" in said:
            raise RefusedError(f"delete-domain: {unit.there} is protected", status=200, answer=said[:4000])

    def _login(self, unit: Unit) -> Params:
        """Return the parameters that name a login, and those of a new one."""
        name, domain = records.login(unit.there or str(unit.payload["address"]), self.server)
        named: Params = [("domain", domain), ("user", name)]
        if unit.action != "create":
            return named
        told = records.crypted(str(unit.payload.get("hash") or ""))
        named.append(("encpass", told) if told else ("pass", records.password()))
        return [*named, ("quota", records.blocks(unit.payload.get("quota"))), ("no-creation-mail", "")]

    def _create_mailbox(self, unit: Unit) -> str:
        more: Params = [("real", str(unit.payload["name"]))] if unit.payload.get("name") else []
        more += [("disable", "")] if unit.payload.get("suspended") else []
        self.run("create-user", *self._login(unit), *more)
        return str(unit.payload["address"])

    def _update_mailbox(self, unit: Unit) -> None:
        params: Params = []
        for name, value in unit.payload.items():
            if name == "name":
                params.append(("real", str(value or " ")))  # an empty value would take the next one in its place
            elif name == "quota":
                params.append(("quota", records.blocks(value)))
            elif name == "suspended":
                params.append(("disable" if value else "enable", ""))
        self.run("modify-user", *self._login(unit), *params)

    def _delete_mailbox(self, unit: Unit) -> None:
        name, domain = records.login(unit.there, self.server)
        if self.listed_users(domain, name):
            self.run("delete-user", ("domain", domain), ("user", name))

    def _create_ftp_account(self, unit: Unit) -> str:
        folder = f"{self.home.rstrip('/')}/{str(unit.payload.get('folder') or '').strip('/')}".rstrip("/")
        self.run("create-user", *self._login(unit), ("noemail", ""), ("ftp", ""), ("home", folder))
        return "@".join(records.login(str(unit.payload["address"]), self.server))

    _update_ftp_account = _update_mailbox
    _delete_ftp_account = _delete_mailbox

    def _create_autoresponder(self, unit: Unit) -> str:
        told = {"hours": None, "start": None, "end": None, **unit.payload}
        self._answers(unit, str(unit.payload["box"]), told)
        return str(unit.payload["box"])

    def _update_autoresponder(self, unit: Unit) -> None:
        self._answers(unit, unit.there, unit.payload)

    def _answers(self, unit: Unit, box: str, told: Native) -> None:
        params: Params = []
        if "body" in told:
            params.append(("autoreply", records.told_text(str(told["body"]))))
        for name in ("start", "end"):
            if name in told:
                day = records.day(told[name], self.zone) if told[name] else None
                params.append((f"autoreply-{name}", day) if day else (f"no-autoreply-{name}", ""))
        if "hours" in told:
            seconds = str(int(told["hours"] or 0) * records.HOUR)
            params.append(("autoreply-period", seconds) if told["hours"] else ("no-autoreply-period", ""))
        name, domain = records.login(box, self.server)
        self.run("modify-user", ("domain", domain), ("user", name), *params)

    def _delete_autoresponder(self, unit: Unit) -> None:
        name, domain = records.login(unit.there, self.server)
        if self.listed_users(domain, name):
            self.run("modify-user", ("domain", domain), ("user", name), ("no-autoreply", ""))

    # ---- aliases: of nobody, or of a mailbox that forwards ----------------------------------------------------------

    def _box(self, address: str) -> Native | None:
        name, domain = records.login(address, self.server)
        held = (one for one in self._users(domain, name) if one["sort"] == "mailbox" and one["address"] == address)
        return next(held, None)

    def _create_alias(self, unit: Unit) -> str:
        address, to = str(unit.payload["address"]), [str(one) for one in unit.payload["destinations"]]
        box, keep = self._box(address), bool(unit.payload.get("keep_copy"))
        if box is not None:
            self._forwards(box, to, keep=keep)
        elif keep:
            raise RefusedError(f"create-alias: {address} shall keep a copy, and has no mailbox")
        else:
            self.run("create-alias", *_named(address), *(("to", one) for one in to))
        return address

    def _update_alias(self, unit: Unit) -> None:
        box, told = self._box(unit.there), unit.payload
        if box is not None:
            to = told["destinations"] if "destinations" in told else box["forward"]
            self._forwards(box, [str(one) for one in to], keep=bool(told.get("keep_copy", box["local"])))
            return
        if told.get("keep_copy"):
            raise RefusedError(f"create-alias: {unit.there} shall keep a copy, and has no mailbox")
        if "destinations" in told:  # no program changes one
            self._delete_alias(unit)
            self.run("create-alias", *_named(unit.there), *(("to", str(one)) for one in told["destinations"]))

    def _forwards(self, box: Native, to: list[str], *, keep: bool) -> None:
        held = box["forward"]
        params: Params = [("add-forward", one) for one in to if one not in held]
        params += [("del-forward", one) for one in held if one not in to]
        name, domain = records.login(box["address"], self.server)
        copy = "local" if keep else "no-local"
        self.run("modify-user", ("domain", domain), ("user", name), *params, (copy, ""))

    def _delete_alias(self, unit: Unit) -> None:
        box = self._box(unit.there) if not unit.there.startswith("@") else None
        if box is not None and box["forward"]:
            self._forwards(box, [], keep=True)
            return
        domain = unit.there.rpartition("@")[2]
        if any(one.name.lower() == unit.there for one in self.api.listed(ALIASES, ("domain", domain))):
            self.run("delete-alias", *_named(unit.there))

    def _create_catch_all(self, unit: Unit) -> str:
        address = f"@{unit.payload['of']}"
        self.run("create-alias", *_named(address), ("to", str(unit.payload["destination"])))
        return address

    def _update_catch_all(self, unit: Unit) -> None:
        self._delete_alias(unit)
        self.run("create-alias", *_named(unit.there), ("to", str(unit.payload["destination"])))

    _delete_catch_all = _delete_alias

    # ---- sites and databases ----------------------------------------------------------------------------------------

    def _create_website(self, unit: Unit) -> str:
        name = str(unit.payload["name"])
        self.run("enable-feature", ("domain", name), *((feature, "") for feature in self.web))
        try:
            self._versioned(name, unit.payload)
        except RefusedError:
            self.run(
                "disable-feature", ("domain", name), *((feature, "") for feature in self.web)
            )  # half a site is none
            raise
        self._answers_to_all(name)
        return name

    def _answers_to_all(self, name: str) -> None:
        """Let a site answer to the other names of its domain."""
        for other in self._other_names(name, web=False) if self._shared_web else ():
            self.run("enable-feature", ("domain", other), ("web", ""))

    def _versioned(self, name: str, told: Native) -> None:
        if told.get("php_version"):
            self.run("modify-web", ("domain", name), ("php-version", str(told["php_version"])))

    def _update_website(self, unit: Unit) -> None:
        if "php_version" in unit.payload and not unit.payload["php_version"]:
            raise RefusedError(f"modify-web: {unit.there} shall run no PHP: switch it off by hand")
        self._versioned(unit.there, unit.payload)

    def _delete_website(self, unit: Unit) -> None:
        if any(one["site"] for one in self._named_so(unit.there)):
            for other in self._other_names(unit.there, web=True):
                self.run("disable-feature", ("domain", other), ("web", ""))
            self.run("disable-feature", ("domain", unit.there), *((feature, "") for feature in self.web))

    def _create_database(self, unit: Unit) -> str:
        engine = str(unit.payload["engine"])
        params: Params = [("domain", self.server), ("name", str(unit.payload["name"])), ("type", engine)]
        said = self.run("create-database", *params)
        made = re.search(r"Database (\S+) created", said)  # a template may put a word of its own before the name
        return f"{engine}/{made[1] if made else unit.payload['name']}"

    def _delete_database(self, unit: Unit) -> None:
        engine, _, name = unit.there.partition("/")
        found = next((one for one in self._databases() if one["id"] == unit.there), None)
        if found:
            params: Params = [("domain", found["domain"]), ("name", name), ("type", engine)]
            self.run("delete-database", *params)

    def _create_redirect(self, unit: Unit) -> str:
        told = unit.payload
        params: Params = [("domain", str(told["host"])), ("path", str(told["path"])), ("redirect", str(told["to"]))]
        params += [("code", "301" if told.get("permanent") else "302")]
        params += [] if told.get("wildcard") else [("exact", "")]
        self.run("create-redirect", *params)
        return f"{told['host']}{told['path']}"

    def _delete_redirect(self, unit: Unit) -> None:
        if any(one["id"] == unit.there for one in self._redirects()):
            host, slash, path = unit.there.partition("/")
            self.run("delete-redirect", ("domain", host), ("path", slash + path))

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made: whatever Virtualmin holds has a name of its own."""
        if units[0].kind not in ZONED:
            return [self._changed(unit) if unit.action != "create" else self._made(unit, known) for unit in units]
        found = super().find(units, known)
        for unit, one in zip(units, found, strict=True):
            if unit.kind == "zone" and unit.action == "create" and one:
                self.emptied(one.id)
        return found

    def _changed(self, unit: Unit) -> Written | None:
        """Tell whether a change was carried out; an alias that was taken out to be changed is put in again."""
        to = unit.payload.get("destinations") or unit.payload.get("destination")
        if unit.action == "update" and unit.kind in ("alias", "catch_all") and to and self.look(unit) is None:
            some = to if isinstance(to, list) else [to]
            self.run("create-alias", *_named(unit.there), *(("to", str(one)) for one in some))
        return self._stands(unit)

    def _made(self, unit: Unit, known: set[str]) -> Written | None:
        """Return what stands in the place of a new record, finished as ``write`` finishes it."""
        variant = self.mapping.variant(unit.kind, unit.variant)
        id = self._id(unit)
        named = self._named(unit, id)
        held = {raw.id: json.loads(raw.body) for raw in self.read(variant.stream, {id})}.get(id)
        if held is None or named in known or not _is(unit, held):
            return None
        if unit.kind == "domain" and unit.variant != OTHER:
            self._emptied(id)
        if unit.kind == "website":
            self._versioned(id, unit.payload)
            self._answers_to_all(id)
        return Written(named)

    def _id(self, unit: Unit) -> str:
        told = unit.payload
        if unit.kind in ("domain", "website"):
            return str(told["name"])
        if unit.kind == "catch_all":
            return f"@{told['of']}"
        if unit.kind == "database":
            return f"{told['engine']}/{told['name']}"
        if unit.kind == "redirect":
            return f"{told['host']}{told['path']}"
        if unit.kind == "ftp_account":
            return "@".join(records.login(str(told["address"]), self.server))
        return str(told.get("box") or told["address"])


def _is(unit: Unit, held: Native) -> bool:
    """Tell whether what has the name of a new record is one of its kind."""
    sorts = {"mailbox": "mailbox", "ftp_account": "ftp", "alias": "alias", "catch_all": "catch_all"}
    flags = {"website": "site", "autoresponder": "answers"}
    if unit.kind in flags:
        return bool(held[flags[unit.kind]])
    return unit.kind not in sorts or bool(held["sort"] == sorts[unit.kind])


def _named(address: str) -> Params:
    """Return the parameters that name an alias; one without a name catches all."""
    local, _, domain = address.rpartition("@")
    return [("domain", domain), ("from", local or "*")]
