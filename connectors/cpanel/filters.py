"""Mail filters of cPanel (Exim's) as one Sieve script a mailbox; what Sieve cannot say alike is left, with the reason.

Filters act one after another, so what stands behind one that is left is left too: half a list may throw mail away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Native = dict[str, Any]
HEADER = re.compile(r"\$h(?:eader)?_([!-9;-~]+):")
RECIPIENTS = re.compile(r"foranyaddress\s+\$h_to:\s*,\s*\$h_cc:(?:\s*,\s*\$h_bcc:)?", re.I)
MATCHES = {"is": ":is", "contains": ":contains", "begins": ":matches", "ends": ":matches"}
NEGATED = {"is not": "is", "does not contain": "contains", "does not begin": "begins", "does not end": "ends"}
PLACES = re.compile(
    r"^/?(?:\$home|/home\d*/[^/]+)/mail/(?:(?P<domain>[^/.][^/]*)/(?P<user>[^/]+)/)?\.(?P<folder>[^/]+)/?$"
)


class Left(Exception):
    """A filter that Sieve cannot say: the reason, for a person."""


@dataclass(frozen=True)
class Spelling:
    """How the new server spells folders in scripts: what stands before a name, and between its levels."""

    prefix: str = ""
    separator: str = "/"


@dataclass
class Translated:
    """One script, and the filters that are not in it, with the reasons."""

    script: str = ""
    requires: set[str] = field(default_factory=set)
    left: list[tuple[str, str]] = field(default_factory=list)  # (name, why)


def translated(
    filters: Iterable[Native],
    address: str,
    spelling: Spelling | None = None,
    answer: tuple[str, set[str]] | None = None,
) -> Translated:
    """Return the filters of a mailbox, in their order, as one script: as far as the first that Sieve cannot say.
    ``answer`` stands behind them.
    """
    found, blocks, stops = Translated(), list[str](), True
    for one in filters:
        name = str(one.get("filtername") or "(without a name)")
        if found.left:
            found.left.append((name, f"stands behind {found.left[0][0]!r}, which is left"))
            continue
        try:
            block, needs = _block(one, address, spelling or Spelling(), alone=stops)
        except Left as why:
            found.left.append((name, str(why)))
            continue
        blocks.append(f"# {_line(name)}\n{block}")
        found.requires |= needs
        stops = stops and bool({"finish", "fail"} & {str(action.get("action")) for action in one["actions"]})
    if answer:
        blocks.append(answer[0])
        found.requires |= answer[1]
    if blocks:
        listed = ", ".join(quoted(one) for one in sorted(found.requires))
        found.script = (f"require [{listed}];\n" if listed else "") + "\n".join(blocks)
    return found


def _block(one: Native, address: str, spelling: Spelling, *, alone: bool) -> tuple[str, set[str]]:
    rules, actions = list(one.get("rules") or ()), list(one.get("actions") or ())
    if not rules or not actions:
        raise Left("has no rules, or does nothing")
    needs: set[str] = set()
    tests = [_test(rule, needs) for rule in rules]
    test = tests[0] if len(tests) == 1 else f"{_join(rules)} ({', '.join(tests)})"
    lines = [line for action in actions for line in _action(action, address, spelling, needs, alone=alone)]
    return f"if {test} {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n", needs


def _join(rules: Sequence[Native]) -> str:
    """Return how rules are joined. A rule's word stands between it and a neighbour; nobody says on which side."""
    words = {str(rule.get("opt") or "").lower() for rule in rules}
    if words == {"and"}:
        return "allof"
    if words == {"or"}:
        return "anyof"
    if words == {""}:
        raise Left(f"cPanel does not tell whether its {len(rules)} rules are joined by and or by or")
    raise Left(f"its {len(rules)} rules are joined by and as well as by or")


