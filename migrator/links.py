"""Links by which people set a password of their own at the new account: each works once, and is kept as a digest only.

Nobody is handed a password. A link names one login; whoever opens it chooses, and the choice goes straight to the new
account's API: it is in no file, ledger, log or report. The only module beside sandboxes that answers HTTP.
"""

from __future__ import annotations

import csv
import hashlib
import html
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from migrator.connector import Joined, Opening
from migrator.errors import InputError, MigratorError, RefusedError, RetryError
from migrator.ledger import Ledger
from migrator.passport import Login

log = logging.getLogger(__name__)
FILE = "passport.sqlite"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LEAST, MOST = 12, 128  # characters of a password; NIST SP 800-63B asks for 8 and more, and no rules of composition
BODY_BYTES = 10_000
SCHEMA = """CREATE TABLE IF NOT EXISTS link (digest TEXT PRIMARY KEY, kind TEXT NOT NULL, there TEXT NOT NULL,
 login TEXT NOT NULL, expires TEXT NOT NULL, spent TEXT)"""
USED = "<p>This link was used already, or is too old. Ask for a new one.</p>"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "none",
}


@dataclass(frozen=True)
class Link:
    """What a link opens: a login at the destination. ``spent``: when it was used, empty where it was not."""

    kind: str
    there: str
    login: str
    expires: str
    spent: str


class Links:
    """The links of one workspace, in a file that only its owner reads. What is in it opens nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._path = folder, folder / FILE
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        with self._open() as rows:
            rows.execute(SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection, connection:
            connection.execute("PRAGMA synchronous=FULL")
            yield connection

    def make(self, logins: Iterable[tuple[str, str, str]], expires: datetime) -> list[tuple[str, str, str]]:
        """Return (kind, login, token) for each (kind, id there, login); links made for it before open nothing more."""
        made = [(kind, there, login, secrets.token_urlsafe(32)) for kind, there, login in logins]
        with self._open() as rows:
            rows.executemany("DELETE FROM link WHERE kind = ? AND there = ?", [one[:2] for one in made])
            rows.executemany(
                "INSERT INTO link VALUES (?, ?, ?, ?, ?, NULL)",
                [(digest(token), kind, there, login, _text(expires)) for kind, there, login, token in made],
            )
        return [(kind, login, token) for kind, _, login, token in made]

    def look(self, token: str) -> Link | None:
        """Return what a token opens, or opened."""
        with self._open() as rows:
            found = rows.execute(
                "SELECT kind, there, login, expires, coalesce(spent, '') FROM link WHERE digest = ?", (digest(token),)
            ).fetchone()
        return Link(*found) if found else None

    def spend(self, token: str, now: datetime) -> Link | None:
        """Spend a token; None where it is spent, expired or none. Of several at once, one gets it."""
        with self._open() as rows:
            spent = rows.execute(
                "UPDATE link SET spent = ? WHERE digest = ? AND spent IS NULL AND expires > ?",
                (_text(now), digest(token), _text(now)),
            ).rowcount
        return self.look(token) if spent else None

    def give_back(self, token: str) -> None:
        """Let a token be used again: nothing was done with it."""
        with self._open() as rows:
            rows.execute("UPDATE link SET spent = NULL WHERE digest = ?", (digest(token),))


def digest(token: str) -> str:
    """Return what is kept of a token. It holds 256 bits of chance: nobody finds it by trying, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def opening(destination: Any, kind: str) -> Opening | None:
    """Return the account that sets the passwords of a kind, None where none does."""
    part = destination.part(kind) if isinstance(destination, Joined) else destination
    return part if isinstance(part, Opening) and part.opens(kind) else None


def address_of(text: str) -> str:
    """Return where links lead. Raises InputError unless it is reached by TLS, or on this machine."""
    parts = urlsplit(text)
    here = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or here) or parts.query or parts.fragment:
        raise InputError(
            f"'{text}' is no address for links",
            remedy="name the https:// address by which people reach `migrator passport --serve` through your proxy",
        )
    return text.rstrip("/")


def written(
    file: Path, links: Links, logins: Sequence[Login], ledger: Ledger, destination: Any, address: str, expires: datetime
) -> tuple[int, int]:
    """Write a link for each login that has to set a password again into a new file that only its owner reads.

    Return how many, and how many such logins have none: they are not at the destination yet, or nothing there sets
    passwords of their kind. Raises InputError where the file is there already, or lies in the workspace.
    """
    wanted = [one for one in logins if one.verdict == "set again"]
    known = [(one, ledger.find(one.kind, one.id)) for one in wanted]
    ready = [
        (one.kind, found.destination, one.login) for one, found in known if found and opening(destination, one.kind)
    ]
    if links.folder.resolve() in file.resolve().parents:
        raise InputError(
            f"links are not written to {file}: whoever reads the workspace would hold every login",
            remedy="name a file outside the workspace",
        )
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as err:
        raise InputError(f"links are not written to {file}: {err.strerror}", remedy="name a new file") from err
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["kind", "login", "link", "until"])
        for kind, login, token in links.make(ready, expires):
            lines.writerow([kind, _plain(login), f"{address}/{token}", _text(expires)])
    return len(ready), len(wanted) - len(ready)


