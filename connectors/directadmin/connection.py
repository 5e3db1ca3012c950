"""One DirectAdmin account, read by its API: a list a stream, each command asked once, or once for each domain."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from migrator.connector import Finding, Native
from migrator.connectors.panels import certificates, crontab, forwarders
from migrator.errors import ForbiddenError, MigratorError, RefusedError, VendorError
from migrator.zones.account import ZoneAccount
from migrator.zones.records import RecordSet, absolute, normal, of_plain_text, record_set

from . import names
from .api import call, listed, named, told

MIB = 2**20
NO_ZONE = re.compile(
    r"not exist|no such|not found|cannot find|unable to (?:find|read|open)", re.I
)  # its DNS is elsewhere


class Connection(ZoneAccount):
    """One account, read only."""

    def ask(self, command: str, **params: Any) -> Any:
        """Return what a command answers."""
        return call(self.client, command, **params)

    def bodies(self, stream: str) -> Iterable[Native]:
        """Return a stream that is no zone's."""
        told: Iterable[Native] = getattr(self, f"_{stream}")()
        return told

    def check(self) -> list[Finding]:
        """Ask who one is, and whether the account may list its domains."""
        found = []
        for what, command in (("credentials", "CMD_API_SHOW_USER_CONFIG"), ("domains", "CMD_API_SHOW_DOMAINS")):
            try:
                said = self.ask(command)
                text = str(said.get("username") or "") if isinstance(said, dict) else ", ".join(listed(said))
                found.append(Finding(what, True, text))
            except MigratorError as err:
                found.append(Finding(what, False, str(err)))
        return found

    # ---- the account, its domains and websites ----------------------------------------------------------------------

    @cached_property
    def _config(self) -> Native:
        return named(self.ask("CMD_API_SHOW_USER_CONFIG"))

    @property
    def _user(self) -> str:
        return str(self._config.get("username") or self.given("user").rpartition("|")[2])

    @cached_property
    def _names(self) -> list[str]:
        """The domains, the main one first."""
        found = sorted({name.lower() for name in listed(self.ask("CMD_API_SHOW_DOMAINS"))})
        if not found:
            raise VendorError("CMD_API_SHOW_DOMAINS: an account without a domain")
        main = str(self._config.get("domain") or found[0]).lower()
        return sorted(found, key=lambda name: (name != main, name))

    @property
    def _main(self) -> str:
        return self._names[0]

    @cached_property
    def _settings(self) -> dict[str, Native]:
        found = {}
        for name in self._names:
            try:
                found[name] = named(self.ask("CMD_ADDITIONAL_DOMAINS", action="view", domain=name))
            except ForbiddenError:
                found[name] = {}  # a key that may not look at it
        return found

    @cached_property
    def _pointers(self) -> dict[str, dict[str, str]]:
        found = {}
        for name in self._names:
            told_ = named(self.ask("CMD_API_DOMAIN_POINTER", domain=name))
            found[name] = {one.lower(): names.pointer_type(how) for one, how in told_.items()}
        return found

    @cached_property
    def _subs(self) -> dict[str, list[str]]:
        return {name: sorted(listed(self.ask("CMD_API_SUBDOMAINS", domain=name))) for name in self._names}

    def _domains(self) -> Iterator[Native]:
        for name in self._names:
            settings = self._settings[name]
            body: Native = {"id": name, "name": name, "type": "main" if name == self._main else "addon"}
            if str(settings.get("local_mail", "")).lower() in ("yes", "no"):
                body["mail"] = "local" if str(settings["local_mail"]).lower() == "yes" else "remote"
            if "suspended" in settings:
                body["suspended"] = str(settings["suspended"]).lower() == "yes"
            yield body
            for pointer in self._pointers[name]:
                yield {"id": pointer, "name": pointer, "type": "alias", "of": name}
            for sub in self._subs[name]:
                yield {"id": f"{sub}.{name}", "name": f"{sub}.{name}", "type": "sub", "of": name}

    def _websites(self) -> Iterator[Native]:
        for name in self._names:
            php = self._php(self._settings[name])
            aliases = [f"www.{name}", *(one for one, type in self._pointers[name].items() if type == "alias")]
            yield {
                "id": name, "name": name, "domain": name, "aliases": sorted(aliases),
                "document_root": f"domains/{name}/public_html", "php_version": php,
            }  # fmt: skip
            for sub in self._subs[name]:
                host = f"{sub}.{name}"
                yield {"id": host, "name": host, "domain": host, "aliases": [f"www.{host}"], "php_version": php}

    def _php(self, settings: Native) -> str | None:
        """Return the version that is chosen among those that the panel offers."""
        if str(settings.get("php", "ON")).upper() == "OFF":
            return None
        offered = settings.get("php1_select")
        choices = offered.values() if isinstance(offered, dict) else offered if isinstance(offered, list) else ()
        for one in choices:
            if isinstance(one, dict) and str(one.get("selected", "")).lower() in ("yes", "1", "true"):
                found = re.search(r"\d+\.\d+", str(one.get("text", "")))
                return found[0] if found else None
        return None

    def _redirects(self) -> Iterator[Native]:
        for name in self._names:
            for path, to in named(self.ask("CMD_API_REDIRECT", domain=name)).items():
                where = to.get("to") or to.get("target") if isinstance(to, dict) else to
                yield {"id": f"{name}{path}", "host": name, "path": path, "to": str(where)}
            for pointer, type in self._pointers[name].items():
                if type != "alias":
                    yield names.pointed(pointer, name)

    # ---- zones ------------------------------------------------------------------------------------------------------

    def zones(self) -> Iterable[Native]:
        """Return the zones: of domains, and of their pointers."""
        every = [*self._names, *(pointer for some in self._pointers.values() for pointer in some)]
        found = []
        for name in every:
            try:
                if self._lines(name):
                    found.append({"id": absolute(name), "name": absolute(name)})
            except RefusedError as err:
                if not NO_ZONE.search(str(err)):
                    raise
        return found

    def _lines(self, domain: str) -> list[Native]:
        answer = named(self.ask("CMD_API_DNS_CONTROL", domain=domain))
        records = answer.get("records")
        if not isinstance(records, list):
            raise VendorError(f"CMD_API_DNS_CONTROL: an answer for {domain} without records")
        usual = answer.get("ttl_value") or answer.get("default_ttl") or 14400
        return [{"ttl": usual, **{key: value for key, value in one.items() if value != ""}} for one in records]

    def held(self, zone: str) -> Iterable[RecordSet]:
        """Return a zone's record sets."""
        gathered: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        for one in self._lines(zone.rstrip(".")):
            type = str(one["type"]).upper()
            name = absolute(str(one.get("name") or "@"), zone)
            gathered[name, type].append((int(one["ttl"]), _text(type, str(one.get("value") or ""), zone)))
        return names.marked(
            record_set(zone, name, type, min(ttl for ttl, _ in lines), [text for _, text in lines])
            for (name, type), lines in gathered.items()
        )

    # ---- mail -------------------------------------------------------------------------------------------------------

    @cached_property
    def _boxes(self) -> dict[str, Native]:
        """What is told of each mailbox, by address; the account's own is not always in the lists."""
        found: dict[str, Native] = {f"{self._user}@{self._main}": {}}
        for domain in self._names:
            for user, what in named(self.ask("CMD_API_POP", action="full_list", domain=domain)).items():
                found[f"{user}@{domain}".lower()] = told(what)
        return found

    def _mailboxes(self) -> Iterator[Native]:
        for address, what in self._boxes.items():
            body: Native = {"id": address, "address": address, "domain": address.rpartition("@")[2]}
            body |= {"quota": _mebibytes(what.get("quota")), "used": _mebibytes(what.get("usage"))}
            yield body | {"suspended": str(what.get("suspended", "no")).lower() == "yes"}

    def _forwarders(self) -> Iterator[Native]:
        for domain in self._names:
            for name, to in named(self.ask("CMD_API_EMAIL_FORWARDERS", domain=domain)).items():
                targets = [str(one) for one in to] if isinstance(to, list) else forwarders.split_targets(str(to))
                if name != "*" and (name, targets) != (self._user, [self._user]):
                    address = f"{name}@{domain}".lower()
                    yield names.forwarder(address, targets, user=self._user, main=self._main, boxes=self._boxes)

    def _default_addresses(self) -> Iterator[Native]:
        for domain in self._names:
            value = named(self.ask("CMD_API_EMAIL_CATCH_ALL", domain=domain)).get("value")
            if value:
                yield names.catch_all(domain, str(value), user=self._user, main=self._main)

    def _autoresponders(self) -> Iterator[Native]:
        for sort in ("AUTORESPONDER", "VACATION"):
            for domain in self._names:
                for name in named(self.ask(f"CMD_API_EMAIL_{sort}", domain=domain)):
                    one = named(self.ask(f"CMD_API_EMAIL_{sort}_MODIFY", domain=domain, user=name))
                    address = f"{name}@{domain}".lower()
                    body: Native = {
                        "id": address if sort == "AUTORESPONDER" else f"{address} vacation", "address": address,
                        "subject": one.get("subject"), "body": str(one.get("text") or ""),
                        "is_html": "html" in str(one.get("reply_content_type") or ""),
                        "interval": names.hours(one.get("reply_once_time")),
                    }  # fmt: skip
                    if sort == "VACATION":
                        body |= {"start": names.moment(one, "start"), "stop": names.moment(one, "end")}
                    yield body

    def _lists(self) -> Iterator[Native]:
        for domain in self._names:
            for name in named(self.ask("CMD_API_EMAIL_LIST", domain=domain)):
                one = named(self.ask("CMD_API_EMAIL_LIST", domain=domain, action="view", name=name))
                members = sorted({str(value) for key, value in one.items() if re.fullmatch(r"s\d+", key)})
                address = f"{name}@{domain}".lower()
                yield {"id": address, "address": address, "domain": domain, "members": members}

    # ---- databases, jobs, keys, logins ------------------------------------------------------------------------------

    @cached_property
    def _of_databases(self) -> dict[str, list[str]]:
        """The users of each database, without the account itself, whom the panel names among them."""
        found = {}
        for name in listed(self.ask("CMD_API_DATABASES")):
            users = listed(self.ask("CMD_API_DATABASES", action="users", db=name))
            found[name] = [user for user in users if user != self._user]
        return found

    def _databases(self) -> Iterator[Native]:
        for name in self._of_databases:
            yield {"id": f"mysql/{name}", "engine": "mysql", "name": name}

    def _database_users(self) -> Iterator[Native]:
        hosts: dict[str, set[str]] = defaultdict(set)
        for name, users in self._of_databases.items():
            some = listed(self.ask("CMD_API_DATABASES", action="accesshosts", db=name)) if users else []
            for user in users:
                hosts[user].update(some)
        for user, some_hosts in hosts.items():
            yield {"id": f"mysql/{user}", "name": user, "hosts": sorted(some_hosts)}

    def _grants(self) -> Iterator[Native]:
        for name, users in self._of_databases.items():
            for user in users:
                yield {
                    "id": f"{user} {name}", "user": f"mysql/{user}", "user_name": user, "database": f"mysql/{name}",
                    "database_name": name,
                }  # fmt: skip

    def _cron_jobs(self) -> Iterator[Native]:
        found = named(self.ask("CMD_API_CRON_JOBS"))
        settings = [f"{key}={value}" for key, value in found.items() if not key.isdecimal()]
        yield from crontab.jobs([*settings, *(str(found[key]) for key in sorted(found) if key.isdecimal())])

    def _certificate(self, domain: str) -> Native:
        return named(self.ask("CMD_API_SSL", domain=domain))

    def _certificates(self) -> Iterator[Native]:
        for domain in self._names:
            what = self._certificate(domain)
            if found := certificates.fingerprint(_pem(what)):
                body: Native = {"id": domain, "names": [domain], "website": domain, "fingerprint": found}
                yield body | {"expires": _number(what.get("end")), "url": f"certificate/{domain}"}

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield a certificate, with its key and its chain where the panel tells them."""
        kind, _, domain = url.partition("/")
        if kind != "certificate":
            raise RefusedError(f"{url} is nothing that DirectAdmin serves")
        what = self._certificate(domain)
        parts = [str(what.get("key") or ""), _pem(what), str(what.get("cacert") or "")]
        yield "".join(part.strip() + "\n" for part in parts if "-----BEGIN" in part).encode()

    def _ftp_accounts(self) -> Iterator[Native]:
        home = f"/home/{self._user}"
        for domain in self._names:
            for login, what in named(self.ask("CMD_API_FTP", domain=domain)).items():
                path = str(told(what).get("path") or "") if isinstance(what, dict) or "=" in str(what) else str(what)
                if login != self._user and "@" in login:
                    below = path.removeprefix(home).strip("/") if path.startswith(home + "/") else path
                    yield {"id": login, "login": login, "folder": "." if path.rstrip("/") == home else below}


def _mebibytes(said: Any) -> int | None:
    """Return so many MiB in bytes; None where it is none (0, unlimited)."""
    try:
        return int(float(str(said)) * MIB) or None
    except (ValueError, OverflowError):
        return None


def _number(said: Any) -> int | None:
    return int(str(said)) if str(said).isdecimal() else None


def _pem(what: Native) -> str:
    return str(what.get("certificate") or what.get("cert") or "")


def _text(type: str, value: str, zone: str) -> str:
    """Return a record's data in master file form, its names absolute."""
    if type in ("TXT", "SPF") and not value.lstrip().startswith('"'):
        return of_plain_text(value)
    try:
        return normal(type, value, zone)[0] if type not in ("TXT", "SPF") else value
    except RefusedError:
        return value
