"""Reading databases: what is in them, told by the server itself; their bytes as the dump of its own program."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from migrator.connector import Cursor, Finding, Native, Page, Raw
from migrator.delivery import Deliverer
from migrator.errors import InputError, MigratorError, RefusedError, VendorError
from migrator.wires import Wires

if TYPE_CHECKING:
    from .wire import Login, Wire

T = TypeVar("T")
SYSTEM = ("information_schema", "performance_schema", "mysql", "sys")
STAFF = {"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint", ""}
EVERYTHING = {
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE TEMPORARY TABLES",
    "LOCK TABLES", "EXECUTE", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER",
}  # fmt: skip
ALL = "ALL PRIVILEGES"
PLACE = "_migrator_progress"  # a table of ours, in a database that is not whole (place.py)
NATIVE = re.compile(r"\*[0-9A-F]{40}")
AS_TEXT = {
    "char",
    "varchar",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
}
DUMP = (
    "--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob", "--skip-dump-date",
    "--skip-comments", "--order-by-primary", "--no-tablespaces", "--skip-add-locks",
    "--default-character-set=utf8mb4",
)  # fmt: skip
PIECE_BYTES = 2**20


class Reader(Deliverer):
    """The databases of one server that a login may see, read. ``options.databases`` names some of them."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._wires: Wires[Wire] = Wires(self._signed_in, self.client)

    @cached_property
    def login(self) -> Login:
        """Return who signs in where."""
        try:
            from .wire import Login
        except ModuleNotFoundError as err:
            raise InputError("the connector mysql needs PyMySQL; `pip install 'migrator[mysql]'`") from err
        host, _, port = self.client.base_url.removeprefix("mysql://").partition(":")
        if port and not port.isdecimal():
            raise InputError(f"mysql: {port} is no port")
        how = {"socket": self.options.get("socket", ""), "ca": self.options.get("ca", "")}
        found = Login(host, int(port or 3306), self.given("user"), self.given("password"), **how)
        if not found.local and not found.ca and self.options.get("plaintext") != "yes":
            raise InputError(
                f"mysql: what is said to {host} could be read on the way: give options.ca (the file of the "
                "authority that signed its certificate), go through a tunnel, or set `plaintext: yes`"
            )
        return found

    def _signed_in(self, whom: str) -> Wire:
        from .wire import Wire

        return Wire(self.login)

    def again(self, ask: Callable[[Wire], T]) -> T:
        """Ask something that changes nothing, over a new connection where one breaks."""
        return self._wires.again(self.login.host, ask)

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that changes nothing."""
        return self.again(lambda wire: wire.ask(sql, values))

    def check(self) -> list[Finding]:
        """Sign in, and count the databases."""
        try:
            version = self.again(lambda wire: wire.version)
            found = [Finding(f"sign in at {self.login.host}", True, f"{version}, {len(self.names())} databases")]
        except MigratorError as err:
            return [Finding("sign in", False, str(err))]
        program = self._program
        return [
            *found,
            Finding("a program that dumps", bool(program), program or "install mariadb-client: a source needs it"),
        ]

    def count(self, stream: str) -> int | None:
        """Return nothing: a list is whole, or not there."""
        return None

    # ---- what there is ----------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the databases of this account."""
        wanted = self.options.get("databases", "").replace(",", " ").split()
        asked = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1"
        found = [str(name) for (name,) in self.ask(asked) if str(name).lower() not in SYSTEM]
        return [name for name in found if not wanted or name in wanted]

    def pages(
        self, stream: str, start: Cursor | None, parents: Callable[[str], Iterable[str]], *, view: bool = True
    ) -> Iterator[Page]:
        """Yield a stream; databases one by one, for each is looked through."""
        if stream != "databases":
            told = self.users() if stream == "users" else self.grants()
            yield Page([Raw(str(body["id"]), _json(body)) for body in told], {"done": True}, True)
            return
        after = str((start or {}).get("after", ""))
        for name in self.names():
            if name > after:
                yield Page([self.database(name)], {"after": name}, False)
                after = name
        yield Page([], {"after": after}, True)

    def peek(self, kind: str, variant: str, targets: Sequence[tuple[str, str | None]]) -> tuple[str, list[Raw]]:
        """Return these records as they stand now; what is gone is left out."""
        wanted = {there for there, _ in targets}
        if kind == "database":
            return "databases", [self.database(name) for name in self.names() if f"database/{name}" in wanted]
        stream, told = ("users", self.users()) if kind == "database_user" else ("grants", self.grants())
        return stream, [Raw(str(one["id"]), _json(one)) for one in told if one["id"] in wanted]

    def database(self, name: str) -> Raw:
        """Return what is in a database: tables by their rows, the rest by their text."""
        tables, objects, definers, events = self.tables(name), *self.objects(name)
        asked = "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
        ((collation,), *_) = self.ask(asked, name) or [("",)]
        # By itself: within a query over SCHEMATA it ends a MariaDB 10.11 (facts.yaml).
        asked = (
            "SELECT DATE_FORMAT(GREATEST(MAX(CREATE_TIME), COALESCE(MAX(UPDATE_TIME), '1970-01-01')), "
            "'%%Y-%%m-%%dT%%H:%%i:%%sZ') FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME <> %s"
        )
        ((made,),) = self.ask(asked, name, PLACE)
        told = hashlib.blake2b(
            _json({"tables": tables, "objects": objects, "collation": collation}), digest_size=8
        ).hexdigest()
        body: Native = {
            "name": name, "engine": "mysql", "collation": collation, "tables": tables, "objects": objects,
            "definers": definers, "acts_as": self._acts_as(name, self._rights), "events_run": bool(events),
            "url": f"{name}?{told}", "state": self._state(name),
        }  # fmt: skip
        return Raw(f"database/{name}", _json(body), made)

    def _state(self, database: str) -> str:
        """Return whether a database is whole, or a load of ours has begun to make or to change it."""
        from .place import reached

        at = self.again(lambda wire: reached(wire, database))
        return "whole" if at is None else "changing" if at.todo else "unfinished"

    def tables(self, database: str) -> list[str]:
        """Return the tables: number of rows, and a checksum over all values that does not depend on their order.

        It is reckoned by the server and is the same at MySQL and MariaDB, of any version and engine.
        """
        columns: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for table, column, type in self.ask(
            "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE FROM information_schema.COLUMNS c "
            "JOIN information_schema.TABLES t "
            "ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME WHERE c.TABLE_SCHEMA = %s "
            "AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1, c.ORDINAL_POSITION", database,
        ):  # fmt: skip
            columns[str(table)].append((str(column), str(type).lower()))
        return [self._table(database, table, held) for table, held in sorted(columns.items()) if table != PLACE]

    def _table(self, database: str, table: str, columns: list[tuple[str, str]]) -> str:
        from .wire import quoted

        values = ",".join(f"COALESCE(HEX({_plain(column, type)}),'-')" for column, type in columns)
        line = f"CONCAT_WS(',',{values})"
        mixed_ = f"BIT_XOR(CAST(CONV(LEFT(MD5({line}),15),16,10) AS UNSIGNED))"
        where = f"{quoted(database)}.{quoted(table)}"
        sql = f"SELECT COUNT(*), COALESCE(SUM(CRC32({line})),0), COALESCE({mixed_},0) FROM {where}"
        sql = sql.replace("%", "%%")
        # A parameter nobody needs: with one, two percent signs are one.
        ((rows, total, mixed),) = self.ask(f"{sql} WHERE %s = 1", 1)
        shape = hashlib.blake2b(repr([c for c, _ in columns]).encode(), digest_size=4).hexdigest()
        return f"{table}: {rows} rows, {int(total):x}.{int(mixed):x}, columns {shape}"

    def objects(self, database: str) -> tuple[list[str], list[str], list[str]]:
        """Return views, triggers, routines and events by their text; as whom they act; and the events that run."""
        found, definers, running = [], set(), []
        own = f"`{database.replace('`', '``')}`."
        for sort, sql in OBJECTS.items():
            for name, text, definer, status in self.ask(sql, database):
                told = hashlib.blake2b(_plainly(sort, _text(text).replace(own, "")).encode(), digest_size=6).hexdigest()
                found.append(f"{sort} {_text(name)}: {told}")
                definers.add(_text(definer))
                running += [_text(name)] if status == "ENABLED" else []
        return sorted(found), sorted(definers), running

    # ---- who may do what --------------------------------------------------------------------------------------------

    @cached_property
    def _rights(self) -> dict[tuple[str, str], dict[str, set[str]]]:
        return self.rights()

    def rights(self) -> dict[tuple[str, str], dict[str, set[str]]]:
        """Return rights on databases: (user, database) to those of each host."""
        found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        names = self.names()
        asked = "SELECT GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.SCHEMA_PRIVILEGES"
        for grantee, pattern, right, passes in self.ask(asked):
            user, host = grantee_of(str(grantee))
            if user in STAFF or user.startswith("migrator_"):
                continue
            for name in names:
                if like(str(pattern), name):
                    found[user, name][host] |= {str(right).upper(), *(["GRANT OPTION"] if passes == "YES" else [])}
        return found

    def users(self) -> Iterator[Native]:
        """Yield the users that have rights on these databases, each with the hosts it comes from."""
        hosts: dict[str, set[str]] = defaultdict(set)
        for (user, _), held in self.rights().items():
            hosts[user] |= set(held)
        for user, some in sorted(hosts.items()):
            body: Native = {"id": f"user/{user}", "name": user, "hosts": sorted(some)}
            if told := self._hash(user):
                body["password_hash"] = told
            yield body

    def _hash(self, user: str) -> str:
        """Return the hash where all hosts share one that any server takes; an empty text else."""
        held = "authentication_string"
        if self.again(lambda wire: wire.number < (100400 if wire.mariadb else 50700)):
            held = "COALESCE(NULLIF(authentication_string, ''), Password)"  # where it was until then
        try:
            rows = self.ask(f"SELECT plugin, {held} FROM mysql.user WHERE User = %s", user)
        except RefusedError:
            return ""  # the login may not read it
        told = {_text(hashed) if plugin in ("mysql_native_password", "") else "" for plugin, hashed in rows}
        one = told.pop() if len(told) == 1 else ""
        return one if NATIVE.fullmatch(one) else ""

    def grants(self) -> Iterator[Native]:
        """Yield the rights; where a user's hosts have different ones, those that all have, and ``why``."""
        for (user, database), hosts in sorted(self.rights().items()):
            common = set.intersection(*hosts.values())
            body: Native = {
                "id": f"grant/{user} {database}", "user": f"user/{user}", "user_name": user,
                "database": f"database/{database}", "database_name": database, "rights": sorted(_summed(common)),
            }  # fmt: skip
            if any(rights != common for rights in hosts.values()):
                body["why"] = "its hosts have different rights: those that all have are moved"
            yield body

    @staticmethod
    def _acts_as(database: str, rights: dict[tuple[str, str], dict[str, set[str]]]) -> str:
        """Return the user whose database it is: who has all rights there, else the most; user@host."""
        found = [
            (-len(held), user, host)
            for (user, name), hosts in rights.items()
            if name == database
            for host, held in hosts.items()
        ]
        return "{1}@{2}".format(*min(found)) if found else ""

    # ---- bytes ------------------------------------------------------------------------------------------------------

    @property
    def _program(self) -> str:
        return shutil.which("mariadb-dump") or shutil.which("mysqldump") or ""

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield the dump of a database. Raises RefusedError with what the program said, or the server."""
        from .dumping import dump, is_old
        from .wire import Wire

        name = url.rpartition("?")[0]
        if not self.again(is_old):
            yield from self._dumped(name)
            return
        with contextlib.closing(Wire(self.login, name)) as wire:
            yield from dump(wire, name)

    def _dumped(self, name: str) -> Iterator[bytes]:
        """Yield what the program that dumps says."""
        program, login = self._program, self.login
        if not program:
            raise VendorError("mysql: neither mariadb-dump nor mysqldump is installed; apt-get install mariadb-client")
        where = (
            ["--socket", login.socket] if login.socket else ["-h", login.host, "-P", str(login.port), "--protocol=tcp"]
        )
        where += ["--ssl-ca", login.ca] if login.ca else []
        command = [program, "--no-defaults", *where, "-u", login.user, *DUMP, f"--ignore-table={name}.{PLACE}"]
        command += ["--", name]
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**os.environ, "MYSQL_PWD": login.secret},
            ) as ran:
                assert ran.stdout is not None
                try:
                    while piece := ran.stdout.read(PIECE_BYTES):
                        yield piece
                except BaseException:
                    ran.kill()
                    raise
            said.seek(0)
            why = said.read(2000).decode("utf-8", "replace").replace(login.secret or "\0", "(secret)")
        if ran.returncode:
            raise RefusedError(f"{name} was not dumped: {why.strip()}", status=ran.returncode, answer=why)


OBJECTS = {
    "view": "SELECT TABLE_NAME, VIEW_DEFINITION, DEFINER, '' FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s",
    "trigger": "SELECT TRIGGER_NAME, "
    "CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_STATEMENT), DEFINER, '' "
    "FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
    "routine": "SELECT ROUTINE_NAME, CONCAT_WS(' ', ROUTINE_TYPE, SECURITY_TYPE, ROUTINE_DEFINITION), DEFINER, '' "
    "FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s",
    "event": "SELECT EVENT_NAME, CONCAT_WS(' ', INTERVAL_VALUE, INTERVAL_FIELD, EVENT_DEFINITION), DEFINER, STATUS "
    "FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
}


def _plainly(sort: str, text: str) -> str:
    """Return the text of a view, trigger, routine or event as two servers are to agree on it.

    A server writes a view anew as it understood it, MySQL with more parentheses than MariaDB (5.6.24 and 10.11,
    2026-11-27): they are left out, as blanks are.
    """
    return re.sub(r"[()\s]+", "", text) if sort == "view" else " ".join(text.split())


def _plain(column: str, type: str) -> str:
    """Return a column's value as bytes that every server agrees on."""
    from .wire import quoted

    return quoted(column) if type in AS_TEXT else f"CAST({quoted(column)} AS CHAR CHARACTER SET utf8mb4)"


def grantee_of(text: str) -> tuple[str, str]:
    """Return user and host of the server's `'user'@'host'`."""
    user, _, host = text.rpartition("'@'")
    return user.removeprefix("'"), host.removesuffix("'")


def like(pattern: str, name: str) -> bool:
    """Tell whether a grant's pattern covers a database."""
    parts = re.findall(r"\\.|.", pattern, re.S)
    told = "".join(re.escape(p[1]) if len(p) == 2 else {"%": ".*", "_": "."}.get(p, re.escape(p)) for p in parts)
    return re.fullmatch(told, name, re.S) is not None


def _summed(rights: set[str]) -> set[str]:
    if EVERYTHING <= rights:
        return {ALL} | (rights & {"GRANT OPTION"})
    return rights - {"USAGE"}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _json(body: Native) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
