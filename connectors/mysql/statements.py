"""Statements of a dump: cut apart, its comments for versions decided, sorted by a list, acting as one named user.

What is sent is put together anew from what was judged, without comments: no server can read another statement in it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from migrator.connectors.archives.dumps import REACHING
from migrator.errors import RefusedError

PIECES = (
    rb"'(?:[^'\\]++|\\.|'')*+'|\"(?:[^\"\\]++|\\.|\"\")*+\"|`(?:[^`]++|``)*+`"
    rb"|--(?:[ \t][^\n]*+)?(?:\n|\Z)|\#[^\n]*+(?:\n|\Z)|/\*(?!M?!)(?:[^*]++|\*(?!/))*+\*/"
)
GAP = re.compile(rb"(?:\s++|--(?:[ \t][^\n]*+)?(?:\n|\Z)|\#[^\n]*+(?:\n|\Z)|/\*(?!M?!)(?:[^*]++|\*(?!/))*+\*/)*+")
DELIMITER = re.compile(rb"DELIMITER[ \t]+([!-/:-@\[-`{-~]{1,8})[ \t]*\r?(?:\n|\Z)", re.I)
VERSION = re.compile(rb"/\*(M?)!(\d{5,6})?|\*/")
HELD = re.compile(rb"\x00(\d+)\x00")

WHO = rb"(?:\x00\d+\x00|[\w$.%-]+)"
MADE = rb"VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE"
DEFINES = re.compile(
    rb"CREATE(?P<how>(?:\s+OR\s+REPLACE)?(?:\s+ALGORITHM\s*=\s*\w+)?)"
    rb"(?:\s+DEFINER\s*=\s*(?:CURRENT_USER(?:\s*\(\s*\))?|CURRENT_ROLE|" + WHO + rb"(?:\s*@\s*" + WHO + rb")?))?"
    rb"(?P<rest>(?:\s+SQL\s+SECURITY\s+(?:DEFINER|INVOKER))?(?:\s+AGGREGATE)?\s+(?P<sort>" + MADE + rb")\b)",
    re.I,
)  # fmt: skip
ROWS = re.compile(rb"(?:INSERT|REPLACE)\s+(?:LOW_PRIORITY\s+|DELAYED\s+|IGNORE\s+)*INTO\b", re.I)
SHAPES = re.compile(
    rb"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?(?:TABLE|SEQUENCE)\b|CREATE\s+(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?INDEX\b"
    rb"|DROP\s+(?:TEMPORARY\s+)?(?:TABLE|SEQUENCE|INDEX|" + MADE + rb")\b"
    rb"|ALTER\s+(?:IGNORE\s+)?TABLE\b|DO\s+SETVAL\s*\(",
    re.I,
)  # fmt: skip
NOTHING = re.compile(
    rb"(?:UN)?LOCK\s+TABLES?\b|START\s+TRANSACTION\b|COMMIT\b|BEGIN\s*\Z|SET\s+(?:@@)?(?:SESSION\s*\.\s*)?(?:SQL_LOG_BIN|AUTOCOMMIT)\b"
    rb"|SET\s+@@GLOBAL\s*\.\s*GTID_PURGED\b|SET\s+@MYSQLDUMP_TEMP_LOG_BIN\b",
    re.I,
)  # fmt: skip
VALUE = rb"(?:\x00\d+\x00|@@?(?:SESSION\s*\.\s*)?[\w$]+|[\w.+-]+)"
KNOWN = (
    rb"(?:@[\w$]+|(?:@@)?(?:SESSION\s*\.\s*)?(?:TIME_ZONE|SQL_MODE|SQL_NOTES|SQL_QUOTE_SHOW_CREATE|FOREIGN_KEY_CHECKS|UNIQUE_CHECKS"
    rb"|CHARACTER_SET_(?:CLIENT|RESULTS|CONNECTION)|COLLATION_CONNECTION|NOTE_VERBOSITY|DEFAULT_STORAGE_ENGINE|CHECK_CONSTRAINT_CHECKS))"
)
SETTING = KNOWN + rb"\s*:?=\s*" + VALUE
SETS = re.compile(
    rb"SET\s+(?:(?:NAMES|CHARACTER\s+SET)\s+"
    + VALUE
    + rb"(?:\s+COLLATE\s+"
    + VALUE
    + rb")?|"
    + SETTING
    + rb"(?:\s*,\s*"
    + SETTING
    + rb")*)\s*\Z",
    re.I,
)
OF_DATABASE = re.compile(
    rb"ALTER\s+DATABASE\s+(?:\x00\d+\x00|[\w$]+)(\s+(?:DEFAULT\s+)?CHARACTER\s+SET\b.*)\Z", re.I | re.S
)
EVENT_ON = re.compile(rb"\bENABLE\b(?=\s+(?:COMMENT\b|DO\b))|(?<=\s)(?=(?:COMMENT\s+\x00\d+\x00\s+)?DO\b)", re.I)
EVENT_OFF = re.compile(rb"\bDISABLE\b(?=\s+(?:ON\s+\w+\s+)?(?:COMMENT\b|DO\b))", re.I)
TABLE = re.compile(
    rb"(?:CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?TABLE(?:\s+IF\s+NOT\s+EXISTS)?|(?:INSERT|REPLACE)\b.*?\bINTO)\s+(\x00\d+\x00|[\w$]+)",
    re.I | re.S,
)
NAMED = re.compile(rb"\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:(?:\x00\d+\x00|[\w$]+)\s*\.\s*)?(\x00\d+\x00|[\w$]+)", re.I)


@dataclass(frozen=True)
class Speaker:
    """Who is spoken to, and as whom routines act: ``definer`` is SQL, empty where there is nobody."""

    number: int
    mariadb: bool
    definer: str = ""
    collations: tuple[tuple[str, str], ...] = ()  # what is called otherwise at this server

    def takes(self, maria: bool, version: int) -> bool:
        """Tell whether the server carries out a comment for this version (MariaDB manual, Comment Syntax)."""
        if not self.mariadb:
            return not maria and version <= self.number
        return version <= self.number and (maria or not 50700 <= version <= 99999)


@dataclass(frozen=True)
class Statement:
    """One that may be sent. ``sort``: set, rows, shape, defines (routines, views, ...), nothing; ``made``: what it
    makes (view, trigger, ...), ``name`` how that is called; ``table``: that of rows, and of what makes one."""

    sort: str
    text: bytes
    line: int
    made: str = ""
    table: str = ""
    name: str = ""


@cache
def _token(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(PIECES + rb"|" + re.escape(delimiter) + rb"|['\"`]|/\*(?!M?!)", re.S)


def statements(dump: Path, speaker: Speaker) -> Iterator[Statement]:
    """Yield a dump's statements. Raises RefusedError at the first that no dump of one database holds."""
    if not dump.stat().st_size:
        return
    with dump.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        at, line, delimiter, end = 0, 1, b";", len(text)
        while at < end:
            gap = GAP.match(text, at)
            line, at = line + _lines(text, at, gap.end() if gap else at), gap.end() if gap else at
            if told := DELIMITER.match(text, at):
                line, at, delimiter = line + 1, told.end(), told[1]
                continue
            begin, parts, ended = at, list[bytes](), False
            while not ended:
                found = _token(delimiter).search(text, at)
                parts.append(text[at : found.start() if found else end])
                at = found.end() if found else end
                ended = found is None or found[0] == delimiter
                if found and found[0] in (b"'", b'"', b"`", b"/*"):
                    raise RefusedError(f"line {line} of the dump begins a statement that does not end")
                if found and not ended:
                    parts.append(found[0])
            begun, line = line, line + _lines(text, begin, at)
            yield _judged(parts, begun, speaker)


