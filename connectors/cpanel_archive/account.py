"""What the account's small files say: domains, mailboxes, forwarders, users, grants, jobs. Only data is read:
a pickle is never loaded, a statement never carried out, YAML without aliases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from email import message_from_string
from email.errors import MessageError
from email.policy import default as policy

from migrator.connector import Native
from migrator.connectors.archives.connection import size_of
from migrator.connectors.cpanel import names
from migrator.connectors.cpanel.filters import Spelling, scripts
from migrator.connectors.cpanel.responders import answer_of
from migrator.connectors.panels import certificates, crontab, forwarders
from migrator.connectors.panels.pairs import pairs
from migrator.documents import foreign
from migrator.errors import VendorError
from migrator.zones.records import RecordSet, of_zone_text

SMALL = re.compile(
    r"cp/[^/]+|version|userdata/[^/]+|dnszones/[^/]+\.db|va/[^/]+|vad/[^/]+|cron/[^/]+|proftpdpasswd|mysql\.sql|addons|sds2?|pds"
    r"|meta/homedir_paths|homedir_paths|apache_tls/[^/]+|homedir/\.autorespond/[^/]+|homedir/\.cpanel/filter\.yaml"
    r"|homedir/etc/(?:[^/]+/)*(?:passwd|shadow|quota|filter\.yaml)"
    r"|homedir/mail/(?:.*/)?(?:dovecot-keywords|subscriptions|mailbox_format\.cpanel)"
)
AUTORESPOND = re.compile(r"\|\s*\S*/autorespond\b")
GRANT = re.compile(
    r"GRANT\s+(?P<rights>[A-Za-z ,]+?)\s+ON\s+(?P<what>`(?:[^`]|``)+`|\*|[\w$]+)\s*\.\s*\*\s+TO\s+"
    r"(?P<user>'[^']*'|\"[^\"]*\"|`[^`]*`|[\w$]+)"
    r"(?:\s*@\s*(?P<host>'[^']*'|\"[^\"]*\"|`[^`]*`|[\w.%]+))?(?P<rest>[^;]*);?", re.I,
)  # fmt: skip
CREATE = re.compile(
    r"CREATE\s+USER\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<user>'[^']*'|`[^`]*`)@(?P<host>'[^']*'|`[^`]*`)(?P<rest>[^;]*);?",
    re.I,
)
HASH = re.compile(r"IDENTIFIED\s+(?:BY\s+PASSWORD|WITH\s+'?(?P<plugin>\w+)'?\s+AS)\s+'(?P<hash>[^']*)'", re.I)


class Account:
    """An account, by the texts of its small files (``files``: path to text) and what lies beside them.

    ``dumps``: database to where its dump lies; ``boxes``: folders on the disk by login; ``lists``: those of Mailman.
    """

    def __init__(
        self, files: Mapping[str, str], dumps: Mapping[str, str], boxes: Mapping[str, set[str]], lists: set[str]
    ) -> None:
        self.files, self.dumps, self.boxes, self.mailman = files, dumps, boxes, lists
        self.about = {k: v for _, text in self._under("cp/") for k, v in pairs(text, "=")}
        self.user = self.about.get("USER") or next((name for name, _ in self._under("cp/")), "")
        main = self._yaml("userdata/main")
        self.main = str(main.get("main_domain") or self.about.get("DNS") or "").lower()
        if not self.main:
            raise VendorError("the archive names no main domain (userdata/main, cp/USER): is it an account's?")
        self._userdata = main

    def text(self, name: str) -> str:
        """Return a small file's text."""
        return self.files[name]

    def _under(self, folder: str) -> Iterator[tuple[str, str]]:
        for path in sorted(self.files):
            if path.startswith(folder) and "/" not in path[len(folder) :]:
                yield path[len(folder) :], self.files[path]

    def _yaml(self, path: str) -> Native:
        try:
            found = foreign(self.files.get(path, ""))
        except ValueError as err:
            raise VendorError(f"{path} in the archive is {err}") from err
        return found if isinstance(found, dict) else {}

    # ---- domains and websites ---------------------------------------------------------------------------------------

    def domains(self) -> Iterator[Native]:
        """Yield the domains: by ``userdata/main``, of older archives by the flat lists."""
        addons = {str(one).lower() for one in self._userdata.get("addon_domains") or {}}
        addons |= {name.lower() for name, _ in pairs(self.files.get("addons", ""), "=")}
        parked = {str(one).lower() for one in self._userdata.get("parked_domains") or ()}
        parked |= {line.strip().lower() for line in self.files.get("pds", "").splitlines() if line.strip()}
        subs = {str(one).lower() for one in self._userdata.get("sub_domains") or ()}
        subs |= {name.lower().replace("_", ".", 1) for name, _ in pairs(self.files.get("sds2", ""), "=")}
        hidden = {str(one).lower() for one in (self._userdata.get("addon_domains") or {}).values()}
        known = {self.main, *addons, *parked}
        yield {"id": self.main, "name": self.main, "type": "main"}
        for type, listed in (("addon", addons), ("alias", parked - addons), ("sub", subs - hidden - known)):
            for name in sorted(listed):
                of = self.main if type == "alias" else names.parent(name, known | subs) if type == "sub" else None
                yield {"id": name, "name": name, "type": type} | ({"of": of} if of else {})

    def websites(self) -> Iterator[Native]:
        """Yield what answers by HTTP, by ``userdata/<host>``; an addon domain's site has the name of a sub domain."""
        home = self.home
        shown = {
            str(host).lower(): str(name).lower() for name, host in (self._userdata.get("addon_domains") or {}).items()
        }
        for one in self.domains():
            if one["type"] == "alias":
                continue
            host = next((host for host, name in shown.items() if name == one["name"]), one["name"])
            told = self._yaml(f"userdata/{host}")
            also = {word.lower() for word in str(told.get("serveralias") or "").split()} - {one["name"]}
            yield {
                "id": one["name"], "name": one["name"], "domain": one["name"], "aliases": sorted(also),
                "document_root": names.below_home(str(told.get("documentroot") or ""), home) or None,
                "php_version": names.php_version(told.get("phpversion") or self.about.get("PHPVERSION")),
            }  # fmt: skip

    @property
    def home(self) -> str:
        """Return where the account's home was."""
        text = self.files.get("meta/homedir_paths") or self.files.get("homedir_paths") or ""
        return next((line.strip() for line in text.splitlines() if line.strip()), f"/home/{self.user}").rstrip("/")

    def zones(self) -> list[str]:
        """Return the zones: a temporary one is none of the customer's."""
        found = [name.removesuffix(".db") for name, _ in self._under("dnszones/")]
        return [name.lower() + "." for name in found if not name.endswith(".cpanel.site")]

    def zone(self, zone: str) -> list[RecordSet]:
        """Return a zone's record sets."""
        text = next((text for name, text in self._under("dnszones/") if name.lower() == f"{zone}db"), "")
        return names.marked(of_zone_text(zone, text))

    # ---- mail -------------------------------------------------------------------------------------------------------

    def address(self, login: str) -> str:
        """Return a mailbox's address; the account's own has a login without a domain."""
        return login or f"{self.user}@{self.main}"

    def mailboxes(self) -> Iterator[Native]:
        """Yield the mailboxes: those of the lists of logins, then what lies on the disk without one."""
        known = {""}
        yield self._box("", {}, None)
        for path in sorted(self.files):
            found = re.fullmatch(r"homedir/etc/([^/]+)/passwd", path)
            if not found:
                continue
            domain, folder = found[1].lower(), path.removesuffix("passwd")
            hashes = dict(pairs(self.files.get(folder + "shadow", ""), ":"))
            quotas = dict(pairs(self.files.get(folder + "quota", ""), ":"))
            for user, _ in pairs(self.files[path], ":"):
                login = f"{user}@{domain}".lower()
                known.add(login)
                yield self._box(login, {"hash": hashes.get(user, "").partition(":")[0]}, quotas.get(user))
        for login in sorted(set(self.boxes) - known):
            yield self._box(login, {}, None) | {"suspended": True, "orphan": True}

    def _box(self, login: str, told: Native, quota: str | None) -> Native:
        address, hash = self.address(login), str(told.get("hash") or "")
        made: Native = {"id": address, "address": address, "domain": address.rpartition("@")[2], "main": not login}
        made |= {"quota": names.quota_bytes(quota, unit=1), "suspended": hash.startswith(("!", "*"))}
        if bare := hash.lstrip("!*"):
            made["password_hash"] = {"$6": "{SHA512-CRYPT}", "$5": "{SHA256-CRYPT}", "$1": "{MD5-CRYPT}"}.get(
                bare[:2], "{CRYPT}"
            ) + bare
        return made

    def forwarders(self) -> Iterator[Native]:
        """Yield forwarders by ``va/<domain>``; responders are records of their own, and a domain's go by ``vad``."""
        for domain, text in self._under("va/"):
            for name, told in pairs(text, ":"):
                if name == "*":
                    continue
                address = (name if "@" in name else f"{name}@{domain}").lower()
                rest = [one for one in forwarders.split_targets(told) if not AUTORESPOND.match(one)]
                if [one for one in rest if one.lower() != address]:
                    yield forwarders.alias(address, domain.lower(), rest)
        for domain, text in self._under("vad/"):
            for name, to in pairs(text, ":"):
                yield forwarders.alias(f"@{name.lower()}", domain.lower(), [f"@{to.strip()}"])

    def default_addresses(self) -> Iterator[Native]:
        """Yield where a domain's other mail goes: the line ``*`` of ``va/<domain>``."""
        for domain, text in self._under("va/"):
            for name, told in pairs(text, ":"):
                if name == "*":
                    yield forwarders.catch_all(domain.lower(), told)

    def autoresponders(self) -> Iterator[Native]:
        """Yield what answers by itself: a mail with head and text, and its dates beside it in JSON."""
        for name, text in self._under("homedir/.autorespond/"):
            if name.endswith((".json", ".conf")) or "@" not in name:
                continue
            try:
                dates = json.loads(self.files.get(f"homedir/.autorespond/{name}.json") or "{}")
                mail = message_from_string(text, policy=policy)
                sender, subject = str(mail["From"] or ""), str(mail["Subject"] or "")
                html, body = mail.get_content_type() == "text/html", str(mail.get_payload())
            except (ValueError, LookupError, MessageError, AttributeError) as err:
                raise VendorError(f"homedir/.autorespond/{name} is no responder: {err}") from err
            dates = dates if isinstance(dates, dict) else {}
            numbers = {key: int(dates.get(key) or 0) or None for key in ("start", "stop")}
            numbers["interval"] = int(dates.get("interval") or 0)
            address = name.lower()
            yield {
                "id": address,
                "address": address,
                "from": sender,
                "subject": subject,
                "body": body,
                "is_html": html,
                **numbers,
            }

    def filtered(self, spelling: Spelling, *, answers: bool = False) -> Iterator[tuple[str, list[Native], bool]]:
        """Yield each mailbox with its filters as Sieve, those of the whole account before its own, and whether its
        responder stands in them."""
        shared = self._filters("homedir/.cpanel/filter.yaml")
        responders = {one["address"]: one for one in self.autoresponders()} if answers else {}
        for box in self.mailboxes():
            address = box["address"]
            user, _, domain = address.rpartition("@")
            own = [] if box["main"] else self._filters(f"homedir/etc/{domain}/{user}/filter.yaml")
            answer = answer_of(address, [*shared, *own], responders.get(address), spelling)
            yield address, scripts(box["id"], address, shared, own, spelling, answer), answer is not None

    def _filters(self, path: str) -> list[Native]:
        found = self._yaml(path).get("filter") or []
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def lists(self) -> Iterator[Native]:
        """Yield Mailman's lists by name: what they hold is a Python pickle, which is not opened."""
        domains = {one["name"] for one in self.domains()}
        for name in sorted(self.mailman):
            domain = next((one for one in domains if name.endswith("_" + one)), None)
            if domain:
                address = f"{name.removesuffix('_' + domain)}@{domain}".lower()
                yield {"id": address, "address": address, "domain": domain}

    # ---- databases, jobs, keys, logins ------------------------------------------------------------------------------

    def databases(self) -> Iterator[Native]:
        """Yield the databases that have a dump, each with whom its views and routines can act as: who may do most."""
        users = {one["name"]: one["hosts"] for one in self.database_users()}
        may: dict[str, list[tuple[bool, int, str]]] = {}
        for one in self.grants():
            rights = one["rights"]
            all_ = any(right.startswith("ALL") for right in rights)
            who = f"{one['user_name']}@{(users.get(one['user_name']) or ['%'])[0]}"
            may.setdefault(one["database_name"], []).append((not all_, -len(rights), who))
        for name, url in sorted(self.dumps.items()):
            body: Native = {"id": f"mysql/{name}", "name": name, "engine": "mysql", "url": url}
            body |= {"acts_as": min(may[name])[2]} if name in may else {}
            yield body | {"size": size_of(url)}

    def database_users(self) -> Iterator[Native]:
        """Yield the users of ``mysql.sql``, each with the hosts it comes from."""
        users: dict[str, Native] = {}
        for found in [*CREATE.finditer(self._sql), *GRANT.finditer(self._sql)]:
            user = _unquoted(found["user"])
            one = users.setdefault(user, {"id": f"mysql/{user}", "name": user, "hosts": []})
            host = _unquoted(found["host"] or "%")
            one["hosts"] += [] if host in one["hosts"] else [host]
            if told := HASH.search(found["rest"]):
                one["password_hash"] = told["hash"]
        yield from users.values()

    def grants(self) -> Iterator[Native]:
        """Yield the grants on databases: rights on the whole server are nobody's of a hosting account."""
        rights: dict[tuple[str, str], set[str]] = {}
        for found in GRANT.finditer(self._sql):
            if found["what"] != "*":
                database = re.sub(r"\\(.)", r"\1", _unquoted(found["what"]))
                words = {word.strip().upper() for word in found["rights"].split(",")}
                rights.setdefault((_unquoted(found["user"]), database), set()).update(words)
        for (user, database), words in sorted(rights.items()):
            yield {
                "id": f"{user} {database}", "user": f"mysql/{user}", "user_name": user,
                "database": f"mysql/{database}", "database_name": database, "rights": sorted(words),
            }  # fmt: skip

    @property
    def _sql(self) -> str:
        return self.files.get("mysql.sql", "")

    def cron_jobs(self) -> Iterator[Native]:
        """Yield the lines of the crontab, each with the address that gets what it prints."""
        yield from crontab.jobs(line for _, text in self._under("cron/") for line in text.splitlines())

    def certificates(self) -> Iterator[Native]:
        """Yield the certificates of websites; the file holds key, certificate and chain."""
        for domain, text in self._under("apache_tls/"):
            if print_ := certificates.fingerprint(text):
                yield {
                    "id": domain,
                    "names": [domain.lower()],
                    "website": domain.lower(),
                    "fingerprint": print_,
                    "url": f"text/apache_tls/{domain}",
                }

    def ftp_accounts(self) -> Iterator[Native]:
        """Yield the logins for FTP that are not the account's own."""
        for line in self.files.get("proftpdpasswd", "").splitlines():
            words = line.split(":")
            if len(words) >= 6 and words[0] not in (self.user, f"{self.user}_logs", "ftp", "anonymous"):
                folder = names.below_home(words[5], self.home)
                yield {
                    "id": words[0],
                    "login": words[0],
                    "folder": "." if folder == self.home else folder,
                    "password_hash": words[1],
                }


def _unquoted(word: str) -> str:
    return word[1:-1].replace("``", "`") if word[:1] in "'\"`" and len(word) > 1 else word
