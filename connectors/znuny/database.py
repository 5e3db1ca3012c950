"""Znuny's PostgreSQL database: what the web service does not show, and what it lets nobody write: dates, authors."""

from __future__ import annotations

import base64
import contextlib
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from migrator.connector import Native
from migrator.errors import AccessError, InputError, RefusedError, VendorError

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class File:
    """A file as the source has it: Znuny shortens names, strips dots before them, and tells equal ones apart."""

    name: str
    content_type: str


@dataclass(frozen=True)
class Said:
    """When and by whom an article was written: ``at`` an ISO time, ``agent`` the user's number, ``sender`` its From;
    ``html``: its text, where Znuny takes pictures out of it.
    """

    article: int
    at: str | None
    agent: int
    sender: str
    html: str | None = None
    files: Sequence[File] = field(default_factory=tuple)


@dataclass(frozen=True)
class Line:
    """A line of a ticket's history: ``what`` in Znuny's word, ``agent`` the number of the doer, ``at`` an ISO time."""

    ticket: int
    what: str
    text: str
    agent: int
    at: str | None


# The ticket as it stands now fills what a line notes besides.
ADD_LINE = """INSERT INTO ticket_history (name, history_type_id, ticket_id, type_id, queue_id, owner_id, priority_id,
    state_id, create_time, create_by, change_time, change_by)
    SELECT %(text)s, w.id, t.id, COALESCE(t.type_id, 1), t.queue_id, t.user_id, t.ticket_priority_id, t.ticket_state_id,
    COALESCE(%(at)s, t.create_time), %(agent)s, COALESCE(%(at)s, t.create_time), %(agent)s
    FROM ticket t JOIN ticket_history_type w ON w.name = %(what)s WHERE t.id = %(ticket)s RETURNING id"""
SAME_LINES = """SELECT h.id FROM ticket_history h JOIN ticket_history_type w ON w.id = h.history_type_id
    JOIN ticket t ON t.id = h.ticket_id
    WHERE h.ticket_id = %(ticket)s AND w.name = %(what)s AND h.name = %(text)s AND h.create_by = %(agent)s
    AND h.create_time = COALESCE(%(at)s, t.create_time) AND h.article_id IS NULL ORDER BY h.id"""


class Database:
    """Connections as they are needed, kept for the next. ``place``: libpq's words (``host=… dbname=…``)."""

    def __init__(self, place: str, password: str) -> None:
        self._place, self._password = place, password
        self._idle: list[psycopg.Connection[Native]] = []
        self._lending = threading.Lock()
        weakref.finalize(self, _close, self._idle)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Native]]:
        """Lend a connection in a transaction of its own. Raises AccessError, VendorError."""
        try:
            import psycopg
        except ImportError as err:  # pragma: no cover - the extra is installed where tests run
            raise InputError("the channel sql needs psycopg; `pip install 'migrator[postgresql]'`") from err
        try:
            with self._lending:
                lent = self._idle.pop() if self._idle else None
            if lent is None or lent.closed:
                lent = self._open()
            with lent.transaction():
                yield lent
            with self._lending:
                self._idle.append(lent)
        except psycopg.Error as err:
            if lent is not None:
                lent.close()
            raise VendorError(f"Znuny's database: {type(err).__name__}: {str(err).splitlines()[0][:200]}") from err

    def _open(self) -> psycopg.Connection[Native]:
        import psycopg
        from psycopg.rows import dict_row

        try:
            return psycopg.connect(self._place, password=self._password, row_factory=dict_row, connect_timeout=10)
        except psycopg.OperationalError as err:
            raise AccessError(
                f"Znuny's database cannot be opened ({str(err).splitlines()[0][:200]}); check the setting 'database' "
                "and the secret 'database_password'"
            ) from None

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Native]:
        """Return rows, every value as text."""
        with self._connection() as connection:
            found = connection.execute(sql, values).fetchall()
        return [{name: None if held is None else str(held) for name, held in row.items()} for row in found]

    def bodies(self, articles: Sequence[int]) -> dict[int, Native]:
        """Return the files with the HTML of the articles that have one, named as the web service names them."""
        found = self.rows(
            "SELECT DISTINCT ON (article_id) article_id, content, content_type FROM article_data_mime_attachment "
            "WHERE article_id = ANY(%s) AND filename IN ('file-1', 'file-2', 'file-1.html') "
            "AND content_type ILIKE 'text/html%%' AND COALESCE(disposition, '') IN ('', 'inline') "
            "ORDER BY article_id, id",
            [list(articles)],
        )
        return {
            int(row["article_id"]): {"Content": row["content"], "ContentType": row["content_type"]} for row in found
        }

    def moved(self, ticket: int) -> Mapping[str, Any]:
        """Return when, and by whom, a ticket was last changed."""
        found = self.rows("SELECT change_time, change_by FROM ticket WHERE id = %s", [ticket])
        return found[0] if found else {}

    def date_ticket(self, ticket: int, title: str, created: str | None, changed: str | None, said: Said | None) -> None:
        """Give a new ticket, and its first article, their true title, dates and author."""
        with self._connection() as connection:
            connection.execute("UPDATE ticket SET title = %s WHERE id = %s", [title, ticket])
            if created:
                connection.execute("UPDATE ticket SET create_time = %s WHERE id = %s", [_at(created), ticket])
                connection.execute(
                    "UPDATE ticket_history SET create_time = %s, change_time = %s "
                    "WHERE ticket_id = %s AND article_id IS NULL",
                    [_at(created), _at(created), ticket],
                )
            if said:
                _date(connection, said)
            if changed or created:
                connection.execute(
                    "UPDATE ticket SET change_time = %s WHERE id = %s", [_at(changed or created or ""), ticket]
                )

    def assign(self, ticket: int, values: Mapping[str, int | None]) -> None:
        """Give a ticket its service (``service_id``) and its SLA (``sla_id``), whoever may use them."""
        with self._connection() as connection:
            for column in ("service_id", "sla_id"):
                if column in values:
                    connection.execute(f"UPDATE ticket SET {column} = %s WHERE id = %s", [values[column], ticket])

    def add_lines(self, lines: Sequence[Line]) -> list[str]:
        """Add lines to the histories of tickets, all or none, and return their numbers. Raises RefusedError."""
        import psycopg

        made: list[str] = []
        with self._connection() as connection:
            for line in lines:
                row = connection.execute(ADD_LINE, _line_values(line)).fetchone()
                if row is None:
                    raise psycopg.Rollback  # which goes no further than the transaction
                made.append(str(row["id"]))
        if len(made) < len(lines):
            raise RefusedError("a ticket is gone, or Znuny has no such word in its history; no line was added")
        return made

    def lines(self, line: Line) -> list[str]:
        """Return the numbers of the lines that say the same of the same ticket."""
        return [row["id"] for row in self.rows(SAME_LINES, _line_values(line))]

    def date_article(self, ticket: int, said: Said, moved: Mapping[str, Any]) -> None:
        """Give a new article its true date and author, and its ticket the last change it had before."""
        with self._connection() as connection:
            _date(connection, said)
            if moved:
                connection.execute(
                    "UPDATE ticket SET change_time = %s, change_by = %s WHERE id = %s",
                    [moved["change_time"], int(moved["change_by"]), ticket],
                )


