"""What a backup's small files say: domains, mailboxes, forwarders, users, grants, jobs. Only data is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from migrator.connector import Native
from migrator.connectors.archives.connection import Found, size_of
from migrator.connectors.directadmin import names
from migrator.connectors.panels import certificates, crontab, forwarders
from migrator.connectors.panels.pairs import pairs
from migrator.errors import VendorError
from migrator.zones.records import RecordSet, of_zone_text

SMALL = re.compile(
    r"backup/(?:user\.conf|crontab\.conf|[^/]+\.conf)"
    r"|backup/[^/]+/(?:domain\.(?:conf|pointers|cert|key|cacert|cust_httpd|subdomains\.docroot\.override)"
    r"|subdomain\.list|ftp\.passwd|[^/]+\.db)"
    r"|backup/[^/]+/email/(?:aliases|passwd|quota|email\.conf|autoresponder\.conf|vacation\.conf|filter|reply/[^/]+)"
    r"|backup/[^/]+/email/majordomo/lists/[^/]+"
    r"|imap/[^/]+/[^/]+/(?:\.dovecot\.sieve|sieve/[^/]+\.sieve)"
    r"|(?:imap/[^/]+/[^/]+/Maildir|backup/[^/]+/email/data/imap/[^/]+/Maildir|home/Maildir)/(?:.*/)?"
    r"(?:dovecot-keywords|subscriptions)"
)
SCHEMES = {"$6": "{SHA512-CRYPT}", "$5": "{SHA256-CRYPT}", "$1": "{MD5-CRYPT}", "$2": "{BLF-CRYPT}"}
NO_LIST = re.compile(r"\.|-(?:digest|outgoing)$")  # beside a list's members lie its settings, and those of its digest
OWN_CONF = ("user", "crontab", "backup", "reseller", "ticket")  # of backup/*.conf; the others are databases'


class Account:
    """An account, by what was found in its backup. ``php``: which version has which number (``1=8.3 2=7.4``)."""

    def __init__(self, found: Found, *, php: str = "") -> None:
        self.files, self._found = found.files, found
        self.about = dict(pairs(self.files.get("backup/user.conf", ""), "="))
        self.user = self.about.get("username") or self.about.get("name") or ""
        self._php = php or _php_of_path(self.files.get("backup/crontab.conf", ""))
        named = (re.fullmatch(r"backup/([^/]+)/domain\.conf", path) for path in sorted(self.files))
        self.confs = {one[1]: dict(pairs(self.files[one[0]], "=")) for one in named if one}
        default = (name for name, conf in self.confs.items() if conf.get("defaultdomain") == "yes")
        main = self.about.get("domain") or next(default, "") or next(iter(self.confs), "")
        self.main = main.lower()
        if not self.main or not self.user:
            raise VendorError("the archive names no user and domain (backup/user.conf): is it a backup of a user?")

    def _of(self, domain: str, name: str) -> str:
        return self.files.get(f"backup/{domain}/{name}", "")

    def text(self, name: str) -> str:
        """Return a certificate with its key and its chain."""
        parts = (self._of(name, f"domain.{part}") for part in ("key", "cert", "cacert"))
        return "".join(part.rstrip("\n") + "\n" for part in parts if part.strip())

    # ---- domains and websites ---------------------------------------------------------------------------------------

    def _pointers(self, domain: str) -> dict[str, str]:
        told = pairs(self._of(domain, "domain.pointers"), "=")
        return {name.lower(): names.pointer_type(value) for name, value in told}

    def _subs(self, domain: str) -> list[str]:
        return sorted(
            {line.strip().lower() for line in self._of(domain, "subdomain.list").splitlines() if line.strip()}
        )

    def domains(self) -> Iterator[Native]:
        """Yield the domains, the main one first; a pointer is an alias of its domain."""
        for folder in sorted(self.confs, key=lambda one: (one.lower() != self.main, one)):
            name, conf = folder.lower(), self.confs[folder]
            body: Native = {"id": name, "name": name, "type": "main" if name == self.main else "addon"}
            if conf.get("local_domain") in ("0", "1"):
                body["mail"] = "local" if conf["local_domain"] == "1" else "remote"
            yield body | {"suspended": conf.get("suspended", "no").lower() in ("yes", "on")}
            for pointer in self._pointers(folder):
                yield {"id": pointer, "name": pointer, "type": "alias", "of": name}
            for sub in self._subs(folder):
                yield {"id": f"{sub}.{name}", "name": f"{sub}.{name}", "type": "sub", "of": name}

    def websites(self) -> Iterator[Native]:
        """Yield what answers by HTTP: a domain's site and those of its sub domains, each with its folder."""
        for folder, conf in self.confs.items():
            name, root = folder.lower(), f"domains/{folder}/public_html"
            own = re.search(r"\|\?DOCROOT=`HOME`/([^|`]+)\|", self._of(folder, "domain.cust_httpd"))
            aliases = [f"www.{name}", *(one for one, type in self._pointers(folder).items() if type == "alias")]
            php = {"php_version": self._php_version(conf), "php": conf.get("php1_select")}
            yield {
                "id": name, "name": name, "domain": name, "aliases": sorted(aliases),
                "document_root": own[1].strip("/") if own else root, **php,
            }  # fmt: skip
            told = dict(pairs(self._of(folder, "domain.subdomains.docroot.override"), "="))
            for sub in self._subs(folder):
                elsewhere = names.values(told.get(sub, "")).get("public_html", "").strip("/")
                yield {
                    "id": f"{sub}.{name}", "name": f"{sub}.{name}", "domain": f"{sub}.{name}",
                    "aliases": [f"www.{sub}.{name}"], "document_root": elsewhere or f"{root}/{sub}", **php,
                }  # fmt: skip

    def _php_version(self, conf: dict[str, str]) -> str | None:
        if conf.get("php", "ON").upper() == "OFF":
            return None
        return names.php_version(conf.get("php1_select"), self._php)

    def redirects(self) -> Iterator[Native]:
        """Yield the pointers that redirect; other redirects stand in .htaccess files."""
        for folder in self.confs:
            for pointer, type in self._pointers(folder).items():
                if type != "alias":
                    yield names.pointed(pointer, folder.lower())

    @cached_property
    def _zones(self) -> dict[str, str]:
        found = (re.fullmatch(r"backup/[^/]+/([^/]+)\.db", path) for path in sorted(self.files))
        return {one[1].lower() + ".": one[0] for one in found if one}

    def zones(self) -> list[str]:
        """Return the zones: of domains, and of pointers, which lie beside them."""
        return list(self._zones)

    def zone(self, zone: str) -> list[RecordSet]:
        """Return a zone's record sets."""
        return names.marked(of_zone_text(zone, self.files[self._zones[zone]]))

    # ---- mail -------------------------------------------------------------------------------------------------------

    def mailboxes(self) -> Iterator[Native]:
        """Yield the mailboxes: the account's own, those of the lists of logins, then what lies on the disk alone."""
        own = f"{self.user}@{self.main}"
        known = {"", own}
        yield self._box(own, self._logins.get(own, ""), True)
        for address, hash in self._logins.items():
            known.add(address)
            if address != own:
                yield self._box(address, hash, False)
        for login in sorted(set(self._found.boxes) - known):
            yield self._box(login, "", False) | {"suspended": True, "orphan": True}

    @cached_property
    def _logins(self) -> dict[str, str]:
        return {
            f"{user}@{folder}".lower(): told.partition(":")[0]
            for folder in self.confs
            for user, told in pairs(self._of(folder, "email/passwd"), ":")
        }

    def _box(self, address: str, hash: str, main: bool) -> Native:
        user, _, domain = address.partition("@")
        made: Native = {"id": address, "address": address, "domain": domain, "main": main}
        folder = next((one for one in self.confs if one.lower() == domain), domain)
        quota = {name.lower(): told for name, told in pairs(self._of(folder, "email/quota"), ":")}.get(user, "")
        made |= {
            "quota": int(quota) or None if re.fullmatch(r"[0-9]{1,18}", quota) else None,
            "suspended": hash.startswith(("!", "*")),
        }
        if bare := hash.lstrip("!*"):
            made["password_hash"] = SCHEMES.get(bare[:2], "{CRYPT}") + bare
        return made

    def _aliases(self, folder: str) -> Iterator[tuple[str, str]]:
        """Yield the lines of a domain's forwarders but the one that leads the account's login to itself."""
        for name, told in pairs(self._of(folder, "email/aliases"), ":"):
            if (name, told) != (self.user, self.user):
                yield name, told

    def forwarders(self) -> Iterator[Native]:
        """Yield forwarders by ``email/aliases``."""
        boxes = {*self._logins, f"{self.user}@{self.main}"}
        for folder in self.confs:
            for name, told in self._aliases(folder):
                if name != "*":
                    address = f"{name}@{folder}".lower()
                    targets = forwarders.split_targets(told)
                    yield names.forwarder(address, targets, user=self.user, main=self.main, boxes=boxes)

    def default_addresses(self) -> Iterator[Native]:
        """Yield where a domain's other mail goes: ``email/email.conf``, else the line ``*`` of the forwarders."""
        for folder in self.confs:
            told = dict(pairs(self._of(folder, "email/email.conf"), "=")).get("catchall", "")
            told = told or dict(self._aliases(folder)).get("*", "")
            if told:
                yield names.catch_all(folder.lower(), told, user=self.user, main=self.main)

    def autoresponders(self) -> Iterator[Native]:
        """Yield what answers by itself: responders without dates, and vacations with them."""
        for folder in self.confs:
            for name, told in pairs(self._of(folder, "email/autoresponder.conf"), ":"):
                yield self._responder(folder, name, {"cc": told} if told else {})
            for name, told in pairs(self._of(folder, "email/vacation.conf"), ":"):
                dates = names.values(told)
                more: Native = {which: names.moment(dates, said) for which, said in DATES}
                yield self._responder(folder, name, more | {"id": f"{name}@{folder} vacation".lower()})

    def _responder(self, folder: str, name: str, more: Native) -> Native:
        parts = {
            part: self._of(folder, f"email/reply/{name}.{part}") for part in ("msg", "subject", "headers", "once_time")
        }
        address = f"{name}@{folder}".lower()
        return {
            "id": address, "address": address, "subject": parts["subject"].strip(), "body": parts["msg"],
            "is_html": "text/html" in parts["headers"].lower(), "interval": names.hours(parts["once_time"]), **more,
        }  # fmt: skip

    def filters(self) -> Iterator[Native]:
        """Yield Sieve scripts of mailboxes; a domain's own filter is Exim's, and left to a person."""
        for path, text in self.files.items():
            if found := re.fullmatch(r"imap/([^/]+)/([^/]+)/(\.dovecot|sieve/([^/]+))\.sieve", path):
                address, name = f"{found[2]}@{found[1]}".lower(), found[4] or "dovecot"
                active = not found[4] or self._active(found[1], found[2]) == f"{name}.sieve"
                yield self._filter(address, name, active) | {"script": text.replace("\r\n", "\n")}
        for folder in self.confs:
            if self._of(folder, "email/filter").strip():
                boxes = [one for one in self._logins if one.endswith("@" + folder.lower())]
                address = boxes[0] if boxes else f"{self.user}@{self.main}"
                yield self._filter(address, f"all of {folder.lower()}: an Exim filter, which Sieve is not", True)

    def _active(self, domain: str, user: str) -> str:
        return self._found.links.get(f"imap/{domain}/{user}/.dovecot.sieve", "").rpartition("/")[2]

    def _filter(self, address: str, name: str, active: bool) -> Native:
        return {"id": f"{address} {name}", "mailbox": address, "address": address, "name": name, "active": active}

    def lists(self) -> Iterator[Native]:
        """Yield Majordomo's lists: a file of members each."""
        for path, text in self.files.items():
            found = re.fullmatch(r"backup/([^/]+)/email/majordomo/lists/([^/]+)", path)
            if found and not NO_LIST.search(found[2]):
                address, domain = f"{found[2]}@{found[1]}".lower(), found[1].lower()
                members = sorted({line.strip() for line in text.splitlines() if line.strip()})
                yield {"id": address, "address": address, "domain": domain, "members": members}

    # ---- databases, jobs, keys, logins ------------------------------------------------------------------------------

    @cached_property
    def _databases(self) -> dict[str, dict[str, str]]:
        """The settings of each database: its users by name, its collation, the hosts they come from."""
        found = (re.fullmatch(r"backup/([^/]+)\.conf", path) for path in sorted(self.files))
        confs = {one[1]: dict(pairs(self.files[one[0]], "=")) for one in found if one and one[1] not in OWN_CONF}
        return {name: confs.get(name, {}) for name in sorted({*confs, *self._found.dumps})}

    def databases(self) -> Iterator[Native]:
        """Yield the databases, with their dump where there is one."""
        for name, conf in self._databases.items():
            body: Native = {"id": f"mysql/{name}", "name": name, "engine": "mysql"}
            body["collation"] = names.values(conf.get("db_collation", "")).get("DEFAULT_COLLATION_NAME")
            url = self._found.dumps.get(name)
            yield body | ({"url": url, "size": size_of(url)} if url else {})

    def _users(self) -> Iterator[tuple[str, str, dict[str, str], list[str]]]:
        """Yield database, user, rights and hosts."""
        for name, conf in self._databases.items():
            hosts = sorted(set(names.values(conf.get("accesshosts", "")).values()))
            for user, told in conf.items():
                if user not in ("accesshosts", "db_collation") and "passwd=" in told:
                    yield name, user, names.values(told), hosts

    def database_users(self) -> Iterator[Native]:
        """Yield the users, each with the hosts of all its databases."""
        users: dict[str, Native] = {}
        for _, user, told, hosts in self._users():
            one = users.setdefault(user, {"id": f"mysql/{user}", "name": user, "hosts": []})
            one["hosts"] = sorted({*one["hosts"], *hosts})
            if told.get("passwd"):
                one["password_hash"] = told["passwd"]
        yield from users.values()

    def grants(self) -> Iterator[Native]:
        """Yield what each user may do in a database."""
        for name, user, told, _ in self._users():
            yield {
                "id": f"{user} {name}", "user": f"mysql/{user}", "user_name": user, "database": f"mysql/{name}",
                "database_name": name, "rights": names.rights(told),
            }  # fmt: skip

    def cron_jobs(self) -> Iterator[Native]:
        """Yield the jobs: lines ``1=* * * * * command``; settings count for all of them, wherever they stand."""
        lines = [line for line in self.files.get("backup/crontab.conf", "").splitlines() if "=" in line]
        jobs = [line for line in lines if re.match(r"\d+=", line)]
        rest = [line for line in lines if line not in jobs]
        yield from crontab.jobs([*rest, *(line.partition("=")[2] for line in jobs)])

    def certificates(self) -> Iterator[Native]:
        """Yield the certificates of websites."""
        for folder in self.confs:
            if found := certificates.fingerprint(self._of(folder, "domain.cert")):
                name = folder.lower()
                yield {"id": name, "names": [name], "website": name, "fingerprint": found, "url": f"text/{folder}"}

    def ftp_accounts(self) -> Iterator[Native]:
        """Yield the logins for FTP that are not the account's own."""
        home = f"/home/{self.user}/"
        for folder in self.confs:
            for login, line in pairs(self._of(folder, "ftp.passwd"), "="):
                told = names.values(line)
                path = told.get("path", "")
                if told.get("type") != "system" and login != self.user:
                    below = path.removeprefix(home).strip("/") if path.startswith(home) else path
                    yield {
                        "id": login, "login": login, "type": told.get("type"), "password_hash": told.get("passwd"),
                        "folder": "." if path.rstrip("/") == home.rstrip("/") else below,
                    }  # fmt: skip


DATES = (("start", "start"), ("stop", "end"))


def _php_of_path(crontab: str) -> str:
    """Return the version that the account's own crontab puts first, as Virtualmin's importer reads it."""
    found = re.search(r"^PATH=.*?/php(\d)(\d+)/", crontab, re.M)
    return f"1={found[1]}.{found[2]}" if found else ""