def _test(rule: Native, needs: set[str]) -> str:
    part, match, value = str(rule.get("part") or ""), str(rule.get("match") or ""), str(rule.get("val") or "")
    plain = NEGATED.get(match, match)
    if plain not in MATCHES:
        raise Left(f"asks by '{match}', which Sieve has not, or has otherwise")
    if plain in ("begins", "ends"):
        escaped = re.sub(r"([*?\\])", r"\\\1", value)
        value = escaped + "*" if plain == "begins" else "*" + escaped
    if not value:
        raise Left("asks for an empty text")
    header = HEADER.fullmatch(part.strip())
    if header:
        test = f"header {MATCHES[plain]} {quoted(header[1])} {quoted(value)}"
    elif RECIPIENTS.fullmatch(part.strip()):
        test = f'address :all {MATCHES[plain]} ["to", "cc", "bcc"] {quoted(value)}'
    else:
        raise Left(f"looks at '{part}', which Sieve cannot, or only otherwise")
    return f"not {test}" if match in NEGATED else test


def _action(action: Native, address: str, spelling: Spelling, needs: set[str], *, alone: bool) -> list[str]:
    does, to = str(action.get("action") or ""), str(action.get("dest") or "").strip()
    if does == "finish":
        return ["stop;"]
    if does == "deliver" and re.fullmatch(r"[^\s@,]+@[^\s@,]+", to):
        return [f"redirect {quoted(to)};"]
    if does == "save" and to == "/dev/null":
        return ["discard;"]
    if does == "save":
        needs.add("fileinto")
        return [f"fileinto {quoted(_folder(to, address, spelling))};"]
    if does == "fail":
        if not alone:
            raise Left("refuses mail that a filter before it may have put into a folder, which Sieve does not allow")
        needs.add("reject")
        return [f"reject {quoted(to or 'refused')};", "stop;"]
    raise Left(f"does '{does}' to '{to}', which Sieve cannot")


def _folder(path: str, address: str, spelling: Spelling) -> str:
    """Return a folder's name by its place in the file system: ``$home/mail/.Junk.2024``."""
    found = PLACES.fullmatch(path)
    if not found or "&" in found["folder"]:
        raise Left(f"puts mail into '{path}', which is no folder with a plain name")
    if found["domain"] and f"{found['user']}@{found['domain']}" != address:
        raise Left(f"puts mail into a folder of {found['user']}@{found['domain']}")
    return spelling.prefix + spelling.separator.join(found["folder"].removeprefix("INBOX.").split("."))


def quoted(text: str) -> str:
    """Return a text as Sieve's string."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text.replace("\r", "").replace("\x00", "")) + '"'


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def scripts(
    mailbox: str,
    address: str,
    shared: Sequence[Native],
    own: Sequence[Native],
    spelling: Spelling,
    answer: tuple[str, set[str]] | None = None,
) -> list[Native]:
    """Return the records of a mailbox's filters: one script of those that act (the whole account's first),
    one for each that is switched off, and one without a script for each that is left. ``answer``: what stands behind
    those that act, and what it needs.
    """
    listed = [*shared, *own]
    acting = [one for one in listed if on(one)]
    found = translated(acting, address, spelling, answer)
    base: Native = {"mailbox": mailbox, "address": address}
    made: list[Native] = []
    if found.script:
        left = [name for name, _ in found.left]
        told = [one for one in acting if str(one.get("filtername")) not in left]
        made.append({**base, "name": "cpanel", "script": found.script, "active": True, "filters": told})
    for name, why in found.left:
        made.append({**base, "name": f"{name}: {why}", "active": True, "filters": _named(acting, name)})
    for one in listed:
        if not on(one):
            alone = translated([one], address, spelling)
            name = str(one.get("filtername") or "")
            why = f": {alone.left[0][1]}" if alone.left else ""
            made.append({**base, "name": f"{name}{why}", "active": False, "filters": [one]})
            if alone.script:
                made[-1]["script"] = alone.script
    for number, one in enumerate(made):
        one["id"] = f"{address}/{number:03}"
    return made


def _named(filters: Sequence[Native], name: str) -> list[Native]:
    return [one for one in filters if str(one.get("filtername") or "(without a name)") == name]


def on(one: Native) -> bool:
    """Tell whether a filter is switched on."""
    return str(one.get("enabled", 1)) not in ("0", "", "False")