def _lines(text: mmap.mmap, begin: int, end: int) -> int:
    return text[begin:end].count(b"\n")


def _judged(parts: list[bytes], line: int, speaker: Speaker) -> Statement:
    held: list[bytes] = []
    plain = bytearray()
    for part in parts:
        if part[:1] in (b"'", b'"', b"`"):
            plain += b"\x00%d\x00" % len(held)
            held.append(part)
        elif part[:2] in (b"--", b"/*") and not VERSION.match(part):
            plain += b" "
        elif part[:1] == b"#":
            plain += b"\n"
        elif b"\x00" in part:
            raise RefusedError(f"about line {line} of the dump stands a NUL outside of any text")
        else:
            plain += part
    text = _decided(bytes(plain), speaker).strip()
    sort, text, made, name = _sorted(text, line, speaker)
    found = TABLE.match(text) if sort in ("rows", "shape") else None
    whole = HELD.sub(lambda m: held[int(m[1])], text)
    return Statement(sort, whole, line, made, _plain(found[1] if found else b"", held), _plain(name, held))


def _plain(name: bytes, held: list[bytes]) -> str:
    """Return a name without its quotes."""
    said = HELD.sub(lambda m: held[int(m[1])], name).decode("utf-8", "replace")
    return said.strip("`").replace("``", "`")


