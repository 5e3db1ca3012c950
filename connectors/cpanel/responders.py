"""Autoresponders said in Sieve, at the end of the script that holds the mailbox's filters (``options.responders``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from .filters import Spelling, on, quoted, translated

Native = dict[str, Any]
WORD = re.compile(r"%(subject|from|email)%")


class Left(Exception):
    """Why a responder cannot stand in a script."""


def answered(address: str, filters: Iterable[Native], responder: Native, spelling: Spelling) -> tuple[str, set[str]]:
    """Return the responder as a block of Sieve, and what it needs. Raises Left with why it cannot stand in a script.

    cPanel answers what its filters have not ended; so does a block that stands behind them.
    """
    acting = [one for one in filters if on(one)]
    if left := translated(acting, address, spelling).left:
        raise Left(f"stands behind the filter {left[0][0]!r}, which is left")
    if any(_throws_away(one) for one in acting):
        raise Left("a filter throws mail away without ending there, and that mail would be answered")
    return _block(responder)


def answer_of(
    address: str, filters: Iterable[Native], responder: Native | None, spelling: Spelling
) -> tuple[str, set[str]] | None:
    """Return a mailbox's responder as a block of Sieve; None where it has none, or none that can stand in a script."""
    try:
        return answered(address, filters, responder, spelling) if responder else None
    except Left:
        return None  # it is a record of its own, for a person


def _throws_away(one: Native) -> bool:
    does = [str(action.get("action")) for action in one.get("actions") or ()]
    gone = any(str(action.get("dest") or "").strip() == "/dev/null" for action in one.get("actions") or ())
    return gone and "finish" not in does


def _block(one: Native) -> tuple[str, set[str]]:
    body, subject, needs, lines = str(one.get("body") or ""), str(one.get("subject") or ""), {"vacation"}, []
    if not body.strip():
        raise Left("it has no text")
    if WORD.search(body) or "%from%" in subject or "%email%" in subject:
        raise Left("its text names the sender or the subject, in cPanel's words")
    words = [f":days {max(1, -(-int(one.get('interval') or 0) // 24))}"]  # Sieve counts days
    if "%subject%" in subject:
        needs.add("variables")
        lines.append('if header :matches "subject" "*" { set "subject" "${1}"; }')
        subject = subject.replace("${", "$ {").replace("%subject%", "${subject}")
    if subject:
        words.append(f":subject {quoted(subject)}")
    if re.search(r"@", sender := str(one.get("from") or "")):
        words.append(f":from {quoted(sender)}")
    if one.get("is_html"):
        words.append(":mime")
        body = f"Content-Type: text/html; charset=utf-8\n\n{body}"
    lines.append(f"vacation {' '.join(words)} {quoted(body)};")
    tests = [f'currentdate :zone "+0000" :value "{word}" "iso8601" "{when}"' for word, when in _dates(one)]
    text = "".join(f"{line}\n" for line in lines)
    if tests:
        needs |= {"date", "relational"}
        inside = "".join(f"    {line}\n" for line in lines)
        text = f"if allof ({', '.join(tests)}) {{\n{inside}}}\n"
    return text, needs


def _dates(one: Native) -> Sequence[tuple[str, str]]:
    found = []
    for key, word in (("start", "ge"), ("stop", "lt")):
        if seconds := int(one.get(key) or 0):
            found.append((word, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")))
    return found
