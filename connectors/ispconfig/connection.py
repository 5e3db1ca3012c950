"""One client's account at ISPConfig: tables read by the client's group, rows added, changed and taken away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from functools import cached_property, partial
from typing import Any

from migrator.connector import Cursor, Finding, Native, Outcome, Page, Raw, Unit, Written
from migrator.connectors.panels.attempts import Attempt, findings
from migrator.connectors.panels.times import time_zone
from migrator.delivery import Deliverer
from migrator.errors import ForbiddenError, InputError, RefusedError, UnknownOutcomeError

from .api import Api
from .rows import OF_STREAM, SITE, TABLES, Table, password, record, row

MAIL = {"maildir_path": "/var/vmail/[domain]/[localpart]", "homedir_path": "/var/vmail", "maildir_format": "maildir"}
PASSWORDS = {"mailbox": "password", "database_user": "database_password"}


class Connection(Deliverer):
    """One client of one ISPConfig server."""

    @cached_property
    def api(self) -> Api:
        """Return the session."""
        return Api(self.client, self.given("user"), self.given("password"))

    @cached_property
    def owner(self) -> int:
        """Return the client's number."""
        told = self.given("client_id")
        if not told.isdecimal() or told == "0":
            raise InputError("ispconfig: 'client_id' is the client's number, 1 or more")
        return int(told)

    @cached_property
    def group(self) -> str:
        """Return the group that owns the client's records: without it a list holds those of every client."""
        return str(self.api.read("client_get_groupid", client_id=self.owner))

    @cached_property
    def zone(self) -> tzinfo:
        """Return the time zone of the server, in which it keeps the dates of autoresponders."""
        return time_zone("ispconfig", self.options)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield a table, whole: pages are limits without an order."""
        yield Page(self._sealed(stream, self._records(stream)), {"done": True}, True)

    def count(self, stream: str) -> int | None:
        """Return nothing: ISPConfig counts for nobody."""
        return None

    def _records(self, stream: str) -> list[Raw]:
        table = OF_STREAM[stream]
        held = self._rows(table)
        domains: dict[str, str] = {}
        if stream in ("mail_user", "mail_forwarding", "web_domain") and held:
            domains = {str(one["domain"]): str(one["domain_id"]) for one in self._rows(TABLES["domain"])}
        if stream == "web_database" and held:
            users = {str(u["database_user_id"]): u["database_user"] for u in self._rows(TABLES["database_user"])}
            held = [{**one, "granted_to": users.get(str(one.get("database_user_id")))} for one in held]
        bodies = [record(stream, one, domains, self.zone) for one in held]
        found = [Raw(str(body[table.key]), json.dumps(body, ensure_ascii=False).encode()) for body in bodies]
        return sorted(found, key=lambda raw: (len(raw.id), raw.id))

    def _rows(self, table: Table, **where: Any) -> list[Native]:
        found = self.api.read(f"{table.call}_get", primary_id={"sys_groupid": self.group, **where})
        return [dict(one) for one in found or ()]

    def peek(self, kind: str, variant_name: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return the stream of a kind's variant and the records there as they stand now."""
        variant = self.mapping.variant(kind, variant_name)
        ids = {there.removeprefix(variant.prefix) for there, _ in targets}
        held = [one for one in self._records(variant.stream) if one.id in ids]
        return variant.stream, self._sealed(variant.stream, held)

    def check(self) -> list[Finding]:
        """Sign in, find the client, and try a list of each table."""
        tries: list[Attempt] = [
            ("credentials", lambda: self.api.login()),
            (f"client {self.given('client_id')}", lambda: self.group),
        ]
        tries += [(f"{table.call}_get", partial(self._rows, table)) for table in OF_STREAM.values()]
        return findings(tries, ends=lambda what: what == "credentials")

    # ---- writing ----------------------------------------------------------------------------------------------------

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out one unit: a function takes one row."""
        unit = units[0]
        if unit.kind == "autoresponder":
            return [self._answers(unit)]
        if unit.kind == "database_grant":
            return [self._granted(unit)]
        table = TABLES[unit.kind]
        if unit.action == "create":
            id = self.api.write(f"{table.call}_add", client_id=self.owner, params=self._new(unit, table))
            if not str(id or "").isdecimal():
                raise UnknownOutcomeError(f"{table.call}_add: answered without the new row's number")
            return [Written(str(id))]
        if unit.action == "delete":
            if self._there(table, unit.there):
                self.api.write(f"{table.call}_delete", primary_id=int(unit.there))
            return [Written(unit.there)]
        self._change(table, unit.there, row(unit.kind, self._whole(unit), self.zone))
        return [Written(unit.there)]

    def opens(self, kind: str) -> bool:
        """Tell whether logins of a kind have a password that can be set."""
        return kind in PASSWORDS

    def set_password(self, kind: str, there: str, password: str) -> None:
        """Set a login's password; ISPConfig hashes what is not said to be a hash."""
        self._change(TABLES[kind], there, {PASSWORDS[kind]: password})

    def _whole(self, unit: Unit) -> Native:
        """Return a change with what its columns need besides: destinations and the own copy are one column."""
        if unit.kind != "alias" or not {"destinations", "keep_copy"} & set(unit.payload):
            return dict(unit.payload)
        held = self.look(unit) or {}
        return {**{name: held.get(name) for name in ("source", "destinations", "keep_copy")}, **unit.payload}

    def _there(self, table: Table, id: str) -> Native | None:
        return next(iter(self._rows(table, **{table.key: id})), None)

    def _change(self, table: Table, id: str, columns: Native) -> None:
        """Change some columns. ``mail_user_update`` looks at the address whether or not it changes; a site's log
        retention is set anew where it is not told (interface/lib/classes/remote.d, mail and sites)."""
        held = self._there(table, id)
        if held is None:
            raise RefusedError(f"{table.call} {id} is no longer there", status=404)
        same = {name: held[name] for name in ("email", "log_retention") if held.get(name)}
        params = {**same, **columns}
        self.api.write(f"{table.call}_update", client_id=self.owner, primary_id=int(id), params=params)

    def _new(self, unit: Unit, table: Table) -> Native:
        told = {**{name: value for name, value in unit.payload.items() if value is not None}}
        made: Native = {"server_id": int(self.options.get(table.server) or self.options.get("server") or 1)}
        made |= self._given(unit.kind, told)
        return made | row(unit.kind, told, self.zone)

    def _given(self, kind: str, told: Native) -> Native:
        """Return the columns of a new row that no record of ours has."""
        if kind == "domain":
            return {"active": "y", "dkim": "n"}
        if kind == "mailbox":
            return self._box(str(told["email"]))
        if kind in ("alias", "catch_all"):
            return {"type": "forward" if kind == "alias" else "catchall", "active": "y"}
        if kind == "website":
            return {**SITE, "php": self.options.get("php", "php-fpm")}
        if kind == "database":
            return {
                "type": "mysql", "parent_domain_id": self._site(needed=False), "database_quota": -1,
                "database_user_id": 0, "database_ro_user_id": 0, "database_charset": "", "remote_access": "n",
                "remote_ips": "", "active": "y",
            }  # fmt: skip
        if kind == "database_user":
            return {"database_password": password()}
        return {"type": "full", "parent_domain_id": self._site(needed=True), "active": "y", "log": "n"}

    def _box(self, email: str) -> Native:
        local, _, domain = email.lower().partition("@")
        where = str(self._mail["maildir_path"]).replace("[domain]", domain).replace("[localpart]", local)
        return {
            "login": email, "password": password(), "name": "", "quota": "0", "cc": "", "maildir": where,
            "maildir_format": self._mail["maildir_format"], "homedir": self._mail["homedir_path"], "postfix": "y",
            "disableimap": "n", "disablepop3": "n", "disablesmtp": "n", "disabledeliver": "n", "autoresponder": "n",
            "move_junk": "n",
        }  # fmt: skip

    @cached_property
    def _mail(self) -> Mapping[str, Any]:
        """Return where the mail server keeps its mailboxes; the usual places where the remote user may not ask."""
        server = int(self.options.get("mail_server") or self.options.get("server") or 1)
        try:
            told = self.api.read("server_get", server_id=server, section="mail") or {}
        except (RefusedError, ForbiddenError):
            told = {}
        return {name: told.get(name) or usual for name, usual in MAIL.items()}

    def _site(self, *, needed: bool) -> int:
        """Return the site that a cron job runs as, and a database is listed under: the option's, or the first."""
        sites = [one for one in self._rows(TABLES["website"]) if one.get("type") == "vhost"]
        wanted = self.options.get("site", "")
        fit = sorted(int(one["domain_id"]) for one in sites if not wanted or one["domain"] == wanted)
        if fit:
            return fit[0]
        if needed:
            raise RefusedError("sites_cron_add: a cron job runs as a site's user, and the client has no such site")
        return 0

    def _answers(self, unit: Unit) -> Outcome:
        """Set, change or empty the autoresponder of a mailbox."""
        variant = self.mapping.variant(unit.kind, unit.variant)
        id = unit.there.removeprefix(variant.prefix) or str(unit.payload["mailuser_id"])
        columns = row(unit.kind, {name: value for name, value in unit.payload.items() if name != "email"}, self.zone)
        if unit.action == "create":
            columns["autoresponder"] = "y"
        if unit.action == "delete":
            if not self._there(TABLES["mailbox"], id):
                return Written(unit.there)
            columns = {"autoresponder": "n", "autoresponder_subject": "", "autoresponder_text": ""}
        self._change(TABLES["mailbox"], id, columns)
        return Written(unit.there or variant.prefix + id)

    def _granted(self, unit: Unit) -> Outcome:
        """Name a database's user, or take him off it."""
        prefix = self.mapping.variant(unit.kind, unit.variant).prefix
        if unit.action == "delete":
            id = unit.there.removeprefix(prefix)
            if self._there(TABLES["database"], id):
                self._change(TABLES["database"], id, {"database_user_id": 0})
            return Written(unit.there)
        id = str(unit.payload["database_id"])
        self._change(TABLES["database"], id, {"database_user_id": int(unit.payload["database_user_id"])})
        return Written(prefix + id)

    # ---- doubt ------------------------------------------------------------------------------------------------------

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made, by what tells two rows of a table apart."""
        return [self._stands(unit) if unit.action != "create" else self._made(unit, known) for unit in units]

    def _made(self, unit: Unit, known: set[str]) -> Written | None:
        variant = self.mapping.variant(unit.kind, unit.variant)
        if unit.kind == "autoresponder":
            held = self._there(TABLES["mailbox"], str(unit.payload["mailuser_id"])) or {}
            text = str(unit.payload.get("autoresponder_text") or "")
            there = held.get("autoresponder") == "y" and str(held.get("autoresponder_text") or "") == text
            return Written(variant.prefix + str(held["mailuser_id"])) if there else None
        if unit.kind == "database_grant":
            held = self._there(TABLES["database"], str(unit.payload["database_id"])) or {}
            there = str(held.get("database_user_id")) == str(unit.payload["database_user_id"])
            return Written(variant.prefix + str(held["database_id"])) if there else None
        table = TABLES[unit.kind]
        wanted = {**self._kind_of(unit.kind), **row(unit.kind, unit.payload, self.zone)}
        for one in self._rows(table):
            id = variant.prefix + str(one[table.key])
            if id not in known and all(_word(one.get(name)) == _word(wanted.get(name)) for name in table.named):
                return Written(id)
        return None

    def _kind_of(self, kind: str) -> Native:
        return {"alias": {"type": "forward"}, "catch_all": {"type": "catchall"}}.get(kind, {})


def _word(value: Any) -> str:
    return str(value if value is not None else "")
