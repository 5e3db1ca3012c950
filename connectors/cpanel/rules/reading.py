"""One filter of cPanel (its words for Exim's) as a rule about a mail; what Exim alone sees so is unreadable."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any as Anything

from migrator.rules.conditions import All, Any, Condition, Opaque, Path, Text
from migrator.rules.natives import unknown
from migrator.rules.rule import Action, Rule, Unread, Verb

Native = dict[str, Anything]
VENDOR = "cpanel"
HEADER = re.compile(r"\$h(?:eader)?_([!-9;-~]+):")
RECIPIENTS = re.compile(r"foranyaddress\s+\$h_to:\s*,\s*\$h_cc:(?:\s*,\s*\$h_bcc:)?", re.I)
MODES = {"is": "equal", "contains": "substring", "begins": "starts", "ends": "ends"}
NEGATED = {"is not": "is", "does not contain": "contains", "does not begin": "begins", "does not end": "ends"}
PLACES = re.compile(
    r"^/?(?:\$home|/home\d*/[^/]+)/mail/(?:(?P<domain>[^/.][^/]*)/(?P<user>[^/]+)/)?\.(?P<folder>[^/]+)/?$"
)
KNOWN = ("filtername", "rules", "actions", "enabled", "account", "unescaped")


def read(native: Native, kind: str) -> Rule:
    """Return a filter as a rule. ``account``: the mailbox it is of, where migrator put that beside it."""
    rules, actions = list(native.get("rules") or ()), list(native.get("actions") or ())
    tests = tuple(map(_test, rules))
    when = tests[0] if len(tests) == 1 else _joined(rules, tests) if tests else _odd(native, "has no rules")
    do = tuple(_action(one, str(native.get("account") or "")) for one in actions)
    return Rule(
        vendor=VENDOR,
        kind="filter",
        name=str(native.get("filtername") or "(without a name)"),
        active=str(native.get("enabled", 1)) not in ("0", "", "False"),
        when=when,
        do=do or (Unread(name="nothing", text="", why="does nothing"),),
        unknown=unknown(native, KNOWN),
    )


def _joined(rules: Sequence[Mapping[str, Anything]], tests: tuple[Condition, ...]) -> Condition:
    """Return how rules are joined. A rule's word stands between it and a neighbour; nobody says on which side."""
    words = {str(rule.get("opt") or "").lower() for rule in rules}
    if words in ({"and"}, {"or"}):
        return All(of=tests) if words == {"and"} else Any(of=tests)
    if words == {""}:
        why = f"cPanel does not tell whether its {len(rules)} rules are joined by and or by or"
    else:
        why = f"its {len(rules)} rules are joined by and as well as by or"
    return All(of=(_odd(list(map(dict, rules)), why), *tests))


def _test(rule: Mapping[str, Anything]) -> Condition:
    part, match, value = (str(rule.get(key) or "") for key in ("part", "match", "val"))
    plain, negated = NEGATED.get(match, match), match in NEGATED
    header = HEADER.fullmatch(part.strip())
    if plain not in MODES:
        return _odd(rule, f"asks by '{match}', which others have not, or have otherwise")
    if not value:
        return _odd(rule, "asks for an empty text")
    if header:
        path = Path(of="message", name=f"header:{header[1].lower()}")
        return Text(path=path, mode=MODES[plain], needles=(value,), negated=negated, null=negated)  # type: ignore[arg-type]
    if RECIPIENTS.fullmatch(part.strip()):
        if negated:
            return _odd(rule, "asks whether one of the recipients is another, which is not that none is this one")
        paths = [Path(of="message", name=f"address:{name}") for name in ("to", "cc", "bcc")]
        return Any(of=tuple(Text(path=one, mode=MODES[plain], needles=(value,)) for one in paths))  # type: ignore[arg-type]
    return _odd(rule, f"looks at '{part}', which others cannot, or only otherwise")


def _odd(told: Anything, why: str) -> Opaque:
    return Opaque(text=_said(told), why=why)


def _said(told: Anything) -> str:
    """Return a rule, or several with the words between them, as a person reads it, and what else stands in it."""
    if isinstance(told, list):
        return ", ".join(f"{_said(one)} {one.get('opt') or ''}".strip() for one in told)
    if "part" not in told and "match" not in told:
        return str(dict(told))
    more = {key: value for key, value in told.items() if key not in ("part", "match", "val", "opt")}
    asks = f"{told.get('part') or ''} {told.get('match') or ''} “{told.get('val') or ''}”".strip()
    return f"{asks} {more}" if more else asks


def _action(action: Mapping[str, Anything], account: str) -> Action:
    does, to = str(action.get("action") or ""), str(action.get("dest") or "").strip()
    if does == "finish":
        return Verb(word="stop")
    if does == "deliver" and re.fullmatch(r"[^\s@,]+@[^\s@,]+", to):
        return Verb(word="redirect", values=(to,))
    if does == "save" and to == "/dev/null":
        return Verb(word="discard")
    if does == "save":
        return _save(to, account)
    if does == "fail":
        return Verb(word="reject", values=(to or "refused",))
    return Unread(name=does or "nothing", text=to, why=f"does '{does}' to '{to}', which others cannot")


def _save(to: str, account: str) -> Action:
    """Return the folder that a place in the file system is: ``$home/mail/.Junk.2024``."""
    found = PLACES.fullmatch(to)
    if not found or "&" in found["folder"]:
        return Unread(name="save", text=to, why=f"puts mail into '{to}', which is no folder with a plain name")
    whose = f"{found['user']}@{found['domain']}" if found["domain"] else account
    if account and whose != account:
        return Unread(name="save", text=to, why=f"puts mail into a folder of {whose}")
    return Verb(word="fileinto", values=(found["folder"].removeprefix("INBOX.").replace(".", "/"),))
