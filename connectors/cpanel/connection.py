"""One cPanel account, read by UAPI: a list a stream, each function asked once, or once for each domain or mailbox."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from migrator.connector import Finding, Native
from migrator.connectors.panels import certificates, forwarders
from migrator.errors import ForbiddenError, MigratorError, RefusedError, VendorError
from migrator.zones.account import ZoneAccount
from migrator.zones.records import RecordSet, absolute, normal, quoted, record_set

from . import names
from .filters import Spelling, scripts
from .responders import answer_of
from .uapi import call, call_api2

QUOTED = {"CAA": (2,), "NAPTR": (2, 3, 4), "URI": (2,), "HINFO": (0, 1)}  # parts that a zone file has in quotes


class Connection(ZoneAccount):
    """One account, read only."""

    def ask(self, name: str, **params: Any) -> Any:
        """Return the data of a function of UAPI."""
        return call(self.client, name, **params)

    def bodies(self, stream: str) -> Iterable[Native]:
        """Return a stream that is no zone's."""
        told: Iterable[Native] = getattr(self, f"_{stream}")()
        return told

    def check(self) -> list[Finding]:
        """Ask who one is, and whether the account may list its domains."""
        found = []
        for what, name in (("credentials", "Variables/get_user_information"), ("domains", "DomainInfo/list_domains")):
            try:
                said = self.ask(name) or {}
                found.append(Finding(what, True, str(said.get("user") or said.get("main_domain") or "")))
            except MigratorError as err:
                found.append(Finding(what, False, str(err)))
        return found

    # ---- domains, websites ------------------------------------------------------------------------------------------

    @cached_property
    def _held(self) -> list[Native]:
        """Return the domains, the main one first, as ``domains_data`` tells them."""
        told = self.ask("DomainInfo/domains_data", format="hash") or {}
        found: list[Native] = []
        for type, key in (
            ("main", "main_domain"),
            ("addon", "addon_domains"),
            ("alias", "parked_domains"),
            ("sub", "sub_domains"),
        ):
            listed = told.get(key) or []
            for one in listed if isinstance(listed, list) else [listed]:
                one = {"domain": one} if isinstance(one, str) else dict(one)
                one["domain"] = str(one["domain"]).lower()
                found.append({**one, "kind": type})
        if not found:
            raise VendorError("DomainInfo/domains_data: an account without a domain")
        return found

    @property
    def _main(self) -> str:
        return str(self._held[0]["domain"])

    @property
    def _mail_domains(self) -> list[str]:
        return [str(one["domain"]) for one in self._held]

    def _domains(self) -> Iterator[Native]:
        routing = {}
        try:
            routing = {str(one.get("domain")): one for one in self.ask("Email/list_mxs") or () if isinstance(one, dict)}
        except ForbiddenError:
            pass  # a server without mail
        known = [str(one["domain"]) for one in self._held]
        for one in self._held:
            name, kind = str(one["domain"]), one["kind"]
            body: Native = {"id": name, "name": name, "type": kind}
            of = self._main if kind == "alias" else names.parent(name, known) if kind == "sub" else None
            if of:
                body["of"] = of
            mail = str((routing.get(name) or {}).get("detected") or "")
            if mail in ("local", "remote", "secondary"):
                body["mail"] = {"secondary": "backup"}.get(mail, mail)
            yield body | {"told": one}

    def _websites(self) -> Iterator[Native]:
        try:
            php = {str(one["vhost"]): one for one in self.ask("LangPHP/php_get_vhost_versions") or ()}
        except ForbiddenError:
            php = {}
        for one in self._held:
            if one["kind"] == "alias":
                continue  # the main domain's own site answers to it
            name, home = str(one["domain"]), str(one.get("homedir") or "")
            version = php.get(name) or php.get(str(one.get("servername"))) or {}
            root = str(one.get("documentroot") or version.get("documentroot") or "")
            body: Native = {"id": name, "name": name, "domain": name, "told": version}
            body["document_root"] = names.below_home(root, home or str(version.get("homedir") or ""))
            body["php_version"] = names.php_version(version.get("version"))
            yield body

    def _redirects(self) -> Iterator[Native]:
        for number, one in enumerate(self.ask("Mime/list_redirects") or (), start=1):
            host = str(one.get("urldomain") or one.get("domain") or "")
            path = str(one.get("sourceurl") or one.get("source") or "/")
            to = one.get("targeturl") or one.get("destination")
            yield {
                "id": f"{number:05} {host}{path}", "host": host, "path": path, "to": to,
                "permanent": str(one.get("statuscode")) == "301" or one.get("type") == "permanent",
                "wildcard": str(one.get("wildcard")) == "1", "told": one,
            }  # fmt: skip

    # ---- zones ------------------------------------------------------------------------------------------------------

    def zones(self) -> Iterable[Native]:
        """Return the zones this server has; the names of a sub domain are in its domain's, unless it has its own."""
        found = []
        for one in self._held:
            name = str(one["domain"])
            [said] = self.ask("DNS/has_local_authority", domain=name) or [{}]
            if str(said.get("local_authority")) == "1" and str(said.get("zone") or name).rstrip(".") == name:
                zone = absolute(name)
                found.append({"id": zone, "name": zone})
        return found

    def held(self, zone: str) -> Iterable[RecordSet]:
        """Return a zone's record sets, by its lines."""
        gathered: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        for line in self.ask("DNS/parse_zone", zone=zone.rstrip(".")) or ():
            if line.get("type") == "record":
                name, type = absolute(_decoded(line["dname_b64"]).decode("latin-1"), zone), str(line["record_type"])
                gathered[name, type].append((int(line["ttl"]), _text(type, line["data_b64"], zone)))
        return names.marked(
            record_set(zone, name, type, min(ttl for ttl, _ in lines), [text for _, text in lines])
            for (name, type), lines in gathered.items()
        )

    # ---- mail -------------------------------------------------------------------------------------------------------

    @cached_property
    def _boxes(self) -> list[Native]:
        return list(self.ask("Email/list_pops_with_disk") or ())

    def _address(self, login: str) -> str:
        return login.lower() if "@" in login else f"{login}@{self._main}"

    def _mailboxes(self) -> Iterator[Native]:
        for one in self._boxes:
            login = str(one.get("email") or one.get("login"))
            address = self._address(login)
            exact = one.get("_diskquota")
            quota = names.quota_bytes(exact, unit=1) if exact is not None else names.quota_bytes(one.get("diskquota"))
            body: Native = {"id": address, "address": address, "domain": address.rpartition("@")[2], "quota": quota}
            used = names.quota_bytes(one.get("_diskused"), unit=1)
            off = any(str(one.get(key)) == "1" for key in ("suspended_login", "suspended_incoming"))
            yield body | {"used": used, "suspended": off, "main": "@" not in login, "told": one}

    def _forwarders(self) -> Iterator[Native]:
        for domain in self._mail_domains:
            found: dict[str, list[str]] = defaultdict(list)
            for one in self.ask("Email/list_forwarders", domain=domain) or ():
                found[str(one["dest"]).lower()] += forwarders.split_targets(str(one["forward"]))
            for address, told in found.items():
                yield forwarders.alias(address, domain, told)
        for one in self.ask("Email/list_domain_forwarders") or ():
            domain = str(one["dest"]).lower()
            yield forwarders.alias(f"@{domain}", domain, [f"@{one['forward']}"])

    def _default_addresses(self) -> Iterator[Native]:
        for one in self.ask("Email/list_default_address", user=self.given("user")) or ():
            yield forwarders.catch_all(str(one["domain"]).lower(), str(one.get("defaultaddress") or ""))

    @cached_property
    def _responders(self) -> list[Native]:
        return list(self._told_responders())

    def _told_responders(self) -> Iterator[Native]:
        for domain in self._mail_domains:
            for one in self.ask("Email/list_auto_responders", domain=domain) or ():
                email = str(one["email"]).lower()
                address = email if "@" in email else f"{email}@{domain}"
                # Asked for one that is not there, cPanel answers with a template (facts.yaml): only listed ones are.
                told = self.ask("Email/get_auto_responder", email=address) or {}
                body: Native = {"id": address, "address": address, **told}
                body["is_html"] = str(told.get("is_html")) == "1"
                body["interval"] = int(told.get("interval") or 0)
                yield body | {key: int(told[key]) if told.get(key) else None for key in ("start", "stop")}

    def _autoresponders(self) -> Iterator[Native]:
        said = {box["address"] for box in self._filtered if box["answer"]}
        for one in self._responders:
            yield one | ({"said": True} if one["address"] in said else {})

    @property
    def _spelling(self) -> Spelling:
        return Spelling(self.options.get("sieve_prefix", ""), self.options.get("sieve_separator", "/"))

    @cached_property
    def _filtered(self) -> list[Native]:
        """Return each mailbox with its own filters, and its responder as a block of its script."""
        responders = {one["address"]: one for one in self._responders} if self._answers else {}
        found = []
        for box in self._boxes:
            login = str(box.get("email") or box.get("login"))
            address = self._address(login)
            own = list(self.ask("Email/list_filters", account=login) or ()) if "@" in login else []
            answer = answer_of(address, [*self._shared, *own], responders.get(address), self._spelling)
            found.append({"address": address, "own": own, "answer": answer})
        return found

    @cached_property
    def _shared(self) -> list[Native]:
        return list(self.ask("Email/list_filters") or ())

    @property
    def _answers(self) -> bool:
        return self.options.get("responders") == "sieve"

    def _filters(self) -> Iterator[Native]:
        for box in self._filtered:
            address = box["address"]
            yield from scripts(address, address, self._shared, box["own"], self._spelling, box["answer"])

    def _lists(self) -> Iterator[Native]:
        for one in self.ask("Email/list_lists") or ():
            address = str(one["list"]).lower()
            owners = [word.strip() for word in str(one.get("listadmin") or "").split(",") if word.strip()]
            body: Native = {"id": address, "address": address, "domain": address.rpartition("@")[2], "owners": owners}
            yield body | {"private": one.get("accesstype") == "private", "told": one}

    # ---- databases, jobs, keys, files -------------------------------------------------------------------------------

    def _databases(self) -> Iterator[Native]:
        for engine, module in (("mysql", "Mysql"), ("postgresql", "Postgresql")):
            try:
                listed = self.ask(f"{module}/list_databases") or ()
            except ForbiddenError:
                if engine == "mysql":
                    raise
                continue  # few servers have it
            for one in listed:
                yield {"id": f"{engine}/{one['database']}", "engine": engine, "name": one["database"], "told": one}

    def _database_users(self) -> Iterator[Native]:
        for one in self.ask("Mysql/list_users") or ():
            yield {"id": f"mysql/{one['user']}", "name": one["user"], "databases": one.get("databases") or []}

    def _grants(self) -> Iterator[Native]:
        for one in self.ask("Mysql/list_users") or ():
            for database in one.get("databases") or ():
                rights = self.ask("Mysql/get_privileges_on_database", database=database, user=one["user"]) or []
                if isinstance(rights, str):
                    rights = [right.strip() for right in rights.split(",")]
                yield {
                    "id": f"{one['user']} {database}", "user": f"mysql/{one['user']}", "user_name": one["user"],
                    "database": f"mysql/{database}", "database_name": database, "rights": rights,
                }  # fmt: skip

    def _cron_jobs(self) -> Iterator[Native]:
        rows = call_api2(self.client, "Cron", "listcron")
        for number, one in enumerate((one for one in rows if one.get("command")), start=1):
            when = " ".join(str(one.get(part, "*")) for part in ("minute", "hour", "day", "month", "weekday"))
            yield {"id": f"{number:05}", "schedule": when, "command": one["command"], "told": one}

    def _certificates(self) -> Iterator[Native]:
        for one in self.ask("SSL/list_certs") or ():
            domains = one.get("domains") or []
            body: Native = {
                "id": one["id"],
                "expires": int(one.get("not_after") or 0),
                "url": f"certificate/{one['id']}",
            }
            body["names"] = domains if isinstance(domains, list) else str(domains).split(",")
            yield body | {"fingerprint": certificates.fingerprint(self._pem(one["id"])), "told": one}

    def _pem(self, id: str) -> str:
        return str((self.ask("SSL/show_cert", id=id) or {}).get("cert") or "")

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield a certificate. Its key stays: UAPI shows it by an id of its own, which no certificate names."""
        what, _, id = url.partition("/")
        if what != "certificate":
            raise RefusedError(f"{url} is nothing that cPanel serves")
        yield self._pem(id).encode()

    def _ftp_accounts(self) -> Iterator[Native]:
        for one in self.ask("Ftp/list_ftp_with_disk") or ():
            login = str(one.get("serverlogin") or one["login"])
            quota = names.quota_bytes(one.get("_diskquota")) or names.quota_bytes(one.get("diskquota"))
            yield {
                "id": login, "login": login, "type": one.get("accttype"), "folder": one.get("reldir") or ".",
                "quota": quota, "told": one,
            }  # fmt: skip


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise VendorError(f"DNS/parse_zone: {text[:40]!r} is no base64") from err


def _text(type: str, parts: list[str], zone: str) -> str:
    """Return a line's data in master file form, its names absolute."""
    data = [_decoded(part) for part in parts]
    if type in ("TXT", "SPF"):
        return " ".join(quoted(part) for part in data)
    inside = QUOTED.get(type, ())
    words = [quoted(part) if place in inside else part.decode("utf-8", "replace") for place, part in enumerate(data)]
    try:
        return normal(type, " ".join(words), zone)[0]
    except RefusedError:
        return " ".join(words)
