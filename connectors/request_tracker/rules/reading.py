"""Scrips, as initialdata has them, read into our words: stock conditions and actions by name; Perl is for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from migrator.rules.conditions import All, Changed, Condition, Event, Is, Lit, Opaque, Ref, path
from migrator.rules.natives import compact, kept, unknown
from migrator.rules.rule import Action, Kind, Mail, Recipient, Rule, Unread, Verb
from migrator.rules.template import Template, Var

from . import names

Native = dict[str, Any]
CODE = ("CustomIsApplicableCode", "CustomPrepareCode", "CustomCommitCode")
READ = {"Description", "ScripCondition", "ScripAction", *names.OPTIONS, *CODE}
PERL = "Perl code, which a person must read"


def rule(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a scrip in our words."""
    disabled = native.get("Disabled")
    known = {*READ, *names.BOOKKEEPING}
    return Rule(
        vendor="request_tracker",
        kind=kind,
        name=native.get("Description") or "",
        active=None if disabled is None else str(disabled) not in ("1", "True"),
        when=when(native),
        do=(action(native),),
        options=tuple((key, compact(native[key])) for key in names.OPTIONS if key in native),
        unknown=unknown(native, known),
        kept=kept(native, names.BOOKKEEPING),
    )


def when(native: Mapping[str, Any]) -> Condition:
    """Return the condition: a stock one by its name, the vendor's own word for others, Perl as it stands."""
    name, code = str(native.get("ScripCondition", "")), native.get("CustomIsApplicableCode")
    if code is not None:
        return Opaque(text=compact({"ScripCondition": name, "CustomIsApplicableCode": code}), why=PERL)
    if name in names.CHANGES:
        at, to = names.CHANGES[name]
        status = Lit(value=names.STATUSES[to]) if to in names.STATUSES else Ref(kind="status", id=to)
        return Changed(path=path(at), after=(status,) if to else None)
    if name in names.SAID:
        public = Is(path=path("comment.public"), values=(Lit(value=names.SAID[name]),))
        return All(of=(Event(kinds=("updated",)), public))
    return All() if name == names.ANYTHING else Event(kinds=(names.EVENTS.get(name, name),))


def action(native: Mapping[str, Any]) -> Action:
    """Return the action: mail to watchers, the vendor's own word for another, Perl as it stands."""
    name = str(native.get("ScripAction", ""))
    code = {key: native[key] for key in CODE[1:] if key in native}
    if code:
        return Unread(name=name, text=compact(code), why=PERL)
    auto = name == "AutoReply To Requestors"
    found = re.fullmatch(r"Notify (.+?)( As Comment| as Comment)?", name)
    if not (auto or found):
        return Verb(word=name)
    words = re.split(r", | And | and ", found.group(1)) if found and not auto else ["Requestors"]
    if not all(word in names.WATCHERS for word in words):
        return Verb(word=name)
    to = tuple(Recipient(who=names.WATCHERS[word]) for word in words)
    body = Template(parts=(Var(name=f"template {native.get('Template', '')}"),))
    return Mail(to=to, subject=Template(), body=body, options=(("name", compact(name)),))
