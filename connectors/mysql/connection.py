"""Writing databases, users and grants: each database whole or not at all, over none that is there already."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.connector import Native, Outcome, Unit, Written
from migrator.errors import RefusedError, RetryError, StoppedError, UnknownOutcomeError, VendorError

from .reading import ALL, EVERYTHING, NATIVE, Reader

if TYPE_CHECKING:
    from .changing import Todo
    from .statements import Speaker
    from .wire import Wire

TOLD = {"tables", "objects"}  # by which a source tells what differs
ABSENT = "absent"  # the mark of a database that was not there before we wrote
TRIES = 3  # to finish what a dead run began, over a new connection each
MORE = {"DELETE HISTORY", "GRANT OPTION", "SHOW CREATE ROUTINE", ALL, "ALL"}


class Connection(Reader):
    """One server that is written too."""

    def write(self, units: Sequence[Unit]) -> list[Outcome]:
        """Carry out one unit."""
        unit = units[0]
        with self._wires.lent(self.login.host) as wire:
            if unit.kind == "database":
                try:
                    return [self._database(wire, unit)]
                except StoppedError as err:  # some of it is there: what is in doubt is finished by whoever looks it up
                    raise UnknownOutcomeError(str(err)) from err
            if unit.kind == "database_user":
                return [self._user(wire, unit)]
            return [self._grant(wire, unit)]

    def marks(self, units: Sequence[Unit]) -> list[str]:
        """Note which databases and users are not there yet."""
        return [ABSENT if self._not_there(unit) else "" for unit in units]

    def _not_there(self, unit: Unit) -> bool:
        if unit.action != "create" or unit.kind == "database_grant":
            return False
        if unit.kind == "database":
            return not self.again(lambda wire: self._there(wire, _name(unit)))
        try:
            return not self.again(lambda wire: self._hosts(wire, _name(unit)))
        except RefusedError:
            return False  # the login may not read them, and will be told so when it makes one

    # ---- databases --------------------------------------------------------------------------------------------------

    def _database(self, wire: Wire, unit: Unit) -> Written:
        write = {"delete": self._dropped, "update": self._changed}.get(unit.action, self._made)
        return write(wire, unit)

    def _made(self, wire: Wire, unit: Unit) -> Written:
        from .loading import load
        from .place import begin, end, reached
        from .wire import quoted

        name = _name(unit)
        if unit.blob is None:
            raise VendorError(f"{unit.kind} {unit.id}: its dump is not in the plan")
        whose, collation = _whose(unit), str(unit.payload.get("collation") or "")
        speaker = self._speaker(wire, str(unit.payload.get("acts_as") or ""))
        at = reached(wire, name)
        if at and at.whose != whose and _same_record(at.whose, unit):  # of an older dump, and never whole
            wire.do(f"DROP DATABASE {quoted(name)}")
        if self._there(wire, name):
            if not (reached(wire, name) or (unit.mark == ABSENT and self._empty(wire, name))):
                raise RefusedError(
                    f"the database {name} is there already, and was not when the load was planned; plan again"
                )
        else:
            chosen = dict(speaker.collations).get(collation, collation)
            if chosen and not re.fullmatch(r"\w+", chosen):
                raise RefusedError(f"{chosen!r} is no collation")
            wire.do(f"CREATE DATABASE {quoted(name)}" + (f" COLLATE {chosen}" if chosen else ""))
        place = begin(wire, name, whose)
        try:
            load(wire, name, unit.blob, speaker, place, self.client.pacer.cancelled)
        except RefusedError:
            wire.do(f"DROP DATABASE {quoted(name)}")  # ours, and never whole
            raise
        end(wire, name)
        return Written(f"database/{name}")

    def _changed(self, wire: Wire, unit: Unit) -> Written:
        """Write what differs of a database that is ours and as the plan saw it (``before``)."""
        from .changing import Changer, Todo, judge, tables_of
        from .place import begin, end, reached

        name = unit.there.partition("/")[2]
        if unit.blob is None:
            raise RefusedError(
                f"the database {name} is not changed back: what it held before is no longer known; "
                "`migrator undo` without --last takes it away"
            )
        speaker = self._speaker(wire, self._acts_as(name, self.rights()))
        judge(unit.blob, speaker)
        at = reached(wire, name)
        begun = at.todo if at and at.whose == _whose(unit, change=True) else ""
        wanted = unit.payload if begun or TOLD & set(unit.payload) else self._reckoned(wire, name, unit, speaker)
        todo = Todo.of(begun) if begun else self._todo(name, wanted)
        over = at.whose if at and at.todo and _same_record(at.whose, unit) else ""
        if over and at:  # a change by an older dump was refused half way: what it took away is missing
            todo = todo.after(Todo.of(at.todo))
        place = begin(wire, name, _whose(unit, change=True), todo.text, over=over)
        done = frozenset[str]()
        if place.resumed:
            done = tables_of(set(self.tables(name)) & set(wanted.get("tables") or ()))
        Changer(wire, name, Todo.of(place.todo), speaker, self.client.pacer.cancelled, done).run(unit.blob)
        end(wire, name)
        return Written(unit.there)

    def _reckoned(self, wire: Wire, name: str, unit: Unit, speaker: Speaker) -> Native:
        """Return what a dump holds whose source tells nothing of it, as this server reckons it.

        It is loaded into a database of ours beside the other one, and taken away again. One that a dead run has left
        has our place in it, and is nobody's record.
        """
        from .loading import load
        from .place import begin, reached
        from .wire import quoted

        assert unit.blob is not None
        beside = "migrator_" + hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        if self._there(wire, beside) and not (reached(wire, beside) or self._empty(wire, beside)):
            raise RefusedError(f"the database {beside} is there, where a dump is looked at, and is none of ours")
        wire.do(f"DROP DATABASE IF EXISTS {quoted(beside)}")
        asked = "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
        ((collation,),) = self.ask(asked, name)
        wire.do(f"CREATE DATABASE {quoted(beside)} COLLATE {collation}")
        try:
            place = begin(wire, beside, _whose(unit, change=True))
            load(wire, beside, unit.blob, speaker, place, self.client.pacer.cancelled)
            return {"tables": self.tables(beside), "objects": self.objects(beside)[0]}
        finally:
            wire.do(f"DROP DATABASE IF EXISTS {quoted(beside)}")

    def _todo(self, name: str, wanted: Native) -> Todo:
        """Return what a change has to write; a table that is made anew loses its triggers, so these are too."""
        from .changing import todo

        acting, _, running = self.objects(name)
        found = todo(self.tables(name), wanted.get("tables"), acting, wanted.get("objects"))
        told = self.ask(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s", name
        )
        lost = {("trigger", str(trigger)) for trigger, table in told if table in found.tables}
        asked = "SELECT EVENT_NAME, DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s"
        on = [(str(event), str(who)) for event, who in self.ask(asked, name) if event in running]
        objects = (*found.objects, *sorted(lost - {*found.objects, *found.absent}))
        return replace(found, objects=objects, running=tuple(o for o in on if ("event", o[0]) in found.objects))

    def _speaker(self, wire: Wire, acts_as: str) -> Speaker:
        from .statements import Speaker
        from .wire import who

        user, _, host = (self.options.get("definer") or acts_as).rpartition("@")
        if user:
            asked = (
                "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES "
                "WHERE GRANTEE = %s AND PRIVILEGE_TYPE <> 'USAGE'"
            )
            if wire.ask(asked, (f"'{user}'@'{host}'",)):
                raise RefusedError(
                    f"{user}@{host} has rights on the whole server: nothing of a dump may act as that user"
                )
        definer = who(user, host) if user else ""
        return Speaker(wire.number, wire.mariadb, definer, tuple(self.renamed().items()))

    def renamed(self) -> dict[str, str]:
        """Return ``options.collations``: the old name to the one that stands in, such as `a=b c=d`."""
        pairs = (one.partition("=") for one in self.options.get("collations", "").replace(",", " ").split())
        return {old: new for old, _, new in pairs if re.fullmatch(r"\w+", old) and re.fullmatch(r"\w+", new)}

    @staticmethod
    def _there(wire: Wire, name: str) -> bool:
        return bool(wire.ask("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s", (name,)))

    @staticmethod
    def _empty(wire: Wire, name: str) -> bool:
        return not wire.ask("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s LIMIT 1", (name,))

    def _dropped(self, wire: Wire, unit: Unit) -> Written:
        from .wire import quoted

        wire.do(f"DROP DATABASE IF EXISTS {quoted(unit.there.partition('/')[2])}")
        return Written(unit.there)

    def complaint(self, kind: str, payload: Native) -> str | None:
        """Tell what a record needs and this server has not: a younger version, a collation, somebody to act as."""
        old, version = self.again(lambda wire: (wire.number < (100402 if wire.mariadb else 50706), wire.version))
        if old:  # neither has CREATE USER IF NOT EXISTS ... ACCOUNT LOCK
            return f"the server is too old to be moved to ({version}): MySQL 5.7.6 or MariaDB 10.4.2 at least"
        if kind != "database":
            return None
        wanted = str(payload.get("collation") or "")
        if wanted and wanted not in self.renamed():
            if not self.ask("SELECT 1 FROM information_schema.COLLATIONS WHERE COLLATION_NAME = %s", wanted):
                return (
                    f"the collation {wanted} is not known here; name one in its place: options.collations: {wanted}=..."
                )
        if payload.get("objects") and not (payload.get("acts_as") or self.options.get("definer")):
            return "nobody is known whom its views, routines, triggers and events could act as: set options.definer"
        return None

    def activate(self, unit: Unit, switch: str) -> None:
        """Switch on the events that ran at the old server: they are here as those of another server."""
        from .wire import quoted, who

        name = unit.there.partition("/")[2]
        asked = (
            "SELECT EVENT_NAME, DEFINER FROM information_schema.EVENTS "
            "WHERE EVENT_SCHEMA = %s AND STATUS NOT IN ('ENABLED', 'DISABLED')"
        )
        for event, definer in self.ask(asked, name):
            user, _, host = str(definer).rpartition("@")
            with self._wires.lent(self.login.host) as wire:
                wire.do(f"ALTER DEFINER = {who(user, host)} EVENT {quoted(name)}.{quoted(str(event))} ENABLE")

    # ---- users and grants -------------------------------------------------------------------------------------------

    def _user(self, wire: Wire, unit: Unit) -> Written:
        from .wire import who

        name = str(unit.payload.get("name") or unit.there.partition("/")[2])
        if unit.action == "delete":
            for host in self._hosts(wire, name):
                wire.do(f"DROP USER IF EXISTS {who(name, host)}")
            return Written(unit.there)
        if unit.mark != ABSENT and self._hosts(wire, name):
            raise RefusedError(f"the user {name} is there already, and was not when the load was planned; plan again")
        hashed = str(unit.payload.get("password_hash") or "")
        for host in unit.payload.get("hosts") or ["localhost"]:
            account = who(name, str(host))
            if NATIVE.fullmatch(hashed):
                how = "VIA mysql_native_password USING" if wire.mariadb else "WITH mysql_native_password AS"
                wire.do(f"CREATE USER IF NOT EXISTS {account} IDENTIFIED {how} {wire.literal(hashed)}", secret=hashed)
            else:
                secret = secrets.token_urlsafe(40)  # nobody knows it: a person sets one, and unlocks
                wire.do(
                    f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {wire.literal(secret)} ACCOUNT LOCK",
                    secret=secret,
                )
        return Written(f"user/{name}")

    @staticmethod
    def _hosts(wire: Wire, name: str) -> list[str]:
        return [str(host) for (host,) in wire.ask("SELECT Host FROM mysql.user WHERE User = %s", (name,))]

    def _grant(self, wire: Wire, unit: Unit) -> Written:
        from .wire import NO_SUCH_GRANT, pattern, who

        user, _, database = unit.there.removeprefix("grant/").partition(" ")
        user, database = str(unit.payload.get("user_name") or user), str(unit.payload.get("database_name") or database)
        hosts = self._hosts(wire, user)
        if unit.action == "delete":
            for host in hosts:
                for right in (ALL, "GRANT OPTION"):
                    try:
                        wire.do(f"REVOKE {right} ON {pattern(database)}.* FROM {who(user, host)}")
                    except RefusedError as err:
                        if err.status != NO_SUCH_GRANT:
                            raise
            return Written(unit.there)
        rights = [str(right).upper() for right in unit.payload.get("rights") or []]
        if unknown := [right for right in rights if right not in EVERYTHING | MORE]:
            raise RefusedError(f"the right {unknown[0]} is not one on a database")
        if not hosts:
            raise RefusedError(f"the user {user} is not at this server")
        said = ", ".join(right for right in rights if right != "GRANT OPTION") or "USAGE"
        passes = " WITH GRANT OPTION" if "GRANT OPTION" in rights else ""
        for host in hosts:
            wire.do(f"GRANT {said} ON {pattern(database)}.* TO {who(user, host)}{passes}")
        return Written(f"grant/{user} {database}")

    # ---- doubt, and the way back ------------------------------------------------------------------------------------

    def before(self, unit: Unit) -> Native:
        """Return what a record holds before it is changed. Raises RefusedError where it was changed, or is gone."""
        from .place import reached

        _, found = self.peek(unit.kind, unit.variant, [(unit.there, None)])
        if not found:
            raise RefusedError(f"{unit.there} is no longer there", status=404)
        held: Native = json.loads(found[0].body)
        if unit.kind == "database" and unit.action == "update":
            at = self.again(lambda wire: reached(wire, unit.there.partition("/")[2]))
            if at and at.todo and _same_record(at.whose, unit):
                return {}  # ours, begun and not finished: it was looked at then
            held = {place: held[place] for place in ("tables", "objects") if place in unit.payload}
        if unit.stamp is not None and found[0].updated_at != unit.stamp:
            raise RefusedError(f"{unit.there} was changed at the destination since the plan looked at it")
        return held

    def find(self, units: Sequence[Unit], known: set[str]) -> list[Written | None]:
        """Look up what calls in doubt made; a database of ours that is not whole is finished, from where it was."""
        return [self._found(unit) for unit in units]

    def _found(self, unit: Unit) -> Written | None:
        from .place import reached

        if unit.kind == "database_user" and unit.action == "create":
            made = unit.mark == ABSENT and self.again(lambda wire: self._hosts(wire, _name(unit)))
            return self._finished(unit) if made else None  # for its other hosts too
        if unit.kind != "database":
            return None  # said again: that harms nobody
        name = unit.there.partition("/")[2] if unit.there else _name(unit)
        there = self.again(lambda wire: self._there(wire, name))
        if unit.action == "delete":
            return None if there else Written(unit.there)
        if not there:
            return None
        at = self.again(lambda wire: reached(wire, name))
        if at:
            return self._finished(unit) if at.whose == _whose(unit, change=unit.action == "update") else None
        if unit.action == "update" and not TOLD & set(unit.payload):
            return self._finished(unit)  # only the server can tell whether anything differs
        if unit.action == "update":
            wanted = {"tables": self.tables(name), "objects": self.objects(name)[0]}
            same = all(set(unit.payload[one] or ()) == set(now) for one, now in wanted.items() if one in unit.payload)
            return Written(unit.there) if same else None
        if unit.mark != ABSENT:
            return None
        bare = self.again(lambda wire: self._empty(wire, name))
        return self._finished(unit) if bare else Written(f"database/{name}")

    def _finished(self, unit: Unit) -> Written | None:
        for _ in range(TRIES):
            try:
                with self._wires.lent(self.login.host) as wire:
                    return (self._database if unit.kind == "database" else self._user)(wire, unit)
            except UnknownOutcomeError:
                continue
            except RefusedError:
                return None  # it is sent again, and the answer told
        raise RetryError(f"{self.login.host}: {unit.id} was not finished in {TRIES} attempts")


def _whose(unit: Unit, *, change: bool = False) -> str:
    """Return the words for a record and the dump it is made from, in which a place at the server says whose it is."""
    return f"{unit.key} {'change' if change else 'made'} {unit.blob.name if unit.blob else ''}"


def _same_record(whose: str, unit: Unit) -> bool:
    """Tell whether a place is that of a record, whatever the dump."""
    return whose.startswith(f"{unit.key} ")


def _name(unit: Unit) -> str:
    return str(unit.payload["name"])
