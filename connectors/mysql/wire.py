"""One connection to a server of MySQL's protocol; the only module that imports PyMySQL."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymysql
import pymysql.cursors
from pymysql.constants import FIELD_TYPE as TYPE

from migrator.errors import AccessError, RefusedError, RetryError, UnknownOutcomeError

CONNECT_SECONDS = 20
FETCHED = 100
ANSWER_SECONDS = 3600  # a big table's index is built, or its checksum reckoned, within one answer
LOST = {2000, 2002, 2003, 2006, 2013, 2014, 2027, 2055, 1053, 1927, 4031}
BUSY = {1040, 1203, 1205, 1213, 1226}
DENIED = {1044, 1045, 1130, 1698, 1129, 3118, 4151}
ABSENT, THERE = {1008, 1049, 1051, 1141, 1146, 1396}, {1007, 1050, 1304, 1359, 1537, 1061}
NO_SUCH_GRANT = 1141
LACKS_RIGHT = {1044, 1045, 1142, 1227, 1370, 1410}

NUMBERS = {
    TYPE.DECIMAL, TYPE.NEWDECIMAL, TYPE.TINY, TYPE.SHORT, TYPE.LONG, TYPE.LONGLONG, TYPE.INT24, TYPE.FLOAT, TYPE.DOUBLE,
    TYPE.YEAR,
}  # fmt: skip


@dataclass(frozen=True)
class Login:
    """Who signs in where. ``socket``: a path in place of host and port; ``ca``: a file, with it TLS is required."""

    host: str
    port: int
    user: str
    secret: str = field(repr=False)
    socket: str = ""
    ca: str = ""

    @property
    def local(self) -> bool:
        """Tell whether what is said stays on this machine."""
        return bool(self.socket) or self.host in ("127.0.0.1", "::1", "localhost")


class Wire:
    """A signed-in connection. Raises AccessError, RetryError (out of reach) when it is made."""

    def __init__(self, login: Login, database: str | None = None) -> None:
        self.login, self.broken = login, False
        how: dict[str, Any] = (
            {"unix_socket": login.socket} if login.socket else {"host": login.host, "port": login.port}
        )
        if login.ca:
            how["ssl"] = ssl.create_default_context(cafile=login.ca)
        try:
            self._ran: Any = pymysql.connect(
                user=login.user, password=login.secret, database=database, charset="utf8mb4", autocommit=True,
                connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS, write_timeout=ANSWER_SECONDS,
                local_infile=False, **how,
            )  # fmt: skip
        except pymysql.MySQLError as err:
            code, said = _told(err)
            if code in DENIED:
                raise AccessError(f"{login.host} does not let {login.user} in: {said}") from err
            raise RetryError(f"{login.host}:{login.port} is out of reach: {said}") from err
        self.ask("SET time_zone = '+00:00'")

    @property
    def version(self) -> str:
        """Return the server's version, such as 10.11.6-MariaDB."""
        said: str = self._ran.get_server_info()
        return said

    @property
    def mariadb(self) -> bool:
        """Tell MariaDB from MySQL."""
        return "mariadb" in self.version.lower()

    @property
    def number(self) -> int:
        """Return the version as comments of dumps write it: 101106."""
        plain = self.version.removeprefix("5.5.5-").split("-")[0]
        major, minor, patch = (
            int("".join(c for c in part if c.isdigit()) or 0) for part in f"{plain}.0.0".split(".")[:3]
        )
        return major * 10000 + minor * 100 + patch

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that changes nothing. Raises RetryError where the connection broke."""
        try:
            return self._rows(sql, values)
        except UnknownOutcomeError as err:
            raise RetryError(str(err)) from err

    def do(self, sql: str | bytes, values: Sequence[Any] = (), *, secret: str = "") -> list[tuple[Any, ...]]:
        """Carry out a statement. Raises UnknownOutcomeError where no answer came; ``secret`` is kept out of errors."""
        return self._rows(sql, values, secret)

    def _rows(self, sql: str | bytes, values: Sequence[Any], secret: str = "") -> list[tuple[Any, ...]]:
        try:
            with self._ran.cursor() as cursor:
                if isinstance(sql, bytes):
                    self._ran.query(sql)
                    return []
                cursor.execute(sql, tuple(values) or None)
                return list(cursor.fetchall())
        except pymysql.MySQLError as err:
            code, said = _told(err)
            hidden = said.replace(secret, "(secret)") if secret else said
            if code in LOST or isinstance(err, pymysql.InterfaceError):
                self.broken = True
                raise UnknownOutcomeError(f"{self.login.host}: the connection broke: {hidden}") from None
            if code in BUSY:
                raise RetryError(f"{self.login.host}: {hidden}") from None
            raise RefusedError(f"{self.login.host} refused: {hidden} ({code})", status=code, answer=hidden) from None
        except (OSError, EOFError) as err:
            self.broken = True
            raise UnknownOutcomeError(f"{self.login.host}: the connection broke: {err}") from err

    def stream(self, sql: str) -> Iterator[list[tuple[bool, str | bytes | None]]]:
        """Yield rows as they come: of each value whether it is a number, and its text; bytes where it is no text."""
        decoders, self._ran.decoders = self._ran.decoders, {}
        try:
            with self._ran.cursor(pymysql.cursors.SSCursor) as cursor:
                cursor.execute(sql)
                numbers = [column[1] in NUMBERS for column in cursor.description]
                while some := cursor.fetchmany(FETCHED):
                    for row in some:
                        yield list(zip(numbers, row, strict=True))
        except pymysql.MySQLError as err:
            code, said = _told(err)
            if code in LOST or isinstance(err, pymysql.InterfaceError):
                self.broken = True
                raise RetryError(f"{self.login.host}: the connection broke: {said}") from None
            raise RefusedError(f"{self.login.host} refused: {said} ({code})", status=code, answer=said) from None
        except (OSError, EOFError) as err:
            self.broken = True
            raise RetryError(f"{self.login.host}: the connection broke: {err}") from err
        finally:
            self._ran.decoders = decoders

    def begin(self, on: bool) -> None:
        """Have what follows count only once ``commit`` was answered, or each statement by itself."""
        self._ran.autocommit(not on)

    def commit(self) -> None:
        """Let what was said since the last time count. Raises UnknownOutcomeError."""
        self.do("COMMIT")

    def literal(self, value: str) -> str:
        """Return a text as SQL writes it, for statements that take no parameters."""
        said: str = self._ran.escape(value)
        return said

    def close(self) -> None:
        """End it."""
        self.broken = True
        with contextlib.suppress(pymysql.MySQLError, OSError):
            self._ran.close()


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    if "\0" in name or not name:
        raise RefusedError(f"{name!r} is no name")
    return "`" + name.replace("`", "``") + "`"


def who(user: str, host: str) -> str:
    """Return an account as SQL writes it: in signs that no mode of SQL reads otherwise."""
    return f"{quoted(user)}@{quoted(host)}"


def pattern(database: str) -> str:
    """Return a database's name as GRANT wants it: its _ and % stand for any character unless escaped."""
    return quoted(database.replace("\\", "\\\\").replace("_", r"\_").replace("%", r"\%"))


def _told(err: BaseException) -> tuple[int, str]:
    code = err.args[0] if err.args and isinstance(err.args[0], int) else 0
    return code, str(err.args[1] if len(err.args) > 1 else err)