def _line_values(line: Line) -> dict[str, Any]:
    at = _at(line.at) if line.at else None
    return {"ticket": line.ticket, "what": line.what, "text": line.text, "agent": line.agent, "at": at}


def _date(connection: psycopg.Connection[Native], said: Said) -> None:
    id = said.article
    if said.at:
        at = _at(said.at)
        for table, column in (("article", "id"), ("article_data_mime", "article_id"), ("ticket_history", "article_id")):
            connection.execute(
                f"UPDATE {table} SET create_time = %s, change_time = %s WHERE {column} = %s",
                [at, at, id],
            )
        connection.execute("UPDATE article_data_mime SET incoming_time = %s WHERE article_id = %s", [_epoch(at), id])
    for table, column in (("article", "id"), ("article_data_mime", "article_id"), ("ticket_history", "article_id")):
        connection.execute(
            f"UPDATE {table} SET create_by = %s, change_by = %s WHERE {column} = %s",
            [said.agent, said.agent, id],
        )
    connection.execute("UPDATE article_data_mime SET a_from = %s WHERE article_id = %s", [said.sender, id])
    found = connection.execute("SELECT id FROM article_data_mime_attachment WHERE article_id = %s ORDER BY id", [id])
    held = [row["id"] for row in found.fetchall()]
    if held and said.html is not None:  # the text, then what was taken out of it, then the files
        content = said.html.encode()
        connection.execute(
            "UPDATE article_data_mime_attachment SET content = %s, content_size = %s WHERE id = %s",
            [base64.encodebytes(content).decode(), str(len(content)), held[0]],
        )
        taken = held[1 : len(held) - len(said.files)]
        connection.execute("DELETE FROM article_data_mime_attachment WHERE id = ANY(%s)", [taken])
    for at_id, file in zip(reversed(held), reversed(said.files), strict=False):
        connection.execute(
            "UPDATE article_data_mime_attachment SET filename = %s, content_type = %s WHERE id = %s",
            [file.name, file.content_type, at_id],
        )


def _at(text: str) -> datetime:
    """Return a time as Znuny keeps it: UTC (its ``OTRSTimeZone``), without a zone."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _epoch(at: datetime) -> int:
    return max(-(2**31), min(2**31 - 1, int(at.replace(tzinfo=UTC).timestamp())))


def _close(idle: list[psycopg.Connection[Native]]) -> None:
    for connection in idle:
        connection.close()
