"""Dumps of databases, let through whole or not at all: a dump holds statements of a few sorts, and no other.
Nothing is carried out here; whoever does so later does it as the customer's own user.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from migrator.errors import RefusedError

# What mysqldump and mariadb-dump write of one database (their manuals; a dump of MariaDB's).
WHO = rb"(?:''|[\w%$.-]+)"
ALLOWED = re.compile(
    rb"(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:ALGORITHM\s*=\s*\w+\s+)?"
    rb"(?:DEFINER\s*=\s*" + WHO + rb"(?:\s*@\s*" + WHO + rb")?\s+)?(?:SQL\s+SECURITY\s+\w+\s+)?"
    rb"(?:TEMPORARY\s+|UNIQUE\s+|AGGREGATE\s+)*"
    rb"(?:TABLE|VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|INDEX|SEQUENCE|PACKAGE)\b"
    rb"|ALTER\s+DATABASE\s+''\s+CHARACTER\s+SET\b|(?:INSERT|REPLACE)\s+(?:IGNORE\s+|DELAYED\s+)?INTO\b"
    rb"|LOCK\s+TABLES?\b|UNLOCK\s+TABLES?\b|SET\s+(?!PASSWORD|ROLE|DEFAULT)|START\s+TRANSACTION|COMMIT\b|BEGIN\b",
    re.I,
)  # fmt: skip
REACHING = re.compile(
    rb"INTO\s+(?:OUT|DUMP)FILE|LOAD_FILE\s*\(|LOAD\s+(?:DATA|XML)|(?:DATA|INDEX)\s+DIRECTORY|ENGINE\s*=?\s*(?:FEDERATED|CONNECT|SPIDER)\b"
    rb"|@@\s*(?:global|persist)|\bSET\b[^;]*\b(?:GLOBAL|PERSIST)\b",
    re.I,
)
CLIENT = re.compile(
    rb"(?:^|\n)\s*(?:\\\S|(?:system|source|tee|notee|pager|edit)\s)", re.I
)  # commands of the program mysql
# Only the line that MariaDB itself writes (since 10.5.25) may look like one.
SANDBOX = re.compile(rb"\A\s*/\*M?!999999\\- enable the sandbox mode \*/")
TOKEN = re.compile(
    rb"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`|--(?:[ \t][^\n]*)?\n"
    rb"|\#[^\n]*\n|/\*(?!M?!).*?\*/|;;|;",
    re.S,
)
UNFINISHED = re.compile(rb"['\"`]|/\*(?!M?!)|--[ \t]|\#")  # before what looks like a token: it is within one
FIRST_BYTES = 100  # within which the first line ends
MOST_BYTES = 2**27  # of one statement


def harmless(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a dump's bytes. Raises RefusedError at the first statement that is none of a dump's."""
    judge = Judge()
    for piece in pieces:
        judge.take(piece)
        yield piece
    judge.end()


def _switches(token: bytes, bare: list[bytes]) -> bool:
    """Tell whether ``DELIMITER ;`` ends the routines."""
    return token == b";" and b"".join(bare).strip().upper() == b"DELIMITER"


class Judge:
    """Reads a dump, statement after statement."""

    def __init__(self) -> None:
        self._held, self._line, self._first, self._within = (
            b"",
            1,
            True,
            False,
        )  # within: a routine, whose statements end in ;;

    def take(self, piece: bytes) -> None:
        """Judge what ends within this piece. Raises RefusedError."""
        self._held += piece
        self._judge(ended=False)
        if len(self._held) > MOST_BYTES:
            raise RefusedError(f"line {self._line} of the dump begins a statement of more than {MOST_BYTES} bytes")

    def end(self) -> None:
        """Judge the rest."""
        self._held += b"\n;;"
        self._judge(ended=True)

    def _judge(self, *, ended: bool) -> None:
        if self._first and (ended or len(self._held) > FIRST_BYTES):
            self._held, self._first = SANDBOX.sub(b"", self._held, count=1), False
        elif self._first:
            return
        text = self._held
        begin = at = 0
        bare: list[bytes] = []
        while found := TOKEN.search(text, at):
            between = text[at : found.start()]
            if not ended and (UNFINISHED.search(between) or found.end() == len(text)):
                break  # it may go on in the next piece
            bare.append(between)
            at, token = found.end(), found[0]
            ends = token == b";;" or (token == b";" and not self._within) or _switches(token, bare)
            if ends:
                self._allowed(b"".join(bare))
                self._line += text.count(b"\n", begin, at)
                begin, bare = at, []
            elif token[:1] in b"'\"`":
                bare.append(b" '' ")
            else:
                bare.append(b"\n" if token.endswith(b"\n") else token if token == b";" else b" ")
        self._held = text[begin:]

    def _allowed(self, statement: bytes) -> None:
        plain = re.sub(rb"/\*M?!\d*|\*/", b" ", statement).strip()
        if plain.upper() == b"DELIMITER":
            self._within = not self._within  # the sign itself is what ended it
            return
        if plain[:9].upper() == b"DELIMITER":
            raise RefusedError(f"about line {self._line} of the dump stands a DELIMITER that no dump has")
        if not plain:
            return
        if CLIENT.search(statement):
            raise RefusedError(f"about line {self._line} of the dump stands a command of the program mysql")
        if not ALLOWED.match(re.sub(rb"\s+", b" ", plain[:600])):
            said = plain[:60].decode("utf-8", "replace")
            raise RefusedError(
                f"about line {self._line} of the dump stands '{said}', which no dump of a database holds"
            )
        if reach := REACHING.search(plain):
            said = reach[0][:60].decode("utf-8", "replace")
            raise RefusedError(
                f"about line {self._line} of the dump stands '{said}', which reaches beyond the database"
            )