def _plain(text: str) -> str:
    """Return a text that no table program takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


class Door:
    """The page behind the links, a WSGI application. Reading it spends nothing: mail programs open links to look."""

    def __init__(self, links: Links, destination: Any, now: Callable[[], datetime]) -> None:
        self._links, self._destination, self._now = links, destination, now

    def __call__(self, environ: Any, start: Any) -> Any:
        """Answer one request."""
        from werkzeug.exceptions import HTTPException
        from werkzeug.wrappers import Request, Response

        request = Request(environ)
        request.max_content_length = BODY_BYTES
        try:
            status, said = self._answered(request)
        except HTTPException as err:  # a body that is too large, or no form
            status, said = err.code or 400, "<p>This is not what the page sends.</p>"
        answer = Response(_page(said), status, HEADERS, content_type="text/html; charset=utf-8")
        return answer(environ, start)

    def _answered(self, request: Any) -> tuple[int, str]:
        token = request.path.rpartition("/")[2]
        link = self._links.look(token)
        if link is None or request.method not in ("GET", "HEAD", "POST"):
            return 404, "<p>This link opens nothing. Is it whole?</p>"
        if link.spent or link.expires <= _text(self._now()):
            return 410, USED
        if request.method == "POST":
            return self._chosen(token, link, request.form.get("password", ""), request.form.get("again", ""))
        return 200, _form(link, "")

    def _chosen(self, token: str, link: Link, password: str, again: str) -> tuple[int, str]:
        """Set a password; the link is spent before the call, and is given back only where nothing was done."""
        wrong = _wrong(link, password, again)
        if wrong:
            return 422, _form(link, wrong)
        account = opening(self._destination, link.kind)
        if account is None or self._links.spend(token, self._now()) is None:
            return 410, USED
        try:
            account.set_password(link.kind, link.there, password)
        except RefusedError:
            self._links.give_back(token)
            return 422, _form(link, "The server does not take this password. Choose a longer or stranger one.")
        except RetryError:
            self._links.give_back(token)
            return 503, _form(link, "The server cannot be reached now. Try again in some minutes.")
        except MigratorError as err:  # what was done is not known; its words are for the log, without the password
            log.warning("a password may not be set", extra={"kind": link.kind, "error": type(err).__name__})
            return 502, "<p>It is not sure whether the password is set. Try to sign in; else ask for a new link.</p>"
        log.info("a password was set by its owner", extra={"kind": link.kind})
        return 200, f"<p>Done: sign in as <b>{html.escape(link.login)}</b>. This link is used up.</p>"


def _wrong(link: Link, password: str, again: str) -> str:
    if password != again:
        return "The two are not the same."
    if not LEAST <= len(password) <= MOST:
        return f"Choose {LEAST} to {MOST} characters."
    if not password.isprintable() or password != password.strip():
        return "It begins or ends with a blank, or holds a character that cannot be typed."
    if link.login.partition("@")[0].lower() in password.lower():
        return "It holds the name of the login."
    return ""


def _form(link: Link, wrong: str) -> str:
    complaint = f"<p><b>{html.escape(wrong)}</b></p>" if wrong else ""
    field = '<p><label>{}<br><input type="password" name="{}" autocomplete="new-password" required></label></p>'
    return (
        f"<p>Choose a password for <b>{html.escape(link.login)}</b>, {LEAST} characters or more. Nobody else sees it."
        f'</p>{complaint}<form method="post">{field.format("Password", "password")}{field.format("Once more", "again")}'
        "<button>Set it</button></form>"
    )


def _page(said: str) -> str:
    style = "body{font:1.1em sans-serif;max-width:32em;margin:3em auto;padding:0 1em}input{font:inherit;width:100%}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Your new password</title><style>{style}</style><h1>Your new password</h1>{said}</html>"
    )


def until(now: datetime, days: int) -> datetime:
    """Return when links of so many days end. Raises InputError for less than one or more than thirty."""
    if not 1 <= days <= 30:
        raise InputError(f"links live 1 to 30 days, not {days}")
    return now + timedelta(days=days)


@contextmanager
def serving(door: Door, port: int = 0) -> Iterator[str]:
    """Serve the page on this machine alone, and yield where; TLS is a proxy's. No address is logged: it has a token."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        """Logs nothing."""

        def log(self, type: str, message: str, *args: Any) -> None:
            """Keep silent."""

    server = make_server("127.0.0.1", port, door, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