def _decided(text: bytes, speaker: Speaker) -> bytes:
    """Take what stands in comments for versions, or leave it out."""
    if b"*/" not in text and b"/*" not in text:
        return text
    said, at, takes = bytearray(), 0, True
    for found in VERSION.finditer(text):
        if takes:
            said += text[at : found.start()] + b" "
        at = found.end()
        takes = found[0] == b"*/" or speaker.takes(bool(found[1]), int(found[2] or 0))
    return bytes(said + text[at:] if takes else said)


def _sorted(text: bytes, line: int, speaker: Speaker) -> tuple[str, bytes, str, bytes]:
    """Return what sort of statement it is, its text, and what it makes by sort and name. Raises RefusedError."""
    if not text or NOTHING.match(text):
        return "nothing", b"", "", b""
    if reach := REACHING.search(text):
        said = reach[0][:60].decode("utf-8", "replace")
        raise RefusedError(f"about line {line} of the dump stands '{said}', which reaches beyond the database")
    if ROWS.match(text):
        return "rows", text, "", b""
    for old, new in speaker.collations:
        text = re.sub(rb"\b" + re.escape(old.encode()) + rb"\b", new.encode(), text)
    if SETS.match(text):
        return "set", text, "", b""
    if found := OF_DATABASE.match(text):
        return "shape", b"ALTER DATABASE" + found[1], "", b""
    if found := DEFINES.match(text):
        return "defines", *_acting(found, line, speaker)
    if SHAPES.match(text):
        return "shape", text, "", b""
    said = HELD.sub(b"'...'", text[:80]).decode("utf-8", "replace")
    raise RefusedError(f"about line {line} of the dump stands '{said}', which no dump of a database holds")


def _acting(found: re.Match[bytes], line: int, speaker: Speaker) -> tuple[bytes, str, bytes]:
    sort = found["sort"].decode().lower()
    if not speaker.definer:
        raise RefusedError(
            f"line {line} of the dump makes a {sort}, and nobody is known it could act as: "
            "set options.definer of the destination"
        )
    rest = found.string[found.end() :]
    if re.search(rb"\bSONAME\b", rest, re.I):
        raise RefusedError(f"about line {line} of the dump stands SONAME, which loads a library into the server")
    if sort == "event":
        if not EVENT_OFF.search(rest):
            rest = EVENT_ON.sub(b"DISABLE ON SLAVE ", rest, count=1)  # not run here, and told from one that was off
        if not EVENT_OFF.search(rest):
            raise RefusedError(f"line {line} of the dump makes an event that cannot be switched off")
    made = b"CREATE" + found["how"] + b" DEFINER=" + speaker.definer.encode() + found["rest"] + rest
    name = NAMED.match(rest)
    return made, sort, name[1] if name else b""
